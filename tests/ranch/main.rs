//! `elsewhere ranch`, run as an ordinary user on directories that are root's: what is seen, what breaks in a ranch of
//! links alone and does not here, what is refused, and how it ends.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "../support/mod.rs"]
mod support;

mod cdi;
mod drivers;
mod ended;
mod grown;
mod images;
mod keeping;
mod kernels;
mod machine;
mod refused;
mod seen;
mod told;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{Gid, Uid};

use support::{program, tools};

/// As whom everything runs where root starts the tests.
const USER: u32 = 54_500;

/// A root directory as images have it, with nothing but what the machine lends it, and a place beside it.
pub struct Barn {
    pub place: PathBuf,
}

impl Barn {
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("elsewhere-ranch-{name}-{}-{number}", std::process::id());
        // Away from directories that are not for everyone.
        let place = std::env::temp_dir().join(name);
        let root = place.join("root");
        for name in ["etc", "share", "proc", "dev", "sys", "tmp", "data"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        for name in ["own", "tmp"] {
            fs::create_dir(place.join(name)).unwrap();
        }
        // As on every machine that the tests run on; `usr` is lent.
        for name in ["bin", "lib", "lib64"] {
            symlink(format!("usr/{name}"), root.join(name)).unwrap();
        }
        let barn = Self { place };
        barn.write("share/os-release", "NAME=Barn\n");
        symlink("../share/os-release", root.join("etc/os-release")).unwrap();
        barn.write("data/hay", "hay\n");
        barn.write("data/deep/er/straw", "straw\n");
        fs::copy(program::path(), barn.place.join("elsewhere")).unwrap();
        if rustix::process::geteuid().is_root() {
            let (user, group) = (Uid::from_raw(USER), Gid::from_raw(USER));
            for name in ["own", "tmp"] {
                let at = barn.place.join(name);
                rustix::fs::chown(&at, Some(user), Some(group)).unwrap();
            }
        }
        barn
    }

    /// As whom commands run.
    pub fn user(&self) -> u32 {
        match rustix::process::geteuid() {
            id if id.is_root() => USER,
            id => id.as_raw(),
        }
    }

    pub fn root(&self) -> PathBuf {
        self.place.join("root")
    }

    /// Writes a file of the root directory.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A file of the user's, beside the root directory.
    pub fn own(&self, name: &str, text: &str) -> String {
        let path = self.place.join("own").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if rustix::process::geteuid().is_root() {
            let (user, group) = (Uid::from_raw(USER), Gid::from_raw(USER));
            rustix::fs::chown(&path, Some(user), Some(group)).unwrap();
        }
        path.to_str().unwrap().to_owned()
    }

    /// A command that runs `program` as the user.
    pub fn as_user(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(tools::need("setpriv", "util-linux"));
        if rustix::process::geteuid().is_root() {
            let user = USER.to_string();
            command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
        }
        command.arg("--").arg(program.as_ref());
        program::alone(&mut command).current_dir("/").env("TMPDIR", self.place.join("tmp"));
        command
    }

    /// `elsewhere ranch`, with these words, on the root directory, to which the machine lends its programs.
    pub fn command(&self, options: &[&str], script: &str) -> Command {
        let mut command = self.as_user(self.place.join("elsewhere"));
        command.args(["ranch", "--inject", "/usr:/usr"]).args(options).arg(self.root());
        command.args(["--", "/bin/sh", "-c", script]);
        command
    }

    pub fn ranch(&self, options: &[&str], script: &str) -> Output {
        self.command(options, script).output().unwrap()
    }

    /// What it prints, where all must go well.
    pub fn prints(&self, options: &[&str], script: &str) -> String {
        let output = self.ranch(options, script);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Why it is refused.
    pub fn refusal(&self, options: &[&str]) -> String {
        let output = self.ranch(options, "echo ran");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// All that is below the root directory, as it is.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
        let mut all = BTreeMap::new();
        let mut ahead = vec![self.root()];
        while let Some(path) = ahead.pop() {
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = match metadata.file_type() {
                kind if kind.is_symlink() => {
                    fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
                }
                kind if kind.is_file() => fs::read(&path).unwrap(),
                _ => {
                    ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                    Vec::new()
                }
            };
            let state = (metadata.mode(), metadata.ctime(), metadata.ctime_nsec(), content);
            all.insert(path, state);
        }
        all
    }
}

impl Drop for Barn {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// Makes a file one that can be run.
pub fn executable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
