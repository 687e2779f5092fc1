//! A small world for whole runs of the program: a mirror of a few signed packages of shell scripts,
//! the definitions for it, and prefixes that are looked at from outside. Scripts run on every
//! architecture, so trees for two of them can be made and tried.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use elsewhere::stages::model::{Arch, Checksum, FileKind, Receipt};

use super::keys::TestKey;
use super::metadata::{Listing, Repodata};
use super::rpms::{File, Package};
use super::{program, world};

/// RPM's flags of a `%config(noreplace)` file.
const CONFIG: u32 = 1 | 16;

/// A mirror, definitions, a cache.
pub struct World {
    world: world::World,
    key: TestKey,
}

impl Deref for World {
    type Target = world::World;

    fn deref(&self) -> &world::World {
        &self.world
    }
}

/// A package and what it needs.
pub struct Small {
    pub package: Package,
    pub requires: Vec<&'static str>,
}

/// The packages of two runtimes: `tool` at a version, which needs `part`, and `gadget`, which needs
/// `part` too. A new `tool` leaves the other two as they are.
pub fn packages(tool: &str) -> Vec<Small> {
    let part = vec![
        File::regular("/usr/libexec/part/part", b"part=1\n"),
        File::symlink("/usr/libexec/part/link", "part"),
        File::regular("/etc/part.conf", b"part = 1\n").flags(CONFIG),
    ];
    let script = |name: &str, version: &str| {
        let text = format!(
            "#!/bin/sh\nhere=$(readlink -f -- \"$0\"); here=${{here%/*}}\n\
             . \"$here/../libexec/part/part\" && . \"$here/../libexec/{name}/data\" &&\n\
             [ \"$data\" = {version} ] && echo \"{name} {version} part $part\"\n"
        );
        vec![
            File::program(&format!("/usr/bin/{name}"), text.as_bytes()),
            File::regular(
                &format!("/usr/libexec/{name}/data"),
                format!("data={version}\n").as_bytes(),
            ),
            File::regular(
                &format!("/etc/{name}.conf"),
                format!("version = {version}\n").as_bytes(),
            )
            .flags(CONFIG),
        ]
    };
    vec![
        small("part", "1", part, &[]),
        small("gadget", "1", script("gadget", "1"), &["part"]),
        small("tool", tool, script("tool", tool), &["part"]),
    ]
}

