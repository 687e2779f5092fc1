//! The house's rules that the compiler does not know: rooms name only rooms below them (`layers`), files
//! do not name each other in circles, one room reads the environment, one room draws, one room knows the
//! paths under a prefix; files stay short.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here should stop the test")]

mod imports;
mod layers;
mod tokens;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file, its tests included, at the most.
const FILE_LIMIT: usize = 500;

/// Every source file, with its room and its text without tests.
fn sources() -> Vec<(PathBuf, String, String)> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, found),
                // A script that is written out is text.
                false if path.extension().is_some_and(|it| it == "rs") => found.push(path),
                false => {}
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    let describe = |path: PathBuf| {
        let relative = path.strip_prefix(&root).unwrap().to_owned();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let room = first.trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(path).unwrap();
        (relative, room, text)
    };
    files.into_iter().map(describe).collect()
}

/// Whether a file holds tests only.
fn is_tests(path: &Path) -> bool {
    path.to_str().unwrap().ends_with("tests.rs")
}

/// The code of a file: what comes before its tests, without comments.
fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    before_tests.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

#[test]
fn only_the_host_reads_the_environment() {
    for (path, room, text) in sources() {
        let reads = ["std::env::", "env::var", "env::args", "current_dir()"];
        let found = reads.iter().find(|name| code(&text).contains(**name));
        assert!(room == "host" || found.is_none(), "{}: {found:?}", path.display());
    }
}

#[test]
fn only_the_terminal_writes_to_the_screen() {
    for (path, room, text) in sources() {
        let found = ["stdout()", "stderr()"].iter().find(|name| {
            code(&text).lines().any(|line| line.contains(**name) && !line.contains("is_terminal"))
        });
        assert!(room == "terminal" || found.is_none(), "{}: {found:?}", path.display());
    }
}

#[test]
fn only_the_tools_do_what_a_system_may_refuse() {
    // Threads that panic where there are none, and what is cosmetic for some file systems.
    let calls = [
        "scope.spawn(",
        "thread::spawn(",
        "fs::copy(",
        ".set_permissions(",
        ".set_modified(",
        ".sync_all(",
        ".remove_dir_all(",
    ];
    for (path, room, text) in sources() {
        let found = calls.iter().find(|call| code(&text).contains(**call));
        assert!(
            room == "tools" || is_tests(&path) || found.is_none(),
            "{}: {found:?}",
            path.display()
        );
    }
}

#[test]
fn one_function_says_whether_a_machine_is_new_enough() {
    let questions = [
        "host.x86_64_level",
        "facts.x86_64_level",
        "facts().x86_64_level",
        "target.x86_64_level",
        "glibc().is_none_or(",
        "glibc().is_some_and(",
    ];
    for (path, _, text) in sources() {
        let code = code(&text);
        // The doctor's evidence shows the level, and asks whether there is one.
        let code = code.replace("let found = subject.facts.x86_64_level;", "");
        let found = questions.iter().find(|question| code.contains(**question));
        assert!(found.is_none(), "{}: {found:?}: ask HostFacts::shortage", path.display());
    }
}

/// What stands once: where, and words that nobody needs who uses it. Files of tests may have them.
const ONE_OF_EACH: [(&str, &[&str]); 6] = [
    // Programs run with a limit, in a process group of their own, and without input.
    ("tools/programs.rs", &["Stdio", ".spawn()", ".process_group("]),
    // Several threads take from one queue; and a number for a name is nobody else's.
    ("tools/threads.rs", &["fetch_add("]),
    // Fields of mount tables are escaped in octal.
    ("tools/mounts.rs", &["from_str_radix(std::str"]),
    ("tools/machine.rs", &["nodename()"]),
    // A text that cannot be read is told with its line.
    ("model/toml_text.rs", &["toml::from_str(", ".matches('\\n')"]),
    ("elf", &["\\x7fELF", "ELFMAG"]),
];

