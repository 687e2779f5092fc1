//! Names and passwords for private mirrors, from a `.netrc` as curl and others read it.

use std::fmt;

/// The entries of a file, in its order.
#[derive(Clone, Default)]
pub(super) struct Netrc(Vec<Entry>);

#[derive(Clone, Default)]
struct Entry {
    /// The host. The entry `default` has none, and is never used: a repository's mirrors are many,
    /// and none of their owners is to be told a password that was not meant for them.
    machine: Option<String>,
    login: String,
    password: String,
}

impl Netrc {
    /// Reads a file's text. What makes no sense is passed over, as other programs do.
    pub(super) fn parse(text: &str) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let mut words = line.split_whitespace();
            while let Some(word) = words.next() {
                if word.starts_with('#') {
                    break;
                }
                if word == "macdef" {
                    // A macro ends at the next empty line.
                    lines.by_ref().find(|line| line.trim().is_empty());
                    break;
                }
                if word == "default" {
                    entries.push(Entry::default());
                    continue;
                }
                // A word and its value may stand on two lines.
                let value = loop {
                    match words.next() {
                        Some(value) => break value,
                        None => match lines.next() {
                            Some(next) => words = next.split_whitespace(),
                            None => break "",
                        },
                    }
                };
                match (word, entries.last_mut()) {
                    ("machine", _) => {
                        entries.push(Entry { machine: Some(value.to_owned()), ..Entry::default() })
                    }
                    ("login", Some(entry)) => value.clone_into(&mut entry.login),
                    ("password", Some(entry)) => value.clone_into(&mut entry.password),
                    _ => {}
                }
            }
        }
        Self(entries)
    }

    /// Login and password for `host`.
    pub(super) fn credentials(&self, host: &str) -> Option<(&str, &str)> {
        let is_for = |entry: &&Entry| {
            entry.machine.as_deref().is_some_and(|machine| machine.eq_ignore_ascii_case(host))
        };
        let entry = self.0.iter().find(is_for)?;
        (!entry.login.is_empty()).then_some((&entry.login, &entry.password))
    }
}

impl fmt::Debug for Netrc {
    /// Shows no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Netrc({} entries)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Netrc;

    #[test]
    fn entries_are_found_by_host() {
        let text = "# mine\nmachine a.example login ann password s3cret\n\
                    macdef init\nmachine b.example login no\n\n\
                    machine b.example\n  login\n  bob\n  password p#w\n\
                    default login anonymous password x\n";
        let netrc = Netrc::parse(text);
        assert_eq!(netrc.credentials("a.example"), Some(("ann", "s3cret")));
        assert_eq!(netrc.credentials("b.example"), Some(("bob", "p#w")));
        assert_eq!(netrc.credentials("A.Example"), Some(("ann", "s3cret")));
        assert_eq!(netrc.credentials("c.example"), None);
        assert_eq!(Netrc::parse("machine a").credentials("a"), None);
        assert_eq!(Netrc::parse("machine").credentials(""), None);
        assert_eq!(format!("{netrc:?}"), "Netrc(3 entries)");
    }
}
