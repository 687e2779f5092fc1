//! `install.sh` under the machine's `sh`: what it takes, what it refuses, what it leaves behind.
//! Nothing is fetched from the network; `install_sh_real.rs` does that, under other shells.

#![allow(clippy::unwrap_used)]

mod bootstrap;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use bootstrap::{Outcome, Release, TOOLS, VERSION, script, template};

/// The words that `install-unprivileged.sh` takes.
const DROP_IN: [&str; 9] = ["-e", "-d", "el9", "-o", "-a", "aarch64", "-v", "1.4.5", "a path"];

/// Runs what its input says, then the same without the last character, and so on.
const CUT_BY_CUT: &str = r#"
text=$(/bin/cat)
while [ -n "$text" ]; do
    text=${text%?}
    (eval "$text")
    [ $? -le 2 ] || echo "status $?"
done
"#;

/// Without any tool, whatever runs is either a complaint of the script or a command that is missing.
fn assert_silent(run: &Outcome, what: &str) {
    let ran = run.stderr.contains("install.sh:") || run.stderr.contains("not found");
    assert!(!ran && run.stdout.is_empty(), "{what}: {}{}", run.stdout, run.stderr);
}

#[test]
fn a_download_cut_at_any_byte_does_nothing() {
    let release = Release::new();
    let whole = script(VERSION, &"0".repeat(64)).into_bytes();
    assert!(whole.is_ascii());
    let run = |words: &[&str], length: usize| {
        let mut shell = Command::new("/bin/sh");
        shell.args(words).env_clear().env("PATH", "/nowhere").current_dir(&release.root);
        release.finish(shell, &whole[..length])
    };
    let complete = whole.len() - 1;
    assert!(run(&["-s"], complete).stderr.contains("install.sh: needs"), "it runs at all");
    assert_silent(&run(&["-c", CUT_BY_CUT], complete), "some cut");
    // The same from a pipe, as it happens.
    for length in (0..complete).filter(|length| length % 97 == 0 || length + 60 > complete) {
        assert_silent(&run(&["-s"], length), &format!("cut to {length} bytes"));
    }
}

#[test]
fn help_names_every_word_and_every_variable() {
    let release = Release::new();
    let help = release.run(&["--help"]);
    assert_eq!(help.status, 0);
    assert_eq!(release.run(&["-d", "el8", "-h"]).stdout, help.stdout);
    assert!(help.stdout.contains("[-e] [-d dist] [-o] [-a arch] [-v version] installpath"));
    let text = template();
    let variables = text.split("ELSEWHERE_").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap();
        format!("ELSEWHERE_{} ", &rest[..end])
    });
    for name in variables.filter(|name| name != "ELSEWHERE_ ") {
        assert!(help.stdout.contains(&format!("\n  {name}")), "{name}");
    }
    for line in help.stdout.lines() {
        assert!(line.len() <= 100 && !line.contains('\t'), "{line}");
    }
}

#[test]
fn words_reach_the_program_as_they_are() {
    let release = Release::new();
    let mirror = release.path("mirror");
    let from = ["--from", &mirror];
    let run = release.run(&[&DROP_IN[..4], &from, &DROP_IN[4..]].concat());
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert_eq!(run.words(), [&["install"], &DROP_IN[..]].concat());
    assert_eq!(run.noted("mirror"), mirror);
    assert_eq!(run.stdout, "");
    assert_eq!(release.leftovers(), 0);
    let odd = ["", "a\"b", "$HOME `id` *", "-r", "crun,charliecloud", "--json", "--", "--from"];
    let joined = format!("--from={mirror}");
    let run = release.run(&[&[&*joined], &odd[..]].concat());
    assert_eq!(run.words(), [&["install"], &odd[..]].concat());
}

#[test]
fn the_exit_status_is_the_programs() {
    let release = Release::new();
    let mut environment = release.environment();
    environment.insert("STATUS", "7".to_owned());
    let words = ["--from", &release.path("mirror"), "p"];
    assert_eq!(release.run_with(&["sh"], &words, &environment).status, 7);
    assert_eq!(release.leftovers(), 0);
}

