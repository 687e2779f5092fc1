//! Environment variables, and the directories that follow from them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::clock;
use crate::model::escape;

/// Every environment variable that has an effect, and which.
pub const VARIABLES: &[(&str, &str)] = &[
    ("ELSEWHERE_MIRROR", "fetch https://HOST/PATH from here/HOST/PATH, as --mirror does"),
    ("XDG_CACHE_HOME", "downloads are kept in elsewhere/ below it (default: ~/.cache)"),
    ("XDG_CONFIG_HOME", "elsewhere/repos/ below it holds more definitions (default: ~/.config)"),
    ("HOME", "where the defaults of the two above lie"),
    ("TMPDIR", "where smoke tests have their scratch directory (default: /tmp)"),
    ("SOURCE_DATE_EPOCH", "the time, in seconds since 1970, that receipts say a tree was made at"),
    ("NO_COLOR", "no colours, when it is set to anything"),
    ("TERM", "no colours and no progress bars when it is `dumb`"),
    ("HTTPS_PROXY", "proxy for https (also https_proxy, HTTP_PROXY, ALL_PROXY, NO_PROXY)"),
    ("SSL_CERT_FILE", "certificates of the authorities to trust, instead of the system's"),
];

/// The variables of [`VARIABLES`] that are set, read once.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<&'static str, OsString>);

impl Environment {
    /// Reads the process's environment. Empty variables count as unset.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
    pub fn read() -> Self {
        Self::with(|name| std::env::var_os(name))
    }

    /// The environment in which `value` gives the variables.
    pub fn with(value: impl Fn(&str) -> Option<OsString>) -> Self {
        let names = VARIABLES.iter().map(|(name, _)| *name);
        let set = names.filter_map(|name| Some((name, value(name)?)));
        Self(set.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// Where downloads are kept unless the user says otherwise.
    ///
    /// # Errors
    /// When neither `XDG_CACHE_HOME` nor `HOME` is set to an absolute path.
    pub fn cache_directory(&self) -> Result<PathBuf, HostError> {
        self.below("XDG_CACHE_HOME", ".cache").ok_or(HostError::NoCacheDirectory)
    }

    /// The user's own definitions, where there are any.
    #[must_use]
    pub fn definitions_directory(&self) -> Option<PathBuf> {
        let directory = self.below("XDG_CONFIG_HOME", ".config")?.join("repos");
        directory.is_dir().then_some(directory)
    }

    /// Where scratch directories are made.
    #[must_use]
    pub fn temporary_directory(&self) -> PathBuf {
        self.absolute("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp"))
    }

    /// The mirror that is used for everything.
    ///
    /// # Errors
    /// When the variable is not UTF-8.
    pub fn mirror(&self) -> Result<Option<&str>, HostError> {
        self.text("ELSEWHERE_MIRROR", "a URL")
    }

    /// The file of certificates that the user names.
    #[must_use]
    pub fn certificate_file(&self) -> Option<PathBuf> {
        self.0.get("SSL_CERT_FILE").map(PathBuf::from)
    }

    /// The time that receipts state, in seconds since 1970: `SOURCE_DATE_EPOCH`, or now.
    ///
    /// # Errors
    /// When the variable is no number.
    pub fn time(&self) -> Result<u64, HostError> {
        const EXPECTED: &str = "a number of seconds since 1970";
        let Some(text) = self.text("SOURCE_DATE_EPOCH", EXPECTED)? else {
            return Ok(clock::seconds());
        };
        text.parse().map_err(|_| HostError::Variable {
            name: "SOURCE_DATE_EPOCH",
            value: text.to_owned(),
            expected: EXPECTED,
        })
    }

    /// Whether the user minds neither colours nor a terminal's control sequences.
    #[must_use]
    pub fn allows_color(&self) -> bool {
        !self.0.contains_key("NO_COLOR") && self.allows_progress_bars()
    }

    /// Whether the terminal, if there is one, can redraw lines.
    #[must_use]
    pub fn allows_progress_bars(&self) -> bool {
        self.0.get("TERM").map(OsString::as_os_str) != Some(OsStr::new("dumb"))
    }

    /// This program's directory below a base directory of the XDG specification, which says that
    /// relative values are to be ignored.
    fn below(&self, variable: &str, default: &str) -> Option<PathBuf> {
        let in_home = || Some(self.absolute("HOME")?.join(default));
        Some(self.absolute(variable).or_else(in_home)?.join("elsewhere"))
    }

    fn absolute(&self, variable: &str) -> Option<PathBuf> {
        self.0.get(variable).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    fn text(&self, name: &'static str, expected: &'static str) -> Result<Option<&str>, HostError> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        value.to_str().map(Some).ok_or_else(|| HostError::Variable {
            name,
            value: value.to_string_lossy().into_owned(),
            expected,
        })
    }
}

/// What the process's surroundings lack.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HostError {
    /// There is no place for the cache.
    #[error("no place for the cache: neither XDG_CACHE_HOME nor HOME is set to an absolute path")]
    NoCacheDirectory,
    /// A variable's value makes no sense.
    #[error("the environment variable {name} is {:?}, not {expected}", escape(value))]
    Variable {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
}

impl HostError {
    /// What to type or do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoCacheDirectory => Some("say where with `--cache-dir DIR`".to_owned()),
            Self::Variable { name, .. } => Some(format!("correct it, or `unset {name}`")),
        }
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
    fn the_cache_follows_the_xdg_specification() {
        let cache = |variables: &[(&str, &str)]| environment(variables).cache_directory();
        let home = ("HOME", "/home/u");
        assert_eq!(cache(&[home]), Ok("/home/u/.cache/elsewhere".into()));
        assert_eq!(cache(&[home, ("XDG_CACHE_HOME", "/c")]), Ok("/c/elsewhere".into()));
        assert_eq!(cache(&[home, ("XDG_CACHE_HOME", "c")]), cache(&[home]));
        assert_eq!(cache(&[home, ("XDG_CACHE_HOME", "")]), cache(&[home]));
        for nowhere in [&[][..], &[("HOME", "")], &[("HOME", "u")]] {
            assert_eq!(cache(nowhere), Err(HostError::NoCacheDirectory));
        }
    }

