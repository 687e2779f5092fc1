//! Runs that are ended: by the user, or by SIGKILL, of ours or of the server.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use elsewhere::stages::publish::CvmfsRepository;
use rustix::process::{Pid, Signal};

use crate::support::cvmfs::{NAME, Publisher};
use crate::support::scratch::Log;
use crate::support::tools;
use crate::work::{Way, assert_counts, publish, seen, version, with_version_1, words};

/// Where a run stands when it is ended, and what readers then have.
const POINTS: [(Way, &str, u32); 10] = [
    (Way::Transaction, "transaction.begin", 1),
    (Way::Transaction, "transaction.opened", 1),
    (Way::Transaction, "publish.begin", 1),
    (Way::Transaction, "publish.locked", 1),
    (Way::Transaction, "sync.written", 1),
    (Way::Transaction, "publish.sign", 1),
    (Way::Transaction, "publish.signed", 2),
    (Way::Ingest, "ingest.begin", 1),
    (Way::Ingest, "ingest.tree", 1),
    (Way::Ingest, "ingest.signed", 2),
];

#[test]
fn whoever_ends_a_run_finds_what_was_there() {
    for (way, point, number) in POINTS {
        let publisher = with_version_1(way);
        if publisher.is_real() {
            return tools::missing("runs ended at points that only the stand-in has");
        }
        publisher.fault(point, "wait");
        let log = Log::default();
        let result = thread::scope(|scope| {
            scope.spawn(|| {
                publisher.wait_for_the_point();
                log.cancelled.store(true, Ordering::SeqCst);
            });
            publish(&publisher, way, 2, &log)
        });
        match number {
            1 => assert!(result.as_ref().unwrap_err().is_cancelled(), "{point}: {result:?}"),
            _ => assert!(result.is_ok(), "{point}: {result:?}"),
        }
        assert!(!publisher.is_open(), "{point}");
        assert_counts(&publisher, number);
        publisher.mend();
        publish(&publisher, way, 3, &Log::default()).unwrap();
        assert_counts(&publisher, 3);
    }
}

/// One publication in a process of its own, which another test kills: `CVMFS_ROOT` is where its stand-in is.
#[test]
#[ignore = "a part of another test"]
#[expect(clippy::disallowed_methods, reason = "the other test says so what it wants")]
fn as_a_process_of_its_own() {
    let publisher = Publisher::at(std::env::var_os("CVMFS_ROOT").unwrap().as_ref());
    let way = match std::env::var("CVMFS_WAY").unwrap().as_str() {
        "Ingest" => Way::Ingest,
        _ => Way::Transaction,
    };
    let _ = publish(&publisher, way, 2, &Log::default());
    std::mem::forget(publisher);
}

#[test]
fn whoever_is_killed_leaves_the_old_tree_whole_and_the_next_run_succeeds() {
    let mut table = String::new();
    // The server goes on, and is waited for; or it is killed, too.
    for (way, point, _) in POINTS {
        for both in [false, true] {
            let publisher = with_version_1(way);
            if publisher.is_real() {
                return tools::missing("runs killed at points that only the stand-in has");
            }
            let before = seen(&publisher);
            publisher.fault(point, if both { "wait" } else { "pause" });
            let mut run = start(&publisher, way);
            publisher.wait_for_the_point();
            if both {
                end_servers(&publisher);
            }
            run.kill().unwrap();
            run.wait().unwrap();
            let left = seen(&publisher);
            if point.ends_with("signed") {
                assert_counts(&publisher, 2);
            } else {
                assert!(left == before || !both, "{point}");
                assert_counts(&publisher, 1);
            }
            let log = Log::default();
            thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(Duration::from_millis(200));
                    publisher.scratch.write("go", "");
                });
                publish(&publisher, way, 3, &log).unwrap();
            });
            assert_counts(&publisher, 3);
            assert!(!publisher.is_open());
            let notes = log.notes().join("; ").replace(NAME, "it");
            let also = if both { "us and it" } else { "us" };
            table.push_str(&format!("{way:<12?} {point:<20} kill -9 of {also:<10} {notes:.90}\n"));
        }
    }
    println!("{table}");
}

