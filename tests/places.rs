//! Directories of a tree that stand at places of the host, because programs have these places compiled in.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use support::rpms::File;
use support::small::{Small, World, receipt, small, text};
use support::{program, tools};

/// A program that knows its files by the places that it was built for, as those do that are setuid on other
/// machines. Whoever asks for it by `self` learns what the kernel says it is, from within namespaces of its own.
const STRICT: &str = r#"#!/bin/sh
fail() { echo "strict: $1" >&2; exit 9; }
[ -x /usr/local/bin/elsewhere-strict ] || fail 'no program'
[ -r /etc/elsewhere-strict/strict.conf ] || fail 'no configuration'
[ -x /usr/libexec/elsewhere-strict/bin/starter ] || fail 'no starter'
[ -d /var/lib/elsewhere-strict/mnt/session ] || fail 'no session directory'
read -r conf </etc/elsewhere-strict/strict.conf
case $1 in
say) shift; echo "$conf $(id -u) $PWD $*" ;;
starter) exec /usr/libexec/elsewhere-strict/bin/starter ;;
end) exit "$2" ;;
die) kill -KILL $$ ;;
wait) trap 'echo ended; exit 33' TERM; echo $$; while :; do sleep 0.05; done ;;
host) cat /etc/hostname /etc/os-release >/dev/null && [ -d /usr/bin ] && ls /etc/elsewhere-strict ;;
map) cat /proc/self/uid_map ;;
esac
"#;

const RUNTIME: &str = r#"
name = "strict"
title = "A strict program"
package = "strict"
namespace_programs = ["libexec/elsewhere/elsewhere"]
directories = ["var/lib/elsewhere-strict/mnt/session"]

[[command]]
name = "strict"
path = "bin/strict"

[[command]]
name = "saying"
path = "bin/strict"
arguments = ["say", "first"]

[[place]]
tree = "etc/elsewhere-strict"
at = "/etc/elsewhere-strict"

[[place]]
tree = "libexec/elsewhere-strict"
at = "/usr/libexec/elsewhere-strict"

# A file.
[[place]]
tree = "bin/strict"
at = "/usr/local/bin/elsewhere-strict"

[[place]]
tree = "var/lib/elsewhere-strict"
at = "/var/lib/elsewhere-strict"

[[smoke]]
path = "bin/strict"
arguments = ["say", "smoke"]
expect = "strict"
"#;

fn files(starter: &[u8]) -> Vec<File> {
    vec![
        File::program("/usr/bin/strict", STRICT.as_bytes()),
        File::program("/usr/libexec/elsewhere-strict/bin/starter", starter),
        File::regular("/etc/elsewhere-strict/strict.conf", b"strict\n"),
    ]
}

fn packages(version: &str) -> Vec<Small> {
    let mut all = support::small::packages("1");
    all.push(small("strict", version, files(b"#!/bin/sh\necho started\n"), &[]));
    all
}

/// A world that offers it, and the option that names the program for both architectures.
struct Site {
    world: World,
    option: String,
}

impl Site {
    fn new(name: &str) -> Self {
        let world = World::new(name);
        world.scratch.write("repos/runtimes/strict.toml", RUNTIME);
        world.publish(&packages("1"), 1);
        let standin = program::standin(&world.prefix(""));
        let option = format!("--program={}={}", std::env::consts::ARCH, standin.display());
        Self { world, option }
    }

    fn install(&self, words: &[&str]) -> String {
        self.world.ok(&[&["install", &self.option], words].concat())
    }

    /// A prefix with it.
    fn installed(name: &str) -> (Self, PathBuf) {
        let site = Self::new(name);
        site.install(&["-r", "strict", "p"]);
        let prefix = site.world.prefix("p");
        (site, prefix)
    }
}

/// What a user's shell starts, who is no root, has nothing but `PATH`, and libraries that are none.
fn command(launcher: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(launcher);
    command.args(words).env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
    command
}

fn output(launcher: &Path, words: &[&str]) -> Output {
    command(launcher, words).output().unwrap()
}

fn said(launcher: &Path, words: &[&str]) -> String {
    text(&output(launcher, words))
}

/// What it says who is the user of the tests.
fn expected(words: &str) -> String {
    format!("strict {} / {words}\n", rustix::process::getuid().as_raw())
}

