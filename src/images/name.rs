//! What an image is called: in a registry, or in a directory in OCI's layout.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::fetch::registry::{Reference, SCHEME};
use crate::model::{Registries, escape};

/// How docker's users write that something is in a registry.
const DOCKER: &str = "docker://";
/// What names a directory.
const LAYOUT: &str = "oci:";

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImageName {
    /// In a registry.
    Registry(Reference),
    /// In a directory in OCI's layout, and which of several.
    Layout(PathBuf, Option<String>),
}

impl ImageName {
    /// The image that `text` means: `[docker://|oci://][HOST/]NAME[:TAG][@DIGEST]`, where a host that is left out is the
    /// usual one, or `oci:DIR[:TAG]`.
    ///
    /// # Errors
    /// When it means none.
    pub(crate) fn read(text: &str, registries: &Registries) -> Result<Self, String> {
        let is_registry = text.starts_with(SCHEME);
        if let Some(rest) = text.strip_prefix(LAYOUT).filter(|_| !is_registry) {
            // A colon may be in a directory's name.
            let (directory, tag) = match rest.rsplit_once(':') {
                Some((directory, tag)) if !tag.contains('/') && !Path::new(rest).exists() => {
                    (directory, Some(tag.to_owned()))
                }
                _ => (rest, None),
            };
            return match directory {
                "" => Err(format!("{}: a directory is missing: oci:DIR[:TAG]", escape(text))),
                directory => Ok(Self::Layout(directory.into(), tag)),
            };
        }
        let name = text.strip_prefix(DOCKER).or(text.strip_prefix(SCHEME)).unwrap_or(text);
        let wrong =
            |why: String| format!("{}: {why}: [HOST/]NAME[:TAG][@sha256:DIGEST]", escape(text));
        if name.contains("://") {
            return Err(wrong("another kind of place".to_owned()));
        }
        // With both, the digest says which image is meant, and the tag nothing.
        let whole = registries.whole_name(name).map_err(wrong)?;
        Reference::from_str(&format!("{SCHEME}{whole}")).map(Self::Registry).map_err(|why| {
            // Its form has no shorter names.
            wrong(why.split(": ").nth(1).unwrap_or("this is no name").to_owned())
        })
    }

    /// A name for a file or a directory of it: `alpine_3.20`.
    pub(crate) fn file_name(&self) -> String {
        let text = match self {
            Self::Registry(reference) => {
                let text = reference.to_string();
                text.rsplit('/').next().unwrap_or("image").to_owned()
            }
            Self::Layout(directory, tag) => {
                let name = directory.file_name().unwrap_or_default().to_string_lossy();
                tag.as_ref().map_or_else(|| name.to_string(), |tag| format!("{name}_{tag}"))
            }
        };
        let (name, digest) = text.split_once("@sha256:").unwrap_or((&text, ""));
        let digest = digest.get(..12).map_or_else(String::new, |it| format!("_{it}"));
        format!("{}{digest}", name.replace(':', "_"))
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => {
                let text = reference.to_string();
                write!(f, "{}", text.strip_prefix(SCHEME).unwrap_or(&text))
            }
            Self::Layout(directory, tag) => {
                write!(f, "{LAYOUT}{}", directory.display())?;
                tag.as_ref().map_or(Ok(()), |tag| write!(f, ":{tag}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_other_programs_read_them() {
        let text = include_str!("../../repos/registries.toml");
        let registries: Registries = toml::from_str(text).unwrap();
        let read = |text: &str| ImageName::read(text, &registries);
        let shown = |text: &str| read(text).unwrap().to_string();
        let digest = "a".repeat(64);
        assert_eq!(shown("alpine:3"), "docker.io/library/alpine:3");
        assert_eq!(shown("docker://ghcr.io/a/b"), "ghcr.io/a/b");
        assert_eq!(shown("oci://localhost:5000/a/b:1"), "localhost:5000/a/b:1");
        let both = format!("r.example/a:1@sha256:{digest}");
        assert_eq!(shown(&both), format!("r.example/a@sha256:{digest}"));
        assert_eq!(shown("oci:a/b:1"), "oci:a/b:1");
        assert_eq!(read("oci:a/b").unwrap().file_name(), "b");
        assert_eq!(read("r.example/a/b:1").unwrap().file_name(), "b_1");
        assert_eq!(read(&both).unwrap().file_name(), "a_aaaaaaaaaaaa");
        for text in
            ["", "docker://", "oci:", "shub://a/b", "r.example/A", "r.example/a:", "../a", "a b"]
        {
            let told = read(text).unwrap_err();
            assert!(told.contains(text), "{told}");
        }
    }
}
