//! The program under test, run so that it sees nothing of this machine but what the test gives it:
//! no variable, no configuration, no home and no cache from outside.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::tools;

/// Where cargo builds it for tests. Examples share this file and get none.
const BUILT: Option<&str> = option_env!("CARGO_BIN_EXE_elsewhere");

/// The directory of the site's own configuration, which no variable moves.
const SITE: &str = "/etc/elsewhere";

/// A home in which nothing is and nothing can be made, whoever runs.
const NO_HOME: &str = "/proc/no-home";

/// Where the program is: for tests that copy it, or that run it through another program.
pub fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match BUILT {
        Some(built) => built.into(),
        // Cargo builds examples in a directory beside the program.
        None => {
            let here = std::env::current_exe().unwrap();
            here.parent().unwrap().parent().unwrap().join("elsewhere")
        }
    })
}

/// A program that is linked statically and runs the one that is tested, made in `directory`: what a bundle takes.
pub fn standin(directory: &Path) -> PathBuf {
    standin_of(directory, path())
}

/// The same, that runs `program`.
pub fn standin_of(directory: &Path, program: &Path) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/standin.c");
    let (made, define) =
        (directory.join("standin"), format!("-DPROGRAM=\"{}\"", program.display()));
    let mut cc = Command::new(tools::need("cc", "gcc"));
    tools::run(cc.args(["-static", "-O1", &define, "-o"]).arg(&made).arg(source));
    made
}

/// The command `elsewhere`, without words yet.
pub fn elsewhere() -> Command {
    let mut command = match Path::new(SITE).exists() {
        false => Command::new(path()),
        true => hidden(),
    };
    alone(&mut command);
    command
}

/// Takes away from a command what this machine and this user's environment would give it.
pub fn alone(command: &mut Command) -> &mut Command {
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", NO_HOME)
}

/// The command on a machine with a site's configuration: in a mount namespace, in which that is empty.
fn hidden() -> Command {
    let script = format!("mount -t tmpfs none {SITE} && exec \"$0\" \"$@\"");
    let mut command = Command::new(tools::need("unshare", "util-linux"));
    command.args(["--user", "--map-root-user", "--mount", "/bin/sh", "-c", &script]).arg(path());
    command
}
