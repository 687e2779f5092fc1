//! An RPM as EL's build system makes it, out of files that are at hand: dependencies generated from
//! ELF and scripts, licences, `.build-id` links, and a vendor's signature.

use std::collections::BTreeSet;

use elsewhere::stages::model::Arch;

use super::MADE;
use super::elf;
use crate::support::header::{Relation, Relations, sense};
use crate::support::rpms::{About, File, Package, isa};

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

    /// The package; `vendor` is what its header says.
    pub fn package(&self, compressor: &str, vendor: &str) -> Package {
        let about = About {
            summary: self.summary.clone(),
            license: self.license.clone(),
            vendor: vendor.to_owned(),
            built: MADE,
            post: self.post,
        };
        let files: Vec<File> = self.entries.iter().map(|entry| self.file(entry)).collect();
        Package {
            name: self.name.clone(),
            version: self.version.clone(),
            release: self.release.clone(),
            epoch: (self.epoch != 0).then_some(self.epoch),
            arch: self.arch.clone(),
            relations: self.relations(),
            about: Some(about),
            ..Package::new(files).compressor(compressor)
        }
    }

    fn file(&self, entry: &Entry) -> File {
        let mode = entry.mode;
        let file = match &entry.content {
            Content::File(bytes) => File::regular(&entry.path, bytes).mode(0o100_000 | mode),
            Content::HardLink(bytes, set) => {
                let is_first =
                    |it: &Entry| matches!(it.content, Content::HardLink(_, of) if of == *set);
                let first = self.entries.iter().position(is_first).unwrap();
                let inode = 1_000_000 + u32::try_from(first).unwrap();
                File::regular(&entry.path, bytes).mode(0o100_000 | mode).inode(inode)
            }
            Content::Symlink(target) => File::symlink(&entry.path, target),
            Content::Directory => File::directory(&entry.path).mode(0o040_000 | mode),
            Content::Ghost => File::regular(&entry.path, b"").mode(0o100_000 | mode),
        };
        let ghost = if matches!(entry.content, Content::Ghost) { 64 } else { 0 };
        let role = match entry.role {
            Role::Plain => 0,
            Role::Config => 1 | 16,
            Role::Doc => 2,
            Role::License => 128,
        };
        file.flags(ghost | role)
    }

    fn relations(&self) -> Relations {
        let (requires, provides) = self.generated();
        let mut relations = Relations::default()
            .and("requires", &self.requires)
            .and("provides", &self.provides)
            .and("conflicts", &self.conflicts)
            .and("obsoletes", &self.obsoletes)
            .and("recommends", &self.recommends);
        let generated = |name: &String, flags| Relation::parse(name).with(flags);
        let requires = requires.iter().map(|name| generated(name, sense::FIND_REQUIRES));
        relations.of("requires").extend(requires);
        let provides = provides.iter().map(|name| generated(name, sense::FIND_PROVIDES));
        relations.of("provides").extend(provides);
        relations
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

/// The ISA name for a tree's architecture.
pub fn isa_of(arch: Arch) -> &'static str {
    isa(arch.as_str()).unwrap()
}

/// The interpreter that a script names in its first line.
fn interpreter(bytes: &[u8]) -> Option<String> {
    let line = bytes.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    String::from_utf8_lossy(line).split_whitespace().next().map(str::to_owned)
}
