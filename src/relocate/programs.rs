//! Gives every program and library of a tree the run path that it needs.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::layout::{self, Unchangeable};
use super::tree::{Tree, at};
use super::{RelocateError, Relocated, launch, run_path};
use crate::elf::{Abi, Elf, ElfError, Linkage, Reading, Survey};
use crate::model::{FileKind, RelPath, RunPath, Runtime, Taken};
use crate::report::{Phase, Reporter};

/// What is to be done with one program or library.
struct Task {
    /// Its names in the tree, at least one.
    locations: Vec<RelPath>,
    /// Directories of the tree that hold what it needs.
    directories: Vec<String>,
    /// The run path to be written.
    rpath: Option<String>,
    /// The run path that it had in its package.
    before: RunPath,
    is_program: bool,
    /// Whether a launcher must say where the libraries are.
    is_launched: bool,
}

/// Relocates the programs and libraries in `tree`. Counts in [`Phase::Relocate`].
pub(super) fn relocate(
    tree: &mut Tree,
    abi: Abi,
    runtimes: &[&Runtime],
    host_libraries: &[String],
    reporter: &dyn Reporter,
    relocated: &mut Relocated,
) -> Result<(), RelocateError> {
    let mut tasks = plan(tree, abi, runtimes, host_libraries, relocated)?;
    let is_file = |kind: &FileKind| matches!(kind, FileKind::File { .. });
    let paths: Vec<RelPath> =
        tree.files().filter(|file| is_file(&file.kind)).map(|file| file.path.clone()).collect();
    for path in paths {
        if reporter.is_cancelled() {
            return Err(RelocateError::Cancelled);
        }
        if let Some(task) = tasks.remove(&path) {
            perform(tree, abi, &task, relocated)?;
        }
        reporter.advanced(Phase::Relocate, 1);
    }
    Ok(())
}

/// What must be done, by the first name of each file.
fn plan(
    tree: &Tree,
    abi: Abi,
    runtimes: &[&Runtime],
    host_libraries: &[String],
    relocated: &mut Relocated,
) -> Result<BTreeMap<RelPath, Task>, RelocateError> {
    let mut survey =
        Survey::of(&tree.dir, tree.files(), abi).map_err(|unopened| at(&unopened.0)(unopened.1))?;
    for path in &survey.foreign {
        relocated.notes.push(format!("{path} is for another architecture and was left as it is"));
    }
    for (path, reason) in &survey.unreadable {
        relocated.warnings.push(format!("{path} is malformed and was left as it is: {reason}"));
    }
    let actual = restore(&mut survey, tree.taken());
    let launched: Vec<&RelPath> =
        runtimes.iter().flat_map(|runtime| &runtime.library_path).collect();
    let tasks = (0..survey.objects.len()).filter_map(|index| {
        let directories = run_path::directories(&survey, index, host_libraries);
        let object = survey.objects.get(index)?;
        let is_launched = object.is_program()
            && !directories.is_empty()
            && object.locations.iter().any(|path| launched.contains(&path));
        let rpath = match is_launched {
            // From memory, `$ORIGIN` is `/`: a run path would find the host's libraries.
            true => None,
            false => run_path::rpath(&object.locations, &directories),
        };
        let task = Task {
            locations: object.locations.clone(),
            directories,
            is_program: object.is_program(),
            is_launched,
            rpath,
            before: run_path_of(&object.linkage),
        };
        let now = actual.get(&index).unwrap_or(&task.before);
        let is_done = is_run_path(now, task.rpath.as_deref()) && !is_launched;
        match (is_done, actual.contains_key(&index)) {
            (true, false) => None,
            (true, true) => {
                let names = task.locations.iter().cloned();
                relocated.run_paths.extend(names.map(|name| (name, task.before.clone())));
                None
            }
            // What was written into it does not come off without traces.
            (false, true) => Some(Err(RelocateError::Stale { path: object.path().clone() })),
            (false, false) => Some(Ok((object.path().clone(), task))),
        }
    });
    tasks.collect()
}

