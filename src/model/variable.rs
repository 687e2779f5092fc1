//! What a runtime's file says of its programs' environment: launchers set it, and a receipt says what.

use std::ffi::{OsStr, OsString};

use serde::{Deserialize, Serialize};

/// What stands for the tree's own place in a value.
pub(crate) const TREE: &str = "{tree}";

/// Where a place of the host may begin, beside at the root.
const HOMES: [&str; 2] = ["$HOME/", "$XDG_CONFIG_HOME/"];

/// Variables that are the shell's own: some cannot be set, and with others it works no more.
const OF_SHELLS: [&str; 16] = [
    "BASHOPTS",
    "BASH_ENV",
    "CDPATH",
    "EGID",
    "ENV",
    "EUID",
    "GID",
    "HOME",
    "IFS",
    "LINENO",
    "OLDPWD",
    "PPID",
    "PS4",
    "PWD",
    "SHELLOPTS",
    "UID",
];

/// A variable that launchers set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Declared", try_from = "Declared")]
pub struct Variable {
    /// Its name: capital letters, digits and `_`; no shell's own, and none of the loader's.
    pub name: String,
    /// What becomes of it.
    pub effect: Effect,
    /// Places of the host: where one of them exists, the variable stays as it is. Each is absolute, or
    /// begins with `$HOME/` or `$XDG_CONFIG_HOME/`.
    pub unless_exists: Vec<String>,
}

/// What becomes of a variable. `{tree}` stands for the tree's absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It gets this value where it is not set at all.
    Set(String),
    /// This is put before what it has, with a colon between them, unless it stands there already.
    Prepend(String),
}

/// A variable as definitions and receipts write it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prepend: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unless_exists: Vec<String>,
}

impl Variable {
    /// What it is for a program of the tree at `tree`, where it was `before`. The host's places are not
    /// looked at.
    #[must_use]
    pub(crate) fn value(&self, tree: &OsStr, before: Option<&OsStr>) -> OsString {
        let (Effect::Set(text) | Effect::Prepend(text)) = &self.effect;
        let mut value = OsString::new();
        for (number, part) in text.split(TREE).enumerate() {
            if number > 0 {
                value.push(tree);
            }
            value.push(part);
        }
        match (&self.effect, before.filter(|before| !before.is_empty())) {
            (Effect::Prepend(_), Some(before)) => {
                value.push(":");
                value.push(before);
                value
            }
            _ => value,
        }
    }
}

impl TryFrom<Declared> for Variable {
    type Error = String;

    fn try_from(declared: Declared) -> Result<Self, String> {
        let Declared { name, set, prepend, unless_exists } = declared;
        let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let starts = name.starts_with(|first: char| first.is_ascii_uppercase());
        if !starts || !name.bytes().all(is_name) {
            return Err(format!("{name:?} cannot be set: use capital letters, digits and `_`"));
        }
        if name.starts_with("LD_") || OF_SHELLS.contains(&name.as_str()) {
            return Err(format!("{name} cannot be set: it is the loader's or the shell's own"));
        }
        let effect = match (set, prepend) {
            (Some(text), None) => Effect::Set(text),
            (None, Some(text)) if text.is_empty() => {
                return Err(format!("{name}: nothing is put before what it has"));
            }
            (None, Some(text)) => Effect::Prepend(text),
            _ => return Err(format!("{name} needs either `set` or `prepend`")),
        };
        let (Effect::Set(text) | Effect::Prepend(text)) = &effect;
        if unless_exists.iter().chain([text]).any(|text| text.contains(char::is_control)) {
            return Err(format!("{name}: there is a control character in a text"));
        }
        let is_place = |place: &&String| {
            place.starts_with('/') || HOMES.iter().any(|home| place.starts_with(home))
        };
        if let Some(place) = unless_exists.iter().find(|place| !is_place(place)) {
            return Err(format!(
                "{name}: {place:?} is neither absolute nor begins with `$HOME/` or `$XDG_CONFIG_HOME/`"
            ));
        }
        Ok(Self { name, effect, unless_exists })
    }
}

impl From<Variable> for Declared {
    fn from(variable: Variable) -> Self {
        let Variable { name, effect, unless_exists } = variable;
        let (set, prepend) = match effect {
            Effect::Set(text) => (Some(text), None),
            Effect::Prepend(text) => (None, Some(text)),
        };
        Self { name, set, prepend, unless_exists }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Variable, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn values_name_the_tree() {
        let value = |text: &str, before: Option<&str>| {
            let value = read(text).unwrap().value(OsStr::new("/t/x"), before.map(OsStr::new));
            value.into_string().unwrap()
        };
        assert_eq!(value("name = 'A'\nset = '{tree}/a:{tree}'", Some("b")), "/t/x/a:/t/x");
        assert_eq!(value("name = 'A'\nset = 'file'", None), "file");
        assert_eq!(value("name = 'PATH'\nprepend = '{tree}/p'", Some("/bin")), "/t/x/p:/bin");
        assert_eq!(value("name = 'PATH'\nprepend = '{tree}/p'", Some("")), "/t/x/p");
    }

    #[test]
    fn what_a_shell_could_not_do_is_refused() {
        for (text, because) in [
            ("name = 'a b'\nset = ''", "capital letters"),
            ("name = 'A=1'\nset = ''", "capital letters"),
            ("name = '1A'\nset = ''", "capital letters"),
            ("name = 'LD_PRELOAD'\nset = ''", "loader's"),
            ("name = 'IFS'\nset = ''", "shell's own"),
            ("name = 'A'", "either"),
            ("name = 'A'\nset = ''\nprepend = 'x'", "either"),
            ("name = 'A'\nprepend = ''", "nothing is put"),
            ("name = 'A'\nset = \"\\n\"", "control character"),
            ("name = 'A'\nset = ''\nunless_exists = ['etc/x']", "neither absolute"),
            ("name = 'A'\nset = ''\nunless_exists = ['$OTHER/x']", "neither absolute"),
            ("name = 'A'\nset = ''\nwhen = 'x'", "unknown field"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(because), "{text}: {error}");
        }
    }

    #[test]
    fn it_is_written_as_it_was_read() {
        let text = "name = \"A\"\nset = \"{tree}/a\"\nunless_exists = [\"/etc/a\", \"$HOME/a\"]\n";
        assert_eq!(toml::to_string(&read(text).unwrap()).unwrap(), text);
    }
}
