//! Full and read-only file systems, and a cache that goes away.

use std::fs;
use std::process::Command;

use super::driver;
use super::support::small::{World, problems, rubbish, text};
use crate::support::program;

/// Runs `script` with a small file system of its own at `disk` below the world, as root of a new
/// mount namespace. `$E` is the program, `$O` its options.
fn on_a_disk(world: &World, size: &str, script: &str) -> std::process::Output {
    let disk = world.prefix("disk");
    fs::create_dir_all(&disk).unwrap();
    let mut unshare = Command::new("unshare");
    world.enter(&mut unshare);
    if !rustix::process::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    let whole = format!("set -e; mount -t tmpfs -o size={size},mode=755 none disk; {script}");
    unshare.args(["--mount", "sh", "-c", &whole]).current_dir(world.scratch.path());
    unshare.env("E", program::path());
    unshare.env("O", "--repos repos --mirror mirror").output().unwrap()
}

#[test]
fn a_full_disk_at_any_moment_leaves_what_is_live() {
    let world = driver::world("space");
    // From no space at all beside what is live, to enough.
    let script = "cp -a old disk/p; free=$(df -k --output=avail disk | tail -n 1); \
        for left in 0 4 8 12 16 24 32 48 64 96 128; do \
            dd if=/dev/zero of=disk/filler bs=1024 count=$((free - left)) 2>/dev/null; \
            if $E update $O --cache-dir cache disk/p 2>err; then echo done $left; \
            else echo status $?; cat err; fi; \
            disk/p/bin/tool; ls disk/p/.elsewhere/staging disk/p/.elsewhere/trash | grep -v : || :; \
            rm disk/filler; \
        done; $E update -q $O --cache-dir cache disk/p; disk/p/bin/tool; cp -a disk/p after";
    let output = on_a_disk(&world, "1m", script);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    let place = world.prefix("disk/p");
    let message = format!("error: not enough space at {}: ", place.display());
    assert_eq!(said.matches(&message).count(), said.matches("status 6\n").count(), "{said}");
    assert!(said.matches(&message).count() > 3 && said.contains("done "), "{said}");
    let count = |what: &str| said.lines().filter(|line| *line == what).count();
    assert_eq!(count("tool 1 part 1") + count("tool 2 part 1"), 12, "{said}");
    assert_eq!(problems(&world.prefix("after")), [""; 0]);
}

#[test]
fn a_full_cache_says_so() {
    let world = driver::world("cache-space");
    let script = "dd if=/dev/zero of=disk/filler bs=1024 2>/dev/null || :; \
        $E install -d small -r tool $O --cache-dir disk/c p && exit 9; echo status $?; ls -d p || :";
    let said = text(&on_a_disk(&world, "256k", script));
    assert!(said.contains("status 6\n"), "{said}");
    assert!(said.contains("disk/c") && said.contains("free"), "{said}");
    assert!(!world.prefix("p").exists());
}

#[test]
fn a_read_only_prefix_is_told_and_runs() {
    let world = driver::world("read-only");
    let script = "cp -a old disk/p; mount -o remount,ro disk; disk/p/bin/tool; \
        $E update --check $O --cache-dir cache disk/p || echo status $?; \
        $E update $O --cache-dir cache disk/p && exit 9; echo status $?; disk/p/bin/tool";
    let output = on_a_disk(&world, "1m", script);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("status 10\nstatus 6\n") || said.contains("status 10\n"), "{said}");
    assert!(said.contains("hint: the file system is mounted read-only here"), "{said}");
    assert_eq!(said.matches("tool 1 part 1").count(), 2, "{said}");
}

#[test]
fn a_cache_that_goes_away_is_an_error_or_none() {
    let world = driver::world("lost-cache");
    for wait in [5_u64, 20, 40, 80, 160] {
        let words = ["install", "-r", "tool,gadget", "--cache-dir", "lost", "p"];
        let mut run = world.command(&words).current_dir(world.scratch.path()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        let _ = fs::remove_dir_all(world.prefix("lost"));
        let status = run.wait().unwrap();
        assert!([0, 6].contains(&status.code().unwrap()), "{status}");
        assert_eq!(problems(&world.prefix("p")), [""; 0]);
        let _ = fs::remove_dir_all(world.prefix("p"));
    }
}

#[test]
fn a_used_up_quota_at_any_call_leaves_what_is_live() {
    driver::need_strace();
    let world = driver::world("quota");
    let calls =
        "?mkdir,?mkdirat,?link,?linkat,?symlink,?symlinkat,?rename,?renameat,?renameat2,?fsync";
    let mut failures = 0;
    for number in (1..30).step_by(4) {
        let _ = fs::remove_dir_all(world.prefix("p"));
        assert!(
            Command::new("cp")
                .args(["-a", "old", "p"])
                .current_dir(world.scratch.path())
                .status()
                .unwrap()
                .success()
        );
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e"]);
        strace.arg(format!("inject={calls}:error=EDQUOT:when={number}")).arg(program::path());
        world.complete(&mut strace, &["update", "p"]);
        let output = strace.current_dir(world.scratch.path()).output().unwrap();
        let said = text(&output);
        match output.status.code() {
            Some(0) => {}
            Some(6) => {
                failures += 1;
                let is_told = said.contains("not enough space") || said.contains("no space left");
                assert!(is_told && said.contains("quota"), "{said}");
            }
            _ => panic!("call {number}: {}: {said}", output.status),
        }
        assert_eq!(problems(&world.prefix("p")), [""; 0], "call {number}");
        world.ok(&["update", "p"]);
        let rubbish = rubbish(&world.prefix("p"));
        assert!(rubbish.is_empty(), "call {number}: {rubbish:?}; {said}");
    }
    assert!(failures > 2, "{failures}");
}
