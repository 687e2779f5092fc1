//! The head of a bundle: the script that finds a place where programs may run, and starts the machine's there.

use super::index::BundleMember;
use super::trailer::TRAILER_SIZE;
use super::{BLOCK, HEAD_SIZE, SET_DIGITS};
use crate::model::Arch;

/// How it begins.
pub(super) const OPENING: &[u8] = b"#!/bin/sh\n# elsewhere bundle 1\n";
/// The same after a transfer in text mode.
const MANGLED: &[u8] = b"#!/bin/sh\r\n# elsewhere bundle 1\r\n";
/// What precedes the size of the whole.
const SIZE: &str = "# bytes: ";
/// What precedes the name that its parts have it by.
const SET: &str = "# parts: ";

/// The script before all is filled in.
const TEMPLATE: &str = include_str!("head.sh");
/// A line of what fills it up.
const FILLING: &str = "###############################################################\n";

/// What the beginning of a file says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// It is a bundle, of so many bytes if it still says so.
    Bundle(Option<u64>),
    /// It was one before its line ends were changed.
    Mangled,
    /// It was compressed, by whoever carried it.
    Compressed,
    /// It is something else.
    Other,
}

impl Beginning {
    /// What the first bytes of a file say.
    pub(super) fn of(bytes: &[u8]) -> Self {
        if bytes.starts_with(MANGLED) {
            return Self::Mangled;
        }
        if bytes.starts_with(b"\x1f\x8b") {
            return Self::Compressed;
        }
        let Some(rest) = bytes.strip_prefix(OPENING) else { return Self::Other };
        let line = rest.split(|byte| *byte == b'\n').next();
        let line = line.and_then(|line| std::str::from_utf8(line).ok());
        Self::Bundle(line.and_then(|line| line.strip_prefix(SIZE)?.parse().ok()))
    }
}

/// The name that the parts of a bundle with this head have it by.
pub(super) fn set_of(head: &[u8]) -> Option<&str> {
    let mut lines = head.split(|byte| *byte == b'\n').take(8);
    let line = lines.find_map(|line| line.strip_prefix(SET.as_bytes()))?;
    let is_name = line.len() == SET_DIGITS && line.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(line).ok().filter(|_| is_name)
}

/// The head of a bundle of `total` bytes with these programs, whose parts have it by the name `set`. `title` says
/// what it installs.
pub(super) fn head(total: u64, set: &str, programs: &[BundleMember], title: &str) -> Vec<u8> {
    let arches = programs.iter().filter_map(|program| program.arch).map(Arch::as_str);
    let arches = arches.collect::<Vec<_>>().join(", ");
    let plain = |letter: char| letter.is_ascii_alphanumeric() || " .,+~_-()".contains(letter);
    let title: String = title.chars().filter(|letter| plain(*letter)).take(200).collect();
    let lines: Vec<String> = programs.iter().filter_map(line).collect();
    let end = total.saturating_sub(TRAILER_SIZE as u64) / BLOCK;
    let text = TEMPLATE
        .replace("@SIZE@", &total.to_string())
        .replace("@SET@", set)
        .replace("@END@", &end.to_string())
        .replace("@TITLE@", &title)
        .replace("@ARCHES@", if arches.is_empty() { "no architecture" } else { &arches })
        .replace("@PROGRAMS@", &lines.join("\n"));
    let mut bytes = text.into_bytes();
    let size = usize::try_from(HEAD_SIZE).unwrap_or(usize::MAX);
    let left = size.saturating_sub(bytes.len());
    bytes.extend(FILLING.bytes().cycle().skip(FILLING.len() - left % FILLING.len()).take(left));
    bytes
}

/// The line that says where a program lies.
fn line(program: &BundleMember) -> Option<String> {
    let BundleMember { arch, offset, size, checksum, .. } = program;
    let (skip, count, rest) = (offset / BLOCK, size / BLOCK, size % BLOCK);
    let at = offset + count * BLOCK;
    let places = format!("skip={skip} count={count} rest={rest} at={at}");
    Some(format!("    {}) {places} sum={} ;;", (*arch)?, checksum.hex()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Checksum;

    #[test]
    fn a_head_has_its_size_and_is_text_to_its_end() {
        let program = |arch| BundleMember {
            name: format!("elsewhere-{arch}"),
            arch: Some(arch),
            offset: u64::MAX / 2,
            size: u64::MAX / 4,
            checksum: Checksum::of(b""),
        };
        for count in 0..=Arch::ALL.len() {
            let programs: Vec<_> = Arch::ALL.into_iter().take(count).map(program).collect();
            let title = format!("it's \"$(rm)\" `x` {}", "long ".repeat(100));
            let head = head(u64::MAX, "0123abcd", &programs, &title);
            assert_eq!(head.len() as u64, HEAD_SIZE);
            let text = String::from_utf8(head.clone()).unwrap();
            assert!(text.ends_with("#\n") && text.contains("title='its (rm) x long"), "{text}");
            assert!(text.contains("\nexit 1\n}\n"), "{text}");
            for name in ["@SIZE@", "@SET@", "@END@", "@TITLE@", "@ARCHES@", "@PROGRAMS@"] {
                assert!(TEMPLATE.contains(name) && !text.contains(name), "{name}: {text}");
            }
            assert_eq!(Beginning::of(&head), Beginning::Bundle(Some(u64::MAX)));
            assert_eq!(set_of(&head), Some("0123abcd"));
        }
        assert_eq!(set_of(b"#!/bin/sh\n# parts: ../../..\n"), None);
        assert_eq!(Beginning::of(b""), Beginning::Other);
        assert_eq!(Beginning::of(b"#!/bin/sh\necho\n"), Beginning::Other);
        assert_eq!(Beginning::of(OPENING), Beginning::Bundle(None));
    }
}
