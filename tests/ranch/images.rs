//! Files as root directories. Who mounts them here is a stand-in that takes the words of the real one, holds them
//! against the file, and mounts a directory in its place; `tests/e2e` has the real one.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::sif::{Object, SQUASHFS, sif};
use crate::{Barn, executable};

/// The squashfs superblock of a file system of `used` bytes.
fn superblock(used: u64) -> Vec<u8> {
    let mut block = b"hsqs".to_vec();
    block.resize(96, 0);
    block[28..30].copy_from_slice(&4u16.to_le_bytes());
    block[40..48].copy_from_slice(&used.to_le_bytes());
    block
}

/// As the program in `repos/runtimes/squashfuse.toml` is called.
const MOUNTER: &str = "squashfuse_ll";

/// Takes the words and no other, finds squashfs at the offset, and stays.
const STANDIN: &str = r#"#!/bin/sh
[ "$#" = 5 ] && [ "$1" = -f ] && [ "$2" = -o ] || { echo "unknown words: $*"; exit 1; }
case $3 in offset=*) ;; *) echo "no offset: $3"; exit 1 ;; esac
[ "$(tail -c "+$((${3#offset=} + 1))" "$4" | head -c 4)" = hsqs ] || { echo "no squashfs there"; exit 1; }
[ ! -e "$STANDIN/refuse" ] || { echo "fuse: failed to open /dev/fuse: Permission denied"; exit 1; }
mount --rbind "$STANDIN/../root" "$5" || exit 1
echo $$ > "$STANDIN/pid"
exec sleep 1000
"#;

/// A barn whose root is in a file, as far as the stand-in goes.
struct Filed {
    barn: Barn,
    image: String,
}

impl Filed {
    fn new(name: &str, image: &[u8]) -> Self {
        let barn = Barn::new(name);
        let own = PathBuf::from(barn.own(MOUNTER, STANDIN));
        executable(&own);
        let image = {
            let path = barn.place.join("image");
            fs::write(&path, image).unwrap();
            path.to_str().unwrap().to_owned()
        };
        Self { barn, image }
    }

    fn command(&self, options: &[&str], words: &[&str]) -> Command {
        let mut command = self.barn.as_user(self.barn.place.join("elsewhere"));
        command.args(["ranch", "-i", "/usr:/usr"]).args(options).arg(&self.image).arg("--");
        let own = self.barn.place.join("own");
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", own.display());
        command.args(words).env("PATH", path).env("STANDIN", own);
        command
    }

    fn run(&self, options: &[&str], script: &str) -> Output {
        self.command(options, &["/bin/sh", "-c", script]).output().unwrap()
    }

    /// The mounting process, which must be gone by now or soon.
    fn assert_unmounted(&self) {
        let pid = fs::read_to_string(self.barn.place.join("own/pid")).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        let since = Instant::now();
        while test_kill_process(pid).is_ok() {
            assert!(since.elapsed() < Duration::from_secs(20), "the mounting process still runs");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.barn.place.to_str().unwrap()), "{mounts}");
    }
}

/// What a refusal says, of a file like this.
fn refusal(name: &str, image: &[u8]) -> String {
    let output = Filed::new(name, image).run(&[], "echo ran");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty(), "{output:?}");
    said
}

/// What fits is known when the file is mounted, and the process that becomes the command is told.
#[test]
fn a_file_gets_what_a_specification_says() {
    let filed = Filed::new("specified", &[superblock(4096), vec![0; 4000]].concat());
    let conf = filed.barn.own("conf", "the machine's\n");
    let text = format!(
        "cdiVersion: 0.6.0\nkind: toy.example/toy\ndevices:\n- name: a\n  containerEdits:\n    \
         env: [TOY=a]\n    mounts: [{{hostPath: {conf}, containerPath: /data/toy/conf, options: [ro]}}]\n    \
         hooks:\n    - {{hookName: a, path: /b, args: [x, create-symlinks, --link, \"toy/conf::/data/hay\"]}}\n    \
         - {{hookName: a, path: /b, args: [x, update-ldcache, --folder, /data/toy]}}\n"
    );
    let file = filed.barn.own("toy.yaml", &text);
    let before = filed.barn.snapshot();
    let script = "cat /data/hay; echo \"$TOY $LD_LIBRARY_PATH\"; echo x > /data/toy/conf";
    let output = filed.run(&["--cdi", &file], script);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with("the machine's\na ") && said.ends_with("/data/toy\n"), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("Read-only file system"),
        "{output:?}"
    );
    assert!(filed.barn.snapshot() == before, "something was changed");
    filed.assert_unmounted();
}

#[test]
fn a_file_is_a_root_directory_with_what_is_added() {
    let data = [superblock(4096), vec![0; 4000]].concat();
    let size = i64::try_from(data.len()).unwrap();
    let in_sif = sif(&[Object::system((36864, size), SQUASHFS)], &data);
    for (name, image) in [("squashfs", &data), ("sif", &in_sif)] {
        let filed = Filed::new(name, image);
        let cow = filed.barn.own("cow", "cow\n");
        let before = filed.barn.snapshot();
        let script = "cat /data/cow /etc/os-release && echo new > /data/new && ls /data && id -u";
        let output = filed.run(&["-i", &format!("{cow}:/data/cow"), "--map-root"], script);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, "cow\nNAME=Barn\ncow\ndeep\nhay\nnew\n0\n", "{output:?}");
        assert!(filed.barn.snapshot() == before, "something was changed");
        filed.assert_unmounted();
        // And as the user himself, whose status it is.
        let output = filed.run(&["-w", "/data"], "ls /data; id -u; exit 42");
        assert_eq!(output.status.code(), Some(42), "{output:?}");
        let user = if rustix::process::geteuid().is_root() {
            crate::USER
        } else {
            rustix::process::geteuid().as_raw()
        };
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("deep\nhay\n{user}\n"));
        filed.assert_unmounted();
    }
}

