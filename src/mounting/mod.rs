//! Mounts the repositories that a user names, each by a process of the runtime's program, for as long as a command runs.
//!
//! [`flatten()`] puts the configuration of each together; what the program makes of it, it says itself. To that are
//! added a cache that no other start has, and keys of the site's and the user's own. Where this process lies, in a
//! namespace or among the host's own mounts, is no matter here.

mod cache;
mod error;
mod flatten;
mod understood;
mod whereabouts;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(crate) use cache::{is_plain, place as cache_place};
use error::MissingSetting;
pub(crate) use error::MountingError;
pub(crate) use whereabouts::Whereabouts;

use flatten::{Flattened, flatten};

use crate::model::{Effect, FuseMounts, Variable};
use crate::tools::programs::{self, Listen, Patience, Running};

/// How long the program may take to read its configuration, or to mount something: servers may be far.
const PATIENCE: Patience<'static> =
    Patience { time: Duration::from_secs(180), is_cancelled: &|| false };

/// How long it may take to put away what it has open.
const GRACE: Duration = Duration::from_secs(10);

/// The tree's name in the directory of a start.
const TREE: &str = "tree";

/// Who mounts, and how.
pub(crate) struct Mounting<'a> {
    /// What the runtime's file says.
    pub(crate) mounts: &'a FuseMounts,
    /// What it says of the program's environment.
    pub(crate) environment: &'a [Variable],
    /// The tree.
    pub(crate) tree: &'a Path,
    /// The program.
    pub(crate) program: &'a Path,
    /// Where everything is.
    pub(crate) whereabouts: Whereabouts,
    /// A process that becomes the program behind its words, and ends with this one.
    pub(crate) serve: &'a dyn Fn() -> Command,
}

/// What is mounted, until that is [ended](Mounted::end).
pub(crate) struct Mounted {
    running: Vec<(PathBuf, Running)>,
    _cache: File,
}

impl Mounted {
    /// Ends it, the last one first; `unmount` is told where each is beforehand.
    pub(crate) fn end(mut self, unmount: &dyn Fn(&Path)) {
        while let Some((place, running)) = self.running.pop() {
            unmount(&place);
            running.end_gently(GRACE);
        }
    }
}

/// Whether `name` can be a repository's, and is no path of another kind.
#[must_use]
pub(crate) fn is_repository(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let starts = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    starts && name.len() <= 255 && name.contains('.') && name.bytes().all(plain)
}

