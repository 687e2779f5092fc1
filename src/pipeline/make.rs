//! From a plan to staged trees: [`fill`] brings the packages; then each tree is made relocatable,
//! audited and tried out.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

pub(super) use super::fill::fill;
use super::{Context, Keys};
use crate::audit::{self, Audit};
use crate::error::Error;
use crate::fetch;
use crate::model::{
    Arch, HostGives, PackageReceipt, PlannedPackage, RECEIPT_FORMAT, Receipt, ReceiptFile, Runtime,
    Source, TreePlan,
};
use crate::prefix::Staging;
use crate::relocate;
use crate::smoke::{self, Trial};
use crate::unpack::{Claims, Unpacked};

/// What an install is allowed and told by its caller.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    /// Whether unsigned packages are let in.
    pub(super) allow_unsigned: bool,
    /// The time that receipts carry, in seconds since 1970.
    pub(super) now: u64,
}

/// One tree in the making.
pub(super) struct Making<'a> {
    plan: &'a TreePlan,
    runtimes: Vec<&'a Runtime>,
    host_gives: HostGives,
    /// Where it is made.
    pub(super) staging: Staging,
    /// The staged tree.
    pub(super) directory: Dir,
    /// Which package has what in it.
    pub(super) claims: Claims,
    /// What became of each package, by its position in the plan.
    unpacked: Mutex<Vec<(usize, Unpacked)>>,
}

impl<'a> Making<'a> {
    /// An empty tree for `plan` in `staging`.
    ///
    /// # Errors
    /// When a runtime is unknown, or the staging directory cannot be opened.
    pub(super) fn new(
        context: Context<'a>,
        plan: &'a TreePlan,
        staging: Staging,
    ) -> Result<Self, Error> {
        let runtimes: Vec<&Runtime> = plan
            .runtimes
            .iter()
            .map(|runtime| context.catalog.runtime(&runtime.name))
            .collect::<Result<_, _>>()?;
        let host_gives = context.catalog.host_gives(&runtimes);
        let directory = Dir::open_ambient_dir(staging.path(), ambient_authority())
            .map_err(|source| Error::Staging { path: staging.path().to_owned(), source })?;
        let (claims, unpacked) = (Claims::default(), Mutex::default());
        Ok(Self { plan, runtimes, host_gives, staging, directory, claims, unpacked })
    }

    /// The tree's architecture.
    pub(super) fn arch(&self) -> Arch {
        self.plan.arch
    }

