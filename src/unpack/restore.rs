//! Packages that were unpacked before: their files come from the store, which is not believed. Each is copied
//! beside, and the copy held against the digest in the proven header; when all are there, and not before,
//! they get their places.

use crate::model::{Checksum, RelPath, escape};
use crate::report::{Phase, Reporter};
use crate::store::{Store, StoredPackage};
use crate::tools::{files, threads};
use crate::trust::{Header, HeaderFile, ProvenHeader};

use super::keeping::Keeping;
use super::layout::{Layout, Placement, Thing};
use super::session::{hard_links, same_file, target};
use super::tree::Aside;
use super::writer::{Writer, write_error};
use super::{Destination, UnpackError, Unpacked, tell_changes};

/// Files that are copied at the same time, at the most.
const COPIES: usize = 4;

/// What became of a package of the store.
pub(crate) enum Restored {
    /// It is in the tree.
    Whole(Unpacked),
    /// Something is wrong with it, in words, and nothing of it is in the tree.
    Spoilt(String),
}

/// Puts the package of `header` into `destination`, all of it or the files that `only` names, from `entry`.
///
/// # Errors
/// [`UnpackError`], where the package itself is to blame or the tree cannot be written.
pub(crate) fn restore(
    store: &Store,
    entry: &StoredPackage,
    header: &ProvenHeader,
    only: &[RelPath],
    destination: &Destination,
    reporter: &dyn Reporter,
) -> Result<Restored, UnpackError> {
    let header = header.header();
    let mut layout = match Layout::new(header, only) {
        Ok(layout) => layout,
        // It will be said of the package itself, if that is so.
        Err(error) => return Ok(Restored::Spoilt(error.to_string())),
    };
    let groups = groups(&layout);
    let aside = groups
        .first()
        .map(|group| Aside::make(destination.tree).map_err(write_error(header, &group.path)));
    let aside = aside.transpose()?;
    if let Some(aside) = &aside {
        let copying = Copying { header, store, entry, aside, reporter };
        match threads::each(COPIES, &groups, |group| copying.copy(group)) {
            Ok(_) => {}
            Err(Trouble::Spoilt(reason)) => return Ok(Restored::Spoilt(reason)),
            Err(Trouble::Failed(error)) => return Err(error),
        }
    }
    destination.claims.claim(&mut layout)?;
    tell_changes(header, &layout, reporter);
    let writer = Writer::new(header, destination.tree, Keeping::nothing(), reporter);
    place(&layout, &groups, aside.as_ref(), writer)?;
    Ok(Restored::Whole(Unpacked {
        files: layout.receipt(),
        signed_by: header.signed_by.clone(),
        license: header.license.clone(),
        source_rpm: header.source_rpm.clone(),
    }))
}

/// One file, and the numbers of its names.
struct Group<'a> {
    file: &'a HeaderFile,
    path: RelPath,
    digest: Checksum,
    mode: u32,
    /// Those that have a place; the first is what its copy is called meanwhile.
    numbers: Vec<usize>,
}

/// The regular files of a package that have a place.
fn groups<'a>(layout: &Layout<'a>) -> Vec<Group<'a>> {
    let header = layout.header;
    let links = hard_links(header);
    let mut is_seen = vec![false; header.files.len()];
    let mut groups = Vec::new();
    for (number, file) in header.files.iter().enumerate() {
        let Some(Placement { path, thing: Thing::File { digest, mode }, .. }) =
            &layout.places[number]
        else {
            continue;
        };
        if is_seen[number] {
            continue;
        }
        let mut numbers = same_file(&links, file, number);
        numbers.retain(|&other| layout.places[other].is_some());
        numbers.iter().for_each(|&other| is_seen[other] = true);
        let (path, digest) = (path.clone(), digest.clone());
        groups.push(Group { file, path, digest, mode: *mode, numbers });
    }
    // The largest first, so that no thread is left alone with it.
    groups.sort_by_key(|group| std::cmp::Reverse(group.file.size));
    groups
}

/// Why a file is not there.
enum Trouble {
    /// What the store has is not it.
    Spoilt(String),
    Failed(UnpackError),
}

/// Copies files out of the store.
struct Copying<'a> {
    header: &'a Header,
    store: &'a Store,
    entry: &'a StoredPackage,
    aside: &'a Aside<'a>,
    reporter: &'a dyn Reporter,
}

impl Copying<'_> {
    fn copy(&self, group: &Group<'_>) -> Result<(), Trouble> {
        if self.reporter.is_cancelled() {
            return Err(Trouble::Failed(UnpackError::Cancelled));
        }
        let Group { file, path, digest, mode, numbers } = group;
        let spoilt = |problem: &dyn std::fmt::Display| {
            Trouble::Spoilt(format!("{}: {problem}", escape(&file.path)))
        };
        let from = self.entry.open(digest).map_err(|error| spoilt(&error))?;
        let number = numbers.first().copied().unwrap_or_default();
        let copied = self.aside.create(number, (*mode, file.mtime), |to| {
            self.store.copier().copy(&from, to, file.size, digest.algorithm())
        });
        match copied {
            Ok(Some(got)) if got == *digest => {
                self.reporter.advanced(Phase::Unpack, file.size);
                Ok(())
            }
            Ok(_) => Err(spoilt(&"it is not what the signed header says")),
            Err(error) if files::is_full(&error) => {
                Err(Trouble::Failed(write_error(self.header, path)(error)))
            }
            // The copy or the original: unpacking will tell.
            Err(error) => Err(spoilt(&error)),
        }
    }
}

/// Gives everything its place, where it is this package that writes it.
fn place(
    layout: &Layout<'_>,
    groups: &[Group<'_>],
    aside: Option<&Aside<'_>>,
    mut writer: Writer<'_, '_>,
) -> Result<(), UnpackError> {
    for path in &layout.implied {
        writer.directory(path)?;
    }
    for (file, place) in layout.header.files.iter().zip(&layout.places) {
        match place {
            Some(Placement { path, thing: Thing::Directory, .. }) => writer.directory(path)?,
            Some(Placement { path, thing: Thing::Symlink(text), is_ours: true }) => {
                writer.symlink(path, text, file)?;
            }
            _ => {}
        }
    }
    let Some(aside) = aside else { return Ok(()) };
    for Group { numbers, .. } in groups {
        let ours =
            |&number: &usize| target(layout.places[number].as_ref()).map(|target| (number, target));
        let mut ours = numbers.iter().filter_map(ours);
        let Some((_, (first, _))) = ours.next() else { continue };
        writer.take_in(aside, numbers.first().copied().unwrap_or_default(), first)?;
        for (number, (path, mode)) in ours {
            writer.link(first, path, mode, &layout.header.files[number])?;
        }
    }
    Ok(())
}
