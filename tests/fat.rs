//! Prefixes of several dists, through the command line: each has its own tree, the launchers run the
//! newest that fits this machine, and every command treats all of them or the one that is named.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::fs;
use std::path::Path;

use support::small::{World, launch, packages};

/// A world with dists for machines of this glibc and of others: `tool` has another version in each.
fn world(name: &str) -> World {
    let world = World::new(name);
    for (dist, glibc, version) in
        [("old", "2.17", "17"), ("mid", "2.28", "28"), ("new", "2.99", "99")]
    {
        world.define(dist, glibc, 1, &format!("{dist}/"));
        world.publish_in(&format!("{dist}/"), &packages(version), 1);
    }
    world
}

/// What the launcher of `tool` runs.
fn says(prefix: &Path) -> String {
    launch(prefix, "tool").unwrap_or_else(|| "nothing".to_owned())
}

#[test]
fn each_dist_has_its_tree_and_the_newest_that_fits_is_run() {
    let world = world("fat");
    let prefix = world.prefix("p");
    let told = world.ok(&["install", "-r", "tool", "-d", "old,new,mid", "p"]);
    for dist in ["old", "mid", "new"] {
        assert!(told.contains(&format!("packages of {dist},")), "{told}");
        assert!(prefix.join(format!("dists/{dist}/x86_64/bin/tool")).exists());
    }
    assert!(!prefix.join("x86_64").exists());
    assert_eq!(says(&prefix), "tool 28 part 1", "2.99 is too new for any machine");
    // Each is a prefix of its own.
    assert_eq!(says(&prefix.join("dists/old")), "tool 17 part 1");
    let moved = world.prefix("moved");
    fs::rename(&prefix, &moved).unwrap();
    assert_eq!(says(&moved), "tool 28 part 1");
    let status = world.ok(&["status", "moved"]);
    for line in ["tool 17 from old;", "tool 28 from mid;", "tool 99 from new;"] {
        assert!(status.contains(line), "{status}");
    }
    let one = world.ok(&["status", "-d", "old", "moved"]);
    assert!(one.contains("from old") && !one.contains("from mid"), "{one}");
    let told = world.fails(2, &["status", "-d", "el1", "moved"]);
    assert!(told.contains("nothing of el1 is installed here: there is mid, new, old"), "{told}");
    let told = world.ok(&["verify", "moved"]);
    assert!(told.contains("dists/mid/x86_64: ") && told.contains("dists/new/x86_64: "), "{told}");
}

#[test]
fn an_ordinary_prefix_takes_more_dists_and_keeps_its_own_tree() {
    let world = world("grows");
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "tool", "-d", "old", "p"]);
    let plain = fs::read_to_string(prefix.join("bin/tool")).unwrap();
    assert!(!plain.contains("getconf"));
    world.ok(&["install", "-r", "tool", "-d", "old,mid", "p"]);
    assert!(prefix.join("x86_64/bin/tool").exists() && prefix.join("dists/mid").exists());
    assert!(!prefix.join("dists/old").exists());
    assert_eq!(says(&prefix), "tool 28 part 1");
    // What is named later joins them, and what names none concerns all.
    world.ok(&["install", "-r", "tool", "-d", "new", "p"]);
    assert!(prefix.join("dists/new/x86_64/bin/tool").exists());
    world.ok(&["install", "-r", "gadget", "-a", "x86_64,aarch64", "p"]);
    for part in ["", "dists/mid/", "dists/new/"] {
        for arch in ["x86_64", "aarch64"] {
            assert!(prefix.join(format!("{part}{arch}/bin/gadget")).exists(), "{part}{arch}");
        }
    }
    assert_eq!(launch(&prefix, "gadget").unwrap(), "gadget 1 part 1");
    let told = world.ok(&["remove", "--all", "--force", "-d", "mid", "p"]);
    assert!(told.contains("dists/mid/x86_64: removed"), "{told}");
    assert!(!prefix.join("dists/mid").exists());
    assert_eq!(says(&prefix), "tool 17 part 1");
    world.ok(&["remove", "--all", "--force", "-d", "new", "p"]);
    assert!(!prefix.join("dists").exists());
    world.ok(&["update", "p"]);
    assert!(!fs::read_to_string(prefix.join("bin/tool")).unwrap().contains("getconf"));
}

