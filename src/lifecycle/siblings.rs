//! Files that several generations of a prefix have alike. Hard links share their damage, which is
//! named here; and what is right in one generation puts the others right, without the network.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;

use crate::error::Error;
use crate::model::{FileKind, ReceiptFile, RelPath};
use crate::prefix::{Generation, Locked, Prefix};
use crate::report::Reporter;
use crate::verify::{self, Finding};
use crate::workshop::Share;

/// The numbers of the generations that have a damaged file of `generation` as the same file on disk.
///
/// # Errors
/// When the prefix cannot be read.
pub(super) fn sharing(
    prefix: &Prefix,
    generation: &Generation,
    findings: &[Finding],
) -> Result<Vec<u32>, Error> {
    let damaged = findings.iter().filter(|finding| finding.problem.is_damage());
    let paths: Vec<RelPath> =
        damaged.filter_map(|finding| RelPath::new(&finding.path).ok()).collect();
    let of = |generation: &Generation, path: &RelPath| {
        let metadata = fs::symlink_metadata(generation.path.join(path)).ok()?;
        let inode = |metadata: Metadata| (metadata.dev(), metadata.ino());
        metadata.is_file().then(|| inode(metadata))
    };
    let mut numbers = Vec::new();
    for other in prefix.generations(generation.arch)? {
        let shares = |path: &RelPath| {
            let here = of(generation, path);
            here.is_some() && here == of(&other, path)
        };
        if other != *generation && paths.iter().any(shares) {
            numbers.push(other.number);
        }
    }
    Ok(numbers)
}

/// What of `files`, all those of `generation`, is not as it was made, as far as programs may care:
/// not the user's configuration, and nothing that was added.
///
/// # Errors
/// When the user stopped the run.
pub(super) fn damaged<'r>(
    generation: &Generation,
    files: &'r [ReceiptFile],
    reporter: &dyn Reporter,
) -> Result<Vec<&'r ReceiptFile>, Error> {
    let findings = verify::check_files(&generation.path, files, reporter)?;
    let is_damaged = |file: &&ReceiptFile| {
        findings.iter().any(|finding| {
            let is_damage = finding.problem.is_damage() && !finding.problem.is_mode_that_suffices();
            is_damage && finding.path == file.path.as_str()
        })
    };
    Ok(files.iter().filter(is_damaged).collect())
}

/// Puts those of the `lost` files right that another generation has right, and returns the rest.
///
/// # Errors
/// When the prefix cannot be read or written.
pub(super) fn mend<'f>(
    prefix: &Locked,
    generation: &Generation,
    lost: Vec<&'f ReceiptFile>,
    reporter: &dyn Reporter,
) -> Result<Vec<&'f ReceiptFile>, Error> {
    let others = prefix.generations(generation.arch)?;
    let mut rest = Vec::new();
    for file in lost {
        let mut is_right = false;
        for other in others.iter().filter(|other| *other != generation) {
            if copy(prefix, other, generation, file)? {
                let number = other.number;
                reporter.note(format!("{}: put back, from generation {number}", file.path));
                is_right = true;
                break;
            }
        }
        if !is_right {
            rest.push(file);
        }
    }
    Ok(rest)
}

/// Puts what was put right in `generation` right in the others too, where it is damaged there.
///
/// # Errors
/// When the prefix cannot be read or written.
pub(super) fn spread(
    prefix: &Locked,
    generation: &Generation,
    mended: &[&ReceiptFile],
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    for other in prefix.generations(generation.arch)? {
        if other == *generation || mended.is_empty() {
            continue;
        }
        let Some(receipt) = prefix.whole_receipt(&other)? else { continue };
        let same = |file: &ReceiptFile| {
            mended.iter().any(|it| it.path == file.path && it.kind == file.kind && !file.config)
        };
        let theirs: Vec<ReceiptFile> =
            receipt.all_files().into_iter().filter(|file| same(file)).collect();
        let findings = verify::check_files(&other.path, &theirs, reporter)?;
        let is_damaged =
            |file: &&ReceiptFile| findings.iter().any(|it| it.path == file.path.as_str());
        for file in theirs.iter().filter(is_damaged) {
            if copy(prefix, generation, &other, file)? {
                let (arch, number) = (other.arch, other.number);
                reporter.note(format!("{}: put back in {arch} generation {number} too", file.path));
            }
        }
    }
    Ok(())
}

/// Puts `file` of `to` right with what `from` has there. False where that is not right either.
fn copy(
    prefix: &Locked,
    from: &Generation,
    to: &Generation,
    file: &ReceiptFile,
) -> Result<bool, Error> {
    if !matches!(file.kind, FileKind::File { .. }) {
        return Ok(false);
    }
    let scratch = prefix.scratch(to.arch)?;
    // A file of its own: the next damage is not shared.
    if !scratch.take_over(&from.path, &[Share { file, is_linkable: false }])? {
        return Ok(false);
    }
    let new = scratch.path().join(&file.path);
    prefix.restore(to, file, Some(&new))?;
    Ok(true)
}
