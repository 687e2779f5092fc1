//! The parsed repositories: only what resolving needs, packed closely, because a repository can
//! hold a hundred megabytes of XML.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use super::{Checksum, Evr};

/// A string of an [`Index`], by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StrId(u32);

impl StrId {
    /// The number, for tables with a place for every string: below [`Interner::len`].
    #[must_use]
    pub fn number(self) -> usize {
        self.0 as usize
    }
}

/// Every string of an index, once.
#[derive(Debug, Default)]
pub struct Interner {
    text: String,
    /// `(start, length)` of each string in `text`.
    spans: Vec<(u32, u32)>,
    /// Hash of a string → its number; the strings themselves are in `text`. When another string
    /// has the same hash, the next free number after the hash is the key.
    by_hash: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    hasher: RandomState,
}

/// The hasher of keys that are hashes already, by a hasher that nobody outside can predict.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0.rotate_left(8) ^ u64::from(byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Interner {
    /// The number of `string`, which is added if it is new.
    ///
    /// # Panics
    /// When all strings together exceed 4 GiB, which no accepted repository can.
    pub fn intern(&mut self, string: &str) -> StrId {
        let key = match self.seek(string) {
            Ok(id) => return id,
            Err(key) => key,
        };
        let fits =
            |value: usize| u32::try_from(value).unwrap_or_else(|_| panic!("index too large"));
        let id = fits(self.spans.len());
        self.spans.push((fits(self.text.len()), fits(string.len())));
        self.text.push_str(string);
        self.by_hash.insert(key, id);
        StrId(id)
    }

    /// How many strings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no string yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The number of `string`, if it is there.
    #[must_use]
    pub fn find(&self, string: &str) -> Option<StrId> {
        self.seek(string).ok()
    }

    /// The number of `string`, or the key under which it would have to be added.
    fn seek(&self, string: &str) -> Result<StrId, u64> {
        let mut key = self.hasher.hash_one(string);
        while let Some(&id) = self.by_hash.get(&key) {
            if self.resolve(StrId(id)) == string {
                return Ok(StrId(id));
            }
            key = key.wrapping_add(1);
        }
        Err(key)
    }

    /// Every string, in the order of the numbers.
    fn iter(&self) -> impl Iterator<Item = &str> {
        (0_u32..).take(self.spans.len()).map(|id| self.resolve(StrId(id)))
    }

    /// The string with number `id`.
    ///
    /// # Panics
    /// When `id` comes from another interner.
    #[must_use]
    pub fn resolve(&self, id: StrId) -> &str {
        let (start, length) = self.spans[id.0 as usize];
        &self.text[start as usize..start as usize + length as usize]
    }
}

/// How a dependency compares versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Any version.
    Any,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `=`
    Equal,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
}

impl Comparison {
    /// The operator as RPM writes it; empty for [`Comparison::Any`].
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
        }
    }
}

/// A capability with a version condition: one entry of Requires, Provides, Conflicts or Obsoletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Relation {
    /// The capability: a name, a soname, a path, or a whole rich dependency in parentheses.
    pub name: StrId,
    /// How `evr` is compared.
    pub comparison: Comparison,
    /// `[EPOCH:]VERSION[-RELEASE]`; there exactly when `comparison` is not `Any`.
    pub evr: Option<StrId>,
}

/// A package as a repository describes it.
#[derive(Debug)]
pub struct Package {
    /// Name.
    pub name: StrId,
    /// RPM's architecture: the index holds the tree's own and `noarch` only.
    pub arch: StrId,
    /// Epoch, version, release.
    pub evr: Evr,
    /// Position of the repository in [`Index::repositories`].
    pub repository: u16,
    /// `<location href>`, relative to the repository's base URL, not percent-encoded.
    pub location: StrId,
    /// Bytes of the package file.
    pub size: u64,
    /// Bytes of its files when installed.
    pub installed_size: u64,
    /// Digest of the package file.
    pub checksum: Checksum,
    /// Requires, those of scriptlets (`pre`) left out.
    pub requires: Box<[Relation]>,
    /// Provides, the package's own name among them.
    pub provides: Box<[Relation]>,
    /// Conflicts.
    pub conflicts: Box<[Relation]>,
    /// Obsoletes.
    pub obsoletes: Box<[Relation]>,
    /// Recommends.
    pub recommends: Box<[Relation]>,
    /// The files that primary.xml lists: `/etc/*`, `*bin/*` and `/usr/lib/sendmail`.
    pub files: Box<[StrId]>,
}

