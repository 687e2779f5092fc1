//! Which of Debian's files make which of Enterprise Linux's packages. Names, epochs and the split
//! into packages are EL8's; versions are those of the programs themselves.

use super::{Repo, podman};
use crate::support::deb::Suite;

/// One package of EL, made of files of Debian's packages.
pub struct Recipe {
    /// EL's name.
    pub name: &'static str,
    /// The repository that holds it.
    pub repo: Repo,
    /// EL's epoch.
    pub epoch: u32,
    /// The number before `.el8`.
    pub release: &'static str,
    pub license: &'static str,
    pub summary: &'static str,
    /// Debian's packages; the first gives the version.
    pub from: &'static [&'static str],
    /// Paths on EL, `*` standing for any characters: only these are taken.
    pub take: &'static [&'static str],
    /// Requires beside the generated ones. `{evr}` and `{isa}` stand for the package's own.
    pub requires: &'static [&'static str],
    /// Provides beside the generated ones.
    pub provides: &'static [&'static str],
    /// Recommends: these are not followed.
    pub recommends: &'static [&'static str],
    /// Generated Requires that the package's spec file filters out.
    pub filtered: &'static [&'static str],
}

pub(super) const PLAIN: Recipe = Recipe {
    name: "",
    repo: Repo::BaseOs,
    epoch: 0,
    release: "1",
    license: "",
    summary: "",
    from: &[],
    take: &[],
    requires: &[],
    provides: &[],
    recommends: &[],
    filtered: &[],
};

/// A library of BaseOS: everything in the library directory.
pub(super) const fn library(
    name: &'static str,
    from: &'static [&'static str],
    license: &'static str,
    summary: &'static str,
) -> Recipe {
    Recipe { name, from, license, summary, take: &["/usr/lib64/lib*.so*"], ..PLAIN }
}

