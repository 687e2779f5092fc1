//! The formats that `docs/` describes: every example there is read, and written, by the program.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::error::Error;
use std::fs;
use std::path::Path;

use elsewhere::stages::catalog::Catalog;
use elsewhere::stages::config::{Config, ConfigFile, Whose};
use elsewhere::stages::model::{Arch, Plan, Receipt};

/// The code blocks of a page that are in `language`.
fn examples(page: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = fs::read_to_string(path).unwrap();
    let opening = format!("```{language}\n");
    let blocks = text.split(&opening).skip(1);
    blocks.map(|rest| rest.split_once("```").unwrap().0.to_owned()).collect()
}

fn lock_file() -> String {
    examples("lock-file.md", "toml").remove(0)
}

#[test]
fn the_documented_lock_file_is_what_is_written() {
    let plan = Plan::from_lock(&lock_file()).unwrap();
    assert_eq!(plan.to_lock().unwrap(), lock_file());
    assert!(plan.trees.iter().all(|tree| tree.packages.len() >= 2));
}

/// The message for the documented lock file with one text replaced by another.
fn refused(from: &str, to: &str) -> String {
    let text = lock_file();
    assert!(text.contains(from), "{from}");
    let error = Plan::from_lock(&text.replacen(from, to, 1)).unwrap_err();
    let source = error.source().map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}

#[test]
fn a_lock_file_of_another_format_is_refused_whatever_else_it_has() {
    let message = refused("format = 2", "format = 3\ncolour = 'red'");
    assert!(message.starts_with("the lock file has format 3, and this program reads format 2"));
    assert!(refused("format = 2", "format = 0").starts_with("the lock file has format 0"));
}

#[test]
fn what_is_no_lock_file_is_refused() {
    assert!(Plan::from_lock("").is_err());
    assert!(Plan::from_lock("\u{0}\u{1}").is_err());
    assert!(refused("dist = ", "colour = ").contains("unknown field `colour`"));
    assert!(refused("sha256:", "md5:").contains("md5"));
    assert!(refused("size = ", "size = -").starts_with("this is no lock file"));
}

#[test]
fn a_lock_file_that_contradicts_itself_is_refused() {
    assert!(refused("source = \"epel\"", "source = \"other\"").contains("unknown source"));
    assert!(refused("name = \"util-linux\"", "name = \"apptainer\"").contains("stands twice"));
    assert!(refused("name = \"util-linux\"", "name = \"aaa\"").contains("out of order"));
    let other = refused("arch = \"x86_64\"\ndist", "arch = \"aarch64\"\ndist");
    assert!(other.contains("is for another architecture"), "{other}");
    let inner =
        refused("[tree.container]\narch = \"x86_64\"", "[tree.container]\narch = \"aarch64\"");
    assert!(inner.contains("what is bound into containers is for aarch64"), "{inner}");
    let twice = refused("dist = \"el8\"", "dist = \"el9\"");
    assert!(twice.contains("is not of one other dist"), "{twice}");
    let text = lock_file();
    let (_, tree) = text.split_once("[[tree]]").unwrap();
    let error = Plan::from_lock(&format!("{text}\n[[tree]]{tree}")).unwrap_err();
    assert!(error.to_string().contains("for x86_64"), "{error}");
}

#[test]
fn sizes_that_add_up_to_more_than_a_number_holds_are_no_panic() {
    let largest = format!(" = {}", i64::MAX);
    let mut plan = Plan::from_lock(&lock_file()).unwrap();
    for package in &mut plan.trees[0].packages {
        (package.size, package.installed_size) = (i64::MAX as u64, i64::MAX as u64);
    }
    while plan.trees[0].packages.len() < 3 {
        let mut last = plan.trees[0].packages.last().unwrap().clone();
        last.nevra.name.push('z');
        plan.trees[0].packages.push(last);
    }
    let text = plan.to_lock().unwrap();
    assert!(text.contains(&largest));
    let tree = &Plan::from_lock(&text).unwrap().trees[0];
    assert_eq!((tree.download_size(), tree.installed_size()), (u64::MAX, u64::MAX));
}

