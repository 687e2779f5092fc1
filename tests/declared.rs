//! What a runtime's file declares beside its packages: environment, files, links, known defects.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::rpms::File;
use support::small::{Small, World, receipt, small};

/// A program that says which configuration it was told of, and what a helper in PATH says.
const SCRIPT: &[u8] = b"#!/bin/sh\n\
    read -r conf <\"$TELLER_CONF\" && echo \"conf=$conf\" && teller-helper \"$@\"\n";

const HELPER: &[u8] = b"#!/bin/sh\necho \"helped $*\"\n";

const RUNTIME: &str = r#"
name = "teller"
title = "A teller"
package = "teller"

[[command]]
name = "teller"
path = "bin/teller"

[[environment]]
name = "TELLER_CONF"
set = "{tree}/etc/teller/made.conf"
unless_exists = ["$XDG_CONFIG_HOME/teller.conf"]

[[environment]]
name = "PATH"
prepend = "{tree}/libexec/elsewhere/teller"

[[file]]
path = "etc/teller/made.conf"
text = """
made here
"""

[[file]]
path = "share/teller/constant"
text = "never changed"

[[link]]
path = "libexec/elsewhere/teller/teller-helper"
target = "libexec/teller/helper"

[[defect]]
when = "< 2"
breaks = ["it counts to one", "and no further"]

[[smoke]]
path = "bin/teller"
arguments = ["smoke"]
expect = "helped smoke"
"#;

fn packages(version: &str) -> Vec<Small> {
    let files = vec![
        File::program("/usr/bin/teller", SCRIPT),
        File::program("/usr/libexec/teller/helper", HELPER),
        File::regular("/etc/teller/own.conf", b"the package's\n"),
    ];
    let mut all = support::small::packages("1");
    all.push(small("teller", version, files, &[]));
    all
}

fn world(name: &str) -> World {
    let world = World::new(name);
    world.scratch.write("repos/runtimes/teller.toml", RUNTIME);
    world.publish(&packages("1"), 1);
    world
}

/// What the launcher `program` says to a user who has only `environment`.
fn told(program: &Path, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(program);
    command.arg("a b").env_clear().env("PATH", "/usr/bin:/bin").envs(environment.iter().copied());
    let output = command.current_dir("/").output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).unwrap()
}

const MADE: &str = "conf=made here\nhelped a b\n";

#[test]
fn launchers_set_what_is_declared_wherever_the_prefix_goes() {
    let world = world("declared");
    world.ok(&["install", "-r", "teller", "p"]);
    let moved = world.prefix("moved 'here");
    fs::rename(world.prefix("p"), &moved).unwrap();
    let teller = moved.join("bin/teller");
    assert_eq!(told(&teller, &[]), MADE);
    let conf = world.prefix("user.conf");
    fs::write(&conf, "the user's\n").unwrap();
    let its = [("TELLER_CONF", conf.to_str().unwrap())];
    assert_eq!(told(&teller, &its), "conf=the user's\nhelped a b\n");
    // The user's own file says it all: nothing is set then.
    fs::write(world.prefix("teller.conf"), "").unwrap();
    let home = world.prefix("");
    let text = told(&teller, &[("XDG_CONFIG_HOME", home.to_str().unwrap())]);
    assert!(!text.contains("conf="), "{text}");
}

