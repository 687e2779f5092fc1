//! A root file system for tests of runtimes: the directories that they mount things on, and one
//! static program that does nothing, well. Made from scratch, because no host is sure to have a
//! static program.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::model::Arch;

/// Directories that runtimes expect in a root file system.
const DIRECTORIES: [&str; 13] =
    ["bin", "dev", "etc", "home", "mnt", "proc", "root", "run", "sys", "tmp", "usr", "var", "opt"];

/// Files that runtimes bind the host's over.
const FILES: [&str; 6] = ["passwd", "group", "hosts", "resolv.conf", "hostname", "localtime"];

/// Makes the file system at `root`, with a `/bin/true` for `arch`.
pub(super) fn make(root: &Path, arch: Arch) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o755);
    for directory in DIRECTORIES {
        builder.create(root.join(directory))?;
    }
    for file in FILES {
        fs::write(root.join("etc").join(file), "")?;
    }
    write_true(&root.join("bin/true"), arch)
}

/// Writes the program at `path`.
pub(super) fn write_true(path: &Path, arch: Arch) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o755);
    options.open(path)?.write_all(&exit_zero(arch))
}

/// Where the program is loaded. Any address above the first pages will do.
const BASE: u64 = 0x0010_0000;
/// Bytes of an ELF header and of one program header.
const HEADERS: u64 = 64 + 56;

/// A static ELF program that calls `exit(0)`.
fn exit_zero(arch: Arch) -> Vec<u8> {
    let is_big = arch == Arch::S390x;
    let (machine, flags, code) = machine_code(arch);
    let mut elf = Vec::new();
    let mut put = |value: u64, bytes: usize| {
        let all = if is_big { value.to_be_bytes() } else { value.to_le_bytes() };
        elf.extend(if is_big { &all[8 - bytes..] } else { &all[..bytes] });
    };
    // e_ident: magic, 64 bits, byte order, version 1; then ET_EXEC, one program header.
    for byte in [0x7f, b'E', b'L', b'F', 2, if is_big { 2 } else { 1 }, 1, 0] {
        put(byte.into(), 1);
    }
    put(0, 8);
    let size = HEADERS + code.len() as u64;
    for (value, bytes) in [
        (2, 2),
        (machine, 2),
        (1, 4),
        (BASE + HEADERS, 8),
        (64, 8),
        (0, 8),
        (flags, 4),
        (64, 2),
        (56, 2),
        (1, 2),
        (64, 2),
        (0, 2),
        (0, 2),
        // PT_LOAD, readable and executable: the whole file.
        (1, 4),
        (5, 4),
        (0, 8),
        (BASE, 8),
        (BASE, 8),
        (size, 8),
        (size, 8),
        (0x10000, 8),
    ] {
        put(value, bytes);
    }
    elf.extend(code);
    elf
}

/// `e_machine`, `e_flags`, and the instructions of `exit(0)` by Linux's calling convention.
fn machine_code(arch: Arch) -> (u64, u64, &'static [u8]) {
    match arch {
        // xor edi,edi; mov eax,60; syscall
        Arch::X86_64 => (62, 0, &[0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]),
        // mov x8,#93; mov x0,#0; svc #0
        Arch::Aarch64 => {
            (183, 0, &[0xa8, 0x0b, 0x80, 0xd2, 0x00, 0x00, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4])
        }
        // li r0,1; li r3,0; sc. Flags: ABI version 2.
        Arch::Ppc64le => {
            (21, 2, &[0x01, 0x00, 0x00, 0x38, 0x00, 0x00, 0x60, 0x38, 0x02, 0x00, 0x00, 0x44])
        }
        // lghi %r2,0; svc 1
        Arch::S390x => (22, 0, &[0xa7, 0x29, 0x00, 0x00, 0x0a, 0x01]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_program_of_this_machine_runs() {
        let arch: Arch = std::env::consts::ARCH.parse().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("target/tmp/sandbox-{}", std::process::id()));
        make(&root, arch).unwrap();
        let status = Command::new(root.join("bin/true")).status();
        fs::remove_dir_all(&root).unwrap();
        assert!(status.unwrap().success());
    }

    #[test]
    fn headers_have_their_sizes() {
        for arch in Arch::ALL {
            let (_, _, code) = machine_code(arch);
            assert_eq!(exit_zero(arch).len() as u64, HEADERS + code.len() as u64);
        }
    }
}
