//! A small signed mirror of a made-up tool, for tests that need an install and no real programs:
//! two repositories, two architectures, four versions, one dependency, one configuration file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use elsewhere::model::{Arch, Checksum};
use rpm::CompressionWithLevel;
use rpmrepo_metadata::CompressionType;

use super::mirror::keys::Key;
use super::mirror::package::{Content, Entry, Role, Spec};
use super::mirror::repository::{RepositoryBuilder, write};
use super::scratch::Scratch;

/// Versions of the tool, oldest first; the order of their texts is another.
pub const VERSIONS: [&str; 4] = ["1.2.0", "1.9.3", "1.10.0", "2.0.0"];

/// The mirror and its definitions, in a directory of their own.
pub struct Tiny {
    pub scratch: Scratch,
    pub key: &'static Key,
}

/// The mirror's key. Making one takes a second, so a test program makes it once.
pub fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::new("Tiny <tiny@example.org>", 7))
}

impl Tiny {
    /// A mirror with every version.
    pub fn new(test: &str) -> Self {
        Self::with(test, &VERSIONS)
    }

    /// A mirror with these versions of the tool.
    pub fn with(test: &str, versions: &[&str]) -> Self {
        let tiny = Self { scratch: Scratch::new(test), key: key() };
        tiny.publish(versions, |_| {});
        let root = tiny.scratch.path();
        write(&root.join("mirror/tiny.example/KEY"), tiny.key.public().as_bytes());
        write(&root.join("repos/dists/tiny.toml"), dist(tiny.key).as_bytes());
        write(&root.join("repos/runtimes/tool.toml"), RUNTIME.as_bytes());
        tiny
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
                    let bytes = spec.build(CompressionWithLevel::Zstd(3), "Tiny", self.key);
                    builder.add(&spec.file_name(), &bytes);
                }
                builder.finish(CompressionType::Gzip, Some(self.key));
            }
        }
    }

    /// Lets a repository's list of packages say what `change` makes of it. It is signed no more.
    pub fn relist(&self, id: &str, arch: &str, change: impl FnOnce(String) -> String) {
        let repodata = self.repository(id, arch).join("repodata");
        let is_primary = |path: &PathBuf| path.to_string_lossy().ends_with("primary.xml.gz");
        let mut files = fs::read_dir(&repodata).unwrap().map(|entry| entry.unwrap().path());
        let packed = fs::File::open(files.find(is_primary).unwrap()).unwrap();
        let primary =
            change(std::io::read_to_string(flate2::read::GzDecoder::new(packed)).unwrap());
        let digest = Checksum::of(primary.as_bytes());
        let repomd = format!(
            "<repomd><data type=\"primary\"><checksum type=\"sha256\">{}</checksum>\
             <location href=\"repodata/primary.xml\"/></data></repomd>",
            digest.hex()
        );
        write(&repodata.join("primary.xml"), primary.as_bytes());
        write(&repodata.join("repomd.xml"), repomd.as_bytes());
    }

    /// Where a repository lies.
    pub fn repository(&self, id: &str, arch: &str) -> PathBuf {
        self.mirror().join(format!("tiny.example/{id}/{arch}"))
    }

    /// The directory to give to `--mirror`.
    pub fn mirror(&self) -> PathBuf {
        self.scratch.path().join("mirror")
    }

    /// Where tests install.
    pub fn prefix(&self) -> PathBuf {
        self.scratch.path().join("prefix")
    }

    /// The program, with the options that make it read this mirror, and an environment of its own.
    pub fn elsewhere(&self, command: &str) -> Command {
        self.elsewhere_from(command, &self.mirror().to_string_lossy())
    }

    /// The same, from another mirror.
    pub fn elsewhere_from(&self, command: &str, mirror: &str) -> Command {
        let root = self.scratch.path();
        let mut elsewhere =
            Command::new(option_env!("CARGO_BIN_EXE_elsewhere").unwrap_or("elsewhere"));
        elsewhere.env_clear().env("HOME", root.join("home")).env("PATH", "/usr/bin:/bin");
        elsewhere.arg(command).arg("--repos").arg(root.join("repos"));
        elsewhere.arg("--cache-dir").arg(root.join("cache")).arg("--mirror").arg(mirror);
        elsewhere
    }

    /// Installs the tool into [`Tiny::prefix`], which must succeed.
    pub fn install(&self, options: &[&str]) -> Output {
        let output = self.elsewhere("install").args(TOOL).args(options).arg(self.prefix()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        output
    }
}

/// The options that name the tool and the dist.
pub const TOOL: [&str; 4] = ["-r", "tool", "-d", "tiny"];

/// Output as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

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
    let key = Key::new("Nobody <nobody@example.org>", 8);
    let bytes = tool(version, "x86_64").build(CompressionWithLevel::Zstd(3), "Nobody", &key);
    write(path, &bytes);
    rpm::Package::clear_signatures_in_place(path).unwrap();
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

fn dist(key: &Key) -> String {
    let repository = |id: &str| {
        format!(
            "[[repository]]\nid = {id:?}\narches = [{arches}]\nsigned_metadata = true\n\
             base = [\"https://tiny.example/{id}/$basearch/\"]\n\
             [[repository.key]]\nfingerprint = \"{fingerprint}\"\n\
             url = \"https://tiny.example/KEY\"\n",
            arches =
                [Arch::X86_64, Arch::Aarch64].map(|arch| format!("{:?}", arch.as_str())).join(","),
            fingerprint = key.fingerprint(),
        )
    };
    format!(
        "name = \"tiny\"\ntitle = \"A dist for tests\"\nglibc = \"2.17\"\n\
         maintained_until = \"2099-12-31\"\n{}{}",
        repository("os"),
        repository("extra")
    )
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
