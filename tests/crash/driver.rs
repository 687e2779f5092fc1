//! Kills runs of the program at every kind of moment, and looks at what is left.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::support::program;
use super::support::small::{World, packages, problems, rubbish, text};

/// System calls that change what is on disk; those that an architecture lacks are passed over.
const CALLS: &str = "?rename,?renameat,?renameat2,?link,?linkat,?symlink,?symlinkat,?unlink,?unlinkat,\
                     ?rmdir,?mkdir,?mkdirat,?fsync,?fdatasync,?syncfs";

/// A command, and the prefix that it begins with.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// For the table.
    pub name: &'static str,
    /// The template, below; none: there is no prefix yet.
    pub start: Option<&'static str>,
    /// The command, without the prefix.
    pub words: &'static [&'static str],
}

/// Every command that changes a prefix.
pub const CASES: [Case; 9] = [
    Case { name: "install", start: None, words: &["install", "-r", "tool,gadget"] },
    Case {
        name: "add arch",
        start: Some("old"),
        words: &["install", "-r", "tool", "-a", "aarch64"],
    },
    Case { name: "add runtime", start: Some("old"), words: &["install", "-r", "gadget"] },
    Case { name: "update", start: Some("old"), words: &["update"] },
    Case { name: "rollback", start: Some("two"), words: &["rollback"] },
    Case { name: "prune", start: Some("two"), words: &["prune", "--keep", "0", "--force"] },
    Case { name: "remove -r", start: Some("two"), words: &["remove", "-r", "gadget"] },
    Case { name: "repair", start: Some("damaged"), words: &["verify", "--repair"] },
    Case { name: "remove --all", start: Some("two"), words: &["remove", "--all", "--force"] },
];

/// When a run is ended.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// kill -9 as a thread makes its N-th call that changes something on disk.
    Call(u32),
    /// kill -9 as the N-th line of progress appears: between two stages.
    Line(usize),
    /// This signal after a time; a run may end in good order then, and must leave nothing.
    After(Signal, Duration),
}

/// What came of the tries of one row of the table.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub tries: u32,
    pub whole: u32,
    pub failures: Vec<String>,
}

/// The prefixes that cases begin with.
pub fn prepare(world: &World) {
    world.ok(&["install", "-r", "tool", "old"]);
    world.ok(&["install", "-r", "tool,gadget", "two"]);
    world.publish(&packages("2"), 2);
    world.ok(&["update", "two"]);
    copy(world, "two", "damaged");
    damage(&world.prefix("damaged").join(std::env::consts::ARCH));
}

