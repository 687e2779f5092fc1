//! Puts back what is damaged, and touches nothing else.
//!
//! Directories, symlinks and modes are made from the receipt. The content of files comes from the
//! packages that own them, and only those are fetched: they are unpacked beside, together with
//! copies of the programs and libraries of the other packages, which decide how they are relocated.
//! Whether that gave the right files their digests say. Where it did not, the whole tree is made
//! anew beside; and where that does not help either, nothing is replaced. What another generation has
//! right is taken from there first, and what is put right is put right in every generation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::install::explain_space;
use super::verify::{Extent, generations, receipt, verify};
use super::{Verification, launchers, siblings};
use crate::context::Context;
use crate::elf;
use crate::error::Error;
use crate::launcher;
use crate::making::{self, Contents, Making};
use crate::metadata::Keys;
use crate::model::{FileKind, LAUNCHED_DIRECTORY, Receipt, ReceiptFile, RelPath, TreePlan};
use crate::planning::definitions::{check_all, pinned};
use crate::prefix::{Generation, Locked, Prefix};
use crate::tools::files;
use crate::verify::{Finding, Problem};

/// One tree under repair.
struct Repair<'a> {
    context: Context<'a>,
    keys: &'a Keys<'a>,
    prefix: &'a Locked,
    generation: &'a Generation,
    receipt: &'a Receipt,
    /// All its files, those of the tree within it too.
    files: &'a [ReceiptFile],
}

/// Verifies, as [`verify`] does, puts back what is damaged, and verifies again. Extra files stay:
/// nobody knows whose they are.
///
/// # Errors
/// When a package cannot be had or is not genuine, or the prefix cannot be written. Every file is
/// then the damaged one or the right one.
pub(super) fn repair(
    context: Context<'_>,
    keys: &Keys<'_>,
    prefix: &Prefix,
    extent: Extent<'_>,
    wait: bool,
) -> Result<Verification, Error> {
    let prefix = &prefix.lock(wait, context.reporter)?;
    prefix.clean(context.reporter)?;
    keys.know(&prefix.known_keys()?);
    let before = verify(context.catalog, prefix, extent, context.reporter)?;
    let is_told = !before.launchers.is_empty() || !before.programs.is_empty();
    if before.damage() == 0 && !is_told {
        return Ok(before);
    }
    let mut under_repair = generations(prefix, extent.all)?;
    // What runs goes first: of older generations not every package may be left.
    under_repair.sort_by_key(|(_, is_live)| !is_live);
    for (generation, _) in under_repair {
        let findings = before.trees.iter().find(|tree| {
            (tree.arch, tree.generation) == (generation.arch, Some(generation.number))
        });
        let findings = findings.map_or(&[][..], |tree| &tree.findings);
        if let Ok(receipt) = &receipt(prefix, &generation)? {
            let generation = &generation;
            let files = &receipt.all_files();
            let repair = Repair { context, keys, prefix, generation, receipt, files };
            repair.run(findings).map_err(|error| explain_space(prefix, error))?;
        }
    }
    prefix.keep_keys(keys.known())?;
    if !before.launchers.is_empty() {
        let live = launchers::live(prefix)?;
        launchers::write(context.catalog, prefix, live.iter(), context.reporter)?;
        if prefix.keeps_programs() {
            prefix.write_launchers(&BTreeMap::from([prefix.own_launcher(launcher::own)]))?;
        }
    }
    if let Some((arch, program)) = extent.program {
        let place = Path::new("program").join(arch.as_str()).join("elsewhere");
        let is_its = |finding: &Finding| Path::new(&finding.path).ends_with(&place);
        if before.programs.iter().any(is_its) {
            prefix.keep_program(arch, program, launcher::own)?;
        }
    }
    verify(context.catalog, prefix, extent, context.reporter)
}

