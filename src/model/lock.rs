//! The lock file: a plan as text that is stable, readable, and easy to compare.
//! `docs/lock-file.md` describes the format.

use serde::Deserialize;

use super::older::OlderPlan;
use super::{PLAN_FORMAT, Plan, TomlProblem, TreePlan, escape, read_toml};

/// The first line of every lock file. A comment: it is not looked at.
const HEADING: &str =
    "# What `elsewhere install --lock` installs; docs/lock-file.md describes this file.\n";

/// Why a lock file cannot be written or used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The plan has a value that TOML cannot hold: a number beyond 63 bits.
    #[error("this plan cannot be written as a lock file")]
    Unwritable(#[source] toml::ser::Error),
    /// It is no TOML, or lacks a field, or has one that is not known.
    #[error("this is no lock file: line {line}: {}", escape(message))]
    Unreadable {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A newer program wrote it.
    #[error("the lock file has format {0}, and this program reads format {PLAN_FORMAT}")]
    Format(u32),
    /// It contradicts itself.
    #[error("the lock file contradicts itself: {0}")]
    Inconsistent(String),
    /// Keys that signed what it names are no good any more.
    #[error(
        "{count} of the packages in the lock file are signed by a key that was revoked or has expired"
    )]
    Ended {
        /// How many packages.
        count: usize,
    },
    /// Its mirrors have no more what it names.
    #[error("{count} of the packages in the lock file are on none of its mirrors any more")]
    Gone {
        /// How many packages.
        count: usize,
    },
    /// It asks to believe what nobody else says to believe.
    #[error("the lock file {}; a lock file gives no trust", escape(what))]
    Widens {
        /// What it says.
        what: String,
        /// What the user can do about it.
        help: &'static str,
    },
}

impl LockError {
    /// What to type or do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Format(_) => {
                Some("use the version of elsewhere that wrote it, or newer".to_owned())
            }
            Self::Unreadable { message, .. } if message.contains("unknown field") => Some(
                "a newer version of elsewhere may have written it: use that, or make the lock file anew with \
                 `elsewhere plan --lock FILE`"
                    .to_owned(),
            ),
            Self::Ended { .. } | Self::Gone { .. } => {
                Some("make it anew with `elsewhere plan --lock FILE`".to_owned())
            }
            Self::Unreadable { .. } | Self::Inconsistent(_) => {
                Some("make it anew with `elsewhere plan --lock FILE`".to_owned())
            }
            Self::Widens { help, .. } => Some((*help).to_owned()),
            Self::Unwritable(_) => None,
        }
    }
}

impl Plan {
    /// The plan as a lock file. The same plan gives the same text.
    ///
    /// # Errors
    /// When a number is beyond what TOML holds.
    pub fn to_lock(&self) -> Result<String, LockError> {
        let text = toml::to_string(self).map_err(LockError::Unwritable)?;
        Ok(format!("{HEADING}{text}"))
    }

    /// The plan in the text of a lock file.
    ///
    /// # Errors
    /// When the text is no lock file of a format that is known here, or contradicts itself.
    pub fn from_lock(text: &str) -> Result<Self, LockError> {
        /// What every format has, whatever else it has.
        #[derive(Deserialize)]
        struct FormatOnly {
            format: u32,
        }
        let unreadable = |TomlProblem { line, message }| LockError::Unreadable { line, message };
        let FormatOnly { format } = read_toml(text).map_err(unreadable)?;
        let plan: Self = match format {
            PLAN_FORMAT => read_toml(text).map_err(unreadable)?,
            1 => {
                let older: OlderPlan = read_toml(text).map_err(unreadable)?;
                older.today().map_err(LockError::Inconsistent)?
            }
            _ => return Err(LockError::Format(format)),
        };
        plan.check()?;
        Ok(plan)
    }

    /// Refuses a plan that contradicts itself.
    ///
    /// # Errors
    /// [`LockError::Inconsistent`].
    pub(crate) fn check(&self) -> Result<(), LockError> {
        match self.trees.iter().enumerate().find_map(|(at, tree)| self.contradiction(at, tree)) {
            Some(contradiction) => Err(LockError::Inconsistent(contradiction)),
            None => Ok(()),
        }
    }

    /// What is wrong with the tree at position `at`.
    fn contradiction(&self, at: usize, tree: &TreePlan) -> Option<String> {
        let arch = tree.arch;
        let is_twin = |earlier: &TreePlan| (earlier.arch, &earlier.dist) == (arch, &tree.dist);
        if self.trees.iter().take(at).any(is_twin) {
            return Some(format!("there are two trees of {} for {arch}", tree.dist));
        }
        tree.parts().find_map(|part| contradiction_within(tree, part))
    }
}

/// What is wrong with `part` of `tree`, which is the tree or one within it.
fn contradiction_within(tree: &TreePlan, part: &TreePlan) -> Option<String> {
    let arch = tree.arch;
    if part.arch != arch {
        return Some(format!("{arch}: what is bound into containers is for {}", part.arch));
    }
    let inner = part.container.as_ref();
    if inner.is_some_and(|inner| inner.dist == tree.dist || inner.container.is_some()) {
        return Some(format!("{arch}: what is bound into containers is not of one other dist"));
    }
    let twin = part.packages.windows(2).find(|pair| match pair {
        [one, other] => one.nevra.name >= other.nevra.name,
        _ => false,
    });
    if let Some([_, twin]) = twin {
        return Some(format!("{arch}: {} is out of order, or stands twice", twin.nevra));
    }
    part.packages.iter().find_map(|package| {
        if !arch.accepts(&package.nevra.arch) {
            return Some(format!("{arch}: {} is for another architecture", package.nevra));
        }
        let lacks_source = part.source(&package.source).is_none();
        lacks_source.then(|| format!("{arch}: {} has an unknown source", package.nevra))
    })
}
