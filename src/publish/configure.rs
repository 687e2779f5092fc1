//! What a site sets below `etc/` of each tree, before anybody sees it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::Serialize;

use crate::error::Error;
use crate::model::{CONFIG_DIRECTORY, Checksum, FileKind, ReceiptFile, RelPath, escape};
use crate::tools::files;
use crate::tools::replacement::{Care, Replacement};

/// Permissions of a file that no package brings.
const USUAL: u32 = 0o644;

/// What is asked for one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Override {
    /// These bytes.
    File(Vec<u8>),
    /// These values in lines `KEY = VALUE`.
    Set(BTreeMap<String, String>),
}

impl Override {
    /// The digest of what is asked for.
    #[must_use]
    pub(super) fn digest(&self) -> Checksum {
        match self {
            Self::File(bytes) => Checksum::of(bytes),
            Self::Set(values) => {
                let lines = values.iter().map(|(key, value)| format!("{key} = {value}\n"));
                Checksum::of(lines.collect::<String>().as_bytes())
            }
        }
    }
}

/// A path below `etc/`.
///
/// # Errors
/// When `path` does not stay there.
pub(super) fn place(path: &str) -> Result<RelPath, Error> {
    let below = RelPath::new(CONFIG_DIRECTORY).ok().zip(RelPath::new(path).ok());
    below
        .map(|(directory, path)| directory.join(&path))
        .ok_or_else(|| Error::Usage(format!("etc.{}: a path below etc/ is needed", escape(path))))
}

/// Sets what is asked for in `tree`, and returns what was: each file, and the directories that were made for them.
///
/// # Errors
/// When a file is missing in which something is to be set, or cannot be written.
pub(super) fn configure(
    tree: &Path,
    configuration: &BTreeMap<RelPath, Override>,
) -> Result<Vec<ReceiptFile>, Error> {
    let mut set_files = Vec::new();
    for (path, wanted) in configuration {
        let target = tree.join(path);
        let error = |source| Error::File { path: target.clone(), source };
        let (bytes, mode) = match wanted {
            Override::File(bytes) => (bytes.clone(), mode_of(&target).unwrap_or(USUAL)),
            Override::Set(values) => {
                let text = fs::read_to_string(&target).map_err(error)?;
                let mode = mode_of(&target).map_err(error)?;
                (set(&text, values).into_bytes(), mode)
            }
        };
        let made = write(tree, path, &bytes, mode).map_err(error)?;
        set_files.extend(made.into_iter().map(|path| listed(path, FileKind::Directory, 0o755)));
        let (size, checksum) = (bytes.len() as u64, Checksum::of(&bytes));
        let kind = FileKind::File { size, checksum, packaged: None };
        set_files.push(listed(path.clone(), kind, mode));
    }
    set_files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(set_files)
}

fn listed(path: RelPath, kind: FileKind, mode: u32) -> ReceiptFile {
    ReceiptFile { path, kind, mode, package: None, config: true }
}

fn mode_of(path: &Path) -> io::Result<u32> {
    let metadata = fs::symlink_metadata(path)?;
    match metadata.is_file() {
        true => Ok(metadata.permissions().mode() & 0o777),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "it is no regular file")),
    }
}

/// Writes the file, and returns the directories that had to be made.
fn write(tree: &Path, path: &RelPath, bytes: &[u8], mode: u32) -> io::Result<Vec<RelPath>> {
    let mut above: Vec<RelPath> = std::iter::successors(path.parent(), RelPath::parent).collect();
    above.reverse();
    let mut made = Vec::new();
    for directory in above {
        if files::make_directory(&tree.join(&directory), 0o755)? {
            made.push(directory);
        }
    }
    let target = tree.join(path);
    let new = files::unique(target.parent().unwrap_or(tree), "set");
    let fill = |file: &mut File| file.write_all(bytes);
    Replacement::file(new, Care::Durable(mode), fill)?.put(&target)?;
    Ok(made)
}

/// `text` with these values: the last line that sets a key is replaced; where none does, a line is added behind
/// the last that would if it were no comment, or at the end.
fn set(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (key, value) in values {
        let new = format!("{key} = {value}");
        let is_set = |line: &String| key_of(line) == Some(key.as_str());
        let is_comment = |line: &String| {
            let bare = line.trim_start().strip_prefix(['#', ';']);
            bare.and_then(key_of) == Some(key.as_str())
        };
        if let Some(line) = lines.iter_mut().rev().find(|line| is_set(line)) {
            *line = new;
        } else if let Some(at) = lines.iter().rposition(is_comment) {
            lines.insert(at + 1, new);
        } else {
            lines.push(new);
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The key that a line sets.
fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    (!key.is_empty() && !key.starts_with(['#', ';', '['])).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_counts_is_replaced_and_others_stay() {
        let set = |text: &str, key: &str, value: &str| {
            set(text, &BTreeMap::from([(key.to_owned(), value.to_owned())]))
        };
        let text = "# mount hostfs = no\nmount hostfs = no\n\nmax loop devices = 256\n";
        assert_eq!(
            set(text, "mount hostfs", "yes"),
            "# mount hostfs = no\nmount hostfs = yes\n\nmax loop devices = 256\n"
        );
        assert_eq!(set("#a=1\nb=2\n", "a", "3"), "#a=1\na = 3\nb=2\n");
        assert_eq!(set("a = 1\na = 2\n", "a", "3"), "a = 1\na = 3\n", "the last one counts");
        assert_eq!(set("b=2", "a", "x = y"), "b=2\na = x = y\n");
        assert_eq!(set("aa = 1\n", "a", "2"), "aa = 1\na = 2\n", "not what only begins so");
    }
}
