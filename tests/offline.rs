//! `--offline` asks nothing of any network: where there is none, with somebody who counts every socket.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::program;
use support::server::Server;
use support::site::{Outcome, Site};
use support::tools::need;

/// `elsewhere WORDS` where there is no network. Whatever socket it makes ends the test, but for those of
/// this machine.
#[track_caller]
fn run(site: &Site, words: &[&str]) -> Outcome {
    let calls = site.place("calls");
    let mut command = Command::new(need("unshare", "util-linux"));
    command.args(["--user", "--map-root-user", "--net"]).arg(need("strace", "strace"));
    command.args(["-f", "-qq", "-e", "trace=socket", "-o"]).arg(&calls);
    command.arg(program::path()).args(words);
    let outcome = Outcome::of(site.enter(&mut command).output().unwrap());
    let calls = fs::read_to_string(&calls).unwrap();
    let sockets: Vec<&str> = calls.lines().filter(|line| line.contains("socket(")).collect();
    let mut others = sockets.iter().filter(|line| !line.contains("AF_UNIX"));
    assert!(others.next().is_none(), "{words:?}: {sockets:?}");
    outcome
}

/// The words of `elsewhere COMMAND --offline`, with definitions and a cache, and nothing else.
fn words<'a>(site: &'a Site, command: &'a str, places: &'a [PathBuf; 3]) -> Vec<&'a str> {
    let [repos, cache, _] = places;
    assert!(repos.starts_with(site.place("")));
    vec![
        command,
        "--offline",
        "--repos",
        repos.to_str().unwrap(),
        "--cache-dir",
        cache.to_str().unwrap(),
    ]
}

fn lock(site: &Site, file: &Path) {
    let mut plan = site.elsewhere();
    plan.args(["plan", "-d", "lab", "-r", "hello", "-a", "x86_64", "--mirror"]).arg(site.mirror());
    plan.arg("--repos").arg(site.repos()).arg("--cache-dir").arg(site.place("other-cache"));
    Outcome::of(plan.arg("--lock").arg(file).output().unwrap()).ok();
}

#[test]
fn offline_no_socket_is_made_and_what_is_needed_is_named() {
    let site = Site::new("offline");
    let file = site.place("hello.lock");
    lock(&site, &file);
    let places = [site.repos(), site.cache(), site.prefix()];
    let locked = [&words(&site, "install", &places)[..], &["--lock", file.to_str().unwrap()]];
    let install = [&locked.concat()[..], &[places[2].to_str().unwrap()]].concat();
    let refused = run(&site, &install).refused(3, "is needed, and not asked for: --offline");
    for package in ["hello-1.0-1.el9.x86_64.rpm", "hello-data-1.0-1.el9.x86_64.rpm"] {
        let url = format!("https://forged.example/base/Packages/{package}");
        assert!(refused.err.contains(&url), "{package}: {}", refused.err);
    }
    let basic = ["-d", "lab", "-r", "hello", "-a", "x86_64"];
    let plan = [&words(&site, "plan", &places)[..], &basic].concat();
    let refused = run(&site, &plan).refused(3, "is needed, and not asked for");
    for id in ["base", "other"] {
        assert!(refused.err.contains(&format!("forged.example/{id}/repodata")), "{}", refused.err);
    }
    let list = [&words(&site, "list", &places)[..], &["-d", "lab", "-a", "x86_64"]].concat();
    run(&site, &list).refused(3, "is needed, and not asked for");
    // With all in the cache, or in a directory, nothing is needed.
    let server = Server::start(site.mirror());
    site.install_from(&server.url(), &[]).ok();
    fs::remove_dir_all(site.prefix()).unwrap();
    run(&site, &install).ok();
    site.run("verify", &[]).ok();
    for gone in [site.prefix(), site.cache()] {
        fs::remove_dir_all(gone).unwrap();
    }
    let mirror = site.mirror();
    let from_directory = [&["--mirror", mirror.to_str().unwrap()], &basic[..]].concat();
    let from_directory = [&words(&site, "install", &places)[..], &from_directory].concat();
    run(&site, &[&from_directory[..], &[places[2].to_str().unwrap()]].concat()).ok();
    site.run("verify", &[]).ok();
}
