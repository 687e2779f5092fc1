//! A registry in this process that has images, and where they are pulled to.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::goods::Goods;
use crate::support::program;
use crate::support::registry::{Manners, StandIn};
use crate::support::scratch::Scratch;
use crate::support::site::Outcome;

/// A registry, a cache, and a place for trees.
pub struct Shelf {
    pub registry: StandIn,
    pub scratch: Scratch,
}

impl Shelf {
    pub fn new(name: &str) -> Self {
        let shelf = Self { registry: StandIn::start(), scratch: Scratch::new(name) };
        shelf.registry.behave(Manners { says_digest: true, ..Manners::default() });
        shelf
    }

    /// Puts goods into the registry, the manifest or index under `tag` of `lab/tool`.
    pub fn stock(&self, goods: &Goods, tag: &str, root: &Value) {
        for (hex, bytes) in &goods.blobs {
            self.registry.put_blob(hex, bytes);
            self.registry.put(&format!("lab/tool:sha256:{hex}"), bytes);
        }
        self.registry.put(&format!("lab/tool:{tag}"), &goods.bytes(root));
    }

    /// `HOST/lab/tool:TAG`.
    pub fn name(&self, tag: &str) -> String {
        format!("{}/lab/tool:{tag}", self.registry.address)
    }

    pub fn place(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// `elsewhere image WORDS`, in the scratch directory.
    pub fn run(&self, words: &[&str]) -> Outcome {
        let mut command = program::elsewhere();
        command.arg("image").args(words).current_dir(self.scratch.path());
        if words.first() == Some(&"pull") {
            command.arg("--cache-dir").arg(self.place("cache"));
        }
        command.env("ELSEWHERE_ATTEMPTS", "2").env("HOME", self.place("home"));
        Outcome::of(command.output().unwrap())
    }

    /// Pulls `lab/tool:TAG` for x86_64 to `tree`.
    pub fn pull(&self, tag: &str, words: &[&str]) -> Outcome {
        let name = self.name(tag);
        self.run(&[&["pull", "-a", "x86_64", "-o", "tree", name.as_str()], words].concat())
    }

    /// What lies in the scratch directory besides the cache.
    pub fn left(&self) -> Vec<String> {
        let names = fs::read_dir(self.scratch.path()).unwrap();
        let names = names.map(|it| it.unwrap().file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.filter(|name| name != "cache" && name != "home").collect();
        names.sort();
        names
    }
}

/// Everything that a run said.
pub fn said(outcome: &Outcome) -> String {
    format!("{}\n{}", outcome.out, outcome.err)
}

/// What came of a run, as its last line says.
pub fn result(outcome: &Outcome) -> Value {
    serde_json::from_str(outcome.out.lines().last().unwrap()).unwrap()
}
