//! What the user and the site say of repositories: which are read, and where a definition is wrong.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What one place, the command line or a configuration file, says of repositories. Each is named by its
/// id or by `DIST/ID`; `*`, `?` and `[…]` stand for characters, as shells have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wishes {
    /// Not to be read.
    pub disabled: Vec<String>,
    /// To be read all the same; counts after [`Self::disabled`].
    pub enabled: Vec<String>,
    /// What definitions say wrong.
    pub claims: BTreeMap<String, RepositoryClaims>,
}

/// What is so, whatever the definition says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RepositoryClaims {
    /// Whether `repomd.xml.asc` is published.
    pub signed_metadata: Option<bool>,
    /// Whether it lists packages of several module streams.
    pub modular: Option<bool>,
    /// Whether modules hide none of its packages.
    pub module_hotfixes: Option<bool>,
}

impl Wishes {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Every name or pattern in it.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        let named = self.disabled.iter().chain(&self.enabled).chain(self.claims.keys());
        named.map(String::as_str)
    }
}

/// Whether `pattern` means the repository `id` of `dist`.
#[must_use]
pub(crate) fn means_repository(pattern: &str, dist: &str, id: &str) -> bool {
    match pattern.contains('/') {
        true => is_like(pattern, &format!("{dist}/{id}")),
        false => is_like(pattern, id),
    }
}

/// Whether `text` is of the form `pattern`, a shell's.
#[must_use]
pub(crate) fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut place) = (0, 0);
    // Where the last star is, and how far it has reached.
    let mut star = None;
    while let Some(&character) = text.get(place) {
        if pattern.get(at) == Some(&'*') {
            star = Some((at, place));
            at += 1;
        } else if let Some(length) = pattern.get(at..).and_then(|it| one(it, character)) {
            at += length;
            place += 1;
        } else if let Some((star_at, reached)) = star {
            star = Some((star_at, reached + 1));
            (at, place) = (star_at + 1, reached + 1);
        } else {
            return false;
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|character| *character == '*'))
}

/// How much of `pattern` stands for `character`; nothing where its beginning is another one.
fn one(pattern: &[char], character: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['[', rest @ ..] => {
            // A bracket that comes first is one of the set.
            let length = 1 + rest.iter().skip(1).position(|it| *it == ']')?;
            let set = rest.get(..length)?;
            let (is_other, set) = match set {
                ['!' | '^', set @ ..] => (true, set),
                set => (false, set),
            };
            let is_range = |range: &[char]| matches!(range, [from, '-', to] if (*from..=*to).contains(&character));
            let is_in = set.contains(&character) || set.windows(3).any(is_range);
            (is_in != is_other).then_some(length + 2)
        }
        [own, ..] => (*own == character).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_shells() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "epel"),
            ("e*l", "epel"),
            ("*e*e*", "epel"),
            ("epel?testing", "epel-testing"),
            ("[a-e]pel", "epel"),
            ("[!x]pel", "epel"),
            ("ep[]e]l", "epel"),
            ("[epel", "[epel"),
        ] {
            let is_set = pattern != "[epel";
            assert_eq!(is_like(pattern, text), is_set, "{pattern} {text}");
        }
        for (pattern, text) in [("e*x", "epel"), ("?", ""), ("[!e]pel", "epel"), ("epe", "epel")] {
            assert!(!is_like(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_dist_is_looked_at_where_it_is_named() {
        assert!(means_repository("crb", "el9", "crb"));
        assert!(means_repository("el9/crb", "el9", "crb"));
        assert!(means_repository("*/crb", "el10", "crb"));
        assert!(!means_repository("el9/crb", "el10", "crb"));
    }
}
