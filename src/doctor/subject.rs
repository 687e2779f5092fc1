//! What is examined: plain values, so that checks can be tried on recorded machines.

use std::ffi::OsString;
use std::path::PathBuf;

use super::explain::at;
use crate::model::{Ability, Arch, DriverKind, GlibcVersion, HostFacts, MachineNeeds};

/// The host, the user, and the directories that matter.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The root directory that settings are read below: `/`, but in tests.
    pub root: PathBuf,
    /// This machine.
    pub facts: HostFacts,
    /// This program's own file, which is started again to try things out.
    pub executable: PathBuf,
    /// The user's id.
    pub user_id: u32,
    /// The directories where programs are looked for.
    pub search_path: Vec<PathBuf>,
    /// Where things are to be installed, or are; absolute.
    pub prefix: Option<PathBuf>,
    /// What is installed there for this machine's architecture.
    pub installed: Option<InstalledFacts>,
    /// The dists that have packages for this architecture, the oldest glibc first.
    pub dists: Vec<DistFacts>,
    /// Where images are built and unpacked.
    pub temporary_dir: PathBuf,
    /// What is known of drivers: the kinds of hardware that are looked for.
    pub drivers: Vec<DriverKind>,
    /// Where CDI specifications are, seen from `root`; the later directories count more.
    pub cdi_directories: Vec<PathBuf>,
    /// The variables about proxies and certificates that are set.
    pub network_variables: Vec<(&'static str, OsString)>,
}

/// Where programs are, whatever `PATH` says.
const USUAL_PLACES: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

impl Subject {
    /// What an ability needs of files and programs, and is not there, in words.
    pub(super) fn lacks(&self, ability: &Ability) -> Vec<String> {
        let files = &ability.needs_files;
        let has_file = files.is_empty() || files.iter().any(|file| at(&self.root, file).exists());
        let mut lacks = Vec::new();
        if !has_file {
            lacks.push(format!("no {}", files.join(" or ")));
        }
        // What will be in a tree that is not there yet, nobody knows here.
        let Some(installed) = &self.installed else { return lacks };
        let own = ["bin", "sbin"].map(|place| installed.tree.join(place));
        let usual = USUAL_PLACES.map(|place| at(&self.root, place));
        let places: Vec<_> = own.iter().chain(&self.search_path).chain(&usual).collect();
        let is_missing = |name: &&String| !places.iter().any(|place| place.join(name).is_file());
        let missing = ability.needs_commands.iter().filter(is_missing);
        lacks.extend(missing.map(|name| format!("no program {name}")));
        lacks
    }

    /// The dists that this machine runs, the oldest glibc first.
    pub(super) fn runnable(&self) -> impl DoubleEndedIterator<Item = &DistFacts> {
        self.dists.iter().filter(|dist| self.facts.runs(dist.needs()))
    }
}

/// What a dist asks of the host.
#[derive(Clone, Debug)]
pub(crate) struct DistFacts {
    /// Its name.
    pub name: String,
    /// Its own glibc.
    pub glibc: GlibcVersion,
    /// The x86-64 level of its programs; 1 on other architectures.
    pub x86_64_level: u8,
    /// Whether somebody maintains it today.
    pub is_maintained: bool,
}

impl DistFacts {
    fn needs(&self) -> MachineNeeds {
        MachineNeeds { glibc: Some(self.glibc), x86_64_level: self.x86_64_level }
    }
}

/// A live tree.
#[derive(Clone, Debug)]
pub(crate) struct InstalledFacts {
    /// Its root.
    pub tree: PathBuf,
    /// Its architecture.
    pub arch: Arch,
    /// The oldest glibc that runs it.
    pub glibc_needed: Option<GlibcVersion>,
    /// The x86-64 level of its programs.
    pub x86_64_level: u8,
    /// Where its programs look for libraries before the host's.
    pub library_directories: Vec<PathBuf>,
    /// Its files that run inside containers, on their libc.
    pub container_facing: Vec<PathBuf>,
    /// Why nothing of it may be run, nor loaded into what is run.
    pub distrust: Option<String>,
}
