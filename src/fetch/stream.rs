//! A file that is read while it still comes in: one thread fetches it, another one works on it.
//!
//! What is read was not compared with any digest yet: whoever reads must prove it, and must throw
//! away what was made of it where the proof fails. [`Stream::wait`] then says who is to blame.

use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::tools::excerpt::Excerpt;

/// Both ends of a file on its way. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Stream(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    file: Option<Excerpt>,
    /// Bytes of `file` that may be read.
    length: u64,
    /// Whether what was read may be other bytes than the file has in the end.
    is_unsure: bool,
    end: Option<StreamEnd>,
}

/// How a file's way ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// What was read are the bytes with the digest that was asked for.
    Sure,
    /// The file is there, and was begun anew on the way, or never digested: what was read may
    /// have been something else.
    Unsure,
    /// It did not come.
    Failed,
}

impl Stream {
    /// Reads the file from its beginning, waiting for what is not there yet. A file that does not
    /// come is an error; so is one that ends earlier than it once was.
    #[must_use]
    pub fn reader(&self) -> StreamReader {
        StreamReader { stream: self.clone(), file: None, position: 0, known: 0 }
    }

    /// Waits until all is there, or nothing more comes.
    #[must_use]
    pub fn wait(&self) -> StreamEnd {
        let mut state = self.lock();
        loop {
            match state.end {
                Some(end) => return end,
                None => state = self.sleep(state),
            }
        }
    }

    /// Ends it, if it has not ended: nothing comes any more.
    pub fn abandon(&self) {
        self.end(StreamEnd::Failed);
    }

    /// Lets go of the file, which nobody reads any more.
    pub fn release(&self) {
        self.lock().file = None;
    }

    /// Whether nobody wants it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.lock().end == Some(StreamEnd::Failed)
    }

    /// From now on it is `file`, of which `length` bytes are there.
    pub(super) fn begin(&self, file: impl Into<Excerpt>, length: u64) {
        let mut state = self.lock();
        state.is_unsure |= state.file.is_some();
        (state.file, state.length) = (Some(file.into()), length);
        self.0.changed.notify_all();
    }

    /// So many bytes are there.
    pub(super) fn reach(&self, length: u64) {
        self.lock().length = length;
        self.0.changed.notify_all();
    }

    /// What was there counts no more.
    pub(super) fn restart(&self) {
        let mut state = self.lock();
        state.is_unsure |= state.length > 0;
        state.length = 0;
    }

    /// Nobody compares a digest before the file is read.
    pub(super) fn distrust(&self) {
        self.lock().is_unsure = true;
    }

    /// All is there.
    fn finish(&self) {
        let end = if self.lock().is_unsure { StreamEnd::Unsure } else { StreamEnd::Sure };
        self.end(end);
    }

    /// All is there; or nothing comes any more.
    pub(super) fn close(&self, is_whole: bool) {
        if is_whole { self.finish() } else { self.abandon() }
    }

    fn end(&self, end: StreamEnd) {
        self.lock().end.get_or_insert(end);
        self.0.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reading end.
#[derive(Debug)]
pub struct StreamReader {
    stream: Stream,
    file: Option<Excerpt>,
    position: u64,
    /// Bytes that were there when this reader looked last.
    known: u64,
}

impl StreamReader {
    /// Waits until there is something to read. False at the end.
    fn look(&mut self) -> io::Result<bool> {
        let mut state = self.stream.lock();
        loop {
            if state.end == Some(StreamEnd::Failed) {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "it was not fetched"));
            }
            if state.length > self.position || state.end.is_some() {
                self.known = state.length;
                self.file.clone_from(&state.file);
                return Ok(state.length > self.position);
            }
            state = self.stream.sleep(state);
        }
    }
}

impl Read for StreamReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.known <= self.position && !self.look()? {
                return Ok(0);
            }
            let room = usize::try_from(self.known - self.position).unwrap_or(usize::MAX);
            let length = room.min(buffer.len());
            let wanted = buffer.get_mut(..length).unwrap_or_default();
            let Some(file) = self.file.as_ref().filter(|_| length > 0) else { return Ok(0) };
            let count = file.read_at(wanted, self.position)?;
            self.position += count as u64;
            if count > 0 {
                return Ok(count);
            }
            // It was cut off meanwhile, and comes anew; or somebody else has cut it.
            self.known = self.position;
            if self.stream.lock().end.is_some() {
                return Ok(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::os::unix::fs::FileExt;
    use std::thread;

    use super::*;

    /// A file to write to, and a handle of the same for a stream. Without a name.
    fn file(name: &str) -> (File, File) {
        let name = format!("elsewhere-stream-{name}-{}", std::process::id());
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(name);
        let writer = File::create(&path).unwrap();
        let reader = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        (writer, reader)
    }

    fn read(stream: &Stream) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        stream.reader().read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn a_reader_gets_what_comes_later() {
        let stream = Stream::default();
        let (mut writer, handle) = file("later");
        thread::scope(|scope| {
            let reading = scope.spawn(|| read(&stream).unwrap());
            stream.begin(handle, 0);
            for (piece, length) in [(b"abc", 3), (b"def", 6)] {
                thread::sleep(std::time::Duration::from_millis(5));
                writer.write_all(piece).unwrap();
                stream.reach(length);
            }
            stream.finish();
            assert_eq!(reading.join().unwrap(), b"abcdef");
        });
        assert_eq!(stream.wait(), StreamEnd::Sure);
    }

    #[test]
    fn a_reader_goes_on_where_it_was_when_a_file_comes_anew() {
        let stream = Stream::default();
        let (mut writer, handle) = file("anew");
        stream.begin(handle, 0);
        writer.write_all(b"abc").unwrap();
        stream.reach(3);
        let mut reader = stream.reader();
        let mut start = [0; 3];
        reader.read_exact(&mut start).unwrap();
        writer.set_len(0).unwrap();
        stream.restart();
        writer.write_all_at(b"abcde", 0).unwrap();
        stream.reach(5);
        stream.finish();
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!((&start, rest.as_slice()), (b"abc", b"de".as_slice()));
        assert_eq!(stream.wait(), StreamEnd::Unsure);
    }

    #[test]
    fn nobody_waits_for_what_does_not_come() {
        let stream = Stream::default();
        thread::scope(|scope| {
            let reading = scope.spawn(|| read(&stream));
            stream.abandon();
            assert!(reading.join().unwrap().is_err());
        });
        stream.finish();
        assert_eq!(stream.wait(), StreamEnd::Failed);
    }
}
