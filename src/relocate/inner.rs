//! A smaller tree within a tree, with packages of another dist: each is made movable for itself, so that
//! neither finds the other's libraries. Links that the definitions declare lead from the outer tree
//! into the inner one where that has their targets.

use std::path::Path;

use super::tree::Tree;
use super::{RelocateError, Relocated, Relocation};
use crate::model::{ReceiptFile, RelPath, Runtime, Taken};

impl Relocation<'_> {
    /// As [`Relocation::run`], of a tree whose directory `inner` is a tree of its own, if it has one.
    ///
    /// # Errors
    /// As [`Relocation::run`].
    pub fn run_both(
        &self,
        taken: &Taken,
        inner: &RelPath,
        files: &mut Vec<ReceiptFile>,
    ) -> Result<Relocated, RelocateError> {
        let (mut inside, mut outside) = split(files, inner);
        if inside.is_empty() {
            return self.run(taken, files);
        }
        let mut relocated = self.run(taken, &mut outside)?;
        // What is declared is made in the outer tree.
        let plain = |runtime: &&Runtime| Runtime {
            links: Vec::new(),
            directories: Vec::new(),
            ..(*runtime).clone()
        };
        let plain: Vec<Runtime> = self.runtimes.iter().map(plain).collect();
        let plain: Vec<&Runtime> = plain.iter().collect();
        let place = self.tree.join(inner);
        let within = Relocation { tree: &place, runtimes: &plain, ..*self };
        let more = within.run(&Taken::new(), &mut inside)?;
        relocated.rewritten += more.rewritten;
        relocated.growth += more.growth;
        relocated.warnings.extend(more.warnings);
        relocated.loading.add(inner, more.loading);
        link(self.tree, inner, &mut outside, &inside, self.runtimes)?;
        let within = |file: ReceiptFile| ReceiptFile { path: inner.join(&file.path), ..file };
        outside.extend(inside.into_iter().map(within));
        outside.sort_by(|one, other| one.path.cmp(&other.path));
        *files = outside;
        Ok(relocated)
    }
}

/// The files below `inner`, by their places in there, and the others, `inner` itself among them.
#[must_use]
pub fn split(files: &[ReceiptFile], inner: &RelPath) -> (Vec<ReceiptFile>, Vec<ReceiptFile>) {
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for file in files {
        let within = file.path.as_path().strip_prefix(inner.as_path()).ok();
        let within = within.and_then(Path::to_str).and_then(|path| RelPath::new(path).ok());
        match within {
            Some(path) => inside.push(ReceiptFile { path, ..file.clone() }),
            None => outside.push(file.clone()),
        }
    }
    (inside, outside)
}

/// Makes the declared links whose targets `inside` has, in the place of others.
fn link(
    tree: &Path,
    inner: &RelPath,
    outside: &mut Vec<ReceiptFile>,
    inside: &[ReceiptFile],
    runtimes: &[&Runtime],
) -> Result<(), RelocateError> {
    let taken = Taken::new();
    let mut staged = Tree::open(tree, outside, &taken)?;
    let mut made: Vec<&RelPath> = Vec::new();
    for link in runtimes.iter().flat_map(|runtime| &runtime.links) {
        let leads = inside.iter().any(|file| file.path == link.target);
        let is_free = staged.file(&link.path).is_none_or(|file| file.is_symlink());
        if leads && is_free && !made.contains(&&link.path) {
            let target = inner.join(&link.target);
            staged.make_link(&link.path, &link.path.link_text_to(&target))?;
            made.push(&link.path);
        }
    }
    *outside = staged.close()?;
    Ok(())
}
