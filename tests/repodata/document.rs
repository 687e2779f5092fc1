//! Documents of packages, and what is read of them.

use elsewhere::model::{Arch, Checksum, Index};
use elsewhere::repodata::RepodataError;
use elsewhere::repodata::primary::{Scope, parse};
use elsewhere::repodata::repomd::RepomdRecord;

/// The entry of a package, one element a line; `format` goes into `<format>`.
pub(crate) fn package(name: &str, format: &str) -> String {
    let digest = Checksum::of(name.as_bytes());
    format!(
        r#"<package type="rpm">
<name>{name}</name>
<arch>x86_64</arch>
<version epoch="0" ver="1.2" rel="3.el9"/>
<checksum type="sha256" pkgid="YES">{}</checksum>
<time file="1" build="2"/>
<size package="10" installed="20" archive="30"/>
<location href="Packages/{name}.rpm"/>
<format>
{format}
</format>
</package>
"#,
        digest.hex()
    )
}

/// A document of these packages.
pub(crate) fn document(packages: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">
{packages}</metadata>
"#
    )
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
    parse(document.as_bytes(), &record(), &scope, &mut index)?;
    Ok(index)
}

/// The names of the packages, in order.
pub(crate) fn names(index: &Index) -> Vec<&str> {
    index.packages.iter().map(|package| index.text(package.name)).collect()
}
