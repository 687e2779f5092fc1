//! The world that tests run the program in: a mirror, the definitions for it, a home, a cache and
//! prefixes, all below one directory. What the mirror holds is said by [`super::site`],
//! [`super::tiny`] and [`super::small`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};

use elsewhere::stages::model::Arch;
use serde_json::Value;

use super::keys::TestKey;
use super::metadata::{Listing, Repodata, primary, write};
use super::program;
use super::rpms::Package;
use super::scratch::Scratch;

/// A world with nothing in it.
pub struct World {
    pub scratch: Scratch,
}

/// A repository, as a dist's definition names it.
pub struct Repository<'a> {
    pub id: &'a str,
    /// Its URL, which ends in `/`.
    pub base: String,
    pub arches: &'a [Arch],
    pub is_signed: bool,
    /// The keys that are pinned, and where their files are.
    pub keys: Vec<(&'a TestKey, String)>,
}

/// A dist's definition.
pub struct Dist<'a> {
    pub name: &'a str,
    pub glibc: &'a str,
    pub x86_64_level: u8,
    pub repositories: Vec<Repository<'a>>,
}

impl World {
    pub fn new(name: &str) -> Self {
        Self { scratch: Scratch::new(name) }
    }

    /// What is called so in the world's directory: an absolute path.
    pub fn place(&self, name: &str) -> PathBuf {
        // Of examples, the scratch directory is relative.
        std::path::absolute(self.scratch.path()).unwrap().join(name)
    }

    /// The directory to give to `--mirror`: `mirror/HOST/PATH` is what is at `https://HOST/PATH`.
    pub fn mirror(&self) -> PathBuf {
        self.place("mirror")
    }

    /// The directory to give to `--repos`.
    pub fn repos(&self) -> PathBuf {
        self.place("repos")
    }

    /// The directory to give to `--cache-dir`.
    pub fn cache(&self) -> PathBuf {
        self.place("cache")
    }

    /// The command `elsewhere`, in this world and no other.
    pub fn elsewhere(&self) -> Command {
        let mut command = program::elsewhere();
        self.enter(&mut command);
        command
    }

    /// Lets a command see this world and no other: for the program that runs through another one.
    pub fn enter<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        program::alone(command).env("HOME", self.place("home")).env("TMPDIR", self.place(""))
    }

    /// Writes a dist's definition.
    pub fn define(&self, dist: &Dist<'_>) {
        self.scratch.write(&format!("repos/dists/{}.toml", dist.name), dist.text());
    }

    /// Publishes packages in the repository at `HOST/PATH`: the files, and the metadata that
    /// `repodata` begins. Returns `repomd.xml`.
    pub fn publish(
        &self,
        root: &str,
        packages: &[(Listing, &[u8])],
        repodata: Repodata,
    ) -> Vec<u8> {
        let root = self.mirror().join(root);
        for (listing, bytes) in packages {
            write(&root.join(&listing.location), bytes);
        }
        let listings: Vec<Listing> = packages.iter().map(|(listing, _)| listing.clone()).collect();
        repodata.with("primary", primary(&listings)).write(&root)
    }
}

impl Dist<'_> {
    /// Its definition, as a file has it.
    pub fn text(&self) -> String {
        let Self { name, glibc, x86_64_level, repositories } = self;
        let mut text = format!(
            "name = \"{name}\"\ntitle = \"A dist for tests\"\nglibc = \"{glibc}\"\n\
             x86_64_level = {x86_64_level}\nmaintained_until = \"2099-12-31\"\n"
        );
        for Repository { id, base, arches, is_signed, keys } in repositories {
            let arches: Vec<&str> = arches.iter().map(|arch| arch.as_str()).collect();
            text += &format!(
                "\n[[repository]]\nid = \"{id}\"\narches = {arches:?}\nbase = [\"{base}\"]\n"
            );
            if *is_signed {
                text += "signed_metadata = true\n";
            }
            for (key, url) in keys {
                let fingerprint = key.fingerprint();
                text += &format!(
                    "\n[[repository.key]]\nfingerprint = \"{fingerprint}\"\nurl = \"{url}\"\n"
                );
            }
        }
        text
    }
}

/// Where a package's file usually lies.
pub fn location(package: &Package) -> String {
    format!("Packages/{}.rpm", package.nevra()).replace(':', "_")
}

/// Output as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Outcome {
    pub fn of(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails unless the run ended well.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{}{}", self.out, self.err);
        self
    }

    /// What `verify` reports about each path.
    pub fn findings(&self) -> BTreeMap<String, String> {
        let line = |line: &str| line.split_once(": ").map(|(a, b)| (a.to_owned(), b.to_owned()));
        self.out.lines().filter_map(line).collect()
    }

    /// The document that `--json` prints.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    /// Fails unless the run ended with this status and said this.
    #[track_caller]
    pub fn refused(self, status: i32, message: &str) -> Self {
        assert_eq!(self.status, status, "{}{}", self.out, self.err);
        assert!(self.err.contains(message), "no {message:?} in: {}", self.err);
        self
    }
}
