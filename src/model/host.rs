//! What a machine is, as far as choosing and proving a tree goes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Arch;

/// A glibc version, `MAJOR.MINOR`, which is also what its symbol versions (`GLIBC_2.28`) name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct GlibcVersion {
    /// `2`.
    pub major: u16,
    /// `28`.
    pub minor: u16,
}

impl GlibcVersion {
    /// The version that a symbol version of glibc names: `GLIBC_2.28`, `GLIBC_2.2.5` (patch level
    /// dropped). `None` for other names, `GLIBC_PRIVATE` and `GLIBC_ABI_…` among them.
    #[must_use]
    pub fn from_symbol_version(name: &str) -> Option<Self> {
        name.strip_prefix("GLIBC_")?.parse().ok()
    }
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for GlibcVersion {
    type Err = InvalidGlibcVersion;

    fn from_str(text: &str) -> Result<Self, InvalidGlibcVersion> {
        let invalid = || InvalidGlibcVersion(text.to_owned());
        let mut parts = text.split('.').map(str::parse::<u16>);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self { major, minor }),
            _ => Err(invalid()),
        }
    }
}

impl TryFrom<String> for GlibcVersion {
    type Error = InvalidGlibcVersion;

    fn try_from(text: String) -> Result<Self, InvalidGlibcVersion> {
        text.parse()
    }
}

impl From<GlibcVersion> for String {
    fn from(version: GlibcVersion) -> Self {
        version.to_string()
    }
}

/// A text that names no glibc version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a glibc version such as 2.28")]
pub struct InvalidGlibcVersion(pub String);

/// The C library of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libc {
    /// GNU libc of this version.
    Glibc(GlibcVersion),
    /// musl: EL's programs do not run on it.
    Musl,
    /// Neither was found.
    Unknown,
}

/// What this machine is.
#[derive(Clone, Debug)]
pub struct HostFacts {
    /// The userland's architecture; `None` when no tree can be made for it.
    pub arch: Option<Arch>,
    /// `uname -m`, for messages.
    pub machine: String,
    /// The C library.
    pub libc: Libc,
    /// `ID` and `VERSION_ID` of `os-release`, such as `debian12`; empty when unknown.
    pub distribution: String,
    /// The x86-64 level (1 to 4) of the processor; 0 on other architectures.
    pub x86_64_level: u8,
}

impl HostFacts {
    /// The glibc version, where it is glibc.
    #[must_use]
    pub fn glibc(&self) -> Option<GlibcVersion> {
        match self.libc {
            Libc::Glibc(version) => Some(version),
            Libc::Musl | Libc::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbol_versions_name_glibc_versions() {
        let version = |major, minor| Some(GlibcVersion { major, minor });
        assert_eq!(GlibcVersion::from_symbol_version("GLIBC_2.2.5"), version(2, 2));
        assert_eq!(GlibcVersion::from_symbol_version("GLIBC_2.34"), version(2, 34));
        assert_eq!(GlibcVersion::from_symbol_version("GLIBC_PRIVATE"), None);
        assert_eq!(GlibcVersion::from_symbol_version("FUSE_2.8"), None);
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        assert!(GlibcVersion { major: 2, minor: 9 } < GlibcVersion { major: 2, minor: 17 });
    }
}
