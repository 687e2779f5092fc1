//! What a version is, who reads it, and what is never done to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::program;
use crate::support::small::{World, launch, packages};
use crate::support::tools::need;
use crate::{check, contents, copied, mended, names, state};

/// System calls that change what is on disk, and which of each thread's a run is killed at: every one, every second …
const CALLS: [(&str, usize); 3] = [
    ("?rename,?renameat,?renameat2", 1),
    ("?symlink,?symlinkat,?unlink,?unlinkat,?rmdir", 2),
    ("?mkdir,?mkdirat,?fchmod,?chmod,?fchmodat", 9),
];

/// Installs `tool` as a version for two architectures.
const PUBLISH: [&str; 7] =
    ["install", "--layout", "versioned", "-r", "tool", "-a", "x86_64,aarch64"];

fn published(world: &World, base: &str) -> String {
    world.ok(&[&PUBLISH[..], &[base]].concat())
}

#[test]
fn a_version_is_complete_and_found_by_two_links() {
    let world = World::new("publish-layout");
    let base = world.prefix("pub");
    let told = published(&world, "pub");
    assert!(told.contains("added 1 (x86_64 of small, aarch64 of small; "), "{told}");
    check(&base);
    assert_eq!(names(&base), [".elsewhere-versions.json", "1", "bin", "current"]);
    assert_eq!(
        names(&base.join("1")),
        [".cvmfscatalog", ".elsewhere-version.json", "aarch64", "bin", "x86_64"]
    );
    for prefix in [&base, &base.join("current"), &base.join("1")] {
        assert_eq!(launch(prefix, "tool").unwrap(), "tool 1 part 1");
    }
    // Anywhere, and where nobody can write.
    let moved = world.prefix("some where");
    fs::rename(&base, &moved).unwrap();
    assert_eq!(launch(&moved, "tool").unwrap(), "tool 1 part 1");
    for (path, (mode, ..)) in state(&moved) {
        if !path.is_symlink() {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o555)).unwrap();
        }
    }
    assert_eq!(launch(&moved, "tool").unwrap(), "tool 1 part 1");
}

#[test]
fn a_published_version_never_changes() {
    let world = World::new("publish-never");
    let base = world.prefix("pub");
    published(&world, "pub");
    let first = state(&base.join("1"));
    let told = published(&world, "pub");
    assert!(told.contains("nothing to do: 1 stands"), "{told}");
    // Another version, and other content of that.
    world.publish(&packages("2"), 2);
    let told = published(&world, "pub");
    assert!(told.contains("added 2 (") && told.contains("current -> 2 (was 1)"), "{told}");
    world.publish(&mended("2"), 3);
    let told = world.ok(&[&PUBLISH[..], &["--json", "pub"]].concat());
    let told: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!(told["added"][0]["name"], "2-2");
    assert_eq!(told["switched"], serde_json::json!({ "from": "2", "to": "2-2" }));
    // What changed, two receipts, and what the version says of itself.
    let account = &told["added"][0]["account"];
    let number = |name: &str| account[name].as_u64().unwrap();
    assert!(number("new_files") <= 5 && number("files") > 12, "{account}");
    assert!(number("new_bytes") < number("bytes") && number("entries") > 30, "{account}");
    assert_eq!(launch(&base, "tool").unwrap(), "tool 2 part 2");
    assert_eq!(launch(&base.join("2"), "tool").unwrap(), "tool 2 part 1");
    assert_eq!(names(&base), [".elsewhere-versions.json", "1", "2", "2-2", "bin", "current"]);
    assert_eq!(state(&base.join("1")), first);
    // What was there before is found again, and not made a third time.
    world.publish(&packages("2"), 4);
    let told = published(&world, "pub");
    assert!(!told.contains("added") && told.contains("current -> 2 (was 2-2)"), "{told}");
    check(&base);
}

#[test]
fn the_same_plan_makes_the_same_bytes() {
    let world = World::new("publish-same");
    world.ok(&["plan", "-r", "tool", "-d", "small", "-a", "x86_64,aarch64", "--lock", "lock"]);
    let install = |base: &str, epoch: &str| {
        let words = ["install", "--layout", "versioned", "--lock", "lock", base];
        let mut command = world.command(&words);
        command.current_dir(world.scratch.path()).env("SOURCE_DATE_EPOCH", epoch);
        assert!(command.output().unwrap().status.success());
    };
    install("one", "1000000000");
    install("other", "1700000000");
    let of = |base: &str| contents(&world.prefix(base).join("1"));
    assert!(of("one").len() > 20);
    assert_eq!(of("one"), of("other"));
}

