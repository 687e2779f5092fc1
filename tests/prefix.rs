//! The life of a prefix: opening, locking, staging, swapping, launchers, and what killed runs leave.

#![allow(clippy::unwrap_used)]

mod prefixes;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use elsewhere::stages::model::{Arch, LAUNCHER_MARKER, RECEIPT_FORMAT};
use elsewhere::stages::prefix::{Prefix, PrefixError};
use elsewhere::stages::report::Silent;
use prefixes::{ARCH, Notes, Place, commit, install, listing, live, mode, numbers, receipt, write};

#[test]
fn a_path_that_programs_cannot_live_with_is_refused() {
    let place = Place::new();
    for (name, word) in [(&b"a:b"[..], "colon"), (b"a\nb", "line break"), (b"\xff", "UTF-8")] {
        let path = place.0.join(OsStr::from_bytes(name));
        let error = Prefix::create(&path).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
        assert!(!path.exists());
        // Also where a symlink hides it.
        fs::create_dir(&path).unwrap();
        symlink(&path, place.join("link")).unwrap();
        assert!(Prefix::create(&place.join("link/p")).is_err());
        fs::remove_file(place.join("link")).unwrap();
    }
    assert!(Prefix::create(&place.join("a b")).unwrap().path_holds(' '));
}

#[test]
fn what_is_no_directory_or_no_prefix_is_said() {
    let place = Place::new();
    write(&place.join("file"), "");
    for path in ["file", "file/below"] {
        let error = Prefix::create(&place.join(path)).unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
    let error = Prefix::open(&place.0).unwrap_err();
    assert!(error.hint().unwrap().starts_with("to make one: elsewhere install /"), "{error:?}");
}

#[test]
fn a_prefix_of_the_script_is_recognised() {
    let place = Place::new();
    fs::create_dir_all(place.join("x86_64/bin")).unwrap();
    let error = Prefix::create(&place.0).unwrap_err();
    assert!(error.to_string().contains("x86_64 is a directory there"), "{error}");
    assert!(error.hint().unwrap().contains("--adopt"));
    write(&place.join("x86_64/.elsewhere.json"), "{}");
    let error = Prefix::create(&place.0).unwrap_err();
    assert!(matches!(error, PrefixError::Published { .. }), "{error}");
    fs::rename(place.join("x86_64"), place.join("other")).unwrap();
    symlink("other", place.join("x86_64")).unwrap();
    let error = Prefix::create(&place.0).unwrap_err();
    assert!(matches!(error, PrefixError::Foreign { .. }), "{error}");
}

#[test]
fn relative_and_linked_paths_work() {
    let place = Place::new();
    fs::create_dir(place.join("real")).unwrap();
    symlink("real", place.join("link")).unwrap();
    let here = std::env::current_dir().unwrap();
    let relative = place.0.strip_prefix(here).unwrap().join("link/");
    let prefix = Prefix::create(&relative).unwrap();
    assert_eq!(prefix.path(), place.join("link"));
    let lock = prefix.lock(false, &Silent::default()).unwrap();
    install(&lock, &[("bin/x", "x")]);
    assert_eq!(fs::read_to_string(place.join("real/x86_64/bin/x")).unwrap(), "x");
}

#[test]
fn nothing_is_written_before_the_lock_and_an_empty_prefix_vanishes() {
    let place = Place::new();
    let prefix = Prefix::create(&place.join("a/b/p")).unwrap();
    assert!(prefix.available_space().unwrap() > 0);
    assert!(listing(&place.0).is_empty());
    let lock = prefix.lock(false, &Silent::default()).unwrap();
    for directory in ["a", "a/b/p", "a/b/p/bin", "a/b/p/.elsewhere"] {
        assert_eq!(mode(&place.join(directory)), 0o755, "{directory}");
    }
    drop(lock.stage(ARCH).unwrap());
    drop(lock);
    assert!(listing(&place.0).is_empty());
    // What was there before stays.
    fs::create_dir_all(place.join("a/bin")).unwrap();
    drop(Prefix::create(&place.join("a")).unwrap().lock(false, &Silent::default()).unwrap());
    assert_eq!(listing(&place.0), ["a/", "a/bin/"]);
}

#[test]
fn a_second_run_waits_or_fails() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    let error = prefix.lock(false, &Silent::default()).unwrap_err();
    let holder = format!("process {} on ", std::process::id());
    assert!(error.to_string().contains(&holder), "{error}");
    assert!(error.hint().unwrap().contains("--no-wait"));
    let notes = Notes::default();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| prefix.lock(true, &notes).map(|_| ()));
        while notes.0.lock().unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        // The empty prefix vanishes under the waiting run, which makes it anew.
        drop(lock);
        second.join().unwrap().unwrap();
    });
    let notes = notes.0.into_inner().unwrap();
    assert!(notes.len() == 1 && notes[0].contains(&holder), "{notes:?}");
    let cancelled = Silent::default();
    cancelled.cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
    let _lock = prefix.lock(true, &Silent::default()).unwrap();
    assert!(matches!(prefix.lock(true, &cancelled), Err(PrefixError::Cancelled)));
}

