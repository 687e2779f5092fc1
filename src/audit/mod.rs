//! Stage 9b: proves, without running anything, that a tree has all that its programs and
//! libraries need, or that the host gives it.
//!
//! Every program is loaded in thought, as glibc's `ld.so` would: run paths are inherited, a
//! library once loaded serves all, symbol versions must be defined.

mod gap;
mod loader;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

pub use gap::Gap;

use crate::elf::{Abi, Survey, Unopened};
use crate::model::{Arch, GlibcVersion, Loading, ReceiptFile, RelPath};
use loader::Loader;

/// The version that files with compact relative relocations ask for; glibc defines it since this.
const ABI_VERSIONS: [(&str, GlibcVersion); 1] =
    [("GLIBC_ABI_DT_RELR", GlibcVersion { major: 2, minor: 36 })];

/// What a tree needs of the host, and what it lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// The newest glibc that any file asks for; `None` when none asks for any.
    pub glibc_needed: Option<GlibcVersion>,
    /// A file that asks for it.
    pub glibc_needed_by: Option<RelPath>,
    /// The x86-64 level (1 to 4) that files say they need; 0 when none says anything. Few do.
    pub x86_64_level: u8,
    /// Demands on glibc that name no version known here, so that only running them can tell:
    /// `lib64/libx.so.1: GLIBC_ABI_GNU2_TLS`.
    pub unproven: Vec<String>,
    /// What is missing, sorted.
    pub gaps: Vec<Gap>,
}

impl Audit {
    /// Adds that of a tree which lies in the directory `directory` of this one.
    pub fn add(&mut self, directory: &RelPath, inner: Self) {
        let placed = |path: RelPath| directory.join(&path);
        if self.glibc_needed < inner.glibc_needed {
            self.glibc_needed = inner.glibc_needed;
            self.glibc_needed_by = inner.glibc_needed_by.map(placed);
        }
        self.x86_64_level = self.x86_64_level.max(inner.x86_64_level);
        let in_place = |text: String| format!("{directory}/{text}");
        self.unproven.extend(inner.unproven.into_iter().map(in_place));
        let in_place = |gap: Gap| gap.placed(|path| directory.join(path));
        self.gaps.extend(inner.gaps.into_iter().map(in_place));
    }
}

/// Why a tree cannot be audited.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The tree itself cannot be opened.
    #[error("cannot open the tree {}", .path.display())]
    Tree {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of the tree cannot be read.
    #[error("cannot read {path} in the tree")]
    File {
        /// Where in the tree.
        path: RelPath,
        /// Why not.
        source: io::Error,
    },
}

impl AuditError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Tree { .. } => None,
            Self::File { .. } => Some("the tree was changed after it was installed".to_owned()),
        }
    }
}

/// Audits the tree at `tree`, for `arch`, which has `files`. A soname that matches one of
/// `host_libraries` (`*` for any characters) is the host's. `loading` says which programs and libraries
/// are told where to look. With a `target`, files that ask for a newer glibc are gaps.
///
/// # Errors
/// When the tree cannot be read. What it lacks is no error here: the caller decides.
pub fn audit(
    tree: &Path,
    arch: Arch,
    files: &[ReceiptFile],
    host_libraries: &[String],
    loading: &Loading,
    target: Option<GlibcVersion>,
) -> Result<Audit, AuditError> {
    let dir = Dir::open_ambient_dir(tree, ambient_authority())
        .map_err(|source| AuditError::Tree { path: tree.to_owned(), source })?;
    let survey = Survey::of(&dir, files.iter(), Abi::of(arch))
        .map_err(|Unopened(path, source)| AuditError::File { path, source })?;
    let mut audit = Audit::default();
    let mut gaps = BTreeSet::new();
    for (path, reason) in &survey.unreadable {
        gaps.insert(Gap::Unreadable { path: path.clone(), reason: reason.to_string() });
    }
    ask_glibc(&survey, target, &mut audit, &mut gaps);
    if arch == Arch::X86_64 {
        let levels = survey.objects.iter().map(|object| object.linkage.x86_64_level);
        audit.x86_64_level = levels.max().unwrap_or(0);
    }
    load_all(&survey, host_libraries, loading, &mut gaps);
    audit.gaps = gaps.into_iter().collect();
    Ok(audit)
}

/// Loads every program, and then every library that none of them loads: plugins, preloads.
fn load_all(
    survey: &Survey,
    host_libraries: &[String],
    loading: &Loading,
    gaps: &mut BTreeSet<Gap>,
) {
    let mut loader = Loader::new(survey, host_libraries, gaps);
    for programs in [true, false] {
        for (index, object) in survey.objects.iter().enumerate() {
            if object.is_program() != programs || (!programs && loader.was_loaded(index)) {
                continue;
            }
            for location in &object.locations {
                loader.load(index, location, loading.aided(location));
            }
        }
    }
}

/// Finds the newest glibc that is asked for, and what asks for more than `target` has.
fn ask_glibc(
    survey: &Survey,
    target: Option<GlibcVersion>,
    audit: &mut Audit,
    gaps: &mut BTreeSet<Gap>,
) {
    for object in &survey.objects {
        let path = object.path();
        let mut newest = None;
        let demands = object.linkage.required.iter().filter(|required| !required.weak);
        for required in demands.filter(|required| required.version.starts_with("GLIBC_")) {
            let (library, version) = (required.library.clone(), required.version.clone());
            match glibc_version(&version) {
                Some(number) => newest = newest.max(Some((number, version, library))),
                None if version == "GLIBC_PRIVATE" => {
                    gaps.insert(Gap::Private { path: path.clone(), library });
                }
                None => audit.unproven.push(format!("{path}: {}", crate::model::escape(&version))),
            }
        }
        let Some((number, version, library)) = newest else { continue };
        if audit.glibc_needed.is_none_or(|needed| needed < number) {
            audit.glibc_needed = Some(number);
            audit.glibc_needed_by = Some(path.clone());
        }
        if let Some(target) = target.filter(|target| *target < number) {
            gaps.insert(Gap::Glibc { path: path.clone(), library, version, target });
        }
    }
}

fn glibc_version(name: &str) -> Option<GlibcVersion> {
    let marker = ABI_VERSIONS.iter().find(|(marker, _)| *marker == name);
    marker.map(|(_, version)| *version).or_else(|| GlibcVersion::from_symbol_version(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_relocations_need_glibc_2_36() {
        let version = |minor| Some(GlibcVersion { major: 2, minor });
        assert_eq!(glibc_version("GLIBC_ABI_DT_RELR"), version(36));
        assert_eq!(glibc_version("GLIBC_2.38"), version(38));
        assert_eq!(glibc_version("GLIBC_ABI_NEWER"), None);
        assert_eq!(glibc_version("GLIBC_PRIVATE"), None);
    }
}
