//! Repositories that are left out, and definitions that claim what is not so: neither is a dead end.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use serde_json::Value;
use support::rpms::File;
use support::site::{Outcome, Site, data, hello};

/// A site whose mirror lacks the repository `other`.
fn without_other(name: &str) -> Site {
    let site = Site::new(name);
    fs::remove_dir_all(site.file("other")).unwrap();
    site
}

fn update_to(site: &Site, version: &str, time: u64) {
    site.publish(time, &[site.good(hello(version)), site.good(data())]);
}

/// The live tree's receipt.
fn receipt(site: &Site) -> Value {
    let text = fs::read(site.prefix().join("x86_64/.elsewhere.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The path of a configuration file with this text.
fn config(site: &Site, text: &str) -> String {
    site.scratch.write("config.toml", text).to_str().unwrap().to_owned()
}

/// Changes the dist's definition.
fn redefine(site: &Site, from: &str, to: &str) {
    let path = site.scratch.path().join("repos/dists/lab.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

/// The line of the definition that holds `text`.
fn line(site: &Site, text: &str) -> usize {
    let file = fs::read_to_string(site.scratch.path().join("repos/dists/lab.toml")).unwrap();
    1 + file.lines().position(|line| line.contains(text)).unwrap()
}

/// Fails unless standard error holds all of these.
#[track_caller]
fn says(outcome: &Outcome, parts: &[&str]) {
    for part in parts {
        assert!(outcome.err.contains(part), "no {part:?} in: {}", outcome.err);
    }
}

#[test]
fn what_a_mirror_lacks_is_named_and_can_be_left_out() {
    let site = without_other("repositories-missing");
    let refused = site.install(&[]).refused(3, "repository other of lab for x86_64");
    let place = format!("lab.toml, line {}", line(&site, "forged.example/other/"));
    let url = "other/repodata/repomd.xml: cannot be read";
    says(&refused, &[url, "--disable-repo other", "--mirror", &place]);
    let installed = site.install(&["--disable-repo", "other"]).ok();
    says(&installed, &["x86_64: of lab not read: other (--disable-repo)"]);
    assert_eq!(receipt(&site)["disabled_repositories"], serde_json::json!(["other"]));
    // What was said once holds for what is installed.
    update_to(&site, "2.0", 2000);
    let updated = site.run("update", &[]).ok();
    says(&updated, &["other (as when this was installed; --enable-repo other reads it again)"]);
    assert!(site.run_status().contains("hello 2.0"));
    assert_eq!(receipt(&site)["disabled_repositories"], serde_json::json!(["other"]));
    says(&site.install(&[]).ok(), &["nothing to do"]);
    site.run("verify", &["--deep"]).ok();
    site.run("verify", &["--deep", "--disable-repo", "other"]).ok();
    site.run("update", &["--enable-repo", "other"]).refused(3, "repository other of lab");
    // Once it is there, it is read again, and that is remembered.
    site.publish_in("other", 1000, &[]);
    site.run("update", &["--enable-repo", "other"]).ok();
    assert_eq!(receipt(&site).get("disabled_repositories"), None);
    assert_eq!(receipt(&site)["enabled_repositories"], serde_json::json!(["other"]));
}

#[test]
fn what_was_left_out_is_not_read_to_remove_something() {
    let site = without_other("repositories-remove");
    let mut tool = data();
    tool.files.push(File::program("/usr/bin/data", b"#!/bin/sh\n"));
    site.publish(2000, &[site.good(hello("1.0")), site.good(tool)]);
    let runtime = "name = \"data\"\ntitle = \"Data\"\npackage = \"hello-data\"\n\
                   [[command]]\nname = \"data\"\npath = \"bin/data\"\n";
    site.scratch.write("repos/runtimes/data.toml", runtime);
    site.install(&["--disable-repo", "other", "-r", "data"]).ok();
    site.run("remove", &["-r", "hello"]).ok();
    let receipt = receipt(&site);
    assert_eq!(receipt["packages"].as_array().unwrap().len(), 1, "{receipt}");
    assert_eq!(receipt["disabled_repositories"], serde_json::json!(["other"]));
}

#[test]
fn a_lock_file_keeps_what_was_left_out() {
    let site = without_other("repositories-lock");
    let lock = site.scratch.path().join("lock.toml");
    let lock = lock.to_str().unwrap();
    let mut plan = site.elsewhere();
    plan.arg("plan").arg("--mirror").arg(site.mirror());
    plan.arg("--repos").arg(site.repos()).args(["-d", "lab", "-r", "hello"]);
    plan.args(["-a", "x86_64", "--disable-repo", "o?h*", "--lock", lock]);
    let plan = plan.output().unwrap();
    assert!(plan.status.success(), "{plan:?}");
    let text = fs::read_to_string(lock).unwrap();
    assert!(text.contains("disabled_repositories = [\"other\"]"), "{text}");
    site.run("install", &["--lock", lock]).ok();
    assert_eq!(receipt(&site)["disabled_repositories"], serde_json::json!(["other"]));
    update_to(&site, "2.0", 2000);
    site.run("update", &[]).ok();
}

#[test]
fn configuration_leaves_out_too_and_the_nearer_word_counts() {
    let site = without_other("repositories-config");
    let off = config(&site, "disable_repo = ['lab/oth*']\n");
    let installed = site.install(&["--config", &off]).ok();
    says(&installed, &["other (by the configuration)"]);
    // The configuration says it itself, each time.
    assert_eq!(receipt(&site).get("disabled_repositories"), None);
    site.install(&["--config", &off, "--enable-repo", "other"]).refused(3, "repository other");
    let both = config(&site, "disable_repo = ['*']\nenable_repo = ['base']\n");
    site.install(&["--config", &both]).ok();
    // The user's file undoes what a policy does not.
    let site_wide = config(&site, "disable_repo = ['base']\n");
    site.scratch.write("home/.config/elsewhere/config.toml", "disable_repo = ['other']\n");
    let refused =
        site.install(&["--config", &site_wide]).refused(2, "none of the repositories of lab");
    says(&refused, &["--enable-repo"]);
    site.install(&["--config", &site_wide, "--enable-repo", "base"]).ok();
    let policy = config(&site, "[policy]\ndisable_repo = ['other']\n");
    site.scratch.write("home/.config/elsewhere/config.toml", "enable_repo = ['other']\n");
    says(&site.install(&["--config", &policy]).ok(), &["other (by this site's policy)"]);
    let refused = site.install(&["--config", &policy, "--enable-repo", "other"]);
    refused.refused(2, "to read the repository other is forbidden");
}

#[test]
fn names_that_mean_nothing_are_refused_with_those_that_mean_something() {
    let site = Site::new("repositories-unknown");
    let refused = site.install(&["--disable-repo", "othr"]).refused(2, "no repository is called");
    says(&refused, &["appstream, base, baseos,", "did you mean other?"]);
    let refused = site.install(&["--disable-repo", "powertools"]);
    says(&refused, &["no repository of lab is called \"powertools\": there are base, other"]);
    assert_eq!(refused.status, 2);
    assert!(!site.prefix().join("x86_64").exists());
    site.install(&["--disable-repo", "other,el9/*"])
        .refused(2, "no repository of lab is called \"el9/*\"");
    let wrong = config(&site, "[repository.othr]\nmodular = false\n");
    site.install(&["--config", &wrong]).refused(2, "no repository is called \"othr\"");
    // What reads no repository does not care.
    site.install(&[]).ok();
    site.run("verify", &["--config", &wrong]).ok();
    site.run("update", &["--disable-repo", "powertools"]).refused(2, "no repository of lab");
    site.run("remove", &["--all", "--force", "--disable-repo", "other"]).ok();
}

#[test]
fn a_definition_can_leave_out_what_few_want() {
    let site = without_other("repositories-definition");
    redefine(&site, "id = \"other\"\n", "id = \"other\"\nenabled = false\n");
    assert!(!site.install(&[]).ok().err.contains("not read"));
    site.run("update", &["--enable-repo", "other"]).refused(3, "repository other");
}

#[test]
fn signatures_that_are_claimed_and_not_there_can_be_done_without() {
    let site = Site::new("repositories-signed");
    redefine(&site, "id = \"other\"\n", "id = \"other\"\nsigned_metadata = true\n");
    let refused = site.install(&[]).refused(4, "its signature is missing: cannot fetch");
    let here = format!("lab.toml, line {}", line(&site, "id = \"other\"") + 1);
    let table = "[repository.\"lab/other\"]";
    says(
        &refused,
        &["repomd.xml.asc", &here, "signed_metadata = false", table, "--disable-repo other"],
    );
    let text = "[repository.\"lab/other\"]\nsigned_metadata = false\n";
    let own = config(&site, text);
    site.install(&["--config", &own]).ok();
    // A policy forbids it to others, and not to the site itself.
    site.scratch.write("home/.config/elsewhere/config.toml", text);
    let policy = config(&site, "[policy]\nforbid_unsigned = true\n");
    let refused = site.run("update", &["--config", &policy]);
    refused.refused(2, "signed_metadata = false for the repository lab/other is forbidden");
    let policy = config(&site, &format!("{text}[policy]\nforbid_unsigned = true\n"));
    fs::remove_file(site.scratch.path().join("home/.config/elsewhere/config.toml")).unwrap();
    site.run("update", &["--config", &policy]).ok();
}

#[test]
fn a_definition_of_the_users_own_replaces_one_that_is_wrong() {
    let site = Site::new("repositories-own");
    redefine(&site, "id = \"other\"\n", "id = \"other\"\nsigned_metadata = true\n");
    site.install(&[]).refused(4, "its signature is missing");
    let repos = site.scratch.path().join("repos");
    let own = site.scratch.path().join("home/.config/elsewhere/repos");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::rename(&repos, &own).unwrap();
    let basic = ["install", "-d", "lab", "-r", "hello", "-a", "x86_64"];
    site.run_without_definitions(&basic).refused(4, ".config/elsewhere/repos/dists/lab.toml, line");
    let file = own.join("dists/lab.toml");
    let text = fs::read_to_string(&file).unwrap();
    let other = text.replace("id = \"other\"\nsigned_metadata = true\n", "id = \"other\"\n");
    fs::write(file, other).unwrap();
    site.run_without_definitions(&basic).ok();
}

#[test]
fn modules_that_are_claimed_and_not_listed_can_be_done_without() {
    let site = Site::new("repositories-modular");
    redefine(&site, "id = \"other\"\n", "id = \"other\"\nmodular = true\n");
    let told = site.install(&[]).ok();
    let here = format!("lab.toml, line {}", line(&site, "modular = true"));
    let table = "[repository.\"lab/other\"]";
    says(&told, &[&here, "`modular = false`", "`module_hotfixes = true`", table]);
    let own = config(&site, "[repository.\"*/other\"]\nmodular = false\n");
    assert!(!site.install(&["--config", &own]).ok().err.contains("module list"));
}

#[test]
fn lists_of_mirrors_that_were_tried_are_named_too() {
    let site = without_other("repositories-lists");
    let list = "id = \"other\"\nmetalink = \"https://forged.example/link\"\n\
                mirrorlist = \"https://forged.example/list\"\n";
    redefine(&site, "id = \"other\"\n", list);
    let refused = site.install(&[]).refused(3, "other/repodata/repomd.xml");
    says(
        &refused,
        &["no list of mirrors: file:", "forged.example/link: ", "forged.example/list: "],
    );
}

#[test]
fn a_key_that_cannot_be_had_is_named_with_what_helps() {
    let site = Site::new("repositories-key");
    for name in ["key", "expired", "revoked"] {
        fs::remove_file(site.file(&format!("keys/{name}"))).unwrap();
    }
    let config = config(&site, "[repository.base]\nsigned_metadata = false\n");
    let refused = site.install(&["--config", &config]).refused(4, "keys that could not be fetched");
    says(
        &refused,
        &["forged.example/keys/key: ", "--trust-key lab/base=FILE", "--mirror", "`alternates`"],
    );
}
