//! What can be the matter with a tree.

use std::fmt;

use serde::Serialize;

use crate::model::{ReceiptFile, escape};

/// Something that is not as it was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Finding {
    /// The place in the tree, as it is: not escaped. For a package, its name.
    pub path: String,
    /// What about it.
    #[serde(flatten)]
    pub problem: Problem,
}

/// What is the matter with a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "problem")]
pub(crate) enum Problem {
    /// It is not there.
    Missing,
    /// It is something else: a directory instead of a file, or the like.
    Kind {
        /// `file`, `directory` or `symlink`.
        expected: &'static str,
    },
    /// Its bytes are others.
    Content,
    /// Its permission bits are others.
    Mode {
        /// By the receipt.
        expected: u32,
        /// As they are.
        found: u32,
    },
    /// The symlink leads elsewhere.
    Target {
        /// By the receipt.
        expected: String,
        /// As it is.
        found: String,
    },
    /// No package brought it.
    Extra,
    /// It cannot be read.
    Unreadable {
        /// Why.
        reason: String,
    },
    /// A program or library lacks something.
    Gap {
        /// What.
        gap: String,
    },
    /// The link to a live tree is not there, so that its launchers lead nowhere.
    Unlinked {
        /// The tree's number.
        generation: u32,
    },
    /// The link to a live tree is not there, if there was one, and nobody knows which tree that was.
    LinkUnknown {
        /// The numbers of the trees that are there.
        generations: Vec<u32>,
    },
    /// A launcher is not what this version of elsewhere writes.
    Launcher,
    /// The packages, verified again, say something else than the receipt.
    Origin {
        /// What they say.
        reason: String,
    },
    /// The receipt is not signed by whom it must be, or what was signed with it is not so.
    Signature {
        /// What is wrong.
        reason: String,
    },
    /// The user's own version of a configuration file.
    Edited,
    /// The user's own file.
    Added,
    /// The configuration file that whoever published the tree set there, as it was set.
    Set,
    /// It is not what this version of elsewhere makes, and by its receipt another one made it: neither
    /// is proved, that it is as it was made nor that it is not.
    Unproved {
        /// What differs.
        reason: String,
    },
    /// `--allow-unsigned` let this package in: nothing proves where it comes from.
    Unsigned,
}

impl Problem {
    /// Whether it is damage, and not the user's right or mere news.
    #[must_use]
    pub(crate) fn is_damage(&self) -> bool {
        !matches!(
            self,
            Self::Edited | Self::Added | Self::Set | Self::Unproved { .. } | Self::Unsigned
        )
    }

    /// Whether nothing says if it is damage.
    #[must_use]
    pub(crate) fn is_unproved(&self) -> bool {
        matches!(self, Self::Unproved { .. })
    }
}

impl Problem {
    /// Whether only permissions are others, and the owner can do with the file what is meant: no damage
    /// where the file system does not keep permissions as they are set.
    #[must_use]
    pub(crate) fn is_mode_that_suffices(&self) -> bool {
        const USE: u32 = 0o500;
        matches!(self, Self::Mode { expected, found } if expected & USE & !found == 0)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Kind { expected } => write!(f, "not a {expected} any more"),
            Self::Content => f.write_str("changed"),
            Self::Mode { expected, found } => {
                write!(f, "has mode {found:04o} instead of {expected:04o}")
            }
            Self::Target { expected, found } => {
                write!(f, "leads to {} instead of {}", escape(found), escape(expected))
            }
            Self::Extra => f.write_str("does not belong here"),
            Self::Unreadable { reason } => write!(f, "cannot be read: {}", escape(reason)),
            Self::Gap { gap } => f.write_str(gap),
            Self::Unlinked { generation } => {
                write!(f, "the link to generation {generation} is lost: launchers lead nowhere")
            }
            Self::LinkUnknown { generations } => {
                let numbers: Vec<String> = generations.iter().map(ToString::to_string).collect();
                let numbers = numbers.join(", ");
                write!(
                    f,
                    "the link is lost, and nobody knows to which generation it led ({numbers})"
                )
            }
            Self::Launcher => f.write_str("is not the launcher that belongs here"),
            Self::Origin { reason } => f.write_str(reason),
            Self::Signature { reason } => {
                write!(f, "not proved by a signature: {}", escape(reason))
            }
            Self::Edited => f.write_str("edited by you (no damage)"),
            Self::Added => f.write_str("added by you (no damage)"),
            Self::Set => f.write_str("set by whoever published it (no damage)"),
            Self::Unproved { reason } => write!(f, "unproved: {}", escape(reason)),
            Self::Unsigned => f.write_str("let in by --allow-unsigned: its origin is not proven"),
        }
    }
}

/// The finding that `problem` is: what is wrong with configuration is the user's doing.
pub(super) fn finding(file: &ReceiptFile, problem: Problem) -> Finding {
    let problem = if file.is_config() { Problem::Edited } else { problem };
    Finding { path: file.path.as_str().to_owned(), problem }
}
