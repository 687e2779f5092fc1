//! Reads TOML, and says on which line it is wrong.

use serde::de::DeserializeOwned;

/// Why a text cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TomlProblem {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

/// What `text` says.
///
/// # Errors
/// When it is no TOML, or has a field that is not known, or lacks one.
pub(crate) fn read_toml<T: DeserializeOwned>(text: &str) -> Result<T, TomlProblem> {
    toml::from_str(text).map_err(|error| TomlProblem {
        line: line_at(text, error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })
}

/// The line, counted from 1, of the byte at `offset` of `text`.
#[must_use]
pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    1 + text.get(..offset).unwrap_or_default().matches('\n').count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_wrong_has_its_line() {
        let read = |text: &str| read_toml::<BTreeMap<String, u32>>(text);
        assert_eq!(read("a = 1\nb = 2\n").unwrap().len(), 2);
        let problem = read("a = 1\n\nb = 'x'\n").unwrap_err();
        assert_eq!(problem.line, 3);
        assert!(problem.message.contains("expected u32"), "{}", problem.message);
        assert_eq!(read("a = 1\nb").unwrap_err().line, 2);
    }

    #[test]
    fn lines_are_counted_from_one() {
        assert_eq!([0, 1, 2, 99].map(|offset| line_at("a\nb", offset)), [1, 1, 2, 1]);
    }
}
