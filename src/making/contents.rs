//! What is in a tree in the making: packages and files, and those of the tree within it.

use std::collections::BTreeMap;

use crate::model::{
    GlibcVersion, Linking, Loading, PackageReceipt, ReceiptFile, RelPath, with_inner,
};

/// The account of a tree, or of the one within it.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Its packages, in the plan's order.
    pub(super) packages: Vec<PackageReceipt>,
    /// Its files, sorted by path.
    pub(super) files: Vec<ReceiptFile>,
    /// What each package brought, by its position in the plan.
    pub(super) brought: Vec<(usize, Vec<ReceiptFile>)>,
    /// How its programs find its libraries, once it was made movable.
    pub(super) loading: Loading,
    /// What its rewritten files asked of the loader before.
    pub(super) asked: BTreeMap<RelPath, Linking>,
    /// The newest glibc that any file asks for, those within included, once it was audited.
    pub(super) glibc_needed: Option<GlibcVersion>,
    /// What is bound into containers, where that is a tree of its own.
    pub(super) within: Option<Box<Contents>>,
}

impl Contents {
    /// Every package, those of the tree within it too.
    pub(crate) fn all_packages(&self) -> impl Iterator<Item = &PackageReceipt> {
        let parts = std::iter::successors(Some(self), |part| part.within.as_deref());
        parts.flat_map(|part| &part.packages)
    }

    /// Every file, those of the tree within it too, sorted by path.
    pub(crate) fn all_files(&self) -> Vec<ReceiptFile> {
        with_inner(&self.files, self.within.as_ref().map(|part| part.all_files()))
    }

    /// How all its programs find their libraries.
    pub(crate) fn all_loading(&self) -> Loading {
        let mut loading = self.loading.clone();
        if let Some(part) = &self.within {
            loading.add(&RelPath::container_directory(), part.all_loading());
        }
        loading
    }

    /// Adds a file that no package brought, in the part of the tree where it lies.
    pub(crate) fn add(&mut self, file: ReceiptFile) {
        let directory = RelPath::container_directory();
        let place = file.path.as_str().strip_prefix(directory.as_str());
        let place = place.and_then(|place| RelPath::new(place.strip_prefix('/')?).ok());
        match (&mut self.within, place) {
            (Some(part), Some(path)) => part.add(ReceiptFile { path, ..file }),
            _ => self.files.push(file),
        }
    }
}
