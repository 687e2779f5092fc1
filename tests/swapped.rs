//! Files that a neighbour swaps while they are read: at every call that looks at a file of the mirror, of
//! the cache, of a lock or of a package that lies beside, the run is held, the file becomes another one,
//! and the run goes on. What was verified must be what is used.
//!
//! `ELSEWHERE_NEIGHBOURS=all cargo test --features real-tools --test swapped -- --nocapture` goes through all
//! moments and prints their number; otherwise it is a sample.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use elsewhere::stages::model::Checksum;
use rustix::process::{Pid, Signal, kill_process};
use support::rpms::File;
use support::server::Server;
use support::small::{Small, World, launch, packages, problems, text};
use support::{program, tools};

/// More than any run takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Calls between which a file may change.
const CALLS: &str = "openat,statx,newfstatat,fstat,read,pread64,lseek,mmap,copy_file_range,close";

/// What is in no file but the neighbour's.
const MARK: &[u8] = b"of the neighbour";

/// How a file becomes another one.
#[derive(Clone, Copy, Debug)]
enum Swap {
    /// Another file takes its name.
    Renamed,
    /// The same file gets another content.
    Overwritten,
}

/// A command, and whose files are swapped.
struct Case {
    name: &'static str,
    words: &'static [&'static str],
    /// Which prefix it begins with, if any.
    start: Option<&'static str>,
    /// Whether the cache has everything.
    is_warm: bool,
    /// Whether the mirror is reached over the network.
    is_served: bool,
    /// Where files are swapped.
    directory: &'static str,
}

const CASES: [Case; 8] = [
    Case {
        name: "install from a directory",
        words: &["install", "-r", "tool,gadget"],
        start: None,
        is_warm: false,
        is_served: false,
        directory: "mirror",
    },
    Case {
        name: "install from a cache",
        words: &["install", "-r", "tool,gadget"],
        start: None,
        is_warm: true,
        is_served: true,
        directory: "c",
    },
    Case {
        name: "install from a cache's packages",
        words: &["install", "--no-store", "-r", "tool,gadget"],
        start: None,
        is_warm: true,
        is_served: true,
        directory: "c",
    },
    Case {
        name: "update from a cache",
        words: &["update"],
        start: Some("old"),
        is_warm: true,
        is_served: true,
        directory: "c",
    },
    Case {
        name: "install what a lock names",
        words: &["install", "--lock", "locked/it"],
        start: None,
        is_warm: true,
        is_served: true,
        directory: "locked",
    },
    Case {
        name: "install what lies beside",
        words: &["install", "-r", "tool", "-v", "beside/tool.rpm"],
        // What the file needs is there: it does not say it.
        start: Some("gadget"),
        is_warm: true,
        is_served: true,
        directory: "beside",
    },
    Case {
        name: "verify --deep",
        words: &["verify", "--deep"],
        start: Some("new"),
        is_warm: true,
        is_served: true,
        directory: "c",
    },
    Case {
        name: "verify --repair",
        words: &["verify", "--repair"],
        start: Some("damaged"),
        is_warm: true,
        is_served: true,
        directory: "c",
    },
];

/// What is tried, and what the neighbour has for it.
struct Trial {
    world: World,
    server: Server,
    /// By the digest of a file of the mirror: what the neighbour's has in its place.
    others: BTreeMap<Checksum, Vec<u8>>,
}

/// The packages of a neighbour: the same names, other contents.
fn others() -> Vec<Small> {
    let mut others = packages("2");
    for small in &mut others {
        for file in &mut small.package.files {
            if file.link.is_empty() {
                file.data.extend_from_slice(b"# ");
                file.data.extend_from_slice(MARK);
                file.data.push(b'\n');
            }
        }
        small.package.files.push(File::regular("/usr/libexec/part/more", MARK));
    }
    others
}

/// The regular files below `directory`.
fn regular_files(directory: &Path) -> Vec<PathBuf> {
    let is_regular = |path: &PathBuf| fs::symlink_metadata(path).unwrap().is_file();
    tools::files_below(directory).into_iter().filter(is_regular).collect()
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    tools::run(Command::new("cp").arg("-a").args([from, to]));
}

