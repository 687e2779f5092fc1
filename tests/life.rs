//! The life of a prefix through the command line: what each command does, says, and leaves.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use elsewhere::stages::model::Checksum;
use serde_json::Value;
use support::program;
use support::rpms::File;
use support::small::{World, launch, packages, problems, receipt, rubbish, small, text};

fn world(name: &str) -> World {
    World::new(name)
}

fn says(prefix: &Path, name: &str) -> String {
    assert_eq!(problems(prefix), [""; 0]);
    assert!(rubbish(prefix).is_empty(), "{:?}", rubbish(prefix));
    launch(prefix, name).unwrap_or_else(|| "nothing".to_owned())
}

#[test]
fn an_update_goes_to_the_newest_and_a_rollback_back() {
    let world = world("update");
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "tool", "p"]);
    world.ok(&["update", "--check", "p"]);
    assert!(world.ok(&["update", "p"]).contains("x86_64: nothing to do"));
    world.publish(&packages("2"), 2);
    let told = world.fails(10, &["update", "--check", "p"]);
    assert!(told.contains("tool 1-1.el8 -> 2-1.el8"), "{told}");
    assert_eq!(says(&prefix, "tool"), "tool 1 part 1");
    world.ok(&["update", "p"]);
    assert_eq!(says(&prefix, "tool"), "tool 2 part 1");
    let told = world.ok(&["rollback", "p"]);
    assert!(told.contains("to return: elsewhere rollback -a x86_64 --to 2 p"), "{told}");
    assert_eq!(says(&prefix, "tool"), "tool 1 part 1");
    world.ok(&["rollback", "p"]);
    assert_eq!(says(&prefix, "tool"), "tool 2 part 1");
    let told = world.fails(6, &["rollback", "--to", "7", "p"]);
    assert!(told.contains("there is no generation 7 of x86_64"), "{told}");
    let history = world.ok(&["history", "p"]);
    let generations: Vec<&str> =
        history.lines().filter(|line| line.contains("generation")).collect();
    assert_eq!(generations.len(), 4, "{history}");
    assert!(generations[3].ends_with("x86_64 generation 2 (live) tool 2"), "{history}");
    assert!(history.ends_with("  tool 1-1.el8 -> 2-1.el8\n"), "{history}");
}

#[test]
fn a_pinned_runtime_stays() {
    let world = world("pin");
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "tool,gadget", "p"]);
    let pin = |words: &[&str]| world.ok(words);
    for odd in ["@1", "foo bar@x y", "tool@1 2"] {
        world.fails(2, &["pin", "p", odd]);
    }
    assert!(pin(&["pin", "p", "tool"]).contains("tool: pinned at 1;"));
    world.publish(&packages("2"), 2);
    // Version 1 is gone from the mirror: the tree cannot be made anew, and stays.
    let told = world.ok(&["update", "p"]);
    assert!(
        told.contains("small for x86_64 holds no tool 1: it holds 2: it stays as it is"),
        "{told}"
    );
    assert_eq!(says(&prefix, "tool"), "tool 1 part 1");
    let told = world.fails(2, &["install", "-r", "tool", "-v", "2", "p"]);
    assert!(told.contains("tool is pinned at 1 in this prefix, and 2 is asked for"), "{told}");
    world.ok(&["plan", "-r", "tool", "-d", "small", "--lock", "tool.lock"]);
    let told = world.fails(2, &["install", "--lock", "tool.lock", "p"]);
    assert!(told.contains("tool is pinned at 1 in this prefix, and 2 is asked for"), "{told}");
    assert!(pin(&["unpin", "p", "tool"]).contains("no longer pinned"));
    pin(&["pin", "p", "tool@2-1.el8"]);
    world.ok(&["install", "--lock", "tool.lock", "p"]);
    pin(&["unpin", "p", "tool"]);
    world.ok(&["update", "p"]);
    assert_eq!(says(&prefix, "tool"), "tool 2 part 1");
}

#[test]
fn a_pin_means_whole_parts_of_a_version() {
    let world = world("parts");
    world.publish(&packages("1.40"), 2);
    world.ok(&["install", "-r", "gadget", "p"]);
    world.ok(&["pin", "p", "tool@1.4"]);
    let told = world.fails(2, &["install", "-r", "tool", "-v", "1.40", "p"]);
    assert!(told.contains("tool is pinned at 1.4 in this prefix, and 1.40 is asked for"), "{told}");
    world.ok(&["plan", "-r", "tool", "-d", "small", "--lock", "tool.lock"]);
    let told = world.fails(2, &["install", "--lock", "tool.lock", "p"]);
    assert!(told.contains("tool is pinned at 1.4 in this prefix, and 1.40 is asked for"), "{told}");
    let told = world.fails(5, &["install", "-r", "tool", "p"]);
    assert!(told.contains("holds no tool 1.4"), "{told}");
    world.ok(&["pin", "p", "tool@1"]);
    world.ok(&["install", "-r", "tool", "-v", "1.40", "p"]);
}

