//! File systems with other manners than most: what is only cosmetic fails nothing, what is missing is
//! done in another way, and what makes a prefix impossible is said before anything is fetched.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use support::program;
use support::rpms::File;
use support::small::{World, launch, packages, problems, receipt, rubbish, small, text};
use support::tools;

const ARCH: &str = std::env::consts::ARCH;

fn world(name: &str) -> World {
    World::new(name)
}

/// The program that answers system calls.
fn manners() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let name = format!("manners-{}", std::process::id());
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/manners.c");
        let mut compiler = Command::new(tools::need("cc", "gcc libc6-dev linux-libc-dev"));
        tools::run(compiler.args(["-O1", "-Wall"]).arg(source).arg("-o").arg(&program));
        program
    })
}

/// Runs the program where file systems have these manners.
fn run(world: &World, kinds: &str, words: &[&str]) -> Output {
    let mut command = Command::new(manners());
    command.arg(kinds).arg(program::path());
    world.complete(&mut command, words);
    command.current_dir(world.scratch.path()).output().unwrap()
}

#[track_caller]
fn ok(world: &World, kinds: &str, words: &[&str]) -> String {
    let output = run(world, kinds, words);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{kinds} {words:?}: {said}");
    said
}

/// The whole life of a prefix.
fn live(kinds: &str) {
    let world = world(&format!("manners-{kinds}"));
    ok(&world, kinds, &["install", "-r", "tool,gadget", "p"]);
    let prefix = world.prefix("p");
    ok(&world, kinds, &["verify", "p"]);
    fs::write(prefix.join(ARCH).join("etc/tool.conf"), "mine\n").unwrap();
    world.publish(&packages("2"), 2);
    ok(&world, kinds, &["update", "p"]);
    assert_eq!(launch(&prefix, "tool").unwrap(), "tool 2 part 1");
    assert_eq!(fs::read_to_string(prefix.join(ARCH).join("etc/tool.conf")).unwrap(), "mine\n");
    ok(&world, kinds, &["verify", "--all", "p"]);
    let data = prefix.join(ARCH).join("libexec/tool/data");
    fs::remove_file(&data).unwrap();
    fs::create_dir(&data).unwrap();
    ok(&world, kinds, &["verify", "--repair", "p"]);
    ok(&world, kinds, &["rollback", "p"]);
    assert_eq!(launch(&prefix, "tool").unwrap(), "tool 1 part 1");
    ok(&world, kinds, &["prune", "--keep", "0", "--force", "p"]);
    assert!(!prefix.join(".elsewhere").join(ARCH).join("2").exists());
    assert_eq!((problems(&prefix), rubbish(&prefix)), (Vec::new(), Vec::new()), "{kinds}");
    ok(&world, kinds, &["remove", "--all", "--force", "p"]);
    assert_eq!(fs::read_dir(&prefix).unwrap().count(), 0, "{kinds}");
}

#[test]
fn times_of_symlinks_are_cosmetic() {
    live("link-times");
}

#[test]
fn syncing_may_need_a_writer_or_do_nothing() {
    live("read-sync");
}

#[test]
fn types_are_asked_for_where_directories_do_not_tell() {
    live("types");
}

#[test]
fn a_directory_that_cannot_be_renamed_is_made_and_deleted_in_place() {
    live("moves");
}

