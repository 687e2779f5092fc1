//! A signed repository of made-up packages, its definitions, and the program run on it. Everything
//! in it can be forged.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use elsewhere::stages::model::{Arch, Checksum};
use serde_json::Value;

use super::keys::{KeyOptions, MADE, SubkeyOptions, TestKey};
use super::metadata::{Listing, Repodata};
use super::rpms::{File, Package};
pub use super::world::Outcome;
use super::world::{Dist, Repository, World, location};

/// The host that the definitions name: read from a directory, by `--mirror`.
const HOST: &str = "forged.example";

/// A mirror with the repositories `base` (its metadata signed) and `other`, and what a user has.
pub struct Site {
    world: World,
    /// Signs `base` and its packages.
    pub key: TestKey,
    /// Signs `other`.
    pub other: TestKey,
    /// Pinned for `base` too; valid for a thousand seconds.
    pub expired: TestKey,
    /// Pinned for `base` too, and revoked as compromised.
    pub revoked: TestKey,
}

impl Deref for Site {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

/// A package as metadata lists it: what it claims to be, and the file's bytes.
pub struct Listed {
    pub package: Package,
    pub bytes: Vec<u8>,
    pub requires: &'static str,
}

/// `hello` in this version: a program, a library of sorts, configuration, links.
pub fn hello(version: &str) -> Package {
    let files = vec![
        File::program("/usr/bin/hello", format!("#!/bin/sh\necho hello {version}\n").as_bytes()),
        File::symlink("/usr/bin/hi", "hello"),
        File::directory("/usr/share/hello"),
        File::regular("/usr/share/hello/text", format!("text of {version}\n").as_bytes()),
        File::regular("/etc/hello.conf", b"colour = none\n").flags(1),
    ];
    Package { version: version.into(), ..Package::new(files).compressor("xz") }
}

/// `hello-data`, which `hello` requires.
pub fn data() -> Package {
    let files = vec![
        File::regular("/usr/share/hello-data/one", &[b'1'; 5000]),
        File::regular("/usr/share/hello-data/two", b"two\n"),
    ];
    Package::new(files).named("hello-data")
}

impl Site {
    /// A site that publishes `hello` 1.0 well.
    pub fn new(name: &str) -> Self {
        let expired = KeyOptions { lifetime: Some(1000), ..KeyOptions::default() };
        let mut revoked = TestKey::new();
        revoked.revoke(pgp::packet::RevocationCode::KeyCompromised, MADE + 500);
        let site = Self {
            world: World::new(name),
            key: TestKey::with(&KeyOptions {
                subkey: Some(SubkeyOptions::default()),
                ..KeyOptions::default()
            }),
            other: TestKey::new(),
            expired: TestKey::with(&expired),
            revoked,
        };
        site.define();
        site.publish(1000, &[site.good(hello("1.0")), site.good(data())]);
        site
    }

    /// Key files and definitions.
    fn define(&self) {
        let url = |name: &str| format!("https://{HOST}/keys/{name}");
        let named = [("key", &self.key), ("expired", &self.expired), ("revoked", &self.revoked)];
        for (name, key) in named.into_iter().chain([("other", &self.other)]) {
            self.write(&format!("keys/{name}"), key.public_file());
        }
        let repository = |id, is_signed, keys| {
            let base = format!("https://{HOST}/{id}/");
            Repository { id, base, arches: &[Arch::X86_64], is_signed, keys }
        };
        let pinned = named.map(|(name, key)| (key, url(name))).to_vec();
        let repositories = vec![
            repository("base", true, pinned),
            repository("other", false, vec![(&self.other, url("other"))]),
        ];
        self.world.define(&Dist { name: "lab", glibc: "2.17", x86_64_level: 1, repositories });
        let runtime = "name = \"hello\"\ntitle = \"Hello\"\npackage = \"hello\"\n\
                       [[command]]\nname = \"hello\"\npath = \"bin/hello\"\n";
        self.scratch.write("repos/runtimes/hello.toml", runtime);
        self.publish_in("other", 1000, &[]);
    }

    /// The package, signed as it should be.
    pub fn good(&self, package: Package) -> Listed {
        let bytes = package.signed(&self.key);
        Listed { requires: if package.name == "hello" { "hello-data" } else { "" }, package, bytes }
    }

    /// The package in these bytes instead.
    pub fn forged(&self, package: Package, bytes: Vec<u8>) -> Listed {
        Listed { bytes, ..self.good(package) }
    }

    /// Publishes the packages in `base`, with metadata of this time, signed.
    pub fn publish(&self, time: u64, packages: &[Listed]) {
        let repomd = self.publish_in("base", time, packages);
        self.write("base/repodata/repomd.xml.asc", self.key.sign_detached(&repomd));
    }

    /// Publishes the packages in a repository, unsigned metadata. Returns `repomd.xml`.
    pub fn publish_in(&self, repository: &str, time: u64, packages: &[Listed]) -> Vec<u8> {
        let listed: Vec<_> =
            packages.iter().map(|listed| (listed.listing(), listed.bytes.as_slice())).collect();
        let repodata = Repodata::new(time).packed("gzip");
        self.world.publish(&format!("{HOST}/{repository}"), &listed, repodata)
    }

