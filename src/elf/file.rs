//! One ELF file: its headers, and what it asks of the loader.

use std::collections::BTreeSet;

use object::Endianness;
use object::elf::{
    DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB, ELFCLASS64, ELFMAG, ET_DYN,
    ET_EXEC, FileHeader64, PT_DYNAMIC, PT_INTERP, SHT_DYNAMIC, SHT_NOBITS,
};
use object::pod;

use super::segment::{SECTION_SIZE, SEGMENT_SIZE, offset_of, read_sections, read_segments};
use super::versions::{Required, VersionTables};
use super::{Abi, ByteSource, Dynamic, ElfError, Section, Segment, Strings, dynamic, property};

/// Bytes of string table that are read at most. The largest real one has about 10 MB.
const LARGEST_STRINGS: u64 = 32 << 20;
/// `PATH_MAX`: the kernel takes no longer interpreter.
const LONGEST_INTERPRETER: u64 = 4096;
/// glibc loads `libgcc_s` when one of these is called, without naming it in `DT_NEEDED`.
const LIBGCC_CALLERS: [&str; 3] = ["pthread_exit", "pthread_cancel", "backtrace"];
/// What loads a library while the program runs.
const OPENERS: [&str; 2] = ["dlopen", "dlmopen"];

/// What a file turned out to be.
#[derive(Debug)]
pub(crate) enum Reading {
    /// No ELF file, or one that no loader loads (an object file, a core dump, debug information that
    /// was taken out of a program).
    Other,
    /// A program or library of another architecture.
    Foreign,
    /// A program or library of the architecture asked for.
    Native(Box<Elf>),
}

/// A program or library.
#[derive(Debug)]
pub(crate) struct Elf {
    /// Byte order.
    pub(crate) endian: Endianness,
    /// Position of the program headers.
    pub(crate) segments_at: u64,
    /// The program headers.
    pub(crate) segments: Vec<Segment>,
    /// Position of the section headers.
    pub(crate) sections_at: u64,
    /// Their number; 0 when they were stripped off.
    pub(crate) section_count: u16,
    /// The dynamic section; `None` in static programs.
    pub(crate) dynamic: Option<Dynamic>,
    /// The strings that the dynamic section refers to.
    pub(crate) strings: Strings,
    /// What it asks of the loader.
    pub(crate) linkage: Linkage,
}

/// What a file asks of the loader, and gives to others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Linkage {
    /// The loader: `PT_INTERP`. Programs have one.
    pub(crate) interpreter: Option<String>,
    /// `DT_SONAME`.
    pub(crate) soname: Option<String>,
    /// `DT_NEEDED`, in order, each name once: the loader loads none twice.
    pub(crate) needed: Vec<String>,
    /// `DT_RPATH`.
    pub(crate) rpath: Option<String>,
    /// `DT_RUNPATH`.
    pub(crate) runpath: Option<String>,
    /// Symbol versions asked of others.
    pub(crate) required: Vec<Required>,
    /// Symbol versions defined.
    pub(crate) provided: Vec<String>,
    /// Whether glibc loads `libgcc_s.so.1` by itself when this file does what it can do.
    pub(crate) may_load_libgcc: bool,
    /// Whether it can load libraries that it does not name.
    pub(crate) may_load_others: bool,
    /// The x86-64 level (1 to 4) that the file says it needs; 0 when it says nothing.
    pub(crate) x86_64_level: u8,
}

impl Elf {
    /// Reads the headers, the dynamic section and the strings of `source`, for a tree of `abi`.
    pub(crate) fn read<S: ByteSource + ?Sized>(source: &S, abi: Abi) -> Result<Reading, ElfError> {
        let header_size = size_of::<FileHeader64<Endianness>>() as u64;
        let magic = source.bytes(0, source.len().min(4), 4)?;
        if magic != ELFMAG {
            return Ok(Reading::Other);
        }
        let Ok(bytes) = source.bytes(0, header_size, header_size) else {
            return Ok(Reading::Other);
        };
        let (header, _) = pod::from_bytes::<FileHeader64<Endianness>>(&bytes)
            .map_err(|()| ElfError::Malformed("the header is cut off"))?;
        let is_native = header.e_ident.class == ELFCLASS64
            && header.e_ident.data == data_encoding(abi.endian)
            && header.e_machine.get(abi.endian) == abi.machine;
        if !is_native {
            return Ok(Reading::Foreign);
        }
        if ![ET_EXEC, ET_DYN].contains(&header.e_type.get(abi.endian)) {
            return Ok(Reading::Other);
        }
        Self::read_native(source, header, abi.endian)
            .map(|elf| elf.map_or(Reading::Other, |elf| Reading::Native(Box::new(elf))))
    }

