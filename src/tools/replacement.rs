//! Writes beside, then renames: a file is the old one or the new one, whole, at every instant.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use super::files;

/// How a new file is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// With these permissions, as far as the umask lets it; whether it outlives a failure of the machine
    /// does not matter.
    Usual(u32),
    /// With exactly these permissions, and durable before it takes its place.
    Durable(u32),
}

/// What will take a file's place. It is removed where it does not.
#[derive(Debug)]
pub(crate) struct Replacement {
    path: PathBuf,
    is_put: bool,
}

impl Replacement {
    /// The new file `path`, with what `fill` writes. It is closed then, so that it can be run.
    ///
    /// # Errors
    /// When there is something at `path`, or it cannot be written.
    pub(crate) fn file(
        path: PathBuf,
        care: Care,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<Self> {
        let (Care::Usual(mode) | Care::Durable(mode)) = care;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        let new = Self { path, is_put: false };
        fill(&mut file)?;
        if matches!(care, Care::Durable(_)) {
            files::set_mode(&file, mode)?;
            files::sync_written(&file)?;
        }
        Ok(new)
    }

    /// The new symlink `path` with this text.
    ///
    /// # Errors
    /// When there is something at `path`, or it cannot be written.
    pub(crate) fn link(path: PathBuf, text: &Path) -> io::Result<Self> {
        symlink(text, &path)?;
        Ok(Self { path, is_put: false })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it into the place of the file or symlink `path`, if there is one, in one step.
    ///
    /// # Errors
    /// When it cannot be renamed so.
    pub(crate) fn put(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.is_put = true;
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.is_put {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_not_put_leaves_nothing() {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/replacement");
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        let (old, new) = (place.join("old"), place.join("new"));
        fs::write(&old, "old").unwrap();
        let make = |mode| {
            Replacement::file(new.clone(), Care::Durable(mode), |file| file.write_all(b"new"))
        };
        drop(make(0o644).unwrap());
        assert!(!new.exists());
        let failing = |_: &mut File| Err(io::ErrorKind::StorageFull.into());
        assert!(Replacement::file(new.clone(), Care::Usual(0o666), failing).is_err());
        assert!(!new.exists());
        assert!(make(0o644).unwrap().put(&place.join("none/old")).is_err());
        assert!(!new.exists() && fs::read(&old).unwrap() == b"old");
        let replacement = make(0o750).unwrap();
        assert!(make(0o644).is_err(), "another's is not overwritten");
        assert_eq!(replacement.path(), new);
        replacement.put(&old).unwrap();
        assert_eq!(fs::read(&old).unwrap(), b"new");
        assert_eq!(fs::metadata(&old).unwrap().permissions().mode() & 0o777, 0o750);
        Replacement::link(new.clone(), Path::new("text")).unwrap().put(&old).unwrap();
        assert_eq!(fs::read_link(&old).unwrap(), Path::new("text"));
        fs::remove_dir_all(place).unwrap();
    }
}
