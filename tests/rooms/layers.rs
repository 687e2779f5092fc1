//! The drawing of the rooms: which lies above which.

use std::collections::BTreeSet;

use super::imports::{Imports, circles};

/// The rooms, from the lowest layer to the highest. A room may name those of lower layers: no neighbour,
/// and nobody above it.
const LAYERS: [&[&str]; 15] = [
    // What crosses rooms.
    &["model"],
    // What everybody needs.
    &["tools", "report"],
    &["owned", "sandbox"],
    &["config", "decoding", "elf", "imagefile", "store", "workshop"],
    // What programs need of this machine.
    &["drivers"],
    // The stages.
    &[
        "audit",
        "catalog",
        "doctor",
        "fetch",
        "host",
        "launcher",
        "layers",
        "minisig",
        "mounting",
        "prefix",
        "ranch",
        "relocate",
        "repodata",
        "resolve",
        "runtime_config",
        "sbom",
        "shadow",
        "smoke",
        "terminal",
        "trust",
        "unpack",
        "verify",
    ],
    // What takes two stages.
    &["metadata", "release"],
    // What went wrong in any of them.
    &["error"],
    &["context"],
    &["planning"],
    &["making", "carry", "images"],
    &["lifecycle", "publish"],
    &["cli"],
    &["main", "stages"],
    // The map, which holds no code.
    &["lib"],
];

/// Who may name a neighbour, whom, and why.
const EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "unpack",
    "trust",
    "it takes nothing but what trust has verified, which only trust can make",
)];

/// Who may not name whom although that lies below, and why.
const STRANGERS: [(&str, &str, &str); 3] = [
    ("making", "prefix", "a tree can be made where no prefix is"),
    ("carry", "prefix", "what is carried is for any prefix"),
    ("publish", "prefix", "a published version never changes, and has no generations"),
];

/// What breaks the drawing, in words.
fn faults(imports: &Imports, exceptions: &[(&str, &str, &str)]) -> Vec<String> {
    let layer = |room: &str| LAYERS.iter().position(|layer| layer.contains(&room));
    let mut faults = Vec::new();
    let mut needed = BTreeSet::new();
    for (file, rooms) in imports.rooms() {
        let room = file.split('/').next().unwrap_or(file).trim_end_matches(".rs");
        let Some(own) = layer(room) else {
            faults.push(format!("{file}: {room} has no place in the drawing"));
            continue;
        };
        for named in rooms {
            let excepted = exceptions.iter().position(|it| (it.0, it.1) == (room, named));
            needed.extend(excepted);
            let is_strange = STRANGERS.iter().any(|it| (it.0, it.1) == (room, named));
            if is_strange || excepted.is_none() && layer(named).is_none_or(|named| named >= own) {
                faults.push(format!("{file}: {room} may not name {named}"));
            }
        }
    }
    let unneeded = exceptions.iter().enumerate().filter(|(at, _)| !needed.contains(at));
    faults.extend(unneeded.map(|(_, it)| format!("{} does not name {} any more", it.0, it.1)));
    faults
}

/// The whole crate.
fn crate_imports() -> Imports {
    let sources = super::sources();
    let sources: Vec<_> = sources.iter().filter(|(path, ..)| !super::is_tests(path)).collect();
    let files = sources.iter().map(|(path, _, text)| (path.to_str().unwrap(), text.as_str()));
    Imports::of(files)
}

#[test]
fn rooms_name_only_rooms_below_them() {
    let faults = faults(&crate_imports(), &EXCEPTIONS);
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn files_do_not_name_each_other_in_circles() {
    let imports = crate_imports();
    let files = imports.files();
    let mut arrows = Vec::new();
    for circle in circles(&files) {
        arrows.extend(circle.iter().map(|file| format!("{file} → {:?}", &files[file] & &circle)));
    }
    assert!(arrows.is_empty(), "{arrows:#?}");
}

#[test]
fn the_drawing_is_of_the_rooms_that_there_are() {
    let imports = crate_imports();
    let rooms: BTreeSet<&str> = imports
        .rooms()
        .into_keys()
        .map(|file| file.split('/').next().unwrap_or(file).trim_end_matches(".rs"))
        .collect();
    let drawn: Vec<&str> = LAYERS.into_iter().flatten().copied().collect();
    assert_eq!(rooms, drawn.iter().copied().collect());
    assert_eq!(rooms.len(), drawn.len(), "a room stands twice");
    // The reading finds what there is: arrows by all its ways, not by a few.
    let count: usize = imports.files().values().map(BTreeSet::len).sum();
    assert!(count > 1000, "{count} arrows");
}

// What a fault looks like, to prove that none passes.

/// The faults of some files: `(path, text)`.
fn faults_of(files: &[(&str, &str)]) -> Vec<String> {
    faults(&Imports::of(files.iter().copied()), &[])
}

/// The circles of some files.
fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let imports = Imports::of(files.iter().copied());
    let found = circles(&imports.files());
    found.into_iter().map(|circle| circle.into_iter().map(str::to_owned).collect()).collect()
}

