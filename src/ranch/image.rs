//! A file as a root directory: a program that needs no root mounts it, in the namespaces of the ranch, for as long as
//! the command runs.
//!
//! # The processes
//!
//! The mounting program belongs to the one that made the namespaces, which waits for the command then, and ends it: a
//! mount that somebody serves keeps its namespace, and so would stay for ever. Whoever of them is killed takes those
//! with it that it has started.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::error::RanchError;
use crate::imagefile::ImageFile;
use crate::model::{SquashfsMounter, shell_word};
use crate::tools::foreground;
use crate::tools::programs::{self, Listen, Patience, Running};

/// How long the program may take until the file is mounted: files on network file systems may be slow.
const MOUNTING: Patience<'static> =
    Patience { time: Duration::from_secs(120), is_cancelled: &|| false };

/// A file that holds a root directory, and who mounts it.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// The file.
    pub(crate) path: PathBuf,
    /// Where its file system lies.
    pub(crate) file: ImageFile,
    /// The program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) mounter: SquashfsMounter,
}

impl Image {
    /// The words that mount it at `directory`.
    fn words(&self, directory: &Path) -> Vec<String> {
        let (image, directory) = (self.path.to_string_lossy(), directory.to_string_lossy());
        self.mounter.words(&image, self.file.offset, &directory)
    }

    /// Mounts it at `directory`, until the answer is dropped, by `serve` in a process of its own: this
    /// program with the words that make it [`serve`].
    pub(super) fn mount(
        &self,
        directory: &Path,
        mut serve: Command,
    ) -> Result<Running, RanchError> {
        let unprintable =
            [&self.path, &self.program, directory].iter().any(|it| it.to_str().is_none());
        if unprintable {
            return Err(RanchError::Unprintable);
        }
        let failed = |source| RanchError::Process { source };
        let outside = device(directory).map_err(failed)?;
        serve.arg(&self.program).args(self.words(directory));
        let mut running = Running::waiting(serve, Listen::Both, MOUNTING).map_err(failed)?;
        let is_mounted = || device(directory).is_ok_and(|device| device != outside);
        match running.wait_until(MOUNTING, is_mounted).map_err(failed)? {
            Ok(()) => running.stop_listening().map_err(failed)?,
            Err(said) => {
                let (program, path) = (self.program.clone(), self.path.clone());
                return Err(RanchError::Mount { path, program, said: programs::tail(&said) });
            }
        }
        Ok(running)
    }

    /// Lines of a shell's script that do the same, and end the program when the script ends.
    pub(super) fn commands(&self, directory: &str) -> String {
        // A name that no file has stands for the directory, which is the shell's to say.
        let words = self.words(Path::new("\0"));
        let word = |word: &String| {
            let part = |part: &str| {
                if part.is_empty() { String::new() } else { shell_word(part).into_owned() }
            };
            word.split('\0').map(part).collect::<Vec<_>>().join(directory)
        };
        let words: Vec<_> = words.iter().map(word).collect();
        let program = self.program.to_string_lossy();
        format!(
            "mkdir -- {directory}\n{} {} &\nmounter=$!\ntrap 'kill \"$mounter\"' EXIT\n\
             until mountpoint -q {directory}; do kill -0 \"$mounter\"; sleep 0.1; done\n",
            shell_word(&program),
            words.join(" ")
        )
    }
}

fn device(directory: &Path) -> io::Result<u64> {
    Ok(std::fs::metadata(directory)?.dev())
}

/// Becomes the program that mounts, which ends with `parent`, this process's own. Returns only where it cannot.
pub(crate) fn serve(parent: u32, mut words: impl Iterator<Item = OsString>) -> io::Error {
    if let Err(error) = end_with(parent) {
        return error;
    }
    let Some(program) = words.next() else { return io::ErrorKind::InvalidInput.into() };
    let mut command = Command::new(program);
    command.args(words);
    programs::become_program(command)
}

/// Lets this process be killed when `parent`, its own, ends, be that now.
pub(super) fn end_with(parent: u32) -> io::Result<()> {
    foreground::end_with(parent, Signal::KILL)
}
