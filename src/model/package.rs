//! The parsed repositories: only what resolving needs, packed closely, because a repository can
//! hold a hundred megabytes of XML.

use std::borrow::Cow;

use super::{Checksum, Evr, EvrRef, Interner, Modules, NameHash, StrId, escape};

/// Packages that were set aside and are named in one message.
const SHOWN: usize = 3;

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
    /// `<>`
    NotEqual,
    /// An operator that nobody knows: no version fulfils it, or is promised by it.
    Unknown,
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
            Self::NotEqual => "<>",
            Self::Unknown => "!",
        }
    }
}

/// A capability with a version condition: one entry of Requires, Conflicts or Obsoletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Relation<Name = StrId> {
    /// The capability: a name, a soname, a path, or a whole rich dependency in parentheses.
    pub name: Name,
    /// How `evr` is compared.
    pub comparison: Comparison,
    /// `[EPOCH:]VERSION[-RELEASE]`; there exactly when `comparison` is not `Any`.
    pub evr: Option<StrId>,
}

/// One entry of Provides.
pub type Provide = Relation<NameHash>;

/// A package as a repository describes it.
#[derive(Debug)]
pub struct Package {
    /// Name.
    pub name: StrId,
    /// RPM's architecture: the index holds the tree's own and `noarch` only.
    pub arch: StrId,
    /// `[EPOCH:]VERSION[-RELEASE]`: the very string by which the package provides itself. [`Index::evr`]
    /// reads it.
    pub evr: StrId,
    /// Position of the repository in [`Index::repositories`].
    pub repository: u16,
    /// Where its file lies. [`Index::location`] says it in full.
    pub location: PackageLocation,
    /// Bytes of the package file; 0 where the repository does not say.
    pub size: u64,
    /// Bytes of its files when installed.
    pub installed_size: u64,
    /// Digest of the package file.
    pub checksum: Checksum,
    /// Requires, those of scriptlets (`pre`) left out.
    pub requires: Box<[Relation]>,
    /// Provides, the package's own name among them.
    pub provides: Box<[Provide]>,
    /// Conflicts.
    pub conflicts: Box<[Relation]>,
    /// Obsoletes.
    pub obsoletes: Box<[Relation]>,
    /// What it would like, if anything.
    pub weak: Option<Box<Weak>>,
    /// The files that primary.xml lists: `/etc/*`, `*bin/*` and `/usr/lib/sendmail`.
    pub files: Box<[NameHash]>,
}

/// Where a package's file lies: a path below the repository's base URL, as metadata writes it, or a URL
/// of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageLocation {
    /// In this directory, which is empty or ends with `/`, under the name that files of packages have:
    /// `NAME-VERSION-RELEASE.ARCH.rpm`. So are nearly all, in few directories.
    Usual(StrId),
    /// There.
    Other(Box<str>),
}

impl PackageLocation {
    /// `text`, of the package with this name, version and architecture.
    #[must_use]
    pub fn of(
        text: &str,
        (name, evr, arch): (&str, EvrRef<'_>, &str),
        strings: &mut Interner,
    ) -> Self {
        let before = |text: &'_ str, end: &str, mark: char| {
            text.strip_suffix(end)?.strip_suffix(mark).map(str::len)
        };
        let directory = || {
            let rest = text.strip_suffix(".rpm")?;
            let rest = rest.get(..before(rest, arch, '.')?)?;
            let rest = rest.get(..before(rest, evr.release, '-')?)?;
            let rest = rest.get(..before(rest, evr.version, '-')?)?;
            let directory = rest.strip_suffix(name)?;
            (directory.is_empty() || directory.ends_with('/')).then_some(directory)
        };
        match directory() {
            Some(directory) => Self::Usual(strings.intern(directory)),
            None => Self::Other(text.into()),
        }
    }

    /// Bytes of memory that it takes beside itself, about.
    fn beside(&self) -> usize {
        match self {
            Self::Usual(_) => 0,
            Self::Other(text) => piece(text.len()),
        }
    }
}

/// What a package would like to have beside it, or beside what it would like to be. Nothing is
/// chosen for it; but of several packages that would do, those are taken that are wished for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weak {
    /// Recommends.
    pub recommends: Box<[Relation]>,
    /// Suggests.
    pub suggests: Box<[Relation]>,
    /// Supplements.
    pub supplements: Box<[Relation]>,
    /// Enhances.
    pub enhances: Box<[Relation]>,
}

