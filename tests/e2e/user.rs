//! What an ordinary user does with a prefix, also where the machine's own libraries are gone and
//! where `LD_LIBRARY_PATH` is full of garbage. Each of those has a control: the same program,
//! unrelocated, fails there.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::installed::{Traveller, install, session};
use crate::support::image;
use crate::support::mirror::apptainer;
use crate::support::session::{Run, is_root, launcher, quoted};

/// Programs that need bundled libraries: the launcher, Debian's package and path of the same
/// program as it was before relocation, and arguments that make it say its version.
const PROGRAMS: [(&str, &str, &str, &str); 5] = [
    ("mksquashfs", "squashfs-tools", "usr/bin/mksquashfs", "-version"),
    ("squashfuse", "squashfuse", "usr/bin/squashfuse", "--help"),
    ("fuse-overlayfs", "fuse-overlayfs", "usr/bin/fuse-overlayfs", "--version"),
    ("ch-run", "charliecloud-runtime", "usr/bin/ch-run", "--version"),
    ("crun", "crun", "usr/bin/crun", "--version"),
];

#[test]
fn an_ordinary_user_mounts_images_and_runs_containers() {
    let traveller = Traveller::new("plain");
    take_every_step(&traveller, &Run::default());
}

#[test]
fn everything_works_where_the_system_has_none_of_the_libraries() {
    let traveller = Traveller::new("hidden");
    let hidden = traveller.session.system_copies(&traveller.prefix);
    assert!(!hidden.is_empty(), "this machine has no copy of any bundled library to hide");
    let how = Run { hidden, ..Run::default() };
    assert_unrelocated_programs_fail(&traveller, &how);
    take_every_step(&traveller, &how);
}

#[test]
fn everything_works_with_a_poisonous_library_path() {
    let traveller = Traveller::new("poison");
    let library_path = Some(traveller.session.poison(&traveller.prefix));
    let how = Run { library_path, ..Run::default() };
    assert_unrelocated_programs_fail(&traveller, &how);
    take_every_step(&traveller, &how);
}

#[test]
fn the_other_architecture_runs_through_the_same_launchers() {
    let traveller = Traveller::new("aarch64");
    let text = traveller.session.aarch64(&crate::installed::mirror().debs, &traveller.prefix);
    assert!(text.contains(&format!("apptainer version {}", apptainer::NEWEST)), "{text}");
    let tree = traveller.prefix.join("aarch64").canonicalize().unwrap();
    let tree = Path::new("/opt").join(tree.strip_prefix(&traveller.prefix).unwrap());
    let libexec = tree.join("libexec/apptainer");
    assert!(text.contains(&format!("LIBEXECDIR={}\n", libexec.display())), "{text}");
    let helper = format!("HELPER squashfuse_ll={}/bin/", libexec.display());
    assert!(text.contains(&helper), "{text}");
    assert!(text.contains(image::NAME), "{text}");
}

#[test]
fn apptainer_finds_its_own_configuration_helpers_and_libraries() {
    let traveller = Traveller::new("buildcfg");
    // So that a library that it finds can only be the tree's.
    let hidden = traveller.session.system_copies(&traveller.prefix);
    let how = Run { hidden, ..Run::default() };
    let tree = traveller.prefix.join("x86_64");
    let tree = tree.canonicalize().unwrap();
    for name in ["apptainer", "singularity"] {
        let command = format!("{} buildcfg", launcher(&traveller.prefix, name));
        let text = traveller.session.script(&how, &command) + "\n";
        let libexec = tree.join("libexec/apptainer");
        assert!(text.contains(&format!("LIBEXECDIR={}\n", libexec.display())), "{text}");
        let helpers =
            ["squashfuse_ll", "fakeroot-sysv", "faked-sysv", "getopt", "mksquashfs", "mkfs.ext3"];
        for helper in helpers {
            let line = format!("HELPER {helper}={}/bin/{helper}\n", libexec.display());
            assert!(text.contains(&line), "{helper}: {text}");
        }
        assert!(text.contains("LIBSUBID=libsubid.so."), "{text}");
    }
    // As `overlay create` calls it, with the libraries of the tree alone.
    let mkfs = tree.join("libexec/apptainer/bin/mkfs.ext3");
    let make = format!(
        "mkdir -p home/overlay/upper && {} -q -d home/overlay home/overlay.img 1M",
        quoted(mkfs.as_os_str())
    );
    traveller.session.script(&how, &make);
    let configuration = tree.join("etc/apptainer/apptainer.conf");
    let previous = fs::read_to_string(&configuration).unwrap();
    fs::write(&configuration, format!("{previous}message = edited here\n")).unwrap();
    traveller.session.make_image(&Run::default(), &traveller.prefix);
    let text = traveller.session.apptainer(&Run::default(), &traveller.prefix);
    assert!(text.contains("edited here"), "{text}");
    let run = format!("{} image.sqsh", launcher(&traveller.prefix, "run-singularity"));
    let text = traveller.session.script(&Run::default(), &run);
    assert_eq!(text, "this is the runscript");
}

