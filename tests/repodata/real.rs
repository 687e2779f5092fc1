//! Real metadata, where it lies beside the repository.

use std::fs::{self, File};
use std::path::Path;

use elsewhere::stages::decoding::Decoder;
use elsewhere::stages::model::{Arch, Index};
use elsewhere::stages::repodata::primary::{Scope, parse};
use elsewhere::stages::repodata::repomd;

use crate::support::tools::missing;

/// Packages of x86_64 and noarch in the real repository `name`; says so where there is none.
fn packages(name: &str) -> Option<Index> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/realrepodata").join(name);
    let Ok(bytes) = fs::read(root.join("repodata/repomd.xml")) else {
        missing(&format!("reading real metadata: there is no {}", root.display()));
        return None;
    };
    println!("reading {}", root.display());
    let repomd = repomd::parse(&bytes).unwrap();
    let file = File::open(root.join(&repomd.primary.location)).unwrap();
    let mut index = Index { repositories: vec![name.to_owned()], ..Index::default() };
    let scope = Scope { arch: Arch::X86_64, repository: 0, only: &[], may_fetch: &|_| true };
    parse(&mut Decoder::here(), file, &repomd.primary, &scope, &mut index).unwrap();
    Some(index)
}

#[test]
fn stream9_baseos_is_read() {
    if let Some(index) = packages("stream9-baseos") {
        assert_eq!(index.packages.len(), 883);
    }
}

/// One of its packages has a dependency with an epoch and no version.
#[test]
fn epel8_is_read() {
    let Some(index) = packages("epel8") else { return };
    assert_eq!(index.packages.len(), 10_327);
    let name = index.strings.find("python3-rdflib").unwrap();
    let rdflib = index.packages.iter().find(|package| package.name == name).unwrap();
    let requires: Vec<String> = rdflib.requires.iter().map(|it| index.display(it)).collect();
    assert!(requires.contains(&"python3-html5lib >= 1:".to_owned()), "{requires:?}");
}
