//! Sees to it that every program and library of a tree finds what it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::direct;
use super::layout;
use super::run_path::{self, Reach};
use super::tree::{Tree, at};
use super::unchangeable::Unchangeable;
use super::{RelocateError, Relocated, launch};
use crate::elf::{Abi, Elf, ElfError, Linkage, Object, Reading, Survey};
use crate::model::{Aided, FileKind, Linking, RelPath, Runtime, Taken};
use crate::report::{Phase, Reporter};

/// One program or library.
struct Task {
    /// Its names in the tree, at least one.
    locations: Vec<RelPath>,
    /// What it loads.
    reach: Reach,
    /// What it asked in its package.
    before: Linking,
    /// What it asks since it was in another tree, from which it was taken over.
    taken: Option<Linking>,
    /// Its libraries by their places, where it may name them so.
    direct: Option<Vec<String>>,
    /// Whether it can load libraries by names that nothing lists.
    opens: bool,
    /// Whether it is started, not only loaded by others.
    is_program: bool,
    /// Whether others load it by its name, so that nothing else may have its place.
    is_library: bool,
    /// Whether a definition says that it starts itself again from memory.
    is_in_memory: bool,
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
    let survey =
        Survey::of(&tree.dir, tree.files(), abi).map_err(|unopened| at(&unopened.0)(unopened.1))?;
    for path in &survey.foreign {
        reporter.detail(format!("{path} is for another architecture and was left as it is"));
    }
    for (path, reason) in &survey.unreadable {
        relocated.warnings.push(format!("{path} is malformed and was left as it is: {reason}"));
    }
    let tasks = plan(tree, survey, runtimes, host_libraries);
    let is_file = |kind: &FileKind| matches!(kind, FileKind::File { .. });
    let files = tree.files().filter(|file| is_file(&file.kind)).count();
    let named: usize = tasks.iter().map(|task| task.locations.len()).sum();
    reporter.advanced(Phase::Relocate, files.saturating_sub(named) as u64);
    let mut work = Work { tree, abi, relocated, carried: BTreeMap::new() };
    // Libraries first: programs search for those that cannot search for themselves.
    for programs in [false, true] {
        let extra = if programs { work.unserved(&tasks) } else { Vec::new() };
        for (index, task) in tasks.iter().enumerate() {
            if task.is_program != programs {
                continue;
            }
            if reporter.is_cancelled() {
                return Err(RelocateError::Cancelled);
            }
            work.perform(index, &tasks, &extra)?;
            reporter.advanced(Phase::Relocate, task.locations.len() as u64);
        }
    }
    work.account(&tasks);
    if relocated.rewritten > 0 {
        let Relocated { rewritten, growth, .. } = relocated;
        reporter.detail(format!(
            "programs and libraries that find the tree's libraries now: {rewritten}, which grew by {growth} bytes"
        ));
    }
    Ok(())
}

/// Every program and library, by its position in the survey.
fn plan(
    tree: &Tree,
    mut survey: Survey<'_>,
    runtimes: &[&Runtime],
    host_libraries: &[String],
) -> Vec<Task> {
    let mut taken = restore(&mut survey, tree.taken());
    let in_memory: Vec<&RelPath> =
        runtimes.iter().flat_map(|runtime| &runtime.library_path).collect();
    let by_path: Vec<&RelPath> =
        runtimes.iter().flat_map(|runtime| &runtime.opens_by_path).collect();
    let is_any = |object: &Object, paths: &[&RelPath]| {
        object.locations.iter().any(|path| paths.contains(&path))
    };
    let tasks = survey.objects.iter().enumerate().map(|(index, object)| Task {
        reach: run_path::reach(&survey, index, host_libraries),
        before: asked_of(&object.linkage),
        taken: taken.remove(&index),
        direct: may_be_direct(tree, object, runtimes)
            .then(|| direct::direct(&survey, index, host_libraries))
            .flatten(),
        opens: object.linkage.may_load_others && !is_any(object, &by_path),
        is_program: object.is_program(),
        is_library: !object.is_program() || object.linkage.soname.is_some(),
        is_in_memory: object.is_program() && is_any(object, &in_memory),
        locations: object.locations.clone(),
    });
    let mut tasks: Vec<Task> = tasks.collect();
    let openers: Vec<(usize, Vec<String>)> = openers(&tasks).collect();
    for (index, directories) in openers {
        if let Some(task) = tasks.get_mut(index) {
            task.reach.directories = directories;
        }
    }
    tasks
}

