//! The CernVM-FS client, by its own definition: a stand-in that keeps its rules and really mounts by FUSE, packed as CERN packs
//! it, installed, moved, and run by an ordinary user.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "as other tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod ends;
mod site;
mod ways;

use std::fs;

use site::{Site, fuse_works, hello, user};
use support::small::text;

const ATLAS: &str = "atlas.test.org";

#[test]
fn a_command_sees_repositories_that_are_mounted_for_it_alone() {
    if !fuse_works() {
        return;
    }
    let site = Site::installed("runs");
    site.user_file("default.local", "CVMFS_HTTP_PROXY='http://squid:3128;DIRECT'\n");
    let script = "cat /cvmfs/$0/hello && id -u && echo \"$PWD $1 ${CVMFS_LIBRARY_PATH-unset}\" && ls /cvmfs && exit 42";
    let mut command =
        site.exec(&[ATLAS, "lhcb.test.org", ATLAS, "--", "sh", "-c", script, ATLAS, "a  b"]);
    // What is no library lies under the names of the tree's.
    let bad = site.place.join("bad");
    fs::create_dir(&bad).unwrap();
    for name in ["libfuse3.so.3", "libcvmfs_fuse3.so", "libcvmfs_fuse3_stub.so"] {
        fs::write(bad.join(name), "garbage").unwrap();
    }
    // Nor does what the user's environment has of its settings.
    command.env("LD_LIBRARY_PATH", &bad).env("CVMFS_BASE_ENV", "1").env("CVMFS_KEYS_DIR", "/none");
    let output = command.output().unwrap();
    let expected = format!(
        "{}{}\n{} a  b unset\n{ATLAS}\ncfg.test.org\nlhcb.test.org\n",
        hello(ATLAS),
        user(),
        site.place.display()
    );
    assert_eq!(text(&output), expected);
    assert_eq!(output.status.code(), Some(42));
    site.assert_nothing_left();
    assert!(!fs::exists("/cvmfs").unwrap_or(true) || site.has_own_cvmfs, "the host was changed");
}

#[test]
fn a_missing_proxy_is_named_with_where_to_write_it() {
    if !fuse_works() {
        return;
    }
    let site = Site::installed("proxy");
    let output = site.exec(&[ATLAS, "--", "echo", "ran"]).output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("CVMFS_HTTP_PROXY is not set for atlas.test.org"), "{said}");
    assert!(said.contains("/.config/elsewhere/cvmfs/default.local"), "{said}");
    assert!(said.contains("/etc/elsewhere/cvmfs/default.local") && !said.contains("ran"), "{said}");
    site.assert_nothing_left();
    // In the tree, for all of its users; what the user says counts more.
    let tree_file = site.prefix.join("x86_64/etc/cvmfs/default.local");
    fs::write(&tree_file, "CVMFS_HTTP_PROXY=DIRECT\n").unwrap();
    let proxy = ["sh", "-c", "tail -n 1 /cvmfs/.run/atlas.test.org.log"];
    let words = [&[ATLAS, "--"], &proxy[..]].concat();
    assert_eq!(site.said(&words), "(atlas.test.org) proxies DIRECT\n");
    site.user_file("default.local", "CVMFS_HTTP_PROXY=http://own:1\n");
    assert_eq!(site.said(&words), "(atlas.test.org) proxies http://own:1\n");
    site.user_file("domain.d/test.org.local", "CVMFS_HTTP_PROXY=http://domain:1\n");
    assert_eq!(site.said(&words), "(atlas.test.org) proxies http://domain:1\n");
    site.user_file("config.d/atlas.test.org.local", "CVMFS_HTTP_PROXY=http://one:1\n");
    assert_eq!(site.said(&words), "(atlas.test.org) proxies http://one:1\n");
}

