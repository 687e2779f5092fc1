//! Every path under a prefix, by name.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::{PrefixError, failed};
use crate::model::Arch;

/// The journal's name, beside the generations, and that of what was there in its stead earlier.
pub(super) const JOURNAL_NAMES: [&str; 2] = ["journal.jsonl", "history.json"];

/// The directory of all that is not for users.
pub(super) const HIDDEN: &str = ".elsewhere";

/// Computes paths from a prefix's root.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The prefix itself: absolute.
    pub(super) root: PathBuf,
}

impl Layout {
    /// `PREFIX/.elsewhere`.
    pub(super) fn hidden(&self) -> PathBuf {
        self.root.join(HIDDEN)
    }

    /// The prefix that has this one where its own things are: in `bin`, a tree, or out of sight.
    pub(super) fn around(&self) -> Option<PathBuf> {
        let is_own = |name: &str| {
            ["bin", HIDDEN].contains(&name) || Arch::ALL.iter().any(|arch| arch.as_str() == name)
        };
        let outer = self.root.ancestors().skip(1).find(|outer| {
            let below = self.root.strip_prefix(outer).ok();
            let first = below.and_then(|below| below.iter().next());
            first.and_then(|name| name.to_str()).is_some_and(is_own) && outer.join(HIDDEN).is_dir()
        });
        outer.map(Path::to_owned)
    }

    /// `PREFIX/bin`.
    pub(super) fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// `PREFIX/dists`, where a prefix of several dists has one for each.
    pub(super) fn members(&self) -> PathBuf {
        self.root.join("dists")
    }

    /// The lock's file.
    pub(super) fn lock(&self) -> PathBuf {
        self.hidden().join("lock")
    }

    /// The file that stands for the lock where the file system has none.
    pub(super) fn owner(&self) -> PathBuf {
        self.hidden().join("owner")
    }

    /// The versions that the user wants runtimes to stay at.
    pub(super) fn pins(&self) -> PathBuf {
        self.hidden().join("pins.toml")
    }

    /// What was believed of repositories.
    pub(super) fn sightings(&self) -> PathBuf {
        self.hidden().join("repositories.toml")
    }

    /// What is known of certificates.
    pub(super) fn keys(&self) -> PathBuf {
        self.hidden().join("keys.toml")
    }

    /// Where things are made.
    pub(super) fn staging(&self) -> PathBuf {
        self.hidden().join("staging")
    }

    /// Where things are deleted.
    pub(super) fn trash(&self) -> PathBuf {
        self.hidden().join("trash")
    }

    /// Where this program is kept, by architecture, relative to the prefix.
    pub(super) fn programs_text() -> PathBuf {
        Path::new(HIDDEN).join("program")
    }

    /// The same, absolute.
    pub(super) fn programs(&self) -> PathBuf {
        self.root.join(Self::programs_text())
    }

    /// `PREFIX/ARCH`, the symlink to the live generation.
    pub(super) fn link(&self, arch: Arch) -> PathBuf {
        self.root.join(arch.as_str())
    }

    /// The text of that symlink when generation `number` is live.
    pub(super) fn link_text(arch: Arch, number: u32) -> PathBuf {
        Path::new(HIDDEN).join(arch.as_str()).join(number.to_string())
    }

    /// The directory of all generations of an architecture.
    pub(super) fn arch(&self, arch: Arch) -> PathBuf {
        self.hidden().join(arch.as_str())
    }

    /// A generation's tree.
    pub(super) fn generation(&self, arch: Arch, number: u32) -> PathBuf {
        self.arch(arch).join(number.to_string())
    }

    /// What became of the generations of an architecture.
    pub(super) fn journal(&self, arch: Arch) -> PathBuf {
        self.arch(arch).join(JOURNAL_NAMES[0])
    }

    /// The same, as earlier versions wrote it.
    pub(super) fn history(&self, arch: Arch) -> PathBuf {
        self.arch(arch).join(JOURNAL_NAMES[1])
    }

    /// The configuration as it was when a generation became live.
    pub(super) fn baseline(&self, arch: Arch, number: u32) -> PathBuf {
        self.arch(arch).join(format!("config-{number}.json"))
    }

    /// The number that the symlink of `arch` names, whether or not that generation is there. `None`
    /// when there is no symlink, or it is not ours.
    ///
    /// # Errors
    /// When that cannot be found out: what is live must not be taken for what is not.
    pub(super) fn linked_number(&self, arch: Arch) -> Result<Option<u32>, PrefixError> {
        let link = self.link(arch);
        let text = match fs::read_link(&link) {
            Ok(text) => text,
            // No symlink: nothing, or something else.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {
                return Ok(None);
            }
            Err(error) => return Err(failed("read", &link)(error)),
        };
        let number = text.file_name().and_then(|name| parse_number(name.to_str()?));
        Ok(number.filter(|&number| text == Self::link_text(arch, number)))
    }
}

/// A generation's number from its directory's name: decimal, without leading zeros.
pub(super) fn parse_number(name: &str) -> Option<u32> {
    let number = name.parse().ok()?;
    (u32::to_string(&number) == name).then_some(number)
}
