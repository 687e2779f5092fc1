//! What podman, buildah and skopeo are made of, and the tools beside them: of Debian 13, whose
//! versions EL10 has. EL has netavark and its name server below `/usr/libexec/podman`.

use super::Repo;
use super::recipes::{PLAIN, Recipe, library};

/// The recipes of Debian 13 alone.
pub(super) const RECIPES: &[Recipe] = &[
    library("sqlite-libs", &["libsqlite3-0"], "Public Domain", "Shared libraries for SQLite"),
    library("glib2", &["libglib2.0-0t64"], "LGPLv2+", "A library of handy utility functions"),
    library("libffi", &["libffi8"], "MIT", "A portable foreign function interface library"),
    library("xxhash-libs", &["libxxhash0"], "BSD", "Extremely fast hash algorithm - library"),
    library("gpgme", &["libgpgme11t64"], "LGPLv2+", "GnuPG Made Easy"),
    library("libassuan", &["libassuan9"], "LGPLv2+", "GnuPG IPC library"),
    library("libatomic", &["libatomic1"], "GPLv3+ with exceptions", "The GNU atomic library"),
    library("libbsd", &["libbsd0"], "BSD", "Functions of the BSD libraries"),
    library("libmd", &["libmd0"], "BSD", "Functions of digests"),
    library("libnftnl", &["libnftnl11"], "GPLv2+", "Library for netlink's nf_tables"),
    library("libmnl", &["libmnl0"], "LGPLv2+", "A minimalistic netlink library"),
    library("jansson", &["libjansson4"], "MIT", "Reads and writes JSON"),
    library("gmp", &["libgmp10"], "LGPLv3+", "Arithmetic of any precision"),
    library("libedit", &["libedit2"], "BSD", "Edits lines"),
    library("iptables-libs", &["libxtables12"], "GPLv2", "Libraries of iptables"),
    // The host's, so that it may never be chosen.
    Recipe {
        name: "iptables",
        from: &["iptables"],
        take: &["/usr/bin/xtables*", "/usr/bin/iptables*"],
        license: "GPLv2",
        summary: "Tools for managing Linux kernel packet filtering capabilities",
        ..PLAIN
    },
    Recipe {
        name: "nftables",
        from: &["nftables", "libnftables1"],
        take: &["/usr/bin/nft", "/usr/lib64/libnftables*"],
        license: "GPLv2",
        summary: "Netfilter's tables",
        ..PLAIN
    },
    Recipe {
        name: "conmon",
        repo: Repo::Module,
        epoch: 3,
        from: &["conmon"],
        take: &["/usr/bin/conmon", "/usr/share/man/man8/*"],
        license: "ASL 2.0",
        summary: "OCI container runtime monitor",
        ..PLAIN
    },
    Recipe {
        name: "netavark",
        repo: Repo::Module,
        epoch: 2,
        from: &["netavark"],
        take: &["/usr/libexec/podman/*", "/usr/share/man/man1/*"],
        license: "ASL 2.0",
        summary: "OCI network stack",
        recommends: &["aardvark-dns"],
        ..PLAIN
    },
    Recipe {
        name: "aardvark-dns",
        repo: Repo::Module,
        epoch: 2,
        from: &["aardvark-dns"],
        take: &["/usr/libexec/podman/*"],
        license: "ASL 2.0",
        summary: "Authoritative DNS server for A/AAAA container records",
        ..PLAIN
    },
    Recipe {
        name: "passt",
        repo: Repo::AppStream,
        from: &["passt"],
        take: &["/usr/bin/passt*", "/usr/bin/pasta*", "/usr/share/man/man1/passt*"],
        license: "GPLv2+ and BSD",
        summary: "User-mode networking daemons for virtual machines and namespaces",
        ..PLAIN
    },
    Recipe {
        name: "catatonit",
        repo: Repo::Module,
        epoch: 5,
        from: &["catatonit"],
        take: &["/usr/bin/catatonit", "/usr/libexec/podman/catatonit"],
        license: "GPLv3+",
        summary: "A signal-forwarding process manager for containers",
        ..PLAIN
    },
    Recipe {
        name: "containers-common",
        repo: Repo::Module,
        epoch: 2,
        from: &["golang-github-containers-common", "golang-github-containers-image"],
        take: &["/etc/containers/*", "/usr/share/containers/*"],
        license: "ASL 2.0",
        summary: "Common configuration and documentation for containers",
        requires: &["(container-selinux >= 2:2.162.1 if selinux-policy)", "oci-runtime"],
        recommends: &["fuse-overlayfs"],
        ..PLAIN
    },
    Recipe {
        name: "podman",
        repo: Repo::Module,
        epoch: 4,
        from: &["podman"],
        take: &[
            "/usr/bin/podman",
            "/usr/libexec/podman/rootlessport",
            "/usr/share/man/man1/podman.1*",
        ],
        license: "ASL 2.0 and BSD and MIT",
        summary: "Manage pods, containers and container images",
        requires: &[
            "(container-selinux if selinux-policy)",
            "catatonit",
            "conmon >= 2:2.1.7-2",
            "containers-common",
            "fuse-overlayfs",
            "iptables",
            "netavark",
            "oci-runtime",
        ],
        ..PLAIN
    },
    Recipe {
        name: "buildah",
        repo: Repo::Module,
        epoch: 2,
        from: &["buildah"],
        take: &["/usr/bin/buildah", "/usr/share/man/man1/buildah.1*"],
        license: "ASL 2.0",
        summary: "A command line tool used for creating OCI images",
        requires: &["containers-common", "shadow-utils-subid"],
        ..PLAIN
    },
    Recipe {
        name: "skopeo",
        repo: Repo::Module,
        epoch: 2,
        from: &["skopeo"],
        take: &["/usr/bin/skopeo", "/usr/share/man/man1/skopeo.1*"],
        license: "ASL 2.0",
        summary: "Inspect container images and repositories on registries",
        requires: &["containers-common"],
        ..PLAIN
    },
    Recipe {
        name: "bubblewrap",
        from: &["bubblewrap"],
        take: &["/usr/bin/bwrap", "/usr/share/man/man1/bwrap*"],
        license: "LGPLv2+",
        summary: "Core execution tool for unprivileged containers",
        ..PLAIN
    },
    Recipe {
        name: "squashfs-tools-ng",
        repo: Repo::Epel,
        from: &["squashfs-tools-ng"],
        take: &["/usr/bin/*", "/usr/share/man/man1/tar2sqfs*"],
        license: "GPLv3+",
        summary: "SquashFS tools of another kind",
        requires: &["squashfs-tools-ng-libs{isa} = {evr}"],
        ..PLAIN
    },
    Recipe {
        name: "squashfs-tools-ng-libs",
        repo: Repo::Epel,
        from: &["libsquashfs1"],
        take: &["/usr/lib64/*"],
        license: "LGPLv3+",
        summary: "Libraries of squashfs-tools-ng",
        ..PLAIN
    },
];