impl Weak {
    /// These wishes as a package holds them: nothing, where there are none.
    #[must_use]
    pub fn boxed(self) -> Option<Box<Self>> {
        let Self { recommends, suggests, supplements, enhances } = &self;
        let all = [recommends, suggests, supplements, enhances];
        all.iter().any(|relations| !relations.is_empty()).then(|| Box::new(self))
    }

    fn all_mut(&mut self) -> [&mut Box<[Relation]>; 4] {
        let Self { recommends, suggests, supplements, enhances } = self;
        [recommends, suggests, supplements, enhances]
    }
}

impl Package {
    /// Whether it provides something of this name in any version, or lists it as a file.
    #[must_use]
    pub fn has(&self, name: NameHash) -> bool {
        self.provides.iter().any(|provide| provide.name == name) || self.files.contains(&name)
    }

    /// Bytes of memory that it takes, about.
    #[must_use]
    pub(crate) fn weight(&self) -> usize {
        let weak = self.weak.as_deref().map_or(0, |weak| {
            let all = [&weak.recommends, &weak.suggests, &weak.supplements, &weak.enhances];
            size_of::<Weak>() + all.into_iter().map(|it| piece(size_of_val(&**it))).sum::<usize>()
        });
        let relations = [&self.requires, &self.conflicts, &self.obsoletes];
        let relations: usize = relations.into_iter().map(|it| piece(size_of_val(&**it))).sum();
        size_of::<Self>()
            + relations
            + weak
            + piece(size_of_val(&*self.provides))
            + piece(size_of_val(&*self.files))
            + self.location.beside()
            + piece(self.checksum.algorithm().size())
    }

    /// Replaces the number of every string.
    fn renumber(&mut self, new: &impl Fn(StrId) -> StrId) {
        for id in [&mut self.name, &mut self.arch, &mut self.evr] {
            *id = new(*id);
        }
        if let PackageLocation::Usual(directory) = &mut self.location {
            *directory = new(*directory);
        }
        let weak = self.weak.iter_mut().flat_map(|weak| weak.all_mut());
        for relations in
            [&mut self.requires, &mut self.conflicts, &mut self.obsoletes].into_iter().chain(weak)
        {
            for relation in relations.iter_mut() {
                relation.name = new(relation.name);
                relation.evr = relation.evr.map(new);
            }
        }
        for provide in &mut self.provides {
            provide.evr = provide.evr.map(new);
        }
    }
}

/// Bytes that a piece of memory of this size takes, about, with what the allocator adds.
fn piece(size: usize) -> usize {
    match size {
        0 => 0,
        _ => size.next_multiple_of(16) + 16,
    }
}

/// A package that its repository lists in a way that cannot be used.
#[derive(Clone, Debug)]
pub struct SetAside {
    /// Its name; empty where it has none.
    pub name: String,
    /// Its version, as far as it has one.
    pub evr: Evr,
    /// Position of the repository in [`Index::repositories`].
    pub repository: u16,
    /// The line of `primary.xml` where its entry ends. Only the first thousand have one.
    pub line: Option<usize>,
    /// Why it cannot be used.
    pub why: String,
    /// Its name, what it provides and the files that it lists: nobody gets them from it.
    pub has: Box<[NameHash]>,
}

impl SetAside {
    /// Bytes of memory that it takes, about.
    #[must_use]
    pub(crate) fn weight(&self) -> usize {
        let texts = [&self.name, &self.evr.version, &self.evr.release, &self.why];
        let texts: usize = texts.into_iter().map(|text| piece(text.len())).sum();
        size_of::<Self>() + texts + piece(size_of_val(&*self.has))
    }

    /// Which package it is, where it stands and why it was set aside, for people.
    #[must_use]
    pub fn describe(&self, index: &Index) -> String {
        let repository = index.repositories.get(usize::from(self.repository));
        let repository = repository.map_or("?", String::as_str);
        let name = match (self.name.as_str(), self.evr.to_string().as_str()) {
            ("", _) => "a package".into(),
            (name, "") => escape(name),
            (name, evr) => format!("{}-{evr}", escape(name)).into(),
        };
        let line = self.line.map(|line| format!(", line {line}")).unwrap_or_default();
        format!("{name} was set aside: repository {repository}{line}: {}", self.why)
    }
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
    /// Packages that cannot be used. Nothing else counts them as being there.
    pub set_aside: Vec<SetAside>,
    /// The module lists of all repositories.
    pub modules: Modules,
}

