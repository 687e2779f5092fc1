//! A small container image for any architecture: Debian's static busybox.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use elsewhere::stages::model::Arch;

use super::deb::Debs;

/// The commands that the image has.
const APPLETS: [&str; 16] = [
    "sh", "id", "cat", "ls", "echo", "uname", "mkdir", "rm", "umount", "mount", "touch", "true",
    "sleep", "env", "cp", "chroot",
];

/// What the image says that it is.
pub const NAME: &str = "Fake OS for elsewhere's tests";

/// Writes the image's tree into `directory`, which must not exist.
pub fn write(debs: &Debs, arch: Arch, directory: &Path) {
    for name in
        ["bin", "etc", "proc", "dev", "sys", "tmp", "root", "home", "usr", "mnt", ".singularity.d"]
    {
        fs::create_dir_all(directory.join(name)).unwrap();
    }
    fs::copy(debs.busybox(arch), directory.join("bin/busybox")).unwrap();
    for applet in APPLETS {
        symlink("busybox", directory.join("bin").join(applet)).unwrap();
    }
    fs::write(directory.join("etc/os-release"), format!("PRETTY_NAME=\"{NAME}\"\n")).unwrap();
    fs::write(directory.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    fs::write(directory.join("etc/group"), "root:x:0:\n").unwrap();
    for empty in ["hosts", "resolv.conf"] {
        fs::write(directory.join("etc").join(empty), "").unwrap();
    }
    let runscript = directory.join(".singularity.d/runscript");
    fs::write(&runscript, "#!/bin/sh\necho this is the runscript\n").unwrap();
    set_mode(&runscript, 0o755);
    set_mode(&directory.join("tmp"), 0o1777);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
