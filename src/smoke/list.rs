//! Has the host's glibc loader list the libraries of every program and library of a tree. What the tree
//! brings must be found in the tree: that this machine happens to have it too proves nothing of others.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::process::start;
use super::{Fault, SmokeError, Trial};
use crate::elf::{Abi, Elf, ElfError, Reading};
use crate::model::{Arch, FileKind, RelPath, is_among};
use crate::report::{Phase, Reporter};
use crate::tools::programs::{self, End};
use crate::tools::threads;

/// How long the loader may take for one file: network file systems can be slow.
const LIST_LIMIT: Duration = Duration::from_secs(30);

/// More threads than this would wait for the disk only.
const THREADS: usize = 4;

/// A program or library that the loader can be asked about.
pub(super) struct Dynamic<'a> {
    path: &'a RelPath,
    /// The sonames that it asks for.
    needed: Vec<String>,
}

/// The programs and libraries of the tree that the loader can load, or should: what is malformed it may
/// judge.
pub(super) fn dynamic_files<'a>(trial: &Trial<'a>) -> Result<Vec<Dynamic<'a>>, SmokeError> {
    let mut found = Vec::new();
    for file in trial.files.iter().filter(|file| matches!(file.kind, FileKind::File { .. })) {
        let path = trial.tree.join(&file.path);
        let needed = needed(&path, trial.arch);
        let needed = needed.map_err(|source| SmokeError::Io { action: "read", path, source })?;
        found.extend(needed.map(|needed| Dynamic { path: &file.path, needed }));
    }
    Ok(found)
}

/// What the file at `path` asks for; `None` where it is no program or library with a dynamic section.
fn needed(path: &Path, arch: Arch) -> io::Result<Option<Vec<String>>> {
    match Elf::read(&File::open(path)?, Abi::of(arch)) {
        Ok(Reading::Native(elf)) if elf.dynamic.is_some() => Ok(Some(elf.linkage.needed)),
        Err(ElfError::Io(source)) => Err(source),
        Err(ElfError::Malformed(_)) => Ok(Some(Vec::new())),
        Ok(_) => Ok(None),
    }
}

/// Has the loader list the libraries of every file, several at a time. Returns how many there were.
pub(super) fn list_all(
    trial: &Trial<'_>,
    programs: &[Dynamic<'_>],
    reporter: &dyn Reporter,
) -> Result<usize, SmokeError> {
    let bundled = Bundled::of(trial)?;
    let done = threads::each(THREADS, programs, |program| {
        list(trial, &bundled, program, reporter)?;
        reporter.advanced(Phase::Test, 1);
        Ok(())
    })?;
    Ok(done.len())
}

/// Has the loader list one file's libraries, as whatever starts or loads that file has it search.
fn list(
    trial: &Trial<'_>,
    bundled: &Bundled<'_>,
    program: &Dynamic<'_>,
    reporter: &dyn Reporter,
) -> Result<(), SmokeError> {
    let path = program.path;
    let mut command = Command::new(trial.arch.loader());
    if let Some(aided) = trial.loading.aided(path) {
        let directories =
            aided.library_path.iter().map(|path| trial.tree.join(path).into_os_string());
        let directories: Vec<OsString> = directories.collect();
        command.arg("--library-path").arg(directories.join(":".as_ref()));
    }
    command.arg("--list").arg(trial.tree.join(path)).env_clear().current_dir(trial.scratch);
    let shown = format!("{} --list {path}", trial.arch.loader());
    let finished = start(command, &shown, LIST_LIMIT, reporter)?;
    let is_found = !finished.output.contains("not found");
    let unloadable = |lines: Vec<&str>, fault| SmokeError::Unloadable {
        path: path.clone(),
        output: programs::tail(&lines.join("\n")),
        fault,
    };
    match finished.end {
        End::Exited(status) if status.success() && is_found => {
            match bundled.strayed(program, &finished.output) {
                Some((line, inside)) => Err(unloadable(vec![line], Fault::Tree(inside))),
                None => Ok(()),
            }
        }
        End::Cancelled => Err(SmokeError::Cancelled),
        _ => {
            let lines =
                finished.output.lines().filter(|line| is_found || line.contains("not found"));
            let lines: Vec<&str> = lines.collect();
            let fault = lines.iter().find_map(|line| bundled.fault(line)).unwrap_or(Fault::TooOld);
            Err(unloadable(lines, fault))
        }
    }
}

/// What the tree has that can be loaded by name.
struct Bundled<'a> {
    trial: &'a Trial<'a>,
    /// The tree, with no symlink in its path.
    root: std::path::PathBuf,
    names: BTreeSet<&'a str>,
}

impl<'a> Bundled<'a> {
    fn of(trial: &'a Trial<'a>) -> Result<Self, SmokeError> {
        let path = trial.tree.to_owned();
        let root = fs::canonicalize(&path).map_err(|source| SmokeError::Io {
            action: "find",
            path,
            source,
        })?;
        let is_loaded = |kind: &FileKind| !matches!(kind, FileKind::Directory);
        let files = trial.files.iter().filter(|file| is_loaded(&file.kind));
        let names = files.map(|file| file.path.file_name());
        let names =
            names.filter(|name| name.contains(".so") && !is_among(trial.host_libraries, name));
        Ok(Self { trial, root, names: names.collect() })
    }

    /// A place in the tree of the library `name`.
    fn place(&self, name: &str) -> Option<RelPath> {
        let name = self.names.get(name)?;
        let mut files = self.trial.files.iter();
        files.find(|file| file.path.file_name() == *name).map(|file| file.path.clone())
    }

    /// The line of a loader's list by which `program` gets from the host what the tree has, and where the
    /// tree has it.
    fn strayed<'t>(&self, program: &Dynamic<'_>, output: &'t str) -> Option<(&'t str, RelPath)> {
        output.lines().find_map(|line| {
            let (name, rest) = line.trim().split_once(" => ")?;
            let inside = self.place(name).filter(|_| program.needed.iter().any(|it| it == name))?;
            let (found, _) = rest.rsplit_once(" (")?;
            let found = fs::canonicalize(found).ok()?;
            (!found.starts_with(&self.root)).then_some((line, inside))
        })
    }

    /// What a line of the loader's says of a library that was not found.
    fn fault(&self, line: &str) -> Option<Fault> {
        const UNFOUND: [&str; 2] = [" => not found", ": cannot open shared object file"];
        let before = UNFOUND.iter().find_map(|words| Some(line.split_once(words)?.0))?;
        let name = before.rsplit([' ', '\t']).next()?;
        Some(match self.place(name) {
            Some(path) => Fault::Tree(path),
            None => Fault::Host(name.to_owned()),
        })
    }
}
