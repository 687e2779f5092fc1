//! Program headers and section headers, decoded and encoded.

use object::Endianness;
use object::elf::{
    PT_LOAD, ProgramFlags, ProgramHeader64, ProgramType, SectionHeader64, SectionType,
};
use object::endian::{U32, U64};
use object::pod;

use super::{ByteSource, ElfError};

/// Size of a program header in bytes (`e_phentsize`).
pub(crate) const SEGMENT_SIZE: u64 = 56;
/// Size of a section header in bytes (`e_shentsize`).
pub(crate) const SECTION_SIZE: u64 = 64;
/// More than any real program has (about 15), and a bound on work.
const MOST_SEGMENTS: u64 = 128;
/// Every count that fits the header: 4 MiB.
const MOST_SECTIONS: u64 = 65_535;

/// A program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// `PT_…`.
    pub(crate) kind: ProgramType,
    /// `PF_…`.
    pub(crate) flags: ProgramFlags,
    /// Position in the file.
    pub(crate) offset: u64,
    /// Position in memory.
    pub(crate) address: u64,
    /// `p_paddr`: without meaning on Linux, kept equal to the address by linkers.
    pub(crate) physical: u64,
    /// Bytes in the file.
    pub(crate) file_size: u64,
    /// Bytes in memory.
    pub(crate) memory_size: u64,
    /// `p_align`.
    pub(crate) alignment: u64,
}

impl Segment {
    /// Whether the loader maps it.
    pub(crate) fn is_loaded(&self) -> bool {
        self.kind == PT_LOAD
    }

    /// The position in the file after its last byte.
    pub(crate) fn file_end(&self) -> u64 {
        self.offset.saturating_add(self.file_size)
    }

    /// The position in memory after its last byte.
    pub(crate) fn memory_end(&self) -> u64 {
        self.address.saturating_add(self.memory_size)
    }

    /// Its bytes in a program header table.
    pub(crate) fn encode(&self, endian: Endianness) -> Vec<u8> {
        let header = ProgramHeader64 {
            p_type: U32::new(endian, self.kind),
            p_flags: U32::new(endian, self.flags),
            p_offset: U64::new(endian, self.offset),
            p_vaddr: U64::new(endian, self.address),
            p_paddr: U64::new(endian, self.physical),
            p_filesz: U64::new(endian, self.file_size),
            p_memsz: U64::new(endian, self.memory_size),
            p_align: U64::new(endian, self.alignment),
        };
        pod::bytes_of(&header).to_vec()
    }
}

/// The position in the file of the byte that is at `address` in memory.
pub(super) fn offset_of(segments: &[Segment], address: u64) -> Option<u64> {
    let holder = segments.iter().find(|segment| {
        segment.is_loaded()
            && address >= segment.address
            && address - segment.address < segment.file_size
    })?;
    (address - holder.address).checked_add(holder.offset)
}

/// Reads `count` program headers at `offset`.
pub(super) fn read_segments<S: ByteSource + ?Sized>(
    source: &S,
    endian: Endianness,
    offset: u64,
    count: u16,
) -> Result<Vec<Segment>, ElfError> {
    let size = u64::from(count) * SEGMENT_SIZE;
    let bytes = source.bytes(offset, size, MOST_SEGMENTS * SEGMENT_SIZE)?;
    let headers: &[ProgramHeader64<Endianness>] = pod::slice_from_all_bytes(&bytes)
        .map_err(|()| ElfError::Malformed("the program headers are cut off"))?;
    Ok(headers.iter().map(|header| decode_segment(header, endian)).collect())
}

fn decode_segment(header: &ProgramHeader64<Endianness>, endian: Endianness) -> Segment {
    Segment {
        kind: header.p_type.get(endian),
        flags: header.p_flags.get(endian),
        offset: header.p_offset.get(endian),
        address: header.p_vaddr.get(endian),
        physical: header.p_paddr.get(endian),
        file_size: header.p_filesz.get(endian),
        memory_size: header.p_memsz.get(endian),
        alignment: header.p_align.get(endian),
    }
}

/// What relocation needs of a section header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// Position of the header itself in the file.
    pub(crate) header: u64,
    /// `SHT_…`.
    pub(crate) kind: SectionType,
    /// Whether it is in memory at run time (`SHF_ALLOC`).
    pub(crate) allocated: bool,
    /// Position in memory.
    pub(crate) address: u64,
    /// Position in the file.
    pub(crate) offset: u64,
    /// Bytes.
    pub(crate) size: u64,
}

impl Section {
    /// Position of `sh_addr` in the file; `sh_offset` and `sh_size` follow it, 8 bytes each.
    pub(crate) fn place_field(&self) -> u64 {
        self.header.saturating_add(16)
    }
}

/// Reads `count` section headers at `offset`.
pub(super) fn read_sections<S: ByteSource + ?Sized>(
    source: &S,
    endian: Endianness,
    offset: u64,
    count: u16,
) -> Result<Vec<Section>, ElfError> {
    let size = u64::from(count) * SECTION_SIZE;
    let bytes = source.bytes(offset, size, MOST_SECTIONS * SECTION_SIZE)?;
    let headers: &[SectionHeader64<Endianness>] = pod::slice_from_all_bytes(&bytes)
        .map_err(|()| ElfError::Malformed("the section headers are cut off"))?;
    let places = (0u64..).map(|index| offset.saturating_add(index * SECTION_SIZE));
    Ok(headers.iter().zip(places).map(|(raw, at)| decode_section(raw, endian, at)).collect())
}

fn decode_section(raw: &SectionHeader64<Endianness>, endian: Endianness, header: u64) -> Section {
    Section {
        header,
        kind: raw.sh_type.get(endian),
        allocated: raw.sh_flags.get(endian).contains(object::elf::SHF_ALLOC),
        address: raw.sh_addr.get(endian),
        offset: raw.sh_offset.get(endian),
        size: raw.sh_size.get(endian),
    }
}