#[test]
fn keys_of_the_users_own_count_beside_those_of_the_configuration() {
    let Some(site) = Site::ready("keys") else { return };
    let words = ["own.test.org", "--", "cat", "/cvmfs/own.test.org/hello"];
    site.serve("own.test.org", "the user's own key\n");
    let output = site.exec(&words).output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(
        said.contains("cannot mount own.test.org: failed to verify repository signature"),
        "{said}"
    );
    for place in ["keys/own.test.org.pub", "keys/own.test.org/a.pub", "keys/test.org/a.pub"] {
        let file = site.user_file(place, "the user's own key\n");
        assert_eq!(site.said(&words), hello("own.test.org"), "{place}");
        assert_eq!(site.said(&[ATLAS, "--", "cat", "/cvmfs/atlas.test.org/hello"]), hello(ATLAS));
        fs::remove_file(file).unwrap();
    }
    // Not those of another.
    site.user_file("keys/other.test.org.pub", "the user's own key\n");
    assert!(site.said(&words).contains("failed to verify"));
}

#[test]
fn starts_that_run_at_once_have_caches_of_their_own() {
    let Some(site) = Site::ready("caches") else { return };
    let base = site.place.join("home/.cache/elsewhere/cvmfs-mounts");
    let mut first = site.waiting(&[ATLAS]);
    assert_eq!(site.said(&[ATLAS, "--", "cat", "/cvmfs/atlas.test.org/hello"]), hello(ATLAS));
    first.end();
    let count = || fs::read_dir(&base).unwrap().count();
    assert_eq!(count(), 2, "two ran at once");
    assert_eq!(site.said(&[ATLAS, "--", "cat", "/cvmfs/atlas.test.org/hello"]), hello(ATLAS));
    assert_eq!(count(), 2, "the next uses one again");
    // Where the configuration says so.
    let other = site.place.join("home/other");
    site.user_file(
        "default.local",
        &format!("CVMFS_HTTP_PROXY=DIRECT\nCVMFS_CACHE_BASE={}\n", other.display()),
    );
    assert_eq!(site.said(&[ATLAS, "--", "cat", "/cvmfs/atlas.test.org/hello"]), hello(ATLAS));
    assert!(other.join("1/shared").is_dir());
}

/// What of the configuration is not plain is refused, and runs nothing here.
#[test]
fn configuration_is_text_here_and_no_program() {
    if !fuse_works() {
        return;
    }
    let site = Site::installed("text");
    site.user_file("default.local", "CVMFS_HTTP_PROXY=DIRECT\n. $(touch $HOME/touched; echo x)\n");
    let output = site.exec(&[ATLAS, "--", "echo", "ran"]).output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("default.local, line 2:") && said.contains("only a shell could tell"),
        "{said}"
    );
    assert!(!site.place.join("home/touched").exists());
}

#[test]
fn each_part_of_the_definition_is_needed() {
    if !fuse_works() {
        return;
    }
    let site = Site::new("needed");
    let own = include_str!("../../repos/runtimes/cvmfs.toml");
    for (taken, instead, why) in [
        ("set = \"{tree}/lib64\"", "set = \"{tree}/none\"", "failed to load cvmfs library"),
        ("to = \"{tree}/etc/cvmfs\"", "to = \"{tree}/etc/none\"", "failed to verify"),
        ("from = \"/var/run/cvmfs\"", "from = \"/var/none\"", "Failed to initialize loader socket"),
        ("first = \"CVMFS_CONFIG_REPOSITORY\"", "", "failed to verify"),
    ] {
        assert_eq!(own.matches(taken).count(), 1, "{taken}");
        let smoke = own.find("[[smoke]]").unwrap();
        let definition = own[..smoke].replace(taken, instead);
        site.world.scratch.write("repos/runtimes/cvmfs.toml", definition);
        site.install("p");
        site.moved();
        site.user_file("default.local", "CVMFS_HTTP_PROXY=DIRECT\n");
        let said = site.said(&[ATLAS, "--", "cat", "/cvmfs/atlas.test.org/hello"]);
        assert!(said.contains(why), "{taken}: {said}");
    }
}