#[test]
fn without_words_only_the_program_is_installed() {
    let release = Release::new();
    let words = ["--from", &release.path("mirror")];
    let run = release.run(&words);
    assert_eq!((run.status, &*run.log), (0, ""), "{}", run.stderr);
    let program = release.root.join("home/.local/bin/elsewhere");
    assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
    assert!(run.stderr.contains("is not in PATH"), "{}", run.stderr);
    let mut environment = release.environment();
    let own = release.path("own dir");
    environment.insert("ELSEWHERE_INSTALL_DIR", own.clone());
    environment.insert("PATH", format!("{}:{own}", environment["PATH"]));
    let run = release.run_with(&["sh"], &words, &environment);
    assert!(run.stderr.contains("try: elsewhere install"), "{}", run.stderr);
    assert_eq!(fs::read(format!("{own}/elsewhere")).unwrap(), fs::read(&program).unwrap());
    assert_eq!(fs::read_dir(&own).unwrap().count(), 1);
}

#[test]
fn a_program_that_differs_is_not_run() {
    let release = Release::new();
    for (name, text) in [("a byte more", "#!/bin/sh\necho hi >>\"$LOG\"\n "), ("nothing", "")] {
        for arch in elsewhere::stages::model::Arch::ALL {
            release.write(&format!("mirror/elsewhere-{VERSION}-{arch}"), text);
        }
        let run = release.run(&["--from", &release.path("mirror"), "p"]);
        run.refused("what was fetched is not elsewhere 9.8.7");
        assert_eq!(release.leftovers(), 0, "{name}");
    }
    let run = release.run(&["--from", &release.path("mirror")]);
    run.refused("SHA-256");
    assert!(!release.root.join("home/.local").exists());
}

#[test]
fn without_a_tool_to_check_nothing_is_run() {
    let release = Release::new();
    let mut environment = release.environment();
    environment.insert("PATH", release.tools("bare", &TOOLS));
    let words = ["--from", &release.path("mirror"), "p"];
    let run = |environment: &_| release.run_with(&["/bin/sh"], &words, environment);
    run(&environment).refused("needs sha256sum, shasum or openssl");
    for tool in ["sha256sum", "shasum", "openssl"] {
        let one = release.tools(tool, &[&TOOLS[..], &[tool]].concat());
        environment.insert("PATH", one);
        assert_eq!(run(&environment).status, 0, "{tool}");
    }
}

#[test]
fn each_missing_tool_is_named_with_its_purpose() {
    let release = Release::new();
    let mut environment = release.environment();
    for missing in ["cat", "chmod", "cp", "mkdir", "mktemp", "mv", "rm", "uname"] {
        let others: Vec<&str> = TOOLS.into_iter().filter(|tool| *tool != missing).collect();
        environment.insert("PATH", release.tools(&format!("no {missing}"), &others));
        let run = release.run_with(&["/bin/sh"], &["p"], &environment);
        run.refused(&format!("needs {missing}, to "));
    }
    environment.insert("PATH", release.tools("nothing to fetch with", &TOOLS));
    release.run_with(&["/bin/sh"], &["p"], &environment).refused("needs curl");
}

#[test]
fn a_temporary_directory_where_programs_cannot_run_is_not_used() {
    let release = Release::new();
    // A chmod that has no effect there stands for a noexec mount.
    let chmod = "#!/bin/sh\ncase $2 in \"$TMPDIR\"/*) exit 0 ;; esac\nexec /bin/chmod \"$@\"\n";
    release.write_program("fake/chmod", chmod);
    let mut environment = release.environment();
    environment.insert("PATH", format!("{}:{}", release.path("fake"), environment["PATH"]));
    let run = release.run_with(&["sh"], &["--from", &release.path("mirror"), "p"], &environment);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let program = run.noted("program");
    assert!(!program.starts_with(&release.path("tmp")), "{program}");
    assert!(!fs::exists(program).unwrap());
    assert_eq!(release.leftovers(), 0);
}

