//! A specification, as it is written: every field is held to what the format says of it, and nothing is looked for.

use std::path::{Path, PathBuf};

use super::super::{DriverError, MountLimits};
use super::fields::{Field, Text, malformed};
use super::kinds::{ALL, CdiVersion, NEWEST, is_name, kind_problem};
use crate::tools::tree_text::{read_json, read_yaml};

/// Since when there are which fields.
const NODE_HOST_PATHS: CdiVersion = CdiVersion(0, 5, 0);
const DIGITS_FIRST: CdiVersion = CdiVersion(0, 5, 0);
const MOUNT_TYPES: CdiVersion = CdiVersion(0, 4, 0);
const ANNOTATIONS: CdiVersion = CdiVersion(0, 6, 0);
const DOTS: CdiVersion = CdiVersion(0, 6, 0);
const GROUPS: CdiVersion = CdiVersion(0, 7, 0);
const NETWORK: CdiVersion = CdiVersion(1, 1, 0);

/// Options of mounts that say what is so anyway, or nothing to a bind mount.
const USUAL_OPTIONS: [&str; 17] = [
    "bind",
    "rbind",
    "rw",
    "suid",
    "dev",
    "exec",
    "private",
    "rprivate",
    "slave",
    "rslave",
    "shared",
    "rshared",
    "relatime",
    "noatime",
    "nodiratime",
    "defaults",
    "unbindable",
];

/// A specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Specification {
    pub(super) file: PathBuf,
    pub(super) kind: String,
    pub(super) devices: Vec<CdiDevice>,
    /// What all of its devices ask for.
    pub(super) edits: CdiEdits,
    /// What is to be said of it.
    pub(super) said: Vec<String>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CdiDevice {
    pub(super) name: String,
    pub(super) edits: CdiEdits,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CdiEdits {
    pub(super) environment: Vec<(String, String)>,
    pub(super) nodes: Vec<CdiNode>,
    pub(super) mounts: Vec<CdiMount>,
    pub(super) hooks: Vec<CdiHook>,
    /// What a user cannot have, in words.
    pub(super) others: Vec<String>,
}

/// A device node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CdiNode {
    pub(super) place: PathBuf,
    pub(super) source: PathBuf,
    /// `c`, `u`, `b` or `p`.
    pub(super) kind: Option<String>,
    pub(super) major: Option<u32>,
    pub(super) minor: Option<u32>,
    /// Where the source is named.
    pub(super) stands: String,
}

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CdiMount {
    pub(super) place: PathBuf,
    pub(super) source: PathBuf,
    pub(super) limits: MountLimits,
    /// Where the source is named.
    pub(super) stands: String,
}

/// A hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CdiHook {
    pub(super) path: String,
    pub(super) arguments: Vec<String>,
    pub(super) stands: String,
}

impl Specification {
    /// Reads the text of the file: as JSON where its name says so, else as YAML.
    pub(super) fn read(file: &Path, text: &str) -> Result<Self, DriverError> {
        let is_json = file.extension().is_some_and(|ending| ending == "json");
        let node = if is_json { read_json(text) } else { read_yaml(text) };
        let node = node.map_err(|error| malformed(file, error.to_string()))?;
        let whole = Field::whole(file, &node);
        let mut said = Vec::new();
        whole
            .keys(&["cdiVersion", "kind", "annotations", "devices", "containerEdits"], &mut said)?;
        let version = whole.need("cdiVersion")?;
        let text = version.text()?.value;
        let version = CdiVersion::parse(&text)
            .ok_or_else(|| version.odd(format!("is {text:?}, which is no version")))?;
        if version > NEWEST {
            said.push(format!(
                "{} is of CDI {version}, which is newer than {NEWEST}, the newest known here",
                file.display()
            ));
        }
        whole.since("annotations", ANNOTATIONS, version)?;
        let kind = whole.need("kind")?;
        let name = kind.text()?.value;
        if let Some(why) = kind_problem(&name) {
            return Err(kind.odd(format!("is {name:?}: {why}")));
        }
        let class = name.rsplit('/').next().unwrap_or_default();
        if class.contains('.') && version < DOTS {
            return Err(kind.odd(format!("has a dot in its class, as of version {DOTS}")));
        }
        let reader = Reader { version };
        let mut devices: Vec<CdiDevice> = Vec::new();
        for device in whole.list("devices")? {
            let read = reader.device(&device, &mut said)?;
            if devices.iter().any(|other| other.name == read.name) {
                return Err(device.odd(format!("is another device {:?}", read.name)));
            }
            devices.push(read);
        }
        if devices.is_empty() {
            return Err(whole.odd("has no devices"));
        }
        let edits = reader.edits(&whole, &mut said)?;
        Ok(Self { file: file.to_owned(), kind: name, devices, edits, said })
    }

    /// The device of this name.
    pub(super) fn device(&self, name: &str) -> Option<&CdiDevice> {
        self.devices.iter().find(|device| device.name == name)
    }

    /// The devices that `name` means: the one that is called so, or all, which one may stand for.
    pub(super) fn meant(&self, name: Option<&str>) -> Vec<&str> {
        let named = self.device(name.unwrap_or(ALL)).map(|device| vec![device.name.as_str()]);
        let all = || self.devices.iter().map(|device| device.name.as_str()).collect();
        named.unwrap_or_else(|| if name.is_none_or(|it| it == ALL) { all() } else { Vec::new() })
    }

    /// The whole names of its devices.
    pub(super) fn names(&self) -> Vec<String> {
        self.devices.iter().map(|device| format!("{}={}", self.kind, device.name)).collect()
    }
}

