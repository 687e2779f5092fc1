//! What `oci://REGISTRY/REPOSITORY[:TAG|@DIGEST]` says. The grammar of names, tags and digests is that of OCI's
//! distribution specification ("Pulling manifests").

use std::fmt;
use std::str::FromStr;

use crate::model::{Checksum, escape};

/// How a reference begins.
pub(crate) const SCHEME: &str = "oci://";
/// Most characters of a tag, and of a repository's name.
const LONGEST_TAG: usize = 128;
const LONGEST_NAME: usize = 255;
/// The tag that is meant by whoever names none.
const USUAL_TAG: &str = "latest";

/// A repository of a registry, and what of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Host, and port where one is named.
    pub(super) registry: String,
    /// Below the registry.
    pub(super) repository: String,
    /// What of it, where that is named.
    pub(crate) target: Option<ManifestName>,
}

/// What names a manifest in its repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ManifestName {
    /// A name, which may mean another one tomorrow.
    Tag(String),
    /// SHA-256 of its bytes.
    Digest(Checksum),
}

impl ManifestName {
    /// The tag for a version: what no tag may have, and RPM's versions do, becomes `-` (`~`, `^`) or `_` (`+`).
    ///
    /// # Errors
    /// When it is no tag even so.
    pub(crate) fn of_version(version: &str) -> Result<Self, String> {
        let turned = |character| match character {
            '~' | '^' => '-',
            '+' => '_',
            other => other,
        };
        let tag: String = version.chars().map(turned).collect();
        let is_inner = |character: char| {
            character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-')
        };
        let begins = tag.starts_with(|it: char| it.is_ascii_alphanumeric() || it == '_');
        match begins && tag.len() <= LONGEST_TAG && tag.chars().all(is_inner) {
            true => Ok(Self::Tag(tag)),
            false => Err(format!(
                "{} is no tag: at most {LONGEST_TAG} letters, digits, `_`, `.` and `-`, and neither of the last two \
                 first",
                escape(version)
            )),
        }
    }

    /// The one that is meant where none is named.
    #[must_use]
    pub(crate) fn usual() -> Self {
        Self::Tag(USUAL_TAG.to_owned())
    }
}

impl fmt::Display for ManifestName {
    /// As it stands in a path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "{tag}"),
            Self::Digest(digest) => write!(f, "sha256:{}", digest.hex()),
        }
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "oci://REGISTRY/REPOSITORY[:TAG|@sha256:DIGEST]";
        let wrong = |why: &str| format!("{}: {why}: {form}", escape(text));
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| wrong("another kind of place"))?;
        if rest.contains(['?', '#', '\\']) || rest.split('/').next().unwrap_or("").contains('@') {
            return Err(wrong(
                "a name and a password come from a file, and nothing else stands there",
            ));
        }
        let (registry, rest) =
            rest.split_once('/').ok_or_else(|| wrong("a repository is missing"))?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if !is_host(registry) {
            return Err(wrong("this is no host"));
        }
        let is_name = repository.len() <= LONGEST_NAME && repository.split('/').all(is_component);
        if !is_name {
            return Err(wrong(
                "a repository has small letters and digits, with single separators between",
            ));
        }
        let target = match (digest, tag) {
            // Of both the digest says more.
            (Some(digest), _) => Some(ManifestName::Digest(
                sha256(digest).ok_or_else(|| wrong("this digest is not of SHA-256"))?,
            )),
            (None, Some(tag)) => Some(ManifestName::of_version(tag)?),
            (None, None) => None,
        };
        Ok(Self { registry: registry.to_owned(), repository: repository.to_owned(), target })
    }
}

impl Reference {
    /// Its repository, where that is another one of the registry of `other`.
    #[must_use]
    pub(crate) fn sibling_for(&self, other: &Self) -> Option<String> {
        let is_one = self.registry == other.registry && self.repository != other.repository;
        is_one.then(|| self.repository.clone())
    }

    /// The same, of another thing there.
    #[must_use]
    pub(crate) fn to(&self, target: ManifestName) -> Self {
        Self { target: Some(target), ..self.clone() }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.registry, self.repository)?;
        match &self.target {
            None => Ok(()),
            Some(target @ ManifestName::Tag(_)) => write!(f, ":{target}"),
            Some(target @ ManifestName::Digest(_)) => write!(f, "@{target}"),
        }
    }
}

/// The digest `sha256:HEX`.
pub(super) fn sha256(text: &str) -> Option<Checksum> {
    Checksum::new("sha256", text.strip_prefix("sha256:")?).ok()
}

/// Whether this is a host's name or address, and maybe a port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_address = inner.is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok());
    let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '-');
    let is_name = !host.trim_matches('.').is_empty() && host.chars().all(is_plain);
    (is_name || is_address) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Whether this is one part of a repository's name.
fn is_component(text: &str) -> bool {
    let is_word = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
    let mut separator = String::new();
    for character in text.chars() {
        match character {
            it if is_word(it) => {
                if !(separator.len() <= 1
                    || separator == "__"
                    || separator.chars().all(|it| it == '-'))
                {
                    return false;
                }
                separator.clear();
            }
            '.' | '_' | '-' => separator.push(character),
            _ => return false,
        }
    }
    separator.is_empty() && text.starts_with(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_written() {
        let digest = "a".repeat(64);
        for text in [
            "oci://r.example/el/apptainer:1.4.5",
            "oci://127.0.0.1:5000/a",
            "oci://[::1]:5000/a/b-c/d__e.f",
            &format!("oci://r/a--b@sha256:{digest}"),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        let both = format!("oci://r/a:1@sha256:{digest}");
        let both = both.parse::<Reference>().unwrap();
        assert!(matches!(both.target, Some(ManifestName::Digest(_))));
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "r.example/a",
            "oci://r.example",
            "oci://r.example/",
            "oci:///a",
            "oci://../a",
            "oci://r/../a",
            "oci://r/a//b",
            "oci://r/A",
            "oci://r/a?b",
            "oci://r/a%2e",
            "oci://ann:word@r/a",
            "oci://r:99999/a",
            "oci://r/a:",
            "oci://r/a:.x",
            "oci://r/a:b c",
            "oci://r/a@sha256:12",
            "oci://r/a@sha512:12",
            "oci://r/a._b",
            "oci://r/a-",
            &format!("oci://r/a:{}", "t".repeat(129)),
            &format!("oci://r/{}", "n".repeat(256)),
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn versions_become_tags() {
        let tag = |version: &str| ManifestName::of_version(version).map(|tag| tag.to_string());
        assert_eq!(tag("1.4.0~rc.1").unwrap(), "1.4.0-rc.1");
        assert_eq!(tag("1.4.0+git^2").unwrap(), "1.4.0_git-2");
        assert_eq!(tag(&"9".repeat(128)).unwrap().len(), 128);
        assert!(tag("").is_err() && tag("1/2").is_err() && tag("é").is_err());
    }
}
