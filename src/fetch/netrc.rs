//! Names and passwords for private mirrors, from a `.netrc` as curl reads it.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::str::Chars;

use crate::model::escape;

/// Real files have a few lines.
const LARGEST: u64 = 1 << 20;
/// What others than the owner may do with a file.
const OTHERS: u32 = 0o077;

/// The entries of a file, in its order.
#[derive(Clone, Default)]
pub struct Netrc(Vec<Entry>);

#[derive(Clone, Default)]
struct Entry {
    /// The host; `default` has none.
    machine: Option<String>,
    login: String,
    password: String,
}

impl Netrc {
    /// Reads the file at `path`, if it is there. The text is what the user should know of it: a file
    /// that cannot be read gives no passwords, and one that others can read gives them to others.
    pub(super) fn read(path: &Path) -> (Self, Option<String>) {
        let shown = escape(&path.to_string_lossy()).into_owned();
        let read = || -> io::Result<(Self, fs::Metadata)> {
            let file = File::open(path)?;
            let about = file.metadata()?;
            let mut bytes = Vec::new();
            file.take(LARGEST).read_to_end(&mut bytes)?;
            // One name in another encoding is no reason to lose the rest.
            Ok((Self::parse(&String::from_utf8_lossy(&bytes)), about))
        };
        match read() {
            Ok((netrc, about)) => {
                let is_secret = netrc.0.iter().any(|entry| !entry.password.is_empty());
                let is_open = is_secret && about.is_file() && about.mode() & OTHERS != 0;
                let warning = format!("others may read the passwords in {shown}: chmod 600 it");
                (netrc, is_open.then_some(warning))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Self::default(), None),
            Err(error) => {
                let problem = format!("{shown} cannot be read, and no password is sent: {error}");
                (Self::default(), Some(problem))
            }
        }
    }

    /// Reads a file's text. What makes no sense is passed over, as other programs do.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
        let mut entries: Vec<Entry> = Vec::new();
        let mut rest = text.chars();
        while let Some(word) = next_word(&mut rest) {
            let entry = entries.last_mut();
            match (word.as_str(), entry) {
                ("default", _) => entries.push(Entry::default()),
                ("machine", _) => {
                    let machine = next_word(&mut rest);
                    entries.extend(
                        machine.map(|name| Entry { machine: Some(name), ..Entry::default() }),
                    );
                }
                // `user` is Python's other word for it.
                ("login" | "user", Some(entry)) => {
                    entry.login = next_word(&mut rest).unwrap_or_default();
                }
                ("password", Some(entry)) => {
                    entry.password = next_word(&mut rest).unwrap_or_default();
                }
                ("account", Some(_)) => drop(next_word(&mut rest)),
                ("macdef", _) => skip_macro(&mut rest),
                (word, _) if word.starts_with('#') => skip_line(&mut rest),
                _ => {}
            }
        }
        Self(entries)
    }

    /// Login and password for `host`; those for all hosts only where `is_own` says that it is the
    /// user's own: a repository's mirrors are many, and none of their owners is to be told a password
    /// that was not meant for them.
    #[must_use]
    pub fn credentials(&self, host: &str, is_own: bool) -> Option<(&str, &str)> {
        let is_for = |entry: &&Entry| match &entry.machine {
            Some(machine) => machine.eq_ignore_ascii_case(host),
            None => is_own,
        };
        let entry = self.0.iter().find(is_for)?;
        let is_empty = entry.login.is_empty() && entry.password.is_empty();
        (!is_empty).then_some((&entry.login, &entry.password))
    }
}

/// The next word: what stands between blanks, or in quotes, where a backslash takes the next character
/// as it is, but for `\n`, `\r` and `\t`.
fn next_word(rest: &mut Chars<'_>) -> Option<String> {
    let ahead = rest.as_str().trim_start();
    let Some(quoted) = ahead.strip_prefix('"') else {
        let end = ahead.find(char::is_whitespace).unwrap_or(ahead.len());
        let (word, after) = ahead.split_at(end);
        *rest = after.chars();
        return (!word.is_empty()).then(|| word.to_owned());
    };
    *rest = quoted.chars();
    let mut word = String::new();
    while let Some(character) = rest.next() {
        match character {
            '"' => break,
            '\\' => word.extend(rest.next().map(|escaped| match escaped {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            })),
            other => word.push(other),
        }
    }
    Some(word)
}

