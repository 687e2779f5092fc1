//! What people and the program itself write as text: lock files, definitions, receipts, histories.

use std::os::unix::fs::symlink;

use elsewhere::stages::catalog::Catalog;
use elsewhere::stages::imagefile::ImageFile;
use elsewhere::stages::launcher::{self, LaunchedTrees};
use elsewhere::stages::model::{Arch, Plan, Receipt, RelPath};
use elsewhere::stages::prefix::Prefix;

use super::scratch::Scratch;
use super::{block, tagged};

const LOCK: u8 = 0;
const RECEIPT: u8 = 1;
const HISTORY: u8 = 2;
const JOURNAL: u8 = 8;
const IMAGE: u8 = 9;
/// Definitions: their names below the user's directory.
const DEFINITIONS: [(u8, &str, &str); 5] = [
    (3, "dists/el8.toml", include_str!("../../repos/dists/el8.toml")),
    (4, "runtimes/apptainer.toml", include_str!("../../repos/runtimes/apptainer.toml")),
    (5, "names.toml", include_str!("../../repos/names.toml")),
    (6, "host.toml", include_str!("../../repos/host.toml")),
    (7, "runtimes/crun.toml", include_str!("../../repos/runtimes/crun.toml")),
];

pub(super) fn run(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    match *kind {
        LOCK => run_lock(bytes),
        RECEIPT => run_prefix(".elsewhere/x86_64/1/.elsewhere.json", bytes),
        HISTORY => run_prefix(".elsewhere/x86_64/history.json", bytes),
        JOURNAL => run_prefix(".elsewhere/x86_64/journal.jsonl", bytes),
        IMAGE => run_image(bytes),
        kind => {
            let definition = DEFINITIONS.iter().find(|(number, ..)| *number == kind);
            if let Some((_, name, _)) = definition {
                run_definition(name, bytes);
            }
        }
    }
}

fn run_lock(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let plan = match Plan::from_lock(text) {
        Ok(plan) => plan,
        Err(error) => {
            let _ = (error.to_string(), error.hint());
            return;
        }
    };
    let written = plan.to_lock().unwrap();
    assert_eq!(Plan::from_lock(&written).unwrap(), plan, "a lock file changes when rewritten");
    for tree in &plan.trees {
        let _ = (tree.download_size(), tree.installed_size());
        for package in &tree.packages {
            let _ = (package.file_name(), package.nevra.to_string());
        }
    }
}

/// Reads a prefix that has `bytes` as one of its files.
fn run_image(bytes: &[u8]) {
    match ImageFile::of_bytes(bytes) {
        Ok(image) => {
            let end = image.offset.checked_add(image.size);
            assert!(end.is_some_and(|end| end <= bytes.len() as u64), "an image beyond its file");
        }
        Err(error) => drop(error.to_string()),
    }
}

fn run_prefix(name: &str, bytes: &[u8]) {
    let scratch = Scratch::new();
    scratch.directory(".elsewhere/x86_64/1");
    scratch.write(".elsewhere/x86_64/1/.elsewhere.json", receipt().as_bytes(), 0o644);
    scratch.write(".elsewhere/x86_64/history.json", history().as_bytes(), 0o644);
    symlink(".elsewhere/x86_64/1", scratch.0.join("x86_64")).unwrap();
    scratch.write(name, bytes, 0o644);
    let prefix = Prefix::open(&scratch.0).unwrap();
    let _ = prefix.history(Arch::X86_64).map_err(|error| error.to_string());
    let Ok(Some(generation)) = prefix.live(Arch::X86_64) else { return };
    match prefix.receipt(&generation) {
        Ok(receipt) => check_receipt(&receipt),
        Err(error) => {
            let _ = (error.to_string(), error.hint());
        }
    }
}

fn check_receipt(receipt: &Receipt) {
    let text = serde_json::to_string(receipt).unwrap();
    let again: Receipt = serde_json::from_str(&text).unwrap();
    assert_eq!(again, *receipt, "a receipt changes when rewritten");
    let _ = (receipt.size(), receipt.has(&RelPath::new("bin/fuzz").unwrap()));
}

fn run_definition(name: &str, bytes: &[u8]) {
    // The catalog reads all of its own definitions each time: not for what is no TOML.
    let Ok(text) = str::from_utf8(bytes) else { return };
    if toml::from_str::<toml::Table>(text).is_err() {
        return;
    }
    let scratch = Scratch::new();
    scratch.write(name, bytes, 0o644);
    let catalog = match Catalog::load(std::slice::from_ref(&scratch.0)) {
        Ok(catalog) => catalog,
        Err(error) => {
            let _ = (error.to_string(), error.hint());
            return;
        }
    };
    let _ = catalog.choices(Arch::X86_64, None, "2026-01-01").map(|choices| choices.len());
    for name in ["el8", "debian12", "rocky-9.3", "fedora", "x"] {
        let _ = catalog.dist(name).map_err(|error| (error.to_string(), error.hint()));
    }
    for runtime in catalog.runtimes() {
        for command in &runtime.commands {
            for kind in [LaunchedTrees::Own, LaunchedTrees::Shadow] {
                let (environment, places) = (&runtime.environment, &runtime.places);
                check_launcher(&launcher::text(&runtime.name, command, environment, places, kind));
            }
        }
    }
}

fn check_launcher(text: &str) {
    assert!(text.starts_with("#!/bin/sh") && text.ends_with('\n') && !text.contains('\0'));
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds =
        vec![tagged(LOCK, lock()), tagged(RECEIPT, receipt()), tagged(HISTORY, history())];
    seeds.push(tagged(JOURNAL, journal()));
    seeds.push([&[IMAGE], image().as_slice()].concat());
    seeds.extend(DEFINITIONS.map(|(kind, _, text)| tagged(kind, text)));
    seeds
}

/// A SIF file with one descriptor, whose partition is a squashfs superblock.
fn image() -> Vec<u8> {
    let mut file = vec![0; 128 + 585];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(32, b"SIF_MAGIC\x0001\x0002\0");
    for (at, number) in [(88, 1i64), (96, 128), (128 + 17, 713), (128 + 25, 96)] {
        put(at, &number.to_le_bytes());
    }
    put(128, &0x4004i32.to_le_bytes());
    put(128 + 4, &[1]);
    put(128 + 201, &[1, 0, 0, 0, 2, 0, 0, 0, b'0', b'0']);
    let mut block = [0; 96];
    block[..4].copy_from_slice(b"hsqs");
    block[28] = 4;
    file.extend(block);
    file
}

fn history() -> String {
    let activations = r#"[{"generation":1,"at":1763600000},{"generation":2,"at":1763600001}]"#;
    format!(r#"{{"format":1,"highest":2,"activations":{activations}}}"#)
}

fn journal() -> String {
    let line =
        |event: &str| format!(r#"{{"format":1,"event":{event},"at":1763600000,"highest":2}}"#);
    let events = [r#""activated","generation":1"#, r#""begun","generation":2"#, r#""removed""#];
    events.map(|event| line(event) + "\n").concat()
}

fn receipt() -> String {
    block(include_str!("../../docs/receipt.md"), "json")
}

fn lock() -> String {
    block(include_str!("../../docs/lock-file.md"), "toml")
}
