//! A configuration of one's own over a prefix that one cannot write to.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use support::killing::kill_at_each;
use support::rpms::File;
use support::small::{Small, World, small};
use support::tools;

/// A program that looks for its configuration where it lies itself, links followed, and says what it was told; its
/// helper is of the same version or it says so.
fn script(version: &str) -> String {
    format!(
        "#!/bin/sh\nhere=$(readlink -f -- \"$0\"); here=${{here%/*}}\n\
         read -r conf <\"$here/../etc/shade/shade.conf\"\nread -r helper <\"$here/../libexec/shade/version\"\n\
         echo \"{version} $helper $conf told=${{SHADE_CONF##*/x86_64/}} $*\"\n"
    )
}

const RUNTIME: &str = r#"
name = "shade"
title = "A shade"
package = "shade"

[shadow]
copies = ["bin/shade"]

[[shadow.environment]]
name = "SHADE_CONF"
set = "{tree}/etc/shade/shade.conf"

[[command]]
name = "shade"
path = "bin/shade"

[[command]]
name = "other"
path = "bin/other"
"#;

fn packages(version: &str) -> Vec<Small> {
    let files = vec![
        File::program("/usr/bin/shade", script(version).as_bytes()),
        File::program("/usr/bin/other", b"#!/bin/sh\necho other\n"),
        File::regular("/usr/libexec/shade/version", format!("{version}\n").as_bytes()),
        File::regular("/etc/shade/shade.conf", format!("theirs-{version}\n").as_bytes()),
        File::regular("/etc/shade/list.conf", b"a list\n"),
        File::symlink("/etc/shade/link.conf", "list.conf"),
    ];
    let mut all = support::small::packages("1");
    all.push(small("shade", version, files, &[]));
    all
}

/// A world with version 1 of it, in the prefix `p`.
fn world(name: &str) -> World {
    let world = World::new(name);
    world.scratch.write("repos/runtimes/shade.toml", RUNTIME);
    world.publish(&packages("1"), 1);
    world.ok(&["install", "-r", "shade", "p"]);
    world
}

/// What the launcher `name` of the shadow `directory` says, and its status.
fn said(world: &World, program: &str) -> (String, Option<i32>) {
    let mut command = Command::new(world.prefix(program));
    command.arg("x").env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.code())
}

#[track_caller]
fn assert_says(world: &World, program: &str, text: &str) {
    assert_eq!(said(world, program), (format!("{text}\n"), Some(0)));
}

/// All that is below `path`: kinds, modes, contents.
fn seen(path: &Path) -> BTreeMap<PathBuf, String> {
    let mut seen = BTreeMap::new();
    let mut waiting = vec![path.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let about = fs::symlink_metadata(&path).unwrap();
            let what = match about.file_type() {
                kind if kind.is_symlink() => format!("{:?}", fs::read_link(&path).unwrap()),
                kind if kind.is_dir() => {
                    waiting.push(path.clone());
                    String::new()
                }
                _ => String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned(),
            };
            seen.insert(path, format!("{:o} {what}", about.permissions().mode()));
        }
    }
    seen
}

fn standing(world: &World, shadow: &str) -> serde_json::Value {
    let output = world.run(&["shadow", "status", "--json", shadow]);
    serde_json::from_slice(&output.stdout).unwrap()
}

const CONF: &str = "x86_64/etc/shade/shade.conf";

