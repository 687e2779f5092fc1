//! The dynamic section: what the loader is told.

use object::Endianness;
use object::elf::{DT_NULL, Dyn64, DynamicTag, PT_DYNAMIC};
use object::endian::{I64, U64};
use object::pod;

use super::{ByteSource, ElfError, Segment};

/// Size of a dynamic entry in bytes.
pub(crate) const ENTRY_SIZE: u64 = 16;
/// More than any real file has; libraries with hundreds of dependencies stay below.
const MOST_ENTRIES: u64 = 4096;

/// An entry of the dynamic section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `DT_…`.
    pub(crate) tag: DynamicTag,
    /// A number or an address.
    pub(crate) value: u64,
}

/// The dynamic section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dynamic {
    /// Position in the file.
    pub(crate) offset: u64,
    /// How many entries there is room for, `DT_NULL`s included.
    pub(crate) capacity: usize,
    /// The entries before the first `DT_NULL`.
    pub(crate) entries: Vec<Entry>,
}

impl Dynamic {
    /// The value of the last entry with `tag`: the loader keeps the last one too.
    pub(crate) fn value(&self, tag: DynamicTag) -> Option<u64> {
        self.entries.iter().rev().find(|entry| entry.tag == tag).map(|entry| entry.value)
    }

    /// The values of all entries with `tag`, in order.
    pub(crate) fn values(&self, tag: DynamicTag) -> impl Iterator<Item = u64> + '_ {
        self.entries.iter().filter(move |entry| entry.tag == tag).map(|entry| entry.value)
    }

    /// The bytes of the section with these `entries` instead, as long as it was. `None` when
    /// they and the closing `DT_NULL` do not fit.
    pub(crate) fn encode(&self, entries: &[Entry], endian: Endianness) -> Option<Vec<u8>> {
        let spare = self.capacity.checked_sub(entries.len()).filter(|spare| *spare > 0)?;
        let nulls = std::iter::repeat_n(Entry { tag: DT_NULL, value: 0 }, spare);
        let encode = |entry: Entry| Dyn64 {
            d_tag: I64::new(endian, entry.tag),
            d_val: U64::new(endian, entry.value),
        };
        let raw: Vec<Dyn64<Endianness>> =
            entries.iter().copied().chain(nulls).map(encode).collect();
        Some(pod::bytes_of_slice(&raw).to_vec())
    }
}

/// Reads the section that `PT_DYNAMIC` names; `None` when there is none.
pub(super) fn read_dynamic<S: ByteSource + ?Sized>(
    source: &S,
    endian: Endianness,
    segments: &[Segment],
) -> Result<Option<Dynamic>, ElfError> {
    let Some(segment) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) else {
        return Ok(None);
    };
    let count = segment.file_size / ENTRY_SIZE;
    let bytes = source.bytes(segment.offset, count * ENTRY_SIZE, MOST_ENTRIES * ENTRY_SIZE)?;
    let raw: &[Dyn64<Endianness>] = pod::slice_from_all_bytes(&bytes)
        .map_err(|()| ElfError::Malformed("the dynamic section is cut off"))?;
    let entries = raw
        .iter()
        .map(|raw| Entry { tag: raw.d_tag.get(endian), value: raw.d_val.get(endian) })
        .take_while(|entry| entry.tag != DT_NULL)
        .collect();
    Ok(Some(Dynamic { offset: segment.offset, capacity: raw.len(), entries }))
}
