//! `modules.yaml`: the module streams of a repository (EL8), and which of them are the defaults.
//!
//! The file is a sequence of YAML documents that libmodulemd writes, always in the same block
//! style: two spaces a level, one key a line, lists with `- `. Of each document a few fields are
//! needed, at fixed places, so this is a reader for that style and not a YAML parser. What is not
//! understood at those places is an error; all else is passed over by its indentation.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use super::RepodataError;
use super::decode::{Measured, decompress};
use super::repomd::RepomdRecord;
use crate::model::ModuleStream;

/// Most bytes that a `modules.yaml` may unpack to, whatever is declared.
const LARGEST: u64 = 64 << 20;
/// Most bytes of a line.
const LONGEST_LINE: u64 = 1 << 20;

/// Reads `modules.yaml`, plain or packed. Of several versions of a stream the newest counts, as for
/// dnf, with the packages of all its contexts. The result is sorted by module and stream.
///
/// # Errors
/// When it cannot be read, or is not in libmodulemd's style.
pub fn parse(reader: impl Read, record: &RepomdRecord) -> Result<Vec<ModuleStream>, RepodataError> {
    let limit = record.open_size.unwrap_or(LARGEST).min(LARGEST);
    let open = decompress(BufReader::new(reader))?;
    let mut reader = BufReader::new(Measured::new(open, limit, None));
    let mut found = Found::default();
    let mut document = Document::default();
    let (mut line, mut number) = (String::new(), 0);
    loop {
        line.clear();
        let length = reader.by_ref().take(LONGEST_LINE).read_line(&mut line)? as u64;
        if length == 0 {
            found.add(document);
            return Ok(found.finish());
        }
        number += 1;
        let text = line.trim_end();
        if length >= LONGEST_LINE {
            return Err(RepodataError::Yaml { line: number, text: text.to_owned() });
        }
        if text.starts_with("---") || text == "..." {
            found.add(std::mem::take(&mut document));
            continue;
        }
        document
            .line(text)
            .map_err(|NotUnderstood| RepodataError::Yaml { line: number, text: text.to_owned() })?;
    }
}

/// A stream's newest version, and the packages of that.
type Newest = (u64, Vec<String>);

/// What the documents said.
#[derive(Default)]
struct Found {
    streams: BTreeMap<(String, String), Newest>,
    defaults: BTreeMap<String, String>,
}

impl Found {
    fn add(&mut self, document: Document) {
        match document.kind.as_str() {
            "modulemd" | "modulemd-stream" => {
                let newest = self.streams.entry((document.module, document.stream)).or_default();
                if document.version > newest.0 {
                    *newest = (document.version, document.artifacts);
                } else if document.version == newest.0 {
                    newest.1.extend(document.artifacts);
                }
            }
            "modulemd-defaults" if !document.stream.is_empty() => {
                self.defaults.insert(document.module, document.stream);
            }
            // Translations, obsoletes, packagers' files, and the space between documents.
            _ => {}
        }
    }

    fn finish(self) -> Vec<ModuleStream> {
        let Self { streams, defaults } = self;
        let stream = |((module, stream), (_, mut artifacts)): ((String, String), Newest)| {
            artifacts.sort();
            artifacts.dedup();
            let default = defaults.get(&module) == Some(&stream);
            ModuleStream { module, stream, default, artifacts }
        };
        streams.into_iter().map(stream).collect()
    }
}

/// A line is not in the style that this reader knows.
struct NotUnderstood;

/// One YAML document, as far as it was read.
#[derive(Default)]
struct Document {
    kind: String,
    module: String,
    stream: String,
    version: u64,
    artifacts: Vec<String>,
    /// The key without indentation that the line stands below.
    section: String,
    /// The key of `data` that the line stands below …
    field: String,
    /// … and the key of that.
    list: String,
}

impl Document {
    fn line(&mut self, text: &str) -> Result<(), NotUnderstood> {
        let content = text.trim_start_matches(' ');
        let indent = text.len() - content.len();
        if content.is_empty() || content.starts_with('#') {
            return Ok(());
        }
        match indent {
            0 => {
                let (key, value) = key_value(content)?;
                let is_flow =
                    key.starts_with(['{', '[', '"']) || (key == "data" && !value.is_empty());
                if is_flow {
                    return Err(NotUnderstood);
                }
                key.clone_into(&mut self.section);
                self.field.clear();
                if key == "document" {
                    self.kind = scalar(value)?;
                }
                Ok(())
            }
            2 if self.section == "data" => self.data_line(content),
            _ if self.section == "data" && self.field == "artifacts" => {
                self.artifact_line(indent, content)
            }
            _ => Ok(()),
        }
    }

    /// A key of `data`.
    fn data_line(&mut self, content: &str) -> Result<(), NotUnderstood> {
        if content.starts_with("- ") {
            // An item of the list that the key before names: `dependencies`.
            return Ok(());
        }
        let (key, value) = key_value(content)?;
        key.clone_into(&mut self.field);
        self.list.clear();
        match key {
            "name" | "module" => self.module = scalar(value)?,
            "stream" => self.stream = scalar(value)?,
            "version" => self.version = scalar(value)?.parse().map_err(|_| NotUnderstood)?,
            "artifacts" if !value.is_empty() => return Err(NotUnderstood),
            _ => {}
        }
        Ok(())
    }

    /// A line below `artifacts`: a key, or an item of the list `rpms`.
    fn artifact_line(&mut self, indent: usize, content: &str) -> Result<(), NotUnderstood> {
        match content.strip_prefix("- ") {
            Some(item) if self.list == "rpms" => self.artifacts.push(scalar(item)?),
            Some(_) => {}
            None if indent == 4 => {
                let (key, value) = key_value(content)?;
                if key == "rpms" && !matches!(value, "" | "[]") {
                    return Err(NotUnderstood);
                }
                key.clone_into(&mut self.list);
            }
            // Below another key, such as `rpm-map`.
            None if self.list != "rpms" => {}
            None => return Err(NotUnderstood),
        }
        Ok(())
    }
}

/// `KEY:` or `KEY: VALUE`.
fn key_value(content: &str) -> Result<(&str, &str), NotUnderstood> {
    let (key, value) = content.split_once(':').ok_or(NotUnderstood)?;
    if !value.is_empty() && !value.starts_with(' ') {
        return Err(NotUnderstood);
    }
    Ok((key, value.trim()))
}

/// A plain scalar, or a quoted one without escapes.
fn scalar(value: &str) -> Result<String, NotUnderstood> {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            let inner = rest.strip_suffix(quote).ok_or(NotUnderstood)?;
            let is_simple = !inner.contains(['"', '\'', '\\']);
            return is_simple.then(|| inner.to_owned()).ok_or(NotUnderstood);
        }
    }
    let is_plain =
        !value.is_empty() && !value.starts_with(['&', '*', '!', '|', '>', '{', '[', '%', '@', '`']);
    is_plain.then(|| value.to_owned()).ok_or(NotUnderstood)
}