#[test]
fn what_is_printed_of_a_file_does_the_same() {
    let filed = Filed::new("printed file", &superblock(96));
    let words = ["/bin/sh", "-c", "cat /etc/os-release; echo new > /data/new; ls -A /data; id -u"];
    let done = filed.command(&["-w", "/data"], &words).output().unwrap();
    let printed = filed.command(&["-w", "/data", "--print"], &words).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.contains("offset=0"), "{printed}");
    filed.assert_unmounted();
    let file = filed.barn.own("printed", &printed);
    let mut command = filed.barn.as_user(crate::tools::need("unshare", "util-linux"));
    command.args(["--user", "--map-root-user", "--mount", "sh", &file]);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("STANDIN", filed.barn.place.join("own"));
    let output = command.output().unwrap();
    let said = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said(&output), said(&done), "{printed}\n{output:?}");
    assert!(said(&done).contains("new"), "{done:?}");
    filed.assert_unmounted();
    let shellcheck = crate::tools::need("shellcheck", "shellcheck");
    crate::tools::run(Command::new(shellcheck).args(["--shell", "sh"]).arg(&file));
}

#[test]
fn a_killed_run_of_a_file_leaves_nothing_mounted_and_no_process() {
    let filed = Filed::new("killed file", &superblock(96));
    let mut command =
        filed.command(&[], &["/bin/sh", "-c", "echo $$; while :; do sleep 0.05; done"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let inside = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    filed.assert_unmounted();
    let since = Instant::now();
    while test_kill_process(inside).is_ok() {
        assert!(since.elapsed() < Duration::from_secs(20), "the command still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn signals_reach_the_command_in_a_file() {
    let filed = Filed::new("signalled file", &superblock(96));
    let script = "trap 'exit 33' TERM; echo ready; while :; do sleep 0.05; done";
    let mut command = filed.command(&[], &["/bin/sh", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(33));
    filed.assert_unmounted();
}

#[test]
fn who_mounts_is_named_where_he_is_missing_or_fails() {
    let filed = Filed::new("mounters", &superblock(96));
    let mut command = filed.command(&[], &["true"]);
    let output = command.env("PATH", "/nowhere:relative").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(said.contains("there is no squashfuse_ll or squashfuse in PATH"), "{said}");
    assert!(said.contains("`elsewhere install -r squashfuse PREFIX` installs one"), "{said}");
    filed.barn.own("refuse", "");
    let output = filed.run(&[], "true");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(said.contains("failed to open /dev/fuse: Permission denied"), "{said}");
    assert!(said.contains("elsewhere doctor"), "{said}");
    // A program that is no program.
    let own = filed.barn.place.join("own").join(MOUNTER);
    fs::set_permissions(own, fs::Permissions::from_mode(0o644)).unwrap();
    let output = filed.run(&[], "true");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Permission denied"), "{said}");
}

#[test]
fn files_that_hold_no_root_directory_are_refused_by_what_they_are() {
    let data = superblock(96);
    let at = |place, partition| sif(&[Object::system(place, partition)], &data);
    let other = if cfg!(target_arch = "x86_64") { *b"04" } else { *b"02" };
    let within = (36864, 96);
    let mut old = superblock(96);
    old[28] = 3;
    let mut version = at(within, SQUASHFS);
    version[42..44].copy_from_slice(b"02");
    let mut many = at(within, SQUASHFS);
    many[88..96].copy_from_slice(&i64::MAX.to_le_bytes());
    let mut table = at(within, SQUASHFS);
    table[96..104].copy_from_slice(&(1i64 << 62).to_le_bytes());
    let two = [Object::system(within, SQUASHFS), Object::system(within, SQUASHFS)];
    let oci = Object { kind: 0x400A, place: within, partition: (0, 0, [0; 2]) };
    let rows: [(&str, Vec<u8>, &str); 16] = [
        ("empty", Vec::new(), "it is neither squashfs nor SIF"),
        ("text", b"#!/bin/sh\n".to_vec(), "it is neither squashfs nor SIF"),
        ("short", data[..50].to_vec(), "it is cut off"),
        ("long", superblock(97), "its file system is longer than the file"),
        ("old", old, "another version than 4"),
        ("version", version, "SIF of another version than 01"),
        ("many", many, "its header makes no sense"),
        ("table", table, "its list of contents is not within the file"),
        ("ext3", at(within, (2, 2, *b"00")), "its system partition is ext3"),
        ("crypt", at(within, (5, 2, *b"00")), "its system partition is encrypted (dm-crypt)"),
        ("outside", at((36864, 97), SQUASHFS), "its system partition is not within the file"),
        ("negative", at((-1, 96), SQUASHFS), "its system partition is not within the file"),
        ("elsewhere", at((4096, 96), SQUASHFS), "does not begin as squashfs does"),
        ("two", sif(&two, &data), "it has two system partitions"),
        ("oci", sif(&[oci], &data), "it is an OCI-SIF file"),
        ("other", at(within, (1, 2, other)), "and not for this machine"),
    ];
    for (name, image, expected) in rows {
        let said = refusal(name, &image);
        assert!(said.contains(expected), "{name}: {said}");
    }
    let none = sif(&[Object::system(within, (1, 3, *b"00"))], &data);
    assert!(refusal("none", &none).contains("it has no system partition"));
}
