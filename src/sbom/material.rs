//! What both formats tell.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::model::{Checksum, PackageReceipt, Receipt};

/// The packages and runtimes of some trees, and what names them.
pub(super) struct Material<'a> {
    /// Of the trees.
    pub(super) receipts: &'a [Receipt],
    /// When it was made.
    pub(super) created: &'a str,
    /// `xxxxxxxx-xxxx-8xxx-8xxx-xxxxxxxxxxxx`, from the receipts' digest.
    pub(super) uuid: String,
    /// Every package once, by its URL: trees share those without architecture.
    pub(super) packages: BTreeMap<String, &'a PackageReceipt>,
}

impl<'a> Material<'a> {
    /// What is to be told of the trees with `receipts`.
    pub(super) fn of(receipts: &'a [Receipt], created: &'a str) -> Self {
        let mut packages = BTreeMap::new();
        let mut known = String::from(created);
        for receipt in receipts {
            for runtime in &receipt.runtimes {
                let _ = writeln!(known, "{} {}", runtime.name, runtime.version);
            }
            for part in receipt.parts() {
                for package in &part.packages {
                    let _ = writeln!(known, "{} {}", receipt.arch, package.checksum);
                    packages.insert(purl(part, package), package);
                }
            }
        }
        Self { receipts, created, uuid: uuid(&Checksum::of(known.as_bytes())), packages }
    }

    /// Every runtime of every tree: its reference, name, version and architecture, and the URLs of
    /// the packages that are in on its account.
    pub(super) fn runtimes(&self) -> Vec<RuntimeEntry<'a>> {
        let mut entries = Vec::new();
        for receipt in self.receipts {
            for runtime in &receipt.runtimes {
                entries.push(RuntimeEntry {
                    reference: self.reference(receipt, &runtime.name),
                    name: &runtime.name,
                    version: &runtime.version,
                    arch: receipt.arch.as_str(),
                    needs: receipt
                        .parts()
                        .flat_map(|part| brought_by(part, &format!("runtime {}", runtime.name)))
                        .collect(),
                });
            }
        }
        entries
    }

    /// What names a runtime of a tree; with the dist, where there are several for the architecture.
    pub(super) fn reference(&self, receipt: &Receipt, runtime: &str) -> String {
        let trees = self.receipts.iter().filter(|other| other.arch == receipt.arch).count();
        match trees {
            1 => format!("runtime:{runtime}:{}", receipt.arch),
            _ => format!("runtime:{runtime}:{}:{}", receipt.arch, receipt.dist),
        }
    }

    /// The URLs of what each package brought in, by its own URL.
    pub(super) fn needs(&self) -> BTreeMap<String, Vec<String>> {
        let mut needs: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for part in self.receipts.iter().flat_map(Receipt::parts) {
            for package in &part.packages {
                let brought = brought_by(part, &package.nevra.name);
                let entry = needs.entry(purl(part, package)).or_default();
                entry.extend(brought);
                entry.sort();
                entry.dedup();
            }
        }
        needs
    }
}

/// A runtime in a tree.
pub(super) struct RuntimeEntry<'a> {
    /// What names it.
    pub(super) reference: String,
    /// Its name.
    pub(super) name: &'a str,
    /// Its version.
    pub(super) version: &'a str,
    /// The tree's architecture.
    pub(super) arch: &'a str,
    /// The URLs of the packages that are in on its account.
    pub(super) needs: Vec<String>,
}

/// The URLs of the packages of a part that are in because of `by`.
fn brought_by(receipt: &Receipt, by: &str) -> Vec<String> {
    let is_brought = |it: &&PackageReceipt| it.reason.by == by;
    let packages = receipt.packages.iter().filter(is_brought);
    packages.map(|package| purl(receipt, package)).collect()
}

/// The package's URL.
fn purl(receipt: &Receipt, package: &PackageReceipt) -> String {
    let evr = &package.nevra.evr;
    let mut purl = format!(
        "pkg:rpm/{}@{}?arch={}&distro={}",
        encoded(&package.nevra.name),
        encoded(&format!("{}-{}", evr.version, evr.release)),
        encoded(&package.nevra.arch),
        encoded(&receipt.dist),
    );
    if evr.epoch != 0 {
        let _ = write!(purl, "&epoch={}", evr.epoch);
    }
    purl
}

/// `text` with all but unreserved characters percent-encoded.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// A UUID of version 8 (RFC 9562: made in a way of one's own) from a digest.
fn uuid(digest: &Checksum) -> String {
    let hex = digest.hex();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    let (a, b, c, d, e) = (part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32));
    format!("{a}-{b}-8{c}-8{d}-{e}")
}

/// The source package's name; `None` where the header names none.
pub(super) fn source_rpm(package: &PackageReceipt) -> Option<&str> {
    Some(package.source_rpm.as_str()).filter(|name| !name.is_empty() && *name != "(none)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_packages_are_encoded() {
        assert_eq!(encoded("libstdc++"), "libstdc%2B%2B");
        assert_eq!(encoded("0^20240101.g1-1.el9~2"), "0%5E20240101.g1-1.el9~2");
    }

    #[test]
    fn uuids_follow_the_digest() {
        let uuid = uuid(&Checksum::of(b"abc"));
        assert_eq!(uuid, "ba7816bf-8f01-8fea-8141-40de5dae2223");
    }
}
