//! How it ends: with the command's status, by the command's signals, and with nothing left.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::Barn;

#[test]
fn the_status_is_the_commands() {
    let barn = Barn::new("status");
    for (script, expected) in
        [("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137), ("kill $$", 143)]
    {
        assert_eq!(barn.ranch(&[], script).status.code(), Some(expected), "{script}");
    }
    let none = |word: &str| {
        let mut command = barn.as_user(barn.place.join("elsewhere"));
        command.args(["ranch", "-i", "/usr:/usr"]).arg(barn.root()).args(["--", word]);
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, said) = none("no-such-command");
    assert_eq!(status, 127, "{said}");
    assert!(said.contains("cannot run no-such-command there"), "{said}");
    assert_eq!(none("/data/hay").0, 126);
    assert!(fs::read_dir(barn.place.join("tmp")).unwrap().next().is_none(), "something is left");
}

/// A command that has started, and its process.
fn started(barn: &Barn, script: &str) -> (Child, Pid) {
    let mut command = barn.command(&["-w", "/data"], script);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, Pid::from_raw(line.trim().parse().unwrap()).unwrap())
}

#[test]
fn signals_reach_the_command() {
    let barn = Barn::new("signals");
    let script = "trap 'exit 33' TERM; echo $$; while :; do sleep 0.05; done";
    let (mut child, _) = started(&barn, script);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(33));
}

/// Whoever hits Ctrl-C means the command, which has it from the terminal.
#[test]
fn an_interrupt_does_not_end_what_waits() {
    let barn = Barn::new("interrupt");
    let (mut child, command) = started(&barn, "trap '' INT; echo $$; sleep 0.3; exit 5");
    for _ in 0..3 {
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        kill_process(command, Signal::INT).unwrap();
    }
    assert_eq!(child.wait().unwrap().code(), Some(5));
}

#[test]
fn a_killed_run_leaves_nothing_mounted_and_no_process() {
    let barn = Barn::new("killed");
    let (mut child, command) = started(&barn, "echo $$; while :; do sleep 0.05; done");
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    let since = Instant::now();
    while test_kill_process(command).is_ok() {
        assert!(since.elapsed() < Duration::from_secs(20), "the command still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(barn.place.to_str().unwrap()), "{mounts}");
}
