//! What is found to be wrong with what was carried.

use serde::Serialize;

/// What is wrong with a file or member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct CarriedFinding {
    /// Its path in the mirror, or its name in the bundle.
    pub path: String,
    /// `changed`, `missing`, `foreign` or `unproved`.
    pub problem: &'static str,
    /// More about it, where there is more.
    pub detail: Option<String>,
}

impl CarriedFinding {
    /// That this is wrong with `path`.
    pub(super) fn new(path: &str, problem: &'static str) -> Self {
        Self { path: path.to_owned(), problem, detail: None }
    }

    /// That nobody who is believed vouches for `path`, and why.
    pub(super) fn unproved(path: &str, why: &impl ToString) -> Self {
        Self { detail: Some(why.to_string()), ..Self::new(path, "unproved") }
    }
}
