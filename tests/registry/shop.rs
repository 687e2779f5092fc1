//! A site and a registry, and what is pushed to the one from the other.

#![allow(unreachable_pub)]

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::program;
use crate::support::registry::StandIn;
use crate::support::site::{Outcome, Site, data, hello};

/// What is planned.
pub const PLAN: [&str; 6] = ["-d", "lab", "-r", "hello", "-a", "x86_64"];

/// A site, and a registry.
pub struct Shop {
    pub site: Site,
    pub registry: StandIn,
}

impl Shop {
    pub fn new(name: &str) -> Self {
        Self { site: Site::new(name), registry: StandIn::start() }
    }

    /// One that version 1.0 was pushed to, as `lab/hello:1.0`.
    pub fn stocked(name: &str) -> Self {
        let shop = Self::new(name);
        shop.push(&[]).ok();
        shop.registry.log();
        shop
    }

    pub fn hello(&self) -> String {
        self.registry.reference("lab/hello:1.0")
    }

    /// `elsewhere WORDS`, with this site's definitions and cache.
    pub fn command(&self, program: &mut Command, words: &[&str]) {
        program.args(words).arg("--repos").arg(self.site.repos());
        program.arg("--cache-dir").arg(self.site.cache());
        self.site.enter(program).env("ELSEWHERE_ATTEMPTS", "2");
    }

    pub fn run(&self, words: &[&str]) -> Outcome {
        let mut command = program::elsewhere();
        self.command(&mut command, words);
        Outcome::of(command.output().unwrap())
    }

    /// `elsewhere WORDS`, without definitions and cache.
    pub fn run_at_prefix(&self, words: &[&str]) -> Outcome {
        let mut command = program::elsewhere();
        self.site.enter(command.args(words));
        Outcome::of(command.output().unwrap())
    }

    pub fn push_to(&self, reference: &str, words: &[&str]) -> Outcome {
        let mirror = self.site.mirror();
        let mut all = vec!["push", reference];
        if !words.contains(&"--from") {
            all.extend(["--mirror", mirror.to_str().unwrap()]);
            all.extend(PLAN);
        }
        all.extend(words);
        self.run(&all)
    }

    pub fn push(&self, words: &[&str]) -> Outcome {
        self.push_to(&self.hello(), words)
    }

    /// Installs from the registry, with a new cache, where nothing is.
    pub fn install_of(&self, reference: &str, words: &[&str]) -> Outcome {
        let _ = fs::remove_dir_all(self.site.prefix());
        let _ = fs::remove_dir_all(self.site.cache());
        let prefix = self.site.prefix();
        let basic = ["install", "--from", reference, "-a", "x86_64", prefix.to_str().unwrap()];
        self.run(&[&basic, words].concat())
    }

    pub fn install(&self, words: &[&str]) -> Outcome {
        self.install_of(&self.hello(), words)
    }

    #[track_caller]
    pub fn works(&self, version: &str) {
        let told = Command::new(self.site.prefix().join("bin/hello")).output().unwrap();
        assert_eq!(Outcome::of(told).ok().out, format!("hello {version}\n"));
    }

    /// Writes a file of names and passwords where docker has it.
    pub fn log_in(&self, entry: Value) {
        let text = json!({ "auths": { self.registry.address.to_string(): entry } }).to_string();
        self.site.scratch.write("home/.docker/config.json", text);
    }

    /// Publishes `hello` 2.0 instead of 1.0.
    pub fn renew(&self) {
        self.site.publish(2000, &[self.site.good(hello("2.0")), self.site.good(data())]);
    }
}

/// How many requests of a log contain this.
pub fn count(log: &[String], text: &str) -> usize {
    log.iter().filter(|line| line.contains(text)).count()
}

/// What was pushed, as the last lines say.
pub fn digest(pushed: &Outcome) -> String {
    let text = pushed.err.lines().chain(pushed.out.lines());
    let line = text.filter_map(|line| line.trim().strip_prefix("pushed ")).next();
    line.unwrap_or_else(|| panic!("{pushed:?}")).to_owned()
}
