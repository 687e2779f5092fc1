//! Images: what a registry or a layout has becomes a tree that runtimes run, or nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

mod oracle;
mod refused;
mod shelf;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};
use shelf::{Shelf, result, said};
use support::goods::{GZIP, Goods, INDEX, PLAIN, layers};
use support::killing::kill_at_each;
use support::registry::Manners;
use support::tarball::{TarEntry, Tarball};

/// A configuration with words that are hard to quote.
fn config() -> Value {
    json!({ "config": {
        "Env": ["PATH=/bin:/usr/bin", "GREETING=he \"llo\" $HOME `id` \\", "EMPTY"],
        "Entrypoint": ["/bin/echo", "he llo"], "Cmd": ["a\"b", "c'd", "$HOME"],
        "Labels": { "org.example": "it's" }, "WorkingDir": "/tmp", "Volumes": null } })
}

/// A shelf with an image for three machines, under `1`.
fn stocked(name: &str) -> (Shelf, Goods) {
    let (shelf, mut goods) = (Shelf::new(name), Goods::default());
    let manifest = goods.image(&config(), &layers());
    let other = goods.image(&json!({ "architecture": "arm64" }), &[layers()[0].clone()]);
    let mut all = [manifest, other.clone(), other];
    let platforms = [
        json!({ "os": "linux", "architecture": "amd64" }),
        json!({ "os": "linux", "architecture": "arm64", "variant": "v8" }),
        json!({ "os": "unknown", "architecture": "unknown" }),
    ];
    for (descriptor, platform) in all.iter_mut().zip(platforms) {
        descriptor["platform"] = platform;
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": all });
    let index = goods.add(INDEX, index.to_string().as_bytes());
    shelf.stock(&goods, "1", &index);
    (shelf, goods)
}

#[test]
fn an_image_becomes_a_tree() {
    let (shelf, goods) = stocked("image-tree");
    let told: Value = result(&shelf.pull("1", &["--json"]).ok());
    let read = |path: &str| fs::read_to_string(shelf.place("tree").join(path)).unwrap();
    assert_eq!((read("usr/lib/two"), read("lib/two")), ("2".into(), "2".into()));
    assert!(!shelf.place("tree/usr/lib/one").exists());
    assert_eq!(fs::metadata(shelf.place("tree/data")).unwrap().len(), 200_000);
    assert_eq!(read("etc/hosts"), "127.0.0.1 own\n", "what the image has stays");
    for mount in ["dev", "proc", "sys", "tmp", "var/tmp", "root", "home", "run"] {
        assert!(shelf.place("tree").join(mount).is_dir(), "{mount}");
    }
    assert_eq!(told["platform"], "linux/amd64");
    assert_eq!(told["layers"], 3);
    let receipt: Value = serde_json::from_str(&read(".elsewhere-image.json")).unwrap();
    assert_eq!(receipt["manifest"], told["manifest"]);
    assert_eq!(
        receipt["files"].as_array().unwrap().len(),
        told["files"].as_u64().unwrap() as usize
    );
    let manifest = goods.bytes(&json!({ "digest": told["manifest"] }));
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(receipt["config"], manifest["config"]["digest"]);
    shelf.run(&["verify", "tree"]).ok();
    assert_eq!(shelf.left(), ["tree"], "nothing lies beside it");
    // For another machine, and the same again: one tree has one digest.
    let other: Value = {
        let name = shelf.name("1");
        let words = ["pull", "--platform", "linux/arm64/v8", "-o", "arm", &name, "--json"];
        result(&shelf.run(&words).ok())
    };
    assert_eq!((&other["platform"], &other["layers"]), (&json!("linux/arm64"), &json!(1)));
    let again: Value = result(&shelf.pull("1", &["--json", "--replace"]).ok());
    assert_eq!(again["tree"], told["tree"]);
}

#[test]
fn what_a_registry_gave_once_is_not_asked_for_again() {
    let (shelf, _) = stocked("image-again");
    shelf.pull("1", &[]).ok();
    let first = shelf.registry.log();
    let asked = |what: &str| first.iter().filter(|line| line.contains(what)).count();
    assert_eq!(asked("HEAD /v2/lab/tool/manifests/1"), 1, "{first:?}");
    // The index, the manifest, the configuration, three layers: each once.
    assert_eq!(first.len(), 1 + 6, "{first:?}");
    let told = said(&shelf.pull("1", &["--replace", "--verbose"]).ok());
    let again = shelf.registry.log();
    assert_eq!(again, ["HEAD /v2/lab/tool/manifests/1"]);
    assert!(told.contains("76 of 100 pulls are left in 21600 s"), "{told}");
    // By digest nothing is asked, not even without a network.
    let receipt = fs::read(shelf.place("tree/.elsewhere-image.json")).unwrap();
    let receipt: Value = serde_json::from_slice(&receipt).unwrap();
    let name =
        format!("{}/lab/tool@{}", shelf.registry.address, receipt["manifest"].as_str().unwrap());
    shelf.run(&["pull", "--offline", "-a", "x86_64", "-o", "other", &name]).ok();
    assert!(shelf.registry.log().is_empty());
    // Who says no digest is asked for the manifest itself.
    shelf.registry.behave(Manners::default());
    shelf.pull("1", &["--replace"]).ok();
    assert_eq!(shelf.registry.log().len(), 2);
}

#[test]
fn a_layer_that_breaks_off_goes_on_where_it_was() {
    let (shelf, _) = stocked("image-cut");
    shelf.registry.behave(Manners { cut_at: Some(700), ..Manners::default() });
    shelf.pull("1", &[]).ok();
    let log = shelf.registry.log();
    assert!(log.iter().any(|line| line.ends_with("bytes=700-")), "{log:?}");
    shelf.run(&["verify", "tree"]).ok();
}

#[test]
fn who_must_log_in_does() {
    let (shelf, _) = stocked("image-login");
    for way in ["Basic", "Bearer"] {
        let manners = Manners { login: Some(way), says_digest: true, ..Manners::default() };
        shelf.registry.behave(manners);
        let _ = fs::remove_dir_all(shelf.place("cache"));
        let _ = fs::remove_dir_all(shelf.place("home"));
        shelf.pull("1", &["--replace"]).refused(3, "log in first");
        let auth =
            json!({ "auths": { shelf.registry.address.to_string(): { "auth": "YW5uOndvcmQ=" } } });
        shelf.scratch.write("home/.docker/config.json", auth.to_string());
        shelf.pull("1", &["--replace"]).ok();
    }
    // Anybody gets a token where nobody has a name.
    let manners = Manners { login: Some("Anonymous"), says_digest: true, ..Manners::default() };
    shelf.registry.behave(manners);
    let _ = fs::remove_dir_all(shelf.place("cache"));
    let _ = fs::remove_dir_all(shelf.place("home"));
    shelf.pull("1", &["--replace"]).ok();
}

#[test]
fn the_command_and_the_environment_are_the_images() {
    let (shelf, _) = stocked("image-words");
    shelf.pull("1", &[]).ok();
    let script = shelf.place("tree/.singularity.d/runscript");
    assert_eq!(fs::metadata(&script).unwrap().permissions().mode() & 0o777, 0o755);
    let text = fs::read_to_string(&script).unwrap();
    // Runtimes that find this line read the script themselves.
    assert!(text.lines().any(|line| line == "eval \"set ${SINGULARITY_OCI_RUN}\""));
    let says = |words: &[&str], variable: Option<&str>| {
        let mut command = Command::new("/bin/sh");
        command.arg(&script).args(words).env("HOME", "/home/of");
        command.envs(variable.map(|name| (name, "1")));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(says(&[], None), "he llo a\"b c'd $HOME\n");
    assert_eq!(says(&["x", "y z"], None), "he llo x y z\n");
    assert_eq!(says(&[], Some("SINGULARITY_NO_EVAL")), "he llo a\"b c'd $HOME\n");
    assert_eq!(says(&["$HOME"], Some("SINGULARITY_NO_EVAL")), "he llo $HOME\n");
    let environment = shelf.place("tree/.singularity.d/env/10-docker2singularity.sh");
    let told = |before: &str| {
        let line =
            format!("{before}. '{}'; echo \"$GREETING|$EMPTY|$PATH\"", environment.display());
        let output = Command::new("/bin/sh").args(["-c", &line]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(told(""), "he \"llo\" $HOME `id` \\||/bin:/usr/bin\n");
    assert_eq!(told("GREETING=own; EMPTY=x; "), "own|x|/bin:/usr/bin\n");
    let labels = fs::read(shelf.place("tree/.singularity.d/labels.json")).unwrap();
    let labels: Value = serde_json::from_slice(&labels).unwrap();
    assert_eq!(labels, json!({ "org.example": "it's" }));
    // What comes after these is what runtimes add variables to, and where a GPU's libraries are found.
    let line = format!(
        ". '{}'; echo \"$LD_LIBRARY_PATH\"",
        shelf.place("tree/.singularity.d/env/99-base.sh").display()
    );
    let output = Command::new("/bin/sh").args(["-c", &line]).env("LD_LIBRARY_PATH", "/a").output();
    assert_eq!(output.unwrap().stdout, b"/a:/.singularity.d/libs\n");
}

#[test]
fn every_kind_of_damage_is_found() {
    let (shelf, mut goods) = (Shelf::new("image-verify"), Goods::default());
    let tar = Tarball::new()
        .file("changed", "1")
        .file("gone", "2")
        .symlink("link", "changed")
        .file("mode", "3")
        .file("kind", "4")
        .file(b"caf\xe9", "5")
        .entry(TarEntry { owner: (5, 6), device: (1, 3), ..TarEntry::new(b'3', "dev/null") })
        .entry(TarEntry::new(b'0', "su").mode(0o4755))
        .entry(TarEntry::new(b'6', "pipe"));
    let manifest = goods.image(&json!({}), &[(GZIP, tar)]);
    goods.layout(&shelf.place("layout"), &manifest);
    let told = said(&shelf.run(&["pull", "-a", "x86_64", "oci:layout:1", "-o", "tree"]).ok());
    assert!(told.contains("2 of them have an owner, a device or a right"), "{told}");
    shelf.run(&["verify", "tree"]).ok();
    let tree = shelf.place("tree");
    fs::write(tree.join("changed"), "9").unwrap();
    fs::remove_file(tree.join("gone")).unwrap();
    fs::remove_file(tree.join("link")).unwrap();
    std::os::unix::fs::symlink("gone", tree.join("link")).unwrap();
    fs::set_permissions(tree.join("mode"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(tree.join("kind")).unwrap();
    fs::create_dir(tree.join("kind")).unwrap();
    fs::write(tree.join("new"), "").unwrap();
    let told = said(&shelf.run(&["verify", "tree"]).refused(8, "is damaged: 6 findings"));
    for line in [
        "changed: changed",
        "missing: gone",
        "changed: link",
        "other permissions: mode",
        "changed: kind",
        "does not belong there: new",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let told = shelf.run(&["verify", "--json", "tree"]).refused(8, "").json();
    let finding = json!({ "path": "changed", "change": "changed" });
    assert!(told["findings"].as_array().unwrap().contains(&finding), "{told}");
    // A receipt that was changed says so, and what is no tree, too.
    let receipt = tree.join(".elsewhere-image.json");
    let text = fs::read_to_string(&receipt).unwrap().replace("\"size\":1,", "\"size\":2,");
    fs::write(&receipt, text).unwrap();
    shelf.run(&["verify", "tree"]).refused(2, "was changed");
    shelf.run(&["verify", "layout"]).refused(2, "has no receipt");
}

#[test]
fn whoever_is_killed_leaves_what_was_there() {
    let (shelf, mut goods) = (Shelf::new("image-killed"), Goods::default());
    let one = goods.image(&json!({}), &[(PLAIN, Tarball::new().file("version", "1"))]);
    let two = goods.image(&json!({}), &[(PLAIN, Tarball::new().file("version", "2"))]);
    goods.layout(&shelf.place("one"), &one);
    goods.layout(&shelf.place("two"), &two);
    let pull = |layout: &str| {
        shelf.run(&["pull", "-a", "x86_64", layout, "-o", "tree", "--replace"]).ok();
    };
    pull("oci:one");
    let words = |command: &mut Command| {
        command.args(["image", "pull", "-a", "x86_64", "oci:two", "-o", "tree", "--replace"]);
        command.arg("--cache-dir").arg(shelf.place("cache")).current_dir(shelf.scratch.path());
    };
    let calls = ["rename", "renameat2", "mkdirat", "symlinkat", "unlinkat"];
    let killed = kill_at_each(&calls, &[], &words, |at| {
        let there = fs::read_to_string(shelf.place("tree/version")).unwrap();
        assert!(there == "1" || there == "2", "{at:?}");
        shelf.run(&["verify", "tree"]).ok();
        pull("oci:one");
        assert!(!shelf.place(".tree.image-new").exists(), "{at:?}");
    });
    assert!(killed > 20, "{killed}");
}