/// Every recipe but Apptainer's, which is compiled: see the module `apptainer`.
const RECIPES: &[Recipe] = &[
    // What every host has, so that nothing of it may be chosen.
    Recipe {
        name: "glibc",
        from: &["libc6"],
        take: &["/usr/lib64/*.so*", "/usr/lib/ld-linux*"],
        license: "LGPLv2+",
        summary: "The GNU libc libraries",
        provides: &["rtld(GNU_HASH)"],
        release: "251",
        ..PLAIN
    },
    Recipe {
        name: "bash",
        from: &["bash"],
        take: &["/usr/bin/bash"],
        license: "GPLv3+",
        summary: "The GNU Bourne Again shell",
        provides: &["/bin/sh", "/bin/bash"],
        ..PLAIN
    },
    library("ncurses-libs", &["libtinfo6"], "MIT", "Ncurses libraries"),
    Recipe {
        name: "coreutils",
        from: &["coreutils"],
        take: &["/usr/bin/env", "/usr/bin/cat", "/usr/bin/id", "/usr/bin/ls"],
        license: "GPLv3+",
        summary: "A set of basic GNU tools commonly used in shell scripts",
        ..PLAIN
    },
    Recipe {
        name: "util-linux",
        from: &["util-linux"],
        take: &["/usr/bin/getopt", "/usr/bin/lsns", "/usr/bin/more", "/usr/share/man/man1/getopt*"],
        license: "GPLv2 and LGPLv2+",
        summary: "A collection of basic system utilities",
        release: "42",
        ..PLAIN
    },
    library(
        "libsmartcols",
        &["libsmartcols1"],
        "LGPLv2+",
        "Formatting library for ls-like programs",
    ),
    library("libmount", &["libmount1"], "LGPLv2+", "Device mounting library"),
    library("libblkid", &["libblkid1"], "LGPLv2+", "Block device ID library"),
    // Libraries.
    library("libgcc", &["libgcc-s1"], "GPLv3+ with exceptions", "GCC's shared support library"),
    library("zlib", &["zlib1g"], "zlib and Boost", "The compression and decompression library"),
    library("xz-libs", &["liblzma5"], "Public Domain", "Libraries for decoding LZMA compression"),
    library(
        "lzo",
        &["liblzo2-2"],
        "GPLv2+",
        "Data compression library with very fast decompression",
    ),
    library("lz4-libs", &["liblz4-1"], "GPLv2+ and BSD", "Libraries for lz4"),
    library("libzstd", &["libzstd1"], "BSD and GPLv2", "Zstd shared library"),
    library("bzip2-libs", &["libbz2-1.0"], "BSD", "Libraries for applications using bzip2"),
    library("fuse-libs", &["libfuse2"], "LGPLv2+", "File System in Userspace (FUSE) v2 libraries"),
    library(
        "fuse3-libs",
        &["libfuse3-3"],
        "LGPLv2+",
        "File System in Userspace (FUSE) v3 libraries",
    ),
    library("libseccomp", &["libseccomp2"], "LGPLv2", "Enhanced seccomp library"),
    library("libcap", &["libcap2"], "BSD or GPLv2", "Library for POSIX.1e capabilities"),
    library("libcap-ng", &["libcap-ng0"], "LGPLv2+", "Alternate POSIX capabilities library"),
    library("libgcrypt", &["libgcrypt20"], "LGPLv2+", "A general-purpose cryptography library"),
    library("libgpg-error", &["libgpg-error0"], "LGPLv2+", "Library for error values of GnuPG"),
    library("systemd-libs", &["libsystemd0"], "LGPLv2+ and MIT", "systemd libraries"),
    library("libselinux", &["libselinux1"], "Public Domain", "SELinux library"),
    library(
        "libsemanage",
        &["libsemanage2"],
        "LGPLv2+",
        "SELinux binary policy manipulation library",
    ),
    library("libsepol", &["libsepol2"], "LGPLv2+", "SELinux binary policy manipulation library"),
    library("audit-libs", &["libaudit1"], "LGPLv2+", "Dynamic library for libaudit"),
    library("pcre2", &["libpcre2-8-0"], "BSD", "Perl-compatible regular expression library"),
    library("libxcrypt", &["libcrypt1"], "LGPLv2+", "Extended crypt library"),
    library("libattr", &["libattr1"], "LGPLv2+", "Dynamic library for extended attributes"),
    library("libacl", &["libacl1"], "LGPLv2+", "Dynamic library for access control lists"),
    Recipe {
        epoch: 2,
        ..library("shadow-utils-subid", &["libsubid4"], "BSD", "Subordinate id library")
    },
    library("pam", &["libpam0g"], "BSD and GPLv2+", "Pluggable authentication modules"),
    Recipe {
        repo: Repo::AppStream,
        ..library("yajl", &["libyajl2"], "ISC", "Yet Another JSON Library")
    },
    library(
        "e2fsprogs-libs",
        &["libext2fs2"],
        "GPLv2 and LGPLv2",
        "Libraries for ext2, ext3 and ext4",
    ),
    library("libcom_err", &["libcom-err2"], "MIT", "Common error description library"),
    library("libuuid", &["libuuid1"], "BSD", "Universally unique ID library"),
    // Programs.
    Recipe {
        name: "e2fsprogs",
        from: &["fuse2fs", "e2fsprogs"],
        take: &["/usr/bin/fuse2fs", "/usr/bin/mke2fs", "/usr/bin/mkfs.ext3"],
        license: "GPLv2",
        summary: "Utilities for managing ext2, ext3, and ext4 file systems",
        ..PLAIN
    },
    Recipe {
        name: "squashfs-tools",
        from: &["squashfs-tools"],
        take: &["/usr/bin/*", "/usr/share/man/man1/*"],
        license: "GPLv2+",
        summary: "Utility for the creation of squashfs filesystems",
        release: "21",
        ..PLAIN
    },
    Recipe {
        name: "crun",
        repo: Repo::Module,
        from: &["crun"],
        take: &["/usr/bin/crun", "/usr/share/man/man1/*"],
        license: "GPLv2+",
        summary: "OCI runtime written in C",
        recommends: &["criu-libs"],
        provides: &["oci-runtime = 2"],
        ..PLAIN
    },
    Recipe {
        name: "fuse-overlayfs",
        repo: Repo::Module,
        from: &["fuse-overlayfs"],
        take: &["/usr/bin/*", "/usr/share/man/man1/*"],
        license: "GPLv3+",
        summary: "FUSE overlay+shiftfs implementation for rootless containers",
        ..PLAIN
    },
    Recipe {
        name: "squashfuse",
        repo: Repo::Epel,
        from: &["squashfuse"],
        take: &["/usr/bin/*", "/usr/share/man/man1/*"],
        license: "BSD",
        summary: "FUSE filesystem to mount squashfs archives",
        requires: &["squashfuse-libs{isa} = {evr}"],
        ..PLAIN
    },
    Recipe {
        name: "squashfuse-libs",
        repo: Repo::Epel,
        from: &["libsquashfuse0"],
        take: &["/usr/lib64/*"],
        license: "BSD",
        summary: "Libraries for squashfuse",
        ..PLAIN
    },
    Recipe {
        name: "fakeroot-libs",
        repo: Repo::Epel,
        from: &["libfakeroot"],
        take: &["/usr/lib64/libfakeroot/*"],
        license: "GPLv3+ and LGPLv2+ and (GPL+ or Artistic)",
        summary: "Gives a fake root environment (libraries)",
        ..PLAIN
    },
    Recipe {
        name: "fakeroot",
        repo: Repo::Epel,
        from: &["fakeroot"],
        take: &["/usr/bin/*", "/usr/share/man/man1/*"],
        license: "GPLv3+ and LGPLv2+ and (GPL+ or Artistic)",
        summary: "Gives a fake root environment",
        requires: &["/usr/bin/getopt", "fakeroot-libs{isa} = {evr}"],
        ..PLAIN
    },
    Recipe {
        name: "charliecloud",
        repo: Repo::Epel,
        from: &["charliecloud-runtime", "charliecloud-common", "charliecloud-builders"],
        take: &[
            "/usr/bin/ch-run",
            "/usr/bin/ch-run-oci",
            "/usr/bin/ch-ssh",
            "/usr/bin/ch-checkns",
            "/usr/bin/ch-convert",
            "/usr/bin/ch-fromhost",
            "/usr/lib/charliecloud/*",
            "/usr/share/man/man1/ch-run.1*",
        ],
        license: "ASL 2.0",
        summary: "Lightweight user-defined software stacks for high-performance computing",
        recommends: &["charliecloud-builder"],
        filtered: &["/usr/bin/python3"],
        ..PLAIN
    },
];

