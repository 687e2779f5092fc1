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

fn filter() -> BpfProgram {
    let unknown = 38; // ENOSYS
    let calls: BTreeMap<i64, Vec<_>> = (FIRST..=LAST).map(|call| (call, Vec::new())).collect();
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let (other, known) = (SeccompAction::Allow, SeccompAction::Errno(unknown));
    SeccompFilter::new(calls, other, known, arch).unwrap().try_into().unwrap()
}

#[test]
fn what_kernels_have_had_since_3_10_is_enough() {
    let barn = Barn::new("kernels");
    let cow = barn.own("cow", "cow\n");
    let run = || {
        // Of this thread, and of what it starts.
        apply_filter(&filter()).unwrap();
        let later = memfd_create("later", MemfdFlags::empty());
        assert_eq!(later.unwrap_err(), Errno::NOSYS);
        let script = "cat /data/cow /etc/os-release && echo new > /data/new && ls /data && id -u";
        barn.prints(&["-i", &format!("{cow}:/data/cow"), "-w", "/data", "--map-root"], script)
    };
    let said = thread::scope(|scope| scope.spawn(run).join().unwrap());
    assert_eq!(said, "cow\nNAME=Barn\ncow\ndeep\nhay\nnew\n0\n");
}
