//! Checks on recorded machines, for what cannot be made everywhere.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::namespaces::{Steps, judge};
use super::{
    DistFacts, InstalledFacts, Observation, State, Subject, bound, drivers, machine, network, place,
};
use crate::model::{Ability, Arch, CHECKS, DriverKind, HostFacts, Libc, Remedies};

/// A healthy machine on which these files exist.
fn subject(name: &str, files: &[(&str, &str)]) -> Subject {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/doctor").join(name);
    let _ = fs::remove_dir_all(&root);
    let usual = [("/proc/self/ns/user", ""), ("/proc/sys/kernel/osrelease", "5.14.0-1.el9\n")];
    for (path, text) in usual.iter().chain(files) {
        let path = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let dist = |name: &str, glibc: &str, x86_64_level| DistFacts {
        name: name.to_owned(),
        glibc: glibc.parse().unwrap(),
        x86_64_level,
        is_maintained: true,
    };
    Subject {
        root,
        facts: HostFacts {
            arch: Some(Arch::X86_64),
            machine: "x86_64".to_owned(),
            libc: Libc::Glibc("2.31".parse().unwrap()),
            distribution: "debian11".to_owned(),
            x86_64_level: 2,
        },
        executable: PathBuf::from("/nonexistent"),
        user_id: 1000,
        search_path: Vec::new(),
        prefix: None,
        installed: None,
        dists: vec![dist("el8", "2.28", 1), dist("el9", "2.34", 2), dist("el10", "2.39", 3)],
        temporary_dir: PathBuf::from("/tmp"),
        drivers: Vec::new(),
        cdi_directories: vec![PathBuf::from("/etc/cdi")],
        network_variables: Vec::new(),
    }
}

fn steps(outcomes: &[(&str, Errno)]) -> Steps {
    let names = ["fuse-device", "user", "map", "mounts", "overlay", "fuse", "network"];
    let mut steps: Steps = names.iter().map(|name| ((*name).to_owned(), 0)).collect();
    for (name, error) in outcomes {
        steps.insert((*name).to_owned(), error.raw_os_error());
    }
    steps
}

/// State and cause of a check.
fn found(observations: &[Observation], check: &str) -> (State, &'static str) {
    let found = observations.iter().find(|observation| observation.check == check).unwrap();
    (found.state, found.cause)
}

fn why(name: &str, files: &[(&str, &str)], step: &str, error: Errno) -> &'static str {
    let observations = judge(&subject(name, files), &steps(&[(step, error)]));
    let (state, cause) = found(&observations, "user-namespaces");
    assert_eq!(state, State::Broken);
    cause
}

#[test]
fn refused_namespaces_are_explained_by_settings() {
    let apparmor = ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
    assert_eq!(why("apparmor", &[apparmor], "map", Errno::PERM), "namespaces-apparmor");
    let clone = ("/proc/sys/kernel/unprivileged_userns_clone", "0\n");
    assert_eq!(why("clone", &[clone], "user", Errno::PERM), "namespaces-clone");
    let limit = ("/proc/sys/user/max_user_namespaces", "10\n");
    assert_eq!(why("limit", &[limit], "user", Errno::NOSPC), "namespaces-limit");
    let zero = ("/proc/sys/user/max_user_namespaces", "0\n");
    assert_eq!(why("zero", &[zero], "user", Errno::NOSPC), "namespaces-zero");
    let selinux = ("/sys/fs/selinux/enforce", "1");
    assert_eq!(why("selinux", &[selinux], "user", Errno::ACCESS), "namespaces-selinux");
    let filter = ("/proc/self/status", "Name:\tx\nSeccomp:\t2\n");
    assert_eq!(why("filter", &[filter], "user", Errno::PERM), "namespaces-seccomp");
    assert_eq!(why("old", &[], "user", Errno::INVAL), "namespaces-none");
    assert_eq!(why("chroot", &[], "user", Errno::PERM), "namespaces-refused");
}

#[test]
fn an_old_kernel_has_no_overlay_for_users() {
    let kernel = ("/proc/sys/kernel/osrelease", "4.18.0-80.el8\n");
    let refused = steps(&[("overlay", Errno::PERM)]);
    let observations = judge(&subject("overlay", &[kernel]), &refused);
    assert_eq!(found(&observations, "overlay"), (State::Limited, "overlay-kernel"));
    assert_eq!(found(&observations, "fuse"), (State::Ok, ""));
    let both = steps(&[("overlay", Errno::NODEV), ("fuse", Errno::PERM)]);
    let kernel = ("/proc/sys/kernel/osrelease", "3.10.0-1160.el7\n");
    let observations = judge(&subject("both", &[kernel]), &both);
    assert_eq!(found(&observations, "overlay"), (State::Broken, "overlay-missing"));
    assert_eq!(found(&observations, "fuse"), (State::Broken, "fuse-kernel"));
}

