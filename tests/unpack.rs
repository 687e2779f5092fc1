//! Honest packages of every form become the files that they say.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;

use elsewhere::stages::model::{Checksum, FileKind, RelPath};
use elsewhere::stages::report::{Event, Phase, Reporter, Silent};
use elsewhere::stages::trust::{Keyring, Policy, open};
use elsewhere::stages::unpack::{Claims, Destination, UnpackError, Unpacked, unpack};

use support::jail::Jail;
use support::keys::TestKey;
use support::rpms::{self, Entry, File, Package};

fn install(
    package: &Package,
    only: &[&str],
    scratch: &Jail,
    claims: &Claims,
) -> Result<Unpacked, UnpackError> {
    let key = TestKey::new();
    let bytes = package.signed(&key);
    install_bytes(&bytes, &package.planned(&bytes), &key, only, scratch, claims)
}

fn install_bytes(
    bytes: &[u8],
    planned: &elsewhere::stages::model::PlannedPackage,
    key: &TestKey,
    only: &[&str],
    scratch: &Jail,
    claims: &Claims,
) -> Result<Unpacked, UnpackError> {
    let mut keyring = Keyring::new();
    let allowed = keyring.add_trusted(&key.public_file()).unwrap();
    let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: false };
    let verified = open(Drip(bytes), planned, &policy).unwrap();
    let only: Vec<_> = only.iter().map(|path| RelPath::new(path).unwrap()).collect();
    let tree = scratch.dir();
    unpack(verified, &only, &Destination { tree: &tree, claims }, &Silent::default())
}

/// Gives a few bytes at a time, as a slow network does.
struct Drip<'a>(&'a [u8]);

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(977);
        self.0.read(&mut buffer[..count])
    }
}

fn lines(scratch: &Jail) -> Vec<String> {
    scratch.tree_listing().into_iter().map(|(path, what)| format!("{path} {what}")).collect()
}

fn everything() -> Package {
    Package::new(vec![
        File::directory("/usr/lib64/hello").mode(0o040_555),
        File::program("/usr/bin/hello", b"hello"),
        File::regular("/usr/share/doc/empty", b""),
        File::regular("/etc/hello.conf", b"a = 1").flags(17),
        File::regular("/var/log/hello", b"").flags(64),
        File::symlink("/usr/bin/hi", "hello"),
        File::symlink("/usr/lib64/hello/conf", "../../../etc/hello.conf"),
        File::symlink("/usr/lib/.build-id/ab/cd", "../../../../usr/bin/hello"),
        File::directory("/usr/lib/.build-id"),
        File::regular("/usr/lib64/hello/deep/er/file", b"x").mode(0o100_600),
    ])
}

#[test]
fn every_kind_of_file_ends_where_and_as_it_should() {
    let scratch = Jail::new();
    let unpacked = install(&everything(), &[], &scratch, &Claims::new()).unwrap();
    assert_eq!(
        lines(&scratch),
        [
            "bin 755 directory",
            "bin/hello 755 1500000000 hello",
            "bin/hi -> hello",
            "etc 755 directory",
            "etc/hello.conf 644 1500000000 a = 1",
            "lib64 755 directory",
            "lib64/hello 755 directory",
            "lib64/hello/conf -> ../../etc/hello.conf",
            "lib64/hello/deep 755 directory",
            "lib64/hello/deep/er 755 directory",
            "lib64/hello/deep/er/file 644 1500000000 x",
            "share 755 directory",
            "share/doc 755 directory",
            "share/doc/empty 644 1500000000 ",
        ]
    );
    let listed: Vec<_> = unpacked.files.iter().map(|file| file.path.as_str()).collect();
    let found: Vec<_> = scratch.tree_listing().into_keys().collect();
    assert_eq!(listed, found);
    let conf = unpacked.files.iter().find(|file| file.path.as_str() == "etc/hello.conf").unwrap();
    assert!(conf.config);
    assert_eq!(conf.package.as_deref(), Some("hello"));
    let checksum = Checksum::of(b"a = 1");
    assert_eq!(conf.kind, FileKind::File { size: 5, checksum, packaged: None });
    assert_eq!((unpacked.license.as_str(), conf.mode), ("MIT", 0o644));
    assert_eq!(fs::read_to_string(scratch.tree().join("lib64/hello/conf")).unwrap(), "a = 1");
}

#[test]
fn every_compression_is_decoded() {
    for compressor in ["gzip", "xz", "lzma", "zstd", "none"] {
        let scratch = Jail::new();
        let package = everything().compressor(compressor);
        install(&package, &[], &scratch, &Claims::new()).expect(compressor);
        assert_eq!(fs::read(scratch.tree().join("bin/hello")).unwrap(), b"hello");
    }
}

