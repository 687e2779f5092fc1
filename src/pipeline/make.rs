//! From a plan to staged trees: every package is fetched, verified and unpacked by a small pool of
//! threads; then each tree is made relocatable, audited and tried out.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

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
use crate::report::{Event, Phase};
use crate::smoke::{self, Trial};
use crate::trust::{self, Policy};
use crate::unpack::{self, Claims, Destination, Unpacked};

/// Packages that are worked on at the same time. More than there are processors, because most
/// wait for the network; `fetch` bounds the connections to one host.
const WORKERS: usize = 6;

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
    pub(super) staging: Staging,
    directory: Dir,
    claims: Claims,
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
        let tree = self.staging.path();
        let arch = self.plan.arch;
        let libraries = &self.host_gives.libraries;
        let relocated = relocate::relocate(
            tree,
            arch,
            &mut files,
            &self.runtimes,
            libraries,
            context.reporter,
        )?;
        relocated.warnings.into_iter().for_each(|warning| context.reporter.detail(warning));
        let native = context.host.arch == Some(arch);
        let target = context.host.glibc().filter(|_| native);
        let library_path: Vec<_> =
            self.runtimes.iter().flat_map(|runtime| runtime.library_path.clone()).collect();
        let audit = audit::audit(tree, arch, &files, libraries, &library_path, target)?;
        if !audit.gaps.is_empty() {
            return Err(Error::Gaps { arch, gaps: audit.gaps });
        }
        let versions = self.plan.runtimes.iter().map(|runtime| runtime.version.as_str());
        let runtimes: Vec<_> = self.runtimes.iter().copied().zip(versions).collect();
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
            packages,
            files,
        };
        Ok((receipt, audit))
    }

    /// The packages and files of the tree, in an order that does not depend on the threads.
    fn account(&self, keys: &Keys<'_>) -> (Vec<PackageReceipt>, Vec<ReceiptFile>) {
        let mut unpacked = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
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

/// Fetches, verifies and unpacks every package of every tree, the largest first.
///
/// # Errors
/// The first failure; the other threads then stop at their next step.
pub(super) fn fill(
    context: Context<'_>,
    keys: &Keys<'_>,
    rules: Rules,
    trees: &[Making<'_>],
) -> Result<(), Error> {
    let mut jobs: Vec<(&Making<'_>, usize, &PlannedPackage)> = trees
        .iter()
        .flat_map(|tree| {
            let packages = tree.plan.packages.iter().enumerate();
            packages.map(move |(position, package)| (tree, position, package))
        })
        .collect();
    jobs.sort_by_key(|(_, _, package)| std::cmp::Reverse(package.size));
    announce(context, trees);
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let work = || -> Result<(), Error> {
        while let Some(&(tree, position, package)) = jobs.get(next.fetch_add(1, Ordering::Relaxed))
        {
            if failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let unpacked = bring(context, keys, rules, tree, package)
                .inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            let mut all = tree.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
            all.push((position, unpacked));
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Result<(), Error>>| {
            thread.join().unwrap_or(Err(Error::Panicked))
        };
        threads.into_iter().map(join).fold(Ok(()), Result::and)
    })?;
    for phase in [Phase::Download, Phase::Unpack] {
        context.reporter.event(Event::Finished { phase });
    }
    Ok(())
}

fn announce(context: Context<'_>, trees: &[Making<'_>]) {
    let total = |size: fn(&TreePlan) -> u64| {
        Some(crate::model::total(trees.iter().map(|tree| size(tree.plan))))
    };
    for (phase, total) in [
        (Phase::Download, total(TreePlan::download_size)),
        (Phase::Unpack, total(TreePlan::installed_size)),
    ] {
        context.reporter.event(Event::Started { phase, total });
    }
}

/// Brings one package from its source into its tree.
fn bring(
    context: Context<'_>,
    keys: &Keys<'_>,
    rules: Rules,
    tree: &Making<'_>,
    package: &PlannedPackage,
) -> Result<Unpacked, Error> {
    let source = tree.plan.source(&package.source);
    let pins = source.map_or(&[][..], |source| &source.keys);
    keys.ensure(pins);
    let urls = urls(source, package);
    let fetched = context.fetcher.content(
        &urls,
        &package.checksum,
        Some(package.size),
        Some(Phase::Download),
    )?;
    let file = File::open(fetched.path())
        .map_err(|source| Error::Cache { path: fetched.path().to_owned(), source })?;
    let allowed = keys.allowed(pins);
    let verified = keys.with_keyring(|keyring| {
        let policy = Policy { keyring, allowed: &allowed, allow_unsigned: rules.allow_unsigned };
        trust::open(BufReader::with_capacity(1 << 16, file), package, &policy)
    });
    let verified = verified
        .map_err(|source| Error::Untrusted { source, missing_keys: keys.failures(pins) })?;
    if let Some(warning) = verified.warning() {
        context.reporter.warning(warning.to_owned());
    }
    let destination = Destination { tree: &tree.directory, claims: &tree.claims };
    let unpacked = unpack::unpack(verified, &package.files, &destination, context.reporter)?;
    Ok(unpacked)
}

/// Every URL of a package, best first.
fn urls(source: Option<&Source>, package: &PlannedPackage) -> Vec<String> {
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
        size: planned.size,
        checksum: planned.checksum.clone(),
        signed_by: signed_by.map(|by| by.fingerprint.clone()),
        signed_at: signed_by.and_then(|by| by.signed_at),
        trusted_by_user: signed_by.is_some_and(|by| keys.is_trusted_by_user(&by.fingerprint)),
        license: unpacked.license.clone(),
        source_rpm: unpacked.source_rpm.clone(),
        reason: planned.reason.clone(),
    }
}
