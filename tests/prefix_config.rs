//! The user's configuration through updates and rollbacks.

#![allow(clippy::unwrap_used, clippy::type_complexity)]

mod prefixes;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use elsewhere::stages::model::RelPath;
use elsewhere::stages::prefix::{ConfigReport, Generation, Locked};
use prefixes::{ARCH, Place, commit, install, listing, mode, write};

fn paths(list: &[RelPath]) -> Vec<&str> {
    list.iter().map(RelPath::as_str).collect()
}

/// Makes the next generation live, carrying configuration.
fn update(lock: &Locked, files: &[(&str, &str)]) -> (Generation, ConfigReport) {
    let from = lock.live(ARCH).unwrap().unwrap();
    let to = commit(lock, files);
    let report = lock.carry_config(&from, &to.path).unwrap();
    lock.activate(&to).unwrap();
    (to, report)
}

fn content(tree: &Generation, path: &str) -> String {
    fs::read_to_string(tree.path.join(path)).unwrap()
}

/// File in the package before, the user's, in the package after → what is there, and beside it.
#[test]
fn an_edited_file_is_kept_as_rpm_does() {
    let cases: [(&str, Option<&str>, Option<&str>, &[(&str, &str)]); 9] = [
        ("old", Some("old"), Some("new"), &[("etc/c", "new")]),
        ("old", Some("old"), None, &[]),
        ("old", Some("mine"), Some("old"), &[("etc/c", "mine")]),
        ("old", Some("mine"), Some("new"), &[("etc/c", "mine"), ("etc/c.rpmnew", "new")]),
        ("old", Some("mine"), Some("mine"), &[("etc/c", "mine")]),
        ("old", Some("mine"), None, &[("etc/c.rpmsave", "mine")]),
        ("old", Some("new"), Some("new"), &[("etc/c", "new")]),
        ("old", None, Some("new"), &[("etc/c", "new")]),
        ("old", None, None, &[]),
    ];
    for (before, user, after, expected) in cases {
        let place = Place::new();
        let (_, lock) = place.prefix();
        let live = install(&lock, &[("etc/c", before)]);
        match user {
            Some(user) => write(&live.path.join("etc/c"), user),
            None => fs::remove_file(live.path.join("etc/c")).unwrap(),
        }
        let after: Vec<(&str, &str)> = after.map(|after| ("etc/c", after)).into_iter().collect();
        let (new, report) = update(&lock, &after);
        let mut there = Vec::new();
        for path in listing(&new.path).into_iter().filter(|path| path.starts_with("etc/c")) {
            let text = content(&new, &path);
            there.push((path, text));
        }
        let there: Vec<(&str, &str)> =
            there.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        assert_eq!(there, expected, "{before} {user:?} {after:?}");
        let beside = paths(&report.rpmnew).len() + paths(&report.rpmsave).len();
        assert_eq!(beside, expected.iter().filter(|(path, _)| path.contains(".rpm")).count());
    }
}

#[test]
fn what_the_user_added_survives() {
    let place = Place::new();
    let (_, lock) = place.prefix();
    let files = [("etc/c", "1"), ("bin/x", "1"), ("share/conf", "1")];
    let live = install(&lock, &files);
    write(&live.path.join("etc/site/secret"), "s");
    fs::set_permissions(live.path.join("etc/site"), fs::Permissions::from_mode(0o700)).unwrap();
    let secret = live.path.join("etc/site/secret");
    fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).unwrap();
    symlink("/etc/site.conf", live.path.join("etc/link")).unwrap();
    fs::remove_file(live.path.join("etc/c")).unwrap();
    symlink("site/secret", live.path.join("etc/c")).unwrap();
    // Neither configuration nor below `etc`.
    write(&live.path.join("bin/x"), "edited");
    let (new, report) = update(&lock, &files);
    assert_eq!(paths(&report.added), ["etc/link", "etc/site/secret"]);
    assert_eq!(paths(&report.kept), ["etc/c"]);
    assert_eq!(mode(&new.path.join("etc/site")), 0o700);
    assert_eq!(mode(&new.path.join("etc/site/secret")), 0o600);
    assert_eq!(fs::read_link(new.path.join("etc/link")).unwrap(), Path::new("/etc/site.conf"));
    assert_eq!(content(&new, "etc/c"), "s");
    assert_eq!(content(&new, "bin/x"), "1");
    // And again, through a third generation; `.rpmnew` files are the user's to remove.
    let (third, report) = update(&lock, &[("etc/c", "3")]);
    assert_eq!(content(&third, "etc/site/secret"), "s");
    assert_eq!(
        (paths(&report.rpmnew), content(&third, "etc/c.rpmnew")),
        (vec!["etc/c.rpmnew"], "3".into())
    );
    let (fourth, _) = update(&lock, &[("etc/c", "4")]);
    assert_eq!(content(&fourth, "etc/c.rpmnew"), "4");
    assert_eq!(fs::read_dir(place.join("p/.elsewhere/staging")).unwrap().count(), 0);
}

