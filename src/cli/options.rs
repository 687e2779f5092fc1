//! Options that several commands share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

pub(super) use super::output::Output;
use super::repositories::Repositories;
use super::trust::TrustArgs;
use crate::carry::Carried;
use crate::catalog::Catalog;
use crate::config::{self, Config, ConfigFile, Whose};
use crate::context::Context;
use crate::error::Error;
use crate::host::Host;
use crate::model::{Arch, Dist, LOCAL, Plan, Request, RuntimeRequest, UserTrust, escape};
use crate::terminal::Terminal;

/// What is wanted.
#[derive(Clone, Debug, Args)]
pub(super) struct WantedArgs {
    /// Runtime to install; several may share a prefix (see `elsewhere list`)
    #[arg(short, long = "runtime", value_name = "NAME", value_delimiter = ',')]
    pub(super) runtimes: Vec<String>,
    /// Version of the runtime: 1.4.5, or a prefix such as 1.4; or a path or URL ending in .rpm
    #[arg(short = 'v', long, value_name = "VERSION")]
    version: Option<String>,
    /// Where packages come from: el7 el8 el9 el10, fc43, or a distribution's own name (debian12,
    /// ubuntu24.04, rocky9, suse15), which stands for the EL release that fits it; auto chooses.
    /// Several (el7,el8,el9) share a prefix, whose launchers run the newest that a machine runs
    #[arg(short, long = "dist", value_name = "DIST", value_delimiter = ',')]
    dists: Vec<String>,
    /// Where programs come from that are bound into containers and run on their C library (fakeroot),
    /// when the rest comes from a newer dist: a dist, or `same` [default: the oldest maintained]
    #[arg(long, value_name = "DIST")]
    container_dist: Option<String>,
    /// Architectures: x86_64 aarch64 ppc64le s390x [default: this machine's]
    #[arg(short, long = "arch", value_name = "ARCH", value_delimiter = ',')]
    arches: Vec<Arch>,
    /// Make it for these machines, all of them, instead of this one: glibc=2.17, x86-64-v2, el7,
    /// ubuntu22.04; the oldest counts, and processors of x86-64-v2 are taken for granted
    #[arg(long = "for", value_name = "HOST", value_delimiter = ',')]
    pub(super) hosts: Vec<String>,
    #[command(flatten)]
    pub(super) age: AgeArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

/// What scripts may say that were written for another installer.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct LegacyArgs {
    /// Accepted for the sake of old scripts: EL packages serve SUSE too
    #[arg(short = 'o')]
    opensuse: bool,
}

impl LegacyArgs {
    /// Says what is to be said of it.
    pub(super) fn tell(self, terminal: &Terminal) {
        if self.opensuse {
            terminal.line("-o: EL packages are used on openSUSE and SLES too; nothing to choose");
        }
    }
}

/// How old things may be.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct AgeArgs {
    /// Take metadata and packages that are older than what the prefix or the cache saw before, and
    /// metadata that a metalink vouched for then and does no more
    #[arg(long)]
    allow_downgrade: bool,
}

impl AgeArgs {
    /// `context` with what is said here.
    pub(super) fn apply<'a>(self, context: Context<'a>) -> Context<'a> {
        Context { allows_downgrade: self.allow_downgrade, ..context }
    }
}

/// What to do while another run works on the prefix.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct Turn {
    /// Fail, rather than wait, when another run works on the prefix
    #[arg(long)]
    no_wait: bool,
}

impl Turn {
    /// Whether to wait for it.
    pub(super) fn waits(self) -> bool {
        !self.no_wait
    }
}