/// Reads parts of a specification of this version.
struct Reader {
    version: CdiVersion,
}

impl Reader {
    fn device(&self, device: &Field<'_>, said: &mut Vec<String>) -> Result<CdiDevice, DriverError> {
        device.keys(&["name", "annotations", "containerEdits"], said)?;
        device.since("annotations", ANNOTATIONS, self.version)?;
        let field = device.need("name")?;
        let name = field.text()?.value;
        if !is_name(&name) {
            return Err(field.odd(format!("is {name:?}, which is no name")));
        }
        let is_letter_first = name.starts_with(|first: char| first.is_ascii_alphabetic());
        if !is_letter_first && self.version < DIGITS_FIRST {
            return Err(field.odd(format!("begins with a digit, as of version {DIGITS_FIRST}")));
        }
        Ok(CdiDevice { name, edits: self.edits(device, said)? })
    }

    /// `containerEdits` of something.
    fn edits(&self, of: &Field<'_>, said: &mut Vec<String>) -> Result<CdiEdits, DriverError> {
        let Some(edits) = of.at("containerEdits") else { return Ok(CdiEdits::default()) };
        let known =
            ["env", "deviceNodes", "mounts", "hooks", "additionalGids", "intelRdt", "netDevices"];
        edits.keys(&known, said)?;
        let mut read = CdiEdits::default();
        for variable in edits.list("env")? {
            let text = variable.text()?.value;
            match text.split_once('=') {
                Some((name, value)) if !name.is_empty() => {
                    read.environment.push((name.to_owned(), value.to_owned()));
                }
                _ => return Err(variable.odd(format!("is {text:?}, and not NAME=VALUE"))),
            }
        }
        for node in edits.list("deviceNodes")? {
            read.nodes.push(self.node(&node, said)?);
        }
        for mount in edits.list("mounts")? {
            read.mounts.push(self.mount(&mount, said)?);
        }
        for hook in edits.list("hooks")? {
            read.hooks.push(Self::hook(&hook, said)?);
        }
        let others = [
            ("additionalGids", GROUPS, "groups that the user is not in"),
            ("intelRdt", GROUPS, "limits of the processor's caches"),
            ("netDevices", NETWORK, "devices of the network"),
        ];
        for (name, since, what) in others {
            if let Some(field) = edits.since(name, since, self.version)? {
                read.others
                    .push(format!("{}, {what}, takes more rights than a user has", field.stands()));
            }
        }
        Ok(read)
    }

    fn node(&self, node: &Field<'_>, said: &mut Vec<String>) -> Result<CdiNode, DriverError> {
        let known =
            ["path", "hostPath", "type", "major", "minor", "fileMode", "permissions", "uid", "gid"];
        node.keys(&known, said)?;
        let path = node.need("path")?;
        let place = path.place()?;
        let host = node.since("hostPath", NODE_HOST_PATHS, self.version)?;
        let source = host.as_ref().map_or_else(|| Ok(place.clone()), Field::host_path)?;
        let stands = host.unwrap_or(path).stands();
        let kind = node.at("type").map(|kind| {
            let text = kind.text()?.value;
            match ["", "b", "c", "u", "p"].contains(&text.as_str()) {
                true => Ok(text),
                false => Err(kind.odd(format!("is {text:?}, which is no type of device node"))),
            }
        });
        let number = |name| node.at(name).map(|field| field.number()).transpose();
        let (major, minor) = (number("major")?, number("minor")?);
        let kind = kind.transpose()?.filter(|kind| !kind.is_empty());
        Ok(CdiNode { place, source, kind, major, minor, stands })
    }

    fn mount(&self, mount: &Field<'_>, said: &mut Vec<String>) -> Result<CdiMount, DriverError> {
        mount.keys(&["hostPath", "containerPath", "type", "options"], said)?;
        let host = mount.need("hostPath")?;
        let (source, stands) = (host.host_path()?, host.stands());
        let place = mount.need("containerPath")?.place()?;
        let options: Vec<Text> = mount.texts("options")?;
        let binds = options.iter().any(|it| ["bind", "rbind"].contains(&it.value.as_str()));
        if let Some(kind) = mount.since("type", MOUNT_TYPES, self.version)? {
            let text = kind.text()?.value;
            if !binds && !["", "none", "bind"].contains(&text.as_str()) {
                return Err(
                    kind.odd(format!("is {text:?}: only what is on this machine can be shown"))
                );
            }
        }
        let mut limits = MountLimits::default();
        for Text { value, stands } in options {
            match value.as_str() {
                "ro" => limits.is_read_only = true,
                "nosuid" => limits.is_nosuid = true,
                "nodev" => limits.is_nodev = true,
                "noexec" => limits.is_noexec = true,
                usual if USUAL_OPTIONS.contains(&usual) => {}
                _ => said.push(format!(
                    "{stands} is {value:?}, which is not known here, and passed over"
                )),
            }
        }
        Ok(CdiMount { place, source, limits, stands })
    }

    fn hook(hook: &Field<'_>, said: &mut Vec<String>) -> Result<CdiHook, DriverError> {
        hook.keys(&["hookName", "path", "args", "env", "timeout"], said)?;
        hook.need("hookName")?.text()?;
        let path = hook.need("path")?.text()?.value;
        let arguments = hook.texts("args")?.into_iter().map(|text| text.value).collect();
        hook.texts("env")?;
        Ok(CdiHook { path, arguments, stands: hook.stands() })
    }
}
