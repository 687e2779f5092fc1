//! Names and passwords for registries, from the files that docker (`config.json`) and podman, skopeo and buildah
//! (`auth.json`) write: containers-auth.json(5). What a file leaves to a helper program is not asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::RegistryError;
use crate::model::escape;
use crate::owned::open_to_read;
use crate::tools::base64;

/// Real files have a few entries.
const LARGEST: u64 = 1 << 20;

/// What is known of who asks a registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Login {
    /// A name and a password, and the file that they stand in.
    Password { name: String, password: String, file: String },
    /// What stands for them after a login, and the file that it stands in.
    Identity { token: String, file: String },
    /// A program would know.
    Helper { helper: String, file: String },
}

impl Login {
    /// The file that it is from.
    pub(super) fn file(&self) -> &str {
        match self {
            Self::Password { file, .. }
            | Self::Identity { file, .. }
            | Self::Helper { file, .. } => file,
        }
    }
}

impl fmt::Debug for Login {
    /// Shows no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.file())
    }
}

/// A file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

impl fmt::Debug for Entry {
    /// Shows no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry")
    }
}

/// What the first of `files` that says something says of a repository of `registry`. A helper counts only where no
/// file has a name and a password.
///
/// # Errors
/// When one of them cannot be read, or makes no sense.
pub(super) fn find(
    files: &[PathBuf],
    registry: &str,
    repository: &str,
) -> Result<Option<Login>, RegistryError> {
    let mut helper = None;
    for path in files {
        let shown = escape(&path.to_string_lossy()).into_owned();
        let Some(file) = read(path, &shown)? else { continue };
        match file.login(&shown, registry, repository) {
            Some(found @ Login::Helper { .. }) => drop(helper.get_or_insert(found)),
            Some(found) => return Ok(Some(found)),
            None => {}
        }
    }
    Ok(helper)
}

fn read(path: &Path, shown: &str) -> Result<Option<File>, RegistryError> {
    let wrong = |why: String| RegistryError::Logins { file: shown.to_owned(), why };
    let mut text = Vec::new();
    match open_to_read(path).and_then(|file| file.take(LARGEST).read_to_end(&mut text)) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(wrong(error.to_string())),
        Ok(_) if text.trim_ascii().is_empty() => return Ok(None),
        Ok(_) => {}
    }
    // What serde says of it may have a part of a password in it.
    let place = |error: serde_json::Error| {
        wrong(format!("it is no JSON as docker and podman write it (line {})", error.line()))
    };
    serde_json::from_slice(&text).map(Some).map_err(place)
}

impl File {
    fn login(&self, file: &str, registry: &str, repository: &str) -> Option<Login> {
        let whole = format!("{registry}/{repository}");
        // The longest counts: `registry/a/b` before `registry/a` before `registry`.
        let mut place = whole.as_str();
        loop {
            let found = self.auths.iter().find(|(key, _)| plain(key) == place);
            if let Some(login) = found.and_then(|(_, entry)| entry.login(file)) {
                return Some(login);
            }
            if place == registry {
                break;
            }
            place = place.rsplit_once('/').map_or(registry, |(above, _)| above);
        }
        let is_left = self.auths.keys().any(|key| plain(key) == registry);
        let named = self.cred_helpers.iter().find(|(key, _)| plain(key) == registry);
        let helper = named.map(|(_, helper)| helper);
        let helper = helper.or(self.creds_store.as_ref().filter(|_| is_left))?;
        Some(Login::Helper { helper: helper.clone(), file: file.to_owned() })
    }
}

impl Entry {
    fn login(&self, file: &str) -> Option<Login> {
        let file = file.to_owned();
        if !self.identitytoken.is_empty() {
            return Some(Login::Identity { token: self.identitytoken.clone(), file });
        }
        if !self.username.is_empty() {
            let (name, password) = (self.username.clone(), self.password.clone());
            return Some(Login::Password { name, password, file });
        }
        let decoded = String::from_utf8(base64::decode(self.auth.as_bytes())?).ok()?;
        let (name, password) = decoded.trim_end_matches('\0').split_once(':')?;
        let (name, password) = (name.to_owned(), password.to_owned());
        Some(Login::Password { name, password, file })
    }
}

/// A file's name of a registry, or of something in it: old ones are URLs.
fn plain(key: &str) -> &str {
    let key = key.trim_start_matches("https://").trim_start_matches("http://");
    let key = key.trim_end_matches('/');
    key.strip_suffix("/v1").or(key.strip_suffix("/v2")).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, registry: &str, repository: &str) -> String {
        let file: File = serde_json::from_str(text).unwrap();
        match file.login("f", registry, repository) {
            None => "none".to_owned(),
            Some(Login::Password { name, password, .. }) => format!("{name}:{password}"),
            Some(Login::Identity { token, .. }) => format!("token {token}"),
            Some(Login::Helper { helper, .. }) => format!("helper {helper}"),
        }
    }

    #[test]
    fn the_files_of_docker_and_podman_are_read() {
        // ann:s3:cret, bob:b, eve:e
        let text = r#"{"auths": {
            "https://r.example/v1/": {"auth": "YW5uOnMzOmNyZXQ="},
            "r.example/team": {"auth": "Ym9iOmI="},
            "r.example/team/tool": {"username": "eve", "password": "e"},
            "t.example:5000": {"auth": "eDo=", "identitytoken": "long"},
            "h.example": {}},
            "credHelpers": {"g.example": "gcloud"}, "credsStore": "desktop", "more": [1]}"#;
        assert_eq!(found(text, "r.example", "a"), "ann:s3:cret");
        assert_eq!(found(text, "r.example", "team/a"), "bob:b");
        assert_eq!(found(text, "r.example", "team/tool"), "eve:e");
        assert_eq!(found(text, "r.example", "teams"), "ann:s3:cret");
        assert_eq!(found(text, "t.example:5000", "a"), "token long");
        assert_eq!(found(text, "h.example", "a"), "helper desktop");
        assert_eq!(found(text, "g.example", "a"), "helper gcloud");
        assert_eq!(found(text, "r.example:443", "a"), "none");
        assert_eq!(found(text, "example", "a"), "none");
        assert_eq!(found("{}", "r", "a"), "none");
        assert_eq!(found(r#"{"auths": {"r": {"auth": "%%"}}}"#, "r", "a"), "none");
        let entry = Entry { password: "secret".into(), ..Entry::default() };
        assert!(!format!("{entry:?}").contains("secret"));
    }
}