#[test]
fn a_header_that_names_no_compression_means_gzip_or_none() {
    for compressor in ["gzip", "none"] {
        let scratch = Jail::new();
        let mut package = everything();
        let payload = rpms::compress(compressor, &archive_of(&package));
        package.compressor = None;
        package.archive = Some(payload);
        install(&package, &[], &scratch, &Claims::new()).expect(compressor);
        assert!(scratch.tree().join("bin/hello").exists());
    }
}

/// The payload of a package, decompressed.
fn archive_of(package: &Package) -> Vec<u8> {
    package.clone().compressor("none").payload()
}

fn linked() -> Vec<File> {
    let data = b"the same in all";
    let one = |path| File::program(path, data).inode(7);
    vec![one("/usr/bin/a"), one("/usr/bin/b"), one("/usr/libexec/c"), File::regular("/d", b"d")]
}

#[test]
fn hard_links_share_their_data_whichever_of_them_brings_it() {
    for bringer in 0..3 {
        let files = linked();
        let entries = files.iter().enumerate().map(|(number, file)| match number {
            number if number == bringer || number == 3 => Entry::of(file),
            _ => Entry::of(file).without_data(),
        });
        let package = Package::new(files.clone()).entries(entries.collect());
        let scratch = Jail::new();
        let unpacked = install(&package, &[], &scratch, &Claims::new()).unwrap();
        let inode = |path| fs::metadata(scratch.tree().join(path)).unwrap().ino();
        assert_eq!(inode("bin/a"), inode("bin/b"));
        assert_eq!(inode("bin/a"), inode("libexec/c"));
        assert_eq!(fs::read(scratch.tree().join("bin/b")).unwrap(), b"the same in all");
        assert_eq!(unpacked.files.len(), scratch.tree_listing().len());
    }
}

#[test]
fn hard_links_can_be_taken_one_by_one() {
    let files = linked();
    for (wanted, bringer) in [("bin/a", 2), ("bin/b", 0), ("libexec/c", 0)] {
        let entries = files.iter().enumerate().map(|(number, file)| match number {
            number if number == bringer || number == 3 => Entry::of(file),
            _ => Entry::of(file).without_data(),
        });
        let package = Package::new(files.clone()).entries(entries.collect());
        let scratch = Jail::new();
        install(&package, &[wanted], &scratch, &Claims::new()).unwrap();
        assert_eq!(fs::read(scratch.tree().join(wanted)).unwrap(), b"the same in all");
        assert_eq!(scratch.tree_listing().len(), 2);
    }
}

#[test]
fn hard_linked_configuration_is_copied() {
    let one = |path| File::regular(path, b"x").inode(7).flags(1);
    let package = Package::new(vec![one("/etc/a"), one("/etc/b")]);
    let entries = vec![Entry::of(&package.files[0]).without_data(), Entry::of(&package.files[1])];
    let scratch = Jail::new();
    install(&package.entries(entries), &[], &scratch, &Claims::new()).unwrap();
    let inode = |path| fs::metadata(scratch.tree().join(path)).unwrap().ino();
    assert_ne!(inode("etc/a"), inode("etc/b"));
    assert_eq!(lines(&scratch)[1..], ["etc/a 644 1500000000 x", "etc/b 644 1500000000 x"]);
}

#[test]
fn the_same_inode_number_does_not_make_a_hard_link() {
    let package = Package::new(vec![
        File::regular("/a", b"one").inode(7),
        File::regular("/b", b"another").inode(7),
    ]);
    let scratch = Jail::new();
    install(&package, &[], &scratch, &Claims::new()).unwrap();
    assert_eq!(lines(&scratch), ["a 644 1500000000 one", "b 644 1500000000 another"]);
}

#[test]
fn the_payload_may_come_in_any_order() {
    let package = everything();
    let listed = package.files.iter().filter(|file| file.flags & 64 == 0);
    let mut entries: Vec<_> = listed.map(Entry::of).collect();
    entries.reverse();
    let (ordered, reversed) = (Jail::new(), Jail::new());
    install(&package, &[], &ordered, &Claims::new()).unwrap();
    install(&package.entries(entries), &[], &reversed, &Claims::new()).unwrap();
    assert_eq!(ordered.tree_listing(), reversed.tree_listing());
}

#[test]
fn names_in_the_payload_may_lack_their_dot() {
    let package = everything();
    for prefix in ["", "/"] {
        let mut package = package.clone();
        let listed = package.files.iter().filter(|file| file.flags & 64 == 0);
        let renamed = listed.map(|file| {
            let name = [prefix.as_bytes(), &file.path[1..]].concat();
            Entry { name, ..Entry::of(file) }
        });
        package.entries = Some(renamed.collect());
        install(&package, &[], &Jail::new(), &Claims::new()).unwrap();
    }
}

