//! Writes what is in a bundle as files, as a mirror has them.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::open::{Bundle, damaged};
use crate::carry::place::Stage;
use crate::error::Error;
use crate::model::{Algorithm, Checksum, escape};
use crate::report::{Event, Phase, Reporter};

/// Permissions of files, and of programs.
const USUAL: u32 = 0o644;
const PROGRAM: u32 = 0o755;

impl Bundle {
    /// Writes everything in it below `directory`, which must not be there or be empty, and appears in one step.
    ///
    /// # Errors
    /// When something else is there, something was changed, or it cannot be written.
    pub(crate) fn extract(&self, directory: &Path, reporter: &dyn Reporter) -> Result<(), Error> {
        let error = |path: &Path, source| Error::File { path: path.to_owned(), source };
        let is_taken = fs::read_dir(directory).map(|mut entries| entries.next().is_some());
        if is_taken.unwrap_or_else(|error| error.kind() != io::ErrorKind::NotFound) {
            let directory = directory.to_string_lossy();
            let why =
                format!("{} is there, and no empty directory: name another", escape(&directory));
            return Err(Error::Usage(why));
        }
        let stage = Stage::beside(directory, "extracted")?;
        let size = crate::model::total(self.members().map(|member| member.size));
        reporter.event(Event::Started { phase: Phase::Unpack, total: Some(size) });
        for (at, member) in self.members().enumerate() {
            if reporter.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let path = directory.join(&member.name);
            let mode = if at < self.index.programs.len() { PROGRAM } else { USUAL };
            let write = || {
                let mut file = stage.create(&member.name, mode)?;
                io::copy(&mut self.bytes_of(member).take(member.size), &mut file)?;
                io::Seek::rewind(&mut file)?;
                Checksum::of_reader(Algorithm::Sha256, file)
            };
            if write().map_err(|source| error(&path, source))?.0 != member.checksum {
                let what = format!("{} is not what was written", member.name);
                return Err(damaged(&self.path, &what));
            }
            reporter.advanced(Phase::Unpack, member.size);
        }
        reporter.event(Event::Finished { phase: Phase::Unpack });
        stage.become_directory(directory).map_err(|source| error(directory, source))
    }
}
