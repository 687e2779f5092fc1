//! Which package has what in a tree, while several are unpacked side by side. Packages may share
//! directories, and files and symlinks that are the same; anything else in one place is an error.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{ReceiptFile, RelPath};

use super::layout::{Layout, Thing, refusal};
use super::{FileProblem, UnpackError};

/// What the packages of one tree have claimed so far.
#[derive(Debug, Default)]
pub struct Claims {
    claims: Mutex<HashMap<String, Claim>>,
    folds_case: bool,
}

#[derive(Debug)]
struct Claim {
    /// As it was claimed, where names that differ only in case are the same.
    path: Option<RelPath>,
    owner: String,
    thing: Thing,
}

impl Claims {
    /// No claims.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No claims, on a file system that `folds_case`: where names that differ only in case are the same.
    #[must_use]
    pub fn where_names(folds_case: bool) -> Self {
        Self { folds_case, ..Self::default() }
    }

    /// Forgets all claims, as when the tree was emptied.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Claims what a package has that was not unpacked but taken over from another tree: `files` as
    /// the package brought them.
    ///
    /// # Errors
    /// [`UnpackError::Conflict`] when another package has something else in one of the places.
    pub fn hold(&self, owner: &str, files: &[ReceiptFile]) -> Result<(), UnpackError> {
        let mut claims = self.lock();
        for file in files {
            self.claim_one(&mut claims, &file.path, &Thing::of(file), owner).map_err(|taken| {
                taken.into_error(&file.path, |other| {
                    let owners = [other, owner.to_owned()];
                    UnpackError::Conflict { path: file.path.clone(), owners }
                })
            })?;
        }
        Ok(())
    }

    /// Claims every place of a package. Places that hold the same already are marked as not ours.
    pub(super) fn claim(&self, layout: &mut Layout) -> Result<(), UnpackError> {
        let header = layout.header;
        let owner = &header.nevra.name;
        let mut claims = self.lock();
        let mut claim = |path: &RelPath, thing: &Thing| {
            self.claim_one(&mut claims, path, thing, owner).map_err(|taken| {
                taken.into_error(path, |other| match other == *owner {
                    true => refusal(header, path.as_str(), FileProblem::TwoThings),
                    false => {
                        UnpackError::Conflict { path: path.clone(), owners: [other, owner.clone()] }
                    }
                })
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

    /// Whether the place was free; or what is in the way.
    fn claim_one(
        &self,
        claims: &mut HashMap<String, Claim>,
        path: &RelPath,
        thing: &Thing,
        owner: &str,
    ) -> Result<bool, Taken> {
        let text = path.as_str();
        let key = if self.folds_case { text.to_lowercase() } else { text.to_owned() };
        match claims.entry(key) {
            Entry::Vacant(free) => {
                let path = self.folds_case.then(|| path.clone());
                free.insert(Claim { path, owner: owner.to_owned(), thing: thing.clone() });
                Ok(true)
            }
            Entry::Occupied(taken) => match taken.get() {
                Claim { path: Some(other), .. } if other != path => {
                    Err(Taken::AsOther(other.clone()))
                }
                claim if claim.thing == *thing => Ok(false),
                claim => Err(Taken::By(claim.owner.clone())),
            },
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Claim>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a place cannot be claimed.
enum Taken {
    /// This package has something else there.
    By(String),
    /// It is this place, by another name.
    AsOther(RelPath),
}

impl Taken {
    /// The error that it is for `path`; `by` makes that of another owner.
    fn into_error(self, path: &RelPath, by: impl FnOnce(String) -> UnpackError) -> UnpackError {
        match self {
            Self::By(owner) => by(owner),
            Self::AsOther(other) => UnpackError::SameName { paths: [other, path.clone()] },
        }
    }
}
