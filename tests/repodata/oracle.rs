//! The corpus, as libsolv (by dnf's hawkey) and createrepo_c read it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use elsewhere::stages::model::{Evr, NameHash};
use serde_json::Value;

use super::corpus::{Case, Relations, View, cases, views};

/// The kinds of dependencies that [`View::relations`] has, in that order.
const KINDS: [&str; 7] =
    ["requires", "conflicts", "obsoletes", "recommends", "suggests", "supplements", "enhances"];

/// What the oracles read of each case, a JSON value each.
fn answers(cases: &[Case]) -> Vec<Value> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("repodata-oracle");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    for (number, case) in cases.iter().enumerate() {
        fs::write(directory.join(format!("{number}.xml")), &case.xml).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/repodata/read.py");
    // Debian's: the bindings are for that one.
    let output = Command::new("/usr/bin/python3")
        .arg(script)
        .arg(&directory)
        .arg(cases.len().to_string())
        .output()
        .unwrap_or_else(|error| panic!("{error}: as root, type: apt-get install python3-dnf"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "are python3-dnf and createrepo-c installed?\n{told}");
    fs::remove_dir_all(&directory).unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_read_is_what_libsolv_and_createrepo_c_read() {
    let cases: Vec<Case> = cases().collect();
    let answers = answers(&cases);
    assert_eq!(answers.len(), cases.len());
    let (mut by_libsolv, mut by_createrepo) = (0, 0);
    let mut wrong = Vec::new();
    for (case, answer) in cases.iter().zip(&answers) {
        let (read, aside) = views(&case.xml);
        let mut tell = |what: String| wrong.push(format!("{what}: {:?}\n{}", case.how, case.entry));
        // Both refuse whole documents for a checksum: its package is set aside or out of scope, or has
        // another one.
        let is_odd = aside == 1 || read.len() == 3 || case.is_doubled;
        match answer["libsolv"].as_array() {
            None if is_odd => {}
            None => tell("libsolv refuses it".to_owned()),
            Some(theirs) => {
                let in_scope = |it: &&Value| matches!(text(&it["arch"]), "x86_64" | "noarch");
                let theirs: Vec<&Value> = theirs.iter().filter(in_scope).collect();
                let (counts, ours) = (theirs.len(), read.len() + aside);
                if counts != ours {
                    tell(format!("libsolv reads {counts} packages instead of {ours}"));
                }
                // Of two locations it takes the directory of one and the name of the other.
                let difference = differences(&read, &theirs, libsolv, true);
                let is_mixed = |it: &String| case.is_doubled && it.starts_with("location");
                if let Some(difference) = difference.filter(|it| !is_mixed(it)) {
                    tell(format!("libsolv: {difference}"));
                }
                by_libsolv += 1;
            }
        }
        match answer["createrepo"].as_array() {
            None if is_odd => {}
            None => tell("createrepo_c refuses it".to_owned()),
            // Of what is doubled it takes the first, and of sections both.
            Some(_) if case.is_doubled => {}
            Some(theirs) => {
                let theirs: Vec<&Value> = theirs.iter().collect();
                if let Some(difference) = differences(&read, &theirs, createrepo, false) {
                    tell(format!("createrepo_c: {difference}"));
                }
                by_createrepo += 1;
            }
        }
    }
    let count = cases.len();
    println!(
        "{count} mutations: {by_libsolv} as libsolv reads them, {by_createrepo} as createrepo_c"
    );
    let first: Vec<&String> = wrong.iter().take(5).collect();
    assert!(wrong.is_empty(), "{} differ, among them {first:#?}", wrong.len());
}

/// How a package that was read differs from the oracle's.
type Compare = fn(&View, &Value) -> Option<String>;

/// The first difference between packages that were read and the oracle's of the same name.
fn differences(read: &[View], theirs: &[&Value], compare: Compare, all: bool) -> Option<String> {
    read.iter().find_map(|view| {
        let same = theirs.iter().find(|it| text(&it["name"]) == view.name);
        match same {
            Some(same) => compare(view, same),
            None => all.then(|| format!("has no {}", view.name)),
        }
    })
}

fn libsolv(view: &View, theirs: &Value) -> Option<String> {
    let scriptlets = list(&theirs["scriptlets"]);
    let relations = |kind: &str| -> Relations { list(&theirs[kind]) };
    let provides = relations("provides");
    let sensible = provides.iter().map(|it| hashed(it)).filter(|it| !is_malformed(it.0));
    let provides: BTreeSet<_> = sensible.collect();
    let files: BTreeSet<_> =
        theirs["files"].as_array()?.iter().map(|it| NameHash::of(text(it))).collect();
    let mut found = plain(view, theirs, text(&theirs["evr"]));
    for (kind, ours) in KINDS.iter().zip(&view.relations) {
        let theirs = relations(kind);
        // What is needed and for scriptlets too stands in one of its lists.
        let is_optional = |it: &String| *kind == "requires" && scriptlets.contains(it);
        let odd: Vec<&String> = ours
            .symmetric_difference(&theirs)
            .filter(|it| !is_optional(it) && !is_known(it))
            .collect();
        found.push((odd.is_empty(), format!("{kind} {odd:?}")));
    }
    let own = |it: &&(NameHash, String)| !is_malformed(it.0);
    let ours: BTreeSet<_> = view.provides.iter().filter(own).cloned().collect();
    found.push((ours == provides, format!("provides {provides:?}")));
    found.push((view.files == files, format!("files {files:?}")));
    found.into_iter().find_map(|(is_same, what)| (!is_same).then_some(what))
}

/// What differs on purpose, among requirements and the like: a rich dependency that makes no sense is
/// dropped by libsolv and fulfilled by nothing here; `rpmlib` is never read.
fn is_known(relation: &str) -> bool {
    relation == "(x y" || relation.starts_with("rpmlib(")
}

fn is_malformed(name: NameHash) -> bool {
    name == NameHash::of("(x y")
}

fn createrepo(view: &View, theirs: &Value) -> Option<String> {
    // Whatever stands in `pre`, it writes 1.
    let relations = |kind: &str, with_scriptlets: bool| -> Relations {
        let entries = theirs[kind].as_array().into_iter().flatten();
        let entries = entries.filter(|it| with_scriptlets || it["pre"].is_null());
        entries.filter_map(entry).collect()
    };
    let evr = evr(text(&theirs["epoch"]), text(&theirs["version"]), text(&theirs["release"]));
    let mut found = plain(view, theirs, &evr);
    for (kind, ours) in KINDS.iter().zip(&view.relations) {
        let is_known = |it: &&String| it.starts_with(' ') || it.is_empty() || it.contains(" ! ");
        let (least, most) = (relations(kind, *kind != "requires"), relations(kind, true));
        let mut odd: Vec<&String> = ours.difference(&most).chain(least.difference(ours)).collect();
        // An operator that it does not write is none.
        let has_unknown =
            |it: &&String| ours.iter().any(|own| own.starts_with(&format!("{it} ! ")));
        odd.retain(|it| !is_known(it) && !has_unknown(it));
        found.push((odd.is_empty(), format!("{kind} {odd:?}")));
    }
    found.into_iter().find_map(|(is_same, what)| (!is_same).then_some(what))
}

/// What both oracles tell alike.
fn plain(view: &View, theirs: &Value, evr: &str) -> Vec<(bool, String)> {
    let (href, base) = (text(&theirs["location"]), text(&theirs["base"]));
    let location = match base {
        "" => href.to_owned(),
        _ if href.contains("://") => href.to_owned(),
        base => format!("{}/{}", base.trim_end_matches('/'), href.trim_start_matches('/')),
    };
    let number =
        |key: &str| theirs[key].as_u64().filter(|number| *number < i64::MAX as u64).unwrap_or(0);
    let (ours, expected) = (Evr::parse(&view.evr), Evr::parse(evr));
    let is_same_place = view.location.trim_start_matches('/') == location.trim_start_matches('/');
    let arch = Some(text(&theirs["arch"])).filter(|arch| !arch.is_empty()).unwrap_or("noarch");
    vec![
        (arch == view.arch, format!("architecture {arch}")),
        (ours.as_text() == expected.as_text(), format!("version {evr}")),
        (is_same_place, format!("location {location}")),
        (view.size == number("size"), format!("size {}", theirs["size"])),
        (view.installed == number("installed"), format!("installed size {}", theirs["installed"])),
    ]
}

/// An entry of createrepo_c's as text.
fn entry(entry: &Value) -> Option<String> {
    let name = entry["name"].as_str()?;
    let operator = match text(&entry["flags"]) {
        "" => return Some(name.to_owned()),
        "LT" => "<",
        "LE" => "<=",
        "EQ" => "=",
        "GE" => ">=",
        "GT" => ">",
        "NE" => "<>",
        _ => "!",
    };
    Some(format!(
        "{name} {operator} {}",
        evr(text(&entry["epoch"]), text(&entry["ver"]), text(&entry["rel"]))
    ))
}

fn evr(epoch: &str, version: &str, release: &str) -> String {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let has_colon = version.split_once(':').is_some_and(|(front, _)| is_number(front));
    let epoch = match epoch {
        "" | "0" if has_colon => "0:".to_owned(),
        "" | "0" => String::new(),
        epoch => format!("{epoch}:"),
    };
    let release = if release.is_empty() { String::new() } else { format!("-{release}") };
    format!("{epoch}{version}{release}")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Relations of libsolv's, in our words: what has no version is empty, as is a release that is.
fn list(value: &Value) -> Relations {
    let tidy = |it: &Value| {
        let relation = text(it).replace("<NULL>", "");
        let has_version = relation.contains(['=', '<', '>', '!']);
        relation.strip_suffix('-').filter(|_| has_version).map_or(relation.clone(), str::to_owned)
    };
    value.as_array().into_iter().flatten().map(tidy).collect()
}

/// A capability of libsolv's as ours are kept.
fn hashed(provide: &str) -> (NameHash, String) {
    for operator in [" <= ", " >= ", " <> ", " < ", " > ", " = ", " ! "] {
        if let Some((name, evr)) = provide.split_once(operator) {
            return (NameHash::of(name), format!("{}{evr}", &operator[1..]));
        }
    }
    (NameHash::of(provide), String::new())
}
