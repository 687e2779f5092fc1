//! kill -9, signals, full disks: whatever ends a run, what is live stays whole, and the next run
//! succeeds and leaves nothing over (`make test`). `cargo run --example crash` does the same at every
//! moment, and prints a table.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

#[path = "crash/driver.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, clippy::disallowed_methods)]
mod driver;
#[path = "crash/space.rs"]
mod space;

use std::time::{Duration, Instant};

use driver::{CASES, Row};
use rustix::process::Signal;
use support::server::{Fault, Server};

fn check(row: &Row) {
    assert!(row.failures.is_empty(), "{}", row.failures.join("\n"));
    assert_eq!(row.whole, row.tries);
    assert!(row.tries > 1, "it was not ended");
}

#[test]
fn killed_at_calls_that_change_the_disk() {
    driver::need_strace();
    let world = driver::world("crash-calls");
    // The example goes through all of them; these are a sample.
    for (case, step) in CASES.into_iter().zip([11, 11, 11, 11, 3, 5, 11, 7, 5]) {
        check(&driver::at_calls(&world, case, step));
    }
}

#[test]
fn killed_between_two_stages() {
    let world = driver::world("crash-lines");
    for case in [CASES[0], CASES[3]] {
        check(&driver::at_lines(&world, case));
    }
}

#[test]
fn signals_leave_nothing_behind() {
    let world = driver::world("crash-signals");
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        check(&driver::at_times(&world, CASES[0], signal, 4));
        check(&driver::at_times(&world, CASES[3], signal, 4));
    }
}

#[test]
fn a_stalled_download_can_be_interrupted() {
    let world = driver::world("crash-stall");
    let server = Server::start(world.scratch.path().join("mirror"));
    let stalled = "/small.test/x86_64/tool-2-1.el8.noarch.rpm";
    server.fault(stalled, Fault::stall());
    let words = ["install", "-r", "tool", "--mirror", &server.url(), "--cache-dir", "c", "p"];
    // Threads fetch, and threads unpack: which of them learns first that it is over must not matter.
    for tries in 1..=40 {
        let mut run = world.command(&words).current_dir(world.scratch.path()).spawn().unwrap();
        let begin = Instant::now();
        while server.count(stalled) < tries {
            assert!(begin.elapsed() < Duration::from_secs(60), "it asks for the package");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(if tries == 1 { 2000 } else { 50 }));
        assert_eq!(run.try_wait().unwrap(), None, "it waits for the server");
        let begin = Instant::now();
        driver::signal(&run, Signal::INT);
        assert_eq!(run.wait().unwrap().code(), Some(130), "try {tries}");
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
        assert!(!world.prefix("p").exists());
    }
}
