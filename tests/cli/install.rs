//! Installing, planning, and what a prefix then holds.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::tiny::{TOOL, Tiny, names, text};
use crate::{ends, fails};

#[test]
fn an_install_runs_and_tells_what_to_type_next() {
    let tiny = Tiny::new("cli-install");
    let output = tiny.install(&[]);
    let told = text(&output.stderr);
    let prefix = tiny.prefix();
    assert!(told.contains("x86_64: installed: 2 packages of tiny"), "{told}");
    assert!(told.ends_with(&format!("try: {}/bin/tool --help\n", prefix.display())), "{told}");
    assert_eq!(text(&output.stdout), "");
    let run = Command::new(prefix.join("bin/tool")).output().unwrap();
    assert_eq!(text(&run.stdout), "tool version 2.0.0\n");
    let link = fs::read_link(prefix.join("x86_64")).unwrap();
    assert_eq!(link.to_str(), Some(".elsewhere/x86_64/1"));
}

#[test]
fn the_version_is_exact_or_a_prefix() {
    let tiny = Tiny::new("cli-version");
    for (asked, got) in [("1.9.3", "1.9.3"), ("1", "1.10.0"), ("1.2", "1.2.0")] {
        tiny.install(&["-v", asked]);
        let run = Command::new(tiny.prefix().join("bin/tool")).output().unwrap();
        assert_eq!(text(&run.stdout), format!("tool version {got}\n"), "{asked}");
    }
}

#[test]
fn the_same_install_again_has_nothing_to_do() {
    let tiny = Tiny::new("cli-again");
    tiny.install(&[]);
    let before = names(&tiny.prefix());
    let told = text(&tiny.install(&[]).stderr);
    assert!(told.contains("x86_64: nothing to do"), "{told}");
    assert_eq!(names(&tiny.prefix()), before);
}

#[test]
fn two_architectures_share_the_launcher() {
    let tiny = Tiny::new("cli-two-arches");
    let told = text(&tiny.install(&["-a", "x86_64,aarch64"]).stderr);
    assert!(told.contains("aarch64: installed: 2 packages"), "{told}");
    assert!(told.contains("the aarch64 tree was not run"), "{told}");
    assert!(tiny.prefix().join("aarch64/bin/tool").exists());
    assert_eq!(names(&tiny.prefix().join("bin")), ["tool"]);
}

#[test]
fn a_plan_says_why_each_package_is_in() {
    let tiny = Tiny::new("cli-plan");
    let output = tiny.run("plan").args(TOOL).output().unwrap();
    let plan = text(&output.stdout);
    assert!(plan.starts_with("tool 2.0.0 from tiny for x86_64\n"), "{plan}");
    assert!(plan.contains("tool needs tool-data >= 1-2"), "{plan}");
    assert!(plan.contains("1-2"), "{plan}");
    assert!(!tiny.prefix().exists());
}

#[test]
fn a_dry_run_prints_the_plan_and_changes_nothing() {
    let tiny = Tiny::new("cli-dry-run");
    let plan = tiny.run("plan").args(TOOL).output().unwrap();
    let mut dry = tiny.run("install");
    let dry = dry.args(TOOL).arg("--dry-run").arg(tiny.prefix()).output().unwrap();
    assert!(dry.status.success());
    assert_eq!(text(&dry.stdout), text(&plan.stdout));
    assert!(!tiny.prefix().exists());
}

#[test]
fn a_lock_file_installs_the_same_packages_later() {
    let tiny = Tiny::with("cli-lock", &["1.9.3"]);
    let lock = tiny.scratch.path().join("tool.lock");
    ends(tiny.run("plan").args(TOOL).arg("--lock").arg(&lock), 0);
    // A newer version appears; the older one stays downloadable.
    let old = tiny.repository("extra", "x86_64").join("Packages/tool-1.9.3-1.x86_64.rpm");
    let bytes = fs::read(&old).unwrap();
    tiny.publish(&["2.0.0"], |_| {});
    fs::write(&old, bytes).unwrap();
    ends(tiny.run("install").arg("--lock").arg(&lock).arg(tiny.prefix()), 0);
    let run = Command::new(tiny.prefix().join("bin/tool")).output().unwrap();
    assert_eq!(text(&run.stdout), "tool version 1.9.3\n");
}

#[test]
fn json_is_an_object_per_line_and_a_result() {
    let tiny = Tiny::new("cli-json");
    let output = tiny.install(&["--json"]);
    let told = text(&output.stdout);
    assert_eq!(text(&output.stderr), "");
    let values: Vec<Value> =
        serde_json::Deserializer::from_str(&told).into_iter().map(Result::unwrap).collect();
    assert_eq!(values[0]["event"], "started");
    assert_eq!(values.last().unwrap()["trees"][0]["packages"], 2);
}

#[test]
fn quiet_is_quiet() {
    let tiny = Tiny::new("cli-quiet");
    let output = tiny.install(&["-q"]);
    assert_eq!((text(&output.stdout), text(&output.stderr)), (String::new(), String::new()));
}

#[test]
fn status_names_packages_and_their_signer() {
    let tiny = Tiny::new("cli-status");
    tiny.install(&[]);
    let mut status = tiny.elsewhere();
    status.arg("status").arg(tiny.prefix());
    let told = text(&status.output().unwrap().stdout);
    assert!(told.starts_with("x86_64: tool 2.0.0 from tiny; generation 1,"), "{told}");
    let signed = format!("tool-data-1-2.noarch  signed by {}", tiny.key.fingerprint());
    assert!(told.contains(&signed), "{told}");
    let json = text(&status.arg("--json").output().unwrap().stdout);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["runtimes"][0]["version"], "2.0.0");
    assert_eq!(json[0]["packages"].as_array().unwrap().len(), 2);
}

#[test]
fn an_unsigned_local_package_needs_allow_unsigned_and_says_so() {
    let tiny = Tiny::new("cli-local");
    let package = tiny.scratch.path().join("tool-3.0-1.x86_64.rpm");
    crate::support::tiny::unsigned_tool("3.0", &package);
    let install = || {
        let mut command = tiny.run("install");
        command.args(TOOL).arg("-v").arg(&package).arg(tiny.prefix());
        command
    };
    fails(&mut install(), 4, &["tool-3.0-1.x86_64", "not signed", "--allow-unsigned"]);
    assert!(!tiny.prefix().exists());
    let told = ends(install().arg("--allow-unsigned"), 0);
    assert!(told.contains("warning: ") && told.contains("tool-3.0-1.x86_64"), "{told}");
    let run = Command::new(tiny.prefix().join("bin/tool")).output().unwrap();
    assert_eq!(text(&run.stdout), "tool version 3.0\n");
    let mut status = tiny.elsewhere();
    let told = text(&status.arg("status").arg(tiny.prefix()).output().unwrap().stdout);
    assert!(told.contains("tool-3.0-1.x86_64  UNSIGNED"), "{told}");
}
