//! Where settings come from, and which one counts.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use elsewhere::stages::host::VARIABLES;
use support::program;

/// A home directory.
fn home(test: &str, config: &str) -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("configuration").join(test);
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(home.join(".config/elsewhere")).unwrap();
    fs::write(home.join(".config/elsewhere/config.toml"), config).unwrap();
    home
}

/// Runs `elsewhere plan` at `home`: its status, and what it says.
fn plan(home: &Path, variables: &[(&str, &str)], words: &[&str]) -> (i32, String) {
    let output = program::elsewhere()
        .args(["plan", "-d", "el8", "-a", "x86_64", "--for", "el8"])
        .args(words)
        .env("HOME", home)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_nearest_setting_counts() {
    let home = home("order", "mirror = '/mirror/of-user'\n[network]\nattempts = 1");
    let named = home.join("named.toml");
    fs::write(&named, "mirror = '/mirror/of-file'").unwrap();
    let named = ["--config", named.to_str().unwrap()];
    let variable = [("ELSEWHERE_MIRROR", "/mirror/of-variable")];
    let says = |variables: &[(&str, &str)], words: &[&str], place: &str| {
        let (status, text) = plan(&home, variables, words);
        assert_eq!(status, 2, "{text}");
        assert!(text.contains(place), "{text}");
    };
    says(&[], &[], "/mirror/of-user");
    says(&[], &named, "/mirror/of-file");
    says(&[("ELSEWHERE_CONFIG", named[1])], &[], "/mirror/of-file");
    says(&variable, &named, "/mirror/of-variable");
    says(&variable, &["--mirror", "/mirror/of-option"], "/mirror/of-option");
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    let wrong = home("wrong", "dist = 'el8'\nmirrors = 'x'\n");
    let (status, text) = plan(&wrong, &[], &[]);
    assert_eq!(status, 2, "{text}");
    assert!(text.contains("config.toml, line 2: unknown field `mirrors`"), "{text}");
    assert!(text.contains("hint: docs/configuration.md"), "{text}");
    let (status, text) = plan(&home("missing", ""), &[], &["--config", "/nonexistent.toml"]);
    assert_eq!(status, 2, "{text}");
    let variables = [("ELSEWHERE_ATTEMPTS", "often")];
    let (status, text) = plan(&home("number", ""), &variables, &[]);
    assert_eq!(status, 2);
    assert!(text.contains("ELSEWHERE_ATTEMPTS is \"often\", not a number"), "{text}");
}

#[test]
fn a_home_that_is_no_directory_is_not_needed() {
    let output = program::elsewhere()
        .env("HOME", "/dev/null")
        .args(["prune", "/nonexistent"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("/nonexistent"), "{text}");
    let output = program::elsewhere()
        .env("HOME", "/dev/null")
        .args(["plan", "--cache-dir", "/dev/null/cache", "--mirror", "/nonexistent"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("configuration file"), "{text}");
}

#[test]
fn a_policy_cannot_be_undone() {
    let home = home("policy", "[policy]\nforbid_unsigned = true");
    let (status, text) = plan(&home, &[], &["--allow-unsigned"]);
    assert_eq!(status, 2, "{text}");
    assert!(text.contains("--allow-unsigned is forbidden by this site's configuration"), "{text}");
}

#[test]
fn every_variable_is_documented() {
    let page = include_str!("../docs/configuration.md");
    for (name, _) in VARIABLES {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn the_example_of_the_page_is_right() {
    let page = include_str!("../docs/configuration.md");
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    // The site's directory exists at that site alone.
    let home = home("example", &example.replace("/sw/elsewhere/repos", "repos"));
    fs::create_dir(home.join(".config/elsewhere/repos")).unwrap();
    fs::write(home.join(".config/elsewhere/site.asc"), "").unwrap();
    let (status, text) = plan(&home, &[], &["--trust-key", "x"]);
    assert_eq!(status, 2, "{text}");
    assert!(text.contains("--trust-key is forbidden"), "{text}");
}
