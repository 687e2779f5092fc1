//! Where a wishlist is published: directories, and repositories of CernVM-FS.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::options::Sources;
use super::repository::{self, OpenRepository, ViaArg};
use super::versioned;
use crate::error::{Error, Failure};
use crate::host::Host;
use crate::owned::Owners;
use crate::publish::{
    BaseReport, CvmfsPublisher, DestinationWish, Goal, Outlet, PlainDirectory, Publisher, Synced,
    Wishlist,
};
use crate::report::Reporter;
use crate::terminal::Terminal;

/// A place that is named, and its repository, where it is in one.
pub(super) struct Place<'a> {
    wish: &'a DestinationWish,
    repository: Option<OpenRepository<'a>>,
}

/// What is needed to open one.
pub(super) type WayThere<'a, 't> = (&'a Host, &'a Sources, &'t Terminal, &'a Owners);

/// A place that can be published in, and what is wanted there.
pub(super) struct OpenPlace<'t, 'g> {
    wish: &'t DestinationWish,
    bases: Vec<(PathBuf, &'g Goal)>,
    publisher: Either<'t>,
}

enum Either<'t> {
    Plain(PlainDirectory),
    Cvmfs(CvmfsPublisher<'t>),
}

/// Notes a failure that keeps nothing else from being done.
///
/// # Errors
/// When the user stopped the run.
fn sift<T>(
    result: Result<T, Error>,
    wish: &DestinationWish,
    failures: &mut Vec<Failure>,
) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            failures.push(Failure::of(&wish.directory.to_string_lossy(), error)?);
            Ok(None)
        }
    }
}

impl<'a> Place<'a> {
    /// Those of `list`, but for those that are none of this machine's.
    ///
    /// # Errors
    /// When the user stopped the run.
    pub(super) fn all(
        list: &'a Wishlist,
        via: Option<ViaArg>,
        host: &Host,
        failures: &mut Vec<Failure>,
    ) -> Result<Vec<Self>, Error> {
        let mut places = Vec::new();
        for wish in &list.destinations {
            let open = |cvmfs| OpenRepository::open(cvmfs, via, host);
            let repository = wish.cvmfs.as_ref().map(open).transpose();
            let repository = sift(repository, wish, failures)?;
            places.extend(repository.map(|repository| Self { wish, repository }));
        }
        Ok(places)
    }

    /// The directory.
    pub(super) fn directory(&self) -> &Path {
        &self.wish.directory
    }

    fn open<'t, 'g>(
        &'t self,
        goals: &'g [Goal],
        (host, sources, terminal, owners): WayThere<'_, 't>,
        is_dry: bool,
    ) -> Result<OpenPlace<'t, 'g>, Error> {
        let bases = self.wish.bases(goals);
        bases.iter().try_for_each(|(root, _)| versioned::check_base(root))?;
        let publisher = match &self.repository {
            Some(it) => Either::Cvmfs(it.destination(host, sources, terminal, is_dry)?),
            None => Either::Plain(PlainDirectory { owners: owners.clone() }),
        };
        Ok(OpenPlace { wish: self.wish, bases, publisher })
    }
}

impl<'t, 'g> OpenPlace<'t, 'g> {
    /// All of `places` that can be published in. What runs left there that were killed is cleared, unless nothing is to
    /// be changed.
    ///
    /// # Errors
    /// When the user stopped the run.
    pub(super) fn all(
        places: &'t [Place<'_>],
        goals: &'g [Goal],
        way: WayThere<'_, 't>,
        is_dry: bool,
        failures: &mut Vec<Failure>,
    ) -> Result<Vec<Self>, Error> {
        let mut opened = Vec::new();
        for place in places {
            opened.extend(sift(place.open(goals, way, is_dry), place.wish, failures)?);
        }
        Ok(opened)
    }

    /// What is to be done there.
    pub(super) fn outlet(&self) -> Outlet<'_> {
        let publisher: &dyn Publisher = match &self.publisher {
            Either::Plain(plain) => plain,
            Either::Cvmfs(cvmfs) => cvmfs,
        };
        Outlet { publisher, bases: self.bases.clone() }
    }
}

/// What is said of a run.
pub(super) struct SyncTold {
    reports: Vec<BaseReport>,
    repositories: Vec<repository::Told>,
}

impl SyncTold {
    /// Of each that was published, what came of it; of the others, why not.
    ///
    /// # Errors
    /// When the user stopped the run.
    pub(super) fn of(
        opened: &[OpenPlace<'_, '_>],
        synced: Synced,
        failures: &mut Vec<Failure>,
    ) -> Result<Self, Error> {
        let mut told = Self { reports: Vec::new(), repositories: Vec::new() };
        for (opened, outcome) in opened.iter().zip(synced.destinations) {
            let Some(reports) = sift(outcome, opened.wish, failures)? else { continue };
            if let Either::Cvmfs(cvmfs) = &opened.publisher {
                let has_dropped = reports.iter().any(|report| !report.dropped.is_empty());
                told.repositories.push(repository::told(cvmfs, has_dropped));
            }
            told.reports.extend(reports);
        }
        if let Err(error) = synced.after {
            failures.push(Failure::of("hooks", error)?);
        }
        Ok(told)
    }

    /// Whether anything was done, or is as it is wished for.
    pub(super) fn is_any(&self) -> bool {
        !self.reports.is_empty()
    }

    /// Says it: a line for each base where something was done. For programs it is the run's result, where all of it
    /// `is_well`.
    pub(super) fn tell(&self, (is_json, is_dry): (bool, bool), is_well: bool, terminal: &Terminal) {
        if is_json && is_well {
            let repositories: Vec<_> = self.repositories.iter().map(|it| it.json()).collect();
            terminal.output_json(&json!({ "bases": self.reports, "cvmfs": repositories }));
        } else if is_json {
            versioned::sentences(&self.reports, is_dry).for_each(|text| terminal.note(text));
        } else {
            versioned::sentences(&self.reports, is_dry).for_each(|text| terminal.output(text));
            self.repositories.iter().for_each(|told| told.tell(terminal));
        }
    }
}
