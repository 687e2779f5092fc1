//! The user's configuration survives updates: what was edited in a generation goes into the next one.
//!
//! Going back to an older generation, its configuration counts, and only what the user changed since
//! the live one became live is carried: `config-N.json` remembers what there was then.

use std::path::{Path, PathBuf};

use super::error::PrefixError;
use super::layout::Layout;
use super::{Generation, Locked, files};
use crate::model::Receipt;
use crate::workshop::{ConfigReport, ConfigStates, Edited};

/// Far more than any tree's configuration has: a bound for damaged files, in bytes.
const BASELINE_LIMIT: u64 = 64 << 20;

impl Locked {
    /// Carries the user's edits and additions from the live generation `from` into the tree `to`,
    /// which is not live yet and holds its packages' files. Call it immediately before
    /// [`Locked::activate`], so that the latest edits count; every file that it writes is synced.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn carry_config(&self, from: &Generation, to: &Path) -> Result<ConfigReport, PrefixError> {
        let pristine = self.pristine(from)?;
        self.carry(from, &pristine, &pristine, to)
    }

    /// Carries what the user changed since `from` became live into the older generation `to`.
    pub(super) fn carry_config_back(
        &self,
        from: &Generation,
        to: &Generation,
    ) -> Result<ConfigReport, PrefixError> {
        let pristine = self.pristine(from)?;
        let path = self.layout.baseline(from.arch, from.number);
        let remembered = files::read(&path, BASELINE_LIMIT)?;
        // Without a good memory everything that differs from the packages counts as a later edit.
        let base = remembered.and_then(|bytes| serde_json::from_slice::<ConfigStates>(&bytes).ok());
        self.carry(from, base.as_ref().unwrap_or(&pristine), &pristine, &to.path)
    }

    fn carry(
        &self,
        from: &Generation,
        base: &ConfigStates,
        pristine: &ConfigStates,
        to: &Path,
    ) -> Result<ConfigReport, PrefixError> {
        let edited = Edited { tree: &from.path, base, pristine };
        Ok(edited.carry(to, &self.layout.staging())?)
    }

    /// What the packages of `generation` brought. Nothing when its receipt is damaged: then every
    /// file counts as the user's own.
    fn pristine(&self, generation: &Generation) -> Result<ConfigStates, PrefixError> {
        match self.receipt(generation) {
            Ok(receipt) => Ok(ConfigStates::of_receipt(&receipt)),
            Err(PrefixError::Damaged { .. }) => Ok(ConfigStates::default()),
            Err(error) => Err(error),
        }
    }
}

/// Writes down the configuration of `generation`, which is about to become live: in the staging directory.
/// Once it is live, the file is to be renamed to its place.
pub(super) fn remember(
    layout: &Layout,
    receipt: &Receipt,
    generation: &Generation,
) -> Result<PathBuf, PrefixError> {
    let states =
        ConfigStates::read(&generation.path, &ConfigStates::of_receipt(receipt), &mut Vec::new())?;
    let path = files::unique(&layout.staging(), "config");
    write_states(layout, &path, &states).map(|()| path)
}

/// Writes what stands for the configuration of a live generation that nobody wrote down: what its packages
/// brought, so that everything else counts as edited since.
pub(super) fn stand_in(prefix: &Locked, generation: &Generation) -> Result<(), PrefixError> {
    let path = prefix.layout.baseline(generation.arch, generation.number);
    write_states(&prefix.layout, &path, &prefix.pristine(generation)?)
}

fn write_states(layout: &Layout, path: &Path, states: &ConfigStates) -> Result<(), PrefixError> {
    let bytes = serde_json::to_vec(states).map_err(|error| PrefixError::Damaged {
        path: path.to_owned(),
        problem: error.to_string(),
    })?;
    files::write(path, &bytes, 0o644, &layout.staging())
}
