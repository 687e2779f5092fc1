//! What is bound into containers comes from an older dist than the rest: its packages are chosen there,
//! lie in a tree of their own, find their own libraries, and ask for no newer C library than that dist
//! has.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use elsewhere::stages::model::{Nevra, Plan, Receipt, TreePlan};
use serde_json::Value;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::rpms::File;
use support::small::{Small, World, launch, receipt, small};

/// Programs that a C compiler made today ask for this.
const TODAY: &str = "2.34";

/// A runtime `app`, which binds the program `fake` into containers. Both need `libdep.so.1`.
const RUNTIME: &str = r#"
name = "app"
title = "an app"
package = "app"
container_facing = ["fake"]
[[extra]]
package = "fake"
[[link]]
path = "libexec/app/fake"
target = "bin/fake"
[[command]]
name = "app"
path = "bin/app"
[[command]]
name = "fake"
path = "libexec/app/fake"
[[smoke]]
path = "libexec/app/fake"
expect = "fake with dep of"
"#;

/// A world of `el8` with a glibc of this version, and a newer `el9`; each has its own `dep`.
fn world(name: &str, glibc: &str) -> World {
    let world = World::new(name);
    world.scratch.write("repos/runtimes/app.toml", RUNTIME);
    world.define("el8", glibc, 1, "el8/");
    world.define("el9", "2.35", 1, "el9/");
    for dist in ["el8", "el9"] {
        world.publish_in(&format!("{dist}/"), &packages(&world, dist, "1"), 1);
    }
    world
}

fn packages(world: &World, dist: &str, version: &str) -> Vec<Small> {
    let directory = world.prefix(&format!("build-{dist}"));
    fs::create_dir_all(&directory).unwrap();
    let library = build(
        &directory,
        "libdep.so.1",
        &format!("const char *dep(void) {{ return \"dep of {dist}\"; }}"),
        &["-shared", "-fPIC", "-Wl,-soname,libdep.so.1"],
    );
    let program = |name: &str| {
        let text = format!(
            "#include <stdio.h>\nconst char *dep(void);\n\
             int main(void) {{ printf(\"{name} with %s\\n\", dep()); return 0; }}"
        );
        let bytes = fs::read(build(&directory, name, &text, &[library.to_str().unwrap()])).unwrap();
        File::program(&format!("/usr/bin/{name}"), &bytes)
    };
    let dep = vec![File::program("/usr/lib64/libdep.so.1", &fs::read(&library).unwrap())];
    vec![
        small("dep", version, dep, &[]),
        small("fake", version, vec![program("fake")], &["dep"]),
        small("app", version, vec![program("app")], &["dep", "fake"]),
    ]
}

fn build(directory: &Path, name: &str, text: &str, options: &[&str]) -> PathBuf {
    let source = directory.join(format!("{name}.c"));
    fs::write(&source, text).unwrap();
    let out = directory.join(name);
    let status = Command::new("cc").arg("-o").arg(&out).arg(&source).args(options).status();
    assert!(status.unwrap().success(), "cc: install gcc");
    out
}

/// The packages of a prefix, with the dist where it is another than the tree's.
fn installed(prefix: &Path) -> Vec<String> {
    let receipt = receipt(prefix, "x86_64").unwrap();
    let show = |(is_inside, nevra): (bool, &Nevra)| match receipt.container_dist() {
        Some(dist) if is_inside => format!("{dist}/{}", nevra.name),
        _ => nevra.name.clone(),
    };
    receipt.nevras().map(show).collect()
}

