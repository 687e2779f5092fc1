//! The ways in which hosts let it be done: in namespaces, by a setuid helper, by a container runtime, or not.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;

use crate::ATLAS;
use crate::site::{Site, fuse_works, hello, make_setuid};
use crate::support::small::text;
use crate::support::tools;

#[test]
fn a_host_that_allows_nothing_is_told_with_what_may() {
    let Some(site) = Site::ready("nothing") else { return };
    let mut command = site.on_machine(&["--no-namespaces"], &site.launcher());
    let output = command.args([ATLAS, "--", "echo", "ran"]).output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(
        said.contains("no fusermount3 or fusermount that is setuid") && !said.contains("ran"),
        "{said}"
    );
    // This prefix has a blank in its path, of which the container runtime cannot be told.
    assert!(said.contains("elsewhere doctor"), "{said}");
    let plain = site.place.join("plain");
    fs::rename(&site.prefix, &plain).unwrap();
    let mut command = site.on_machine(&["--no-namespaces"], &plain.join("bin/cvmfsexec"));
    let output = command.args([ATLAS, "--", "ls", "a b"]).output().unwrap();
    let said = text(&output);
    assert!(said.contains("apptainer exec --env"), "{said}");
    let tree = fs::canonicalize(plain.join("x86_64")).unwrap();
    let mount =
        format!("--fusemount 'container:{}/bin/cvmfs2 {ATLAS} /cvmfs/{ATLAS}'", tree.display());
    assert!(said.contains(&mount) && said.contains("IMAGE ls 'a b'"), "{said}");
    let mut command = site.on_machine(&[], &plain.join("bin/cvmfsexec"));
    let output = command.args(["--container", "image.sif", ATLAS, "--", "ls"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output).trim_end().ends_with("image.sif ls"), "{output:?}");
}

/// In a chroot nobody may make user namespaces, and setuid programs work.
#[test]
fn a_setuid_helper_mounts_among_the_hosts_own_mounts() {
    let Some(site) = Site::ready("helper") else { return };
    if !geteuid().is_root() {
        return tools::missing("the client by a setuid fusermount3: only root can make one");
    }
    let helper = site.place.join("setuid/fusermount3");
    fs::create_dir(site.place.join("setuid")).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cvmfs_client/fusermount.c");
    let mut cc = Command::new(tools::need("cc", "gcc"));
    tools::run(cc.args(["-static", "-O1", "-o"]).arg(&helper).arg(source));
    make_setuid(&helper);
    let root = site.place.join("root");
    fs::create_dir(&root).unwrap();
    let machine = |words: &[&str], after: &str| {
        let script = format!(
            "mount --rbind / '{root}' && mknod -m 666 '{place}/fuse' c 10 229 && \
             mount --bind '{place}/fuse' '{root}/dev/fuse' && \
             chroot '{root}' setpriv --reuid {user} --regid {user} --clear-groups -- \"$0\" \"$@\"; \
             status=$?; rm '{place}/fuse'; {after}; exit $status",
            root = root.display(),
            place = site.place.display(),
            user = crate::user(),
        );
        let mut command = Command::new(tools::need("unshare", "util-linux"));
        command.args(["--mount", "sh", "-c", &script]).arg(site.launcher()).args(words);
        site.environment(&mut command);
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", helper.parent().unwrap().display());
        text(&command.env("PATH", path).output().unwrap())
    };
    let script =
        "cat $ELSEWHERE_MOUNTS/$0/hello; grep -c cvmfs2 /proc/self/mountinfo; kill -0 $PPID";
    let said =
        machine(&[ATLAS, "--", "sh", "-c", script, ATLAS], "grep cvmfs2 /proc/self/mountinfo");
    // In the end none is left.
    assert_eq!(said, format!("{}2\n", hello(ATLAS)));
    site.assert_nothing_left();
    assert_eq!(fs::read_dir(site.place.join("tmp")).unwrap().count(), 0);
}

#[test]
fn help_tells_where_the_configuration_is() {
    if !fuse_works() {
        return;
    }
    let site = Site::installed("help");
    let said = site.said(&["--help"]);
    for part in
        ["Usage: cvmfsexec REPOSITORY...", "/.config/elsewhere/cvmfs/default.local", "--container"]
    {
        assert!(said.contains(part), "{said}");
    }
    for (words, why) in [
        (&["--", "ls"][..], "no repository is named"),
        (&[ATLAS, "ls"], "ls is no repository's name"),
        (&["../etc.x"], "is no repository's name"),
    ] {
        let output = site.exec(words).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(text(&output).contains(why), "{output:?}");
    }
}
