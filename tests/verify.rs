//! `elsewhere verify`: damage is found, named, and put back; the user's own changes are neither.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use elsewhere::stages::launcher;
use elsewhere::stages::model::{Checksum, Receipt, RelPath};
use support::keys::{MADE, SignOptions};
use support::program;
use support::rpms::Package;
use support::server::Server;
use support::site::{Site, data, hello};

fn installed(name: &str) -> Site {
    let site = Site::new(name);
    site.install(&[]).ok();
    site
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Damages the tree in every way that there is.
fn damage(site: &Site) {
    fs::write(site.in_tree("share/hello/text"), "text of 6.6\n").unwrap();
    fs::remove_file(site.in_tree("bin/hello")).unwrap();
    set_mode(&site.in_tree("share/hello-data/two"), 0o4755);
    fs::remove_file(site.in_tree("bin/hi")).unwrap();
    symlink("/etc/passwd", site.in_tree("bin/hi")).unwrap();
    let launcher = site.prefix().join("bin/hello");
    let text = fs::read_to_string(&launcher).unwrap();
    fs::write(launcher, text.replace("exec ", "exec strace ")).unwrap();
}

/// The user's own changes.
fn edit(site: &Site) {
    fs::write(site.in_tree("etc/hello.conf"), "colour = red\n").unwrap();
    fs::write(site.in_tree("etc/hello.conf.rpmnew"), "colour = blue\n").unwrap();
    fs::create_dir(site.in_tree("etc/mine")).unwrap();
    fs::write(site.in_tree("etc/mine/more"), "more\n").unwrap();
}

#[test]
fn a_whole_prefix_is_whole_and_looking_changes_nothing() {
    let site = installed("verify-whole");
    let before = site.state();
    let outcome = site.run("verify", &[]).ok();
    assert_eq!(outcome.out, "");
    assert!(outcome.err.contains("files of 2 packages as they were made"), "{}", outcome.err);
    assert_eq!(site.state(), before);
    let json = site.run("verify", &["--json"]).ok().json();
    assert_eq!(json["trees"][0]["findings"], serde_json::json!([]));
    assert_eq!(json["trees"][0]["live"], true);
}

#[test]
fn every_kind_of_damage_is_named() {
    let site = installed("verify-damage");
    damage(&site);
    fs::write(site.in_tree("bin/extra"), "").unwrap();
    let outcome = site.run("verify", &[]).refused(8, "is damaged: 6 findings");
    assert!(outcome.err.contains("elsewhere verify --repair"), "{}", outcome.err);
    let expected = [
        ("bin/hello", "is not the launcher that belongs here"),
        ("x86_64/bin/extra", "does not belong here"),
        ("x86_64/bin/hello", "missing"),
        ("x86_64/bin/hi", "leads to /etc/passwd instead of hello"),
        ("x86_64/share/hello-data/two", "has mode 4755 instead of 0644"),
        ("x86_64/share/hello/text", "changed"),
    ];
    let expected = expected.map(|(path, what)| (path.to_owned(), what.to_owned()));
    assert_eq!(outcome.findings(), BTreeMap::from(expected));
    let json = site.run("verify", &["--json"]).json();
    let mode = &json["trees"][0]["findings"][3];
    assert_eq!(mode["problem"], "mode", "{json:#}");
    assert_eq!((&mode["expected"], &mode["found"]), (&0o644.into(), &0o4755.into()));
}

#[test]
fn what_the_user_changed_is_no_damage() {
    let site = installed("verify-edited");
    edit(&site);
    let outcome = site.run("verify", &[]).ok();
    let expected = [
        ("x86_64/etc/hello.conf", "edited by you (no damage)"),
        ("x86_64/etc/hello.conf.rpmnew", "added by you (no damage)"),
        ("x86_64/etc/mine", "added by you (no damage)"),
    ];
    let expected = expected.map(|(path, what)| (path.to_owned(), what.to_owned()));
    assert_eq!(outcome.findings(), BTreeMap::from(expected));
    fs::remove_file(site.in_tree("etc/hello.conf")).unwrap();
    let outcome = site.run("verify", &[]).ok();
    assert_eq!(outcome.findings()["x86_64/etc/hello.conf"], "edited by you (no damage)");
}

#[test]
fn repair_puts_back_what_is_damaged_and_touches_nothing_else() {
    let site = installed("verify-repair");
    let before = site.state();
    damage(&site);
    edit(&site);
    let edited = site.state();
    site.run("verify", &["--repair"]).ok();
    let tree = fs::canonicalize(site.in_tree("")).unwrap();
    let damaged = ["bin/hello", "bin/hi", "share/hello/text", "share/hello-data/two"];
    let damaged: Vec<PathBuf> = damaged.iter().map(|name| tree.join(name)).collect();
    let without_inode = |state: &String| {
        let mut words: Vec<&str> = state.split(' ').collect();
        words.drain(1..words.len().saturating_sub(1));
        words.join(" ")
    };
    for (path, state) in site.state() {
        let launcher = site.prefix().join("bin/hello");
        if damaged.contains(&path) || path == launcher {
            assert_eq!(without_inode(&state), without_inode(&before[&path]), "{path:?}");
        } else {
            assert_eq!(Some(&state), edited.get(&path), "{path:?}");
        }
    }
    assert_eq!(fs::read_to_string(site.in_tree("etc/hello.conf")).unwrap(), "colour = red\n");
    site.run("verify", &["--deep"]).ok();
}

#[test]
fn repair_fetches_the_damaged_packages_only() {
    let site = installed("verify-fetch");
    let server = Server::start(site.mirror());
    fs::remove_dir_all(site.cache()).unwrap();
    fs::write(site.in_tree("share/hello-data/one"), "damaged").unwrap();
    site.run_from(&server.url(), "verify", &["--repair"]).ok();
    assert_eq!(server.count("Packages/hello-data-1.0"), 1);
    assert_eq!(server.count("Packages/hello-1.0"), 0);
    assert_eq!(fs::read(site.in_tree("share/hello-data/one")).unwrap(), [b'1'; 5000]);
    // Links and modes need no package at all.
    set_mode(&site.in_tree("bin/hello"), 0o700);
    fs::remove_file(site.in_tree("bin/hi")).unwrap();
    let requests = server.requests().len();
    site.run_from(&server.url(), "verify", &["--repair"]).ok();
    assert_eq!(server.requests().len(), requests);
}

#[test]
fn what_was_in_the_cache_is_not_told_as_downloaded() {
    let site = Site::new("verify-cached");
    let server = Server::start(site.mirror());
    let told = site.install_from(&server.url(), &[]).ok().err;
    assert!(!told.contains("in the cache"), "{told}");
    fs::remove_dir_all(site.prefix()).unwrap();
    let told = site.install_from(&server.url(), &[]).ok().err;
    let line = told.lines().find(|line| line.starts_with("download ")).unwrap();
    assert!(line.starts_with("download   0 B in "), "{told}");
    assert!(line.ends_with(" were in the cache"), "{told}");
}

#[test]
fn repair_takes_no_forged_package() {
    let site = installed("verify-forged");
    let text = fs::read(site.in_tree("share/hello/text")).unwrap();
    fs::write(site.in_tree("share/hello/text"), "damaged").unwrap();
    let before = site.state();
    site.write("base/Packages/hello-1.0-1.el9.x86_64.rpm", hello("1.0").signed(&site.other));
    site.run("verify", &["--repair", "--no-store"]).refused(4, "hello-1.0-1.el9.x86_64");
    assert_eq!(site.state(), before);
    // What was unpacked of the genuine one is still at hand, and proves itself.
    site.run("verify", &["--repair"]).ok();
    assert_eq!(fs::read(site.in_tree("share/hello/text")).unwrap(), text);
}

#[test]
fn repair_leaves_what_does_not_belong_there() {
    let site = installed("verify-extra");
    fs::write(site.in_tree("bin/extra"), "").unwrap();
    let outcome = site.run("verify", &["--repair"]).refused(8, "is damaged: 1 finding");
    assert!(outcome.err.contains("remove it yourself"), "{}", outcome.err);
    assert!(site.in_tree("bin/extra").exists());
}

#[test]
fn repair_does_not_write_through_links_out_of_the_tree() {
    let site = installed("verify-link");
    let outside = site.scratch.write("outside/text", "precious");
    let directory = site.in_tree("share/hello");
    fs::remove_dir_all(&directory).unwrap();
    symlink(outside.parent().unwrap(), &directory).unwrap();
    site.run("verify", &[]).refused(8, "is damaged");
    site.run("verify", &["--repair"]).ok();
    assert_eq!(fs::read_to_string(&outside).unwrap(), "precious");
    assert!(fs::symlink_metadata(&directory).unwrap().is_dir());
    assert_eq!(fs::read_to_string(site.in_tree("share/hello/text")).unwrap(), "text of 1.0\n");
    // A directory where a file should be.
    fs::remove_file(site.in_tree("bin/hello")).unwrap();
    fs::create_dir_all(site.in_tree("bin/hello/deep")).unwrap();
    site.run("verify", &["--repair"]).ok();
    assert!(site.in_tree("bin/hello").is_file());
}

#[test]
fn a_file_of_the_users_own_in_a_launchers_place_stays() {
    let site = installed("verify-wrapper");
    let wrapper = site.prefix().join("bin/hello");
    fs::write(&wrapper, "#!/bin/sh\n# my own\n").unwrap();
    site.run("verify", &[]).refused(8, "is damaged: 1 finding");
    site.run("verify", &["--repair"]).refused(6, "was not made by elsewhere");
    assert!(fs::read_to_string(&wrapper).unwrap().contains("my own"));
}

/// Passed before, also with `--deep`.
#[test]
fn what_is_foreign_among_the_launchers_is_named() {
    let site = installed("verify-foreign");
    let bin = site.prefix().join("bin");
    fs::write(bin.join("ls"), "#!/bin/sh\n").unwrap();
    symlink("/bin/sh", bin.join("sh")).unwrap();
    fs::create_dir(bin.join("more")).unwrap();
    // What says of itself that it is a launcher is one only where a runtime has it.
    fs::copy(bin.join("hello"), bin.join("cat")).unwrap();
    for words in [&[][..], &["--deep"], &["--repair"]] {
        let outcome = site.run("verify", words).refused(8, "is damaged: 4 findings");
        for name in ["ls", "sh", "more", "cat"] {
            assert_eq!(outcome.findings()[&format!("bin/{name}")], "does not belong here");
        }
    }
    assert!(bin.join("ls").exists());
    let json = site.run("verify", &["--json"]).json();
    assert_eq!(json["launchers"][0]["problem"], "extra", "{json:#}");
}

/// The program that a prefix keeps for this architecture.
const KEPT: &str = ".elsewhere/program/x86_64/elsewhere";

/// Keeps `bytes` as if they had been the program that installed.
fn keep(site: &Site, bytes: &[u8]) {
    let kept = site.prefix().join(KEPT);
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    let _ = fs::remove_file(&kept);
    fs::write(&kept, bytes).unwrap();
    set_mode(&kept, 0o755);
    fs::write(kept.with_file_name("digest"), format!("{}\n", Checksum::of(bytes))).unwrap();
    let launcher = site.prefix().join("bin/elsewhere");
    fs::write(&launcher, launcher::own(".elsewhere/program")).unwrap();
    set_mode(&launcher, 0o755);
}

/// Passed before, also with `--deep`.
#[test]
fn a_kept_program_is_verified() {
    let site = installed("verify-program");
    let kept = site.prefix().join(KEPT);
    let damaged = |what: &str| {
        for words in [&[][..], &["--deep"]] {
            let outcome = site.run("verify", words).refused(8, "is damaged: 1 finding");
            let found = outcome.findings();
            assert!(found.values().any(|told| told.starts_with(what)), "{what}: {found:?}");
        }
    };
    let good = b"#!/bin/sh\nexit 0\n";
    keep(&site, good);
    site.run("verify", &[]).ok();
    fs::write(&kept, "#!/bin/sh\nexit 1\n").unwrap();
    damaged("changed");
    // Whoever changes it changes the digest beside it, too: nothing else says what it was.
    keep(&site, b"#!/bin/sh\nexit 1\n");
    site.run("verify", &[]).ok();
    let outcome = site.run("verify", &["--deep"]).refused(12, "is not proved: 1 finding");
    assert!(outcome.findings()[KEPT].starts_with("unproved"), "{}", outcome.out);
    let json = site.run("verify", &["--deep", "--json"]).json();
    assert_eq!(json["programs"][0]["path"], KEPT, "{json:#}");
    fs::remove_file(kept.with_file_name("digest")).unwrap();
    site.run("verify", &[]).refused(12, "is not proved: 1 finding");
    keep(&site, good);
    set_mode(&kept, 0o777);
    damaged("has mode 0777");
    fs::remove_file(&kept).unwrap();
    damaged("missing");
    symlink("/bin/sh", &kept).unwrap();
    damaged("not a file any more");
    keep(&site, good);
    fs::write(kept.with_file_name("more"), "").unwrap();
    damaged("does not belong here");
    fs::remove_file(kept.with_file_name("more")).unwrap();
    let launcher = site.prefix().join("bin/elsewhere");
    let text = fs::read_to_string(&launcher).unwrap();
    fs::write(&launcher, text.replace("exec ", "exec strace ")).unwrap();
    damaged("is not the launcher that belongs here");
    site.run("verify", &["--repair"]).ok();
    assert_eq!(fs::read_to_string(&launcher).unwrap(), text);
    // What runs now is what it is.
    keep(&site, &fs::read(program::path()).unwrap());
    site.run("verify", &["--deep"]).ok();
}

#[test]
fn a_receipt_tells_the_truth() {
    let site = Site::new("verify-truth");
    let by_subkey = SignOptions { by_subkey: true, time: MADE + 4321, ..SignOptions::default() };
    let bytes = hello("1.0").signed_so(&site.key, &by_subkey);
    site.publish(2000, &[site.forged(hello("1.0"), bytes.clone()), site.good(data())]);
    site.install(&[]).ok();
    let receipt: Receipt =
        serde_json::from_slice(&fs::read(site.in_tree(".elsewhere.json")).unwrap()).unwrap();
    let package = &receipt.packages[0];
    assert_eq!(package.nevra, hello("1.0").nevra());
    assert_eq!(package.url, "https://forged.example/base/Packages/hello-1.0-1.el9.x86_64.rpm");
    assert_eq!((package.size, &package.checksum), (bytes.len() as u64, &Checksum::of(&bytes)));
    // The primary key's, though a subkey signed.
    assert_eq!(package.signed_by, Some(site.key.fingerprint()));
    assert_eq!(package.signed_at, Some(u64::from(MADE + 4321)));
    assert_eq!(package.source_rpm, "hello-1.0-1.el9.src.rpm");
    for file in hello("1.0").files.iter().filter(|file| file.mode & 0o170_000 == 0o100_000) {
        let name = String::from_utf8(file.path.clone()).unwrap();
        let place = RelPath::in_tree(&name).unwrap().unwrap();
        let listed = receipt.files.iter().find(|listed| listed.path == place).unwrap();
        assert_eq!(listed.packaged_checksum(), Some(&Checksum::of(&file.data)));
        assert_eq!(listed.package.as_deref(), Some("hello"));
        assert_eq!(listed.config, file.flags & 1 != 0);
    }
    let plan = receipt.plan();
    assert_eq!(plan.packages.len(), 2);
    assert_eq!(plan.source("base").unwrap().keys.len(), 3);
}

#[test]
fn a_damaged_receipt_is_damage() {
    let site = installed("verify-receipt");
    fs::write(site.in_tree(".elsewhere.json"), "{").unwrap();
    let outcome = site.run("verify", &[]).refused(8, "is damaged: 1 finding");
    assert!(outcome.findings()["x86_64/.elsewhere.json"].contains("cannot be read"));
    site.run("verify", &["--repair"]).refused(8, "a receipt cannot be repaired");
}

#[test]
fn older_generations_are_checked_when_asked() {
    let site = installed("verify-all");
    let newer = Package { version: "2.0".into(), ..hello("2.0") };
    site.publish(2000, &[site.good(newer), site.good(data())]);
    site.install(&[]).ok();
    let old = site.prefix().join(".elsewhere/x86_64/1/share/hello/text");
    fs::write(&old, "damaged").unwrap();
    site.run("verify", &[]).ok();
    let outcome = site.run("verify", &["--all"]).refused(8, "is damaged: 1 finding");
    assert_eq!(outcome.findings()["x86_64 generation 1/share/hello/text"], "changed");
    site.write("base/Packages/hello-1.0-1.el9.x86_64.rpm", hello("1.0").signed(&site.key));
    site.run("verify", &["--all", "--repair"]).ok();
    assert_eq!(fs::read_to_string(old).unwrap(), "text of 1.0\n");
}

/// A copy of the live tree; the prefix, the cache and the mirror are gone.
fn copied(site: &Site) -> PathBuf {
    let tree = site.scratch.path().join("copy of a tree");
    let live = fs::canonicalize(site.in_tree("")).unwrap();
    run(Command::new("cp").arg("-a").arg(live).arg(&tree));
    for gone in [site.prefix(), site.cache(), site.mirror()] {
        fs::rename(&gone, gone.with_extension("gone")).unwrap();
    }
    tree
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

#[test]
fn a_tree_that_lies_elsewhere_is_checked_and_described_by_itself() {
    let site = installed("verify-tree");
    let of_prefix = |words: &[&str]| site.run_without_definitions(words).ok().out;
    let (bill, status) = (of_prefix(&["sbom"]), of_prefix(&["status"]));
    let tree = copied(&site);
    let outcome = site.run_at(&tree, &["verify"]).ok();
    assert_eq!(outcome.out, "");
    let told = "x86_64: 11 files of 2 packages as they were made";
    assert!(outcome.err.contains(told), "{}", outcome.err);
    let json = site.run_at(&tree, &["verify", "--json"]).ok().json();
    let found = &json["trees"][0];
    assert_eq!(found["findings"], serde_json::json!([]));
    assert_eq!((&found["live"], found.get("generation")), (&false.into(), None));
    // What is known of keys is the prefix's.
    let is_its = |line: &&str| !line.starts_with("  key ");
    let status: String = status.split_inclusive('\n').filter(is_its).collect();
    assert_eq!(site.run_at(&tree, &["status"]).ok().out, status.replace("generation 1, ", ""));
    let json = site.run_at(&tree, &["status", "--json"]).ok().json();
    assert_eq!((&json[0]["dist"], json[0].get("generation")), (&"lab".into(), None));
    assert_eq!(site.run_at(&tree, &["sbom"]).ok().out, bill);
    // It reads there what is installed.
    let told = site.run_at(&tree, &["doctor"]).err;
    assert!(told.contains("hello: no definition here says what it needs"), "{told}");
    site.run_at(&tree, &["status", "-d", "el9"]).refused(2, "there is lab");
    site.run_at(&tree, &["verify", "--repair"]).refused(2, "is a tree by itself");
    fs::write(tree.join("share/hello/text"), "text of 6.6\n").unwrap();
    let outcome = site.run_at(&tree, &["verify"]).refused(8, "is damaged: 1 finding");
    assert_eq!(outcome.findings()["share/hello/text"], "changed");
    fs::write(tree.join(".elsewhere.json"), "{").unwrap();
    for command in ["verify", "status", "sbom"] {
        site.run_at(&tree, &[command]).refused(8, ".elsewhere.json is damaged");
    }
    fs::write(tree.join(".elsewhere.json"), "{\"format\": 99}").unwrap();
    site.run_at(&tree, &["status"]).refused(6, "has format 99, which is newer");
}

#[test]
fn where_a_tree_that_lies_elsewhere_came_from_is_proved_by_itself() {
    let site = installed("verify-tree-deep");
    let tree = copied(&site);
    for there in [site.cache(), site.mirror()] {
        fs::rename(there.with_extension("gone"), there).unwrap();
    }
    let repos = site.scratch.path().join("repos");
    let cache = site.cache();
    let places = ["--repos", repos.to_str().unwrap(), "--cache-dir", cache.to_str().unwrap()];
    let deep = || site.run_at(&tree, &[&["verify", "--deep"], &places[..]].concat());
    deep().ok();
    fs::write(tree.join("share/hello/text"), "text of 6.6\n").unwrap();
    let receipt = fs::read_to_string(tree.join(".elsewhere.json")).unwrap();
    let (old, new) = (Checksum::of(b"text of 1.0\n"), Checksum::of(b"text of 6.6\n"));
    let forged = receipt.replace(&old.to_string(), &new.to_string());
    fs::write(tree.join(".elsewhere.json"), forged).unwrap();
    site.run_at(&tree, &["verify"]).ok();
    let outcome = deep().refused(8, "is damaged: 1 finding");
    assert!(outcome.err.contains("do not use this tree"), "{}", outcome.err);
    let told = &outcome.findings()["share/hello/text"];
    assert_eq!(told, "the receipt's digest is not its package's");
    let is_left = |name: &str| name.starts_with("elsewhere.") || name.starts_with("elsewhere-");
    let mut names = fs::read_dir(site.scratch.path()).unwrap().map(|it| it.unwrap().file_name());
    assert!(!names.any(|name| is_left(name.to_str().unwrap())), "TMPDIR is clean again");
}
