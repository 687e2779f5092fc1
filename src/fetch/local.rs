//! Files of this machine that locations lead to. Metadata choose the names, so that there may be
//! anything at all: what never ends, or never begins, is not opened as if it were a file.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::Reason;
use crate::tools::excerpt::Excerpt;

/// One file that holds many, by the names that a mirror's directory has them by.
pub(crate) trait Members: fmt::Debug + Send + Sync {
    /// The bytes of a member, whatever they are by now.
    ///
    /// # Errors
    /// When there is none of this name (`NotFound`).
    fn member(&self, name: &Path) -> io::Result<Excerpt>;

    /// What names just this one of all, whatever its file is called.
    fn identity(&self) -> String;
}

/// Where something is that is read where it lies.
#[derive(Clone, Debug)]
pub(super) enum Local {
    /// A file.
    File(PathBuf),
    /// What a file holds, by its name there.
    Member(Arc<dyn Members>, PathBuf),
}

impl PartialEq for Local {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Member(one, name), Self::Member(other, other_name)) => {
                name == other_name && one.identity() == other.identity()
            }
            _ => false,
        }
    }
}

impl Eq for Local {}

impl Local {
    /// Its name, without what it is a member of.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Member(_, path) => path,
        }
    }

    /// The bytes, and how many there are.
    pub(super) fn open(&self) -> Result<(Excerpt, u64), Reason> {
        match self {
            Self::File(path) => open(path).map(|(file, size)| (file.into(), size)),
            Self::Member(members, name) => {
                let member = members.member(name).map_err(Reason::File)?;
                let size = member.length();
                Ok((member, size))
            }
        }
    }
}

/// The regular file at `path`, and how many bytes it has.
pub(super) fn open(path: &Path) -> Result<(File, u64), Reason> {
    // Without it, a FIFO keeps whoever opens it waiting.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let found = opened.and_then(|file| file.metadata().map(|about| (file, about)));
    let (file, about) = found.map_err(Reason::File)?;
    match about.is_file() {
        true => Ok((file, about.len())),
        false => Err(Reason::File(io::Error::other("it is no regular file"))),
    }
}
