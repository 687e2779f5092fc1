//! Signing what is in every member.

use super::{Member, Whole};
use crate::error::Error;
use crate::lifecycle::sign::{self, SignedTree, Signing};
use crate::report::Reporter;

impl Whole {
    /// Signs the receipts of what is live; with `all`, of older generations too. `told` hears of each
    /// member what was signed.
    ///
    /// # Errors
    /// When a tree is not as its receipt says, or the prefix cannot be written. What was signed before is
    /// signed then.
    pub(crate) fn sign(
        &self,
        (dist, all): (Option<&str>, bool),
        signing: Signing<'_>,
        wait: bool,
        reporter: &dyn Reporter,
        told: &mut dyn FnMut(&Member, &[SignedTree]),
    ) -> Result<(), Error> {
        for member in self.members(dist)? {
            let locked = member.lock(wait, reporter)?;
            locked.clean(reporter)?;
            told(&member, &sign::sign(signing, &locked, all, reporter)?);
        }
        Ok(())
    }
}
