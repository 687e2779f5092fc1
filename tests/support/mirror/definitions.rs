//! The `--repos` directory of a mirror: the dists by the distributions' own names and URLs, with
//! the throwaway keys' fingerprints in place of the real ones.

use std::path::Path;

use elsewhere::stages::model::{
    Arch, DecidedBy, Dist, KeyPin, Origin, Repository, RepositoryCost, RepositoryPriority,
};

use super::{Release, Repo, Vendor};
use crate::support::keys::TestKey;
use crate::support::metadata::write;

/// A repository of the mirror: where it is, and whose it is.
#[derive(Clone)]
pub struct Place {
    pub release: Release,
    pub repo: Repo,
    pub arch: Arch,
    pub vendor: Vendor,
}

impl Place {
    /// The base URL with `arch` (or `$basearch`) for the architecture, ending in `/`.
    pub fn base(&self, arch: &str) -> String {
        let number = self.release.number();
        let name = self.repo.directory();
        match self.vendor {
            Vendor::Rocky => {
                format!("https://dl.rockylinux.org/pub/rocky/{number}/{name}/{arch}/os/")
            }
            Vendor::Alma => {
                format!("https://repo.almalinux.org/almalinux/{number}/{name}/{arch}/os/")
            }
            Vendor::Epel => {
                format!("https://dl.fedoraproject.org/pub/epel/{number}/{name}/{arch}/")
            }
        }
    }

    /// The URL of the metalink or mirror list.
    pub fn list(&self, arch: &str) -> String {
        let number = self.release.number();
        let name = self.repo.directory();
        match self.vendor {
            Vendor::Rocky => format!(
                "https://mirrors.rockylinux.org/mirrorlist?arch={arch}&repo={name}-{number}"
            ),
            Vendor::Alma => {
                format!("https://mirrors.almalinux.org/mirrorlist/{number}/{}", name.to_lowercase())
            }
            Vendor::Epel => {
                format!("https://mirrors.fedoraproject.org/metalink?repo=epel-{number}&arch={arch}")
            }
        }
    }

    /// The repository's name in definitions: `baseos`.
    pub fn id(&self) -> String {
        match self.vendor {
            Vendor::Epel => "epel".to_owned(),
            Vendor::Rocky | Vendor::Alma => self.repo.directory().to_lowercase(),
        }
    }
}

/// Where a vendor publishes its key for a release.
pub fn key_url(vendor: Vendor, release: Release) -> String {
    let number = release.number();
    match (vendor, release) {
        (Vendor::Rocky, Release::El8) => {
            "https://dl.rockylinux.org/pub/rocky/RPM-GPG-KEY-rockyofficial".to_owned()
        }
        (Vendor::Rocky, _) => {
            format!("https://dl.rockylinux.org/pub/rocky/RPM-GPG-KEY-Rocky-{number}")
        }
        (Vendor::Alma, _) => {
            format!("https://repo.almalinux.org/almalinux/RPM-GPG-KEY-AlmaLinux-{number}")
        }
        (Vendor::Epel, _) => {
            format!("https://dl.fedoraproject.org/pub/epel/RPM-GPG-KEY-EPEL-{number}")
        }
    }
}

/// Writes `dists/<release>.toml`.
pub fn write_dist(
    directory: &Path,
    release: Release,
    places: &[Place],
    key_of: &dyn Fn(Vendor) -> TestKey,
    with_lists: bool,
) {
    let mut repositories: Vec<Repository> = Vec::new();
    for place in places {
        let base = place.base("$basearch");
        if let Some(known) = repositories.iter_mut().find(|known| known.base == [base.as_str()]) {
            known.arches.push(place.arch);
            continue;
        }
        let list = with_lists.then(|| place.list("$basearch"));
        let is_epel = place.vendor == Vendor::Epel;
        repositories.push(Repository {
            id: place.id(),
            arches: vec![place.arch],
            metalink: list.clone().filter(|_| is_epel),
            mirrorlist: list.filter(|_| !is_epel),
            base: vec![base],
            signed_metadata: !is_epel,
            keys: vec![KeyPin {
                fingerprint: key_of(place.vendor).fingerprint(),
                url: key_url(place.vendor, release),
                alternates: Vec::new(),
                arches: Vec::new(),
                sha1_until: None,
            }],
            modular: place.repo == Repo::AppStream && release.has_modules(),
            priority: RepositoryPriority::default(),
            cost: RepositoryCost::default(),
            module_hotfixes: false,
            only: Vec::new(),
            runtimes: Vec::new(),
            archive: false,
            enabled: true,
            decided_by: DecidedBy::default(),
            origin: Origin::default(),
        });
    }
    let dist = Dist {
        name: release.name().to_owned(),
        title: format!("Enterprise Linux {} in shape, of real programs", release.number()),
        glibc: release.glibc(),
        maintained_until: release.maintained_until().to_owned(),
        x86_64_level: 1,
        repositories,
        builds: Vec::new(),
    };
    let text = toml::to_string(&dist).unwrap();
    write(&directory.join(format!("dists/{}.toml", release.name())), text.as_bytes());
}

/// A runtime of its own, as a user may add one: the tools that make and mount images.
const IMAGE_TOOLS: &str = r#"name = "image-tools"
title = "squashfuse, fuse-overlayfs and squashfs-tools"
package = "squashfuse"

[[extra]]
package = "fuse-overlayfs"

[[extra]]
package = "squashfs-tools"

# glibc loads libgcc_s.so.1 when a thread ends: mksquashfs has many.
[[extra]]
package = "libgcc"

[[command]]
name = "squashfuse"
path = "bin/squashfuse"

[[command]]
name = "fuse-overlayfs"
path = "bin/fuse-overlayfs"

[[command]]
name = "mksquashfs"
path = "sbin/mksquashfs"

[[command]]
name = "unsquashfs"
path = "sbin/unsquashfs"

[[smoke]]
path = "bin/fuse-overlayfs"
arguments = ["--version"]
expect = "fuse-overlayfs"
"#;

/// Writes `runtimes/image-tools.toml`.
pub fn write_runtime(directory: &Path) {
    write(&directory.join("runtimes/image-tools.toml"), IMAGE_TOOLS.as_bytes());
}
