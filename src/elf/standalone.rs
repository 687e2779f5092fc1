//! Programs that run on every system of their architecture, whatever libraries that has.

use std::fs::File;

use super::{Abi, Elf, Reading};
use crate::model::Arch;

/// Makes sure that `file` is a program for `arch` that needs no libraries.
///
/// # Errors
/// Why it is none, in words.
pub(crate) fn check_standalone(arch: Arch, file: &File) -> Result<(), String> {
    let why = match Elf::read(file, Abi::of(arch)) {
        Ok(Reading::Native(elf))
            if elf.linkage.interpreter.is_some() || !elf.linkage.needed.is_empty() =>
        {
            "it is linked dynamically, and would run only where its libraries are"
        }
        Ok(Reading::Native(_)) => return Ok(()),
        Ok(Reading::Foreign) => "it is for another architecture",
        Ok(Reading::Other) => "it is no program",
        Err(error) => return Err(error.to_string()),
    };
    Err(why.to_owned())
}
