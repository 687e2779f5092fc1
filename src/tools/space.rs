//! How much can still be written.

use std::io;
use std::path::Path;

use super::files::is_refusal;

/// Bytes that an ordinary user can still write at `path`, or where it will be.
pub(crate) fn available(path: &Path) -> io::Result<u64> {
    let there = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/"));
    let answer = rustix::fs::statvfs(there)?;
    if answer.f_blocks == 0 {
        return Err(rustix::io::Errno::NOSYS.into());
    }
    Ok(answer.f_bavail.saturating_mul(answer.f_frsize))
}

/// The bytes that are free at `path`, where those are fewer than `needed`.
///
/// # Errors
/// When the file system does not answer.
pub(crate) fn shortage(path: &Path, needed: u64) -> io::Result<Option<u64>> {
    match available(path) {
        // Not every file system tells: writing will.
        Err(error) if is_refusal(&error) => Ok(None),
        available => Ok(Some(available?).filter(|available| *available < needed)),
    }
}

/// What is needed and what is free, for people.
pub(crate) fn amounts(needed: Option<u64>, available: Option<u64>) -> String {
    match (needed, available) {
        (Some(needed), Some(available)) => {
            format!(": {} needed, {} free", size(needed), size(available))
        }
        (None, Some(available)) => format!(": {} free (or the quota is used up)", size(available)),
        _ => String::new(),
    }
}

/// Bytes for people, in powers of ten.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}