#[test]
fn what_every_room_needs_stands_once() {
    for (path, _, text) in sources().into_iter().filter(|(path, ..)| !is_tests(path)) {
        let code = code(&text);
        for (place, words) in ONE_OF_EACH.iter().filter(|(place, _)| !path.starts_with(place)) {
            let found = words.iter().find(|word| code.contains(**word));
            assert!(found.is_none(), "{}: {found:?}: ask {place}", path.display());
        }
        let runs = code.contains("process::Command") || code.contains("process::{");
        let runs_alone = [".output()", ".status()"].iter().find(|word| code.contains(**word));
        let is_free = !runs || runs_alone.is_none();
        assert!(is_free, "{}: {runs_alone:?}: ask tools/programs.rs", path.display());
    }
}

#[test]
fn a_public_type_has_a_name_of_its_own() {
    let mut owners: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (path, _, text) in sources().into_iter().filter(|(path, ..)| !is_tests(path)) {
        for line in code(&text).lines().map(str::trim_start) {
            let public = line.strip_prefix("pub ").or(line.strip_prefix("pub(crate) "));
            let Some((kind, rest)) = public.and_then(|rest| rest.split_once(' ')) else { continue };
            if ["struct", "enum", "trait", "type", "union"].contains(&kind) {
                let end = rest.find(|character: char| !character.is_alphanumeric());
                let name = rest[..end.unwrap_or(rest.len())].to_owned();
                owners.entry(name).or_default().push(path.clone());
            }
        }
    }
    assert!(owners.len() > 200, "{}", owners.len());
    owners.retain(|_, paths| paths.len() > 1);
    assert!(owners.is_empty(), "{owners:#?}");
}

#[test]
fn files_are_written_beside_and_renamed_in_one_way() {
    // Of the cache, what came in part is another run's to go on with; a lock is no file's new text.
    let others = ["tools/replacement.rs", "fetch/cache.rs", "prefix/lock.rs"];
    for (path, _, text) in sources() {
        let code = code(&text);
        let both = code.contains("create_new(true)") && code.contains("fs::rename(");
        let may = others.iter().any(|other| path.ends_with(other));
        assert!(!both || may, "{}: ask tools/replacement.rs", path.display());
    }
}

#[test]
fn only_the_prefix_knows_its_layout() {
    for (path, room, text) in sources() {
        // A receipt lies in its tree, in a prefix or not; its signature beside it. And what is published is no prefix,
        // nor is a shadow, nor an image.
        let own = [
            "\".elsewhere.json\"",
            "\".elsewhere.json.minisig\"",
            "\".elsewhere-version.json\"",
            "\".elsewhere-versions.json\"",
            "\".elsewhere-new\"",
            "\".elsewhere-image.json\"",
            "\".elsewhere-shadow\"",
            "\".elsewhere-shadow/then\"",
            "\".elsewhere-shadow/now\"",
        ];
        let text = own.iter().fold(code(&text), |text, own| text.replace(own, ""));
        let found = text.contains("\".elsewhere");
        assert!(room == "prefix" || !found, "{}", path.display());
    }
}

#[test]
fn no_distribution_url_or_package_stands_in_code() {
    let names = ["rocky", "almalinux", "centos", "fedora", "squashfuse", "libseccomp", "https://"];
    for (path, room, text) in sources() {
        // Text for people may name a distribution or a program as an example.
        if is_tests(&path) || matches!(room.as_str(), "cli" | "terminal") {
            continue;
        }
        for line in code(&text).lines() {
            let found = names.iter().find(|name| line.contains(**name));
            // The scheme by itself, and placeholders.
            let is_scheme = line.contains("\"https://\"") || line.contains("https://HOST");
            assert!(found.is_none() || is_scheme, "{}: {line}", path.display());
            assert!(!names_dist(line), "{}: {line}", path.display());
        }
    }
}

/// Whether a word of `line` is that of a dist: `el8`, `fc43`.
fn names_dist(line: &str) -> bool {
    let words = line.split(|character: char| !character.is_ascii_alphanumeric());
    let numbers = words.filter_map(|word| word.strip_prefix("el").or(word.strip_prefix("fc")));
    let is_number = |rest: &str| rest.parse::<u8>().is_ok();
    numbers.into_iter().any(is_number)
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut long = BTreeMap::new();
    for (path, _, text) in sources() {
        assert!(text.starts_with("//! ") || is_tests(&path), "{}", path.display());
        let lines = text.lines().count();
        if lines > FILE_LIMIT {
            long.insert(path, lines);
        }
    }
    assert!(long.is_empty(), "{long:?}");
}
