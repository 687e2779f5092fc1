//! What a machine has for a kind of hardware beside its devices: what `repos/drivers.toml` and the runtimes' files
//! say of that.

use serde::{Deserialize, Serialize};

use super::RelPath;

/// The file of drivers: `repos/drivers.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DriverFacts {
    /// Libraries that lead programs to the driver of whatever vendor, by their names; `*` stands for any characters.
    /// They fit the programs that they came with, so those of an image are never replaced by a host's.
    #[serde(default)]
    pub neutral: Vec<String>,
    /// Each kind of hardware.
    #[serde(rename = "kind", default)]
    pub kinds: Vec<DriverKind>,
}

/// A kind of hardware, and what is its driver's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DriverKind {
    /// What lists of runtimes and options refer to.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Its device nodes: absolute paths, in whose last names `*` stands for any characters.
    #[serde(default)]
    pub devices: Vec<String>,
    /// Libraries by which its driver is known, by their names; `*` stands for any characters.
    #[serde(default)]
    pub libraries: Vec<String>,
    /// Sockets of its services: absolute paths.
    #[serde(default)]
    pub sockets: Vec<String>,
}

/// What a runtime has for a kind of hardware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeDrivers {
    /// The kind, by its name in `drivers.toml`.
    pub kind: String,
    /// A file of the tree that lists what programs need of the host: beginnings of libraries' names, names of programs and
    /// absolute paths, one a line.
    #[serde(default)]
    pub list: Option<RelPath>,
    /// The words by which the runtime does it by itself, where it has some.
    #[serde(default)]
    pub options: Vec<String>,
}

impl DriverFacts {
    /// What is known of a kind.
    pub(crate) fn kind(&self, name: &str) -> Option<&DriverKind> {
        self.kinds.iter().find(|kind| kind.name == name)
    }

    /// What is wrong with it.
    pub(crate) fn problem(&self) -> Option<String> {
        let mut names: Vec<&str> = self.kinds.iter().map(|kind| kind.name.as_str()).collect();
        names.sort_unstable();
        if let Some([name, _]) = names.windows(2).find(|pair| pair.first() == pair.last()) {
            return Some(format!("the kind {name:?} stands twice"));
        }
        let paths = self.kinds.iter().flat_map(|kind| kind.devices.iter().chain(&kind.sockets));
        let odd = |path: &&String| {
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            !path.starts_with('/') || directory.contains('*')
        };
        let path = paths.into_iter().find(odd)?;
        Some(format!("{path:?} is no absolute path with `*` in its last name alone"))
    }
}

/// Whether `name` is among `globs`, in which `*` stands for any characters.
pub(crate) fn is_among(globs: &[String], name: &str) -> bool {
    globs.iter().any(|glob| matches(glob, name))
}

fn matches(glob: &str, name: &str) -> bool {
    let Some((head, rest)) = glob.split_once('*') else { return glob == name };
    let Some(tail) = name.strip_prefix(head) else { return false };
    (0..=tail.len()).any(|at| tail.get(at..).is_some_and(|tail| matches(rest, tail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_names() {
        let globs = ["libc.so.6".to_owned(), "libnss_*.so.2".to_owned()];
        assert!(is_among(&globs, "libc.so.6"));
        assert!(is_among(&globs, "libnss_files.so.2"));
        assert!(!is_among(&globs, "libnss_files.so.1"));
        assert!(!is_among(&globs, "libc.so.6.1"));
    }
}