#[test]
fn ones_own_configuration_counts_and_the_prefix_stays_as_it_is() {
    let world = world("shadow-own");
    let before = seen(&world.prefix("p"));
    let text = world.ok(&["shadow", "p", "s"]);
    assert!(text.contains("a shadow of"), "{text}");
    assert_says(&world, "s/bin/shade", "1 1 theirs-1 told=etc/shade/shade.conf x");
    assert_says(&world, "s/bin/other", "other");
    fs::write(world.prefix("s").join(CONF), "mine\n").unwrap();
    assert_says(&world, "s/bin/shade", "1 1 mine told=etc/shade/shade.conf x");
    assert_says(&world, "p/bin/shade", "1 1 theirs-1 told= x");
    assert_eq!(seen(&world.prefix("p")), before);
    // Just what must be is a copy.
    let tree = world.prefix("s/x86_64");
    let is_link = |name: &str| fs::symlink_metadata(tree.join(name)).unwrap().is_symlink();
    assert!(!is_link("bin/shade") && is_link("bin/other") && is_link("libexec"));
    assert_eq!(fs::read_link(tree.join("etc/shade/link.conf")).unwrap(), Path::new("list.conf"));
    // A user's own variable stays; the shadow may be moved.
    fs::rename(world.prefix("s"), world.prefix("moved 'away")).unwrap();
    assert_says(&world, "moved 'away/bin/shade", "1 1 mine told=etc/shade/shade.conf x");
    let told = Command::new(world.prefix("moved 'away/bin/shade"))
        .env("SHADE_CONF", "/x86_64/users")
        .output()
        .unwrap();
    assert!(String::from_utf8(told.stdout).unwrap().contains("told=users "), "the user set it");
    let state = standing(&world, "moved 'away");
    assert_eq!(state["trees"][0]["edited"], serde_json::json!(["etc/shade/shade.conf"]));
    assert_eq!(state["trees"][0]["is_current"], true, "{state}");
}

#[test]
fn edits_are_carried_when_the_prefix_moves_on() {
    let world = world("shadow-moves");
    world.ok(&["shadow", "p", "s"]);
    let own = world.prefix("s");
    fs::write(own.join(CONF), "mine\n").unwrap();
    fs::write(own.join("x86_64/etc/shade/list.conf"), "my list\n").unwrap();
    fs::write(own.join("x86_64/etc/shade/added.conf"), "added\n").unwrap();
    assert_eq!(world.ok(&["shadow", "update", "--check", "s"]), "");
    assert!(world.ok(&["shadow", "update", "s"]).contains("nothing to do"));
    world.publish(&packages("2"), 2);
    world.ok(&["update", "p"]);
    // Nothing is mixed: it is of version 1 until it is updated.
    assert_says(&world, "s/bin/shade", "1 1 mine told=etc/shade/shade.conf x");
    world.fails(10, &["shadow", "update", "--check", "s"]);
    assert_eq!(standing(&world, "s")["trees"][0]["is_current"], false);
    let text = world.ok(&["shadow", "update", "s"]);
    assert!(text.contains("shade.conf: your edited version stays"), "{text}");
    assert!(text.contains("shade.conf.rpmnew: the new version lies beside yours"), "{text}");
    assert_says(&world, "s/bin/shade", "2 2 mine told=etc/shade/shade.conf x");
    let read = |name: &str| fs::read_to_string(own.join("x86_64/etc/shade").join(name)).unwrap();
    assert_eq!(read("shade.conf.rpmnew"), "theirs-2\n");
    assert_eq!(read("list.conf"), "my list\n");
    assert_eq!(read("added.conf"), "added\n");
    assert!(!own.join("x86_64/etc/shade/list.conf.rpmnew").exists(), "it did not change there");
    // What an administrator edits there, no receipt tells.
    fs::write(world.prefix("p/x86_64/etc/shade/link.conf"), "").unwrap();
    world.fails(10, &["shadow", "update", "--check", "s"]);
    world.ok(&["shadow", "update", "s"]);
    assert_eq!(world.ok(&["shadow", "update", "--check", "s"]), "");
    let versions = fs::read_dir(own.join(".elsewhere-shadow")).unwrap().count();
    assert_eq!(versions, 3, "one version, its link, and where runs make the next");
}

#[test]
fn a_version_that_is_gone_is_told_and_what_is_newer_is_taken() {
    let world = world("shadow-gone");
    world.ok(&["shadow", "p", "s"]);
    fs::write(world.prefix("s").join(CONF), "mine\n").unwrap();
    world.publish(&packages("2"), 2);
    world.ok(&["update", "p"]);
    world.ok(&["prune", "--keep", "0", "--force", "p"]);
    let (text, status) = said(&world, "s/bin/shade");
    assert!(status == Some(127) && text.contains("is gone, or not mounted"), "{status:?} {text}");
    let (text, status) = said(&world, "s/bin/other");
    assert!(status == Some(127) && text.contains("elsewhere shadow update"), "{status:?} {text}");
    let text = world.ok(&["shadow", "status", "s"]);
    assert!(text.contains("gone, or not mounted") && text.contains("edited etc/shade"), "{text}");
    world.ok(&["shadow", "update", "s"]);
    assert_says(&world, "s/bin/shade", "2 2 mine told=etc/shade/shade.conf x");
    // While it is not mounted at all, what was edited is told, and nothing is lost.
    fs::rename(world.prefix("p"), world.prefix("away")).unwrap();
    let text = world.ok(&["shadow", "status", "s"]);
    assert!(text.contains("cannot be read now"), "{text}");
    world.fails(6, &["shadow", "update", "s"]);
    fs::rename(world.prefix("away"), world.prefix("p")).unwrap();
    assert_says(&world, "s/bin/shade", "2 2 mine told=etc/shade/shade.conf x");
}

