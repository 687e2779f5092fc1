//! Where one more program header of an ELF file finds room: in place of one that is of no use, or behind
//! them, when what lies there can move away.

use object::elf::{
    DT_FINI, DT_FINI_ARRAY, DT_INIT, DT_INIT_ARRAY, DT_JMPREL, DT_PLTGOT, DT_PREINIT_ARRAY, DT_REL,
    DT_RELA, DT_RELR, DynamicTag, PT_DYNAMIC, PT_GNU_PROPERTY, PT_INTERP, PT_LOAD, PT_NOTE,
    PT_NULL, PT_PHDR, SHT_DYNAMIC, SHT_DYNSYM, SHT_GNU_HASH, SHT_GNU_VERDEF, SHT_GNU_VERNEED,
    SHT_GNU_VERSYM, SHT_HASH, SHT_NOBITS, SHT_NOTE, SHT_NULL, SHT_STRTAB, SectionType,
};

use super::entries::TABLES;
use super::unchangeable::Unchangeable;
use crate::elf::{ByteSource, Elf, Section, Segment};

/// Size of a program header in bytes.
pub(super) const SEGMENT_SIZE: u64 = 56;
/// Symbol tables of the largest real libraries have some 10 MB.
const LARGEST_BLOCK: u64 = 32 << 20;
/// What patchelf writes over what it moved away.
const WIPED: [u8; 2] = *b"XZ";
/// Sections that are reached through program headers or dynamic entries only.
const MOVABLE_SECTIONS: [SectionType; 9] = [
    SHT_NOTE,
    SHT_DYNAMIC,
    SHT_HASH,
    SHT_GNU_HASH,
    SHT_DYNSYM,
    SHT_STRTAB,
    SHT_GNU_VERSYM,
    SHT_GNU_VERNEED,
    SHT_GNU_VERDEF,
];

/// Entries that point to code, data or relocations, which must stay.
const CODE: [DynamicTag; 10] = [
    DT_FINI,
    DT_FINI_ARRAY,
    DT_INIT,
    DT_INIT_ARRAY,
    DT_JMPREL,
    DT_PLTGOT,
    DT_PREINIT_ARRAY,
    DT_REL,
    DT_RELA,
    DT_RELR,
];

/// A range of the file that moves as one piece, so that a new program header finds room. Empty
/// where there is room already.
#[derive(Debug)]
pub(super) struct Block {
    /// Its first position in the file.
    pub(super) start: u64,
    /// The position after its last.
    end: u64,
    /// Its first position in memory.
    pub(super) address: u64,
}

/// Something that occupies a range of the file.
#[derive(Clone, Copy)]
struct Piece {
    start: u64,
    end: u64,
    is_movable: bool,
}

/// Where a new program header goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Behind the others, where the block moves away.
    New,
    /// In place of the one with this number.
    Instead(usize),
}

impl Slot {
    /// Finds the place for one more program header of `elf`, and what must move away for it.
    pub(super) fn find<S: ByteSource + ?Sized>(
        source: &S,
        elf: &Elf,
        sections: &[Section],
    ) -> Result<(Self, Block), Unchangeable> {
        let position = |fits: &dyn Fn(&Segment) -> bool| elf.segments.iter().position(fits);
        let useless = position(&|segment| segment.kind == PT_NULL || is_stale(elf, segment));
        if let Some(useless) = useless {
            return Ok((Self::Instead(useless), Block::empty(elf)));
        }
        match Block::find(source, elf, sections) {
            Ok(block) => Ok((Self::New, block)),
            Err(reason @ Unchangeable::NoRoom(_)) => {
                let note = position(&|segment| segment.kind == PT_NOTE).ok_or(reason)?;
                Ok((Self::Instead(note), Block::empty(elf)))
            }
            Err(reason) => Err(reason),
        }
    }
}

/// Whether a segment says that a note lies where the program headers do: tools that add headers forget
/// to tell of notes that they moved.
fn is_stale(elf: &Elf, segment: &Segment) -> bool {
    let headers = elf.segments.len() as u64 * SEGMENT_SIZE;
    let end = elf.segments_at.saturating_add(headers);
    [PT_NOTE, PT_GNU_PROPERTY].contains(&segment.kind)
        && segment.file_size > 0
        && segment.offset < end
        && elf.segments_at < segment.file_end()
}

impl Piece {
    fn overlaps(&self, start: u64, end: u64) -> bool {
        self.start < end && start < self.end
    }
}

impl Block {
    /// Nothing.
    fn empty(elf: &Elf) -> Self {
        Self { start: elf.segments_at, end: elf.segments_at, address: 0 }
    }

