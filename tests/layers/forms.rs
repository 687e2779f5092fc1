//! Every form of entry that layers have, and what is kept of it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use elsewhere::stages::layers::NodeKind;
use elsewhere::stages::model::Checksum;

use super::support::jail::Jail;
use super::support::scratch::Scratch;
use super::support::tarball::{MTIME, TarEntry, Tarball};
use super::support::tools;
use super::{apply_all, names_of};

#[test]
fn what_a_user_may_have_is_kept_and_the_rest_is_known() {
    let tar = Tarball::new()
        .entry(TarEntry { mtime: MTIME + 9, ..TarEntry::new(b'5', "./").mode(0o555) })
        .entry(TarEntry { data: b"#!".to_vec(), ..TarEntry::new(b'0', "su").mode(0o4755) })
        .entry(TarEntry { owner: (1000, 70_000), ..TarEntry::new(b'0', "owned").mode(0) })
        .entry(TarEntry { mtime: 5, ..TarEntry::new(b'5', "closed").mode(0o2000) })
        .file("closed/in", "i")
        .entry(TarEntry { device: (1, 3), ..TarEntry::new(b'3', "dev/null").mode(0o666) })
        .entry(TarEntry::new(b'4', "dev/disk"))
        .entry(TarEntry::new(b'6', "pipe").mode(0o600))
        .entry(TarEntry::new(b'0', "old/"))
        .entry(TarEntry::new(0, "ancient"))
        .entry(TarEntry::new(b'0', "cap").record("SCHILY.xattr.security.capability", b"\x01\0\n"))
        .entry(TarEntry::new(b'0', "user").record("SCHILY.xattr.user.note", "n"))
        .entry(TarEntry::new(b'0', "time").record("mtime", "-1.25"));
    let jail = Jail::new();
    let nodes = apply_all(&jail, &[tar.bytes()]).unwrap();
    let about = |path: &str| fs::symlink_metadata(jail.tree().join(path)).unwrap();
    let mode = |path: &str| about(path).mode() & 0o7777;
    assert_eq!((mode(""), about("").mtime()), (0o755, MTIME as i64 + 9));
    assert_eq!((mode("su"), mode("owned"), mode("closed")), (0o755, 0o600, 0o700));
    assert_eq!(about("closed").mtime(), 5, "although something was made in it");
    assert!(about("pipe").file_type().is_fifo() && about("old").is_dir());
    assert_eq!((about("time").mtime(), about("time").mtime_nsec()), (-2, 750_000_000));
    for device in ["dev/null", "dev/disk"] {
        assert!(about(device).is_file() && about(device).len() == 0);
    }
    let node = |path: &str| &nodes[Path::new(path)];
    assert_eq!((node("su").mode, node("owned").owner), (0o4755, (1000, 70_000)));
    let digest = Checksum::of(b"#!");
    assert_eq!(node("su").kind, NodeKind::File { size: 2, digest });
    assert_eq!(node("dev/null").kind, NodeKind::Device { is_block: false, number: (1, 3) });
    assert_eq!(node("cap").lost, [(b"security.capability".to_vec(), b"\x01\0\n".to_vec())]);
    assert_eq!(node("dev").mtime, None, "no layer has it");
    // Not every file system has them.
    let has_note = node("user").lost.is_empty();
    let note =
        Command::new("getfattr").args(["-n", "user.note"]).arg(jail.tree().join("user")).output();
    if let Ok(note) = note {
        assert_eq!(note.status.success(), has_note);
    }
}

