//! Others: who has a transaction open, or files; and what is said on the way.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

use elsewhere::stages::error::Error;
use elsewhere::stages::publish::{CvmfsOptions, CvmfsRepository, Revision, Words};

use crate::support::cvmfs::Publisher;
use crate::support::scratch::Log;
use crate::work::{Way, assert_counts, path, publish, version, with_version_1, words};

/// With little time to wait.
pub(crate) fn impatient(publisher: &Publisher, wait: Duration) -> CvmfsRepository {
    let options = CvmfsOptions { wait, ..publisher.options() };
    CvmfsRepository::open(&publisher.name, options).unwrap()
}

/// What a run says that cannot publish.
pub(crate) fn refused(repository: &CvmfsRepository, way: Way, log: &Log) -> Error {
    match way {
        Way::Transaction => {
            repository.transact(&words(), log, &mut version(2)).map(drop).unwrap_err()
        }
        Way::Ingest => repository.delete(&[path("sw/tool/1")], &words(), log).unwrap_err().into(),
    }
}

#[test]
fn anothers_transaction_is_waited_for_and_never_touched() {
    for way in [Way::Transaction, Way::Ingest] {
        let publisher = with_version_1(way);
        publisher.open_as_another();
        let began = std::time::Instant::now();
        let repository = impatient(&publisher, Duration::from_millis(600));
        let log = Log::default();
        let error = refused(&repository, way, &log);
        assert_eq!(error.exit_status(), 9, "{error}");
        assert!(began.elapsed() >= Duration::from_millis(600));
        assert!(log.notes().iter().any(|note| note.contains("another transaction")));
        // Another run, and one of those that the other ends meanwhile.
        assert!(publisher.is_open() && publisher.union().join("foreign").exists());
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                publisher.must(&["publish", &publisher.name]);
            });
            publish(&publisher, way, 2, &Log::default()).unwrap();
        });
        assert_counts(&publisher, 2);
        assert!(publisher.readers_see("").contains_key("/foreign"), "the other one's is published");
        publisher.must(&["transaction", &publisher.name]);
        fs::remove_file(publisher.union().join("foreign")).unwrap();
        publisher.must(&["publish", &publisher.name]);
    }
}

#[test]
fn who_sits_in_the_repository_is_waited_for_and_named() {
    for way in [Way::Transaction, Way::Ingest] {
        let publisher = with_version_1(way);
        let mut sitting = publisher.sit_inside();
        let number = sitting.id();
        let repository = impatient(&publisher, Duration::from_millis(400));
        let error = refused(&repository, way, &Log::default());
        assert_eq!(error.exit_status(), 9, "{error}");
        assert!(error.to_string().contains(&format!("process {number} (sleep)")), "{error}");
        assert!(!publisher.is_open(), "what it left open is thrown away");
        assert_counts(&publisher, 1);
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                sitting.kill().unwrap();
                sitting.wait().unwrap();
            });
            publish(&publisher, way, 2, &Log::default()).unwrap();
        });
        assert_counts(&publisher, 2);
    }
}

#[test]
fn a_file_that_stays_open_is_found() {
    let publisher = with_version_1(Way::Transaction);
    let repository = impatient(&publisher, Duration::from_millis(300));
    let mut files = Vec::new();
    let done = repository.transact(&words(), &Log::default(), &mut |open| {
        files.push(fs::File::create(open.root().join("open")).unwrap());
        Ok(())
    });
    drop(files);
    assert_eq!(done.unwrap_err().exit_status(), 9);
    assert!(!publisher.is_open());
    assert_counts(&publisher, 1);
}

