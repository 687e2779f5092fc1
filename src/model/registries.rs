//! What registries of images are called, and where they are. Read from `repos/registries.toml`; the format is
//! described in `docs/definitions.md`.

use serde::{Deserialize, Serialize};

/// The file of registries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registries {
    /// The one that is meant where a name has none; none may be left out where this is empty.
    #[serde(default)]
    pub default: String,
    /// Those of which there is more to know than their name.
    #[serde(default)]
    pub registry: Vec<KnownRegistry>,
}

/// A registry that has more than a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownRegistry {
    /// What it is called in names of images: host, and port where one is named.
    pub name: String,
    /// What else it is called.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The host that is asked; its name, where this is empty.
    #[serde(default)]
    pub address: String,
    /// Under which other names files with names and passwords have it.
    #[serde(default)]
    pub logins: Vec<String>,
    /// What stands before a name that has one part only.
    #[serde(default)]
    pub library: String,
}

impl Registries {
    /// What is known of the registry that is called `name`.
    #[must_use]
    pub(crate) fn find(&self, name: &str) -> Option<&KnownRegistry> {
        let is_called =
            |it: &&KnownRegistry| it.name == name || it.aliases.iter().any(|alias| alias == name);
        self.registry.iter().find(is_called)
    }

    /// The host, with its port, at which the registry that is called `name` is asked.
    #[must_use]
    pub(crate) fn address<'a>(&'a self, name: &'a str) -> &'a str {
        let known = self.find(name).map(|it| it.address.as_str());
        known.filter(|address| !address.is_empty()).unwrap_or(name)
    }

    /// The name of an image, as registries have it: `HOST/REPOSITORY` and what follows, for a name in which the host
    /// may be left out, as docker and podman take it. The first part of a name is a host only if there is a dot or a
    /// colon in it, or it is `localhost`.
    ///
    /// # Errors
    /// When a host is needed, and there is none.
    pub(crate) fn whole_name(&self, name: &str) -> Result<String, String> {
        let is_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
        let (host, rest) = match name.split_once('/') {
            Some((host, rest)) if is_host(host) => (host, rest),
            _ if self.default.is_empty() => return Err("the registry is missing".to_owned()),
            _ => (self.default.as_str(), name),
        };
        let known = self.find(host);
        let library = known.filter(|it| !it.library.is_empty() && !rest.contains('/'));
        let host = known.map_or(host, |known| known.name.as_str());
        Ok(match library {
            Some(known) => format!("{host}/{}/{rest}", known.library),
            None => format!("{host}/{rest}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_whole() {
        let text = include_str!("../../repos/registries.toml");
        let registries: Registries = toml::from_str(text).unwrap();
        let whole = |name: &str| registries.whole_name(name).unwrap();
        assert_eq!(whole("alpine:3"), "docker.io/library/alpine:3");
        assert_eq!(whole("atlas/analysis"), "docker.io/atlas/analysis");
        assert_eq!(whole("index.docker.io/alpine"), "docker.io/library/alpine");
        assert_eq!(whole("registry.example/alpine"), "registry.example/alpine");
        assert_eq!(whole("localhost/a"), "localhost/a");
        assert_eq!(whole("host:5000/a/b@sha256:1"), "host:5000/a/b@sha256:1");
        assert_eq!(registries.address("docker.io"), "registry-1.docker.io");
        assert_eq!(registries.address("registry.example"), "registry.example");
        assert!(Registries::default().whole_name("alpine").is_err());
    }
}
