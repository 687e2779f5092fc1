//! Launchers under every shell that may be somebody's `/bin/sh`. Needs real tools: a missing one is
//! a failure that names its Debian package.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod launching;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use launching::{Scratch, environment_through, prefix_at, text};

/// Name for messages, program, name under which it is started (`sh` turns on POSIX mode where a
/// shell has one), Debian package.
const SHELLS: [(&str, &str, &str, &str); 11] = [
    ("dash", "dash", "dash", "dash"),
    ("bash", "bash", "bash", "bash"),
    ("bash --posix", "bash", "sh", "bash"),
    ("busybox ash", "busybox", "ash", "busybox"),
    ("ksh93", "ksh", "ksh", "ksh"),
    ("ksh93 as sh", "ksh", "sh", "ksh"),
    ("mksh", "mksh", "mksh", "mksh"),
    ("mksh as sh", "mksh", "sh", "mksh"),
    ("yash", "yash", "sh", "yash"),
    ("zsh", "zsh", "zsh", "zsh"),
    ("zsh as sh", "zsh", "sh", "zsh"),
];

/// A program's path, or a failure that says what to install.
fn tool(name: &str, package: &str) -> PathBuf {
    let found =
        ["/bin", "/usr/bin", "/usr/local/bin"].map(|directory| Path::new(directory).join(name));
    let found = found.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is missing: apt-get install {package}"))
}

/// Calls `check` with each shell, under the name that puts it into the right mode.
fn for_each_shell(check: impl Fn(&str, &Path)) {
    for (shown, program, name, package) in SHELLS {
        println!("under {shown}");
        let scratch = Scratch::new();
        let shell = scratch.join(name);
        symlink(tool(program, package), &shell).unwrap();
        check(shown, &shell);
    }
}

#[test]
fn every_shell_starts_it_in_every_way() {
    let _serial = launching::serial();
    for_each_shell(|_, shell| {
        launching::every_way_of_starting(shell);
        launching::run_by_the_shell_itself(shell);
        launching::input_and_first_arguments(shell);
    });
}

#[test]
fn every_shell_chooses_the_same_architecture() {
    let _serial = launching::serial();
    for_each_shell(|_, shell| {
        launching::choice_of_architecture(shell);
        launching::message_without_a_tree(shell);
        launching::message_where_nothing_may_run(shell);
        launching::choice_of_dist(shell);
        launching::message_without_a_fitting_dist(shell);
    });
}

#[test]
fn sh_given_a_bare_name_finds_it_in_path() {
    let _serial = launching::serial();
    for_each_shell(|shown, shell| {
        // Only these look a script up in PATH at all.
        if !shown.starts_with("bash") && !shown.starts_with("ksh") {
            return;
        }
        let scratch = Scratch::new();
        prefix_at(&scratch.0, shell);
        let path = format!("{}:/usr/bin:/bin", scratch.join("bin").display());
        let output =
            Command::new(shell).arg("apptainer").env("PATH", path).current_dir("/").output();
        let told = launching::told(&output.unwrap());
        assert!(launching::is_from(&told, Path::new("/"), &scratch.0), "{told:?}");
    });
}

#[test]
fn every_shell_sets_what_the_runtimes_file_says() {
    let _serial = launching::serial();
    for_each_shell(|_, shell| launching::what_it_sets(shell));
}