#[test]
fn a_home_that_is_missing_is_not_needed() {
    let release = Release::new();
    let words = ["--from", &release.path("mirror"), "p"];
    let mut environment = release.environment();
    let run = release.run_with(&["sh"], &words, &environment);
    assert_eq!(run.noted("cache"), "", "the program's own default serves");
    for home in [None, Some("/dev/null"), Some("")] {
        environment.remove("HOME");
        environment.extend(home.map(|home| ("HOME", home.to_owned())));
        let run = release.run_with(&["sh"], &words, &environment);
        assert_eq!(run.status, 0, "{}", run.stderr);
        assert!(run.noted("cache").starts_with(&release.path("tmp")), "{}", run.log);
    }
    release.run_with(&["sh"], &words[..2], &environment).refused("HOME is not set");
    environment.insert("HOME", "/dev/null".to_owned());
    release.run_with(&["sh"], &words[..2], &environment).refused("name another one in ELSEWHERE_I");
    assert_eq!(release.leftovers(), 0);
}

#[test]
fn a_mirror_may_have_the_program_at_its_host_and_path() {
    let release = Release::new();
    let place = release.root.join("mirror/github.com/elsewhere-rpm/elsewhere/releases/download");
    fs::create_dir_all(&place).unwrap();
    let new = release.root.join("new");
    fs::rename(release.root.join("mirror"), &new).unwrap();
    let there = new.join("github.com/elsewhere-rpm/elsewhere/releases/download/v9.8.7");
    fs::create_dir(&there).unwrap();
    for arch in elsewhere::stages::model::Arch::ALL {
        let name = format!("elsewhere-{VERSION}-{arch}");
        fs::rename(new.join(&name), there.join(&name)).unwrap();
    }
    let run = release.run(&["--from", "new", "p"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    release.run(&["--from", "home", "p"]).refused("home has no elsewhere-9.8.7-");
    release.run(&["--from", "nowhere", "p"]).refused("no directory nowhere");
    for words in [["p", "--from"].as_slice(), &["--from", "", "p"], &["--from=", "p"]] {
        release.run(words).refused("--from needs a directory or a URL");
    }
}

#[test]
fn another_version_is_fetched_by_its_own_script() {
    let release = Release::new();
    let other = script("2.0", "none");
    release.write(
        "mirror/install.sh",
        &other.replace("main() {", "main() {\n    printf '%s\\n' other \"$@\""),
    );
    let mut environment = release.environment();
    environment.insert("ELSEWHERE_VERSION", "2.0".to_owned());
    let words = ["--from", "mirror", "-d", "el 9", "p"];
    let run = release.run_with(&["sh"], &words, &environment);
    assert_eq!(run.stdout, "other\n--from\nmirror\n-d\nel 9\np\n");
    run.refused("release 2.0 has no program for");
    for text in [&script("3.0", "none"), &other[..900]] {
        release.write("mirror/install.sh", text);
        release.run_with(&["sh"], &words, &environment).refused("not the whole install.sh");
    }
    environment.insert("ELSEWHERE_VERSION", "../2".to_owned());
    release.run_with(&["sh"], &words, &environment).refused("is no version");
    environment.insert("ELSEWHERE_VERSION", VERSION.to_owned());
    assert_eq!(release.run_with(&["sh"], &words, &environment).status, 0);
    assert_eq!(release.leftovers(), 0);
}

#[test]
fn only_https_is_a_base() {
    let release = Release::new();
    let mut environment = release.environment();
    environment.insert("ELSEWHERE_DOWNLOAD_BASE", "http://127.0.0.1:9/x".to_owned());
    release.run_with(&["sh"], &["p"], &environment).refused("must be https URLs");
    environment.insert("ELSEWHERE_DOWNLOAD_BASE", "  ".to_owned());
    release.run_with(&["sh"], &["p"], &environment).refused("names no URL");
}

#[test]
fn a_script_that_nothing_proves_is_not_run() {
    let release = Release::new();
    release.write_program("fake/wget", FETCHER);
    let mut environment = release.environment();
    environment.insert("PATH", format!("{}:{}", release.path("fake"), environment["PATH"]));
    environment.insert("ELSEWHERE_VERSION", "2.0".to_owned());
    environment.insert("FAILURES", "0".to_owned());
    let over_http = ["--from", "http://mirror.test", "p"];
    release.run_with(&["sh"], &over_http, &environment).refused("over http anybody can answer");
    release.write_program("fake/curl", "#!/bin/sh\nexit 1\n");
    release.write_program("snap/bin/curl", "#!/bin/sh\nexit 1\n");
    fs::remove_file(release.root.join("fake/curl")).unwrap();
    environment.insert("PATH", format!("{}:{}", release.path("snap/bin"), environment["PATH"]));
    release.run_with(&["sh"], &["p"], &environment).refused("needs curl, as wget may leave https");
    assert!(!release.root.join("fetched").exists());
}

#[test]
fn a_place_with_another_file_is_passed_over_and_no_password_told() {
    let release = Release::new();
    let fetcher = FETCHER.replace(
        "cp \"$TMPDIR",
        "case $* in *portal*) echo '<html>' >\"$2\"; exit 0 ;; esac; cp \"$TMPDIR",
    );
    release.write_program("fake/curl", &fetcher);
    let mut environment = release.environment();
    environment.insert("PATH", format!("{}:{}", release.path("fake"), environment["PATH"]));
    environment.insert("FAILURES", "0".to_owned());
    let bases = "https://portal.test/ https://bob:secret@b.test/x";
    environment.insert("ELSEWHERE_DOWNLOAD_BASE", bases.to_owned());
    let run = release.run_with(&["sh"], &["p"], &environment);
    assert_eq!(run.words(), ["install", "p"], "{}", run.stderr);
    assert!(run.stderr.contains("its SHA-256 is"), "{}", run.stderr);
    assert!(run.stderr.contains("fetching https://b.test/x/v9.8.7/"), "{}", run.stderr);
    assert!(!run.stderr.contains("secret"), "{}", run.stderr);
}

#[test]
fn a_directory_in_the_programs_place_is_left_alone() {
    let release = Release::new();
    fs::create_dir_all(release.root.join("bin/elsewhere")).unwrap();
    let mut environment = release.environment();
    environment.insert("ELSEWHERE_INSTALL_DIR", "bin".to_owned());
    let words = ["--from", "mirror"];
    release.run_with(&["sh"], &words, &environment).refused("bin/elsewhere is a directory");
    assert_eq!(fs::read_dir(release.root.join("bin/elsewhere")).unwrap().count(), 0);
    environment.insert("ELSEWHERE_INSTALL_DIR", "-bin".to_owned());
    assert_eq!(release.run_with(&["sh"], &words, &environment).status, 0);
    assert!(release.root.join("-bin/elsewhere").is_file());
}

/// Failed before: what a link led to that lay at a name with the process's number was written over.
#[test]
fn files_are_made_where_nobody_can_have_put_something() {
    let release = Release::new();
    let mut environment = release.environment();
    environment.insert("VICTIM", release.path("victim"));
    let plant = "mkdir -p \"$HOME/.cache/elsewhere\" \"$HOME/.local/bin\"\n\
                 for place in .cache/elsewhere/.try .local/bin/.elsewhere; do\n\
                 ln -s \"$VICTIM\" \"$HOME/$place.$$\"\ndone\nexec sh \"$@\"\n";
    let mirror = release.path("mirror");
    for words in [&["--from", &mirror, "p"][..], &["--from", &mirror]] {
        let victim = release.write("victim", "precious");
        let run = release.run_with(&["sh", "-c", plant, "sh"], words, &environment);
        assert_eq!(run.status, 0, "{}", run.stderr);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious", "{words:?}");
    }
    // Nothing is left but what was planted.
    for (place, name) in [(".cache/elsewhere", ".try"), (".local/bin", ".elsewhere")] {
        let there = fs::read_dir(release.root.join("home").join(place)).unwrap();
        let hidden = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
        for entry in there.map(Result::unwrap).filter(hidden) {
            assert!(entry.file_type().unwrap().is_symlink(), "{name}: {entry:?}");
        }
    }
}

#[test]
fn a_relative_cache_counts_for_nothing() {
    let release = Release::new();
    let mut environment = release.environment();
    environment.insert("HOME", "/dev/null".to_owned());
    environment.insert("XDG_CACHE_HOME", "relative".to_owned());
    let run = release.run_with(&["sh"], &["--from", "mirror", "p"], &environment);
    assert!(run.noted("cache").starts_with(&release.path("tmp")), "{}", run.log);
    assert!(!release.root.join("relative").exists());
}

#[test]
fn the_template_works_in_a_checkout_only() {
    let release = Release::new();
    release.write("install.sh", &template());
    release.run(&["p"]).refused("this is the template");
    release.write("Cargo.toml", "");
    release.run(&["p"]).refused("this is the template");
    let program = fs::read_to_string(release.root.join("mirror/elsewhere-9.8.7-x86_64")).unwrap();
    release.write_program("program", &program);
    release.write_program(
        "fake/cargo",
        "#!/bin/sh\nmkdir -p target/release && cp program target/release/elsewhere\n",
    );
    let mut command = Command::new("sh");
    command.args(["./install.sh", "-v", "1", "p"]).current_dir(&release.root);
    let mut environment = release.environment();
    environment.insert("PATH", format!("{}:{}", release.path("fake"), environment["PATH"]));
    command.env_clear().envs(environment);
    let run = release.finish(command, b"");
    assert_eq!(run.words(), ["install", "-v", "1", "p"], "{}", run.stderr);
}

/// Stands for curl and wget: notes what it is called with, and fails as often as `$FAILURES` says.
const FETCHER: &str = r#"#!/bin/sh
case " $* " in *" --version "*) exit 0 ;; esac
echo "$0 $*" >>"$TMPDIR/../fetched"
[ "$(grep -c '' "$TMPDIR/../fetched")" -gt "$FAILURES" ] || exit 22
while [ $# -gt 0 ]; do
    case $1 in --output | -O) cp "$TMPDIR/../mirror"/elsewhere-9.8.7-x86_64 "$2" ;; esac
    shift
done
"#;

#[test]
fn every_place_is_asked_in_order_and_again() {
    let release = Release::new();
    release.write_program("fake/curl", FETCHER);
    release.write_program("fake/sleep", "#!/bin/sh\n");
    let mut environment = release.environment();
    environment.insert("PATH", format!("{}:{}", release.path("fake"), environment["PATH"]));
    environment.insert("ELSEWHERE_DOWNLOAD_BASE", "https://a.test/x https://b.test/".to_owned());
    environment.insert("FAILURES", "3".to_owned());
    let run = release.run_with(&["sh"], &["p"], &environment);
    assert_eq!(run.words(), ["install", "p"], "{}", run.stderr);
    let fetched = fs::read_to_string(release.root.join("fetched")).unwrap();
    let hosts: Vec<&str> =
        fetched.lines().map(|line| line.rsplit_once("https://").unwrap().1).collect();
    for (host, expected) in hosts.iter().zip(["a.test/x/", "b.test/", "a.test/x/", "b.test/"]) {
        assert!(host.starts_with(&format!("{expected}v9.8.7/elsewhere-9.8.7-")), "{fetched}");
    }
    assert_eq!(hosts.len(), 4);
    for line in fetched.lines() {
        assert!(line.contains("--proto =https --tlsv1.2 ") && line.contains("--fail"), "{line}");
    }
    environment.insert("FAILURES", "99".to_owned());
    fs::remove_file(release.root.join("fetched")).unwrap();
    release.run_with(&["sh"], &["p"], &environment).refused("cannot fetch elsewhere-9.8.7-");
    let fetched = fs::read_to_string(release.root.join("fetched")).unwrap();
    assert_eq!(fetched.lines().count(), 6);
}

#[test]
fn the_curl_of_a_snap_is_not_used() {
    let release = Release::new();
    release.write_program("snap/bin/curl", "#!/bin/sh\nexit 1\n");
    release.write_program("fake/wget", FETCHER);
    let mut environment = release.environment();
    let places = ["snap/bin", "fake"].map(|place| release.path(place)).join(":");
    environment.insert("PATH", format!("{places}:{}", environment["PATH"]));
    environment.insert("FAILURES", "0".to_owned());
    let run = release.run_with(&["sh"], &["p"], &environment);
    assert_eq!(run.words(), ["install", "p"], "{}", run.stderr);
    let fetched = fs::read_to_string(release.root.join("fetched")).unwrap();
    assert!(fetched.contains("fake/wget --secure-protocol=TLSv1_2 "), "{fetched}");
}
