//! What a file system makes of ids and permissions, and which groups are one user's alone.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::tools::files;

/// A file that this process made for a moment, as its file system shows it.
pub(super) struct Probe {
    /// Whose it is.
    pub(super) user: u32,
    /// Whether others may write to it, which it was not made with.
    pub(super) is_writable_by_others: bool,
}

impl Probe {
    /// Makes one in `directory`.
    ///
    /// # Errors
    /// When it cannot be made there.
    pub(super) fn of(directory: &Path) -> io::Result<Self> {
        let path = files::unique(directory, ".probe");
        let file = files::create(&path, 0o600)?;
        let metadata = file.metadata();
        fs::remove_file(&path)?;
        let metadata = metadata?;
        let is_writable_by_others = metadata.mode() & 0o022 != 0;
        Ok(Self { user: metadata.uid(), is_writable_by_others })
    }
}

/// Whether `group` is the user's alone: distributions give each user a group of the same name, or the
/// same number, and then a umask of 002.
pub(super) fn is_private(user: u32, group: u32) -> bool {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    is_private_by(user, group, &read("/etc/passwd"), &read("/etc/group"))
}

/// The same, by the texts of `/etc/passwd` and `/etc/group`.
fn is_private_by(user: u32, group: u32, passwd: &str, groups: &str) -> bool {
    let fields = |line: &str| -> Vec<String> { line.split(':').map(str::to_owned).collect() };
    let with_id = |text: &str, id: u32| {
        text.lines().map(fields).find(|fields| fields.get(2) == Some(&id.to_string()))
    };
    match (with_id(passwd, user), with_id(groups, group)) {
        (Some(user), Some(group)) => {
            let members = group.get(3).map(String::as_str).unwrap_or_default();
            let is_alone = members.split(',').all(|member| member.is_empty() || member == user[0]);
            user.first() == group.first() && is_alone
        }
        // Accounts of a directory service: by convention.
        (None, None) => user == group,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_group_has_its_users_name_and_nobody_else() {
        let passwd = "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n";
        let groups = "root:x:0:\nada:x:1000:\nlibs:x:50:ada,bob\nshared:x:1001:\n";
        let private = |user, group| is_private_by(user, group, passwd, groups);
        assert!(private(1000, 1000));
        assert!(!private(1000, 50), "another's name, and bob");
        assert!(!private(1000, 1001));
        assert!(!is_private_by(1000, 1000, passwd, "ada:x:1000:bob\n"));
        assert!(is_private_by(1000, 1000, passwd, "ada:x:1000:ada\n"));
        assert!(private(70000, 70000), "of a directory service");
        assert!(!private(70000, 70001));
        assert!(!private(70000, 1000) && !private(1000, 70000));
    }
}