    fn read_native<S: ByteSource + ?Sized>(
        source: &S,
        header: &FileHeader64<Endianness>,
        endian: Endianness,
    ) -> Result<Option<Self>, ElfError> {
        if u64::from(header.e_phentsize.get(endian)) != SEGMENT_SIZE {
            return Err(ElfError::Malformed("the program headers have an unknown size"));
        }
        let segments_at = header.e_phoff.get(endian);
        let segments = read_segments(source, endian, segments_at, header.e_phnum.get(endian))?;
        let has_sections = u64::from(header.e_shentsize.get(endian)) == SECTION_SIZE;
        let mut elf = Self {
            endian,
            segments_at,
            segments,
            sections_at: header.e_shoff.get(endian),
            section_count: if has_sections { header.e_shnum.get(endian) } else { 0 },
            dynamic: None,
            strings: Strings::default(),
            linkage: Linkage::default(),
        };
        if elf.is_detached(source) {
            return Ok(None);
        }
        elf.dynamic = dynamic::read_dynamic(source, endian, &elf.segments)?;
        elf.strings = elf.read_strings(source)?;
        elf.linkage = elf.read_linkage(source)?;
        Ok(Some(elf))
    }

    /// Whether it is debug information apart from its program: that has the program's headers, and
    /// its section headers say that what they speak of is not in this file. What is there may begin where
    /// a section does that is in no file, as one of a thread's own variables.
    fn is_detached<S: ByteSource + ?Sized>(&self, source: &S) -> bool {
        let Some(dynamic) = self.segments.iter().find(|segment| segment.kind == PT_DYNAMIC) else {
            return false;
        };
        let sections = self.sections(source).unwrap_or_default();
        let has = |kind| {
            let begins = |it: &Section| it.allocated && it.address == dynamic.address;
            sections.iter().any(|section| section.kind == kind && begins(section))
        };
        has(SHT_NOBITS) && !has(SHT_DYNAMIC)
    }

    /// The section headers; none when they were stripped off.
    pub(crate) fn sections<S: ByteSource + ?Sized>(
        &self,
        source: &S,
    ) -> Result<Vec<Section>, ElfError> {
        read_sections(source, self.endian, self.sections_at, self.section_count)
    }

    /// The position in the file of the byte that is at `address` in memory.
    pub(crate) fn offset_of(&self, address: u64) -> Option<u64> {
        offset_of(&self.segments, address)
    }

    fn read_strings<S: ByteSource + ?Sized>(&self, source: &S) -> Result<Strings, ElfError> {
        let Some(dynamic) = &self.dynamic else { return Ok(Strings::default()) };
        let (Some(address), Some(size)) = (dynamic.value(DT_STRTAB), dynamic.value(DT_STRSZ))
        else {
            return Ok(Strings::default());
        };
        let offset = self
            .offset_of(address)
            .ok_or(ElfError::Malformed("the string table is in no segment"))?;
        source.bytes(offset, size, LARGEST_STRINGS).map(Strings::new)
    }

    fn read_linkage<S: ByteSource + ?Sized>(&self, source: &S) -> Result<Linkage, ElfError> {
        let mut linkage = Linkage {
            interpreter: self.read_interpreter(source)?,
            x86_64_level: property::x86_64_level(source, self.endian, &self.segments)?,
            ..Linkage::default()
        };
        let Some(dynamic) = &self.dynamic else { return Ok(linkage) };
        let text = |tag| dynamic.value(tag).map(|offset| self.strings.at(offset)).transpose();
        linkage.soname = text(DT_SONAME)?;
        linkage.rpath = text(DT_RPATH)?;
        linkage.runpath = text(DT_RUNPATH)?;
        linkage.needed = self.read_needed(dynamic)?;
        let (endian, segments, strings) = (self.endian, &self.segments, &self.strings);
        let versions = VersionTables { endian, segments, dynamic, strings };
        linkage.required = versions.required(source)?;
        linkage.provided = versions.provided(source)?;
        linkage.may_load_libgcc = strings.has_any(&LIBGCC_CALLERS);
        linkage.may_load_others = strings.has_any(&OPENERS);
        Ok(linkage)
    }

    fn read_needed(&self, dynamic: &Dynamic) -> Result<Vec<String>, ElfError> {
        let (mut needed, mut seen) = (Vec::new(), BTreeSet::new());
        for offset in dynamic.values(DT_NEEDED) {
            let name = self.strings.at(offset)?;
            if seen.insert(name.clone()) {
                needed.push(name);
            }
        }
        Ok(needed)
    }

    fn read_interpreter<S: ByteSource + ?Sized>(
        &self,
        source: &S,
    ) -> Result<Option<String>, ElfError> {
        let Some(segment) = self.segments.iter().find(|segment| segment.kind == PT_INTERP) else {
            return Ok(None);
        };
        let bytes = source.bytes(segment.offset, segment.file_size, LONGEST_INTERPRETER)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(Some(text.trim_end_matches('\0').to_owned()))
    }
}

fn data_encoding(endian: Endianness) -> object::elf::DataEncoding {
    match endian {
        Endianness::Little => object::elf::ELFDATA2LSB,
        Endianness::Big => object::elf::ELFDATA2MSB,
    }
}
