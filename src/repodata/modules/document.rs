//! One document of a module list: what is needed of it, picked from the parser's events.

use granit_parser::{Event, ScalarStyle};

use crate::model::{Artifact, DefaultStream, ModuleStream, NameHash};
use crate::repodata::error::quote;

/// Longest name of a module or stream.
const LONGEST_NAME: usize = 255;
/// Most modules that a stream may need, and most streams of one that will do.
const MOST_REQUIRED: usize = 1000;

/// What a document says.
pub(super) enum Content {
    /// One version of a stream.
    Stream(ModuleStream),
    /// A module, and its default stream.
    Default(String, DefaultStream),
    /// Something that does not matter here.
    Other,
    /// Nothing at all.
    Nothing,
}

/// A place in a document, as far as places are of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nesting {
    Root,
    Kind,
    Format,
    Data,
    Name,
    Stream,
    Version,
    Modified,
    Artifacts,
    Packages,
    Demodularized,
    FreeNames,
    Dependencies,
    Requires,
    Required,
    Elsewhere,
}

impl Nesting {
    /// The place below this one that a mapping's key leads to.
    fn key(self, key: &str) -> Self {
        match (self, key) {
            (Self::Root, "document") => Self::Kind,
            (Self::Root, "version") => Self::Format,
            (Self::Root, "data") => Self::Data,
            (Self::Data, "name" | "module") => Self::Name,
            (Self::Data, "stream") => Self::Stream,
            (Self::Data, "version") => Self::Version,
            (Self::Data, "modified") => Self::Modified,
            (Self::Data, "artifacts") => Self::Artifacts,
            (Self::Artifacts, "rpms") => Self::Packages,
            (Self::Data, "demodularized") => Self::Demodularized,
            (Self::Demodularized, "rpms") => Self::FreeNames,
            (Self::Data, "dependencies") => Self::Dependencies,
            (Self::Dependencies, "requires") => Self::Requires,
            (Self::Requires, _) => Self::Required,
            _ => Self::Elsewhere,
        }
    }

    /// Whether there may be a mapping.
    fn takes_mapping(self) -> bool {
        matches!(self, Self::Root | Self::Data | Self::Artifacts | Self::Demodularized)
            || matches!(self, Self::Dependencies | Self::Requires | Self::Elsewhere)
    }

    /// Whether there may be a list.
    fn takes_list(self) -> bool {
        matches!(self, Self::Packages | Self::FreeNames | Self::Dependencies | Self::Required)
            || self == Self::Elsewhere
    }

    /// What there is to say when it holds something that makes no sense there.
    fn odd(self, what: &str) -> String {
        let place = match self {
            Self::Root => return format!("is {what}, not a mapping"),
            Self::Kind => "document",
            Self::Data => "data",
            Self::Name => "name",
            Self::Stream => "stream",
            Self::Format | Self::Version => "version",
            Self::Modified => "modified",
            Self::Artifacts | Self::Packages => "artifacts",
            Self::Demodularized | Self::FreeNames => "demodularized",
            Self::Dependencies | Self::Requires | Self::Required => "dependencies",
            Self::Elsewhere => "a value",
        };
        format!("has {what} as its {place}")
    }
}

/// A mapping or list that has begun and not ended.
#[derive(Debug)]
struct Open {
    place: Nesting,
    is_mapping: bool,
    /// Of a mapping whose value comes next, where that is.
    value: Option<Nesting>,
}

/// A document as it is being read.
#[derive(Debug, Default)]
pub(super) struct Document {
    open: Vec<Open>,
    is_begun: bool,
    kind: Option<String>,
    format: u64,
    has_data: bool,
    stream: ModuleStream,
    modified: u64,
    /// What makes no sense, and in which line: it counts if the document is of a kind that matters.
    problem: Option<(Option<usize>, String)>,
}

impl Document {
    /// Takes what comes next, at this line.
    pub(super) fn event(&mut self, line: usize, event: &Event<'_>) {
        let outcome = match event {
            Event::Scalar(text, style, ..) => match self.next_place(Some(text)) {
                // The parser's word for a value that is not there.
                Some(place) if *style == ScalarStyle::Plain && text == "~" => {
                    self.scalar(place, "")
                }
                Some(place) => self.scalar(place, text),
                None => Ok(()),
            },
            Event::MappingStart(..) => self.begin(true),
            Event::SequenceStart(..) => self.begin(false),
            Event::MappingEnd | Event::SequenceEnd => {
                self.open.pop();
                Ok(())
            }
            Event::Alias(_) => match self.next_place(None) {
                None | Some(Nesting::Elsewhere) => Ok(()),
                Some(place) => Err(place.odd("an alias")),
            },
            _ => Ok(()),
        };
        if let Err(why) = outcome {
            self.problem.get_or_insert((Some(line), why));
        }
    }

