//! Values that several documents hold: numbers, places, checksums.

use super::RepodataError;
use super::xml::Element;
use crate::model::{Checksum, InvalidChecksum};

/// A number as lenient readers take it: the digits in front. `None` where there are none, or where it
/// is 0, or beyond 63 bits: nobody declares that on purpose.
pub(super) fn number(text: &str) -> Option<u64> {
    const LARGEST: u64 = i64::MAX as u64;
    let text = text.trim_start();
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let number = text.get(..digits)?.parse().ok()?;
    (1..=LARGEST).contains(&number).then_some(number)
}

/// Where a file is, by its `href` and the `xml:base` beside it: a path below the repository's base
/// URL, or a URL of its own.
fn location(base: Option<&str>, href: &str) -> String {
    match base.filter(|base| !base.is_empty()) {
        Some(base) if !href.contains("://") => {
            format!("{}/{}", base.trim_end_matches('/'), href.trim_start_matches('/'))
        }
        _ => href.to_owned(),
    }
}

/// The location that an element names, if it does.
pub(super) fn location_of(element: &Element<'_>) -> Result<Option<String>, RepodataError> {
    let href = element.attribute("href")?.filter(|href| !href.is_empty());
    let base = element.attribute("xml:base")?;
    Ok(href.map(|href| location(base.as_deref(), &href)))
}

/// A checksum, or why it proves nothing.
pub(super) type Proven = Result<Checksum, InvalidChecksum>;

/// The one of two checksums that proves more; of two that prove the same, the later one.
pub(super) fn stronger(known: Option<Proven>, new: Proven) -> Proven {
    match (known, new) {
        (Some(Ok(known)), Ok(new)) if known.algorithm() > new.algorithm() => Ok(known),
        (Some(Ok(known)), Err(_)) => Ok(known),
        (_, new) => new,
    }
}