#[test]
fn what_a_dead_run_wrote_into_the_lock_is_no_trap() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    install(&lock, &[]);
    drop(lock);
    fs::write(place.join("p/.elsewhere/lock"), "1 anywhere\n").unwrap();
    prefix.lock(false, &Silent::default()).unwrap();
}

#[test]
fn a_tree_goes_live_in_one_step() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    let first = commit(&lock, &[("bin/x", "1")]);
    assert_eq!((live(&prefix), prefix.arches().unwrap()), (None, vec![]));
    assert_eq!(lock.activate(&first).unwrap(), None);
    assert_eq!(prefix.arches().unwrap(), [ARCH]);
    assert!(matches!(lock.discard(&first), Err(PrefixError::InUse { .. })));
    let link = place.join("p/x86_64");
    assert_eq!(fs::read_link(&link).unwrap(), Path::new(".elsewhere/x86_64/1"));
    let second = commit(&lock, &[("bin/x", "2")]);
    assert_eq!(fs::read_to_string(link.join("bin/x")).unwrap(), "1");
    assert_eq!(lock.activate(&second).unwrap(), Some(first.clone()));
    assert_eq!(fs::read_to_string(link.join("bin/x")).unwrap(), "2");
    assert_eq!(prefix.receipt(&first).unwrap(), receipt(&[("bin/x", "1")]));
    let history = prefix.history(ARCH).unwrap();
    assert_eq!(history.iter().map(|entry| entry.generation).collect::<Vec<_>>(), [1, 2]);
    for path in [
        "x86_64/",
        "x86_64/.elsewhere.json",
        ".elsewhere/x86_64",
        ".elsewhere/x86_64/journal.jsonl",
    ] {
        let expected = if path.contains(".json") { 0o644 } else { 0o755 };
        assert_eq!(mode(&place.join("p").join(path)), expected, "{path}");
    }
    assert_eq!(mode(&place.join("p/.elsewhere/staging")), 0o700);
}

#[test]
fn no_file_holds_the_prefixs_path_and_it_can_be_moved() {
    let place = Place::new();
    let (_, lock) = place.prefix();
    install(&lock, &[("etc/c", "1")]);
    drop(lock);
    let needle = place.0.file_name().unwrap().to_str().unwrap();
    for path in listing(&place.join("p")).iter().filter(|path| !path.ends_with('/')) {
        let content = fs::read(place.join("p").join(path)).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&content).contains(needle), "{path}");
    }
    fs::rename(place.join("p"), place.join("moved")).unwrap();
    let moved = Prefix::open(&place.join("moved")).unwrap();
    let lock = moved.lock(false, &Silent::default()).unwrap();
    assert_eq!(install(&lock, &[("etc/c", "2")]).number, 2);
    assert_eq!(fs::read_to_string(place.join("moved/x86_64/etc/c")).unwrap(), "2");
}

#[test]
fn a_failing_swap_is_taken_back() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    let first = install(&lock, &[("bin/x", "1")]);
    let second = commit(&lock, &[("bin/x", "2")]);
    let previous = lock.activate(&second).unwrap();
    lock.deactivate(&second, previous.as_ref()).unwrap();
    assert_eq!((live(&prefix), numbers(&prefix)), (Some(1), vec![1]));
    assert_eq!(prefix.history(ARCH).unwrap().len(), 1);
    lock.deactivate(&first, None).unwrap();
    assert_eq!(live(&prefix), None);
    drop(lock);
    assert!(listing(&place.0).is_empty());
}

