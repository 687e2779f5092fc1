//! Which launchers trees have, wherever they lie: one for every program of a runtime that some tree holds.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::error::Error;
use crate::launcher::{self, Candidate, LaunchedTrees};
use crate::model::{Arch, Command, GlibcVersion, MadeWith, Receipt, RelPath};
use crate::planning::definitions::made_with;

/// The trees of one dist, for several architectures.
#[derive(Clone)]
pub(crate) struct DistTrees {
    /// Where they are, beside `bin`: empty, or ending in `/`.
    pub(crate) directory: String,
    /// One for each architecture.
    pub(crate) trees: Vec<MadeWithReceipt>,
}

/// A tree, and what it was made with.
#[derive(Clone)]
pub(crate) struct MadeWithReceipt {
    receipt: Receipt,
    with: MadeWith,
}

impl MadeWithReceipt {
    /// The tree of this receipt.
    ///
    /// # Errors
    /// When neither that nor a definition says what it was made with.
    pub(crate) fn new(catalog: &Catalog, receipt: Receipt) -> Result<Self, Error> {
        let with = made_with(catalog, &receipt)?;
        Ok(Self { receipt, with })
    }

    /// The same, for a shadow of the tree: what one needs definitions say where the receipt is older than that.
    ///
    /// # Errors
    /// As [`MadeWithReceipt::new`].
    pub(crate) fn for_shadow(catalog: &Catalog, receipt: Receipt) -> Result<Self, Error> {
        let mut made = Self::new(catalog, receipt)?;
        for runtime in &mut made.with.runtimes {
            if let (true, Ok(definition)) =
                (runtime.shadow.is_nothing(), catalog.runtime(&runtime.name))
            {
                runtime.shadow = definition.shadow.clone();
            }
        }
        Ok(made)
    }

    /// Programs of which a shadow has copies, sorted.
    pub(crate) fn copied_programs(&self) -> Vec<RelPath> {
        let copies = self.with.runtimes.iter().flat_map(|runtime| &runtime.shadow.copies);
        let mut copies: Vec<_> = copies.filter(|path| self.receipt.has(path)).cloned().collect();
        copies.sort();
        copies.dedup();
        copies
    }

    /// The glibc that a machine must have for it: its dist's own, which its packages may ask for after
    /// an update, or what it asks for where that is more.
    fn glibc(&self) -> GlibcVersion {
        let oldest = GlibcVersion { major: 2, minor: 0 };
        self.with.glibc.max(self.receipt.glibc_needed).unwrap_or(oldest)
    }
}

/// Names and texts of the launchers of every program in `parts`. Those of trees that lie beside `bin` run
/// the one of their architecture; where there are trees of several dists, they choose among those.
#[must_use]
pub(crate) fn launchers(parts: &[DistTrees], kind: LaunchedTrees) -> BTreeMap<String, String> {
    let is_choosing = parts.iter().any(|part| !part.directory.is_empty());
    // What was made last counts where definitions changed.
    let mut made: Vec<&MadeWithReceipt> = parts.iter().flat_map(|part| &part.trees).collect();
    made.sort_by_key(|tree| tree.receipt.installed_at);
    let mut launchers = BTreeMap::new();
    for tree in made {
        for runtime in &tree.with.runtimes {
            let commands = runtime.commands.iter();
            for command in commands.filter(|command| tree.receipt.has(&command.path)) {
                let mut environment = runtime.environment.clone();
                if kind == LaunchedTrees::Shadow {
                    environment.extend(runtime.shadow.environment.iter().cloned());
                }
                let (name, environment, places) = (&runtime.name, &environment, &runtime.places);
                let text = match is_choosing {
                    false => launcher::text(name, command, environment, places, kind),
                    true => {
                        let trees = trees(parts, name, command);
                        launcher::choosing(name, command, environment, places, kind, &trees)
                    }
                };
                launchers.insert(command.name.clone(), text);
            }
        }
    }
    launchers
}

/// The trees that have `command`, and what they need.
fn trees(parts: &[DistTrees], runtime: &str, command: &Command) -> Vec<Candidate> {
    let tree = |part: &DistTrees| {
        let has = |tree: &&MadeWithReceipt| {
            let is_installed = tree.with.runtimes.iter().any(|it| it.name == runtime);
            is_installed && tree.receipt.has(&command.path)
        };
        let having: Vec<&MadeWithReceipt> = part.trees.iter().filter(has).collect();
        let levels = having.iter().filter(|tree| tree.receipt.arch == Arch::X86_64);
        Some(Candidate {
            directory: part.directory.clone(),
            dist: having.first()?.receipt.dist.clone(),
            glibc: having.iter().map(|tree| tree.glibc()).max()?,
            x86_64_level: levels.map(|tree| tree.with.x86_64_level).max().unwrap_or(1),
        })
    };
    parts.iter().filter_map(tree).collect()
}
