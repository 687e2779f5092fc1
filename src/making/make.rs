//! From a plan to finished trees: [`fill`] brings the packages; then each tree is made relocatable,
//! audited and tried out.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::judge::Judge;
use super::keep::{Keeper, Kept, KeptPackage};
use super::places::urls;
use crate::audit::{self, Audit, Gap};
use crate::context::Context;
use crate::error::Error;
use crate::fetch;
use crate::metadata::Keys;
use crate::model::{
    Aided, Arch, CONTAINER_DIRECTORY, FileKind, GlibcVersion, HostGives, Loading, PackageReceipt,
    PlannedPackage, RECEIPT_FORMAT, Receipt, ReceiptFile, RelPath, Reuse, Runtime, Source,
    TreePlan,
};
use crate::planning::definitions;
use crate::relocate::{self, Relocated, Relocation};
use crate::smoke::{self, Trial};
use crate::tools::{files, threads};
use crate::unpack::{Claims, Destination, Unpacked};
use crate::workshop::Workshop;

/// What an install is allowed and told by its caller.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// Whether unsigned packages are let in.
    pub(crate) allow_unsigned: bool,
    /// The time that receipts carry, in seconds since 1970.
    pub(crate) now: u64,
}

/// One tree in the making.
pub(crate) struct Making<'a> {
    plan: &'a TreePlan,
    runtimes: Vec<&'a Runtime>,
    host_gives: HostGives,
    /// Where it is made.
    workshop: &'a Workshop,
    /// The same, open.
    directory: Dir,
    /// Which package has what in it.
    claims: Claims,
    /// What became of each package, by its position in the plan.
    unpacked: Mutex<Vec<(usize, Unpacked)>>,
    /// What was taken over from an earlier tree instead.
    kept: Mutex<Kept>,
    /// The part that is bound into containers, where that is of another dist.
    inside: Option<Inside>,
}

impl<'a> Making<'a> {
    /// An empty tree for `plan` in `workshop`.
    ///
    /// # Errors
    /// When a runtime is unknown, or the workshop cannot be opened.
    pub(crate) fn new(
        context: Context<'a>,
        plan: &'a TreePlan,
        workshop: &'a Workshop,
    ) -> Result<Self, Error> {
        let runtimes: Vec<&Runtime> = plan
            .runtimes
            .iter()
            .map(|runtime| context.catalog.runtime(&runtime.name))
            .collect::<Result<_, _>>()?;
        let host_gives = context.catalog.host_gives(&runtimes);
        let directory = Dir::open_ambient_dir(workshop.path(), ambient_authority())
            .map_err(|source| Error::Staging { path: workshop.path().to_owned(), source })?;
        let inside = Inside::of(context, plan, &directory, workshop)?;
        let claims = Claims::where_names(workshop.folds_case());
        let (unpacked, kept) = (Mutex::default(), Mutex::default());
        Ok(Self { plan, runtimes, host_gives, workshop, directory, claims, unpacked, kept, inside })
    }

    /// Takes over the files of packages that stay the same from the earlier tree that the workshop
    /// has, if it has one.
    ///
    /// # Errors
    /// When one of the trees cannot be read or written.
    pub(crate) fn keep(&mut self, keys: &Keys<'_>) -> Result<(), Error> {
        let Some(earlier) = self.workshop.earlier() else { return Ok(()) };
        let keeper = Keeper { plan: self.plan, runtimes: &self.runtimes, keys, earlier };
        let kept = keeper.keep(self.workshop, &self.claims)?;
        *self.kept() = kept;
        Ok(())
    }