    /// What it is to hold.
    pub(super) fn plan(&self) -> &'a TreePlan {
        self.plan
    }

    /// Takes note of a package that is in the tree now, by its position in the plan.
    pub(super) fn add(&self, position: usize, unpacked: Unpacked) {
        self.unpacked().push((position, unpacked));
    }

    /// Empties the tree.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub(super) fn reset(&self) -> Result<(), Error> {
        self.unpacked().clear();
        self.claims.clear();
        let empty = || -> std::io::Result<()> {
            for entry in self.directory.entries()? {
                let entry = entry?;
                match entry.file_type()?.is_dir() {
                    true => self.directory.remove_dir_all(entry.file_name())?,
                    false => self.directory.remove_file(entry.file_name())?,
                }
            }
            Ok(())
        };
        let path = || self.staging.path().to_owned();
        empty().map_err(|source| Error::Staging { path: path(), source })
    }

    fn unpacked(&self) -> MutexGuard<'_, Vec<(usize, Unpacked)>> {
        self.unpacked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Relocates, audits, tries out and accounts for the tree.
    ///
    /// # Errors
    /// When any of these fails; the tree is then not to go live.
    pub(super) fn finish(
        &self,
        context: Context<'_>,
        keys: &Keys<'_>,
        rules: Rules,
        scratch: &Path,
    ) -> Result<(Receipt, Audit), Error> {
        let (packages, mut files) = self.account(keys);
        self.relocate(context, &mut files)?;
        let tree = self.staging.path();
        let arch = self.plan.arch;
        let libraries = &self.host_gives.libraries;
        let target = context.target(arch).and_then(|target| target.glibc());
        let library_path: Vec<_> =
            self.runtimes.iter().flat_map(|runtime| runtime.library_path.clone()).collect();
        let audit = audit::audit(tree, arch, &files, libraries, &library_path, target)?;
        if !audit.gaps.is_empty() {
            return Err(Error::Gaps { arch, gaps: audit.gaps });
        }
        let versions = self.plan.runtimes.iter().map(|runtime| runtime.version.as_str());
        let runtimes: Vec<_> = self.runtimes.iter().copied().zip(versions).collect();
        let native = context.runs_here(arch, audit.glibc_needed);
        let trial = Trial { tree, arch, files: &files, runtimes: &runtimes, scratch };
        smoke::run(&trial, native, context.reporter)?;
        let receipt = Receipt {
            format: RECEIPT_FORMAT,
            arch,
            dist: self.plan.dist.clone(),
            runtimes: self.plan.runtimes.clone(),
            installed_at: rules.now,
            elsewhere: env!("CARGO_PKG_VERSION").to_owned(),
            glibc_needed: audit.glibc_needed,
            sources: self.plan.sources.clone(),
            packages,
            files,
        };
        Ok((receipt, audit))
    }

    /// Makes the tree, which has `files`, movable.
    ///
    /// # Errors
    /// When it cannot be changed.
    pub(super) fn relocate(
        &self,
        context: Context<'_>,
        files: &mut Vec<ReceiptFile>,
    ) -> Result<(), Error> {
        let relocated = relocate::relocate(
            self.staging.path(),
            self.plan.arch,
            files,
            &self.runtimes,
            &self.host_gives.libraries,
            context.reporter,
        )?;
        relocated.warnings.into_iter().for_each(|warning| context.reporter.detail(warning));
        Ok(())
    }

    /// The packages and files of the tree, in an order that does not depend on the threads.
    pub(super) fn account(&self, keys: &Keys<'_>) -> (Vec<PackageReceipt>, Vec<ReceiptFile>) {
        let mut unpacked = self.unpacked();
        unpacked.sort_by_key(|(position, _)| *position);
        let mut packages = Vec::new();
        let mut files: Vec<ReceiptFile> = Vec::new();
        for (position, package) in unpacked.drain(..) {
            if let Some(planned) = self.plan.packages.get(position) {
                packages.push(receipt_of(
                    planned,
                    self.plan.source(&planned.source),
                    &package,
                    keys,
                ));
            }
            files.extend(package.files);
        }
        // Stable: of a path that several packages own, the first package's entry stays.
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|later, first| later.path == first.path);
        (packages, files)
    }
}

/// Every URL of a package, best first.
pub(super) fn urls(source: Option<&Source>, package: &PlannedPackage) -> Vec<String> {
    let bases = source.map_or(&[][..], |source| &source.base);
    if bases.is_empty() {
        return vec![package.location.clone()];
    }
    bases.iter().map(|base| fetch::join(base, &package.location)).collect()
}

fn receipt_of(
    planned: &PlannedPackage,
    source: Option<&Source>,
    unpacked: &Unpacked,
    keys: &Keys<'_>,
) -> PackageReceipt {
    let signed_by = unpacked.proof.signed_by.as_ref();
    PackageReceipt {
        nevra: planned.nevra.clone(),
        url: urls(source, planned).into_iter().next().unwrap_or_default(),
        source: planned.source.clone(),
        location: planned.location.clone(),
        size: planned.size,
        installed_size: planned.installed_size,
        checksum: planned.checksum.clone(),
        files: planned.files.clone(),
        signed_by: signed_by.map(|by| by.fingerprint.clone()),
        signed_at: signed_by.and_then(|by| by.signed_at),
        trusted_by_user: signed_by.is_some_and(|by| keys.is_trusted_by_user(&by.fingerprint)),
        license: unpacked.license.clone(),
        source_rpm: unpacked.source_rpm.clone(),
        reason: planned.reason.clone(),
    }
}