#[test]
fn published_versions_and_several_dists_have_shadows() {
    let world = world("shadow-published");
    let publish = |version| {
        world.ok(&["install", "-r", "shade", "-v", version, "--layout", "versioned", "base"])
    };
    publish("1");
    world.ok(&["shadow", "base", "s"]);
    fs::write(world.prefix("s").join(CONF), "mine\n").unwrap();
    assert_says(&world, "s/bin/shade", "1 1 mine told=etc/shade/shade.conf x");
    world.publish(&packages("2"), 2);
    publish("2");
    assert_says(&world, "s/bin/shade", "1 1 mine told=etc/shade/shade.conf x");
    world.fails(10, &["shadow", "update", "--check", "s"]);
    world.ok(&["shadow", "update", "s"]);
    assert_says(&world, "s/bin/shade", "2 2 mine told=etc/shade/shade.conf x");
    // One of a version stays at that; one of several architectures has a tree for each.
    world.ok(&["shadow", "base/1", "one"]);
    assert_eq!(world.ok(&["shadow", "update", "--check", "one"]), "");
    world.ok(&["install", "-r", "shade", "-a", "x86_64,aarch64", "fat"]);
    world.ok(&["shadow", "fat", "s"]);
    assert_says(&world, "s/bin/shade", "2 2 mine told=etc/shade/shade.conf x");
    assert!(world.prefix("s/aarch64/etc/shade/shade.conf").is_file());
    world.define("large", "2.18", 1, "");
    world.ok(&["install", "-r", "shade", "-d", "small,large", "both"]);
    // What was edited in a tree that there is none for any more is not lost.
    let text = world.fails(2, &["shadow", "both", "s"]);
    assert!(text.contains("no tree for them any more: x86_64/etc/shade/shade.conf"), "{text}");
    assert_says(&world, "s/bin/shade", "2 2 mine told=etc/shade/shade.conf x");
    for name in [CONF, &format!("{CONF}.rpmnew")] {
        fs::remove_file(world.prefix("s").join(name)).unwrap();
    }
    world.ok(&["shadow", "both", "s"]);
    assert!(!world.prefix("s/aarch64").exists(), "it has none");
    assert!(fs::read_link(world.prefix("s/dists")).is_ok());
    let (text, status) = said(&world, "s/bin/shade");
    assert!(status == Some(0) && text.starts_with("2 2 theirs-2 "), "{text}");
}

#[test]
fn one_that_somebody_else_could_change_is_not_believed() {
    let world = world("shadow-others");
    if !rustix::process::geteuid().is_root() {
        return tools::missing("shadows of another user: only root can give files away");
    }
    world.ok(&["shadow", "p", "s"]);
    // Somebody else can write to it.
    fs::set_permissions(world.prefix("s"), fs::Permissions::from_mode(0o777)).unwrap();
    let text = world.fails(6, &["shadow", "update", "s"]);
    assert!(text.contains("can be written by others"), "{text}");
    fs::set_permissions(world.prefix("s"), fs::Permissions::from_mode(0o755)).unwrap();
    let own = world.prefix("s/.elsewhere-shadow");
    std::os::unix::fs::chown(&own, Some(65534), None).unwrap();
    world.fails(6, &["shadow", "status", "s"]);
}