#[test]
fn kernels_before_containers_are_told() {
    let kernel = ("/proc/sys/kernel/osrelease", "2.6.32-754.el6.x86_64\n");
    let observations = machine::kernel(&subject("kernel", &[kernel]));
    assert_eq!(found(&observations, "kernel"), (State::Broken, "kernel-old"));
    let docker = machine::kernel(&subject("docker", &[("/.dockerenv", "")]));
    assert_eq!(found(&docker, "kernel"), (State::Ok, ""));
    assert!(docker[0].evidence.contains("inside a container of Docker"));
}

#[test]
fn a_prefix_on_a_file_server_is_limited() {
    let mounts = ("/proc/self/mountinfo", "21 1 0:26 / / rw,relatime - lustre mds@tcp:/home rw\n");
    let mut subject = subject("lustre", &[mounts]);
    subject.prefix = Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tmp"));
    let observations = place::observe(&subject);
    assert_eq!(found(&observations, "prefix"), (State::Limited, "prefix-network"));
    assert_eq!(observations[0].values["type"], "lustre");
}

#[test]
fn a_child_that_died_leaves_the_rest_unknown() {
    let mut steps = steps(&[]);
    steps.retain(|name, _| ["fuse-device", "user", "map", "mounts"].contains(&name.as_str()));
    let observations = judge(&subject("died", &[]), &steps);
    assert_eq!(found(&observations, "mounts").0, State::Ok);
    assert_eq!(found(&observations, "overlay").0, State::Unknown);
    let nothing = judge(&subject("nothing", &[]), &Steps::new());
    assert!(nothing.iter().all(|observation| observation.state == State::Unknown));
}

#[test]
fn programs_that_are_too_new_are_told_with_the_dist_that_fits() {
    let mut subject = subject("programs", &[]);
    assert_eq!(found(&machine::programs(&subject), "libc"), (State::Ok, ""));
    subject.installed = Some(InstalledFacts {
        tree: PathBuf::from("/tree"),
        arch: Arch::X86_64,
        glibc_needed: "2.39".parse().ok(),
        x86_64_level: 3,
        library_directories: Vec::new(),
        container_facing: Vec::new(),
        distrust: None,
    });
    let observations = machine::programs(&subject);
    assert_eq!(found(&observations, "libc"), (State::Broken, "libc-old"));
    assert_eq!(found(&observations, "processor"), (State::Broken, "processor-old"));
    assert_eq!(observations[0].values["dist"], "el8");
    subject.facts.libc = Libc::Musl;
    assert_eq!(found(&machine::programs(&subject), "libc"), (State::Broken, "libc-musl"));
    subject.facts.libc = Libc::Unknown;
    assert_eq!(found(&machine::programs(&subject), "libc").0, State::Unknown);
}

#[test]
fn the_way_to_the_network_is_looked_at_without_walking_it() {
    let mut subject = subject("network", &[]);
    let seen = |subject: &Subject| found(&network::observe(subject), "network");
    assert_eq!(seen(&subject), (State::Limited, "certificates-missing"));
    subject.network_variables = vec![("SSL_CERT_FILE", "/nonexistent".into())];
    assert_eq!(seen(&subject), (State::Limited, "certificates-variable"));
    let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/network/authority");
    subject.network_variables = vec![("SSL_CERT_DIR", authority.into())];
    assert_eq!(seen(&subject), (State::Ok, ""));
    let shown = network::observe(&subject)[0].evidence.clone();
    assert!(shown.contains("no proxy") && shown.contains("SSL_CERT_DIR"), "{shown}");
    subject.network_variables.push(("all_proxy", "socks5h://ann:s3cret@proxy".into()));
    assert_eq!(seen(&subject), (State::Ok, ""));
    let shown = network::observe(&subject)[0].evidence.clone();
    assert!(shown.contains("socks5h://proxy:1080") && !shown.contains("s3cret"), "{shown}");
    subject.network_variables.push(("https_proxy", "ftp://proxy".into()));
    assert_eq!(seen(&subject), (State::Limited, "proxy-malformed"));
}

#[test]
fn files_that_are_bound_into_containers_are_looked_for() {
    let bare = bound::observe(&subject("bound", &[]));
    assert_eq!(found(&bare, "hosts"), (State::Limited, "hosts-missing"));
    assert_eq!(found(&bare, "localtime"), (State::Limited, "localtime-missing"));
    assert_eq!(found(&bare, "resolv-conf"), (State::Limited, "resolv-missing"));
    let files = [("/etc/hosts", ""), ("/etc/localtime", ""), ("/etc/resolv.conf", "")];
    let whole = bound::observe(&subject("bound-whole", &files));
    assert!(whole.iter().all(|observation| observation.state == State::Ok));
}

