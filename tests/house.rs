//! The rules of the tests' own house: there is one of each helper, and what a test sees of this
//! machine goes through it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here should stop the test")]

use std::fs;
use std::path::{Path, PathBuf};

/// Every Rust file of the tests, the examples and the benches, but this one: path and text.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, found),
                false => found.push(path),
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    ["tests", "examples", "benches"].iter().for_each(|name| walk(&root.join(name), &mut files));
    files.retain(|path| path.extension().is_some_and(|kind| kind == "rs"));
    files.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(root).unwrap().to_owned(), text)
    };
    files.into_iter().map(read).filter(|(path, _)| path != Path::new("tests/house.rs")).collect()
}

/// Fails where a file that is none of `places` (files, or directories with all that is in them)
/// holds one of these.
#[track_caller]
fn only(places: &[&str], texts: &[&str]) {
    for (path, text) in sources() {
        let found = texts.iter().find(|it| text.contains(**it));
        let is_there = places.iter().any(|place| path.starts_with(place));
        assert!(is_there || found.is_none(), "{}: {found:?}", path.display());
    }
}

#[test]
fn only_the_helper_runs_the_program() {
    only(&["tests/support/program.rs"], &["CARGO_BIN_EXE_elsewhere"]);
}

#[test]
fn only_the_writer_writes_lists_of_packages() {
    // Beside those who read what nobody should write.
    let readers = ["tests/metadata.rs", "tests/repodata"];
    let texts = ["<repomd><", "<repomd ", "<metadata ", "<metadata>", "<package type"];
    only(&[&["tests/support/metadata.rs"][..], &readers].concat(), &texts);
}

#[test]
fn only_the_writer_writes_packages() {
    // Beside those who read packages of another writer's.
    let readers = ["tests/trust.rs", "tests/unpack.rs"];
    only(&readers, &["PackageBuilder", "rpm::Package::"]);
    only(&["tests/support"], &["0xed, 0xab", "0x8e, 0xad"]);
}

#[test]
fn only_the_maker_makes_keys() {
    // Beside one that another library signs with.
    only(&["tests/support/keys.rs", "tests/trust.rs"], &["SecretKeyParamsBuilder"]);
}

#[test]
fn only_the_server_serves() {
    // Beside what stands between it and the program, and who needs a port.
    let ports = [
        "tests/support/gateway.rs",
        "tests/registry/readers.rs",
        "tests/sandbox.rs",
        "tests/fetch",
        "tests/support/registry.rs",
    ];
    only(&[&["tests/support/server.rs"][..], &ports].concat(), &["TcpListener"]);
}

#[test]
fn what_is_missing_is_said_aloud() {
    only(&[], &["passed over:", "not tested:", "nothing was tried"]);
}

#[test]
fn files_say_what_they_are_for() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{}", path.display());
    }
}

#[test]
fn each_rule_of_security_names_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/security.md")).unwrap();
    // Some stand beside what they test.
    let mut code: String = sources().into_iter().map(|(_, text)| text).collect();
    let mut waiting = vec![root.join("src")];
    while let Some(directory) = waiting.pop() {
        for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => waiting.push(path),
                false => code.push_str(&fs::read_to_string(path).unwrap()),
            }
        }
    }
    let (table, _) = page.split_once("\n## ").unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    for row in &rows {
        let names = row.trim_matches('|').split(" | ").last().unwrap();
        let names: Vec<&str> = names.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {row}");
        for name in names {
            assert!(code.contains(&format!("fn {name}(")), "{name}: {row}");
        }
    }
    assert!(rows.len() > 25, "{}", rows.len());
}
