//! Environment variables: which have an effect, and their values.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// Every environment variable that has an effect, and which.
pub const VARIABLES: &[(&str, &str)] = &[
    ("ELSEWHERE_MIRROR", "fetch https://HOST/PATH from here/HOST/PATH, as --mirror does"),
    ("ELSEWHERE_CONFIG", "one more configuration file, as --config names it"),
    ("ELSEWHERE_SITE_CACHE", "a cache that is only read, as --site-cache names it"),
    ("ELSEWHERE_DIST", "where packages come from, as --dist says"),
    ("ELSEWHERE_ATTEMPTS", "how often each place is tried (default: 3)"),
    ("ELSEWHERE_CONNECT_TIMEOUT", "seconds that making a connection may take (default: 10)"),
    ("ELSEWHERE_STALL_TIMEOUT", "seconds after which a stalled request is given up (default: 20)"),
    ("MINISIGN_CONFIG_DIR", "where minisign.key lies, to sign with (default: ~/.minisign)"),
    ("MINISIGN_PASSWORD", "the password of the key that `elsewhere receipt sign` signs with"),
    ("NETRC", "names and passwords for private mirrors (default: ~/.netrc)"),
    ("REGISTRY_AUTH_FILE", "names and passwords for registries, as podman and skopeo write them"),
    ("XDG_RUNTIME_DIR", "the same in containers/auth.json below it"),
    (
        "DOCKER_CONFIG",
        "the same, as docker writes them, in config.json below it (default: ~/.docker)",
    ),
    ("XDG_CACHE_HOME", "downloads are kept in elsewhere/ below it (default: ~/.cache)"),
    (
        "XDG_CONFIG_HOME",
        "elsewhere/config.toml and elsewhere/repos/ lie below it (default: ~/.config)",
    ),
    (
        "XDG_STATE_HOME",
        "journals of what is published to CVMFS lie in elsewhere/ below it (default: ~/.local/state)",
    ),
    ("HOME", "where the defaults of the three above lie (default: the home in /etc/passwd)"),
    ("TMPDIR", "where smoke tests have their scratch directory (default: /tmp)"),
    ("SOURCE_DATE_EPOCH", "the time, in seconds since 1970, that receipts say a tree was made at"),
    ("NO_COLOR", "no colours, when it is set to anything"),
    ("TERM", "no colours and no progress bars when it is `dumb`"),
    ("COLUMNS", "the width of text that goes to no terminal (default: 80)"),
    ("https_proxy", "proxy for https: [SCHEME://][USER:PASSWORD@]HOST:PORT, http or socks5h …"),
    ("HTTPS_PROXY", "the same"),
    ("http_proxy", "proxy for http, which only --mirror uses"),
    ("HTTP_PROXY", "the same"),
    ("all_proxy", "proxy for both, where the above are not set"),
    ("ALL_PROXY", "the same"),
    ("no_proxy", "hosts and domains, separated by commas, that are reached without a proxy"),
    ("NO_PROXY", "the same"),
    ("SSL_CERT_FILE", "certificates of the authorities to trust, instead of the system's"),
    ("SSL_CERT_DIR", "a directory of such certificates, under OpenSSL's hashed names"),
    (
        "ELSEWHERE_CDI_DIRS",
        "directories of CDI specifications, as --cdi-dir names them, divided by `:`",
    ),
    (
        "LD_LIBRARY_PATH",
        "what a command's libraries are looked for in before those of drivers that `elsewhere ranch` shows",
    ),
    ("PATH", "where `elsewhere doctor` finds the programs that it asks"),
];

