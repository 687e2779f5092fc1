//! What a run is told about fetching.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::Registries;
use crate::owned::Owners;

/// How to fetch.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Where the cache is; made when it is missing.
    pub cache_dir: PathBuf,
    /// A cache of the site's, which is only read.
    pub site_cache: Option<PathBuf>,
    /// Who else may own the cache, and write to it.
    pub owners: Owners,
    /// `--mirror`: everything at `https://HOST/PATH` is read from `BASE/HOST/PATH`. An http, https
    /// or file URL, or an absolute path.
    pub mirror: Option<String>,
    /// Whether nothing is asked of any network.
    pub offline: bool,
    /// How often each place is tried.
    pub attempts: u32,
    /// The pause before the second try; it doubles for each further one.
    pub pause: Duration,
    /// The longest that making a connection may take.
    pub connect_timeout: Duration,
    /// A request that brings less than `minimum_rate` for this long is given up.
    pub stall_timeout: Duration,
    /// Bytes per second.
    pub minimum_rate: u64,
    /// Names and passwords for private mirrors, where such a file exists.
    pub netrc: Option<PathBuf>,
    /// URLs with names and passwords: each for its own origin.
    pub logins: Vec<String>,
    /// Files with names and passwords for registries, best first.
    pub registry_logins: Vec<PathBuf>,
    /// What registries are called, and where they are.
    pub registries: Registries,
    /// The variables about proxies and certificates that are set.
    pub variables: Vec<(&'static str, OsString)>,
}

impl FetchOptions {
    /// What suits most networks, with the cache at `cache_dir`.
    #[must_use]
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            site_cache: None,
            owners: Owners::default(),
            mirror: None,
            offline: false,
            attempts: 3,
            pause: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(20),
            minimum_rate: 1024,
            netrc: None,
            logins: Vec::new(),
            registry_logins: Vec::new(),
            registries: Registries::default(),
            variables: Vec::new(),
        }
    }
}