impl Trial {
    fn new(name: &str) -> Self {
        let world = World::new(name);
        world.ok(&["install", "-r", "tool,gadget", "old"]);
        world.ok(&["install", "-r", "gadget", "gadget"]);
        world.publish(&packages("2"), 2);
        let neighbour = World::new(&format!("{name}-neighbour"));
        neighbour.publish(&others(), 3);
        let mut others = BTreeMap::new();
        for path in regular_files(&world.mirror()) {
            let other = neighbour.mirror().join(path.strip_prefix(world.mirror()).unwrap());
            if let Ok(bytes) = fs::read(other) {
                others.insert(Checksum::of(&fs::read(&path).unwrap()), bytes);
            }
        }
        let server = Server::start(world.mirror());
        let trial = Self { world, server, others };
        let url = trial.server.url();
        let (world, cache) = (&trial.world, ["--mirror", &url, "--cache-dir", "warm"]);
        world.ok(&[&["install", "-r", "tool,gadget"], cache.as_slice(), &["new"]].concat());
        let plan = ["plan", "-d", "small", "-r", "tool", "--lock", "it"];
        world.ok(&[plan.as_slice(), cache.as_slice()].concat());
        fs::create_dir(world.place("template-locked")).unwrap();
        fs::rename(world.place("it"), world.place("template-locked/it")).unwrap();
        fs::create_dir(world.place("template-beside")).unwrap();
        let tool = format!("mirror/small.test/{}/tool-2-1.el8.noarch.rpm", tools::host_arch());
        fs::copy(world.place(&tool), world.place("template-beside/tool.rpm")).unwrap();
        copy(&world.place("new"), &world.place("damaged"));
        let data = format!("damaged/{}/libexec/tool/data", tools::host_arch());
        fs::write(world.place(&data), "damaged\n").unwrap();
        copy(&world.mirror(), &world.place("template-mirror"));
        trial
    }

    /// Everything as the case begins with it.
    fn prepare(&self, case: &Case) {
        for name in ["p", "c"] {
            let _ = fs::remove_dir_all(self.world.place(name));
        }
        if let Some(start) = case.start {
            copy(&self.world.place(start), &self.world.place("p"));
        }
        if case.is_warm {
            copy(&self.world.place("warm"), &self.world.place("c"));
        }
        if case.directory != "c" {
            let template = self.world.place(&format!("template-{}", case.directory));
            copy(&template, &self.world.place(case.directory));
        }
    }

    /// The case's run below strace, which writes the calls that look at `path` into `log`, and holds the run
    /// after one of them.
    fn traced(&self, case: &Case, path: &Path, held_at: Option<usize>, log: &Path) -> Command {
        let mut strace = Command::new(tools::need("strace", "strace"));
        strace.args(["-f", "-qq", "-e", &format!("trace={CALLS}"), "-o"]).arg(log);
        // By its name too: it may be opened below an open directory.
        strace.arg("-P").arg(path).arg("-P").arg(path.file_name().unwrap());
        if let Some(number) = held_at {
            strace.args(["-e", &format!("inject={CALLS}:signal=STOP:when={number}")]);
        }
        strace.arg(program::path());
        let url = self.server.url();
        let mut words = case.words.to_vec();
        words.extend(["--cache-dir", "c"]);
        if case.is_served {
            words.extend(["--mirror", &url]);
        }
        words.push("p");
        self.world.complete(&mut strace, &words);
        strace.current_dir(self.world.scratch.path());
        strace.stdout(Stdio::null()).stderr(Stdio::null());
        strace
    }

    /// How often the case looks at `path`.
    fn looks(&self, case: &Case, path: &Path) -> usize {
        self.prepare(case);
        let log = self.world.place("log");
        let output = self.traced(case, path, None, &log).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{}: {}", case.name, text(&output));
        // Of the kind that is called most.
        let text = fs::read_to_string(log).unwrap();
        let called = |call: &str| text.matches(&format!(" {call}(")).count();
        CALLS.split(',').map(called).max().unwrap_or(0)
    }

    fn swap(&self, path: &Path, swap: Swap) {
        // What the run has done with it meanwhile is its own affair.
        let Ok(bytes) = fs::read(path) else { return };
        let mut other = self.others.get(&Checksum::of(&bytes)).cloned().unwrap_or_else(|| {
            let mut other = bytes.clone();
            if let Some(byte) = other.get_mut(bytes.len() / 2) {
                *byte ^= 1;
            }
            other
        });
        match swap {
            Swap::Renamed => {
                let new = self.world.place("swapped");
                fs::write(&new, &other).unwrap();
                fs::rename(new, path).unwrap();
            }
            Swap::Overwritten => {
                // As long as it was, where that can be.
                if other.len() < bytes.len() {
                    other.resize(bytes.len(), 0);
                }
                let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
                file.write_all(&other).unwrap();
            }
        }
    }

