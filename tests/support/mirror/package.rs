//! An RPM as EL's build system makes it, out of files that are at hand: dependencies generated from
//! ELF and scripts, licences, `.build-id` links, and a vendor's signature.

use std::collections::BTreeSet;

use elsewhere::model::Arch;
use rpm::{
    BuildConfig, CompressionWithLevel, Dependency, DependencyFlags, FileOptions,
    FileOptionsBuilder, PackageBuilder, Scriptlet,
};

use super::elf;
use super::keys::{Key, MADE};

/// What is at a path of a package.
pub enum Content {
    /// A regular file.
    File(Vec<u8>),
    /// The same file under another path of the package: a hard link, named by the set's name.
    HardLink(Vec<u8>, &'static str),
    /// A symlink and its text.
    Symlink(String),
    /// A directory that the package owns.
    Directory,
    /// A file that the package owns but does not contain.
    Ghost,
}

/// The kind of file that RPM takes it to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Plain,
    /// `%config(noreplace)`.
    Config,
    License,
    Doc,
}

/// A file of a package.
pub struct Entry {
    /// Its absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u16,
    pub content: Content,
    pub role: Role,
}

impl Entry {
    /// A plain file with permission bits `mode`.
    pub fn file(path: &str, mode: u16, bytes: impl Into<Vec<u8>>) -> Self {
        let content = Content::File(bytes.into());
        Self { path: path.to_owned(), mode, content, role: Role::Plain }
    }

    /// Any other entry.
    pub fn new(path: &str, mode: u16, content: Content, role: Role) -> Self {
        Self { path: path.to_owned(), mode, content, role }
    }

    fn bytes(&self) -> Option<&[u8]> {
        match &self.content {
            Content::File(bytes) | Content::HardLink(bytes, _) => Some(bytes),
            _ => None,
        }
    }
}

/// Everything about a package but its signature.
pub struct Spec {
    pub name: String,
    pub epoch: u32,
    pub version: String,
    pub release: String,
    /// RPM's architecture.
    pub arch: String,
    pub summary: String,
    pub license: String,
    pub entries: Vec<Entry>,
    /// Relations beside the generated ones, as a spec file writes them: `fakeroot >= 1.2`.
    pub requires: Vec<String>,
    pub provides: Vec<String>,
    pub conflicts: Vec<String>,
    pub obsoletes: Vec<String>,
    pub recommends: Vec<String>,
    /// Generated Requires that are left out.
    pub filtered: Vec<String>,
    /// The `%post` script; its interpreter and programs are required for it.
    pub post: Option<(&'static str, &'static str)>,
}

impl Spec {
    /// `[EPOCH:]VERSION-RELEASE`.
    pub fn evr(&self) -> String {
        match self.epoch {
            0 => format!("{}-{}", self.version, self.release),
            epoch => format!("{epoch}:{}-{}", self.version, self.release),
        }
    }

    /// The package's file name.
    pub fn file_name(&self) -> String {
        format!("{}-{}-{}.{}.rpm", self.name, self.version, self.release, self.arch)
    }

    /// Builds and signs the package; `vendor` is what its header says.
    pub fn build(&self, compression: CompressionWithLevel, vendor: &str, key: &Key) -> Vec<u8> {
        let mut builder = PackageBuilder::new(
            &self.name,
            &self.version,
            &self.license,
            &self.arch,
            &self.summary,
        );
        builder
            .using_config(BuildConfig::v4().compression(compression).source_date(MADE))
            .release(self.release.clone())
            .vendor(vendor)
            .packager(vendor)
            .group("Unspecified")
            .build_host("localhost")
            .url("https://example.org/")
            .description(format!("{}, built from Debian's package for tests.", self.summary))
            .add_changelog_entry(format!("{vendor} - {}", self.evr()), "- Rebuild for tests", MADE);
        if self.epoch != 0 {
            builder.epoch(self.epoch);
        }
        self.add_entries(&mut builder);
        self.add_dependencies(&mut builder);
        if let Some((script, program)) = self.post {
            builder.post_install_script(Scriptlet::new(script));
            builder.requires(Dependency::script_post(program));
        }
        let package = builder.build_and_sign(key.signer()).unwrap();
        let mut bytes = Vec::new();
        package.write(&mut bytes).unwrap();
        bytes
    }