#[test]
fn numbers_are_not_used_twice() {
    let place = Place::new();
    let (_, lock) = place.prefix();
    for _ in 0..3 {
        install(&lock, &[]);
    }
    lock.roll_back(ARCH, Some(1)).unwrap();
    assert_eq!(lock.prune(ARCH, 0, true).unwrap().removed, [2, 3]);
    assert_eq!(install(&lock, &[]).number, 4);
}

#[test]
fn an_unfinished_tree_is_deleted_whatever_its_modes() {
    let place = Place::new();
    let (_, lock) = place.prefix();
    let staging = lock.stage(ARCH).unwrap();
    assert_eq!(mode(staging.path()), 0o700);
    write(&staging.path().join("a/b/c"), "");
    symlink("/", staging.path().join("a/root")).unwrap();
    for directory in ["a/b", "a"] {
        let path = staging.path().join(directory);
        fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
    }
    drop(staging);
    assert_eq!(fs::read_dir(place.join("p/.elsewhere/staging")).unwrap().count(), 0);
}

#[test]
fn what_killed_runs_left_is_cleaned() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    install(&lock, &[("bin/x", "1")]);
    let before = listing(&place.join("p"));
    // Killed while unpacking, while deleting, and while writing a file.
    std::mem::forget(lock.stage(ARCH).unwrap());
    write(&place.join("p/.elsewhere/trash/x86_64-7.1.1/bin/x"), "");
    write(&place.join("p/.elsewhere/staging/file.1.1"), "");
    // Killed before the swap, and between the journal and the swap.
    commit(&lock, &[("bin/x", "2")]);
    let third = commit(&lock, &[("bin/x", "3")]);
    lock.activate(&third).unwrap();
    place.undo_swap(3, Some(1));
    lock.clean(&Silent::default()).unwrap();
    assert_eq!(listing(&place.join("p")), before);
    assert_eq!(prefix.history(ARCH).unwrap().len(), 1);
    // Another architecture whose first install was killed.
    fs::create_dir_all(place.join("p/.elsewhere/aarch64/1/bin")).unwrap();
    lock.clean(&Silent::default()).unwrap();
    assert_eq!(listing(&place.join("p")), before);
}

#[test]
fn a_lost_or_damaged_journal_deletes_nothing() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    install(&lock, &[]);
    install(&lock, &[]);
    let journal = place.join("p/.elsewhere/x86_64/journal.jsonl");
    let whole = fs::read_to_string(&journal).unwrap();
    let middle = whole.replacen("begun", "b\0gun", 1);
    for damage in [None, Some("{"), Some(""), Some("{\n"), Some(&middle)] {
        match damage {
            None => fs::remove_file(&journal).unwrap(),
            Some(text) => fs::write(&journal, text).unwrap(),
        }
        let notes = Notes::default();
        lock.clean(&notes).unwrap();
        let notes = notes.0.into_inner().unwrap();
        assert!(
            notes.len() == 1 && notes[0].contains("does not tell all"),
            "{damage:?}: {notes:?}"
        );
        // It is told once.
        let notes = Notes::default();
        lock.clean(&notes).unwrap();
        assert!(notes.0.into_inner().unwrap().is_empty());
        assert_eq!((live(&prefix), numbers(&prefix)), (Some(2), vec![1, 2]));
        assert!(lock.prune(ARCH, 0, false).unwrap().removed.is_empty());
    }
}

#[test]
fn an_adopted_tree_of_which_the_journal_does_not_tell_stays() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    install(&lock, &[]);
    write(&place.join("p/.elsewhere/x86_64/0/bin/apptainer"), "");
    lock.clean(&Silent::default()).unwrap();
    assert_eq!((live(&prefix), numbers(&prefix)), (Some(1), vec![0, 1]));
}

#[test]
fn a_line_that_was_not_written_to_its_end_counts_for_nothing() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    install(&lock, &[]);
    install(&lock, &[]);
    let journal = place.join("p/.elsewhere/x86_64/journal.jsonl");
    let whole = fs::read_to_string(&journal).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    assert_eq!(lines.len(), 4, "{whole}");
    for end in 0..lines[3].len() {
        let text = format!("{}\n{}", lines[..3].join("\n"), &lines[3][..end]);
        fs::write(&journal, text).unwrap();
        let notes = Notes::default();
        lock.clean(&notes).unwrap();
        assert_eq!(notes.0.into_inner().unwrap(), [""; 0]);
        assert_eq!((live(&prefix), numbers(&prefix)), (Some(2), vec![1, 2]));
        assert_eq!(fs::read_to_string(&journal).unwrap().lines().count(), 4);
    }
}

