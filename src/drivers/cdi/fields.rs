//! Fields of a specification, each read with its place, which messages name: `line 7: devices[0].containerEdits.env[1]`.

use std::path::{Path, PathBuf};

use super::super::DriverError;
use super::kinds::{CdiVersion, is_place};
use crate::model::escape;
use crate::tools::tree_text::{Held, Node};

/// A node of a specification, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    file: &'a Path,
    /// `devices[0].name`; empty for the whole.
    path: String,
    node: &'a Node,
}

/// A text, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) value: String,
    /// For messages.
    pub(super) stands: String,
}

impl<'a> Field<'a> {
    /// The whole specification.
    pub(super) fn whole(file: &'a Path, node: &'a Node) -> Self {
        Self { file, path: String::new(), node }
    }

    /// Where it stands: the line, where it is known, and the field.
    pub(super) fn stands(&self) -> String {
        let path = if self.path.is_empty() { "the specification" } else { &self.path };
        let path = escape(path);
        match self.node.line {
            0 => path.into_owned(),
            line => format!("line {line}: {path}"),
        }
    }

    /// That it makes no sense.
    pub(super) fn odd(&self, why: impl std::fmt::Display) -> DriverError {
        malformed(self.file, format!("{} {why}", self.stands()))
    }

    fn joined(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The field `name`, where it is something.
    pub(super) fn at(&self, name: &str) -> Option<Self> {
        Some(Self { file: self.file, path: self.joined(name), node: self.node.at(name)? })
    }

    /// The same of a field that must be there.
    pub(super) fn need(&self, name: &str) -> Result<Self, DriverError> {
        self.at(name).ok_or_else(|| self.odd(format!("has no {name}")))
    }

    /// The same of one that specifications have since `version`, in one that says to be of `own`.
    pub(super) fn since(
        &self,
        name: &str,
        version: CdiVersion,
        own: CdiVersion,
    ) -> Result<Option<Self>, DriverError> {
        match self.at(name) {
            Some(found) if own < version => {
                Err(found.odd(format!("is of version {version}, and cdiVersion says {own}")))
            }
            found => Ok(found),
        }
    }

    /// It as a text: a word without zeros in it.
    pub(super) fn text(&self) -> Result<Text, DriverError> {
        match &self.node.held {
            Held::Word(text) if !text.contains('\0') => {
                Ok(Text { value: text.clone(), stands: self.stands() })
            }
            Held::Word(_) => Err(self.odd("has a zero in it")),
            _ => Err(self.odd("is no text")),
        }
    }

    /// It as a number.
    pub(super) fn number(&self) -> Result<u32, DriverError> {
        let Held::Word(text) = &self.node.held else { return Err(self.odd("is no number")) };
        text.parse().map_err(|_| self.odd(format!("is {text:?}, which is no number that fits")))
    }

    /// It as a place in an image.
    pub(super) fn place(&self) -> Result<PathBuf, DriverError> {
        let path = PathBuf::from(self.text()?.value);
        match is_place(&path) {
            true => Ok(path),
            false => Err(self.odd(format!(
                "is {:?}: it must begin with / and have no `..`",
                path.display().to_string()
            ))),
        }
    }

    /// It as a path of this machine.
    pub(super) fn host_path(&self) -> Result<PathBuf, DriverError> {
        let path = PathBuf::from(self.text()?.value);
        match path.is_absolute() {
            true => Ok(path),
            false => Err(self.odd("must begin with /")),
        }
    }

    /// The members of a list; of what is not there none.
    pub(super) fn list(&self, name: &str) -> Result<Vec<Self>, DriverError> {
        let Some(list) = self.at(name) else { return Ok(Vec::new()) };
        let Held::List(nodes) = &list.node.held else { return Err(list.odd("is no list")) };
        let member = |(number, node)| Self {
            file: self.file,
            path: format!("{}[{number}]", list.path),
            node,
        };
        Ok(nodes.iter().enumerate().map(member).collect())
    }

    /// The texts of a list.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<Text>, DriverError> {
        self.list(name)?.iter().map(Self::text).collect()
    }

    /// Makes sure that it is a mapping, and says which of its keys are none of `known`.
    pub(super) fn keys(&self, known: &[&str], said: &mut Vec<String>) -> Result<(), DriverError> {
        let Held::Mapping(entries) = &self.node.held else { return Err(self.odd("is no mapping")) };
        for (key, node) in entries.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
            let unknown = Self { file: self.file, path: self.joined(key), node };
            said.push(format!(
                "{}: {} is not known here, and passed over",
                self.file.display(),
                unknown.stands()
            ));
        }
        Ok(())
    }
}

/// That a file makes no sense.
pub(super) fn malformed(file: &Path, why: String) -> DriverError {
    DriverError::Malformed { file: file.to_owned(), why }
}
