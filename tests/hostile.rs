//! Packages that lie, signed by a trusted key so that the lie reaches the unpacker: each is
//! refused with the error that names it, and nothing lies afterwards where nothing should.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;

use elsewhere::stages::model::RelPath;
use elsewhere::stages::report::Silent;
use elsewhere::stages::trust::{Keyring, Policy, TrustError, open};
use elsewhere::stages::unpack::{Claims, Destination, FileProblem, UnpackError, Unpacked, unpack};

use support::jail::Jail;
use support::keys::TestKey;
use support::rpms::{self, Entry, File, Package};

fn install(package: &Package, scratch: &Jail) -> Result<Unpacked, UnpackError> {
    install_only(package, &[], scratch)
}

fn install_only(
    package: &Package,
    only: &[RelPath],
    scratch: &Jail,
) -> Result<Unpacked, UnpackError> {
    scratch.install(package, only, &Silent::default())
}

/// The problem with which a package's file is refused; the package leaves nothing.
fn refused(package: &Package) -> FileProblem {
    let scratch = Jail::new();
    let problem = refused_in(package, &scratch);
    assert!(scratch.tree_listing().is_empty(), "{:?}", scratch.tree_listing());
    problem
}

fn refused_in(package: &Package, scratch: &Jail) -> FileProblem {
    let before: Vec<_> = fs::read_dir(&scratch.path).unwrap().map(|e| e.unwrap().path()).collect();
    let error = install(package, scratch).unwrap_err();
    let after: Vec<_> = fs::read_dir(&scratch.path).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(before, after, "something was made beside the tree");
    match error {
        UnpackError::File { package, problem, .. } => {
            assert_eq!(package, "hello-1.0-1.el9.x86_64");
            problem
        }
        other => panic!("{other}"),
    }
}

#[test]
fn paths_that_climb_or_are_no_paths_are_refused() {
    for path in ["/usr/../../evil", "/../evil", "/usr/bin/..", "./../evil", "//../evil", "/a/./.."]
    {
        let package = Package::new(vec![File::regular(path, b"evil")]);
        assert_eq!(refused(&package), FileProblem::Path, "{path}");
    }
}

#[test]
fn climbing_names_in_the_payload_are_not_in_the_list() {
    for name in ["../evil", "./../evil", "/../evil", "./usr/../../evil", "/etc/evil"] {
        let good = File::regular("/good", b"x");
        let evil = Entry { name: name.into(), ..Entry::of(&File::regular("/x", b"evil")) };
        let package = Package::new(vec![good.clone()]).entries(vec![evil, Entry::of(&good)]);
        assert_eq!(refused(&package), FileProblem::Unlisted, "{name}");
    }
}

#[test]
fn nothing_is_written_through_a_symlink() {
    for target in ["/tmp", "..", "../..", "other"] {
        for files in [
            vec![File::symlink("/link", target), File::regular("/link/evil", b"x")],
            vec![File::regular("/link/evil", b"x"), File::symlink("/link", target)],
            vec![File::symlink("/usr/link", target), File::regular("/usr/link/evil", b"x")],
        ] {
            assert_eq!(refused(&Package::new(files)), FileProblem::TwoThings, "{target}");
        }
    }
}

#[test]
fn a_symlink_that_lies_in_the_tree_already_is_not_followed() {
    for target in ["..", "../outside", "bin"] {
        let scratch = Jail::new();
        fs::create_dir_all(scratch.path.join("outside")).unwrap();
        fs::create_dir_all(scratch.tree().join("bin")).unwrap();
        std::os::unix::fs::symlink(target, scratch.tree().join("link")).unwrap();
        let before = scratch.listing();
        for path in ["/link/evil", "/link"] {
            let package = Package::new(vec![File::regular(path, b"evil")]);
            let error = install(&package, &scratch).unwrap_err();
            assert!(matches!(error, UnpackError::Write { .. }), "{error}");
            assert_eq!(scratch.listing(), before);
        }
    }
}

#[test]
fn a_file_that_lies_in_the_tree_already_is_not_overwritten() {
    let scratch = Jail::new();
    fs::write(scratch.tree().join("there"), "mine").unwrap();
    let package = Package::new(vec![File::regular("/there", b"evil")]);
    let error = install(&package, &scratch).unwrap_err();
    let UnpackError::Write { path, .. } = &error else { panic!("{error}") };
    assert_eq!(*path, RelPath::new("there").unwrap());
    assert_eq!(fs::read_to_string(scratch.tree().join("there")).unwrap(), "mine");
}

