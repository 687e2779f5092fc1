//! The symbols of sections that move. The loader does not read them; debuggers and checkers do.

use std::collections::BTreeMap;
use std::mem::offset_of;

use object::elf::{SHT_SYMTAB, Sym64};
use object::endian::U64;
use object::{Endianness, pod};

use crate::elf::{ByteSource, Patch, Section};

/// Bytes of a symbol table that are read at most. The largest programs have some 10 MB.
const LARGEST_TABLE: u64 = 64 << 20;

/// A section that gets another place.
pub(super) struct MovedSection {
    /// Its number.
    pub(super) number: usize,
    /// As it was.
    pub(super) section: Section,
    /// Its new first position in memory.
    pub(super) address: u64,
    /// Its new first position in the file.
    pub(super) offset: u64,
    /// Its new size in bytes.
    pub(super) size: u64,
}

/// What must be written into the symbol tables so that symbols move with their sections.
pub(super) fn patches<S: ByteSource + ?Sized>(
    source: &S,
    endian: Endianness,
    sections: &[Section],
    moved: &[MovedSection],
) -> Vec<Patch> {
    let distances: BTreeMap<usize, u64> = moved
        .iter()
        .map(|moved| (moved.number, moved.address.wrapping_sub(moved.section.address)))
        .collect();
    let mut patches = Vec::new();
    for table in sections.iter().filter(|section| section.kind == SHT_SYMTAB) {
        let whole = table.size - table.size % size_of::<Sym64<Endianness>>() as u64;
        // One that lies outside the file serves nobody, moved or not.
        let bytes = source.bytes(table.offset, whole, LARGEST_TABLE).unwrap_or_default();
        let symbols: &[Sym64<Endianness>] = pod::slice_from_all_bytes(&bytes).unwrap_or_default();
        let places = (table.offset..).step_by(size_of::<Sym64<Endianness>>());
        for (symbol, at) in symbols.iter().zip(places) {
            let section = usize::from(symbol.st_shndx.get(endian).0);
            let Some(distance) = distances.get(&section) else { continue };
            let value = symbol.st_value.get(endian).wrapping_add(*distance);
            patches.push(Patch {
                offset: at + offset_of!(Sym64<Endianness>, st_value) as u64,
                bytes: pod::bytes_of(&U64::<Endianness>::new(endian, value)).to_vec(),
            });
        }
    }
    patches
}
