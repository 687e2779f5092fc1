//! What a command gets of the machine's drivers by a runtime's list.

use std::fs;
use std::path::{Path, PathBuf};

use crate::machine::Machine;
use crate::support::tools;

/// As runtimes' lists are.
const LIST: &str = "# programs\nnvidia-smi\n../../bin/sh\n\n# libraries\nlibcuda.so\nlibGL.so\nlibOpenGL.so\n\
                    libnvidia-cfg.so\nlibnvidia-new.so\n# others\n/nowhere/at.all\n";

/// A machine with drivers, and the directory in which they are.
fn machine(name: &str) -> (Machine, PathBuf) {
    let mut machine = Machine::new(name);
    let drivers = machine.own("drivers");
    machine.library(&drivers, "libcuda.so.535.1", "libcuda.so.1", "the machine's");
    machine.library(&drivers, "libGL.so.1", "libGL.so.1", "the machine's");
    machine.library(&drivers, "libOpenGL.so.0", "libOpenGL.so.0", "the machine's");
    machine.library(&drivers, "libunlisted.so.1", "libunlisted.so.1", "the machine's");
    machine.library_of_tomorrow(&drivers, "libnvidia-new.so.1");
    let foreign = machine.library(&drivers, "libnvidia-cfg.so.1", "libnvidia-cfg.so.1", "foreign");
    machine.installs(&[&drivers], LIST);
    // Of another machine, which the cache does not tell: e_machine is that of the PDP-11.
    let mut bytes = fs::read(&foreign).unwrap();
    bytes[18..20].copy_from_slice(&65_u16.to_ne_bytes());
    fs::write(&foreign, bytes).unwrap();
    let own = machine.barn.root().join("usr/lib");
    machine.library(&own, "libGL.so.1", "libGL.so.1", "the image's");
    (machine, drivers)
}

const ASK: &str = "uses libcuda.so.1 libGL.so.1 libOpenGL.so.0 libunlisted.so.1 libnvidia-cfg.so.1";

/// What a line that names no library says of it.
fn found(said: &str) -> Vec<&str> {
    let word = |line| if str::contains(line, "cannot open") { "none" } else { line };
    said.lines().map(word).collect()
}

#[test]
fn an_image_with_ldconfig_finds_the_machines_libraries_by_its_cache() {
    let (machine, _) = machine("cached");
    // An image may bring a library that only the machine's driver can be.
    machine.library(
        &machine.barn.root().join("usr/lib"),
        "libcuda.so.1",
        "libcuda.so.1",
        "the image's",
    );
    let before = machine.barn.snapshot();
    let (said, warned) =
        machine.prints(&["--nv"], &format!("{ASK}; echo \"$LD_LIBRARY_PATH\"; nvidia-smi; id -u"));
    let said = found(&said);
    let user = machine.barn.user().to_string();
    assert_eq!(
        said,
        ["the machine's", "the image's", "the machine's", "none", "none", "", "all is well", &user],
        "{warned}"
    );
    assert!(warned.contains("libnvidia-new.so.1 (GLIBC_2.99)"), "{warned}");
    assert!(warned.contains("the image's, which has GLIBC_2."), "{warned}");
    assert!(machine.barn.snapshot() == before, "something was changed");
    // What is not of this machine, not listed, or the image's own to have, is not even shown.
    let (shown, _) = machine.prints(&["--nv"], "ls /.drivers/lib");
    let shown: Vec<&str> = shown.lines().collect();
    assert!(shown.contains(&"libcuda.so.1") && shown.contains(&"libOpenGL.so.0"), "{shown:?}");
    for name in ["libnvidia-cfg.so.1", "libunlisted.so.1", "libGL.so.1"] {
        assert!(!shown.contains(&name), "{shown:?}");
    }
    // And the image's own libraries still, of which only its program knows where they are.
    let (without, _) = machine.prints(&[], ASK);
    assert_eq!(found(&without)[..2], ["the image's", "the image's"]);
}

#[test]
fn an_image_without_ldconfig_gets_a_path_with_its_own_libraries_first() {
    let (machine, _) = machine("path");
    fs::remove_file(machine.barn.root().join("usr/sbin/ldconfig")).unwrap();
    let script = format!("{ASK}; echo \"$LD_LIBRARY_PATH\"");
    let (said, warned) = machine.prints(&["--nv"], &script);
    let said = found(&said);
    assert_eq!(
        said[..5],
        ["the machine's", "the image's", "the machine's", "none", "none"],
        "{warned}"
    );
    let directories: Vec<&str> = said[5].split(':').collect();
    assert_eq!(directories.last(), Some(&"/.drivers/lib"));
    assert!(directories.contains(&"/usr/lib"), "{directories:?}");
    let mut command = machine.command(&["--nv", machine.barn.root().to_str().unwrap(), "--"]);
    command.args(["/bin/sh", "-c", "echo $LD_LIBRARY_PATH"]).env("LD_LIBRARY_PATH", "/of/the/user");
    let said = tools::stdout(&mut command);
    assert!(said.starts_with("/of/the/user:/") && said.ends_with(":/.drivers/lib"), "{said}");
}

