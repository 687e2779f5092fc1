//! Which of an image's manifests is for a machine (OCI's image specification, image-index.md; names and variants are
//! those of Go).

use std::fmt;
use std::str::FromStr;

use crate::fetch::registry::{DOCKER_INDEX, Descriptor, INDEX, Platform};
use crate::model::{Arch, escape};

/// A machine that an image is wanted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WantedPlatform(Platform);

impl WantedPlatform {
    /// Linux on this architecture.
    pub(crate) fn of(arch: Arch) -> Self {
        let architecture = match arch {
            Arch::X86_64 => "amd64",
            Arch::Aarch64 => "arm64",
            Arch::Ppc64le => "ppc64le",
            Arch::S390x => "s390x",
        };
        let (architecture, os) = (architecture.to_owned(), "linux".to_owned());
        Self(Platform { architecture, os, variant: None })
    }

    /// Whether an image that says this of itself is for it, whatever its variant.
    pub(super) fn is_of(&self, os: &str, architecture: &str) -> bool {
        self.0.os == os && self.0.architecture == architecture
    }

    /// How well something for `platform` runs there: the less, the better; `None` where it does not.
    fn rank(&self, platform: &Platform) -> Option<u32> {
        if !self.is_of(&platform.os, &platform.architecture) {
            return None;
        }
        let there = platform.variant.as_deref().unwrap_or_default();
        let wanted = self.0.variant.as_deref().unwrap_or_default();
        if there == wanted {
            return Some(0);
        }
        match self.0.architecture.as_str() {
            // All of them are of the eighth version at least.
            "arm64" => {
                let version = |variant| if str::is_empty(variant) { "v8" } else { variant };
                (version(there) == version(wanted)).then_some(1)
            }
            // What is for fewer features runs on processors with more.
            "amd64" => Some(level(wanted, 1)?.checked_sub(level(there, 1)?)? + 1),
            "arm" => Some(level(wanted, 7)?.checked_sub(level(there, 5)?)? + 1),
            _ => (wanted.is_empty() || there.is_empty()).then_some(1),
        }
    }

    /// The best of `all`.
    pub(super) fn best<'d>(&self, all: &'d [Descriptor]) -> Option<&'d Descriptor> {
        let ranked = all.iter().filter_map(|it| Some((self.rank(it.platform.as_ref()?)?, it)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, descriptor)| descriptor)
    }
}

/// The number of a variant.
fn level(variant: &str, usual: u32) -> Option<u32> {
    match variant {
        "" => Some(usual),
        variant => variant.strip_prefix('v')?.parse().ok(),
    }
}

impl fmt::Display for WantedPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl FromStr for WantedPlatform {
    type Err = String;

    /// An architecture, by any of its names, or `OS/ARCHITECTURE[/VARIANT]`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(arch) = text.parse() {
            return Ok(Self::of(arch));
        }
        let parts: Vec<&str> = text.split('/').collect();
        let is_word = |part: &&str| {
            !part.is_empty()
                && part.chars().all(|it| it.is_ascii_alphanumeric() || "._-".contains(it))
        };
        let (os, architecture, variant) = match *parts.as_slice() {
            [architecture] => ("linux", architecture, None),
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant.to_owned())),
            _ => return Err("OS/ARCHITECTURE[/VARIANT] is needed".to_owned()),
        };
        if !parts.iter().all(is_word) {
            return Err("OS/ARCHITECTURE[/VARIANT] is needed, linux/arm/v7 for example".to_owned());
        }
        let architecture = match architecture.parse() {
            Ok(arch) => Self::of(arch).0.architecture,
            Err(_) => architecture.to_owned(),
        };
        Ok(Self(Platform { architecture, os: os.to_owned(), variant }))
    }
}

/// `OS/ARCHITECTURE[/VARIANT]`.
pub(super) fn shown(platform: &Platform) -> String {
    let variant = platform.variant.as_deref().unwrap_or_default();
    let slash = if variant.is_empty() { "" } else { "/" };
    let text = format!("{}/{}{slash}{variant}", platform.os, platform.architecture);
    escape(&text).into_owned()
}

/// Whether something is an index.
pub(super) fn is_index(descriptor: &Descriptor) -> bool {
    [INDEX, DOCKER_INDEX].contains(&descriptor.media_type.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::registry::MANIFEST;
    use crate::model::Checksum;

    fn chosen(wanted: &str, there: &[&str]) -> String {
        let descriptor = |text: &&str| {
            let platform = text.parse::<WantedPlatform>().unwrap().0;
            let checksum = Checksum::of(text.as_bytes());
            Descriptor { platform: Some(platform), ..Descriptor::new(MANIFEST, &checksum, 1) }
        };
        let all: Vec<_> = there.iter().map(descriptor).collect();
        let best = wanted.parse::<WantedPlatform>().unwrap();
        best.best(&all).map_or("none".into(), |it| shown(it.platform.as_ref().unwrap()))
    }

    #[test]
    fn the_best_that_runs_is_chosen() {
        let all = [
            "unknown/unknown",
            "linux/amd64/v3",
            "linux/amd64",
            "linux/arm64/v8",
            "linux/arm/v7",
            "linux/arm/v6",
        ];
        assert_eq!(chosen("x86_64", &all), "linux/amd64");
        assert_eq!(chosen("linux/amd64/v4", &all), "linux/amd64/v3");
        assert_eq!(chosen("linux/amd64/v2", &all), "linux/amd64");
        assert_eq!(chosen("x86_64", &["linux/amd64/v3"]), "none");
        assert_eq!(chosen("x86_64", &["linux/amd64/v1"]), "linux/amd64/v1");
        assert_eq!(chosen("aarch64", &all), "linux/arm64/v8");
        assert_eq!(chosen("linux/arm64/v8", &["linux/arm64"]), "linux/arm64");
        assert_eq!(chosen("linux/arm64", &["linux/arm64/v9"]), "none");
        assert_eq!(chosen("arm", &all), "linux/arm/v7");
        assert_eq!(chosen("linux/arm/v6", &all), "linux/arm/v6");
        assert_eq!(chosen("linux/arm/v5", &all), "none");
        assert_eq!(chosen("ppc64le", &all), "none");
        assert_eq!(chosen("riscv64", &["linux/riscv64"]), "linux/riscv64");
        assert!("".parse::<WantedPlatform>().is_err());
        assert!("linux/".parse::<WantedPlatform>().is_err());
        assert!("a/b/c/d".parse::<WantedPlatform>().is_err());
    }
}
