//! The comparison on real metadata, where it lies beside the repository.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use elsewhere::stages::decoding::Decoder;
use elsewhere::stages::model::{Arch, Index};
use elsewhere::stages::repodata::primary::{self, Scope};
use elsewhere::stages::repodata::repomd;
use serde_json::{Value, json};

use super::dnf::{self, Answer};
use super::scenario::{Scenario, scenario};
use crate::support::metadata::Repodata;
use crate::support::tools::missing;

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

#[test]
fn on_real_metadata_dnf_chooses_the_same_packages() {
    let Some((root, index)) = real("stream9-baseos") else { return };
    let directory = fresh("oracle-stream9");
    let mut case = HOST.into_iter().fold(scenario(), Scenario::host_package);
    case.repositories.clear();
    case = case.repository("stream9-baseos", 99);
    let names = names(&index);
    let repository = without_scriptlets(&root, &directory.join("repository"));
    let question = json!({
        "directory": directory.join("case"),
        "repositories": [{ "id": "stream9-baseos", "path": repository, "priority": 99 }],
        "host": HOST,
    });
    compare(&mut case, &index, &names, question);
}

/// An empty directory of this name.
pub(crate) fn fresh(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// A copy of a repository's packages without what scriptlets alone need, which is never installed here.
pub(crate) fn without_scriptlets(root: &Path, copy: &Path) -> PathBuf {
    let repomd = repomd::parse(&fs::read(root.join("repodata/repomd.xml")).unwrap()).unwrap();
    let primary = root.join(&repomd.primary.location);
    let packed = File::open(&primary).unwrap();
    let mut text = String::new();
    match primary.extension().unwrap().to_str().unwrap() {
        "xz" => liblzma::read::XzDecoder::new(packed).read_to_string(&mut text).unwrap(),
        _ => flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap(),
    };
    let lines = text.lines().filter(|line| !line.contains(" pre=\"1\""));
    let text = lines.collect::<Vec<_>>().join("\n");
    Repodata::new(1).with("primary", text).write(copy);
    copy.to_owned()
}

/// A real repository: where it is, and its packages. Says so where there is none.
fn real(name: &str) -> Option<(PathBuf, Index)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/realrepodata").join(name);
    let Ok(root) = root.canonicalize() else {
        missing(&format!(
            "comparing with dnf on {name}: there is no real metadata beside the repository"
        ));
        return None;
    };
    println!("comparing on {}", root.display());
    dnf::require_tools();
    let repomd = repomd::parse(&fs::read(root.join("repodata/repomd.xml")).unwrap()).unwrap();
    let file = File::open(root.join(&repomd.primary.location)).unwrap();
    let mut index = Index { repositories: vec![name.to_owned()], ..Index::default() };
    let scope = Scope { arch: Arch::X86_64, repository: 0, only: &[], may_fetch: &|_| true };
    primary::parse(&mut Decoder::here(), file, &repomd.primary, &scope, &mut index).unwrap();
    Some((root, index))
}

/// The names of all packages that are not the host's.
fn names(index: &Index) -> Vec<String> {
    let names = index.packages.iter().map(|package| index.text(package.name).to_owned());
    let names: BTreeSet<String> = names.filter(|name| !HOST.contains(&name.as_str())).collect();
    names.into_iter().collect()
}

/// Resolves each name, here and by dnf, whom the question tells the repositories and the host; and
/// fails where they differ.
pub(crate) fn compare(
    case: &mut Scenario,
    index: &Index,
    names: &[String],
    mut question: Value,
) -> Vec<Answer> {
    let each: Vec<[&String; 1]> = names.iter().map(|name| [name]).collect();
    question["each"] = json!(each);
    question["streams"] = json!([]);
    let directory = PathBuf::from(question["directory"].as_str().unwrap());
    let theirs = dnf::ask(&[question], directory.parent().unwrap());
    let started = Instant::now();
    let ours: Vec<Answer> = names.iter().map(|name| our_answer(case, index, name)).collect();
    println!("{} packages resolved in {:?}", names.len(), started.elapsed());
    let (mut equal, mut neither) = (0, 0);
    for ((name, ours), theirs) in names.iter().zip(&ours).zip(&theirs) {
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) if ours == theirs => equal += 1,
            (Err(_), Err(_)) => neither += 1,
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
    println!("{equal} of {} equal, {neither} that neither can install", names.len());
    assert_eq!(equal + neither, names.len(), "the choices differ");
    assert!(neither * 10 < names.len(), "too few can be installed");
    ours
}

fn our_answer(case: &mut Scenario, index: &Index, name: &str) -> Answer {
    case.runtimes[0].0.package = name.to_owned();
    let plan = case.plan_of(index).map_err(|error| error.to_string())?;
    Ok(super::chosen(&plan))
}