    #[test]
    fn definitions_count_only_where_there_are_some() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tmp/definitions");
        let _ = std::fs::remove_dir_all(root);
        let with_root = environment(&[("XDG_CONFIG_HOME", root)]);
        assert_eq!(with_root.definitions_directory(), None);
        let directory = PathBuf::from(root).join("elsewhere/repos");
        std::fs::create_dir_all(&directory).unwrap();
        assert_eq!(with_root.definitions_directory(), Some(directory));
        assert_eq!(environment(&[]).definitions_directory(), None);
    }

    #[test]
    fn the_time_can_be_given() {
        assert_eq!(environment(&[("SOURCE_DATE_EPOCH", "17")]).time(), Ok(17));
        assert!(environment(&[]).time().unwrap() > 1_700_000_000);
        let error = environment(&[("SOURCE_DATE_EPOCH", "soon")]).time().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the environment variable SOURCE_DATE_EPOCH is \"soon\", not a number of seconds since 1970"
        );
        assert!(environment(&[("SOURCE_DATE_EPOCH", "-1")]).time().is_err());
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
        assert!(environment(&[("TERM", "xterm")]).allows_color());
        assert!(environment(&[("NO_COLOR", "")]).allows_color());
        assert!(!environment(&[("NO_COLOR", "1")]).allows_color());
        assert!(environment(&[("NO_COLOR", "1")]).allows_progress_bars());
        assert!(!environment(&[("TERM", "dumb")]).allows_color());
        assert!(!environment(&[("TERM", "dumb")]).allows_progress_bars());
    }
}