#[test]
fn update_rollback_pins_and_history_treat_all_or_the_one_that_is_named() {
    let world = world("all");
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "tool", "-d", "old,mid", "p"]);
    world.publish_in("old/", &packages("18"), 2);
    world.publish_in("mid/", &packages("29"), 2);
    let told = world.fails(10, &["update", "--check", "p"]);
    assert!(
        told.contains("17-1.el8 -> 18-1.el8") && told.contains("28-1.el8 -> 29-1.el8"),
        "{told}"
    );
    world.ok(&["update", "-d", "old", "p"]);
    assert_eq!(says(&prefix), "tool 28 part 1");
    world.ok(&["update", "p"]);
    assert_eq!(says(&prefix), "tool 29 part 1");
    let told = world.ok(&["rollback", "-d", "mid", "p"]);
    assert!(told.contains("elsewhere rollback -a x86_64 --to 2 p/dists/mid"), "{told}");
    assert_eq!(says(&prefix), "tool 28 part 1");
    assert_eq!(says(&prefix.join("dists/old")), "tool 18 part 1");
    let told = world.fails(2, &["rollback", "--to", "1", "p"]);
    assert!(told.contains("name one with --dist"), "{told}");
    let history = world.ok(&["history", "p"]);
    assert!(history.contains("dists/old/x86_64 generation 2 (live) tool 18"), "{history}");
    let told = world.fails(2, &["pin", "p", "tool"]);
    assert!(told.contains("several versions (18, 28)"), "{told}");
    world.ok(&["pin", "p", "tool@28"]);
    let told = world.ok(&["update", "p"]);
    assert!(told.contains("it stays as it is"), "{told}");
    // A dist that joins is held to the pins.
    let told = world.fails(5, &["install", "-r", "tool", "-d", "new", "p"]);
    assert!(told.contains("holds no tool 28"), "{told}");
    assert!(!prefix.join("dists/new").exists());
    world.ok(&["unpin", "p", "tool"]);
    world.ok(&["remove", "--all", "--force", "p"]);
    assert_eq!(fs::read_dir(&prefix).unwrap().count(), 0);
}

#[test]
fn a_lock_file_of_several_dists_makes_such_a_prefix() {
    let world = world("locked");
    world.ok(&["plan", "-r", "tool", "-d", "old,mid", "--lock", "lock"]);
    world.publish_in("mid/", &packages("29"), 2);
    world.publish_in("mid/", &packages("28"), 3);
    world.ok(&["install", "--lock", "lock", "p"]);
    assert_eq!(says(&world.prefix("p")), "tool 28 part 1");
    assert_eq!(says(&world.prefix("p/dists/old")), "tool 17 part 1");
}

#[test]
fn damage_in_any_part_and_in_the_launchers_is_found_and_put_right() {
    let world = world("damaged");
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "tool", "-d", "old,mid", "p"]);
    fs::write(prefix.join("dists/mid/x86_64/libexec/tool/data"), "data=oops\n").unwrap();
    fs::write(prefix.join("bin/tool"), "#!/bin/sh\n# Launcher written by elsewhere: oops\n")
        .unwrap();
    let told = world.fails(8, &["verify", "p"]);
    assert!(told.contains("dists/mid/x86_64/libexec/tool/data: "), "{told}");
    assert!(told.contains("\nbin/tool: ") || told.starts_with("bin/tool: "), "{told}");
    let (mirror, cache) = (world.prefix("mirror"), world.prefix("cache"));
    let (mirror, cache) = (mirror.to_str().unwrap(), cache.to_str().unwrap());
    world.ok(&["verify", "--repair", "--mirror", mirror, "--cache-dir", cache, "p"]);
    world.ok(&["verify", "p"]);
    assert_eq!(says(&prefix), "tool 28 part 1");
}

#[test]
fn what_a_processor_cannot_run_is_refused_with_what_it_can() {
    let world = world("levels");
    world.define("fast", "2.17", 3, "old/");
    let told =
        world.fails(7, &["plan", "-r", "tool", "-d", "fast", "--for", "glibc=2.34,x86-64-v2"]);
    assert!(told.contains("a processor of x86-64-v3 is needed, and there is x86-64-v2"), "{told}");
    assert!(told.contains("-d old fits"), "{told}");
    world.ok(&["plan", "-r", "tool", "-d", "fast", "--for", "glibc=2.34,x86-64-v3"]);
    let told = world.fails(2, &["plan", "-r", "tool", "-d", "old,mid", "--for", "el9"]);
    assert!(told.contains("leave --for out"), "{told}");
}

