//! What tests and demo need of the machine. A missing program is an error that names the Debian
//! package, never a reason to skip; where something else is missing, that is said aloud.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use elsewhere::stages::model::Arch;

/// Says aloud what is not tried on this machine, and why. `make test` lists it all at the end.
pub fn missing(what: &str) {
    let line = format!("not tried: {what}\n");
    // Not by a macro: of tests that pass, cargo hides what those print.
    let _ = std::io::stderr().write_all(line.as_bytes());
    let directory = option_env!("CARGO_TARGET_TMPDIR").unwrap_or("target/tmp");
    let file = Path::new(directory).join("not-tried");
    // One write, so that tests which run at once do not mix their lines.
    let file = OpenOptions::new().append(true).create(true).open(file);
    let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
}

/// This machine's architecture, as trees are named.
pub fn host_arch() -> Arch {
    match std::env::consts::ARCH {
        "powerpc64" => Arch::Ppc64le,
        name => name.parse().expect("tests run on the architectures of trees"),
    }
}

/// Where `program` is.
///
/// # Panics
/// When it is neither on `PATH` nor in the directories of administrators' programs: the message
/// names the Debian `package` to install.
pub fn need(program: &str, package: &str) -> PathBuf {
    find(program).unwrap_or_else(|| {
        panic!("`{program}` is missing: as root, type: apt-get install {package}")
    })
}

/// Where `program` is, if it is there.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administration = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(administration)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started or fails: with what it printed.
pub fn run(command: &mut Command) -> Output {
    let output = output(command);
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Runs a command to its end, which may be a program that this process has just written: while another thread
/// starts one, its child has that file open too for a moment, and it cannot be started.
///
/// # Panics
/// When it cannot be started.
pub fn output(command: &mut Command) -> Output {
    let since = Instant::now();
    loop {
        match command.output() {
            Err(error)
                if error.kind() == ErrorKind::ExecutableFileBusy
                    && since.elapsed() < Duration::from_secs(10) =>
            {
                sleep(Duration::from_millis(5));
            }
            outcome => {
                return outcome.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
            }
        }
    }
}

/// What a command prints, without the last line's end.
///
/// # Panics
/// As [`run`] does.
pub fn stdout(command: &mut Command) -> String {
    String::from_utf8_lossy(&run(command).stdout).trim_end().to_owned()
}

/// All that lies below `directory` but directories, sorted. Links are not followed.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(path) = waiting.pop() {
        for entry in std::fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => waiting.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    files.sort();
    files
}