#[test]
fn they_come_from_the_oldest_maintained_dist_and_do_not_mix() {
    let world = world("inside", TODAY);
    let prefix = world.prefix("p");
    let plan = world.ok(&["plan", "-r", "app", "-d", "el9", "--lock", "lock"]);
    assert!(
        plan.contains("app 1 from el9, what goes into containers from el8, for x86_64"),
        "{plan}"
    );
    assert!(plan.contains("el9/base") && plan.contains("el8/base"), "{plan}");
    world.ok(&["install", "-r", "app", "-d", "el9", "p"]);
    assert_eq!(installed(&prefix), ["app", "dep", "el8/dep", "el8/fake"]);
    assert_eq!(launch(&prefix, "app").unwrap(), "app with dep of el9");
    assert_eq!(launch(&prefix, "fake").unwrap(), "fake with dep of el8");
    let tree = prefix.join("x86_64");
    assert!(!tree.join("bin/fake").exists());
    assert!(tree.join("container/lib64/libdep.so.1").is_file());
    assert_eq!(
        fs::read_link(tree.join("libexec/app/fake")).unwrap(),
        Path::new("../../container/bin/fake")
    );
    let status = world.ok(&["status", "p"]);
    assert!(status.contains("from el8, for containers"), "{status}");
    let again = world.ok(&["install", "-r", "app", "-d", "el9", "p"]);
    assert!(again.contains("nothing to do"), "{again}");
    let bill = world.ok(&["sbom", "p"]);
    assert!(bill.contains("pkg:rpm/dep@1-1.el8?arch=noarch&distro=el8"), "{bill}");
    assert!(bill.contains("pkg:rpm/dep@1-1.el8?arch=noarch&distro=el9"), "{bill}");
    // The lock file makes the same tree.
    world.ok(&["install", "--lock", "lock", "locked"]);
    let (ours, locked) =
        (receipt(&prefix, "x86_64").unwrap(), receipt(&world.prefix("locked"), "x86_64").unwrap());
    assert_eq!(ours.all_files(), locked.all_files());
    assert!(ours.all_packages().eq(locked.all_packages()));
}

#[test]
fn an_update_stays_with_that_dist_and_damage_is_put_right() {
    let world = world("kept", TODAY);
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "app", "-d", "el9", "p"]);
    world.publish_in("el8/", &packages(&world, "el8", "2"), 2);
    let told = world.fails(10, &["update", "--check", "p"]);
    assert!(told.contains("fake (for containers) 1-1.el8 -> 2-1.el8"), "{told}");
    assert!(!told.contains("\n  dep 1-1.el8"), "{told}");
    world.ok(&["update", "p"]);
    assert_eq!(installed(&prefix), ["app", "dep", "el8/dep", "el8/fake"]);
    assert_eq!(launch(&prefix, "fake").unwrap(), "fake with dep of el8");
    let (mirror, cache) = (world.prefix("mirror"), world.prefix("cache"));
    let places = ["--mirror", mirror.to_str().unwrap(), "--cache-dir", cache.to_str().unwrap()];
    let verify = |words: &[&str]| world.ok(&[&["verify"], words, &places, &["p"]].concat());
    verify(&["--deep"]);
    fs::write(prefix.join("x86_64/container/lib64/libdep.so.1"), "oops").unwrap();
    fs::write(prefix.join("x86_64/lib64/libdep.so.1"), "oops").unwrap();
    let told = world.fails(8, &["verify", "p"]);
    assert!(told.contains("x86_64/container/lib64/libdep.so.1: "), "{told}");
    verify(&["--repair"]);
    assert_eq!(launch(&prefix, "app").unwrap(), "app with dep of el9");
    assert_eq!(launch(&prefix, "fake").unwrap(), "fake with dep of el8");
}

#[test]
fn an_update_leaves_in_one_dist_what_was_made_of_one() {
    let world = world("one", TODAY);
    world.ok(&["install", "-r", "app", "-d", "el9", "--container-dist", "same", "p"]);
    world.publish_in("el9/", &packages(&world, "el9", "2"), 2);
    world.ok(&["update", "p"]);
    assert_eq!(installed(&world.prefix("p")), ["app", "dep", "fake"]);
}

#[test]
fn what_was_left_out_in_there_stays_so() {
    let world = world("left", TODAY);
    let dist = world.prefix("repos/dists/el8.toml");
    let text = fs::read_to_string(&dist).unwrap();
    let (_, base) = text.split_once("[[repository]]").unwrap();
    let more = base.replace("\"base\"", "\"more\"").replace("/el8/", "/more/");
    fs::write(&dist, format!("{text}\n[[repository]]{more}")).unwrap();
    let off = ["--disable-repo", "el8/more"];
    world.ok(&[&["install", "-r", "app", "-d", "el9"], &off[..], &["p"]].concat());
    assert_eq!(installed(&world.prefix("p")), ["app", "dep", "el8/dep", "el8/fake"]);
    world.publish_in("el8/", &packages(&world, "el8", "2"), 2);
    world.ok(&["update", "p"]);
    let inner = receipt(&world.prefix("p"), "x86_64").unwrap().container.unwrap();
    assert_eq!(inner.packages[1].nevra.evr.version, "2");
}