#[test]
fn what_no_shadow_can_be_of_is_refused_and_changes_nothing() {
    let world = world("shadow-refused");
    world.scratch.write("full/file", "mine");
    for (words, status, because) in [
        (&["shadow", "p", "full"][..], 2, "no shadow"),
        (&["shadow", "p", "p/s"], 2, "which it would stand for"),
        (&["shadow", "p/x86_64", "s"], 2, "is one tree"),
        (&["shadow", "nothing", "s"], 6, "no prefix"),
        (&["shadow", "status", "p"], 2, "there is no shadow"),
        (&["shadow", "p"], 2, "DIR"),
    ] {
        let text = world.fails(status, words);
        assert!(text.contains(because), "{words:?}: {text}");
    }
    assert!(!world.prefix("s").exists());
    let program = world.prefix("p/x86_64/bin/shade");
    let good = fs::read(&program).unwrap();
    fs::write(&program, "#!/bin/sh\necho trojan\n").unwrap();
    let text = world.fails(8, &["shadow", "p", "s"]);
    assert!(text.contains("bin/shade is not what its receipt says"), "{text}");
    assert!(!world.prefix("s").exists());
    fs::write(&program, good).unwrap();
    // A pipe is left out, and nobody waits for it; a link leads nowhere of ours.
    let made = Command::new("mkfifo").arg(world.prefix("p/x86_64/etc/shade/pipe")).status();
    assert!(made.unwrap().success());
    symlink("/etc/passwd", world.prefix("p/x86_64/etc/shade/passwd")).unwrap();
    let text = world.ok(&["shadow", "p", "s"]);
    assert!(text.contains("pipe cannot be read, and is left out"), "{text}");
    assert!(fs::read_link(world.prefix("s/x86_64/etc/shade/passwd")).is_ok());
    // What is written down is damaged.
    let record = world.prefix("s/.elsewhere-shadow/1/record.json");
    for text in ["", "{\"format\":1}", "{\"format\":9,\"of\":\"/\",\"trees\":[]}"] {
        fs::write(&record, text).unwrap();
        let told = world.fails(6, &["shadow", "update", "s"]);
        assert!(told.contains("record.json is damaged"), "{told}");
    }
}

#[test]
fn it_is_removed_but_not_what_the_user_wrote() {
    let world = world("shadow-removed");
    world.ok(&["shadow", "p", "s"]);
    fs::write(world.prefix("s").join(CONF), "mine\n").unwrap();
    let text = world.fails(2, &["shadow", "remove", "s"]);
    assert!(text.contains("x86_64/etc/shade/shade.conf"), "{text}");
    assert_says(&world, "s/bin/shade", "1 1 mine told=etc/shade/shade.conf x");
    world.scratch.write("s/note", "the user's");
    world.ok(&["shadow", "remove", "--force", "s"]);
    let left: Vec<_> =
        fs::read_dir(world.prefix("s")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["note"]);
    world.ok(&["shadow", "p", "t"]);
    world.ok(&["shadow", "remove", "t"]);
    assert!(!world.prefix("t").exists());
}

#[test]
fn whoever_is_killed_leaves_the_old_one_or_the_new_one() {
    let world = world("shadow-killed");
    world.ok(&["shadow", "p", "s"]);
    fs::write(world.prefix("s").join(CONF), "mine\n").unwrap();
    world.publish(&packages("2"), 2);
    world.ok(&["update", "p"]);
    let first = world.prefix("first");
    let copied = Command::new("cp").arg("-a").args([&world.prefix("s"), &first]).status();
    assert!(copied.unwrap().success());
    let words = |command: &mut Command| {
        command.args(["shadow", "update", "s"]).current_dir(world.scratch.path());
        world.enter(command);
    };
    let mut both = [0, 0];
    let calls = ["rename", "symlink", "unlinkat", "mkdir", "fchmod"];
    kill_at_each(&calls, &[], &words, |killed| {
        let (text, _) = said(&world, "s/bin/shade");
        let number = usize::from(text.starts_with("2 2 mine"));
        assert!(number == 1 || text.starts_with("1 1 mine"), "{killed:?}: {text}");
        both[number] += 1;
        world.ok(&["shadow", "update", "s"]);
        assert_says(&world, "s/bin/shade", "2 2 mine told=etc/shade/shade.conf x");
        fs::remove_dir_all(world.prefix("s")).unwrap();
        let copied = Command::new("cp").arg("-a").args([&first, &world.prefix("s")]).status();
        assert!(copied.unwrap().success());
    });
    assert!(both[0] > 5 && both[1] > 5, "{both:?}");
}