    /// Swaps `path` at one moment; what is wrong then.
    fn at(&self, case: &Case, path: &Path, moment: usize, how: Swap) -> Option<String> {
        self.prepare(case);
        let log = self.world.place("log");
        let _ = fs::remove_file(&log);
        let mut run = self.traced(case, path, Some(moment), &log).spawn().unwrap();
        let begin = Instant::now();
        let mut stops = 0;
        let status = loop {
            if let Some(status) = run.try_wait().unwrap() {
                break status;
            }
            if begin.elapsed() > PATIENCE {
                run.kill().unwrap();
                run.wait().unwrap();
                return Some("does not end".to_owned());
            }
            // strace counts each kind of call by itself, and so stops several times.
            if let Some(thread) = held(&log, stops) {
                if stops == 0 {
                    self.swap(path, how);
                }
                stops += 1;
                kill_process(thread, Signal::CONT).unwrap();
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let prefix = self.world.place("p");
        match status.code() {
            None | Some(1 | 101) => return Some(format!("ends with {status}")),
            Some(0) if case.words[0] != "verify" || case.words[1] == "--repair" => {
                if launch(&prefix, "tool") != Some("tool 2 part 1".to_owned()) {
                    return Some("ends well, without the tool".to_owned());
                }
            }
            Some(_) => {}
        }
        if case.start != Some("damaged") {
            let problems = problems(&prefix);
            if !problems.is_empty() {
                return Some(problems.join("; "));
            }
        }
        let is_marked = |path: &PathBuf| {
            fs::read(path).unwrap().windows(MARK.len()).any(|window| window == MARK)
        };
        let marked = if prefix.exists() { regular_files(&prefix) } else { Vec::new() };
        marked.into_iter().find(is_marked).map(|path| format!("{} is another's", path.display()))
    }
}

/// The thread that was stopped after so many stops before, once the whole run is held.
fn held(log: &Path, stops: usize) -> Option<Pid> {
    let text = fs::read_to_string(log).ok()?;
    let (_, rest) =
        text.match_indices("--- SIGSTOP {").nth(stops).map(|(at, _)| text.split_at(at))?;
    let line = rest.lines().find(|line| line.contains("--- stopped by SIGSTOP ---"))?;
    Pid::from_raw(line.split(' ').next()?.parse().ok()?)
}

#[test]
fn what_was_verified_is_what_is_used() {
    let trial = Trial::new("swapped");
    let whole = std::env::var("ELSEWHERE_NEIGHBOURS").is_ok_and(|value| value == "all");
    // Prime, so that each case and each way has its turn.
    let step = if whole { 1 } else { 7 };
    let (mut number, mut all, mut failures) = (0, 0, Vec::new());
    for case in &CASES {
        trial.prepare(case);
        let files = match case.directory {
            // One architecture's are looked at, and its key.
            "mirror" => {
                let other =
                    |path: &PathBuf| path.components().any(|it| it.as_os_str() == "aarch64");
                let files = regular_files(&trial.world.mirror());
                files.into_iter().filter(|path| !other(path)).collect()
            }
            name => regular_files(&trial.world.place(name)),
        };
        let mut tried = 0;
        for path in &files {
            let looks = trial.looks(case, path);
            for moment in 1..=looks {
                for how in [Swap::Renamed, Swap::Overwritten] {
                    number += 1;
                    if number % step != 0 {
                        continue;
                    }
                    tried += 1;
                    if let Some(problem) = trial.at(case, path, moment, how) {
                        let name = path.file_name().unwrap().display();
                        failures.push(format!(
                            "{}: {name} {how:?} at look {moment} of {looks}: {problem}",
                            case.name
                        ));
                    }
                }
            }
        }
        println!("{}: {} files, {tried} tries", case.name, files.len());
        all += tried;
    }
    println!("{number} moments, {all} tried, {} failures", failures.len());
    assert!(all > 10, "{all}");
    assert!(failures.is_empty(), "{failures:#?}");
}