/// What each shell changes by itself, as the documentation of [`elsewhere::stages::launcher`] says.
#[test]
fn what_shells_do_to_the_environment() {
    let _serial = launching::serial();
    let given =
        ["A=1", "BASH_FUNC_f%%=() { :; }", "PATH=/usr/bin:/bin", "PWD=/", "SHLVL=3", "a.b=2"];
    for_each_shell(|shown, shell| {
        let got = environment_through(shell, &given);
        let gone = given.into_iter().filter(|item| !got.iter().any(|other| other == item));
        let gone: Vec<&str> = gone.map(name_of).collect();
        let new = got.iter().map(String::as_str).filter(|item| !given.contains(item));
        let new: Vec<&str> = new.map(name_of).collect();
        let expected: (&[&str], &[&str]) = match shown {
            "yash" => (&[], &[]),
            "dash" => (&["BASH_FUNC_f%%", "a.b"], &[]),
            "bash" | "bash --posix" => (&["BASH_FUNC_f%%"], &["BASH_FUNC_f%%"]),
            "busybox ash" => (&["BASH_FUNC_f%%", "SHLVL", "a.b"], &["SHLVL"]),
            "ksh93" => (&[], &["A__z", "_"]),
            "ksh93 as sh" => (&[], &["_"]),
            "mksh" | "mksh as sh" => (&["BASH_FUNC_f%%", "a.b"], &["_"]),
            "zsh" => (&[], &["HOME", "LOGNAME", "OLDPWD", "_"]),
            "zsh as sh" => (&[], &["LOGNAME", "OLDPWD", "_"]),
            other => panic!("nothing is written down for {other}"),
        };
        assert_eq!((gone.as_slice(), new.as_slice()), expected, "{shown}");
    });
}

/// `A` of `A=1`.
fn name_of(item: &str) -> &str {
    item.split('=').next().unwrap()
}

#[test]
fn the_usual_path_forks_nothing() {
    let _serial = launching::serial();
    let strace = tool("strace", "strace");
    for_each_shell(|shown, shell| {
        let scratch = Scratch::new();
        prefix_at(&scratch.join("p"), shell);
        symlink(scratch.join("p"), scratch.join("linked")).unwrap();
        symlink(scratch.join("p/bin/apptainer"), scratch.join("link")).unwrap();
        let forks = |program: &str| {
            let log = scratch.join("log");
            Command::new(&strace)
                .args(["-f", "-qq", "-e", "trace=fork,vfork,clone,clone3", "-o"])
                .arg(&log)
                .arg(scratch.join(program))
                .output()
                .unwrap();
            let log = fs::read_to_string(log).unwrap();
            log.lines().filter(|line| line.contains("fork(") || line.contains("clone")).count()
        };
        assert_eq!(forks("p/bin/apptainer"), 0, "{shown}");
        assert_eq!(forks("linked/bin/apptainer"), 0, "{shown}");
        // Of several dists, too, as long as nothing depends on a glibc newer than 2.34.
        let of_several =
            launching::choosing(&[("el9", "2.34", 2), ("el8", "2.28", 1), ("own", "2.17", 1)]);
        launching::write_launcher(&scratch.join("p/bin/apptainer"), &of_several, shell);
        assert_eq!(forks("p/bin/apptainer"), 0, "{shown}");
        let sets = launching::text_that_sets(&scratch.0);
        launching::write_launcher(&scratch.join("p/bin/apptainer"), &sets, shell);
        assert_eq!(forks("p/bin/apptainer"), 0, "{shown}");
        assert!(forks("link") >= 1, "{shown}: strace saw nothing");
    });
}

#[test]
fn shellcheck_has_no_complaint() {
    let _serial = launching::serial();
    let shellcheck = tool("shellcheck", "shellcheck");
    let scratch = Scratch::new();
    let of_several = launching::choosing(&[("own", "2.17", 1), ("el10", "2.39", 3)]);
    let mut texts: Vec<(&str, String)> =
        ["apptainer", "run-singularity", "crun"].map(|name| (name, text(name))).to_vec();
    texts.push(("of-several", of_several));
    texts.push(("setting", launching::text_that_sets(&scratch.0)));
    for (name, text) in texts {
        let file = scratch.join(name);
        fs::write(&file, text).unwrap();
        // SC2016: an argument of ours holds `$HOME`, and must not expand. SC2089 and SC2090: a value of
        // ours has a quote in it, which it is to keep.
        for dialect in ["sh", "dash", "bash", "ksh"] {
            let output = Command::new(&shellcheck)
                .args(["-o", "all", "-e", "SC2016,SC2089,SC2090,SC2250,SC2292", "-s", dialect])
                .arg(&file)
                .output()
                .unwrap();
            let complaint = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{name} as {dialect}: {complaint}");
        }
    }
}