#[test]
fn hard_links_lead_only_to_files_of_the_package() {
    // A hard link to something outside has a name that no header can list, and no data.
    let scratch = Jail::new();
    fs::write(scratch.path.join("secret"), "secret").unwrap();
    let one = File::regular("/one", b"secret").inode(7);
    let two = File::regular("/two", b"secret").inode(7);
    let outside = Entry { name: b"./../secret".to_vec(), ..Entry::of(&two) };
    let package =
        Package::new(vec![one.clone(), two]).entries(vec![Entry::of(&one).without_data(), outside]);
    assert_eq!(refused_in(&package, &scratch), FileProblem::Unlisted);
    assert!(scratch.tree_listing().is_empty());
}

#[test]
fn hard_links_that_get_no_data_are_missing() {
    let one = File::regular("/one", b"data").inode(7);
    let two = File::regular("/two", b"data").inode(7);
    let package = Package::new(vec![one.clone(), two.clone()])
        .entries(vec![Entry::of(&one).without_data(), Entry::of(&two).without_data()]);
    assert_eq!(refused(&package), FileProblem::Missing);
    // One whose digest is another's does not get that other's data.
    let other = File::regular("/two", b"evil").inode(7);
    let package = Package::new(vec![one.clone(), other.clone()])
        .entries(vec![Entry::of(&one).without_data(), Entry::of(&other)]);
    let scratch = Jail::new();
    assert_eq!(refused_in(&package, &scratch), FileProblem::Missing);
    assert_eq!(scratch.tree_listing().into_keys().collect::<Vec<_>>(), ["two"]);
}

#[test]
fn devices_fifos_and_sockets_are_refused() {
    for kind in [0o020_666, 0o060_660, 0o010_644, 0o140_777, 0o000_644, 0o110_644] {
        let package = Package::new(vec![File::regular("/dev/null", b"").mode(kind)]);
        assert_eq!(refused(&package), FileProblem::Special, "{kind:o}");
    }
}

#[test]
fn a_payload_that_makes_a_device_of_a_file_is_refused() {
    for kind in [0o020_666, 0o040_755, 0o120_777, 0o000_644] {
        let file = File::regular("/file", b"");
        let entry = Entry { mode: kind, ..Entry::of(&file) };
        assert_eq!(refused(&Package::new(vec![file]).entries(vec![entry])), FileProblem::Type);
    }
}

#[test]
fn a_file_over_a_directory_and_back_is_refused() {
    for files in [
        vec![File::directory("/a"), File::regular("/usr/a", b"x")],
        vec![File::regular("/usr/a", b"x"), File::directory("/a")],
        vec![File::regular("/a", b"x"), File::regular("/a/b", b"x")],
        vec![File::regular("/a/b", b"x"), File::regular("/a", b"x")],
        vec![File::regular("/a", b"x"), File::regular("/usr/a", b"y")],
    ] {
        assert_eq!(refused(&Package::new(files)), FileProblem::TwoThings);
    }
}

#[test]
fn nothing_can_take_the_place_of_the_root() {
    for path in ["/usr", "/"] {
        for file in [File::regular(path, b"x"), File::symlink(path, "elsewhere")] {
            assert_eq!(refused(&Package::new(vec![file])), FileProblem::Path, "{path}");
        }
    }
}

#[test]
fn duplicates_are_refused() {
    let file = File::regular("/a", b"x");
    let package = Package::new(vec![file.clone(), file.clone()]);
    assert_eq!(refused(&package), FileProblem::ListedTwice);
    let twice = Package::new(vec![file.clone()]).entries(vec![Entry::of(&file), Entry::of(&file)]);
    assert_eq!(refused_in(&twice, &Jail::new()), FileProblem::Duplicate);
}

#[test]
fn entries_that_the_header_does_not_list_are_refused() {
    let (good, evil) = (File::regular("/good", b"x"), File::program("/usr/bin/sudo", b"evil"));
    let package =
        Package::new(vec![good.clone()]).entries(vec![Entry::of(&evil), Entry::of(&good)]);
    assert_eq!(refused(&package), FileProblem::Unlisted);
    let mut stripped = Package::new(vec![good]);
    stripped.archive = Some(rpms::stripped_cpio(&[(1, b"")]));
    assert_eq!(refused(&stripped), FileProblem::Unlisted);
}