#[test]
fn names_of_every_kind_and_length_are_read() {
    let long = format!("{}/end", "long".repeat(40));
    let gnu = |kind, name: &str| TarEntry {
        data: [name.as_bytes(), b"\0"].concat(),
        ..TarEntry::new(kind, "././@LongLink")
    };
    let tar = Tarball::new()
        .file(b"caf\xe9", "latin")
        .entry(gnu(b'L', &long))
        .file("cut", "l")
        .entry(gnu(b'K', &long))
        .symlink("link", "cut")
        .entry(TarEntry::new(b'0', "x").record("path", b"pax\xff\nname"))
        .entry(TarEntry::new(b'2', "far").record("linkpath", &long))
        .entry(TarEntry { data: b"18 comment=all of\n".to_vec(), ..TarEntry::new(b'g', "g") })
        .file("./././dots//twice", "d");
    let jail = Jail::new();
    let nodes = apply_all(&jail, &[tar.bytes()]).unwrap();
    let names: Vec<&[u8]> = nodes.keys().map(|path| path.as_os_str().as_bytes()).collect();
    let has = |name: &[u8]| names.contains(&name);
    assert!(has(b"caf\xe9") && has(long.as_bytes()) && has(b"pax\xff\nname") && has(b"dots/twice"));
    for link in ["link", "far"] {
        assert_eq!(fs::read_link(jail.tree().join(link)).unwrap(), Path::new(&long));
    }
    // A prefix is ustar's alone.
    let mut bytes = Tarball::new().file("name", "").bytes();
    bytes[345..351].copy_from_slice(b"prefix");
    bytes[148..156].fill(b' ');
    let sum: u64 = bytes[..512].iter().map(|byte| u64::from(*byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let nodes = apply_all(&Jail::new(), &[bytes]).unwrap();
    assert!(nodes.contains_key(Path::new("prefix/name")));
}

#[test]
fn records_for_all_hold_until_they_are_taken_back() {
    let global = |text: &str| TarEntry { data: text.into(), ..TarEntry::new(b'g', "g") };
    let tar = Tarball::new()
        .entry(global("12 mtime=77\n"))
        .file("a", "")
        .entry(TarEntry::new(b'0', "b").record("mtime", "78"))
        .entry(global("9 mtime=\n"))
        .file("c", "");
    let jail = Jail::new();
    apply_all(&jail, &[tar.bytes()]).unwrap();
    let time = |name: &str| fs::metadata(jail.tree().join(name)).unwrap().mtime();
    assert_eq!((time("a"), time("b"), time("c")), (77, 78, MTIME as i64));
}

/// A file with a hole, at both ends and between, and one that is nothing else.
fn holes(scratch: &Scratch) {
    let file = fs::File::create(scratch.path().join("holes")).unwrap();
    use std::os::unix::fs::FileExt;
    for at in [1 << 16, 1 << 20, 5 << 20] {
        file.write_all_at(&[7; 5000], at).unwrap();
    }
    file.set_len(6 << 20).unwrap();
    fs::File::create(scratch.path().join("hole")).unwrap().set_len(1 << 20).unwrap();
    scratch.write("whole", "w");
}

#[test]
fn files_with_holes_are_read_in_every_form_that_tar_writes() {
    let scratch = Scratch::new("holes");
    holes(&scratch);
    let forms: [&[&str]; 4] = [
        &["--format=gnu"],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ];
    for form in forms {
        let mut tar = Command::new("tar");
        tar.args(["-c", "--sparse"]).args(form).arg("-C").arg(scratch.path());
        let Ok(tar) = tar.args(["holes", "hole", "whole"]).output() else {
            return tools::missing("files with holes, which GNU tar writes");
        };
        let tar = tar.stdout;
        let jail = Jail::new();
        apply_all(&jail, &[tar]).unwrap();
        for name in ["holes", "hole", "whole"] {
            let (there, original) = (jail.tree().join(name), scratch.path().join(name));
            let same = fs::read(&there).unwrap() == fs::read(original).unwrap();
            assert!(same, "{form:?} {name}");
        }
        let blocks = fs::metadata(jail.tree().join("holes")).unwrap().blocks();
        assert!(blocks * 512 < 1 << 20, "{form:?}: {blocks} blocks");
    }
}

#[test]
fn holes_that_make_no_sense_are_refused() {
    let sparse = |map: &str, size: &str, data: &[u8]| {
        let entry = TarEntry { data: data.to_vec(), ..TarEntry::new(b'0', "x") };
        Tarball::new().entry(entry.record("GNU.sparse.map", map).record("GNU.sparse.size", size))
    };
    assert_eq!(names_of(&[sparse("1,2,5,1", "9", b"abc")]), ["x"]);
    for (map, size) in [
        ("1,2,5,1", "5"),
        ("5,2,1,1", "9"),
        ("1,2,5", "9"),
        ("1,2,5,2", "9"),
        ("1,x,5,1", "9"),
        ("1,2,18446744073709551615,1", "9"),
        ("1,2,5,1", "9999999999999999"),
    ] {
        let told = super::refusal(&[sparse(map, size, b"abc")]);
        assert!(told.contains("holes makes no sense"), "{map}: {told}");
    }
}
