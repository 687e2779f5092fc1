//! What a later generation must know to take a tree's files over, instead of fetching and unpacking
//! their packages again: each package's files as the package brought them, where the tree has them
//! otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::file::find;
use super::{FileKind, ReceiptFile, RelPath};

/// The part of a receipt that is about taking files over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reuse {
    /// The version of the rules that made the tree movable. Files are taken over under the same
    /// rules only.
    pub relocator: u32,
    /// The packages whose files can be taken over, by name.
    pub packages: BTreeMap<String, ReusablePackage>,
}

/// One package's files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReusablePackage {
    /// When not empty, only these files of the package were unpacked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<RelPath>,
    /// What the package brought and the tree has otherwise, or lists with another package; sorted by
    /// path. Whatever else the receipt lists with the package is as the package brought it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differing: Vec<PackagedFile>,
}

/// A file as its package brought it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackagedFile {
    /// The file; its package is not repeated.
    #[serde(flatten)]
    pub file: ReceiptFile,
    /// What a program or library asked of the loader, where the tree's asks something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Linking>,
}

/// What a program or library asks of the loader: which libraries, and where it looks for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linking {
    /// `DT_NEEDED`, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<String>,
    /// `DT_RPATH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpath: Option<String>,
    /// `DT_RUNPATH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runpath: Option<String>,
}

/// The regular files of a tree in the making that were taken over from another, and must not be
/// changed in place. With those that were rewritten there, what they asked before.
pub type Taken = BTreeMap<RelPath, Option<Linking>>;

/// What a package brought, and what became of it: all that taking it over needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reusable {
    /// Every path as the package brought it.
    pub packaged: Vec<ReceiptFile>,
    /// Every path as it is in the tree; symlinks and directories as the package brought them.
    pub in_tree: Vec<ReceiptFile>,
    /// The regular files.
    pub taken: Taken,
}

impl Reuse {
    /// Accounts for `packages`, `(name, only, files as the package brought them)`, in a tree that
    /// has `files`, sorted by path, of which relocation rewrote those in `rewritten`. Packages with
    /// files that were changed in another way are left out.
    #[must_use]
    pub fn of<'a>(
        relocator: u32,
        packages: impl Iterator<Item = (&'a str, &'a [RelPath], &'a [ReceiptFile])>,
        files: &[ReceiptFile],
        rewritten: &BTreeMap<RelPath, Linking>,
    ) -> Self {
        let reusable = |(name, only, packaged): (&str, &[RelPath], &[ReceiptFile])| {
            let differing = differing(name, packaged, files, rewritten)?;
            Some((name.to_owned(), ReusablePackage { only: only.to_vec(), differing }))
        };
        Self { relocator, packages: packages.filter_map(reusable).collect() }
    }

    /// What the package `name`, of which `only` some files are wanted unless that is empty, has in
    /// a tree of `files`, sorted by path. `None` where it cannot be taken over by the rules
    /// `relocator`.
    pub(super) fn reusable(
        &self,
        files: &[ReceiptFile],
        name: &str,
        only: &[RelPath],
        relocator: u32,
    ) -> Option<Reusable> {
        let package = self.packages.get(name).filter(|package| package.only == only)?;
        if self.relocator != relocator {
            return None;
        }
        let mut asked = BTreeMap::new();
        let mut packaged: BTreeMap<RelPath, ReceiptFile> = files
            .iter()
            .filter(|file| file.package.as_deref() == Some(name))
            .map(|file| (file.path.clone(), file.clone()))
            .collect();
        for differing in &package.differing {
            let file = ReceiptFile { package: Some(name.to_owned()), ..differing.file.clone() };
            asked.insert(file.path.clone(), differing.asked.clone());
            packaged.insert(file.path.clone(), file);
        }
        let mut reusable =
            Reusable { packaged: Vec::new(), in_tree: Vec::new(), taken: Taken::new() };
        for (path, file) in packaged {
            let mut in_tree = file.clone();
            if matches!(file.kind, FileKind::File { .. }) {
                in_tree.kind = find(files, &path)?.kind.clone();
                reusable.taken.insert(path.clone(), asked.remove(&path).flatten());
            }
            reusable.packaged.push(file);
            reusable.in_tree.push(in_tree);
        }
        Some(reusable)
    }
}

