//! The settings of an installed runtime, which its own program knows.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::{Value, json};
use support::rpms::File;
use support::small::{World, small};

/// A program that knows three settings, and is as strict as its likes: it takes yes and no alone, and passes over keys that it
/// does not know.
const SCRIPT: &[u8] = br#"#!/bin/sh
[ "$1" = confgen ] || { echo "teller"; exit; }
old=/dev/null new=$2
[ $# = 2 ] || { old=$2 new=$3; }
home=$(sed -n 's/^mount home *= *//p' "$old")
home=${home:-yes}
case $home in
yes | no) ;;
*) echo "FATAL: mount home = $home: yes and no are allowed" >&2; exit 255 ;;
esac
{
    printf '# MOUNT HOME: [BOOL]\n# DEFAULT = yes\nmount home = %s\n#limit owners = a, b\n' "$home"
    sed -n '/^limit owners *=/p' "$old"
    grep '^bind path *=' "$old" || echo 'bind path = /etc/hosts'
} >"$new"
"#;

const CONF: &str =
    "# of the package\nmount home = yes\n\n#limit owners = a, b\nbind path = /etc/hosts\n";

const RUNTIME: &str = r#"
name = "teller"
title = "A teller"
package = "teller"

[config]
path = "etc/teller/teller.conf"
program = "bin/teller"
defaults = ["confgen", "{new}"]
understood = ["confgen", "{file}", "{new}"]

[[command]]
name = "teller"
path = "bin/teller"
"#;

/// The file in the prefix `p`.
const FILE: &str = "p/x86_64/etc/teller/teller.conf";

fn world(name: &str) -> World {
    let world = World::new(name);
    world.scratch.write("repos/runtimes/teller.toml", RUNTIME);
    let files = vec![
        File::program("/usr/bin/teller", SCRIPT),
        File::regular("/etc/teller/teller.conf", CONF.as_bytes()),
    ];
    let mut all = support::small::packages("1");
    all.push(small("teller", "1", files, &[]));
    world.publish(&all, 1);
    world.ok(&["install", "-r", "teller", "p"]);
    world
}

fn told(world: &World, words: &[&str]) -> Value {
    let output = world.run(words);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{words:?}: {output:?}"))
}

