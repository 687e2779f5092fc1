//! Every step fails in every way: readers have the old tree whole, or the new one, the run says which, and the next run
//! succeeds.

use std::fmt::Write;

use crate::support::cvmfs::Publisher;
use crate::support::scratch::Log;
use crate::work::{Way, assert_counts, publish, seen, with_version_1};

/// What a failure leaves for readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// What was there; the run fails.
    Old,
    /// What was to be there; the run succeeds.
    New,
}

use Left::{New, Old};
use Way::{Ingest, Transaction};

/// A step at which the stand-in fails, in these ways, and what that leaves.
const POINTS: [(Way, &str, &[&str], Left); 28] = [
    (Transaction, "transaction.begin", &["fail", "kill", "term"], Old),
    (Transaction, "transaction.opened", &["kill", "term"], Old),
    (Transaction, "transaction.mounted", &["kill", "term"], Old),
    // The list is asked for again.
    (Transaction, "tag.list", &["fail", "kill"], New),
    // What is killed while it publishes is thrown away and done again.
    (Transaction, "publish.begin", &["kill", "term"], New),
    (Transaction, "publish.begin", &["fail"], Old),
    (Transaction, "publish.dirtab", &["fail"], Old),
    (Transaction, "publish.locked", &["kill", "term"], New),
    (Transaction, "publish.locked", &["fail"], Old),
    (Transaction, "sync.tree", &["fail", "kill"], Old),
    (Transaction, "sync.written", &["fail", "kill"], Old),
    (Transaction, "publish.synced", &["kill", "term"], New),
    (Transaction, "publish.synced", &["fail"], Old),
    (Transaction, "publish.sign", &["fail"], Old),
    (Transaction, "publish.signing", &["kill", "term"], New),
    // Signed is published, whatever comes of the rest.
    (Transaction, "publish.signed", &["fail", "kill", "term"], New),
    (Transaction, "publish.collect", &["fail", "kill"], New),
    (Transaction, "publish.remount", &["fail", "kill"], New),
    (Ingest, "transaction.begin", &["kill"], Old),
    (Ingest, "transaction.opened", &["kill", "term"], Old),
    (Ingest, "ingest.begin", &["fail", "kill", "term"], Old),
    (Ingest, "ingest.locked", &["fail", "kill", "term"], Old),
    (Ingest, "ingest.tree", &["fail", "kill"], Old),
    (Ingest, "ingest.written", &["fail", "kill"], Old),
    (Ingest, "ingest.sign", &["fail", "kill"], Old),
    (Ingest, "ingest.signed", &["kill"], New),
    (Ingest, "ingest.collect", &["fail", "kill"], New),
    (Ingest, "ingest.remount", &["fail", "kill"], New),
];

/// A line of the table.
fn row(publisher: &Publisher, way: Way, what: &str, expected: Left) -> String {
    let before = seen(publisher);
    let log = Log::default();
    let result = publish(publisher, way, 2, &log);
    let left = if seen(publisher) == before { Old } else { New };
    let said = match &result {
        Ok(_) => "published".to_owned(),
        Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
    };
    assert_eq!(left, expected, "{way:?} {what}: {result:?} {:?}", log.warnings());
    assert_eq!(result.is_ok(), expected == New, "{way:?} {what}: {result:?}");
    let is_open = publisher.is_open();
    assert_counts(publisher, if left == Old { 1 } else { 2 });
    publisher.mend();
    // The next run clears what is left, and succeeds.
    let next = publish(publisher, way, 3, &Log::default());
    assert!(next.is_ok(), "{way:?} {what}: {next:?}");
    assert_counts(publisher, 3);
    assert!(!publisher.is_open());
    let transaction = if is_open { "open" } else { "closed" };
    let (way, left) = (format!("{way:?}"), format!("{left:?}"));
    format!("{way:<12} {what:<34} {left:<4} {transaction:<7} published  {said:.70}\n")
}

#[test]
fn after_every_failure_readers_have_a_whole_tree_and_the_next_run_succeeds() {
    let mut table =
        "way          failure                            left transaction next run  said\n"
            .to_owned();
    let mut count = 0;
    for (way, point, actions, expected) in POINTS {
        for action in actions {
            let publisher = with_version_1(way);
            if publisher.is_real() {
                crate::support::tools::missing("failures at points that only the stand-in has");
                return;
            }
            publisher.fault(point, action);
            let what = format!("{point} {action}");
            let line = row(&publisher, way, &what, expected);
            assert!(!publisher.path(&format!("faults/{point}")).exists(), "{what}: not reached");
            table.push_str(&line);
            count += 1;
        }
    }
    writeln!(table, "{count} failures").unwrap();
    println!("{table}");
}