/// A history as earlier versions wrote it.
fn old_history(place: &Place, text: &str) {
    let home = place.join("p/.elsewhere/x86_64");
    fs::remove_file(home.join("journal.jsonl")).unwrap();
    fs::write(home.join("history.json"), text).unwrap();
}

#[test]
fn the_history_of_earlier_versions_is_carried_over_once() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    install(&lock, &[]);
    install(&lock, &[]);
    let activations =
        r#"[{"generation":1,"at":5},{"generation":2,"at":6},{"generation":7,"at":7}]"#;
    let written = format!(r#"{{"format":1,"highest":9,"activations":{activations}}}"#);
    old_history(&place, &written.replace("\"highest", "\"pending\":7,\"highest"));
    // Readers do not wait for that.
    let known = |prefix: &Prefix| {
        let history = prefix.history(ARCH).unwrap();
        history.iter().map(|it| (it.generation, it.at)).collect::<Vec<_>>()
    };
    assert_eq!(known(&prefix), [(1, 5), (2, 6)]);
    let notes = Notes::default();
    lock.clean(&notes).unwrap();
    assert_eq!(notes.0.into_inner().unwrap(), [""; 0]);
    assert_eq!((live(&prefix), numbers(&prefix)), (Some(2), vec![1, 2]));
    assert_eq!(known(&prefix), [(1, 5), (2, 6)]);
    let home = place.join("p/.elsewhere/x86_64");
    assert!(!home.join("history.json").exists());
    // A link that is lost comes back; one that was removed does not.
    old_history(&place, &written.replace(",{\"generation\":7,\"at\":7}", ""));
    fs::remove_file(place.join("p/x86_64")).unwrap();
    lock.clean(&Silent::default()).unwrap();
    assert_eq!((live(&prefix), numbers(&prefix)), (Some(2), vec![1, 2]));
    old_history(&place, &written.replace("\"highest", "\"removed_at\":8,\"highest"));
    fs::remove_file(place.join("p/x86_64")).unwrap();
    lock.clean(&Silent::default()).unwrap();
    assert_eq!((live(&prefix), prefix.lost(ARCH).unwrap()), (None, None));
    assert_eq!(install(&lock, &[]).number, 10);
    // One that makes no sense, and one of a version to come.
    old_history(&place, "{");
    let notes = Notes::default();
    lock.clean(&notes).unwrap();
    assert_eq!(notes.0.into_inner().unwrap().len(), 1);
    assert_eq!((live(&prefix), numbers(&prefix)), (Some(10), vec![1, 2, 10]));
    old_history(&place, &written.replace("\"format\":1", "\"format\":2"));
    assert!(matches!(prefix.history(ARCH), Err(PrefixError::NewerFormat { .. })));
    fs::write(home.join("journal.jsonl"), "{\"format\":2,\"event\":\"blessed\"}\n").unwrap();
    assert!(matches!(lock.clean(&Silent::default()), Err(PrefixError::NewerFormat { .. })));
}

#[test]
fn a_receipt_that_cannot_be_used_says_why() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    let generation = commit(&lock, &[]);
    let path = generation.path.join(".elsewhere.json");
    let whole = fs::read_to_string(&path).unwrap();
    for (text, problem) in [
        ("", "EOF"),
        (&whole[..whole.len() / 2], "EOF"),
        (&whole.replace("x86_64", "s390x"), "it is for s390x"),
        (&whole.replace(&format!("\"format\": {RECEIPT_FORMAT}"), "\"format\": 9"), "newer"),
    ] {
        fs::write(&path, text).unwrap();
        let error = prefix.receipt(&generation).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
        assert!(lock.activate(&generation).is_err());
        assert_eq!(live(&prefix), None);
    }
}