impl Mounting<'_> {
    /// Mounts them, first of all the one that the configuration names. `unmount` is told where something is that must go again, where that
    /// fails.
    ///
    /// # Errors
    /// When the configuration makes no sense, there is no place for a cache, or one is not mounted.
    pub(crate) fn mount(
        &self,
        repositories: &[String],
        unmount: &dyn Fn(&Path),
    ) -> Result<Mounted, MountingError> {
        let Whereabouts { run, tree, .. } = &self.whereabouts;
        symlink(self.tree, tree)
            .map_err(|source| MountingError::Write { path: run.clone(), source })?;
        let one = repositories.first().map_or("", String::as_str);
        let asked = self.understood(one, &self.flattened(one, None)?)?;
        let first = self.mounts.first.as_ref().and_then(|name| asked.get(name));
        let first = first.filter(|name| is_repository(name));
        let base = asked.get(&self.mounts.cache).filter(|base| !base.is_empty());
        let base = base.map_or_else(|| self.whereabouts.cache.clone(), PathBuf::from);
        let (cache, held) = cache::hold(&base)?;
        let mut mounted = Mounted { running: Vec::new(), _cache: held };
        let mut names: Vec<&String> = first.into_iter().chain(repositories).collect();
        let mut seen = Vec::new();
        names.retain(|name| {
            !seen.contains(name) && {
                seen.push(*name);
                true
            }
        });
        for name in names {
            match self.mount_one(name, first.map(String::as_str), &cache) {
                Ok(one) => mounted.running.push(one),
                Err(error) => {
                    mounted.end(unmount);
                    return Err(error);
                }
            }
        }
        Ok(mounted)
    }

    fn mount_one(
        &self,
        repository: &str,
        first: Option<&str>,
        cache: &Path,
    ) -> Result<(PathBuf, Running), MountingError> {
        let mut flat = self.flattened(repository, first)?;
        let settings = self.understood(repository, &flat)?;
        self.check(repository, &settings)?;
        flat.set(&self.mounts.cache, &cache.to_string_lossy());
        if let Some((name, value)) = self.keys(repository, &settings)? {
            flat.set(&name, &value);
        }
        let config = self.write(repository, &flat)?;
        let place = self.whereabouts.mounts.join(repository);
        let failed = |source| MountingError::Write { path: place.clone(), source };
        if !place.is_dir() {
            DirBuilder::new().mode(0o755).create(&place).map_err(failed)?;
        }
        let outside = device(&place).map_err(failed)?;
        let mut command = (self.serve)();
        command.arg(self.program);
        self.tell(&mut command, &self.mounts.arguments, (repository, &config, &place), &flat);
        let process = |source| MountingError::Process { does: "mounts a repository", source };
        let mut running = Running::waiting(command, Listen::Both, PATIENCE).map_err(process)?;
        let is_mounted = || device(&place).is_ok_and(|device| device != outside);
        match running.wait_until(PATIENCE, is_mounted).map_err(process)? {
            Ok(()) => running.stop_listening().map_err(process)?,
            Err(said) => {
                let log =
                    fs::read_to_string(self.whereabouts.run.join(format!("{repository}.log")));
                let said = on_one_line(&(said + &log.unwrap_or_default()));
                let (repository, file) = (repository.to_owned(), self.user_file());
                return Err(MountingError::Mount { repository, said, file });
            }
        }
        Ok((place, running))
    }

    fn flattened(&self, repository: &str, first: Option<&str>) -> Result<Flattened, MountingError> {
        flatten(self.mounts, &self.whereabouts, repository, first)
    }

    /// What the program makes of its configuration.
    fn understood(
        &self,
        repository: &str,
        flat: &Flattened,
    ) -> Result<BTreeMap<String, String>, MountingError> {
        let config = self.write(repository, flat)?;
        let place = self.whereabouts.mounts.join(repository);
        let mut command = Command::new(self.program);
        self.tell(&mut command, &self.mounts.understood, (repository, &config, &place), flat);
        let finished = programs::run(command, Listen::Both, PATIENCE);
        let finished = finished
            .map_err(|source| MountingError::Process { does: "reads the configuration", source })?;
        let settings = understood::settings(&finished.output);
        match finished.end.is_success() && !settings.is_empty() {
            true => Ok(settings),
            false => Err(MountingError::Silent {
                program: self.program.to_owned(),
                said: on_one_line(&finished.output),
            }),
        }
    }

    /// Tells the program: by its arguments, and by its environment, in which nothing is that its configuration sets.
    fn tell(
        &self,
        command: &mut Command,
        arguments: &[String],
        (repository, config, place): (&str, &Path, &Path),
        flat: &Flattened,
    ) {
        for argument in arguments {
            let argument = argument.replace("{repository}", repository);
            let argument = argument.replace("{config}", &config.to_string_lossy());
            command.arg(argument.replace("{directory}", &place.to_string_lossy()));
        }
        for name in &flat.names {
            command.env_remove(name);
        }
        for variable in self.environment {
            if matches!(variable.effect, Effect::Set(_)) {
                command.env(&variable.name, variable.value(self.tree.as_os_str(), None));
            }
        }
    }

    /// Refuses a configuration that lacks something.
    fn check(
        &self,
        repository: &str,
        settings: &BTreeMap<String, String>,
    ) -> Result<(), MountingError> {
        let is_missing = |name: &String| settings.get(name).is_none_or(String::is_empty);
        let missing = self.mounts.required.iter().find(|required| is_missing(&required.name));
        missing.map_or(Ok(()), |missing| {
            Err(MountingError::Missing(Box::new(MissingSetting {
                name: missing.name.clone(),
                example: missing.example.clone(),
                because: missing.because.clone(),
                repository: repository.to_owned(),
                site: self.whereabouts.site.join(USERS),
                user: self.user_file(),
            })))
        })
    }

    /// The setting by which keys count that the site and the user have for a repository, beside those that do anyway.
    fn keys(
        &self,
        repository: &str,
        settings: &BTreeMap<String, String>,
    ) -> Result<Option<(String, String)>, MountingError> {
        let Some(keys) = &self.mounts.keys else { return Ok(None) };
        let domain = repository.split_once('.').map_or("", |(_, domain)| domain);
        let places = [Some(&self.whereabouts.site), self.whereabouts.user.as_ref()];
        let mut own = Vec::new();
        for place in places.into_iter().flatten().map(|place| place.join("keys")) {
            for name in [repository, domain] {
                own.push(place.join(format!("{name}{}", keys.ending)));
                own.extend(listed(&place.join(name), &keys.ending));
            }
        }
        own.retain(|path| path.is_file());
        if own.is_empty() {
            return Ok(None);
        }
        let get = |name: &String| settings.get(name).filter(|value| !value.is_empty());
        let mut all: Vec<String> = match (get(&keys.files), get(&keys.directory)) {
            (Some(files), _) => files.split(':').map(str::to_owned).collect(),
            (None, Some(directory)) => {
                let files = listed(Path::new(directory), &keys.ending);
                files.iter().map(|path| path.to_string_lossy().into_owned()).collect()
            }
            _ => Vec::new(),
        };
        for (number, path) in own.iter().enumerate() {
            let link = self.whereabouts.run.join(format!("{repository}.{number}{}", keys.ending));
            symlink(path, &link)
                .map_err(|source| MountingError::Write { path: link.clone(), source })?;
            all.push(link.to_string_lossy().into_owned());
        }
        Ok(Some((keys.files.clone(), all.join(":"))))
    }

    fn write(&self, repository: &str, flat: &Flattened) -> Result<PathBuf, MountingError> {
        let path = self.whereabouts.run.join(format!("{repository}.conf"));
        let written = fs::write(&path, &flat.text);
        written.map_err(|source| MountingError::Write { path: path.clone(), source })?;
        Ok(path)
    }

    fn user_file(&self) -> PathBuf {
        let directory = self.whereabouts.user.as_ref().unwrap_or(&self.whereabouts.site);
        directory.join(USERS)
    }
}

/// The file that a site or a user writes for all repositories.
const USERS: &str = "default.local";

/// The end of what a program said.
fn on_one_line(said: &str) -> String {
    programs::tail(said).replace('\n', "; ")
}

/// What in a directory has names that end so, sorted.
fn listed(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    paths.sort();
    paths
}

fn device(directory: &Path) -> std::io::Result<u64> {
    Ok(fs::metadata(directory)?.dev())
}

/// The link to the tree in the directory of a start.
#[must_use]
pub(crate) fn tree_link(run: &Path) -> PathBuf {
    run.join(TREE)
}
