//! Kills a run at every system call that changes something, one after the other.

use std::process::Command;

use super::program;
use super::tools::need;

/// System calls that change what is on disk.
pub const CHANGES: &[&str] = &[
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "mkdir",
    "mkdirat",
    "fchmod",
    "chmod",
    "fchmodat",
    "fsync",
    "syncfs",
    "write",
    "pwrite64",
    "writev",
    "copy_file_range",
];

/// What somebody who was killed was at.
#[derive(Debug)]
pub struct Killed {
    /// The call.
    pub call: String,
    /// How many of its kind its thread had made, with it.
    pub number: usize,
    /// Whether it was killed at all: the last one of each kind is not.
    pub was_killed: bool,
}

/// For each of `calls` kills the program when a thread of it makes its first one, its second one, and so on until it makes
/// no more, and looks with `check` each time. (strace counts each kind of call of each thread by itself: told of all
/// kinds at once it would kill at nobody's first rename, since there is a first write before.) `words` says what is run,
/// and `more` are further words of strace's. Returns how often it was killed.
pub fn kill_at_each(
    calls: &[&str],
    more: &[&str],
    words: &dyn Fn(&mut Command),
    mut check: impl FnMut(&Killed),
) -> usize {
    let mut tries = 0;
    for call in calls {
        for number in 1.. {
            let mut strace = Command::new(need("strace", "strace"));
            strace.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
            strace.arg(format!("trace=?{call},?renameat2")).args(more).arg("-e");
            strace.arg(format!("inject=?{call}:signal=KILL:when={number}")).arg(program::path());
            words(&mut strace);
            let was_killed = !strace.output().unwrap().status.success();
            check(&Killed { call: (*call).to_owned(), number, was_killed });
            if !was_killed {
                break;
            }
            tries += 1;
        }
    }
    tries
}