#[test]
fn the_documented_receipt_is_what_is_written() {
    let text = examples("receipt.md", "json").remove(0);
    let receipt: Receipt = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string_pretty(&receipt).unwrap(), text.trim_end());
}

#[test]
fn the_documented_definitions_are_a_catalog() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documented-definitions");
    let _ = fs::remove_dir_all(&root);
    for text in examples("definitions.md", "toml") {
        let name = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap();
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &text).unwrap();
    }
    let catalog = Catalog::load(&[root]).unwrap();
    let dist = catalog.dist("lab8").unwrap();
    assert_eq!(dist.repositories_for(Arch::Aarch64).count(), 4);
    let runtime = catalog.runtime("lab-apptainer").unwrap();
    assert_eq!(runtime.commands.len(), 2);
    assert!(runtime.extras.iter().flat_map(|extra| &extra.dists).all(|name| name == "lab8"));
}

#[test]
fn every_field_of_a_definition_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/definitions.md");
    let page = fs::read_to_string(path).unwrap();
    // An unknown field's message lists those that are known.
    let known = |name: &str, text: &str| {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("undocumented").join(name);
        let _ = fs::remove_dir_all(&root);
        let file = root.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        let message = Catalog::load(&[root]).unwrap_err().to_string();
        let (_, fields) = message.split_once("expected").unwrap();
        let fields: Vec<_> = fields.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(!fields.is_empty());
        fields
    };
    let cases = [
        ("dists/x.toml", "zz = 1"),
        ("dists/x.toml", "[[repository]]\nzz = 1"),
        ("dists/x.toml", "[[repository]]\n[[repository.key]]\nzz = 1"),
        ("runtimes/x.toml", "zz = 1"),
        ("runtimes/x.toml", "[host]\nzz = 1"),
        ("runtimes/x.toml", "[[extra]]\nzz = 1"),
        ("runtimes/x.toml", "[[command]]\nzz = 1"),
        ("runtimes/x.toml", "[[link]]\nzz = 1"),
        ("runtimes/x.toml", "[[edit]]\nzz = 1"),
        ("runtimes/x.toml", "[[smoke]]\nzz = 1"),
        ("names.toml", "zz = 1"),
        ("names.toml", "[[name]]\nzz = 1"),
        ("names.toml", "[[refused]]\nzz = 1"),
    ];
    for (name, text) in cases {
        for field in known(name, text) {
            let plain = format!("`{field}`");
            let is_there = page.contains(&plain)
                || page.contains(&format!("`[[{field}]]`"))
                || page.contains(&format!("`[[repository.{field}]]`"))
                || page.contains(&format!("`[{field}]`"));
            assert!(is_there, "{field} of {text:?} is not in docs/definitions.md");
        }
    }
}

#[test]
fn the_documented_configuration_is_read() {
    let text = examples("configuration.md", "toml").remove(0);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documented-config.toml");
    fs::write(&path, text).unwrap();
    let config = Config::load(&[ConfigFile { path, whose: Whose::Named }]).unwrap();
    assert_eq!(config.wishes.len(), 1);
    let named: Vec<&str> = config.wishes[0].patterns().collect();
    assert_eq!(named, ["powertools", "el9/crb", "el8/appstream"]);
    let catalog = Catalog::load(&[]).unwrap();
    catalog.check_repositories(named.into_iter(), &[]).unwrap();
}

#[test]
fn workflows_name_actions_by_what_they_are() {
    let workflows = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows");
    for entry in fs::read_dir(workflows).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\npermissions:\n  contents: read\n"), "{}", path.display());
        for line in
            text.lines().filter(|line| line.trim_start_matches([' ', '-']).starts_with("uses:"))
        {
            let commit = line.split('@').nth(1).unwrap().split(' ').next().unwrap();
            let is_commit = commit.len() == 40 && commit.bytes().all(|it| it.is_ascii_hexdigit());
            assert!(is_commit, "{}: {line}", path.display());
        }
    }
}
