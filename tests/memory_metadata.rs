//! A small list of packages does not fill the machine's memory, whatever it is made of. Alone in its file:
//! the process is measured.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::fs;
use std::io::Write;

use elsewhere::stages::decoding::Decoder;
use elsewhere::stages::model::{Arch, Checksum, Index};
use elsewhere::stages::repodata::RepodataError;
use elsewhere::stages::repodata::primary::{Scope, parse};
use elsewhere::stages::repodata::repomd::RepomdRecord;
use flate2::Compression;
use flate2::write::GzEncoder;

use support::metadata;

/// Bytes that each document unpacks to; the program reads four times as many.
const OPEN: usize = 128 << 20;
/// Bytes that each has at most, packed.
const PACKED: usize = 1_100_000;
/// Bytes that the whole process may have at once.
const LIMIT: u64 = 128 << 20;

/// A document whose content is `before`, `one` again and again, `after`.
fn bomb(before: &str, one: &str, after: &str) -> Vec<u8> {
    let empty = metadata::document(0, "\0");
    let (start, end) = empty.split_once('\0').unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(format!("{start}{before}").as_bytes()).unwrap();
    let block = one.repeat((64 << 10) / one.len());
    for _ in 0..OPEN / block.len() {
        packed.write_all(block.as_bytes()).unwrap();
    }
    packed.write_all(format!("{after}{end}").as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// What came of reading it.
fn read(packed: &[u8]) -> Result<(), RepodataError> {
    let record = RepomdRecord {
        location: "repodata/primary.xml.gz".into(),
        checksum: Checksum::of(packed),
        size: None,
        open_checksum: None,
        open_size: None,
    };
    let mut index = Index { repositories: vec!["repository".into()], ..Index::default() };
    let scope = Scope { arch: Arch::X86_64, repository: 0, only: &[], may_fetch: &|_| true };
    parse(&mut Decoder::here(), packed, &record, &scope, &mut index)
}

/// The most memory that the process has had, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_small_list_of_packages_takes_little_memory() {
    let hex = "a".repeat(64);
    let package = format!(
        "<package><name>a</name><checksum type=\"sha256\">{hex}</checksum>\
         <location href=\"a\"/></package>"
    );
    let open = format!("{}<format>", package.trim_end_matches("</package>"));
    let list = |kind: &str| format!("{open}<{kind}>");
    let close = |kind: &str| format!("</{kind}></format></package>");
    let entry = "<entry name=\"a\" flags=\"EQ\" ver=\"1\"/>";
    let kinds = [
        ("packages", bomb("", &package, "")),
        ("packages that are set aside", bomb("", "<package/>", "")),
        ("provides", bomb(&list("provides"), entry, &close("provides"))),
        ("requires", bomb(&list("requires"), entry, &close("requires"))),
        ("supplements", bomb(&list("supplements"), entry, &close("supplements"))),
        ("files", bomb(&open, "<file>a</file>", "</format></package>")),
    ];
    for (kind, packed) in &kinds {
        assert!(packed.len() < PACKED, "{kind}: {}", packed.len());
        let outcome = read(packed);
        println!("{kind}: {} bytes packed, {} bytes of memory", packed.len(), peak());
        let error = outcome.expect_err(kind).to_string();
        assert!(error.starts_with("takes more than "), "{kind}: {error}");
        assert!(error.contains(" MiB of memory, the most for the "), "{kind}: {error}");
        assert!(peak() < LIMIT, "{kind}: {} bytes", peak());
    }
}
