//! What this machine and this process are: the only reader of the environment, of the arguments
//! and of the working directory. Everyone else is handed plain values.

mod clock;
mod environment;
mod home;
mod machine;
mod owners;

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub(crate) use clock::{date, timestamp};
pub(crate) use environment::HostError;
pub use environment::VARIABLES;
pub(crate) use home::NoHome;

use crate::config::Network;
use crate::model::{Arch, HostFacts};
use crate::tools::machine::seconds;
use environment::Environment;

/// This machine and this process.
#[derive(Debug)]
pub(crate) struct Host {
    environment: Environment,
    facts: OnceLock<HostFacts>,
}

impl Host {
    /// Reads the environment; the machine is looked at when it is asked about.
    #[must_use]
    pub(crate) fn read() -> Self {
        let id = rustix::process::geteuid().as_raw();
        let home = || home::home(Path::new("/etc/passwd"), id);
        Self { environment: Environment::read().or_home(home), facts: OnceLock::new() }
    }

    /// What this machine is.
    pub(crate) fn facts(&self) -> &HostFacts {
        self.facts.get_or_init(machine::facts)
    }

    /// The process's arguments, the program's own name first.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = OsString> {
        std::env::args_os()
    }

    /// The file that this process runs, symlinks followed.
    #[must_use]
    pub(crate) fn program(&self) -> Option<PathBuf> {
        std::env::current_exe().ok()
    }

    /// The architecture that this program was built for, which may run under emulation.
    #[must_use]
    pub(crate) fn program_arch(&self) -> Option<Arch> {
        match std::env::consts::ARCH {
            "powerpc64" if cfg!(target_endian = "little") => Some(Arch::Ppc64le),
            name => name.parse().ok(),
        }
    }

    /// Whether this program runs wherever its architecture does: it is linked statically.
    #[must_use]
    pub(crate) fn program_is_portable(&self) -> bool {
        cfg!(target_feature = "crt-static")
    }

    /// `path`, seen from the working directory. Stays relative where that cannot be read.
    #[must_use]
    pub(crate) fn absolute(&self, path: &Path) -> PathBuf {
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
    }

    /// Today in UTC, `YYYY-MM-DD`.
    #[must_use]
    pub(crate) fn today(&self) -> String {
        date(seconds())
    }

    /// The time that receipts state, in seconds since 1970: `SOURCE_DATE_EPOCH`, or now.
    ///
    /// # Errors
    /// When the variable is no number.
    pub(crate) fn now(&self) -> Result<u64, HostError> {
        Ok(self.environment.source_date_epoch()?.unwrap_or_else(seconds))
    }

    /// Where downloads are kept unless the user says otherwise: below `XDG_CACHE_HOME`, `HOME`, the
    /// home that `/etc/passwd` names, or in the user's own directory below `TMPDIR`, which is made.
    ///
    /// # Errors
    /// [`NoHome`], where somebody else made that one.
    pub(crate) fn cache_dir(&self) -> Result<PathBuf, NoHome> {
        let (id, temporary) = (self.user_id(), self.temporary_dir());
        self.environment
            .below("XDG_CACHE_HOME", ".cache")
            .or_else(|| home::private(&temporary, id))
            .ok_or(NoHome { id, temporary })
    }

    /// Where the user's own settings are: definitions in `repos`. `None` when neither
    /// `XDG_CONFIG_HOME` nor `HOME` is set to an absolute path, and `/etc/passwd` names no home.
    #[must_use]
    pub(crate) fn config_dir(&self) -> Option<PathBuf> {
        self.environment.below("XDG_CONFIG_HOME", ".config")
    }

    /// Where this user's runs keep what they must know of each other; with the cache, where there is no home.
    ///
    /// # Errors
    /// As [`Host::cache_dir`].
    pub(crate) fn state_dir(&self) -> Result<PathBuf, NoHome> {
        self.environment
            .below("XDG_STATE_HOME", ".local/state")
            .map_or_else(|| self.cache_dir(), Ok)
    }

    /// Where scratch directories are made.
    #[must_use]
    pub(crate) fn temporary_dir(&self) -> PathBuf {
        self.environment.absolute("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp"))
    }

    /// The mirror that `ELSEWHERE_MIRROR` names.
    ///
    /// # Errors
    /// When the variable is not UTF-8.
    pub(crate) fn mirror(&self) -> Result<Option<&str>, HostError> {
        self.environment.mirror()
    }

    /// The configuration file that `ELSEWHERE_CONFIG` names.
    #[must_use]
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        self.environment.path("ELSEWHERE_CONFIG").map(|path| self.absolute(&path))
    }

    /// The site's cache that `ELSEWHERE_SITE_CACHE` names.
    #[must_use]
    pub(crate) fn site_cache(&self) -> Option<PathBuf> {
        self.environment.path("ELSEWHERE_SITE_CACHE").map(|path| self.absolute(&path))
    }

    /// The dist that `ELSEWHERE_DIST` names.
    ///
    /// # Errors
    /// When the variable is not UTF-8.
    pub(crate) fn dist(&self) -> Result<Option<&str>, HostError> {
        self.environment.text("ELSEWHERE_DIST", "a dist's name")
    }

    /// What variables say about time-outs and retries.
    ///
    /// # Errors
    /// When one is no number.
    pub(crate) fn network(&self) -> Result<Network, HostError> {
        Ok(Network {
            attempts: self.environment.number("ELSEWHERE_ATTEMPTS")?,
            connect_timeout: self.environment.seconds("ELSEWHERE_CONNECT_TIMEOUT")?,
            stall_timeout: self.environment.seconds("ELSEWHERE_STALL_TIMEOUT")?,
            pause: None,
            minimum_rate: None,
        })
    }

    /// Files with names and passwords for registries, whether they are there or not, best first: those of podman
    /// and skopeo, and docker's.
    #[must_use]
    pub(crate) fn registry_logins(&self) -> Vec<PathBuf> {
        let (named, docker) = ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG");
        let below = |name, path: &str| Some(self.environment.absolute(name)?.join(path));
        let in_home = || below("HOME", ".docker");
        let docker = self.environment.path(docker).or_else(in_home);
        let files = [
            self.environment.path(named),
            below("XDG_RUNTIME_DIR", "containers/auth.json"),
            docker.map(|directory| directory.join("config.json")),
        ];
        files.into_iter().flatten().map(|path| self.absolute(&path)).collect()
    }

    /// The file of names and passwords: `NETRC`, or `~/.netrc`.
    #[must_use]
    pub(crate) fn netrc(&self) -> Option<PathBuf> {
        let in_home = || Some(self.environment.absolute("HOME")?.join(".netrc"));
        self.environment.path("NETRC").or_else(in_home)
    }

    /// The secret key that minisign uses where none is named: `minisign.key` in `MINISIGN_CONFIG_DIR` or
    /// `~/.minisign`.
    #[must_use]
    pub(crate) fn secret_key(&self) -> Option<PathBuf> {
        let in_home = || Some(self.environment.absolute("HOME")?.join(".minisign"));
        let directory = self.environment.path("MINISIGN_CONFIG_DIR").or_else(in_home)?;
        Some(self.absolute(&directory.join("minisign.key")))
    }

    /// `MINISIGN_PASSWORD`, which no message shows.
    #[must_use]
    pub(crate) fn secret_key_password(&self) -> Option<String> {
        let value = self.environment.path("MINISIGN_PASSWORD")?;
        Some(value.into_os_string().into_string().unwrap_or_default())
    }

    /// Whether the user wants no colours.
    #[must_use]
    pub(crate) fn no_colour(&self) -> bool {
        self.environment.no_colour()
    }

    /// Whether the terminal, if there is one, cannot redraw a line.
    #[must_use]
    pub(crate) fn is_dumb_terminal(&self) -> bool {
        self.environment.is_dumb_terminal()
    }

    /// Whether colours may be used on standard output.
    #[must_use]
    pub(crate) fn stdout_colour(&self) -> bool {
        self.stdout_is_terminal() && !self.no_colour()
    }

    /// Whether standard output is a terminal.
    #[must_use]
    pub(crate) fn stdout_is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Columns of a screen, where `COLUMNS` says so.
    #[must_use]
    pub(crate) fn columns(&self) -> Option<usize> {
        self.environment.columns()
    }

    /// The directories where programs are looked for.
    #[must_use]
    pub(crate) fn search_path(&self) -> Vec<PathBuf> {
        self.environment.search_path()
    }

    /// Where CDI specifications are, the later directories counting more: `ELSEWHERE_CDI_DIRS`, or those that the interface
    /// names.
    #[must_use]
    pub(crate) fn cdi_directories(&self) -> Vec<PathBuf> {
        let usual = || ["/etc/cdi", "/var/run/cdi"].map(PathBuf::from).to_vec();
        self.environment.cdi_directories().unwrap_or_else(usual)
    }

    /// `LD_LIBRARY_PATH`; empty where it is not set, or is no text.
    #[must_use]
    pub(crate) fn library_path(&self) -> String {
        let value = self.environment.path("LD_LIBRARY_PATH").unwrap_or_default();
        value.into_os_string().into_string().unwrap_or_default()
    }

    /// The variables about proxies and certificates that are set, and their values.
    #[must_use]
    pub(crate) fn network_variables(&self) -> Vec<(&'static str, OsString)> {
        self.environment.network()
    }

    /// This program's own file.
    #[must_use]
    pub(crate) fn executable(&self) -> PathBuf {
        let link = PathBuf::from("/proc/self/exe");
        std::env::current_exe().unwrap_or_else(|_| match link.symlink_metadata() {
            // It works where the file was replaced or its path is not readable.
            Ok(_) => link,
            // Without /proc, as it was called.
            Err(_) => self.called_as().unwrap_or(link),
        })
    }

    /// The file that the process's first word names, by the search path if it is only a name.
    fn called_as(&self) -> Option<PathBuf> {
        let word = PathBuf::from(self.arguments().next()?);
        if word.components().count() > 1 {
            return Some(self.absolute(&word));
        }
        let places = self.search_path().into_iter().map(|place| place.join(&word));
        places.into_iter().find(|path| path.is_file())
    }

    /// The effective user's id.
    #[must_use]
    pub(crate) fn user_id(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }
}
