//! What users, servers and disks get wrong: a clear message, the right exit status, and nothing
//! changed.

use std::fs;
use std::path::Path;

use crate::support::keys::TestKey;
use crate::support::server::{Fault, Server};
use crate::support::tiny::{TOOL, Tiny, names};
use crate::{ends, fails};

/// What [`Tiny::prefix`] holds is whole and as before after `spoil` and a failed install.
fn refused(test: &str, status: i32, parts: &[&str], spoil: impl Fn(&Tiny)) {
    let tiny = Tiny::new(test);
    tiny.install(&["-v", "1.9.3"]);
    let before = names(&tiny.prefix());
    fs::remove_dir_all(tiny.scratch.path().join("cache")).unwrap();
    spoil(&tiny);
    fails(tiny.run("install").args(TOOL).arg(tiny.prefix()), status, parts);
    assert_eq!(names(&tiny.prefix()), before);
}

fn package(tiny: &Tiny) -> std::path::PathBuf {
    tiny.repository("extra", "x86_64").join("Packages/tool-2.0.0-1.x86_64.rpm")
}

#[test]
fn unknown_names() {
    let tiny = Tiny::new("bad-names");
    let install = |options: &[&str], status, parts: &[&str]| {
        fails(tiny.run("install").args(options).arg(tiny.prefix()), status, parts);
        assert!(!tiny.prefix().exists(), "{options:?}");
    };
    install(&["-r", "aptainer"], 2, &["unknown runtime \"aptainer\"", "apptainer"]);
    install(&["-r", "tool", "-d", "el11"], 2, &["el11", "el8"]);
    install(&["-r", "tool", "-d", "alpine3.20"], 2, &["musl"]);
    install(
        &["-r", "tool", "-d", "tiny", "-v", "7"],
        5,
        &["7", "2.0.0", "1.10.0", "1.9.3", "1.2.0"],
    );
    install(&["-r", "tool", "-d", "tiny", "-a", "s390x"], 2, &["tiny", "s390x", "x86_64, aarch64"]);
    install(&["-r", "crun", "-d", "tiny"], 5, &["crun"]);
}

#[test]
fn no_network() {
    let tiny = Tiny::new("bad-network");
    let from = |mirror: &str, status, parts: &[&str]| {
        let mut command = tiny.run_from("install", mirror);
        fails(command.args(TOOL).arg(tiny.prefix()), status, parts);
        assert!(!tiny.prefix().exists());
    };
    from("http://127.0.0.1:9", 3, &["127.0.0.1:9", "refused"]);
    from("http://nonexistent.invalid", 3, &["nonexistent.invalid", "https_proxy"]);
    from("/nonexistent", 2, &["/nonexistent is no directory", "https://"]);
    let empty = tiny.scratch.path().join("repos").to_string_lossy().into_owned();
    from(&empty, 3, &["repos/tiny.example"]);
    from("ftp://example.org", 2, &["ftp://example.org", "http, https or file"]);
}

#[test]
fn a_server_that_answers_404() {
    let tiny = Tiny::new("bad-404");
    let server = Server::start(tiny.mirror());
    server.fault("repomd.xml", Fault::not_found());
    let mut command = tiny.run_from("install", &server.url());
    fails(command.args(TOOL).arg(tiny.prefix()), 3, &["404", "repodata/repomd.xml", "--mirror"]);
    assert!(!tiny.prefix().exists());
}

#[test]
fn retries_are_shown_with_e() {
    let tiny = Tiny::new("bad-retries");
    let server = Server::start(tiny.mirror());
    server.fault("tool-2.0.0", Fault::status(503, 1));
    let mut command = tiny.run_from("install", &server.url());
    let told = ends(command.args(TOOL).arg("-e").arg(tiny.prefix()), 0);
    assert!(told.contains("retry: ") && told.contains("503"), "{told}");
}