/// The libraries that open others by name and need none of the tree, and the directories in which the
/// programs that load them have theirs: each gets a run path, so that these programs need none.
fn openers(tasks: &[Task]) -> impl Iterator<Item = (usize, Vec<String>)> {
    let is_opener =
        |task: &Task| task.opens && !task.is_program && task.reach.directories.is_empty();
    tasks.iter().enumerate().filter(move |(_, task)| is_opener(task)).map(|(index, task)| {
        let own = task.locations.iter().filter_map(RelPath::parent).map(String::from);
        let users =
            tasks.iter().filter(|user| user.is_program && user.reach.objects.contains(&index));
        let theirs = users.flat_map(|user| user.reach.directories.iter().cloned());
        (index, run_path::unique(own.chain(theirs).collect()))
    })
}

/// Whether a program may name its libraries by their places: not where others load it by its name, and not
/// where it is bound into containers alone, which may have the libraries.
fn may_be_direct(tree: &Tree, object: &Object, runtimes: &[&Runtime]) -> bool {
    let faces_containers = |path: &RelPath| {
        let package = tree.file(path).and_then(|file| file.package.as_ref());
        package.is_some_and(|package| {
            runtimes.iter().any(|runtime| runtime.container_facing.contains(package))
        })
    };
    object.is_program()
        && object.linkage.soname.is_none()
        && !object.locations.iter().any(faces_containers)
}

/// Lets the objects that were rewritten in another tree ask what they asked in their packages: that
/// decides. Returns what they ask now, by their position.
fn restore(survey: &mut Survey<'_>, taken: &Taken) -> BTreeMap<usize, Linking> {
    let mut actual = BTreeMap::new();
    for (index, object) in survey.objects.iter_mut().enumerate() {
        let before = object.locations.iter().find_map(|path| taken.get(path)?.as_ref());
        if let Some(before) = before {
            actual.insert(index, asked_of(&object.linkage));
            object.linkage.needed.clone_from(&before.needed);
            object.linkage.rpath.clone_from(&before.rpath);
            object.linkage.runpath.clone_from(&before.runpath);
        }
    }
    actual
}

fn asked_of(linkage: &Linkage) -> Linking {
    let Linkage { needed, rpath, runpath, .. } = linkage;
    Linking { needed: needed.clone(), rpath: rpath.clone(), runpath: runpath.clone() }
}

/// A tree while its programs and libraries are rewritten.
struct Work<'a, 't> {
    tree: &'a mut Tree<'t>,
    abi: Abi,
    relocated: &'a mut Relocated,
    /// The libraries that got no run path, by their positions, and why.
    carried: BTreeMap<usize, String>,
}

