//! Decompression: in a process that can do nothing else, where one is to be had, else in threads of this
//! one.
//!
//! Decoders are C, and what they are fed with may be anything. A process of their own gets compressed
//! bytes on its standard input and gives what they decode to on its standard output; it opens no file,
//! reaches no network, holds no secret, and has little memory. One serves a thread for as many payloads as
//! that has, one after the other: what it gives is believed by nobody before its digest was compared.
//!
//! - [`codec`] decodes, wherever that is.
//! - [`process`] is this end of the pipes, [`mod@serve`] the other, [`frame`] what goes through them.
//! - [`ahead`] reads on while others work.

mod ahead;
mod codec;
mod frame;
mod process;
mod serve;

use std::io::{self, Read};
use std::path::Path;
use std::thread::{self, Scope};

use crate::model::Compression;

pub use process::Kept;
pub(crate) use serve::{COMMAND, serve};

use process::{Process, Served};

/// What decodes, for one thread.
#[derive(Debug)]
pub struct Decoder {
    place: Place,
}

/// Where it is done.
#[derive(Debug)]
enum Place {
    /// In threads of this process.
    Here,
    /// In another process; none for the moment, where the last one was given up.
    Apart(Box<process::Program>, Option<Process>),
}

impl Decoder {
    /// One that decodes in threads of this process.
    #[must_use]
    pub fn here() -> Self {
        Self { place: Place::Here }
    }

    /// One that decodes in a process of its own, `program` in its part of [`serve()`]; and what that is kept
    /// from.
    ///
    /// # Errors
    /// When it does not start, or does not say that it is ready.
    pub fn start(program: &Path) -> io::Result<(Self, Kept)> {
        let program = process::Program::new(program);
        let (process, kept) = program.start()?;
        Ok((Self { place: Place::Apart(Box::new(program), Some(process)) }, kept))
    }

    /// The same, or one of [`Decoder::here`] where that fails; and what is to be said of it.
    #[must_use]
    pub(crate) fn start_or_here(program: &Path) -> (Self, Kept) {
        match Self::start(program) {
            Ok((decoder, Kept { is_full, how })) => {
                let how = format!("what is compressed is decoded by processes of their own, {how}");
                (decoder, Kept { is_full, how })
            }
            Err(error) => {
                let how = format!(
                    "what is compressed is decoded by threads of this process, because no other could be \
                     started: {error}"
                );
                (Self::here(), Kept { is_full: false, how })
            }
        }
    }

    /// Lets others go first on busy processors: what `nice` adds.
    pub(crate) fn give_way(&mut self, by: i32) {
        if let Place::Apart(program, process) = &mut self.place {
            program.give_way(by, process.as_ref());
        }
    }

    /// Does `work` with what `input` decodes to. After its end, or an error, the rest of `input` may have
    /// been read or not.
    ///
    /// # Errors
    /// Those of `work`, to which reading fails where `input` cannot be read or decoded.
    pub fn decode<R: Read + Send, T, E>(
        &mut self,
        compression: Compression,
        input: R,
        work: impl FnOnce(&mut dyn Read) -> Result<T, E>,
    ) -> Result<T, E> {
        let process = match &mut self.place {
            Place::Apart(program, process) if compression != Compression::None => {
                process.take().or_else(|| Some(program.start().ok()?.0))
            }
            _ => None,
        };
        thread::scope(|scope| {
            let Some(process) = process else { return here(scope, compression, input, work) };
            match process.serve(scope, compression, input, work) {
                Served::Done { outcome, process } => {
                    if let Place::Apart(_, place) = &mut self.place {
                        *place = process;
                    }
                    outcome
                }
                Served::NoThread { input, work, process } => {
                    if let Place::Apart(_, place) = &mut self.place {
                        *place = Some(process);
                    }
                    here(scope, compression, input, work)
                }
            }
        })
    }
}

/// Decodes in threads of `scope`.
fn here<'scope, R: Read + Send + 'scope, T, E>(
    scope: &'scope Scope<'scope, '_>,
    compression: Compression,
    input: R,
    work: impl FnOnce(&mut dyn Read) -> Result<T, E>,
) -> Result<T, E> {
    let packed = ahead::read_ahead(scope, || Ok(input));
    let mut open = ahead::read_ahead(scope, move || codec::decode(compression, packed));
    work(&mut open)
}
