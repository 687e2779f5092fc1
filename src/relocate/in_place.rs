//! Gives an ELF file another run path where its strings have the new one already, or the old one leaves
//! room for it. Nothing moves, and the file keeps its size.

use object::elf::{
    DT_AUDIT, DT_AUXILIARY, DT_CONFIG, DT_DEPAUDIT, DT_FILTER, DT_NEEDED, DT_RPATH, DT_RUNPATH,
    DT_SONAME, DT_STRTAB, DT_SYMTAB, DynamicTag, SHT_DYNSYM, Sym64,
};
use object::{Endianness, pod};

use super::entries::{dynamic_patch, kept_entries};
use super::unchangeable::Unchangeable;
use crate::elf::{ByteSource, Elf, Entry, Linkage, Patch};

/// The largest real libraries have some 5 MB of dynamic symbols.
const LARGEST_TABLE: u64 = 32 << 20;
/// Entries that name a string, beside run paths.
const NAMES: [DynamicTag; 7] =
    [DT_NEEDED, DT_SONAME, DT_FILTER, DT_AUXILIARY, DT_CONFIG, DT_AUDIT, DT_DEPAUDIT];

/// The patches after which `elf` has the `DT_RPATH` `rpath` and no `DT_RUNPATH`; `None` where there is
/// no room for it.
pub(super) fn plan<S: ByteSource + ?Sized>(
    source: &S,
    elf: &Elf,
    rpath: &str,
) -> Result<Option<Vec<Patch>>, Unchangeable> {
    let mut wanted = rpath.as_bytes().to_vec();
    wanted.push(0);
    let there = elf.strings.bytes().windows(wanted.len()).position(|window| window == wanted);
    let (place, text) = match there {
        Some(place) => (place as u64, None),
        None => {
            let Some(place) = room(source, elf, wanted.len() as u64)? else { return Ok(None) };
            let Some(strings) = strings_offset(elf) else { return Ok(None) };
            let Some(offset) = strings.checked_add(place) else { return Ok(None) };
            (place, Some(Patch { offset, bytes: wanted }))
        }
    };
    let mut entries = kept_entries(elf);
    entries.push(Entry { tag: DT_RPATH, value: place });
    let Ok(patch) = dynamic_patch(elf, entries) else { return Ok(None) };
    Ok(Some(text.into_iter().chain([patch]).collect()))
}

/// Where in the file the strings begin.
fn strings_offset(elf: &Elf) -> Option<u64> {
    elf.offset_of(elf.dynamic.as_ref()?.value(DT_STRTAB)?)
}

/// Where in the strings an old run path has room for `size` bytes, and nothing else uses them.
fn room<S: ByteSource + ?Sized>(
    source: &S,
    elf: &Elf,
    size: u64,
) -> Result<Option<u64>, Unchangeable> {
    let Some(dynamic) = &elf.dynamic else { return Ok(None) };
    for place in dynamic.values(DT_RUNPATH).chain(dynamic.values(DT_RPATH)) {
        let old = elf.strings.at(place)?;
        let (start, end) = (place, place.saturating_add(old.len() as u64 + 1));
        if end - start < size || is_a_versions(&elf.linkage, &old) {
            continue;
        }
        let Some(mut used) = symbol_names(source, elf)? else { return Ok(None) };
        used.extend(NAMES.iter().flat_map(|tag| dynamic.values(*tag)));
        if !used.iter().any(|name| reaches(elf, *name, start, end)) {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Whether the string at `name` lies in `start..end`, or runs into it.
fn reaches(elf: &Elf, name: u64, start: u64, end: u64) -> bool {
    if name >= start {
        return name < end;
    }
    // One that begins before may end with what begins at `start`.
    let range = usize::try_from(name).ok().zip(usize::try_from(start).ok());
    let between = range.and_then(|(name, start)| elf.strings.bytes().get(name..start));
    between.is_none_or(|between| !between.contains(&0))
}

/// Whether the string may be shared with the name of a library or version that symbols ask for.
fn is_a_versions(linkage: &Linkage, old: &str) -> bool {
    let required = linkage.required.iter();
    let required = required.flat_map(|required| [&required.library, &required.version]);
    let mut names = required.chain(&linkage.provided);
    names.any(|name| old.ends_with(name.as_str()) || name.ends_with(old))
}

/// Where in the strings the names of symbols lie; `None` where nothing says how many there are.
fn symbol_names<S: ByteSource + ?Sized>(
    source: &S,
    elf: &Elf,
) -> Result<Option<Vec<u64>>, Unchangeable> {
    let symbols = elf.dynamic.as_ref().and_then(|dynamic| dynamic.value(DT_SYMTAB));
    let sections = elf.sections(source)?;
    let is_it = |kind, address| kind == SHT_DYNSYM && Some(address) == symbols;
    let Some(table) = sections.iter().find(|section| is_it(section.kind, section.address)) else {
        return Ok(None);
    };
    let whole = table.size - table.size % size_of::<Sym64<Endianness>>() as u64;
    let bytes = source.bytes(table.offset, whole, LARGEST_TABLE)?;
    let symbols: &[Sym64<Endianness>] = pod::slice_from_all_bytes(&bytes).unwrap_or_default();
    Ok(Some(symbols.iter().map(|symbol| symbol.st_name.get(elf.endian).into()).collect()))
}
