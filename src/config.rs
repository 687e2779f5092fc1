//! Configuration files: what a site sets for all users, and what a user sets once.
//!
//! The site's file is `/etc/elsewhere/config.toml`, the user's `elsewhere/config.toml` in the
//! configuration directory, and `--config FILE` names one more. `docs/configuration.md` describes
//! the format. What the command line or a variable says counts before all of them, and of several
//! files the nearest to the user; a `policy` holds wherever it stands.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::model::{Arch, ByteSize, RepositoryClaims, TrustedFile, Wishes, escape, read_toml};

/// The site's file.
pub(crate) const SITE_FILE: &str = "/etc/elsewhere/config.toml";

/// The name of the user's file in this program's configuration directory.
pub(crate) const USER_FILE: &str = "config.toml";

/// Where a configuration file may lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its path.
    pub path: PathBuf,
    /// Whose it is.
    pub whose: Whose,
}

/// Whose a configuration file is, which says whether it can be done without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// It was named: it must be there.
    Named,
    /// The user's: it need not exist, and after `su` the home directory may be another user's.
    User,
    /// The site's: it need not exist. One that cannot be read might forbid something.
    Site,
}

impl Whose {
    fn may_lack(self, error: io::ErrorKind) -> bool {
        match error {
            // The latter where HOME is /dev/null, as some services have it.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => self != Self::Named,
            io::ErrorKind::PermissionDenied => self == Self::User,
            _ => false,
        }
    }
}

/// What one file, or several together, say.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// As `--mirror`: a URL, or a path relative to the file.
    pub mirror: Option<String>,
    /// As `--dist`.
    pub dist: Option<String>,
    /// As `--arch`.
    pub arch: Vec<Arch>,
    /// As `--for`.
    #[serde(rename = "for")]
    pub hosts: Vec<String>,
    /// As `--repos`; those of all files together.
    pub repos: Vec<PathBuf>,
    /// As `--trust-key`; those of all files together.
    pub trust_key: Vec<TrustedFile>,
    /// Who else may own, and write to, prefixes and the cache: `user:NAME`, `group:NAME`, or their ids; those
    /// of all files together.
    pub trusted_owners: Vec<String>,
    /// As `--cache-dir`.
    pub cache_dir: Option<PathBuf>,
    /// As `--site-cache`.
    pub site_cache: Option<PathBuf>,
    /// What is kept.
    pub cache: Keeps,
    /// How to fetch.
    pub network: Network,
    /// What no user may do.
    pub policy: SitePolicy,
    /// As `--disable-repo`.
    disable_repo: Vec<String>,
    /// As `--enable-repo`.
    enable_repo: Vec<String>,
    /// What is so of repositories, whatever their definitions say.
    repository: BTreeMap<String, RepositoryClaims>,
    /// What each of the files says of repositories, the most important one first.
    #[serde(skip)]
    pub wishes: Vec<Wishes>,
}

/// What is kept for later runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keeps {
    /// Bytes that unpacked packages may take.
    pub size: Option<ByteSize>,
}

/// Time-outs and retries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// How often each place is tried.
    pub attempts: Option<u32>,
    /// Seconds before the second try; they double for each further one.
    pub pause: Option<f64>,
    /// Seconds that making a connection may take.
    pub connect_timeout: Option<f64>,
    /// Seconds after which a request that brings too little is given up.
    pub stall_timeout: Option<f64>,
    /// Bytes per second that are enough.
    pub minimum_rate: Option<u64>,
}

/// What no option can undo.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SitePolicy {
    /// Whether `--allow-unsigned` is refused.
    pub forbid_unsigned: bool,
    /// Whether `--trust-key` is refused; keys that files name are trusted all the same.
    pub forbid_trust_key: bool,
    /// When not empty: the only dists that packages may come from, by their own names.
    pub dists: Vec<String>,
    /// Repositories that are not read, as `--disable-repo` names them.
    pub disable_repo: Vec<String>,
}

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read the configuration file {}", escape(&path.to_string_lossy()))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no TOML, or holds what no configuration does.
    #[error("{}, line {line}: {}", escape(&path.to_string_lossy()), escape(message))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A policy forbids what was asked for.
    #[error("{what} is forbidden by this site's configuration")]
    Forbidden {
        /// The option.
        what: String,
    },
}

impl ConfigError {
    /// What to type or do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } => None,
            Self::Syntax { .. } => Some("docs/configuration.md describes the format".to_owned()),
            Self::Forbidden { .. } => {
                Some(format!("leave it out, or ask whoever wrote {SITE_FILE}"))
            }
        }
    }
}

