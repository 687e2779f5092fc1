//! Where a repository can be read: metalinks, which also say what `repomd.xml` must be, and plain
//! mirror lists, which do not.

use super::RepodataError;
use super::values::number;
use super::xml::Xml;
use crate::model::Checksum;

/// Mirrors that are kept: the best ones. Nobody waits for more to fail.
const MIRRORS: usize = 16;
/// Promises that are kept: the current one and the newest alternates.
const PROMISES: usize = 64;
/// The best preference that a mirror can have.
const PREFERRED: u32 = 100;
/// What a mirror's URL in a metalink ends with.
const REPOMD: &str = "repodata/repomd.xml";

/// What a metalink says about a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metalink {
    /// Base URLs ending in `/`, best first: https before http, then by preference.
    pub mirrors: Vec<String>,
    /// Digests that `repomd.xml` may have: the current one, then those of versions that some
    /// mirrors still serve. One per version, the strongest.
    pub checksums: Vec<Checksum>,
    /// When the current `repomd.xml` was made, in seconds since 1970.
    pub timestamp: Option<u64>,
    /// Bytes of the current `repomd.xml`.
    pub size: Option<u64>,
}

/// Reads a metalink of `repomd.xml` (metalink 3.0, with MirrorManager's alternates).
///
/// # Errors
/// When it is no such document, or promises no digest that proves anything.
pub fn parse(bytes: &[u8]) -> Result<Metalink, RepodataError> {
    let mut xml = Xml::open(bytes, "metalink")?;
    let mut found = None;
    while let Some(element) = xml.child()? {
        if element.name() != "files" {
            xml.skip()?;
            continue;
        }
        while let Some(element) = xml.child()? {
            let is_repomd = element.attribute("name")?.as_deref() == Some("repomd.xml");
            if element.name() == "file" && is_repomd && found.is_none() {
                found = Some(parse_file(&mut xml)?);
            } else {
                xml.skip()?;
            }
        }
    }
    xml.finish()?;
    let missing = |what| RepodataError::Missing { what, of: "the metalink".into() };
    let metalink = found.ok_or_else(|| missing("file repomd.xml"))?;
    if metalink.checksums.is_empty() {
        return Err(missing("SHA-2 digest of repomd.xml"));
    }
    Ok(metalink)
}

/// The base URLs of a mirror list: one on each line, `#` begins a comment. Those over https come
/// first; otherwise the order stays, because the list's server sorts by distance.
#[must_use]
pub fn parse_mirrorlist(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let urls = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    best_first(urls.map(|url| (0, url.to_owned())).collect())
}

/// The content of `<file name="repomd.xml">`.
fn parse_file(xml: &mut Xml<&[u8]>) -> Result<Metalink, RepodataError> {
    let mut metalink = Metalink::default();
    let mut mirrors = Vec::new();
    let mut text = String::new();
    while let Some(element) = xml.child()? {
        match element.name() {
            "timestamp" => {
                xml.text(&mut text)?;
                metalink.timestamp = number(&text);
            }
            "size" => {
                xml.text(&mut text)?;
                metalink.size = number(&text);
            }
            // The current version's digest goes first, wherever it stands.
            "verification" => {
                let checksum = parse_verification(xml)?;
                metalink.checksums.splice(0..0, checksum);
            }
            "alternates" => parse_alternates(xml, &mut metalink.checksums)?,
            "resources" => mirrors = parse_resources(xml)?,
            _ => xml.skip()?,
        }
    }
    metalink.mirrors = best_first(mirrors);
    Ok(metalink)
}

/// `<mm0:alternates>`: the digests of older versions.
fn parse_alternates(
    xml: &mut Xml<&[u8]>,
    checksums: &mut Vec<Checksum>,
) -> Result<(), RepodataError> {
    while xml.child()?.is_some() {
        while let Some(element) = xml.child()? {
            if element.name() != "verification" {
                xml.skip()?;
                continue;
            }
            let checksum = parse_verification(xml)?;
            if checksums.len() < PROMISES {
                checksums.extend(checksum);
            }
        }
    }
    Ok(())
}

/// `<verification>`: the strongest of its digests. MD5 and SHA-1, which stand there too, prove
/// nothing.
fn parse_verification(xml: &mut Xml<&[u8]>) -> Result<Option<Checksum>, RepodataError> {
    let mut strongest: Option<Checksum> = None;
    let mut text = String::new();
    while let Some(element) = xml.child()? {
        let algorithm = element.attribute("type")?.unwrap_or_default();
        let is_hash = element.name() == "hash";
        xml.text(&mut text)?;
        let checksum = Checksum::new(&algorithm, text.trim()).ok().filter(|_| is_hash);
        strongest = strongest.into_iter().chain(checksum).max_by_key(Checksum::algorithm);
    }
    Ok(strongest)
}

/// `<resources>`: each mirror's preference and base URL.
fn parse_resources(xml: &mut Xml<&[u8]>) -> Result<Vec<(u32, String)>, RepodataError> {
    let mut mirrors = Vec::new();
    let mut text = String::new();
    while let Some(element) = xml.child()? {
        let is_url = element.name() == "url";
        let preference = element.attribute("preference")?.and_then(|value| value.parse().ok());
        let preference = preference.filter(|preference| *preference <= PREFERRED).unwrap_or(0);
        xml.text(&mut text)?;
        if let Some(base) = text.trim().strip_suffix(REPOMD).filter(|_| is_url) {
            mirrors.push((preference, base.to_owned()));
        }
    }
    Ok(mirrors)
}

/// Whether `url` is one of a host on the web, as far as its looks go.
fn is_on_the_web(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let has_host = rest.is_some_and(|rest| rest.starts_with(|first| first != '/'));
    has_host && !url.contains(|any: char| any.is_whitespace() || any.is_control())
}

/// Sorts mirrors, given with their preference (larger is better), and leaves out those that are
/// not on the web.
fn best_first(mut mirrors: Vec<(u32, String)>) -> Vec<String> {
    mirrors.retain(|(_, url)| is_on_the_web(url));
    mirrors.sort_by_key(|(preference, url)| {
        (!url.starts_with("https://"), std::cmp::Reverse(*preference))
    });
    let mut urls: Vec<String> = Vec::new();
    for (_, url) in mirrors {
        let base = format!("{}/", url.trim_end_matches('/'));
        if urls.len() < MIRRORS && !urls.contains(&base) {
            urls.push(base);
        }
    }
    urls
}
