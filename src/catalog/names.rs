//! Names of distributions, translated to the dist that fits them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::{Dist, GlibcVersion};

/// `names.toml`: of several files, the most important one's entries first.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    #[serde(default)]
    examples: Vec<String>,
    #[serde(rename = "name", default)]
    names: Vec<Name>,
    #[serde(default)]
    refused: Vec<Refused>,
}

/// Distributions that one dist fits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    patterns: Vec<String>,
    dist: String,
    /// The oldest glibc among the distributions: the reason for the choice.
    #[serde(default)]
    glibc: Option<GlibcVersion>,
}

/// Distributions that no dist fits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    patterns: Vec<String>,
    because: String,
}

impl Names {
    /// Appends the entries of a less important file.
    pub(super) fn append(&mut self, later: Self) {
        self.examples.extend(later.examples);
        self.names.extend(later.names);
        self.refused.extend(later.refused);
    }

    /// The dist for a normalized name.
    pub(super) fn dist(&self, plain: &str) -> Option<&str> {
        let entry = self.names.iter().find(|name| any_matches(&name.patterns, plain))?;
        Some(&entry.dist)
    }

    /// The oldest glibc of the distributions that a normalized name stands for.
    pub(super) fn glibc(&self, plain: &str) -> Option<GlibcVersion> {
        self.names.iter().find(|name| any_matches(&name.patterns, plain))?.glibc
    }

    /// Why nothing fits a normalized name, where that is known.
    pub(super) fn refusal(&self, plain: &str) -> Option<String> {
        let entry = self.refused.iter().find(|entry| any_matches(&entry.patterns, plain))?;
        Some(entry.because.clone())
    }

    /// Names for messages, to show what can be typed.
    pub(super) fn examples(&self) -> &[String] {
        &self.examples
    }

    /// The first thing that is wrong with the table: a dist that does not exist, or a pattern
    /// that [`normalize`] would never let match.
    pub(super) fn problem(&self, dists: &BTreeMap<String, Dist>) -> Option<String> {
        let patterns = self.names.iter().flat_map(|name| &name.patterns);
        let refused = self.refused.iter().flat_map(|entry| &entry.patterns);
        if let Some(pattern) = patterns.chain(refused).find(|text| normalize(text) != **text) {
            return Some(format!("{pattern:?} never matches: write {:?}", normalize(pattern)));
        }
        // That a dist is old enough for a name's glibc is a test's business: a user's dist may
        // replace one that the table names, and be newer.
        let lost = self.names.iter().find(|name| !dists.contains_key(&name.dist))?;
        Some(format!("there is no dist {:?} for {:?}", lost.dist, lost.patterns))
    }

    /// Every pattern, with its dist and its glibc.
    #[cfg(test)]
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &str, Option<GlibcVersion>)> {
        self.names.iter().flat_map(|name| {
            name.patterns.iter().map(|pattern| (pattern.as_str(), name.dist.as_str(), name.glibc))
        })
    }
}

/// `typed` in lower case, without separators before a digit: `Ubuntu-24.04` → `ubuntu24.04`.
pub(super) fn normalize(typed: &str) -> String {
    let mut plain = String::with_capacity(typed.len());
    for character in typed.trim().to_lowercase().chars() {
        if character.is_ascii_digit() {
            let kept = plain.trim_end_matches(['-', '_', ':', ' ']).len();
            plain.truncate(kept);
        }
        plain.push(character);
    }
    plain
}

/// Whether a normalized name is of the form of any of `patterns`.
pub(super) fn any_matches(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, name))
}

/// Whether `name` is of the form `pattern`, in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(rest) = name.strip_prefix(head) else {
        return false;
    };
    (0..=rest.len()).filter_map(|start| rest.get(start..)).any(|remaining| matches(tail, remaining))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_before_the_version_do_not_matter() {
        for typed in ["Ubuntu 24.04", "ubuntu-24.04", "ubuntu:24.04", " UBUNTU24.04 "] {
            assert_eq!(normalize(typed), "ubuntu24.04");
        }
        assert_eq!(normalize("opensuse-leap-15.6"), "opensuse-leap15.6");
        assert_eq!(normalize("centos-stream-9"), "centos-stream9");
        assert_eq!(normalize("arch"), "arch");
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        assert!(matches("rocky9*", "rocky9"));
        assert!(matches("rocky9*", "rocky9.4"));
        assert!(matches("oracle*7", "oraclelinux7"));
        assert!(!matches("oracle*7", "oraclelinux7.9"));
        assert!(!matches("amzn2", "amzn2023"));
        assert!(matches("*", ""));
    }
}
