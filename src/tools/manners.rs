//! How a file system behaves, found out by trying: what makes a prefix impossible there is said before
//! anything is fetched, and what is only otherwise is lived with.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use super::files;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manners {
    /// Why there can be no prefix.
    pub(crate) obstacle: Option<&'static str>,
    /// Whether permissions stay as they are set.
    pub(crate) keeps_modes: bool,
    /// Whether names that differ only in case are the same.
    pub(crate) folds_case: bool,
    /// Whether directories can be renamed.
    pub(crate) moves_directories: bool,
}

impl Manners {
    /// Tries it in `directory`, which must be empty, and is empty again then.
    ///
    /// # Errors
    /// When something fails that no file system refuses.
    pub(crate) fn of(directory: &Path) -> io::Result<Self> {
        let found = look(directory);
        for name in ["file", "link", "other", "directory", "moved"] {
            let path = directory.join(name);
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        }
        found
    }
}

fn look(place: &Path) -> io::Result<Manners> {
    let (file, directory) = (place.join("file"), place.join("directory"));
    files::create(&file, 0o755)?;
    fs::create_dir(&directory)?;
    let mode = |path: &Path, mode| {
        // Where it is refused, looking tells.
        let _ = files::set_mode_at(path, mode);
        Ok::<_, io::Error>(fs::metadata(path)?.mode() & 0o777)
    };
    let modes = [mode(&file, 0o644)?, mode(&file, 0o755)?, mode(&directory, 0o755)?];
    let obstacle = match links(place)? {
        Some(obstacle) => Some(obstacle),
        None if modes[1] & 0o100 == 0 => Some("does not let files be programs"),
        None => None,
    };
    Ok(Manners {
        obstacle,
        keeps_modes: modes == [0o644, 0o755, 0o755],
        folds_case: fs::symlink_metadata(place.join("FILE")).is_ok(),
        moves_directories: moves(&directory, &place.join("moved"))?,
    })
}

/// Why the link to what is live could not be made, or not be replaced in one step.
fn links(place: &Path) -> io::Result<Option<&'static str>> {
    let (link, other) = (place.join("link"), place.join("other"));
    match symlink("file", &link).and_then(|()| symlink("directory", &other)) {
        Err(error) if files::is_refusal(&error) => return Ok(Some("has no symlinks")),
        result => result?,
    }
    match fs::rename(&other, &link) {
        Err(error) if files::is_refusal(&error) => return Ok(Some("does not replace symlinks")),
        result => result?,
    }
    let is_whole = fs::read_link(&link).is_ok_and(|text| text == Path::new("directory"));
    Ok((!is_whole).then_some("changes symlinks"))
}

fn moves(directory: &Path, to: &Path) -> io::Result<bool> {
    match fs::rename(directory, to) {
        Err(error) if files::cannot_move(&error) => Ok(false),
        result => result.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_file_system_is_usual_and_left_as_it_was() {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/manners-usual");
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        let usual = Manners {
            obstacle: None,
            keeps_modes: true,
            folds_case: false,
            moves_directories: true,
        };
        assert_eq!(Manners::of(&place).unwrap(), usual);
        assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
        fs::write(place.join("file"), "").unwrap();
        fs::create_dir(place.join("directory")).unwrap();
        assert!(Manners::of(&place).is_err(), "what is there is told");
    }
}
