//! SingularityCE, by its own definition: a stand-in that keeps its rules, packed as EPEL packs it, installed, moved,
//! and run by an ordinary user. Its configuration is that of the real package, as far as it matters.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::rpms::File;
use support::small::{Small, World, small, text};
use support::{program, tools};

/// As whom everything runs where root starts the tests.
const USER: u32 = 54_502;

const CONF: &str = "# ALLOW SETUID: [BOOL]\n# DEFAULT: yes\nallow setuid = yes\n\
    # mksquashfs path =\nmksquashfs path = /usr/sbin/mksquashfs\n# unsquashfs path =\n\nbind path = /etc/hosts\n";

/// RPM's flags of a `%config(noreplace)` file.
const CONFIG: u32 = 1 | 16;

/// Says who it is in the container.
const HELLO: &str = "#include <stdio.h>\n#include <unistd.h>\n\
    int main(void) { printf(\"hello %u\\n\", getuid()); return access(\"/etc/hostname\", F_OK) == 0; }\n";

/// A place that everybody may look into, with what the user needs.
struct Site {
    world: World,
    /// Where the program and the prefix are that the user runs.
    place: PathBuf,
    option: String,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// Compiles a static program.
fn compile(source: &Path, defines: &[&str], made: &Path) -> Vec<u8> {
    let mut cc = Command::new(tools::need("cc", "gcc"));
    tools::run(cc.args(["-static", "-O1"]).args(defines).arg("-o").arg(made).arg(source));
    fs::read(made).unwrap()
}

impl Site {
    fn new(name: &str) -> Self {
        let world = World::new(name);
        #[expect(clippy::disallowed_methods, reason = "where everybody may look")]
        let place =
            std::env::temp_dir().join(format!("elsewhere-ce-{name}-{}", std::process::id()));
        fs::create_dir(&place).unwrap();
        fs::copy(program::path(), place.join("elsewhere")).unwrap();
        let standin = program::standin_of(&place, &place.join("elsewhere"));
        let option = format!("--program={}={}", std::env::consts::ARCH, standin.display());
        let site = Self { world, place, option };
        site.publish("4.2.2");
        let hello = site.world.prefix("hello.c");
        fs::write(&hello, HELLO).unwrap();
        fs::create_dir_all(site.place.join("image/bin")).unwrap();
        compile(&hello, &[], &site.place.join("image/bin/hello"));
        site
    }

    fn publish(&self, version: &str) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/singularity/standin.c");
        let made = self.world.prefix("made");
        let define = format!("-DVERSION=\"{version}\"");
        let singularity = compile(&source, &[&define], &made);
        let starter = compile(&source, &["-DSTARTER"], &made);
        let script = b"#!/bin/sh\nexit 0\n";
        let files = vec![
            File::program("/usr/bin/singularity", &singularity),
            File::program("/usr/bin/run-singularity", b"#!/bin/sh\nexec singularity run \"$@\"\n"),
            File::program("/usr/libexec/singularity/bin/starter", &starter),
            File::program("/usr/libexec/singularity/bin/starter-suid", &starter),
            File::regular("/etc/singularity/singularity.conf", CONF.as_bytes()).flags(CONFIG),
            File::regular("/etc/singularity/ecl.toml", b"activated = false\n").flags(CONFIG),
        ];
        let requires =
            &["conmon", "crun", "cryptsetup", "fuse", "fuse3", "shadow-utils", "squashfs-tools"];
        let mut all: Vec<Small> = support::small::packages("1");
        all.push(small("singularity-ce", version, files, requires));
        for (name, path) in [
            ("conmon", "/usr/bin/conmon"),
            ("crun", "/usr/bin/crun"),
            ("squashfs-tools", "/usr/sbin/mksquashfs"),
            ("e2fsprogs", "/usr/sbin/mkfs.ext3"),
            ("fuse3", "/usr/bin/fusermount3"),
        ] {
            all.push(small(name, "1.46.5", vec![File::program(path, script)], &[]));
        }
        all.push(small("libgcc", "1", Vec::new(), &[]));
        self.world.publish(&all, 1);
    }

    fn install(&self, words: &[&str]) -> String {
        self.world.ok(&[&["install", &self.option], words].concat())
    }

    /// What `bin/NAME` of the prefix at `prefix` says to the user.
    fn said(&self, prefix: &Path, name: &str, words: &[&str]) -> String {
        let mut command = Command::new(tools::need("setpriv", "util-linux"));
        if rustix::process::geteuid().is_root() {
            let user = USER.to_string();
            command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
        }
        command.arg("--").arg(prefix.join("bin").join(name)).args(words).env_clear();
        let path = "/usr/sbin:/usr/bin:/sbin:/bin";
        text(&command.env("PATH", path).current_dir(&self.place).output().unwrap())
    }

    /// A prefix that is not where it was made, and not the user's.
    fn moved(&self) -> PathBuf {
        tools::run(Command::new("cp").arg("-a").arg(self.world.prefix("p")).arg(&self.place));
        let moved = self.place.join("moved here");
        fs::rename(self.place.join("p"), &moved).unwrap();
        moved
    }
}

fn user() -> u32 {
    let own = rustix::process::getuid();
    if own.is_root() { USER } else { own.as_raw() }
}

