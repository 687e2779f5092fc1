//! A crash of the whole machine: nothing runs, nothing is mounted, and the disk has what it had.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::ended::killed_at;
use crate::others::{impatient, refused};
use crate::support::cvmfs::{NAME, Publisher};
use crate::support::scratch::Log;
use crate::support::tools;
use crate::work::{Way, assert_counts, publish, seen, with_version_1};

/// What became of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Journal {
    Kept,
    /// It is another user's, another machine's, or gone.
    Lost,
    /// It knows the flag as another file, as after the disk came back from a copy.
    Older,
}

/// What the next run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It throws away what is left, and publishes.
    Publishes,
    /// It waits for the transaction of whoever, and says this.
    Refuses(&'static str),
}

use Journal::{Kept, Lost, Older};
use Next::{Publishes, Refuses};

/// The server's own words.
const ANOTHERS: Next = Refuses("is in a transaction and cannot be repaired");
const UNKNOWN: Next = Refuses("a run of elsewhere opened it");

/// Where the machine was, what became of the journal, and what comes of it.
const CRASHES: [(Way, &str, Journal, Next); 14] = [
    // Open, and the server had not answered: nothing is marked.
    (Way::Transaction, "transaction.opened", Kept, Publishes),
    (Way::Transaction, "transaction.opened", Lost, ANOTHERS),
    // Open and marked.
    (Way::Transaction, "tag.list", Kept, Publishes),
    (Way::Transaction, "tag.list", Older, Publishes),
    (Way::Transaction, "tag.list", Lost, UNKNOWN),
    // Publishing: the mark is gone before.
    (Way::Transaction, "publish.locked", Kept, Publishes),
    (Way::Transaction, "publish.locked", Older, ANOTHERS),
    (Way::Transaction, "publish.locked", Lost, ANOTHERS),
    // Published, and the flag is still there.
    (Way::Transaction, "publish.signed", Kept, Publishes),
    (Way::Transaction, "publish.signed", Lost, ANOTHERS),
    (Way::Ingest, "ingest.begin", Kept, Publishes),
    (Way::Ingest, "ingest.tree", Kept, Publishes),
    (Way::Ingest, "ingest.tree", Lost, Refuses("another transaction is open")),
    (Way::Ingest, "ingest.signed", Kept, Publishes),
];

/// The journal's file.
fn journal(publisher: &Publisher) -> PathBuf {
    let entries = fs::read_dir(publisher.path("state")).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths.find(|path| path.extension().is_none_or(|it| it != "lock")).unwrap()
}

#[test]
fn after_a_crash_of_the_machine_the_old_tree_is_whole_and_the_next_run_knows_whose_it_was() {
    let mut table = String::new();
    for (way, point, kept, next) in CRASHES {
        let publisher = with_version_1(way);
        if publisher.is_real() {
            return tools::missing("crashes of the machine at points that only the stand-in has");
        }
        let before = seen(&publisher);
        killed_at(&publisher, way, point);
        publisher.crash();
        match kept {
            Kept => {}
            Lost => fs::remove_dir_all(publisher.path("state")).unwrap(),
            Older => {
                let path = journal(&publisher);
                let text = fs::read_to_string(&path).unwrap();
                let other = text.replace("\"inode\":", "\"inode\":1");
                assert_ne!(text, other, "{text}");
                fs::write(path, other).unwrap();
            }
        }
        let what = format!("{way:<12?} {point:<20} journal {kept:<6?}");
        let counts = if point.ends_with("signed") { 2 } else { 1 };
        assert_counts(&publisher, counts);
        assert!(counts == 2 || seen(&publisher) == before, "{what}");
        let left = seen(&publisher);
        let told = match next {
            Publishes => "publishes".to_owned(),
            Refuses(words) => {
                let repository = impatient(&publisher, Duration::from_millis(200));
                let error = refused(&repository, way, &Log::default());
                assert_eq!(error.exit_status(), 9, "{what}: {error}");
                assert!(error.to_string().contains(words), "{what}: {error}");
                assert!(
                    words != "a run of elsewhere opened it"
                        || error.to_string().contains("abort -f")
                );
                // It is somebody's, and not touched.
                assert!(publisher.is_open() && seen(&publisher) == left, "{what}");
                publisher.must(&["abort", "-f", NAME]);
                format!("refuses: {words}; once it is thrown away, publishes")
            }
        };
        publish(&publisher, way, 3, &Log::default()).unwrap();
        assert_counts(&publisher, 3);
        assert!(!publisher.is_open(), "{what}");
        let readers = if counts == 2 { "new" } else { "old" };
        table.push_str(&format!("{what} readers: {readers}  next run {told}\n"));
    }
    println!("{table}");
}

#[test]
fn anothers_transaction_outlives_a_crash_and_is_not_touched_by_an_old_journal() {
    for way in [Way::Transaction, Way::Ingest] {
        let publisher = with_version_1(way);
        if publisher.is_real() {
            return tools::missing("a crash of the machine, which only the stand-in has");
        }
        killed_at(&publisher, way, if way == Way::Ingest { "ingest.tree" } else { "tag.list" });
        // Somebody cleared up by hand, and opened one.
        publisher.must(&["abort", "-f", NAME]);
        publisher.open_as_another();
        publisher.crash();
        let foreign = publisher.spool().join("scratch/current/foreign");
        let repository = impatient(&publisher, Duration::from_millis(200));
        let error = refused(&repository, way, &Log::default());
        assert_eq!(error.exit_status(), 9, "{error}");
        assert!(publisher.is_open() && foreign.exists());
        assert_counts(&publisher, 1);
    }
}

#[test]
fn a_repository_that_is_not_mounted_is_mounted_before_anything_is_planned() {
    let publisher = with_version_1(Way::Transaction);
    if publisher.is_real() {
        return tools::missing("a repository that is not mounted, which only the stand-in has");
    }
    let empty = || fs::read_dir(publisher.union()).unwrap().next().is_none();
    publisher.crash();
    assert!(empty());
    let log = Log::default();
    publisher.repository().settle(&log).unwrap();
    assert!(!empty() && !publisher.is_open());
    assert!(log.notes().iter().any(|note| note.contains("it is not mounted")), "{:?}", log.notes());
    // Where it is, nothing is opened.
    publisher.fault("transaction.begin", "fail");
    publisher.repository().settle(&Log::default()).unwrap();
    publisher.mend();
    publish(&publisher, Way::Transaction, 2, &Log::default()).unwrap();
    assert_counts(&publisher, 2);
}
