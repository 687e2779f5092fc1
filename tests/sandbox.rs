//! Confinement holds, for the confined thread and no other. On kernels without Landlock there is
//! nothing to hold, and the test says so.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::thread;

use elsewhere::stages::sandbox::{
    ARCHITECTURES, CALLS_LEFT, CALLS_LEFT_FOR_DATA, Confinement, confine,
};
use support::scratch::Scratch;
use support::tools::{find, missing, run};

/// Runs `work` in a thread that may write below `writable` only.
fn confined<T: Send>(writable: &Path, work: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| match confine(&[writable]) {
            Confinement::Full => Some(work()),
            other => {
                missing(&format!("confinement: {other}"));
                None
            }
        });
        thread.join().unwrap()
    })
}

#[test]
fn a_confined_thread_changes_nothing_outside() {
    let scratch = Scratch::new("sandbox");
    let outside = scratch.write("outside/file", "untouched");
    let (inside, out) = (scratch.path().join("inside"), scratch.path().join("outside"));
    fs::create_dir(&inside).unwrap();
    let tried = confined(&inside, || {
        symlink(&out, inside.join("way-out")).unwrap();
        let kinds = [
            fs::write(out.join("new"), "x").unwrap_err().kind(),
            fs::write(&outside, "x").unwrap_err().kind(),
            fs::write(inside.join("way-out/new"), "x").unwrap_err().kind(),
            fs::remove_file(&outside).unwrap_err().kind(),
            fs::create_dir(out.join("directory")).unwrap_err().kind(),
            symlink("x", out.join("link")).unwrap_err().kind(),
        ];
        // A rename across the border is refused as one across file systems.
        assert!(fs::rename(&outside, inside.join("taken")).is_err());
        assert!(fs::hard_link(&outside, inside.join("linked")).is_err());
        kinds
    });
    for kind in tried.into_iter().flatten() {
        assert_eq!(kind, ErrorKind::PermissionDenied);
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "untouched");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    // This thread is as free as before.
    fs::write(out.join("new"), "x").unwrap();
}

#[test]
fn a_confined_thread_does_its_work_inside() {
    let scratch = Scratch::new("sandbox-inside");
    let readable = scratch.write("cache/package", "bytes");
    let inside = scratch.path().join("inside");
    fs::create_dir(&inside).unwrap();
    confined(&inside, || {
        fs::create_dir_all(inside.join("a/b")).unwrap();
        fs::copy(&readable, inside.join("a/file")).unwrap();
        fs::rename(inside.join("a/file"), inside.join("a/b/file")).unwrap();
        fs::hard_link(inside.join("a/b/file"), inside.join("other")).unwrap();
        symlink("other", inside.join("link")).unwrap();
        fs::write(inside.join("a/b/file"), "new").unwrap();
        fs::remove_dir_all(inside.join("a")).unwrap();
        assert_eq!(fs::read_to_string(inside.join("link")).unwrap(), "new");
    });
}

#[test]
fn a_confined_thread_opens_no_connection() {
    let scratch = Scratch::new("sandbox-net");
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let outcome = confined(scratch.path(), || {
        let connected = TcpStream::connect(address).map(drop).map_err(|error| error.kind());
        let bound = TcpListener::bind(("127.0.0.1", 0)).map(drop).map_err(|error| error.kind());
        (connected, bound)
    });
    if let Some(outcome) = outcome {
        let denied = Err(ErrorKind::PermissionDenied);
        assert_eq!(outcome, (denied, denied));
    }
    TcpStream::connect(address).unwrap();
}

#[test]
fn a_directory_that_is_not_there_confines_nothing_and_says_so() {
    let absent = Path::new("/nonexistent/elsewhere");
    let confinement = thread::spawn(move || confine(&[absent])).join().unwrap();
    assert!(matches!(&confinement, Confinement::Unavailable(reason) if !reason.is_empty()));
}

/// The filter of system calls is made of numbers, which are others on each architecture: those of the kernel's
/// headers, as its compiler sees them.
#[test]
fn the_numbers_of_system_calls_are_those_of_each_architecture() {
    let scratch = Scratch::new("sandbox-numbers");
    let columns = [("x86_64", "X86_64"), ("aarch64", "AARCH64"), ("powerpc64le", "PPC64LE")];
    for (column, (triple, audit)) in columns.into_iter().enumerate() {
        let name = format!("{triple}-linux-gnu-gcc");
        let Some(compiler) = find(&name) else {
            missing(&format!("numbers of system calls: {name}"));
            continue;
        };
        let mut source = "#include <asm/unistd.h>\n#include <linux/audit.h>\n".to_owned();
        for (call, numbers) in CALLS_LEFT.iter().chain(&CALLS_LEFT_FOR_DATA) {
            let number = numbers[column];
            source += &format!("_Static_assert(__NR_{call} == {number}, \"{call}\");\n");
        }
        let number = ARCHITECTURES[column];
        source += &format!("_Static_assert(AUDIT_ARCH_{audit} == {number}u, \"audit\");\n");
        let file = scratch.write(&format!("{triple}.c"), source);
        run(Command::new(compiler).arg("-fsyntax-only").arg(file));
    }
}
