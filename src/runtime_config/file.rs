//! The text of such a file: `key = value` on a line of its own, the same key on several lines where it has several values, and
//! comments after `#`. A line without a value says nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// What is set: each key with its values, in the order of their lines.
pub(crate) type Values = BTreeMap<String, Vec<String>>;

/// A line that means nothing to the runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct WrongLine {
    /// Its number, from 1 on.
    pub(crate) line: usize,
    /// What is wrong with it.
    pub(crate) problem: &'static str,
    /// The line.
    pub(crate) text: String,
}

/// A setting that is not what it is by default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Changed {
    /// Its key.
    pub(crate) key: String,
    /// What it is by default; nothing where it is not set then.
    pub(crate) default: Vec<String>,
    /// What it is.
    pub(crate) now: Vec<String>,
}

/// What a line sets: its key and its value, which may be empty.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    let is_key = |character: char| character.is_ascii_alphabetic() || " _-".contains(character);
    (!key.is_empty() && key.chars().all(is_key)).then(|| (key, value.trim()))
}

/// What the text sets.
pub(crate) fn values(text: &str) -> Values {
    let mut values = Values::new();
    for (key, value) in text.lines().filter_map(setting).filter(|(_, value)| !value.is_empty()) {
        values.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    values
}

/// All keys of a text that holds every setting: those that are set, and those in comments. A comment's is in small letters, which
/// tells it from words about settings.
pub(super) fn keys(text: &str) -> BTreeSet<String> {
    let key = |line: &str| {
        let comment = line.trim_start().strip_prefix('#').map(str::trim_start);
        let (key, _) = setting(comment.unwrap_or(line))?;
        let is_small = comment.is_none() || !key.contains(|it: char| it.is_ascii_uppercase());
        is_small.then(|| key.to_owned())
    };
    text.lines().filter_map(key).collect()
}

/// Lines that mean nothing where these are all keys.
pub(crate) fn faults(text: &str, known: &BTreeSet<String>) -> Vec<WrongLine> {
    let fault = |(number, line): (usize, &str)| {
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        let problem = match setting(line) {
            Some((key, _)) if known.contains(key) => return None,
            Some(_) => "there is no such setting",
            None => "it sets nothing",
        };
        Some(WrongLine { line: number + 1, problem, text: text.to_owned() })
    };
    text.lines().enumerate().filter_map(fault).collect()
}

/// The settings of which `now` differs from `defaults`.
pub(crate) fn changed(defaults: &Values, now: &Values) -> Vec<Changed> {
    let keys: BTreeSet<&String> = defaults.keys().chain(now.keys()).collect();
    let values = |all: &Values, key: &String| all.get(key).cloned().unwrap_or_default();
    let changed = |key: &String| {
        let (default, now) = (values(defaults, key), values(now, key));
        (default != now).then(|| Changed { key: key.clone(), default, now })
    };
    keys.into_iter().filter_map(changed).collect()
}

/// `text` with `key` set to these values, or not set where there are none. They stand where it was set, else after the
/// comment that shows it, else at the end; all other lines stay as they are.
pub(crate) fn set(text: &str, key: &str, values: &[String]) -> String {
    let sets = |line: &str| setting(line).is_some_and(|(its, _)| its == key);
    let shows = |line: &str| {
        let comment = line.trim_start().strip_prefix('#');
        comment.is_some_and(|comment| sets(comment.trim_start()))
    };
    let lines: Vec<&str> = text.lines().collect();
    let place = lines.iter().position(|line| sets(line));
    let place = place.or_else(|| lines.iter().rposition(|line| shows(line)).map(|at| at + 1));
    let place = place.unwrap_or(lines.len());
    let mut new: Vec<String> = Vec::with_capacity(lines.len() + values.len());
    for at in 0..=lines.len() {
        if at == place {
            new.extend(values.iter().map(|value| format!("{key} = {value}")));
        }
        new.extend(lines.get(at).filter(|line| !sets(line)).map(|line| (*line).to_owned()));
    }
    new.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# WORDS = about it\nallow setuid = yes\n#limit owners = a, b\n\nbind path = /a\n\
                        bind path = /b\nempty =\n";

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn what_is_set_is_read_as_the_runtime_reads_it() {
        let values = values(TEXT);
        assert_eq!(values["allow setuid"], ["yes"]);
        assert_eq!(values["bind path"], ["/a", "/b"]);
        assert_eq!(values.len(), 2, "one without a value says nothing");
        let keys = keys(TEXT);
        let all = ["allow setuid", "bind path", "empty", "limit owners"];
        assert_eq!(keys.iter().map(String::as_str).collect::<Vec<_>>(), all);
    }

    #[test]
    fn lines_that_mean_nothing_are_found() {
        let known = keys(TEXT);
        let found = faults("allow setuid=no\nallow setiud = no\n # c\nwhat\nk3y = 1\n", &known);
        let lines: Vec<_> = found.iter().map(|fault| (fault.line, fault.problem)).collect();
        let (unknown, nothing) = ("there is no such setting", "it sets nothing");
        assert_eq!(lines, [(2, unknown), (4, nothing), (5, nothing)]);
    }

    #[test]
    fn only_the_lines_of_a_setting_change() {
        let set = |key: &str, new: &[&str]| set(TEXT, key, &words(new));
        assert_eq!(set("allow setuid", &["no"]), TEXT.replace("setuid = yes", "setuid = no"));
        assert_eq!(
            set("bind path", &["/c"]),
            TEXT.replace("bind path = /a\nbind path = /b", "bind path = /c")
        );
        assert_eq!(
            set("limit owners", &["me"]),
            TEXT.replace("owners = a, b\n", "owners = a, b\nlimit owners = me\n")
        );
        assert_eq!(set("new", &["1", "2"]), format!("{TEXT}new = 1\nnew = 2\n"));
        assert_eq!(set("bind path", &[]), TEXT.replace("bind path = /a\nbind path = /b\n", ""));
        assert_eq!(super::set("", "new", &words(&["1"])), "new = 1\n");
    }

    #[test]
    fn what_differs_from_the_defaults_is_told() {
        let (one, other) = (values("a = 1\nb = 2\n"), values("a = 1\nb = 3\nc = 4\n"));
        let told = changed(&one, &other);
        assert_eq!(told.len(), 2);
        assert_eq!((&*told[0].key, &told[0].now), ("b", &words(&["3"])));
        assert_eq!((&*told[1].key, &told[1].default), ("c", &words(&[])));
    }
}
