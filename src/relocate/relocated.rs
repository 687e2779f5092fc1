//! What relocation did.

use std::collections::BTreeMap;

use crate::model::{Linking, Loading, RelPath};

/// What relocation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relocated {
    /// Programs and libraries that were rewritten.
    pub rewritten: usize,
    /// Bytes that they grew by.
    pub growth: u64,
    /// Which libraries the tree's programs find, beside what the run paths in its files say: programs
    /// that were moved aside and are started by a launcher with `LD_LIBRARY_PATH`, and libraries whose
    /// users look in their stead.
    pub loading: Loading,
    /// What rewritten programs and libraries asked of the loader before, those of files that were taken
    /// over included.
    pub asked: BTreeMap<RelPath, Linking>,
    /// What is not as it should be, and did not stop the work.
    pub warnings: Vec<String>,
}
