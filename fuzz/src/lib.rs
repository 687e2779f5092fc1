//! What the fuzz targets do with their input, and what they start from. libFuzzer drives it
//! (`fuzz_targets/`), and so does an ordinary test (`tests/fuzz_short.rs`), which includes this
//! file: so it uses nothing but the program's public interface and the tests' package builder.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "test code, of which each program uses a part; a panic is what it is for"
)]

#[path = "../../tests/support/archive.rs"]
mod archive;
mod documents;
mod elf;
mod elf_seeds;
#[path = "../../tests/support/header.rs"]
mod header;
#[path = "../../tests/support/keys.rs"]
mod keys;
mod layer;
mod metadata;
mod openpgp;
mod package;
mod payload;
#[path = "../../tests/support/rpms.rs"]
mod rpms;
mod scratch;
mod settings;
#[path = "../../tests/support/tarball.rs"]
mod tarball;

use std::fs;
use std::path::Path;

/// One entry to the program, with inputs that it should take.
pub struct Target {
    pub name: &'static str,
    /// Takes any bytes; panics when the program does what it must not.
    pub run: fn(&[u8]),
    /// What to start from, the same in every run.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

static TARGETS: [Target; 8] = [
    Target { name: "documents", run: documents::run, seeds: documents::seeds },
    Target { name: "elf", run: elf::run, seeds: elf::seeds },
    Target { name: "layer", run: layer::run, seeds: layer::seeds },
    Target { name: "metadata", run: metadata::run, seeds: metadata::seeds },
    Target { name: "openpgp", run: openpgp::run, seeds: openpgp::seeds },
    Target { name: "package", run: package::run, seeds: package::seeds },
    Target { name: "payload", run: payload::run, seeds: payload::seeds },
    Target { name: "settings", run: settings::run, seeds: settings::seeds },
];

/// Runs the target of this name.
pub fn run(name: &str, input: &[u8]) {
    (target(name).run)(input);
}

/// Writes the seeds of the target of this name to where libFuzzer will look for them.
pub fn write_seeds(name: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    fs::create_dir_all(&directory).unwrap();
    for (number, seed) in (target(name).seeds)().iter().enumerate() {
        fs::write(directory.join(format!("seed-{number:02}")), seed).unwrap();
    }
}

/// The target of this name.
pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap()
}

/// `kind` before `bytes`: the first byte of an input says what the rest is.
fn tagged(kind: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [&[kind], bytes.as_ref()].concat()
}

/// The first block of this language in a document of ours.
fn block(document: &str, language: &str) -> String {
    let (_, rest) = document.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}
