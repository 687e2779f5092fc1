//! Which package has what in a tree, while several are unpacked side by side. Packages may share
//! directories, and files and symlinks that are the same; anything else in one place is an error.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

use crate::model::{ReceiptFile, RelPath};

use super::layout::{Layout, Thing, refusal};
use super::{FileProblem, UnpackError};

/// What the packages of one tree have claimed so far.
#[derive(Debug, Default)]
pub struct Claims(Mutex<HashMap<RelPath, Claim>>);

#[derive(Debug)]
struct Claim {
    owner: String,
    thing: Thing,
}

impl Claims {
    /// No claims.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all claims, as when the tree was emptied.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Claims what a package has that was not unpacked but taken over from another tree: `files` as
    /// the package brought them.
    ///
    /// # Errors
    /// [`UnpackError::Conflict`] when another package has something else in one of the places.
    pub fn hold(&self, owner: &str, files: &[ReceiptFile]) -> Result<(), UnpackError> {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for file in files {
            claim(&mut claims, &file.path, &Thing::of(file), owner).map_err(|other| {
                let owners = [other, owner.to_owned()];
                UnpackError::Conflict { path: file.path.clone(), owners }
            })?;
        }
        Ok(())
    }

    /// Claims every place of a package. Places that hold the same already are marked as not ours.
    pub(super) fn claim(&self, layout: &mut Layout) -> Result<(), UnpackError> {
        let header = layout.header;
        let owner = &header.nevra.name;
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut claim = |path: &RelPath, thing: &Thing| {
            claim(&mut claims, path, thing, owner).map_err(|other| match other == *owner {
                true => refusal(header, path.as_str(), FileProblem::TwoThings),
                false => {
                    UnpackError::Conflict { path: path.clone(), owners: [other, owner.clone()] }
                }
            })
        };
        for path in &layout.implied {
            claim(path, &Thing::Directory)?;
        }
        for place in layout.places.iter_mut().flatten() {
            place.is_ours = claim(&place.path, &place.thing)?;
        }
        Ok(())
    }
}

/// Whether the place was free. When it holds something else, the error is whose that is.
fn claim(
    claims: &mut HashMap<RelPath, Claim>,
    path: &RelPath,
    thing: &Thing,
    owner: &str,
) -> Result<bool, String> {
    match claims.entry(path.clone()) {
        Entry::Vacant(free) => {
            free.insert(Claim { owner: owner.to_owned(), thing: thing.clone() });
            Ok(true)
        }
        Entry::Occupied(taken) if taken.get().thing == *thing => Ok(false),
        Entry::Occupied(taken) => Err(taken.get().owner.clone()),
    }
}