#[test]
fn a_pinned_runtime_does_not_move_with_others() {
    let world = world("still");
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "tool", "p"]);
    world.ok(&["pin", "p", "tool"]);
    world.publish(&packages("2"), 2);
    let told = world.fails(5, &["install", "-r", "gadget", "p"]);
    assert!(told.contains("small for x86_64 holds no tool 1"), "{told}");
    assert_eq!(says(&prefix, "tool"), "tool 1 part 1");
    assert!(!prefix.join("bin/gadget").exists());
}

#[test]
fn what_the_repositories_no_longer_hold_moves_on() {
    let world = world("moves");
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "tool", "p"]);
    world.publish(&packages("2"), 2);
    let told = world.ok(&["install", "-r", "gadget", "p"]);
    assert!(told.contains("small no longer holds tool 1, which is installed: it moves"), "{told}");
    assert_eq!(says(&prefix, "gadget"), "gadget 1 part 1");
    assert_eq!(says(&prefix, "tool"), "tool 2 part 1");
    world.publish(&packages("1"), 3);
    let told = world.ok(&["update", "p"]);
    assert!(told.contains("small holds tool 1 at most, which is older"), "{told}");
    assert_eq!(says(&prefix, "tool"), "tool 2 part 1");
}

#[test]
fn removing_one_runtime_leaves_the_other_also_offline() {
    for online in [true, false] {
        let world = world("remove");
        let prefix = world.prefix("p");
        world.ok(&["install", "-r", "tool,gadget", "-a", "x86_64,aarch64", "p"]);
        let packages = |arch: &str| {
            let receipt = receipt(&prefix, arch).unwrap();
            receipt.packages.iter().map(|it| it.nevra.name.clone()).collect::<Vec<_>>()
        };
        if !online {
            world.set_online(false);
        }
        let told = world.ok(&["remove", "-r", "gadget", "p"]);
        let dropped: &[&str] = &["part", "tool"];
        let expected = if online { dropped } else { &["gadget", "part", "tool"] };
        assert_eq!(packages("x86_64"), expected, "{told}");
        assert_eq!(packages("aarch64"), expected, "{told}");
        assert_eq!(says(&prefix, "tool"), "tool 1 part 1");
        assert!(!prefix.join("bin/gadget").exists());
        let told = world.fails(2, &["remove", "-r", "gadget", "p"]);
        assert!(told.contains("gadget is not installed here: there is tool"), "{told}");
        if !online {
            world.set_online(true);
            world.ok(&["update", "p"]);
            assert_eq!(packages("x86_64"), dropped);
        }
        world.ok(&["remove", "-a", "aarch64", "p"]);
        assert_eq!(says(&prefix, "tool"), "tool 1 part 1");
        world.ok(&["remove", "-r", "tool", "p"]);
        assert!(!prefix.join("bin/tool").exists());
        world.ok(&["remove", "--all", "--force", "p"]);
        assert_eq!(fs::read_dir(&prefix).unwrap().count(), 0);
    }
}

#[test]
fn removing_one_runtime_updates_nothing() {
    let world = world("alone");
    world.ok(&["install", "-r", "tool,gadget", "p"]);
    let mut newer = packages("1");
    newer.push(small("part", "2", newer[0].package.files.clone(), &[]));
    world.publish(&newer, 2);
    world.ok(&["remove", "-r", "gadget", "p"]);
    let receipt = receipt(&world.prefix("p"), "x86_64").unwrap();
    let packages: Vec<String> = receipt.packages.iter().map(|it| it.nevra.to_string()).collect();
    assert_eq!(packages, ["part-1-1.el8.noarch", "tool-1-1.el8.noarch"]);
}

#[test]
fn what_is_added_comes_from_the_dist_that_is_there() {
    let world = world("there");
    // Older, so that it would be chosen.
    world.define("oldest", "2.16", 1, "");
    world.ok(&["install", "-r", "tool", "-d", "oldest", "-a", "x86_64", "p"]);
    world.ok(&["install", "-r", "tool", "-d", "small", "-a", "aarch64", "p"]);
    world.ok(&["install", "-r", "tool", "-d", "small", "-a", "x86_64", "q"]);
    let install = |runtime: &str, prefix: &str| {
        let mut run = world.elsewhere();
        run.args(["install", "-r", runtime, "-a", "aarch64"]).arg("--repos").arg(world.repos());
        run.arg("--mirror").arg(world.mirror()).arg("--cache-dir").arg(world.cache());
        let output = run.arg(world.prefix(prefix)).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        receipt(&world.prefix(prefix), "aarch64").unwrap().dist
    };
    assert_eq!(install("gadget", "p"), "small");
    // A second architecture takes that of the first.
    assert_eq!(install("tool", "q"), "small");
}

