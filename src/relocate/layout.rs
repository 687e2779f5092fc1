//! Lets an ELF file ask something else of the loader, by writing into it: where a run path fits into what is
//! there, a few bytes inside; else a few bytes inside and the rest behind its end.
//!
//! The new string table goes into a new segment behind the end of the file. That segment needs a program
//! header. Where one is of no use, it takes its place; else the table grows by one entry where it lies:
//! kernels before 5.18 find a program's headers only at the start of its first segment. What lay in that
//! place (the loader's name, notes, tables) moves into the new segment. Where that must not move, a
//! note's header gives way: nothing reads notes while a program runs. `.dynamic` stays where it is unless
//! it lies in that place, or has no spare entry.

use std::collections::BTreeMap;

use object::elf::{
    DT_NEEDED, DT_RPATH, DT_STRSZ, DT_STRTAB, FileHeader64, PF_R, PF_W, PT_DYNAMIC, PT_LOAD,
    PT_PHDR, SHT_DYNAMIC, SHT_STRTAB,
};
use object::endian::{U16, U64};
use object::{Endianness, pod};

use super::block::{Block, SEGMENT_SIZE, Slot};
use super::entries::{TABLES, dynamic_patch, kept_entries};
use super::symbols::MovedSection;
use super::unchangeable::Unchangeable;
use super::{check, in_place, symbols};
use crate::elf::{Abi, ByteSource, Dynamic, Elf, Entry, Linkage, Overlay, Patch, Section, Segment};
use crate::model::Linking;

/// Tables need 8, notes 4 or 8.
const ALIGNMENT: u64 = 16;
/// Beyond this the address space of some architectures ends.
const HIGHEST_ADDRESS: u64 = 1 << 46;

/// The patches after which the file in `source`, read as `elf`, asks what is `wanted`, which has no
/// `DT_RUNPATH`. Checked: the file as it will be reads as it did otherwise, and obeys what kernel and
/// loader demand of one.
pub(super) fn plan<S: ByteSource + ?Sized>(
    source: &S,
    elf: &Elf,
    abi: Abi,
    wanted: &Linking,
) -> Result<Vec<Patch>, Unchangeable> {
    let Linking { needed, rpath, .. } = wanted;
    let (needed, rpath) = (needed.clone(), rpath.clone());
    let linkage = Linkage { needed, rpath, runpath: None, ..elf.linkage.clone() };
    let in_place = match (&wanted.rpath, wanted.needed == elf.linkage.needed) {
        (None, true) => Some(vec![dynamic_patch(elf, kept_entries(elf))?]),
        (Some(rpath), true) => in_place::plan(source, elf, rpath)?,
        (_, false) => None,
    };
    if let Some(patches) = in_place {
        let checked = check::check_linkage(&Overlay::new(source, &patches), abi, &linkage);
        match (checked, &wanted.rpath) {
            (Ok(_), _) => return Ok(patches),
            (Err(reason), None) => return Err(reason),
            (Err(_), Some(_)) => {}
        }
    }
    let patches = Growth::new(source, elf, abi)?.patches(source, wanted)?;
    check::check(&Overlay::new(source, &patches), abi, &linkage)?;
    Ok(patches)
}

/// A dynamic section that gets another place.
struct MovedDynamic {
    address: u64,
    offset: u64,
    bytes: Vec<u8>,
}

impl MovedDynamic {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// A file that gets one more segment.
struct Growth<'a> {
    elf: &'a Elf,
    dynamic: &'a Dynamic,
    sections: Vec<Section>,
    /// Where the new segment's header finds room.
    slot: Slot,
    /// What moves out of the way of the program headers.
    block: Block,
    /// Where the new segment begins in the file: with the block.
    offset: u64,
    /// Where it begins in memory.
    address: u64,
    page: u64,
    /// Where bytes are appended.
    end_of_file: u64,
}

impl<'a> Growth<'a> {
    fn new<S: ByteSource + ?Sized>(
        source: &S,
        elf: &'a Elf,
        abi: Abi,
    ) -> Result<Self, Unchangeable> {
        let sections = elf.sections(source)?;
        let static_linked = Unchangeable::NoRoom("it is linked statically");
        let dynamic = elf.dynamic.as_ref().ok_or(static_linked)?;
        let (slot, block) = Slot::find(source, elf, &sections)?;
        let end_of_file = source.len();
        let offset = end_of_file
            .checked_next_multiple_of(ALIGNMENT)
            .and_then(|end| end.checked_add(block.start % ALIGNMENT))
            .ok_or(Unchangeable::NoRoom("it is too large"))?;
        let loaded = elf.segments.iter().filter(|segment| segment.is_loaded());
        let top = loaded.map(Segment::memory_end).max().unwrap_or(0);
        if top > HIGHEST_ADDRESS {
            return Err(Unchangeable::NoRoom("its addresses leave none for one more segment"));
        }
        let address = top.next_multiple_of(abi.page) + offset % abi.page;
        let page = abi.page;
        Ok(Self { elf, dynamic, sections, slot, block, offset, address, page, end_of_file })
    }