/// Those of [`VARIABLES`] that say how to get to the network.
const NETWORK: [&str; 10] = [
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
    "HTTP_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// The variables of [`VARIABLES`] that are set, read once.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment(BTreeMap<&'static str, OsString>);

impl Environment {
    /// Reads the process's environment. Empty variables count as unset, where that is what all take
    /// them for.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
    pub(super) fn read() -> Self {
        Self::with(|name| std::env::var_os(name))
    }

    /// The same, with what `home` gives for `HOME`, where that says nothing of use.
    #[must_use]
    pub(super) fn or_home(mut self, home: impl Fn() -> Option<PathBuf>) -> Self {
        if self.absolute("HOME").is_none()
            && let Some(home) = home()
        {
            self.0.insert("HOME", home.into_os_string());
        }
        self
    }

    /// The environment in which `value` gives the variables.
    fn with(value: impl Fn(&str) -> Option<OsString>) -> Self {
        let names = VARIABLES.iter().map(|(name, _)| *name);
        let set = names.filter_map(|name| Some((name, value(name)?)));
        // Whoever reads the certificates takes an empty name for a file's.
        let counts = |name: &str, value: &OsString| !value.is_empty() || name == "SSL_CERT_FILE";
        Self(set.filter(|(name, value)| counts(name, value)).collect())
    }

    /// `ELSEWHERE_MIRROR`.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub(super) fn mirror(&self) -> Result<Option<&str>, HostError> {
        self.text("ELSEWHERE_MIRROR", "a URL")
    }

    /// `SOURCE_DATE_EPOCH`.
    ///
    /// # Errors
    /// When it is no number. The specification asks that such a run fail.
    pub(super) fn source_date_epoch(&self) -> Result<Option<u64>, HostError> {
        let (name, expected) = ("SOURCE_DATE_EPOCH", "a number of seconds since 1970");
        let number = |text: &str| {
            let invalid = |_| HostError { name, value: text.to_owned(), expected };
            text.parse().map_err(invalid)
        };
        self.text(name, expected)?.map(number).transpose()
    }

    /// Whether `NO_COLOR` is set, or the terminal is dumb.
    pub(super) fn no_colour(&self) -> bool {
        self.0.contains_key("NO_COLOR") || self.is_dumb_terminal()
    }

    /// Whether `TERM` is `dumb`.
    pub(super) fn is_dumb_terminal(&self) -> bool {
        self.0.get("TERM").is_some_and(|term| term == "dumb")
    }

    /// `COLUMNS`, where that is a number: shells set it for other programs' sake.
    pub(super) fn columns(&self) -> Option<usize> {
        self.0.get("COLUMNS")?.to_str()?.parse().ok()
    }

    /// A variable that holds a number.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn number<T: std::str::FromStr>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, HostError> {
        let expected = "a number";
        let number = |text: &str| {
            let invalid = |_| HostError { name, value: text.to_owned(), expected };
            text.parse().map_err(invalid)
        };
        self.text(name, expected)?.map(number).transpose()
    }

    /// A variable that holds seconds.
    ///
    /// # Errors
    /// When it is no number, or none that a clock can wait for.
    pub(super) fn seconds(&self, name: &'static str) -> Result<Option<f64>, HostError> {
        let seconds: Option<f64> = self.number(name)?;
        match seconds.filter(|seconds| !(0.0..1e6).contains(seconds)) {
            None => Ok(seconds),
            Some(value) => {
                let expected = "a number of seconds";
                Err(HostError { name, value: value.to_string(), expected })
            }
        }
    }

    /// A variable that holds a path.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.get(name).map(PathBuf::from)
    }

    /// The directories of `ELSEWHERE_CDI_DIRS`, but relative ones; `None` where it is not set.
    pub(super) fn cdi_directories(&self) -> Option<Vec<PathBuf>> {
        let list = self.0.get("ELSEWHERE_CDI_DIRS")?;
        Some(std::env::split_paths(list).filter(|path| path.is_absolute()).collect())
    }

    /// The directories of `PATH`, but relative ones.
    pub(super) fn search_path(&self) -> Vec<PathBuf> {
        let path = self.0.get("PATH").map(OsString::as_os_str).unwrap_or_default();
        std::env::split_paths(path).filter(|path| path.is_absolute()).collect()
    }

    /// The variables about proxies and certificates that are set.
    pub(super) fn network(&self) -> Vec<(&'static str, OsString)> {
        let value = |name| Some((name, self.0.get(name)?.clone()));
        NETWORK.into_iter().filter_map(value).collect()
    }

    /// This program's directory below a base directory of the XDG specification, which says that
    /// relative values are to be ignored.
    pub(super) fn below(&self, variable: &str, default: &str) -> Option<PathBuf> {
        let in_home = || Some(self.absolute("HOME")?.join(default));
        Some(self.absolute(variable).or_else(in_home)?.join("elsewhere"))
    }

    /// The value of `variable`, where that is an absolute path.
    pub(super) fn absolute(&self, variable: &str) -> Option<PathBuf> {
        self.0.get(variable).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// A variable that holds text.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub(super) fn text(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Option<&str>, HostError> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        value.to_str().map(Some).ok_or_else(|| HostError {
            name,
            value: value.to_string_lossy().into_owned(),
            expected,
        })
    }
}

