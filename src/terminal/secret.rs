//! Asks at the terminal for what nobody is to see.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::Terminal;
use crate::model::escape;
use crate::report::Reporter;

/// How long is waited before looking whether the user wants to stop.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// More than anybody types.
const LIMIT: usize = 4096;

impl Terminal {
    /// The line that the user types at the terminal, which does not show it; `None` where there is none.
    ///
    /// # Errors
    /// When the terminal cannot be used; `Interrupted` when the user wants to stop.
    pub(crate) fn ask_secret(&self, question: &str) -> io::Result<Option<String>> {
        // Not standard input, which a script may need for something else.
        let Ok(mut tty) = OpenOptions::new().read(true).write(true).open("/dev/tty") else {
            return Ok(None);
        };
        let before = tcgetattr(&tty)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&tty, OptionalActions::Flush, &hidden)?;
        let answer = self.bars.suspend(|| {
            tty.write_all(format!("{}: ", escape(question)).as_bytes())?;
            self.read_line(&mut tty)
        });
        tcsetattr(&tty, OptionalActions::Flush, &before)?;
        answer.map(Some)
    }

    fn read_line(&self, tty: &mut File) -> io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") && line.len() < LIMIT {
            match poll(&mut [PollFd::new(&*tty, PollFlags::IN)], Some(&PATIENCE)) {
                Ok(0) | Err(Errno::INTR) if self.is_cancelled() => {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                Ok(0) | Err(Errno::INTR) => continue,
                ready => drop(ready?),
            }
            let mut some = [0; 256];
            match tty.read(&mut some)? {
                0 => break,
                count => line.extend_from_slice(&some[..count]),
            }
        }
        let text = String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}
