//! A number of bytes, as people write it: `512 MiB`, `4GB`, `0`.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

/// Units, and the bytes of each. What begins with another's name stands before it.
const UNITS: [(&str, u64); 9] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
];

/// A number of bytes that somebody wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

/// A text that is no number of bytes.
#[derive(Debug, thiserror::Error)]
#[error("no number of bytes: {0:?}; write as in 512MiB, 4GiB, 4GB or 0")]
pub struct InvalidByteSize(String);

impl FromStr for ByteSize {
    type Err = InvalidByteSize;

    fn from_str(text: &str) -> Result<Self, InvalidByteSize> {
        let small = text.trim().to_ascii_lowercase();
        let unit = UNITS.iter().find_map(|(unit, size)| Some((small.strip_suffix(unit)?, *size)));
        let (number, size) = unit.unwrap_or((&small, 1));
        let number = number.trim_end();
        // `parse` would take a sign too.
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<u64>().ok().filter(|_| is_number);
        number
            .and_then(|number| number.checked_mul(size))
            .map(Self)
            .ok_or_else(|| InvalidByteSize(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a number of bytes, or a text as in \"4GiB\"")]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(Self(bytes)),
            Written::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<ByteSize>().ok().map(|size| size.0);
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("17 B", 17),
            ("512MiB", 512 << 20),
            ("4 gib", 4 << 30),
            ("2GB", 2_000_000_000),
            (" 3 kB ", 3000),
        ] {
            assert_eq!(read(text), Some(bytes), "{text:?}");
        }
        for text in ["", "GiB", "+4GiB", "-1", "4.5GB", "4 XB", "99999999999GiB", "1e3"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
