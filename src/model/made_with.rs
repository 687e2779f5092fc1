//! What of the definitions a receipt keeps: enough to judge the tree later, and to write its
//! launchers, wherever the definitions are then. Nothing in it is ever trusted for where packages
//! come from.

use serde::{Deserialize, Serialize};

use super::{
    Command, Dist, FuseMounts, GeneratedFile, GlibcVersion, HostGives, HostPlace, RelPath, Runtime,
    RuntimeConfig, ShadowNeeds, Variable,
};

/// Where a shadow keeps what is its own: in its root, and in the root of each tree.
pub(crate) const SHADOW_NAME: &str = ".elsewhere-shadow";

/// In a shadow's tree: the receipt of the tree that it is made of.
pub(crate) const SHADOW_THEN: &str = ".elsewhere-shadow/then";

/// In a shadow's tree: the receipt of the tree that it would be made of now.
pub(crate) const SHADOW_NOW: &str = ".elsewhere-shadow/now";

/// What a tree was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeWith {
    /// The glibc that every machine of the tree's dist has.
    pub glibc: Option<GlibcVersion>,
    /// The x86-64 level that the dist's packages are compiled for.
    pub x86_64_level: u8,
    /// Libraries that are always the host's, by soname; `*` stands for any characters.
    pub host_libraries: Vec<String>,
    /// The tree's runtimes.
    pub runtimes: Vec<RuntimeMade>,
}

/// What a runtime's definition says about a tree that is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeMade {
    /// Its name.
    pub name: String,
    /// The launchers that it has where the tree holds their programs.
    pub commands: Vec<Command>,
    /// What these set in the environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<Variable>,
    /// Directories of the tree that the programs see at places of the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<HostPlace>,
    /// What its commands mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuse_mounts: Option<FuseMounts>,
    /// What a shadow of the tree needs.
    #[serde(default, skip_serializing_if = "ShadowNeeds::is_nothing")]
    pub shadow: ShadowNeeds,
    /// Its file of settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<RuntimeConfig>,
    /// Files that it asks for beside those of packages: a change of them makes another tree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<GeneratedFile>,
    /// Directories in which users may put files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugin_directories: Vec<RelPath>,
}

impl MadeWith {
    /// What is kept of these definitions. The dist may have none any more.
    #[must_use]
    pub fn of(dist: Option<&Dist>, runtimes: &[&Runtime], host: &HostGives) -> Self {
        let runtime = |runtime: &&Runtime| RuntimeMade {
            name: runtime.name.clone(),
            commands: runtime.commands.clone(),
            environment: runtime.environment.clone(),
            places: runtime.places.clone(),
            fuse_mounts: runtime.fuse_mounts.clone(),
            shadow: runtime.shadow.clone(),
            config: runtime.config.clone(),
            files: runtime.files.clone(),
            plugin_directories: runtime.plugin_directories.clone(),
        };
        Self {
            glibc: dist.map(|dist| dist.glibc),
            x86_64_level: dist.map_or(1, |dist| dist.x86_64_level),
            host_libraries: host.libraries.clone(),
            runtimes: runtimes.iter().map(runtime).collect(),
        }
    }

    /// All runtimes' directories in which users may put files.
    #[must_use]
    pub fn plugin_directories(&self) -> Vec<RelPath> {
        self.runtimes.iter().flat_map(|runtime| &runtime.plugin_directories).cloned().collect()
    }
}