impl Recipe {
    /// The names that Debian's packages have in `suite`.
    pub fn sources(&self, suite: Suite) -> Vec<&'static str> {
        let in_suite = |name: &&'static str| match (suite, *name) {
            (Suite::Bullseye, "libsemanage2") => Some("libsemanage1"),
            (Suite::Bullseye, "libsepol2") => Some("libsepol1"),
            (Suite::Bullseye, "libsubid4") => None,
            (Suite::Trixie, "libsubid4") => Some("libsubid5"),
            (Suite::Trixie, "libfuse2") => Some("libfuse2t64"),
            (Suite::Trixie, "libfuse3-3") => Some("libfuse3-4"),
            (Suite::Trixie, "libext2fs2") => Some("libext2fs2t64"),
            (_, name) => Some(name),
        };
        self.from.iter().filter_map(in_suite).collect()
    }
}

/// Every recipe for which `suite` has packages.
pub fn recipes(suite: Suite) -> impl Iterator<Item = &'static Recipe> {
    let newer = if suite == Suite::Trixie { podman::RECIPES } else { &[] };
    RECIPES.iter().chain(newer).filter(move |recipe| !recipe.sources(suite).is_empty())
}

/// Every package of Debian that the mirror is made of, for one architecture.
pub fn debian_packages(suite: Suite) -> Vec<&'static str> {
    let mut names: Vec<&str> = recipes(suite).flat_map(|recipe| recipe.sources(suite)).collect();
    if suite != Suite::default() {
        // What programs are compiled with that run on its C library.
        names.extend(["libc6-dev", "linux-libc-dev"]);
    }
    // The demo's container image is one static program.
    names.push("busybox-static");
    names.sort_unstable();
    names.dedup();
    names
}
