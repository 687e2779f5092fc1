//! Whatever an archive says, nothing leaves the directory.

use std::fs;
use std::os::unix::fs::symlink;

use super::support::jail::Jail;
use super::support::tarball::{TarEntry, Tarball};
use super::{apply_all, names_of, refusal};

#[test]
fn no_path_leads_out() {
    let attacks = [
        Tarball::new().file("../out", "x"),
        Tarball::new().file("/../../out", "x"),
        Tarball::new().file("a/../../out", "x"),
        Tarball::new().symlink("l", "..").file("l/out", "x"),
        Tarball::new().symlink("l", "../..").file("l/../out", "x"),
        Tarball::new().symlink("l", "/").file("l/out", "x"),
        Tarball::new().symlink("l", "../out").file("l", "x"),
        Tarball::new()
            .symlink("l", "../secret")
            .hard_link("copy", "l/../secret")
            .file("secret", ""),
        Tarball::new().symlink("l", "..").file("l/.wh.secret", ""),
        Tarball::new().symlink("l", "..").file("l/.wh..wh..opq", ""),
        Tarball::new().file("../.wh.secret", ""),
        Tarball::new().symlink("l", "../keep").directory("l").file("l/x", ""),
        Tarball::new().entry(TarEntry::new(b'5', "..").mode(0o777)),
        Tarball::new().symlink("d", "..").entry(TarEntry::new(b'5', "d/keep").mode(0o700)),
    ];
    for (number, attack) in attacks.iter().enumerate() {
        let jail = Jail::new();
        fs::write(jail.path.join("secret"), "s").unwrap();
        fs::create_dir(jail.path.join("keep")).unwrap();
        fs::write(jail.path.join("keep/x"), "k").unwrap();
        let outside = || {
            let mut found = jail.listing();
            found.retain(|path, _| !path.starts_with("tree"));
            found
        };
        let before = outside();
        // As a lower layer, and over another.
        let _ = apply_all(&jail, &[attack.bytes(), attack.bytes()]);
        assert_eq!(outside(), before, "attack {number}");
        let inside = jail.tree_listing();
        assert!(!inside.values().any(|what| what.ends_with(" s")), "{number}: {inside:?}");
    }
}

#[test]
fn absolute_targets_are_texts_and_nothing_else() {
    let jail = Jail::new();
    let out = jail.path.join("out");
    let tar = Tarball::new().symlink("l", out.to_str().unwrap()).file("l", "over it");
    apply_all(&jail, &[tar.bytes()]).unwrap();
    assert!(!out.exists() && jail.tree().join("l").is_file());
    // A file below what leads out is made within.
    let tar = Tarball::new().symlink("m", out.to_str().unwrap()).file("m/x", "x");
    let jail = Jail::new();
    apply_all(&jail, &[tar.bytes()]).unwrap();
    assert!(!out.exists());
}

#[test]
fn circles_and_depth_end() {
    let told = refusal(&[Tarball::new().symlink("a", "b").symlink("b", "a").file("a/x", "")]);
    assert!(told.contains("cannot write /a"), "{told}");
    let name = "n".repeat(300);
    let told = refusal(&[Tarball::new().entry(TarEntry::new(b'0', "x").record("path", &name))]);
    assert!(told.contains("cannot write /nnn"), "{told}");
    // However deep, what was made can be removed: each directory is open meanwhile.
    let deep = |count: usize| {
        let path = format!("{}x", "d/".repeat(count));
        Tarball::new().entry(TarEntry::new(b'0', "x").record("path", path))
    };
    assert!(refusal(&[deep(3000)]).contains("cannot write /d/d"));
    assert_eq!(names_of(&[deep(200)]).len(), 201);
    let link =
        |name: &str, text: &str| TarEntry::new(b'2', name).record("linkpath", text.repeat(200));
    let links = Tarball::new().entry(link("d", "e/")).entry(link("d/l", "f/"));
    assert!(refusal(&[links.file("d/l/x", "")]).contains("cannot write /d/l"));
}

#[test]
fn archives_that_make_no_sense_are_refused() {
    let file = TarEntry { data: b"abc".to_vec(), ..TarEntry::new(b'0', "x") };
    let whole = Tarball::new().entry(file.clone());
    let mut flipped = whole.bytes();
    flipped[0] ^= 1;
    let cases: [(&str, Vec<u8>); 9] = [
        ("checksum", flipped),
        ("cut off", whole.open()[..300].to_vec()),
        ("decoded", whole.open()[..514].to_vec()),
        ("cut off", whole.open()[..700].to_vec()),
        ("decoded", Tarball::new().claiming(&file, 1 << 32).bytes()),
        ("far too long", Tarball::new().claiming(&TarEntry::new(b'x', "x"), 1 << 32).bytes()),
        ("far too long", Tarball::new().claiming(&TarEntry::new(b'L', "x"), 2 << 20).bytes()),
        ("makes no sense", Tarball::new().entry(file.clone().record("size", "-3")).bytes()),
        ("is the root", Tarball::new().file("./", "x").symlink("/", "x").bytes()),
    ];
    for (words, bytes) in cases {
        let error = apply_all(&Jail::new(), &[bytes]).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
    let told = refusal(&[Tarball::new().symlink("x", "")]);
    assert!(told.contains("without a target"), "{told}");
    // Nothing at all is an empty layer, and what nobody knows is passed over.
    assert!(names_of(&[Tarball::new()]).is_empty());
    let vendor = Tarball::new().entry(TarEntry::new(b'V', "volume")).file("x", "");
    assert_eq!(names_of(&[vendor]), ["x"]);
}

#[test]
fn a_newline_in_an_attribute_does_not_hide_a_size() {
    // Who reads records line by line loses the size here, and takes data for headers.
    let inner = Tarball::new().file("smuggled", "x").bytes();
    let entry = TarEntry { data: inner.clone(), ..TarEntry::new(b'0', "x") };
    let entry = entry
        .record("SCHILY.xattr.user.a", b"\n12 size=0\n\n")
        .record("size", inner.len().to_string());
    let tar = Tarball::new().entry(entry).file("y", "");
    assert_eq!(names_of(&[tar]), ["x", "y"]);
}

#[test]
fn whatever_bytes_change_nothing_is_written_outside() {
    let tar = Tarball::new()
        .directory("a")
        .file("a/f", "data")
        .symlink("l", "a")
        .hard_link("h", "a/f")
        .entry(TarEntry::new(b'0', "x").record("path", "l/long").record("mtime", "1.5"))
        .file(".wh.h", "")
        .bytes();
    let mut seed = 0x1234_5678_9abc_def0_u64;
    for _ in 0..400 {
        let mut bytes = tar.clone();
        for _ in 0..3 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(seed >> 33).unwrap() % bytes.len();
            bytes[at] = u8::try_from(seed >> 24 & 0xff).unwrap();
            repair(&mut bytes, at / 512 * 512);
        }
        let jail = Jail::new();
        symlink("/nowhere", jail.path.join("beside")).unwrap();
        let _ = apply_all(&jail, &[bytes.clone(), bytes]);
        let outside: Vec<_> =
            jail.listing().into_keys().filter(|path| !path.starts_with("tree")).collect();
        assert_eq!(outside, ["beside"]);
    }
}

/// Makes a header's checksum right again.
fn repair(bytes: &mut [u8], at: usize) {
    if &bytes[at + 257..at + 262] != b"ustar" {
        return;
    }
    bytes[at + 148..at + 156].fill(b' ');
    let sum: u64 = bytes[at..at + 512].iter().map(|byte| u64::from(*byte)).sum();
    bytes[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