/// An environment variable whose value makes no sense.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the environment variable {name} is {value:?}, not {expected}")]
pub struct HostError {
    /// The variable.
    name: &'static str,
    /// Its value.
    value: String,
    /// What would be right.
    expected: &'static str,
}

impl HostError {
    /// What to type or do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(format!("correct it, or `unset {}`", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::with(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn directories_follow_the_xdg_specification() {
        let cache = |set: &[(&str, &str)]| environment(set).below("XDG_CACHE_HOME", ".cache");
        let home = ("HOME", "/home/u");
        let by_default = Some(PathBuf::from("/home/u/.cache/elsewhere"));
        assert_eq!(cache(&[home]), by_default);
        assert_eq!(cache(&[home, ("XDG_CACHE_HOME", "/c")]), Some("/c/elsewhere".into()));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/c")]), Some("/c/elsewhere".into()));
        assert_eq!(cache(&[home, ("XDG_CACHE_HOME", "c")]), by_default);
        assert_eq!(cache(&[home, ("XDG_CACHE_HOME", "")]), by_default);
        for nowhere in [&[][..], &[("HOME", "")], &[("HOME", "u")]] {
            assert_eq!(cache(nowhere), None);
        }
    }

    #[test]
    fn a_home_is_asked_for_where_none_is_set() {
        let home = |set: &[(&str, &str)]| {
            environment(set).or_home(|| Some("/passwd".into())).absolute("HOME")
        };
        assert_eq!(home(&[("HOME", "/home/u")]), Some("/home/u".into()));
        for nothing in [&[][..], &[("HOME", "")], &[("HOME", "u")]] {
            assert_eq!(home(nothing), Some("/passwd".into()));
        }
    }

    #[test]
    fn the_time_can_be_given() {
        let epoch = |value| environment(&[("SOURCE_DATE_EPOCH", value)]).source_date_epoch();
        assert_eq!(epoch("17"), Ok(Some(17)));
        assert_eq!(epoch(""), Ok(None));
        assert!(epoch("-1").is_err());
        let error = epoch("so\x1bon").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the environment variable SOURCE_DATE_EPOCH is \"so\\u{1b}on\", \
             not a number of seconds since 1970"
        );
    }

    #[test]
    fn values_that_are_not_utf_8_are_refused() {
        use std::os::unix::ffi::OsStringExt;
        let bytes = OsString::from_vec(b"http://\xff".to_vec());
        let environment =
            Environment::with(|name| (name == "ELSEWHERE_MIRROR").then(|| bytes.clone()));
        assert!(environment.mirror().unwrap_err().to_string().contains("ELSEWHERE_MIRROR"));
    }

    #[test]
    fn colours_can_be_forbidden() {
        assert!(!environment(&[("TERM", "xterm")]).no_colour());
        assert!(!environment(&[("NO_COLOR", "")]).no_colour());
        assert!(environment(&[("NO_COLOR", "1")]).no_colour());
        assert!(!environment(&[("NO_COLOR", "1")]).is_dumb_terminal());
        assert!(environment(&[("TERM", "dumb")]).no_colour());
        assert!(environment(&[("TERM", "dumb")]).is_dumb_terminal());
    }

    #[test]
    fn only_variables_that_are_listed_are_read() {
        let environment = Environment::with(|name| Some(OsString::from(name)));
        let read: Vec<_> = environment.0.keys().copied().collect();
        assert_eq!(read.len(), VARIABLES.len());
        for name in ["ELSEWHERE_MIRROR", "HOME", "NO_COLOR", "SOURCE_DATE_EPOCH", "TERM", "TMPDIR"]
        {
            assert!(read.contains(&name), "{name}");
        }
    }
}
