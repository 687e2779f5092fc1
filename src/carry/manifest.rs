//! The list of a mirror's files: a digest, a size and a path on each line, as `sha256sum` has them but for the
//! sizes, and in the last line the digest of all before it. It finds damage; it proves no origin.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::is_within;
use crate::model::Checksum;

/// Its name in a mirror.
pub(super) const MANIFEST: &str = "elsewhere.files";

/// The first line.
const HEADING: &str = "elsewhere mirror 1";
/// Begins the last line.
const END: &str = "end ";

/// Every file of a mirror, by its path there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest(pub(super) BTreeMap<String, Entry>);

/// What a file must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// SHA-256.
    pub(super) checksum: Checksum,
    /// Bytes.
    pub(super) size: u64,
}

impl Manifest {
    /// As it is written.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{HEADING}\n");
        for (path, Entry { checksum, size }) in &self.0 {
            let _ = writeln!(text, "{} {size} {path}", checksum.hex());
        }
        let digest = Checksum::of(text.as_bytes());
        let _ = writeln!(text, "{END}{}", digest.hex());
        text
    }

    /// What a text says; none where it is not as it was written.
    pub(super) fn read(text: &str) -> Option<Self> {
        let before = text.trim_end_matches('\n').rfind('\n')? + 1;
        let (lines, end) = text.split_at_checked(before)?;
        if end.strip_prefix(END)?.strip_suffix('\n')? != Checksum::of(lines.as_bytes()).hex() {
            return None;
        }
        let entry = |line: &str| {
            let (digest, rest) = line.split_once(' ')?;
            let (size, path) = rest.split_once(' ')?;
            let checksum = Checksum::new("sha256", digest).ok()?;
            let entry = Entry { checksum, size: size.parse().ok()? };
            is_within(path).then(|| (path.to_owned(), entry))
        };
        let entries = lines.strip_prefix(HEADING)?.strip_prefix('\n')?.lines().map(entry);
        Some(Self(entries.collect::<Option<_>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_with_any_other_byte_is_none() {
        let entry = |text: &str| Entry { checksum: Checksum::of(text.as_bytes()), size: 3 };
        let files = [("a/b c.rpm", entry("abc")), ("m?repo=x&arch=y", entry("def"))];
        let manifest = Manifest(files.map(|(path, entry)| (path.to_owned(), entry)).into());
        let text = manifest.text();
        assert_eq!(Manifest::read(&text), Some(manifest));
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] ^= 1;
            let read = String::from_utf8(other).ok().and_then(|other| Manifest::read(&other));
            assert_eq!(read, None, "byte {at}");
            assert_eq!(Manifest::read(&text[..at]), None, "cut at {at}");
        }
        let climbing = Manifest([("../x".to_owned(), entry("abc"))].into());
        assert_eq!(Manifest::read(&climbing.text()), None);
    }
}
