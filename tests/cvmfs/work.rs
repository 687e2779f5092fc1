//! What these tests publish: a version, and a link that says which one counts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use elsewhere::stages::error::Error;
use elsewhere::stages::model::RelPath;
use elsewhere::stages::publish::{Ingest, OpenTransaction, Revision, Words};
use elsewhere::stages::report::Reporter;

use crate::support::cvmfs::Publisher;
use crate::support::scratch::Log;

/// Where all of it lies.
pub(crate) const BASE: &str = "sw/tool";

/// How something is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Transaction,
    Ingest,
}

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

pub(crate) fn words() -> Words {
    Words::new("elsewhere-test", "a version $(touch \"$0.ran\") `id`").unwrap()
}

/// Writes version `number` and makes it the one that counts, in `base`.
pub(crate) fn write(base: &Path, number: u32) {
    let version = base.join(number.to_string());
    let _ = fs::remove_dir_all(&version);
    fs::create_dir_all(version.join("bin")).unwrap();
    fs::create_dir_all(version.join("lib")).unwrap();
    fs::write(version.join("bin/tool"), format!("#!/bin/sh\necho {number}\n")).unwrap();
    fs::write(version.join("lib/data"), "what no version changes").unwrap();
    fs::write(version.join(".cvmfscatalog"), "").unwrap();
    let (new, link) = (base.join("new"), base.join("current"));
    let _ = fs::remove_file(&new);
    symlink(number.to_string(), &new).unwrap();
    fs::rename(new, link).unwrap();
}

/// The work of a transaction that does so.
pub(crate) fn version(number: u32) -> impl FnMut(&OpenTransaction) -> Result<u32, Error> {
    move |open| {
        let base = open.root().join(BASE);
        fs::create_dir_all(&base).unwrap();
        write(&base, number);
        open.touch(path(&format!("{BASE}/{number}")));
        open.touch(path(&format!("{BASE}/current")));
        Ok(number)
    }
}

/// Publishes version `number`.
pub(crate) fn publish(
    publisher: &Publisher,
    way: Way,
    number: u32,
    reporter: &dyn Reporter,
) -> Result<Revision, Error> {
    let repository = publisher.repository();
    match way {
        Way::Transaction => {
            let (value, revision) =
                repository.transact(&words(), reporter, &mut version(number))?;
            assert_eq!(value, number);
            Ok(revision)
        }
        Way::Ingest => {
            let tree = publisher.path(&format!("prepared-{number}"));
            fs::create_dir_all(&tree).unwrap();
            write(&tree, number);
            let base = path(BASE);
            let what = Ingest { tree: &tree, base: &base, time: 1_700_000_000 };
            Ok(repository.ingest(what, &words(), reporter)?)
        }
    }
}

/// A repository where version 1 is published.
pub(crate) fn with_version_1(way: Way) -> Publisher {
    let publisher = Publisher::any();
    publish(&publisher, way, 1, &Log::default()).unwrap();
    publisher
}

/// What readers see of it all.
pub(crate) fn seen(publisher: &Publisher) -> BTreeMap<String, String> {
    publisher.readers_see(BASE)
}

/// Fails unless readers see version `number` whole, and that it counts.
#[track_caller]
pub(crate) fn assert_counts(publisher: &Publisher, number: u32) {
    let seen = seen(publisher);
    assert_eq!(seen["/current"], format!("-> {number}"), "{seen:#?}");
    let tool = &seen[&format!("/{number}/bin/tool")];
    assert!(tool.ends_with(&format!("#!/bin/sh\necho {number}\n")), "{tool}");
    assert!(seen.contains_key(&format!("/{number}/lib/data")));
    let root = publisher.readers_see("");
    let marker = root.keys().find(|name| name.contains("txn"));
    assert_eq!(marker, None, "no marker is published");
}