#[test]
fn programs_find_their_tree_at_the_places_that_they_were_built_for() {
    let (site, prefix) = Site::installed("places");
    let alone = said(&prefix.join("x86_64/bin/strict"), &["say"]);
    assert!(alone.contains("no program"), "the host has it itself: {alone}");
    assert_eq!(said(&prefix.join("bin/strict"), &["say", "a b", ""]), expected("a b "));
    let moved = site.world.prefix("moved 'here");
    fs::rename(&prefix, &moved).unwrap();
    assert_eq!(said(&moved.join("bin/saying"), &["then"]), expected("first then"));
    // Who asks who this user is outside is told the truth, and not that it is root.
    let user = rustix::process::getuid().as_raw().to_string();
    let map = said(&moved.join("bin/strict"), &["map"]);
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), [&user, &user, "1"]);
    // What the host has is there, and the place holds the tree's alone.
    assert_eq!(said(&moved.join("bin/strict"), &["host"]), "strict.conf\n");
    assert!(!Path::new("/etc/elsewhere-strict").exists(), "something was left on the host");
}

#[test]
fn a_prefix_that_nobody_may_write_to_works_in_any_environment() {
    let (_site, prefix) = Site::installed("read-only");
    let bad = prefix.join("bad");
    fs::create_dir(&bad).unwrap();
    for name in ["libc.so.6", "libgcc_s.so.1", "libm.so.6"] {
        fs::write(bad.join(name), "garbage").unwrap();
    }
    let directories = ["x86_64/libexec/elsewhere/scratch", "x86_64/libexec/elsewhere", "x86_64"];
    let set = |mode: u32| {
        for directory in directories.iter().map(|it| prefix.join(it)) {
            fs::set_permissions(directory, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    set(0o555);
    let mut command = command(&prefix.join("bin/strict"), &["say"]);
    let told = command.env("TMPDIR", "/proc/none").current_dir("/tmp").output().unwrap();
    set(0o755);
    assert_eq!(text(&told), expected("").replace(" / ", " /tmp "));
    // The program of the tree asks for none, whatever the shell does.
    let own = prefix.join("x86_64/libexec/elsewhere/elsewhere");
    let mut command = self::command(&own, &["launch-in-places", "/none", "--", "/bin/true"]);
    let told = command.env("LD_PRELOAD", bad.join("libc.so.6")).output().unwrap();
    assert!(!text(&told).contains("libexec/elsewhere"), "{told:?}");
}

/// Who owns nothing of it, and has no other rights.
#[test]
fn an_ordinary_user_needs_nothing_else() {
    const USER: u32 = 54_501;
    let site = Site::new("user");
    // Away from directories that are not for everyone.
    let name = format!("elsewhere-places-{}", std::process::id());
    #[expect(clippy::disallowed_methods, reason = "where everybody may look")]
    let place = std::env::temp_dir().join(name);
    fs::create_dir(&place).unwrap();
    fs::copy(program::path(), place.join("elsewhere")).unwrap();
    let standin = program::standin_of(&place, &place.join("elsewhere"));
    let option = format!("--program={}={}", std::env::consts::ARCH, standin.display());
    site.world.ok(&["install", &option, "-r", "strict", "p"]);
    tools::run(Command::new("cp").arg("-a").arg(site.world.prefix("p")).arg(&place));
    let mut command = Command::new(tools::need("setpriv", "util-linux"));
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        let user = USER.to_string();
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
    }
    command.arg("--").arg(place.join("p/bin/strict")).arg("say").env_clear();
    let told = command.env("PATH", "/usr/bin:/bin").current_dir("/").output().unwrap();
    fs::remove_dir_all(&place).unwrap();
    let user = if is_root { USER } else { rustix::process::getuid().as_raw() };
    assert_eq!(text(&told), format!("strict {user} / \n"));
}

#[test]
fn status_and_signals_are_the_programs() {
    let (_site, prefix) = Site::installed("ends");
    let strict = prefix.join("bin/strict");
    assert_eq!(output(&strict, &["end", "0"]).status.code(), Some(0));
    assert_eq!(output(&strict, &["end", "42"]).status.code(), Some(42));
    let died = output(&strict, &["die"]).status;
    assert_eq!((died.code(), died.signal()), (Some(137), None));
    let mut child = command(&strict, &["wait"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    line.clear();
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    assert_eq!((line.as_str(), child.wait().unwrap().code()), ("ended\n", Some(33)));
}

/// Makes user and mount namespaces of its own, as container runtimes do, and says what it is then.
const STARTER: &str = r#"
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

int main(void)
{
    char path[4096];
    ssize_t length;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        perror("unshare");
        return 1;
    }
    length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0)
        return 2;
    path[length] = 0;
    printf("%s %s\n", path, access(path, X_OK) == 0 ? "is there" : "is nowhere");
    return 0;
}
"#;

/// A process stays in the namespace in which the tree is shown: else what a runtime finds out about itself, once it
/// has namespaces of its own, is a path of its mount. That needs a prefix which is a mount.
#[test]
fn a_program_that_makes_namespaces_of_its_own_still_knows_where_it_is() {
    let site = Site::new("starter");
    let (source, made) = (site.world.prefix("starter.c"), site.world.prefix("starter"));
    fs::write(&source, STARTER).unwrap();
    let mut cc = Command::new(tools::need("cc", "gcc"));
    tools::run(cc.args(["-static", "-O1", "-o"]).arg(&made).arg(&source));
    let mut packages = support::small::packages("1");
    packages.push(small("strict", "1", files(&fs::read(&made).unwrap()), &[]));
    site.world.publish(&packages, 2);
    site.install(&["-r", "strict", "p"]);
    let (prefix, mount) = (site.world.prefix("p"), site.world.prefix("mount"));
    fs::create_dir(&mount).unwrap();
    let script = "mount --bind \"$1\" \"$2\" && \"$2/bin/strict\" starter";
    let mut command = Command::new(tools::need("unshare", "util-linux"));
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    let told = command.arg(&prefix).arg(&mount).output().unwrap();
    assert_eq!(text(&told), "/usr/libexec/elsewhere-strict/bin/starter is there\n");
}

#[test]
fn a_published_version_has_it_all() {
    let site = Site::new("published");
    site.install(&["--layout", "versioned", "-r", "strict", "base"]);
    let base = site.world.prefix("base");
    assert_eq!(said(&base.join("1/bin/strict"), &["say"]), expected(""));
    fs::rename(&base, site.world.prefix("moved")).unwrap();
    assert_eq!(said(&site.world.prefix("moved/bin/strict"), &["say"]), expected(""));
    site.world.ok(&["verify", "moved/1"]);
}

#[test]
fn a_prefix_of_several_dists_shows_the_tree_that_runs() {
    let site = Site::new("dists");
    site.world.define("newer", "2.28", 1, "");
    site.install(&["-r", "strict", "-d", "small,newer", "p"]);
    let prefix = site.world.prefix("p");
    fs::write(prefix.join("dists/newer/x86_64/etc/elsewhere-strict/strict.conf"), "newer\n")
        .unwrap();
    let told = said(&prefix.join("bin/strict"), &["say"]);
    assert_eq!(told, expected("").replace("strict", "newer"));
    assert_eq!(said(&prefix.join("dists/small/bin/strict"), &["say"]), expected(""));
}

#[test]
fn an_architecture_without_its_program_is_refused_with_what_to_do() {
    let site = Site::new("arches");
    let both = ["-r", "strict", "-a", "x86_64,aarch64", "p"];
    let told = site.world.fails(2, &[&["install", &site.option][..], &both].concat());
    assert!(told.contains("strict: directories of the aarch64 tree"), "{told}");
    assert!(told.contains("--program aarch64=FILE"), "{told}");
    assert!(!site.world.prefix("p/x86_64").exists(), "half of it is there");
    for (named, why) in [
        ("aarch64=standin", "it is for another architecture"),
        ("x86_64=/bin/sh", "it is linked dynamically"),
        ("x86_64=repos/dists/small.toml", "it is no program"),
        ("sparc=standin", "sparc is no architecture"),
    ] {
        let words = ["install", "--program", named, "-r", "strict", "p"];
        let told = site.world.fails(2, &words);
        assert!(told.contains(why), "{told}");
    }
    // A program for another architecture by its header alone (e_machine).
    let mut bytes = fs::read(site.world.prefix("standin")).unwrap();
    bytes[18..20].copy_from_slice(&183_u16.to_le_bytes());
    fs::write(site.world.prefix("other"), bytes).unwrap();
    let other = ["install", &site.option, "--program", "aarch64=other"];
    site.world.ok(&[&other[..], &both].concat());
    assert!(site.world.prefix("p/aarch64/libexec/elsewhere/elsewhere").exists());
    // Nobody needs to name them again.
    site.world.publish(&packages("2"), 2);
    site.world.ok(&["update", "p"]);
    assert_eq!(said(&site.world.prefix("p/bin/strict"), &["say"]), expected(""));
    let receipt = receipt(&site.world.prefix("p"), "aarch64").unwrap();
    assert_eq!(receipt.runtimes[0].version, "2");
}

#[test]
fn a_damaged_program_is_found_and_put_back() {
    let (site, prefix) = Site::installed("damaged");
    let own = prefix.join("x86_64/libexec/elsewhere/elsewhere");
    let was = fs::read(&own).unwrap();
    fs::remove_file(&own).unwrap();
    let told = output(&prefix.join("bin/strict"), &["say"]);
    assert_eq!(told.status.code(), Some(126));
    assert!(text(&told).contains("What helps: elsewhere verify '"), "{told:?}");
    fs::write(&own, "another").unwrap();
    let told = site.world.fails(8, &["verify", "p"]);
    assert!(told.contains("libexec/elsewhere/elsewhere"), "{told}");
    site.world.publish(&packages("2"), 2);
    site.install(&["-r", "strict", "p"]);
    assert_eq!(fs::read(&own).unwrap(), was);
    site.world.ok(&["verify", "p"]);
    fs::write(&own, "another").unwrap();
    site.world.ok(&["verify", "--repair", &site.option, "p"]);
    assert_eq!(fs::read(&own).unwrap(), was);
    // Whoever looks deep has it proved by naming it, and else is told that it is not.
    let deep = ["verify", "--deep", "--mirror", "mirror", "--cache-dir", "cache"];
    site.world.ok(&[&deep[..], &[&site.option, "p"]].concat());
    let told = site.world.fails(12, &[&deep[..], &["p"]].concat());
    assert!(told.contains("it is elsewhere itself, and not the program that runs"), "{told}");
}

#[test]
fn a_host_that_forbids_namespaces_is_told_and_the_doctor_named() {
    let (_site, prefix) = Site::installed("forbidden");
    // None may be made below this one.
    let script = "echo 0 >/proc/sys/user/max_user_namespaces && exec \"$0\" say";
    let mut command = Command::new(tools::need("unshare", "util-linux"));
    command.args(["--user", "--map-root-user", "sh", "-c", script]);
    let told = command.arg(prefix.join("bin/strict")).output().unwrap();
    assert_eq!(told.status.code(), Some(126), "{told:?}");
    let told = text(&told);
    assert!(told.contains("cannot make a user namespace"), "{told}");
    assert!(told.contains("elsewhere doctor"), "{told}");
}

#[test]
fn runtimes_that_conflict_are_not_in_one_prefix() {
    let site = Site::new("conflicts");
    let rival = |conflicts: &str| {
        format!(
            "name = \"rival\"\ntitle = \"a rival\"\npackage = \"tool\"\nconflicts = [{conflicts}]\n\
             [[command]]\nname = \"strict\"\npath = \"bin/tool\"\n"
        )
    };
    site.world.scratch.write("repos/runtimes/rival.toml", rival(""));
    let told = site.world.fails(2, &["install", "-r", "rival", "p"]);
    assert!(told.contains("both have the command \"strict\""), "{told}");
    site.world.scratch.write("repos/runtimes/rival.toml", rival("\"stricter\""));
    let told = site.world.fails(2, &["install", "-r", "rival", "p"]);
    assert!(told.contains("conflicts with \"stricter\", and there is no such runtime"), "{told}");
    site.world.scratch.write("repos/runtimes/rival.toml", rival("\"strict\""));
    site.world.ok(&["install", "-r", "rival", "p"]);
    for words in [["-r", "strict"], ["-r", "strict,rival"]] {
        let told = site.world.fails(2, &[&["install", &site.option], &words[..], &["p"]].concat());
        assert!(told.contains("one prefix cannot have both"), "{told}");
        assert!(told.contains("install one of them into another prefix"), "{told}");
    }
    site.install(&["-r", "strict", "q"]);
    assert_eq!(said(&site.world.prefix("q/bin/strict"), &["say"]), expected(""));
}

#[test]
fn what_stands_in_something_else_is_refused() {
    let site = Site::new("refused");
    for (at, because) in [
        ("/etc/elsewhere-strict", "lie in each other"),
        ("/etc/elsewhere-strict/deeper", "lie in each other"),
        ("/etc", "it would hide what the host has there"),
        ("/proc/strict", "the kernel's"),
    ] {
        let more = format!("\n[[place]]\ntree = \"share/more\"\nat = \"{at}\"\n");
        site.world.scratch.write("repos/runtimes/strict.toml", format!("{RUNTIME}{more}"));
        let told = site.world.fails(2, &["install", &site.option, "-r", "strict", "p"]);
        assert!(told.contains(because), "{at}: {told}");
    }
}

#[test]
fn a_receipt_says_what_stands_where() {
    let (site, prefix) = Site::installed("told");
    let text = fs::read(prefix.join("x86_64/.elsewhere.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let place = &json["made_with"]["runtimes"][0]["places"][1];
    assert_eq!(place["tree"], "libexec/elsewhere-strict");
    assert_eq!(place["at"], "/usr/libexec/elsewhere-strict");
    // Another place makes other launchers, which the receipt holds them to.
    let launcher = prefix.join("bin/strict");
    let text = fs::read_to_string(&launcher).unwrap();
    fs::write(&launcher, text.replace("/var/lib/elsewhere-strict", "/var/lib/other")).unwrap();
    let told = site.world.fails(8, &["verify", "p"]);
    assert!(told.contains("bin/strict"), "{told}");
}

#[test]
fn what_no_launcher_types_is_refused() {
    for words in [&[][..], &["/tree"], &["/tree", "etc/x"], &["/tree", "etc/x", "/etc/x", "--"]] {
        let mut command = program::elsewhere();
        let told = command.arg("launch-in-places").args(words).output().unwrap();
        assert_eq!(told.status.code(), Some(126), "{words:?}");
        assert!(text(&told).contains("is for launchers"), "{told:?}");
    }
}
