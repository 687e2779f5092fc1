//! What kernel and loader demand of a file, checked before a rewritten one counts.

use super::block::SEGMENT_SIZE;
use super::entries::TABLES;
use super::unchangeable::Unchangeable;
use crate::elf::{Abi, ByteSource, Elf, Linkage, Reading, Segment};

/// Checks that `source` is a file of `abi` that asks and gives what `wanted` says, and that it
/// can be loaded.
pub(super) fn check<S: ByteSource + ?Sized>(
    source: &S,
    abi: Abi,
    wanted: &Linkage,
) -> Result<(), Unchangeable> {
    let elf = check_linkage(source, abi, wanted)?;
    check_segments(&elf, source.len())?;
    let tables = elf.dynamic.iter().flat_map(|dynamic| &dynamic.entries);
    let mut tables = tables.filter(|entry| TABLES.contains(&entry.tag));
    match tables.all(|entry| elf.offset_of(entry.value).is_some()) {
        true => Ok(()),
        false => Err(Unchangeable::Wrong("a table of the dynamic section is in no segment")),
    }
}

/// Checks that `source` is a file of `abi` that asks and gives what `wanted` says. That is all that
/// can have changed in one whose headers stay as they are.
pub(super) fn check_linkage<S: ByteSource + ?Sized>(
    source: &S,
    abi: Abi,
    wanted: &Linkage,
) -> Result<Box<Elf>, Unchangeable> {
    let Reading::Native(elf) = Elf::read(source, abi)? else {
        return Err(Unchangeable::Wrong("it is no program or library any more"));
    };
    match elf.linkage == *wanted {
        true => Ok(elf),
        false => Err(Unchangeable::Wrong("it asks for other libraries than before")),
    }
}

fn check_segments(elf: &Elf, length: u64) -> Result<(), Unchangeable> {
    let loaded: Vec<&Segment> = elf.segments.iter().filter(|segment| segment.is_loaded()).collect();
    let ascend = loaded.windows(2).all(|pair| match pair {
        [low, high] => low.memory_end() <= high.address,
        _ => true,
    });
    if !ascend {
        return Err(Unchangeable::Wrong("its segments overlap or do not ascend"));
    }
    if !loaded.iter().all(|segment| is_congruent(segment)) {
        return Err(Unchangeable::Wrong("a segment's position does not fit its alignment"));
    }
    let within = |segment: &&Segment| {
        segment.offset.checked_add(segment.file_size).is_some_and(|end| end <= length)
            && segment.file_size <= segment.memory_size
    };
    if !loaded.iter().all(within) {
        return Err(Unchangeable::Wrong("a segment lies beyond the end of the file"));
    }
    let headers = elf.segments.len() as u64 * SEGMENT_SIZE;
    let holds_headers = |head: &&&Segment| {
        head.offset <= elf.segments_at && elf.segments_at.saturating_add(headers) <= head.file_end()
    };
    match loaded.first().filter(holds_headers) {
        Some(_) => Ok(()),
        None => Err(Unchangeable::Wrong("its first segment does not hold its headers")),
    }
}

fn is_congruent(segment: &Segment) -> bool {
    let alignment = segment.alignment.max(1);
    alignment.is_power_of_two() && segment.offset % alignment == segment.address % alignment
}
