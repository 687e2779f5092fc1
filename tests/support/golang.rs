//! Programs that Go builds of published modules, below a cache directory: `crane` and `registry` of
//! go-containerregistry, and `oras`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tools::{find, missing};

/// A program: what it is called, its package, and its versions: of those that this machine's Go builds, the first.
pub struct Program(&'static str, &'static str, &'static [&'static str]);

/// The newest, and the last that Debian 12's Go 1.19 builds.
const CONTAINERREGISTRY: &[&str] = &["v0.22.1", "v0.20.2"];
/// Reads and writes registries.
pub const CRANE: Program =
    Program("crane", "github.com/google/go-containerregistry/cmd/crane", CONTAINERREGISTRY);
/// A registry that forgets all.
pub const REGISTRY: Program =
    Program("registry", "github.com/google/go-containerregistry/cmd/registry", CONTAINERREGISTRY);
/// Reads and writes registries. Go 1.19 builds neither this nor 1.1.
pub const ORAS: Program = Program("oras", "oras.land/oras/cmd/oras", &["v1.3.6"]);

/// Where a program is, built now if it was not before. Where it cannot be built, that is said aloud.
pub fn built(Program(name, package, versions): &Program) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/go");
    std::fs::create_dir_all(&root).unwrap();
    // Other tests, in this process and in others, may want the same.
    let lock = std::fs::File::create(root.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let place = |version: &str| root.join("bin").join(format!("{name}-{version}")).join(name);
    if let Some(program) = versions.iter().map(|it| place(it)).find(|program| program.is_file()) {
        return Some(program);
    }
    let usual = PathBuf::from("/usr/local/go/bin/go");
    let Some(go) = find("go").or(Some(usual).filter(|usual| usual.is_file())) else {
        missing(&format!("{name}: there is no go to build it with"));
        return None;
    };
    let mut reasons = String::new();
    for version in *versions {
        let program = place(version);
        match build(&go, &root, &format!("{package}@{version}"), program.parent().unwrap()) {
            Ok(()) => return Some(program),
            Err(reason) => {
                let last = reason.lines().last().unwrap_or_default();
                reasons = format!("{reasons} {version}: {last}");
            }
        }
    }
    missing(&format!("{name}: go cannot build it:{reasons}"));
    None
}

/// Builds `package` into `directory`; all that Go keeps of it lies below `root`.
fn build(go: &Path, root: &Path, package: &str, directory: &Path) -> Result<(), String> {
    let mut command = Command::new(go);
    command
        .args(["install", package])
        .env("GOBIN", directory)
        .env("GOPATH", root.join("path"))
        .env("GOCACHE", root.join("cache"))
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-modcacherw")
        .env("CGO_ENABLED", "0")
        // What it notes of itself it notes there.
        .env("XDG_CONFIG_HOME", root.join("config"));
    let output = command.output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