    fn patches<S: ByteSource + ?Sized>(
        &self,
        source: &S,
        wanted: &Linking,
    ) -> Result<Vec<Patch>, Unchangeable> {
        let mut strings = self.elf.strings.bytes().to_vec();
        if strings.last().is_none_or(|byte| *byte != 0) {
            strings.push(0);
        }
        let mut entries = self.asking(wanted, &mut strings)?;
        self.move_tables(&mut entries, strings.len() as u64);
        let in_place = match self.block.holds(self.dynamic.offset) {
            true => None,
            false => dynamic_patch(self.elf, entries.clone()).ok(),
        };
        let moved_dynamic = match in_place {
            Some(_) => None,
            None => Some(self.moved_dynamic(&entries, strings.len() as u64)?),
        };
        let mut patches = self.header_patches(strings.len() as u64, moved_dynamic.as_ref())?;
        patches.extend(in_place);
        let moved = self.moved_sections(strings.len() as u64, moved_dynamic.as_ref());
        patches.extend(moved.iter().map(|moved| self.section_patch(moved)));
        patches.extend(symbols::patches(source, self.elf.endian, &self.sections, &moved));
        patches.push(self.appended(source, &strings, moved_dynamic.as_ref())?);
        Ok(patches)
    }

    /// The dynamic section behind the strings.
    fn moved_dynamic(
        &self,
        entries: &[Entry],
        strings_size: u64,
    ) -> Result<MovedDynamic, Unchangeable> {
        let end = self.strings_at(self.address) + strings_size;
        let address = end.next_multiple_of(ALIGNMENT);
        let offset = self.offset + (address - self.address);
        let moved = Dynamic { offset, capacity: entries.len() + 1, entries: Vec::new() };
        let bytes = moved.encode(entries, self.elf.endian);
        let bytes = bytes.ok_or(Unchangeable::NoRoom("its dynamic section is too large"))?;
        Ok(MovedDynamic { address, offset, bytes })
    }

    /// Where the strings lie in the new segment: behind the block.
    fn strings_at(&self, start: u64) -> u64 {
        start + self.block.size()
    }

    /// The program headers with that of the new segment, and their count.
    fn header_patches(
        &self,
        strings_size: u64,
        dynamic: Option<&MovedDynamic>,
    ) -> Result<Vec<Patch>, Unchangeable> {
        let strings_end = self.strings_at(self.offset) + strings_size;
        let end = dynamic.map_or(strings_end, |dynamic| dynamic.offset + dynamic.size());
        let size = end - self.offset;
        let kept = self.elf.segments.iter().enumerate();
        let kept = kept.filter(|(index, _)| self.slot != Slot::Instead(*index));
        let mut segments: Vec<Segment> =
            kept.map(|(_, old)| self.moved_segment(old, dynamic)).collect();
        let place = segments.iter().rposition(Segment::is_loaded).map_or(0, |last| last + 1);
        segments.insert(
            place,
            Segment {
                kind: PT_LOAD,
                // The loader writes into a dynamic section.
                flags: if dynamic.is_some() { PF_R | PF_W } else { PF_R },
                offset: self.offset,
                address: self.address,
                physical: self.address,
                file_size: size,
                memory_size: size,
                alignment: self.page,
            },
        );
        let count = u16::try_from(segments.len())
            .map_err(|_| Unchangeable::NoRoom("it has too many segments"))?;
        let bytes = segments.iter().flat_map(|segment| segment.encode(self.elf.endian)).collect();
        let count_at = std::mem::offset_of!(FileHeader64<Endianness>, e_phnum) as u64;
        let count = U16::<Endianness>::new(self.elf.endian, count);
        Ok(vec![
            Patch { offset: self.elf.segments_at, bytes },
            Patch { offset: count_at, bytes: pod::bytes_of(&count).to_vec() },
        ])
    }