#[test]
fn a_pin_of_a_tree_that_is_gone_can_be_taken_back() {
    let world = world("pins");
    world.ok(&["install", "-r", "tool", "-d", "old", "p"]);
    world.ok(&["pin", "p", "tool"]);
    world.publish_in("mid/", &packages("17"), 2);
    world.ok(&["install", "-r", "tool", "-d", "old,mid", "p"]);
    world.ok(&["remove", "-a", "x86_64", "--force", "-d", "old", "p"]);
    world.ok(&["unpin", "p", "tool"]);
    let told = world.ok(&["pin", "p"]);
    assert!(!told.contains("tool"), "{told}");
}

#[test]
fn pins_hold_in_a_dist_that_joined_before_another_failed_and_go_with_the_runtime() {
    let world = world("joined");
    let prefix = world.prefix("p");
    world.publish_in("mid/", &packages("17"), 2);
    world.publish_in("new/", &packages("17"), 2);
    world.ok(&["install", "-r", "tool,gadget", "-d", "old", "p"]);
    world.ok(&["pin", "p", "tool"]);
    // A file of somebody else's where a launcher is to be: the third dist fails.
    world.scratch.write("p/dists/new/bin/tool", "mine");
    world.fails(6, &["install", "-r", "tool", "-d", "mid,new", "p"]);
    world.publish_in("mid/", &packages("28"), 3);
    world.ok(&["update", "p"]);
    assert_eq!(says(&prefix.join("dists/mid")), "tool 17 part 1");
    world.ok(&["remove", "-r", "tool", "-d", "mid", "p"]);
    assert!(world.ok(&["pin", "p"]).contains("tool 17"), "another dist has it still");
    world.ok(&["remove", "-r", "tool", "p"]);
    assert!(!world.ok(&["pin", "p"]).contains("tool"));
    world.ok(&["pin", "p", "gadget"]);
    world.ok(&["remove", "--all", "--force", "p"]);
    assert!(!prefix.join(".elsewhere/pins.toml").exists());
}

#[test]
fn a_member_whose_receipt_is_damaged_keeps_its_launchers_and_is_made_anew() {
    let world = world("member");
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "tool", "-d", "old,mid", "p"]);
    let before = fs::read_to_string(prefix.join("bin/tool")).unwrap();
    fs::write(prefix.join("dists/mid/x86_64/.elsewhere.json"), "{").unwrap();
    world.publish_in("old/", &packages("18"), 2);
    world.ok(&["update", "-d", "old", "p"]);
    assert_eq!(says(&prefix.join("dists/old")), "tool 18 part 1");
    assert_eq!(fs::read_to_string(prefix.join("bin/tool")).unwrap(), before);
    // Named or not, the member keeps its dist.
    for words in
        [&["install", "-r", "tool", "p"][..], &["install", "-r", "tool", "-d", "old,mid", "p"]]
    {
        fs::write(prefix.join("dists/mid/x86_64/.elsewhere.json"), "{").unwrap();
        let told = world.fails(8, &["verify", "p"]);
        assert!(told.contains("dists/mid/x86_64/.elsewhere.json: cannot be read"), "{told}");
        let told = world.ok(words);
        assert!(told.contains("packages of mid,"), "{told}");
        world.ok(&["verify", "p"]);
        assert_eq!(says(&prefix), "tool 28 part 1");
    }
}

#[test]
fn a_damaged_member_does_not_hold_the_prefixs_own_tree_up() {
    let world = world("own");
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "tool", "-d", "old", "p"]);
    world.ok(&["install", "-r", "tool", "-d", "old,mid", "p"]);
    let before = fs::read_to_string(prefix.join("bin/tool")).unwrap();
    fs::write(prefix.join("dists/mid/x86_64/.elsewhere.json"), "{").unwrap();
    world.publish_in("old/", &packages("18"), 2);
    let told = world.ok(&["update", "-d", "old", "p"]);
    assert!(told.contains("the launchers stay as they are"), "{told}");
    world.ok(&["rollback", "-d", "old", "p"]);
    assert_eq!(fs::read_to_string(prefix.join("bin/tool")).unwrap(), before);
    world.fails(8, &["verify", "p"]);
    world.ok(&["install", "-r", "tool", "-d", "old,mid", "p"]);
    world.ok(&["verify", "p"]);
    assert_eq!(says(&prefix), "tool 28 part 1");
}