#[test]
fn keys_that_a_receipt_names_for_it_are_not_believed() {
    let world = world("believed", TODAY);
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "app", "-d", "el9", "p"]);
    let file = prefix.join("x86_64/.elsewhere.json");
    let mut forged: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let key = &mut forged["container"]["sources"][0]["key"][0]["fingerprint"];
    assert!(key.is_string());
    *key = "0".repeat(40).into();
    fs::write(&file, forged.to_string()).unwrap();
    fs::write(prefix.join("x86_64/container/bin/fake"), "oops").unwrap();
    let (mirror, cache) = (world.prefix("mirror"), world.prefix("cache"));
    let places = ["--mirror", mirror.to_str().unwrap(), "--cache-dir", cache.to_str().unwrap()];
    world.ok(&[&["verify", "--repair"], &places[..], &["p"]].concat());
    assert_eq!(launch(&prefix, "fake").unwrap(), "fake with dep of el8");
}

#[test]
fn an_update_takes_over_what_stays_the_same_in_there_too() {
    let world = world("taken", TODAY);
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "app", "-d", "el9", "p"]);
    world.publish_in("el9/", &packages(&world, "el9", "2"), 2);
    let kept = world.scratch.path().join("kept");
    let packages = world.prefix("mirror/small.test/el8/x86_64");
    fs::create_dir(&kept).unwrap();
    let all = fs::read_dir(&packages).unwrap().map(|entry| entry.unwrap().path());
    let packages: Vec<PathBuf> =
        all.filter(|path| path.extension() == Some("rpm".as_ref())).collect();
    assert_eq!(packages.len(), 3);
    for path in &packages {
        fs::rename(path, kept.join(path.file_name().unwrap())).unwrap();
    }
    // The packages, but not the note that the receipt is this user's own.
    for kept in ["cache/objects", "cache/unpacked"] {
        fs::remove_dir_all(world.prefix(kept)).unwrap();
    }
    world.ok(&["update", "p"]);
    assert_eq!(launch(&prefix, "app").unwrap(), "app with dep of el9");
    assert_eq!(launch(&prefix, "fake").unwrap(), "fake with dep of el8");
    world.ok(&["verify", "p"]);
    // The same bytes come of all packages.
    for path in &packages {
        fs::rename(kept.join(path.file_name().unwrap()), path).unwrap();
    }
    world.ok(&["install", "-r", "app", "-d", "el9", "fresh"]);
    let (ours, fresh) =
        (receipt(&prefix, "x86_64").unwrap(), receipt(&world.prefix("fresh"), "x86_64").unwrap());
    assert_eq!(ours.all_files(), fresh.all_files());
    assert_eq!(ours.container.unwrap().reuse, fresh.container.unwrap().reuse);
}

#[test]
fn the_user_decides_and_without_another_dist_all_comes_from_one() {
    let world = world("asked", TODAY);
    let install = |words: &[&str], prefix: &str| {
        let told = world.ok(&[&["install", "-r", "app"], words, &[prefix]].concat());
        (told, installed(&world.prefix(prefix)))
    };
    let one = ["app", "dep", "fake"];
    assert_eq!(install(&["-d", "el9", "--container-dist", "same"], "a").1, one);
    assert_eq!(install(&["-d", "el8"], "b").1, one);
    assert_eq!(launch(&world.prefix("a"), "fake").unwrap(), "fake with dep of el9");
    // A tree stays as it was made, until something else is asked.
    assert_eq!(install(&["-d", "el9"], "a").1, one);
    let two = ["app", "dep", "el8/dep", "el8/fake"];
    assert_eq!(install(&["-d", "el9", "--container-dist", "el8"], "a").1, two);
    // A site's policy is not a reason to fail, as long as the user asks for nothing against it.
    let policy = world.scratch.write("policy.toml", "[policy]\ndists = ['el9']\n");
    let policy = policy.to_str().unwrap().to_owned();
    assert_eq!(install(&["-d", "el9", "--config", &policy], "e").1, one);
    fs::remove_dir_all(world.prefix("mirror/small.test/el8")).unwrap();
    fs::remove_dir_all(world.prefix("cache")).unwrap();
    let (told, packages) = install(&["-d", "el9"], "c");
    assert!(told.contains("what is bound into containers is not taken from el8"), "{told}");
    assert_eq!(packages, one);
    let told =
        world.fails(3, &["install", "-r", "app", "-d", "el9", "--container-dist", "el8", "d"]);
    assert!(told.contains("el8"), "{told}");
}

