//! Why the kernel refuses user namespaces: its settings, security modules, and containers around us.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// The cause, and what shows it.
pub(super) struct Why {
    pub(super) cause: &'static str,
    pub(super) evidence: String,
}

/// Settings that forbid user namespaces: namespaces(7), Debian's kernels, Ubuntu's.
const SETTINGS: [(&str, &str, &str); 3] = [
    ("user.max_user_namespaces", "0", "namespaces-zero"),
    ("kernel.unprivileged_userns_clone", "0", "namespaces-clone"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "namespaces-apparmor"),
];

/// Why the system below `root` answered `error` to the wish for a user namespace.
pub(super) fn user_namespaces(root: &Path, error: i32) -> Why {
    let why = |cause, evidence: String| Why { cause, evidence };
    if !at(root, "/proc/self").exists() {
        return why("proc-missing", "/proc is not mounted".to_owned());
    }
    if !at(root, "/proc/self/ns/user").exists() {
        return why("namespaces-none", "there is no /proc/self/ns/user".to_owned());
    }
    for (setting, forbidding, cause) in SETTINGS {
        if sysctl(root, setting).as_deref() == Some(forbidding) {
            return why(cause, format!("the setting {setting} is {forbidding}"));
        }
    }
    if [Errno::NOSPC, Errno::USERS].iter().any(|limit| limit.raw_os_error() == error) {
        let limit =
            sysctl(root, "user.max_user_namespaces").unwrap_or_else(|| "unknown".to_owned());
        return why("namespaces-limit", format!("the setting user.max_user_namespaces is {limit}"));
    }
    if error == Errno::INVAL.raw_os_error() {
        return why("namespaces-none", "the kernel does not know them, or they are off".to_owned());
    }
    if has_seccomp_filter(root) {
        return why("namespaces-seccomp", "a seccomp filter is around this process".to_owned());
    }
    if selinux_enforces(root) && error == Errno::ACCESS.raw_os_error() {
        return why("namespaces-selinux", "SELinux is enforcing".to_owned());
    }
    why("namespaces-refused", "no setting says why".to_owned())
}

/// A sentence about the container that this process is in, if it is in one.
pub(super) fn container(root: &Path) -> Option<String> {
    let marks = [
        ("/.dockerenv", "Docker"),
        ("/run/.containerenv", "Podman"),
        ("/.singularity.d", "Apptainer or Singularity"),
        ("/var/run/secrets/kubernetes.io", "Kubernetes"),
    ];
    if let Some((_, name)) = marks.iter().find(|(path, _)| at(root, path).exists()) {
        return Some(format!("inside a container of {name}"));
    }
    let manager = fs::read_to_string(at(root, "/run/systemd/container")).ok()?;
    Some(format!("inside a container of {}", crate::model::escape(manager.trim())))
}

/// The version of the kernel of the system below `root`, major and minor.
pub(super) fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// A kernel setting's value.
pub(super) fn sysctl(root: &Path, name: &str) -> Option<String> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    Some(fs::read_to_string(at(root, &path)).ok()?.trim().to_owned())
}

/// The place of the absolute `path` in the system whose root directory is `root`.
pub(super) fn at(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// proc(5): `Seccomp` is 2 where a filter is in force.
fn has_seccomp_filter(root: &Path) -> bool {
    let status = fs::read_to_string(at(root, "/proc/self/status")).unwrap_or_default();
    let value = |line: &str| line.strip_prefix("Seccomp:").map(|value| value.trim() == "2");
    status.lines().find_map(value).unwrap_or(false)
}

fn selinux_enforces(root: &Path) -> bool {
    let enforce = fs::read_to_string(at(root, "/sys/fs/selinux/enforce"));
    enforce.is_ok_and(|value| value.trim() == "1")
}
