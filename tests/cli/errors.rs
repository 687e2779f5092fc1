//! What the most common mistakes look like, word for word.

use std::fs;

use serde_json::Value;

use crate::support::program;
use crate::support::tiny::{Tiny, text};

/// What `elsewhere WORDS` says on standard error, and how it ends; `~` is the test's directory.
fn says(tiny: &Tiny, words: &[&str]) -> (String, i32) {
    let home = tiny.scratch.path().to_string_lossy().into_owned();
    let mut command = program::elsewhere();
    command.env("HOME", &home).args(words.iter().map(|word| word.replace('~', &home)));
    let output = command.output().unwrap();
    (text(&output.stderr).replace(&home, "~"), output.status.code().unwrap())
}

#[test]
fn common_mistakes_are_told_with_what_to_type() {
    let tiny = Tiny::with("cli-errors", &["1.9.3"]);
    let tool = ["--repos", "~/repos", "--mirror", "~/mirror", "-d", "tiny"];
    let check = |words: &[&str], status: i32, expected: &str| {
        assert_eq!(says(&tiny, words), (format!("{expected}\n"), status), "{words:?}");
    };
    let with = |words: &[&'static str]| [words, &tool[..]].concat();
    check(
        &["install", "-r", "aptainer", "~/p"],
        2,
        "error: unknown runtime \"aptainer\": there are apptainer, bubblewrap, buildah, charliecloud, \
         crun, cvmfs, fakeroot, fuse-overlayfs, podman, singularity-ce, skopeo, squashfs-tools, squashfs-tools-ng, \
         squashfuse\n\
         hint: did you mean `-r apptainer`?",
    );
    check(
        &["plan", "-d", "debain12", "--mirror", "~"],
        2,
        "error: unknown dist \"debain12\": choose from el7, el8, el9, el10, fc42, fc43, fc44, fc45, or \
         name a distribution such as debian12, ubuntu24.04, rocky9, suse15, amzn2023\n\
         hint: did you mean `-d debian12`?",
    );
    check(
        &["plan", "--for", "moon"],
        2,
        "error: \"moon\" is no machine: write glibc=2.28, x86-64-v2, or a distribution's name",
    );
    check(
        &with(&["install", "-q", "-r", "tool", "-v", "3", "~/p"]),
        5,
        "error: tiny for x86_64 holds no tool 3: it holds 1.9.3\n\
         hint: install the newest with `-v 1.9.3`, or without `-v`",
    );
    check(
        &["plan", "--mirror", "mirror.example.org/el"],
        2,
        &format!(
            "error: the mirror {}/mirror.example.org/el is no directory; a URL begins with https://, \
             http:// or file:\nhint: see elsewhere --help",
            std::env::current_dir().unwrap().display()
        ),
    );
    check(
        &["install", "-v", "~/a.rpm", "~/p"],
        6,
        "error: cannot use ~/a.rpm: No such file or directory (os error 2)",
    );
    check(
        &["status", "~/p"],
        6,
        "error: there is no prefix at ~/p\nhint: to make one: elsewhere install ~/p",
    );
    check(
        &["install", "--lock", "~/repos/dists/tiny.toml", "~/p"],
        2,
        "error: this is no lock file: line 1: missing field `format`\n\
         hint: make it anew with `elsewhere plan --lock FILE`",
    );
    assert!(!tiny.scratch.path().join("p").exists());
}

#[test]
fn errors_are_data_for_programs() {
    let tiny = Tiny::with("cli-errors-json", &["1.9.3"]);
    let mut command = tiny.run("install");
    fs::remove_dir_all(tiny.repository("extra", "x86_64")).unwrap();
    let output = command.args(["-r", "tool", "-d", "tiny", "--json"]).arg(tiny.prefix()).output();
    let output = output.unwrap();
    assert_eq!(text(&output.stderr), "");
    let last = text(&output.stdout).lines().last().unwrap().to_owned();
    let error: Value = serde_json::from_str(&last).unwrap();
    assert_eq!((&error["event"], &error["status"]), (&"error".into(), &3.into()));
    let causes = error["causes"].as_array().unwrap();
    assert!(causes[0].as_str().unwrap().contains("repository extra of tiny"), "{error}");
    assert!(error["message"].as_str().unwrap().contains("repomd.xml"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("--mirror"), "{error}");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_command_line_that_makes_no_sense_is_data_too() {
    let words = ["install", "--json", "-a", "i686", "p"];
    let output = program::elsewhere().args(words).output().unwrap();
    let error: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    let expected = "invalid value 'i686' for '--arch <ARCH>': unknown architecture \"i686\": choose \
                    from x86_64, aarch64, ppc64le, s390x";
    assert_eq!(error["message"], expected);
    assert_eq!(error["status"], 2);
    assert_eq!((text(&output.stderr), output.status.code()), (String::new(), Some(2)));
}
