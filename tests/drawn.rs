//! What comes from a file or the network is drawn, and does nothing: no receipt and no lock file drives the
//! terminal of who looks at it, or makes a line that looks like one of the program's own.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::site::{Outcome, Site};
use support::{program, tools};

/// Sets a title, rings, clears, reorders, goes to the line's beginning, and speaks in another's name.
const EVIL: &str = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\r\u{7f}\nerror: owned\n";

/// One place of a document that holds a text, for each kind of place.
fn places(document: &Value) -> Vec<String> {
    fn look(value: &Value, kind: &str, place: &str, places: &mut BTreeMap<String, String>) {
        match value {
            Value::String(_) => {
                places.entry(kind.to_owned()).or_insert_with(|| place.to_owned());
            }
            Value::Array(items) => {
                let item = |(at, item): (usize, &Value)| {
                    look(item, &format!("{kind}/*"), &format!("{place}/{at}"), places);
                };
                items.iter().enumerate().for_each(item);
            }
            Value::Object(fields) => fields.iter().for_each(|(name, field)| {
                look(field, &format!("{kind}/{name}"), &format!("{place}/{name}"), places);
            }),
            _ => {}
        }
    }
    let mut places = BTreeMap::new();
    look(document, "", "", &mut places);
    places.into_values().collect()
}

/// The document with something evil at the end of one text.
fn spoilt(document: &Value, place: &str) -> Value {
    let mut document = document.clone();
    let text = document.pointer_mut(place).unwrap();
    *text = format!("{}{EVIL}", text.as_str().unwrap()).into();
    document
}

#[track_caller]
fn is_harmless(outcome: &Outcome, about: &str) {
    let text = format!("{}{}", outcome.out, outcome.err);
    let acts = |one: char| (one.is_control() && one != '\n') || one == '\u{202e}';
    assert!(!text.contains(acts), "{about}: {text:?}");
    assert!(!text.lines().any(|line| line.starts_with("error: owned")), "{about}: {text}");
}

/// Failed before: `status` printed the `dist`, as others did other texts.
#[test]
fn nothing_that_a_receipt_says_drives_the_terminal() {
    let site = Site::new("drawn-receipt");
    site.install(&[]).ok();
    let file = site.in_tree(".elsewhere.json");
    let receipt: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let places = places(&receipt);
    assert!(places.len() > 30, "{places:?}");
    for place in places {
        fs::write(&file, spoilt(&receipt, &place).to_string()).unwrap();
        for words in [
            &["status"][..],
            &["status", "--json"],
            &["history"],
            &["verify"],
            &["verify", "--json"],
            &["sbom"],
            &["doctor"],
            &["prune", "--json"],
        ] {
            is_harmless(&site.run_at(&site.prefix(), words), &format!("{words:?} {place}"));
        }
        for (command, words) in [
            ("verify", &["--deep"][..]),
            ("update", &["--check"]),
            ("update", &["--check", "--json"]),
        ] {
            is_harmless(&site.run(command, words), &format!("{command} {words:?} {place}"));
        }
    }
}

#[test]
fn nothing_that_a_lock_file_says_drives_the_terminal() {
    let site = Site::new("drawn-lock");
    let file = site.scratch.path().join("lock");
    let (repos, lock) = (site.repos(), file.to_str().unwrap().to_owned());
    let repos = ["--repos", repos.to_str().unwrap()];
    let wanted = ["plan", "-d", "lab", "-r", "hello", "-a", "x86_64", "--lock"];
    site.run_at(&file, &[&wanted[..1], &repos, &wanted[1..]].concat()).ok();
    let document: Value = toml::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let places = places(&document);
    assert!(places.len() > 15, "{places:?}");
    for place in places {
        fs::write(&file, toml::to_string(&spoilt(&document, &place)).unwrap()).unwrap();
        for words in [&["--dry-run"][..], &["--dry-run", "--json"], &[]] {
            let words = [&["--lock", &lock][..], words].concat();
            is_harmless(&site.run("install", &words), &format!("{words:?} {place}"));
        }
    }
}

/// Failed before: a lock file was written to a terminal as to any other place.
#[test]
fn a_document_only_shows_on_a_terminal() {
    let site = Site::new("drawn-document");
    let file = site.repos().join("dists/lab.toml");
    let evil = "https://forged.example/keys/\u{9b}2J\u{202e}";
    let text = fs::read_to_string(&file).unwrap();
    let spoilt = format!("alternates = [\"{evil}\"]\nurl = ");
    fs::write(&file, text.replace("url = ", &spoilt)).unwrap();
    let (mirror, repos, cache) = (site.mirror(), site.repos(), site.cache());
    let places = format!(
        "--mirror '{}' --repos '{}' --cache-dir '{}'",
        mirror.display(),
        repos.display(),
        cache.display()
    );
    let program = program::path();
    let plan = format!(
        "'{}' plan -d lab -r hello -a x86_64 --lock - {places} 2>/dev/null",
        program.display()
    );
    let mut shell = Command::new("/bin/sh");
    let piped = Outcome::of(site.enter(shell.args(["-c", &plan])).output().unwrap()).ok();
    assert!(piped.out.contains(evil), "{}", piped.out);
    let mut script = Command::new(tools::need("script", "bsdutils"));
    script.args(["-qec", &plan, "/dev/null"]).stdin(Stdio::null());
    let shown = Outcome::of(site.enter(&mut script).output().unwrap()).ok();
    assert!(shown.out.contains("keys/\\u{9b}2J\\u{202e}"), "{}", shown.out);
    assert!(!shown.out.contains(['\u{9b}', '\u{202e}']), "{}", shown.out);
}
