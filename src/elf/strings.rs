//! The string table that the dynamic section refers to.

use super::ElfError;

/// The longest name or run path that is believed.
const LONGEST: usize = 4096;

/// Strings that end in a NUL, each named by the position of its first byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strings(Vec<u8>);

impl Strings {
    /// The table with these bytes.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// All of its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The string at `offset`.
    pub(crate) fn at(&self, offset: u64) -> Result<String, ElfError> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.0.get(start..).unwrap_or_default();
        let end = rest.iter().take(LONGEST).position(|byte| *byte == 0);
        let bytes = end
            .and_then(|end| rest.get(..end))
            .ok_or(ElfError::Malformed("a name has no end, or lies outside the string table"))?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(ElfError::Malformed("a name is not UTF-8")),
        }
    }

    /// Whether one of them is among `wanted`.
    pub(super) fn has_any(&self, wanted: &[&str]) -> bool {
        let mut strings = self.0.split(|byte| *byte == 0);
        strings.any(|string| wanted.iter().any(|wanted| wanted.as_bytes() == string))
    }
}