#[test]
fn a_prefix_names_no_place_of_its_own_and_grants_nothing() {
    let traveller = Traveller::new("places");
    let home = traveller.home().to_string_lossy().into_owned();
    let trees = ["bin", "x86_64", "aarch64"].map(|name| traveller.prefix.join(name));
    let trees = trees.map(|tree| tree.canonicalize().unwrap());
    let mut files = Vec::new();
    list(&traveller.prefix, &mut files);
    assert!(files.len() > 100, "only {} files", files.len());
    for file in files {
        let about = file.symlink_metadata().unwrap();
        if is_root() {
            assert_ne!(about.uid(), 0, "{} was made by root", file.display());
        }
        if about.is_symlink() {
            let target = fs::read_link(&file).unwrap();
            assert!(target.is_relative(), "{} -> {}", file.display(), target.display());
            continue;
        }
        let mode = about.permissions().mode();
        assert_eq!(mode & 0o6000, 0, "{} is setuid or setgid", file.display());
        // What is the program's own business (locks, staging) may be the owner's alone.
        let for_everyone = trees.iter().any(|tree| file.starts_with(tree));
        let is_readable = mode & 0o444 == 0o444;
        assert!(is_readable || !for_everyone, "{} is not readable for everyone", file.display());
        if about.is_file() {
            let bytes = fs::read(&file).unwrap();
            let found = bytes.windows(home.len()).any(|window| window == home.as_bytes());
            assert!(!found, "{} names {home}", file.display());
        }
    }
}

#[test]
fn versions_are_chosen_by_rpms_order_and_bring_what_they_need() {
    let session = session("versions");
    for (wanted, expected) in [("1.4", apptainer::NEWEST), ("1.4.5", "1.4.5"), ("1.2.5", "1.2.5")] {
        let prefix = session.work.join(format!("prefix-{wanted}"));
        install(&session, &format!("-r apptainer -v {wanted} -a x86_64"), &prefix);
        let apptainer = launcher(&prefix, "apptainer");
        let text = session.script(&Run::default(), &format!("{apptainer} --version"));
        assert_eq!(text, format!("apptainer version {expected}"));
        let text = session.script(&Run::default(), &format!("{apptainer} buildcfg"));
        for helper in ["squashfuse_ll", "fuse-overlayfs", "mksquashfs"] {
            let inside = format!("HELPER {helper}={}", prefix.display());
            assert!(text.contains(&inside), "{wanted}: {text}");
        }
    }
}

/// Packs, mounts, overlays, fakes root, and runs containers by three runtimes.
fn take_every_step(traveller: &Traveller, how: &Run) {
    let Traveller { session, prefix, .. } = traveller;
    let text = session.make_image(how, prefix);
    assert!(text.contains("image.sqsh"), "{text}");
    let text = session.mount_and_overlay(how, prefix);
    assert!(text.contains(image::NAME), "{text}");
    assert_eq!(text.matches("written through the overlay").count(), 2, "{text}");
    assert!(text.ends_with("unmounted"), "{text}");
    let text = session.fakeroot(how, prefix);
    assert_eq!(text, "root: yes\nroot: no");
    for text in
        [session.ch_run(how, prefix), session.crun(how, prefix), session.apptainer(how, prefix)]
    {
        assert!(text.contains(image::NAME), "{text}");
    }
}

/// The control: in the same surroundings, the same programs as Debian ships them cannot start, and
/// the prefix's can. Where they are told of the prefix's libraries, they can: so it is these that they
/// lack, whatever this machine has of its own.
fn assert_unrelocated_programs_fail(traveller: &Traveller, how: &Run) {
    let Traveller { session, prefix, .. } = traveller;
    let library_path = Some(prefix.join(session.arch.as_str()).join("lib64"));
    let told = Run { library_path, ..Run::default() };
    for (name, package, path, argument) in PROGRAMS {
        let original =
            crate::installed::mirror().debs.package(session.arch, package).root.join(path);
        let copy = session.work.join(format!("unrelocated-{name}"));
        fs::copy(original, &copy).unwrap();
        let control = format!("{} {argument}", quoted(copy.as_os_str()));
        assert!(starts(traveller, &told, &control), "{name} does not run at all");
        assert!(
            !starts(traveller, how, &control),
            "{name} runs unrelocated too: nothing is proved"
        );
        let relocated = format!("{} {argument}", launcher(prefix, name));
        assert!(starts(traveller, how, &relocated), "{name} does not start relocated");
    }
}

/// Whether a program gets past the loader, whatever it says of its arguments then.
fn starts(traveller: &Traveller, how: &Run, command: &str) -> bool {
    let output = traveller.session.output(how, command);
    let errors = String::from_utf8_lossy(&output.stderr);
    let refused = errors.contains("error while loading shared libraries");
    assert_eq!(refused, output.status.code() == Some(127), "{command}: {errors}");
    !refused
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let is_directory = path.symlink_metadata().unwrap().is_dir();
        files.push(path.clone());
        if is_directory {
            list(&path, files);
        }
    }
}
