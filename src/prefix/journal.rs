//! The journal of one architecture: a line for every event, added durably before what it announces is
//! done. What the lines mean together is [`super::replay`]'s.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::Deserialize;

use super::error::{PrefixError, failed};
use super::event::{FORMAT, Lines, Record};
use super::layout::Layout;
use super::{Prefix, files, history};
use crate::model::Arch;
use crate::tools::files as steps;

/// Far more than any prefix has: a bound for damaged files, in bytes.
const LIMIT: u64 = 16 << 20;

/// The part of a line that every format has.
#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

/// A journal that was read.
#[derive(Debug)]
pub(super) struct Journal {
    /// Its lines.
    pub(super) lines: Lines,
    /// Where the next line goes, in bytes from the start; a line that a killed run did not write to its
    /// end is overwritten.
    end: u64,
    /// Whether it is carried over from the format before, and not in its own file yet.
    is_old: bool,
}

impl Journal {
    /// Reads the journal of `arch`: empty when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or a newer version of this program wrote it.
    pub(super) fn load(layout: &Layout, arch: Arch) -> Result<Self, PrefixError> {
        let path = layout.journal(arch);
        match files::read(&path, LIMIT) {
            // Nothing writes so much: it is begun anew.
            Err(PrefixError::Damaged { .. }) => {
                Ok(Self { lines: vec![None], end: 0, is_old: false })
            }
            Err(error) => Err(error),
            Ok(Some(bytes)) => {
                let (lines, end) = parse(&bytes)
                    .map_err(|format| PrefixError::NewerFormat { path: path.clone(), format })?;
                Ok(Self { lines, end, is_old: false })
            }
            Ok(None) => {
                let old = history::load(layout, arch)?;
                let is_old = old.is_some();
                Ok(Self { lines: old.unwrap_or_default(), end: 0, is_old })
            }
        }
    }

    /// Adds `records`, durably. What is carried over from the format before is written with them, in one
    /// step, and the old file goes.
    ///
    /// # Errors
    /// When they cannot be written: then none counts.
    pub(super) fn add(
        self,
        prefix: &Prefix,
        arch: Arch,
        records: &[Record],
    ) -> Result<(), PrefixError> {
        if records.is_empty() && !self.is_old {
            return Ok(());
        }
        let layout = &prefix.layout;
        let path = layout.journal(arch);
        if self.is_old {
            let old = self.lines.iter().flatten();
            files::write(&path, &text(old.chain(records)), 0o644, &layout.staging())?;
            return files::remove_file(&layout.history(arch));
        }
        let is_new = !path.exists();
        let file = prefix.owners.open_or_make(&path, 0o644)?;
        append(&file, self.end, &text(records.iter())).map_err(failed("write", &path))?;
        if is_new {
            files::sync_directory(&layout.arch(arch))?;
        }
        Ok(())
    }
}

/// The lines that were written to their end, and how many bytes they are.
///
/// # Errors
/// With the format of a line that a newer version of this program wrote.
pub(super) fn parse(bytes: &[u8]) -> Result<(Lines, u64), u32> {
    let mut lines = Vec::new();
    let mut end = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\n") else { break };
        end += line.len() as u64 + 1;
        let format = serde_json::from_slice::<FormatOnly>(line).map_or(0, |line| line.format);
        if format > FORMAT {
            return Err(format);
        }
        lines.push(serde_json::from_slice(line).ok());
    }
    Ok((lines, end))
}

/// The text of some lines.
pub(super) fn text<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<u8> {
    let mut text = Vec::new();
    for record in records {
        // What has only numbers and names in it can be written.
        text.extend(serde_json::to_vec(record).unwrap_or_default());
        text.push(b'\n');
    }
    text
}

/// Writes `text` at `end` of the file, and makes it durable.
fn append(file: &File, end: u64, text: &[u8]) -> io::Result<()> {
    if file.metadata()?.len() != end {
        file.set_len(end)?;
    }
    steps::set_mode(file, 0o644)?;
    file.write_all_at(text, end)?;
    steps::sync_written(file)
}