impl Work<'_, '_> {
    /// Lets the object at `index` of `tasks` find its libraries, where it can be told where they are. What can
    /// load libraries that it does not name searches `extra` too.
    fn perform(
        &mut self,
        index: usize,
        tasks: &[Task],
        extra: &[String],
    ) -> Result<(), RelocateError> {
        let Some(task) = tasks.get(index) else { return Ok(()) };
        let mut directories = task.reach.directories.clone();
        if task.reach.is_open {
            directories.extend_from_slice(extra);
            directories = run_path::unique(directories);
        }
        let searched = in_tree(&directories);
        self.relocated.loading.directories.extend(searched.iter().cloned());
        let is_in_memory = task.is_in_memory && !directories.is_empty();
        let rpath = match is_in_memory {
            // From memory, `$ORIGIN` is `/`: a run path would find the host's libraries.
            true => None,
            false => run_path::rpath(&task.locations, &directories),
        };
        let searching =
            Linking { needed: task.before.needed.clone(), rpath: rpath.clone(), runpath: None };
        if let Some(needed) = task.direct.clone().filter(|_| !is_in_memory) {
            let keeps = task.reach.is_open && (!extra.is_empty() || self.searches(index, tasks));
            let direct = Linking { needed, rpath: rpath.filter(|_| keeps), runpath: None };
            if self.write(task, &direct)?.is_ok() {
                return Ok(());
            }
        }
        let because = match self.write(task, &searching)? {
            _ if is_in_memory => None,
            Ok(()) => return Ok(()),
            Err(reason) => {
                self.take_off(task, &reason)?;
                Some(reason.to_string())
            }
        };
        match because {
            Some(because) if task.is_library => {
                self.carried.insert(index, because);
                Ok(())
            }
            because => self.launch(task, &searched, because.as_ref()),
        }
    }

    /// Whether the program at `index` of `tasks` may look for libraries in its own run path although it names
    /// all of them: because it opens some by name, or a library does that has no run path itself.
    fn searches(&self, index: usize, tasks: &[Task]) -> bool {
        let objects = task_objects(tasks, index);
        objects.filter(|(_, task)| task.opens).any(|(object, task)| {
            object == index
                || task.reach.directories.is_empty()
                || self.carried.contains_key(&object)
        })
    }

    /// Sees to it that the file asks this of the loader and nothing else; or says why it cannot.
    fn write(
        &mut self,
        task: &Task,
        wanted: &Linking,
    ) -> Result<Result<(), Unchangeable>, RelocateError> {
        let Some(path) = task.locations.first() else { return Ok(Ok(())) };
        let is_done = task.taken.as_ref().unwrap_or(&task.before) == wanted;
        match (is_done, &task.taken) {
            (true, None) => return Ok(Ok(())),
            (true, Some(_)) => {
                self.note(task);
                return Ok(Ok(()));
            }
            // What was written into it does not come off without traces.
            (false, Some(_)) => return Err(RelocateError::Stale { path: path.clone() }),
            (false, None) => {}
        }
        let written = self.change(path, wanted)?;
        if let Ok(growth) = written {
            self.relocated.rewritten += 1;
            self.relocated.growth += growth;
            self.note(task);
        }
        Ok(written.map(|_| ()))
    }

    /// Takes off the run path that a file has which cannot get another: it would be searched before a
    /// library path.
    fn take_off(&mut self, task: &Task, reason: &Unchangeable) -> Result<(), RelocateError> {
        let Some(path) = task.locations.first() else { return Ok(()) };
        let Linking { needed, rpath, runpath } = &task.before;
        if rpath.is_some() || runpath.is_some() {
            let bare = Linking { needed: needed.clone(), ..Linking::default() };
            let _ = self.change(path, &bare)?;
        }
        self.relocated.warnings.push(unchanged(path, task, reason));
        Ok(())
    }

    fn change(
        &mut self,
        path: &RelPath,
        wanted: &Linking,
    ) -> Result<Result<u64, Unchangeable>, RelocateError> {
        let abi = self.abi;
        self.tree.change(path, |file| rewrite(file, abi, wanted).map_err(|source| source.at(path)))
    }

    /// Remembers what the file asked before.
    fn note(&mut self, task: &Task) {
        let names = task.locations.iter().cloned();
        self.relocated.asked.extend(names.map(|name| (name, task.before.clone())));
    }

