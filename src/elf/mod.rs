//! A tool for `relocate` and `audit`: what the dynamic loader sees of an ELF file and of a tree of
//! them. Everything in a file is a claim: offsets, sizes and counts are bounded before use.
//!
//! The format: *System V ABI*, chapters 4 and 5, and glibc's `elf/dl-load.c` for the search.

mod dynamic;
mod file;
mod property;
mod segment;
mod source;
mod standalone;
mod strings;
mod survey;
mod versions;
mod walk;

pub(crate) use dynamic::{Dynamic, Entry};
pub(crate) use file::{Elf, Linkage, Reading};
pub(crate) use segment::{Section, Segment};
pub(crate) use source::{ByteSource, Overlay, Patch};
pub(crate) use standalone::check_standalone;
pub(crate) use strings::Strings;
pub(crate) use survey::{Object, Survey, Unopened, origin_directory};
pub(crate) use walk::{Led, Places};

use std::io::{self, Read};

use object::Endianness;
use object::elf::{ELFMAG, EM_AARCH64, EM_PPC64, EM_S390, EM_X86_64, Machine};

use crate::model::Arch;

/// Why an ELF file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ElfError {
    /// The file contradicts itself, or passes a bound of this program.
    #[error("{0}")]
    Malformed(&'static str),
    /// It cannot be read.
    #[error("cannot be read")]
    Io(#[from] std::io::Error),
}

/// What an architecture's ELF files have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abi {
    /// `e_machine`.
    pub(crate) machine: Machine,
    /// Byte order.
    pub(crate) endian: Endianness,
    /// The largest page, in bytes, that a kernel of the architecture uses: segments must not
    /// share one.
    pub(crate) page: u64,
}

impl Abi {
    /// The rules of `arch`, from its processor supplement to the System V ABI.
    pub(crate) fn of(arch: Arch) -> Self {
        let (machine, endian, page) = match arch {
            Arch::X86_64 => (EM_X86_64, Endianness::Little, 0x1000),
            Arch::Aarch64 => (EM_AARCH64, Endianness::Little, 0x1_0000),
            Arch::Ppc64le => (EM_PPC64, Endianness::Little, 0x1_0000),
            Arch::S390x => (EM_S390, Endianness::Big, 0x1000),
        };
        Self { machine, endian, page }
    }
}

/// Whether a file, from where it is read next, begins as ELF files do.
pub(crate) fn is_elf(file: impl Read) -> io::Result<bool> {
    let mut start = Vec::new();
    file.take(ELFMAG.len() as u64).read_to_end(&mut start)?;
    Ok(start == ELFMAG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elf_files_are_known_by_their_beginning() {
        assert!(is_elf(&b"\x7fELF\x02"[..]).unwrap());
        assert!(!is_elf(&b"\x7fEL"[..]).unwrap());
        assert!(!is_elf(&b"#!/bin/sh"[..]).unwrap());
    }
}