    /// Where `package` is unpacked.
    pub(crate) fn destination(&self, package: &PlannedPackage) -> Destination<'_> {
        match (&self.inside, &package.dist) {
            (Some(inside), Some(_)) => {
                Destination { tree: &inside.directory, claims: &inside.claims }
            }
            _ => Destination { tree: &self.directory, claims: &self.claims },
        }
    }

    /// Where it is made.
    pub(crate) fn path(&self) -> &Path {
        self.workshop.path()
    }

    /// What it is to hold.
    pub(crate) fn plan(&self) -> &'a TreePlan {
        self.plan
    }

    /// Takes note of a package that is in the tree now, by its position in the plan.
    pub(crate) fn add(&self, position: usize, unpacked: Unpacked) {
        self.unpacked().push((position, unpacked));
    }

    /// Empties the tree. What was taken over is then to be fetched too.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub(crate) fn reset(&self) -> Result<(), Error> {
        self.unpacked().clear();
        *self.kept() = Kept::default();
        self.claims.clear();
        self.inside.iter().for_each(|inside| inside.claims.clear());
        let path = || self.workshop.path().to_owned();
        let kept = self.inside.as_ref().map(|_| CONTAINER_DIRECTORY);
        let kept = kept.map(Path::new);
        files::remove_contents(&self.directory, kept)
            .map_err(|source| Error::Staging { path: path(), source })
    }

    fn unpacked(&self) -> MutexGuard<'_, Vec<(usize, Unpacked)>> {
        self.unpacked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that the packages that are to be fetched will have when installed.
    pub(crate) fn needed_space(&self) -> u64 {
        crate::model::total(self.fetched().iter().map(|(_, package)| package.installed_size))
    }

    /// Relocates, audits, tries out and accounts for the tree, and makes it durable.
    ///
    /// # Errors
    /// When any of these fails; the tree is then not to go live.
    pub(crate) fn finish(
        &self,
        context: Context<'_>,
        keys: &Keys<'_>,
        rules: Rules,
        (judge, scratch): (&Judge<'_>, &Path),
    ) -> Result<Receipt, Error> {
        let (packages, mut files, brought) = self.account(keys);
        let relocated = self.relocate(context, &mut files)?;
        // The disk works while the tree is tried out: nothing changes it any more.
        let (synced, proven) = thread::scope(|scope| {
            let sync = threads::spawn(scope, || self.workshop.sync().map_err(Error::from));
            let proven = self.prove(context, &files, &relocated.loading, (judge, scratch));
            (sync.join().unwrap_or(Err(Error::Panicked)), proven)
        });
        // A disk that is full explains whatever else failed.
        synced?;
        let audit = proven?;
        self.workshop.sync_again()?;
        let brought = brought.iter().filter_map(|(position, files)| {
            let planned = self.plan.packages.get(*position)?;
            let planned = Some(planned).filter(|planned| planned.dist.is_none())?;
            Some((planned.nevra.name.as_str(), planned.files.as_slice(), files.as_slice()))
        });
        let reuse = Reuse::of(relocate::RULES, brought, &files, &relocated.run_paths);
        Ok(Receipt {
            format: RECEIPT_FORMAT,
            arch: self.plan.arch,
            dist: self.plan.dist.clone(),
            disabled_repositories: self.plan.disabled_repositories.clone(),
            enabled_repositories: self.plan.enabled_repositories.clone(),
            runtimes: self.plan.runtimes.clone(),
            installed_at: rules.now,
            elsewhere: env!("CARGO_PKG_VERSION").to_owned(),
            glibc_needed: audit.glibc_needed,
            sources: self.plan.sources.clone(),
            packages,
            files,
            loading: Some(relocated.loading),
            reuse: Some(reuse),
            without_modes: !self.workshop.keeps_modes(),
            made_with: Some(definitions::of_definitions(
                context.catalog,
                &self.plan.dist,
                &self.runtimes,
            )),
        })
    }

    /// Audits the tree, which has `files`, and tries it out.
    fn prove(
        &self,
        context: Context<'_>,
        files: &[ReceiptFile],
        loading: &Loading,
        (judge, scratch): (&Judge<'_>, &Path),
    ) -> Result<Audit, Error> {
        let (tree, arch) = (self.workshop.path(), self.plan.arch);
        let libraries = &self.host_gives.libraries;
        let target = context.target(arch).and_then(|target| target.glibc());
        let (audit, asked) = audit_both(tree, arch, files, libraries, loading, target)?;
        self.tell_newer(context, asked);
        tell_needs(context, &audit);
        if !audit.gaps.is_empty() {
            return Err(Error::Gaps { arch, gaps: audit.gaps });
        }
        let versions = self.plan.runtimes.iter().map(|runtime| runtime.version.as_str());
        let runtimes: Vec<_> = self.runtimes.iter().copied().zip(versions).collect();
        let native = context.runs_here(arch, audit.glibc_needed);
        let trial = Trial {
            tree,
            arch,
            files,
            loading,
            host_libraries: libraries,
            runtimes: &runtimes,
            scratch,
            judge,
        };
        // That nothing can be run from there is told already.
        if judge.can_run || !native {
            smoke::run(&trial, native, context.reporter)?;
        }
        Ok(audit)
    }

    /// Warns where what is bound into containers asks for a newer glibc than those of its dist have.
    fn tell_newer(&self, context: Context<'_>, asked: Option<GlibcVersion>) {
        let has = self.inside.as_ref().and_then(|inside| inside.glibc);
        let newer = asked.zip(has).filter(|(asked, has)| asked > has);
        if let (Some((asked, has)), Some(dist)) = (newer, &self.plan.container_dist) {
            context.reporter.warning(format!(
                "what is bound into containers asks for glibc {asked}, and {dist} has {has}: it does not \
                 run in containers as old as that"
            ));
        }
    }

    /// Makes the tree, which has `files`, movable.
    ///
    /// # Errors
    /// When it cannot be changed.
    pub(crate) fn relocate(
        &self,
        context: Context<'_>,
        files: &mut Vec<ReceiptFile>,
    ) -> Result<Relocated, Error> {
        let job = Relocation {
            tree: self.workshop.path(),
            arch: self.plan.arch,
            runtimes: &self.runtimes,
            host_libraries: &self.host_gives.libraries,
            reporter: context.reporter,
        };
        let inner = RelPath::container_directory();
        let mut relocated = job.run_both(&self.kept().taken, &inner, files)?;
        let warnings = std::mem::take(&mut relocated.warnings);
        warnings.into_iter().for_each(|warning| context.reporter.detail(warning));
        tell_launched(context, &relocated.loading);
        Ok(relocated)
    }

    /// The packages and files of the tree, in an order that does not depend on the threads; and what
    /// each package brought, by its position in the plan.
    pub(crate) fn account(
        &self,
        keys: &Keys<'_>,
    ) -> (Vec<PackageReceipt>, Vec<ReceiptFile>, Brought) {
        let mut all: Vec<_> = self.kept().packages.clone();
        for (position, package) in self.unpacked().drain(..) {
            if let Some(planned) = self.plan.packages.get(position) {
                let source = self.plan.source(&planned.source);
                let receipt = receipt_of(planned, source, &package, keys);
                let mut files = package.files;
                if planned.dist.is_some() {
                    let directory = RelPath::container_directory();
                    files.iter_mut().for_each(|file| {
                        file.path = directory.join(&file.path);
                    });
                }
                let brought = files.clone();
                all.push(KeptPackage { position, receipt, brought, files });
            }
        }
        all.sort_by_key(|package| package.position);
        let (mut packages, mut brought) = (Vec::new(), Brought::new());
        let mut files: Vec<ReceiptFile> = Vec::new();
        if self.inside.is_some() {
            files.push(ReceiptFile {
                path: RelPath::container_directory(),
                kind: FileKind::Directory,
                mode: 0o755,
                package: None,
                config: false,
            });
        }
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
    pub(crate) fn fetched(&self) -> Vec<(usize, &'a PlannedPackage)> {
        let kept = self.kept();
        let packages = self.plan.packages.iter().enumerate();
        packages.filter(|(position, _)| !kept.has(*position)).collect()
    }
}

/// The part of a tree that is bound into containers.
struct Inside {
    directory: Dir,
    claims: Claims,
    /// What its dist's containers have at the least; `None` where the dist has no definition any more.
    glibc: Option<GlibcVersion>,
}

impl Inside {
    /// Its directory, made, where `plan` has such a part.
    fn of(
        context: Context<'_>,
        plan: &TreePlan,
        tree: &Dir,
        workshop: &Workshop,
    ) -> Result<Option<Self>, Error> {
        let Some(dist) = &plan.container_dist else { return Ok(None) };
        let path = || workshop.path().join(CONTAINER_DIRECTORY);
        let make = || -> std::io::Result<Dir> {
            tree.create_dir(CONTAINER_DIRECTORY)?;
            files::set_mode_in(tree, CONTAINER_DIRECTORY, 0o755)?;
            tree.open_dir(CONTAINER_DIRECTORY)
        };
        let directory = make().map_err(|source| Error::Staging { path: path(), source })?;
        let glibc = context.catalog.dist(dist).ok().map(|dist| dist.glibc);
        let claims = Claims::where_names(workshop.folds_case());
        Ok(Some(Self { directory, claims, glibc }))
    }
}

/// How the programs of the tree at `tree`, which has `files`, find its libraries: as its receipt says; a
/// receipt of an older version says nothing.
pub(crate) fn loading(
    tree: &Path,
    receipt: &Receipt,
    files: &[ReceiptFile],
    libraries: &[String],
) -> Result<Loading, Error> {
    if let Some(loading) = &receipt.loading {
        return Ok(loading.clone());
    }
    let directory = RelPath::container_directory();
    let (inner, outer) = relocate::split(files, &directory);
    let mut loading = relocate::loading(tree, receipt.arch, &outer, libraries)?;
    if !inner.is_empty() {
        let place = tree.join(&directory);
        loading.add(&directory, relocate::loading(&place, receipt.arch, &inner, libraries)?);
    }
    Ok(loading)
}

/// Names the programs that are started by a launcher, and says why.
fn tell_launched(context: Context<'_>, loading: &Loading) {
    let name = |aided: &Aided| {
        let because = aided.because.as_deref().unwrap_or("starts itself again from memory");
        let name = aided.launcher.as_ref().unwrap_or(&aided.path);
        format!("{name} ({because})")
    };
    let names: Vec<String> = loading.launched().map(name).collect();
    if !names.is_empty() {
        context.reporter.detail(format!(
            "programs that a launcher tells where their libraries are: {}: {}",
            names.len(),
            names.join(", ")
        ));
    }
}

/// Says what a tree asks of its machine, and what only running it can prove.
fn tell_needs(context: Context<'_>, audit: &Audit) {
    let mut needs = Vec::new();
    if let (Some(glibc), Some(path)) = (audit.glibc_needed, &audit.glibc_needed_by) {
        needs.push(format!("glibc {glibc} (for {path})"));
    }
    if audit.x86_64_level > 1 {
        needs.push(format!("a processor of x86-64-v{}", audit.x86_64_level));
    }
    if !needs.is_empty() {
        context.reporter.detail(format!("the tree needs {}", needs.join(", ")));
    }
    for demand in &audit.unproven {
        context.reporter.detail(format!("whether glibc has it can only be tried: {demand}"));
    }
}

/// Audits the tree at `tree`, and what is bound into containers as a tree of its own; with the newest
/// glibc that the latter asks for.
pub(crate) fn audit_both(
    tree: &Path,
    arch: Arch,
    files: &[ReceiptFile],
    libraries: &[String],
    loading: &Loading,
    target: Option<GlibcVersion>,
) -> Result<(Audit, Option<GlibcVersion>), Error> {
    let directory = RelPath::container_directory();
    let (inner, outer) = relocate::split(files, &directory);
    let mut audit = audit::audit(tree, arch, &outer, libraries, loading, target)?;
    if inner.is_empty() {
        return Ok((audit, None));
    }
    let place = tree.join(&directory);
    let loading = loading.within(&directory);
    let inside = audit::audit(&place, arch, &inner, libraries, &loading, target)?;
    if inside.glibc_needed > audit.glibc_needed {
        audit.glibc_needed = inside.glibc_needed;
        audit.glibc_needed_by = inside.glibc_needed_by.map(|path| directory.join(&path));
    }
    let placed = |demand: String| format!("{directory}/{demand}");
    audit.unproven.extend(inside.unproven.into_iter().map(placed));
    audit.x86_64_level = audit.x86_64_level.max(inside.x86_64_level);
    let placed = |gap: Gap| gap.placed(|path| directory.join(path));
    audit.gaps.extend(inside.gaps.into_iter().map(placed));
    Ok((audit, inside.glibc_needed))
}

/// What each package brought, by its position in the plan.
pub(crate) type Brought = Vec<(usize, Vec<ReceiptFile>)>;

fn receipt_of(
    planned: &PlannedPackage,
    source: Option<&Source>,
    unpacked: &Unpacked,
    keys: &Keys<'_>,
) -> PackageReceipt {
    let signed_by = unpacked.proof.signed_by.as_ref();
    PackageReceipt {
        nevra: planned.nevra.clone(),
        dist: planned.dist.clone(),
        url: urls(source, planned)
            .first()
            .map(|url| fetch::without_credentials(url))
            .unwrap_or_default(),
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
