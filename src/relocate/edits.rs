//! What the runtimes' definitions ask for: directories, files, links, and changed lines in text files.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use super::RelocateError;
use super::tree::{Tree, at};
use crate::elf::{Led, Places};
use crate::model::{Edit, FileKind, PLACING_PROGRAM, PLACING_SCRATCH, RelPath, Runtime};

/// Scripts have some kB.
const LARGEST_TEXT: u64 = 4 << 20;
/// What files get that no package has.
const FILE_MODE: u32 = 0o644;
/// What the program gets that shows directories at their places.
const PROGRAM_MODE: u32 = 0o755;

/// Makes the directories that `runtimes` declare.
pub(super) fn make_directories(
    tree: &mut Tree,
    runtimes: &[&Runtime],
) -> Result<(), RelocateError> {
    runtimes
        .iter()
        .flat_map(|runtime| &runtime.directories)
        .try_for_each(|path| tree.make_directory(path))
}

/// Makes the files that `runtimes` declare, where nothing else has the place.
pub(super) fn make_files(tree: &mut Tree, runtimes: &[&Runtime]) -> Result<(), RelocateError> {
    for file in runtimes.iter().flat_map(|runtime| &runtime.files) {
        let is_free = matches!(Places::of(tree.files()).real(file.path.as_str()), Led::Nowhere)
            && tree.file(&file.path).is_none();
        if is_free {
            tree.create(&file.path, &file.text, FILE_MODE)?;
        }
    }
    Ok(())
}

/// Makes the directories that stand at places of the host, where no package has them, and puts `program`, which shows them there, into
/// the tree, where it is at hand.
pub(super) fn make_places(
    tree: &mut Tree,
    runtimes: &[&Runtime],
    program: Option<&[u8]>,
) -> Result<(), RelocateError> {
    if !runtimes.iter().any(|runtime| runtime.needs_own_program()) {
        return Ok(());
    }
    let mut places = runtimes.iter().flat_map(|runtime| &runtime.places);
    places.try_for_each(|place| match tree.file(&place.tree) {
        Some(_) => Ok(()),
        None => tree.make_directory(&place.tree),
    })?;
    let own = |path: &str| RelPath::new(path).map_err(io::Error::other);
    let (path, scratch) =
        own(PLACING_PROGRAM)
            .and_then(|path| Ok((path, own(PLACING_SCRATCH)?)))
            .map_err(|source| RelocateError::Tree { path: PLACING_PROGRAM.into(), source })?;
    tree.make_directory(&scratch)?;
    program.map_or(Ok(()), |program| tree.create(&path, program, PROGRAM_MODE))
}

/// Makes the links that `runtimes` declare, where the target exists and nothing but a dangling
/// link has the place.
pub(super) fn make_links(tree: &mut Tree, runtimes: &[&Runtime]) -> Result<(), RelocateError> {
    for link in runtimes.iter().flat_map(|runtime| &runtime.links) {
        let places = Places::of(tree.files());
        let leads = |path: &RelPath| matches!(places.real(path.as_str()), Led::To(_));
        let is_free = match tree.file(&link.path).map(|file| &file.kind) {
            None => !places.has(&link.path),
            Some(FileKind::Symlink { .. }) => !leads(&link.path),
            Some(_) => false,
        };
        if is_free && leads(&link.target) {
            tree.make_link(&link.path, &link.path.link_text_to(&link.target))?;
        }
    }
    Ok(())
}

/// Makes the edits that `runtimes` declare; one that several declare is made once.
pub(super) fn make_edits(tree: &mut Tree, runtimes: &[&Runtime]) -> Result<(), RelocateError> {
    let mut made: Vec<&Edit> = Vec::new();
    for edit in runtimes.iter().flat_map(|runtime| &runtime.edits) {
        if made.contains(&edit) {
            continue;
        }
        made.push(edit);
        let real = Places::of(tree.files()).real(edit.path.as_str());
        let Led::To(path) = real else { continue };
        if tree.file(&path).is_some_and(|file| matches!(file.kind, FileKind::File { .. })) {
            tree.change(&path, |file| make_edit(file, edit))?;
        }
    }
    Ok(())
}

fn make_edit(mut file: &File, edit: &Edit) -> Result<(), RelocateError> {
    let mut text = Vec::new();
    file.take(LARGEST_TEXT + 1).read_to_end(&mut text).map_err(at(&edit.path))?;
    let edited = (text.len() as u64 <= LARGEST_TEXT).then(|| edited(&text, edit)).flatten();
    let Some(edited) = edited else {
        if edit.optional {
            return Ok(());
        }
        let (path, line) = (edit.path.clone(), edit.line_starts_with.clone());
        return Err(RelocateError::NoSuchLine { path, line });
    };
    file.rewind().map_err(at(&edit.path))?;
    file.set_len(0).map_err(at(&edit.path))?;
    file.write_all(&edited).map_err(at(&edit.path))
}

/// `text` with the edit made; `None` when no line begins as it says.
fn edited(text: &[u8], edit: &Edit) -> Option<Vec<u8>> {
    let mut edited = Vec::with_capacity(text.len() + edit.becomes.len());
    let mut is_found = false;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if line.trim_ascii_start().starts_with(edit.line_starts_with.as_bytes()) {
            is_found = true;
            edited.extend(edit.becomes.as_bytes());
            edited.extend(line.ends_with(b"\n").then_some(b'\n'));
        } else {
            edited.extend(line);
        }
    }
    is_found.then_some(edited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_are_replaced_and_others_left() {
        let edit = Edit {
            path: RelPath::new("bin/fakeroot").unwrap(),
            line_starts_with: "PREFIX=".to_owned(),
            becomes: "a=1\nb=2".to_owned(),
            optional: false,
        };
        let text = b"#!/bin/sh\n  PREFIX=/usr\nexport PREFIX=1\n\xff\nPREFIX=";
        let expected = b"#!/bin/sh\na=1\nb=2\nexport PREFIX=1\n\xff\na=1\nb=2";
        assert_eq!(edited(text, &edit).as_deref(), Some(expected.as_slice()));
        assert_eq!(edited(b"PREFIX\n", &edit), None);
    }
}