#[test]
fn what_the_server_started_and_outlives_it_is_waited_for() {
    let publisher = with_version_1(Way::Ingest);
    if publisher.is_real() {
        return tools::missing("runs killed at points that only the stand-in has");
    }
    publisher.fault("ingest.tree", "pause");
    let mut run = start(&publisher, Way::Ingest);
    publisher.wait_for_the_point();
    // With it goes the server, and what unpacks the archive stays.
    run.kill().unwrap();
    run.wait().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_secs(3));
            publisher.scratch.write("go", "");
        });
        publish(&publisher, Way::Ingest, 3, &Log::default()).unwrap();
        assert!(publisher.path("go").exists(), "it did not wait");
    });
    assert_counts(&publisher, 3);
}

#[test]
fn the_server_of_another_directory_is_not_waited_for() {
    let publisher = with_version_1(Way::Transaction);
    if publisher.is_real() {
        return tools::missing("runs killed at points that only the stand-in has");
    }
    // It publishes a repository of the same name, and has nothing to do with this one.
    let other = publisher.scratch.write("other/bin/cvmfs_server", "#!/bin/sh\nsleep 600; :\n");
    std::fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut other = Command::new(other).args(["publish", NAME]).process_group(0).spawn().unwrap();
    killed_at(&publisher, Way::Transaction, "publish.locked");
    // Those of this one that were killed may need a moment to be gone.
    let began = std::time::Instant::now();
    publish(&publisher, Way::Transaction, 3, &Log::default()).unwrap();
    let pid = Pid::from_child(&other);
    rustix::process::kill_process_group(pid, Signal::KILL).unwrap();
    other.wait().unwrap();
    assert!(began.elapsed() < publisher.options().wait, "{:?}", began.elapsed());
    assert_counts(&publisher, 3);
}

/// Kills a run of ours and the server, where that stands at this point.
pub(crate) fn killed_at(publisher: &Publisher, way: Way, point: &str) {
    publisher.fault(point, "wait");
    let mut run = start(publisher, way);
    publisher.wait_for_the_point();
    end_servers(publisher);
    run.kill().unwrap();
    run.wait().unwrap();
    publisher.mend();
}

/// Starts a run in a process of its own.
fn start(publisher: &Publisher, way: Way) -> Child {
    let mut run = Command::new(std::env::current_exe().unwrap());
    run.args(["--exact", "ended::as_a_process_of_its_own", "--ignored", "--nocapture"]);
    run.env("CVMFS_ROOT", publisher.scratch.path()).env("CVMFS_WAY", format!("{way:?}"));
    run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills what runs of a stand-in.
pub(crate) fn end_servers(publisher: &Publisher) {
    let bin = publisher.path("bin").to_string_lossy().into_owned();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let is_its = String::from_utf8_lossy(&line).contains(&bin);
        let number = entry.file_name().to_string_lossy().parse::<i32>();
        if let (true, Ok(number)) = (is_its, number) {
            let pid = Pid::from_raw(number).unwrap();
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

#[test]
fn what_is_killed_time_and_again_is_given_up() {
    let publisher = with_version_1(Way::Transaction);
    if publisher.is_real() {
        return;
    }
    publisher.hook("publish_before_hook", "kill -9 $$");
    let error = publish(&publisher, Way::Transaction, 2, &Log::default()).unwrap_err();
    assert!(error.to_string().contains("time and again"), "{error}");
    assert_eq!(error.exit_status(), 13);
    assert!(!publisher.is_open());
    assert_counts(&publisher, 1);
}

#[test]
fn runs_beside_each_other_wait_for_each_other() {
    let publisher = with_version_1(Way::Transaction);
    thread::scope(|scope| {
        for number in 2..6 {
            let publisher = &publisher;
            scope.spawn(move || {
                let repository = CvmfsRepository::open(&publisher.name, publisher.options());
                let log = Log::default();
                let done = repository.unwrap().transact(&words(), &log, &mut version(number));
                done.unwrap();
            });
        }
    });
    let seen = seen(&publisher);
    assert!((1..6).all(|number| seen.contains_key(&format!("/{number}/bin/tool"))), "{seen:#?}");
}
