//! From a plan to staged trees: [`fill`] brings the packages; then each tree is made relocatable,
//! audited and tried out.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

pub(super) use super::fill::fill;
use super::keep::{Keeper, Kept, KeptPackage};
use super::{Context, Keys};
use crate::audit::{self, Audit};
use crate::error::Error;
use crate::fetch;
use crate::model::{
    Arch, HostGives, PackageReceipt, PlannedPackage, RECEIPT_FORMAT, Receipt, ReceiptFile, Reuse,
    Runtime, Source, TreePlan,
};
use crate::prefix::{Generation, Staging};
use crate::relocate::{self, Relocated};
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
    /// What was taken over from the live generation instead.
    kept: Mutex<Kept>,
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
        let (claims, unpacked, kept) = (Claims::default(), Mutex::default(), Mutex::default());
        Ok(Self { plan, runtimes, host_gives, staging, directory, claims, unpacked, kept })
    }

    /// Takes over from `live` the files of packages that stay the same.
    ///
    /// # Errors
    /// When the prefix cannot be read or written.
    pub(super) fn keep(
        &mut self,
        live: &Generation,
        receipt: &Receipt,
        keys: &Keys<'_>,
    ) -> Result<(), Error> {
        let keeper = Keeper { plan: self.plan, runtimes: &self.runtimes, keys, live, receipt };
        let kept = keeper.keep(&self.staging, &self.claims)?;
        *self.kept() = kept;
        Ok(())
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

    /// Empties the tree. What was taken over is then to be fetched too.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub(super) fn reset(&self) -> Result<(), Error> {
        self.unpacked().clear();
        *self.kept() = Kept::default();
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

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that the packages that are to be fetched will have when installed.
    pub(super) fn needed_space(&self) -> u64 {
        crate::model::total(self.fetched().iter().map(|(_, package)| package.installed_size))
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
        let (packages, mut files, brought) = self.account(keys);
        let relocated = self.relocate(context, &mut files)?;
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
        let brought = brought.iter().filter_map(|(position, files)| {
            let planned = self.plan.packages.get(*position)?;
            Some((planned.nevra.name.as_str(), planned.files.as_slice(), files.as_slice()))
        });
        let reuse = Reuse::of(relocate::RULES, brought, &files, &relocated.run_paths);
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
            reuse: Some(reuse),
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
    ) -> Result<Relocated, Error> {
        let mut relocated = relocate::relocate_with(
            &self.kept().taken,
            self.staging.path(),
            self.plan.arch,
            files,
            &self.runtimes,
            &self.host_gives.libraries,
            context.reporter,
        )?;
        let warnings = std::mem::take(&mut relocated.warnings);
        warnings.into_iter().for_each(|warning| context.reporter.detail(warning));
        Ok(relocated)
    }

    /// The packages and files of the tree, in an order that does not depend on the threads; and what
    /// each package brought, by its position in the plan.
    pub(super) fn account(
        &self,
        keys: &Keys<'_>,
    ) -> (Vec<PackageReceipt>, Vec<ReceiptFile>, Brought) {
        let mut all: Vec<_> = self.kept().packages.clone();
        for (position, package) in self.unpacked().drain(..) {
            if let Some(planned) = self.plan.packages.get(position) {
                let source = self.plan.source(&planned.source);
                let receipt = receipt_of(planned, source, &package, keys);
                let (brought, files) = (package.files.clone(), package.files);
                all.push(KeptPackage { position, receipt, brought, files });
            }
        }
        all.sort_by_key(|package| package.position);
        let (mut packages, mut brought) = (Vec::new(), Brought::new());
        let mut files: Vec<ReceiptFile> = Vec::new();
        for package in all {
            packages.push(package.receipt);
            brought.push((package.position, package.brought));
            files.extend(package.files);
        }
        // Stable: of a path that several packages own, the first package's entry stays.
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|later, first| later.path == first.path);
        (packages, files, brought)
    }

    /// The packages that are to be fetched, with their positions in the plan.
    pub(super) fn fetched(&self) -> Vec<(usize, &'a PlannedPackage)> {
        let kept = self.kept();
        let packages = self.plan.packages.iter().enumerate();
        packages.filter(|(position, _)| !kept.has(*position)).collect()
    }
}

/// What each package brought, by its position in the plan.
pub(super) type Brought = Vec<(usize, Vec<ReceiptFile>)>;

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
