//! `modules.yaml`: the module streams of a repository (EL8), and which of them are the defaults.
//!
//! The file is a sequence of YAML documents. Each is read apart from the others, because one that
//! makes no sense must condemn only itself; of each a few fields are needed, which are picked from
//! the parser's events as they come. No tree is built, aliases are not followed, and what is
//! nested deeper, or is larger, than any real list is refused.

use std::io::{BufReader, Read};

use granit_parser::{Event, Parser};

use super::RepodataError;
use super::budget::Budget;
use super::decode::{Measured, decompressed};
use super::repomd::RepomdRecord;
use crate::decoding::Decoder;
use crate::model::Modules;

use self::document::{Content, Document};
use self::split::{Documents, Piece};

mod document;
mod split;
#[cfg(test)]
mod tests;

/// Most bytes that a `modules.yaml` may unpack to, whatever is declared.
const LARGEST: u64 = 64 << 20;
/// Most packages of all its streams, and streams that these need. Real lists name a hundred thousand.
const MOST_NAMES: usize = 2_000_000;
/// Most documents.
const MOST_DOCUMENTS: usize = 100_000;
/// Deepest nesting. Real documents have eight levels.
const DEEPEST: usize = 64;
/// Most documents of which it is said why they were set aside.
const MOST_SAID: usize = 20;

/// Reads `modules.yaml`, plain or packed (`decoder` decodes it then), as libmodulemd does: documents of kinds that say nothing
/// of packages are passed over, and those that make no sense are set aside.
///
/// # Errors
/// When it cannot be read, is larger than any real list, or holds no document that makes sense.
pub fn parse(
    decoder: &mut Decoder,
    reader: impl Read + Send,
    record: &RepomdRecord,
) -> Result<Modules, RepodataError> {
    let limit = record.open_size.unwrap_or(LARGEST).min(LARGEST);
    let mut list = List::default();
    let reader = BufReader::new(list.budget.weigh(reader));
    decompressed(decoder, reader, |open| {
        let mut documents = Documents::new(BufReader::new(Measured::new(open, limit, None)));
        while let Some(piece) = documents.next()? {
            list.read(&piece)?;
        }
        list.finish()
    })
}

/// What the documents said.
#[derive(Default)]
struct List {
    modules: Modules,
    /// How many documents made sense …
    understood: usize,
    /// … and how many did not.
    set_aside: usize,
    /// The first of those.
    first: Option<(usize, String)>,
    /// Packages and streams that those that made sense name.
    names: usize,
    /// Bytes that they take.
    held: usize,
    budget: Budget,
}

impl List {
    /// Reads a piece of the list: a document, or what stands before or after one.
    fn read(&mut self, piece: &Piece<'_>) -> Result<(), RepodataError> {
        let text = match piece.text {
            Ok(text) => text,
            Err(why) => return self.set_aside(piece.line, why.to_owned()),
        };
        let options = granit_parser::options! {
            flow_nesting_limit: DEEPEST,
            block_nesting_limit: DEEPEST,
        };
        let mut document = Document::default();
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, line) = match event {
                Ok((event, span)) => (event, span.start.line()),
                // Comments and directives before a document, or nothing at all.
                Err(_) if piece.is_blank() => return Ok(()),
                Err(error) => {
                    let line = piece.line + error.marker().line().saturating_sub(1);
                    return self.set_aside(line, format!("is not YAML: {}", error.kind()));
                }
            };
            match event {
                Event::DocumentStart(..) => document = Document::default(),
                Event::DocumentEnd => self.add(piece.line, std::mem::take(&mut document))?,
                event => document.event(piece.line + line.saturating_sub(1), &event),
            }
        }
        Ok(())
    }

    /// Takes in a whole document.
    fn add(&mut self, line: usize, document: Document) -> Result<(), RepodataError> {
        match document.finish() {
            Ok(Content::Stream(mut stream)) => {
                let needed = stream.requires.iter().map(|(_, streams)| 1 + streams.len());
                self.names += needed.sum::<usize>();
                self.names += stream.artifacts.len() + stream.demodularized.len();
                stream.artifacts.shrink_to_fit();
                stream.demodularized.shrink_to_fit();
                self.held += stream.weight();
                self.budget.check(self.held)?;
                self.modules.streams.push(stream);
            }
            // Within a list the last one counts.
            Ok(Content::Default(module, default)) => {
                self.modules.defaults.insert(module, default);
            }
            Ok(Content::Other) => {}
            Ok(Content::Nothing) => return Ok(()),
            Err((at, why)) => return self.set_aside(at.unwrap_or(line), why),
        }
        self.understood += 1;
        match self.names > MOST_NAMES || self.understood > MOST_DOCUMENTS {
            true => Err(too_many(line)),
            false => Ok(()),
        }
    }

    fn set_aside(&mut self, line: usize, why: String) -> Result<(), RepodataError> {
        self.set_aside += 1;
        if self.set_aside > MOST_DOCUMENTS {
            return Err(too_many(line));
        }
        if self.modules.set_aside.len() < MOST_SAID {
            self.modules.set_aside.push(format!("line {line} {why}"));
        }
        self.first.get_or_insert((line, why));
        Ok(())
    }

    fn finish(mut self) -> Result<Modules, RepodataError> {
        if let Some((line, why)) = self.first.filter(|_| self.understood == 0) {
            return Err(RepodataError::Yaml { line, why });
        }
        let more = self.set_aside - self.modules.set_aside.len();
        if more > 0 {
            self.modules.set_aside.push(format!("and {more} more"));
        }
        Ok(self.modules)
    }
}

fn too_many(line: usize) -> RepodataError {
    RepodataError::Yaml { line, why: "is more than any list of modules holds".to_owned() }
}