#[test]
fn an_added_file_meets_one_of_a_package() {
    let place = Place::new();
    let (_, lock) = place.prefix();
    let live = install(&lock, &[]);
    write(&live.path.join("etc/c"), "mine");
    write(&live.path.join("etc/d/e"), "mine");
    write(&live.path.join("etc/f"), "mine");
    let (new, report) = update(&lock, &[("etc/c", "new"), ("etc/d", "file"), ("etc/f/g", "new")]);
    assert_eq!(
        (content(&new, "etc/c"), content(&new, "etc/c.rpmnew")),
        ("mine".into(), "new".into())
    );
    // A file where the user's directory was, a directory where the user's file was.
    assert_eq!((content(&new, "etc/d"), content(&new, "etc/f/g")), ("file".into(), "new".into()));
    assert_eq!(report.skipped, ["etc/d/e"]);
    assert_eq!(content(&new, "etc/f.rpmsave"), "mine");
}

#[test]
fn nothing_is_written_outside_the_tree() {
    let place = Place::new();
    let (_, lock) = place.prefix();
    let live = install(&lock, &[]);
    write(&live.path.join("etc/d/e"), "mine");
    let new = commit(&lock, &[]);
    fs::create_dir(place.join("outside")).unwrap();
    fs::create_dir(new.path.join("etc")).unwrap();
    symlink(place.join("outside"), new.path.join("etc/d")).unwrap();
    assert!(lock.carry_config(&live, &new.path).is_err());
    assert!(listing(&place.join("outside")).is_empty());
}

#[test]
fn without_a_receipt_every_file_counts_as_the_users() {
    let place = Place::new();
    let (_, lock) = place.prefix();
    let live = install(&lock, &[("etc/c", "mine, perhaps")]);
    fs::write(live.path.join(".elsewhere.json"), "{").unwrap();
    let (new, _) = update(&lock, &[("etc/c", "new")]);
    assert_eq!(content(&new, "etc/c"), "mine, perhaps");
    assert_eq!(content(&new, "etc/c.rpmnew"), "new");
}

#[test]
fn going_back_brings_that_configuration_and_keeps_later_edits() {
    let place = Place::new();
    let (_, lock) = place.prefix();
    let before = [("etc/a", "a1"), ("etc/b", "b1"), ("etc/c", "c1"), ("etc/d", "d")];
    let first = install(&lock, &before);
    write(&first.path.join("etc/a"), "a mine");
    let after = [("etc/a", "a2"), ("etc/b", "b2"), ("etc/c", "c2"), ("etc/d", "d")];
    let (second, _) = update(&lock, &after);
    write(&second.path.join("etc/c"), "c later");
    write(&second.path.join("etc/d"), "d later");
    write(&second.path.join("etc/new"), "new later");
    let back = lock.roll_back(ARCH, None).unwrap();
    assert_eq!((back.from, back.to), (Some(second), first.clone()));
    // As it was …
    assert_eq!(content(&first, "etc/a"), "a mine");
    assert_eq!(content(&first, "etc/b"), "b1");
    // … but for what was edited since.
    assert_eq!(content(&first, "etc/c"), "c later");
    assert_eq!(content(&first, "etc/c.rpmnew"), "c1");
    assert_eq!(content(&first, "etc/d"), "d later");
    assert_eq!(content(&first, "etc/new"), "new later");
    assert_eq!(paths(&back.config.kept), ["etc/c", "etc/d"]);
    assert_eq!(paths(&back.config.added), ["etc/new"]);
    // And forth again: nothing was changed since, so nothing is carried.
    let forth = lock.roll_back(ARCH, Some(2)).unwrap();
    assert_eq!(forth.config, ConfigReport::default());
}
