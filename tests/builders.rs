//! Packages of other builders than rpmbuild: what they leave out, add, or write in their own way.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use elsewhere::stages::report::{Event, Reporter, Silent};
use elsewhere::stages::trust::read_local;
use elsewhere::stages::unpack::{FileProblem, UnpackError};

use support::jail::Jail;
use support::rpms::{Entry, File, Package, stripped_cpio};

fn install_told(
    package: &Package,
    jail: &Jail,
    reporter: &dyn Reporter,
) -> Result<(), UnpackError> {
    jail.install(package, &[], reporter).map(drop)
}

fn install(package: &Package, jail: &Jail) -> Result<(), UnpackError> {
    install_told(package, jail, &Silent::default())
}

/// What lies in the tree afterwards, without times.
fn tree_of(package: &Package, what: &str) -> BTreeMap<String, String> {
    let jail = Jail::new();
    install(package, &jail).unwrap_or_else(|error| panic!("{what}: {error}"));
    jail.tree_listing()
        .into_iter()
        .map(|(path, what)| (path, what.replace(" 1500000000 ", " 0 ")))
        .collect()
}

fn files() -> Vec<File> {
    vec![
        File::directory("/usr/share/hello"),
        File::program("/usr/bin/hello", b"hello"),
        File::regular("/usr/share/hello/text", b"some text"),
    ]
}

#[test]
fn optional_tags_may_be_missing() {
    let whole = tree_of(&Package::new(files()), "nothing");
    let all = [1014, 1034, 1036, 1037, 1044, 1095, 1096, 1124];
    let mut cases: Vec<Vec<u32>> = all.iter().map(|tag| vec![*tag]).collect();
    cases.push(vec![1095, 1096]);
    cases.push(all.to_vec());
    for tags in cases {
        let package = Package::new(files()).without(&tags);
        assert_eq!(tree_of(&package, &format!("without {tags:?}")), whole);
        let bytes = package.unsigned();
        let local = read_local(bytes.as_slice(), "hello.rpm").unwrap();
        assert_eq!(local.files, ["/usr/share/hello", "/usr/bin/hello", "/usr/share/hello/text"]);
    }
    // What says how long a file is, and of what kind, is needed.
    for tag in [1028, 1030, 1116, 1118] {
        let error = install(&Package::new(files()).without(&[tag]), &Jail::new()).unwrap_err();
        assert!(error.to_string().contains(&tag.to_string()), "{error}");
    }
    let links = vec![File::symlink("/usr/bin/hi", "hello")];
    let error = install(&Package::new(links).without(&[1036]), &Jail::new()).unwrap_err();
    assert!(matches!(error, UnpackError::File { problem: FileProblem::LinkTarget, .. }), "{error}");
}

/// A way to write paths.
type Form<'a> = (&'static str, &'a dyn Fn(&str) -> String);

#[test]
fn paths_are_read_however_they_are_written() {
    let whole = tree_of(&Package::new(files()), "plain");
    let renamed = |rename: &dyn Fn(&str) -> String| -> Vec<File> {
        let path = |file: &File| rename(std::str::from_utf8(&file.path).unwrap()).into_bytes();
        files().into_iter().map(|file| File { path: path(&file), ..file }).collect()
    };
    let header_forms: [Form; 5] = [
        ("plain", &|path| path.to_owned()),
        ("with a dot", &|path| format!(".{path}")),
        ("without a slash", &|path| path[1..].to_owned()),
        ("doubled slashes", &|path| path.replace('/', "//")),
        ("dots within", &|path| path.replace('/', "/./")),
    ];
    let archive_forms: [Form; 6] = [
        ("with a dot", &|path| format!(".{path}")),
        ("absolute", &|path| path.to_owned()),
        ("relative", &|path| path[1..].to_owned()),
        ("doubled slashes", &|path| format!("./{path}")),
        ("a dot too many", &|path| format!("././{}", &path[1..])),
        ("directories end with a slash", &|path| match path {
            "/usr/share/hello" => "./usr/share/hello/".to_owned(),
            path => format!(".{path}"),
        }),
    ];
    for (header, in_header) in header_forms {
        for (archive, in_archive) in archive_forms {
            let entry = |file: &File| {
                let path = std::str::from_utf8(&file.path).unwrap();
                Entry { name: in_archive(path).into_bytes(), ..Entry::of(file) }
            };
            for old_names in [false, true] {
                let entries = files().iter().map(entry).collect();
                let package = Package::new(renamed(in_header)).entries(entries);
                let package = Package { old_names, ..package };
                let what = format!("header {header}, archive {archive}, old names: {old_names}");
                assert_eq!(tree_of(&package, &what), whole, "{what}");
                let bytes = package.unsigned();
                let local = read_local(bytes.as_slice(), "hello.rpm").unwrap();
                assert_eq!(local.files[1], "/usr/bin/hello", "{what}");
            }
        }
    }
    // A directory as the name of nothing in itself, as rpmpack splits it.
    let mut slashed = files();
    slashed[0].path = b"/usr/share/hello/".to_vec();
    assert_eq!(tree_of(&Package::new(slashed), "a slash at its end"), whole);
}