#[test]
fn trees_of_several_dists_are_chosen_among() {
    let world = World::new("publish-dists");
    for (dist, glibc, version) in [("old", "2.17", "17"), ("new", "2.99", "17")] {
        world.define(dist, glibc, 1, &format!("{dist}/"));
        world.publish_in(&format!("{dist}/"), &packages(version), 1);
    }
    let words = ["install", "--layout", "versioned", "-r", "tool", "-d", "old,new", "pub"];
    world.ok(&words);
    let base = world.prefix("pub");
    check(&base);
    assert_eq!(names(&base.join("17/dists/old")), ["bin", "x86_64"]);
    assert_eq!(launch(&base, "tool").unwrap(), "tool 17 part 1");
    assert_eq!(launch(&base.join("current/dists/new"), "tool").unwrap(), "tool 17 part 1");
    assert!(fs::read_to_string(base.join("bin/tool")).unwrap().contains("getconf"));
    let told = world.ok(&["verify", "pub"]);
    assert!(told.contains("dists/new/x86_64: ") && told.contains("as they were made"), "{told}");
    let told = world.ok(&["status", "-d", "old", "pub"]);
    assert!(told.contains("from old") && !told.contains("from new"), "{told}");
    assert!(world.ok(&words).contains("nothing to do"));
    // Of different versions nobody could say what the directory should be called.
    world.publish_in("new/", &packages("18"), 2);
    let told = world.fails(2, &words);
    assert!(told.contains("tool 17, tool 18") && told.contains("--name"), "{told}");
    world.ok(&[&words[..7], &["--name", "mixed", "pub"]].concat());
    assert_eq!(fs::read_link(base.join("current")).unwrap(), Path::new("mixed"));
    // Who reads a version that lacks something can add nothing.
    let version = world.prefix("copied");
    fs::rename(base.join("17"), &version).unwrap();
    for (gone, bin) in [("dists/new/x86_64", "dists/new/bin"), ("dists/old/x86_64", "bin")] {
        fs::remove_dir_all(version.join(gone)).unwrap();
        let output = Command::new(version.join(bin).join("tool")).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(127), "{told}");
        assert!(
            told.contains("whoever publishes it") && !told.contains("elsewhere install"),
            "{told}"
        );
    }
}

