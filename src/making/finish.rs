//! A tree whose packages are there is made movable, audited and tried out; and with it the one within it,
//! in the same way.

use std::path::Path;
use std::thread;

use super::contents::Contents;
use super::judge::Judge;
use super::make::Making;
use crate::audit::{self, Audit};
use crate::context::Context;
use crate::error::Error;
use crate::metadata::Keys;
use crate::model::{
    Aided, GlibcVersion, Loading, RECEIPT_FORMAT, Receipt, ReceiptFile, RelPath, Reuse,
};
use crate::planning::definitions;
use crate::relocate::{self, Relocation};
use crate::smoke::{self, Trial};
use crate::tools::threads;
use crate::workshop::MadeTree;

impl Making<'_> {
    /// Relocates, audits, tries out and accounts for the tree, and makes it durable.
    ///
    /// # Errors
    /// When any of these fails; the tree is then not to go live.
    pub(crate) fn finish(
        &self,
        context: Context<'_>,
        keys: &Keys<'_>,
        now: u64,
        (judge, scratch): (&Judge<'_>, &Path),
    ) -> Result<Receipt, Error> {
        let mut contents = self.account(keys);
        self.relocate(context, &mut contents)?;
        // The disk works while the tree is tried out: nothing changes it any more.
        let (synced, proven) = thread::scope(|scope| {
            let sync = threads::spawn(scope, || {
                let _measuring = context.reporter.measure("sync");
                self.workshop.sync().map_err(Error::from)
            });
            let proven = self.prove(context, &mut contents, (judge, scratch));
            (sync.join().unwrap_or(Err(Error::Panicked)), proven)
        });
        // A disk that is full explains whatever else failed.
        synced?;
        proven?;
        let measuring = context.reporter.measure("sync what was written meanwhile");
        self.workshop.sync_again()?;
        drop(measuring);
        Ok(self.receipt(context, now, contents))
    }

    /// Makes the tree movable, and the one within it.
    ///
    /// # Errors
    /// When it cannot be changed.
    pub(crate) fn relocate(
        &self,
        context: Context<'_>,
        contents: &mut Contents,
    ) -> Result<(), Error> {
        let measuring = context.reporter.measure("relocate");
        self.relocate_part(context, contents, true)?;
        drop(measuring);
        tell_launched(context, &contents.all_loading());
        Ok(())
    }

    fn relocate_part(
        &self,
        context: Context<'_>,
        contents: &mut Contents,
        makes_declared: bool,
    ) -> Result<(), Error> {
        let job = Relocation {
            tree: self.path(),
            arch: self.plan.arch,
            runtimes: &self.runtimes,
            makes_declared,
            program: self.program.as_deref(),
            host_libraries: &self.host_gives.libraries,
            reporter: context.reporter,
        };
        let relocated = job.run(&self.kept().taken, &mut contents.files)?;
        relocated.warnings.into_iter().for_each(|warning| context.reporter.detail(warning));
        (contents.loading, contents.asked) = (relocated.loading, relocated.asked);
        if let (Some(within), Some(inner)) = (&self.within, &mut contents.within) {
            // What is declared is made in the outer tree, and leads into this one.
            within.relocate_part(context, inner, false)?;
            let (tree, directory) = (self.path(), RelPath::container_directory());
            let (outside, inside) = (&mut contents.files, &inner.files);
            relocate::link_into(tree, &directory, outside, inside, &self.runtimes)?;
        }
        Ok(())
    }

    /// Audits the tree and tries it out.
    fn prove(
        &self,
        context: Context<'_>,
        contents: &mut Contents,
        (judge, scratch): (&Judge<'_>, &Path),
    ) -> Result<(), Error> {
        let arch = self.plan.arch;
        let target = context.target(arch).and_then(|target| target.glibc());
        let measuring = context.reporter.measure("audit");
        let audit = self.audit(context, contents, target)?;
        drop(measuring);
        tell_needs(context, &audit);
        if !audit.gaps.is_empty() {
            return Err(Error::Gaps { arch, gaps: audit.gaps });
        }
        let versions = self.plan.runtimes.iter().map(|runtime| runtime.version.as_str());
        let runtimes: Vec<_> = self.runtimes.iter().copied().zip(versions).collect();
        let native = context.runs_here(arch, audit.glibc_needed);
        let trial = Trial {
            tree: self.path(),
            arch,
            files: &contents.all_files(),
            loading: &contents.all_loading(),
            host_libraries: &self.host_gives.libraries,
            runtimes: &runtimes,
            scratch,
            judge,
        };
        // That nothing can be run from there is told already.
        if judge.can_run || !native {
            let _measuring = context.reporter.measure("try out");
            smoke::run(&trial, native, context.reporter)?;
        }
        Ok(())
    }

    /// Audits the tree and the one within it, each by itself: neither finds the other's libraries.
    fn audit(
        &self,
        context: Context<'_>,
        contents: &mut Contents,
        target: Option<GlibcVersion>,
    ) -> Result<Audit, Error> {
        let (arch, libraries) = (self.plan.arch, &self.host_gives.libraries);
        let (files, loading) = (&contents.files, &contents.loading);
        let mut audit = audit::audit(self.path(), arch, files, libraries, loading, target)?;
        if let (Some(within), Some(inner)) = (&self.within, &mut contents.within) {
            let inside = within.audit(context, inner, target)?;
            tell_newer(context, &within.plan.dist, inside.glibc_needed);
            audit.add(&RelPath::container_directory(), inside);
        }
        contents.glibc_needed = audit.glibc_needed;
        Ok(audit)
    }

    /// The receipt of the tree.
    fn receipt(&self, context: Context<'_>, now: u64, contents: Contents) -> Receipt {
        let Contents { packages, files, brought, loading, asked, glibc_needed, within } = contents;
        let reusable = brought.iter().filter_map(|(position, files)| {
            let planned = self.plan.packages.get(*position)?;
            Some((planned.nevra.name.as_str(), planned.files.as_slice(), files.as_slice()))
        });
        let reuse = Reuse::of(relocate::RULES, reusable, &files, &asked);
        let container = self.within.as_ref().zip(within);
        Receipt {
            format: RECEIPT_FORMAT,
            arch: self.plan.arch,
            dist: self.plan.dist.clone(),
            disabled_repositories: self.plan.disabled_repositories.clone(),
            enabled_repositories: self.plan.enabled_repositories.clone(),
            runtimes: self.plan.runtimes.clone(),
            installed_at: now,
            elsewhere: env!("CARGO_PKG_VERSION").to_owned(),
            glibc_needed,
            sources: self.plan.sources.clone(),
            packages,
            files,
            set: Vec::new(),
            loading: Some(loading),
            reuse: Some(reuse),
            without_modes: !self.workshop.keeps_modes(),
            made_with: Some(definitions::of_definitions(
                context.catalog,
                &self.plan.dist,
                &self.runtimes,
            )),
            container: container.map(|(part, inner)| Box::new(part.receipt(context, now, *inner))),
        }
    }
}

/// Warns where what is bound into containers asks for a newer glibc than those of its `dist` have; of a
/// dist that has no definition any more nobody knows.
fn tell_newer(context: Context<'_>, dist: &str, asked: Option<GlibcVersion>) {
    let has = context.catalog.dist(dist).ok().map(|dist| dist.glibc);
    if let Some((asked, has)) = asked.zip(has).filter(|(asked, has)| asked > has) {
        context.reporter.warning(format!(
            "what is bound into containers asks for glibc {asked}, and {dist} has {has}: it does not \
             run in containers as old as that"
        ));
    }
}

/// Audits a finished tree and the one within it; the user's configuration may be gone, and nothing is
/// loaded from there. How its programs find its libraries its receipt says; one of an older version says
/// nothing.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn audit_made(tree: &MadeTree, libraries: &[String]) -> Result<Audit, Error> {
    let MadeTree { path, receipt } = tree;
    let files: Vec<ReceiptFile> =
        receipt.files.iter().filter(|file| !file.is_config()).cloned().collect();
    let loading = match &receipt.loading {
        Some(loading) => loading.clone(),
        None => relocate::loading(path, receipt.arch, &files, libraries)?,
    };
    let mut audit = audit::audit(path, receipt.arch, &files, libraries, &loading, None)?;
    if let Some(within) = tree.within() {
        audit.add(&RelPath::container_directory(), audit_made(&within, libraries)?);
    }
    Ok(audit)
}

