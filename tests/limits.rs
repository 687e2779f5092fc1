//! Limits that the system sets to a process: what cannot be had is done without, or the error names the
//! limit. Never a panic, a signal, or another one's blame.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use support::program;
use support::server::Server;
use support::small::{World, packages, text};
use support::tools;

/// The first of the users as whom everything runs when root starts the tests: limits on processes are not for root.
const USER: u32 = 54_400;

/// A world that everyone may write to, away from directories that are not for everyone.
struct Place {
    path: PathBuf,
    /// Of each its own: the limit counts all that a user runs.
    user: u32,
    server: Server,
}

impl Place {
    fn new(name: &str) -> Self {
        let world = World::new(name);
        world.ok(&["install", "-r", "tool,gadget", "old"]);
        world.publish(&packages("2"), 2);
        let path = std::env::temp_dir().join(format!("elsewhere-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        let from = world.scratch.path();
        let things = ["repos", "mirror", "old"].map(|name| from.join(name));
        tools::run(Command::new("cp").arg("-a").args(things).arg(&path));
        fs::copy(program::path(), path.join("elsewhere")).unwrap();
        static NEXT: AtomicU32 = AtomicU32::new(USER);
        let user = NEXT.fetch_add(1, Ordering::Relaxed);
        let place = Self { server: Server::start(path.join("mirror")), user, path };
        place.give_away();
        place
    }

    /// Makes all of it the user's.
    fn give_away(&self) {
        if rustix::process::geteuid().is_root() {
            let owner = format!("{0}:{0}", self.user);
            tools::run(Command::new("chown").arg("-R").arg(owner).arg(&self.path));
        }
    }

    /// Runs the program under `limit`, prlimit(1)'s word, with what its words need.
    fn run(&self, limit: &str, words: &[&str], with_server: bool) -> Output {
        let mut command = Command::new(tools::need("setpriv", "util-linux"));
        if rustix::process::geteuid().is_root() {
            let user = self.user.to_string();
            command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
        } else {
            // Where only what runs here counts.
            command = Command::new("unshare");
            command.args(["--user", "--map-root-user"]);
        }
        command.arg(tools::need("prlimit", "util-linux")).arg(limit).arg("./elsewhere").args(words);
        let mirror = self.server.url();
        let mirror = if with_server { mirror.as_str() } else { "mirror" };
        if words[0] != "--version" {
            command.args(["--repos", "repos"]);
        }
        if ["install", "update", "list"].contains(&words[0]) {
            command.args(["--mirror", mirror, "--cache-dir", "cache"]);
        }
        program::alone(&mut command)
            .current_dir(&self.path)
            .env("HOME", &self.path)
            .output()
            .unwrap()
    }

    /// Runs each command that there is, anew, under `limit`; each must do its work, or say which limit
    /// is too low, in `word`. How many did.
    fn all(&self, limit: &str, word: &str, statuses: &[i32]) -> usize {
        let mut done = 0;
        for (words, with_server) in [
            (&["install", "-d", "small", "-r", "tool", "new"][..], false),
            (&["install", "-d", "small", "-r", "tool", "new"], true),
            (&["update", "changed"], true),
            (&["verify", "old"], false),
            (&["list", "-d", "small"], true),
            (&["doctor", "--wait", "5", "old"], false),
        ] {
            for name in ["new", "changed", "cache"] {
                let _ = fs::remove_dir_all(self.path.join(name));
            }
            tools::run(Command::new("cp").args(["-a", "old", "changed"]).current_dir(&self.path));
            let output = self.run(limit, words, with_server);
            let (status, said) = (output.status.code(), text(&output));
            assert!(!said.contains("panicked"), "{limit} {words:?}: {said}");
            if status == Some(0) || words[0] == "doctor" {
                assert!(
                    [Some(0), Some(7)].contains(&status),
                    "{limit} {words:?}: {status:?} {said}"
                );
                done += 1;
                continue;
            }
            assert!(
                status.is_some_and(|status| statuses.contains(&status)) && said.contains(word),
                "{limit} {words:?}: {:?} {said}",
                output.status
            );
            let left = self.path.join("changed/x86_64/bin/tool");
            let live = fs::read_to_string(left).unwrap_or_default();
            assert!(live.contains("tool"), "what was live is");
        }
        done
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[test]
fn without_threads_the_work_is_done_by_whoever_wants_it() {
    let place = Place::new("limit-processes");
    // Of what was tried, programs are run by a process of their own, and mirrors on the web are asked
    // by a thread of their own.
    for (number, least) in [(1, 2), (2, 2), (3, 2), (5, 2), (8, 3), (20, 6)] {
        let done = place.all(&format!("--nproc={number}"), "(ulimit -u)", &[7]);
        assert!(done >= least, "{number}: {done}");
    }
}

#[test]
fn little_memory_is_enough_or_named() {
    let place = Place::new("limit-memory");
    // Address space, of which the allocator reserves 64 MiB for each thread.
    for megabytes in [24, 32, 48, 56, 64, 80, 128, 768] {
        if place.run(&format!("--as={}", megabytes << 20), &["--version"], false).status.code()
            != Some(0)
        {
            // The kernel cannot even load it.
            continue;
        }
        let done = place.all(&format!("--as={}", megabytes << 20), "(ulimit -v", &[7]);
        assert!(megabytes < 768 || done == 6, "{megabytes}: {done}");
    }
}

#[test]
fn few_open_files_are_enough_or_named() {
    let place = Place::new("limit-files");
    for number in [4, 6, 8, 10, 12, 14, 16, 24, 64] {
        let done = place.all(&format!("--nofile={number}"), "(ulimit -n)", &[7]);
        assert!(number < 64 || done == 6, "{number}: {done}");
    }
}

#[test]
fn a_file_that_may_not_grow_is_an_error_that_says_so() {
    let place = Place::new("limit-size");
    for bytes in [0, 100, 3000, 100_000] {
        let done = place.all(&format!("--fsize={bytes}"), "(ulimit -f)", &[6]);
        assert!(done >= 2 && (bytes < 100_000 || done == 6), "{bytes}: {done}");
    }
}