#[test]
fn an_arrow_that_leads_upward_is_found_however_it_is_written() {
    let upward = [
        "use crate::cli::Command;",
        "pub use crate::cli::Command;",
        "use crate::{model::Arch, cli};",
        "use crate::{\n    model::Arch,\n    cli::{self as commands, Command},\n};",
        "fn f() { crate::cli::run() }",
        "fn f() -> Option<crate::cli::Command> { None }",
        "use super::super::cli::Command;",
        "use crate::cli::*;",
        "fn f() { use crate::cli as c; c::run() }",
    ];
    for text in upward {
        let files = [("trust/key.rs", text), ("cli/mod.rs", ""), ("model/mod.rs", "")];
        assert_eq!(faults_of(&files), ["trust/key.rs: trust may not name cli"], "{text}");
    }
}

#[test]
fn neighbours_and_strangers_are_found() {
    let files = [("trust/mod.rs", "use crate::fetch::Fetcher;"), ("fetch/mod.rs", "")];
    assert_eq!(faults_of(&files), ["trust/mod.rs: trust may not name fetch"]);
    assert_eq!(faults_of(&[("attic.rs", "")]), ["attic.rs: attic has no place in the drawing"]);
    let files = [("cli/mod.rs", "use crate::attic::Box;"), ("attic.rs", "")];
    assert_eq!(faults_of(&files).len(), 2, "{:?}", faults_of(&files));
    let files = [("making/mod.rs", "use crate::prefix::Prefix;"), ("prefix.rs", "")];
    assert_eq!(faults_of(&files), ["making/mod.rs: making may not name prefix"]);
    let exceptions = [("unpack", "trust", "")];
    let files = [("unpack.rs", "use crate::trust::Verified;"), ("trust.rs", "")];
    assert!(faults(&Imports::of(files), &exceptions).is_empty());
    let files = [("unpack.rs", ""), ("trust.rs", "")];
    assert_eq!(faults(&Imports::of(files), &exceptions), ["unpack does not name trust any more"]);
}

#[test]
fn what_is_no_arrow_is_none() {
    let texts = [
        "// use crate::cli::Command;\n//! See [`crate::cli`].",
        "const A: &str = \"crate::cli::run\"; const B: &str = r#\"use crate::cli;\"#;",
        "#[cfg(test)]\nmod tests {\n    use crate::cli::Command;\n}\n",
        "use crate::model::Arch;\nuse std::fmt;\nuse clap::{self, Parser};",
        "mod cli;\nuse self::cli::Own;\nfn f() { cli::own() }",
    ];
    for text in texts {
        let files = [
            ("trust/mod.rs", text),
            ("trust/cli.rs", ""),
            ("cli/mod.rs", ""),
            ("model/mod.rs", ""),
        ];
        assert!(faults_of(&files).is_empty(), "{text}: {:?}", faults_of(&files));
    }
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let pairs = [
        ("use super::b::B;", "use super::a::A;"),
        ("use crate::trust::b;\nfn f() { b::g() }", "fn g() { super::a::f() }"),
        ("use crate::trust::{b as other};\nfn f() { other::g() }", "use super::{a::A, c::C};"),
    ];
    for (a, b) in pairs {
        let mut files = vec![
            ("trust/mod.rs", "mod a;"),
            ("trust/a.rs", a),
            ("trust/b.rs", b),
            ("trust/c.rs", ""),
        ];
        assert_eq!(circles_of(&files), [["trust/a.rs", "trust/b.rs"]], "{a}");
        files[2].1 = "use super::c::C;";
        assert!(circles_of(&files).is_empty(), "{a}");
    }
    let long = [
        ("trust/a.rs", "use super::b::B;"),
        ("trust/b.rs", "use crate::fetch::F;"),
        ("fetch/mod.rs", "use crate::trust::a::A;"),
        ("fetch/c.rs", "use crate::trust::a::A;"),
    ];
    assert_eq!(circles_of(&long), [["fetch/mod.rs", "trust/a.rs", "trust/b.rs"]]);
}

#[test]
fn names_that_are_handed_on_are_their_real_files() {
    // Handing on is no import: the parts of a room may use each other's names by way of it.
    let parts = "mod a;\nmod b;\npub use a::A;\npub(crate) use self::b::B;";
    let clean =
        [("trust/mod.rs", parts), ("trust/a.rs", "use super::B;"), ("trust/b.rs", "struct B;")];
    assert!(circles_of(&clean).is_empty(), "{:?}", circles_of(&clean));
    // Two parts that meet in their room's names …
    let mutual = [clean[0], clean[1], ("trust/b.rs", "use super::A;")];
    assert_eq!(circles_of(&mutual), [["trust/a.rs", "trust/b.rs"]]);
    // … by way of another room …
    let through = [
        clean[0],
        ("trust/a.rs", "use crate::model::B;"),
        ("trust/b.rs", "use super::A;"),
        ("model/mod.rs", "pub use crate::trust::B;"),
    ];
    assert_eq!(circles_of(&through), [["trust/a.rs", "trust/b.rs"]]);
    // … and a room that works with its parts while they take its types.
    for (room, part) in [
        ("mod a;\nstruct R;\nfn f() { a::g() }", "use super::R;"),
        ("mod a;\npub use a::A;\nstruct R(A);", "struct A(super::R);"),
    ] {
        let files = [("trust/mod.rs", room), ("trust/a.rs", part)];
        assert_eq!(circles_of(&files), [["trust/a.rs", "trust/mod.rs"]], "{room}");
    }
}
