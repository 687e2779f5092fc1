//! Symbol versions: which a file asks of which library, and which it defines.
//!
//! The format: *LSB Core, Symbol Versioning*. Both tables are chains of relative offsets; a chain
//! is followed for as many records as the dynamic section counts, and never backwards.

use object::Endianness;
use object::elf::{
    DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM, DynamicTag, VER_FLG_BASE, VER_FLG_WEAK,
    Verdaux, Verdef, Vernaux, Verneed,
};
use object::pod::{self, Pod};

use super::segment::offset_of;
use super::{ByteSource, Dynamic, ElfError, Segment, Strings};

/// Symbol versions of one file. libstdc++ defines about 60, glibc 50.
const MOST_VERSIONS: usize = 4096;

/// A symbol version that a file asks of a library.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Required {
    /// The library's soname.
    pub(crate) library: String,
    /// The version: `GLIBC_2.28`.
    pub(crate) version: String,
    /// Whether the loader goes on without it.
    pub(crate) weak: bool,
}

/// The version tables of a file: what they are found and read with.
#[derive(Clone, Copy)]
pub(super) struct VersionTables<'a> {
    /// Byte order.
    pub(super) endian: Endianness,
    /// The program headers.
    pub(super) segments: &'a [Segment],
    /// The dynamic section.
    pub(super) dynamic: &'a Dynamic,
    /// The strings that it refers to.
    pub(super) strings: &'a Strings,
}

impl VersionTables<'_> {
    /// The versions that the file asks of others.
    pub(super) fn required<S: ByteSource + ?Sized>(
        &self,
        source: &S,
    ) -> Result<Vec<Required>, ElfError> {
        let endian = self.endian;
        let mut required = Vec::new();
        let Some((mut at, count)) = self.table(DT_VERNEED, DT_VERNEEDNUM)? else {
            return Ok(required);
        };
        for _ in 0..count {
            let need: Verneed<Endianness> = record(source, at)?;
            let library = self.strings.at(need.vn_file.get(endian).into())?;
            let mut aux_at = at.saturating_add(need.vn_aux.get(endian).into());
            for _ in 0..need.vn_cnt.get(endian) {
                let aux: Vernaux<Endianness> = record(source, aux_at)?;
                let version = self.strings.at(aux.vna_name.get(endian).into())?;
                let weak = aux.vna_flags.get(endian).contains(VER_FLG_WEAK);
                required.push(Required { library: library.clone(), version, weak });
                bound(required.len())?;
                let Some(next) = follow(aux_at, aux.vna_next.get(endian)) else { break };
                aux_at = next;
            }
            let Some(next) = follow(at, need.vn_next.get(endian)) else { break };
            at = next;
        }
        Ok(required)
    }

    /// The versions that the file defines; its own base name is none.
    pub(super) fn provided<S: ByteSource + ?Sized>(
        &self,
        source: &S,
    ) -> Result<Vec<String>, ElfError> {
        let endian = self.endian;
        let mut provided = Vec::new();
        let Some((mut at, count)) = self.table(DT_VERDEF, DT_VERDEFNUM)? else {
            return Ok(provided);
        };
        for _ in 0..count {
            let definition: Verdef<Endianness> = record(source, at)?;
            if !definition.vd_flags.get(endian).contains(VER_FLG_BASE) {
                // The first name is the version's own, later ones are its parents'.
                let aux_at = at.saturating_add(definition.vd_aux.get(endian).into());
                let aux: Verdaux<Endianness> = record(source, aux_at)?;
                provided.push(self.strings.at(aux.vda_name.get(endian).into())?);
            }
            let Some(next) = follow(at, definition.vd_next.get(endian)) else { break };
            at = next;
        }
        Ok(provided)
    }

    /// Position in the file and number of records of a table; `None` when there is none.
    fn table(
        &self,
        address: DynamicTag,
        count: DynamicTag,
    ) -> Result<Option<(u64, usize)>, ElfError> {
        let dynamic = self.dynamic;
        let (Some(address), Some(count)) = (dynamic.value(address), dynamic.value(count)) else {
            return Ok(None);
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        bound(count)?;
        let offset = offset_of(self.segments, address)
            .ok_or(ElfError::Malformed("a version table is in no segment"))?;
        Ok(Some((offset, count)))
    }
}

fn bound(count: usize) -> Result<(), ElfError> {
    match count > MOST_VERSIONS {
        true => Err(ElfError::Malformed("it names more symbol versions than any real file")),
        false => Ok(()),
    }
}

/// The position `step` bytes on; `None` at the end of a chain.
fn follow(at: u64, step: u32) -> Option<u64> {
    (step != 0).then(|| at.saturating_add(step.into()))
}

fn record<S: ByteSource + ?Sized, T: Pod>(source: &S, at: u64) -> Result<T, ElfError> {
    let size = size_of::<T>() as u64;
    let bytes = source.bytes(at, size, size)?;
    let (record, _) =
        pod::from_bytes(&bytes).map_err(|()| ElfError::Malformed("a version is cut off"))?;
    Ok(*record)
}