#[test]
fn what_asks_for_a_newer_glibc_than_its_dist_has_is_told() {
    let world = world("newer", "2.17");
    let told = world.ok(&["install", "-r", "app", "-d", "el9", "p"]);
    let expected = "what is bound into containers asks for glibc 2.34, and el8 has 2.17";
    assert!(told.contains(expected), "{told}");
    // What the target itself lacks is an error, there as everywhere.
    let words = ["install", "-r", "app", "-d", "el9", "--for", "glibc=2.17", "q"];
    let told = world.fails(7, &words);
    assert!(told.contains("container/bin/fake needs GLIBC_2.34"), "{told}");
}

/// What `container` holds put among the rest of its tree, as format 1 had it. `lists` are its packages and
/// its sources.
fn merged(mut tree: Value, lists: [&str; 2]) -> Value {
    let object = tree.as_object_mut().unwrap();
    let mut inner = object.remove("container").unwrap();
    let dist = inner["dist"].as_str().unwrap().to_owned();
    let prefixed = |id: &Value| Value::from(format!("{dist}/{}", id.as_str().unwrap()));
    for package in inner[lists[0]].as_array_mut().unwrap() {
        package["source"] = prefixed(&package["source"]);
        package["dist"] = dist.clone().into();
    }
    for source in inner[lists[1]].as_array_mut().unwrap() {
        source["id"] = prefixed(&source["id"]);
    }
    for list in lists {
        let more = inner[list].as_array().unwrap().clone();
        tree[list].as_array_mut().unwrap().extend(more);
    }
    tree
}

/// A receipt as format 1 had it.
fn older_receipt(receipt: &Receipt) -> Value {
    let mut older = merged(serde_json::to_value(receipt).unwrap(), ["packages", "sources"]);
    older["format"] = 1.into();
    older["files"] = serde_json::to_value(receipt.all_files()).unwrap();
    older["loading"] = serde_json::to_value(receipt.all_loading()).unwrap();
    older
}

/// A lock file as format 1 had it.
fn older_lock(text: &str) -> String {
    let mut lock: Value = toml::from_str(text).unwrap();
    lock["format"] = 1.into();
    // There were none then.
    lock.as_object_mut().unwrap().remove("certificates").unwrap();
    let dist = lock["tree"][0]["container"]["dist"].clone();
    lock["tree"][0] = merged(lock["tree"][0].clone(), ["package", "source"]);
    lock["tree"][0]["container_dist"] = dist;
    toml::to_string(&lock).unwrap()
}

#[test]
fn what_was_made_before_it_was_a_tree_of_its_own_is_read_and_goes_on() {
    let world = world("older", TODAY);
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "app", "-d", "el9", "p"]);
    let bill = world.ok(&["sbom", "p"]);
    let made = receipt(&prefix, "x86_64").unwrap();
    let file = prefix.join("x86_64/.elsewhere.json");
    fs::write(&file, older_receipt(&made).to_string()).unwrap();
    world.ok(&["verify", "p"]);
    assert_eq!(world.ok(&["sbom", "p"]), bill);
    let status = world.ok(&["status", "p"]);
    assert_eq!(status.matches("from el8, for containers").count(), 2, "{status}");
    let again = world.ok(&["install", "-r", "app", "-d", "el9", "p"]);
    assert!(again.contains("nothing to do"), "{again}");
    let (mirror, cache) = (world.prefix("mirror"), world.prefix("cache"));
    let places = ["--mirror", mirror.to_str().unwrap(), "--cache-dir", cache.to_str().unwrap()];
    world.ok(&[&["verify", "--deep"], &places[..], &["p"]].concat());
    fs::write(prefix.join("x86_64/container/bin/fake"), "oops").unwrap();
    world.fails(8, &["verify", "p"]);
    world.ok(&[&["verify", "--repair"], &places[..], &["p"]].concat());
    assert_eq!(launch(&prefix, "fake").unwrap(), "fake with dep of el8");
    // The same from a lock file, and an update, with what can be taken over.
    world.ok(&["plan", "-r", "app", "-d", "el9", "--lock", "lock"]);
    let lock = older_lock(&fs::read_to_string(world.prefix("lock")).unwrap());
    fs::write(world.prefix("older"), &lock).unwrap();
    world.ok(&["install", "--lock", "older", "locked"]);
    let locked = receipt(&world.prefix("locked"), "x86_64").unwrap();
    assert_eq!(locked.all_files(), made.all_files());
    world.publish_in("el8/", &packages(&world, "el8", "2"), 2);
    let told = world.fails(10, &["update", "--check", "p"]);
    assert!(told.contains("fake (for containers) 1-1.el8 -> 2-1.el8"), "{told}");
    assert!(!told.contains("\n  dep 1-1.el8"), "{told}");
    world.ok(&["update", "p"]);
    assert_eq!(installed(&prefix), ["app", "dep", "el8/dep", "el8/fake"]);
    // Nothing but what is of the other dist.
    let foreign = lock.replace("dist = \"el8\"\nepoch", "dist = \"el7\"\nepoch");
    assert_ne!(foreign, lock);
    fs::write(world.prefix("foreign"), foreign).unwrap();
    let told = world.fails(2, &["install", "--lock", "foreign", "q"]);
    assert!(told.contains("is of another dist"), "{told}");
}