    fn moved_segment(&self, old: &Segment, dynamic: Option<&MovedDynamic>) -> Segment {
        let mut segment = *old;
        match (old.kind, dynamic) {
            (PT_PHDR, _) if self.slot == Slot::New => {
                segment.file_size = segment.file_size.saturating_add(SEGMENT_SIZE);
                segment.memory_size = segment.memory_size.saturating_add(SEGMENT_SIZE);
            }
            (PT_DYNAMIC, Some(dynamic)) => {
                (segment.offset, segment.address) = (dynamic.offset, dynamic.address);
                (segment.file_size, segment.memory_size) = (dynamic.size(), dynamic.size());
                segment.physical = segment.address;
            }
            _ if !old.is_loaded() && old.file_size > 0 && self.block.holds(old.offset) => {
                segment.offset = self.moved_offset(old.offset);
                segment.address = self.moved_address(old.address);
                segment.physical = segment.address;
            }
            _ => {}
        }
        segment
    }

    /// The dynamic entries that ask what is `wanted`; `strings` get the names that they lack.
    fn asking(&self, wanted: &Linking, strings: &mut Vec<u8>) -> Result<Vec<Entry>, Unchangeable> {
        let mut entries = kept_entries(self.elf);
        if wanted.needed != self.elf.linkage.needed {
            let mut known = BTreeMap::new();
            for place in self.dynamic.values(DT_NEEDED) {
                known.insert(self.elf.strings.at(place)?, place);
            }
            entries.retain(|entry| entry.tag != DT_NEEDED);
            let needed = wanted.needed.iter().map(|name| Entry {
                tag: DT_NEEDED,
                value: known.get(name).copied().unwrap_or_else(|| append(strings, name)),
            });
            entries.splice(..0, needed);
        }
        let rpath = wanted.rpath.iter();
        entries.extend(rpath.map(|rpath| Entry { tag: DT_RPATH, value: append(strings, rpath) }));
        Ok(entries)
    }

    /// Lets the dynamic entries tell where tables are that get another place.
    fn move_tables(&self, entries: &mut [Entry], strings_size: u64) {
        for entry in entries {
            entry.value = match entry.tag {
                DT_STRTAB => self.strings_at(self.address),
                DT_STRSZ => strings_size,
                tag if TABLES.contains(&tag) && self.block.holds_address(entry.value) => {
                    self.moved_address(entry.value)
                }
                _ => entry.value,
            };
        }
    }

    /// The sections that move.
    fn moved_sections(
        &self,
        strings_size: u64,
        dynamic: Option<&MovedDynamic>,
    ) -> Vec<MovedSection> {
        let strings = self.elf.dynamic.as_ref().and_then(|dynamic| dynamic.value(DT_STRTAB));
        let moved = self.sections.iter().enumerate().filter_map(|(number, section)| {
            let moved_dynamic = dynamic.filter(|_| section.kind == SHT_DYNAMIC);
            let (address, offset, size) = if !section.allocated {
                return None;
            } else if let Some(dynamic) = moved_dynamic {
                (dynamic.address, dynamic.offset, dynamic.size())
            } else if section.kind == SHT_STRTAB && Some(section.address) == strings {
                (self.strings_at(self.address), self.strings_at(self.offset), strings_size)
            } else if self.block.holds(section.offset) {
                let address = self.moved_address(section.address);
                (address, self.moved_offset(section.offset), section.size)
            } else {
                return None;
            };
            Some(MovedSection { number, section: *section, address, offset, size })
        });
        moved.collect()
    }

    fn section_patch(&self, moved: &MovedSection) -> Patch {
        let fields = [moved.address, moved.offset, moved.size];
        let fields = fields.map(|value| U64::<Endianness>::new(self.elf.endian, value));
        Patch { offset: moved.section.place_field(), bytes: pod::bytes_of(&fields).to_vec() }
    }

    /// What goes behind the end of the file: padding, the block, the strings, the dynamic section.
    fn appended<S: ByteSource + ?Sized>(
        &self,
        source: &S,
        strings: &[u8],
        dynamic: Option<&MovedDynamic>,
    ) -> Result<Patch, Unchangeable> {
        let padding = usize::try_from(self.offset - self.end_of_file).unwrap_or(0);
        let mut bytes = vec![0; padding];
        bytes.extend(self.block.read(source)?);
        bytes.extend(strings);
        if let Some(dynamic) = dynamic {
            let start = usize::try_from(dynamic.offset - self.end_of_file).unwrap_or(0);
            bytes.resize(start.max(bytes.len()), 0);
            bytes.extend(&dynamic.bytes);
        }
        Ok(Patch { offset: self.end_of_file, bytes })
    }

    fn moved_offset(&self, offset: u64) -> u64 {
        self.offset + (offset - self.block.start)
    }

    fn moved_address(&self, address: u64) -> u64 {
        self.address.wrapping_add(address.wrapping_sub(self.block.address))
    }
}

/// Adds a string to a table. Returns where it is.
fn append(strings: &mut Vec<u8>, text: &str) -> u64 {
    let place = strings.len() as u64;
    strings.extend(text.as_bytes());
    strings.push(0);
    place
}
