//! Programs that need a library which no machine has, in every way in which run paths alone do not lead
//! to it: installed, tried out, verified, repaired and examined, with nothing of it on this machine.
//! Needs a C compiler.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use elsewhere::stages::model::{Receipt, RelPath};
use serde_json::Value;
use support::rpms::File;
use support::small::{World, receipt, small};
use support::tools;

/// Where the library lies: not where a loader looks by itself.
const LIBRARY: &str = "lib64/made-up/libelsewhere-made-up.so.1";
const LIBRARY_SOURCE: &str = "int made_up(void) { return 42; }";
const MAIN: &str = "#include <stdio.h>
int NAME(void);
int main(void) { printf(\"%d\\n\", NAME()); return 0; }";
const USER: &str = "int made_up(void); int NAME(void) { return made_up(); }";
/// Prints what the plugins say that its arguments name.
const OPENER: &str = r#"#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        void *plugin = dlopen(argv[i], RTLD_NOW);
        if (!plugin) { puts(dlerror()); return 1; }
        int (*asked)(void) = (int (*)(void))dlsym(plugin, "plugin");
        printf("%d\n", asked());
    }
    return 0;
}"#;
/// Starts itself again from memory.
const MEMORY: &str = concat!(
    include_str!("support/again.h"),
    r#"int made_up(void);
int main(int argc, char **argv) {
    again(argv);
    printf("%d\n", made_up());
    return 0;
}"#
);
/// Above this there is no room for one more segment, so a file that begins there cannot be rewritten.
const HIGH: &str = "-Wl,-Ttext-segment=0x500000000000";

/// What a package of these programs and libraries holds.
fn contents(place: &Path) -> Vec<File> {
    fs::create_dir_all(place).unwrap();
    let compile = |name: &str, source: &str, flags: &[&str]| -> PathBuf {
        let (path, code) = (place.join(name), place.join(format!("{name}.c")));
        fs::write(&code, source).unwrap();
        let mut compiler = Command::new(tools::need("cc", "gcc libc6-dev"));
        tools::run(compiler.arg("-fPIC").arg("-o").arg(&path).arg(&code).args(flags));
        path
    };
    let made_up = compile(
        "libelsewhere-made-up.so.1",
        LIBRARY_SOURCE,
        &["-shared", "-Wl,-soname,libelsewhere-made-up.so.1"],
    );
    let made_up = made_up.to_str().unwrap();
    let main = |name: &str| MAIN.replace("NAME", name);
    let user = |name: &str| USER.replace("NAME", name);
    let stuck = ["-shared", HIGH, "-Wl,-soname,libstuck.so.1", made_up];
    let stuck_library = compile("libstuck.so.1", &user("stuck"), &stuck);
    let link = format!("-Wl,-rpath-link,{}", place.display());
    let file = |path: &str, from: PathBuf| File::program(path, &fs::read(from).unwrap());
    vec![
        file(&format!("/usr/{LIBRARY}"), made_up.into()),
        file("/usr/lib64/libstuck.so.1", stuck_library.clone()),
        file(
            "/usr/lib64/tool/plugin.so",
            compile("plugin.so", &user("plugin"), &["-shared", made_up]),
        ),
        file(
            "/usr/lib64/tool/stuck-plugin.so",
            compile("stuck-plugin.so", &user("plugin"), &["-shared", HIGH, made_up]),
        ),
        file("/usr/bin/memory", compile("memory", MEMORY, &[made_up])),
        file("/usr/bin/stuck", compile("stuck", &main("made_up"), &[HIGH, made_up])),
        file(
            "/usr/bin/user",
            compile("user", &main("stuck"), &[stuck_library.to_str().unwrap(), &link]),
        ),
        file("/usr/bin/opener", compile("opener", OPENER, &["-ldl"])),
    ]
}

/// A runtime of these programs, each of which must say 42.
const DEFINITION: &str = r#"
name = "tool"
title = "programs that need a library which no machine has"
package = "tool"
library_path = ["bin/memory"]
namespace_programs = ["bin/stuck"]

[[command]]
name = "memory"
path = "bin/memory"
[[command]]
name = "stuck"
path = "bin/stuck"
[[command]]
name = "user"
path = "bin/user"
[[command]]
name = "opener"
path = "bin/opener"

[[smoke]]
path = "bin/memory"
expect = "42"
[[smoke]]
path = "bin/stuck"
expect = "42"
[[smoke]]
path = "bin/user"
expect = "42"
[[smoke]]
path = "bin/opener"
arguments = ["{tree}/lib64/tool/plugin.so", "{tree}/lib64/tool/stuck-plugin.so"]
expect = "42\n42"
"#;

fn world(name: &str) -> World {
    let world = World::new(name);
    let files = contents(&world.prefix("compiled"));
    world.publish(&[small("tool", "1", files, &[])], 2);
    world.scratch.write("repos/runtimes/tool.toml", DEFINITION);
    world
}

fn arch() -> &'static str {
    tools::host_arch().as_str()
}

/// The receipt, and the tree that it lies in.
fn installed(world: &World) -> (Receipt, PathBuf) {
    let prefix = world.prefix("p");
    (receipt(&prefix, arch()).unwrap(), prefix.join(arch()))
}