/// Where things are fetched from and kept.
#[derive(Clone, Debug, Args)]
pub(super) struct Sources {
    /// Fetch https://HOST/PATH from BASE/HOST/PATH: a URL (http is allowed here) or a directory
    /// [also: ELSEWHERE_MIRROR]
    #[arg(long, value_name = "BASE")]
    pub(super) mirror: Option<String>,
    /// Ask nothing of any network: what is neither in a cache nor in a file is named, and ends the run
    #[arg(long)]
    pub(super) offline: bool,
    /// More definitions of dists and runtimes [also: $XDG_CONFIG_HOME/elsewhere/repos]
    #[arg(long, value_name = "DIR")]
    pub(super) repos: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) repositories: Repositories,
    /// Where downloads are kept [default: $XDG_CACHE_HOME/elsewhere]
    #[arg(long, value_name = "DIR")]
    pub(super) cache_dir: Option<PathBuf>,
    /// A cache that somebody fills for all: taken from there is what has the right digest or fingerprint,
    /// and nothing is written to it [also: ELSEWHERE_SITE_CACHE]
    #[arg(long, value_name = "DIR")]
    pub(super) site_cache: Option<PathBuf>,
    /// One more configuration file, before the user's and the site's (docs/configuration.md)
    /// [also: ELSEWHERE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// What everything is read from in place of all that.
    #[arg(skip)]
    pub(super) carried: Option<Carried>,
}

/// What is kept of packages that are unpacked.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct StoreArgs {
    /// Unpack every package from its download, and do not keep what was unpacked for other installs
    #[arg(long)]
    pub(super) no_store: bool,
}

/// Where definitions come from, for commands that fetch nothing.
#[derive(Debug, Args)]
pub(super) struct Definitions {
    /// More definitions of dists and runtimes [also: $XDG_CONFIG_HOME/elsewhere/repos]
    #[arg(long, value_name = "DIR")]
    pub(super) repos: Vec<PathBuf>,
}

/// What configuration files say, and the definitions that they lead to.
pub(super) struct Settings {
    /// The files', and before that the variables'.
    pub(super) config: Config,
    /// The definitions.
    pub(super) catalog: Catalog,
}

impl WantedArgs {
    /// The validated request. Its runtimes are those of `locked`, a plan that was made before, where
    /// there is one.
    ///
    /// # Errors
    /// When the words contradict each other, or this machine's architecture is not known.
    pub(super) fn request(
        &self,
        host: &Host,
        settings: &Settings,
        locked: Option<&Plan>,
    ) -> Result<Request, Error> {
        let config = &settings.config;
        let trust = self.trust.user_trust(config, &settings.catalog)?;
        let is_file = |plan: &Plan| {
            let mut sources = plan.trees.iter().flat_map(|tree| &tree.sources);
            sources.any(|source| source.id == LOCAL)
        };
        let names_file = self.version.as_ref().is_some_and(|text| is_package(text));
        if !names_file && !locked.is_some_and(is_file) {
            self.trust.check_without_file()?;
        }
        let mut arches = self.arches.clone();
        if arches.is_empty() {
            arches.clone_from(&config.arch);
        }
        if arches.is_empty() {
            arches.push(host.facts().arch.ok_or_else(|| {
                Error::Usage(format!(
                    "no packages exist for this machine's architecture ({}): name one with --arch",
                    host.facts().machine
                ))
            })?);
        }
        arches.sort_unstable();
        arches.dedup();
        Ok(Request {
            runtimes: match locked {
                Some(plan) => locked_runtimes(plan),
                None => self.runtime_requests(host, &settings.catalog)?,
            },
            dist: self.dists.first().cloned(),
            container_dist: self.container_dist.clone(),
            arches,
            trust,
        })
    }

    /// Whom the user trusts, for a command that installs nothing.
    ///
    /// # Errors
    /// When a policy forbids it, or it means no repository.
    pub(super) fn trust(&self, settings: &Settings) -> Result<UserTrust, Error> {
        self.trust.user_trust(&settings.config, &settings.catalog)
    }

    /// Whether no more is said of what is wanted than, maybe, for which architectures.
    pub(super) fn leaves_all_open(&self) -> bool {
        let Self { runtimes, version, dists, container_dist, .. } = self;
        runtimes.is_empty() && version.is_none() && dists.is_empty() && container_dist.is_none()
    }

    /// The architectures that are named.
    pub(super) fn arches(&self) -> &[Arch] {
        &self.arches
    }

