//! `repomd.xml`: what a repository's metadata files are called, and their digests.

use super::xml::{Element, Xml};
use super::{RepodataError, is_below};
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
    /// Its path below the repository's base URL.
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

/// Reads `repomd.xml`.
///
/// # Errors
/// When it is no such document, or what it says about the files that are needed here is missing
/// or makes no sense.
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
                    "primary" => primary = Some(draft.finish("primary.xml")?),
                    "modules" => modules = Some(draft.finish("modules.yaml")?),
                    _ => {}
                }
            }
            _ => xml.skip()?,
        }
    }
    xml.finish()?;
    let primary = primary
        .ok_or_else(|| RepodataError::Missing { what: "primary.xml", of: "repomd.xml".into() })?;
    Ok(Repomd { revision: revision.trim().to_owned(), timestamp, primary, modules })
}

/// A record as it is being read. Most are of no interest, and may say what they like.
#[derive(Default)]
struct Draft {
    location: Option<String>,
    checksum: Option<(String, String)>,
    open_checksum: Option<(String, String)>,
    size: Option<String>,
    open_size: Option<String>,
    timestamp: u64,
}

impl Draft {
    fn read(xml: &mut Xml<&[u8]>) -> Result<Self, RepodataError> {
        let mut draft = Self::default();
        while let Some(element) = xml.child()? {
            match element.name() {
                "location" => {
                    draft.location = element.attribute("href")?;
                    xml.skip()?;
                }
                "checksum" => draft.checksum = Some(read_checksum(&element_type(&element)?, xml)?),
                "open-checksum" => {
                    draft.open_checksum = Some(read_checksum(&element_type(&element)?, xml)?);
                }
                "size" => draft.size = Some(read_text(xml)?),
                "open-size" => draft.open_size = Some(read_text(xml)?),
                "timestamp" => draft.timestamp = seconds(&read_text(xml)?),
                _ => xml.skip()?,
            }
        }
        Ok(draft)
    }

    /// The record of the file that is called `name`, every field checked.
    fn finish(self, name: &str) -> Result<RepomdRecord, RepodataError> {
        let missing = |what| RepodataError::Missing { what, of: name.to_owned() };
        let invalid = |what, value| RepodataError::Invalid { what, of: name.to_owned(), value };
        let checksum = |(algorithm, digits): (String, String)| {
            Checksum::new(&algorithm, &digits)
                .map_err(|source| RepodataError::Checksum { of: name.to_owned(), source })
        };
        let number = |what, text: Option<String>| {
            text.map(|text| text.parse().map_err(|_| invalid(what, text))).transpose()
        };
        let location = self.location.ok_or_else(|| missing("location"))?;
        if !is_below(&location) {
            return Err(invalid("location", location));
        }
        Ok(RepomdRecord {
            location,
            checksum: checksum(self.checksum.ok_or_else(|| missing("checksum"))?)?,
            open_checksum: self.open_checksum.map(checksum).transpose()?,
            size: number("size", self.size)?,
            open_size: number("open-size", self.open_size)?,
        })
    }
}

fn element_type(element: &Element<'_>) -> Result<String, RepodataError> {
    Ok(element.attribute("type")?.unwrap_or_default())
}

fn read_checksum(algorithm: &str, xml: &mut Xml<&[u8]>) -> Result<(String, String), RepodataError> {
    Ok((algorithm.to_owned(), read_text(xml)?))
}

fn read_text(xml: &mut Xml<&[u8]>) -> Result<String, RepodataError> {
    let mut text = String::new();
    xml.text(&mut text)?;
    Ok(text.trim().to_owned())
}

/// Seconds since 1970, which some tools write with a fraction.
fn seconds(text: &str) -> u64 {
    text.split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or(0)
}
