//! A strict, bounded walk over XML: elements, attributes and text, and nothing else.
//!
//! `quick-xml` does the lexing; what makes a hostile document expensive is refused here: document
//! types, entities, depth, endless tags and texts, an end of input inside an element.
//! `rpmrepo_metadata`'s parsers are not used for reading, because they loop for ever on truncated
//! input, panic on unknown file types, and buffer a whole package.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use quick_xml::escape::{EscapeError, resolve_predefined_entity};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::RepodataError;

/// Elements inside each other. Real metadata has six.
const DEPTH: usize = 16;
/// Bytes of one tag or text. The longest real descriptions have some ten thousand.
const LONGEST: usize = 1 << 20;

/// An XML document, read from the front.
pub(super) struct Xml<R> {
    reader: Reader<Metered<R>>,
    buffer: Vec<u8>,
    root: &'static str,
    depth: usize,
    /// The last tag that was opened: its name, and attributes as they stand.
    tag: String,
    /// Bytes of the name in `tag`.
    name_length: usize,
}

/// What was read.
enum Token {
    Open,
    Text,
    Close,
}

impl<R: BufRead> Xml<R> {
    /// A document whose root element must be `root`. Reads up to the root's first child.
    pub(super) fn open(reader: R, root: &'static str) -> Result<Self, RepodataError> {
        let mut reader = Reader::from_reader(Metered { inner: reader, left: LONGEST });
        reader.config_mut().expand_empty_elements = true;
        let (buffer, tag) = (Vec::new(), String::new());
        let mut xml = Self { reader, buffer, root, depth: 0, tag, name_length: 0 };
        let mut text = String::new();
        while matches!(xml.advance(Some(&mut text))?, Token::Text) {}
        let found = xml.element().name().to_owned();
        if found != root {
            return Err(RepodataError::Root { expected: root, found });
        }
        if !text.trim().is_empty() {
            return Err(xml.error("text before the root element"));
        }
        Ok(xml)
    }

    /// The next child of the element that is open; `None` when that closes. Text between children
    /// is passed over. The child must then be read: by this method, [`Self::text`] or
    /// [`Self::skip`].
    pub(super) fn child(&mut self) -> Result<Option<Element<'_>>, RepodataError> {
        loop {
            match self.advance(None)? {
                Token::Open => break,
                Token::Close => return Ok(None),
                Token::Text => {}
            }
        }
        Ok(Some(self.element()))
    }

    /// What the document is read from. It is ahead of what was read by what it has buffered.
    pub(super) fn source(&self) -> &R {
        &self.reader.get_ref().inner
    }

    /// Puts the text of the element that is open into `text`, and closes the element. Elements in it
    /// are passed over, and the text in them.
    pub(super) fn text(&mut self, text: &mut String) -> Result<(), RepodataError> {
        text.clear();
        loop {
            match self.advance(Some(text))? {
                Token::Text if text.len() <= LONGEST => {}
                Token::Text => return Err(self.error("a text without end")),
                Token::Open => self.skip()?,
                Token::Close => return Ok(()),
            }
        }
    }

    /// Passes over what is left of the element that is open, and closes it.
    pub(super) fn skip(&mut self) -> Result<(), RepodataError> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.advance(None)?;
        }
        Ok(())
    }

    /// After the root is closed: makes sure that nothing follows, and gives the reader back.
    pub(super) fn finish(mut self) -> Result<R, RepodataError> {
        loop {
            self.buffer.clear();
            self.reader.get_mut().left = LONGEST;
            match self.reader.read_event_into(&mut self.buffer) {
                Ok(Event::Eof) => return Ok(self.reader.into_inner().inner),
                Ok(Event::Comment(_) | Event::PI(_)) => {}
                Ok(Event::Text(text)) if text.trim().is_empty() => {}
                Ok(_) => return Err(self.error("more after the root element")),
                Err(error) => return Err(self.explain(error)),
            }
        }
    }

    /// Reads one token. Its text is added to `text`, if that is given.
    fn advance(&mut self, text: Option<&mut String>) -> Result<Token, RepodataError> {
        loop {
            self.buffer.clear();
            self.reader.get_mut().left = LONGEST;
            let event = match self.reader.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(error) => return Err(self.explain(error)),
            };
            let piece: Cow<'_, str> = match &event {
                Event::Start(tag) | Event::Empty(tag) => {
                    self.tag.clear();
                    self.tag.push_str(tag);
                    self.name_length = tag.name().as_ref().len();
                    self.depth += 1;
                    if self.depth > DEPTH {
                        return Err(RepodataError::Deep(DEPTH));
                    }
                    return Ok(Token::Open);
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Token::Close);
                }
                Event::Text(_) | Event::CData(_) if text.is_none() => return Ok(Token::Text),
                Event::Text(piece) => piece.xml10_content(),
                Event::CData(piece) => piece.xml10_content(),
                Event::GeneralRef(name) => match name.resolve_char_ref() {
                    Ok(Some(character)) => String::from(character).into(),
                    Ok(None) => {
                        resolve_predefined_entity(name).ok_or(RepodataError::Entities)?.into()
                    }
                    Err(error) => return Err(self.explain(error)),
                },
                Event::DocType(_) => return Err(RepodataError::Entities),
                Event::Eof => return Err(RepodataError::Truncated(self.root)),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => continue,
            };
            if let Some(text) = text {
                text.push_str(&piece);
            }
            return Ok(Token::Text);
        }
    }

    /// The element that was opened last.
    fn element(&self) -> Element<'_> {
        Element { tag: BytesStart::from_content(self.tag.as_str(), self.name_length) }
    }

    /// An error at the current position.
    fn error(&self, message: &str) -> RepodataError {
        RepodataError::Xml { position: self.reader.buffer_position(), message: message.to_owned() }
    }

    /// `quick-xml`'s error, in this module's words.
    fn explain(&self, error: quick_xml::Error) -> RepodataError {
        match error {
            quick_xml::Error::Io(error) => RepodataError::Read(error),
            error => self.error(&error.to_string()),
        }
    }
}