impl Package {
    /// Replaces the number of every string.
    fn renumber(&mut self, new: &impl Fn(StrId) -> StrId) {
        for id in [&mut self.name, &mut self.arch, &mut self.location] {
            *id = new(*id);
        }
        for relations in [
            &mut self.requires,
            &mut self.provides,
            &mut self.conflicts,
            &mut self.obsoletes,
            &mut self.recommends,
        ] {
            for relation in relations.iter_mut() {
                relation.name = new(relation.name);
                relation.evr = relation.evr.map(new);
            }
        }
        for file in &mut self.files {
            *file = new(*file);
        }
    }
}

/// A module stream (modulemd) of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleStream {
    /// The module's name: `container-tools`.
    pub module: String,
    /// The stream's name: `rhel8`.
    pub stream: String,
    /// Whether `modulemd-defaults` names this stream.
    pub default: bool,
    /// The stream's packages as modules.yaml lists them: `NAME-EPOCH:VERSION-RELEASE.ARCH`.
    pub artifacts: Vec<String>,
}

/// All repositories of one dist for one architecture.
#[derive(Debug, Default)]
pub struct Index {
    /// Every string that the packages name.
    pub strings: Interner,
    /// Ids of the repositories, in the dist's order.
    pub repositories: Vec<String>,
    /// Every package of the architecture, `noarch` included.
    pub packages: Vec<Package>,
    /// Module streams, of every modular repository.
    pub modules: Vec<ModuleStream>,
}

impl Index {
    /// The string with number `id`.
    #[must_use]
    pub fn text(&self, id: StrId) -> &str {
        self.strings.resolve(id)
    }

    /// Adds another index, whose repositories come after those that are here.
    pub fn append(&mut self, other: Self) {
        let Self { strings, repositories, packages, modules } = other;
        let ids: Vec<StrId> = strings.iter().map(|string| self.strings.intern(string)).collect();
        drop(strings);
        let first = u16::try_from(self.repositories.len()).unwrap_or(u16::MAX);
        self.repositories.extend(repositories);
        self.packages.reserve(packages.len());
        for mut package in packages {
            package.repository = package.repository.saturating_add(first);
            package.renumber(&|id| ids.get(id.0 as usize).copied().unwrap_or(id));
            self.packages.push(package);
        }
        self.modules.extend(modules);
    }

    /// A relation as RPM writes it: `name >= evr`.
    #[must_use]
    pub fn display(&self, relation: &Relation) -> String {
        let name = self.text(relation.name);
        match relation.evr {
            Some(evr) => format!("{name} {} {}", relation.comparison.as_str(), self.text(evr)),
            None => name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_kept_once() {
        let mut strings = Interner::default();
        let glibc = strings.intern("glibc");
        assert_ne!(glibc, strings.intern("bash"));
        assert_eq!(glibc, strings.intern("glibc"));
        assert_eq!(strings.resolve(glibc), "glibc");
        assert_eq!(strings.find("zsh"), None);
    }

    /// An index of one package, `name`, which requires `needs >= 1`.
    fn index(repository: &str, name: &str, needs: &str) -> Index {
        let mut index = Index { repositories: vec![repository.into()], ..Index::default() };
        let mut intern = |string: &str| index.strings.intern(string);
        let requires = Relation {
            name: intern(needs),
            comparison: Comparison::GreaterOrEqual,
            evr: Some(intern("1")),
        };
        let package = Package {
            name: intern(name),
            arch: intern("noarch"),
            evr: Evr::parse("1-1"),
            repository: 0,
            location: intern(&format!("{name}.rpm")),
            size: 1,
            installed_size: 1,
            checksum: Checksum::of(b""),
            requires: [requires].into(),
            provides: [].into(),
            conflicts: [].into(),
            obsoletes: [].into(),
            recommends: [].into(),
            files: [intern(&format!("/bin/{name}"))].into(),
        };
        index.packages.push(package);
        index
    }

    #[test]
    fn an_appended_index_keeps_its_meaning() {
        let mut all = Index::default();
        all.append(index("one", "a", "b"));
        all.append(index("two", "b", "c"));
        assert_eq!(all.repositories, ["one", "two"]);
        let b = &all.packages[1];
        assert_eq!(b.repository, 1);
        assert_eq!(all.text(b.name), "b");
        assert_eq!(all.packages[0].requires[0].name, b.name, "one string, one number");
        assert_eq!(all.text(b.location), "b.rpm");
        assert_eq!(all.text(b.files[0]), "/bin/b");
        assert_eq!(all.display(&b.requires[0]), "c >= 1");
    }
}
