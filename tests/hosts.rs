//! Installs on hosts that lack something, made for real in namespaces: what the host cannot do is
//! passed over with what helps, and only a tree's own faults refuse it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::program;
use support::rpms::File;
use support::small::{World, small as package, text};
use support::tools;

/// The only runtime: a script that tries what its first word says, and the tests for it.
const NEEDS: [(&str, &str); 7] = [
    ("namespaces", "user-namespaces"),
    ("mounts", "user-namespaces\", \"mounts"),
    ("fuse", "fuse"),
    ("identity", "identity"),
    ("hosts", "hosts"),
    ("localtime", "localtime"),
    ("resolv.conf", "resolv-conf"),
];

const SCRIPT: &str = "#!/bin/sh
case $1 in
namespaces) unshare -Ur true ;;
mounts) unshare -Urm mount -t tmpfs none /mnt ;;
fuse) [ -c /dev/fuse ] && : <>/dev/fuse ;;
identity) id -un ;;
hosts | localtime | resolv.conf) cat \"/etc/$1\" ;;
nothing) : ;;
broken) exit 3 ;;
esac >/dev/null || exit 1
echo \"did $1\"
";

struct Hospital {
    world: World,
    sickroom: PathBuf,
}

impl Hospital {
    fn new(name: &str) -> Self {
        let world = World::new(name);
        world.publish(
            &[package("tool", "1", vec![File::program("/usr/bin/tool", SCRIPT.as_bytes())], &[])],
            1,
        );
        let scratch = world.prefix("");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/sickroom.c");
        let sickroom = scratch.join("sickroom");
        let mut compiler = Command::new(tools::need("cc", "gcc libc6-dev linux-libc-dev"));
        tools::run(compiler.arg("-O1").arg(source).arg("-o").arg(&sickroom));
        fs::create_dir_all(scratch.join("etc")).unwrap();
        for name in ["passwd", "group", "ld.so.cache"] {
            let _ = fs::copy(Path::new("/etc").join(name), scratch.join("etc").join(name));
        }
        fs::write(scratch.join("etc/nsswitch.conf"), "passwd: files\n").unwrap();
        fs::write(scratch.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        fs::write(scratch.join("etc/resolv.conf"), "").unwrap();
        fs::write(scratch.join("etc/localtime"), "TZif2").unwrap();
        fs::write(scratch.join("empty"), "").unwrap();
        fs::create_dir_all(scratch.join("p")).unwrap();
        let hospital = Self { world, sickroom };
        hospital.define(&NEEDS);
        hospital
    }

    /// Gives the runtime tests of these words, which need these checks.
    fn define(&self, tests: &[(&str, &str)]) {
        let mut runtime = "name = \"tool\"\ntitle = \"a tool\"\npackage = \"tool\"\n\
                           [[command]]\nname = \"tool\"\npath = \"bin/tool\"\n"
            .to_owned();
        for (word, check) in tests {
            runtime += &format!(
                "[[smoke]]\npath = \"bin/tool\"\narguments = [\"{word}\"]\n\
                 expect = \"did {word}\"\nneeds = [\"{check}\"]\n"
            );
        }
        self.world.scratch.write("repos/runtimes/tool.toml", runtime);
    }

    /// Installs into `p` on a host that was treated so: `@name` is a file of this test's.
    fn install(&self, treatment: &str, words: &[&str]) -> Output {
        let place = |word: &str| match word.strip_prefix('@') {
            Some(name) => self.world.prefix(name).into_os_string(),
            None => word.into(),
        };
        let mut command = Command::new(&self.sickroom);
        command.args(format!("--bind @etc /etc {treatment} --").split_whitespace().map(place));
        command.arg(program::path());
        let words = [&["install", "-r", "tool"], words, &["p"]].concat();
        self.world.complete(&mut command, &words);
        command.current_dir(self.world.scratch.path()).output().unwrap()
    }

    /// What is told where the tests of these words are passed over and all others run.
    #[track_caller]
    fn passes_over(&self, treatment: &str, words: &[&str]) -> String {
        let output = self.install(treatment, &[]);
        let told = text(&output);
        assert!(output.status.success(), "{told}");
        let passed = |word: &str| told.contains(&format!("passed over `bin/tool {word}`: "));
        for (word, _) in NEEDS {
            // Whether this machine has a FUSE device that may be opened is not asked here.
            assert!(passed(word) == words.contains(&word) || word == "fuse", "{word}: {told}");
        }
        assert!(fs::exists(self.world.prefix("p/x86_64/bin/tool")).unwrap(), "{told}");
        told
    }
}

#[test]
fn on_a_healthy_host_every_test_runs() {
    let hospital = Hospital::new("healthy");
    hospital.passes_over("", &[]);
}

#[test]
fn a_host_without_user_namespaces_gets_the_tree() {
    let hospital = Hospital::new("namespaces");
    let told = hospital.passes_over("--no-namespaces", &["namespaces", "mounts"]);
    assert!(
        told.contains("user-namespaces does not work here (making one failed: No space"),
        "{told}"
    );
    assert!(told.contains("Ask your administrator for a setting"), "{told}");
}

#[test]
fn a_host_that_refuses_mounts_gets_the_tree() {
    let told = Hospital::new("mounts").passes_over("--refuse mount", &["mounts"]);
    assert!(told.contains("mounts does not work here (mounting a tmpfs"), "{told}");
}

#[test]
fn a_host_without_fuse_gets_the_tree() {
    let told = Hospital::new("fuse").passes_over("--bare-dev", &["fuse"]);
    assert!(told.contains("passed over `bin/tool fuse`: fuse does not work here"), "{told}");
    assert!(told.contains("--unsquash"), "{told}");
}

#[test]
fn a_host_without_files_that_are_bound_into_containers_gets_the_tree() {
    for name in ["hosts", "localtime", "resolv.conf"] {
        let hospital = Hospital::new(name);
        fs::remove_file(hospital.world.prefix("etc").join(name)).unwrap();
        let told = hospital.passes_over("", &[name]);
        assert!(told.contains(&format!("/etc/{name} cannot be read: No such file")), "{told}");
        assert!(told.contains(&format!("--no-mount /etc/{name}")), "{told}");
    }
}

#[test]
fn a_user_without_a_name_gets_the_tree() {
    let hospital = Hospital::new("identity");
    fs::write(hospital.world.prefix("etc/passwd"), "").unwrap();
    let told = hospital.passes_over("", &["identity"]);
    assert!(told.contains("finds no name for user"), "{told}");
}

#[test]
fn what_nobody_needed_to_be_well_is_not_told() {
    let hospital = Hospital::new("untold");
    fs::write(hospital.world.prefix("etc/passwd"), "").unwrap();
    hospital.define(&[("nothing", "identity")]);
    let output = hospital.install("", &[]);
    let told = text(&output);
    assert!(output.status.success() && !told.contains("identity"), "{told}");
}

#[test]
fn a_fault_of_the_trees_own_refuses_it_whatever_the_host_lacks() {
    let hospital = Hospital::new("fault");
    hospital.define(&[("broken", "user-namespaces")]);
    let output = hospital.install("", &[]);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output));
    assert!(
        text(&output).contains("`bin/tool broken` failed (exit status: 3)"),
        "{}",
        text(&output)
    );
    hospital.define(&[("broken", "hosts")]);
    assert_eq!(hospital.install("--no-namespaces", &[]).status.code(), Some(7));
}

