//! What a check saw.

use std::collections::BTreeMap;

use serde::Serialize;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// It could not be found out.
    Unknown,
    /// It works, with a drawback.
    Limited,
    /// It does not work.
    Broken,
}

/// What a check saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    /// The check's name, which abilities and users refer to.
    pub check: &'static str,
    /// How it is.
    pub state: State,
    /// Why it is not ok, in the words of `repos/doctor.toml`; empty where nothing is to be done.
    pub cause: &'static str,
    /// What was tried, and what came of it.
    pub evidence: String,
    /// What remedies' placeholders stand for.
    pub values: BTreeMap<&'static str, String>,
}

impl Observation {
    /// An observation without a cause.
    pub(super) fn new(check: &'static str, state: State, evidence: impl Into<String>) -> Self {
        let evidence = evidence.into();
        Self { check, state, cause: "", evidence, values: BTreeMap::new() }
    }

    /// The same with a cause.
    pub(super) fn because(self, cause: &'static str) -> Self {
        Self { cause, ..self }
    }

    /// The same, with what `{name}` stands for.
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.values.insert(name, value.to_string());
        self
    }
}