#[test]
fn programs_are_told_where_it_is_and_what_was_removed() {
    let world = world("json");
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "tool,gadget", "-a", "x86_64,aarch64", "p"]);
    // What happens comes first, one object each; the result is the last value.
    let json = |words: &[&str]| -> serde_json::Value {
        let output = world.run(words);
        assert!(output.status.success(), "{words:?}");
        let values = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
        values.map(Result::unwrap).last().unwrap_or_default()
    };
    let bin = prefix.join("bin");
    assert_eq!(json(&["env", "--json", "p"]), serde_json::json!({"bin": bin}));
    let runtimes = ["gadget 1", "tool 1"];
    let expected = serde_json::json!({"bin": bin, "runtimes": runtimes});
    assert_eq!(json(&["module", "--json", "p"]), expected);
    let result = |trees: &[_]| serde_json::json!({"event": "result", "trees": trees});
    let without = |arch| serde_json::json!({"arch": arch, "place": arch, "runtime": "gadget", "generation": 2});
    let told = json(&["remove", "--json", "-r", "gadget", "p"]);
    assert_eq!(told, result(&[without("x86_64"), without("aarch64")]));
    let gone = |arch, numbers: &[u32]| serde_json::json!({"arch": arch, "place": arch, "removed": numbers, "spared": []});
    let told = json(&["remove", "--json", "--force", "-a", "aarch64", "p"]);
    assert_eq!(told, result(&[gone("aarch64", &[1, 2])]));
    let told = json(&["remove", "--json", "--all", "--force", "p"]);
    assert_eq!(told, result(&[gone("x86_64", &[1, 2])]));
}

#[test]
fn what_cannot_be_written_is_an_error_and_leaves_nothing() {
    let world = world("output");
    world.ok(&["install", "-r", "tool", "p"]);
    for words in [&["status", "p"][..], &["sbom", "p"], &["env", "p"], &["completions", "bash"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = world.command(words);
        let output = command.current_dir(world.scratch.path()).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(6), "{words:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("cannot write all of the result"), "{told}");
    }
    // A device is written to and a link followed; nothing is left where it fails.
    let place = world.prefix("documents");
    fs::create_dir_all(place.join("directory")).unwrap();
    std::os::unix::fs::symlink("/dev/full", place.join("full")).unwrap();
    std::os::unix::fs::symlink("real", place.join("link")).unwrap();
    fs::write(place.join("real"), "old").unwrap();
    for name in ["documents/full", "documents/directory"] {
        world.fails(6, &["sbom", "-o", name, "p"]);
        world.fails(6, &["plan", "-r", "tool", "-d", "small", "--lock", name]);
    }
    world.ok(&["plan", "-r", "tool", "-d", "small", "--lock", "documents/link"]);
    assert!(fs::symlink_metadata(place.join("link")).unwrap().is_symlink());
    let lock = fs::read_to_string(place.join("real")).unwrap();
    let told = world.run(&["plan", "-r", "tool", "-d", "small", "--lock", "-"]);
    assert_eq!(String::from_utf8_lossy(&told.stdout).trim_end(), lock.trim_end());
    std::os::unix::fs::symlink("made", place.join("dangling")).unwrap();
    world.ok(&["sbom", "-o", "documents/dangling", "p"]);
    assert!(fs::metadata(place.join("made")).unwrap().len() > 100);
    let sbom = world.run(&["sbom", "--json", "-o", "-", "p"]);
    serde_json::from_slice::<serde_json::Value>(&sbom.stdout).unwrap();
    world.fails(2, &["plan", "-r", "tool", "-d", "small", "--json", "--lock", "-"]);
    // What is open already is added to.
    let log = fs::File::options().append(true).create(true).open(place.join("log")).unwrap();
    fs::write(place.join("log"), "before\n").unwrap();
    let mut command = world.command(&["sbom", "-o", "/dev/stdout", "p"]);
    assert!(command.current_dir(world.scratch.path()).stdout(log).status().unwrap().success());
    assert!(fs::read_to_string(place.join("log")).unwrap().starts_with("before\n{"));
    assert_eq!(fs::read_dir(&place).unwrap().count(), 7);
}

#[test]
fn one_signal_that_comes_twice_is_one() {
    let world = world("twice");
    world.ok(&["install", "-r", "tool", "-a", "aarch64", "p"]);
    let lock = fs::File::open(world.prefix("p/.elsewhere/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut command = world.command(&["install", "-r", "tool", "-a", "x86_64", "p"]);
    command.current_dir(world.scratch.path()).stderr(std::process::Stdio::piped());
    let mut run = command.spawn().unwrap();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("waiting: ")));
    let process = rustix::process::Pid::from_child(&run);
    for _ in 0..2 {
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        // As `timeout` does: to the process, then to its group.
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert!(lines.any(|line| line.contains("interrupted")), "it ended by itself");
}

#[test]
fn the_versions_that_are_listed_are_of_the_configured_architecture() {
    let world = world("listed");
    world.scratch.write("home/.config/elsewhere/config.toml", "arch = [\"aarch64\"]\n");
    let told = world.ok(&["list", "-d", "small"]);
    assert!(told.contains("their versions in small for aarch64:"), "{told}");
    let told = world.ok(&["list", "-d", "small", "-a", "x86_64"]);
    assert!(told.contains("their versions in small for x86_64:"), "{told}");
}

#[test]
fn an_update_stores_only_what_changed_and_makes_the_same_bytes() {
    let world = world("shared");
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "tool,gadget", "p"]);
    fs::write(prefix.join("x86_64/etc/part.conf"), "part = mine\n").unwrap();
    world.publish(&packages("2"), 2);
    world.ok(&["update", "p"]);
    let inode = |generation: &str, path: &str| {
        fs::metadata(prefix.join(".elsewhere/x86_64").join(generation).join(path)).unwrap().ino()
    };
    // A clone has an inode of its own; elsewhere it is the same file.
    let is_same = inode("1", "bin/gadget") == inode("2", "bin/gadget");
    assert_eq!(is_same, !has_reflinks(world.scratch.path()));
    assert_ne!(inode("1", "etc/gadget.conf"), inode("2", "etc/gadget.conf"));
    // Its configuration was edited, so the package was unpacked again, and the edit was carried.
    assert_ne!(inode("1", "libexec/part/part"), inode("2", "libexec/part/part"));
    assert_eq!(fs::read_to_string(prefix.join("x86_64/etc/part.conf")).unwrap(), "part = mine\n");
    assert_eq!(says(&prefix, "gadget"), "gadget 1 part 1");
    fs::write(prefix.join("x86_64/etc/part.conf"), "part = 1\n").unwrap();
    world.ok(&["install", "-r", "tool,gadget", "fresh"]);
    let told = support::tools::stdout(
        std::process::Command::new("diff")
            .arg("-r")
            .arg("--exclude=.elsewhere.json")
            .args([prefix.join("x86_64/"), world.prefix("fresh/x86_64/")]),
    );
    assert_eq!(told, "");
    let (ours, fresh) =
        (receipt(&prefix, "x86_64").unwrap(), receipt(&world.prefix("fresh"), "x86_64").unwrap());
    assert_eq!((ours.files, ours.packages, ours.reuse), (fresh.files, fresh.packages, fresh.reuse));
}