#[test]
fn an_ordinary_user_runs_containers_from_a_prefix_that_was_moved() {
    let site = Site::new("runs");
    site.install(&["-r", "singularity-ce", "p"]);
    let prefix = site.moved();
    let hello = format!("hello {}\n", user());
    let said = |name: &str, words: &[&str]| site.said(&prefix, name, words);
    assert_eq!(said("singularity", &["exec", "image", "/bin/hello"]), hello);
    assert_eq!(said("singularity", &["exec", "--oci", "image", "/bin/hello"]), hello);
    assert_eq!(said("run-singularity", &["image", "/bin/hello"]), hello);
    assert_eq!(said("singularity", &["mount"]), "mounted\n");
    assert!(said("singularity", &["exec", "image", "/none"]).contains("exec /none failed"));
    let mut outside = Command::new(prefix.join("x86_64/bin/singularity"));
    let told = text(&outside.args(["exec", "image", "/bin/hello"]).output().unwrap());
    assert!(told.contains("couldn't parse configuration file"), "{told}");
    // Its helpers are the tree's, and what must be setuid is not.
    let tree = fs::canonicalize(prefix.join("x86_64")).unwrap();
    for helper in ["conmon", "crun", "mksquashfs", "mkfs.ext3"] {
        let found = said("singularity", &["find", helper]);
        let found = fs::canonicalize(found.trim_end()).unwrap();
        assert!(found.starts_with(&tree), "{found:?}");
    }
    for helper in ["newuidmap", "newgidmap", "fusermount"] {
        let found = said("singularity", &["find", helper]);
        assert!(!found.contains("moved here"), "{found}");
    }
    // But for what needs no setuid there.
    assert_eq!(said("singularity", &["find", "fusermount3"]), "/usr/bin/fusermount3\n");
}

/// The places are those of the definition, each needed: without one of them nothing runs.
#[test]
fn each_place_and_each_edit_is_needed() {
    let site = Site::new("needed");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("repos/runtimes/singularity-ce.toml");
    let own = fs::read_to_string(own).unwrap();
    for (taken, why) in [
        ("at = \"/usr/libexec/singularity\"", "failed to run"),
        ("at = \"/usr/bin/singularity\"", "fork/exec /usr/bin/singularity"),
        ("at = \"/etc/singularity\"", "couldn't parse configuration file"),
        ("at = \"/var/lib/singularity\"", "while checking"),
        ("becomes = \"allow setuid = no\"", "setuid installation not found"),
        ("becomes = \"mksquashfs path =\"", "mksquashfs is where it was"),
    ] {
        let other = taken.replace("at = \"/", "at = \"/opt/other/").replace("= no", "= yes");
        let other = other.replace("path =\"", "path = /usr/sbin/mksquashfs\"");
        assert!(own.contains(taken) && other != taken);
        let text = own.replace(taken, &other);
        site.world.scratch.write("repos/runtimes/singularity-ce.toml", text);
        let told = site.world.fails(7, &["install", &site.option, "-r", "singularity-ce", "p"]);
        assert!(told.contains(why), "{taken}: {told}");
    }
}

#[test]
fn what_does_not_work_is_told_before_the_install() {
    let site = Site::new("told");
    let told = site.install(&["-r", "singularity-ce", "p"]);
    assert!(
        told.contains("singularity-ce 4.2.2 of small: it runs in a namespace with one user"),
        "{told}"
    );
    assert!(told.contains("e2fsprogs 1.46.5 of small: fuse2fs is too old"), "{told}");
}

#[test]
fn it_and_apptainer_are_in_two_prefixes() {
    let site = Site::new("two");
    let told =
        site.world.fails(2, &["install", &site.option, "-r", "apptainer,singularity-ce", "p"]);
    assert!(told.contains("one prefix cannot have both apptainer and singularity-ce"), "{told}");
    site.install(&["-r", "singularity-ce,tool", "p"]);
    let told = site.world.fails(2, &["install", &site.option, "-r", "apptainer", "p"]);
    assert!(told.contains("one prefix cannot have both"), "{told}");
    // What others leave behind is whole.
    site.world.ok(&["remove", "-r", "tool", "p"]);
    let prefix = site.moved();
    let hello = format!("hello {}\n", user());
    assert_eq!(site.said(&prefix, "singularity", &["exec", "image", "/bin/hello"]), hello);
}

#[test]
fn what_the_user_says_in_its_configuration_stays() {
    let site = Site::new("edited");
    site.install(&["-r", "singularity-ce", "p"]);
    let conf = site.world.prefix("p/x86_64/etc/singularity/singularity.conf");
    let text = fs::read_to_string(&conf).unwrap();
    assert!(
        text.contains("\nallow setuid = no\n# mksquashfs path =\nmksquashfs path =\n"),
        "{text}"
    );
    fs::write(&conf, format!("{text}bind path = /scratch\n")).unwrap();
    site.publish("4.2.3");
    site.world.ok(&["update", "p"]);
    let text = fs::read_to_string(&conf).unwrap();
    assert!(text.ends_with("bind path = /scratch\n"), "{text}");
    let prefix = site.moved();
    let told = site.said(&prefix, "singularity", &["--version"]);
    assert_eq!(told, "singularity-ce version 4.2.3-1.el8\n");
}
