//! Where a package may be had.

use crate::fetch;
use crate::model::{PlannedPackage, Source};

/// Every URL of a package, best first.
pub(super) fn urls(source: Option<&Source>, package: &PlannedPackage) -> Vec<String> {
    let bases = source.map_or(&[][..], |source| &source.base);
    if bases.is_empty() {
        return vec![package.location.clone()];
    }
    fetch::places(bases, &package.location)
}