/// A package for every architecture.
pub fn small(name: &str, version: &str, files: Vec<File>, requires: &[&'static str]) -> Small {
    let package = Package {
        version: version.into(),
        release: "1.el8".into(),
        arch: "noarch".into(),
        ..Package::new(files).named(name)
    };
    Small { package, requires: requires.to_vec() }
}

impl World {
    /// A world that offers `tool` in version 1.
    pub fn new(name: &str) -> Self {
        let world = Self { world: world::World::new(name), key: TestKey::new() };
        world.scratch.write("mirror/small.test/key.asc", world.key.public_file());
        world.define("small", "2.17", 1, "");
        for name in ["tool", "gadget"] {
            let runtime = format!(
                "name = \"{name}\"\ntitle = \"a {name}\"\npackage = \"{name}\"\n\
                 [[command]]\nname = \"{name}\"\npath = \"bin/{name}\"\n\
                 [[smoke]]\npath = \"bin/{name}\"\nexpect = \"{name} {{version}}\"\n"
            );
            world.scratch.write(&format!("repos/runtimes/{name}.toml"), runtime);
        }
        world.publish(&packages("1"), 1);
        world
    }

    /// Adds a dist, whose repository lies in `directory` (empty, or ending in `/`) of the mirror.
    pub fn define(&self, name: &str, glibc: &str, level: u8, directory: &str) {
        let base = world::Repository {
            id: "base",
            base: format!("https://small.test/{directory}$basearch/"),
            arches: &Arch::ALL,
            is_signed: false,
            keys: vec![(&self.key, "https://small.test/key.asc".to_owned())],
        };
        let repositories = vec![base];
        self.world.define(&world::Dist { name, glibc, x86_64_level: level, repositories });
    }

    /// Replaces what the mirror holds, for two architectures. `time` tells the order.
    pub fn publish(&self, packages: &[Small], time: u64) {
        self.publish_in("", packages, time);
    }

    /// The same, in a directory (empty, or ending in `/`) of the mirror.
    pub fn publish_in(&self, directory: &str, packages: &[Small], time: u64) {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let root = format!("small.test/{directory}{arch}");
            let _ = fs::remove_dir_all(self.mirror().join(&root));
            let signed: Vec<_> = packages.iter().map(|it| it.package.signed(&self.key)).collect();
            let listed: Vec<_> = packages
                .iter()
                .zip(&signed)
                .map(|(small, bytes)| (listing(small, bytes), bytes.as_slice()))
                .collect();
            self.world.publish(&root, &listed, Repodata::new(time));
        }
    }

    /// Takes the mirror away, or brings it back.
    pub fn set_online(&self, online: bool) {
        let (here, away) = (self.prefix("mirror/small.test"), self.prefix("mirror/away"));
        let (from, to) = if online { (away, here) } else { (here, away) };
        fs::rename(from, to).unwrap();
    }

    /// Where a prefix of this name is.
    pub fn prefix(&self, name: &str) -> PathBuf {
        self.place(name)
    }

    /// The command `elsewhere WORDS`, with the options that find this world, at the end.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = program::elsewhere();
        self.complete(&mut command, words);
        command
    }

    /// Adds the words and the options of this world.
    pub fn complete(&self, command: &mut Command, words: &[&str]) {
        let path = |name: &str| self.prefix(name);
        command.args(words);
        let is_repair = words.contains(&"--repair");
        if ["install", "update", "plan", "rollback", "remove", "verify", "list", "sync"]
            .contains(&words[0])
        {
            command.arg("--repos").arg(path("repos"));
        }
        let fetches =
            ["install", "update", "plan", "list", "sync"].contains(&words[0]) || is_repair;
        if fetches || words.contains(&"-r") {
            if !words.contains(&"--mirror") {
                command.arg("--mirror").arg(path("mirror"));
            }
            if !words.contains(&"--cache-dir") {
                command.arg("--cache-dir").arg(path("cache"));
            }
        }
        let is_of_several =
            words.last().is_some_and(|name| self.prefix(name).join("dists").is_dir());
        let names_dist = words.contains(&"-d") || words.contains(&"--lock") || is_of_several;
        if words[0] == "install" && !names_dist {
            command.args(["-d", "small"]);
        }
        self.enter(command);
    }

    /// Runs it in the scratch directory; prefixes are named relative to that.
    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).current_dir(self.scratch.path()).output().unwrap()
    }

    /// Runs it, which must succeed. Returns what it wrote, errors first.
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let text = text(&output);
        assert!(output.status.success(), "{words:?}: {text}");
        text
    }

    /// Runs it, which must end with this status. Returns what it wrote, errors first.
    pub fn fails(&self, status: i32, words: &[&str]) -> String {
        let output = self.run(words);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(status), "{words:?}: {text}");
        text
    }
}

/// What a run wrote, errors first.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// What a launcher says; `None` when it fails.
pub fn launch(prefix: &Path, name: &str) -> Option<String> {
    let output = Command::new(prefix.join("bin").join(name)).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
}

/// The receipt of what is live.
pub fn receipt(prefix: &Path, arch: &str) -> Option<Receipt> {
    let bytes = fs::read(prefix.join(arch).join(".elsewhere.json")).ok()?;
    Some(serde_json::from_slice(&bytes).unwrap())
}