impl Repair<'_> {
    fn run(&self, findings: &[Finding]) -> Result<(), Error> {
        let mut lost: Vec<&ReceiptFile> = Vec::new();
        for file in self.files {
            let is_its = |finding: &&Finding| finding.path == file.path.as_str();
            let problem = findings.iter().find(is_its).map(|finding| &finding.problem);
            let Some(problem) = problem.filter(|problem| problem.is_damage()) else { continue };
            match (problem, &file.kind) {
                (Problem::Mode { .. }, _) | (_, FileKind::Directory | FileKind::Symlink { .. }) => {
                    self.prefix.restore(self.generation, file, None)?;
                }
                (Problem::Gap { .. }, _) => {}
                (_, FileKind::File { .. }) => lost.push(file),
            }
        }
        let damaged = lost.clone();
        lost = siblings::mend(self.prefix, self.generation, lost, self.context.reporter)?;
        if !lost.is_empty() {
            self.fetch(lost)?;
        }
        siblings::spread(self.prefix, self.generation, &damaged, self.context.reporter)
    }

    /// Puts the `lost` files back from the packages that own them.
    fn fetch(&self, mut lost: Vec<&ReceiptFile>) -> Result<(), Error> {
        check_all(self.context.catalog, self.receipt)?;
        let plan = pinned(self.context, self.receipt)?;
        let owner = |file: &&ReceiptFile| Some((file.is_inside(), self.owner(file)?));
        let owners: BTreeSet<(bool, &str)> = lost.iter().filter_map(owner).collect();
        let mut owned = plan.clone();
        keep_owners(&mut owned, &owners, false);
        for (plan, is_whole) in [(owned, false), (plan, true)] {
            if !lost.is_empty() {
                lost = self.remake(&plan, is_whole, lost)?;
            }
        }
        Ok(())
    }

    /// The package that `file` is made from. A launcher in a program's place comes with the program.
    fn owner(&self, file: &'_ ReceiptFile) -> Option<&str> {
        let launched = match self.receipt.all_loading() {
            Some(loading) => loading.started(&file.path).as_path().to_owned(),
            None => Path::new(LAUNCHED_DIRECTORY).join(&file.path),
        };
        let is_it =
            |other: &&ReceiptFile| other.path == file.path || other.path.as_path() == launched;
        let mut files = self.files.iter().filter(is_it);
        files.find_map(|file| file.package.as_deref())
    }

    /// Makes the packages of `plan` anew, puts back what of `lost` that gives, and returns the
    /// rest.
    fn remake<'f>(
        &self,
        plan: &TreePlan,
        is_whole: bool,
        lost: Vec<&'f ReceiptFile>,
    ) -> Result<Vec<&'f ReceiptFile>, Error> {
        let staging = self.prefix.stage(plan.arch)?;
        let making = Making::new(self.context, plan, &staging)?;
        let (context, keys) = (self.context, self.keys);
        making::fill(context, keys, std::slice::from_ref(&making))?;
        let mut contents = making.account(keys);
        let tree = staging.path().to_owned();
        if !is_whole {
            self.add_others(&tree, &mut contents, &lost)
                .map_err(|source| Error::Staging { path: tree.clone(), source })?;
        }
        match making.relocate(context, &mut contents) {
            // A part of a tree need not make sense: the whole one will.
            Err(Error::Relocate(error)) if !is_whole => {
                context.reporter.detail(format!("{error}: the whole tree is made anew"));
                return Ok(lost);
            }
            relocated => relocated?,
        }
        let files = contents.all_files();
        let mut rest = Vec::new();
        for file in lost {
            match files.iter().any(|made| made.path == file.path && made.kind == file.kind) {
                true => {
                    let new = tree.join(&file.path);
                    self.prefix.restore(self.generation, file, Some(&new))?;
                    context.reporter.note(format!("{}: put back", file.path));
                }
                false => rest.push(file),
            }
        }
        Ok(rest)
    }

    /// Adds what else decides how programs are relocated to the tree at `staged`, which has
    /// these `contents`: the other packages' directories, symlinks, programs and libraries.
    fn add_others(
        &self,
        staged: &Path,
        contents: &mut Contents,
        lost: &[&ReceiptFile],
    ) -> io::Result<()> {
        let there: BTreeSet<RelPath> =
            contents.all_files().into_iter().map(|file| file.path).collect();
        for file in self.files {
            if there.contains(&file.path) || lost.contains(&file) {
                continue;
            }
            let (from, to) = (self.generation.path.join(&file.path), staged.join(&file.path));
            let is_added = match &file.kind {
                FileKind::Directory => fs::create_dir(&to).map(|()| true)?,
                FileKind::Symlink { target } => symlink(target, &to).map(|()| true)?,
                FileKind::File { .. } if file.is_config() || !elf::is_elf(&File::open(&from)?)? => {
                    false
                }
                FileKind::File { .. } => {
                    files::copy(&File::open(&from)?, |mode| files::create(&to, mode))
                        .map(|_| true)?
                }
            };
            if is_added {
                contents.add(file.clone());
            }
        }
        Ok(())
    }
}

/// Leaves those packages in `plan` that are among `owners`: names, and whether they lie in the tree within.
fn keep_owners(plan: &mut TreePlan, owners: &BTreeSet<(bool, &str)>, is_inside: bool) {
    plan.packages.retain(|package| owners.contains(&(is_inside, package.nevra.name.as_str())));
    if let Some(part) = &mut plan.container {
        keep_owners(part, owners, true);
    }
}
