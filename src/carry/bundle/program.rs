//! The programs of a bundle: each runs on every system of its architecture, whatever libraries that has.

use std::fs::File;
use std::path::Path;

use crate::elf::check_standalone;
use crate::error::Error;
use crate::model::{Arch, escape};

/// What the program for `arch` is called in a bundle.
pub(super) fn program_name(arch: Arch) -> String {
    format!("elsewhere-{arch}")
}

/// The program at `path`, if it is one for `arch` that needs no libraries.
///
/// # Errors
/// When it is something else.
pub(super) fn open_program(arch: Arch, path: &Path) -> Result<File, Error> {
    let file = File::open(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    check_standalone(arch, &file).map_err(|why| {
        let path = path.to_string_lossy();
        Error::Usage(format!(
            "{} cannot be a bundle's program for {arch}: {why}; --program {arch}=FILE names another one, such \
             as that of a release",
            escape(&path)
        ))
    })?;
    Ok(file)
}