#[test]
fn longer_digests_prove_files_too() {
    let whole = tree_of(&Package::new(files()), "SHA-256");
    for number in [9, 10] {
        let package = Package { digest_algorithm: Some(number), ..Package::new(files()) };
        assert_eq!(tree_of(&package, "longer"), whole);
        let mut forged = package;
        forged.files[1].digest = Some("0".repeat(if number == 9 { 96 } else { 128 }));
        let error = install(&forged, &Jail::new()).unwrap_err();
        let UnpackError::File { problem: FileProblem::Digest { .. }, path, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(path, "/usr/bin/hello");
    }
}

#[test]
fn a_digest_of_what_has_none_is_not_looked_at() {
    let mut odd = files();
    odd[0].digest = Some("0".repeat(32));
    odd.push(File { digest: Some("-".into()), ..File::symlink("/usr/bin/hi", "hello") });
    let mut package = Package::new(odd);
    package.every_digest = true;
    assert_eq!(tree_of(&package, "digests everywhere")["bin/hi"], "-> hello");
}

#[test]
fn ghosts_in_the_payload_are_passed_over() {
    let ghost = File::regular("/var/log/hello", b"log").flags(64 | 1);
    let all: Vec<File> = [vec![ghost], files()].concat();
    let entries = all.iter().map(Entry::of).collect();
    let package = Package::new(all).entries(entries);
    assert_eq!(tree_of(&package, "a ghost"), tree_of(&Package::new(files()), "none"));
}

fn linked(inode: u32) -> Vec<File> {
    let name = |name: &str| File::program(name, b"the same").inode(inode);
    vec![name("/usr/bin/a"), name("/usr/bin/b"), name("/usr/sbin/c")]
}

#[test]
fn hard_links_are_found_without_inodes() {
    for without in [vec![], vec![1095], vec![1096], vec![1095, 1096]] {
        for whole in 0..3 {
            let files = linked(7);
            let entries = files.iter().enumerate().map(|(number, file)| match number == whole {
                true => Entry::of(file),
                false => Entry::of(file).without_data(),
            });
            let package = Package::new(linked(7)).entries(entries.collect()).without(&without);
            let jail = Jail::new();
            install(&package, &jail).unwrap_or_else(|error| panic!("{without:?}: {error}"));
            let inode = |path: &str| fs::metadata(jail.tree().join(path)).unwrap().ino();
            for path in ["bin/a", "bin/b", "sbin/c"] {
                assert_eq!(fs::read(jail.tree().join(path)).unwrap(), b"the same");
                assert_eq!(inode(path), inode("bin/a"), "{without:?}");
            }
        }
        let none = linked(7).iter().map(|file| Entry::of(file).without_data()).collect();
        let package = Package::new(linked(7)).entries(none).without(&without);
        let error = install(&package, &Jail::new()).unwrap_err();
        let missing = matches!(error, UnpackError::File { problem: FileProblem::Missing, .. });
        assert!(missing, "{error}");
    }
}

#[test]
fn one_inode_for_all_files_makes_no_links_of_others() {
    let all: Vec<File> = files().into_iter().map(|file| file.inode(1)).collect();
    assert_eq!(tree_of(&Package::new(all.clone()), "1"), tree_of(&Package::new(files()), "own"));
    let data: Vec<(u32, &[u8])> = vec![(0, b""), (1, b"hello"), (2, b"some text")];
    let stripped = Package { archive: Some(stripped_cpio(&data)), ..Package::new(all) };
    assert_eq!(tree_of(&stripped, "stripped"), tree_of(&Package::new(files()), "own"));
}

/// Keeps what is told.
#[derive(Default)]
struct Told(std::sync::Mutex<Vec<String>>);

impl Reporter for Told {
    fn event(&self, event: Event) {
        if let Event::Detail { message } = event {
            self.0.lock().unwrap().push(message);
        }
    }
}

#[test]
fn a_link_in_usr_gives_way_to_the_directory_in_the_root() {
    let link = || File::symlink("/usr/tmp", "../var/tmp");
    let cases = [
        vec![File::directory("/tmp"), link(), File::directory("/var/tmp")],
        vec![link(), File::directory("/var/tmp"), File::directory("/tmp")],
        vec![link(), File::regular("/tmp/x/y", b"x"), File::directory("/var/tmp")],
        vec![File::symlink("/tmp", "var/tmp"), File::directory("/usr/tmp"), link_free()],
    ];
    for files in cases {
        let (jail, told) = (Jail::new(), Told::default());
        install_told(&Package::new(files), &jail, &told).unwrap();
        let found = jail.tree_listing();
        assert_eq!(found["tmp"], "755 directory");
        assert_eq!(found["var/tmp"], "755 directory");
        let told = told.0.into_inner().unwrap();
        assert!(told.iter().any(|text| text.contains("var/tmp gives way")), "{told:?}");
    }
    // In one place of the package's own, or of different content, they are still two things.
    for files in [
        vec![link(), File::directory("/tmp"), File::regular("/usr/tmp/x", b"x")],
        vec![File::symlink("/tmp", "a"), File::regular("/tmp/x", b"x"), link_free()],
        vec![File::regular("/bin/a", b"1"), File::regular("/usr/bin/a", b"2")],
    ] {
        let error = install(&Package::new(files), &Jail::new()).unwrap_err();
        let two = matches!(error, UnpackError::File { problem: FileProblem::TwoThings, .. });
        assert!(two, "{error}");
    }
}

fn link_free() -> File {
    File::directory("/var/tmp")
}