#[test]
fn a_receipt_says_what_launchers_set_and_what_was_made() {
    let world = world("told");
    world.ok(&["install", "-r", "teller", "p"]);
    let prefix = world.prefix("p");
    let text = fs::read(prefix.join("x86_64/.elsewhere.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let made = &json["made_with"]["runtimes"][0];
    assert_eq!(made["environment"][0]["set"], "{tree}/etc/teller/made.conf");
    assert_eq!(made["environment"][0]["unless_exists"][0], "$XDG_CONFIG_HOME/teller.conf");
    assert_eq!(made["environment"][1]["prepend"], "{tree}/libexec/elsewhere/teller");
    let listed = receipt(&prefix, "x86_64").unwrap();
    for file in ["etc/teller/made.conf", "share/teller/constant"] {
        assert!(listed.files.iter().any(|it| it.path.as_str() == file), "{file}");
    }
    // Nobody needs the definition to judge the tree and its launchers.
    fs::remove_file(world.prefix("repos/runtimes/teller.toml")).unwrap();
    world.ok(&["verify", "p"]);
    let teller = prefix.join("bin/teller");
    let text = fs::read_to_string(&teller).unwrap();
    fs::write(&teller, text.replace("made.conf", "other.conf")).unwrap();
    let told = world.fails(8, &["verify", "p"]);
    assert!(told.contains("bin/teller"), "{told}");
}

#[test]
fn a_file_that_was_made_is_the_users_to_edit_or_is_put_back() {
    let world = world("edited");
    world.ok(&["install", "-r", "teller", "p"]);
    let prefix = world.prefix("p");
    let tree = |path: &str| prefix.join("x86_64").join(path);
    fs::write(tree("share/teller/constant"), "changed").unwrap();
    fs::write(tree("etc/teller/made.conf"), "edited\n").unwrap();
    let text = world.fails(8, &["verify", "p"]);
    assert!(text.contains("share/teller/constant"), "{text}");
    world.ok(&["verify", "--repair", "p"]);
    assert_eq!(fs::read_to_string(tree("share/teller/constant")).unwrap(), "never changed");
    assert_eq!(told(&prefix.join("bin/teller"), &[]), "conf=edited\nhelped a b\n");
    // The same text anew: the edit stays, and nothing lies beside it.
    world.publish(&packages("2"), 2);
    world.ok(&["update", "p"]);
    assert_eq!(told(&prefix.join("bin/teller"), &[]), "conf=edited\nhelped a b\n");
    assert!(!tree("etc/teller/made.conf.rpmnew").exists());
    // Another text: it lies beside.
    world.scratch.write("repos/runtimes/teller.toml", RUNTIME.replace("made here", "made anew"));
    let text = world.ok(&["install", "-r", "teller", "p"]);
    assert!(text.contains("made.conf.rpmnew"), "{text}");
    assert_eq!(fs::read_to_string(tree("etc/teller/made.conf.rpmnew")).unwrap(), "made anew\n");
    assert_eq!(told(&prefix.join("bin/teller"), &[]), "conf=edited\nhelped a b\n");
}

#[test]
fn where_a_package_has_the_file_its_own_stays() {
    let world = world("own");
    let own = RUNTIME.replace("share/teller/constant", "etc/teller/own.conf");
    world.scratch.write("repos/runtimes/teller.toml", own);
    world.ok(&["install", "-r", "teller", "p"]);
    let file = world.prefix("p/x86_64/etc/teller/own.conf");
    assert_eq!(fs::read_to_string(file).unwrap(), "the package's\n");
    world.ok(&["verify", "p"]);
}

#[test]
fn a_published_version_has_it_all() {
    let world = world("published");
    world.ok(&["install", "--layout", "versioned", "-r", "teller", "base"]);
    let base = world.prefix("base");
    assert_eq!(told(&base.join("1/bin/teller"), &[]), MADE);
    assert_eq!(told(&base.join("current/bin/teller"), &[]), MADE);
    fs::rename(&base, world.prefix("elsewhere")).unwrap();
    assert_eq!(told(&world.prefix("elsewhere/bin/teller"), &[]), MADE);
    world.ok(&["verify", "elsewhere/1"]);
}

#[test]
fn a_prefix_of_several_dists_sets_it_for_the_tree_that_runs() {
    let world = world("dists");
    world.define("newer", "2.28", 1, "");
    world.ok(&["install", "-r", "teller", "-d", "small,newer", "p"]);
    let prefix = world.prefix("p");
    assert_eq!(told(&prefix.join("bin/teller"), &[]), MADE);
    let of_newer = prefix.join("dists/newer/x86_64/etc/teller/made.conf");
    fs::write(of_newer, "of newer\n").unwrap();
    assert_eq!(told(&prefix.join("bin/teller"), &[]), "conf=of newer\nhelped a b\n");
}

#[test]
fn runtimes_that_want_different_files_are_not_in_one_prefix() {
    let world = world("disputed");
    let second = |text: &str| {
        format!(
            "name = \"tool\"\ntitle = \"a tool\"\npackage = \"tool\"\n\
             [[command]]\nname = \"tool\"\npath = \"bin/tool\"\n\
             [[file]]\npath = \"share/teller/constant\"\ntext = \"{text}\"\n"
        )
    };
    world.scratch.write("repos/runtimes/tool.toml", second("another"));
    let text = world.fails(2, &["install", "-r", "teller,tool", "p"]);
    assert!(text.contains("have different texts for share/teller/constant"), "{text}");
    assert!(text.contains("teller.toml") && text.contains("tool.toml"), "{text}");
    world.scratch.write("repos/runtimes/tool.toml", second("never changed"));
    world.ok(&["install", "-r", "teller,tool", "p"]);
    // What both want stays for the one that stays.
    world.ok(&["remove", "-r", "tool", "p"]);
    let file = world.prefix("p/x86_64/share/teller/constant");
    assert_eq!(fs::read_to_string(file).unwrap(), "never changed");
    assert_eq!(told(&world.prefix("p/bin/teller"), &[]), MADE);
}

#[test]
fn known_defects_are_told_before_the_install() {
    let world = world("defects");
    let text = world.ok(&["install", "-r", "teller", "p"]);
    let defect = "teller 1 of small: it counts to one; and no further";
    assert_eq!(text.matches(defect).count(), 1, "{text}");
    world.publish(&packages("2"), 2);
    let text = world.ok(&["install", "-r", "teller", "q"]);
    assert!(!text.contains("it counts"), "{text}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let world = world("refused");
    let tail = "\n[[file]]\npath = \"share/teller/constant\"\ntext = \"\"\n";
    let receipt = "\n[[file]]\npath = \".elsewhere.json\"\ntext = \"\"\n";
    let twice = "\n[[environment]]\nname = \"TELLER_CONF\"\nset = \"\"\n";
    let loader = "\n[[environment]]\nname = \"LD_AUDIT\"\nset = \"\"\n";
    for (more, because) in [
        (tail, "the file share/teller/constant stands twice"),
        (receipt, "where elsewhere has its own"),
        (twice, "the variable TELLER_CONF stands twice"),
        (loader, "the loader's or the shell's own"),
    ] {
        world.scratch.write("repos/runtimes/teller.toml", format!("{RUNTIME}{more}"));
        let text = world.fails(2, &["install", "-r", "teller", "p"]);
        assert!(text.contains(because), "{text}");
    }
}

#[test]
fn a_prefix_that_nobody_may_write_to_works() {
    let world = world("read-only");
    world.ok(&["install", "-r", "teller", "p"]);
    let directories: Vec<PathBuf> = ["p", "p/bin", "p/x86_64/etc/teller", "p/x86_64/etc"]
        .map(|name| world.prefix(name))
        .to_vec();
    let set = |mode: u32| {
        for directory in &directories {
            fs::set_permissions(directory, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    set(0o555);
    assert_eq!(told(&world.prefix("p/bin/teller"), &[]), MADE);
    set(0o755);
}
