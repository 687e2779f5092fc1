//! What is streamed to the server.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use elsewhere::stages::publish::Ingest;

use crate::support::cvmfs::Publisher;
use crate::support::scratch::Log;
use crate::work::{BASE, Way, assert_counts, path, publish, seen, with_version_1, words};

#[test]
fn a_tree_is_added_and_what_is_there_stays() {
    let publisher = with_version_1(Way::Ingest);
    let revision = publish(&publisher, Way::Ingest, 2, &Log::default()).unwrap();
    assert_counts(&publisher, 2);
    assert!(seen(&publisher).contains_key("/1/bin/tool"));
    assert!(revision.tag.unwrap().starts_with("elsewhere-test"));
    let tool = publisher.client().join(BASE).join("2/bin/tool");
    let about = fs::metadata(tool).unwrap();
    let owner = fs::metadata(publisher.spool()).unwrap();
    assert_eq!((about.uid(), about.gid()), (owner.uid(), owner.gid()), "whose the repository is");
    assert_eq!(about.mtime(), 1_700_000_000, "no later than was said");
}

#[test]
fn versions_are_removed() {
    let publisher = with_version_1(Way::Ingest);
    publish(&publisher, Way::Ingest, 2, &Log::default()).unwrap();
    publish(&publisher, Way::Ingest, 3, &Log::default()).unwrap();
    let gone = [path("sw/tool/1"), path("sw/tool/2")];
    let revision = publisher.repository().delete(&gone, &words(), &Log::default()).unwrap();
    assert_counts(&publisher, 3);
    let seen = seen(&publisher);
    assert!(!seen.contains_key("/1") && !seen.contains_key("/2"), "{seen:#?}");
    assert!(revision.tag.is_some());
    // What the server would take for something else is not said to it.
    for odd in ["a:b", "-rf", "a b"] {
        let error = publisher.repository().delete(&[path(odd)], &words(), &Log::default());
        assert_eq!(elsewhere::stages::error::Error::from(error.unwrap_err()).exit_status(), 2);
    }
}

/// Puts something odd into a tree.
type Prepare<'a> = &'a dyn Fn(&std::path::Path);

#[test]
fn a_tree_that_no_archive_may_hold_is_refused_before_anything_is_opened() {
    let publisher = Publisher::stand_in("");
    let prepare: [(&str, Prepare<'_>); 3] = [
        ("leads out", &|tree| symlink("../../../../etc", tree.join("link")).unwrap()),
        ("leads out", &|tree| symlink("/etc", tree.join("link")).unwrap()),
        ("rights", &|tree| {
            fs::write(tree.join("tool"), "").unwrap();
            fs::set_permissions(tree.join("tool"), fs::Permissions::from_mode(0o4755)).unwrap();
        }),
    ];
    for (number, (text, prepare)) in prepare.into_iter().enumerate() {
        let tree = publisher.path(&format!("odd-{number}"));
        fs::create_dir_all(&tree).unwrap();
        prepare(&tree);
        let base = path("sw/tool");
        let what = Ingest { tree: &tree, base: &base, time: 0 };
        let error = publisher.repository().ingest(what, &words(), &Log::default()).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert!(!publisher.is_open());
    }
}

#[test]
fn a_server_that_reads_the_archive_as_an_answer_is_cleared() {
    // By who_sits_in_the_repository_is_waited_for_and_named for deletions; here with an archive.
    let publisher = with_version_1(Way::Ingest);
    let mut sitting = publisher.sit_inside();
    let tree = publisher.path("prepared-1");
    let base = path(BASE);
    let mut options = publisher.options();
    options.wait = std::time::Duration::from_millis(200);
    let repository =
        elsewhere::stages::publish::CvmfsRepository::open(&publisher.name, options).unwrap();
    let what = Ingest { tree: &tree, base: &base, time: 0 };
    let error = repository.ingest(what, &words(), &Log::default()).unwrap_err();
    sitting.kill().unwrap();
    sitting.wait().unwrap();
    assert!(error.to_string().contains("(sleep)"), "{error}");
    assert!(!publisher.is_open());
    assert_counts(&publisher, 1);
}
