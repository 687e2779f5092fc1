//! What is found, and by which rule.

use std::path::Path;

use serde::Serialize;

use crate::error::Error;
use crate::model::escape;

/// Whether something can be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// It must not be.
    Refused,
    /// It can, and somebody should know.
    Noted,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LintRule {
    /// Others can read it, and enter and run it where its owner can.
    Mode,
    /// No set-user-id and set-group-id.
    Setuid,
    /// No file capabilities.
    Capability,
    /// No extended attributes.
    Attribute,
    /// Files, directories and symlinks alone.
    Special,
    /// Links are relative.
    AbsoluteLink,
    /// Links stay within.
    LinkOutside,
    /// Every file has one name.
    HardLink,
    /// Files are at most 1 GiB.
    LargeFile,
    /// Names are text, and none of the server's own.
    Name,
    /// Paths are short enough for publishers and readers, who put another in front.
    LongPath,
    /// Names of a directory differ by more than case.
    Case,
    /// Catalogs are neither large nor tiny.
    Catalog,
    /// Nothing names the place where it was made.
    BuilderPath,
    /// Nothing is left of how it was made.
    Rest,
}

impl LintRule {
    /// Its name.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Setuid => "setuid",
            Self::Capability => "capability",
            Self::Attribute => "attribute",
            Self::Special => "special",
            Self::AbsoluteLink => "absolute-link",
            Self::LinkOutside => "link-outside",
            Self::HardLink => "hard-link",
            Self::LargeFile => "large-file",
            Self::Name => "name",
            Self::LongPath => "long-path",
            Self::Case => "case",
            Self::Catalog => "catalog",
            Self::BuilderPath => "builder-path",
            Self::Rest => "rest",
        }
    }

    /// What to do about it.
    #[must_use]
    pub(super) fn help(self) -> &'static str {
        match self {
            Self::Mode => "chmod -R a+rX: readers are other users than the publisher",
            Self::Setuid => "chmod ug-s: clients mount nosuid, and nobody should rely on that",
            Self::Capability => "setcap -r: clients mount nosuid, where these count for nothing",
            Self::Attribute => {
                "setfattr -x, setfacl -b: servers leave them out, unless CVMFS_INCLUDE_XATTRS says otherwise"
            }
            Self::Special => "remove it: nobody can make use of it there",
            Self::AbsoluteLink => "make it relative: what is at that path is each reader's own",
            Self::LinkOutside => "let it lead to something that is published with it",
            Self::HardLink => "copy it: hard links are broken up, and not always in good order",
            Self::LargeFile => "split it, or put it where large files are served from",
            Self::Name => "rename it",
            Self::LongPath => {
                "put it less deep: the kernel takes 4095 bytes, with all that is in front of it"
            }
            Self::Case => "rename one: on file systems that fold case there is one of them only",
            Self::Catalog => {
                "put an empty file .cvmfscatalog into directories of some thousand entries, such as versions"
            }
            Self::BuilderPath => "make it without its path: nobody else has that",
            Self::Rest => "remove it: it is of use to whoever made this, and to nobody else",
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LintFinding {
    /// Where, from the directory on; `.` for itself.
    pub(crate) path: String,
    /// By which rule.
    pub(crate) rule: LintRule,
    /// Whether it can be published.
    pub(crate) severity: Severity,
    /// What is so.
    pub(crate) problem: String,
    /// What to do.
    pub(crate) help: &'static str,
}

/// What lies in a directory that is to be published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LintProfile {
    /// Trees that are found where they lie.
    #[default]
    Tree,
    /// Trees of container images, which programs see as their root.
    Image,
}

/// What was found, and what was counted.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Lint {
    /// What is not as it should be, by path.
    pub(crate) findings: Vec<LintFinding>,
    /// Files, directories and symlinks: each is an entry of a catalog.
    pub(crate) entries: u64,
    /// Regular files among them.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Bytes of different contents: what a store has to keep that keeps equal ones once.
    pub(crate) distinct_bytes: u64,
}

impl Lint {
    /// How many findings must not be published.
    #[must_use]
    pub(crate) fn refused(&self) -> usize {
        let is_refused = |finding: &&LintFinding| finding.severity == Severity::Refused;
        self.findings.iter().filter(is_refused).count()
    }

    /// Refuses to publish `directory` where something was found that must not be.
    ///
    /// # Errors
    /// [`Error::Unpublishable`], which names the first.
    pub(crate) fn check(&self, directory: &Path) -> Result<(), Error> {
        let refused = |finding: &&LintFinding| finding.severity == Severity::Refused;
        let Some(first) = self.findings.iter().find(refused) else { return Ok(()) };
        Err(Error::Unpublishable {
            path: directory.to_owned(),
            count: self.refused(),
            first: format!("{}: {}", escape(&first.path), first.problem),
            help: first.help,
        })
    }
}
