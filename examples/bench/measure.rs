//! Runs programs and says what they took.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Seconds by the clock.
    pub(crate) wall: f64,
    /// Seconds of all processors together, of the program and those that it waited for.
    pub(crate) cpu: f64,
    /// Seconds that other processes took of the processors meanwhile: noise.
    pub(crate) others: f64,
    /// The most memory that it had, in MiB.
    pub(crate) memory: f64,
}

/// Ticks of the kernel's accounts in a second, on every Linux.
const TICKS: f64 = 100.0;

/// Runs `command` to its end, which must be a good one.
pub(crate) fn run(command: &mut Command) -> Run {
    run_to(command, Stdio::null())
}

/// The same, with what it writes on standard output.
pub(crate) fn run_to(command: &mut Command, output: Stdio) -> Run {
    let (busy, own, children) = (busy(), own(), waited());
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped()).spawn();
    let child = child.as_mut().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let status = format!("/proc/{}/status", child.id());
    let mut memory = 0.0;
    let mut looks = 0..;
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        // Not at every look: the program waits while its memory is counted.
        if looks.next().is_some_and(|look: u32| look < 20 || look.is_multiple_of(20)) {
            memory = high_water(&status).unwrap_or(memory);
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let wall = start.elapsed().as_secs_f64();
    let mut errors = String::new();
    let _ = std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut errors);
    assert!(ended.success(), "{command:?}: {errors}");
    let cpu = waited() - children;
    let others = (self::busy() - busy - cpu - (self::own() - own)).max(0.0);
    Run { wall, cpu, others, memory }
}

/// Something that is measured.
pub(crate) type Case<'a> = &'a mut dyn FnMut() -> Run;

/// Runs all `cases` in turn, `count` times, and returns the fastest run of each: what other processes
/// do meanwhile only ever adds.
pub(crate) fn side_by_side(count: usize, cases: &mut [Case<'_>]) -> Vec<Run> {
    let mut fastest: Vec<Run> = cases.iter_mut().map(|case| case()).collect();
    for _ in 1..count {
        for (fastest, case) in fastest.iter_mut().zip(cases.iter_mut()) {
            let run = case();
            let memory = run.memory.max(fastest.memory);
            *fastest = if run.wall < fastest.wall { run } else { *fastest };
            fastest.memory = memory;
        }
    }
    fastest
}

/// The fastest of `count` runs.
pub(crate) fn fastest(count: usize, mut once: impl FnMut() -> Run) -> Run {
    side_by_side(count, &mut [&mut once])[0]
}

fn high_water(status: &str) -> Option<f64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}

/// Seconds that the machine's processors were busy.
fn busy() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap();
    let numbers: Vec<f64> = text
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .skip(1)
        .map(|n| n.parse().unwrap())
        .collect();
    (numbers.iter().take(8).sum::<f64>() - numbers[3] - numbers[4]) / TICKS
}

/// Seconds that this process took: its server.
fn own() -> f64 {
    account(11)
}

/// Seconds that children took which were waited for.
fn waited() -> f64 {
    account(13)
}

fn account(field: usize) -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, rest) = text.rsplit_once(')').unwrap();
    let numbers: Vec<&str> = rest.split_whitespace().collect();
    let number = |field: usize| numbers[field].parse::<f64>().unwrap();
    (number(field) + number(field + 1)) / TICKS
}
