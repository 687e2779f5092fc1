//! What became of the keys that vouched for a tree since it was made.

use std::collections::BTreeMap;

use crate::metadata::Keys;
use crate::model::{Fingerprint, Receipt};
use crate::report::Reporter;

/// Warns of packages of a tree that is there already whose signatures would not count any more.
pub(super) fn tell(keys: &Keys<'_>, receipt: &Receipt, reporter: &dyn Reporter) {
    let mut doubtful: BTreeMap<&Fingerprint, usize> = BTreeMap::new();
    for package in receipt.all_packages() {
        let signer = package.signed_by.as_ref();
        if let Some(key) = signer.filter(|key| !keys.stands_by(key, package.signed_at)) {
            *doubtful.entry(key).or_default() += 1;
        }
    }
    for (key, count) in doubtful {
        reporter.warning(format!(
            "{}: {count} of the packages that are installed are signed by key {key}, which was revoked \
             since: elsewhere verify --deep tries to prove them anew",
            receipt.arch
        ));
    }
}
