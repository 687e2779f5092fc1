//! A plan that was made before is not made again, as long as the repositories hold what they held;
//! and what lies in the cache instead of it is not believed.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use elsewhere::stages::model::Checksum;
use support::small::{World, packages};

const PLAN: [&str; 5] = ["plan", "-r", "tool", "-d", "small"];

/// A world whose plan was made once, that plan, and the file that keeps it.
fn planned(name: &str) -> (World, String, PathBuf) {
    let world = World::new(name);
    let plan = world.ok(&PLAN);
    let kept: Vec<PathBuf> = fs::read_dir(world.prefix("cache/derived"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let [kept] = &kept[..] else { panic!("{kept:?}") };
    let kept = kept.clone();
    (world, plan, kept)
}

/// Takes the list of packages away: who wants to read it fails.
fn hide_packages(world: &World) {
    for arch in ["x86_64", "aarch64"] {
        let list = world.prefix(&format!("mirror/small.test/{arch}/repodata/primary.xml"));
        let _ = fs::remove_file(list);
    }
    let _ = fs::remove_dir_all(world.prefix("cache/objects"));
}

/// The body of what is kept changed, and its digest too.
fn forged(kept: &Path, from: &str, to: &str) -> String {
    let text = fs::read_to_string(kept).unwrap();
    let (_, body) = text.split_once('\n').unwrap();
    assert!(body.contains(from));
    let body = body.replace(from, to);
    format!("{}\n{body}", Checksum::of(body.as_bytes()).hex())
}

fn without_metadata(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("metadata")).collect()
}

#[test]
fn the_same_question_has_the_same_answer_without_reading() {
    let (world, plan, _) = planned("answer");
    hide_packages(&world);
    assert_eq!(without_metadata(&world.ok(&PLAN)), without_metadata(&plan));
    world.fails(3, &["plan", "-r", "gadget", "-d", "small"]);
    world.fails(3, &["plan", "-r", "tool", "-v", "1", "-d", "small"]);
}

#[test]
fn other_contents_have_another_answer() {
    let (world, _, _) = planned("contents");
    world.publish(&packages("2"), 2);
    assert!(world.ok(&PLAN).contains("tool 2 from small"));
}

#[test]
fn each_architecture_has_its_own_answer() {
    let world = World::new("arches");
    // Of the same packages, from the same list.
    for arch in ["x86_64", "aarch64"] {
        let plan = world.ok(&[&PLAN[..], &["-a", arch]].concat());
        assert!(plan.contains(&format!("for {arch}")), "{plan}");
    }
}

#[test]
fn what_is_damaged_is_not_believed() {
    let (world, plan, kept) = planned("damaged");
    let whole = fs::read(&kept).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for bytes in [&[], &whole[..40], &whole[..whole.len() / 2], &flipped] {
        fs::write(&kept, bytes).unwrap();
        assert_eq!(without_metadata(&world.ok(&PLAN)), without_metadata(&plan));
        assert_eq!(fs::read(&kept).unwrap(), whole, "it is made anew");
    }
}

#[test]
fn what_others_may_have_written_is_not_believed() {
    let (world, plan, kept) = planned("writable");
    fs::write(&kept, forged(&kept, "\"tool\",\"version\":\"1\"}", "\"tool\",\"version\":\"666\"}"))
        .unwrap();
    assert!(world.ok(&PLAN).contains("tool 666 from small"), "the forgery is well made");
    fs::set_permissions(&kept, Permissions::from_mode(0o666)).unwrap();
    assert_eq!(without_metadata(&world.ok(&PLAN)), without_metadata(&plan));
}

#[test]
fn keys_and_places_are_never_taken_from_the_cache() {
    let (world, plan, kept) = planned("keys");
    let lock = |name: &str| {
        let mut words = PLAN.to_vec();
        words.extend(["--lock", name]);
        world.ok(&words);
        fs::read_to_string(world.prefix(name)).unwrap()
    };
    let before = lock("before.toml");
    fs::write(&kept, forged(&kept, "https://small.test/", "https://evil.test/")).unwrap();
    assert_eq!(lock("after.toml"), before);
    assert_eq!(without_metadata(&world.ok(&PLAN)), without_metadata(&plan));
}
