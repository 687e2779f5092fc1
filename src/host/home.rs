//! Where this user's own files are, where `HOME` does not say: batch systems, cron and containers
//! start programs without it.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// There is no place for a user's files.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no place for downloads: HOME is not set, /etc/passwd has no home for user {id}, and {} \
     has no place that is this user's alone",
    .temporary.display()
)]
pub struct NoHome {
    /// The user.
    pub(super) id: u32,
    /// Where a place was looked for.
    pub(super) temporary: PathBuf,
}

impl NoHome {
    /// What to type or do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some("name a place: --cache-dir DIRECTORY, or `export HOME=DIRECTORY`".to_owned())
    }
}

/// The home directory of user `id` by the file of users at `passwd`: of no use where it is another
/// user's, or is not there.
pub(super) fn home(passwd: &Path, id: u32) -> Option<PathBuf> {
    let text = fs::read_to_string(passwd).ok()?;
    let home = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_its = fields.get(2)?.parse() == Ok(id);
        is_its.then(|| fields.get(5).map(PathBuf::from)).flatten()
    };
    let path = text.lines().find_map(home).filter(|path| path.is_absolute())?;
    fs::metadata(&path).is_ok_and(|about| about.is_dir() && about.uid() == id).then_some(path)
}

/// A directory of user `id` alone below `temporary`, made if it is not there: for who has no home. `None`
/// where somebody else was there first, or could look into it.
pub(super) fn private(temporary: &Path, id: u32) -> Option<PathBuf> {
    let path = temporary.join(format!("elsewhere-{id}"));
    // That it is there already is no news.
    let _ = DirBuilder::new().mode(0o700).create(&path);
    let about = fs::symlink_metadata(&path).ok()?;
    let is_private = about.is_dir() && about.uid() == id && about.mode() & 0o077 == 0;
    is_private.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn scratch(name: &str) -> (PathBuf, u32) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/home").join(name);
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("mine")).unwrap();
        (root, rustix::process::geteuid().as_raw())
    }

    #[test]
    fn the_file_of_users_says_where_the_home_is() {
        let (root, id) = scratch("passwd");
        let passwd = root.join("passwd");
        let mine = root.join("mine");
        let home_in = |line: &str| {
            fs::write(&passwd, format!("x\nother:x:{}:0::/:/bin/sh\n{line}\n", id + 1)).unwrap();
            home(&passwd, id)
        };
        let entry = |home: &str| format!("me:x:{id}:{id}:Me:{home}:/bin/sh");
        assert_eq!(home_in(&entry(mine.to_str().unwrap())), Some(mine));
        for nowhere in ["", "mine", "/proc/nothing"] {
            assert_eq!(home_in(&entry(nowhere)), None, "{nowhere}");
        }
        assert_eq!(home_in("me:x"), None);
        assert_eq!(home(&root.join("none"), id), None);
    }

    #[test]
    fn a_directory_that_others_prepared_is_not_used() {
        let (root, id) = scratch("private");
        let made = private(&root, id).unwrap();
        assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(private(&root, id), Some(made.clone()));
        fs::set_permissions(&made, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(private(&root, id), None);
        fs::remove_dir(&made).unwrap();
        symlink(root.join("mine"), &made).unwrap();
        assert_eq!(private(&root, id), None);
        assert_eq!(private(&root.join("none"), id), None);
    }
}
