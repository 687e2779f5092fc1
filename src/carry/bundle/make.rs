//! Makes a bundle beside the one that is there, and puts it into its place.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::head::{Beginning, OPENING};
use super::program::{open_program, program_name};
use super::write::{Parts, Writer, Written};
use super::{part_name, part_of, with_suffix};
use crate::carry::gather::{Contents, Item, Member, Origin, Scope, gather};
use crate::carry::place::Stage;
use crate::context::Context;
use crate::error::Error;
use crate::metadata::Keys;
use crate::model::{Algorithm, Arch, Checksum, Plan, escape};
use crate::tools::files;

/// Permissions: it is a program. Those of the sums are a file's.
const MODE: u32 = 0o755;
const SUMS_MODE: u32 = 0o644;
/// What the sums are called until they take their place.
const SUMS: &str = "sums";

/// What the caller decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BundleOptions<'a> {
    /// Where the bundle is to be: an absolute path.
    pub output: &'a Path,
    /// Most bytes of a file, where it is split: into `….001` and so on.
    pub split: Option<u64>,
    /// The programs.
    pub programs: &'a BTreeMap<Arch, PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Bundled {
    /// How many packages it has.
    pub packages: usize,
    /// How many members, programs included.
    pub members: usize,
    /// Bytes of the whole.
    pub size: u64,
    /// Its files.
    pub files: Vec<PathBuf>,
    /// The digest of its index.
    pub digest: Checksum,
}

/// Makes the bundle for `plan`.
///
/// # Errors
/// When something else is in its place, or something cannot be had, proved or written. What was there is there
/// then, whole.
pub(crate) fn make(
    context: Context<'_>,
    keys: &Keys<'_>,
    plan: &Plan,
    options: BundleOptions<'_>,
) -> Result<Bundled, Error> {
    let BundleOptions { output, split, programs } = options;
    let stem = match split {
        None => output.to_owned(),
        Some(_) => part_name(output, 1, ""),
    };
    check_place(&stem)?;
    let programs: Vec<(Arch, File)> = programs
        .iter()
        .map(|(arch, path)| Ok((*arch, open_program(*arch, path)?)))
        .collect::<Result<_, Error>>()?;
    let contents = gather(context, keys, plan, &[], Scope::Bundle)?;
    let stage = Stage::beside(output, "bundle")?;
    // Some at a time; they are written one after the other.
    let brought = contents.each((context, keys), Member::bring)?;
    let error = |source| Error::File { path: output.to_owned(), source };
    let staged = |number: usize| match split {
        None => "whole".to_owned(),
        Some(_) => format!("part {number}"),
    };
    let make = |number: usize| stage.create(&staged(number), MODE);
    let mut writer = Writer::begin(split, &make).map_err(error)?;
    for (arch, file) in programs {
        writer.program(program_name(arch), arch, file).map_err(error)?;
    }
    if split.is_some_and(|limit| limit < writer.at()) {
        let least = writer.at();
        let why = format!("the first part has the programs: --split {least} is the least");
        return Err(Error::Usage(why));
    }
    let members = fill(&mut writer, (context, output), &contents, &brought)?;
    let Written { parts, index: digest, set } = writer.finish(&title(plan)).map_err(error)?;
    if context.reporter.is_cancelled() {
        return Err(Error::Cancelled);
    }
    let size = crate::model::total(parts.files().iter().map(|(_, size)| *size));
    let files = match split {
        None => {
            let moves = [(staged(1), output.to_owned())];
            put(&stage, &moves).map_err(error)?;
            moves.into_iter().map(|(_, path)| path).collect()
        }
        Some(_) => put_parts(&stage, (&parts, output, &set), &staged).map_err(error)?,
    };
    let packages = contents.items.values().filter(|it| matches!(it, Item::Package(_))).count();
    Ok(Bundled { packages, members, size, files, digest })
}

/// Refuses to replace what is no bundle.
fn check_place(path: &Path) -> Result<(), Error> {
    let mut beginning = Vec::new();
    let limit = OPENING.len() as u64;
    let read = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(about) if about.is_file() && about.len() == 0 => return Ok(()),
        Ok(about) if about.is_file() => {
            File::open(path).and_then(|file| file.take(limit).read_to_end(&mut beginning))
        }
        Ok(_) => Ok(0),
        Err(error) => Err(error),
    };
    read.map_err(|source| Error::File { path: path.to_owned(), source })?;
    match Beginning::of(&beginning) {
        Beginning::Bundle(_) => Ok(()),
        _ => Err(Error::Usage(format!(
            "{} is there, and no bundle: name another file",
            escape(&path.to_string_lossy())
        ))),
    }
}

