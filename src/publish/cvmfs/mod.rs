//! Writes to a repository of CernVM-FS, by its `cvmfs_server`. What came of a step is judged by what is published and by
//! whether a transaction is open, never by an exit status alone: hooks, remounts and automatic collections fail after
//! a revision was published, and what is killed leaves a transaction open.

mod collecting;
mod configuration;
mod destination;
mod expected;
mod ingest;
mod journal;
mod recover;
mod revision;
mod server;
mod state;
mod tags;
mod tar;
mod transact;
mod waiting;
mod wish;
mod words;

use std::path::PathBuf;
use std::time::Duration;

pub use collecting::Collecting;
pub(crate) use destination::{CvmfsPublisher, Via};
pub use expected::Expected;
pub use ingest::Ingest;
pub use revision::Revision;
pub use transact::OpenTransaction;
pub(crate) use wish::CvmfsWish;
pub use words::Words;

use configuration::Configuration;
use server::{Said, Server};

use crate::error::CvmfsError;
use crate::model::RelPath;

/// The program that a repository is written with.
const PROGRAM: &str = "cvmfs_server";

/// One that makes another end with whoever started it.
const TETHER: &str = "setpriv";

/// How a repository is written.
#[derive(Clone, Debug)]
pub struct CvmfsOptions {
    /// `cvmfs_server`.
    pub server: PathBuf,
    /// `setpriv`, where there is one: it ends what reads an archive when we are killed while we write that.
    pub tether: Option<PathBuf>,
    /// Where the server's configuration lies: `repositories.d/NAME/server.conf` below it.
    pub configuration: PathBuf,
    /// Where runs keep their journals.
    pub state: PathBuf,
    /// How long a repository that is busy is waited for.
    pub wait: Duration,
    /// How long to wait before something is tried again, at first.
    pub pause: Duration,
    /// What of the repository a gateway is asked to lease; all of it, where nothing is named.
    pub lease: Option<RelPath>,
}

impl CvmfsOptions {
    /// The usual, with the programs that the directories of `search_path` have.
    ///
    /// # Errors
    /// When there is no `cvmfs_server`.
    pub fn found(search_path: &[PathBuf], state: PathBuf) -> Result<Self, CvmfsError> {
        let server = find(PROGRAM, search_path).ok_or(CvmfsError::NoServer)?;
        Ok(Self::with(server, search_path, state))
    }

    /// The same with this `cvmfs_server`.
    pub(super) fn with(server: PathBuf, search_path: &[PathBuf], state: PathBuf) -> Self {
        Self {
            server,
            tether: find(TETHER, search_path),
            configuration: PathBuf::from("/etc/cvmfs"),
            state,
            wait: Duration::from_secs(3600),
            pause: Duration::from_secs(1),
            lease: None,
        }
    }
}

fn find(name: &str, search_path: &[PathBuf]) -> Option<PathBuf> {
    search_path.iter().map(|place| place.join(name)).find(|path| path.is_file())
}

/// A repository that this machine publishes.
#[derive(Debug)]
pub struct CvmfsRepository {
    name: String,
    server: Server,
    configuration: Configuration,
    options: CvmfsOptions,
}

impl CvmfsRepository {
    /// Looks at how the repository `name` is configured.
    ///
    /// # Errors
    /// When this machine does not publish it, or its configuration cannot be read.
    pub fn open(name: &str, options: CvmfsOptions) -> Result<Self, CvmfsError> {
        let configuration = Configuration::read(&options.configuration, name)?;
        if let Some(lease) = &options.lease {
            words::word(lease.as_str(), "a path to lease")?;
        }
        let (program, tether) = (options.server.clone(), options.tether.clone());
        Ok(Self {
            name: name.to_owned(),
            server: Server { program, tether },
            configuration,
            options,
        })
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is mounted: what is published, when no transaction is open.
    #[must_use]
    pub fn root(&self) -> &std::path::Path {
        &self.configuration.union
    }

    /// Refuses what lies outside of the lease: a gateway drops it without a word.
    fn check_lease(&self, paths: &[RelPath]) -> Result<(), CvmfsError> {
        let Some(lease) = &self.options.lease else { return Ok(()) };
        let outside = paths.iter().find(|path| !path.as_path().starts_with(lease.as_path()));
        match outside.filter(|_| self.configuration.is_gateway) {
            None => Ok(()),
            Some(path) => Err(CvmfsError::Unleased { path: path.clone(), lease: lease.clone() }),
        }
    }

    /// The error for what the server did not do.
    fn refused(&self, said: &Said) -> CvmfsError {
        CvmfsError::Refused { repository: self.name.clone(), said: said.shown() }
    }

    /// The error for a repository that was busy for too long.
    fn busy(&self, why: String) -> CvmfsError {
        let seconds = self.options.wait.as_secs();
        CvmfsError::Busy { repository: self.name.clone(), seconds, why }
    }
}
