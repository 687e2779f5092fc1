//! What debuggers and checkers read of relocated files: symbols and their sections, and debug
//! information apart from its program. Needs a C compiler and binutils.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here should stop the test")]

mod relocation;

use std::fs;
use std::path::Path;
use std::process::Command;

use object::elf::{
    FileHeader64, SHF_ALLOC, SHF_TLS, SHT_DYNAMIC, SHT_NOBITS, SHT_NOTE, SHT_SYMTAB, STT_SECTION,
    SectionHeader64,
};
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::{Endianness, SectionIndex};
use relocation::{Scratch, native, relocated, runtime, text, try_relocate};

const LIBRARY: &str = "int inner(void) { return 42; }
__attribute__((section(\".note.own\"), used)) static const int note[] = {4, 4, 1, 0x6e776f, 7};";
const MAIN: &str = "#include <stdio.h>
int inner(void);
int main(void) { printf(\"%d\\n\", inner()); return 0; }";

/// A program and its library, with all their symbols.
fn tree(name: &str, flags: &[&str]) -> Scratch {
    let scratch = Scratch::new(name);
    let library = scratch.compile(
        "t/lib64/libinner.so.1",
        LIBRARY,
        &["-g", "-shared", "-fPIC", "-Wl,-soname,libinner.so.1"],
    );
    let library = library.display().to_string();
    scratch.compile("t/bin/program", MAIN, &[&["-g", &library], flags].concat());
    scratch
}

/// The symbols of `file` that lie outside their sections, and how many were looked at; in front of
/// them one for each section that has a symbol of its own.
fn strays(file: &Path) -> (Vec<String>, usize) {
    let data = fs::read(file).unwrap();
    let header = FileHeader64::<Endianness>::parse(&*data).unwrap();
    let endian = header.endian().unwrap();
    let sections = header.sections(endian, &*data).unwrap();
    let symbols = sections.symbols(endian, &*data, SHT_SYMTAB).unwrap();
    let (mut strays, mut count) = (Vec::new(), 0);
    for symbol in symbols.iter() {
        let index = SectionIndex(symbol.st_shndx(endian).0.into());
        let Ok(section) = sections.section(index) else { continue };
        let flags = section.sh_flags(endian);
        if index.0 == 0 || !flags.contains(SHF_ALLOC) || flags.contains(SHF_TLS) {
            continue;
        }
        count += 1;
        let (value, start) = (symbol.st_value(endian), section.sh_addr(endian));
        let is_own = symbol.st_type() == STT_SECTION;
        let fits = match is_own {
            true => value == start,
            false => (start..=start + section.sh_size(endian)).contains(&value),
        };
        if !fits {
            let name = String::from_utf8_lossy(symbol.name(endian, symbols.strings()).unwrap());
            strays.push(format!("{name} {value:#x} of section {} at {start:#x}", index.0));
        }
    }
    (strays, count)
}

#[test]
fn symbols_move_with_their_sections() {
    for flags in [&[][..], &["-no-pie"], &["-Wl,-z,noseparate-code"], &["-Wl,--hash-style=both"]] {
        let scratch = tree("symbols", flags);
        let files = ["t/bin/program", "t/lib64/libinner.so.1"].map(|name| scratch.path(name));
        // A linker that writes no symbols of sections would show nothing.
        for file in &files {
            add_section_symbols(file);
            // Linkers put some marks of code and data at addresses of no section.
            let (before, count) = strays(file);
            assert!(count > 20 && before.is_empty(), "{count} {before:?}");
        }
        relocated(&scratch.path("t"), &[]);
        let (after, _) = strays(&files[0]);
        assert!(after.is_empty(), "{flags:?}: {after:?}");
        let (after, _) = strays(&files[1]);
        assert!(after.is_empty(), "{flags:?}: {after:?}");
    }
}

/// Makes the first symbols of `file`, which name source files, symbols of its sections.
fn add_section_symbols(file: &Path) {
    let mut data = fs::read(file).unwrap();
    let header = FileHeader64::<Endianness>::parse(&*data).unwrap();
    let endian = header.endian().unwrap();
    let sections = header.sections(endian, &*data).unwrap();
    let table = sections.iter().find(|one| one.sh_type(endian) == SHT_SYMTAB).unwrap();
    let start = table.sh_offset(endian) as usize;
    let locals = table.sh_info(endian) as usize;
    let own: Vec<(u16, u64)> = (0..)
        .zip(sections.iter())
        .filter(|(_, section)| {
            let flags = section.sh_flags(endian);
            flags.contains(SHF_ALLOC) && !flags.contains(SHF_TLS)
        })
        .map(|(number, section)| (number, section.sh_addr(endian)))
        .collect();
    for (number, (section, address)) in (1..locals).zip(own) {
        let at = start + 24 * number;
        data[at..at + 4].fill(0);
        data[at + 4] = 3;
        data[at + 5] = 0;
        let (section, address) = match endian {
            Endianness::Little => (section.to_le_bytes(), address.to_le_bytes()),
            Endianness::Big => (section.to_be_bytes(), address.to_be_bytes()),
        };
        data[at + 6..at + 8].copy_from_slice(&section);
        data[at + 8..at + 16].copy_from_slice(&address);
        data[at + 16..at + 24].fill(0);
    }
    fs::write(file, data).unwrap();
}

/// Debug information as elfutils takes it out: everything has the program's place, and nothing of
/// what is loaded is there.
fn emptied(file: &Path) -> Vec<u8> {
    let mut data = fs::read(file).unwrap();
    let header = FileHeader64::<Endianness>::parse(&*data).unwrap();
    let endian = header.endian().unwrap();
    let table = header.e_shoff.get(endian) as usize;
    let sections = header.sections(endian, &*data).unwrap();
    let empty = |section: &SectionHeader64<Endianness>| {
        section.sh_flags(endian).contains(SHF_ALLOC)
            && ![SHT_NOTE, SHT_NOBITS].contains(&section.sh_type(endian))
    };
    let gone: Vec<(usize, usize, usize)> = (0..)
        .zip(sections.iter())
        .filter(|(_, section)| empty(section))
        .map(|(number, section)| {
            (number, section.sh_offset(endian) as usize, section.sh_size(endian) as usize)
        })
        .collect();
    for (number, offset, size) in gone {
        // What lies there instead looks like a dynamic section: a string table at no address.
        let other = [5_u64, 0xaaaa_aaaa, 10, 16].into_iter().flat_map(|word| match endian {
            Endianness::Little => word.to_le_bytes(),
            Endianness::Big => word.to_be_bytes(),
        });
        for (byte, other) in data[offset..offset + size].iter_mut().zip(other.cycle()) {
            *byte = other;
        }
        let kind = match endian {
            Endianness::Little => 8_u32.to_le_bytes(),
            Endianness::Big => 8_u32.to_be_bytes(),
        };
        data[table + 64 * number + 4..table + 64 * number + 8].copy_from_slice(&kind);
    }
    data
}

#[test]
fn debug_information_apart_from_its_program_is_left_as_it_is() {
    let scratch = tree("detached", &[]);
    let mut debug = Vec::new();
    for name in ["bin/program", "lib64/libinner.so.1"] {
        let program = scratch.path(&format!("t/{name}"));
        let own = scratch.write(&format!("t/lib/debug/{name}.debug"), emptied(&program), 0o755);
        let binutils = scratch.path(&format!("t/lib/debug/{name}-2.debug"));
        let mut objcopy = Command::new("objcopy");
        let output = objcopy.arg("--only-keep-debug").arg(program).arg(&binutils).output();
        let output = output.expect("objcopy (Debian: binutils) must be installed");
        assert!(output.status.success(), "{}", text(&output.stderr));
        debug.extend([own, binutils]);
    }
    let before: Vec<Vec<u8>> = debug.iter().map(|path| fs::read(path).unwrap()).collect();
    let (done, _) = try_relocate(&scratch.path("t"), native(), &[&runtime("")]).unwrap();
    assert_eq!(done.warnings, [] as [String; 0]);
    assert_eq!(done.rewritten, 1);
    for (path, before) in debug.iter().zip(before) {
        assert!(fs::read(path).unwrap() == before, "{}", path.display());
    }
}

#[test]
fn a_library_with_variables_of_threads_alone_is_no_debug_information() {
    let scratch = tree("threads", &[]);
    // Without files to begin and to end with, nothing lies between these and the dynamic section: both
    // begin at one address.
    let inner = scratch.path("t/lib64/libinner.so.1").display().to_string();
    let source = "__thread int own; int inner(void);
int outer(void) { return own + inner(); }";
    let flags = ["-shared", "-fPIC", "-nostartfiles", "-Wl,-soname,libouter.so.1", &inner];
    let library = scratch.compile("t/lib64/libouter.so.1", source, &flags);
    let data = fs::read(&library).unwrap();
    let header = FileHeader64::<Endianness>::parse(&*data).unwrap();
    let endian = header.endian().unwrap();
    let sections = header.sections(endian, &*data).unwrap();
    let address = |kind| {
        let section = sections.iter().find(|section| section.sh_type(endian) == kind);
        section.unwrap().sh_addr(endian)
    };
    assert_eq!(address(SHT_NOBITS), address(SHT_DYNAMIC), "the linker lays it out otherwise");
    let (done, _) = try_relocate(&scratch.path("t"), native(), &[&runtime("")]).unwrap();
    assert_eq!(done.warnings, [] as [String; 0]);
    assert_eq!(done.rewritten, 2);
}
