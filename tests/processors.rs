//! Runs on machines with more processors than this one may have.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::rpms::{File, Package};
use support::server::{Fault, Server};
use support::site::{Listed, Site, hello};
use support::tools;

/// With eight processors more packages are unpacked at a time than fetched: none may wait for ever
/// when nothing comes any more.
#[test]
fn nobody_waits_for_downloads_that_have_ended() {
    let site = Site::new("processors");
    let names = ["hello-data", "c", "d", "e", "f", "g", "h", "i", "j", ""];
    let package = |(number, pair): (usize, &[&'static str])| {
        let path = format!("/usr/share/{number}");
        let package = Package::new(vec![File::regular(&path, b"x")]).named(pair[0]);
        Listed { requires: pair[1], ..site.good(package) }
    };
    let mut all: Vec<Listed> = names.windows(2).enumerate().map(package).collect();
    all.push(site.good(hello("2.0")));
    site.publish(2000, &all);
    let server = Server::start(site.mirror());
    server.fault("Packages/", Fault::not_found());

    let library = site.scratch.path().join("processors.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/processors.c");
    let mut compiler = Command::new(tools::need("cc", "gcc libc6-dev"));
    tools::run(compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source));

    let words = ["-d", "lab", "-r", "hello", "-a", "x86_64"];
    let mut command = site.command(&server.url(), "install", &words);
    command.env("LD_PRELOAD", &library).stdout(Stdio::null()).stderr(Stdio::null());
    let (mut child, start) = (command.spawn().unwrap(), Instant::now());
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() > Duration::from_secs(60) => {
                child.kill().unwrap();
                panic!("it waits for ever");
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    assert_eq!(status.code(), Some(3));
}