#[test]
fn hardware_and_programs_that_an_ability_needs_are_looked_for() {
    let ability = Ability {
        does: "compute".to_owned(),
        needs: Vec::new(),
        wants: Vec::new(),
        otherwise: String::new(),
        needs_files: vec!["/dev/one".to_owned(), "/dev/two".to_owned()],
        needs_commands: vec!["mkfs".to_owned()],
    };
    let mut subject = subject("lacks", &[]);
    // A tree that is not there yet may bring the program.
    assert_eq!(subject.lacks(&ability), ["no /dev/one or /dev/two"]);
    let installed = |tree| InstalledFacts {
        tree,
        arch: Arch::X86_64,
        glibc_needed: None,
        x86_64_level: 1,
        container_facing: Vec::new(),
        distrust: None,
        library_directories: Vec::new(),
    };
    subject.installed = Some(installed(PathBuf::from("/tree")));
    assert_eq!(subject.lacks(&ability), ["no /dev/one or /dev/two", "no program mkfs"]);
    for place in ["/tree/sbin/mkfs", "/usr/sbin/mkfs"] {
        let files = [("/dev/two", ""), (place, "")];
        let mut subject = self::subject("has", &files);
        subject.installed = Some(installed(subject.root.join("tree")));
        assert_eq!(subject.lacks(&ability), [""; 0], "{place}");
    }
}

/// What there is of a made-up kind of hardware, as far as an empty file can be it.
#[test]
fn devices_without_drivers_and_odd_specifications_are_told() {
    let kind = DriverKind {
        name: "toy".to_owned(),
        title: "Toy".to_owned(),
        devices: vec!["/dev/toy*".to_owned()],
        libraries: vec!["libtoy.so.*".to_owned()],
        sockets: Vec::new(),
    };
    let seen = |name: &str, files: &[(&str, &str)]| {
        let mut subject = subject(name, files);
        subject.drivers = vec![kind.clone()];
        let found = drivers::observe(&subject);
        (found[0].state, found[0].cause, found[0].evidence.clone())
    };
    let none = seen("drivers-none", &[]);
    assert_eq!(none, (State::Ok, "", "no Toy device; no CDI specification in /etc/cdi".to_owned()));
    let device = ("/dev/toy0", "");
    let (state, cause, evidence) = seen("drivers-device", &[device]);
    assert_eq!((state, cause), (State::Limited, "drivers-missing"), "{evidence}");
    assert!(evidence.starts_with("Toy: /dev/toy0, no library of its driver"), "{evidence}");
    let good = r#"{"cdiVersion":"0.6.0","kind":"toy.example/toy","devices":[{"name":"0"},{"name":"all"}]}"#;
    let (state, _, evidence) = seen("drivers-cdi", &[("/etc/cdi/toy.json", good)]);
    assert_eq!(state, State::Ok);
    assert!(evidence.ends_with("CDI: toy.example/toy=0, toy.example/toy=all"), "{evidence}");
    let (state, cause, evidence) = seen(
        "drivers-odd",
        &[("/etc/cdi/toy.json", good), ("/etc/cdi/odd.yaml", "kind: toy/toy\n")],
    );
    assert_eq!((state, cause), (State::Limited, "drivers-specification"), "{evidence}");
    assert!(
        evidence.contains("odd.yaml: line 1: the specification has no cdiVersion"),
        "{evidence}"
    );
}

/// Definitions name checks, and those that are misspelt are refused by this list.
#[test]
fn definitions_may_name_every_check() {
    let names: Vec<&str> =
        super::CHECKS.iter().flat_map(|(names, _)| names.iter().copied()).collect();
    assert_eq!(names, CHECKS);
}

/// A cause without a remedy would say nothing, and a remedy without a cause is never read.
#[test]
fn causes_and_remedies_are_the_same() {
    let sources = [
        include_str!("account.rs"),
        include_str!("bound.rs"),
        include_str!("drivers.rs"),
        include_str!("explain.rs"),
        include_str!("machine.rs"),
        include_str!("namespaces.rs"),
        include_str!("network.rs"),
        include_str!("place.rs"),
        include_str!("tree.rs"),
    ];
    let kinds = [
        "namespaces-",
        "mounts-",
        "overlay-",
        "fuse-",
        "id-",
        "prefix-",
        "temporary-",
        "kernel-",
        "libc-",
        "processor-",
        "limits-",
        "decoding-",
        "certificates-",
        "proxy-",
        "identity-",
        "hosts-",
        "localtime-",
        "resolv-",
        "fakeroot-",
        "proc-",
        "drivers-",
    ];
    let others = ["id-maps", "fuse-device", "resolv-conf"];
    let quoted = sources.iter().flat_map(|source| source.split('"').skip(1).step_by(2));
    let is_cause = |text: &&str| {
        kinds.iter().any(|kind| text.starts_with(kind))
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            && !others.contains(text)
    };
    let mut causes: Vec<&str> = quoted.filter(is_cause).collect();
    causes.sort_unstable();
    causes.dedup();
    let remedies: Remedies = toml::from_str(include_str!("../../repos/doctor.toml")).unwrap();
    let mut known: Vec<&str> = remedies.remedies.iter().map(|remedy| &*remedy.cause).collect();
    known.sort_unstable();
    known.dedup();
    assert_eq!(causes, known);
}
