//! Rolling back and deleting old generations; what is spared; kill -9 at any moment.

#![allow(clippy::unwrap_used)]

mod prefixes;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use elsewhere::stages::model::RECEIPT_NAME;
use elsewhere::stages::prefix::{LostLink, Prefix, PrefixError};
use elsewhere::stages::report::Silent;
use prefixes::{ARCH, Notes, Place, commit, install, live, numbers};

/// Moves every time of the journal into the past.
fn age(place: &Place, seconds: u64) {
    let path = place.join("p/.elsewhere/x86_64/journal.jsonl");
    let mut text = String::new();
    for line in fs::read_to_string(&path).unwrap().lines() {
        let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
        record["at"] = (record["at"].as_u64().unwrap() - seconds).into();
        text.push_str(&format!("{record}\n"));
    }
    fs::write(path, text).unwrap();
}

const WEEK: u64 = 7 * 24 * 60 * 60;

#[test]
fn the_newest_old_ones_and_last_weeks_are_spared() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    for _ in 0..3 {
        install(&lock, &[]);
    }
    age(&place, WEEK + 60);
    install(&lock, &[]);
    install(&lock, &[]);
    // 3 and 4 were live until now; 1 and 2 not for a week.
    let pruned = lock.prune(ARCH, 3, false).unwrap();
    assert_eq!((pruned.removed, pruned.spared), (vec![1], vec![]));
    let pruned = lock.prune(ARCH, 0, false).unwrap();
    assert_eq!(pruned.removed, [2]);
    let spared: Vec<u32> = pruned.spared.iter().map(|(number, _)| *number).collect();
    assert_eq!(spared, [3, 4]);
    assert!(pruned.spared[0].1.contains("seven days"));
    assert_eq!(lock.prune(ARCH, 0, true).unwrap().removed, [3, 4]);
    assert_eq!((live(&prefix), numbers(&prefix)), (Some(5), vec![5]));
}

#[test]
fn the_time_for_which_what_was_live_is_spared_is_a_week() {
    let place = Place::new();
    let (_, lock) = place.prefix();
    install(&lock, &[]);
    install(&lock, &[]);
    age(&place, WEEK - 60);
    assert!(lock.prune(ARCH, 0, false).unwrap().removed.is_empty());
    age(&place, 120);
    assert_eq!(lock.prune(ARCH, 0, false).unwrap().removed, [1]);
}

#[test]
fn what_was_live_in_the_future_is_spared() {
    let place = Place::new();
    let (_, lock) = place.prefix();
    install(&lock, &[]);
    install(&lock, &[]);
    let ahead = WEEK + 60;
    let path = place.join("p/.elsewhere/x86_64/journal.jsonl");
    let mut text = String::new();
    for line in fs::read_to_string(&path).unwrap().lines() {
        let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
        record["at"] = (record["at"].as_u64().unwrap() + ahead).into();
        text.push_str(&format!("{record}\n"));
    }
    fs::write(path, text).unwrap();
    assert_eq!(lock.prune(ARCH, 0, false).unwrap().spared.len(), 1);
}