#[test]
fn stripped_archives_are_read_by_number() {
    let mut package = Package::new(linked());
    package.files.push(File::symlink("/usr/bin/e", "a"));
    package.files.push(File::directory("/opt"));
    let data = b"the same in all";
    let entries: [(u32, &[u8]); 6] =
        [(5, b""), (0, b""), (3, b"d"), (1, b""), (2, data), (4, b"a")];
    package.archive = Some(rpms::stripped_cpio(&entries));
    let scratch = Jail::new();
    install(&package, &[], &scratch, &Claims::new()).unwrap();
    assert_eq!(fs::read(scratch.tree().join("bin/e")).unwrap(), data);
    assert_eq!(fs::read(scratch.tree().join("d")).unwrap(), b"d");
}

#[test]
fn single_files_are_taken_and_the_rest_left() {
    let scratch = Jail::new();
    let unpacked = install(&everything(), &["bin/hello"], &scratch, &Claims::new()).unwrap();
    assert_eq!(lines(&scratch), ["bin 755 directory", "bin/hello 755 1500000000 hello"]);
    assert_eq!(unpacked.files.len(), 2);
    let error = install(&everything(), &["bin/nobody"], &scratch, &Claims::new()).unwrap_err();
    assert!(matches!(error, UnpackError::NotInPackage { .. }), "{error}");
}

#[test]
fn special_bits_are_dropped() {
    let package = Package::new(vec![
        File::program("/usr/bin/su", b"x").mode(0o104_755),
        File::program("/usr/bin/wall", b"x").mode(0o102_711),
        File::directory("/tmp").mode(0o041_777),
        File::regular("/open", b"x").mode(0o100_666),
    ]);
    let scratch = Jail::new();
    install(&package, &[], &scratch, &Claims::new()).unwrap();
    let modes: Vec<_> = lines(&scratch).iter().map(|line| line[..].to_owned()).collect();
    assert_eq!(
        modes,
        [
            "bin 755 directory",
            "bin/su 755 1500000000 x",
            "bin/wall 755 1500000000 x",
            "open 644 1500000000 x",
            "tmp 755 directory",
        ]
    );
}

#[test]
fn the_links_that_merge_usr_are_left_out() {
    let package = Package::new(vec![
        File::symlink("/lib64", "usr/lib64"),
        File::symlink("/bin", "usr/bin"),
        File::directory("/usr/bin"),
        File::directory("/usr"),
        File::directory("/"),
        File::directory("/usr/lib64"),
    ]);
    let scratch = Jail::new();
    install(&package, &[], &scratch, &Claims::new()).unwrap();
    assert_eq!(lines(&scratch), ["bin 755 directory", "lib64 755 directory"]);
}

#[test]
fn packages_share_what_is_the_same_and_nothing_else() {
    let shared = || File::regular("/usr/share/licenses/COPYING", b"MIT");
    let one = Package::new(vec![shared(), File::directory("/usr/lib64")]).named("one");
    let two = Package::new(vec![shared(), File::directory("/usr/lib64")]).named("two");
    let (scratch, claims) = (Jail::new(), Claims::new());
    install(&one, &[], &scratch, &claims).unwrap();
    let unpacked = install(&two, &[], &scratch, &claims).unwrap();
    assert!(unpacked.files.iter().any(|file| file.path.as_str() == "share/licenses/COPYING"));
    let others = [
        File::regular("/usr/share/licenses/COPYING", b"GPL"),
        File::program("/usr/share/licenses/COPYING", b"MIT"),
        File::symlink("/usr/share/licenses/COPYING", "x"),
        File::directory("/usr/share/licenses/COPYING"),
        File::regular("/usr/share/licenses/COPYING/below", b"x"),
        File::regular("/usr/lib64", b"x"),
        File::symlink("/lib64", "elsewhere"),
    ];
    let before = scratch.listing();
    for other in others {
        let three = Package::new(vec![other]).named("three");
        let error = install(&three, &[], &scratch, &claims).unwrap_err();
        let UnpackError::Conflict { owners, .. } = &error else { panic!("{error}") };
        assert!(owners.contains(&"three".to_owned()), "{error}");
        assert_eq!(scratch.listing(), before);
    }
}

