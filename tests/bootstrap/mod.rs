//! A release for the tests of `install.sh`: the filled-in script, and programs that write down how
//! they were called.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "test support: each program uses a part of it, and a failure here should stop the test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use elsewhere::stages::model::{Arch, Checksum};

/// The version of every release of the tests.
pub const VERSION: &str = "9.8.7";

/// Stands for `elsewhere`: appends to the file `$LOG` its own path, its arguments, one to a line,
/// and the variables that the script may set.
const PROGRAM: &str = r#"#!/bin/sh
[ "$1" != --version ] || exit 0
{
    printf 'program %s\n' "$0"
    for word; do printf 'word %s\n' "$word"; done
    printf 'cache %s\nmirror %s\n' "${XDG_CACHE_HOME:-}" "${ELSEWHERE_MIRROR:-}"
} >>"$LOG"
exit "${STATUS:-0}"
"#;

/// The script as the repository has it.
pub fn template() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh")).unwrap()
}

/// The template for `version`, with the same checksum for every architecture.
pub fn script(version: &str, checksum: &str) -> String {
    let mut text = template().replace("@VERSION@", version);
    for arch in Arch::ALL {
        text = text.replace(&format!("@SHA256_{arch}@"), checksum);
    }
    text
}

/// A directory with a release, gone at the end.
pub struct Release {
    pub root: PathBuf,
}

/// How a run of the script ended.
pub struct Outcome {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
    /// What the program wrote down; empty when it was not run.
    pub log: String,
}

impl Release {
    /// A release whose mirror directory is `mirror/`, with a home directory and a temporary one.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("install-sh {}-{number}", std::process::id());
        // Not in the clone, which may lie where an ordinary user may not look.
        let root = std::env::temp_dir().join(name);
        for directory in ["mirror", "home", "tmp"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        let release = Self { root };
        release.write("install.sh", &script(VERSION, &Checksum::of(PROGRAM.as_bytes()).hex()));
        for arch in Arch::ALL {
            release.write(&format!("mirror/elsewhere-{VERSION}-{arch}"), PROGRAM);
        }
        release
    }

    /// Writes a file below it.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes an executable script below it.
    pub fn write_program(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A path below it as text.
    pub fn path(&self, name: &str) -> String {
        self.root.join(name).to_str().unwrap().to_owned()
    }

    /// The usual environment of a run.
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("HOME", self.path("home")),
            ("TMPDIR", self.path("tmp")),
            ("PATH", std::env::var("PATH").unwrap()),
            ("LOG", self.path("log")),
        ])
    }

    /// Runs the script from a pipe, as `curl | sh -s --` does, in the usual environment.
    pub fn run(&self, words: &[&str]) -> Outcome {
        self.run_with(&["sh"], words, &self.environment())
    }

    /// Runs the script from a pipe under the shell and in the environment that are given.
    pub fn run_with(
        &self,
        shell: &[&str],
        words: &[&str],
        environment: &BTreeMap<&'static str, String>,
    ) -> Outcome {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).args(["-s", "--"]).args(words);
        command.env_clear().envs(environment).current_dir(&self.root);
        self.finish(command, &fs::read(self.root.join("install.sh")).unwrap())
    }

    /// Gives `input` to a command and waits for its end.
    pub fn finish(&self, mut command: Command, input: &[u8]) -> Outcome {
        let log = self.root.join("log");
        let _ = fs::remove_file(&log);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A shell that finds an error early does not read the rest.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        Outcome {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            log: fs::read_to_string(&log).unwrap_or_default(),
        }
    }

    /// A directory with links to these programs and to no others, to be a `PATH`.
    pub fn tools(&self, name: &str, programs: &[&str]) -> String {
        let directory = self.root.join(name);
        fs::create_dir_all(&directory).unwrap();
        let path = std::env::var_os("PATH").unwrap();
        for program in programs {
            let found = std::env::split_paths(&path).map(|place| place.join(program));
            let found = found.into_iter().find(|path| path.is_file());
            let found = found.unwrap_or_else(|| panic!("{program} is missing"));
            std::os::unix::fs::symlink(found, directory.join(program)).unwrap();
        }
        directory.to_str().unwrap().to_owned()
    }

    /// What lies in the temporary directory: nothing, once a run is over.
    pub fn leftovers(&self) -> usize {
        fs::read_dir(self.root.join("tmp")).unwrap().count()
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl Outcome {
    /// The words that the program was called with; nothing when it was not run.
    pub fn words(&self) -> Vec<&str> {
        self.log.lines().filter_map(|line| line.strip_prefix("word ")).collect()
    }

    /// What the program wrote down about `name`.
    pub fn noted(&self, name: &str) -> &str {
        self.log.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap()
    }

    /// Asserts that the script refused, ran nothing, and said why.
    #[track_caller]
    pub fn refused(&self, why: &str) {
        assert_eq!(self.status, 1, "{}", self.stderr);
        assert_eq!(self.log, "", "{}", self.stderr);
        assert!(self.stderr.contains(why), "{}", self.stderr);
    }
}

/// Programs that the script needs everywhere, without those that fetch and those that check.
pub const TOOLS: [&str; 9] = ["cat", "chmod", "cp", "mkdir", "mktemp", "mv", "od", "rm", "uname"];