/// What is wrong with a prefix, whatever was done to it: live trees that are not what their receipt
/// says, launchers that do not run.
pub fn problems(prefix: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    let mut is_installed = false;
    for arch in Arch::ALL {
        let tree = prefix.join(arch.as_str());
        if fs::symlink_metadata(&tree).is_err() {
            continue;
        }
        match receipt(prefix, arch.as_str()) {
            None => problems.push(format!("{arch}: no receipt")),
            Some(receipt) => problems.extend(differences(&tree, &receipt)),
        }
        is_installed |= std::env::consts::ARCH == arch.as_str();
    }
    let launchers = fs::read_dir(prefix.join("bin")).into_iter().flatten().flatten();
    for launcher in launchers.filter(|_| is_installed) {
        let name = launcher.file_name().into_string().unwrap();
        match launch(prefix, &name) {
            Some(said) if said == format!("{name} 1 part 1") => {}
            Some(said) if said == format!("{name} 2 part 1") => {}
            // Of a runtime that is just being added or removed.
            None if !live_has(prefix, &name) => {}
            said => problems.push(format!("bin/{name} says {said:?}")),
        }
    }
    problems
}

fn is_live_somewhere(prefix: &Path, name: &str) -> bool {
    Arch::ALL.iter().any(|arch| {
        let runtimes = receipt(prefix, arch.as_str()).map_or(Vec::new(), |it| it.runtimes);
        // The script's own launcher is of a tree without a receipt.
        runtimes.iter().any(|runtime| runtime.name == name)
    })
}

fn live_has(prefix: &Path, name: &str) -> bool {
    let receipt = receipt(prefix, std::env::consts::ARCH);
    receipt.is_some_and(|it| it.runtimes.iter().any(|runtime| runtime.name == name))
}

fn differences(tree: &Path, receipt: &Receipt) -> Vec<String> {
    let mut differences = Vec::new();
    for file in &receipt.files {
        let path = tree.join(&file.path);
        let is_same = match &file.kind {
            FileKind::Directory => path.is_dir(),
            FileKind::Symlink { target } => {
                fs::read_link(&path).is_ok_and(|there| there == Path::new(target))
            }
            // Configuration is the user's.
            FileKind::File { .. } if file.config => path.is_file(),
            FileKind::File { checksum, .. } => {
                fs::read(&path).is_ok_and(|bytes| Checksum::of(&bytes) == *checksum)
            }
        };
        if !is_same {
            differences.push(format!("{} is not as its receipt says", path.display()));
        }
    }
    differences
}

/// Whether a journal tells of a generation.
fn is_told(journal: &str, number: u32) -> bool {
    journal.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).any(
        |it| {
            let assumed = it["generations"].as_array().cloned().unwrap_or_default();
            it["generation"] == number || assumed.iter().any(|it| *it == number)
        },
    )
}

/// What a dead run left that the next one should have removed.
pub fn rubbish(prefix: &Path) -> Vec<PathBuf> {
    let rooms = ["staging", "trash"].map(|room| prefix.join(".elsewhere").join(room));
    let mut rubbish: Vec<PathBuf> = rooms
        .iter()
        .filter_map(|room| fs::read_dir(room).ok())
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    for launcher in fs::read_dir(prefix.join("bin")).into_iter().flatten().flatten() {
        if !is_live_somewhere(prefix, launcher.file_name().to_str().unwrap()) {
            rubbish.push(launcher.path());
        }
    }
    for arch in Arch::ALL {
        let home = prefix.join(".elsewhere").join(arch.as_str());
        let journal = fs::read_to_string(home.join("journal.jsonl")).unwrap_or_default();
        for entry in fs::read_dir(&home).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let is_known = name == "journal.jsonl"
                || name
                    .strip_prefix("config-")
                    .and_then(|rest| rest.strip_suffix(".json"))
                    .map_or(name.as_str(), |number| number)
                    .parse::<u32>()
                    .is_ok_and(|number| is_told(&journal, number));
            if !is_known {
                rubbish.push(entry.path());
            }
        }
    }
    rubbish
}

/// The package as metadata lists it. Its file lies beside the metadata's directory.
fn listing(small: &Small, bytes: &[u8]) -> Listing {
    let location = format!("{}.rpm", small.package.nevra()).replace(':', "_");
    Listing::of(&small.package, bytes, location).and("requires", &small.requires)
}
