//! The bill of materials of what is pushed: what a receipt would say of packages that are proved and not unpacked.

use std::collections::BTreeMap;

use crate::carry::proving::ProvenPackage;
use crate::fetch::package_places;
use crate::metadata::Keys;
use crate::model::{
    PackageReceipt, Plan, PlannedPackage, RECEIPT_FORMAT, Receipt, TreePlan, without_userinfo,
};
use crate::sbom::{self, Format};

/// The packages that were proved, by their digests.
pub(super) type Proven = BTreeMap<String, ProvenPackage>;

/// What a bill is, and the file that it is.
pub(super) fn kind(format: Format) -> (&'static str, &'static str) {
    match format {
        Format::Cyclonedx => ("application/vnd.cyclonedx+json", "sbom.cdx.json"),
        Format::Spdx => ("application/spdx+json", "sbom.spdx.json"),
    }
}

/// The bill of what `plan` installs, of the time of the newest metadata that it was made of: the same plan gives
/// the same bill.
pub(super) fn bill(plan: &Plan, proven: &Proven, keys: &Keys<'_>, format: Format) -> Vec<u8> {
    let receipts: Vec<Receipt> =
        plan.trees.iter().map(|tree| receipt(tree, proven, keys)).collect();
    let sources = plan.trees.iter().flat_map(TreePlan::parts).flat_map(|part| &part.sources);
    let times = sources.filter_map(|source| source.metadata.as_ref().map(|it| it.timestamp));
    let made = crate::host::timestamp(times.max().unwrap_or(0));
    format!("{:#}\n", sbom::write(&receipts, &made, format)).into_bytes()
}

fn receipt(tree: &TreePlan, proven: &Proven, keys: &Keys<'_>) -> Receipt {
    let package = |planned: &PlannedPackage| -> PackageReceipt {
        let proof = proven.get(&planned.checksum.to_string());
        let signed_by = proof.and_then(|proof| proof.signed_by.as_ref());
        let place = (tree.dist.as_str(), planned.source.as_str());
        let urls = package_places(tree.source(&planned.source), planned);
        let url = without_userinfo(urls.first().map_or("", |url| url)).into_owned();
        PackageReceipt {
            signed_by: signed_by.map(|by| by.fingerprint.clone()),
            signed_at: signed_by.and_then(|by| by.signed_at),
            trusted_by_user: signed_by
                .is_some_and(|by| keys.is_trusted_by_user(place, &by.fingerprint)),
            license: proof.map(|proof| proof.said.license.clone()).unwrap_or_default(),
            source_rpm: proof.map(|proof| proof.said.source_rpm.clone()).unwrap_or_default(),
            ..PackageReceipt::of(planned, url)
        }
    };
    Receipt {
        format: RECEIPT_FORMAT,
        arch: tree.arch,
        dist: tree.dist.clone(),
        disabled_repositories: tree.disabled_repositories.clone(),
        enabled_repositories: tree.enabled_repositories.clone(),
        runtimes: tree.runtimes.clone(),
        installed_at: 0,
        elsewhere: env!("CARGO_PKG_VERSION").to_owned(),
        glibc_needed: None,
        sources: tree.sources.clone(),
        packages: tree.packages.iter().map(package).collect(),
        files: Vec::new(),
        set: Vec::new(),
        loading: None,
        reuse: None,
        without_modes: false,
        made_with: None,
        container: tree.container.as_ref().map(|inner| Box::new(receipt(inner, proven, keys))),
    }
}