/// What the package brought and the tree has otherwise; `None` when it cannot be told from the two
/// what the package brought.
fn differing(
    name: &str,
    packaged: &[ReceiptFile],
    files: &[ReceiptFile],
    rewritten: &BTreeMap<RelPath, Linking>,
) -> Option<Vec<PackagedFile>> {
    let mut differing = Vec::new();
    for file in packaged {
        let there = find(files, &file.path);
        if there == Some(file) {
            continue;
        }
        let mut asked = None;
        if let FileKind::File { checksum: before, .. } = &file.kind {
            let FileKind::File { checksum, packaged, .. } = &there?.kind else { return None };
            if checksum != before {
                asked = Some(rewritten.get(&file.path)?.clone());
                packaged.as_ref().filter(|packaged| *packaged == before)?;
            }
        }
        let file = ReceiptFile { package: None, ..file.clone() };
        differing.push(PackagedFile { file, asked });
    }
    let brought: BTreeSet<&RelPath> = packaged.iter().map(|file| &file.path).collect();
    let is_its = |file: &&ReceiptFile| file.package.as_deref() == Some(name);
    let is_explained = files.iter().filter(is_its).all(|file| brought.contains(&file.path));
    is_explained.then_some(differing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Arch, Checksum, RECEIPT_FORMAT, Receipt};

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    fn file(at: &str, content: &str, package: &str) -> ReceiptFile {
        let checksum = Checksum::of(content.as_bytes());
        let kind = FileKind::File { size: content.len() as u64, checksum, packaged: None };
        let package = Some(package.to_owned());
        ReceiptFile { path: path(at), kind, mode: 0o755, package, config: false }
    }

    fn other(at: &str, kind: FileKind, package: &str) -> ReceiptFile {
        ReceiptFile { kind, ..file(at, "", package) }
    }

    fn rewritten(before: &ReceiptFile, content: &str) -> ReceiptFile {
        let FileKind::File { checksum, .. } = &before.kind else { panic!() };
        let packaged = Some(checksum.clone());
        let checksum = Checksum::of(content.as_bytes());
        let kind = FileKind::File { size: content.len() as u64, checksum, packaged };
        ReceiptFile { kind, ..before.clone() }
    }

    fn receipt(reuse: Reuse, files: Vec<ReceiptFile>) -> Receipt {
        Receipt {
            format: RECEIPT_FORMAT,
            arch: Arch::X86_64,
            dist: "el8".to_owned(),
            disabled_repositories: Vec::new(),
            enabled_repositories: Vec::new(),
            runtimes: Vec::new(),
            installed_at: 0,
            without_modes: false,
            elsewhere: "0".to_owned(),
            glibc_needed: None,
            sources: Vec::new(),
            packages: Vec::new(),
            files,
            set: Vec::new(),
            loading: None,
            reuse: Some(reuse),
            made_with: None,
            container: None,
        }
    }

    #[test]
    fn what_a_package_brought_can_be_told_from_the_tree() {
        let link = |text: &str| FileKind::Symlink { target: text.to_owned() };
        let program = file("bin/x", "program", "b");
        let brought = [
            other("bin", FileKind::Directory, "b"),
            program.clone(),
            file("bin/y", "same", "b"),
            other("bin/z", link("/usr/bin/y"), "b"),
        ];
        let tree = vec![
            other("bin", FileKind::Directory, "a"),
            rewritten(&program, "relocated"),
            file("bin/y", "same", "b"),
            other("bin/z", link("y"), "b"),
        ];
        let (needed, runpath) = (vec!["libx.so.1".to_owned()], Some("/usr/lib64/x".to_owned()));
        let old = Linking { needed, rpath: None, runpath };
        let asked = BTreeMap::from([(path("bin/x"), old.clone())]);
        let reuse = Reuse::of(7, [("b", &[][..], &brought[..])].into_iter(), &tree, &asked);
        let text = serde_json::to_string(&receipt(reuse, tree.clone())).unwrap();
        let receipt: Receipt = serde_json::from_str(&text).unwrap();
        let reusable = receipt.reusable("b", &[], 7).unwrap();
        assert_eq!(reusable.packaged, brought);
        assert_eq!(reusable.in_tree[1], tree[1]);
        assert_eq!(reusable.in_tree[3], brought[3]);
        let taken = [(path("bin/x"), Some(old)), (path("bin/y"), None)];
        assert_eq!(reusable.taken, Taken::from(taken));
        assert_eq!(receipt.reusable("b", &[], 8), None);
        assert_eq!(receipt.reusable("b", &[path("bin/x")], 7), None);
        assert_eq!(receipt.reusable("a", &[], 7), None);
    }

    #[test]
    fn edited_and_moved_files_are_not_taken_over() {
        let script = file("bin/x", "PREFIX=/usr", "b");
        let brought = [script.clone()];
        let packages = || [("b", &[][..], &brought[..])].into_iter();
        let none = BTreeMap::new();
        let edited = vec![rewritten(&script, "PREFIX=here")];
        assert!(Reuse::of(1, packages(), &edited, &none).packages.is_empty());
        let moved = vec![file("bin/x", "launcher", ""), file("libexec/x", "PREFIX=/usr", "b")];
        assert!(Reuse::of(1, packages(), &moved, &none).packages.is_empty());
    }
}
