//! Ends runs of `elsewhere` at every moment that can matter, and prints how often what they left was
//! whole: `cargo build && cargo run --example crash [STEP [TIMES [COMMAND]]]`. STEP 1, the default, kills at
//! every call that changes the disk; TIMES runs per signal are ended at times spread over the run.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a failure here should stop the program"
)]

#[path = "../tests/crash/driver.rs"]
#[allow(dead_code, unreachable_pub)]
mod driver;
#[path = "../tests/support/mod.rs"]
mod support;

use driver::{CASES, Row};
use rustix::process::Signal;

fn main() {
    driver::need_strace();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| words.get(at).map_or(default, |word| word.parse().unwrap());
    let (step, times) = (number(0, 1), number(1, 20));
    let world = driver::world("crash-table");
    println!("| command | ended by | tries | whole afterwards |\n|---|---|---|---|");
    let mut failures = Vec::new();
    let mut tell = |name: &str, by: &str, row: Row| {
        println!("| {name} | {by} | {} | {} |", row.tries, row.whole);
        failures.extend(row.failures);
    };
    let is_wanted = |case: &driver::Case| words.get(2).is_none_or(|name| name == case.name);
    for case in CASES.into_iter().filter(is_wanted) {
        tell(
            case.name,
            "kill -9 at a call that changes the disk",
            driver::at_calls(&world, case, step),
        );
        tell(case.name, "kill -9 between two stages", driver::at_lines(&world, case));
        for (signal, by) in [
            (Signal::KILL, "kill -9 at times"),
            (Signal::TERM, "SIGTERM at times"),
            (Signal::HUP, "SIGHUP at times"),
            (Signal::INT, "Ctrl-C at times"),
        ] {
            tell(case.name, by, driver::at_times(&world, case, signal, times));
        }
    }
    failures.iter().for_each(|failure| println!("{failure}"));
    assert!(failures.is_empty(), "{} failures", failures.len());
}
