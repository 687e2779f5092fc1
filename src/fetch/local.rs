//! Files of this machine that locations lead to. Metadata choose the names, so that there may be
//! anything at all: what never ends, or never begins, is not opened as if it were a file.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use super::Reason;

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