#[test]
fn metadata_that_is_not_what_it_should_be() {
    let primary = |tiny: &Tiny| {
        let repodata = tiny.repository("extra", "x86_64").join("repodata");
        let is_primary = |path: &std::path::PathBuf| {
            path.file_name().unwrap().to_string_lossy().contains("primary")
        };
        let mut files = fs::read_dir(repodata).unwrap().map(|entry| entry.unwrap().path());
        files.find(is_primary).unwrap()
    };
    let repomd = |tiny: &Tiny| tiny.repository("extra", "x86_64").join("repodata/repomd.xml");
    refused("bad-primary-cut", 4, &["primary"], |tiny| cut(&primary(tiny)));
    refused("bad-primary-flip", 4, &["primary", "sha256"], |tiny| flip(&primary(tiny)));
    refused("bad-repomd-flip", 4, &["repomd.xml", "signature"], |tiny| flip(&repomd(tiny)));
    refused("bad-repomd-asc", 4, &["repomd.xml.asc"], |tiny| {
        fs::remove_file(repomd(tiny).with_extension("xml.asc")).unwrap();
    });
    refused("bad-repomd-text", 3, &["repomd.xml"], |tiny| {
        let text = "<html>It works!</html>";
        fs::write(repomd(tiny), text).unwrap();
        let signature = tiny.key.sign_detached(text.as_bytes());
        fs::write(repomd(tiny).with_extension("xml.asc"), signature).unwrap();
    });
}

#[test]
fn a_package_that_is_not_what_it_should_be() {
    refused("bad-missing", 3, &["tool-2.0.0-1.x86_64.rpm"], |tiny| {
        fs::remove_file(package(tiny)).unwrap();
    });
    refused("bad-cut", 4, &["tool-2.0.0-1.x86_64.rpm"], |tiny| cut(&package(tiny)));
    refused("bad-flip", 4, &["tool-2.0.0-1.x86_64.rpm", "sha256"], |tiny| flip(&package(tiny)));
    refused("bad-other", 4, &["tool-2.0.0-1.x86_64.rpm"], |tiny| {
        fs::copy(package(tiny).with_file_name("tool-1.2.0-1.x86_64.rpm"), package(tiny)).unwrap();
    });
}

#[test]
fn a_package_signed_by_another_key() {
    let test = "bad-key";
    refused(test, 4, &["tool-2.0.0-1.x86_64", "key"], |tiny| {
        let other = TestKey::of_vendor("Mallory <m@example.org>", 9);
        let mallory = Tiny::signed_by(test, Box::leak(Box::new(other)));
        mallory.publish(&["2.0.0"], |_| {});
        let forged = mallory.repository("extra", "x86_64");
        let target = tiny.repository("extra", "x86_64");
        fs::remove_dir_all(&target).unwrap();
        fs::rename(forged, &target).unwrap();
        // The metadata, with the forged package's digest, is signed by the right key.
        let repomd = target.join("repodata/repomd.xml");
        let signature = tiny.key.sign_detached(&fs::read(&repomd).unwrap());
        fs::write(repomd.with_extension("xml.asc"), signature).unwrap();
    });
}

#[test]
fn a_cache_that_cannot_be_written() {
    let tiny = Tiny::new("bad-cache");
    let file = tiny.scratch.write("file", "");
    let mut command = tiny.run("install");
    command.args(TOOL).arg("--cache-dir").arg(file.join("cache"));
    let told = ends(command.arg(tiny.prefix()), 2);
    assert!(told.contains("--cache-dir"), "{told}");
    let mut command = tiny.elsewhere();
    command.arg("install").args(TOOL).arg("--repos");
    command.arg(tiny.scratch.path().join("repos")).arg("--cache-dir").arg(file.join("cache"));
    fails(command.arg(tiny.prefix()), 6, &["file/cache"]);
    assert!(!tiny.prefix().exists());
}

/// Cuts a file in half.
fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

/// Changes a bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}
