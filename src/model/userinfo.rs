//! The name and password in a URL. They are for whoever fetches, and for nobody who reads what is stored or
//! printed: definitions lose them as they are read, and nothing that is written has them.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::KeyPin;

/// `url` without the name and password that may be in it: what others get to read says where a file is,
/// not how one gets in. What is no URL stays as it is.
#[must_use]
pub(crate) fn without_userinfo(url: &str) -> Cow<'_, str> {
    match userinfo(url) {
        Some((before, after)) => {
            let parts = [url.get(..before), url.get(after..)];
            Cow::Owned(parts.into_iter().flatten().collect())
        }
        None => Cow::Borrowed(url),
    }
}

/// Where the name and password of a URL begin, and where what comes after them and their `@` does. However
/// oddly it is written: readers of URLs take one slash for two, and a backslash for a slash.
fn userinfo(url: &str) -> Option<(usize, usize)> {
    let colon = url.find(':')?;
    let scheme = url.get(..colon)?.trim_start_matches(|one: char| one <= ' ');
    let rest = url.get(colon + 1..)?;
    let is_web = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
    let is_name = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !(is_web || is_name && rest.starts_with("//")) {
        return None;
    }
    let is_slash = |one: char| matches!(one, '/' | '\\' | '\t' | '\r' | '\n');
    let before = url.len() - rest.trim_start_matches(is_slash).len();
    let authority = url.get(before..)?;
    let end = authority.find(['/', '\\', '?', '#']).unwrap_or(authority.len());
    let at = authority.get(..end)?.rfind('@')?;
    Some((before, before + at + 1))
}

/// Takes what a `KeyPin` says of a name and password away.
pub(super) fn strip_key(key: &mut KeyPin) {
    for url in std::iter::once(&mut key.url).chain(&mut key.alternates) {
        strip(url);
    }
}

/// Takes the name and password out of `url`. Whether there was one.
pub(crate) fn strip(url: &mut String) -> bool {
    match without_userinfo(url) {
        Cow::Owned(plain) => {
            *url = plain;
            true
        }
        Cow::Borrowed(_) => false,
    }
}

/// A URL as it is stored.
pub(super) mod one {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        url: &str,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        without_userinfo(url).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<String, D::Error> {
        let mut url = String::deserialize(deserializer)?;
        strip(&mut url);
        Ok(url)
    }
}

/// URLs as they are stored.
pub(super) mod many {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        urls: &[String],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(urls.iter().map(|url| without_userinfo(url)))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<String>, D::Error> {
        let mut urls = Vec::<String>::deserialize(deserializer)?;
        for url in &mut urls {
            strip(url);
        }
        Ok(urls)
    }
}

/// Keys as they are stored.
pub(super) mod keys {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        keys: &[KeyPin],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let plain = |key: &KeyPin| {
            let mut key = key.clone();
            strip_key(&mut key);
            key
        };
        serializer.collect_seq(keys.iter().map(plain))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<KeyPin>, D::Error> {
        let mut keys = Vec::<KeyPin>::deserialize(deserializer)?;
        keys.iter_mut().for_each(strip_key);
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_taken_off() {
        for (url, plain) in [
            ("https://ann:secret@h:8443/a+b", "https://h:8443/a+b"),
            ("http://token@h/x", "http://h/x"),
            ("https://a@b:c@h/x", "https://h/x"),
            (" HTTPS:/ann:secret@h", " HTTPS:/h"),
            ("https:\\\\ann:secret@h\\x@y", "https:\\\\h\\x@y"),
            ("https:ann:secret@h", "https:h"),
            ("https://ann:sec\tret@h?q", "https://h?q"),
            ("https://@h/", "https://h/"),
            ("ftp://ann:secret@h/x", "ftp://h/x"),
        ] {
            assert_eq!(without_userinfo(url), plain);
        }
        for url in [
            "https://h/x@y:z",
            "file:/m/x@y",
            "file:///m/x@y",
            "/m/a@b.rpm",
            "https://h?a@b",
            "a@b:c",
            "",
        ] {
            assert!(matches!(without_userinfo(url), Cow::Borrowed(_)), "{url}");
        }
    }
}