#[test]
fn files_that_the_payload_lacks_are_missing() {
    for file in [File::regular("/a", b"x"), File::directory("/a"), File::symlink("/a", "b")] {
        assert_eq!(refused(&Package::new(vec![file]).entries(vec![])), FileProblem::Missing);
    }
}

#[test]
fn content_that_is_not_the_headers_is_refused_and_removed() {
    let file = File::program("/usr/bin/tool", b"good");
    let entry = Entry { data: b"evil".to_vec(), ..Entry::of(&file) };
    let scratch = Jail::new();
    let problem = refused_in(&Package::new(vec![file]).entries(vec![entry]), &scratch);
    assert!(matches!(problem, FileProblem::Digest { .. }), "{problem}");
    assert_eq!(scratch.tree_listing().into_keys().collect::<Vec<_>>(), ["bin"]);
}

#[test]
fn sizes_that_are_not_the_headers_are_refused() {
    let file = File::regular("/a", b"12345");
    for data in ["1234", "123456", ""] {
        let entry = Entry { data: data.into(), ..Entry::of(&file) };
        let package = Package::new(vec![file.clone()]).entries(vec![entry]);
        // No data at all may yet come with a hard link.
        let expected = match data.len() as u64 {
            0 => FileProblem::Missing,
            got => FileProblem::Size { expected: 5, got },
        };
        assert_eq!(refused(&package), expected);
    }
    let directory = File::directory("/a");
    let entry = Entry { data: b"x".to_vec(), ..Entry::of(&directory) };
    let package = Package::new(vec![directory]).entries(vec![entry]);
    assert_eq!(refused(&package), FileProblem::Size { expected: 0, got: 1 });
}

#[test]
fn symlinks_that_are_not_the_headers_are_refused() {
    let link = File::symlink("/a", "good");
    for target in ["evil", "/etc/passwd", "goo", ""] {
        let entry = Entry { data: target.into(), ..Entry::of(&link) };
        let package = Package::new(vec![link.clone()]).entries(vec![entry]);
        assert_eq!(refused(&package), FileProblem::LinkTarget, "{target}");
    }
    assert_eq!(refused(&Package::new(vec![File::symlink("/a", "")])), FileProblem::LinkTarget);
}

#[test]
fn symlinks_cannot_lead_out_of_the_tree_by_climbing() {
    let scratch = Jail::new();
    let package = Package::new(vec![
        File::symlink("/usr/bin/a", "../../../../../etc/passwd"),
        File::symlink("/b", ".."),
    ]);
    install(&package, &scratch).unwrap();
    let link = |path| fs::read_link(scratch.tree().join(path)).unwrap();
    assert_eq!(link("bin/a").to_str(), Some("../etc/passwd"));
    assert_eq!(link("b").to_str(), Some("."));
}

#[test]
fn names_with_control_characters_are_shown_escaped() {
    let bad = Package::new(vec![File::regular("/a\n\x1b[31m/../b", b"x")]);
    let error = install(&bad, &Jail::new()).unwrap_err().to_string();
    assert!(error.contains("/a\\n\\u{1b}[31m/../b") && !error.contains('\n'), "{error}");
    let scratch = Jail::new();
    install(&Package::new(vec![File::regular("/a\nb", b"x")]), &scratch).unwrap();
    assert!(scratch.tree().join("a\nb").exists());
}

#[test]
fn a_payload_that_cannot_be_decoded_is_refused() {
    for compressor in ["gzip", "xz", "lzma", "zstd", "none"] {
        let file = File::regular("/a", &vec![b'a'; 5000]);
        let mut package = Package::new(vec![file]).compressor(compressor);
        let whole = package.payload();
        // The compressed bytes themselves: cut, and followed by nothing.
        package.compressor = Some(compressor.into());
        let key = TestKey::new();
        let header = package.header();
        let signature = key.sign(&header, &Default::default());
        let signatures = rpms::signature_header(&header, Some(&signature));
        for payload in [&whole[..whole.len() / 2], b"", b"junk that is no payload of any kind"] {
            let bytes = rpms::assemble(&signatures, &header, payload);
            let mut keyring = Keyring::new();
            let allowed = keyring.add_trusted(&key.public_file()).unwrap();
            let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: false };
            let verified = open(bytes.as_slice(), &package.planned(&bytes), &policy).unwrap();
            let (scratch, claims) = (Jail::new(), Claims::new());
            let tree = scratch.dir();
            let destination = Destination { tree: &tree, claims: &claims };
            let error = unpack(verified, &[], &destination, &Silent::default()).unwrap_err();
            let expected =
                matches!(error, UnpackError::Decode { .. } | UnpackError::Archive { .. });
            assert!(expected, "{compressor}: {error}");
            assert!(scratch.tree_listing().is_empty());
        }
    }
}