#[test]
fn what_runs_is_spared() {
    let place = Place::new();
    let (_, lock) = place.prefix();
    let first = install(&lock, &[]);
    // This program itself: one of the machine's may be many in one, or look for its parts elsewhere.
    fs::hard_link(std::env::current_exe().unwrap(), first.path.join("sleep")).unwrap();
    let mut running = Command::new(place.join("p/x86_64/sleep"))
        .args(["run_for_a_minute", "--exact", "--ignored"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    install(&lock, &[]);
    age(&place, WEEK + 60);
    let pruned = lock.prune(ARCH, 0, false).unwrap();
    let expected = format!("in use by process {} (sleep)", running.id());
    assert_eq!(pruned.spared, [(1, expected)]);
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(lock.prune(ARCH, 0, false).unwrap().removed, [1]);
}

/// Not a test of its own: what runs from a tree.
#[test]
#[ignore = "run by what_runs_is_spared"]
fn run_for_a_minute() {
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[test]
fn a_failed_tree_from_which_something_runs_stays_until_it_ends() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    let first = install(&lock, &[]);
    let failed = commit(&lock, &[]);
    fs::hard_link(std::env::current_exe().unwrap(), failed.path.join("sleep")).unwrap();
    lock.activate(&failed).unwrap();
    let mut running = Command::new(place.join("p/x86_64/sleep"))
        .args(["run_for_a_minute", "--exact", "--ignored"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    lock.deactivate(&failed, Some(&first)).unwrap();
    lock.clean(&Silent::default()).unwrap();
    assert_eq!((live(&prefix), numbers(&prefix)), (Some(1), vec![1, 2]));
    running.kill().unwrap();
    running.wait().unwrap();
    lock.clean(&Silent::default()).unwrap();
    assert_eq!(numbers(&prefix), [1]);
}

#[test]
fn what_is_removed_goes_out_of_use_at_once_and_off_the_disk_later() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    install(&lock, &[]);
    install(&lock, &[]);
    let removed = lock.remove(ARCH, false).unwrap();
    let recently = |number| (number, "it was live in the last seven days".to_owned());
    assert_eq!(removed.spared, [recently(1), recently(2)]);
    assert_eq!((live(&prefix), numbers(&prefix)), (None, vec![1, 2]));
    // A later run does not mistake them for what a killed one left.
    lock.clean(&Silent::default()).unwrap();
    assert_eq!(numbers(&prefix), [1, 2]);
    assert_eq!(lock.prune(ARCH, 2, false).unwrap().spared.len(), 2);
    assert_eq!(lock.prune(ARCH, 2, true).unwrap().removed, [1, 2]);
    drop(lock);
    assert!(!place.join("p").exists());
}

#[test]
fn a_link_that_is_lost_comes_back_and_nothing_is_deleted() {
    for dangling in [false, true] {
        let place = Place::new();
        let (prefix, lock) = place.prefix();
        install(&lock, &[]);
        install(&lock, &[]);
        fs::remove_file(place.join("p/x86_64")).unwrap();
        if dangling {
            std::os::unix::fs::symlink(".elsewhere/x86_64/99", place.join("p/x86_64")).unwrap();
        }
        assert!(matches!(prefix.lost(ARCH).unwrap(), Some(LostLink::To(it)) if it.number == 2));
        for _ in 0..3 {
            lock.clean(&Silent::default()).unwrap();
            assert_eq!((live(&prefix), numbers(&prefix)), (Some(2), vec![1, 2]));
        }
        assert_eq!(prefix.lost(ARCH).unwrap(), None);
    }
}

#[test]
fn a_link_that_was_turned_by_hand_or_lost_with_the_journal_deletes_nothing() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    install(&lock, &[]);
    install(&lock, &[]);
    let link = place.join("p/x86_64");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(".elsewhere/x86_64/1", &link).unwrap();
    lock.clean(&Silent::default()).unwrap();
    assert_eq!((live(&prefix), numbers(&prefix)), (Some(1), vec![1, 2]));
    fs::remove_file(&link).unwrap();
    fs::remove_file(place.join("p/.elsewhere/x86_64/journal.jsonl")).unwrap();
    lock.clean(&Silent::default()).unwrap();
    assert_eq!(lock.prune(ARCH, 0, false).unwrap().spared.len(), 2);
}

#[test]
fn what_was_removed_stays_so_when_the_next_install_fails() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    install(&lock, &[]);
    lock.remove(ARCH, false).unwrap();
    let failed = install(&lock, &[]);
    lock.deactivate(&failed, None).unwrap();
    lock.clean(&Silent::default()).unwrap();
    assert_eq!((live(&prefix), numbers(&prefix)), (None, vec![1]));
    // Nor does a killed one bring it back.
    assert_eq!(install(&lock, &[]).number, 3);
    place.undo_swap(3, None);
    lock.clean(&Silent::default()).unwrap();
    assert_eq!((live(&prefix), numbers(&prefix)), (None, vec![1]));
    // A run that is killed before it links its first tree leaves nothing that seems lost.
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    install(&lock, &[]);
    place.undo_swap(1, None);
    lock.clean(&Silent::default()).unwrap();
    assert_eq!((live(&prefix), numbers(&prefix)), (None, vec![]));
}

#[test]
fn what_was_removed_outlives_a_damaged_journal() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    install(&lock, &[]);
    install(&lock, &[]);
    lock.remove(ARCH, false).unwrap();
    fs::write(place.join("p/.elsewhere/x86_64/journal.jsonl"), "{").unwrap();
    lock.clean(&Silent::default()).unwrap();
    assert_eq!(lock.prune(ARCH, 0, false).unwrap().spared.len(), 2);
    lock.clean(&Silent::default()).unwrap();
    assert_eq!((live(&prefix), numbers(&prefix)), (None, vec![1, 2]));
}

#[test]
fn a_link_of_which_nobody_knows_where_it_led_is_not_guessed() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    install(&lock, &[]);
    install(&lock, &[]);
    fs::remove_file(place.join("p/x86_64")).unwrap();
    fs::remove_file(place.join("p/.elsewhere/x86_64/journal.jsonl")).unwrap();
    assert_eq!(prefix.lost(ARCH).unwrap(), Some(LostLink::Unknown(vec![1, 2])));
    for _ in 0..2 {
        let notes = Notes::default();
        lock.clean(&notes).unwrap();
        let notes = notes.0.into_inner().unwrap().join("\n");
        assert!(notes.contains("elsewhere rollback -a x86_64 --to N /"), "{notes}");
        assert_eq!((live(&prefix), numbers(&prefix)), (None, vec![1, 2]));
    }
    assert!(lock.roll_back(ARCH, None).is_err());
    assert_eq!(lock.roll_back(ARCH, Some(1)).unwrap().from, None);
    assert_eq!((live(&prefix), prefix.lost(ARCH).unwrap()), (Some(1), None));
    // What was removed on purpose is not lost, nor what was removed when nobody knew.
    fs::remove_file(place.join("p/x86_64")).unwrap();
    fs::write(place.join("p/.elsewhere/x86_64/journal.jsonl"), "?\n").unwrap();
    lock.remove(ARCH, false).unwrap();
    assert_eq!((live(&prefix), prefix.lost(ARCH).unwrap()), (None, None));
    assert!(lock.roll_back(ARCH, Some(1)).is_err());
}