    /// Puts a launcher in the program's place.
    fn launch(
        &mut self,
        task: &Task,
        library_path: &[RelPath],
        because: Option<&String>,
    ) -> Result<(), RelocateError> {
        if library_path.is_empty() {
            return Ok(());
        }
        for location in &task.locations {
            let path = launch::launch(self.tree, location, library_path)?;
            let (launcher, because) = (Some(location.clone()), because.cloned());
            let library_path = library_path.to_vec();
            self.relocated.loading.aided.push(Aided { path, launcher, library_path, because });
        }
        Ok(())
    }

    /// The directories of those libraries without a run path that no run path of others leads to.
    fn unserved(&self, tasks: &[Task]) -> Vec<String> {
        let alone = self.carried.keys().filter(|index| !self.is_served(tasks, **index));
        let tasks = alone.filter_map(|index| tasks.get(*index));
        run_path::unique(tasks.flat_map(|task| task.reach.directories.clone()).collect())
    }

    /// Whether a program, or a library with a run path, names the library at `index`, or one that does.
    fn is_served(&self, tasks: &[Task], index: usize) -> bool {
        let finds = |(user, task): (usize, &Task)| {
            !self.carried.contains_key(&user) && task.reach.objects.contains(&index)
        };
        tasks.iter().enumerate().any(finds)
    }

    /// Tells which libraries others search for.
    fn account(&mut self, tasks: &[Task]) {
        let is_opened = tasks.iter().any(|task| task.is_program && task.reach.is_open);
        for (index, because) in &self.carried {
            let Some(task) = tasks.get(*index) else { continue };
            let library_path = in_tree(&task.reach.directories);
            if library_path.is_empty() || (!is_opened && !self.is_served(tasks, *index)) {
                continue;
            }
            let aided = |path: &RelPath| Aided {
                path: path.clone(),
                launcher: None,
                library_path: library_path.clone(),
                because: Some(because.clone()),
            };
            self.relocated.loading.aided.extend(task.locations.iter().map(aided));
        }
        let loading = &mut self.relocated.loading;
        loading.aided.sort_by(|one, other| one.path.cmp(&other.path));
        let directories = std::mem::take(&mut loading.directories);
        let directories: BTreeSet<RelPath> = directories.into_iter().collect();
        loading.directories = directories.into_iter().collect();
    }
}

/// What the object at `index` loads of the tree, itself included, with its position.
fn task_objects(tasks: &[Task], index: usize) -> impl Iterator<Item = (usize, &Task)> {
    let objects = tasks.get(index).into_iter().flat_map(|task| &task.reach.objects);
    objects.filter_map(|object| Some((*object, tasks.get(*object)?)))
}

/// Directories as places in the tree, but for its root.
pub(super) fn in_tree(directories: &[String]) -> Vec<RelPath> {
    directories.iter().filter_map(|directory| RelPath::new(directory).ok()).collect()
}

fn unchanged(path: &RelPath, task: &Task, reason: &Unchangeable) -> String {
    let instead = match task.is_library {
        true => "programs of this tree that load it search for its libraries",
        false => "it got a launcher that sets LD_LIBRARY_PATH instead",
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

/// Lets `file` ask what is `wanted`, and reads it back. Returns by how many bytes the file grew, or
/// why it was left as it was.
fn rewrite(file: &File, abi: Abi, wanted: &Linking) -> Result<Result<u64, Unchangeable>, Failed> {
    let patches = match planned(file, abi, wanted) {
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
        Ok(Reading::Native(elf)) if asked_of(&elf.linkage) == *wanted => {
            Ok(Ok(size(file)?.saturating_sub(before)))
        }
        _ => Err(Failed::Lost),
    }
}

fn planned(
    file: &File,
    abi: Abi,
    wanted: &Linking,
) -> Result<Vec<crate::elf::Patch>, Unchangeable> {
    match Elf::read(file, abi)? {
        Reading::Native(elf) => layout::plan(file, &elf, abi, wanted),
        Reading::Other | Reading::Foreign => Err(Unchangeable::Wrong("it changed meanwhile")),
    }
}
