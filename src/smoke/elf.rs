//! Which files the glibc loader can be asked about.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::model::Arch;

/// Size of an ELF-64 file header, in bytes (ELF specification, figure 4-3).
const HEADER: usize = 64;
/// Size of an ELF-64 program header, in bytes.
const PROGRAM_HEADER: usize = 56;
/// `p_type` of the dynamic section's segment.
const PT_DYNAMIC: u32 = 2;

/// Whether `path` is a program or library for `arch` that has a dynamic section. Files that are no
/// ELF, or whose headers make no sense, are not: what is broken is the audit's to say.
pub(super) fn is_dynamic(path: &Path, arch: Arch) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut header = [0; HEADER];
    match file.read_exact(&mut header) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        result => result?,
    }
    let Some(elf) = Elf::parse(&header, arch) else { return Ok(false) };
    file.seek(SeekFrom::Start(elf.headers_at))?;
    // At most 65535 headers: 3.7 MB.
    let mut headers = Vec::new();
    file.take((elf.header_count * PROGRAM_HEADER) as u64).read_to_end(&mut headers)?;
    Ok(headers.chunks_exact(PROGRAM_HEADER).any(|header| elf.u32(header) == Some(PT_DYNAMIC)))
}

/// The few fields of a file header that matter here.
struct Elf {
    is_little_endian: bool,
    headers_at: u64,
    header_count: usize,
}

impl Elf {
    /// `None` unless it is a 64-bit executable or shared object of `arch`.
    fn parse(header: &[u8; HEADER], arch: Arch) -> Option<Self> {
        let (machine, data) = match arch {
            Arch::X86_64 => (62, 1),
            Arch::Aarch64 => (183, 1),
            Arch::Ppc64le => (21, 1),
            Arch::S390x => (22, 2),
        };
        let is_64_bit = header.starts_with(&[0x7f, b'E', b'L', b'F', 2, data]);
        let mut elf = Self { is_little_endian: data == 1, headers_at: 0, header_count: 0 };
        elf.headers_at = elf.u64(header.get(32..)?)?;
        elf.header_count = usize::from(elf.u16(header.get(56..)?)?);
        let (kind, machine_there) = (elf.u16(header.get(16..)?)?, elf.u16(header.get(18..)?)?);
        let size_there = usize::from(elf.u16(header.get(54..)?)?);
        // ET_EXEC and ET_DYN.
        let is_right = matches!(kind, 2 | 3) && machine_there == machine;
        (is_64_bit && is_right && size_there == PROGRAM_HEADER && elf.headers_at < 1 << 40)
            .then_some(elf)
    }

    fn u16(&self, bytes: &[u8]) -> Option<u16> {
        let bytes = *bytes.first_chunk()?;
        Some(if self.is_little_endian {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    }

    fn u32(&self, bytes: &[u8]) -> Option<u32> {
        let bytes = *bytes.first_chunk()?;
        Some(if self.is_little_endian {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    }

    fn u64(&self, bytes: &[u8]) -> Option<u64> {
        let bytes = *bytes.first_chunk()?;
        Some(if self.is_little_endian {
            u64::from_le_bytes(bytes)
        } else {
            u64::from_be_bytes(bytes)
        })
    }
}