impl Config {
    /// Reads `files`, the most important one first.
    ///
    /// # Errors
    /// When one cannot be read, or holds what no configuration does.
    pub fn load(files: &[ConfigFile]) -> Result<Self, ConfigError> {
        let mut all = Self::default();
        for ConfigFile { path, whose } in files {
            match fs::read_to_string(path) {
                Ok(text) => {
                    let later = Self::parse(path, &text)?;
                    all.check_claims(&later)?;
                    later.check_claims(&all)?;
                    all = all.before(later);
                }
                Err(error) if whose.may_lack(error.kind()) => {}
                Err(source) => {
                    return Err(ConfigError::Unreadable { path: path.clone(), source });
                }
            }
        }
        Ok(all)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let syntax = |line, message| ConfigError::Syntax { path: path.to_owned(), line, message };
        let mut config: Self =
            read_toml(text).map_err(|problem| syntax(problem.line, problem.message))?;
        let network = config.network;
        let times = [network.pause, network.connect_timeout, network.stall_timeout];
        if times.into_iter().flatten().any(|seconds| !(0.0..1e6).contains(&seconds)) {
            return Err(syntax(1, "a time in [network] is no number of seconds".to_owned()));
        }
        config.wishes.push(Wishes {
            disabled: std::mem::take(&mut config.disable_repo),
            enabled: std::mem::take(&mut config.enable_repo),
            claims: std::mem::take(&mut config.repository),
        });
        let directory = path.parent().unwrap_or(path);
        let keys = config.trust_key.iter_mut().map(|file| &mut file.path);
        let paths = config.repos.iter_mut().chain(keys).chain(&mut config.cache_dir);
        let paths = paths.chain(&mut config.site_cache);
        paths.for_each(|path| *path = directory.join(&*path));
        let is_path = |mirror: &String| !mirror.contains("://") && !mirror.starts_with("file:");
        if let Some(mirror) = config.mirror.take_if(|mirror| is_path(mirror)) {
            config.mirror = Some(directory.join(mirror).to_string_lossy().into_owned());
        }
        Ok(config)
    }

    /// Refuses to do without signatures of metadata where `other` forbids to do without signatures.
    fn check_claims(&self, other: &Self) -> Result<(), ConfigError> {
        let claims = self.wishes.iter().flat_map(|wishes| &wishes.claims);
        let mut unsigned = claims.filter(|(_, claims)| claims.signed_metadata == Some(false));
        match unsigned.next().filter(|_| other.policy.forbid_unsigned) {
            Some((name, _)) => Err(ConfigError::Forbidden {
                what: format!("signed_metadata = false for the repository {}", escape(name)),
            }),
            None => Ok(()),
        }
    }

    /// What this says, and where it says nothing what `later` says.
    fn before(mut self, later: Self) -> Self {
        self.repos.extend(later.repos);
        self.trust_key.extend(later.trust_key);
        self.trusted_owners.extend(later.trusted_owners);
        self.wishes.extend(later.wishes);
        let first = |own: Vec<_>, later| if own.is_empty() { later } else { own };
        let network = self.network;
        Self {
            mirror: self.mirror.or(later.mirror),
            dist: self.dist.or(later.dist),
            arch: if self.arch.is_empty() { later.arch } else { self.arch },
            hosts: first(self.hosts, later.hosts),
            cache_dir: self.cache_dir.or(later.cache_dir),
            site_cache: self.site_cache.or(later.site_cache),
            cache: Keeps { size: self.cache.size.or(later.cache.size) },
            network: Network {
                attempts: network.attempts.or(later.network.attempts),
                pause: network.pause.or(later.network.pause),
                connect_timeout: network.connect_timeout.or(later.network.connect_timeout),
                stall_timeout: network.stall_timeout.or(later.network.stall_timeout),
                minimum_rate: network.minimum_rate.or(later.network.minimum_rate),
            },
            policy: self.policy.and(later.policy),
            ..self
        }
    }
}

impl SitePolicy {
    /// What either forbids.
    fn and(self, other: Self) -> Self {
        let dists = match (self.dists.is_empty(), other.dists.is_empty()) {
            (true, _) => other.dists,
            (_, true) => self.dists,
            (false, false) => {
                let mut both = self.dists;
                both.retain(|dist| other.dists.contains(dist));
                // Nothing in common: no dist at all, which an empty list would not say.
                if both.is_empty() { vec!["none".to_owned()] } else { both }
            }
        };
        Self {
            forbid_unsigned: self.forbid_unsigned || other.forbid_unsigned,
            forbid_trust_key: self.forbid_trust_key || other.forbid_trust_key,
            dists,
            disable_repo: [self.disable_repo, other.disable_repo].concat(),
        }
    }