/// A comment ends with its line.
fn skip_line(rest: &mut Chars<'_>) {
    let text = rest.as_str();
    *rest = text.find('\n').and_then(|end| text.get(end..)).unwrap_or_default().chars();
}

/// A macro ends at the next empty line.
fn skip_macro(rest: &mut Chars<'_>) {
    skip_line(rest);
    let mut lines = rest.as_str().split_inclusive('\n').skip(1);
    lines.by_ref().find(|line| line.trim().is_empty());
    let left: usize = lines.map(str::len).sum();
    let text = rest.as_str();
    *rest = text.get(text.len() - left..).unwrap_or_default().chars();
}

impl fmt::Debug for Netrc {
    /// Shows no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Netrc({} entries)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(netrc: &'a Netrc, host: &str) -> Option<(&'a str, &'a str)> {
        netrc.credentials(host, false)
    }

    #[test]
    fn entries_are_found_by_host() {
        let text = "# mine\nmachine a.example login ann password s3cret\n\
                    macdef init\nmachine b.example login no\n\n\
                    machine b.example\n  login\n  bob\n  password p#w\n\
                    default login anonymous password x\n";
        let netrc = Netrc::parse(text);
        assert_eq!(found(&netrc, "a.example"), Some(("ann", "s3cret")));
        assert_eq!(found(&netrc, "b.example"), Some(("bob", "p#w")));
        assert_eq!(found(&netrc, "A.Example"), Some(("ann", "s3cret")));
        assert_eq!(found(&netrc, "c.example"), None);
        assert_eq!(netrc.credentials("c.example", true), Some(("anonymous", "x")));
        assert_eq!(found(&Netrc::parse("machine a"), "a"), None);
        assert_eq!(found(&Netrc::parse("machine"), ""), None);
        assert_eq!(format!("{netrc:?}"), "Netrc(3 entries)");
    }

    #[test]
    fn every_form_that_curl_reads_is_read() {
        for (text, login, password) in [
            ("machine m login l password p", "l", "p"),
            ("machine\tm\tlogin\tl\tpassword\tp", "l", "p"),
            ("machine m\nlogin l\npassword p", "l", "p"),
            ("machine m\r\nlogin l\r\npassword p\r\n", "l", "p"),
            ("machine m\rlogin l\rpassword p\r", "l", "p"),
            ("\u{feff}machine m login l password p", "l", "p"),
            ("machine m password p login l", "l", "p"),
            ("machine m user l password p", "l", "p"),
            ("machine m login l account a password p", "l", "p"),
            ("machine m login l port 22 password p", "l", "p"),
            ("machine m login l", "l", ""),
            ("machine m password p", "", "p"),
            ("machine \"m\" login \"l\" password \"p\"", "l", "p"),
            ("machine m login \"a b\" password \"p \\\"q\\\" \\\\ #r\"", "a b", "p \"q\" \\ #r"),
            ("machine m login l password \"a\\tb\\nc\\rd\\e\"", "l", "a\tb\nc\rde"),
            ("machine m login l password a\\b\"c", "l", "a\\b\"c"),
            ("machine m login l password \"unclosed", "l", "unclosed"),
            ("machine m login l password #p", "l", "#p"),
            ("machine m login l password machine", "l", "machine"),
            ("machine m login l password pä%41:@/", "l", "pä%41:@/"),
            ("machine m # note login x\nlogin l\n  # more password y\npassword p", "l", "p"),
            ("#machine m login x\nmachine m login l password p", "l", "p"),
            ("macdef x\n  machine m login x\n\nmachine m login l password p", "l", "p"),
            ("macdef x\r\n  cd\r\n  get\r\n\r\nmachine m login l password p", "l", "p"),
            ("machine a login x\nmacdef x\n  default\n \nmachine m login l password p", "l", "p"),
            ("login x\npassword y\nmachine m login l password p", "l", "p"),
            ("machine m login l password p\nmachine m login x password y", "l", "p"),
            ("machine m login l password p\ndefault login x password y", "l", "p"),
            ("machine m login l password p\nmacdef x\n", "l", "p"),
        ] {
            let netrc = Netrc::parse(text);
            assert_eq!(found(&netrc, "m"), Some((login, password)), "{text:?}");
        }
        for text in
            ["macdef x\nmachine m login l", "#machine m login l", "machine", "\"", "login l"]
        {
            assert_eq!(found(&Netrc::parse(text), "m"), None, "{text:?}");
        }
    }
}