/// An element that was just opened.
pub(super) struct Element<'x> {
    tag: BytesStart<'x>,
}

impl Element<'_> {
    /// Its name, without the prefix of a namespace.
    pub(super) fn name(&self) -> &str {
        let name = self.tag.as_ref().get(..self.tag.name().as_ref().len()).unwrap_or_default();
        name.rsplit_once(':').map_or(name, |(_, local)| local)
    }

    /// The value of an attribute, by its full name.
    pub(super) fn attribute(&self, name: &str) -> Result<Option<String>, RepodataError> {
        let mut value = None;
        self.attributes(|key, found| {
            if key == name {
                value = Some(found.to_owned());
            }
        })?;
        Ok(value)
    }

    /// Calls `take` with each attribute's full name and value.
    pub(super) fn attributes(&self, mut take: impl FnMut(&str, &str)) -> Result<(), RepodataError> {
        let mut attributes = self.tag.attributes();
        // The check for duplicates takes quadratic time.
        for attribute in attributes.with_checks(false) {
            let attribute = attribute.map_err(|error| self.error(&error.to_string()))?;
            let value =
                attribute.normalized_value(XmlVersion::Implicit1_0).map_err(
                    |error| match error {
                        quick_xml::Error::Escape(EscapeError::UnrecognizedEntity(..)) => {
                            RepodataError::Entities
                        }
                        error => self.error(&error.to_string()),
                    },
                )?;
            take(attribute.key.as_ref(), &value);
        }
        Ok(())
    }

    fn error(&self, message: &str) -> RepodataError {
        let message = format!("in <{}>: {message}", self.name());
        RepodataError::Xml { position: 0, message }
    }
}

/// A reader that gives at most `left` bytes (and what is buffered) until that is set again: the
/// lexer buffers a whole tag or text.
struct Metered<R> {
    inner: R,
    left: usize,
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(available) {
            *to = *from;
        }
        self.consume(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::other("a tag or text has no end"));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount);
        self.inner.consume(amount);
    }
}
