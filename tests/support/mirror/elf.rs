//! What RPM's own generator (`elfdeps`) would read out of an ELF file: the sonames and symbol
//! versions that it requires and provides.

use object::elf;
use object::endian::Endianness;
use object::read::Object;
use object::read::elf::{ElfFile64, FileHeader};

/// An ELF file's dependencies, as RPM writes them.
#[derive(Debug, Default)]
pub struct ElfDependencies {
    /// `libfuse.so.2(FUSE_2.8)(64bit)` and the like.
    pub requires: Vec<String>,
    /// The same for a library's own soname and versions.
    pub provides: Vec<String>,
    /// The build id in hexadecimal.
    pub build_id: Option<String>,
}

/// Reads a 64-bit ELF program or library; `None` for any other file. `file_name` stands for a
/// soname where a library has none.
pub fn read(bytes: &[u8], file_name: &str) -> Option<ElfDependencies> {
    let file = ElfFile64::<Endianness>::parse(bytes).ok()?;
    let build_id = file.build_id().ok().flatten().map(hexadecimal);
    let mut found = ElfDependencies { build_id, ..ElfDependencies::default() };
    let Ok(table) = file.elf_dynamic_table() else { return Some(found) };
    let text =
        |entry| String::from_utf8_lossy(table.string(entry).unwrap_or_default()).into_owned();

    let mut soname = file_name.to_owned();
    let mut hashes = (false, false);
    let mut is_program = false;
    let mut needs = Vec::new();
    for entry in table.iter() {
        match entry.tag {
            elf::DT_NEEDED => needs.push(text(entry)),
            elf::DT_SONAME => soname = text(entry),
            elf::DT_HASH => hashes.0 = true,
            elf::DT_GNU_HASH => hashes.1 = true,
            elf::DT_DEBUG => is_program = true,
            _ => {}
        }
    }
    if table.is_empty() {
        return Some(found);
    }
    found.requires = required_versions(bytes, &file);
    found.requires.extend(needs.iter().map(|name| format!("{name}()(64bit)")));
    if hashes == (false, true) {
        found.requires.push("rtld(GNU_HASH)".to_owned());
    }
    let is_library = file.elf_header().e_type(file.endian()) == elf::ET_DYN && !is_program;
    if is_library && soname.contains(".so") {
        found.provides = provided_versions(bytes, &file, &soname);
        found.provides.push(format!("{soname}()(64bit)"));
    }
    Some(found)
}

type File<'data> = ElfFile64<'data, Endianness>;

fn required_versions(bytes: &[u8], file: &File<'_>) -> Vec<String> {
    let (endian, sections) = (file.endian(), file.elf_section_table());
    let mut names = Vec::new();
    let Ok(Some((mut needs, link))) = sections.gnu_verneed(endian, bytes) else { return names };
    let strings = sections.strings(endian, bytes, link).unwrap();
    while let Some((need, mut versions)) = needs.next().unwrap() {
        let soname = String::from_utf8_lossy(need.file(endian, strings).unwrap()).into_owned();
        while let Some(version) = versions.next().unwrap() {
            let version = String::from_utf8_lossy(version.name(endian, strings).unwrap());
            names.push(format!("{soname}({version})(64bit)"));
        }
    }
    names
}

fn provided_versions(bytes: &[u8], file: &File<'_>, soname: &str) -> Vec<String> {
    let (endian, sections) = (file.endian(), file.elf_section_table());
    let mut names = Vec::new();
    let Ok(Some((mut definitions, link))) = sections.gnu_verdef(endian, bytes) else {
        return names;
    };
    let strings = sections.strings(endian, bytes, link).unwrap();
    while let Some((definition, mut versions)) = definitions.next().unwrap() {
        let is_base = definition.vd_flags.get(endian) & elf::VER_FLG_BASE != elf::VersionFlags(0);
        // The first name is the version's own; those after it are its parents.
        let Some(version) = versions.next().unwrap() else { continue };
        if !is_base {
            let version = String::from_utf8_lossy(version.name(endian, strings).unwrap());
            names.push(format!("{soname}({version})(64bit)"));
        }
    }
    names
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
