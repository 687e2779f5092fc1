//! `repomd.xml`: what a repository's metadata files are called, and their digests.

use super::RepodataError;
use super::values::{Proven, location_of, number, stronger};
use super::xml::Xml;
use crate::model::Checksum;

/// A repository's table of contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repomd {
    /// The revision, as the repository names it; often seconds since 1970.
    pub revision: String,
    /// The newest of its files' times, in seconds since 1970; 0 when none is given.
    pub timestamp: u64,
    /// `primary.xml`: the packages.
    pub primary: RepomdRecord,
    /// `modules.yaml`: the module streams.
    pub modules: Option<RepomdRecord>,
}

/// One metadata file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepomdRecord {
    /// Its path below the repository's base URL, or a URL of its own.
    pub location: String,
    /// Its digest.
    pub checksum: Checksum,
    /// Its bytes.
    pub size: Option<u64>,
    /// Its digest when unpacked.
    pub open_checksum: Option<Checksum>,
    /// Its bytes when unpacked.
    pub open_size: Option<u64>,
}

/// Reads `repomd.xml`. Of several records of a type the first counts, as for librepo and libsolv.
///
/// # Errors
/// When it is no such document, or the files that are needed here have no location, or no digest
/// that proves anything.
pub fn parse(bytes: &[u8]) -> Result<Repomd, RepodataError> {
    let mut xml = Xml::open(bytes, "repomd")?;
    let (mut revision, mut timestamp) = (String::new(), 0);
    let (mut primary, mut modules) = (None, None);
    while let Some(element) = xml.child()? {
        match element.name() {
            "revision" => xml.text(&mut revision)?,
            "data" => {
                let kind = element.attribute("type")?.unwrap_or_default();
                let draft = Draft::read(&mut xml)?;
                timestamp = timestamp.max(draft.timestamp);
                match kind.as_str() {
                    "primary" if primary.is_none() => primary = Some(draft),
                    "modules" if modules.is_none() => modules = Some(draft),
                    _ => {}
                }
            }
            _ => xml.skip()?,
        }
    }
    xml.finish()?;
    let primary = primary
        .ok_or_else(|| RepodataError::Missing { what: "primary.xml", of: "repomd.xml".into() })?
        .finish("primary.xml")?;
    let modules = modules.map(|draft| draft.finish("modules.yaml")).transpose()?;
    Ok(Repomd { revision: revision.trim().to_owned(), timestamp, primary, modules })
}

/// A record as it is being read. Most are of no interest, and may say what they like.
#[derive(Default)]
struct Draft {
    location: Option<String>,
    checksum: Option<Proven>,
    open_checksum: Option<Proven>,
    size: Option<u64>,
    open_size: Option<u64>,
    timestamp: u64,
}

impl Draft {
    fn read(xml: &mut Xml<&[u8]>) -> Result<Self, RepodataError> {
        let mut draft = Self::default();
        let mut text = String::new();
        while let Some(element) = xml.child()? {
            match element.name() {
                "location" => {
                    draft.location = location_of(&element)?.or(draft.location);
                    xml.skip()?;
                }
                name @ ("checksum" | "open-checksum") => {
                    let is_open = name == "open-checksum";
                    let algorithm = element.attribute("type")?.unwrap_or_default();
                    xml.text(&mut text)?;
                    let known =
                        if is_open { &mut draft.open_checksum } else { &mut draft.checksum };
                    *known = Some(stronger(known.take(), Checksum::new(&algorithm, text.trim())));
                }
                "size" => draft.size = read_number(xml, &mut text)?,
                "open-size" => draft.open_size = read_number(xml, &mut text)?,
                // Seconds since 1970, which some tools write with a fraction.
                "timestamp" => draft.timestamp = read_number(xml, &mut text)?.unwrap_or(0),
                _ => xml.skip()?,
            }
        }
        Ok(draft)
    }

    /// The record of the file that is called `name`.
    fn finish(self, name: &str) -> Result<RepomdRecord, RepodataError> {
        let missing = |what| RepodataError::Missing { what, of: name.to_owned() };
        let checksum = self.checksum.ok_or_else(|| missing("checksum"))?;
        Ok(RepomdRecord {
            location: self.location.ok_or_else(|| missing("location"))?,
            checksum: checksum
                .map_err(|source| RepodataError::Checksum { of: name.to_owned(), source })?,
            // The other one proves as much.
            open_checksum: self.open_checksum.and_then(Result::ok),
            size: self.size,
            open_size: self.open_size,
        })
    }
}

fn read_number(xml: &mut Xml<&[u8]>, text: &mut String) -> Result<Option<u64>, RepodataError> {
    xml.text(text)?;
    Ok(number(text))
}
