//! The machine that a tree must run on: those that `--for` names, or this one.

use super::Context;
use crate::error::Error;
use crate::model::{Arch, GlibcVersion, HostFacts, Libc, Plan, TreePlan};

impl Context<'_> {
    /// The machine that a tree for `arch` must run on; `None` when nothing is known of it.
    #[must_use]
    pub fn target(&self, arch: Arch) -> Option<HostFacts> {
        match self.aim {
            Some(aim) => Some(aim.machine(arch)),
            None => Some(self.host.clone()).filter(|host| host.arch == Some(arch)),
        }
    }

    /// Whether this machine can run a tree for `arch` that needs `glibc`: one that is made for
    /// others may be too new for it.
    #[must_use]
    pub fn runs_here(&self, arch: Arch, glibc: Option<GlibcVersion>) -> bool {
        let is_too_new = || glibc.zip(self.host.glibc()).is_some_and(|(needs, has)| needs > has);
        self.host.arch == Some(arch) && (self.aim.is_none() || !is_too_new())
    }
}

/// Refuses a plan whose packages ask more than its target has, before anything is fetched.
///
/// # Errors
/// When the glibc or the processor of the target is too old, or its libc is not glibc; with the
/// dist that fits.
pub fn check_target(context: Context<'_>, plan: &Plan) -> Result<(), Error> {
    plan.trees.iter().try_for_each(|tree| check_tree(context, tree))
}

/// [`check_target`] for one tree.
pub(super) fn check_tree(context: Context<'_>, tree: &TreePlan) -> Result<(), Error> {
    let Some(target) = context.target(tree.arch) else { return Ok(()) };
    if target.libc == Libc::Musl {
        return Err(Error::Musl);
    }
    let level = context.catalog.dist(&tree.dist).map_or(0, |dist| dist.x86_64_level);
    let shortage = match (tree.glibc, target.glibc()) {
        (Some(needed), Some(found)) if needed > found => {
            format!("glibc {needed} is needed, and there is {found}")
        }
        _ if target.x86_64_level > 0 && level > target.x86_64_level => {
            let found = target.x86_64_level;
            format!("a processor of x86-64-v{level} is needed, and there is x86-64-v{found}")
        }
        _ => return Ok(()),
    };
    let choices = context.catalog.choices(tree.arch, Some(&target), context.today);
    let fits = choices.ok().and_then(|choices| Some(choices.first()?.dist.name.clone()));
    Err(Error::TooNew {
        arch: tree.arch,
        dist: tree.dist.clone(),
        shortage,
        fits: fits.filter(|fits| *fits != tree.dist),
    })
}
