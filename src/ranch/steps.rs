//! The steps by which a ranch is made: each can be taken, and each can be said in words of the shell.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::MountFlags;

use crate::model::{escape, shell_word};
use crate::tools::namespaces;
use crate::tools::replacement::{Care, Replacement};

/// Where something lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the scratch directory, which nobody outside sees.
    Scratch(PathBuf),
    /// In the directory that the command will see as its root.
    Root(PathBuf),
    /// On this machine.
    Host(PathBuf),
}

/// The name of the root in the scratch directory.
pub(super) const ROOT: &str = "root";

impl Place {
    fn path(&self, scratch: &Path) -> PathBuf {
        match self {
            Self::Scratch(path) => scratch.join(path),
            Self::Root(path) => scratch.join(ROOT).join(path),
            Self::Host(path) => path.clone(),
        }
    }

    /// A place in it.
    pub(super) fn join(&self, name: impl AsRef<Path>) -> Self {
        match self {
            Self::Scratch(path) => Self::Scratch(path.join(name)),
            Self::Root(path) => Self::Root(path.join(name)),
            Self::Host(path) => Self::Host(path.join(name)),
        }
    }

    /// As a word of the shell, where `$scratch` is the scratch directory.
    fn word(&self) -> String {
        let word = |path: &Path| shell_word(&path.to_string_lossy()).into_owned();
        match self {
            Self::Scratch(path) => format!("\"$scratch\"/{}", word(path)),
            Self::Root(path) if path.as_os_str().is_empty() => format!("\"$scratch\"/{ROOT}"),
            Self::Root(path) => format!("\"$scratch\"/{ROOT}/{}", word(path)),
            Self::Host(path) => word(path),
        }
    }
}

/// A place, for messages.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scratch(path) => write!(f, "{} of the scratch directory", text(path)),
            Self::Root(path) => write!(f, "/{} of the root directory", text(path)),
            Self::Host(path) => f.write_str(&text(path)),
        }
    }
}

fn text(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A directory is made.
    Directory(Place),
    /// An empty file is made, for something to be mounted on.
    File(Place),
    /// A symlink is made.
    Link { at: Place, target: PathBuf },
    /// What lies in one place is seen in another too, with all that is mounted there.
    Bind { from: Place, at: Place },
    /// What is mounted there gets these flags and no other: nobody can write to it, for example.
    Restrict { at: Place, flags: MountFlags },
    /// An empty file or directory, or a symlink, is removed; anything else stays.
    Remove(Place),
    /// A file of this machine gets these bytes, all at once.
    Write { at: PathBuf, text: Vec<u8> },
}

impl Step {
    /// Takes it.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn take(&self, scratch: &Path) -> io::Result<()> {
        match self {
            Self::Directory(at) => DirBuilder::new().mode(0o755).create(at.path(scratch)),
            Self::File(at) => fs::File::create_new(at.path(scratch)).map(drop),
            Self::Link { at, target } => symlink(target, at.path(scratch)),
            Self::Bind { from, at } => namespaces::bind(&from.path(scratch), &at.path(scratch)),
            Self::Restrict { at, flags } => namespaces::restrict(&at.path(scratch), *flags),
            Self::Remove(at) => remove(&at.path(scratch)),
            Self::Write { at, text } => {
                // A run that was killed may have left one.
                let new = at.with_extension("new");
                let _ = fs::remove_file(&new);
                let fill = |file: &mut fs::File| file.write_all(text);
                Replacement::file(new, Care::Usual(0o600), fill)?.put(at)
            }
        }
    }

    /// What it does, for messages: `mount /a on /b of the root directory`.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Directory(at) => format!("make the directory {at}"),
            Self::File(at) => format!("make the file {at}"),
            Self::Link { at, .. } => format!("make the link {at}"),
            Self::Bind { from, at } => format!("mount {from} on {at}"),
            Self::Restrict { at, .. } => format!("restrict what is mounted on {at}"),
            Self::Remove(at) => format!("remove {at}"),
            Self::Write { at, .. } => format!("write {}", text(at)),
        }
    }

    /// A command of the shell that does the same.
    pub(super) fn command(&self) -> String {
        match self {
            Self::Directory(at) => format!("mkdir -- {}", at.word()),
            Self::File(at) => format!(": > {}", at.word()),
            Self::Link { at, target } => {
                format!("ln -s -- {} {}", shell_word(&target.to_string_lossy()), at.word())
            }
            Self::Bind { from, at } => format!("mount --rbind {} {}", from.word(), at.word()),
            Self::Restrict { at, flags } => {
                let names = namespaces::flag_names(*flags).join(",");
                format!("mount -o remount,bind,{names} {}", at.word())
            }
            // Of what is kept no script is printed.
            Self::Remove(_) | Self::Write { .. } => ":".to_owned(),
        }
    }
}

/// Removes what holds nothing.
fn remove(path: &Path) -> io::Result<()> {
    let kinds = [io::ErrorKind::NotFound, io::ErrorKind::DirectoryNotEmpty];
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir(path),
        Ok(found) if found.is_file() && found.len() > 0 => Ok(()),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    removed.or_else(|error| if kinds.contains(&error.kind()) { Ok(()) } else { Err(error) })
}
