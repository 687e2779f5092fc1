//! Packages of build systems that keep signed copies for a while only, and for good the unsigned package with each
//! signature's header beside it: Koji's layout (`koji/__init__.py`, `PathInfo`). The URL of a signed copy that
//! is gone stands for the same bytes, joined from both.

use super::{FetchError, Fetcher};
use crate::model::Checksum;
use crate::tools::splice;

/// Most bytes of a signature's header.
const SIGNATURE_LIMIT: u64 = 1 << 20;

/// For the URL of a signed copy, `…/data/signed/KEY/ARCH/FILE`: those of the unsigned package and of the
/// signature's header.
fn parts(url: &str) -> Option<(String, String)> {
    let (build, copy) = url.split_once("/data/signed/")?;
    let (key, file) = copy.split_once('/')?;
    let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_file = file.split('/').count() == 2 && !file.contains(['?', '#']);
    (is_key && is_file)
        .then(|| (format!("{build}/{file}"), format!("{build}/data/sigcache/{key}/{file}.sig")))
}

impl Fetcher<'_> {
    /// The package file at `url`, at most `limit` bytes; joined, where only its parts are there. Nobody has
    /// proved it.
    ///
    /// # Errors
    /// As [`Fetcher::document`].
    pub(crate) fn package(&self, url: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        match self.document(url, limit) {
            Err(error) if error.is_not_found() => match self.join(url, limit) {
                Some(joined) => Ok(joined),
                None => Err(error),
            },
            outcome => outcome,
        }
    }

    /// The package that the first of `urls` stands for of which there are parts that make the digest.
    pub(super) fn joined(
        &self,
        urls: &[String],
        checksum: &Checksum,
        limit: u64,
    ) -> Option<Vec<u8>> {
        let is_it = |bytes: &Vec<u8>| Checksum::by(checksum.algorithm(), bytes) == *checksum;
        urls.iter().filter_map(|url| self.join(url, limit)).find(is_it)
    }

    /// What `url` stands for, from its parts.
    fn join(&self, url: &str, limit: u64) -> Option<Vec<u8>> {
        let (unsigned, signature) = parts(url)?;
        let signature = self.document(&signature, SIGNATURE_LIMIT).ok()?;
        let joined = splice::with_signature(&self.document(&unsigned, limit).ok()?, &signature)?;
        self.reporter.detail(format!("{unsigned}: joined with its signature, which lies apart"));
        Some(joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_signed_copy_says_where_its_parts_are() {
        let build = "https://koji.example/packages/it/1.0/1.el8";
        assert_eq!(
            parts(&format!("{build}/data/signed/2f86d6a1/x86_64/it-1.0-1.el8.x86_64.rpm")),
            Some((
                format!("{build}/x86_64/it-1.0-1.el8.x86_64.rpm"),
                format!("{build}/data/sigcache/2f86d6a1/x86_64/it-1.0-1.el8.x86_64.rpm.sig")
            ))
        );
        for other in [
            "https://koji.example/packages/it/1.0/1.el8/x86_64/it.rpm",
            "https://koji.example/data/signed/2f86d6a1/it.rpm",
            "https://koji.example/data/signed/../x86_64/it.rpm",
            "https://koji.example/data/signed//x86_64/it.rpm",
            "https://koji.example/data/signed/2f86d6a1/x86_64/more/it.rpm",
            "https://koji.example/data/signed/2f86d6a1/x86_64/it.rpm?x",
        ] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