fn has_reflinks(directory: &Path) -> bool {
    fs::write(directory.join("original"), "x").unwrap();
    let (from, to) = (directory.join("original"), directory.join("clone"));
    rustix::fs::ioctl_ficlone(fs::File::create(to).unwrap(), fs::File::open(from).unwrap()).is_ok()
}

#[test]
fn a_package_that_was_built_again_is_another() {
    let world = world("again");
    world.ok(&["install", "-r", "tool", "p"]);
    let mut again = packages("1");
    again[0].package.files[0] = File::regular("/usr/libexec/part/part", b"part=3\n");
    world.publish(&again, 2);
    world.ok(&["update", "p"]);
    assert_eq!(launch(&world.prefix("p"), "tool").unwrap(), "tool 1 part 3");
}

#[test]
fn what_may_be_written_to_is_never_shared() {
    let world = world("apart");
    let prefix = world.prefix("p");
    let plugins = "name = \"gadget\"\ntitle = \"a gadget\"\npackage = \"gadget\"\n\
                   plugin_directories = [\"libexec/gadget\"]\n\
                   [[command]]\nname = \"gadget\"\npath = \"bin/gadget\"\n";
    world.scratch.write("repos/runtimes/gadget.toml", plugins);
    let with_plain_file = |tool: &str| {
        let mut all = packages(tool);
        all[1].package.files.push(File::regular("/etc/gadget.d/plain", b"plain\n"));
        all
    };
    world.publish(&with_plain_file("1"), 2);
    world.ok(&["install", "-r", "tool,gadget", "p"]);
    world.publish(&with_plain_file("2"), 3);
    world.ok(&["update", "p"]);
    let inode = |generation: &str, path: &str| {
        fs::metadata(prefix.join(".elsewhere/x86_64").join(generation).join(path)).unwrap().ino()
    };
    for path in ["etc/gadget.conf", "etc/gadget.d/plain", "libexec/gadget/data"] {
        assert_ne!(inode("1", path), inode("2", path), "{path}");
    }
}

