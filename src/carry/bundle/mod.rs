//! A bundle: one executable file with all that an install needs.
//!
//! ```text
//! head       16 KiB of text: a POSIX shell script, which starts one of the programs
//! programs   `elsewhere`, linked statically, for each architecture
//! members    lock file, packages, certificates, definitions, by the names that a mirror has them by
//! index      JSON: name, architecture, place, size and digest of each of them, and the head's digest
//! trailer    256 bytes of text: where the index is, and its digest
//! ```
//!
//! Each part begins at a multiple of 4096 bytes, so that the smallest `dd` reads it, and zeros fill what is
//! between. Nothing is compressed anew, and nothing is in it twice. All digests are there to find damage: they
//! prove no origin.

mod cached;
mod damage;
mod extract;
mod head;
mod index;
mod make;
mod open;
mod program;
mod trailer;
mod write;

pub(crate) use index::BundleMember;
pub(crate) use make::{BundleOptions, Bundled, make};
pub(crate) use open::Bundle;

use std::path::{Path, PathBuf};

/// Every part begins at a multiple of so many bytes.
const BLOCK: u64 = 4096;

/// So many digits of a digest name a bundle in the names of its parts.
const SET_DIGITS: usize = 8;

/// Bytes of the head.
const HEAD_SIZE: u64 = 16 << 10;

/// The first place at which a part may begin that does not before `end`.
fn aligned(end: u64) -> u64 {
    end.div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// The name of a part of a file that is split: the first is 1. All others have the name of their bundle in theirs, so
/// that those of two lie beside each other while one takes the other's place.
fn part_name(stem: &Path, number: usize, set: &str) -> PathBuf {
    match number {
        1 => with_suffix(stem, ".001"),
        _ => with_suffix(stem, &format!(".{number:03}-{set}")),
    }
}

/// Whether `name` is that of a part, but for the first, of the file called `stem`: its number, and of which bundle.
fn part_of<'n>(name: &'n str, stem: &str) -> Option<(usize, &'n str)> {
    let (number, set) = name.strip_prefix(stem)?.strip_prefix('.')?.split_once('-')?;
    let is_set = set.len() == SET_DIGITS && set.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = number.len() >= 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    Some((number.parse().ok()?, set)).filter(|_| is_set && is_number)
}

fn with_suffix(stem: &Path, suffix: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
