//! Programs that Go builds of published modules, below a cache directory: `crane` and `registry` of
//! go-containerregistry, and `oras`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tools::{find, missing};

/// A program: what it is called, and its package in this version.
pub struct Program(&'static str, &'static str);

/// Reads and writes registries.
pub const CRANE: Program =
    Program("crane", "github.com/google/go-containerregistry/cmd/crane@v0.22.1");
/// A registry that forgets all.
pub const REGISTRY: Program =
    Program("registry", "github.com/google/go-containerregistry/cmd/registry@v0.22.1");
/// Reads and writes registries.
pub const ORAS: Program = Program("oras", "oras.land/oras/cmd/oras@v1.3.6");

/// Where a program is, built now if it was not before. Where it cannot be built, that is said aloud.
pub fn built(Program(name, package): &Program) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/go");
    std::fs::create_dir_all(&root).unwrap();
    // Other tests, in this process and in others, may want the same.
    let lock = std::fs::File::create(root.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let version = package.rsplit_once('@').unwrap().1;
    let directory = root.join("bin").join(format!("{name}-{version}"));
    let program = directory.join(name);
    if program.is_file() {
        return Some(program);
    }
    let usual = PathBuf::from("/usr/local/go/bin/go");
    let Some(go) = find("go").or(Some(usual).filter(|usual| usual.is_file())) else {
        missing(&format!("{name}: there is no go to build it with"));
        return None;
    };
    let output = Command::new(go)
        .args(["install", package])
        .env("GOBIN", &directory)
        .env("GOPATH", root.join("path"))
        .env("GOCACHE", root.join("cache"))
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-modcacherw")
        .env("CGO_ENABLED", "0")
        // What it notes of itself it notes there.
        .env("XDG_CONFIG_HOME", root.join("config"))
        .output()
        .unwrap();
    match output.status.success() {
        true => Some(program),
        false => {
            let why = String::from_utf8_lossy(&output.stderr);
            missing(&format!("{name}: go cannot build it: {}", why.trim_end()));
            None
        }
    }
}
