//! What a site wishes for: which versions of which runtimes, from which dists, for which architectures, where they go,
//! and what stays. `docs/cvmfs.md` describes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::changes::Keeping;
use super::cvmfs::CvmfsWish;
use super::goal::Goal;
use crate::error::Error;
use crate::model::{Arch, TomlProblem, escape, read_toml};

/// All that is wished for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wishlist {
    /// The directory of the only destination.
    directory: Option<PathBuf>,
    /// The repository of CernVM-FS that this is in, where it is in one.
    cvmfs: Option<CvmfsWish>,
    /// Where it is published. That of `directory`, where that is said.
    #[serde(rename = "destination", default)]
    pub(crate) destinations: Vec<DestinationWish>,
    /// What is published.
    #[serde(rename = "runtime", default)]
    pub(super) runtimes: Vec<RuntimeWish>,
    /// Programs that are run before and after something is published.
    #[serde(default)]
    pub(crate) hooks: Hooks,
}

/// One place where it is published.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestinationWish {
    /// The directory below which the bases are: an absolute path, or one that begins where the file is.
    pub(crate) directory: PathBuf,
    /// The repository of CernVM-FS that the directory is in, where it is in one.
    pub(crate) cvmfs: Option<CvmfsWish>,
    /// Which bases there are; all, where none is named.
    #[serde(default)]
    bases: Vec<String>,
}

/// Programs with their arguments. No shell reads them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Hooks {
    /// Before anything is written; where one fails, nothing is.
    pub(crate) before: Vec<Vec<String>>,
    /// After all is published.
    pub(crate) after: Vec<Vec<String>>,
}

/// One runtime, which has a base.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuntimeWish {
    /// Its name.
    pub(super) name: String,
    /// Versions, or patterns of versions.
    #[serde(default = "any")]
    pub(super) versions: Vec<String>,
    /// So many of the newest of each pattern.
    #[serde(default = "one")]
    pub(super) newest: usize,
    /// The dists.
    pub(super) dists: Vec<String>,
    /// The architectures.
    pub(super) arches: Vec<Arch>,
    /// As `--container-dist`.
    pub(super) container_dist: Option<String>,
    /// The base, from a destination's directory on; the runtime's name, where it is not said.
    base: Option<String>,
    /// `newest`, a pattern of versions, or `none` to leave the link as it is.
    #[serde(default = "newest")]
    pub(super) current: String,
    /// What stays of what is not wished for any more.
    #[serde(default)]
    pub(super) keep: Keeping,
    /// What is set below `etc/`.
    #[serde(default)]
    pub(super) etc: BTreeMap<String, FileWish>,
}

/// What is wished for one file below `etc/`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileWish {
    /// The file that it is to be.
    pub(super) file: Option<PathBuf>,
    /// Values that are set in it.
    #[serde(default)]
    pub(super) set: BTreeMap<String, toml::Value>,
}

fn any() -> Vec<String> {
    vec!["*".to_owned()]
}

fn one() -> usize {
    1
}

fn newest() -> String {
    "newest".to_owned()
}

