//! What users load into other programs: `env` in shells, modulefiles in Lmod, completions in shells,
//! manual pages in a reader that complains.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here should stop the test")]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::program;
use support::tiny::{TOOL, Tiny, text};
use support::tools;

/// Every character that some shell, Tcl or Lua treats in its own way, but those that `PATH` or a
/// prefix cannot hold.
const ODD: &str = "o d'd\"$x`y\\z!*[a]{b}~#&;(c)|<>?%,é";

/// The tool in a prefix with an odd name.
fn prefix() -> &'static Path {
    static PREFIX: OnceLock<(Tiny, PathBuf)> = OnceLock::new();
    let (_, prefix) = PREFIX.get_or_init(|| {
        let tiny = Tiny::with("profile", &["2.0.0"]);
        let prefix = tiny.scratch.path().join(ODD);
        let output = tiny.run("install").args(TOOL).arg(&prefix).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        (tiny, prefix)
    });
    prefix
}

/// The same prefix under a plain name.
fn plain(name: &str) -> PathBuf {
    let plain = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&plain);
    std::os::unix::fs::symlink(prefix(), &plain).unwrap();
    plain
}

fn elsewhere(words: &[&str]) -> Command {
    let mut command = program::elsewhere();
    command.args(words);
    command
}

/// What `elsewhere WORDS` prints, in a file of the test's own.
fn file(name: &str, words: &[&str]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("profile-files");
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, tools::run(&mut elsewhere(words)).stdout).unwrap();
    path
}

/// A shell of its own: no profile, no home.
fn shell(program: &str, package: &str, options: &[&str]) -> Command {
    let mut command = Command::new(tools::need(program, package));
    command.args(options).env_clear().env("PATH", "/usr/bin:/bin").env("TERM", "dumb");
    command.env("HOME", env!("CARGO_TARGET_TMPDIR")).env("LC_ALL", "C.UTF-8");
    command
}

#[test]
fn every_shell_finds_the_launchers_and_grows_path_once() {
    let prefix = prefix().to_str().unwrap();
    let expected = format!("tool version 2.0.0\n{prefix}/bin:/usr/bin:/bin");
    for (syntax, program, package, options) in [
        ("sh", "dash", "dash", "-c"),
        ("bash", "bash", "bash", "-c"),
        ("zsh", "zsh", "zsh", "-c"),
        ("ksh", "ksh", "ksh", "-c"),
        ("sh", "mksh", "mksh", "-c"),
        ("sh", "yash", "yash", "-c"),
        ("csh", "tcsh", "tcsh", "-fc"),
        ("tcsh", "tcsh", "tcsh", "-fc"),
        ("fish", "fish", "fish", "--no-config -c"),
    ] {
        let lines = file(&format!("{program}-{syntax}"), &["env", "--shell", syntax, prefix]);
        let lines = fs::read_to_string(lines).unwrap();
        let path = if program == "fish" { "string join : $PATH" } else { "echo \"$PATH\"" };
        let script = format!("{lines}\n{lines}\ntool\n{path}");
        let options: Vec<&str> = options.split(' ').collect();
        let told = tools::stdout(shell(program, package, &options).arg(&script));
        assert_eq!(told, expected, "{program}: {lines}");
    }
}

#[test]
fn evaluated_as_the_help_says() {
    let prefix = prefix().to_str().unwrap();
    let program = program::path().to_str().unwrap();
    let script = "eval \"$(\"$0\" env \"$1\")\" && tool";
    for (name, options) in [("dash", "-c"), ("bash", "-c"), ("zsh", "-c")] {
        let mut command = shell(name, name, &[options]);
        assert_eq!(tools::stdout(command.args([script, program, prefix])), "tool version 2.0.0");
    }
    let mut fish = shell("fish", "fish", &["--no-config", "-c"]);
    let script = "$argv[1] env --shell fish $argv[2] | source; tool";
    assert_eq!(tools::stdout(fish.args([script, program, prefix])), "tool version 2.0.0");
    let csh = "eval \"`'PROGRAM' env --shell csh 'PREFIX'`\" && tool";
    // csh has neither arguments for -c nor quotes that hold everything: a plain prefix.
    let plain = plain("shell-prefix");
    let csh = csh.replace("PROGRAM", program).replace("PREFIX", plain.to_str().unwrap());
    let told = tools::stdout(shell("tcsh", "tcsh", &["-fc"]).arg(csh));
    assert_eq!(told, "tool version 2.0.0");
}

