//! Processor architectures, by RPM's names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An architecture that a tree can be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit Arm.
    Aarch64,
    /// 64-bit little-endian POWER.
    Ppc64le,
    /// 64-bit IBM Z.
    S390x,
}

impl Arch {
    /// Every architecture, in the order in which lists show them.
    pub const ALL: [Self; 4] = [Self::X86_64, Self::Aarch64, Self::Ppc64le, Self::S390x];

    /// RPM's name, which is also the kernel's (`uname -m`) and a prefix's directory name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::Ppc64le => "ppc64le",
            Self::S390x => "s390x",
        }
    }

    /// The absolute path of glibc's loader on this architecture, as its ABI fixes it.
    #[must_use]
    pub fn loader(self) -> &'static str {
        match self {
            Self::X86_64 => "/lib64/ld-linux-x86-64.so.2",
            Self::Aarch64 => "/lib/ld-linux-aarch64.so.1",
            Self::Ppc64le => "/lib64/ld64.so.2",
            Self::S390x => "/lib/ld64.so.1",
        }
    }

    /// Whether an RPM of architecture `rpm_arch` belongs into a tree of this one. Secondary
    /// architectures (`i686`) never do.
    #[must_use]
    pub fn accepts(self, rpm_arch: &str) -> bool {
        rpm_arch == self.as_str() || rpm_arch == "noarch"
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that is no architecture known here.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown architecture {0:?}: choose from x86_64, aarch64, ppc64le, s390x")]
pub struct UnknownArch(pub String);

impl FromStr for Arch {
    type Err = UnknownArch;

    /// Accepts RPM's names and those that Debian (`amd64`, `arm64`, `ppc64el`) uses.
    fn from_str(name: &str) -> Result<Self, UnknownArch> {
        match name {
            "x86_64" | "amd64" | "x86-64" => Ok(Self::X86_64),
            "aarch64" | "arm64" => Ok(Self::Aarch64),
            "ppc64le" | "ppc64el" => Ok(Self::Ppc64le),
            "s390x" => Ok(Self::S390x),
            other => Err(UnknownArch(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for arch in Arch::ALL {
            assert_eq!(arch.as_str().parse(), Ok(arch));
        }
        assert_eq!("arm64".parse(), Ok(Arch::Aarch64));
        assert!("i686".parse::<Arch>().is_err());
    }

    #[test]
    fn i686_twins_are_never_accepted() {
        assert!(Arch::X86_64.accepts("noarch"));
        assert!(!Arch::X86_64.accepts("i686"));
    }
}