impl Wishlist {
    /// That in the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or says what makes no sense.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path)
            .map_err(|source| Error::File { path: path.to_owned(), source })?;
        let shown = escape(&path.to_string_lossy()).into_owned();
        let mut list: Self = read_toml(&text).map_err(|TomlProblem { line, message }| {
            Error::Usage(format!("{shown}, line {line}: {}", escape(&message)))
        })?;
        let place = path.parent().unwrap_or(path);
        list.check_place().map_err(|problem| Error::Usage(format!("{shown}: {problem}")))?;
        if let Some(directory) = list.directory.take() {
            let cvmfs = list.cvmfs.take();
            list.destinations.push(DestinationWish { directory, cvmfs, bases: Vec::new() });
        }
        for destination in &mut list.destinations {
            destination.directory = place.join(&destination.directory);
        }
        for wish in list.runtimes.iter_mut().flat_map(|runtime| runtime.etc.values_mut()) {
            wish.file = wish.file.take().map(|file| place.join(file));
        }
        list.check().map_err(|problem| Error::Usage(format!("{shown}: {problem}")))?;
        Ok(list)
    }

    /// Whether it says where, once.
    fn check_place(&self) -> Result<(), &'static str> {
        match (&self.directory, &self.cvmfs, self.destinations.is_empty()) {
            (None, None, true) => Err("directory, or a [[destination]], says where"),
            (None, Some(_), true) => Err("cvmfs needs a directory"),
            (Some(_), _, false) | (_, Some(_), false) => {
                Err("where there are [[destination]]s, directory and cvmfs stand in these")
            }
            (Some(_), _, true) | (None, None, false) => Ok(()),
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.runtimes.is_empty() {
            return Err("no [[runtime]] is wished for".to_owned());
        }
        self.runtimes.iter().try_for_each(RuntimeWish::check)?;
        self.check_bases()?;
        let mut hooks = self.hooks.before.iter().chain(&self.hooks.after);
        match hooks.any(|hook| hook.first().is_none_or(String::is_empty)) {
            true => Err("hooks: each is a list of a program and its arguments".to_owned()),
            false => Ok(()),
        }
    }

    /// Whether every base has a place of its own, and one at all.
    fn check_bases(&self) -> Result<(), String> {
        let mut bases = BTreeSet::new();
        for base in self.runtimes.iter().map(RuntimeWish::base) {
            if !bases.insert(base) {
                return Err(format!("two runtimes have the base {}", escape(base)));
            }
        }
        let (mut places, mut placed) = (BTreeSet::new(), BTreeSet::new());
        for destination in &self.destinations {
            if let Some(base) = destination.bases.iter().find(|base| !bases.contains(&***base)) {
                return Err(format!("destination: no [[runtime]] has the base {}", escape(base)));
            }
            for base in bases.iter().filter(|base| destination.has(base)) {
                placed.insert(base);
                let place = destination.root(base);
                if !places.insert(place.clone()) {
                    let shown = place.to_string_lossy().into_owned();
                    return Err(format!("two destinations have {}", escape(&shown)));
                }
            }
        }
        match bases.iter().find(|base| !placed.contains(base)) {
            Some(base) => Err(format!("no [[destination]] has the base {}", escape(base))),
            None => Ok(()),
        }
    }

    /// The names of its bases.
    pub(crate) fn bases(&self) -> Vec<&str> {
        self.runtimes.iter().map(RuntimeWish::base).collect()
    }

    /// The names of its runtimes.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.runtimes.iter().map(|wish| wish.name.as_str())
    }
}

impl DestinationWish {
    /// Whether it has this base.
    fn has(&self, base: &str) -> bool {
        self.bases.is_empty() || self.bases.iter().any(|it| it == base)
    }

    /// Where the base of this name is.
    fn root(&self, base: &str) -> PathBuf {
        self.directory.join(base)
    }

    /// Those of `goals` that it has, each with where it is.
    pub(crate) fn bases<'g>(&self, goals: &'g [Goal]) -> Vec<(PathBuf, &'g Goal)> {
        let its = goals.iter().filter(|goal| self.has(&goal.name));
        its.map(|goal| (self.root(&goal.name), goal)).collect()
    }
}

impl RuntimeWish {
    /// The base's name.
    pub(super) fn base(&self) -> &str {
        self.base.as_deref().unwrap_or(&self.name)
    }

    fn check(&self) -> Result<(), String> {
        let name = escape(&self.name);
        let is_plain = |part| matches!(part, Component::Normal(_));
        if self.base().is_empty() || !Path::new(self.base()).components().all(is_plain) {
            return Err(format!("{name}: base must be a path below the directory"));
        }
        for (field, is_missing) in [
            ("dists", self.dists.is_empty()),
            ("arches", self.arches.is_empty()),
            ("versions", self.versions.is_empty()),
        ] {
            if is_missing {
                return Err(format!("{name}: {field} names none"));
            }
        }
        if self.newest == 0 {
            return Err(format!("{name}: newest = 0 wishes for nothing"));
        }
        let is_vague = |wish: &FileWish| wish.file.is_some() != wish.set.is_empty();
        match self.etc.iter().find(|(_, wish)| is_vague(wish)) {
            Some((path, _)) => {
                Err(format!("{name}: etc.{:?} needs either file or set", escape(path)))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each says a part of a list: the rest is put around it.
    #[test]
    fn what_the_page_shows_is_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let page = fs::read_to_string(root.join("docs/cvmfs.md")).unwrap();
        let blocks = page.split("```").skip(1).step_by(2);
        let blocks: Vec<&str> = blocks.filter_map(|block| block.strip_prefix("toml\n")).collect();
        let path = root.join(format!("target/tmp/page-{}.toml", std::process::id()));
        for block in &blocks {
            let has = |text: &str| block.contains(text);
            let mut text = String::new();
            if !has("directory =") {
                text.push_str("directory = \"/cvmfs/repo.example.org/sw\"\n");
            }
            text.push_str(block);
            if !has("[[runtime]]") {
                text.push_str(
                    "[[runtime]]\nname = \"apptainer\"\ndists = [\"el9\"]\narches = [\"x86_64\"]\n",
                );
            }
            fs::create_dir_all(root.join("target/tmp")).unwrap();
            fs::write(&path, &text).unwrap();
            let list = Wishlist::read(&path).unwrap();
            assert_eq!(list.destinations.len(), block.matches("directory =").count().max(1));
        }
        fs::remove_file(path).unwrap();
        assert_eq!(blocks.len(), 4);
    }
}
