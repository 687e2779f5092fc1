//! The entries of the dynamic section: which are about tables, and those of a file that gets another run
//! path.

use object::elf::{
    DT_GNU_HASH, DT_HASH, DT_RELACOUNT, DT_RELCOUNT, DT_RPATH, DT_RUNPATH, DT_STRTAB, DT_SYMTAB,
    DT_VERDEF, DT_VERNEED, DT_VERSYM, DynamicTag,
};

use super::unchangeable::Unchangeable;
use crate::elf::{Elf, Entry, Patch};

/// Entries that point to tables which may lie anywhere: nothing but these entries refers to them.
pub(super) const TABLES: [DynamicTag; 7] =
    [DT_HASH, DT_GNU_HASH, DT_STRTAB, DT_SYMTAB, DT_VERSYM, DT_VERDEF, DT_VERNEED];
/// Entries that only make loading faster, so that one can give its place to the run path.
const HINTS: [DynamicTag; 2] = [DT_RELACOUNT, DT_RELCOUNT];

/// The dynamic entries without run paths.
pub(super) fn kept_entries(elf: &Elf) -> Vec<Entry> {
    let entries = elf.dynamic.iter().flat_map(|dynamic| &dynamic.entries);
    entries.filter(|entry| ![DT_RPATH, DT_RUNPATH].contains(&entry.tag)).copied().collect()
}

/// What makes `entries` the dynamic entries of `elf`, where they are.
pub(super) fn dynamic_patch(elf: &Elf, mut entries: Vec<Entry>) -> Result<Patch, Unchangeable> {
    let dynamic = elf.dynamic.as_ref().ok_or(Unchangeable::NoRoom("it is linked statically"))?;
    if entries.len() >= dynamic.capacity {
        entries.retain(|entry| !HINTS.contains(&entry.tag));
    }
    let bytes = dynamic
        .encode(&entries, elf.endian)
        .ok_or(Unchangeable::NoRoom("its dynamic section has no spare entry"))?;
    Ok(Patch { offset: dynamic.offset, bytes })
}
