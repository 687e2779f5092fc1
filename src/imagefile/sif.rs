//! SIF, version 01: a header of 128 bytes, descriptors of 585 bytes each, and what these describe (sylabs/sif,
//! pkg/sif; all numbers are little-endian, nothing is padded).

use std::io::{BufReader, Read, Seek, SeekFrom};

use super::found::{ImageFault, ImageFile, ImageMachine, number, unusable};

/// The header, in bytes.
pub(super) const HEADER: usize = 128;

const MAGIC: &[u8] = b"SIF_MAGIC\0";
const MAGIC_AT: usize = 32;
const VERSION: &[u8] = b"01\0";
const VERSION_AT: usize = 42;
const TOTAL_AT: usize = 88;
const TABLE_AT: usize = 96;

/// A descriptor, in bytes, and where what is read of it stands.
const DESCRIPTOR: usize = 585;
const IS_USED_AT: usize = 4;
const OFFSET_AT: usize = 17;
const SIZE_AT: usize = 25;
const EXTRA_AT: usize = 201;

/// More descriptors than any image has; runtimes make 48.
const MOST_DESCRIPTORS: u64 = 1 << 16;

/// Kinds of data: a partition, and the root of an OCI image.
const PARTITION: i32 = 0x4004;
const OCI_ROOT: i32 = 0x400A;

/// The partition that containers start from.
const PRIMARY_SYSTEM: i32 = 2;

/// Kinds of file systems in a partition.
const SQUASHFS: i32 = 1;
const EXT3: i32 = 2;
const ARCHIVE: i32 = 3;
const RAW: i32 = 4;
const ENCRYPTED: i32 = 5;
const GOCRYPTFS: i32 = 6;

/// Machines by their numbers.
const MACHINES: [([u8; 2], ImageMachine); 13] = [
    (*b"01", machine("386", &["i386", "i486", "i586", "i686", "x86_64"])),
    (*b"02", machine("amd64", &["x86_64"])),
    (*b"03", machine("arm", &["armv6l", "armv7l", "armv8l", "aarch64"])),
    (*b"04", machine("arm64", &["aarch64"])),
    (*b"05", machine("ppc64", &["ppc64"])),
    (*b"06", machine("ppc64le", &["ppc64le"])),
    (*b"07", machine("mips", &["mips"])),
    (*b"08", machine("mipsle", &["mips"])),
    (*b"09", machine("mips64", &["mips64"])),
    (*b"10", machine("mips64le", &["mips64"])),
    (*b"11", machine("s390x", &["s390x"])),
    (*b"12", machine("riscv64", &["riscv64"])),
    (*b"13", machine("loong64", &["loongarch64"])),
];

const fn machine(name: &'static str, machines: &'static [&'static str]) -> ImageMachine {
    ImageMachine { name, machines }
}

/// Whether a file with these first bytes claims to be one.
pub(super) fn is_one(head: &[u8]) -> bool {
    head.get(MAGIC_AT..).is_some_and(|rest| rest.starts_with(MAGIC))
}

/// The partition that containers start from, of a file of `length` bytes.
pub(super) fn system_partition(
    file: &mut (impl Read + Seek),
    head: &[u8],
    length: u64,
) -> Result<ImageFile, ImageFault> {
    if !head.get(VERSION_AT..).is_some_and(|rest| rest.starts_with(VERSION)) {
        return Err(unusable("it is SIF of another version than 01"));
    }
    let total = count(head, TOTAL_AT).filter(|&total| total <= MOST_DESCRIPTORS);
    let table = count(head, TABLE_AT).filter(|&table| table >= HEADER as u64);
    let (Some(total), Some(table)) = (total, table) else {
        return Err(unusable("its header makes no sense"));
    };
    let is_within = |(from, size): (u64, u64)| {
        from.checked_add(size).is_some_and(|end| end <= length && size > 0)
    };
    if !is_within((table, total * DESCRIPTOR as u64)) {
        return Err(unusable("its list of contents is not within the file"));
    }
    file.seek(SeekFrom::Start(table))?;
    let mut reader = BufReader::new(file);
    let mut found = None;
    let mut is_oci = false;
    for _ in 0..total {
        let mut descriptor = [0; DESCRIPTOR];
        reader.read_exact(&mut descriptor)?;
        let kind = number(&descriptor, 0).map(i32::from_le_bytes);
        if descriptor.get(IS_USED_AT) != Some(&1) {
            continue;
        }
        is_oci |= kind == Some(OCI_ROOT);
        let extra = descriptor.get(EXTRA_AT..).unwrap_or_default();
        let part = number(extra, 4).map(i32::from_le_bytes);
        if kind != Some(PARTITION) || part != Some(PRIMARY_SYSTEM) {
            continue;
        }
        check_kind(number(extra, 0).map_or(0, i32::from_le_bytes))?;
        let place = count(&descriptor, OFFSET_AT).zip(count(&descriptor, SIZE_AT));
        let Some((offset, size)) = place.filter(|&place| is_within(place)) else {
            return Err(unusable("its system partition is not within the file"));
        };
        let machine = known_machine(extra.get(8..).unwrap_or_default());
        if found.replace(ImageFile { offset, size, machine }).is_some() {
            return Err(unusable("it has two system partitions"));
        }
    }
    found.ok_or_else(|| match is_oci {
        true => unusable("it is an OCI-SIF file, whose layers are no file system by themselves"),
        false => unusable("it has no system partition"),
    })
}

/// Refuses a partition that is no squashfs.
fn check_kind(kind: i32) -> Result<(), ImageFault> {
    let what = match kind {
        SQUASHFS => return Ok(()),
        EXT3 => "ext3, which only runtimes with root's help mount",
        ENCRYPTED => "encrypted (dm-crypt), which only root opens",
        GOCRYPTFS => "encrypted (gocryptfs), and there is no key for it here",
        ARCHIVE => "an archive",
        RAW => "raw data",
        _ => "of an unknown kind",
    };
    Err(unusable(format!("its system partition is {what}; squashfs is needed")))
}

fn known_machine(code: &[u8]) -> Option<ImageMachine> {
    let found = MACHINES.iter().find(|(known, _)| code.starts_with(known));
    found.map(|(_, machine)| *machine)
}

/// A number that is signed in the file, and none below zero makes sense.
fn count(bytes: &[u8], at: usize) -> Option<u64> {
    number(bytes, at).map(i64::from_le_bytes).and_then(|number| u64::try_from(number).ok())
}
