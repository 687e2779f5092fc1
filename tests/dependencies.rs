//! The policy on dependencies: few, each with its reason, under licences that allow what is done
//! with them. Reads what cargo knows already; nothing is fetched.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// The most direct dependencies that the program may have.
const MOST: usize = 26;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metadata() -> &'static Value {
    static METADATA: OnceLock<Value> = OnceLock::new();
    METADATA.get_or_init(|| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap());
        cargo.args(["metadata", "--offline", "--locked", "--format-version", "1"]);
        cargo.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
        let output = cargo.current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    })
}

fn packages() -> BTreeMap<&'static str, &'static Value> {
    let packages = metadata()["packages"].as_array().unwrap();
    packages.iter().map(|package| (package["id"].as_str().unwrap(), package)).collect()
}

/// Names of the program's own dependencies: neither for tests nor for builds only.
fn direct() -> BTreeSet<&'static str> {
    let packages = packages();
    let own = packages[metadata()["resolve"]["root"].as_str().unwrap()];
    let normal = own["dependencies"].as_array().unwrap().iter().filter(|one| one["kind"].is_null());
    normal.map(|dependency| dependency["name"].as_str().unwrap()).collect()
}

/// Ids of the packages that are linked into the program, and of those that they are built by.
fn linked() -> BTreeSet<&'static str> {
    let nodes = metadata()["resolve"]["nodes"].as_array().unwrap();
    let nodes: BTreeMap<_, _> =
        nodes.iter().map(|node| (node["id"].as_str().unwrap(), node)).collect();
    let mut waiting = vec![metadata()["resolve"]["root"].as_str().unwrap()];
    let mut found = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !found.insert(id) {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let kinds = dependency["dep_kinds"].as_array().unwrap();
            if kinds.iter().any(|kind| kind["kind"] != "dev") {
                waiting.push(dependency["pkg"].as_str().unwrap());
            }
        }
    }
    found
}

fn policy() -> toml::Table {
    fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap()
}

/// Whether a choice that `expression` (SPDX's, or cargo's older one with slashes) leaves is allowed.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (answer, rest) = any(&words, allowed);
    assert!(rest.is_empty(), "{expression}: {rest:?}");
    answer
}

fn any<'w>(words: &'w [&'w str], allowed: &BTreeSet<&str>) -> (bool, &'w [&'w str]) {
    let (mut answer, mut rest) = all(words, allowed);
    while let ["OR", more @ ..] = rest {
        let (next, after) = all(more, allowed);
        (answer, rest) = (answer || next, after);
    }
    (answer, rest)
}

fn all<'w>(words: &'w [&'w str], allowed: &BTreeSet<&str>) -> (bool, &'w [&'w str]) {
    let (mut answer, mut rest) = one(words, allowed);
    while let ["AND", more @ ..] = rest {
        let (next, after) = one(more, allowed);
        (answer, rest) = (answer && next, after);
    }
    (answer, rest)
}

fn one<'w>(words: &'w [&'w str], allowed: &BTreeSet<&str>) -> (bool, &'w [&'w str]) {
    match words {
        ["(", inner @ ..] => {
            let (answer, rest) = any(inner, allowed);
            assert_eq!(rest.first(), Some(&")"));
            (answer, &rest[1..])
        }
        [name, "WITH", exception, rest @ ..] => {
            (allowed.contains(format!("{name} WITH {exception}").as_str()), rest)
        }
        [name, rest @ ..] => (allowed.contains(name), rest),
        [] => panic!("a licence is missing"),
    }
}

#[test]
fn there_are_few_and_each_has_its_reason() {
    let direct = direct();
    assert!(direct.len() <= MOST, "{} direct dependencies: {direct:?}", direct.len());
    let page = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let mut explained = BTreeSet::new();
    for (name, reason) in rows {
        assert!(reason.len() > 20, "{name}: {reason}");
        assert!(explained.insert(name), "{name} stands twice");
    }
    assert_eq!(explained, direct, "docs/dependencies.md has a line for each");
}

#[test]
fn every_licence_is_allowed() {
    let policy = policy();
    let allowed = policy["licenses"]["allow"].as_array().unwrap();
    let allowed: BTreeSet<&str> = allowed.iter().map(|name| name.as_str().unwrap()).collect();
    let packages = packages();
    let mut refused = Vec::new();
    for id in linked() {
        let licence = packages[id]["license"].as_str();
        if !licence.is_some_and(|licence| is_allowed(licence, &allowed)) {
            refused.push(format!("{id}: {licence:?}"));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn nothing_is_linked_that_is_banned_or_from_elsewhere() {
    let packages = packages();
    let policy = policy();
    let banned = policy["bans"]["deny"].as_array().unwrap();
    let banned: BTreeSet<&str> = banned.iter().map(|one| one["crate"].as_str().unwrap()).collect();
    for id in linked() {
        let package = packages[id];
        assert!(!banned.contains(package["name"].as_str().unwrap()), "{id}");
        let registry = "registry+https://github.com/rust-lang/crates.io-index";
        let is_own = package["name"] == "elsewhere";
        assert!(is_own || package["source"] == registry, "{id}");
    }
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let allowed = BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]);
    for (expression, answer) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND ISC", true),
        ("MIT AND GPL-3.0", false),
        ("GPL-3.0 AND ISC OR MIT", true),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("(GPL-3.0 OR MIT) AND GPL-3.0", false),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
        ("Apache-2.0", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), answer, "{expression}");
    }
}
