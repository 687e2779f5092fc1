//! Whether what the tests write is what the world takes it for: RPM and createrepo_c judge a package
//! with some of everything. `e2e/mirror.rs` asks the same of the large mirror.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::fs;
use std::process::Command;

use support::judges::{createrepo_agrees, rpm_accepts};
use support::mirror::package::{Content, Entry, Role, Spec};
use support::mirror::repository::RepositoryBuilder;
use support::tiny::{Tiny, key};
use support::tools::{need, stdout};
use support::world::World;

/// A package with every kind of file and of relation.
fn everything(arch: &str) -> Spec {
    let entry = |path, content, role| Entry::new(path, 0o644, content, role);
    let linked = || Content::HardLink("the same\n".into(), "same");
    Spec {
        name: "everything".to_owned(),
        epoch: 2,
        version: "1.4~rc1".to_owned(),
        release: "3.el9".to_owned(),
        arch: arch.to_owned(),
        summary: "Some of <everything> & more".to_owned(),
        license: "MIT AND BSD-2-Clause".to_owned(),
        entries: vec![
            Entry::file("/usr/bin/everything", 0o755, "#!/bin/sh\n"),
            entry("/etc/everything.conf", Content::File("a = 1\n".into()), Role::Config),
            entry("/usr/share/everything", Content::Directory, Role::Plain),
            entry("/usr/share/everything/a", linked(), Role::Plain),
            entry("/usr/share/everything/b", linked(), Role::Plain),
            entry("/usr/share/everything/c", Content::Symlink("a".into()), Role::Plain),
            entry("/usr/share/licenses/everything", Content::File("MIT\n".into()), Role::License),
            entry("/var/lib/everything", Content::Ghost, Role::Plain),
        ],
        requires: [
            "a",
            "b >= 1:2-3",
            "(c or d)",
            "libc.so.6(GLIBC_2.4)(64bit)",
            "libc.so.6(GLIBC_2.17)(64bit)",
        ]
        .map(str::to_owned)
        .into(),
        provides: vec!["thing = 4".to_owned(), "nothing".to_owned()],
        conflicts: vec!["x < 2".to_owned()],
        obsoletes: vec!["y <= 1-1".to_owned()],
        recommends: vec!["z > 1".to_owned()],
        filtered: Vec::new(),
        post: Some(("true", "/usr/sbin/alternatives")),
    }
}

#[test]
fn rpm_and_createrepo_c_read_what_was_meant() {
    let world = World::new("writers");
    let key_file = world.scratch.write("key", key().public_file());
    for (compressor, by_initial) in [("xz", true), ("zstd", false), ("gzip", false)] {
        let root = world.place(compressor);
        let mut builder = RepositoryBuilder::new(root.clone(), by_initial);
        let mut packages = Vec::new();
        for arch in ["x86_64", "noarch", "i686"] {
            let spec = everything(arch);
            let file = spec.file_name();
            builder.add(&file, spec.package(compressor, "Vendor & Sons"), key());
            let directory = if by_initial { "Packages/e" } else { "Packages" };
            packages.push(root.join(directory).join(file));
        }
        builder.finish(compressor, Some(key()));
        let database = world.place(&format!("{compressor}-rpmdb"));
        rpm_accepts(std::slice::from_ref(&key_file), &packages, &database);
        let output = world.place(&format!("{compressor}-judged"));
        fs::create_dir(&output).unwrap();
        createrepo_agrees(&root, &output);
        let query = [
            "-qp",
            "--nosignature",
            "--qf",
            "%{EPOCH} %{PAYLOADCOMPRESSOR} %{VENDOR}\\n",
            "--scripts",
        ];
        let told = stdout(Command::new(need("rpm", "rpm")).args(query).arg(&packages[0]));
        assert!(told.starts_with(&format!("2 {compressor} Vendor & Sons")), "{told}");
        assert!(told.contains("true"), "{told}");
    }
}

#[test]
fn rpm_accepts_the_small_mirror_and_finds_what_was_changed() {
    let tiny = Tiny::new("writers-tiny");
    let key = tiny.mirror().join("tiny.example/KEY");
    let root = tiny.repository("extra", "x86_64");
    let packages: Vec<_> =
        fs::read_dir(root.join("Packages")).unwrap().map(|entry| entry.unwrap().path()).collect();
    rpm_accepts(&[key], &packages, &tiny.place("rpmdb"));
    let output = tiny.place("judged");
    fs::create_dir(&output).unwrap();
    createrepo_agrees(&root, &output);
    // The judge has a say.
    let mut bytes = fs::read(&packages[0]).unwrap();
    let middle = bytes.len() - 30;
    bytes[middle] ^= 1;
    fs::write(&packages[0], bytes).unwrap();
    let mut check = Command::new(need("rpmkeys", "rpm"));
    check.arg("--dbpath").arg(tiny.place("rpmdb")).arg("--checksig").arg(&packages[0]);
    assert!(!check.output().unwrap().status.success());
}
