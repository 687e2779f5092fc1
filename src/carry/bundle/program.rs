//! The programs of a bundle: each runs on every system of its architecture, whatever libraries that has.

use std::fs::File;
use std::path::Path;

use crate::elf::{Abi, Elf, Reading};
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
    let refuse = |why: &str| {
        let path = path.to_string_lossy();
        Err(Error::Usage(format!(
            "{} cannot be a bundle's program for {arch}: {why}; --program {arch}=FILE names another one, such \
             as that of a release",
            escape(&path)
        )))
    };
    match Elf::read(&file, Abi::of(arch)) {
        Ok(Reading::Native(elf))
            if elf.linkage.interpreter.is_some() || !elf.linkage.needed.is_empty() =>
        {
            refuse("it is linked dynamically, and would run only where its libraries are")
        }
        Ok(Reading::Native(_)) => Ok(file),
        Ok(Reading::Foreign) => refuse("it is for another architecture"),
        Ok(Reading::Other) => refuse("it is no program"),
        Err(error) => refuse(&error.to_string()),
    }
}
