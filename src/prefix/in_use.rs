//! Whether something on this machine runs from a generation.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::layout::Layout;
use super::{Generation, Prefix};
use crate::tools::mounts;

impl Prefix {
    /// What uses `generation` on this machine: `process 12 (starter)`, as far as this user may look.
    /// Other machines, and other users' processes, cannot be seen.
    pub(super) fn user_of(&self, generation: &Generation) -> Option<String> {
        let marker = Layout::link_text(generation.arch, generation.number);
        let root = self.layout.root.canonicalize().ok()?;
        let mut seen = HashSet::new();
        let mut is_blind = true;
        for process in entries("/proc") {
            let Some(pid) = process.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok())
            else {
                continue;
            };
            is_blind = false;
            let is_new_namespace =
                fs::read_link(process.join("ns/mnt")).is_ok_and(|link| seen.insert(link));
            if runs_from(&process, &marker, &generation.path)
                || is_new_namespace && mounts_from(&process, &marker, &root, &generation.path)
            {
                let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
                return Some(format!("process {pid} ({})", crate::model::escape(name.trim_end())));
            }
        }
        // Better too long than under somebody's feet.
        is_blind.then(|| "programs that cannot be seen without /proc, for all one knows".to_owned())
    }
}

/// What is in a directory, as far as it can be read.
fn entries(directory: &str) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Whether the process's program is a file of the generation. Compared by what the file is, not by
/// its path alone: the prefix may have been reached through another mount, or moved.
fn runs_from(process: &Path, marker: &Path, generation: &Path) -> bool {
    let exe = process.join("exe");
    let Ok(path) = fs::read_link(&exe) else { return false };
    let Some((_, rest)) = split_at(&path, marker) else { return false };
    are_one(&exe, &generation.join(rest)) == Some(true)
}

/// Whether something in the process's mount table is of the generation: what is mounted there (of
/// which the table has the path on its file system) or where it is mounted.
fn mounts_from(process: &Path, marker: &Path, root: &Path, generation: &Path) -> bool {
    let Ok(table) = fs::read(process.join("mountinfo")) else { return false };
    // As the process sees it.
    let seen = |path: &Path| process.join("root").join(path.strip_prefix("/").unwrap_or(path));
    mounts::mounts(&table).any(|mount| {
        let is_its = split_at(&mount.root, marker).is_some_and(|(before, rest)| {
            are_one(&seen(&mount.point), &generation.join(rest))
                .unwrap_or_else(|| may_be_one(&before, root))
        });
        is_its
            || split_at(&mount.point, marker).is_some_and(|(before, _)| {
                are_one(&seen(&before), root).unwrap_or_else(|| may_be_one(&before, root))
            })
    })
}

/// Whether two paths lead to one file or directory; nothing where that cannot be seen.
fn are_one(one: &Path, other: &Path) -> Option<bool> {
    let (one, other) = (fs::metadata(one).ok()?, fs::metadata(other).ok()?);
    Some((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

/// Whether two paths may be those of one directory, of which one is seen from further above: from
/// outside of a container, or from the root of the file system.
fn may_be_one(one: &Path, other: &Path) -> bool {
    let below_root = |path: &Path| path.strip_prefix("/").unwrap_or(path).to_owned();
    one.ends_with(below_root(other)) || other.ends_with(below_root(one))
}

/// What stands before and after the components of `marker` in `path`.
fn split_at(path: &Path, marker: &Path) -> Option<(PathBuf, PathBuf)> {
    path.ancestors().find(|ancestor| ancestor.ends_with(marker)).and_then(|ancestor| {
        let before = ancestor.ancestors().nth(marker.components().count())?;
        Some((before.to_owned(), path.strip_prefix(ancestor).ok()?.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_found_in_a_path() {
        let marker = Path::new(".elsewhere/x86_64/2");
        let split = |path: &str| split_at(Path::new(path), marker);
        let found = split("/home/u/.elsewhere/x86_64/2/bin/x").unwrap();
        assert_eq!(found, ("/home/u".into(), "bin/x".into()));
        assert_eq!(split("/home/u/.elsewhere/x86_64/21/bin/x"), None);
        assert_eq!(split("/.elsewhere/x86_64/2").unwrap(), ("/".into(), "".into()));
    }

    #[test]
    fn a_directory_may_be_seen_from_further_above() {
        let may_be_one = |one: &str| may_be_one(Path::new(one), Path::new("/home/u"));
        assert!(may_be_one("/home/u") && may_be_one("/machines/1/root/home/u"));
        assert!(may_be_one("/u") && may_be_one("/"));
        assert!(!may_be_one("/home/v") && !may_be_one("/home/u/v") && !may_be_one("/srv/home"));
    }
}
