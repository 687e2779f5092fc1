//! Old kernels: all calls that Linux has since 3.11 are answered as one answers that has not heard of them.

use std::collections::BTreeMap;
use std::thread;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use crate::Barn;

/// The first call that 3.10 lacks (sched_setattr, of 3.14): on x86_64, and where calls are numbered anew.
const FIRST: i64 = if cfg!(target_arch = "x86_64") { 314 } else { 274 };
const LAST: i64 = 500;

/// ENOSYS, of calls that the kernel does not know.
const UNKNOWN: u32 = 38;
/// ENOSPC, of mount(2) where there are as many mounts as a namespace may have.
const FULL: u32 = 28;
/// mount(2).
const MOUNT: i64 = if cfg!(target_arch = "x86_64") { 165 } else { 40 };

/// Answers these calls so.
fn filter(calls: impl Iterator<Item = i64>, answer: u32) -> BpfProgram {
    let calls: BTreeMap<i64, Vec<_>> = calls.map(|call| (call, Vec::new())).collect();
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let (other, known) = (SeccompAction::Allow, SeccompAction::Errno(answer));
    SeccompFilter::new(calls, other, known, arch).unwrap().try_into().unwrap()
}

#[test]
fn what_kernels_have_had_since_3_10_is_enough() {
    let barn = Barn::new("kernels");
    let cow = barn.own("cow", "cow\n");
    let run = || {
        // Of this thread, and of what it starts.
        apply_filter(&filter(FIRST..=LAST, UNKNOWN)).unwrap();
        let later = memfd_create("later", MemfdFlags::empty());
        assert_eq!(later.unwrap_err(), Errno::NOSYS);
        let script = "cat /data/cow /etc/os-release && echo new > /data/new && ls /data && id -u";
        barn.prints(&["-i", &format!("{cow}:/data/cow"), "-w", "/data", "--map-root"], script)
    };
    let said = thread::scope(|scope| scope.spawn(run).join().unwrap());
    assert_eq!(said, "cow\nNAME=Barn\ncow\ndeep\nhay\nnew\n0\n");
}

#[test]
fn where_no_more_can_be_mounted_nothing_runs() {
    let barn = Barn::new("full");
    let run = || {
        apply_filter(&filter(std::iter::once(MOUNT), FULL)).unwrap();
        barn.ranch(&["-w", "/data"], "echo ran")
    };
    let output = thread::scope(|scope| scope.spawn(run).join().unwrap());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(output.stdout.is_empty(), "{output:?}");
    // The first mount of all is what makes those of the namespace its own.
    assert!(said.contains("No space left on device"), "{said}");
}

/// In the namespaces of another, as containers are, and in those of a ranch.
#[test]
fn a_ranch_in_a_container_is_a_ranch() {
    let barn = Barn::new("nested");
    let program = barn.place.join("elsewhere");
    let ranch =
        format!("{} ranch -i /usr:/usr -w /data {}", program.display(), barn.root().display());
    let script = format!("{ranch} -- /bin/sh -c 'echo new > /data/new; ls /data; id -u'");
    let mut container = barn.as_user(crate::tools::need("unshare", "util-linux"));
    container.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc"]);
    let mut within = barn.as_user(&program);
    within.args(["ranch", "--map-root", "/", "--"]);
    for mut command in [container, within] {
        command.args(["sh", "-c", &script]).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, "deep\nhay\nnew\n0\n", "{output:?}");
    }
}
