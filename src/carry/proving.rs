//! Packages of a mirror: a file counts that a key which may sign it has signed, and that has the digest that a
//! lock file names.

use std::io::BufReader;

use super::manifest::Entry;
use crate::context::Context;
use crate::error::Error;
use crate::fetch::Fetched;
use crate::metadata::Keys;
use crate::model::{KeyPin, PlannedPackage, TreePlan};
use crate::report::{Phase, Reporter};
use crate::tools::excerpt::Excerpt;
use crate::trust::{self, LocalPackage, Policy, SignedBy};

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 17;

/// A package that a lock file names, and who may have signed it.
#[derive(Clone, Debug)]
pub(super) struct LockedPackage {
    /// What the lock file says.
    pub(super) package: PlannedPackage,
    /// Its dist.
    pub(super) dist: String,
    /// The keys of its source.
    pub(super) pins: Vec<KeyPin>,
    /// Where it may be had.
    pub(super) urls: Vec<String>,
}

/// A package that was proved.
#[derive(Debug)]
pub(super) struct ProvenPackage {
    /// As the manifest has it.
    pub(super) entry: Entry,
    /// What it says about itself.
    pub(super) said: LocalPackage,
    /// By whom it is signed; none where unsigned ones are let in.
    pub(super) signed_by: Option<SignedBy>,
}

impl LockedPackage {
    /// A package of `part`.
    pub(super) fn of(part: &TreePlan, package: &PlannedPackage, urls: Vec<String>) -> Self {
        let source = part.source(&package.source);
        let pins = source.map_or_else(Vec::new, |source| source.keys.clone());
        Self { package: package.clone(), dist: part.dist.clone(), pins, urls }
    }

    /// The file, from wherever it is nearest.
    ///
    /// # Errors
    /// When no place has it.
    pub(super) fn bring(&self, context: Context<'_>) -> Result<Fetched, Error> {
        let size = Some(self.package.size).filter(|&size| size > 0);
        let (checksum, phase) = (&self.package.checksum, Some(Phase::Download));
        Ok(context.fetcher.content(&self.urls, checksum, size, phase)?)
    }

    /// Proves that these bytes are this package.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn prove(
        &self,
        keys: &Keys<'_>,
        reporter: &dyn Reporter,
        bytes: &Excerpt,
    ) -> Result<ProvenPackage, Error> {
        let place = (self.dist.as_str(), self.package.source.as_str());
        let untrusted = |source| Error::untrusted(source, place, keys.failures(&self.pins));
        let allowed = keys.allowed(place, &self.pins);
        let reader = || BufReader::with_capacity(CHUNK, bytes.anew());
        let proof = keys.with_keyring(|keyring| {
            let allow_unsigned = keys.lets_in_unsigned(place);
            let policy = Policy { keyring, allowed: &allowed, allow_unsigned };
            let verified = trust::open(reader(), &self.package, &policy)?;
            if let Some(warning) = verified.warning() {
                reporter.warning(warning.to_owned());
            }
            verified.finish()
        });
        let signed_by = proof.map_err(untrusted)?.signed_by;
        let name = self.package.nevra.to_string();
        let said = trust::read_local(reader(), &name).map_err(untrusted)?;
        let entry = Entry { checksum: said.checksum.clone(), size: said.size };
        Ok(ProvenPackage { entry, said, signed_by })
    }
}