#[test]
fn a_lock_file_needs_no_default_runtime() {
    let world = world("default");
    let definition = world.prefix("repos/runtimes/apptainer.toml");
    let text = "name = \"apptainer\"\ntitle = \"t\"\npackage = \"apptainer\"\ncommand = []\n";
    fs::write(definition, text).unwrap();
    world.ok(&["plan", "-r", "tool", "-d", "old", "--lock", "lock"]);
    world.fails(2, &["install", "-d", "old", "p"]);
    world.ok(&["install", "--lock", "lock", "p"]);
    assert_eq!(says(&world.prefix("p")), "tool 17 part 1");
    fs::write(world.prefix("lock"), "nonsense").unwrap();
    assert!(world.fails(2, &["install", "--lock", "lock", "p"]).contains("lock"));
}

#[test]
fn a_lock_file_of_a_dist_that_nobody_knows_is_refused() {
    let world = world("stranger");
    world.ok(&["install", "-r", "tool", "-d", "old,mid", "p"]);
    world.ok(&["plan", "-r", "tool", "-d", "old", "--lock", "lock"]);
    let lock = world.prefix("lock");
    let text = fs::read_to_string(&lock).unwrap();
    fs::write(&lock, text.replace("dist = \"old\"", "dist = \"strange\"")).unwrap();
    let told = world.fails(2, &["install", "--lock", "lock", "p"]);
    assert!(told.contains("strange"), "{told}");
}

#[test]
fn launchers_of_another_version_are_neither_proved_nor_damage() {
    let world = world("launchers");
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "tool", "-d", "old,mid", "p"]);
    for dist in ["old", "mid"] {
        let receipt = prefix.join(format!("dists/{dist}/x86_64/.elsewhere.json"));
        let text = fs::read_to_string(&receipt).unwrap();
        let own = concat!("\"elsewhere\": \"", env!("CARGO_PKG_VERSION"), "\"");
        assert!(text.contains(own), "{text}");
        fs::write(&receipt, text.replace(own, "\"elsewhere\": \"0.0.9\"")).unwrap();
    }
    let launcher = prefix.join("bin/tool");
    let text = fs::read_to_string(&launcher).unwrap();
    fs::write(&launcher, text.clone() + "# older\n").unwrap();
    let told = world.fails(12, &["verify", "p"]);
    assert!(told.contains("another one did"), "{told}");
    assert!(told.contains("elsewhere verify --repair"), "{told}");
    world.ok(&["verify", "--repair", "p"]);
    assert_eq!(fs::read_to_string(&launcher).unwrap(), text);
}

/// Failed before: the second runtime's launcher silently took the first one's place.
#[test]
fn a_second_runtime_with_the_same_command_is_refused() {
    let world = world("claims");
    let prefix = world.prefix("p");
    let text = fs::read_to_string(world.prefix("repos/runtimes/gadget.toml")).unwrap();
    let text = text.replace("\"gadget\"\ntitle", "\"impostor\"\ntitle");
    let text = text.replace("[[command]]\nname = \"gadget\"", "[[command]]\nname = \"tool\"");
    world.scratch.write("theirs/runtimes/impostor.toml", text);
    world.ok(&["install", "-r", "tool", "-d", "old", "p"]);
    let theirs = ["--repos", "theirs", "p"];
    let refused = |words: &[&str]| {
        let told = world.fails(2, &[&["install"], words, &theirs].concat());
        for part in ["theirs/runtimes/impostor.toml", "repos/runtimes/tool.toml", "\"tool\""] {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(says(&prefix), "tool 17 part 1");
        assert!(!prefix.join("aarch64").exists() && !prefix.join("dists/mid/x86_64").exists());
    };
    // Both in one tree, and together from the start.
    refused(&["-r", "impostor", "-d", "old"]);
    refused(&["-r", "impostor,tool", "-d", "old"]);
    // The launchers of a prefix are those of all architectures and dists.
    refused(&["-r", "impostor", "-d", "old", "-a", "aarch64"]);
    refused(&["-r", "impostor", "-d", "mid"]);
    // Elsewhere it is fine.
    world.ok(&["install", "-r", "impostor", "-d", "old", "--repos", "theirs", "q"]);
    assert_eq!(says(&world.prefix("q")), "gadget 1 part 1");
}
