//! The comparison on the real EPEL 8, where it lies beside the repository: with a made-up BaseOS that
//! provides all that EPEL's packages ask of one.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use elsewhere::stages::decoding::Decoder;
use elsewhere::stages::model::{Arch, HostGives, Index, NameHash};
use elsewhere::stages::repodata::primary::{Scope, parse};
use elsewhere::stages::repodata::repomd;
use serde_json::json;

use super::dnf;
use super::real::{compare, fresh, without_scriptlets};
use super::scenario::{Offer, package, scenario};
use crate::support::tools::missing;

/// Packages that are always compared: the runtimes, and the one with the odd entry.
const NAMES: [&str; 5] =
    ["apptainer", "singularity-ce", "charliecloud", "fakeroot", "python3-rdflib"];
/// Every how manieth of the others is.
const STEP: usize = 40;

/// Adds EPEL's packages to an index, as its second repository.
fn add_epel(root: &Path, index: &mut Index) {
    let repomd = repomd::parse(&fs::read(root.join("repodata/repomd.xml")).unwrap()).unwrap();
    let file = File::open(root.join(&repomd.primary.location)).unwrap();
    let scope = Scope { arch: Arch::X86_64, repository: 1, only: &[], may_fetch: &|_| true };
    parse(&mut Decoder::here(), file, &repomd.primary, &scope, index).unwrap();
}

/// The names in a requirement: one, or those of a rich dependency.
fn names(requirement: &str) -> Vec<&str> {
    if !requirement.starts_with('(') {
        return vec![requirement];
    }
    let mut names = Vec::new();
    let mut is_version = false;
    for word in requirement.split_whitespace() {
        let word = word.trim_start_matches('(');
        let closing = word.matches(')').count().saturating_sub(word.matches('(').count());
        let word = &word[..word.len() - closing];
        let is_operator =
            matches!(word, "and" | "or" | "if" | "unless" | "else" | "with" | "without");
        if !is_operator && !is_version && !word.starts_with(['<', '>', '=']) {
            names.push(word);
        }
        is_version = word.starts_with(['<', '>', '=']);
    }
    names
}

/// A package for each capability that EPEL's packages need and none of them has.
fn base(epel: &Index) -> Vec<Offer> {
    let mut has: BTreeSet<NameHash> = BTreeSet::new();
    for package in &epel.packages {
        has.extend(package.provides.iter().map(|provide| provide.name));
        has.extend(package.files.iter().copied());
    }
    let mut needed: BTreeSet<&str> = BTreeSet::new();
    for relation in epel.packages.iter().flat_map(|package| &package.requires) {
        needed.extend(names(epel.text(relation.name)));
    }
    let lacking = needed.into_iter().filter(|name| !has.contains(&NameHash::of(name)));
    lacking
        .enumerate()
        .map(|(number, name)| package(&format!("base{number}-1-1")).provides(name))
        .collect()
}

/// Whether a capability is what a pattern of `repos/host.toml` describes.
fn is_match(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((front, back)) => name.strip_prefix(front).is_some_and(|rest| rest.ends_with(back)),
    }
}

/// How many packages libsolv reads of a repository.
fn count_by_libsolv(root: &Path, primary: &str, directory: &Path) -> usize {
    let script = "import sys, hawkey\nsack = hawkey.Sack(cachedir=sys.argv[3], arch='x86_64')\n\
        it = hawkey.Repo('r')\nit.repomd_fn, it.primary_fn = sys.argv[1:3]\n\
        sack.load_repo(it)\nprint(len(hawkey.Query(sack)))";
    let output = Command::new("/usr/bin/python3")
        .args(["-W", "ignore", "-c", script])
        .args([root.join("repodata/repomd.xml"), root.join(primary), directory.join("count")])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    told.trim().parse().unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn on_epel_libsolv_counts_and_dnf_chooses_the_same_packages() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/realrepodata/epel8");
    let Ok(root) = root.canonicalize() else {
        missing("comparing with dnf on EPEL 8: there is no real metadata beside the repository");
        return;
    };
    println!("comparing on {}", root.display());
    dnf::require_tools();
    let directory = fresh("oracle-epel");
    let mut epel = Index::default();
    add_epel(&root, &mut epel);
    let repomd = repomd::parse(&fs::read(root.join("repodata/repomd.xml")).unwrap()).unwrap();
    let counted = count_by_libsolv(&root, &repomd.primary.location, &directory);
    println!("{} packages, by libsolv {counted}", epel.packages.len());
    assert_eq!((epel.packages.len(), epel.set_aside.len()), (counted, 0));
    let mut case = scenario().repository("epel", 99);
    case.repositories[0].packages = base(&epel);
    // What every host gives is installed for both, and so are all commands: dnf brings those that
    // scriptlets alone need, too.
    let every_host = fs::read_to_string("repos/host.toml").unwrap();
    let given: HostGives = toml::from_str(&every_host).unwrap();
    let is_given = |offer: &&Offer| {
        let patterns = given.capabilities.iter().chain(&given.libraries);
        let capability = &offer.provides[0];
        capability.starts_with('/') || patterns.into_iter().any(|it| is_match(it, capability))
    };
    let offers = case.repositories[0].packages.iter();
    case.host.packages = offers.filter(is_given).map(|offer| offer.name.clone()).collect();
    let (made_up, given) = (case.repositories[0].packages.len(), case.host.packages.len());
    println!("{made_up} capabilities come from the made-up base, {given} of them from the host");
    let mut index = case.index();
    add_epel(&root, &mut index);
    let all: BTreeSet<&str> = epel.packages.iter().map(|it| epel.text(it.name)).collect();
    let others = all.into_iter().filter(|name| !NAMES.contains(name)).step_by(STEP);
    let names: Vec<String> = NAMES.into_iter().chain(others).map(str::to_owned).collect();
    let base = directory.join("base");
    dnf::write_repository(&case.repositories[0], None, &base);
    let question = json!({
        "directory": directory.join("case"),
        "repositories": [
            { "id": "base", "path": base, "priority": 99 },
            { "id": "epel", "path": without_scriptlets(&root, &directory.join("epel")), "priority": 99 },
        ],
        "installed": dnf::installed(&case),
    });
    let ours = compare(&mut case, &index, &names, question);
    println!("apptainer: {:?}", ours[0]);
}