    /// Refuses what is forbidden: an unsigned package, a key of the user's, a dist.
    ///
    /// # Errors
    /// When it is.
    pub fn check(
        &self,
        allow_unsigned: bool,
        names_keys: bool,
        dists: &[&str],
    ) -> Result<(), ConfigError> {
        let forbidden = |what: String| Err(ConfigError::Forbidden { what });
        if self.forbid_unsigned && allow_unsigned {
            return forbidden("--allow-unsigned".to_owned());
        }
        if self.forbid_trust_key && names_keys {
            return forbidden("--trust-key".to_owned());
        }
        let is_allowed =
            |dist: &str| self.dists.is_empty() || self.dists.iter().any(|own| own == dist);
        match dists.iter().find(|dist| !is_allowed(dist)) {
            Some(dist) => forbidden(format!("the dist {dist}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        Config::parse(Path::new("/etc/x/config.toml"), text).unwrap()
    }

    #[test]
    fn the_nearest_file_counts_and_lists_of_places_add_up() {
        let user = parse("mirror = 'https://u'\nrepos = ['mine']\n[network]\nattempts = 9");
        let site = parse(
            "mirror = '/m'\ndist = 'el8'\nrepos = ['/site']\ntrust_key = ['key.asc', 'epel=../k']\n\
             [network]\nattempts = 1\npause = 2.5",
        );
        let both = user.before(site);
        assert_eq!(both.mirror.as_deref(), Some("https://u"));
        assert_eq!(both.dist.as_deref(), Some("el8"));
        assert_eq!(both.repos, [PathBuf::from("/etc/x/mine"), PathBuf::from("/site")]);
        let named = |file: &TrustedFile| (file.repository.clone(), file.path.clone());
        let files: Vec<_> = both.trust_key.iter().map(named).collect();
        let (own, epel) = (PathBuf::from("/etc/x/key.asc"), PathBuf::from("/etc/x/../k"));
        assert_eq!(files, [("local".to_owned(), own), ("epel".to_owned(), epel)]);
        assert_eq!(both.network.attempts, Some(9));
        assert_eq!(both.network.pause, Some(2.5));
    }

    #[test]
    fn the_size_of_what_is_kept_is_a_number_or_a_text() {
        let size = |text| parse(text).cache.size.map(|size| size.0);
        assert_eq!(size("[cache]\nsize = 17"), Some(17));
        assert_eq!(size("[cache]\nsize = '4 GiB'"), Some(4 << 30));
        let both = parse("[cache]\nsize = 0").before(parse("[cache]\nsize = 17"));
        assert_eq!(both.cache.size, Some(ByteSize(0)));
        let error = Config::parse(Path::new("/c"), "[cache]\nsize = 'much'").unwrap_err();
        assert!(error.to_string().contains("no number of bytes: \"much\""), "{error}");
    }

    #[test]
    fn relative_mirrors_are_relative_to_the_file() {
        assert_eq!(parse("mirror = 'el'").mirror.as_deref(), Some("/etc/x/el"));
        assert_eq!(parse("mirror = 'file:/el'").mirror.as_deref(), Some("file:/el"));
    }

    #[test]
    fn a_policy_holds_wherever_it_stands() {
        let user = parse("[policy]\ndists = ['el8', 'el9']");
        let site = parse("[policy]\nforbid_unsigned = true\ndists = ['el9', 'el10']");
        let policy = user.before(site).policy;
        assert!(policy.check(false, true, &["el9"]).is_ok());
        let refused = policy.check(true, false, &[]).unwrap_err().to_string();
        assert_eq!(refused, "--allow-unsigned is forbidden by this site's configuration");
        assert!(policy.check(false, false, &["el9", "el8"]).is_err());
        let nothing = parse("[policy]\ndists = ['a']").before(parse("[policy]\ndists = ['b']"));
        assert!(nothing.policy.check(false, false, &["a"]).is_err());
    }

    #[test]
    fn what_is_unknown_is_refused_with_its_line() {
        let error = |text| Config::parse(Path::new("/c"), text).unwrap_err().to_string();
        assert!(error("dist = 'el8'\nmirrors = 'x'").starts_with("/c, line 2: unknown field"));
        assert!(error("[network]\npause = -1.0").contains("no number of seconds"));
        assert!(error("[policy]\nforbid_unsigned = 'yes'").starts_with("/c, line 2:"));
    }

    #[test]
    fn a_file_that_was_named_must_exist() {
        let path = PathBuf::from("/nonexistent/config.toml");
        for whose in [Whose::User, Whose::Site] {
            assert_eq!(
                Config::load(&[ConfigFile { path: path.clone(), whose }]).unwrap(),
                Config::default()
            );
        }
        let error = Config::load(&[ConfigFile { path, whose: Whose::Named }]);
        assert!(matches!(error, Err(ConfigError::Unreadable { .. })));
        assert!(Whose::User.may_lack(io::ErrorKind::PermissionDenied));
        assert!(!Whose::Site.may_lack(io::ErrorKind::PermissionDenied));
    }
}
