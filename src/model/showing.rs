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
