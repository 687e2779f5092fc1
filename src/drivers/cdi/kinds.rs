//! Names as the specification has them, places, and versions.

use std::path::{Component, Path};

/// The device that stands for all.
pub(super) const ALL: &str = "all";

/// A version of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CdiVersion(pub(super) u32, pub(super) u32, pub(super) u32);

/// The newest that is known here.
pub(super) const NEWEST: CdiVersion = CdiVersion(1, 1, 0);

impl CdiVersion {
    /// `0.6.0`, with or without `v` in front; of a pre-release the version that it is before.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let plain = text.split(['-', '+']).next()?;
        let mut parts = plain.split('.').map(|part| part.parse::<u32>().ok());
        let version = Self(parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(version)
    }
}

impl std::fmt::Display for CdiVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Why `kind` is no kind, `vendor.com/class`.
pub(super) fn kind_problem(kind: &str) -> Option<&'static str> {
    let Some((vendor, class)) = kind.split_once('/') else {
        return Some("it is no VENDOR/CLASS");
    };
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty()
            && label.bytes().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if vendor.len() > 253 || !vendor.split('.').all(is_label) {
        return Some("its vendor is no name as domains have it");
    }
    (class.len() > 63 || !is_name(class)).then_some("its class is no name")
}

/// Whether `name` is one of a class or device: letters and digits, with `_`, `-`, `.` and (of devices) `:` within.
pub(super) fn is_name(name: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    let bytes = name.as_bytes();
    is_end(bytes.first()) && is_end(bytes.last()) && name.bytes().all(is_inner)
}

/// Whether `path` is a place in an image: absolute, without `..`, and not the root itself.
pub(crate) fn is_place(path: &Path) -> bool {
    let is_upward = |part| part == Component::ParentDir;
    path.is_absolute() && path.file_name().is_some() && !path.components().any(is_upward)
}