/// Gives the objects that were rewritten in another tree the run paths of their packages: those
/// decide. Returns what they have now, by their position.
fn restore(survey: &mut Survey<'_>, taken: &Taken) -> BTreeMap<usize, RunPath> {
    let mut actual = BTreeMap::new();
    for (index, object) in survey.objects.iter_mut().enumerate() {
        let before = object.locations.iter().find_map(|path| taken.get(path)?.as_ref());
        if let Some(before) = before {
            actual.insert(index, run_path_of(&object.linkage));
            object.linkage.rpath.clone_from(&before.rpath);
            object.linkage.runpath.clone_from(&before.runpath);
        }
    }
    actual
}

fn run_path_of(linkage: &Linkage) -> RunPath {
    RunPath { rpath: linkage.rpath.clone(), runpath: linkage.runpath.clone() }
}

fn is_run_path(run_path: &RunPath, rpath: Option<&str>) -> bool {
    run_path.runpath.is_none() && run_path.rpath.as_deref() == rpath
}

fn has_run_path(linkage: &Linkage, rpath: Option<&str>) -> bool {
    is_run_path(&run_path_of(linkage), rpath)
}

fn perform(
    tree: &mut Tree,
    abi: Abi,
    task: &Task,
    relocated: &mut Relocated,
) -> Result<(), RelocateError> {
    let Some(path) = task.locations.first() else { return Ok(()) };
    let change = |tree: &mut Tree, rpath: Option<&str>| {
        tree.change(path, |file| rewrite(file, abi, rpath).map_err(|source| source.at(path)))
    };
    let mut is_launched = task.is_launched;
    match change(tree, task.rpath.as_deref())? {
        Ok(growth) => {
            relocated.rewritten += 1;
            let names = task.locations.iter().cloned();
            relocated.run_paths.extend(names.map(|name| (name, task.before.clone())));
            relocated.growth += growth;
        }
        Err(reason) => {
            // An old run path would be searched before a library path: off with it, where possible.
            let _ = change(tree, None)?;
            is_launched = task.is_program;
            relocated.warnings.push(unchanged(path, task, &reason));
        }
    }
    if is_launched && !task.directories.is_empty() {
        for location in &task.locations {
            relocated.launched.push(launch::launch(tree, location, &task.directories)?);
        }
    }
    Ok(())
}

fn unchanged(path: &RelPath, task: &Task, reason: &Unchangeable) -> String {
    let instead = match task.is_program {
        true => "it got a launcher that sets LD_LIBRARY_PATH instead",
        false => "only programs that look in the right place will find its libraries",
    };
    format!("{path} cannot be given a run path ({reason}): {instead}")
}

/// Why writing into a file failed, other than by what the file is.
enum Failed {
    Io(std::io::Error),
    Lost,
}

impl Failed {
    fn at(self, path: &RelPath) -> RelocateError {
        match self {
            Self::Io(source) => at(path)(source),
            Self::Lost => RelocateError::Written { path: path.clone() },
        }
    }
}

/// Writes the run path into `file` and reads it back. Returns by how many bytes the file grew, or
/// why it was left as it was.
fn rewrite(
    file: &File,
    abi: Abi,
    rpath: Option<&str>,
) -> Result<Result<u64, Unchangeable>, Failed> {
    let patches = match planned(file, abi, rpath) {
        Ok(patches) => patches,
        Err(Unchangeable::Elf(ElfError::Io(source))) => return Err(Failed::Io(source)),
        Err(reason) => return Ok(Err(reason)),
    };
    let size = |file: &File| file.metadata().map(|metadata| metadata.len()).map_err(Failed::Io);
    let before = size(file)?;
    for patch in &patches {
        file.write_all_at(&patch.bytes, patch.offset).map_err(Failed::Io)?;
    }
    match Elf::read(file, abi) {
        Ok(Reading::Native(elf)) if has_run_path(&elf.linkage, rpath) => {
            Ok(Ok(size(file)?.saturating_sub(before)))
        }
        _ => Err(Failed::Lost),
    }
}

fn planned(
    file: &File,
    abi: Abi,
    rpath: Option<&str>,
) -> Result<Vec<crate::elf::Patch>, Unchangeable> {
    match Elf::read(file, abi)? {
        Reading::Native(elf) => layout::plan(file, &elf, abi, rpath),
        Reading::Other | Reading::Foreign => Err(Unchangeable::Wrong("it changed meanwhile")),
    }
}