impl Index {
    /// The string with number `id`.
    #[must_use]
    pub fn text(&self, id: StrId) -> &str {
        self.strings.resolve(id)
    }

    /// Epoch, version and release of a package.
    #[must_use]
    pub fn evr(&self, package: &Package) -> EvrRef<'_> {
        EvrRef::parse(self.text(package.evr))
    }

    /// Where a package's file lies: a path below its repository's base URL, or a URL of its own.
    #[must_use]
    pub fn location<'a>(&'a self, package: &'a Package) -> Cow<'a, str> {
        match &package.location {
            PackageLocation::Other(text) => Cow::Borrowed(text),
            PackageLocation::Usual(directory) => {
                let (directory, name) = (self.text(*directory), self.text(package.name));
                let (evr, arch) = (self.evr(package), self.text(package.arch));
                let EvrRef { version, release, .. } = evr;
                Cow::Owned(format!("{directory}{name}-{version}-{release}.{arch}.rpm"))
            }
        }
    }

    /// Adds another index, whose repositories come after those that are here.
    pub fn append(&mut self, other: Self) {
        if self.repositories.is_empty() && self.packages.is_empty() && self.set_aside.is_empty() {
            *self = other;
            return;
        }
        let Self { strings, repositories, packages, set_aside, modules } = other;
        let ids: Vec<StrId> = strings.iter().map(|string| self.strings.intern(string)).collect();
        drop(strings);
        let first = u16::try_from(self.repositories.len()).unwrap_or(u16::MAX);
        self.repositories.extend(repositories);
        self.packages.reserve(packages.len());
        for mut package in packages {
            package.repository = package.repository.saturating_add(first);
            package.renumber(&|id| ids.get(id.number()).copied().unwrap_or(id));
            self.packages.push(package);
        }
        self.set_aside.extend(set_aside.into_iter().map(|package| SetAside {
            repository: package.repository.saturating_add(first),
            ..package
        }));
        self.modules.append(modules);
    }

    /// What to say of the packages that were set aside and would have given `capability`: a name, a
    /// soname or a path.
    #[must_use]
    pub fn set_aside_for(&self, capability: &str) -> Vec<String> {
        let wanted = NameHash::of(capability);
        let found = self.set_aside.iter().filter(|package| package.has.contains(&wanted));
        found.take(SHOWN).map(|package| package.describe(self)).collect()
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
            evr: intern("1-1"),
            repository: 0,
            location: PackageLocation::Usual(intern("p/")),
            size: 1,
            installed_size: 1,
            checksum: Checksum::of(b""),
            requires: [requires].into(),
            provides: [].into(),
            conflicts: [].into(),
            obsoletes: [].into(),
            weak: None,
            files: [NameHash::of(&format!("/bin/{name}"))].into(),
        };
        index.packages.push(package);
        index
    }

    /// However it is held, it is what was written.
    #[test]
    fn a_location_is_what_it_was() {
        let usual = ["a-1-1.noarch.rpm", "Packages/a/a-1-1.noarch.rpm"];
        let others = [
            "",
            ".rpm",
            "xa-1-1.noarch.rpm",
            "p/a-1-1.x86_64.rpm",
            "p/a-1:1-1.noarch.rpm",
            "p/a-1-1.noarch.rpm?x",
            "a-11.noarch.rpm",
            "https://h.example/a-1-1.noarch",
        ];
        for (text, is_usual) in
            usual.map(|it| (it, true)).into_iter().chain(others.map(|it| (it, false)))
        {
            let mut index = index("one", "a", "b");
            let what = ("a", EvrRef::parse("1-1"), "noarch");
            let location = PackageLocation::of(text, what, &mut index.strings);
            assert_eq!(matches!(location, PackageLocation::Usual(_)), is_usual, "{text}");
            index.packages[0].location = location;
            assert_eq!(index.location(&index.packages[0]), text);
        }
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
        assert_eq!(all.location(b), "p/b-1-1.noarch.rpm");
        assert_eq!(all.evr(b).to_string(), "1-1");
        assert!(b.has(NameHash::of("/bin/b")));
        assert_eq!(all.display(&b.requires[0]), "c >= 1");
    }
}
