//! A small signed mirror of a made-up tool, for tests that need an install and no real programs:
//! two repositories, two architectures, four versions, one dependency, one configuration file.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use elsewhere::stages::model::Arch;

use super::keys::TestKey;
use super::metadata::write;
use super::mirror::package::{Content, Entry, Role, Spec};
use super::mirror::repository::RepositoryBuilder;
pub use super::world::text;
use super::world::{Dist, Repository, World};

/// Versions of the tool, oldest first; the order of their texts is another.
pub const VERSIONS: [&str; 4] = ["1.2.0", "1.9.3", "1.10.0", "2.0.0"];

/// The mirror and its definitions, in a directory of their own.
pub struct Tiny {
    world: World,
    pub key: &'static TestKey,
}

impl Deref for Tiny {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

/// The mirror's key. Making one takes a second, so a test program makes it once.
pub fn key() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| TestKey::of_vendor("Tiny <tiny@example.org>", 7))
}

impl Tiny {
    /// A mirror with every version.
    pub fn new(test: &str) -> Self {
        Self::with(test, &VERSIONS)
    }

    /// A mirror with these versions of the tool.
    pub fn with(test: &str, versions: &[&str]) -> Self {
        let tiny = Self::signed_by(test, key());
        tiny.publish(versions, |_| {});
        let url = "https://tiny.example";
        let repository = |id| Repository {
            id,
            base: format!("{url}/{id}/$basearch/"),
            arches: &[Arch::X86_64, Arch::Aarch64],
            is_signed: true,
            keys: vec![(tiny.key, format!("{url}/KEY"))],
        };
        let repositories = vec![repository("os"), repository("extra")];
        tiny.define(&Dist { name: "tiny", glibc: "2.17", x86_64_level: 1, repositories });
        tiny.scratch.write("mirror/tiny.example/KEY", tiny.key.public_file());
        tiny.scratch.write("repos/runtimes/tool.toml", RUNTIME);
        tiny
    }

    /// Nothing yet: what is published there is signed by this key.
    pub fn signed_by(test: &str, key: &'static TestKey) -> Self {
        Self { world: World::new(test), key }
    }

    /// Writes the repositories anew, with these versions; `change` may alter each package.
    pub fn publish(&self, versions: &[&str], change: impl Fn(&mut Spec)) {
        for arch in ["x86_64", "aarch64"] {
            for (repository, specs) in [
                ("os", vec![data("1-1"), data("1-2")]),
                ("extra", versions.iter().map(|version| tool(version, arch)).collect()),
            ] {
                let root = self.repository(repository, arch);
                let _ = fs::remove_dir_all(&root);
                let mut builder = RepositoryBuilder::new(root, false);
                for mut spec in specs {
                    change(&mut spec);
                    builder.add(&spec.file_name(), spec.package("zstd", "Tiny"), self.key);
                }
                builder.finish("gzip", Some(self.key));
            }
        }
    }

    /// Where a repository lies.
    pub fn repository(&self, id: &str, arch: &str) -> PathBuf {
        self.mirror().join(format!("tiny.example/{id}/{arch}"))
    }

    /// Where tests install.
    pub fn prefix(&self) -> PathBuf {
        self.place("prefix")
    }

    /// The program, with the options that make it read this mirror.
    pub fn run(&self, command: &str) -> Command {
        self.run_from(command, &self.mirror().to_string_lossy())
    }

    /// The same, from another mirror.
    pub fn run_from(&self, command: &str, mirror: &str) -> Command {
        let mut elsewhere = self.elsewhere();
        elsewhere.arg(command).arg("--repos").arg(self.repos());
        elsewhere.arg("--cache-dir").arg(self.cache()).arg("--mirror").arg(mirror);
        elsewhere
    }

    /// Installs the tool into [`Tiny::prefix`], which must succeed.
    pub fn install(&self, options: &[&str]) -> Output {
        let output = self.run("install").args(TOOL).args(options).arg(self.prefix()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        output
    }
}

/// The options that name the tool and the dist.
pub const TOOL: [&str; 4] = ["-r", "tool", "-d", "tiny"];

/// The names of everything below `root`, sorted.
pub fn names(root: &Path) -> Vec<String> {
    fn walk(root: &Path, directory: &Path, found: &mut Vec<String>) {
        let Ok(entries) = fs::read_dir(directory) else { return };
        for entry in entries.map(Result::unwrap) {
            let path = entry.path();
            found.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            if entry.file_type().unwrap().is_dir() {
                walk(root, &path, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(root, root, &mut found);
    found.sort();
    found
}

/// Writes an unsigned package of the tool.
pub fn unsigned_tool(version: &str, path: &Path) {
    let package = tool(version, "x86_64").package("zstd", "Nobody");
    write(path, &package.unsigned());
}

fn tool(version: &str, arch: &str) -> Spec {
    let script = format!("#!/bin/sh\necho \"tool version {version}\"\n");
    let mut entries = vec![
        Entry::file("/usr/bin/tool", 0o755, script),
        Entry::new(
            "/etc/tool.conf",
            0o644,
            Content::File(format!("version = {version}\n").into_bytes()),
            Role::Config,
        ),
        Entry::new("/usr/bin/tl", 0o777, Content::Symlink("/usr/bin/tool".into()), Role::Plain),
    ];
    entries.push(Entry::new("/var/lib/tool", 0o555, Content::Directory, Role::Plain));
    let requires = vec!["tool-data >= 1-2".to_owned()];
    spec("tool", version, "1", arch, entries, requires)
}

fn data(evr: &str) -> Spec {
    let (version, release) = evr.split_once('-').unwrap();
    let text = format!("data of {evr}\n").repeat(5000);
    let entries = vec![Entry::file("/usr/share/tool/data", 0o644, text)];
    spec("tool-data", version, release, "noarch", entries, Vec::new())
}

fn spec(
    name: &str,
    version: &str,
    release: &str,
    arch: &str,
    entries: Vec<Entry>,
    requires: Vec<String>,
) -> Spec {
    Spec {
        name: name.to_owned(),
        epoch: 0,
        version: version.to_owned(),
        release: release.to_owned(),
        arch: arch.to_owned(),
        summary: format!("{name} for tests"),
        license: "MIT".to_owned(),
        entries,
        requires,
        provides: Vec::new(),
        conflicts: Vec::new(),
        obsoletes: Vec::new(),
        recommends: Vec::new(),
        filtered: Vec::new(),
        post: None,
    }
}

const RUNTIME: &str = r#"
name = "tool"
title = "A tool for tests"
package = "tool"

[[unfit_path]]
character = " "
called = "a blank"
breaks = ["counting words"]

[[unfit_path]]
character = ","
called = "a comma"
breaks = ["counting clauses"]

[[unfit_path]]
character = "="
called = "an equals sign"
breaks = ["counting"]
refused = true

[[command]]
name = "tool"
path = "bin/tool"
example = "--help"

[[smoke]]
path = "bin/tool"
expect = "tool version {version}"
"#;
