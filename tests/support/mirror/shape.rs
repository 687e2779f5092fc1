//! What distinguishes the releases, vendors and repositories whose shape a mirror takes.

use elsewhere::stages::model::GlibcVersion;

use crate::support::keys::TestKey;

/// A release of Enterprise Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// xz payloads, gz metadata (EPEL: xz), modules.
    El8,
    /// zstd payloads, gz metadata (EPEL: xz), no modules that matter.
    El9,
    /// zstd payloads, gz metadata (EPEL: zst).
    El10,
}

impl Release {
    pub fn number(self) -> u8 {
        match self {
            Self::El8 => 8,
            Self::El9 => 9,
            Self::El10 => 10,
        }
    }

    /// `el8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::El8 => "el8",
            Self::El9 => "el9",
            Self::El10 => "el10",
        }
    }

    /// The release's own glibc, by which a dist is chosen. The packages ask for Debian's.
    pub fn glibc(self) -> GlibcVersion {
        let minor = match self {
            Self::El8 => 28,
            Self::El9 => 34,
            Self::El10 => 39,
        };
        GlibcVersion { major: 2, minor }
    }

    pub fn maintained_until(self) -> &'static str {
        match self {
            Self::El8 => "2029-05-31",
            Self::El9 => "2032-05-31",
            Self::El10 => "2035-05-31",
        }
    }

    pub fn has_modules(self) -> bool {
        self == Self::El8
    }

    pub fn payload(self) -> &'static str {
        match self {
            Self::El8 => "xz",
            Self::El9 | Self::El10 => "zstd",
        }
    }

    pub fn metadata(self, vendor: Vendor) -> &'static str {
        match (vendor, self) {
            (Vendor::Rocky | Vendor::Alma, _) => "gzip",
            (Vendor::Epel, Self::El10) => "zstd",
            (Vendor::Epel, _) => "xz",
        }
    }
}

/// Who signs and publishes packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    Rocky,
    /// Instead of Rocky, for the architectures that Rocky lacks.
    Alma,
    Epel,
}

impl Vendor {
    pub fn name(self) -> &'static str {
        match self {
            Self::Rocky => "Rocky Enterprise Software Foundation (test)",
            Self::Alma => "AlmaLinux (test)",
            Self::Epel => "Fedora Project (test)",
        }
    }

    /// The vendor's throwaway key.
    pub fn key(self) -> TestKey {
        match self {
            Self::Rocky => {
                TestKey::of_vendor("Test key in place of Rocky's <rocky@example.org>", 8_101)
            }
            Self::Alma => {
                TestKey::of_vendor("Test key in place of AlmaLinux's <alma@example.org>", 8_102)
            }
            Self::Epel => {
                TestKey::of_vendor("Test key in place of EPEL's <epel@example.org>", 8_103)
            }
        }
    }
}

/// A repository of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repo {
    BaseOs,
    AppStream,
    /// AppStream, in the module container-tools where the release has it.
    Module,
    Epel,
}

impl Repo {
    pub fn directory(self) -> &'static str {
        match self {
            Self::BaseOs => "BaseOS",
            Self::AppStream | Self::Module => "AppStream",
            Self::Epel => "Everything",
        }
    }
}
