//! The parsed repositories: only what resolving needs, packed closely, because a repository can
//! hold a hundred megabytes of XML.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

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
    /// Hash of a string → its candidates. Hashes only: the strings themselves are in `text`.
    by_hash: HashMap<u64, Vec<u32>>,
    hasher: RandomState,
}

impl Interner {
    /// The number of `string`, which is added if it is new.
    ///
    /// # Panics
    /// When all strings together exceed 4 GiB, which no accepted repository can.
    pub fn intern(&mut self, string: &str) -> StrId {
        if let Some(id) = self.find(string) {
            return id;
        }
        let fits =
            |value: usize| u32::try_from(value).unwrap_or_else(|_| panic!("index too large"));
        let id = fits(self.spans.len());
        self.spans.push((fits(self.text.len()), fits(string.len())));
        self.text.push_str(string);
        self.by_hash.entry(self.hasher.hash_one(string)).or_default().push(id);
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
        let candidates = self.by_hash.get(&self.hasher.hash_one(string))?;
        candidates.iter().map(|&id| StrId(id)).find(|&id| self.resolve(id) == string)
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
}
