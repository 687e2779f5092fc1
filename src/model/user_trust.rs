//! Whom the user trusts beyond what definitions say: for one repository at a time, named as everywhere,
//! or for the package file that the user named.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::means_repository;

/// The repository of a package that the user named by path or URL.
pub(crate) const LOCAL: &str = "local";

/// What the user trusts, for a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserTrust {
    /// Files of keys, each for a repository.
    pub files: Vec<TrustedFile>,
    /// Repositories whose packages need no signature.
    pub unsigned: Vec<String>,
}

/// A file of keys, and the repository whose packages and metadata they may sign.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "PathBuf")]
pub struct TrustedFile {
    /// The repository's id or `DIST/ID`, or [`LOCAL`].
    pub repository: String,
    /// The file.
    pub path: PathBuf,
}

impl UserTrust {
    /// Whether packages of the repository `id` of `dist` need no signature.
    #[must_use]
    pub(crate) fn lets_in_unsigned(&self, dist: &str, id: &str) -> bool {
        self.unsigned.iter().any(|name| means_repository(name, dist, id))
    }

    /// The names of repositories in it, but the one of the user's own file.
    pub(crate) fn repositories(&self) -> impl Iterator<Item = &str> {
        let files = self.files.iter().map(|file| &file.repository);
        files.chain(&self.unsigned).map(String::as_str).filter(|name| *name != LOCAL)
    }
}

/// `[REPO=]FILE`; a path with an equals sign in it begins with `/` or `./`.
impl From<PathBuf> for TrustedFile {
    fn from(word: PathBuf) -> Self {
        let bytes = word.as_os_str().as_bytes();
        let parts = bytes.iter().position(|&byte| byte == b'=').map(|at| bytes.split_at(at));
        let named =
            parts.and_then(|(name, rest)| Some((str::from_utf8(name).ok()?, rest.get(1..)?)));
        match named.filter(|(name, _)| !name.is_empty() && !name.starts_with(['.', '/', '~'])) {
            Some((name, path)) => Self {
                repository: name.to_owned(),
                path: Path::new(OsStr::from_bytes(path)).into(),
            },
            None => Self { repository: LOCAL.to_owned(), path: word },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_keys_is_for_the_repository_that_stands_before_it() {
        for (word, repository, path) in [
            ("key.asc", LOCAL, "key.asc"),
            ("epel=key.asc", "epel", "key.asc"),
            ("el9/epel=/a/key=1.asc", "el9/epel", "/a/key=1.asc"),
            ("./a=b.asc", LOCAL, "./a=b.asc"),
            ("/a=b.asc", LOCAL, "/a=b.asc"),
            ("=b.asc", LOCAL, "=b.asc"),
        ] {
            let file = TrustedFile::from(PathBuf::from(word));
            assert_eq!((file.repository.as_str(), file.path.to_str()), (repository, Some(path)));
        }
    }
}