#[test]
fn what_is_made_and_deleted_in_place_is_whole_or_gone_when_a_run_is_killed() {
    let world = world("manners-killed");
    let prefix = world.prefix("p");
    // Ends the program with one of these system calls, each counted by itself.
    let kill_at = |words: &[&str], calls: &str, number: u32| {
        let mut command = Command::new(tools::need("strace", "strace"));
        command.args(["-f", "-qq", "-o", "/dev/null"]).arg(format!("--trace={calls}"));
        command.arg(format!("--inject={calls}:signal=KILL:when={number}"));
        command.arg(manners()).arg("moves").arg(program::path());
        world.complete(&mut command, words);
        !command.current_dir(world.scratch.path()).output().unwrap().status.success()
    };
    let install = ["install", "-r", "tool", "p"];
    let remove = ["remove", "--all", "--force", "p"];
    let changes = "?mkdir,?mkdirat,?rename,?renameat,?renameat2";
    let moments = [
        (&install[..], changes, [1, 5, 9, 13, 17, 21, 25]),
        (&remove, "?unlink,?unlinkat,?rmdir", [1, 2, 3, 4, 5, 6, 7]),
    ];
    let mut killed = [0; 2];
    for ((words, calls, numbers), count) in moments.into_iter().zip(&mut killed) {
        for number in numbers {
            *count += u32::from(kill_at(words, calls, number));
            ok(&world, "moves", &install);
            ok(&world, "moves", &["verify", "--all", "p"]);
            assert_eq!((problems(&prefix), rubbish(&prefix)), (Vec::new(), Vec::new()), "{number}");
            if words == install {
                ok(&world, "moves", &remove);
                assert_eq!(fs::read_dir(&prefix).map_or(0, Iterator::count), 0, "{number}");
            }
        }
    }
    assert!(killed.iter().all(|count| *count > 3), "{killed:?}");
}

#[test]
fn hard_links_are_not_needed() {
    live("links");
}

#[test]
fn modes_that_a_file_system_does_not_keep_are_no_damage() {
    live("modes");
    live("chmod");
}

#[test]
fn all_at_once() {
    live("link-times,read-sync,types,moves,links,chmod");
}

#[test]
fn a_receipt_tells_that_modes_were_not_kept() {
    let world = world("manners-receipt");
    ok(&world, "modes", &["install", "-r", "tool", "p"]);
    let prefix = world.prefix("p");
    assert!(receipt(&prefix, ARCH).unwrap().without_modes);
    let data = prefix.join(ARCH).join("libexec/tool/data");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o777)).unwrap();
    // Where it can be tried, a receipt need not be believed.
    assert!(world.fails(8, &["verify", "p"]).contains("libexec/tool/data: has mode 0777"));
    // Other users cannot try it: what the receipt says counts.
    let staging = prefix.join(".elsewhere/staging");
    fs::rename(&staging, prefix.join(".elsewhere/away")).unwrap();
    world.ok(&["verify", "p"]);
    fs::set_permissions(&data, fs::Permissions::from_mode(0o200)).unwrap();
    assert!(world.fails(8, &["verify", "p"]).contains("libexec/tool/data: has mode 0200"));
}

