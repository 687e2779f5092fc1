//! `history.json`: what stood in for the journal in earlier versions. It is read, and carried over once.

use serde::Deserialize;

use super::error::PrefixError;
use super::event::{Event, Lines, Record};
use super::files;
use super::layout::Layout;
use crate::model::Arch;

/// The newest version of the format.
const FORMAT: u32 = 1;

/// Far more than any prefix has: a bound for damaged files, in bytes.
const LIMIT: u64 = 16 << 20;

/// A generation became live.
#[derive(Deserialize)]
struct Activation {
    generation: u32,
    at: u64,
}

/// The file.
#[derive(Deserialize)]
struct History {
    format: u32,
    highest: u32,
    activations: Vec<Activation>,
    /// The number of the last one while the link was not known to lead there.
    #[serde(default)]
    pending: Option<u32>,
    /// The number of the one that was being deleted where it lies.
    #[serde(default)]
    leaving: Option<u32>,
    /// When the link was removed.
    #[serde(default)]
    removed_at: Option<u64>,
}

/// What the history of `arch` says, as lines of a journal; `None` when there is none. One that makes no
/// sense is one line that makes none.
///
/// # Errors
/// When it cannot be read, or a newer version of this program wrote it.
pub(super) fn load(layout: &Layout, arch: Arch) -> Result<Option<Lines>, PrefixError> {
    let path = layout.history(arch);
    let bytes = match files::read(&path, LIMIT) {
        Err(PrefixError::Damaged { .. }) => Some(Vec::new()),
        bytes => bytes?,
    };
    let Some(bytes) = bytes else { return Ok(None) };
    match serde_json::from_slice::<History>(&bytes) {
        Ok(history) if history.format > FORMAT => {
            Err(PrefixError::NewerFormat { path, format: history.format })
        }
        Ok(history) => Ok(Some(history.lines())),
        Err(_) => Ok(Some(vec![None])),
    }
}

impl History {
    fn lines(self) -> Lines {
        let mut lines = Lines::new();
        let mut add = |event, at| lines.push(Some(Record::new(event, at, self.highest)));
        let mut last = 0;
        let count = self.activations.len();
        for (position, Activation { generation, at }) in self.activations.into_iter().enumerate() {
            last = at;
            let is_pending = position + 1 == count && self.pending == Some(generation);
            // What was removed stayed so until the link was there.
            if let (true, Some(removed_at)) = (is_pending, self.removed_at) {
                add(Event::Removed, removed_at);
            }
            add(
                match is_pending {
                    true => Event::Begun { generation },
                    false => Event::Activated { generation },
                },
                at,
            );
        }
        match (self.pending, self.removed_at) {
            (None, Some(at)) => add(Event::Removed, at),
            // The numbers that were given count, though nothing else is in it.
            (None, None) if count == 0 && self.highest > 0 => add(Event::Removed, last),
            _ => {}
        }
        if let Some(generation) = self.leaving {
            add(Event::Leaving { generation }, last);
        }
        lines
    }
}
