//! Gateways: they lease a path, and drop what lies outside of it.

use std::fs;
use std::time::Duration;

use elsewhere::stages::publish::{CvmfsOptions, CvmfsRepository};

use crate::support::cvmfs::{NAME, Publisher};
use crate::support::scratch::Log;
use crate::work::{BASE, assert_counts, path, version, words};

/// One that is published by way of a gateway.
fn publisher() -> Publisher {
    let publisher = Publisher::stand_in("CVMFS_UPSTREAM_STORAGE=gw,/srv,http://localhost/api/v1\n");
    // The parents of what is leased must be there.
    let root = publisher.path(&format!("srv/{NAME}/revisions/1/tree"));
    fs::create_dir_all(root.join("sw")).unwrap();
    fs::create_dir_all(publisher.path("cvmfs/sw")).unwrap();
    publisher
}

fn leasing(publisher: &Publisher, lease: &str) -> CvmfsRepository {
    let lease = Some(path(lease));
    let wait = Duration::from_millis(300);
    CvmfsRepository::open(NAME, CvmfsOptions { lease, wait, ..publisher.options() }).unwrap()
}

#[test]
fn what_is_leased_is_published() {
    let publisher = publisher();
    let repository = leasing(&publisher, BASE);
    let (_, revision) = repository.transact(&words(), &Log::default(), &mut version(1)).unwrap();
    assert_eq!(revision.revision, 2);
    assert_counts(&publisher, 1);
}

#[test]
fn what_lies_outside_of_the_lease_is_refused_or_found() {
    let publisher = publisher();
    let repository = leasing(&publisher, "sw/other");
    let error = repository.transact(&words(), &Log::default(), &mut version(1)).unwrap_err();
    assert!(error.to_string().contains("is not in sw/other"), "{error}");
    assert!(!publisher.is_open());
    // Where it was not said what is touched, it is dropped; where it was, and is dropped all the same, it is found.
    let whole = CvmfsRepository::open(NAME, publisher.options()).unwrap();
    publisher.hook(
        "publish_before_hook",
        &format!("echo sw/other > {}", publisher.path("spool/session_token").display()),
    );
    let error = whole.transact(&words(), &Log::default(), &mut version(1)).unwrap_err();
    assert!(error.to_string().contains("not there as they were written"), "{error}");
    assert!(error.to_string().contains("sw/tool/1"), "{error}");
    assert_eq!(error.exit_status(), 13);
}

#[test]
fn a_path_that_is_leased_is_waited_for() {
    let publisher = publisher();
    publisher.scratch.write("leased", "");
    let repository = leasing(&publisher, BASE);
    let error = repository.transact(&words(), &Log::default(), &mut version(1)).unwrap_err();
    assert_eq!(error.exit_status(), 9, "{error}");
    assert!(error.to_string().contains("lease path busy"), "{error}");
    publisher.mend();
    repository.transact(&words(), &Log::default(), &mut version(1)).unwrap();
    assert_counts(&publisher, 1);
}

#[test]
fn a_path_without_parents_is_refused_at_once() {
    let publisher = publisher();
    let repository = leasing(&publisher, "none/tool");
    let error = repository.transact(&words(), &Log::default(), &mut version(1)).unwrap_err();
    assert!(error.to_string().contains("non-existing path"), "{error}");
    assert_eq!(error.exit_status(), 13);
    assert!(!publisher.is_open());
}
