//! Every program and library of a tree, and which file a soname means there.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use cap_std::fs::{Dir, MetadataExt};

use super::walk::{Led, Places, join};
use super::{Abi, Elf, ElfError, Linkage, Reading};
use crate::model::{FileKind, ReceiptFile, RelPath};

/// Where the loader looks by itself, so where packages put what others need.
const USUAL: [&str; 2] = ["lib64", "lib"];

/// A program or library: one file, under one name or several hard links.
#[derive(Debug)]
pub(crate) struct Object {
    /// Its names, sorted.
    pub(crate) locations: Vec<RelPath>,
    /// What it asks and gives.
    pub(crate) linkage: Linkage,
}

impl Object {
    /// The first of its names.
    pub(crate) fn path(&self) -> &RelPath {
        &self.locations[0]
    }

    /// Whether it is started, not only loaded by others.
    pub(crate) fn is_program(&self) -> bool {
        self.linkage.interpreter.is_some()
    }
}

/// The programs and libraries of a tree.
#[derive(Debug)]
pub(crate) struct Survey<'a> {
    /// All that belong to the tree's architecture, static programs included.
    pub(crate) objects: Vec<Object>,
    /// Files of another architecture.
    pub(crate) foreign: Vec<RelPath>,
    /// Files that claim to belong to the architecture, and cannot be read.
    pub(crate) unreadable: Vec<(RelPath, ElfError)>,
    /// The tree's places.
    pub(crate) places: Places<'a>,
    by_path: BTreeMap<RelPath, usize>,
    directories: BTreeMap<String, BTreeSet<String>>,
}

/// A file of a tree that could not be opened.
#[derive(Debug)]
pub(crate) struct Unopened(pub(crate) RelPath, pub(crate) io::Error);

impl<'a> Survey<'a> {
    /// Reads the headers of every regular file among `files`, which lie in `tree`.
    pub(crate) fn of(
        tree: &Dir,
        files: impl Iterator<Item = &'a ReceiptFile> + Clone,
        abi: Abi,
    ) -> Result<Self, Unopened> {
        let mut survey = Self {
            objects: Vec::new(),
            foreign: Vec::new(),
            unreadable: Vec::new(),
            places: Places::of(files.clone()),
            by_path: BTreeMap::new(),
            directories: BTreeMap::new(),
        };
        let mut inodes = BTreeMap::new();
        for file in files.clone().filter(|file| matches!(file.kind, FileKind::File { .. })) {
            survey
                .add(tree, &file.path, abi, &mut inodes)
                .map_err(|source| Unopened(file.path.clone(), source))?;
        }
        survey.list_directories(files);
        Ok(survey)
    }

    /// The object at `path`, which has no symlink in it.
    pub(crate) fn object_at(&self, path: &RelPath) -> Option<usize> {
        self.by_path.get(path).copied()
    }

    /// What the loader finds when it looks for `name` in `directory`.
    pub(crate) fn find(&self, directory: &str, name: &str) -> Option<usize> {
        match self.places.real(&join(directory, name)) {
            Led::To(path) => self.object_at(&path),
            Led::Nowhere | Led::Out => None,
        }
    }

    /// The directory that has the library `name`, and the library: one of `preferred` when it is
    /// there, else a usual one, else the one that is nearest to the root.
    pub(crate) fn provider(&self, name: &str, preferred: &[String]) -> Option<(String, usize)> {
        let anywhere = self.directories.get(name)?;
        let mut others: Vec<&str> = anywhere.iter().map(String::as_str).collect();
        others.sort_by_key(|directory| directory.matches('/').count());
        let order = preferred.iter().map(String::as_str).chain(USUAL).chain(others);
        order
            .map(|directory| (directory, self.find(directory, name)))
            .find_map(|(directory, found)| Some((directory.to_owned(), found?)))
    }

    fn add(
        &mut self,
        tree: &Dir,
        path: &RelPath,
        abi: Abi,
        inodes: &mut BTreeMap<(u64, u64), usize>,
    ) -> io::Result<()> {
        let file = tree.open(path)?;
        let metadata = file.metadata()?;
        let inode = (metadata.dev(), metadata.ino());
        if let Some(index) = inodes.get(&inode).copied() {
            self.by_path.insert(path.clone(), index);
            if let Some(object) = self.objects.get_mut(index) {
                object.locations.push(path.clone());
            }
            return Ok(());
        }
        match Elf::read(&file.into_std(), abi) {
            Ok(Reading::Other) => {}
            Ok(Reading::Foreign) => self.foreign.push(path.clone()),
            Ok(Reading::Native(elf)) => {
                inodes.insert(inode, self.objects.len());
                self.by_path.insert(path.clone(), self.objects.len());
                self.objects.push(Object { locations: vec![path.clone()], linkage: elf.linkage });
            }
            Err(ElfError::Io(source)) => return Err(source),
            Err(reason) => self.unreadable.push((path.clone(), reason)),
        }
        Ok(())
    }

    /// Notes under which names and in which directories libraries can be found, links included.
    fn list_directories(&mut self, files: impl Iterator<Item = &'a ReceiptFile>) {
        for file in files.filter(|file| !matches!(file.kind, FileKind::Directory)) {
            let directory = file.path.parent().map_or(String::new(), String::from);
            let name = file.path.file_name();
            let is_library = self
                .find(&directory, name)
                .and_then(|index| self.objects.get(index))
                .is_some_and(|object| !object.is_program() || object.linkage.soname.is_some());
            if is_library {
                self.directories.entry(name.to_owned()).or_default().insert(directory);
            }
        }
    }
}

/// The directory of the tree that an entry of a run path means for a file in `origin`, when the
/// entry is relative to the file (`$ORIGIN/../lib64`). `None` for other entries, and when it
/// climbs out of the tree. The root is empty.
pub(crate) fn origin_directory(entry: &str, origin: &str) -> Option<String> {
    let rest = ["$ORIGIN", "${ORIGIN}"].iter().find_map(|token| entry.strip_prefix(token))?;
    if !rest.is_empty() && !rest.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = origin.split('/').filter(|part| !part.is_empty()).collect();
    for part in rest.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_paths_are_read_from_where_the_file_is() {
        let directory = |entry| origin_directory(entry, "libexec/apptainer/bin");
        assert_eq!(directory("$ORIGIN/../../../lib64").as_deref(), Some("lib64"));
        assert_eq!(directory("${ORIGIN}").as_deref(), Some("libexec/apptainer/bin"));
        assert_eq!(directory("$ORIGIN/../../../..").as_deref(), None);
        assert_eq!(directory("$ORIGINAL").as_deref(), None);
        assert_eq!(directory("/usr/lib64").as_deref(), None);
    }
}
