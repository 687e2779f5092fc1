//! The machine that a tree must run on: those that `--for` names, or this one.

use crate::context::Context;
use crate::error::Error;
use crate::model::{Dist, Libc, MachineNeeds, Plan, TreePlan};

/// Refuses a plan whose packages ask more than its target has, before anything is fetched.
///
/// # Errors
/// When the glibc or the processor of the target is too old, or its libc is not glibc; with the
/// dist that fits.
pub(crate) fn check_target(context: Context<'_>, plan: &Plan) -> Result<(), Error> {
    plan.trees.iter().try_for_each(|tree| check_tree(context, tree))
}

/// [`check_target`] for one tree.
pub(super) fn check_tree(context: Context<'_>, tree: &TreePlan) -> Result<(), Error> {
    let Some(target) = context.target(tree.arch) else { return Ok(()) };
    if target.libc == Libc::Musl {
        return Err(Error::Musl);
    }
    let level = context.catalog.dist(&tree.dist).map_or(0, |dist| dist.x86_64_level);
    let needs = MachineNeeds { glibc: tree.glibc, x86_64_level: level };
    let Some(shortage) = target.shortage(needs) else { return Ok(()) };
    let choices = context.catalog.choices(tree.arch, Some(&target), context.today);
    let best = choices.ok().and_then(|choices| Some(choices.first()?.dist));
    let fits = best.filter(|best| best.name != tree.dist).or_else(|| {
        let is_older = |dist: &&Dist| tree.glibc.is_some_and(|needed| dist.glibc < needed);
        let others = context.catalog.dists().filter(is_older);
        let has_packages = |dist: &&Dist| dist.repositories_for(tree.arch).next().is_some();
        let others = others.filter(|dist| dist.name != tree.dist).filter(has_packages);
        others.filter(|dist| target.runs(dist.needs())).last()
    });
    Err(Error::TooNew {
        arch: tree.arch,
        dist: tree.dist.clone(),
        shortage: shortage.to_string(),
        fits: fits.map(|fits| fits.name.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::fetch::{FetchOptions, Fetcher};
    use crate::model::{Arch, HostFacts};
    use crate::report::Silent;

    /// What a plan for `arch` from `dist`, whose packages ask for `glibc`, gets on a machine of this
    /// libc and level, when it is made `for_hosts`.
    fn outcome(plan: (Arch, &str, &str), libc: Libc, level: u8, for_hosts: &[&str]) -> String {
        let (arch, dist, glibc) = plan;
        let tree = TreePlan {
            arch,
            dist: dist.to_owned(),
            disabled_repositories: Vec::new(),
            enabled_repositories: Vec::new(),
            glibc: glibc.parse().ok(),
            runtimes: Vec::new(),
            sources: Vec::new(),
            packages: Vec::new(),
            container: None,
        };
        on((libc, level), for_hosts, |context| match check_tree(context, &tree) {
            Ok(()) => "fits".to_owned(),
            Err(error) => format!("{error}\n{}", error.hint().unwrap()),
        })
    }

    /// What `check` says on an x86_64 machine of this libc and level, for `for_hosts`.
    fn on<T>(machine: (Libc, u8), for_hosts: &[&str], check: impl Fn(Context<'_>) -> T) -> T {
        let catalog = Catalog::load(&[]).unwrap();
        let host = HostFacts {
            arch: Some(Arch::X86_64),
            machine: "x86_64".to_owned(),
            libc: machine.0,
            distribution: String::new(),
            x86_64_level: machine.1,
        };
        let silent = Silent::default();
        let cache = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tmp/target-cache");
        let fetcher = Fetcher::new(FetchOptions::new(cache), &silent).unwrap();
        let hosts: Vec<String> = for_hosts.iter().map(|host| (*host).to_owned()).collect();
        check(Context {
            store: None,
            catalog: &catalog,
            program: std::path::Path::new("elsewhere"),
            programs: &std::collections::BTreeMap::new(),
            host: &host,
            default_dist: None,
            allowed_dists: &[],
            aim: catalog.aim(&hosts).unwrap(),
            memory: None,
            allows_downgrade: false,
            fetcher: &fetcher,
            today: "2026-01-01",
            reporter: &silent,
        })
    }

    fn glibc(text: &str) -> Libc {
        Libc::Glibc(text.parse().unwrap())
    }

    #[test]
    fn a_glibc_that_is_too_old_is_told_with_the_dist_that_fits() {
        let el9 = (Arch::X86_64, "el9", "2.34");
        assert_eq!(outcome(el9, glibc("2.34"), 2, &[]), "fits");
        let refused = outcome(el9, glibc("2.31"), 2, &[]);
        assert!(refused.contains("glibc 2.34 is needed, and there is 2.31"), "{refused}");
        assert!(refused.contains("-d el8 fits"), "{refused}");
        // A tree for another architecture is for other machines.
        assert_eq!(outcome((Arch::Aarch64, "el9", "2.34"), glibc("2.31"), 2, &[]), "fits");
        // What the packages ask counts, not the dist's own glibc.
        assert_eq!(outcome((Arch::X86_64, "el9", "2.28"), glibc("2.31"), 2, &[]), "fits");
    }

    #[test]
    fn an_old_processor_is_refused_what_it_cannot_run() {
        let el10 = (Arch::X86_64, "el10", "2.39");
        assert_eq!(outcome(el10, glibc("2.41"), 3, &[]), "fits");
        let refused = outcome(el10, glibc("2.41"), 2, &[]);
        assert!(refused.contains("x86-64-v3 is needed, and there is x86-64-v2"), "{refused}");
        assert!(refused.contains("-d el8 fits"), "{refused}");
    }

    #[test]
    fn other_machines_count_instead_of_this_one() {
        let el9 = (Arch::X86_64, "el9", "2.34");
        assert_eq!(outcome(el9, glibc("2.17"), 1, &["glibc=2.34"]), "fits");
        assert!(outcome(el9, glibc("2.41"), 4, &["ubuntu22.04", "el7"]).contains("there is 2.17"));
        let aarch64 = outcome((Arch::Aarch64, "el10", "2.39"), glibc("2.41"), 4, &["el9"]);
        assert!(aarch64.contains("there is 2.34"), "{aarch64}");
        let el10 = (Arch::X86_64, "el10", "2.39");
        assert!(outcome(el10, glibc("2.41"), 4, &["ubuntu24.04"]).contains("x86-64-v3 is needed"));
        assert_eq!(outcome(el10, glibc("2.41"), 1, &["ubuntu24.04", "x86-64-v3"]), "fits");
        assert_eq!(outcome(el10, glibc("2.17"), 1, &["el10"]), "fits");
    }

    #[test]
    fn musl_runs_nothing_and_may_make_trees_for_others() {
        let el8 = (Arch::X86_64, "el8", "2.28");
        assert!(outcome(el8, Libc::Musl, 3, &[]).contains("musl"));
        assert_eq!(outcome(el8, Libc::Musl, 3, &["el8"]), "fits");
    }
    #[test]
    fn what_is_made_for_others_is_tried_where_it_can_run() {
        let runs = |libc, for_hosts: &[&str], arch, needs: &str| {
            let needs = needs.parse().ok();
            on((libc, 3), for_hosts, |context| context.runs_here(arch, needs))
        };
        assert!(runs(glibc("2.36"), &[], Arch::X86_64, "2.28"));
        assert!(runs(glibc("2.36"), &["el8"], Arch::X86_64, "2.28"));
        assert!(!runs(glibc("2.36"), &["el10"], Arch::X86_64, "2.39"));
        assert!(!runs(glibc("2.36"), &["el8"], Arch::Aarch64, "2.28"));
        // No loader is there that could try it.
        for libc in [Libc::Musl, Libc::Unknown] {
            assert!(!runs(libc, &["el8"], Arch::X86_64, "2.28"));
            assert!(!runs(libc, &["el8"], Arch::X86_64, ""));
        }
    }
}
