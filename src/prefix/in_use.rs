//! Whether something on this machine runs from a generation.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::layout::Layout;
use super::{Generation, Prefix};

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
                || is_new_namespace && mounts_from(&process, &marker, &root)
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
    match (fs::metadata(&exe), fs::metadata(generation.join(rest))) {
        (Ok(program), Ok(file)) => (program.dev(), program.ino()) == (file.dev(), file.ino()),
        _ => false,
    }
}

/// Whether something in the process's mount table is of the generation: the root of a bind mount
/// (a path on its file system) or a mount point.
fn mounts_from(process: &Path, marker: &Path, root: &Path) -> bool {
    let Ok(table) = fs::read(process.join("mountinfo")) else { return false };
    table.split(|&byte| byte == b'\n').any(|line| {
        line.split(|&byte| byte == b' ').skip(3).take(2).map(unescape).any(|path| {
            // The root of a mount lacks the beginning of the path.
            split_at(&path, marker).is_some_and(|(before, _)| {
                root.ends_with(before.strip_prefix("/").unwrap_or(&before))
            })
        })
    })
}

/// What stands before and after the components of `marker` in `path`.
fn split_at(path: &Path, marker: &Path) -> Option<(PathBuf, PathBuf)> {
    path.ancestors().find(|ancestor| ancestor.ends_with(marker)).and_then(|ancestor| {
        let before = ancestor.ancestors().nth(marker.components().count())?;
        Some((before.to_owned(), path.strip_prefix(ancestor).ok()?.to_owned()))
    })
}

/// A field of mountinfo: blanks and the like are written as `\040` (proc(5)).
fn unescape(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .filter(|_| byte == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        path.push(octal.unwrap_or(byte));
        rest = if octal.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    PathBuf::from(OsString::from(std::ffi::OsStr::from_bytes(&path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_tables_are_unescaped() {
        assert_eq!(unescape(br"/a\040b\134\012"), Path::new("/a b\\\n"));
        assert_eq!(unescape(br"/a\04"), Path::new(r"/a\04"));
    }

    #[test]
    fn a_generation_is_found_in_a_path() {
        let marker = Path::new(".elsewhere/x86_64/2");
        let split = |path: &str| split_at(Path::new(path), marker);
        let found = split("/home/u/.elsewhere/x86_64/2/bin/x").unwrap();
        assert_eq!(found, ("/home/u".into(), "bin/x".into()));
        assert_eq!(split("/home/u/.elsewhere/x86_64/21/bin/x"), None);
        assert_eq!(split("/.elsewhere/x86_64/2").unwrap(), ("/".into(), "".into()));
    }
}