/// What the launchers say when nothing in the environment helps or hinders them.
fn all_work(world: &World) {
    let (prefix, (_, tree)) = (world.prefix("p"), installed(world));
    let plugins = ["plugin.so", "stuck-plugin.so"].map(|name| tree.join("lib64/tool").join(name));
    for (name, arguments, said) in [
        ("memory", &[][..], "42\n"),
        ("stuck", &[], "42\n"),
        ("user", &[], "42\n"),
        ("opener", &plugins[..], "42\n42\n"),
    ] {
        let mut command = Command::new(prefix.join("bin").join(name));
        let output = command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").output();
        let output = output.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(String::from_utf8_lossy(&output.stdout), said, "{name}: {errors}");
    }
}

#[test]
fn what_no_machine_has_is_found_by_all_that_need_it() {
    let world = world("loading");
    let said = world.ok(&["install", "--verbose", "-r", "tool", "p"]);
    all_work(&world);
    let counted = "programs that a launcher tells where their libraries are: 2: ";
    let line = said.lines().find(|line| line.contains(counted)).unwrap_or_default();
    assert!(line.contains("bin/memory (starts itself again from memory)"), "{said}");
    assert!(line.contains("bin/stuck (its addresses leave none"), "{said}");

    let (receipt, tree) = installed(&world);
    let loading = receipt.loading.unwrap();
    let path = |text| RelPath::new(text).unwrap();
    assert!(loading.directories.contains(&path("lib64/made-up")), "{loading:?}");
    for (at, launcher, is_in_memory) in [
        ("libexec/elsewhere/bin/memory", Some("bin/memory"), true),
        ("libexec/elsewhere/bin/stuck", Some("bin/stuck"), false),
        ("lib64/libstuck.so.1", None, false),
        ("lib64/tool/stuck-plugin.so", None, false),
    ] {
        let aided = loading.aided(&path(at)).unwrap();
        assert_eq!(aided.launcher.as_ref().map(RelPath::as_str), launcher);
        assert_eq!(aided.is_in_memory(), is_in_memory, "{aided:?}");
        assert_eq!(aided.library_path, [path("lib64/made-up")], "{aided:?}");
    }
    assert_eq!(loading.aided.len(), 4, "{loading:?}");

    world.ok(&["verify", "p"]);
    world.ok(&["verify", "--deep", "--mirror", "mirror", "--cache-dir", "cache", "p"]);
    let before = contents_of(&tree);
    for damaged in [
        LIBRARY,
        "bin/memory",
        "libexec/elsewhere/bin/memory",
        "bin/stuck",
        "libexec/elsewhere/bin/stuck",
        "lib64/libstuck.so.1",
        "bin/user",
        "lib64/tool/plugin.so",
        "lib64/tool/stuck-plugin.so",
    ] {
        fs::remove_file(tree.join(damaged)).unwrap();
        let told = world.fails(8, &["verify", "p"]);
        assert!(told.contains(&format!("{damaged}: missing")), "{told}");
        world.ok(&["verify", "--repair", "p"]);
        assert!(contents_of(&tree) == before, "{damaged} was not put back as it was");
    }
    all_work(&world);
}

/// Every file that is no directory, by its path.
fn contents_of(tree: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut ahead = vec![fs::canonicalize(tree).unwrap()];
    while let Some(directory) = ahead.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => ahead.push(path),
                false => found.push((path.clone(), fs::read(path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_receipt_that_says_nothing_of_loading_is_understood() {
    let world = world("loading-older");
    world.ok(&["install", "-r", "tool", "p"]);
    edit_receipt(&world, |receipt| drop(receipt.as_object_mut().unwrap().remove("loading")));
    world.ok(&["verify", "p"]);
    world.ok(&["status", "p"]);
    fs::remove_file(installed(&world).1.join("bin/stuck")).unwrap();
    world.ok(&["verify", "--repair", "p"]);
    all_work(&world);
}

#[test]
fn a_receipt_that_leads_programs_astray_is_found_out() {
    let world = world("loading-astray");
    world.ok(&["install", "-r", "tool", "p"]);
    edit_receipt(&world, |receipt| {
        for aided in receipt["loading"]["aided"].as_array_mut().unwrap() {
            aided["library_path"] = serde_json::json!(["lib64/none"]);
        }
    });
    let told = world.fails(8, &["verify", "p"]);
    let gap = "libexec/elsewhere/bin/stuck needs libelsewhere-made-up.so.1: the tree has";
    assert!(told.contains(gap), "{told}");
    edit_receipt(&world, |receipt| {
        receipt["loading"]["aided"][0]["library_path"] = serde_json::json!(["../../lib"]);
    });
    let told = world.fails(8, &["verify", "p"]);
    assert!(told.contains(".elsewhere.json"), "{told}");
}

fn edit_receipt(world: &World, edit: impl Fn(&mut Value)) {
    let path = installed_receipt(world);
    let mut receipt: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut receipt);
    fs::write(path, serde_json::to_vec(&receipt).unwrap()).unwrap();
}

fn installed_receipt(world: &World) -> PathBuf {
    world.prefix("p").join(arch()).join(".elsewhere.json")
}

/// The doctor names the programs that the kernel sees, and tries the directories that they search.
#[test]
fn a_doctor_knows_where_launched_programs_are() {
    let world = world("loading-doctor");
    world.ok(&["install", "-r", "tool", "p"]);
    let repos = world.prefix("repos");
    let output = world
        .command(&["doctor", "--json", "p"])
        .arg("--repos")
        .arg(repos)
        .current_dir(world.scratch.path())
        .output()
        .unwrap();
    let diagnosis: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = diagnosis["findings"].as_array().unwrap();
    let identity = findings.iter().find(|finding| finding["check"] == "identity").unwrap();
    let evidence = identity["evidence"].as_str().unwrap();
    assert!(evidence.contains("with the tree's libraries too"), "{identity:#}");
}