    /// The dists that are named, each once, in the order of their names on the command line.
    ///
    /// # Errors
    /// When one of several is unknown, or their trees are to be made for other machines than theirs.
    pub(super) fn dists<'a>(&self, context: Context<'a>) -> Result<Vec<&'a Dist>, Error> {
        let mut dists: Vec<&Dist> = Vec::new();
        for typed in self.dists.iter().filter(|typed| self.dists.len() > 1 || *typed != "auto") {
            if typed == "auto" {
                return Err(Error::Usage(
                    "auto chooses one dist: name the others alone".to_owned(),
                ));
            }
            let dist = context.catalog.dist(typed)?;
            if dists.iter().all(|other| other.name != dist.name) {
                dists.push(dist);
            }
        }
        if dists.len() > 1 && context.aim.is_some() {
            return Err(Error::Usage(
                "each of several dists is for the machines that run it: leave --for out".to_owned(),
            ));
        }
        Ok(dists)
    }

    /// What is plainly wrong is said here, before anything is fetched.
    fn runtime_requests(
        &self,
        host: &Host,
        catalog: &Catalog,
    ) -> Result<Vec<RuntimeRequest>, Error> {
        let mut names = self.runtimes.clone();
        if names.is_empty() {
            names.push(catalog.default_runtime()?.name.clone());
        }
        names.sort_unstable();
        names.dedup();
        for name in &names {
            catalog.runtime(name)?;
        }
        if self.version.is_some() && names.len() > 1 {
            return Err(Error::Usage(
                "--version belongs to one runtime: install the others by a second command".into(),
            ));
        }
        let package = self.version.as_ref().filter(|text| is_package(text)).cloned();
        if let Some(path) = package.as_ref().filter(|package| !package.contains("://")) {
            let path = host.absolute(path.trim_start_matches("file:").as_ref());
            std::fs::metadata(&path).map_err(|source| Error::File { path, source })?;
        }
        let version = self.version.as_ref().filter(|text| !is_package(text)).cloned();
        let request =
            |name| RuntimeRequest { name, version: version.clone(), package: package.clone() };
        Ok(names.into_iter().map(request).collect())
    }
}

/// Whether a version is a package's path or URL.
fn is_package(version: &str) -> bool {
    version.ends_with(".rpm")
}

/// The runtimes of a plan, each once.
fn locked_runtimes(plan: &Plan) -> Vec<RuntimeRequest> {
    let runtimes = plan.trees.iter().flat_map(|tree| &tree.runtimes);
    let versions: BTreeMap<_, _> = runtimes.map(|it| (&it.name, &it.version)).collect();
    let request = |(name, version): (&String, &String)| RuntimeRequest {
        name: name.clone(),
        version: Some(version.clone()),
        package: None,
    };
    versions.into_iter().map(request).collect()
}

impl Sources {
    /// What the configuration files and the variables say, and all definitions.
    ///
    /// # Errors
    /// When a file, a variable or a definition makes no sense.
    pub(super) fn settings(&self, host: &Host) -> Result<Settings, Error> {
        let config = config(host, self.config.as_deref())?;
        let mut catalog = catalog(host, &self.repos, &config)?;
        self.repositories.apply(&config, &mut catalog);
        Ok(Settings { config, catalog })
    }

    /// The mirror as an absolute URL or path: the option's, the variable's or a file's.
    ///
    /// # Errors
    /// When the variable is not UTF-8, or the base is a URL of another kind.
    pub(super) fn mirror(&self, host: &Host, config: &Config) -> Result<Option<String>, Error> {
        let base = match &self.mirror {
            Some(base) => Some(base.as_str()),
            None => host.mirror()?.or(config.mirror.as_deref()),
        };
        let is_url =
            |base: &str| ["http://", "https://", "file:"].iter().any(|kind| base.starts_with(kind));
        if let Some(base) = base.filter(|base| base.contains("://") && !is_url(base)) {
            return Err(Error::Usage(format!(
                "--mirror {base}: an http, https or file URL or a directory is needed"
            )));
        }
        Ok(base.map(|base| match is_url(base) {
            true => base.to_owned(),
            false => host.absolute(base.as_ref()).to_string_lossy().into_owned(),
        }))
    }

