//! Writes the list of the definitions in `repos/`, which `src/catalog/embedded.rs` includes. A new
//! dist or runtime is a new file there, and nothing else.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    // A directory stands for all that is in it: cargo sees new files too.
    println!("cargo::rerun-if-changed=repos");
    println!("cargo::rerun-if-changed=build.rs");
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("repos");
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        let relative = file.strip_prefix(&root)?;
        writeln!(list, "    ({:?}, include_str!({:?})),", text(relative)?, text(&file)?)?;
    }
    list.push_str("]\n");
    fs::write(Path::new(&variable("OUT_DIR")?).join("definitions.rs"), list)?;
    Ok(())
}

/// What cargo says in a variable.
#[allow(clippy::disallowed_methods, reason = "this is no part of the program")]
fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    std::env::var(name).map_err(|error| format!("{name}: {error}").into())
}

/// A path as it is written into the list.
fn text(path: &Path) -> Result<&str, Box<dyn Error>> {
    path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()).into())
}

/// Adds the definitions and the copies of certificates in `directory` and below.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "toml" || ending == "asc") {
            files.push(path);
        }
    }
    Ok(())
}
