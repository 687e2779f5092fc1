//! What programs need of this machine's drivers for GPUs and fabrics: what lists of runtimes name ([`listed()`]), and
//! what CDI specifications say ([`cdi`]). The answer is plain: files, links and variables, for whoever shows them.
//!
//! Nothing is run for that. Lists and specifications come from others: each path that they name is looked at, and a
//! place in an image is none that has `..` in it. A specification's hooks are programs of the machine; what the known
//! ones do is done here, and the others are named and left alone.

mod cache;
pub(crate) mod cdi;
mod error;
mod library;
mod listed;

use std::path::{Path, PathBuf};

use rustix::mount::MountFlags;

pub(crate) use cache::LoaderCache;
pub(crate) use error::DriverError;
pub(crate) use library::{LIBRARIES, glibc_needed, is_native, linkage, newest_glibc};
pub(crate) use listed::{HostDrivers, devices_of, listed};

use crate::model::GlibcVersion;

/// What a command is to be shown of drivers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drivers {
    /// Variables, in order: of several of one name the last counts.
    pub(crate) environment: Vec<(String, String)>,
    /// Files and directories.
    pub(crate) mounts: Vec<DriverMount>,
    /// Symlinks.
    pub(crate) links: Vec<DriverLink>,
    /// Directories of the image in which the loader is to find libraries, too.
    pub(crate) folders: Vec<PathBuf>,
    /// Libraries of the image's own that come before the driver's where they are newer.
    pub(crate) newer: Vec<NewerLibraries>,
    /// What is to be said to the user.
    pub(crate) said: Vec<String>,
}

/// A file or directory of the machine, and where it is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DriverMount {
    /// Where it lies.
    pub(crate) source: PathBuf,
    /// Where it is seen; absolute, without `..`.
    pub(crate) place: PathBuf,
    /// What cannot be done there.
    pub(crate) limits: MountLimits,
    /// The glibc that a library asks for, where it is one and says so.
    pub(crate) glibc: Option<GlibcVersion>,
    /// Who wants it, for messages: a file, and what in it.
    pub(crate) wanted_by: String,
}

/// What cannot be done with what is mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MountLimits {
    /// It cannot be written to.
    pub(crate) is_read_only: bool,
    /// Its programs give nobody other rights.
    pub(crate) is_nosuid: bool,
    /// Its device nodes are none.
    pub(crate) is_nodev: bool,
    /// Its programs cannot be run.
    pub(crate) is_noexec: bool,
}

/// A symlink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DriverLink {
    /// Where it lies; absolute, without `..`.
    pub(crate) place: PathBuf,
    /// Its text.
    pub(crate) target: PathBuf,
    /// Who wants it, for messages.
    pub(crate) wanted_by: String,
}

/// A directory of an image with libraries that may be newer than the driver's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewerLibraries {
    /// The directory.
    pub(crate) directory: PathBuf,
    /// The beginning of the name of the one that has its version behind it: `libx.so.`
    pub(crate) name: String,
    /// The driver's own version.
    pub(crate) than: String,
}

impl MountLimits {
    /// As flags of a mount.
    pub(crate) fn flags(self) -> MountFlags {
        let known = [
            (self.is_read_only, MountFlags::RDONLY),
            (self.is_nosuid, MountFlags::NOSUID),
            (self.is_nodev, MountFlags::NODEV),
            (self.is_noexec, MountFlags::NOEXEC),
        ];
        let wanted = known.into_iter().filter(|(is_wanted, _)| *is_wanted);
        wanted.fold(MountFlags::empty(), |all, (_, flag)| all | flag)
    }
}

impl Drivers {
    /// Adds what `other` has. Of two things for one place the later one counts, and that is said where they differ.
    pub(crate) fn add(&mut self, other: Self) {
        self.environment.extend(other.environment);
        for mount in other.mounts {
            let earlier = self.mounts.iter().position(|it| it.place == mount.place);
            let Some(earlier) = earlier.and_then(|at| self.mounts.get_mut(at)) else {
                self.mounts.push(mount);
                continue;
            };
            if earlier.source != mount.source {
                self.said.push(format!(
                    "{} is {} by {}, and not {} as by {}",
                    shown(&mount.place),
                    shown(&mount.source),
                    mount.wanted_by,
                    shown(&earlier.source),
                    earlier.wanted_by
                ));
            }
            *earlier = mount;
        }
        for link in other.links {
            self.links.retain(|it| it.place != link.place);
            self.links.push(link);
        }
        let folders = other.folders.into_iter();
        let new: Vec<PathBuf> = folders.filter(|it| !self.folders.contains(it)).collect();
        self.folders.extend(new);
        self.newer.extend(other.newer);
        self.said.extend(other.said);
    }
}

/// A path, for messages.
fn shown(path: &Path) -> String {
    crate::model::escape(&path.to_string_lossy()).into_owned()
}