/// Hooks that fail, and what that leaves. Those of aborts need something to be aborted.
const HOOKS: [(Way, &str, Left); 7] = [
    (Transaction, "transaction_before_hook", Old),
    (Transaction, "transaction_after_hook", Old),
    (Transaction, "publish_before_hook", Old),
    (Transaction, "publish_after_hook", New),
    (Ingest, "transaction_after_hook", Old),
    (Ingest, "publish_before_hook", Old),
    (Ingest, "publish_after_hook", New),
];

#[test]
fn hooks_that_fail_leave_a_whole_tree_too() {
    let mut table = String::new();
    for (way, hook, expected) in HOOKS {
        let publisher = with_version_1(way);
        publisher.hook(hook, "return 3");
        table.push_str(&row(&publisher, way, hook, expected));
        publisher.mend();
    }
    println!("{table}");
}

#[test]
fn a_flag_of_a_clock_that_is_behind_is_ones_own_all_the_same() {
    for way in [Transaction, Ingest] {
        let publisher = with_version_1(way);
        let flag = publisher.spool().join("in_transaction.lock");
        let aged = format!("touch -d '3 seconds ago' {}", flag.display());
        // It is killed with the transaction open, and the same run throws that away; then it works.
        publisher.hook("transaction_after_hook", &format!("{aged}; kill -9 $$"));
        publish(&publisher, way, 2, &Log::default()).unwrap_err();
        assert!(!publisher.is_open(), "{way:?}");
        assert_counts(&publisher, 1);
        publisher.hook("transaction_after_hook", &aged);
        let log = Log::default();
        publish(&publisher, way, 3, &log).unwrap();
        assert!(!log.notes().iter().any(|note| note.contains("waiting")), "{:?}", log.notes());
        assert_counts(&publisher, 3);
        publisher.mend();
    }
}

#[test]
fn what_cannot_be_thrown_away_is_said_and_left_to_the_next_run() {
    for (name, point) in
        [("down", "publish.synced"), ("nokey", "publish.synced"), ("", "abort_before_hook")]
    {
        let publisher = with_version_1(Transaction);
        if publisher.is_real() {
            crate::support::tools::missing("aborts that fail, which only the stand-in can");
            return;
        }
        let log = Log::default();
        match name {
            "" => {
                publisher.hook(point, "return 1");
                publisher.fault("publish.locked", "fail");
            }
            // While it publishes the web server, or the key, goes away.
            name => {
                publisher.hook(
                    "publish_before_hook",
                    &format!("touch {}; return 1", publisher.path(name).display()),
                );
            }
        }
        let error = publish(&publisher, Transaction, 2, &log).unwrap_err();
        assert_eq!(error.exit_status(), 13, "{error}");
        assert!(publisher.is_open(), "{name}{point}");
        assert_counts(&publisher, 1);
        let warnings = log.warnings();
        let is_said =
            warnings.iter().any(|it| it.contains("stays open") && it.contains("abort -f"));
        assert!(is_said, "{warnings:?}");
        publisher.mend();
        publish(&publisher, Transaction, 2, &Log::default()).unwrap();
        assert_counts(&publisher, 2);
    }
}

#[test]
fn a_web_server_that_is_away_for_a_moment_is_waited_for() {
    let publisher = with_version_1(Transaction);
    if publisher.is_real() {
        return;
    }
    // It answers the third time that somebody wants the transaction to be thrown away.
    let down = publisher.path("down");
    publisher.hook("publish_before_hook", &format!("echo 2 > {}; return 1", down.display()));
    let mut options = publisher.options();
    options.pause = std::time::Duration::from_millis(1);
    let repository =
        elsewhere::stages::publish::CvmfsRepository::open(&publisher.name, options).unwrap();
    let log = Log::default();
    let done = repository.transact(&crate::work::words(), &log, &mut crate::work::version(2));
    assert!(done.is_err());
    assert!(!down.exists(), "it asked no third time");
    assert!(!publisher.is_open(), "{:?}", log.warnings());
    assert_counts(&publisher, 1);
}

#[test]
fn work_that_fails_is_thrown_away() {
    let publisher = with_version_1(Transaction);
    let repository = publisher.repository();
    let mut work = crate::work::version(2);
    let done = repository.transact(&crate::work::words(), &Log::default(), &mut |open| {
        work(open)?;
        Err::<(), _>(elsewhere::stages::error::Error::Usage("no".to_owned()))
    });
    assert_eq!(done.unwrap_err().to_string(), "no");
    assert!(!publisher.is_open());
    assert_counts(&publisher, 1);
}