#[test]
fn launchers_are_written_once_and_foreign_files_stay() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    let launcher =
        |name: &str, text: &str| (name.to_owned(), format!("#!/bin/sh\n{LAUNCHER_MARKER}{text}\n"));
    let bin = prefix.bin();
    lock.write_launchers(&[launcher("a", "1"), launcher("b", "1")].into()).unwrap();
    assert_eq!(mode(&bin.join("a")), 0o755);
    let inode = |name: &str| fs::metadata(bin.join(name)).unwrap().ino();
    let (a, b) = (inode("a"), inode("b"));
    lock.write_launchers(&[launcher("a", "1"), launcher("b", "2")].into()).unwrap();
    assert_eq!(inode("a"), a);
    assert_ne!(inode("b"), b);
    write(&bin.join("mine"), "#!/bin/sh\n");
    let error =
        lock.write_launchers(&[launcher("a", "3"), launcher("mine", "3")].into()).unwrap_err();
    assert!(error.to_string().contains("bin/mine is in the way"), "{error}");
    assert_eq!(inode("a"), a);
    assert!(lock.write_launchers(&[launcher("../x", "3")].into()).is_err());
    // The script's: a file that runs its own layout, and a link to it.
    write(&bin.join("apptainer"), "#!/bin/bash\nexec $APPTDIR/bin/apptainer \"$@\"\n");
    symlink("apptainer", bin.join("singularity")).unwrap();
    lock.write_launchers(&[launcher("apptainer", "1"), launcher("singularity", "1")].into())
        .unwrap();
    assert!(fs::symlink_metadata(bin.join("singularity")).unwrap().is_file());
    lock.remove_launchers(&["apptainer"]).unwrap();
    assert_eq!(listing(&bin), ["apptainer", "mine"]);
}

#[test]
fn a_link_to_somebody_elses_launcher_stays() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    let text = format!("#!/bin/sh\n{LAUNCHER_MARKER}\n");
    write(&place.join("other/bin/a"), &text);
    symlink("../../other/bin/a", prefix.bin().join("a")).unwrap();
    let error = lock.write_launchers(&BTreeMap::from([("a".to_owned(), text)])).unwrap_err();
    assert!(error.to_string().contains("bin/a is in the way"), "{error}");
    assert!(fs::symlink_metadata(prefix.bin().join("a")).unwrap().is_symlink());
}

#[test]
fn removing_an_architecture_leaves_the_other() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    install(&lock, &[("bin/x", "1")]);
    let staging = lock.stage(Arch::S390x).unwrap();
    let mut other = receipt(&[]);
    other.arch = Arch::S390x;
    staging.write_receipt(&other).unwrap();
    let other = staging.commit().unwrap();
    lock.activate(&other).unwrap();
    lock.remove(ARCH, true).unwrap();
    assert_eq!(prefix.arches().unwrap(), [Arch::S390x]);
    lock.remove(Arch::S390x, true).unwrap();
    drop(lock);
    assert!(listing(&place.0).is_empty());
}

#[test]
fn too_little_space_says_how_much() {
    let place = Place::new();
    let prefix = Prefix::create(&place.join("p")).unwrap();
    prefix.check_space(1).unwrap();
    let error = prefix.check_space(u64::MAX).unwrap_err();
    assert!(error.to_string().contains("MB needed, "), "{error}");
}

/// Runs as an ordinary user when root runs the tests: root can write everywhere.
#[test]
fn a_prefix_that_cannot_be_written_is_left_alone() {
    let place = Place::new();
    let (prefix, lock) = place.prefix();
    install(&lock, &[]);
    drop(lock);
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(place.join("p"), fs::Permissions::from_mode(0o555)).unwrap();
        let error = prefix.lock(true, &Silent::default()).unwrap_err();
        assert!(error.to_string().starts_with("cannot write to /"), "{error}");
        assert!(error.hint().unwrap().contains("may write"));
        assert_eq!(live(&prefix), Some(1));
        return;
    }
    run_as_nobody("a_prefix_that_cannot_be_written_is_left_alone");
    run_as_nobody("an_unfinished_tree_is_deleted_whatever_its_modes");
    run_as_nobody("what_killed_runs_left_is_cleaned");
}

/// Runs one test of this file again, in a process of an ordinary user.
fn run_as_nobody(test: &str) {
    use std::os::unix::process::CommandExt;
    let directory = Path::new("/tmp").join(format!("elsewhere-nobody-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let program = directory.join("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for path in [&directory, &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let output = Command::new(&program)
        .args([test, "--exact"])
        .uid(65534)
        .gid(65534)
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let _ = fs::remove_dir_all(&directory);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
