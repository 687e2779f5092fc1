//! What entries carry beside their contents and modes: file capabilities, and extended attributes of users.

use std::path::Path;

use rustix::buffer::spare_capacity;

/// The attribute that file capabilities are.
const CAPABILITY: &str = "security.capability";

/// What those begin with that somebody set on purpose. Others are the machine's own: labels, overlays, checksums.
const SET: [&str; 2] = ["user.", "system.posix_acl_"];

/// The most bytes of all their names, by the kernel.
const LIMIT: usize = 64 << 10;

/// What an entry carries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    /// Whether it has file capabilities.
    pub(super) has_capabilities: bool,
    /// The names of those that somebody set.
    pub(super) names: Vec<String>,
}

impl Attributes {
    /// Those of what is at `path`, which is not followed. What does not tell them has none.
    pub(super) fn of(path: &Path) -> Self {
        let mut list = Vec::new();
        // Most have none, and nobody needs space for that.
        match rustix::fs::llistxattr_query(path) {
            Ok(0) | Err(_) => return Self::default(),
            Ok(_) => list.reserve(LIMIT),
        }
        match rustix::fs::llistxattr(path, spare_capacity(&mut list)) {
            Ok(_) => Self::parse(&list),
            Err(_) => Self::default(),
        }
    }

    /// By the names, each with a NUL behind it.
    fn parse(list: &[u8]) -> Self {
        let names = list.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        let mut names: Vec<String> = names.map(std::borrow::Cow::into_owned).collect();
        let has_capabilities = names.iter().any(|name| name == CAPABILITY);
        names.retain(|name| SET.iter().any(|beginning| name.starts_with(beginning)));
        Self { has_capabilities, names }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_machines_own_is_not_told() {
        let of = |list: &[u8]| Attributes::parse(list);
        assert_eq!(of(b""), Attributes::default());
        assert_eq!(of(b"security.selinux\0trusted.overlay.opaque\0"), Attributes::default());
        let all = of(b"user.note\0security.capability\0system.posix_acl_access\0");
        assert!(all.has_capabilities);
        assert_eq!(all.names, ["user.note", "system.posix_acl_access"]);
    }
}
