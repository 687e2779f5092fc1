//! How programs find their libraries in trees whose receipts do not say it: as the relocation that made
//! them must have decided.

use std::collections::BTreeSet;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::{RelocateError, programs, run_path};
use crate::elf::{Abi, Survey};
use crate::model::{Aided, Arch, LAUNCHED_DIRECTORY, Loading, ReceiptFile, RelPath};

/// Why a library has no run path, where nobody noted it.
const UNTOLD: &str = "its receipt does not say why";

/// What relocation told of the tree at `tree`, for `arch`, which has `files`, found out again.
///
/// # Errors
/// When the tree cannot be read.
pub(crate) fn loading(
    tree: &Path,
    arch: Arch,
    files: &[ReceiptFile],
    host_libraries: &[String],
) -> Result<Loading, RelocateError> {
    let dir = Dir::open_ambient_dir(tree, ambient_authority())
        .map_err(|source| RelocateError::Tree { path: tree.to_owned(), source })?;
    let survey = Survey::of(&dir, files.iter(), Abi::of(arch))
        .map_err(|unopened| super::tree::at(&unopened.0)(unopened.1))?;
    let mut aided = Vec::new();
    let mut searched = BTreeSet::new();
    for (index, object) in survey.objects.iter().enumerate() {
        let reach = run_path::reach(&survey, index, host_libraries);
        let library_path = programs::in_tree(&reach.directories);
        searched.extend(library_path.iter().cloned());
        let linkage = &object.linkage;
        let has_run_path = linkage.rpath.is_some() || linkage.runpath.is_some();
        for path in object.locations.iter().filter(|_| !library_path.is_empty()) {
            let inner = path.as_str().strip_prefix(LAUNCHED_DIRECTORY);
            let launcher = inner.and_then(|inner| RelPath::new(inner.strip_prefix('/')?).ok());
            let because = match launcher {
                // As if from memory, which is the safe side: it has no run path either way.
                Some(_) => None,
                None if !object.is_program() && !has_run_path => Some(UNTOLD.to_owned()),
                None => continue,
            };
            let library_path = library_path.clone();
            aided.push(Aided { path: path.clone(), launcher, library_path, because });
        }
    }
    aided.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(Loading { directories: searched.into_iter().collect(), aided })
}