    /// Writes a file of the mirror.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        self.scratch.write(&format!("mirror/{HOST}/{name}"), bytes)
    }

    /// A file of the mirror.
    pub fn file(&self, name: &str) -> PathBuf {
        self.mirror().join(HOST).join(name)
    }

    pub fn prefix(&self) -> PathBuf {
        self.place("prefix")
    }

    /// A path of the live tree.
    pub fn in_tree(&self, name: &str) -> PathBuf {
        self.prefix().join("x86_64").join(name)
    }

    /// Changes the live receipt by hand.
    pub fn forge_receipt(&self, change: impl Fn(&mut Value)) {
        let file = self.in_tree(".elsewhere.json");
        let mut receipt: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        change(&mut receipt);
        fs::write(&file, receipt.to_string()).unwrap();
    }

    /// Runs `elsewhere COMMAND … PREFIX` with this site's mirror, definitions and cache.
    pub fn run(&self, command: &str, words: &[&str]) -> Outcome {
        self.run_from(self.mirror().to_str().unwrap(), command, words)
    }

    /// The same from another mirror.
    pub fn run_from(&self, mirror: &str, command: &str, words: &[&str]) -> Outcome {
        Outcome::of(self.command(mirror, command, words).output().unwrap())
    }

    /// `elsewhere COMMAND … PREFIX`, to be run.
    pub fn command(&self, mirror: &str, command: &str, words: &[&str]) -> Command {
        let mut run = self.elsewhere();
        run.arg(command)
            .args(["--mirror", mirror])
            .arg("--repos")
            .arg(self.repos())
            .arg("--cache-dir")
            .arg(self.cache())
            .args(words)
            .arg(self.prefix());
        run
    }

    /// Runs `elsewhere WORDS … PREFIX` with this site's mirror and cache, without its definitions.
    pub fn run_without_definitions(&self, words: &[&str]) -> Outcome {
        self.run_at(&self.prefix(), words)
    }

    /// Runs `elsewhere WORDS … PLACE` with this site's mirror and cache, without its definitions.
    pub fn run_at(&self, place: &Path, words: &[&str]) -> Outcome {
        let mut run = self.elsewhere();
        run.env("XDG_CACHE_HOME", self.scratch.path()).env("ELSEWHERE_MIRROR", self.mirror());
        Outcome::of(run.args(words).arg(place).output().unwrap())
    }

    /// What `elsewhere status` says.
    pub fn run_status(&self) -> String {
        Outcome::of(self.elsewhere().arg("status").arg(self.prefix()).output().unwrap()).ok().out
    }

    /// Installs the newest `hello`.
    pub fn install(&self, words: &[&str]) -> Outcome {
        self.install_from(self.mirror().to_str().unwrap(), words)
    }

    /// The same from another mirror.
    pub fn install_from(&self, mirror: &str, words: &[&str]) -> Outcome {
        let basic = ["-d", "lab", "-r", "hello", "-a", "x86_64"];
        self.run_from(mirror, "install", &[&basic[..], words].concat())
    }

    /// Every path of the prefix and the cache, with its kind, mode, inode, time and content; but
    /// the lock, which says who had it last, documents, which are asked for anew each time, answers
    /// that were derived from them, packages that were proved and are kept unpacked, and what
    /// [`Site::seen`] tells.
    pub fn state(&self) -> BTreeMap<PathBuf, String> {
        let mut state = BTreeMap::new();
        for root in [self.prefix(), self.cache()] {
            look(&root, &mut state);
        }
        let ignored =
            ["documents", "derived", "unpacked", "seen"].map(|name| self.cache().join(name));
        state.retain(|path, _| {
            let is_ignored = ignored.iter().any(|directory| path.starts_with(directory));
            !path.ends_with(".elsewhere/lock") && !is_ignored
        });
        state
    }

    /// The newest metadata of `base` that was believed, as the cache notes it.
    pub fn seen(&self) -> String {
        let is_base = |path: &PathBuf| path.to_str().unwrap().contains("lab-base-");
        let notes = fs::read_dir(self.cache().join("seen")).unwrap();
        let note = notes.map(|entry| entry.unwrap().path()).find(is_base).unwrap();
        fs::read_to_string(note).unwrap()
    }
}

impl Listed {
    fn listing(&self) -> Listing {
        let listing = Listing::of(&self.package, &self.bytes, location(&self.package));
        match self.requires {
            "" => listing,
            name => listing.and("requires", &[name]),
        }
    }
}

fn look(path: &Path, state: &mut BTreeMap<PathBuf, String>) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    let content = match metadata.file_type() {
        kind if kind.is_symlink() => fs::read_link(path).unwrap().display().to_string(),
        kind if kind.is_file() => Checksum::of(&fs::read(path).unwrap()).to_string(),
        _ => {
            fs::read_dir(path).unwrap().for_each(|entry| look(&entry.unwrap().path(), state));
            // Its time changes when something was made in it and removed again.
            state.insert(path.to_owned(), format!("{:o}", metadata.mode()));
            return;
        }
    };
    let (mode, inode, time) = (metadata.mode(), metadata.ino(), metadata.mtime());
    state.insert(path.to_owned(), format!("{mode:o} {inode} {time} {content}"));
}
