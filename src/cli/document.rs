//! Documents that a command writes where the user says: lock files, bills of materials.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::error::Error;
use crate::terminal::Terminal;
use crate::tools::replacement::{Care, Replacement};

/// Whether `path` is standard output.
pub(super) fn is_standard_output(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|it| path.as_os_str() == *it)
}

/// Writes `text` to `path`, or to standard output where that is `-`, and says so. A file is replaced
/// whole or not at all; a symlink stays, and so do a device, a pipe and what is open already
/// (`/dev/fd/3`), which are written to.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(path: &Path, text: &str, terminal: &Terminal) -> Result<(), Error> {
    if is_standard_output(path) {
        terminal.output_document(text.trim_end());
        return Ok(());
    }
    // Through every symlink, to what is there in the end.
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let append = || {
        let opened = File::options().append(true).open(path);
        opened.and_then(|mut file| file.write_all(text.as_bytes()))
    };
    let is_open = ["/dev/stderr", "/dev/fd", "/proc"].iter().any(|it| path.starts_with(it));
    let is_dangling = fs::symlink_metadata(&place).is_ok_and(|it| it.is_symlink());
    let written = match fs::metadata(&place) {
        Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(there) if is_open || !there.is_file() => append(),
        _ if is_dangling => fs::write(path, text),
        _ => replace(&place, text),
    };
    written.map_err(|source| Error::File { path: path.to_owned(), source })?;
    terminal.line(format_args!("wrote {}", path.display()));
    Ok(())
}

/// Replaces the file at `path` by one step.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fill = |file: &mut File| file.write_all(text.as_bytes());
    Replacement::file(path.with_file_name(name), Care::Usual(0o666), fill)?.put(path)
}
