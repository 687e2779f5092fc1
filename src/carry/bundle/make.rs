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
use super::write::{Parts, Writer};
use super::{part_name, with_suffix};
use crate::carry::gather::{Contents, Item, Scope, gather};
use crate::carry::place::Stage;
use crate::carry::proving::LockedPackage;
use crate::context::Context;
use crate::error::Error;
use crate::fetch::Fetched;
use crate::metadata::Keys;
use crate::model::{Algorithm, Arch, Checksum, Plan, escape};
use crate::report::{Event, Phase};
use crate::tools::{files, threads};

/// Packages that are brought at the same time.
const AT_ONCE: usize = 6;
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
        Some(_) => part_name(output, 1),
    };
    check_place(&stem)?;
    let programs: Vec<(Arch, File)> = programs
        .iter()
        .map(|(arch, path)| Ok((*arch, open_program(*arch, path)?)))
        .collect::<Result<_, Error>>()?;
    let contents = gather(context, keys, plan, &[], Scope::Bundle)?;
    let stage = Stage::beside(output, "bundle")?;
    let brought = bring(context, &contents)?;
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
    let filling = Filling { context, keys, output, contents: &contents, brought };
    let members = filling.fill(&mut writer)?;
    let (parts, digest) = writer.finish(&title(plan)).map_err(error)?;
    if context.reporter.is_cancelled() {
        return Err(Error::Cancelled);
    }
    let size = crate::model::total(parts.files().iter().map(|(_, size)| *size));
    let count = parts.files().len();
    let mut moves: Vec<(String, PathBuf)> = match split {
        None => vec![(staged(1), output.to_owned())],
        Some(_) => (1..=count).map(|it| (staged(it), part_name(output, it))).collect(),
    };
    if split.is_some() {
        let sums = sums(&parts, output).map_err(error)?;
        let written = stage.create(SUMS, SUMS_MODE).and_then(|mut file| {
            file.write_all(sums.as_bytes())?;
            files::sync_written(&file)
        });
        written.map_err(error)?;
        moves.push((SUMS.to_owned(), with_suffix(output, ".sum")));
    }
    put(&stage, &moves).map_err(error)?;
    if split.is_some() {
        drop_parts_after(output, count).map_err(error)?;
    }
    let packages = contents.items.values().filter(|it| matches!(it, Item::Package(_))).count();
    let files = moves.into_iter().map(|(_, path)| path).collect();
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

/// Brings all packages here, some at a time.
fn bring(context: Context<'_>, contents: &Contents) -> Result<BTreeMap<String, Fetched>, Error> {
    let wanted: Vec<(&String, &LockedPackage)> = contents
        .items
        .iter()
        .filter_map(|(name, item)| match item {
            Item::Package(wanted) => Some((name, &**wanted)),
            _ => None,
        })
        .collect();
    let total = Some(crate::model::total(wanted.iter().map(|(_, it)| it.package.size)));
    context.reporter.event(Event::Started { phase: Phase::Download, total });
    let bring = |(name, wanted): &(&String, &LockedPackage)| {
        if context.reporter.is_cancelled() {
            return Err(Error::Cancelled);
        }
        Ok(((*name).clone(), wanted.bring(context)?))
    };
    let brought = threads::each(AT_ONCE, &wanted, bring)?;
    context.reporter.event(Event::Finished { phase: Phase::Download });
    Ok(brought.into_iter().collect())
}

/// A new bundle being filled.
struct Filling<'a> {
    context: Context<'a>,
    keys: &'a Keys<'a>,
    output: &'a Path,
    contents: &'a Contents,
    brought: BTreeMap<String, Fetched>,
}

impl Filling<'_> {
    /// Writes all members; a package is proved by the bytes that were written. Returns how many members there
    /// are, programs included.
    fn fill(&self, writer: &mut Writer<'_>) -> Result<usize, Error> {
        let error = |source| Error::File { path: self.output.to_owned(), source };
        let mut count = writer.programs();
        for (name, item) in &self.contents.items {
            if self.context.reporter.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let arch = self.arch(name);
            let (bytes, wanted) = match item {
                Item::Bytes(bytes) => (bytes.as_slice(), None),
                Item::Package(wanted) => (&[][..], Some(wanted)),
                // Lists of packages and programs are a mirror's.
                Item::Fetched(_) | Item::Program(..) => continue,
            };
            let fetched = self.brought.get(name);
            let written = writer.member(name.clone(), arch, |to| match fetched {
                Some(fetched) => fetched.read(|from| io::copy(from, to).map(drop)),
                None => to.write_all(bytes),
            });
            let written = written.map_err(error)?;
            if let Some(wanted) = wanted {
                wanted.prove(self.keys, self.context.reporter, &written)?;
            }
            count += 1;
        }
        Ok(count)
    }

    /// The one architecture that a package is for, if it is one.
    fn arch(&self, name: &str) -> Option<Arch> {
        let lists = self.contents.repositories.iter();
        let with_it = lists.filter(|(_, (_, paths))| paths.contains(name));
        let arches: BTreeSet<Arch> = with_it.map(|((_, arch), _)| *arch).collect();
        arches.first().copied().filter(|_| arches.len() == 1)
    }
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
fn sums(parts: &Parts<'_>, output: &Path) -> io::Result<String> {
    let (all, mut text, mut at) = (parts.written()?, String::new(), 0);
    let name =
        |path: &Path| path.file_name().unwrap_or(OsStr::new("")).to_string_lossy().into_owned();
    for (number, (_, size)) in parts.files().iter().enumerate() {
        let (digest, _) = Checksum::of_reader(Algorithm::Sha256, all.cut(at, *size))?;
        let _ = writeln!(text, "{}  {}", digest.hex(), name(&part_name(output, number + 1)));
        at += size;
    }
    let (digest, _) = Checksum::of_reader(Algorithm::Sha256, all)?;
    let _ = writeln!(text, "{}  {}", digest.hex(), name(output));
    Ok(text)
}

/// Renames what was made, one after the other.
fn put(stage: &Stage, moves: &[(String, PathBuf)]) -> io::Result<()> {
    for (from, to) in moves {
        fs::rename(stage.path.join(from), to)?;
    }
    moves.first().and_then(|(_, to)| to.parent()).map_or(Ok(true), files::sync_directory).map(drop)
}

/// Removes what an older bundle of more parts has left.
fn drop_parts_after(output: &Path, count: usize) -> io::Result<()> {
    for number in count + 1.. {
        match fs::remove_file(part_name(output, number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            removed => removed?,
        }
    }
    Ok(())
}