    fn add_entries(&self, builder: &mut PackageBuilder) {
        for entry in &self.entries {
            let options = |builder: FileOptionsBuilder| match entry.role {
                Role::Plain => builder.permissions(entry.mode),
                Role::Config => builder.permissions(entry.mode).config().noreplace(),
                Role::License => builder.permissions(entry.mode).license(),
                Role::Doc => builder.permissions(entry.mode).doc(),
            };
            let path = entry.path.as_str();
            match &entry.content {
                Content::File(bytes) => {
                    builder.with_file_contents(bytes.clone(), options(FileOptions::new(path)))
                }
                Content::HardLink(bytes, set) => builder.with_file_contents(
                    bytes.clone(),
                    options(FileOptions::new(path)).hardlink(*set),
                ),
                Content::Symlink(target) => {
                    builder.with_symlink(FileOptions::symlink(path, target))
                }
                Content::Directory => builder.with_dir_entry(options(FileOptions::dir(path))),
                Content::Ghost => builder.with_ghost(options(FileOptions::ghost(path))),
            }
            .unwrap();
        }
    }

    fn add_dependencies(&self, builder: &mut PackageBuilder) {
        // The builder itself adds the package's name, with and without the architecture, and
        // `config(NAME)`.
        let (requires, provides) = self.generated();
        for name in requires {
            builder.requires(generated(name, DependencyFlags::FIND_REQUIRES));
        }
        for name in provides {
            builder.provides(generated(name, DependencyFlags::FIND_PROVIDES));
        }
        for text in &self.requires {
            builder.requires(relation(text));
        }
        for text in &self.provides {
            builder.provides(relation(text));
        }
        for text in &self.conflicts {
            builder.conflicts(relation(text));
        }
        for text in &self.obsoletes {
            builder.obsoletes(relation(text));
        }
        for text in &self.recommends {
            builder.recommends(relation(text));
        }
    }

    /// Requires and Provides that RPM's generators find in executable files.
    pub fn generated(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut requires, mut provides) = (BTreeSet::new(), BTreeSet::new());
        for entry in self.entries.iter().filter(|entry| entry.mode & 0o111 != 0) {
            let Some(bytes) = entry.bytes() else { continue };
            let file_name = entry.path.rsplit('/').next().unwrap_or_default();
            if let Some(found) = elf::read(bytes, file_name) {
                requires.extend(found.requires);
                provides.extend(found.provides);
            } else if let Some(interpreter) = interpreter(bytes) {
                requires.insert(interpreter);
            }
        }
        requires.retain(|name| !self.filtered.contains(name));
        (requires, provides)
    }

    /// Adds the links below `/usr/lib/.build-id` that EL's packages carry.
    pub fn add_build_ids(&mut self) {
        let mut links = Vec::new();
        for entry in &self.entries {
            let Some(found) = entry.bytes().and_then(|bytes| elf::read(bytes, "")) else {
                continue;
            };
            let Some((start, rest)) =
                found.build_id.as_deref().and_then(|id| id.split_at_checked(2))
            else {
                continue;
            };
            links.push(Entry::new(
                &format!("/usr/lib/.build-id/{start}/{rest}"),
                0o777,
                Content::Symlink(format!("../../../..{}", entry.path)),
                Role::Plain,
            ));
        }
        links.sort_by(|a, b| a.path.cmp(&b.path));
        links.dedup_by(|a, b| a.path == b.path);
        self.entries.extend(links);
    }
}

/// The name that `%{?_isa}` puts in parentheses.
pub fn isa(arch: &str) -> Option<&'static str> {
    match arch {
        "x86_64" => Some("x86-64"),
        "aarch64" => Some("aarch-64"),
        "ppc64le" => Some("ppc-64"),
        "s390x" => Some("s390-64"),
        "i686" => Some("x86-32"),
        _ => None,
    }
}

/// The ISA name for a tree's architecture.
pub fn isa_of(arch: Arch) -> &'static str {
    isa(arch.as_str()).unwrap()
}

fn generated(name: String, flags: DependencyFlags) -> Dependency {
    Dependency { name, flags, version: String::new() }
}

/// A relation as a spec file writes it. Rich dependencies, in parentheses, are one name.
fn relation(text: &str) -> Dependency {
    if text.starts_with('(') {
        return Dependency::any(text);
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        [name] => Dependency::any(name),
        [name, "=", evr] => Dependency::eq(name, evr),
        [name, "<", evr] => Dependency::less(name, evr),
        [name, "<=", evr] => Dependency::less_eq(name, evr),
        [name, ">", evr] => Dependency::greater(name, evr),
        [name, ">=", evr] => Dependency::greater_eq(name, evr),
        _ => panic!("{text:?} is not a relation"),
    }
}

/// The interpreter that a script names in its first line.
fn interpreter(bytes: &[u8]) -> Option<String> {
    let line = bytes.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    String::from_utf8_lossy(line).split_whitespace().next().map(str::to_owned)
}