/// Debian has Lmod here; it reads both kinds.
#[test]
fn modulefiles_load_and_unload() {
    let prefix = prefix().to_str().unwrap();
    file("modules/tool/lua.lua", &["module", prefix]);
    // Lmod's own reader of Tcl does not bring every character through.
    let plain = plain("modules-prefix");
    let directory = file("modules/tool/tcl", &["module", "--tcl", plain.to_str().unwrap()]);
    let directory = directory.parent().unwrap().parent().unwrap();
    let script = format!(
        ". /usr/share/lmod/lmod/init/bash; module use '{}'
         for kind in lua tcl; do
             module load tool/$kind && tool && module unload tool/$kind
             command -v tool && echo still there
             module whatis tool/$kind; module help tool/$kind
         done 2>&1",
        directory.display()
    );
    assert!(
        Path::new("/usr/share/lmod/lmod/init/bash").exists(),
        "Lmod is missing: as root, type: apt-get install lmod"
    );
    let mut bash = shell("bash", "bash", &["--noprofile", "--norc", "-c"]);
    let told = String::from_utf8(bash.arg(&script).output().unwrap().stdout).unwrap();
    assert_eq!(told.matches("tool version 2.0.0").count(), 2, "{told}");
    assert!(!told.contains("still there"), "{told}");
    for kind in ["lua", "tcl"] {
        let what = told.lines().find(|line| line.contains(&format!("tool/{kind}")));
        assert!(what.is_some_and(|line| line.ends_with(": tool 2.0.0")), "{told}");
    }
    let help = "tool 2.0.0, for ordinary users, installed by elsewhere.";
    assert_eq!(told.matches(help).count(), 2, "{told}");
}

#[test]
fn completions_complete() {
    let bash = file("elsewhere.bash", &["completions", "bash"]);
    let script = format!(
        "source '{}'; complete -p elsewhere; COMP_WORDS=(elsewhere inst); COMP_CWORD=1
         _elsewhere elsewhere inst elsewhere; echo \"${{COMPREPLY[@]}}\"",
        bash.display()
    );
    let told = tools::stdout(shell("bash", "bash", &["--norc", "-c"]).arg(script));
    assert!(told.ends_with("elsewhere\ninstall"), "{told}");
    let zsh = file("zsh/_elsewhere", &["completions", "zsh"]);
    let script = format!(
        "fpath=('{}' $fpath); autoload -Uz compinit; compinit -u -D; print $_comps[elsewhere]
         autoload +X _elsewhere && print loaded",
        zsh.parent().unwrap().display()
    );
    let told = tools::stdout(shell("zsh", "zsh", &["-f", "-c"]).arg(script));
    assert_eq!(told, "_elsewhere\nloaded");
    let fish = file("elsewhere.fish", &["completions", "fish"]);
    let script = format!("source '{}'; complete -C 'elsewhere inst'", fish.display());
    let told = tools::stdout(shell("fish", "fish", &["--no-config", "-c"]).arg(script));
    assert!(told.starts_with("install\tInstall a runtime into a directory"), "{told}");
}

#[test]
fn manual_pages_are_well_formed() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("profile-man");
    let _ = fs::remove_dir_all(&directory);
    tools::run(&mut elsewhere(&["man", directory.to_str().unwrap()]));
    let pages: Vec<PathBuf> =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(pages.len() >= 19, "{pages:?}");
    let mut lint = Command::new(tools::need("mandoc", "mandoc"));
    let output = lint.args(["-Tlint", "-Wwarning"]).args(&pages).output().unwrap();
    assert_eq!(text(&output.stdout), "");
}