/// An image's program that fails, and one that is the machine's no more: its users still find the libraries.
#[test]
fn where_ldconfig_fails_that_is_said_and_there_is_a_path() {
    let (machine, _) = machine("failing");
    let ldconfig = machine.barn.root().join("usr/sbin/ldconfig");
    fs::write(&ldconfig, "#!/bin/sh\necho no cache today; exit 3\n").unwrap();
    let (said, warned) = machine.prints(&["--nv"], "uses libcuda.so.1");
    assert_eq!(said, "the machine's\n");
    assert!(
        warned.contains("the image's /sbin/ldconfig failed") && warned.contains("no cache today"),
        "{warned}"
    );
}

/// By util-linux's tools, from the script.
#[test]
fn the_script_shows_the_same() {
    let (machine, _) = machine("script");
    let root = machine.barn.root();
    for is_cached in [true, false] {
        if !is_cached {
            fs::remove_file(root.join("usr/sbin/ldconfig")).unwrap();
        }
        let words = ["--nv", "--print", root.to_str().unwrap(), "--", "/bin/sh", "-c", ASK];
        let printed = tools::stdout(&mut machine.command(&words));
        assert_eq!(printed.contains("/sbin/ldconfig -X"), is_cached, "{printed}");
        assert_eq!(printed.contains("LD_LIBRARY_PATH="), !is_cached, "{printed}");
        let file = machine.barn.own("script", &printed);
        let mut command = machine.barn.as_user(tools::need("unshare", "util-linux"));
        command.args(["--user", "--map-root-user", "--mount", "sh", &file]);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let said = tools::stdout(&mut command);
        assert_eq!(
            found(&said)[..3],
            ["the machine's", "the image's", "the machine's"],
            "{printed}"
        );
    }
}

#[test]
fn a_machine_without_drivers_says_so_and_runs_the_command() {
    let mut machine = Machine::new("bare");
    machine.installs(&[], "libcuda.so.none\n");
    let (said, warned) = machine.prints(&["--nv"], "echo ran");
    assert_eq!(said, "ran\n");
    assert!(warned.contains("this machine has no library of NVIDIA's drivers"), "{warned}");
}

#[test]
fn without_a_list_that_is_said_and_what_brings_one() {
    let machine = Machine::new("listless");
    for (word, title) in [("--nv", "NVIDIA"), ("--rocm", "AMD")] {
        let output = machine.says(&[word], "echo ran");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{output:?}");
        assert!(
            said.contains(&format!("no list of what programs need of this machine for {title}")),
            "{said}"
        );
        assert!(said.contains("elsewhere install -r apptainer"), "{said}");
    }
}

/// A prefix that is named is the one that is meant, and what is a line of no list is nobody's.
#[test]
fn the_list_is_that_of_the_prefix_that_is_named() {
    let (machine, _) = machine("named");
    let arch = std::env::consts::ARCH.replace("powerpc64", "ppc64le");
    machine.barn.own(&format!("shadow/{arch}/etc/apptainer/nvliblist.conf"), "libunlisted.so\n");
    let shadow = machine.barn.place.join("own/shadow");
    let (said, _) = machine.prints(&["--nv", "--prefix", shadow.to_str().unwrap()], ASK);
    assert_eq!(found(&said), ["none", "the image's", "none", "the machine's", "none"]);
}

/// What was there is there again in the next run, and no cache of libraries that it has not.
#[test]
fn what_is_kept_has_no_cache_of_this_run() {
    let (machine, _) = machine("keeping");
    let keep = machine.barn.place.join("own/kept");
    let keep = keep.to_str().unwrap();
    let words = ["--nv", "--keep", keep, "-w", "/data"];
    let (said, _) = machine.prints(&words, "uses libcuda.so.1; echo kept > /data/new");
    assert_eq!(said, "the machine's\n");
    let (said, _) = machine.prints(&["--keep", keep, "-w", "/data"], "cat /data/new; ls /etc");
    assert_eq!(said, "kept\nos-release\n");
}

/// On this machine's own root all of that is there already.
#[test]
fn a_machines_own_root_has_its_drivers() {
    let (machine, drivers) = machine("itself");
    assert!(Path::new(&drivers).is_dir());
    let mut command = machine.command(&[
        "--nv",
        "/",
        "--",
        "/bin/sh",
        "-c",
        "ls -d /.drivers; echo $LD_LIBRARY_PATH",
    ]);
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "\n", "{output:?}");
}
