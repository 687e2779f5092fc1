//! Names of packages: NEVRA, as RPM writes it.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::escape;
use super::version_order::compare as compare_segment;

/// Epoch, version and release. Ordered by RPM's rules (`rpmvercmp`, with `~` and `^`).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evr {
    /// Epoch; 0 where the package names none.
    #[serde(default)]
    pub epoch: u32,
    /// Upstream's version.
    pub version: String,
    /// The packager's release; empty in dependencies that do not care.
    #[serde(default)]
    pub release: String,
}

/// An [`Evr`] within a text that somebody else holds.
#[derive(Clone, Copy, Debug)]
pub struct EvrRef<'a> {
    /// Epoch; 0 where the text names none.
    pub epoch: u32,
    /// Upstream's version.
    pub version: &'a str,
    /// The packager's release; empty in dependencies that do not care.
    pub release: &'a str,
}

impl<'a> EvrRef<'a> {
    /// Reads `[EPOCH:]VERSION[-RELEASE]`. What is no number belongs to the version, as for libsolv;
    /// one that is too large for RPM counts as the largest.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        let (epoch, rest) = match text.split_once(':').filter(|_| Evr::has_epoch(text)) {
            Some((epoch, rest)) => (epoch.parse().unwrap_or(u32::MAX), rest),
            None => (0, text),
        };
        let (version, release) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self { epoch, version, release }
    }

    /// Compares as a dependency does: a side without a release matches any release.
    #[must_use]
    pub fn compare_in_dependency(&self, other: &Self) -> Ordering {
        let versions =
            self.epoch.cmp(&other.epoch).then_with(|| compare_segment(self.version, other.version));
        if self.release.is_empty() || other.release.is_empty() {
            return versions;
        }
        versions.then_with(|| compare_segment(self.release, other.release))
    }
}

impl From<EvrRef<'_>> for Evr {
    fn from(EvrRef { epoch, version, release }: EvrRef<'_>) -> Self {
        Self { epoch, version: version.to_owned(), release: release.to_owned() }
    }
}

impl PartialEq for EvrRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for EvrRef<'_> {}

impl PartialOrd for EvrRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for EvrRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| compare_segment(self.version, other.version))
            .then_with(|| compare_segment(self.release, other.release))
    }
}

impl fmt::Display for EvrRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch != 0 {
            write!(f, "{}:", self.epoch)?;
        }
        f.write_str(&escape(self.version))?;
        if !self.release.is_empty() {
            write!(f, "-{}", escape(self.release))?;
        }
        Ok(())
    }
}

impl Evr {
    /// Parses `[EPOCH:]VERSION[-RELEASE]`, as [`EvrRef::parse`] does.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        EvrRef::parse(text).into()
    }

    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> EvrRef<'_> {
        EvrRef { epoch: self.epoch, version: &self.version, release: &self.release }
    }

    /// Whether `text` begins with digits and a colon: an epoch.
    #[must_use]
    pub fn has_epoch(text: &str) -> bool {
        let is_number = |epoch: &str| epoch.bytes().all(|byte| byte.is_ascii_digit());
        text.split_once(':').is_some_and(|(epoch, _)| !epoch.is_empty() && is_number(epoch))
    }

    /// `[EPOCH:]VERSION[-RELEASE]`, as dependencies have it: [`Self::parse`] reads it.
    #[must_use]
    pub fn as_text(&self) -> String {
        // Else the version's own beginning would be taken for one.
        let is_needed = self.epoch != 0 || Self::has_epoch(&self.version);
        let epoch = if is_needed { format!("{}:", self.epoch) } else { String::new() };
        let release =
            if self.release.is_empty() { String::new() } else { format!("-{}", self.release) };
        format!("{epoch}{}{release}", self.version)
    }
}

impl PartialEq for Evr {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Evr {}

impl PartialOrd for Evr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Evr {
    fn cmp(&self, other: &Self) -> Ordering {
        self.borrowed().cmp(&other.borrowed())
    }
}

impl fmt::Display for Evr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.borrowed().fmt(f)
    }
}

/// Name, epoch, version, release and architecture: what identifies a package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Nevra {
    /// The package's name.
    pub name: String,
    /// Its epoch, version and release.
    #[serde(flatten)]
    pub evr: Evr,
    /// RPM's architecture, which may be `noarch`.
    pub arch: String,
}

impl fmt::Display for Nevra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}.{}", escape(&self.name), self.evr, escape(&self.arch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_rpms_and_not_the_texts() {
        let newer = |a: &str, b: &str| assert!(Evr::parse(a) > Evr::parse(b), "{a} > {b}");
        newer("1.10.1-1", "1.9.3-1");
        newer("1:1.0-1", "9.9-9");
        newer("1.0-1", "1.0~rc1-1");
        newer("1.0^git1-1", "1.0-1");
        newer("2.9-10.el8", "2.9-9.el8");
    }

    #[test]
    fn an_epoch_is_a_number_before_a_colon() {
        let epoch = |text: &str| (Evr::parse(text).epoch, Evr::parse(text).version);
        assert_eq!(epoch("1:"), (1, String::new()));
        assert_eq!(epoch("0:2:1-3"), (0, "2:1".into()));
        assert_eq!(epoch("q:1-3"), (0, "q:1".into()));
        assert_eq!(epoch("-1:1"), (0, String::new()), "all before the last hyphen");
        assert_eq!(epoch("99999999999:1-1"), (u32::MAX, "1".into()));
    }

    #[test]
    fn a_dependency_without_release_matches_any_release() {
        let evr = EvrRef::parse("1:2.0-3");
        assert_eq!(EvrRef::parse("1:2.0").compare_in_dependency(&evr), Ordering::Equal);
        assert_eq!(EvrRef::parse("2.0").compare_in_dependency(&evr), Ordering::Less);
    }

    #[test]
    fn display_leaves_out_what_is_not_there() {
        assert_eq!(Evr::parse("0:1.2-3").to_string(), "1.2-3");
        assert_eq!(Evr::parse("2:1.2").to_string(), "2:1.2");
    }
}
