//! The table of what is carried: sizes and seconds of the install by a lock file, from a mirror, a bundle and a
//! registry, beside the online install and, where it is given, Apptainer's own script.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::measure::{Case, Run, run, side_by_side};
use super::support::program::standin_of;
use super::support::registry::Real;
use super::support::server::Server;
use super::support::tools::files_below;
use super::{Bench, Source, sync};

/// What is carried, and what it took to make it.
struct Made {
    /// What the installs say.
    from: String,
    size: u64,
    run: Run,
}

/// A way to install.
struct Way<'a> {
    name: &'static str,
    made: Option<&'a Made>,
    install: Box<dyn FnMut() -> Run + 'a>,
}

impl<'a> Way<'a> {
    fn of(name: &'static str, made: Option<&'a Made>, install: impl FnMut() -> Run + 'a) -> Self {
        Self { name, made, install: Box::new(install) }
    }
}

impl Bench {
    /// The table of what is carried.
    pub(crate) fn carry(&self, options: &HashMap<String, String>) {
        let (source, _) = self.source(options);
        let place = self.work.join("carried");
        self.put_aside(&place);
        fs::create_dir_all(&place).unwrap();
        let server = Server::start(&source.root);
        let real = Real::start(&place.join("registry"));
        let lock = self.made(&source, &server, &["plan", "--lock"], &place.join("x.lock"));
        let mirror = self.made(&source, &server, &["mirror"], &place.join("mirror"));
        let program = format!("x86_64={}", standin_of(&place, &self.program).display());
        let words = ["bundle", "--program", &program, "-o"];
        let bundle = self.made(&source, &server, &words, &place.join("x.run"));
        let reference = PathBuf::from(format!("oci://{}/bench:1", real.address));
        let mut artifact = self.made(&source, &server, &["push"], &reference);
        artifact.size = size(&place.join("registry/data"));
        let fresh = |mut command: Command| {
            self.put_aside(&self.work.join("cache"));
            self.put_aside(&self.prefix());
            sync();
            run(self.finding(&mut command, &source).arg(self.prefix()))
        };
        let install = |words: &[&str]| {
            let mut command = Command::new(&self.program);
            command.arg("install").args(words);
            fresh(command)
        };
        let from = |made: &Made| install(&["-a", &source.arches, "--from", &made.from]);
        let before = server.bytes();
        let _ = self.cold(&source, &server);
        let asked = server.bytes() - before;
        let url = server.url();
        let itself = || {
            let mut command = Command::new("sh");
            command.args([&bundle.from, "-a", &source.arches]);
            fresh(command)
        };
        let locked = || install(&["--lock", &lock.from, "--mirror", &url]);
        let mut ways: Vec<Way<'_>> = vec![
            Way::of("online", None, || self.cold(&source, &server)),
            Way::of("by a lock file, online", Some(&lock), locked),
            Way::of("from a mirror", Some(&mirror), || from(&mirror)),
            Way::of("from a bundle", Some(&bundle), || from(&bundle)),
            Way::of("by a bundle itself, `sh FILE`", Some(&bundle), itself),
            Way::of("from a registry", Some(&artifact), || from(&artifact)),
        ];
        if let Some(peer) = options.get("peer") {
            ways.push(Way::of("the script, online", None, || self.script(peer, &server)));
        }
        let mut all: Vec<Case<'_>> = Vec::new();
        all.extend(ways.iter_mut().map(|way| &mut *way.install as Case<'_>));
        let runs = side_by_side(self.runs, &mut all);
        drop(all);
        println!(
            "| | carried, MB | made in, s | installed in, s | of online | CPU, s | others, % |"
        );
        println!("|---|---|---|---|---|---|---|");
        for (Way { name, made, .. }, taken) in ways.iter().zip(&runs) {
            let size = made.map_or(asked, |made| made.size);
            let size = if name.starts_with("the script") { String::new() } else { mb(size) };
            let made_in = made.map_or_else(String::new, |made| format!("{:.2}", made.run.wall));
            println!(
                "| {name} | {size} | {made_in} | {:.2} | {:.2} × | {:.2} | {:.0} |",
                taken.wall,
                taken.wall / runs[0].wall,
                taken.cpu,
                100.0 * taken.others / taken.wall
            );
        }
    }

    /// What `words` make of `source` at `to`, with a cache that is empty.
    fn made(&self, source: &Source, server: &Server, words: &[&str], to: &Path) -> Made {
        self.put_aside(&self.work.join("cache"));
        let mut command = Command::new(&self.program);
        let (first, last) = words.split_at(1);
        command.args(first).args(["-d", &source.dist, "-r", &source.runtime]);
        command.args(["-a", &source.arches, "--mirror", &server.url()]).args(last).arg(to);
        let run = run(self.finding(&mut command, source));
        Made { from: to.to_str().unwrap().to_owned(), size: size(to), run }
    }

    /// `command` with the definitions and the cache.
    fn finding<'c>(&self, command: &'c mut Command, source: &Source) -> &'c mut Command {
        command.arg("--repos").arg(&source.repos);
        command.arg("--cache-dir").arg(self.work.join("cache"))
    }
}

/// Bytes of a file, or of all files below a directory.
fn size(path: &Path) -> u64 {
    let bytes = |path: &Path| fs::symlink_metadata(path).map_or(0, |about| about.len());
    match path.is_dir() {
        true => files_below(path).iter().map(|path| bytes(path)).sum(),
        false => bytes(path),
    }
}

fn mb(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}
