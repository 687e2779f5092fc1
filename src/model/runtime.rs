//! A runtime: which packages make it, and what must be done so that it works anywhere. Read from
//! `repos/runtimes/*.toml`; the format is described in `docs/definitions.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Ability, BindWords, FuseMounts, HostPlace, RelPath, RuntimeDrivers, SquashfsMounter, Variable,
    version_order,
};

/// A container runtime, or a tool beside one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// The name that `-r` takes.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// The package whose version is the runtime's.
    pub package: String,
    /// Whether it is meant where no runtime is named.
    #[serde(default)]
    pub default: bool,
    /// Packages and files that are wanted beside it.
    #[serde(rename = "extra", default)]
    pub extras: Vec<Extra>,
    /// What every host gives, beyond what `repos/host.toml` says: the closure stops there.
    #[serde(default)]
    pub host: HostGives,
    /// The streams of EL8 modules to use instead of the defaults: module → stream.
    #[serde(default)]
    pub streams: BTreeMap<String, String>,
    /// Programs that get a launcher.
    #[serde(rename = "command")]
    pub commands: Vec<Command>,
    /// Links that the packages' scriptlets would make, or that upstream's installer makes.
    #[serde(rename = "link", default)]
    pub links: Vec<Link>,
    /// What launchers set in the environment of the programs.
    #[serde(default)]
    pub environment: Vec<Variable>,
    /// Directories of the tree that the programs see at places of the host.
    #[serde(rename = "place", default)]
    pub places: Vec<HostPlace>,
    /// What its commands that mount something mount, and how.
    #[serde(default)]
    pub fuse_mounts: Option<FuseMounts>,
    /// Runtimes that cannot be in one prefix with it: both may have commands of the same names.
    #[serde(default)]
    pub conflicts: Vec<String>,
    /// What a shadow of its trees needs.
    #[serde(default)]
    pub shadow: ShadowNeeds,
    /// Its file of settings, and how to learn of its program which there are.
    #[serde(default)]
    pub config: Option<RuntimeConfig>,
    /// Files that no package has.
    #[serde(rename = "file", default)]
    pub files: Vec<GeneratedFile>,
    /// What is known not to work in some versions of its packages.
    #[serde(rename = "defect", default)]
    pub defects: Vec<Defect>,
    /// Directories that must exist, empty if no package fills them.
    #[serde(default)]
    pub directories: Vec<RelPath>,
    /// Changes to text files, so that they find their own place.
    #[serde(rename = "edit", default)]
    pub edits: Vec<Edit>,
    /// Programs that re-execute themselves from a memfd: `$ORIGIN` fails there, so their own
    /// launcher sets the library path.
    #[serde(default)]
    pub library_path: Vec<RelPath>,
    /// Programs that could load libraries by name while they run, and do so by paths alone: no run path is
    /// kept for them.
    #[serde(default)]
    pub opens_by_path: Vec<RelPath>,
    /// Directories of plugins: files there are never hard-linked between generations.
    #[serde(default)]
    pub plugin_directories: Vec<RelPath>,
    /// Packages of which only the libraries that they need are followed, and nothing else that they require.
    #[serde(default)]
    pub libraries_only: Vec<String>,
    /// Packages whose files are bound into containers and run on the container's libc.
    #[serde(default)]
    pub container_facing: Vec<String>,
    /// What must run before a tree goes live.
    #[serde(rename = "smoke", default)]
    pub smoke_tests: Vec<SmokeTest>,
    /// Characters that the prefix's path had better not hold.
    #[serde(rename = "unfit_path", default)]
    pub unfit_paths: Vec<UnfitPath>,
    /// Programs that make user namespaces: AppArmor's profiles name them by their paths.
    #[serde(default)]
    pub namespace_programs: Vec<RelPath>,
    /// What it does on a host, and what the host must let it: `elsewhere doctor` says which work.
    #[serde(rename = "ability", default)]
    pub abilities: Vec<Ability>,
    /// Programs of its that mount squashfs file systems, the better ones first.
    #[serde(rename = "squashfs_mounter", default)]
    pub squashfs_mounters: Vec<SquashfsMounter>,
    /// How it is told to show files of the machine in an image, where it takes words for that.
    #[serde(default)]
    pub bind: Option<BindWords>,
    /// What it has for kinds of hardware.
    #[serde(default)]
    pub drivers: Vec<RuntimeDrivers>,
    /// Where the definition stands, for messages.
    #[serde(skip)]
    pub file: String,
}

