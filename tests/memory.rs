//! Memory does not grow with a package's size. Alone in its file: the process is measured.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};

use elsewhere::stages::model::{Algorithm, Checksum, Digester};
use elsewhere::stages::report::Silent;
use elsewhere::stages::trust::{Keyring, Policy, open};
use elsewhere::stages::unpack::{Claims, Destination, unpack};

use support::jail::Jail;
use support::keys::TestKey;
use support::rpms::{self, Package};

/// Bytes of the one file, which cannot be compressed.
const SIZE: u64 = 54 << 20;
/// Bytes that the whole process may have at once.
const LIMIT: u64 = 24 << 20;

/// The file's bytes: a mebibyte of pseudorandom numbers, again and again, further apart than the
/// compressor looks back.
struct Content {
    left: u64,
    block: Vec<u8>,
}

impl Content {
    fn new() -> Self {
        let mut state = 1_u64;
        let mut number = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        Self { left: SIZE, block: (0..1 << 20).map(|_| number()).collect() }
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = ((SIZE - self.left) % self.block.len() as u64) as usize;
        let count = self.block[at..].len().min(buffer.len()).min(self.left as usize);
        buffer[..count].copy_from_slice(&self.block[at..at + count]);
        self.left -= count as u64;
        Ok(count)
    }
}

fn digest(mut reader: impl Read) -> Checksum {
    let mut digester = Digester::new(Algorithm::Sha256);
    io::copy(&mut reader, &mut digester).unwrap();
    digester.finish()
}

/// The most memory that the process has had since it was last forgotten, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn unpacking_a_large_package_takes_little_memory() {
    let (scratch, key) = (Jail::new(), TestKey::new());
    let listed = rpms::File {
        digest: Some(digest(Content::new()).hex()),
        size: Some(SIZE as u32),
        ..rpms::File::program("/usr/bin/large", b"")
    };
    let package = Package::new(vec![listed]).compressor("zstd");
    let path = scratch.path.join("large.rpm");
    write(&package, &key, &path);

    let planned = {
        let mut planned = package.planned(b"");
        planned.size = fs::metadata(&path).unwrap().len();
        planned.checksum = digest(File::open(&path).unwrap());
        planned
    };
    // Forgets the peak; where the kernel does not, making the package counts too.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let mut keyring = Keyring::new();
    let allowed = keyring.add_trusted(&key.public_file()).unwrap();
    let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: false };
    let verified = open(File::open(&path).unwrap(), &planned, &policy).unwrap();
    let (tree, claims) = (scratch.dir(), Claims::new());
    let destination = Destination { tree: &tree, claims: &claims };
    unpack(verified, &[], &destination, &Silent::default()).unwrap();
    let used = peak();
    println!("{} bytes packed, {SIZE} unpacked, {used} bytes of memory", planned.size);
    assert!(planned.size > 40 << 20, "the package is too small to prove anything");
    assert!(used < LIMIT, "{used} bytes");
    assert_eq!(fs::metadata(scratch.tree().join("bin/large")).unwrap().len(), SIZE);
}

/// Writes the package without holding it.
fn write(package: &Package, key: &TestKey, path: &std::path::Path) {
    let header = package.header();
    let signature = key.sign(&header, &Default::default());
    let signatures = rpms::signature_header(&header, Some(&signature));
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(&rpms::assemble(&signatures, &header, b"")).unwrap();
    let mut archive = zstd::Encoder::new(file, 1).unwrap();
    archive.write_all(&rpms::cpio_start(b"./usr/bin/large", 0o100_755, SIZE as u32)).unwrap();
    io::copy(&mut Content::new(), &mut archive).unwrap();
    archive.write_all(&rpms::cpio(&[])).unwrap();
    archive.finish().unwrap().flush().unwrap();
}
