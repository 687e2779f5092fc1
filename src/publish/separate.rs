//! Files of one name each: a store of files breaks hard links up, and not every one in good order.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::tools::files;

/// Gives every name below `directory` a file of its own.
///
/// # Errors
/// When one cannot be read or written.
pub(super) fn separate(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_dir() {
            separate(&path)?;
        } else if metadata.is_file() && metadata.nlink() > 1 {
            let new = files::unique(directory, "own");
            let copied = File::open(&path).and_then(|file| {
                let copy = files::copy(&file, |mode| files::create(&new, mode))?;
                files::sync_written(&copy)?;
                fs::rename(&new, &path)
            });
            if copied.is_err() {
                let _ = fs::remove_file(&new);
            }
            copied?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_gets_a_file_of_its_own() {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/separate");
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(place.join("below")).unwrap();
        let (one, other) = (place.join("one"), place.join("below/other"));
        fs::write(&one, "text").unwrap();
        files::set_mode_at(&one, 0o755).unwrap();
        fs::hard_link(&one, &other).unwrap();
        let time = fs::metadata(&one).unwrap().modified().unwrap();
        separate(&place).unwrap();
        for path in [&one, &other] {
            let metadata = fs::metadata(path).unwrap();
            assert_eq!((metadata.nlink(), metadata.mode() & 0o777), (1, 0o755));
            assert_eq!(metadata.modified().unwrap(), time);
            assert_eq!(fs::read(path).unwrap(), b"text");
        }
        fs::remove_dir_all(place).unwrap();
    }
}