    /// Finds what must move away from behind the program headers of `elf`.
    fn find<S: ByteSource + ?Sized>(
        source: &S,
        elf: &Elf,
        sections: &[Section],
    ) -> Result<Self, Unchangeable> {
        let headers = elf.segments.len() as u64 * SEGMENT_SIZE;
        let start = elf.segments_at.saturating_add(headers);
        let end = start.saturating_add(SEGMENT_SIZE);
        let head = elf
            .segments
            .iter()
            .find(|segment| segment.is_loaded())
            .filter(|head| head.offset <= elf.segments_at && end <= head.file_end())
            .ok_or(Unchangeable::NoRoom("its first segment does not hold its headers"))?;
        let pieces = pieces(elf, sections);
        if pieces.iter().any(|piece| piece.overlaps(elf.segments_at, start)) {
            return Err(Unchangeable::NoRoom("its program headers overlap something"));
        }
        // Without section headers, nobody can tell what nothing uses any more.
        let is_wiped = |byte: u8| !sections.is_empty() && WIPED.contains(&byte);
        if !is_free_between(source, &pieces, start, end, is_wiped)? {
            return Err(Unchangeable::NoRoom("unknown bytes follow its program headers"));
        }
        let (start, end) = hull(&pieces, start, end)?;
        let address = start.wrapping_sub(head.offset).wrapping_add(head.address);
        Ok(Self { start, end, address })
    }

    /// Its bytes.
    pub(super) fn read<S: ByteSource + ?Sized>(&self, source: &S) -> Result<Vec<u8>, Unchangeable> {
        Ok(source.bytes(self.start, self.size(), LARGEST_BLOCK)?)
    }

    /// Its size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.end - self.start
    }

    /// Whether the position `offset` of the file belongs to it.
    pub(super) fn holds(&self, offset: u64) -> bool {
        (self.start..self.end).contains(&offset)
    }

    /// Whether the position `address` in memory belongs to it.
    pub(super) fn holds_address(&self, address: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|distance| distance < self.size())
    }
}

/// Everything that is known to occupy bytes: section headers, sections, segments, and where the
/// tables of the dynamic section begin.
fn pieces(elf: &Elf, sections: &[Section]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> =
        sections.iter().filter_map(|section| section_piece(elf, section)).collect();
    let segments = elf.segments.iter().filter(|segment| segment.file_size > 0);
    pieces.extend(segments.filter_map(segment_piece));
    for (tags, is_table) in [(TABLES.as_slice(), true), (CODE.as_slice(), false)] {
        for start in tags.iter().filter_map(|tag| table_start(elf, *tag)) {
            let is_covered =
                pieces.iter().any(|piece| piece.overlaps(start, start.saturating_add(1)));
            if !is_table || !is_covered {
                pieces.push(Piece { start, end: start.saturating_add(1), is_movable: false });
            }
        }
    }
    let table = elf.section_count.into();
    pieces.push(Piece {
        start: elf.sections_at,
        end: elf.sections_at.saturating_add(64u64.saturating_mul(table)),
        is_movable: false,
    });
    pieces
}

fn section_piece(elf: &Elf, section: &Section) -> Option<Piece> {
    if section.size == 0 || [SHT_NULL, SHT_NOBITS].contains(&section.kind) {
        return None;
    }
    let is_interpreter = elf.segments.iter().any(|segment| {
        segment.kind == PT_INTERP
            && segment.offset == section.offset
            && segment.file_size == section.size
    });
    Some(Piece {
        start: section.offset,
        end: section.offset.saturating_add(section.size),
        is_movable: section.allocated
            && (is_interpreter || MOVABLE_SECTIONS.contains(&section.kind)),
    })
}

fn segment_piece(segment: &Segment) -> Option<Piece> {
    if [PT_LOAD, PT_PHDR].contains(&segment.kind) {
        return None;
    }
    let is_movable = [PT_INTERP, PT_NOTE, PT_GNU_PROPERTY, PT_DYNAMIC].contains(&segment.kind);
    Some(Piece { start: segment.offset, end: segment.file_end(), is_movable })
}

/// Where in the file the entry `tag` of the dynamic section points to.
fn table_start(elf: &Elf, tag: DynamicTag) -> Option<u64> {
    elf.dynamic.as_ref()?.value(tag).and_then(|address| elf.offset_of(address))
}

/// Whether every byte in `start..end` that belongs to no piece is padding.
fn is_free_between<S: ByteSource + ?Sized>(
    source: &S,
    pieces: &[Piece],
    start: u64,
    end: u64,
    is_wiped: impl Fn(u8) -> bool,
) -> Result<bool, Unchangeable> {
    let bytes = source.bytes(start, end - start, SEGMENT_SIZE)?;
    let is_taken = |at: u64| pieces.iter().any(|piece| piece.overlaps(at, at + 1));
    Ok(bytes.iter().zip(start..).all(|(byte, at)| *byte == 0 || is_wiped(*byte) || is_taken(at)))
}

/// The smallest range of whole pieces that frees `start..end`.
fn hull(pieces: &[Piece], start: u64, end: u64) -> Result<(u64, u64), Unchangeable> {
    let mut block = (start, start);
    loop {
        let reach = block.1.max(end);
        let hit = pieces.iter().filter(|piece| piece.overlaps(start, reach));
        let mut next = block;
        for piece in hit {
            if !piece.is_movable {
                return Err(Unchangeable::NoRoom("code or data follow its program headers"));
            }
            next.1 = next.1.max(piece.end);
        }
        if next == block {
            return Ok(block);
        }
        block = next;
        if block.1 - block.0 > LARGEST_BLOCK {
            return Err(Unchangeable::NoRoom("too much follows its program headers"));
        }
    }
}