/// One of each kind of damage: content, a missing file, a link, a directory's mode.
fn damage(tree: &Path) {
    fs::write(tree.join("libexec/tool/data"), "data=9\n").unwrap();
    fs::remove_file(tree.join("libexec/gadget/data")).unwrap();
    fs::remove_file(tree.join("libexec/part/link")).unwrap();
    symlink("nowhere", tree.join("libexec/part/link")).unwrap();
    fs::set_permissions(tree.join("libexec/part"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::remove_file(tree.join("bin/gadget")).unwrap();
    fs::create_dir(tree.join("bin/gadget")).unwrap();
}

/// Every `step`-th call, from the first to the last that any thread makes.
pub fn at_calls(world: &World, case: Case, step: u32) -> Row {
    let mut row = Row::default();
    let mut number = 1;
    while attempt(world, case, Moment::Call(number), &mut row) {
        number += step;
    }
    row
}

/// At every line of progress.
pub fn at_lines(world: &World, case: Case) -> Row {
    let mut row = Row::default();
    let mut number = 1;
    while attempt(world, case, Moment::Line(number), &mut row) {
        number += 1;
    }
    row
}

/// `count` times, spread evenly over a run.
pub fn at_times(world: &World, case: Case, signal: Signal, count: u32) -> Row {
    let mut row = Row::default();
    let (prefix, cache) = start(world, case);
    let begin = Instant::now();
    command(world, case, &prefix, &cache).output().unwrap();
    let whole = begin.elapsed();
    for number in 0..count {
        attempt(world, case, Moment::After(signal, whole * number / count), &mut row);
    }
    row
}

/// Ends one run, looks, and runs again. False when the run was over before the moment.
fn attempt(world: &World, case: Case, moment: Moment, row: &mut Row) -> bool {
    let (prefix, cache) = start(world, case);
    let place = world.prefix(&prefix);
    // A repair begins with damage: a run that is ended may leave some of it, and adds none.
    let known = problems(&place);
    let status = end(world, case, moment, &prefix, &cache);
    let was_ended = !status.success();
    if !was_ended && !matches!(moment, Moment::After(..)) {
        return false;
    }
    row.tries += 1;
    let mut wrong = problems(&place);
    wrong.retain(|problem| !known.contains(problem));
    if let (Moment::After(signal, _), Some(130)) = (moment, status.code()) {
        let left = rubbish(&place);
        let is_left = !left.is_empty() || case.start.is_none() && place.exists();
        if is_left && signal != Signal::KILL {
            wrong.push(format!("left behind after a signal: {left:?}"));
        }
    }
    let again = command(world, case, &prefix, &cache).output().unwrap();
    // What was removed already is not there to be removed.
    let is_done = case.words[0] == "remove"
        && (again.status.code() == Some(2) || !place.join(".elsewhere").exists());
    if !again.status.success() && !is_done {
        wrong.push(format!("the next run failed: {}", text(&again)));
    }
    wrong.extend(problems(&place));
    wrong.extend(rubbish(&place).iter().map(|path| format!("rubbish: {}", path.display())));
    match wrong.is_empty() {
        true => row.whole += 1,
        false => row.failures.push(format!("{} {moment:?}: {}", case.name, wrong.join("; "))),
    }
    true
}

/// The prefix as the case begins with it, and an empty cache: their names.
fn start(world: &World, case: Case) -> (String, String) {
    let name = case.name.replace(' ', "-");
    let (prefix, cache) = (format!("p-{name}"), format!("c-{name}"));
    for directory in [&prefix, &cache] {
        let _ = fs::remove_dir_all(world.prefix(directory));
    }
    if let Some(template) = case.start {
        copy(world, template, &prefix);
    }
    (prefix, cache)
}

fn copy(world: &World, from: &str, to: &str) {
    let places = [world.prefix(from), world.prefix(to)];
    let status = Command::new("cp").arg("-a").args(places).status();
    assert!(status.unwrap().success());
}

fn command(world: &World, case: Case, prefix: &str, cache: &str) -> Command {
    let words = words(case, prefix, cache);
    let mut command = world.command(&words);
    command.current_dir(world.scratch.path());
    command
}

fn words<'a>(case: Case, prefix: &'a str, cache: &'a str) -> Vec<&'a str> {
    let mut words: Vec<&str> = case.words.to_vec();
    if ["install", "update", "verify"].contains(&words[0]) || words.contains(&"-r") {
        words.extend(["--cache-dir", cache]);
    }
    words.push(prefix);
    words
}

/// Starts a run and ends it at the moment.
fn end(world: &World, case: Case, moment: Moment, prefix: &str, cache: &str) -> ExitStatus {
    match moment {
        Moment::Call(number) => {
            let mut strace = Command::new("strace");
            strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={CALLS}"), "-e"]);
            strace.arg(format!("inject={CALLS}:signal=KILL:when={number}"));
            strace.arg(program::path());
            world.complete(&mut strace, &words(case, prefix, cache));
            strace.current_dir(world.scratch.path()).stderr(Stdio::null()).status().unwrap()
        }
        Moment::Line(number) => {
            let mut run =
                command(world, case, prefix, cache).stderr(Stdio::piped()).spawn().unwrap();
            let lines = BufReader::new(run.stderr.take().unwrap()).lines();
            let count = lines.take(number).count();
            if count == number {
                signal(&run, Signal::KILL);
            }
            run.wait().unwrap()
        }
        Moment::After(which, time) => {
            let mut run = command(world, case, prefix, cache)
                .stderr(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(time);
            signal(&run, which);
            let status = run.wait().unwrap();
            let is_expected = matches!(status.code(), Some(0 | 130)) || status.signal().is_some();
            assert!(is_expected, "{} {moment:?}: {status}", case.name);
            status
        }
    }
}

/// Sends a signal to a run that was not waited for yet.
pub fn signal(run: &Child, which: Signal) {
    let pid = Pid::from_raw(i32::try_from(run.id()).unwrap()).unwrap();
    let _ = kill_process(pid, which);
}

/// Whether strace is there and may trace.
pub fn need_strace() {
    let works = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    assert!(works.is_ok_and(|status| status.success()), "install Debian's package strace");
}

/// A world at `name`, ready for the cases.
pub fn world(name: &str) -> World {
    let world = World::new(name);
    prepare(&world);
    world
}