/// Writes all members; a package is proved by the bytes that were written. Returns how many members there are,
/// programs included.
fn fill(
    writer: &mut Writer<'_>,
    (context, output): (Context<'_>, &Path),
    contents: &Contents,
    brought: &[(Member<'_>, Origin<'_>)],
) -> Result<usize, Error> {
    for (member, origin) in brought {
        if context.reporter.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let arch = arch(contents, member.path);
        let written = writer.member(member.path.to_owned(), arch, |to| origin.copy(to));
        let written = written.map_err(|source| Error::File { path: output.to_owned(), source })?;
        member.prove(&written)?;
    }
    Ok(writer.programs() + brought.len())
}

/// The one architecture that the package at `path` is for, if it is one.
fn arch(contents: &Contents, path: &str) -> Option<Arch> {
    let with_it = contents.repositories.iter().filter(|(_, (_, paths))| paths.contains(path));
    let arches: BTreeSet<Arch> = with_it.map(|((_, arch), _)| *arch).collect();
    arches.first().copied().filter(|_| arches.len() == 1)
}

/// What a plan installs, for people.
fn title(plan: &Plan) -> String {
    let runtimes = plan.trees.iter().flat_map(|tree| &tree.runtimes);
    let runtimes: BTreeSet<String> =
        runtimes.map(|runtime| format!("{} {}", runtime.name, runtime.version)).collect();
    let trees = plan.trees.iter().map(|tree| format!("{} of {}", tree.arch, tree.dist));
    let runtimes = runtimes.into_iter().collect::<Vec<_>>().join(", ");
    format!("{runtimes} ({})", trees.collect::<Vec<_>>().join(", "))
}

/// The SHA-256 of each part and of the whole, as `sha256sum` has them.
fn sums(parts: &Parts<'_>, output: &Path, set: &str) -> io::Result<String> {
    let (all, mut text, mut at) = (parts.written()?, String::new(), 0);
    let name =
        |path: &Path| path.file_name().unwrap_or(OsStr::new("")).to_string_lossy().into_owned();
    for (number, (_, size)) in parts.files().iter().enumerate() {
        let (digest, _) = Checksum::of_reader(Algorithm::Sha256, all.cut(at, *size))?;
        let _ = writeln!(text, "{}  {}", digest.hex(), name(&part_name(output, number + 1, set)));
        at += size;
    }
    let (digest, _) = Checksum::of_reader(Algorithm::Sha256, all)?;
    let _ = writeln!(text, "{}  {}", digest.hex(), name(output));
    Ok(text)
}

/// Renames what was made, one after the other, for good.
fn put(stage: &Stage, moves: &[(String, PathBuf)]) -> io::Result<()> {
    for (from, to) in moves {
        fs::rename(stage.path.join(from), to)?;
    }
    moves.first().and_then(|(_, to)| to.parent()).map_or(Ok(true), files::sync_directory).map(drop)
}

/// Puts the parts of a bundle into their places: the first one last. It names the others, which have names of their
/// own, so that with it the new bundle is there, and until then the old one is. Returns all files.
fn put_parts(
    stage: &Stage,
    (parts, output, set): (&Parts<'_>, &Path, &str),
    staged: &dyn Fn(usize) -> String,
) -> io::Result<Vec<PathBuf>> {
    let mut file = stage.create(SUMS, SUMS_MODE)?;
    file.write_all(sums(parts, output, set)?.as_bytes())?;
    files::sync_written(&file)?;
    let place = |number: usize| (staged(number), part_name(output, number, set));
    let others: Vec<_> = (2..=parts.files().len()).map(place).collect();
    put(stage, &others)?;
    // Better none for a moment than that of another bundle.
    let sum = with_suffix(output, ".sum");
    match fs::remove_file(&sum) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let last = [place(1), (SUMS.to_owned(), sum)];
    put(stage, &last)?;
    drop_other_parts(output, &others)?;
    let [(_, first), (_, sum)] = last;
    let others = others.into_iter().map(|(_, path)| path);
    Ok([first].into_iter().chain(others).chain([sum]).collect())
}

/// Removes what other bundles of this name have left.
fn drop_other_parts(output: &Path, ours: &[(String, PathBuf)]) -> io::Result<()> {
    let Some((directory, stem)) = output.parent().zip(output.file_name()) else { return Ok(()) };
    let stem = stem.to_string_lossy();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or(OsStr::new("")).to_string_lossy();
        if part_of(&name, &stem).is_some() && ours.iter().all(|(_, our)| *our != path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