#[test]
fn packages_are_unpacked_side_by_side() {
    let (scratch, claims) = (Jail::new(), Claims::new());
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (scratch, claims) = (&scratch, &claims);
            scope.spawn(move || {
                let files = (0..50).map(|file| {
                    let path = format!("/usr/share/{}/common/{number}-{file}", file % 5);
                    File::regular(&path, path.as_bytes())
                });
                let package = Package::new(files.collect()).named(&format!("package{number}"));
                install(&package, &[], scratch, claims).unwrap();
            });
        }
    });
    assert_eq!(scratch.tree_listing().len(), 8 * 50 + 1 + 5 + 5);
}

#[test]
fn what_the_rpm_crate_builds_is_unpacked_alike() {
    let key = TestKey::new();
    for compression in [
        rpm::CompressionType::Gzip,
        rpm::CompressionType::Xz,
        rpm::CompressionType::Zstd,
        rpm::CompressionType::None,
    ] {
        for config in [rpm::BuildConfig::v4(), rpm::BuildConfig::v6()] {
            let config = config.compression(compression).source_date(1_500_000_000);
            let mut builder = rpm::PackageBuilder::new("tool", "1", "MIT", "x86_64", "A tool");
            builder.using_config(config);
            build_tool(&mut builder).unwrap();
            let mut bytes = Vec::new();
            builder.build().unwrap().write(&mut bytes).unwrap();
            let bytes = rpms::resign(&bytes, &key);
            let local = elsewhere::stages::trust::read_local(bytes.as_slice(), "tool").unwrap();
            let (scratch, planned) = (Jail::new(), rpms::planned(local.nevra, &bytes));
            install_bytes(&bytes, &planned, &key, &[], &scratch, &Claims::new()).unwrap();
            assert_eq!(
                lines(&scratch),
                [
                    "bin 755 directory",
                    "bin/one 755 1500000000 program",
                    "bin/three -> one",
                    "bin/two 755 1500000000 program",
                    "etc 755 directory",
                    "etc/tool 755 directory",
                    "etc/tool.conf 644 1500000000 x = 1",
                ]
            );
            let inode = |path| fs::metadata(scratch.tree().join(path)).unwrap().ino();
            assert_eq!(inode("bin/one"), inode("bin/two"));
        }
    }
}

fn build_tool(builder: &mut rpm::PackageBuilder) -> Result<(), rpm::Error> {
    let linked = |path| rpm::FileOptions::new(path).permissions(0o4755).hardlink("tool");
    builder
        .with_file_contents("program", linked("/usr/bin/one"))?
        .with_file_contents("program", linked("/usr/bin/two"))?
        .with_symlink(rpm::FileOptions::symlink("/usr/bin/three", "one"))?
        .with_file_contents("x = 1", rpm::FileOptions::new("/etc/tool.conf").config())?
        .with_dir_entry(rpm::FileOptions::dir("/etc/tool").permissions(0o700))?
        .with_ghost(rpm::FileOptions::ghost("/var/run/tool.pid"))?;
    Ok(())
}

/// Counts the bytes told, and asks to stop after some.
struct Counting {
    told: Mutex<u64>,
    stop_after: u64,
}

impl Reporter for Counting {
    fn event(&self, event: Event) {
        if let Event::Advanced { phase: Phase::Unpack, by } = event {
            *self.told.lock().unwrap() += by;
        }
    }

    fn is_cancelled(&self) -> bool {
        *self.told.lock().unwrap() >= self.stop_after
    }
}

fn report(stop_after: u64) -> (Result<Unpacked, UnpackError>, u64, Jail) {
    let key = TestKey::new();
    let package = Package::new(vec![File::regular("/big", &vec![7; 1 << 20])]);
    let bytes = package.signed(&key);
    let mut keyring = Keyring::new();
    let allowed = keyring.add_trusted(&key.public_file()).unwrap();
    let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: false };
    let verified = open(bytes.as_slice(), &package.planned(&bytes), &policy).unwrap();
    let counting = Counting { told: Mutex::new(0), stop_after };
    let (scratch, claims) = (Jail::new(), Claims::new());
    let tree = scratch.dir();
    let result = unpack(verified, &[], &Destination { tree: &tree, claims: &claims }, &counting);
    (result, counting.told.into_inner().unwrap(), scratch)
}

#[test]
fn progress_is_told_in_bytes_of_files() {
    let (result, told, _) = report(u64::MAX);
    result.unwrap();
    assert_eq!(told, 1 << 20);
}

#[test]
fn cancelling_stops_within_a_file_and_leaves_no_part_of_it() {
    let (result, told, scratch) = report(1);
    assert!(matches!(result, Err(UnpackError::Cancelled)));
    assert!(told < 1 << 20);
    assert!(scratch.tree_listing().is_empty());
}
