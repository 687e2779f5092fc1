//! A prefix of several dists: each has a complete prefix of its own, `PREFIX/dists/DIST`, and the
//! launchers in `PREFIX/bin` choose among them.

use std::fs;
use std::io;
use std::path::Path;

use super::error::{PrefixError, failed};
use super::layout::{HIDDEN, Layout};
use super::{Locked, Prefix, files};

impl Prefix {
    /// The prefixes of single dists below this one, by dist; none where this is an ordinary one.
    ///
    /// # Errors
    /// When the prefix cannot be read.
    pub fn members(&self) -> Result<Vec<(String, Self)>, PrefixError> {
        let directory = self.layout.members();
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("read", &directory))?,
        };
        let mut members = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed("read", &directory))?;
            if let (Ok(dist), true) =
                (entry.file_name().into_string(), entry.path().join(HIDDEN).is_dir())
            {
                let layout = Layout { root: entry.path() };
                members.push((dist, Self { layout, owners: self.owners.clone() }));
            }
        }
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(members)
    }

    /// The prefix of `dist` below this one, which may not be there yet.
    ///
    /// # Errors
    /// When its path cannot be used.
    pub fn member(&self, dist: &str) -> Result<Self, PrefixError> {
        let member = Self::create(&self.layout.members().join(dist))?;
        Ok(member.trusting(self.owners.clone()))
    }

    /// Whether it is a prefix of several dists, or was one and is to be tidied.
    #[must_use]
    pub fn takes_members(&self) -> bool {
        self.layout.members().is_dir() && self.layout.hidden().is_dir()
    }

    /// The prefix of several dists that this one is part of.
    #[must_use]
    pub fn whole(&self) -> Option<Self> {
        let members = self.layout.root.parent()?;
        let whole = Layout { root: members.parent()?.to_owned() };
        let is_its = whole.members() == members && whole.hidden().is_dir();
        is_its.then(|| Self { layout: whole, owners: self.owners.clone() })
    }

    /// Where this prefix lies in the one that it is part of, ending in `/`; empty where it is part of
    /// none.
    #[must_use]
    pub fn place(&self) -> String {
        let place = self.whole().and_then(|whole| {
            let path = self.layout.root.strip_prefix(&whole.layout.root).ok();
            path.and_then(Path::to_str).map(|path| format!("{path}/"))
        });
        place.unwrap_or_default()
    }
}

impl Locked {
    /// Makes this a prefix of several dists, which has none yet.
    ///
    /// # Errors
    /// When the prefix cannot be written.
    pub fn take_members(&self) -> Result<(), PrefixError> {
        self.is_in_place()?;
        files::make_directory(&self.layout.members(), 0o755).map(drop)
    }

    /// Removes what is left of dists that nothing is installed of any more.
    pub fn drop_empty_members(&self) {
        let entries = fs::read_dir(self.layout.members()).into_iter().flatten().flatten();
        // `rmdir` refuses whatever is not empty.
        entries.for_each(|entry| drop(fs::remove_dir(entry.path())));
        let _ = fs::remove_dir(self.layout.members());
    }
}
