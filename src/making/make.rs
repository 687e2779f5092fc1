//! One tree in the making. What is bound into containers, where that comes from another dist, is a tree
//! within it: made in the same way, in a workshop of its own.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::contents::Contents;
use super::keep::{Keeper, Kept, KeptPackage};
use super::places::plain_url;
use crate::context::Context;
use crate::error::Error;
use crate::metadata::Keys;
use crate::model::{
    CONTAINER_DIRECTORY, Checksum, FileKind, HostGives, PLACING_PROGRAM, PackageReceipt,
    PlannedPackage, ReceiptFile, RelPath, Runtime, Source, TreePlan,
};
use crate::tools::files;
use crate::unpack::{Claims, Destination, Unpacked};
use crate::workshop::Workshop;

/// One tree in the making.
pub(crate) struct Making<'a> {
    pub(super) plan: &'a TreePlan,
    pub(super) runtimes: Vec<&'a Runtime>,
    pub(super) host_gives: HostGives,
    /// Where it is made.
    pub(super) workshop: &'a Workshop,
    /// The same, open.
    directory: Dir,
    /// Which package has what in it.
    claims: Claims,
    /// What became of each package, by its position in the plan.
    unpacked: Mutex<Vec<(usize, Unpacked)>>,
    /// What was taken over from an earlier tree instead.
    kept: Mutex<Kept>,
    /// The program that shows directories of the tree at places of the host, where a runtime needs it and it
    /// is at hand.
    pub(super) program: Option<Vec<u8>>,
    /// What is bound into containers, where that is a tree of its own.
    pub(super) within: Option<Box<Self>>,
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
        let within = match &plan.container {
            Some(plan) => Some(Box::new(Self::new(context, plan, workshop.within()?)?)),
            None => None,
        };
        let claims = Claims::where_names(workshop.folds_case());
        let (unpacked, kept) = (Mutex::default(), Mutex::default());
        let mut making = Self {
            plan,
            runtimes,
            host_gives,
            workshop,
            directory,
            claims,
            unpacked,
            kept,
            program: None,
            within,
        };
        making.find_program(context)?;
        Ok(making)
    }

    /// Reads the program that shows directories of the tree at places of the host, where a runtime needs that:
    /// the one that is at hand for the architecture or, where there is none, that of the earlier tree.
    fn find_program(&mut self, context: Context<'_>) -> Result<(), Error> {
        if self.needs_program() {
            self.program = match context.programs.get(&self.plan.arch) {
                Some(path) => Some(fs::read(path).map_err(|source| {
                    let path = path.clone();
                    Error::File { path, source }
                })?),
                None => self.earlier_program(),
            };
        }
        Ok(())
    }

    /// Whether directories of the tree are to stand at places of the host.
    fn needs_program(&self) -> bool {
        self.runtimes.iter().any(|runtime| runtime.needs_own_program())
    }

    /// That of the earlier tree, if it is what that tree's receipt says.
    fn earlier_program(&self) -> Option<Vec<u8>> {
        let earlier = self.workshop.earlier()?;
        let is_it = |file: &&ReceiptFile| file.path.as_str() == PLACING_PROGRAM;
        let told = earlier.receipt.files.iter().find(is_it)?;
        let bytes = fs::read(earlier.path.join(&told.path)).ok()?;
        let FileKind::File { checksum, .. } = &told.kind else { return None };
        (Checksum::of(&bytes) == *checksum).then_some(bytes)
    }

    /// Refuses to make a tree whose programs would not find what they look for.
    ///
    /// # Errors
    /// When the program for its architecture is not at hand that a runtime needs.
    pub(crate) fn check_program(&self) -> Result<(), Error> {
        let mut runtimes = self.runtimes.iter().filter(|runtime| runtime.needs_own_program());
        match runtimes.next().filter(|_| self.program.is_none()) {
            None => Ok(()),
            Some(runtime) => Err(Error::Usage(format!(
                "{}: {what}, and for that the tree must have the program `elsewhere` for {arch}: name it, linked statically as those of releases are, with \
                 --program {arch}=FILE",
                runtime.name,
                arch = self.plan.arch,
                what = match &runtime.fuse_mounts {
                    Some(mounts) => format!("its launchers mount below {}", mounts.at),
                    None => format!(
                        "directories of the {} tree must stand at places of the machine",
                        self.plan.arch
                    ),
                },
            ))),
        }
    }

    /// Takes over the files of packages that stay the same from the earlier tree that the workshop
    /// has, if it has one.
    ///
    /// # Errors
    /// When one of the trees cannot be read or written.
    pub(crate) fn keep(&mut self, keys: &Keys<'_>) -> Result<(), Error> {
        if let Some(earlier) = self.workshop.earlier() {
            let keeper = Keeper { plan: self.plan, runtimes: &self.runtimes, keys, earlier };
            let kept = keeper.keep(self.workshop, &self.claims)?;
            *self.kept() = kept;
        }
        self.within.as_mut().map_or(Ok(()), |within| within.keep(keys))
    }

    /// The tree, and the one within it.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |part| part.within.as_deref())
    }

    /// Where its packages are unpacked.
    pub(super) fn destination(&self) -> Destination<'_> {
        Destination { tree: &self.directory, claims: &self.claims }
    }

    /// Where it is made.
    pub(super) fn path(&self) -> &Path {
        self.workshop.path()
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
        let kept = self.within.as_ref().map(|_| Path::new(CONTAINER_DIRECTORY));
        let path = || self.path().to_owned();
        files::remove_contents(&self.directory, kept)
            .map_err(|source| Error::Staging { path: path(), source })?;
        self.within.as_ref().map_or(Ok(()), |within| within.reset())
    }

    fn unpacked(&self) -> MutexGuard<'_, Vec<(usize, Unpacked)>> {
        self.unpacked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that the packages that are to be fetched will have when installed.
    pub(crate) fn needed_space(&self) -> u64 {
        let fetched = self.parts().flat_map(Self::fetched);
        crate::model::total(fetched.map(|(_, package)| package.installed_size))
    }

    /// The packages that are to be fetched, with their positions in the plan; not those of the tree
    /// within it.
    pub(super) fn fetched(&self) -> Vec<(usize, &'a PlannedPackage)> {
        let kept = self.kept();
        let packages = self.plan.packages.iter().enumerate();
        packages.filter(|(position, _)| !kept.has(*position)).collect()
    }

    /// A package that is to be fetched and was not unpacked; not of the tree within it.
    pub(super) fn lacking(&self) -> Option<&'a PlannedPackage> {
        let unpacked: HashSet<usize> =
            self.unpacked().iter().map(|(position, _)| *position).collect();
        let fetched = self.fetched();
        fetched
            .into_iter()
            .find(|(position, _)| !unpacked.contains(position))
            .map(|(_, lacks)| lacks)
    }

    /// What is in the tree, in an order that does not depend on the threads.
    pub(crate) fn account(&self, keys: &Keys<'_>) -> Contents {
        let mut all: Vec<_> = self.kept().packages.clone();
        for (position, package) in self.unpacked().drain(..) {
            if let Some(planned) = self.plan.packages.get(position) {
                let source = self.plan.source(&planned.source);
                let receipt = receipt_of(planned, (&self.plan.dist, source), &package, keys);
                let files = package.files;
                all.push(KeptPackage { position, receipt, brought: files.clone(), files });
            }
        }
        all.sort_by_key(|package| package.position);
        let within = self.within.as_ref().map(|within| Box::new(within.account(keys)));
        let mut contents = Contents { within, ..Contents::default() };
        if contents.within.is_some() {
            contents.files.push(ReceiptFile {
                path: RelPath::container_directory(),
                kind: FileKind::Directory,
                mode: 0o755,
                package: None,
                config: false,
            });
        }
        for package in all {
            contents.packages.push(package.receipt);
            contents.brought.push((package.position, package.brought));
            contents.files.extend(package.files);
        }
        // Stable: of a path that several packages own, the first package's entry stays.
        contents.files.sort_by(|a, b| a.path.cmp(&b.path));
        contents.files.dedup_by(|later, first| later.path == first.path);
        contents
    }
}

fn receipt_of(
    planned: &PlannedPackage,
    (dist, source): (&str, Option<&Source>),
    unpacked: &Unpacked,
    keys: &Keys<'_>,
) -> PackageReceipt {
    let place = (dist, planned.source.as_str());
    let signed_by = unpacked.signed_by.as_ref();
    PackageReceipt {
        signed_by: signed_by.map(|by| by.fingerprint.clone()),
        signed_at: signed_by.and_then(|by| by.signed_at),
        trusted_by_user: signed_by
            .is_some_and(|by| keys.is_trusted_by_user(place, &by.fingerprint)),
        license: unpacked.license.clone(),
        source_rpm: unpacked.source_rpm.clone(),
        ..PackageReceipt::of(planned, plain_url(source, planned))
    }
}
