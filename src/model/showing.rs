//! How a runtime's programs show files where they are not: what a runtime's file says of that.

use serde::{Deserialize, Serialize};

use super::RelPath;

/// A program that mounts a squashfs file system, without root, for as long as it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SquashfsMounter {
    /// The program in the tree; by its last name it is found elsewhere too.
    pub path: RelPath,
    /// Its arguments. `{image}` stands for the file, `{offset}` for where in it the file system begins, in
    /// bytes, and `{directory}` for where it is mounted.
    pub arguments: Vec<String>,
}

impl SquashfsMounter {
    /// Its arguments for this file.
    #[must_use]
    pub fn words(&self, image: &str, offset: u64, directory: &str) -> Vec<String> {
        let offset = offset.to_string();
        let values = [("{image}", image), ("{offset}", &offset), ("{directory}", directory)];
        self.arguments.iter().map(|word| filled(word, &values)).collect()
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let lacks = |name: &&str| !self.arguments.iter().any(|word| word.contains(*name));
        let lacking = ["{image}", "{offset}", "{directory}"].into_iter().find(lacks)?;
        Some(format!("the `arguments` of the mounter {} lack {lacking}", self.path))
    }
}

/// How a runtime is told to show files of the machine in an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BindWords {
    /// The words for one file or directory: `{from}` is where it lies, `{to}` where it is seen.
    pub options: Vec<String>,
    /// The same for what cannot be written to there, where it has words for that.
    #[serde(default)]
    pub read_only: Vec<String>,
    /// The words for one device node; none where it shows the machine's by itself. Where nothing is said here, it cannot be told of any.
    #[serde(default)]
    pub nodes: Option<Vec<String>>,
    /// The words for one variable, `{name}` and `{value}`, where it has some.
    #[serde(default)]
    pub variable: Vec<String>,
    /// The words for a device that it looks up in CDI specifications by itself, `{device}`, where it does that.
    #[serde(default)]
    pub device: Vec<String>,
    /// The words for an image that can be written to, where there are any.
    #[serde(default)]
    pub writable: Vec<String>,
    /// Characters that no path may hold, because the runtime takes them for its own.
    #[serde(default)]
    pub unfit: String,
    /// Characters that no variable's value may hold, for the same reason.
    #[serde(default)]
    pub unfit_value: String,
    /// The words between the runtime's first command and the command that is run in the image: `{options}` are
    /// those above, and `{image}` is the image.
    pub command: Vec<String>,
}

/// The name that stands for all options.
const OPTIONS: &str = "{options}";

impl BindWords {
    /// The words for one file or directory.
    #[must_use]
    pub fn words(&self, from: &str, to: &str) -> Vec<String> {
        self.options.iter().map(|word| filled(word, &[("{from}", from), ("{to}", to)])).collect()
    }

    /// The same, for what cannot be written to.
    #[must_use]
    pub fn read_only_words(&self, from: &str, to: &str) -> Vec<String> {
        let words = if self.read_only.is_empty() { &self.options } else { &self.read_only };
        words.iter().map(|word| filled(word, &[("{from}", from), ("{to}", to)])).collect()
    }

    /// The words for one device node; `None` where there are none, and it does not show it by itself.
    #[must_use]
    pub fn node_words(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let words = self.nodes.as_ref().filter(|words| !words.is_empty() || from == to)?;
        Some(words.iter().map(|word| filled(word, &[("{from}", from), ("{to}", to)])).collect())
    }

    /// The words for one variable.
    #[must_use]
    pub fn variable_words(&self, name: &str, value: &str) -> Vec<String> {
        let values = [("{name}", name), ("{value}", value)];
        self.variable.iter().map(|word| filled(word, &values)).collect()
    }

    /// The words for one device of a CDI specification.
    #[must_use]
    pub fn device_words(&self, device: &str) -> Vec<String> {
        self.device.iter().map(|word| filled(word, &[("{device}", device)])).collect()
    }

    /// The words that run something in `image`.
    #[must_use]
    pub fn line(&self, options: &[String], image: &str) -> Vec<String> {
        let words = |word: &String| match word == OPTIONS {
            true => options.to_vec(),
            false => vec![filled(word, &[("{image}", image)])],
        };
        self.command.iter().flat_map(words).collect()
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let lacks = |words: &[String], name: &str| !words.iter().any(|word| word.contains(name));
        let of_options = ["{from}", "{to}"].into_iter().find(|name| lacks(&self.options, name));
        if let Some(name) = of_options {
            return Some(format!("the `options` of `[bind]` lack {name}"));
        }
        let rest: [(&str, &[String], &[&str]); 4] = [
            ("read_only", &self.read_only, &["{from}", "{to}"]),
            ("nodes", self.nodes.as_deref().unwrap_or_default(), &["{from}", "{to}"]),
            ("variable", &self.variable, &["{name}", "{value}"]),
            ("device", &self.device, &["{device}"]),
        ];
        for (field, words, names) in rest {
            let lacking = names.iter().find(|name| !words.is_empty() && lacks(words, name));
            if let Some(name) = lacking {
                return Some(format!("the `{field}` of `[bind]` lacks {name}"));
            }
        }
        if !self.command.iter().any(|word| word == OPTIONS) {
            return Some("the `command` of `[bind]` has no word {options}".to_owned());
        }
        let lacks_image = lacks(&self.command, "{image}");
        lacks_image.then(|| "the `command` of `[bind]` lacks {image}".to_owned())
    }
}

/// `text` with values for names in it. What is in a value is never taken for a name.
fn filled(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let found = values.iter().find(|(name, _)| rest.starts_with(name));
        let taken = match found {
            Some((name, value)) => {
                filled.push_str(value);
                name.len()
            }
            None => {
                filled.push(first);
                first.len_utf8()
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_no_names() {
        let arguments = ["-o", "offset={offset}", "{image}", "{directory}/x"].map(str::to_owned);
        let path = RelPath::new("bin/mount").unwrap();
        let mounter = SquashfsMounter { path, arguments: arguments.to_vec() };
        assert_eq!(mounter.problem(), None);
        assert_eq!(
            mounter.words("/a {offset}", 7, "/é{image}"),
            ["-o", "offset=7", "/a {offset}", "/é{image}/x"]
        );
        let short = SquashfsMounter { arguments: arguments[..3].to_vec(), ..mounter };
        assert!(short.problem().unwrap().contains("lack {directory}"));
    }
}
