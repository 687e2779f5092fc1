//! The processor level that a file says it needs, from its `.note.gnu.property`.
//!
//! The format: *Linux Extensions to gABI*, "Program Property", and the x86-64 psABI.

use object::Endianness;
use object::elf::PT_GNU_PROPERTY;

use super::{ByteSource, ElfError, Segment};

/// `NT_GNU_PROPERTY_TYPE_0`.
const PROPERTY_NOTE: u32 = 5;
/// `GNU_PROPERTY_X86_ISA_1_NEEDED`: bit 0 is the baseline, bit 1 level 2, and so on.
const X86_ISA_NEEDED: u32 = 0xc000_8002;
/// Real notes have 16 to 64 bytes.
const LARGEST_NOTE: u64 = 64 << 10;

/// The x86-64 level (1 to 4) that a file of these `segments` says it needs; 0 when it says nothing.
pub(super) fn x86_64_level<S: ByteSource + ?Sized>(
    source: &S,
    endian: Endianness,
    segments: &[Segment],
) -> Result<u8, ElfError> {
    let is_x86 = endian == Endianness::Little;
    let note = segments.iter().find(|segment| segment.kind == PT_GNU_PROPERTY);
    let Some(note) = note.filter(|_| is_x86) else { return Ok(0) };
    let bytes = source.bytes(note.offset, note.file_size, LARGEST_NOTE)?;
    Ok(needed_isa(&bytes).map_or(0, level))
}

/// The bits of the `X86_ISA_1_NEEDED` property in a note of kind `GNU`.
fn needed_isa(note: &[u8]) -> Option<u32> {
    if word(note, 8)? != PROPERTY_NOTE || note.get(12..16)? != b"GNU\0" {
        return None;
    }
    let mut properties = note.get(16..)?;
    loop {
        let size = usize::try_from(word(properties, 4)?).ok()?;
        if word(properties, 0)? == X86_ISA_NEEDED {
            return word(properties, 8);
        }
        // Every property is padded to 8 bytes.
        let padded = size.checked_next_multiple_of(8)?.checked_add(8)?;
        properties = properties.get(padded..)?;
    }
}

fn level(bits: u32) -> u8 {
    u8::try_from(32 - (bits & 0xf).leading_zeros()).unwrap_or(0)
}

/// The little-endian word at `at`: only x86 files are looked at.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_needed_level_is_the_highest_bit() {
        let mut note = vec![4, 0, 0, 0, 32, 0, 0, 0, 5, 0, 0, 0];
        note.extend(b"GNU\0");
        note.extend([2, 0, 0, 0xc0, 4, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        note.extend([2, 0x80, 0, 0xc0, 4, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(needed_isa(&note).map(level), Some(3));
        assert_eq!(needed_isa(&note[..40]), None);
    }
}
