//! Takes files of packages that stay the same over from the tree that was there before: they are not fetched,
//! proven or decoded again, and not stored twice.

use super::places::plain_url;
use crate::error::Error;
use crate::metadata::Keys;
use crate::model::{PackageReceipt, PlannedPackage, ReceiptFile, Runtime, Taken, TreePlan};
use crate::relocate;
use crate::unpack::Claims;
use crate::workshop::{MadeTree, Share, Workshop};

/// What was taken over.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// The packages, in the order of their positions in the plan.
    pub(super) packages: Vec<KeptPackage>,
    /// Their regular files.
    pub(super) taken: Taken,
}

/// A package whose files are in the tree.
#[derive(Clone, Debug)]
pub(super) struct KeptPackage {
    /// Its position in the plan.
    pub(super) position: usize,
    /// What the receipt says of it.
    pub(super) receipt: PackageReceipt,
    /// Its files as it brought them.
    pub(super) brought: Vec<ReceiptFile>,
    /// Its files as they are now.
    pub(super) files: Vec<ReceiptFile>,
}

impl Kept {
    /// Whether the package at `position` of the plan is among them.
    pub(super) fn has(&self, position: usize) -> bool {
        self.packages.binary_search_by_key(&position, |package| package.position).is_ok()
    }
}

/// Decides what stays the same.
pub(super) struct Keeper<'a> {
    /// What the tree is to be.
    pub(super) plan: &'a TreePlan,
    /// The definitions of its runtimes.
    pub(super) runtimes: &'a [&'a Runtime],
    /// Whose signatures are accepted.
    pub(super) keys: &'a Keys<'a>,
    /// The tree that was there before.
    pub(super) earlier: &'a MadeTree,
}

impl Keeper<'_> {
    /// Takes over what can be, into `workshop`.
    ///
    /// # Errors
    /// When one of the trees cannot be read or written.
    pub(super) fn keep(&self, workshop: &Workshop, claims: &Claims) -> Result<Kept, Error> {
        let mut kept = Kept::default();
        for (position, planned) in self.plan.packages.iter().enumerate() {
            let Some(installed) = self.installed(planned) else { continue };
            let (name, rules) = (&planned.nevra.name, relocate::RULES);
            let Some(reusable) = self.earlier.receipt.reusable(name, &planned.files, rules) else {
                continue;
            };
            let share = |file| Share { file, is_linkable: self.is_linkable(file) };
            let shares: Vec<_> = reusable.in_tree.iter().map(share).collect();
            if !workshop.take_over(&self.earlier.path, &shares)? {
                continue;
            }
            claims.hold(name, &reusable.packaged)?;
            kept.taken.extend(reusable.taken);
            kept.packages.push(KeptPackage {
                position,
                receipt: self.receipt_of(planned, installed),
                brought: reusable.packaged,
                files: reusable.in_tree,
            });
        }
        Ok(kept)
    }

    /// The same package in the tree from before, if this run would let it in as that receipt has it: signed
    /// by a key that the definitions pin or the user names here and now, or unsigned where the user says so
    /// here and now. Else it is fetched, and judged as any other.
    fn installed(&self, planned: &PlannedPackage) -> Option<&PackageReceipt> {
        let is_same = |package: &&PackageReceipt| {
            package.nevra == planned.nevra && package.checksum == planned.checksum
        };
        let installed = self.earlier.receipt.packages.iter().find(is_same)?;
        let pins = self.plan.source(&planned.source).map_or(&[][..], |source| &source.keys);
        let place = (self.plan.dist.as_str(), planned.source.as_str());
        let allowed = self.keys.allowed(place, pins);
        self.keys.ensure(pins);
        let counts = match &installed.signed_by {
            Some(key) => allowed.contains(key) && self.keys.stands_by(key, installed.signed_at),
            None => self.keys.lets_in_unsigned(place),
        };
        counts.then_some(installed)
    }

    /// Whether nothing writes to the file in place: no configuration, nothing where plugins go.
    fn is_linkable(&self, file: &ReceiptFile) -> bool {
        let mut plugins = self.runtimes.iter().flat_map(|runtime| &runtime.plugin_directories);
        let path = file.path.as_path();
        let is_written =
            path.starts_with("etc") || plugins.any(|directory| path.starts_with(directory));
        !file.config && !is_written
    }

    fn receipt_of(&self, planned: &PlannedPackage, installed: &PackageReceipt) -> PackageReceipt {
        let source = self.plan.source(&planned.source);
        PackageReceipt {
            url: plain_url(source, planned),
            reason: planned.reason.clone(),
            ..installed.clone()
        }
    }
}