/// A character in the prefix's path by which features of the runtime fail by themselves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnfitPath {
    /// The character.
    pub character: char,
    /// What people call it: `a blank`.
    pub called: String,
    /// What fails.
    pub breaks: Vec<String>,
    /// Whether that is so much that nothing is installed there.
    #[serde(default)]
    pub refused: bool,
}

/// A package, or some of its files, that a runtime wants beside its own package.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extra {
    /// The package, by name or by a capability that it provides.
    pub package: String,
    /// When not empty: only these files are unpacked, and the package's Requires not followed.
    #[serde(default)]
    pub files: Vec<RelPath>,
    /// Only with versions of the runtime's own package within this bound: `< 1.3`.
    #[serde(default)]
    pub when: Option<VersionBound>,
    /// Only where the dist's own is within this bound: `>= 1.43`. A dist that has it only in other
    /// versions does without.
    #[serde(default)]
    pub version: Option<VersionBound>,
    /// Only for these dists; all when empty.
    #[serde(default)]
    pub dists: Vec<String>,
    /// Whether a dist that lacks the package is fine.
    #[serde(default)]
    pub optional: bool,
}

/// A bound on a version: `< 1.3`, `>= 1.4`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct VersionBound {
    /// `<` or `>=`.
    operator: BoundOperator,
    /// The version on the right.
    version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BoundOperator {
    Less,
    AtLeast,
}

impl VersionBound {
    /// Whether `version` (without epoch and release) is within the bound.
    #[must_use]
    pub fn contains(&self, version: &str) -> bool {
        let order = version_order::compare(version, &self.version);
        match self.operator {
            BoundOperator::Less => order.is_lt(),
            BoundOperator::AtLeast => order.is_ge(),
        }
    }
}

impl TryFrom<String> for VersionBound {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bound = |operator, rest: &str| {
            let version = rest.trim().to_owned();
            (!version.is_empty()).then_some(Self { operator, version })
        };
        match text.trim() {
            rest if rest.starts_with(">=") => bound(BoundOperator::AtLeast, &rest[2..]),
            rest if rest.starts_with('<') && !rest.starts_with("<=") => {
                bound(BoundOperator::Less, &rest[1..])
            }
            _ => None,
        }
        .ok_or_else(|| format!("{text:?} is not a version bound: write `< 1.3` or `>= 1.3`"))
    }
}

impl From<VersionBound> for String {
    fn from(bound: VersionBound) -> Self {
        let operator = match bound.operator {
            BoundOperator::Less => "<",
            BoundOperator::AtLeast => ">=",
        };
        format!("{operator} {}", bound.version)
    }
}

/// What is on every host, so that it is neither fetched nor bundled.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostGives {
    /// Packages that count as installed: whatever they provide is given.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Capabilities that are given, whoever provides them; `*` stands for any characters.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Libraries that are never bundled and always taken from the host, by soname; `*` allowed.
    #[serde(default)]
    pub libraries: Vec<String>,
}

/// Opens the second line of every launcher. A file in `PREFIX/bin` that holds it is ours to replace.
pub const LAUNCHER_MARKER: &str = "# Launcher written by elsewhere: ";

/// A program that gets a launcher in `PREFIX/bin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The launcher's name.
    pub name: String,
    /// The program in the tree.
    pub path: RelPath,
    /// Arguments that come before the user's.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Arguments to suggest to someone who has just installed it; none: it is not suggested.
    #[serde(default)]
    pub example: Option<String>,
    /// Whether its launcher mounts what its first words name by this program, as the runtime's file says, and runs the
    /// command behind them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub mounts: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A symlink that no package contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Where the link lies.
    pub path: RelPath,
    /// What it leads to, as a place in the tree. When that is not there, no link is made.
    pub target: RelPath,
}

/// A file of settings, `key = value` on each line, and the program that knows which there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeConfig {
    /// The file.
    pub path: RelPath,
    /// The program of the tree.
    pub program: RelPath,
    /// Its arguments to write the file `{new}` with every setting, each as it is by default. One that has no default stands in a
    /// comment.
    pub defaults: Vec<String>,
    /// Its arguments to read `{file}` and write what it understood to `{new}`, in the same form; it fails where a value makes
    /// no sense to it.
    pub understood: Vec<String>,
}

/// What a shadow of a tree needs so that its own configuration counts: a tree of links to the one that it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowNeeds {
    /// Programs that look for their configuration beside the place where they lie themselves, links followed: a shadow
    /// has copies of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<RelPath>,
    /// What its launchers set beside the runtime's environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<Variable>,
}

