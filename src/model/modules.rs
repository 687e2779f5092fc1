//! Module streams: what the module lists of a dist's repositories (`modules.yaml`) say.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{EvrRef, NameHash};

/// The module lists of a repository, or of all that an index holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modules {
    /// Every stream, once for each of its versions and contexts.
    pub streams: Vec<ModuleStream>,
    /// Module → its default stream.
    pub defaults: BTreeMap<String, DefaultStream>,
    /// What there is to say of documents that were set aside because they make no sense.
    pub set_aside: Vec<String>,
}

impl ModuleStream {
    /// Bytes of memory that it takes, about.
    #[must_use]
    pub(crate) fn weight(&self) -> usize {
        /// Of a name, with what the allocator adds.
        const NAME: usize = size_of::<String>() + 32;
        let requires = self.requires.iter().map(|(module, streams)| {
            let names = streams.iter().map(|stream| NAME + stream.len());
            2 * NAME + module.len() + names.sum::<usize>()
        });
        size_of::<Self>()
            + size_of_val(&*self.artifacts)
            + size_of_val(&*self.demodularized)
            + requires.sum::<usize>()
    }
}

impl Modules {
    /// Adds the lists of another repository.
    pub fn append(&mut self, other: Self) {
        self.streams.extend(other.streams);
        self.set_aside.extend(other.set_aside);
        for (module, default) in other.defaults {
            match self.defaults.entry(module) {
                Entry::Vacant(entry) => {
                    entry.insert(default);
                }
                Entry::Occupied(mut entry) => entry.get_mut().merge(default),
            }
        }
    }

    /// The default stream of a module.
    #[must_use]
    pub fn default_of(&self, module: &str) -> Option<&str> {
        self.defaults.get(module)?.stream.as_deref()
    }
}

/// What `modulemd-defaults` say of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefaultStream {
    /// The stream, if there is one.
    pub stream: Option<String>,
    /// When that was written.
    pub modified: u64,
    /// Whether two repositories name different ones, and none of them later: then there is none.
    pub is_disputed: bool,
}

impl DefaultStream {
    /// Takes in what another repository says, as libmodulemd does: the later counts.
    fn merge(&mut self, other: Self) {
        match (&self.stream, &other.stream) {
            (_, None) => {}
            (None, Some(_)) if !self.is_disputed => self.stream = other.stream,
            (Some(ours), Some(theirs)) if ours != theirs => {
                if other.modified > self.modified {
                    self.stream = other.stream;
                } else if other.modified == self.modified {
                    (self.stream, self.is_disputed) = (None, true);
                }
            }
            _ => {}
        }
        self.modified = self.modified.max(other.modified);
    }
}

/// One version of a module stream (modulemd), for one context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleStream {
    /// The module's name: `container-tools`.
    pub module: String,
    /// The stream's name: `rhel8`.
    pub stream: String,
    /// Its version.
    pub version: u64,
    /// The modules that it needs, each with the streams of which one will do; with none, any will.
    /// A stream that begins with `-` will not do.
    pub requires: Vec<(String, Vec<String>)>,
    /// Its packages.
    pub artifacts: Vec<Artifact>,
    /// Names among them that may come from outside the module all the same.
    pub demodularized: Vec<NameHash>,
}

/// A package of a module stream, as hashes: lists name a hundred thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Artifact {
    /// Of its full name.
    pub nevra: NameHash,
    /// Of its name alone.
    pub name: NameHash,
}

impl Artifact {
    /// Reads `NAME-[EPOCH:]VERSION-RELEASE.ARCH`, as lists have it. None when it is something else,
    /// or a source package.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, arch) = text.rsplit_once('.')?;
        let (rest, release) = rest.rsplit_once('-')?;
        let (name, version) = rest.rsplit_once('-')?;
        let (epoch, version) = version.split_once(':').unwrap_or(("0", version));
        let is_whole = [name, version, release, arch].iter().all(|part| !part.is_empty());
        let epoch = epoch.parse().ok().filter(|_| is_whole && !matches!(arch, "src" | "nosrc"))?;
        Some(Self::new(name, epoch, version, release, arch))
    }

    /// The package as a list would have it.
    #[must_use]
    pub fn of(name: &str, evr: EvrRef<'_>, arch: &str) -> Self {
        Self::new(name, evr.epoch, evr.version, evr.release, arch)
    }

    fn new(name: &str, epoch: u32, version: &str, release: &str, arch: &str) -> Self {
        let nevra = format!("{name}-{epoch}:{version}-{release}.{arch}");
        Self { nevra: NameHash::of(&nevra), name: NameHash::of(name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifacts_are_packages_by_their_full_names() {
        let evr = EvrRef { epoch: 0, version: "1.0", release: "2.el8" };
        let artifact = Artifact::of("a-b", evr, "noarch");
        assert_eq!(Artifact::parse("a-b-0:1.0-2.el8.noarch"), Some(artifact));
        assert_eq!(Artifact::parse("a-b-1.0-2.el8.noarch"), Some(artifact));
        assert_eq!(artifact.name, NameHash::of("a-b"));
        let newer = Artifact::of("a-b", EvrRef { epoch: 1, ..evr }, "noarch");
        assert_eq!(Artifact::parse("a-b-1:1.0-2.el8.noarch"), Some(newer));
        for odd in ["a-b-0:1.0-2.el8.src", "a", "a-1.x", "-1-1.x", "a-x:1-1.x86_64", "a-1-1", ""] {
            assert_eq!(Artifact::parse(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn of_two_defaults_the_later_counts() {
        let list = |stream: &str, modified| {
            let stream = (!stream.is_empty()).then(|| stream.to_owned());
            let default = DefaultStream { stream, modified, is_disputed: false };
            Modules { defaults: [("m".to_owned(), default)].into(), ..Modules::default() }
        };
        let merged = |lists: &[(&str, u64)]| {
            let mut all = Modules::default();
            lists.iter().for_each(|&(stream, modified)| all.append(list(stream, modified)));
            all.default_of("m").map(str::to_owned)
        };
        assert_eq!(merged(&[("a", 1), ("b", 2)]).as_deref(), Some("b"));
        assert_eq!(merged(&[("a", 2), ("b", 1)]).as_deref(), Some("a"));
        assert_eq!(merged(&[("", 5), ("b", 1), ("b", 1)]).as_deref(), Some("b"));
        assert_eq!(merged(&[("a", 1), ("", 2)]).as_deref(), Some("a"));
        assert_eq!(merged(&[("a", 1), ("b", 1), ("a", 3)]), None, "a dispute stays one");
    }
}
