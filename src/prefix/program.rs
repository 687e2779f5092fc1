//! The program `elsewhere` itself, kept in the prefix for each architecture that it was run on, so
//! that `PREFIX/bin/elsewhere` works without whatever brought it here.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::bin::PROGRAM_NAME;
use super::error::failed;
use super::layout::Layout;
use super::{Locked, Prefix, PrefixError, files};
use crate::model::{Algorithm, Arch, Checksum};

/// Larger than any build of the program: a bound, in bytes.
const LIMIT: u64 = 1 << 30;

/// The file beside a kept program that has its digest.
const DIGEST_NAME: &str = "digest";

/// Larger than any digest: a bound, in bytes.
const DIGEST_LIMIT: u64 = 1 << 10;

/// The mode of a kept program.
const MODE: u32 = 0o755;

/// What is to be said of a file where programs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeptProgram {
    /// It is what was kept, and not the program that runs.
    AsKept,
    /// It is not the program that runs, and nobody wrote down what was kept.
    Unknown,
    /// It is not what was kept.
    Changed,
    /// It is no regular file.
    NoFile,
    /// It has other permissions.
    Mode(u32),
    /// It is not there.
    Missing,
    /// Nobody kept it.
    Extra,
}

/// The prefix that keeps the program at `executable`, if one does.
pub(crate) fn keeper(executable: &Path) -> Option<&Path> {
    let own = executable.ancestors().find(|above| above.ends_with(Layout::programs_text()))?;
    own.ancestors().nth(Layout::programs_text().components().count())
}

impl Prefix {
    /// Whether it keeps programs, and so has a launcher for them.
    pub(crate) fn keeps_programs(&self) -> bool {
        fs::symlink_metadata(self.layout.programs()).is_ok()
    }

    /// The text of that launcher, which `launcher` makes.
    pub(crate) fn own_launcher(&self, launcher: impl Fn(&str) -> String) -> (String, String) {
        let text = launcher(&Layout::programs_text().to_string_lossy());
        (PROGRAM_NAME.to_owned(), text)
    }

    /// What is to be said of the programs that are kept, by their places below the prefix; nothing of one
    /// that is byte for byte the file `running`.
    ///
    /// # Errors
    /// When something there cannot be read.
    pub(crate) fn kept_programs(
        &self,
        running: &Path,
    ) -> Result<Vec<(String, KeptProgram)>, PrefixError> {
        let (root, shown) = (self.layout.programs(), Layout::programs_text());
        let mut found = Vec::new();
        let mut tell = |place: PathBuf, what| {
            found.push((place.to_string_lossy().into_owned(), what));
        };
        for (name, path, is_directory) in entries(&root)? {
            let shown = shown.join(&name);
            if !is_directory || name.parse::<Arch>().is_err() {
                tell(shown, KeptProgram::Extra);
                continue;
            }
            for (name, _, _) in entries(&path)? {
                if name != PROGRAM_NAME && name != DIGEST_NAME {
                    tell(shown.join(name), KeptProgram::Extra);
                }
            }
            if let Some(what) = state(&path, running)? {
                tell(shown.join(PROGRAM_NAME), what);
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    }
}

impl Locked {
    /// Keeps a copy of `program`, which is for `arch` and runs wherever that does, and its digest.
    /// `launcher` makes the text of `PREFIX/bin/elsewhere` from the directory, below the prefix, that
    /// holds `ARCH/elsewhere` for each architecture. What is right already is not touched.
    ///
    /// # Errors
    /// [`PrefixError::Foreign`] when `PREFIX/bin/elsewhere` is not ours; or that `program` cannot be
    /// read, or the prefix cannot be written.
    pub fn keep_program(
        &self,
        arch: Arch,
        program: &Path,
        launcher: impl Fn(&str) -> String,
    ) -> Result<(), PrefixError> {
        self.is_in_place()?;
        let directory = self.layout.programs().join(arch.as_str());
        let kept = directory.join(PROGRAM_NAME);
        let bytes = files::read(program, LIMIT)?
            .ok_or_else(|| failed("read", program)(io::ErrorKind::NotFound.into()))?;
        let is_executable = fs::symlink_metadata(&kept)
            .is_ok_and(|kept| kept.is_file() && kept.permissions().mode() & 0o777 == MODE);
        if !is_executable || files::read(&kept, LIMIT)?.is_none_or(|kept| kept != bytes) {
            files::make_directories(&directory)?;
            files::write(&kept, &bytes, MODE, &self.layout.staging())?;
        }
        let (noted, digest) = (directory.join(DIGEST_NAME), format!("{}\n", Checksum::of(&bytes)));
        if files::read(&noted, DIGEST_LIMIT)?.is_none_or(|noted| noted != digest.as_bytes()) {
            files::write(&noted, digest.as_bytes(), 0o644, &self.layout.staging())?;
        }
        self.write_launchers(&BTreeMap::from([self.own_launcher(launcher)]))
    }
}

/// The names and paths in `directory`, and which are directories; none where it is not there.
fn entries(directory: &Path) -> Result<Vec<(String, PathBuf, bool)>, PrefixError> {
    let there = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        there => there.map_err(failed("read", directory))?,
    };
    let mut entries = Vec::new();
    for entry in there {
        let entry = entry.map_err(failed("read", directory))?;
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let name = entry.file_name().to_string_lossy().into_owned();
        entries.push((name, entry.path(), is_directory));
    }
    Ok(entries)
}

/// What is to be said of the program in `directory`.
fn state(directory: &Path, running: &Path) -> Result<Option<KeptProgram>, PrefixError> {
    let path = directory.join(PROGRAM_NAME);
    let about = match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some(KeptProgram::Missing));
        }
        about => about.map_err(failed("read", &path))?,
    };
    let mode = about.permissions().mode() & 0o7777;
    if !about.is_file() {
        return Ok(Some(KeptProgram::NoFile));
    }
    if !is_same(&path, running).map_err(failed("read", &path))? {
        let noted = files::read(&directory.join(DIGEST_NAME), DIGEST_LIMIT)?;
        let noted = noted.and_then(|noted| String::from_utf8(noted).ok());
        let Some(noted) = noted.and_then(|noted| noted.trim_end().parse::<Checksum>().ok()) else {
            return Ok(Some(KeptProgram::Unknown));
        };
        let read = File::open(&path).and_then(|file| Checksum::of_reader(Algorithm::Sha256, file));
        let (digest, _) = read.map_err(failed("read", &path))?;
        if digest != noted {
            return Ok(Some(KeptProgram::Changed));
        }
        if mode == MODE {
            return Ok(Some(KeptProgram::AsKept));
        }
    }
    Ok((mode != MODE).then_some(KeptProgram::Mode(mode)))
}

/// Whether two files have the same bytes; not so where `other` cannot be read.
fn is_same(path: &Path, other: &Path) -> io::Result<bool> {
    let (one, Ok(other)) = (File::open(path)?, File::open(other)) else { return Ok(false) };
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) =
        (BufReader::with_capacity(1 << 16, one), BufReader::with_capacity(1 << 16, other));
    loop {
        let (ours, theirs) = (one.fill_buf()?, other.fill_buf()?);
        let length = ours.len().min(theirs.len());
        if length == 0 {
            return Ok(ours.len() == theirs.len());
        }
        if ours.get(..length) != theirs.get(..length) {
            return Ok(false);
        }
        one.consume(length);
        other.consume(length);
    }
}