#[test]
fn a_noexec_prefix_is_refused_before_anything_is_fetched() {
    let hospital = Hospital::new("noexec");
    hospital.world.set_online(false);
    let output = hospital.install("--tmpfs @p roomy-noexec", &[]);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(7), "{told}");
    assert!(told.contains("no program may be run there") && told.contains(", noexec,"), "{told}");
    assert!(
        told.contains("choose a directory of a file system that is not mounted noexec"),
        "{told}"
    );
    assert!(!hospital.world.prefix("cache").exists());
}

#[test]
fn a_tree_for_other_machines_is_made_on_noexec_and_not_tried() {
    let hospital = Hospital::new("others");
    let output = hospital.install("--tmpfs @p roomy-noexec", &["--for", "el8"]);
    let told = text(&output);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("the tree is not tried out: no program can be run from"), "{told}");
}

#[test]
fn without_home_downloads_go_to_the_home_of_passwd_or_to_a_place_of_the_users_own() {
    let hospital = Hospital::new("homeless");
    let path = |name: &str| hospital.world.prefix(name).to_str().unwrap().to_owned();
    for name in ["home", "temporary"] {
        fs::create_dir_all(path(name)).unwrap();
    }
    let id = tools::stdout(Command::new("id").arg("-u"));
    let install = |home: &str| {
        fs::write(path("etc/passwd"), format!("me:x:{id}:{id}::{home}:/bin/sh\n")).unwrap();
        let mut command = Command::new(&hospital.sickroom);
        command.args(["--bind", &path("etc"), "/etc", "--"]).arg(program::path());
        command.args(["install", "-r", "tool", "-d", "small", "--repos", &path("repos")]);
        command.args(["--mirror", &path("mirror"), &path("p")]).env_clear();
        command.env("TMPDIR", path("temporary")).output().unwrap()
    };
    let at_home = install(&path("home"));
    assert!(at_home.status.success(), "{}", text(&at_home));
    assert!(Path::new(&path("home/.cache/elsewhere")).is_dir());
    let homeless = install(&path("no-home"));
    assert!(homeless.status.success(), "{}", text(&homeless));
    let own = path(&format!("temporary/elsewhere-{id}"));
    assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o700);
    // Whoever else made that directory may have put something into it.
    fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
    let refused = install(&path("no-home"));
    assert_eq!(refused.status.code(), Some(2));
    let told = text(&refused);
    assert!(told.contains(&format!("no home for user {id}, and ")), "{told}");
    assert!(told.contains("name a place: --cache-dir DIRECTORY"), "{told}");
}
