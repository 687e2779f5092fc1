//! Takes a module list apart at its document markers, so that what one document holds cannot touch
//! another. By YAML's rules a line that begins with `---` or `...` is a marker wherever it stands.

use std::io::{self, BufRead, Read};
use std::mem;

/// Most bytes of a document. The largest real ones have half a million.
const LARGEST: usize = 8 << 20;
/// Most bytes that are read at once: of a longer line only the first part can be a marker.
const PART: u64 = 64 << 10;

/// What stands between two markers.
pub(super) struct Piece<'a> {
    /// Its first line in the list, from 1.
    pub(super) line: usize,
    /// Its text, or why there is none.
    pub(super) text: Result<&'a str, &'static str>,
}

impl Piece<'_> {
    /// Whether there is nothing in it but comments and directives.
    pub(super) fn is_blank(&self) -> bool {
        let is_blank = |line: &str| matches!(line.trim_start().chars().next(), None | Some('#'));
        let mut lines = self.text.unwrap_or_default().trim_start_matches('\u{feff}').lines();
        lines.all(|line| is_blank(line) || line.starts_with('%'))
    }
}

/// The pieces of a list, one after the other.
pub(super) struct Documents<R> {
    reader: R,
    /// The piece that is being read.
    text: Vec<u8>,
    /// A part of a line; between two pieces, what the next one begins with.
    part: Vec<u8>,
    /// Whether a line begins at the reader's place.
    is_line_start: bool,
    /// How many lines were put into pieces.
    lines: usize,
}

impl<R: BufRead> Documents<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, text: Vec::new(), part: Vec::new(), is_line_start: true, lines: 0 }
    }

    /// The next piece.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        let line = self.lines + 1;
        self.text.clear();
        let (mut is_begun, mut is_too_large) = (false, false);
        loop {
            if !self.part.is_empty() {
                is_begun = true;
                self.lines += usize::from(self.is_line_start);
                is_too_large |= self.text.len() + self.part.len() > LARGEST;
                match is_too_large {
                    true => self.text.clear(),
                    false => self.text.append(&mut self.part),
                }
                self.part.clear();
            }
            let was_line_start = mem::replace(&mut self.is_line_start, false);
            if self.reader.by_ref().take(PART).read_until(b'\n', &mut self.part)? == 0 {
                break;
            }
            self.is_line_start = self.part.ends_with(b"\n");
            if !was_line_start {
                continue;
            }
            let is_end = is_marker(&self.part, b"...");
            if is_end {
                self.part = b"\n".to_vec();
            }
            if is_begun && (is_end || is_marker(&self.part, b"---")) {
                break;
            }
        }
        let text = match str::from_utf8(&self.text) {
            _ if is_too_large => Err("is larger than any document of a module list"),
            Ok(text) => Ok(text),
            Err(_) => Err("is not UTF-8"),
        };
        Ok(is_begun.then_some(Piece { line, text }))
    }
}

/// Whether a line is this marker.
fn is_marker(line: &[u8], marker: &[u8]) -> bool {
    let rest = line.strip_prefix(marker);
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b' ' | b'\t' | b'\r' | b'\n')))
}
