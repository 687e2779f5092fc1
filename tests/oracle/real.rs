//! The comparison on real metadata, where it lies beside the repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use elsewhere::model::Evr;
use rpmrepo_metadata::utils::xml_reader_from_file;
use rpmrepo_metadata::visitor::{PrimaryVisitor, RequirementData, parse_primary};
use rpmrepo_metadata::{FileType, RequirementType};
use serde_json::json;

use super::dnf::{self, Answer};
use super::scenario::{Offer, Scenario, scenario};

/// What counts as installed in these comparisons.
const HOST: [&str; 12] = [
    "glibc",
    "glibc-common",
    "glibc-minimal-langpack",
    "bash",
    "filesystem",
    "setup",
    "basesystem",
    "libgcc",
    "tzdata",
    "ncurses-base",
    "ncurses-libs",
    "coreutils",
];

/// Every how manieth package is resolved.
const STEP: usize = 5;

#[test]
fn on_real_metadata_dnf_chooses_the_same_packages() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/realrepodata/stream9-baseos");
    if !root.exists() {
        println!("no real metadata beside the repository: not compared");
        return;
    }
    println!("comparing on {}", root.display());
    dnf::require_tools();
    let mut case = HOST.into_iter().fold(scenario(), Scenario::host_package);
    case.repositories[0].packages = offers(&root);
    let mut names: Vec<String> =
        case.repositories[0].packages.iter().map(|offer| offer.name.clone()).collect();
    names.sort();
    names.dedup();
    names.retain(|name| !HOST.contains(&name.as_str()));
    let names: Vec<String> = names.into_iter().step_by(STEP).collect();
    let theirs = their_answers(&case, &root, &names);
    let index = case.index();
    let started = Instant::now();
    let ours: Vec<Answer> = names.iter().map(|name| our_answer(&mut case, &index, name)).collect();
    println!("{} packages resolved in {:?}", names.len(), started.elapsed());
    let mut equal = 0;
    for ((name, ours), theirs) in names.iter().zip(&ours).zip(&theirs) {
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) if ours == theirs => equal += 1,
            (Ok(ours), Ok(theirs)) => {
                let only = |these: &[String], those: &[String]| -> Vec<String> {
                    these.iter().filter(|one| !those.contains(one)).cloned().collect()
                };
                println!("{name}: ours alone {:?}", only(ours, theirs));
                println!("{name}: dnf's alone {:?}", only(theirs, ours));
            }
            (ours, theirs) => println!("{name}: ours {ours:?}, dnf's {theirs:?}"),
        }
    }
    println!("{equal} of {} equal", names.len());
    assert!(equal * 100 >= names.len() * 97, "the choices differ too often");
}

pub(crate) fn our_answer(
    case: &mut Scenario,
    index: &elsewhere::model::Index,
    name: &str,
) -> Answer {
    case.runtimes[0].0.package = name.to_owned();
    let plan = case.plan_of(index).map_err(|error| error.to_string())?;
    let mut chosen: Vec<String> = plan.packages.iter().map(|p| p.nevra.to_string()).collect();
    chosen.sort();
    Ok(chosen)
}

fn their_answers(case: &Scenario, root: &Path, names: &[String]) -> Vec<Answer> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle-real");
    if directory.exists() {
        fs::remove_dir_all(&directory).unwrap();
    }
    let installed = dnf::installed(case);
    let cases: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(number, name)| {
            json!({
                "directory": directory.join(number.to_string()),
                "cache": directory.join("cache"),
                "repositories": [{
                    "id": "base",
                    "path": root.canonicalize().unwrap(),
                    "priority": 99,
                }],
                "installed": installed,
                "install": [name],
                "streams": [],
            })
        })
        .collect();
    dnf::ask(&cases, &directory)
}

/// The packages of a repository, as its primary.xml describes them.
fn offers(root: &Path) -> Vec<Offer> {
    let entries = fs::read_dir(root.join("repodata")).unwrap().map(|entry| entry.unwrap().path());
    let is_primary = |path: &PathBuf| path.to_string_lossy().ends_with("-primary.xml.gz");
    let primary = entries.into_iter().find(is_primary).unwrap();
    let mut reader = xml_reader_from_file(&primary).unwrap();
    let mut offers = Offered::default();
    parse_primary(&mut reader, &mut offers).unwrap();
    offers.0.retain(|offer| offer.arch != "i686");
    offers.0
}

#[derive(Default)]
struct Offered(Vec<Offer>);

impl Offered {
    fn last(&mut self) -> &mut Offer {
        self.0.last_mut().unwrap()
    }
}

impl PrimaryVisitor for Offered {
    fn begin_package(&mut self, name: &str, arch: &str, _: &str, _: &str) {
        self.0.push(Offer {
            name: name.to_owned(),
            evr: Evr::default(),
            arch: arch.to_owned(),
            requires: Vec::new(),
            provides: Vec::new(),
            conflicts: Vec::new(),
            obsoletes: Vec::new(),
            files: Vec::new(),
        });
    }

    fn set_evr(&mut self, epoch: &str, version: &str, release: &str) {
        self.last().evr = Evr::parse(&format!("{epoch}:{version}-{release}"));
    }

    fn add_provide(&mut self, relation: RequirementData<'_>) {
        self.last().provides.push(text(&relation));
    }

    fn add_require(&mut self, relation: RequirementData<'_>) {
        self.last().requires.push(text(&relation));
    }

    fn add_conflict(&mut self, relation: RequirementData<'_>) {
        self.last().conflicts.push(text(&relation));
    }

    fn add_obsolete(&mut self, relation: RequirementData<'_>) {
        self.last().obsoletes.push(text(&relation));
    }

    fn add_file(&mut self, _: FileType, path: &str) {
        self.last().files.push(path.to_owned());
    }
}

fn text(relation: &RequirementData<'_>) -> String {
    let operator = match relation.flags {
        None => return relation.name.to_owned(),
        Some(RequirementType::LT) => "<",
        Some(RequirementType::LE) => "<=",
        Some(RequirementType::EQ) => "=",
        Some(RequirementType::GE) => ">=",
        Some(RequirementType::GT) => ">",
    };
    let release = relation.release.map(|release| format!("-{release}")).unwrap_or_default();
    let epoch = relation.epoch.filter(|epoch| *epoch != "0");
    let epoch = epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
    format!("{} {operator} {epoch}{}{release}", relation.name, relation.version.unwrap_or_default())
}