#[test]
fn installing_after_removing_counts_on() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    install(&lock, &[]);
    lock.remove(ARCH, false).unwrap();
    lock.clean(&Silent::default()).unwrap();
    install(&lock, &[]);
    lock.clean(&Silent::default()).unwrap();
    assert_eq!((live(&prefix), numbers(&prefix)), (Some(2), vec![1, 2]));
}

#[test]
fn pins_are_kept_with_the_prefix() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    assert!(prefix.pins().unwrap().is_empty());
    let pins = elsewhere::stages::model::Pins::from([("crun".to_owned(), "1.4".to_owned())]);
    lock.set_pins(&pins).unwrap();
    assert_eq!(prefix.pins().unwrap(), pins);
    fs::write(place.join("p/.elsewhere/pins.toml"), "format = 1\n[runtimes]\ncrun = 2\n").unwrap();
    let error = prefix.pins().unwrap_err();
    assert!(error.to_string().contains("pins.toml makes no sense: "), "{error}");
    lock.set_pins(&Default::default()).unwrap();
    assert!(!place.join("p/.elsewhere/pins.toml").exists());
}

#[test]
fn going_back_goes_to_what_was_live_before() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    let error = lock.roll_back(ARCH, None).unwrap_err();
    assert!(matches!(error, PrefixError::NoGeneration { .. }));
    for _ in 0..3 {
        install(&lock, &[]);
    }
    assert_eq!(lock.roll_back(ARCH, Some(1)).unwrap().to.number, 1);
    assert_eq!(lock.roll_back(ARCH, None).unwrap().to.number, 3);
    for number in [3, 9] {
        let error = lock.roll_back(ARCH, Some(number)).unwrap_err();
        assert_eq!(error.to_string(), format!("there is no generation {number} of x86_64"));
    }
    // A tree that lost its receipt is not whole.
    fs::remove_file(place.join("p/.elsewhere/x86_64/2").join(RECEIPT_NAME)).unwrap();
    assert!(lock.roll_back(ARCH, Some(2)).is_err());
    assert_eq!(live(&prefix), Some(3));
}

/// The environment variable that tells the child which prefix to work on.
const WHERE: &str = "ELSEWHERE_TEST_PREFIX";

/// Not a test of its own: changes a prefix until it is killed.
#[test]
#[ignore = "run by a_killed_run_leaves_a_whole_prefix"]
#[allow(clippy::disallowed_methods)]
fn change_a_prefix_for_ever() {
    let prefix = Prefix::create(Path::new(&std::env::var_os(WHERE).unwrap())).unwrap();
    loop {
        let lock = prefix.lock(false, &Silent::default()).unwrap();
        lock.clean(&Silent::default()).unwrap();
        for content in ["1", "2", "3"] {
            install(&lock, &[("bin/a", content), ("bin/b", content), ("etc/c", content)]);
        }
        lock.roll_back(ARCH, None).unwrap();
        lock.prune(ARCH, 1, true).unwrap();
        let failed = commit(&lock, &[("bin/a", "4"), ("bin/b", "4"), ("etc/c", "4")]);
        let previous = lock.activate(&failed).unwrap();
        lock.deactivate(&failed, previous.as_ref()).unwrap();
    }
}

#[test]
fn a_killed_run_leaves_a_whole_prefix() {
    let place = Place::new();
    let root = place.join("p");
    let mut was_live = false;
    for round in 0..60 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["change_a_prefix_for_ever", "--exact", "--ignored"])
            .env(WHERE, &root)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Moments that do not fall on the same step again and again.
        std::thread::sleep(Duration::from_micros(3000 + 1711 * round));
        assert!(child.try_wait().unwrap().is_none(), "the child failed in round {round}");
        child.kill().unwrap();
        child.wait().unwrap();
        let prefix = Prefix::create(&root).unwrap();
        if let Some(live) = prefix.live(ARCH).unwrap() {
            was_live = true;
            prefix.receipt(&live).unwrap();
            let read = |name: &str| fs::read_to_string(root.join("x86_64").join(name)).unwrap();
            assert_eq!(read("bin/a"), read("bin/b"));
        } else {
            assert!(!was_live, "round {round} left nothing");
        }
    }
    assert!(was_live);
    let prefix = Prefix::create(&root).unwrap();
    let lock = prefix.lock(false, &Silent::default()).unwrap();
    lock.clean(&Silent::default()).unwrap();
    let known = prefix.history(ARCH).unwrap();
    assert_eq!(known.last().map(|last| last.generation), live(&prefix));
    for room in ["staging", "trash"] {
        let left = fs::read_dir(root.join(".elsewhere").join(room)).unwrap();
        assert_eq!(left.count(), 0, "{room}");
    }
}