#[test]
fn modes_that_somebody_changed_are_not_taken_over() {
    let world = world("modes");
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "tool,gadget", "p"]);
    let data = prefix.join("x86_64/libexec/gadget/data");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o666)).unwrap();
    world.publish(&packages("2"), 2);
    world.ok(&["update", "p"]);
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o7777, 0o644);
}

#[test]
fn damage_does_not_spread_by_an_update() {
    let world = world("damage");
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "tool,gadget", "p"]);
    fs::write(prefix.join("x86_64/libexec/gadget/data"), "data=oops\n").unwrap();
    world.publish(&packages("2"), 2);
    world.ok(&["update", "p"]);
    assert_eq!(says(&prefix, "gadget"), "gadget 1 part 1");
}

#[test]
fn a_package_file_of_another_architecture_is_refused() {
    let world = world("foreign");
    let mut package = packages("1").remove(2).package;
    package.arch = "aarch64".into();
    world.scratch.write("tool.rpm", package.unsigned());
    let words = ["install", "-r", "tool", "-v", "./tool.rpm", "-a", "x86_64", "p"];
    let told = world.fails(2, &words);
    assert!(told.contains("is for aarch64, and a tree for x86_64 is asked for"), "{told}");
}

#[test]
fn two_owners_of_one_path_are_both_named() {
    let world = world("owners");
    let mut all = packages("1");
    all[1].package.files.push(File::regular("/usr/libexec/part/part", b"part=2\n"));
    world.publish(&all, 2);
    let told = world.fails(4, &["install", "-r", "tool,gadget", "p"]);
    assert!(
        told.contains("libexec/part/part") && told.contains("gadget") && told.contains("part"),
        "{told}"
    );
    assert!(!world.prefix("p").exists(), "nothing is left of it");
    world.ok(&["install", "-r", "tool", "p"]);
    let told = world.fails(4, &["install", "-r", "gadget", "p"]);
    assert!(told.contains("gadget"), "{told}");
    assert_eq!(says(&world.prefix("p"), "tool"), "tool 1 part 1");
}

/// Everything below `root`: path, mode, size or text.
fn listing(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(path) = ahead.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let mode = metadata.permissions().mode();
        let shown = path.strip_prefix(root).unwrap().display().to_string();
        let content = if metadata.is_dir() {
            ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            String::new()
        } else if metadata.is_symlink() {
            fs::read_link(&path).unwrap().display().to_string()
        } else {
            String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()
        };
        lines.push(format!("{shown} {mode:o} {content}"));
    }
    lines.sort();
    lines
}

#[test]
fn the_same_plan_makes_the_same_bytes_under_every_umask_and_knows_no_place() {
    let world = world("same");
    let install = |name: &str, umask: &str, locale: &str| {
        let mut command = std::process::Command::new("sh");
        command.arg("-c").arg(format!("umask {umask}; exec \"$@\"")).arg("sh").arg(program::path());
        world.complete(&mut command, &["install", "-q", "-r", "tool,gadget", name]);
        command.env("SOURCE_DATE_EPOCH", "1600000000").env("LC_ALL", locale).env("TZ", locale);
        assert!(command.current_dir(world.scratch.path()).status().unwrap().success());
        let tree = fs::canonicalize(world.prefix(name).join("x86_64")).unwrap();
        listing(&tree)
    };
    let one = install("one", "077", "C");
    assert_eq!(one, install("another place", "000", "tr_TR.UTF-8"));
    for line in &one {
        let mode = line.split(' ').nth(1).unwrap();
        assert!(["40755", "100755", "100644", "120777"].contains(&mode), "{line}");
    }
    let place = world.scratch.path().display().to_string();
    for line in listing(&world.prefix("one")) {
        assert!(!line.contains(&place), "{line}");
    }
}

#[test]
fn a_prefix_that_was_moved_goes_on() {
    let world = world("moved");
    world.ok(&["install", "-r", "tool", "p"]);
    world.publish(&packages("2"), 2);
    fs::rename(world.prefix("p"), world.prefix("a moved p")).unwrap();
    let copy = |from: &str, to: &str| {
        let [from, to] = [from, to].map(|name| world.prefix(name));
        support::tools::run(std::process::Command::new("cp").arg("-a").args([from, to]));
    };
    copy("a moved p", "copy");
    std::os::unix::fs::symlink("copy", world.prefix("link")).unwrap();
    for name in ["a moved p", "copy", "link"] {
        assert_eq!(
            says(&world.prefix(name), "tool"),
            format!("tool {} part 1", if name == "link" { 2 } else { 1 })
        );
        world.ok(&["update", name]);
        assert_eq!(says(&world.prefix(name), "tool"), "tool 2 part 1");
    }
}