/// Written by the last version of format 1.
#[test]
fn files_of_format_1_say_the_same_as_those_of_today() {
    let lock = Plan::from_lock(include_str!("older/lock.toml")).unwrap();
    let json = include_str!("older/receipt.json");
    let receipt = Receipt::from_json(json.as_bytes()).unwrap();
    let tree = &lock.trees[0];
    assert_eq!(
        receipt.plan().container.as_ref().unwrap().packages,
        tree.container.as_ref().unwrap().packages
    );
    assert_eq!(
        (receipt.plan().packages, receipt.plan().sources),
        (tree.packages.clone(), tree.sources.clone())
    );
    let inner = tree.container.as_ref().unwrap();
    assert_eq!((inner.dist.as_str(), inner.sources[0].id.as_str()), ("el8", "base"));
    let names = |plan: &TreePlan| -> Vec<String> {
        plan.packages.iter().map(|it| format!("{} of {}", it.nevra.name, it.source)).collect()
    };
    assert_eq!(names(tree), ["app of base", "dep of base"]);
    assert_eq!(names(inner), ["dep of base", "fake of base"]);
    let text = lock.to_lock().unwrap();
    assert_eq!(Plan::from_lock(&text).unwrap(), lock);
    // What lies where, and how it is loaded, is what the old receipt says.
    let older: Value = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_value(receipt.all_files()).unwrap(), older["files"]);
    assert_eq!(serde_json::to_value(receipt.all_loading()).unwrap(), older["loading"]);
    let inner = receipt.container.as_ref().unwrap();
    assert!(inner.files.iter().any(|file| file.path.as_str() == "bin/fake"));
    assert_eq!((receipt.format, inner.format), (2, 2));
    let today = serde_json::to_vec(&receipt).unwrap();
    assert_eq!(Receipt::from_json(&today).unwrap(), receipt);
}

#[test]
fn a_mirror_carries_both_parts() {
    let world = world("carried", TODAY);
    world.ok(&["plan", "-r", "app", "-d", "el9", "--lock", "lock"]);
    let elsewhere = |words: &[&str]| {
        let mut command = world.elsewhere();
        command.args(words).args(["--repos", "repos"]).current_dir(world.scratch.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    elsewhere(&["mirror", "--lock", "lock", "--mirror", "mirror", "--cache-dir", "cache", "m"]);
    elsewhere(&["mirror", "--verify", "m"]);
    world.set_online(false);
    elsewhere(&["install", "--from", "m", "--cache-dir", "new-cache", "p"]);
    let prefix = world.prefix("p");
    assert_eq!(installed(&prefix), ["app", "dep", "el8/dep", "el8/fake"]);
    assert_eq!(launch(&prefix, "app").unwrap(), "app with dep of el9");
    assert_eq!(launch(&prefix, "fake").unwrap(), "fake with dep of el8");
    for dist in ["el8", "el9"] {
        assert!(
            world.prefix(&format!("m/dnf/{dist}/x86_64/repodata/repomd.xml")).is_file(),
            "{dist}"
        );
    }
}