impl ShadowNeeds {
    /// Whether it needs nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A file that no package has, the same in every tree. Where a package has something in its place, that
/// stays, and the file is not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratedFile {
    /// Where it lies.
    pub path: RelPath,
    /// What it holds, as it stands.
    pub text: String,
}

/// What does not work in some versions of a package, whose upstream knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defect {
    /// The package; the runtime's own where none is named.
    #[serde(default)]
    pub package: Option<String>,
    /// The versions of which that is so.
    pub when: VersionBound,
    /// What fails.
    pub breaks: Vec<String>,
}

/// A change to a line of a text file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The file. When the tree has none, the edit does not apply.
    pub path: RelPath,
    /// Every line that begins so (after blanks) …
    pub line_starts_with: String,
    /// … becomes this text, `\n` included where several lines are wanted. Written as it stands.
    pub becomes: String,
    /// Whether a file without such a line is fine.
    #[serde(default)]
    pub optional: bool,
}

/// A program that must run before the tree goes live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmokeTest {
    /// The program in the tree.
    pub path: RelPath,
    /// Its arguments. `{tmp}` stands for an empty scratch directory, `{sandbox}` for a root file
    /// system that holds nothing but a static `/bin/true`, `{tree}` for the tree.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// A text that its output must contain. `{version}` stands for the runtime's version.
    #[serde(default)]
    pub expect: String,
    /// Checks of the host that it needs. Where it fails and one of them does too, the host is at fault:
    /// it is passed over, and that is said.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The same as `user-namespaces` among `needs`.
    #[serde(default)]
    pub needs_user_namespaces: bool,
    /// Commands of the host that it needs; where one is missing it is passed over, and that is said.
    #[serde(default)]
    pub needs_commands: Vec<String>,
}

impl SmokeTest {
    /// Every check of the host that it needs.
    pub fn checks(&self) -> impl Iterator<Item = &str> {
        let namespaces = self.needs_user_namespaces.then_some("user-namespaces");
        self.needs.iter().map(String::as_str).chain(namespaces)
    }
}

impl Runtime {
    /// Whether an extra is bound into containers.
    #[must_use]
    pub fn faces_containers(&self, extra: &Extra) -> bool {
        self.container_facing.contains(&extra.package)
    }

    /// Where this runtime and `other` want different files.
    #[must_use]
    pub fn disputed_file(&self, other: &Self) -> Option<&RelPath> {
        let is_disputed = |file: &&GeneratedFile| {
            other.files.iter().any(|its| its.path == file.path && its.text != file.text)
        };
        self.files.iter().find(is_disputed).map(|file| &file.path)
    }

    /// What of its known defects `package` at `version` (without epoch and release) has.
    pub fn defects_of(&self, package: &str, version: &str) -> impl Iterator<Item = &Defect> {
        let is_meant = move |defect: &&Defect| {
            defect.package.as_ref().unwrap_or(&self.package) == package
                && defect.when.contains(version)
        };
        self.defects.iter().filter(is_meant)
    }

    /// Every check of the host that a test of this runtime needs. Where directories of the tree stand at
    /// places of the host, no program runs without a namespace.
    pub fn checks<'a>(&self, test: &'a SmokeTest) -> impl Iterator<Item = &'a str> {
        let places = if self.places.is_empty() { &[][..] } else { &["user-namespaces", "mounts"] };
        test.checks().chain(places.iter().copied())
    }

    /// Whether its trees hold the program `elsewhere`, which its launchers start.
    #[must_use]
    pub(crate) fn needs_own_program(&self) -> bool {
        !self.places.is_empty() || self.fuse_mounts.is_some()
    }

    /// Whether one of the two says that they cannot be in one prefix.
    #[must_use]
    pub fn conflicts_with(&self, other: &Self) -> bool {
        self.conflicts.contains(&other.name) || other.conflicts.contains(&self.name)
    }

    /// A command that `other`, another runtime, has too.
    #[must_use]
    pub fn shares_command(&self, other: &Self) -> Option<&str> {
        let is_its = |name: &&str| other.commands.iter().any(|command| command.name == *name);
        let names = self.commands.iter().map(|command| command.name.as_str());
        names.into_iter().find(is_its).filter(|_| self.name != other.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_compare_as_rpm_does() {
        let bound = |text: &str| VersionBound::try_from(text.to_owned()).unwrap();
        assert!(bound("< 1.3").contains("1.2.10"));
        assert!(!bound("< 1.10").contains("1.10.1"));
        assert!(bound(">= 1.9").contains("1.10"));
        assert!(VersionBound::try_from("1.3".to_owned()).is_err());
        assert!(VersionBound::try_from("<= 1.3".to_owned()).is_err());
    }
}