#[test]
fn a_second_run_waits_or_fails_and_readers_do_not() {
    let world = world("busy");
    world.ok(&["install", "-r", "tool", "p"]);
    let lock = fs::File::open(world.prefix("p/.elsewhere/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let told = world.fails(9, &["update", "--no-wait", "p"]);
    assert!(told.contains("is being changed by process"), "{told}");
    assert_eq!(launch(&world.prefix("p"), "tool").unwrap(), "tool 1 part 1");
    world.ok(&["update", "--check", "p"]);
    world.publish(&packages("2"), 2);
    let mut waiting = world
        .command(&["update", "p"])
        .current_dir(world.scratch.path())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert_eq!(waiting.try_wait().unwrap(), None);
    drop(lock);
    assert!(waiting.wait().unwrap().success());
    assert_eq!(says(&world.prefix("p"), "tool"), "tool 2 part 1");
}

#[test]
fn runs_that_waited_for_each_other_lose_nothing() {
    let world = world("turns");
    world.ok(&["install", "-r", "tool", "-a", "aarch64", "p"]);
    let lock = fs::File::open(world.prefix("p/.elsewhere/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let start = |runtime: &str| {
        let mut command = world.command(&["install", "-r", runtime, "-a", "x86_64", "p"]);
        command.current_dir(world.scratch.path()).stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let mut runs = [start("tool"), start("gadget")];
    let mut said = Vec::new();
    for run in &mut runs {
        let mut lines = BufReader::new(run.stderr.take().unwrap()).lines();
        // Both have their plans, for a prefix that has nothing for this machine yet.
        assert!(lines.any(|line| line.unwrap().contains("waiting: ")));
        said.push(lines);
    }
    drop(lock);
    let said: Vec<String> = said.into_iter().flatten().map(Result::unwrap).collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success(), "{said:?}");
    }
    let planned_anew = said.iter().filter(|line| line.contains("planning anew")).count();
    assert_eq!(planned_anew, 1, "{said:?}");
    assert_eq!(says(&world.prefix("p"), "tool"), "tool 1 part 1");
    assert_eq!(says(&world.prefix("p"), "gadget"), "gadget 1 part 1");
}

#[test]
fn a_link_that_is_lost_is_told_and_put_back() {
    let world = world("link");
    let prefix = world.prefix("p");
    for command in
        [&["verify", "--repair", "p"][..], &["install", "-r", "tool", "p"], &["prune", "p"]]
    {
        world.ok(&["install", "-r", "tool", "p"]);
        fs::remove_file(prefix.join("x86_64")).unwrap();
        let told = world.fails(8, &["verify", "p"]);
        assert!(told.contains("x86_64: the link to generation 1 is lost"), "{told}");
        let told = world.ok(command);
        assert!(told.contains("the link to generation 1 was lost; it is back"), "{told}");
        assert_eq!(says(&prefix, "tool"), "tool 1 part 1");
    }
    assert_eq!(receipt(&prefix, "x86_64").unwrap().runtimes.len(), 1);
}

#[test]
fn a_link_that_is_lost_with_the_journal_is_not_guessed() {
    let world = world("unknown");
    let prefix = world.prefix("p");
    world.ok(&["install", "-r", "tool", "p"]);
    world.publish(&packages("2"), 2);
    world.ok(&["update", "p"]);
    fs::remove_file(prefix.join("x86_64")).unwrap();
    fs::write(prefix.join(".elsewhere/x86_64/journal.jsonl"), "nonsense\n").unwrap();
    let typed = "elsewhere rollback -a x86_64 --to N ";
    for words in [&["verify", "p"][..], &["verify", "--repair", "p"], &["verify", "p"]] {
        let told = world.fails(8, words);
        assert!(told.contains("nobody knows to which generation it led (1, 2)"), "{told}");
        assert!(told.contains("if you know which generation was live"), "{told}");
    }
    assert!(world.ok(&["prune", "p"]).contains(typed));
    assert!(world.ok(&["rollback", "p"]).contains(typed));
    let told = world.ok(&["rollback", "-a", "x86_64", "--to", "1", "p"]);
    assert!(told.contains("x86_64: generation 1 is live"), "{told}");
    assert_eq!(says(&prefix, "tool"), "tool 1 part 1");
    world.ok(&["verify", "p"]);
    world.ok(&["rollback", "--to", "2", "p"]);
    assert_eq!(says(&prefix, "tool"), "tool 2 part 1");
}

#[test]
fn a_damaged_receipt_is_no_dead_end() {
    let world = world("receipt");
    let prefix = world.prefix("p");
    let damage = || fs::write(prefix.join("x86_64/.elsewhere.json"), "").unwrap();
    world.ok(&["install", "-r", "tool", "p"]);
    damage();
    let told = world.fails(8, &["verify", "p"]);
    assert!(told.contains("elsewhere install p, with the -d and every -r"), "{told}");
    for words in [&["update", "p"][..], &["update", "--check", "p"]] {
        assert!(world.fails(6, words).contains(".elsewhere.json is damaged"));
    }
    let told = world.ok(&["install", "-r", "gadget", "p"]);
    assert!(told.contains("the receipt is damaged"), "{told}");
    assert_eq!(says(&prefix, "gadget"), "gadget 1 part 1");
    world.ok(&["install", "-r", "tool", "p"]);
    damage();
    world.ok(&["rollback", "p"]);
    assert_eq!(says(&prefix, "gadget"), "gadget 1 part 1");
    damage();
    world.ok(&["remove", "--all", "--force", "p"]);
    assert_eq!(fs::read_dir(&prefix).unwrap().count(), 0);
}

#[test]
fn many_runs_share_one_cache_and_one_prefix() {
    let world = world("many");
    let start = |prefix: &str, arch: &str| {
        world
            .command(&["install", "-r", "tool,gadget", "-a", arch, prefix])
            .current_dir(world.scratch.path())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let runs =
        [start("p", "x86_64"), start("p", "aarch64"), start("q", "x86_64"), start("p", "x86_64")];
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    for name in ["p", "q"] {
        assert_eq!(says(&world.prefix(name), "gadget"), "gadget 1 part 1");
    }
    assert!(receipt(&world.prefix("p"), "aarch64").is_some());
}

#[test]
fn a_prefix_of_the_script_is_adopted_with_its_configuration() {
    let world = world("adopt");
    let prefix = world.prefix("p");
    world.scratch.write("p/x86_64/bin/apptainer", "#!/bin/sh\necho old\n");
    world.scratch.write("p/x86_64/etc/tool.conf", "version = mine\n");
    world.scratch.write("p/bin/apptainer", "#!/bin/sh\nexec $APPTDIR/bin/apptainer \"$@\"\n");
    let told = world.fails(6, &["install", "-r", "tool", "p"]);
    assert!(told.contains("to take it over: elsewhere install --adopt "), "{told}");
    // A run that is killed after the adoption leaves what was there, live.
    world.set_online(false);
    world.run(&["install", "-r", "tool", "--adopt", "p"]);
    world.set_online(true);
    assert!(fs::symlink_metadata(prefix.join("x86_64")).unwrap().is_symlink());
    assert!(prefix.join("x86_64/bin/apptainer").is_file());
    world.ok(&["install", "-r", "tool", "--adopt", "p"]);
    let read = |path: &str| fs::read_to_string(prefix.join("x86_64").join(path)).unwrap();
    assert_eq!(launch(&prefix, "tool").unwrap(), "tool 1 part 1");
    assert_eq!(read("etc/tool.conf"), "version = mine\n");
    assert_eq!(read("etc/tool.conf.rpmnew"), "version = 1\n");
    world.ok(&["rollback", "p"]);
    assert_eq!(read("bin/apptainer"), "#!/bin/sh\necho old\n");
    world.ok(&["prune", "p"]);
    world.ok(&["rollback", "p"]);
    assert_eq!(launch(&prefix, "tool").unwrap(), "tool 1 part 1");
}

/// A prefix at version 2 of `tool`, whose generations have `part` alike: the same files on disk, where
/// the file system makes no copies that are shared until they are written to.
fn with_two_generations(name: &str) -> (World, std::path::PathBuf) {
    let world = world(name);
    world.ok(&["install", "-r", "tool", "p"]);
    world.publish(&packages("2"), 2);
    world.ok(&["update", "p"]);
    let prefix = world.prefix("p");
    (world, prefix)
}

const SHARED: &str = "libexec/part/part";

/// Writes rubbish into a file of a generation, in place.
fn damage(prefix: &Path, generation: &str) {
    let path = prefix.join(".elsewhere/x86_64").join(generation).join(SHARED);
    let mode = fs::metadata(&path).unwrap().permissions();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, "part=rotten\n").unwrap();
    fs::set_permissions(&path, mode).unwrap();
}

/// Whether the file is the same one in both generations; where not, both are damaged by hand.
fn damage_both(prefix: &Path) -> bool {
    let inode = |generation: &str| {
        fs::metadata(prefix.join(".elsewhere/x86_64").join(generation).join(SHARED)).unwrap().ino()
    };
    let is_one = inode("1") == inode("2");
    damage(prefix, "2");
    if !is_one {
        damage(prefix, "1");
    }
    is_one
}

#[test]
fn damage_that_generations_share_is_named_and_mended_in_all() {
    let (world, prefix) = with_two_generations("shared");
    let is_one = damage_both(&prefix);
    let told = world.fails(8, &["verify", "p"]);
    let named = told.contains("x86_64: generation 1 shares damaged files, and is damaged too");
    assert_eq!(named, is_one, "{told}");
    // Nobody goes back to what is damaged without a word.
    let told = world.fails(8, &["rollback", "p"]);
    assert!(told.contains("generation 1 of x86_64 is damaged: libexec/part/part"), "{told}");
    assert!(told.contains("verify --repair --all"), "{told}");
    assert_eq!(launch(&prefix, "tool").unwrap(), "tool 2 part rotten");
    let told = world.ok(&["verify", "--repair", "p"]);
    assert!(told.contains("libexec/part/part: put back in x86_64 generation 1 too"), "{told}");
    world.ok(&["verify", "--all", "p"]);
    world.set_online(false);
    world.ok(&["rollback", "p"]);
    assert_eq!(says(&prefix, "tool"), "tool 1 part 1");
}

#[test]
fn what_is_gone_back_to_is_put_right_by_what_is_live() {
    let (world, prefix) = with_two_generations("back");
    world.set_online(false);
    // A file of its own, which is damaged alone.
    let path = prefix.join(".elsewhere/x86_64/1").join(SHARED);
    let mode = fs::metadata(&path).unwrap().permissions();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "rotten").unwrap();
    fs::set_permissions(&path, mode).unwrap();
    let told = world.ok(&["rollback", "p"]);
    assert!(told.contains("libexec/part/part: put back, from generation 2"), "{told}");
    assert_eq!(says(&prefix, "tool"), "tool 1 part 1");
    // And repair takes from another generation what no mirror has to give.
    fs::remove_file(prefix.join("x86_64").join(SHARED)).unwrap();
    let told = world.ok(&["verify", "--repair", "p"]);
    assert!(told.contains("libexec/part/part: put back, from generation 2"), "{told}");
    assert_eq!(says(&prefix, "tool"), "tool 1 part 1");
}

#[test]
fn what_is_put_back_lends_nobody_an_identity() {
    let (world, prefix) = with_two_generations("identity");
    let place = |generation: &str| prefix.join(".elsewhere/x86_64").join(generation);
    // Somebody's program in an older generation, and receipts that want it back in this one.
    let program = place("1").join(SHARED);
    fs::remove_file(&program).unwrap();
    fs::write(&program, "theirs").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    for generation in ["1", "2"] {
        let path = place(generation).join(".elsewhere.json");
        let mut receipt: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let files = receipt["files"].as_array_mut().unwrap();
        let file = files.iter_mut().find(|file| file["path"] == SHARED).unwrap();
        file["mode"] = 0o4755.into();
        file["size"] = 6.into();
        file["checksum"] = Checksum::of(b"theirs").to_string().into();
        fs::write(path, receipt.to_string()).unwrap();
    }
    let told = world.fails(8, &["verify", "--repair", "p"]);
    assert!(told.contains("libexec/part/part has a mode that no tree has"), "{told}");
    world.fails(6, &["rollback", "p"]);
    let mode = fs::metadata(place("2").join(SHARED)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7000, 0, "{mode:o}");
}

#[test]
fn who_insists_goes_back_to_what_is_damaged() {
    let (world, prefix) = with_two_generations("insists");
    damage_both(&prefix);
    world.ok(&["rollback", "--no-verify", "p"]);
    assert_eq!(launch(&prefix, "tool").unwrap(), "tool 1 part rotten");
}

#[test]
fn what_stays_after_everything_was_removed_is_told_with_the_way_to_be_rid_of_it() {
    let (world, prefix) = with_two_generations("stays");
    let told = world.ok(&["remove", "--all", "p"]);
    for expected in [
        "generation 1 stays on disk: it was live in the last seven days",
        "KiB stay for what may still run from there, here or on other machines",
        "to delete them when the time is over: elsewhere prune p",
        "now, if nothing runs from there: elsewhere remove --all --force p",
    ] {
        assert!(told.contains(expected), "no {expected:?} in {told}");
    }
    assert_eq!(launch(&prefix, "tool"), None);
    world.ok(&["remove", "--all", "--force", "p"]);
    assert!(!prefix.join(".elsewhere/x86_64/1").exists());
}

/// A prefix's `bin` may have programs of the user's own, also under this program's name.
#[test]
fn what_the_user_has_under_this_programs_name_stays() {
    let (world, prefix) = with_two_generations("own-program");
    let own = prefix.join("bin/elsewhere");
    let _ = fs::remove_file(&own);
    fs::write(&own, "#!/bin/sh\necho my own\n").unwrap();
    world.ok(&["remove", "--all", "--force", "p"]);
    assert_eq!(fs::read_to_string(&own).unwrap(), "#!/bin/sh\necho my own\n");
}
