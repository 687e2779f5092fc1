use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::tools::programs::{Listen, Patience, run};

const TIME: u64 = 1_700_000_000;
const MANNER: Manner = Manner { owner: (1234, 5678), time: TIME, depth: 1 };

/// A directory that goes away.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("target/tmp/tar-{name}-{}", std::process::id());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &[u8], time: u64) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(time)).unwrap();
    }

    fn archive(&self) -> Result<Vec<u8>, CvmfsError> {
        let mut bytes = Vec::new();
        Archive::of(&self.0, MANNER)?.write(&mut bytes)?;
        Ok(bytes)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What GNU tar says of an archive.
fn listed(bytes: &[u8], words: &[&str]) -> String {
    let place = Place::new(&format!("list-{}-{}", bytes.len(), words.len()));
    let file = place.0.join("a.tar");
    fs::write(&file, bytes).unwrap();
    let mut command = Command::new("tar");
    command.args(words).arg("-f").arg(&file).env("TZ", "UTC").env("LC_ALL", "C");
    let finished = run(command, Listen::Both, Patience::of(Duration::from_secs(60))).unwrap();
    assert!(finished.end.is_success(), "{}", finished.output);
    finished.output
}

#[test]
fn an_archive_is_what_another_program_reads() {
    let place = Place::new("read");
    let deep = format!("1.4.5/{}/{}", "d".repeat(80), "f".repeat(120));
    place.write("1.4.5/bin/tool", b"#!/bin/sh\n", TIME - 5);
    place.write(&deep, &[7; 1000], TIME + 1000);
    place.write("1.4.5/empty", b"", 0);
    fs::set_permissions(place.0.join("1.4.5/bin/tool"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::hard_link(place.0.join("1.4.5/bin/tool"), place.0.join("1.4.5/bin/again")).unwrap();
    symlink("1.4.5", place.0.join("0-current")).unwrap();
    symlink(format!("../{}", "x".repeat(150)), place.0.join("1.4.5/long")).unwrap();
    let bytes = place.archive().unwrap();
    assert_eq!(bytes.len() % BLOCK, 0);
    let listing = listed(&bytes, &["--numeric-owner", "--full-time", "-tv"]);
    let lines: Vec<Vec<&str>> =
        listing.lines().map(|line| line.split_whitespace().collect()).collect();
    let names: Vec<&str> = lines.iter().map(|line| line[5]).collect();
    let long = format!("1.4.5/{}/", "d".repeat(80));
    let expected = [
        "1.4.5/",
        "1.4.5/bin/",
        "1.4.5/bin/again",
        "1.4.5/bin/tool",
        &long,
        &deep,
        "1.4.5/empty",
        "1.4.5/long",
        "0-current",
    ];
    assert_eq!(names, expected, "sorted, what leads to a version after it");
    assert!(lines.iter().all(|line| line[1] == "1234/5678"), "{listing}");
    assert_eq!(lines[3][0], "-rwxr-xr-x");
    assert_eq!((lines[2][0], lines[2][2]), ("-rwxr-xr-x", "10"), "no hard link: a file of its own");
    assert_eq!(lines[7][7], format!("../{}", "x".repeat(150)));
    let times: Vec<&str> = lines.iter().map(|line| line[4]).collect();
    assert_eq!((times[0], times[3], times[5]), ("22:13:20", "22:13:15", "22:13:20"), "{listing}");
    let content = listed(&bytes, &["-xO", "--wildcards", "*fff"]);
    assert_eq!(content.as_bytes(), [7; 1000]);
    // Another directory with the same files, made later.
    let again = Place::new("again");
    let copied = Command::new("cp");
    let mut copied = copied;
    copied.arg("-a").arg(place.0.join(".")).arg(&again.0);
    assert!(
        run(copied, Listen::Both, Patience::of(Duration::from_secs(60))).unwrap().end.is_success()
    );
    fs::remove_file(again.0.join("1.4.5/empty")).unwrap();
    again.write("1.4.5/empty", b"", 0);
    assert!(again.archive().unwrap() == bytes);
}

#[test]
fn what_leads_out_or_gives_rights_is_refused() {
    let refused = |prepare: &dyn Fn(&Path)| {
        let place = Place::new("refused");
        place.write("v/file", b"x", TIME);
        assert!(place.archive().is_ok());
        prepare(&place.0.join("v"));
        place.archive().unwrap_err().to_string()
    };
    for text in ["/etc/passwd", "../../../up", "a/../../../../up"] {
        let error = refused(&|tree| symlink(text, tree.join("link")).unwrap());
        assert!(error.contains("leads out"), "{text}: {error}");
    }
    for mode in [0o4755, 0o2755, 0o1755] {
        let error = refused(&|tree| {
            fs::set_permissions(tree.join("file"), fs::Permissions::from_mode(mode)).unwrap();
        });
        assert!(error.contains("rights"), "{error}");
    }
    let error = refused(&|tree| {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            tree.join("fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
    });
    assert!(error.contains("no file, directory or symlink"), "{error}");
}

#[test]
fn what_says_that_a_version_is_whole_comes_behind_it() {
    let tree = Place::new("order");
    for name in [
        "1/.elsewhere-version.json",
        "1/.cvmfscatalog",
        "1/x/.elsewhere.json",
        ".elsewhere-versions.json",
    ] {
        tree.write(name, b"{}", 0);
    }
    symlink("1", tree.0.join("current")).unwrap();
    let archive = tree.archive().unwrap();
    let names = [
        "1/.cvmfscatalog",
        "1/x/.elsewhere.json",
        "1/.elsewhere-version.json",
        ".elsewhere-versions.json",
        "current",
    ];
    let listed = listed(&archive, &["-t"]);
    let of_files: Vec<&str> = listed.lines().filter(|line| !line.ends_with('/')).collect();
    assert_eq!(of_files, names);
}

#[test]
fn a_file_that_changes_while_it_is_read_ends_it() {
    for text in [&b"longer than before"[..], b""] {
        let place = Place::new("changed");
        place.write("file", b"as it was", TIME);
        let archive = Archive::of(&place.0, MANNER).unwrap();
        place.write("file", text, TIME);
        let error = archive.write(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("changed"), "{error}");
    }
}

#[test]
fn records_know_their_own_length() {
    assert_eq!(record("path", b"x"), b"9 path=x\n");
    for length in 1..2000 {
        let record = record("path", &vec![b'x'; length]);
        let said = String::from_utf8(record.clone()).unwrap();
        let said: usize = said.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(said, record.len());
    }
}

#[test]
fn big_ids_and_sizes_stand_beside_the_header() {
    let member =
        Member { path: "f".into(), kind: Kind::File { size: 1 << 40 }, mode: 0o644, time: TIME };
    let blocks = header(&member, (3_000_000_000, 7));
    let text = String::from_utf8_lossy(&blocks).into_owned();
    assert!(text.contains("size=1099511627776\n") && text.contains("uid=3000000000\n"));
    assert!(!text.contains("gid="));
}
