//! The Apptainer-shaped package: programs compiled from `tests/support/apptainer`, which obey
//! upstream's rules about where things are, in a package laid out as EPEL's.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use elsewhere::stages::model::Arch;

use super::package::{Content, Entry, Role, Spec};
use crate::support::deb::{Debs, Suite, multiarch};
use crate::support::tools::{need, run};

/// The versions that the mirror holds. By text the last would not be the newest; the first is of
/// the time before helpers were bundled.
pub const VERSIONS: [&str; 4] = ["1.2.5", "1.3.6", "1.4.5", "1.4.10"];

/// The newest of [`VERSIONS`].
pub const NEWEST: &str = "1.4.10";

/// The architectures for which the package is built: Debian has cross compilers for all, but two
/// show what there is to show.
pub const ARCHES: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

const CONFIGURATION: &str = "\
# Configuration of the Apptainer-shaped test program.
allow setuid = no
";

const RUN_SINGULARITY: &str = "#!/bin/sh
# Runs an image whose first line names this script.
exec env apptainer run \"$@\"
";

/// The package of `version` for `arch`, compiled below `scratch`.
pub fn spec(debs: &Debs, arch: Arch, version: &str, tag: &str, scratch: &Path) -> Spec {
    let mut requires = vec!["fakeroot".to_owned(), "(fuse3-libs or fuse-libs)".to_owned()];
    if bundled(version).is_empty() {
        requires.extend(["squashfuse", "fuse-overlayfs", "squashfs-tools"].map(str::to_owned));
    }
    let mut spec = Spec {
        name: "apptainer".to_owned(),
        epoch: 0,
        version: version.to_owned(),
        release: format!("1{tag}"),
        arch: arch.as_str().to_owned(),
        summary: "Application and environment virtualization, in shape".to_owned(),
        license: "BSD".to_owned(),
        entries: entries(),
        requires,
        provides: vec!["sif-runtime".to_owned(), format!("singularity = {version}")],
        conflicts: vec!["sif-runtime".to_owned()],
        obsoletes: vec!["singularity < 3.8".to_owned()],
        recommends: vec!["apptainer-suid".to_owned()],
        filtered: Vec::new(),
        post: None,
    };
    for program in ["apptainer", "starter"] {
        let path = if program == "starter" { "/usr/libexec/apptainer/bin" } else { "/usr/bin" };
        let bytes = compile(debs, arch, program, version, scratch);
        spec.entries.push(Entry::file(&format!("{path}/{program}"), 0o755, bytes));
    }
    for (package, program) in bundled(version) {
        let mut file = debs.package(arch, package).root.join("usr/bin").join(program);
        if debs.suite == Suite::Bullseye && *program == "squashfuse_ll" {
            // Debian 11 has only the other of squashfuse's two programs, which takes the same words.
            file.set_file_name("squashfuse");
        }
        let path = format!("/usr/libexec/apptainer/bin/{program}");
        spec.entries.push(Entry::file(&path, 0o755, fs::read(file).unwrap()));
    }
    spec.add_build_ids();
    spec
}

/// The helpers that `version` brings itself, with Debian's packages that hold them.
fn bundled(version: &str) -> &'static [(&'static str, &'static str)] {
    const ALL: &[(&str, &str)] = &[
        ("squashfuse", "squashfuse_ll"),
        ("fuse-overlayfs", "fuse-overlayfs"),
        ("fuse2fs", "fuse2fs"),
        ("squashfs-tools", "mksquashfs"),
        ("squashfs-tools", "unsquashfs"),
    ];
    match version {
        "1.2.5" => &[],
        "1.3.6" => &ALL[..3],
        _ => ALL,
    }
}

/// What is the same for every architecture and version.
fn entries() -> Vec<Entry> {
    let directory = |path| Entry::new(path, 0o755, Content::Directory, Role::Plain);
    let link = |path, target: &str| {
        Entry::new(path, 0o777, Content::Symlink(target.to_owned()), Role::Plain)
    };
    let config =
        |path, text: &str| Entry::new(path, 0o644, Content::File(text.into()), Role::Config);
    let completion = |path| {
        let text = "complete -W 'exec run buildcfg' apptainer singularity\n";
        Entry::new(path, 0o644, Content::HardLink(text.into(), "completion"), Role::Plain)
    };
    vec![
        link("/usr/bin/singularity", "apptainer"),
        Entry::file("/usr/bin/run-singularity", 0o755, RUN_SINGULARITY),
        directory("/etc/apptainer"),
        config("/etc/apptainer/apptainer.conf", CONFIGURATION),
        config("/etc/apptainer/ecl.toml", "activated = false\n"),
        directory("/usr/libexec/apptainer"),
        directory("/usr/libexec/apptainer/bin"),
        directory("/var/lib/apptainer"),
        directory("/var/lib/apptainer/mnt"),
        directory("/var/lib/apptainer/mnt/session"),
        completion("/usr/share/bash-completion/completions/apptainer"),
        completion("/usr/share/bash-completion/completions/singularity"),
        Entry::new("/usr/share/apptainer", 0o555, Content::Directory, Role::Plain),
        Entry::file("/usr/share/apptainer/read-only-directory", 0o444, "0555 above\n"),
        link("/usr/share/apptainer/apptainer.conf", "/etc/apptainer/apptainer.conf"),
        directory("/usr/share/licenses/apptainer"),
        Entry::new(
            "/usr/share/licenses/apptainer/LICENSE.md",
            0o644,
            Content::File("Apache-2.0, as the repository that it is part of.\n".into()),
            Role::License,
        ),
    ]
}