#[test]
fn settings_are_read_and_set_as_the_runtime_knows_them() {
    let world = world("config-set");
    assert_eq!(
        world.ok(&["runtime-config", "get", "p"]),
        "bind path = /etc/hosts\nmount home = yes\n"
    );
    assert_eq!(world.ok(&["runtime-config", "get", "p", "mount home"]), "yes\n");
    assert_eq!(world.ok(&["runtime-config", "get", "p", "limit owners"]), "");
    assert_eq!(world.ok(&["runtime-config", "diff", "p"]), "");
    world.ok(&["runtime-config", "set", "p", "mount home", "no"]);
    let file = world.prefix(FILE);
    assert_eq!(fs::read_to_string(&file).unwrap(), CONF.replace("home = yes", "home = no"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    world.ok(&["runtime-config", "set", "p", "limit owners", "me, you"]);
    world.ok(&["runtime-config", "set", "--add", "p", "bind path", "/scratch", "/data"]);
    let diff = world.ok(&["runtime-config", "diff", "p"]);
    assert_eq!(
        diff,
        "x86_64: bind path: /etc/hosts -> /etc/hosts | /scratch | /data\n\
         x86_64: limit owners: (not set) -> me, you\nx86_64: mount home: yes -> no\n"
    );
    assert_eq!(
        world.ok(&["runtime-config", "get", "p", "bind path"]),
        "/etc/hosts\n/scratch\n/data\n"
    );
    assert_eq!(world.ok(&["runtime-config", "check", "p"]), "");
    world.ok(&["runtime-config", "set", "--unset", "p", "bind path"]);
    world.ok(&["runtime-config", "set", "--unset", "p", "limit owners"]);
    world.ok(&["runtime-config", "set", "p", "mount home", "yes"]);
    assert_eq!(world.ok(&["runtime-config", "diff", "p"]), "");
    assert_eq!(
        told(&world, &["runtime-config", "diff", "--json", "p"])["trees"][0]["changed"],
        json!([])
    );
    // An update keeps what was set, as what any editor wrote.
    world.ok(&["runtime-config", "set", "p", "mount home", "no"]);
    world.ok(&["verify", "p"]);
}

#[test]
fn nothing_is_written_that_means_nothing() {
    let world = world("config-refused");
    let file = world.prefix(FILE);
    for (words, because) in [
        (&["set", "p", "mount hom", "no"][..], "did you mean `mount home`?"),
        (&["set", "p", "k3y", "no"], "get PREFIX"),
        (&["set", "p", "mount home", "maybe"], "FATAL: mount home = maybe: yes and no are allowed"),
        (&["set", "p", "mount home", "no\nbind path = /"], "a line of text"),
        (&["set", "p", "mount home", ""], "not empty"),
        (&["set", "p", "mount home"], "VALUE"),
        (&["get", "p", "default"], "there is no setting"),
        (&["get", "--runtime", "tool", "p"], "no runtime whose settings are known"),
    ] {
        let text = world.fails(2, &[&["runtime-config"], words].concat());
        assert!(text.contains(because), "{words:?}: {text}");
        assert_eq!(fs::read_to_string(&file).unwrap(), CONF);
    }
    fs::write(&file, format!("{CONF}mount hoem = no\nwhat is this\n")).unwrap();
    let text = world.fails(2, &["runtime-config", "check", "p"]);
    assert!(text.contains("teller.conf:6: there is no such setting: mount hoem = no"), "{text}");
    assert!(text.contains("teller.conf:7: it sets nothing: what is this"), "{text}");
    fs::write(&file, "mount home = maybe\n").unwrap();
    let told = told(&world, &["runtime-config", "check", "--json", "p"]);
    assert!(told["trees"][0]["refused"].as_str().unwrap().contains("yes and no"), "{told}");
}

#[test]
fn a_shadow_has_settings_of_its_own_and_a_published_version_none_to_set() {
    let world = world("config-shadow");
    world.ok(&["shadow", "p", "s"]);
    world.ok(&["runtime-config", "set", "s", "mount home", "no"]);
    assert_eq!(world.ok(&["runtime-config", "get", "s", "mount home"]), "no\n");
    assert_eq!(world.ok(&["runtime-config", "get", "p", "mount home"]), "yes\n");
    assert!(world.ok(&["shadow", "status", "s"]).contains("edited etc/teller/teller.conf"));
    world.ok(&["install", "-r", "teller", "--layout", "versioned", "base"]);
    assert_eq!(world.ok(&["runtime-config", "get", "base", "mount home"]), "yes\n");
    for place in ["base", "base/current"] {
        let text = world.fails(6, &["runtime-config", "set", place, "mount home", "no"]);
        assert!(text.contains("published to be read"), "{text}");
    }
}

#[test]
fn nothing_is_written_through_a_link_or_for_somebody_else() {
    let world = world("config-hostile");
    let directory = world.prefix("p/x86_64/etc/teller");
    fs::rename(&directory, world.prefix("outside")).unwrap();
    symlink(world.prefix("outside"), &directory).unwrap();
    let text = world.fails(6, &["runtime-config", "set", "p", "mount home", "no"]);
    assert!(text.contains("etc/teller"), "{text}");
    fs::remove_file(&directory).unwrap();
    fs::rename(world.prefix("outside"), &directory).unwrap();
    let file = world.prefix(FILE);
    fs::rename(&file, world.prefix("outside")).unwrap();
    symlink(world.prefix("outside"), &file).unwrap();
    world.fails(6, &["runtime-config", "get", "p"]);
    assert_eq!(fs::read_to_string(world.prefix("outside")).unwrap(), CONF);
    fs::remove_file(&file).unwrap();
    fs::copy(world.prefix("outside"), &file).unwrap();
    // A program that does not say it.
    fs::write(world.prefix("p/x86_64/bin/teller"), "#!/bin/sh\necho no\nexit 3\n").unwrap();
    let text = world.fails(7, &["runtime-config", "get", "p"]);
    assert!(text.contains("does not say which settings it has: no"), "{text}");
}
