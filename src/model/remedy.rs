//! What a runtime needs of the host's kernel and settings, and what helps where it is refused. Read
//! from `repos/`; the format is described in `docs/definitions.md`.

use serde::{Deserialize, Serialize};

/// The checks of the host, by the names that definitions and users call them, in the order in which
/// `elsewhere doctor` shows them.
pub(crate) const CHECKS: [&str; 19] = [
    "kernel",
    "user-namespaces",
    "mounts",
    "overlay",
    "fuse",
    "id-maps",
    "identity",
    "hosts",
    "localtime",
    "resolv-conf",
    "prefix",
    "temporary",
    "libc",
    "processor",
    "container-libc",
    "drivers",
    "limits",
    "decoding",
    "network",
];

/// Something that a runtime does, and what the host must let it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ability {
    /// What, in words: `run a SIF image`.
    pub does: String,
    /// The checks of the host without which it cannot; `a|b` where one of several is enough.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The checks without which it does so in another way …
    #[serde(default)]
    pub wants: Vec<String>,
    /// Files of the host of which it needs one: the devices of a kind of hardware.
    #[serde(default)]
    pub needs_files: Vec<String>,
    /// Programs that it needs, in `bin` or `sbin` of the tree, or on the host.
    #[serde(default)]
    pub needs_commands: Vec<String>,
    /// … namely this.
    #[serde(default)]
    pub otherwise: String,
}

/// What is to be said and done about one cause of trouble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remedy {
    /// The cause, as checks name it: `namespaces-zero`.
    pub cause: String,
    /// Patterns of the distributions that it is for, `*` standing for any characters; all if empty.
    #[serde(default)]
    pub distributions: Vec<String>,
    /// What the cause means, in one sentence.
    pub meaning: String,
    /// What the user can do now, without the administrator.
    #[serde(default)]
    pub user: String,
    /// What an administrator types. `{name}` stands for what the check found out.
    #[serde(default)]
    pub commands: Vec<String>,
    /// What those commands cost in security, in one sentence.
    #[serde(default)]
    pub trade_off: String,
}

/// The file of remedies: `repos/doctor.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Remedies {
    /// Of several that fit, the first counts.
    #[serde(rename = "remedy", default)]
    pub remedies: Vec<Remedy>,
}