/// Compiles one of the programs, linked with Debian's libseccomp of the architecture; the command with
/// libsubid too, where the suite has it.
fn compile(debs: &Debs, arch: Arch, program: &str, version: &str, scratch: &Path) -> Vec<u8> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/apptainer");
    let library = debs
        .package(arch, "libseccomp2")
        .root
        .join("usr/lib")
        .join(multiarch(arch))
        .join("libseccomp.so.2");
    let output = scratch.join(format!("{program}-{version}-{arch}"));
    let mut compile = Command::new(compiler(arch));
    if debs.suite != Suite::default() {
        // A cross compiler of Debian's has directories of its own, and looks there first.
        let root = sysroot(debs, arch, scratch);
        let (headers, triplet) = (root.join("usr/include"), multiarch(arch));
        compile.arg("--sysroot").arg(&root).arg("-B").arg(root.join("usr/lib").join(triplet));
        compile.arg("-isystem").arg(headers.join(triplet)).arg("-isystem").arg(headers);
    }
    run(compile
        .args(["-O2", "-Wall", "-Wextra", "-fPIE", "-pie", "-Wl,-z,relro,-z,now,--build-id"])
        .arg(format!("-DVERSION=\"{version}\""))
        .arg("-o")
        .arg(&output)
        .arg(format!("{program}.c"))
        .arg(library)
        .args(if program == "apptainer" { subid(debs, arch) } else { Vec::new() })
        .current_dir(sources));
    fs::read(output).unwrap()
}

/// What links with libsubid, none of whose functions is called.
fn subid(debs: &Debs, arch: Arch) -> Vec<String> {
    if debs.suite == Suite::Bullseye {
        return Vec::new();
    }
    let number = if debs.suite == Suite::Trixie { 5 } else { 4 };
    let package = debs.package(arch, &format!("libsubid{number}"));
    let library = package.root.join("usr/lib").join(multiarch(arch));
    let library = library.join(format!("libsubid.so.{number}")).display().to_string();
    // What it needs itself is nobody's business here.
    ["-Wl,--no-as-needed", "-Wl,--unresolved-symbols=ignore-in-shared-libs", &library]
        .map(str::to_owned)
        .to_vec()
}

/// A root directory with the C library of the suite for `arch`, for another compiler than its own.
fn sysroot(debs: &Debs, arch: Arch, scratch: &Path) -> PathBuf {
    let root = scratch.join(format!("sysroot-{arch}"));
    if !root.exists() {
        for name in ["libc6", "libc6-dev", "linux-libc-dev", "libseccomp2"] {
            let package = debs.package(arch, name).root.join(".");
            run(Command::new("cp").arg("-a").arg(package).arg(&root));
        }
        // Newer suites have everything in `/usr`.
        for name in ["lib", "lib64"].into_iter().filter(|name| !root.join(name).exists()) {
            symlink(Path::new("usr").join(name), root.join(name)).unwrap();
        }
        keep_links_inside(&root, &root);
    }
    root
}

/// Makes absolute links below `directory` point to what `root` has there.
fn keep_links_inside(root: &Path, directory: &Path) {
    for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if path.symlink_metadata().unwrap().is_dir() {
            keep_links_inside(root, &path);
        } else if let Ok(target) = fs::read_link(&path)
            && let Ok(inside) = target.strip_prefix("/")
        {
            fs::remove_file(&path).unwrap();
            symlink(root.join(inside), &path).unwrap();
        }
    }
}

/// The C compiler for `arch` on this machine.
fn compiler(arch: Arch) -> PathBuf {
    if arch.as_str() == std::env::consts::ARCH {
        return need("cc", "gcc libc6-dev");
    }
    let package = format!("gcc-{}", multiarch(arch).replace('_', "-"));
    need(&format!("{}-gcc", multiarch(arch)), &package)
}