    /// Refuses a mirror that is no directory and no URL, where repositories are about to be read.
    /// What is in the cache is of use without it.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn check_mirror(&self, host: &Host, config: &Config) -> Result<(), Error> {
        match self.mirror(host, config)? {
            Some(base) if base.starts_with('/') && !Path::new(&base).is_dir() => {
                Err(Error::Usage(format!(
                    "the mirror {} is no directory; a URL begins with https://, http:// or file:",
                    escape(&base)
                )))
            }
            _ => Ok(()),
        }
    }
}

impl Definitions {
    /// All definitions.
    ///
    /// # Errors
    /// When a file, a variable or a definition makes no sense.
    pub(super) fn catalog(&self, host: &Host) -> Result<Catalog, Error> {
        catalog(host, &self.repos, &config(host, None)?)
    }
}

/// What the configuration files say, and before that the variables.
pub(super) fn config(host: &Host, named: Option<&Path>) -> Result<Config, Error> {
    let mut files = Vec::new();
    let named = named.map(|path| host.absolute(path));
    let mut add =
        |path: Option<PathBuf>, whose| files.extend(path.map(|path| ConfigFile { path, whose }));
    add(named.or_else(|| host.config_file()), Whose::Named);
    add(host.config_dir().map(|path| path.join(config::USER_FILE)), Whose::User);
    add(Some(PathBuf::from(config::SITE_FILE)), Whose::Site);
    let mut config = Config::load(&files)?;
    if let Some(dist) = host.dist()? {
        config.dist = Some(dist.to_owned());
    }
    config.site_cache = host.site_cache().or(config.site_cache);
    let network = host.network()?;
    config.network.attempts = network.attempts.or(config.network.attempts);
    config.network.connect_timeout = network.connect_timeout.or(config.network.connect_timeout);
    config.network.stall_timeout = network.stall_timeout.or(config.network.stall_timeout);
    Ok(config)
}

/// The definitions in `repos`, those of the configuration's directories, the user's own, and the
/// built-in ones.
fn catalog(host: &Host, repos: &[PathBuf], config: &Config) -> Result<Catalog, Error> {
    let own = host.config_dir().map(|path| path.join("repos")).filter(|path| path.is_dir());
    let directories: Vec<PathBuf> = repos.iter().chain(&config.repos).cloned().chain(own).collect();
    Ok(Catalog::load(&directories)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        wanted: WantedArgs,
    }

    fn requests(words: &[&str]) -> Result<Vec<RuntimeRequest>, Error> {
        let line = Line::parse_from(["x"].iter().chain(words));
        line.wanted.runtime_requests(&Host::read(), &Catalog::load(&[])?)
    }

    #[test]
    fn apptainer_is_meant_when_no_runtime_is_named() {
        let wanted = requests(&[]).unwrap();
        assert_eq!(wanted[0].name, "apptainer");
        assert_eq!(wanted[0].version, None);
    }

    #[test]
    fn a_version_that_ends_in_rpm_is_a_package() {
        let wanted = requests(&["-v", "https://a/a-1.rpm"]).unwrap();
        assert_eq!(wanted[0].package.as_deref(), Some("https://a/a-1.rpm"));
        assert_eq!(wanted[0].version, None);
    }

    #[test]
    fn what_is_not_there_is_refused_before_anything_is_fetched() {
        assert!(matches!(requests(&["-v", "./nowhere.rpm"]), Err(Error::File { .. })));
        assert!(matches!(requests(&["-r", "aptainer"]), Err(Error::Catalog(_))));
    }

    #[test]
    fn one_version_for_two_runtimes_is_a_usage_error() {
        assert!(matches!(requests(&["-r", "crun,apptainer", "-v", "1"]), Err(Error::Usage(_))));
    }
}