#[test]
fn a_damaged_file_is_reported_as_such_whatever_it_broke() {
    let key = TestKey::new();
    let package = Package::new(vec![File::regular("/a", &vec![b'a'; 5000])]).compressor("xz");
    let bytes = package.signed(&key);
    let planned = package.planned(&bytes);
    let mut keyring = Keyring::new();
    let allowed = keyring.add_trusted(&key.public_file()).unwrap();
    let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: false };
    for position in rpms::parts(&bytes)[2]..bytes.len() {
        let mut changed = bytes.clone();
        changed[position] ^= 0x10;
        let verified = open(changed.as_slice(), &planned, &policy).unwrap();
        let (scratch, claims) = (Jail::new(), Claims::new());
        let tree = scratch.dir();
        let destination = Destination { tree: &tree, claims: &claims };
        let error = unpack(verified, &[], &destination, &Silent::default()).unwrap_err();
        let by_digest = matches!(error, UnpackError::Trust(TrustError::Checksum { .. }));
        assert!(by_digest, "payload byte {position}: {error}");
    }
}

#[test]
fn a_payload_is_read_no_further_than_the_header_declares() {
    // Gigabytes of zeros: after the archive's end, as a file's data, and as a name.
    let zeros = vec![0; 64 << 20];
    let file = File::regular("/a", b"x");
    let mut after = Package::new(vec![file.clone()]);
    after.archive = Some([rpms::cpio(&[Entry::of(&file)]), zeros.clone()].concat());
    install(&after.compressor("zstd"), &Jail::new()).unwrap();

    let entry = Entry { data: zeros.clone(), ..Entry::of(&file) };
    let inside = Package::new(vec![file.clone()]).entries(vec![entry]).compressor("zstd");
    assert_eq!(refused(&inside), FileProblem::Size { expected: 1, got: 64 << 20 });

    let entry = Entry { name: vec![b'a'; 64 << 20], ..Entry::of(&file) };
    let named = Package::new(vec![file]).entries(vec![entry]).compressor("zstd");
    let error = install(&named, &Jail::new()).unwrap_err();
    assert!(matches!(error, UnpackError::Archive { .. }), "{error}");
}

#[test]
fn a_size_that_the_data_does_not_have_is_not_believed() {
    let file = File { size: Some(u32::MAX), ..File::regular("/a", b"x") };
    let entry = Entry { size: Some(u32::MAX), ..Entry::of(&file) };
    let error = install(&Package::new(vec![file]).entries(vec![entry]), &Jail::new());
    assert!(matches!(error, Err(UnpackError::Decode { .. })));
}

#[test]
fn a_hundred_thousand_entries_are_just_many() {
    let files = (0..100_000).map(|number| {
        let path = format!("/usr/share/many/{}/{number}", number / 1000);
        File::regular(&path, path.as_bytes())
    });
    let scratch = Jail::new();
    let package = Package::new(files.collect()).compressor("zstd");
    // All are read and proven; to write them all takes some file systems half a minute.
    let wanted = [RelPath::new("share/many/99/99999").unwrap()];
    let unpacked = install_only(&package, &wanted, &scratch).unwrap();
    assert_eq!(unpacked.files.len(), 4);
    assert_eq!(scratch.tree_listing().len(), 4);
}

#[test]
fn a_path_of_a_thousand_directories_is_no_trouble() {
    let path = format!("{}/file", "/d".repeat(1000));
    let scratch = Jail::new();
    install(&Package::new(vec![File::regular(&path, b"deep")]), &scratch).unwrap();
    let long = format!("/{}", "n".repeat(300));
    let error = install(&Package::new(vec![File::regular(&long, b"x")]), &scratch).unwrap_err();
    assert!(matches!(error, UnpackError::Write { .. }), "{error}");
}