#[test]
fn what_is_published_is_read_as_any_tree_with_a_receipt() {
    let world = World::new("publish-read");
    let base = world.prefix("pub");
    published(&world, "pub");
    for path in ["pub", "pub/1", "pub/current", "pub/1/x86_64"] {
        let told = world.ok(&["status", path]);
        assert!(told.contains("x86_64: tool 1 from small"), "{told}");
        let told = world.ok(&["verify", path]);
        assert!(told.contains("x86_64: ") && told.contains("as they were made"), "{told}");
        assert!(world.ok(&["sbom", path]).contains("pkg:rpm/"), "{path}");
    }
    let doctor = |path: &str| {
        let output = world.run(&["doctor", "--json", path]);
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    assert!(doctor("pub")["findings"].is_array());
    // Damage in a tree and of a launcher.
    fs::write(base.join("1/aarch64/libexec/tool/data"), "oops\n").unwrap();
    fs::write(base.join("1/bin/tool"), "#!/bin/sh\n").unwrap();
    let told = world.fails(8, &["verify", "pub"]);
    assert!(told.contains("aarch64/libexec/tool/data: "), "{told}");
    assert!(told.contains("bin/tool: "), "{told}");
    let told = world.fails(2, &["verify", "--repair", "pub"]);
    assert!(told.contains("was published, and never changes"), "{told}");
    // Nothing that changes a prefix touches it.
    for words in [&["install", "-r", "tool"][..], &["update"], &["rollback"], &["prune"]] {
        let before = state(&base);
        let told = world.fails(6, &[words, &["pub"]].concat());
        assert!(told.contains("published") && told.contains("--layout versioned"), "{told}");
        assert_eq!(state(&base), before);
    }
}

#[test]
fn a_published_version_can_be_signed_and_stays_what_it_is() {
    let world = World::new("publish-signed");
    let file = |name: &str| format!("{}/tests/minisign/{name}", env!("CARGO_MANIFEST_DIR"));
    let verify = ["verify", "--key", &file("librarian.pub"), "pub"];
    published(&world, "pub");
    let told = world.fails(8, &verify);
    assert!(told.contains("not proved by a signature"), "{told}");
    world.ok(&["receipt", "sign", "-s", &file("librarian.key"), "pub"]);
    let told = world.ok(&verify);
    assert!(told.contains("aarch64: signed by ") && told.contains("x86_64: signed by "), "{told}");
    let before = state(&world.prefix("pub"));
    assert!(published(&world, "pub").contains("nothing to do: 1 stands"));
    assert_eq!(state(&world.prefix("pub")), before);
    let (status, _) = crate::lint::found(&world.prefix("pub"), &[]);
    assert_eq!(status, 0);
}

#[test]
fn a_base_is_of_one_runtime_and_nothing_else_is_in_its_place() {
    let world = World::new("publish-base");
    published(&world, "pub");
    let gadget = ["install", "--layout", "versioned", "-r", "gadget"];
    let told = world.fails(2, &[&gadget[..], &["pub"]].concat());
    assert!(told.contains("versions of tool") && told.contains("--name"), "{told}");
    world.ok(&[&gadget[..], &["--name", "gadget-1", "pub"]].concat());
    assert_eq!(launch(&world.prefix("pub"), "gadget").unwrap(), "gadget 1 part 1");
    for name in ["../x", "current", "bin", ".hidden", "a b"] {
        world.fails(2, &[&gadget[..], &["--name", name, "pub"]].concat());
    }
    world.ok(&["install", "-r", "tool", "p"]);
    let told = world.fails(2, &[&PUBLISH[..], &["p"]].concat());
    assert!(told.contains("is a prefix"), "{told}");
    fs::create_dir_all(world.prefix("other/1")).unwrap();
    let told = world.fails(2, &[&PUBLISH[..], &["other"]].concat());
    assert!(told.contains("no published version"), "{told}");
    fs::create_dir_all(world.prefix("third/bin")).unwrap();
    let told = world.fails(2, &[&PUBLISH[..], &["third"]].concat());
    assert!(told.contains("is no link"), "{told}");
}

/// What is published there from now on is refused, with these words, and nothing changes.
fn refused(world: &World, base: &Path, words: &str) {
    let before = contents(base);
    world.publish(&mended("1"), 2);
    let told = world.fails(6, &[&PUBLISH[..], &[&base.to_string_lossy()]].concat());
    assert!(told.contains(words), "{told}");
    assert_eq!(contents(base), before);
}

#[test]
fn where_others_may_write_nothing_is_published() {
    let world = World::new("publish-owned");
    for (name, spoil, words) in [
        ("all", "chmod 0777 .", "can be written by others"),
        ("version", "chmod 0777 1", "can be written by others"),
        (
            "stage",
            "mkdir ../away && touch ../away/kept && ln -s ../away .elsewhere-new",
            "is a symlink",
        ),
        ("foreign", "chown -h 54321:54321 .", "belongs to somebody else"),
        ("foreign-version", "chown -h 54321:54321 1", "belongs to somebody else"),
    ] {
        if spoil.starts_with("chown") && !rustix::process::geteuid().is_root() {
            continue;
        }
        let base = world.prefix(name);
        world.publish(&packages("1"), 1);
        published(&world, name);
        let mut shell = Command::new("sh");
        assert!(shell.args(["-c", spoil]).current_dir(&base).status().unwrap().success());
        refused(&world, &base, words);
    }
    assert!(world.prefix("away/kept").exists());
}

#[test]
fn whatever_is_killed_the_links_lead_to_a_whole_version() {
    let world = World::new("publish-killed");
    let (base, template) = (world.prefix("pub"), world.prefix("template"));
    published(&world, "pub");
    fs::rename(&base, &template).unwrap();
    world.publish(&packages("2"), 2);
    let copy = |to: &Path| {
        let _ = fs::remove_dir_all(to);
        copied(&template, to);
    };
    let (mut tries, mut old) = (0, 0);
    for (calls, step) in CALLS {
        for number in (1..).step_by(step) {
            copy(&base);
            let mut strace = Command::new(need("strace", "strace"));
            strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e"]);
            strace.arg(format!("inject={calls}:signal=KILL:when={number}")).arg(program::path());
            world.complete(&mut strace, &[&PUBLISH[..], &["pub"]].concat());
            let ended = strace.current_dir(world.scratch.path()).output().unwrap();
            if ended.status.success() {
                break;
            }
            let said = launch(&base, "tool").unwrap();
            assert!(["tool 1 part 1", "tool 2 part 1"].contains(&said.as_str()), "{calls}: {said}");
            old += u32::from(said == "tool 1 part 1");
            for version in ["1", "2"].iter().filter(|name| base.join(name).exists()) {
                world.ok(&["verify", &format!("pub/{version}")]);
            }
            published(&world, "pub");
            check(&base);
            assert_eq!(launch(&base, "tool").unwrap(), "tool 2 part 1");
            assert_eq!(names(&base), [".elsewhere-versions.json", "1", "2", "bin", "current"]);
            tries += 1;
        }
    }
    assert!(tries > 15 && old > 10 && old < tries, "{tries} tries, {old} before the change");
}