/// Names the programs that are started by a launcher, and says why.
fn tell_launched(context: Context<'_>, loading: &Loading) {
    let name = |aided: &Aided| {
        let because = aided.because.as_deref().unwrap_or("starts itself again from memory");
        let name = aided.launcher.as_ref().unwrap_or(&aided.path);
        format!("{name} ({because})")
    };
    let names: Vec<String> = loading.launched().map(name).collect();
    if !names.is_empty() {
        context.reporter.detail(format!(
            "programs that a launcher tells where their libraries are: {}: {}",
            names.len(),
            names.join(", ")
        ));
    }
}

/// Says what a tree asks of its machine, and what only running it can prove.
fn tell_needs(context: Context<'_>, audit: &Audit) {
    let mut needs = Vec::new();
    if let (Some(glibc), Some(path)) = (audit.glibc_needed, &audit.glibc_needed_by) {
        needs.push(format!("glibc {glibc} (for {path})"));
    }
    if audit.x86_64_level > 1 {
        needs.push(format!("a processor of x86-64-v{}", audit.x86_64_level));
    }
    if !needs.is_empty() {
        context.reporter.detail(format!("the tree needs {}", needs.join(", ")));
    }
    for demand in &audit.unproven {
        context.reporter.detail(format!("whether glibc has it can only be tried: {demand}"));
    }
}