#[test]
fn what_is_said_of_a_revision() {
    let publisher = with_version_1(Way::Transaction);
    let log = Log::default();
    let first = publish(&publisher, Way::Transaction, 2, &log).unwrap();
    let second = publish(&publisher, Way::Transaction, 3, &log).unwrap();
    assert_eq!(first.after, second.before);
    assert_eq!(second.revision, first.revision + 1);
    assert_ne!(first.after, first.before);
    let tag = |revision: &Revision| revision.tag.clone().unwrap();
    assert!(tag(&first).starts_with("elsewhere-test-"), "{first:?}: the tag was taken");
    assert!(second.seconds > 0.0);
    if !publisher.is_real() {
        // What no version changes is stored once: the catalog, and what is new.
        assert_eq!(second.objects, Some(2));
        assert!(second.bytes.is_some());
    }
    let tags = publisher.must(&["tag", "-l", "-x", &publisher.name]);
    assert!(tags.contains("a version __touch"), "{tags}");
    assert!(
        !fs::read_dir("/").unwrap().any(|it| it
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains(".ran"))
    );
    let collecting = publisher.repository().collecting().unwrap();
    assert!(collecting.tags.contains(&"elsewhere-test".to_owned()), "{collecting:?}");
    assert!(!collecting.tags.contains(&tag(&second)), "it is what is published");
    let commands = collecting.commands.join("\n");
    assert!(commands.contains(&format!("tag -f -r {} ", tag(&first))), "{commands}");
    assert_eq!(collecting.is_allowed, commands.contains("gc -f -r 0"), "{commands}");
    for command in collecting.commands {
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        publisher.must(&words);
    }
    assert_counts(&publisher, 3);
}

#[test]
fn nothing_is_done_from_within_or_for_what_is_not_published_here() {
    let publisher = Publisher::stand_in("");
    let open = |name: &str| CvmfsRepository::open(name, publisher.options());
    assert!(open("other.example.org").unwrap_err().to_string().contains("server.conf"));
    for name in ["-f", "a b", "x/../y", "$(id)"] {
        assert!(open(name).is_err(), "{name}");
    }
    assert!(Words::new("two words", "").is_err());
    assert!(CvmfsOptions::found(&[publisher.path("none")], publisher.path("state")).is_err());
}

#[test]
fn the_journal_is_the_users_alone_and_gone_at_the_end() {
    let publisher = with_version_1(Way::Transaction);
    let state = publisher.path("state");
    assert_eq!(fs::metadata(&state).unwrap().mode() & 0o777, 0o700);
    let names = || -> Vec<String> {
        let entries = fs::read_dir(&state).unwrap();
        entries.map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect()
    };
    assert_eq!(names().len(), 1, "the lock's file alone: {:?}", names());
    // While it works there is an entry, and a marker in the repository.
    let repository = publisher.repository();
    repository
        .transact(&words(), &Log::default(), &mut |open| {
            assert_eq!(names().len(), 2, "{:?}", names());
            let root = fs::read_dir(open.root()).unwrap();
            let markers = root.filter(|it| {
                it.as_ref().unwrap().file_name().to_string_lossy().starts_with(".elsewhere-txn-")
            });
            assert_eq!(markers.count(), 1);
            Ok(())
        })
        .unwrap();
    assert_eq!(names().len(), 1);
    assert!(!publisher.readers_see("").keys().any(|name| name.contains("txn")));
}

#[test]
fn a_journal_that_makes_no_sense_says_nothing() {
    let publisher = with_version_1(Way::Transaction);
    publisher.open_as_another();
    let state = publisher.path("state");
    let lock = fs::read_dir(&state).unwrap().next().unwrap().unwrap().path();
    let journal =
        lock.with_file_name(lock.file_name().unwrap().to_string_lossy().replace(".lock", ""));
    for text in ["", "{", "{\"format\":9}", "null"] {
        fs::write(&journal, text).unwrap();
        let repository = impatient(&publisher, Duration::from_millis(50));
        let done = repository.transact(&words(), &Log::default(), &mut version(2));
        assert_eq!(done.map(drop).unwrap_err().exit_status(), 9, "{text}");
        assert!(publisher.is_open(), "{text}");
    }
    publisher.must(&["abort", "-f", &publisher.name]);
}
