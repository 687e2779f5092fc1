//! Asks a runtime's program which settings there are, and what it understands of a file.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::error::{RuntimeConfigError, failed};
use super::file::{Values, keys, values};
use crate::model::{RelPath, RuntimeConfig};
use crate::owned::{Owners, open_to_read};
use crate::tools::files;
use crate::tools::programs::{self, Listen, Patience};
use crate::tools::replacement::{Care, Replacement};

/// How long the program may take.
const TIME: Duration = Duration::from_secs(60);

/// Far more than any such file has, in bytes.
const LIMIT: u64 = 16 << 20;

/// What a program knows.
#[derive(Debug)]
pub(crate) struct Knowledge {
    /// Every key.
    pub(crate) keys: BTreeSet<String>,
    /// What is set by default.
    pub(crate) defaults: Values,
    source: RuntimeConfig,
    program: PathBuf,
    scratch: Scratch,
}

/// A directory that goes with its owner.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = files::remove_tree(&self.0);
    }
}

impl Knowledge {
    /// That of the program of the tree at `tree`, which is run for that; `temporary` is a directory for what it writes.
    ///
    /// # Errors
    /// When it cannot be run, or writes nothing.
    pub(crate) fn of(
        tree: &Path,
        source: &RuntimeConfig,
        temporary: &Path,
    ) -> Result<Self, RuntimeConfigError> {
        let scratch = files::unique(temporary, "elsewhere-config");
        DirBuilder::new()
            .mode(0o700)
            .create(&scratch)
            .map_err(failed("make the directory", &scratch))?;
        let mut knowledge = Self {
            keys: BTreeSet::new(),
            defaults: Values::new(),
            source: source.clone(),
            program: tree.join(&source.program),
            scratch: Scratch(scratch),
        };
        let learned = knowledge.ask(&source.defaults, Path::new(""));
        let text = learned.and_then(|text| match keys(&text).is_empty() {
            true => Err("it wrote no setting".to_owned()),
            false => Ok(text),
        });
        let text = text.map_err(|said| RuntimeConfigError::Unlearned {
            program: knowledge.program.clone(),
            said,
        })?;
        knowledge.keys = keys(&text);
        knowledge.defaults = values(&text);
        Ok(knowledge)
    }

    /// What the program understands of a file with this text.
    ///
    /// # Errors
    /// When a value makes no sense to it.
    pub(crate) fn understood(&self, text: &str) -> Result<Values, RuntimeConfigError> {
        let file = self.scratch.0.join("file");
        fs::write(&file, text).map_err(failed("write", &file))?;
        let understood = self.ask(&self.source.understood, &file);
        let text = understood
            .map_err(|said| RuntimeConfigError::Refused { program: self.program.clone(), said })?;
        Ok(values(&text))
    }

    /// Runs the program with these arguments: what it wrote, or what it said where it failed.
    fn ask(&self, arguments: &[String], file: &Path) -> Result<String, String> {
        let new = self.scratch.0.join("new");
        let _ = fs::remove_file(&new);
        let mut command = Command::new(&self.program);
        for argument in arguments {
            command.arg(match argument.as_str() {
                "{new}" => new.as_os_str(),
                "{file}" => file.as_os_str(),
                argument => argument.as_ref(),
            });
        }
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &self.scratch.0);
        command.current_dir(&self.scratch.0);
        let finished = programs::run(command, Listen::Both, Patience::of(TIME))
            .map_err(|error| error.to_string())?;
        if !finished.end.is_success() {
            return Err(programs::tail(&finished.output));
        }
        read(&new).map_err(|_| "it wrote no file".to_owned())
    }
}

/// The text of a file of settings.
///
/// # Errors
/// When it cannot be read, or is too long to be one.
pub(crate) fn read(path: &Path) -> Result<String, RuntimeConfigError> {
    let mut text = String::new();
    let file = open_to_read(path).map_err(failed("read", path))?;
    file.take(LIMIT).read_to_string(&mut text).map_err(failed("read", path))?;
    Ok(text)
}

/// Puts `text` into the place of the file `path` of the tree at `tree`, in one step. Nothing on the way to it may be a link,
/// or another's than these owners'.
///
/// # Errors
/// When it is, or the file cannot be written.
pub(crate) fn write(
    owners: &Owners,
    tree: &Path,
    path: &RelPath,
    text: &str,
) -> Result<(), RuntimeConfigError> {
    owners.check_root(tree)?;
    let mut directory = tree.to_owned();
    for name in path.as_path().parent().into_iter().flat_map(Path::components) {
        directory.push(name);
        owners.check_directory(&directory)?;
    }
    let fill = |file: &mut File| file.write_all(text.as_bytes());
    let new = Replacement::file(files::unique(&directory, "config"), Care::Durable(0o644), fill);
    let path = tree.join(path);
    new.and_then(|new| new.put(&path)).map_err(failed("write", &path))
}