#[test]
fn who_cannot_try_it_sees_what_others_may_write_to() {
    let world = world("manners-reader");
    world.ok(&["install", "-r", "tool", "p"]);
    let prefix = world.prefix("p");
    fs::rename(prefix.join(".elsewhere/staging"), prefix.join(".elsewhere/away")).unwrap();
    for path in [prefix.join("bin/tool"), prefix.join(ARCH).join("libexec/tool/data")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let said = world.fails(8, &["verify", "p"]);
    assert!(said.contains("2 findings"), "{said}");
}

#[test]
fn a_prefix_may_be_copied_to_where_modes_are_not_kept() {
    let world = world("manners-copied");
    world.ok(&["install", "-r", "tool", "p"]);
    assert!(!receipt(&world.prefix("p"), ARCH).unwrap().without_modes);
    ok(&world, "modes", &["verify", "p"]);
    ok(&world, "chmod", &["verify", "p"]);
    // Where they are kept, the same is damage.
    let launcher = world.prefix("p").join("bin/tool");
    let data = world.prefix("p").join(ARCH).join("libexec/tool/data");
    for path in [launcher, data] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let said = world.fails(8, &["verify", "p"]);
    assert!(said.contains("2 findings"), "{said}");
}

#[test]
fn what_makes_a_prefix_impossible_is_said_before_anything_is_fetched() {
    let world = world("manners-impossible");
    for (kinds, problem) in [
        ("symlinks", "its file system has no symlinks"),
        ("no-x", "its file system does not let files be programs"),
    ] {
        let output = run(&world, kinds, &["install", "-r", "tool", "p"]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(6), "{kinds}: {said}");
        let place = format!("there can be no prefix at {}: {problem}", world.prefix("p").display());
        assert!(
            said.contains(&place) && said.contains("hint: choose a directory on another"),
            "{said}"
        );
        assert!(!said.contains("download") && !world.prefix("p").exists(), "{said}");
    }
}

#[test]
fn names_that_differ_in_case_alone_are_refused_where_they_are_one() {
    let world = world("manners-case");
    ok(&world, "case", &["install", "-r", "tool", "p"]);
    let mut all = packages("1");
    let files = vec![
        File::regular("/usr/libexec/part/Readme", b"one\n"),
        File::regular("/usr/libexec/part/part", b"part=1\n"),
        File::regular("/usr/libexec/part/README", b"two\n"),
    ];
    all[0] = small("part", "2", files, &[]);
    world.publish(&all, 2);
    let output = run(&world, "case", &["install", "-r", "tool", "q"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(
        said.contains("libexec/part/README and libexec/part/Readme are one and the same")
            || said.contains("libexec/part/Readme and libexec/part/README are one and the same"),
        "{said}"
    );
    assert!(said.contains("hint: choose a directory on a file system that tells them apart"));
    assert!(!world.prefix("q").exists());
    world.ok(&["install", "-r", "tool", "q"]);
}

#[test]
fn a_damaged_package_says_so_where_directories_do_not_tell_types() {
    let world = world("manners-damaged");
    let mirror = world.prefix("mirror/small.test").join(ARCH);
    let package = fs::read_dir(mirror).unwrap().map(|entry| entry.unwrap().path());
    let package =
        package.into_iter().find(|path| path.to_str().unwrap().contains("tool-1")).unwrap();
    let mut bytes = fs::read(&package).unwrap();
    let end = bytes.len() - 9;
    bytes[end] ^= 1;
    fs::write(&package, bytes).unwrap();
    let output = run(&world, "types", &["install", "-r", "tool", "p"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("digest"), "{said}");
}

/// Runs `script` as root of new mounts: `$E` is the program, `$O` its options.
fn with_mounts(world: &World, script: &str) -> Output {
    let mut unshare = Command::new(tools::need("unshare", "util-linux"));
    world.enter(&mut unshare);
    if !rustix::process::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare.args(["--mount", "sh", "-ec", script]).current_dir(world.scratch.path());
    unshare.env("E", program::path());
    unshare.env("O", "--repos repos --mirror mirror --cache-dir cache").output().unwrap()
}

#[test]
fn what_lies_in_a_lower_layer_of_an_overlay_can_be_removed() {
    let world = world("manners-overlay");
    for name in ["image/p", "image/q"] {
        world.ok(&["install", "-r", "tool,gadget", name]);
    }
    // As install-unprivileged.sh leaves it.
    let script = world.prefix("image/s").join(ARCH);
    fs::create_dir_all(script.join("bin")).unwrap();
    fs::write(script.join("bin/apptainer"), "#!/bin/sh\n").unwrap();
    world.publish(&packages("2"), 2);
    world.ok(&["update", "image/p"]);
    let output = with_mounts(
        &world,
        "mkdir room merged; mount -t tmpfs none room; mkdir room/upper room/work
         mount -t overlay -o lowerdir=image,upperdir=room/upper,workdir=room/work none merged \
            || mount -t overlay -o userxattr,lowerdir=image,upperdir=room/upper,workdir=room/work none merged
         if mv merged/p/.elsewhere/$(uname -m)/1 merged/p/moved 2>/dev/null; then :; fi
         [ ! -e merged/p/moved ] || mv merged/p/moved merged/p/.elsewhere/$(uname -m)/1
         $E prune --keep 0 --force merged/p; ls merged/p/.elsewhere/$(uname -m)
         $E update $O merged/q; merged/q/bin/tool; $E rollback --repos repos merged/q; merged/q/bin/tool
         $E remove --repos repos --all --force merged/p; ls -A merged
         $E remove --repos repos --all --force merged/q; ls -A merged
         $E install $O -d small -r tool --adopt merged/s && exit 9; ls -A merged/s
         cp -a merged/s merged/copy; $E install $O -d small -r tool --adopt merged/copy; merged/copy/bin/tool",
    );
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    let out = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = out.lines().filter(|line| !line.starts_with("x86_64:")).collect();
    assert!(lines.contains(&"tool 2 part 1") && lines.contains(&"tool 1 part 1"), "{said}");
    assert!(
        said.contains("hint: a directory in a lower layer of an overlay cannot be renamed"),
        "{said}"
    );
}

#[test]
fn without_proc_it_works_or_says_so() {
    let world = world("manners-proc");
    world.ok(&["install", "-r", "tool,gadget", "old"]);
    world.publish(&packages("2"), 2);
    let output = with_mounts(
        &world,
        "mount -t tmpfs none /proc
         $E install $O -d small -r tool p; p/bin/tool; $E verify --repos repos p
         $E update $O old; $E rollback --repos repos old; $E update $O old; old/bin/tool
         $E prune --keep 0 old 2>&1; $E prune --keep 0 --force old
         $E remove --repos repos --all --force old; rmdir old
         $E doctor --wait 20 p 2>&1 || :",
    );
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("tool 2 part 1"), "{said}");
    assert!(said.contains("/proc is not mounted"), "{said}");
}

#[test]
fn what_is_mounted_somewhere_is_in_use() {
    let world = world("manners-bound");
    world.ok(&["install", "-r", "tool", "p"]);
    world.publish(&packages("2"), 2);
    world.ok(&["update", "p"]);
    // Nothing keeps it but the mount: it was live long ago.
    let home = world.prefix("p/.elsewhere").join(ARCH);
    let mut aged = String::new();
    for line in fs::read_to_string(home.join("journal.jsonl")).unwrap().lines() {
        let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
        record["at"] = 1.into();
        aged.push_str(&format!("{record}\n"));
    }
    fs::write(home.join("journal.jsonl"), aged).unwrap();
    for (seen_as, mounted) in [
        ("p", "p/.elsewhere/$(uname -m)/1"),
        ("p", "p/.elsewhere/$(uname -m)/1/bin/tool"),
        // The mount table tells of another path than the one that is known here, as in a container.
        ("seen", "seen/.elsewhere/$(uname -m)/1"),
        ("p", "seen/.elsewhere/$(uname -m)/1/bin"),
    ] {
        let output = with_mounts(
            &world,
            &format!(
                "mkdir -p seen; mount --bind p seen
                 rm -rf there; if [ -d {mounted} ]; then mkdir there; else : >there; fi
                 mount --bind {mounted} there
                 $E prune --keep 0 {seen_as}; [ -e p/.elsewhere/$(uname -m)/1/bin/tool ]"
            ),
        );
        let said = text(&output);
        assert!(
            output.status.success() && said.contains("in use by process "),
            "{mounted}: {said}"
        );
    }
    // Another prefix's first generation is none of this one's.
    world.ok(&["install", "-r", "tool", "q"]);
    let elsewhere = "rm -rf there; mkdir there; mount --bind q/.elsewhere/$(uname -m)/1 there
                     $E prune --keep 0 p";
    let said = text(&with_mounts(&world, elsewhere));
    assert!(said.contains("generation 1 deleted"), "{said}");
    assert!(!home.join("1").exists());
}
