//! The world's own tools, which judge what the tests write: RPM and createrepo_c.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use rpmrepo_metadata::{Package, Repository, Requirement};

use super::tools::{need, run, stdout};

/// Fails unless createrepo_c, which writes its own metadata to `output`, finds in the packages of the
/// repository at `root` what its metadata says.
#[track_caller]
pub fn createrepo_agrees(root: &Path, output: &Path) {
    let program = need("createrepo_c", "createrepo-c");
    run(Command::new(program).arg("-q").arg("-o").arg(output).arg(root));
    let (ours, theirs) = (describe(root), describe(output));
    assert!(!ours.is_empty(), "{} is empty", root.display());
    assert_eq!(ours, theirs, "{}", root.display());
}

/// Fails unless RPM, with a new `database` of these keys, accepts each package's digests and signature.
#[track_caller]
pub fn rpm_accepts(keys: &[PathBuf], packages: &[PathBuf], database: &Path) {
    let rpmkeys = need("rpmkeys", "rpm");
    let rpmkeys = || {
        let mut command = Command::new(&rpmkeys);
        command.arg("--dbpath").arg(database);
        command
    };
    for key in keys {
        run(rpmkeys().arg("--import").arg(key));
    }
    let text = stdout(rpmkeys().arg("--checksig").args(packages).env("LC_ALL", "C"));
    let good = text.lines().filter(|line| line.ends_with("digests signatures OK")).count();
    assert_eq!(good, packages.len(), "{text}");
}

/// What matters of each package: one line per fact, in order.
fn describe(root: &Path) -> BTreeSet<String> {
    let repository = Repository::load_from_directory(root).unwrap();
    repository.packages().values().flat_map(facts).collect()
}

fn facts(package: &Package) -> Vec<String> {
    let relation = |kind: &str, it: &Requirement| {
        let version =
            [it.epoch(), it.version(), it.release()].map(Option::unwrap_or_default).join("|");
        let flags = it.flags().map_or("", |flags| flags.as_str());
        format!("{kind} {} {flags} {version} pre={}", it.name(), it.preinstall())
    };
    let mut facts = vec![
        format!("at {}", package.location_href()),
        format!("digest {:?}", package.checksum()),
        format!("size {} {}", package.size_package(), package.size_installed()),
        format!("license {}", package.rpm_license()),
        format!("header {:?}", package.rpm_header_range()),
    ];
    facts.extend(package.requires().iter().map(|it| relation("requires", it)));
    facts.extend(package.provides().iter().map(|it| relation("provides", it)));
    facts.extend(package.conflicts().iter().map(|it| relation("conflicts", it)));
    facts.extend(package.obsoletes().iter().map(|it| relation("obsoletes", it)));
    facts.extend(package.recommends().iter().map(|it| relation("recommends", it)));
    package.for_each_file(|kind, path| facts.push(format!("file {} {path}", kind.to_values())));
    facts.iter().map(|fact| format!("{}: {fact}", package.nevra())).collect()
}
