//! Directories of a tree that stand at places of the host: what programs need that have their places compiled
//! in. Launchers start the program `elsewhere`, which the tree holds for that, and that makes the namespace.

use serde::{Deserialize, Serialize};

use super::RelPath;

/// Where a tree holds the program `elsewhere`, if one of its runtimes needs it.
pub(crate) const PLACING_PROGRAM: &str = "libexec/elsewhere/elsewhere";

/// A directory beside it in which nothing is: what the program makes in a namespace is made there.
pub(crate) const PLACING_SCRATCH: &str = "libexec/elsewhere/scratch";

/// The first word that launchers give it.
pub(crate) const IN_PLACES: &str = "launch-in-places";

/// The word before the command that it is to start.
pub(crate) const END_OF_PLACES: &str = "--";

/// What is the kernel's, and never another's.
const KERNELS: [&str; 3] = ["dev", "proc", "sys"];

/// A directory or file of the tree that the runtime's programs see at a place of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Claim")]
pub struct HostPlace {
    /// What it is, as a place in the tree. It is a directory, which is made, where no package has it.
    pub tree: RelPath,
    /// Where it stands: absolute and plain, at least two names deep, and not the kernel's.
    pub at: String,
}

/// A place as definitions and receipts write it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    tree: RelPath,
    at: String,
}

impl TryFrom<Claim> for HostPlace {
    type Error = String;

    fn try_from(Claim { tree, at }: Claim) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("{at:?} is no place for a directory: {why}"));
        if tree.as_str().starts_with('-') || tree.as_str().contains(char::is_control) {
            return Err(format!("{tree} cannot stand at a place of the host: rename it"));
        }
        let Some(names) = at.strip_prefix('/') else { return refuse("it must begin with /") };
        let names: Vec<&str> = names.split('/').collect();
        let is_odd =
            |name: &&str| ["", ".", ".."].contains(name) || name.contains(char::is_control);
        if names.iter().any(is_odd) {
            return refuse("write it without `.`, `..`, empty names and a slash at its end");
        }
        if names.first().is_some_and(|first| KERNELS.contains(first)) {
            return refuse("what lies there is the kernel's");
        }
        match names.len() {
            0 | 1 => refuse("it would hide what the host has there"),
            _ => Ok(Self { tree, at }),
        }
    }
}

impl HostPlace {
    /// Whether one of the two lies in the other, or both are one.
    #[must_use]
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let is_in = |one: &str, other: &str| {
            one.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        is_in(&self.at, &other.at) || is_in(&other.at, &self.at)
    }

    /// The words for it on the program's command line.
    #[must_use]
    pub(crate) fn words(&self) -> [&str; 2] {
        [self.tree.as_str(), &self.at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(at: &str) -> Result<HostPlace, String> {
        toml::from_str(&format!("tree = 'etc/x'\nat = '{at}'")).map_err(|error| error.to_string())
    }

    #[test]
    fn what_would_hide_the_hosts_own_is_refused() {
        for (at, because) in [
            ("etc/x", "begin with /"),
            ("/", "without"),
            ("/etc/../x", "without"),
            ("/etc//x", "without"),
            ("/etc/x/", "without"),
            ("/./etc", "without"),
            ("/etc", "hide"),
            ("/proc/x", "kernel's"),
            ("/sys/fs/x", "kernel's"),
            ("/dev/x", "kernel's"),
        ] {
            let error = read(at).unwrap_err();
            assert!(error.contains(because), "{at}: {error}");
        }
        assert!(toml::from_str::<HostPlace>("tree = '--'\nat = '/etc/x'").is_err());
        assert!(toml::from_str::<HostPlace>("tree = '../x'\nat = '/etc/x'").is_err());
        assert!(toml::from_str::<HostPlace>("tree = 'x'\nat = '/etc/x'\nmode = 1").is_err());
    }

    #[test]
    fn places_meet_by_whole_names() {
        let meets = |one: &str, other: &str| read(one).unwrap().meets(&read(other).unwrap());
        assert!(meets("/etc/x", "/etc/x"));
        assert!(meets("/etc/x/y", "/etc/x") && meets("/etc/x", "/etc/x/y"));
        assert!(!meets("/etc/x", "/etc/xy") && !meets("/etc/x", "/opt/x"));
    }
}
