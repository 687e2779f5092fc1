//! Where a package may be had.

use crate::fetch;
use crate::model::{PlannedPackage, Source, without_userinfo};

/// Every URL of a package, best first.
pub(super) fn urls(source: Option<&Source>, package: &PlannedPackage) -> Vec<String> {
    let bases = source.map_or(&[][..], |source| &source.base);
    if bases.is_empty() {
        return vec![package.location.clone()];
    }
    fetch::places(bases, &package.location)
}

/// The first of them, as receipts have it: where the package is, not how one gets in.
pub(super) fn plain_url(source: Option<&Source>, package: &PlannedPackage) -> String {
    let first = urls(source, package).into_iter().next().unwrap_or_default();
    without_userinfo(&first).into_owned()
}