    /// What the document says, once it has ended; as an error, why it makes no sense, and where.
    pub(super) fn finish(self) -> Result<Content, (Option<usize>, String)> {
        let odd = |why: &str| Err((None, why.to_owned()));
        let known = match self.kind.as_deref() {
            Some("modulemd" | "modulemd-stream") => 2,
            Some("modulemd-defaults") => 1,
            // Translations, obsoletes, packagers' files, and what is yet to be thought of.
            Some(_) => return Ok(Content::Other),
            None if !self.is_begun && self.problem.is_none() => return Ok(Content::Nothing),
            None => 0,
        };
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        match self.format {
            _ if known == 0 => return odd("does not say what it is"),
            0 => return odd("does not say its version"),
            format if format > known => return odd(&format!("has the unknown version {format}")),
            _ if !self.has_data => return odd("has no data"),
            _ if self.stream.module.is_empty() => return odd("does not name its module"),
            _ => {}
        }
        if known == 1 {
            let ModuleStream { module, stream, .. } = self.stream;
            let stream = Some(stream).filter(|stream| !stream.is_empty());
            let default = DefaultStream { stream, modified: self.modified, is_disputed: false };
            return Ok(Content::Default(module, default));
        }
        match self.stream.stream.is_empty() {
            true => odd("does not name its stream"),
            false => Ok(Content::Stream(self.stream)),
        }
    }

    /// Where the node that comes next is; none when it is a mapping's key. The key's text, if it has
    /// one, says where the value will be.
    fn next_place(&mut self, key: Option<&str>) -> Option<Nesting> {
        let Some(open) = self.open.last_mut() else { return Some(Nesting::Root) };
        if !open.is_mapping {
            return Some(open.place);
        }
        let value = open.value.take();
        if value.is_none() {
            let place = key.map_or(Nesting::Elsewhere, |key| open.place.key(key));
            open.value = Some(place);
            if let (Nesting::Required, Some(key)) = (place, key) {
                self.require(key);
            }
        }
        value
    }

    fn require(&mut self, module: &str) {
        if module.len() <= LONGEST_NAME && self.stream.requires.len() < MOST_REQUIRED {
            self.stream.requires.push((module.to_owned(), Vec::new()));
        } else {
            self.problem.get_or_insert((None, Nesting::Requires.odd(&quote(module))));
        }
    }

    fn begin(&mut self, is_mapping: bool) -> Result<(), String> {
        // A key that is a mapping or a list leads nowhere.
        let place = self.next_place(None).unwrap_or(Nesting::Elsewhere);
        let fits = if is_mapping { place.takes_mapping() } else { place.takes_list() };
        self.is_begun = true;
        self.has_data |= place == Nesting::Data;
        let place_inside = if fits { place } else { Nesting::Elsewhere };
        self.open.push(Open { place: place_inside, is_mapping, value: None });
        match fits {
            true => Ok(()),
            false => Err(place.odd(if is_mapping { "a mapping" } else { "a list" })),
        }
    }

    fn scalar(&mut self, place: Nesting, text: &str) -> Result<(), String> {
        let odd = || place.odd(&quote(text));
        let name = || match text.len() {
            1..=LONGEST_NAME => Ok(text.to_owned()),
            _ => Err(odd()),
        };
        let number = || text.parse::<u64>().map_err(|_| odd());
        match place {
            Nesting::Kind if self.kind.is_some() => return Err("says twice what it is".to_owned()),
            Nesting::Kind => self.kind = Some(name()?),
            Nesting::Format => self.format = number()?,
            Nesting::Name => self.stream.module = name()?,
            Nesting::Stream => self.stream.stream = name()?,
            Nesting::Version => self.stream.version = number()?,
            Nesting::Modified => self.modified = number()?,
            // A key without a value, which stands for an empty list.
            _ if text.is_empty() => {}
            Nesting::Packages => self.stream.artifacts.extend(Artifact::parse(text)),
            Nesting::FreeNames => self.stream.demodularized.push(NameHash::of(text)),
            Nesting::Required => {
                let last = self.stream.requires.last_mut();
                let Some((_, streams)) = last.filter(|(_, streams)| streams.len() < MOST_REQUIRED)
                else {
                    return Err(odd());
                };
                streams.push(name()?);
            }
            Nesting::Elsewhere => {}
            _ => return Err(odd()),
        }
        Ok(())
    }
}
