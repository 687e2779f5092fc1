//! Documents of packages, and what is read of them.

use elsewhere::stages::decoding::Decoder;
use elsewhere::stages::model::{Arch, Checksum, Evr, Index};
use elsewhere::stages::repodata::RepodataError;
use elsewhere::stages::repodata::primary::{Scope, parse};
use elsewhere::stages::repodata::repomd::RepomdRecord;

use crate::support::metadata::{self, Listing};

/// The entry of a package, one element a line; `format` goes into `<format>`.
pub(crate) fn package(name: &str, format: &str) -> String {
    let listing = Listing {
        size: 10,
        installed: 20,
        ..Listing::new(name, "x86_64", &Evr::parse("1.2-3.el9"))
    };
    listing.entry_with(&format!("{format}\n"))
}

/// A document of these packages.
pub(crate) fn document(packages: &str) -> String {
    metadata::document(1, packages)
}

/// The record of a `primary.xml` that says the least.
pub(crate) fn record() -> RepomdRecord {
    RepomdRecord {
        location: "repodata/primary.xml".into(),
        checksum: Checksum::of(b"not looked at here"),
        size: None,
        open_checksum: None,
        open_size: None,
    }
}

/// What is read of a document.
pub(crate) fn read(document: &str) -> Result<Index, RepodataError> {
    let mut index = Index { repositories: vec!["repository".into()], ..Index::default() };
    let scope = Scope { arch: Arch::X86_64, repository: 0, only: &[], may_fetch: &|_| true };
    parse(&mut Decoder::here(), document.as_bytes(), &record(), &scope, &mut index)?;
    Ok(index)
}

/// The names of the packages, in order.
pub(crate) fn names(index: &Index) -> Vec<&str> {
    index.packages.iter().map(|package| index.text(package.name)).collect()
}
