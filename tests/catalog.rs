//! The definitions that ship: every file of `repos/`, held to the facts that it states and to what
//! the real programs do with it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use elsewhere::stages::catalog::Catalog;
use elsewhere::stages::model::{Arch, Dist, Edit, Repository, Runtime};

fn catalog() -> Catalog {
    Catalog::load(&[]).unwrap()
}

fn urls(repository: &Repository) -> impl Iterator<Item = &String> {
    let keys = repository.keys.iter().flat_map(|key| key.alternates.iter().chain([&key.url]));
    let lists = repository.metalink.iter().chain(&repository.mirrorlist);
    lists.chain(&repository.base).chain(keys)
}

/// File name of a distribution's key → its fingerprint, computed from the keys themselves.
const KEYS: &[(&str, &[&str])] = &[
    ("RPM-GPG-KEY-CernVM-2048", &["FD80468D49B3B24C341741FC8CE0A76C497EA957"]),
    ("RPM-GPG-KEY-EPEL-7", &["91E97D7C4A5E96F17F3E888F6A2FAEA2352C64E5"]),
    ("RPM-GPG-KEY-EPEL-8", &["94E279EB8D8F25B21810ADF121EA45AB2F86D6A1"]),
    ("RPM-GPG-KEY-EPEL-9", &["FF8AD1344597106ECE813B918A3872BF3228467C"]),
    ("RPM-GPG-KEY-EPEL-10", &["7D8D15CBFC4E62688591FB2633D98517E37ED158"]),
    ("RPM-GPG-KEY-CentOS-7", &["6341AB2753D78A78A7C27BB124C6A8A7F4A80EB5"]),
    ("RPM-GPG-KEY-CentOS-7-aarch64", &["EF8F3CA66EFDF32B36CDADF76C7CB6EF305D49D6"]),
    ("RPM-GPG-KEY-CentOS-SIG-AltArch-7-ppc64le", &["BAFA3436FC50768E3C3C2E4EA963BBDBF533F4FA"]),
    ("RPM-GPG-KEY-rockyofficial", &["7051C470A929F454CEBE37B715AF5DAC6D745A60"]),
    ("RPM-GPG-KEY-Rocky-9", &["21CB256AE16FC54C6E652949702D426D350D275D"]),
    ("RPM-GPG-KEY-Rocky-10", &["FC226859C0860BF0DDB95B085B106C736FEDFC85"]),
    (
        "RPM-GPG-KEY-AlmaLinux-8",
        &["5E9B8F5617B5066CE92057C3488FCF7C3ABB34F8", "BC5EDDCADF502C077F1582882AE81E8ACED7258B"],
    ),
    (
        "fedora.gpg",
        &[
            "B0F4950458F69E1150C6C5EDC8AC4916105EF944",
            "C6E7F081CF80E13146676E88829B606631645531",
            "36F612DCF27F7D1A48A835E4DBFCF71C6D9F90A6",
            "4F50A6114CD5C6976A7F1179655A4B02F577861E",
        ],
    ),
];

#[test]
fn every_key_has_the_fingerprint_of_its_file() {
    let catalog = catalog();
    let mut used: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for key in catalog.dists().flat_map(|dist| &dist.repositories).flat_map(|it| &it.keys) {
        let file = key.url.rsplit('/').next().unwrap();
        let (_, fingerprints) = KEYS.iter().find(|(name, _)| *name == file).unwrap();
        assert!(fingerprints.contains(&key.fingerprint.as_str()), "{file} {}", key.fingerprint);
        assert!(key.alternates.iter().all(|url| url.ends_with(&format!("/{file}"))), "{file}");
        used.entry(file).or_default().push(key.fingerprint.as_str());
    }
    for (file, fingerprints) in KEYS {
        let found = used.get(file).unwrap();
        assert!(fingerprints.iter().all(|one| found.contains(one)), "{file}");
    }
}

#[test]
fn a_fedora_has_its_own_key_only() {
    let catalog = catalog();
    let (_, fedora) = KEYS.iter().find(|(name, _)| *name == "fedora.gpg").unwrap();
    for (dist, expected) in ["fc42", "fc43", "fc44", "fc45"].into_iter().zip(*fedora) {
        for repository in &catalog.dist(dist).unwrap().repositories {
            let keys: Vec<_> = repository.keys.iter().map(|key| key.fingerprint.as_str()).collect();
            assert_eq!(keys, [*expected], "{dist}");
        }
    }
}

#[test]
fn every_repository_has_two_sources_over_https() {
    let catalog = catalog();
    for dist in catalog.dists() {
        for repository in &dist.repositories {
            let lists = repository.metalink.iter().chain(&repository.mirrorlist).count();
            let place = format!("{} {}", dist.name, repository.id);
            assert!(lists + repository.base.len() >= 2, "{place}");
            assert!(urls(repository).all(|url| url.starts_with("https://")), "{place}");
            assert!(repository.base.iter().all(|url| url.ends_with('/')), "{place}");
        }
    }
}

#[test]
fn urls_name_the_architecture_by_its_placeholder() {
    let catalog = catalog();
    for dist in catalog.dists() {
        for repository in &dist.repositories {
            let place = format!("{} {}", dist.name, repository.id);
            assert!(repository.base.iter().all(|url| url.contains("/$basearch/")), "{place}");
            let metalink = repository.metalink.iter().all(|url| url.ends_with("&arch=$basearch"));
            assert!(metalink, "{place}");
            let sources = repository.metalink.iter().chain(&repository.mirrorlist);
            for url in sources.chain(&repository.base) {
                let named = Arch::ALL.iter().any(|arch| url.contains(arch.as_str()));
                assert!(!named, "{place}: {url}");
                assert_eq!(url.matches('$').count(), url.matches("$basearch").count(), "{url}");
            }
            assert!(repository.keys.iter().all(|key| !key.url.contains('$')), "{place}");
        }
    }
}

#[test]
fn dists_have_the_architectures_that_exist() {
    let catalog = catalog();
    let ids = |dist: &Dist, arch| -> Vec<String> {
        // Those that some runtimes alone are for have what these have.
        let of_all = dist.repositories_for(arch).filter(|it| it.runtimes.is_empty());
        of_all.map(|repository| repository.id.clone()).collect()
    };
    for dist in catalog.dists() {
        let mut expected: Vec<Vec<String>> = Arch::ALL.map(|arch| ids(dist, arch)).to_vec();
        if dist.name == "el7" {
            // CentOS 7 never had s390x.
            assert!(expected.pop().unwrap().is_empty());
        }
        let first = expected.first().unwrap().clone();
        assert!(!first.is_empty());
        assert!(expected.iter().all(|these| *these == first), "{}: {expected:?}", dist.name);
    }
}

#[test]
fn only_what_is_signed_upstream_is_expected_to_be() {
    let catalog = catalog();
    for dist in catalog.dists() {
        for repository in &dist.repositories {
            let place = format!("{} {} {:?}", dist.name, repository.id, repository.arches);
            let is_epel_or_fedora = repository.id == "epel" || dist.name.starts_with("fc");
            if repository.archive {
                // Nobody makes metalinks of what is old.
                assert!(!repository.signed_metadata && repository.metalink.is_none(), "{place}");
            } else if !repository.runtimes.is_empty() {
                assert!(!repository.signed_metadata && !repository.enabled, "{place}");
                let is_there = |name: &String| catalog.runtime(name).is_ok();
                assert!(repository.runtimes.iter().all(is_there), "{place}");
            } else if is_epel_or_fedora {
                assert!(!repository.signed_metadata, "{place}");
                assert!(repository.metalink.is_some() || dist.name == "el7", "{place}");
            } else if dist.name == "el7" {
                let altarch = !repository.arches.contains(&Arch::X86_64);
                assert_ne!(repository.signed_metadata, altarch, "{place}");
            } else {
                assert!(repository.signed_metadata, "{place}");
            }
        }
    }
}

#[test]
fn dists_state_their_glibc_processor_and_end() {
    let catalog = catalog();
    let fact = |name: &str| {
        let dist = catalog.dist(name).unwrap();
        (dist.glibc.to_string(), dist.x86_64_level, dist.maintained_until.clone())
    };
    assert_eq!(fact("el7"), ("2.17".into(), 1, "2024-06-30".into()));
    assert_eq!(fact("el8"), ("2.28".into(), 1, "2029-05-31".into()));
    assert_eq!(fact("el9"), ("2.34".into(), 2, "2032-05-31".into()));
    assert_eq!(fact("el10"), ("2.39".into(), 3, "2035-05-31".into()));
    let epel10 = catalog.dist("el10").unwrap().repositories.iter().find(|it| it.id == "epel");
    let metalink = epel10.unwrap().metalink.as_deref().unwrap();
    assert!(metalink.contains("repo=epel-z-10&"), "the leading EPEL 10 does not fit Rocky Linux");
    let el8 = catalog.dist("el8").unwrap();
    assert!(el8.repositories.iter().filter(|it| it.id == "appstream").all(|it| it.modular));
}

#[test]
fn names_of_distributions_lead_to_dists() {
    let catalog = catalog();
    let table = [
        ("el8", "el8"),
        ("EL8", "el8"),
        ("fc42", "fc42"),
        ("fedora42", "fc42"),
        ("fedora-43", "fc43"),
        ("debian10", "el8"),
        ("debian11", "el8"),
        ("debian12", "el9"),
        ("debian13", "el10"),
        ("ubuntu18.04", "el7"),
        ("ubuntu20.04", "el8"),
        ("ubuntu22.04", "el9"),
        ("ubuntu2204", "el9"),
        ("Ubuntu-24.04", "el10"),
        ("rocky8.10", "el8"),
        ("rocky9", "el9"),
        ("alma8", "el8"),
        ("almalinux10.1", "el10"),
        ("rhel9.4", "el9"),
        ("centos7", "el7"),
        ("centos-stream9", "el9"),
        ("centos-stream-10", "el10"),
        ("ol8.9", "el8"),
        ("suse12", "el7"),
        ("suse15", "el8"),
        ("sles15", "el8"),
        ("sles15.1", "el7"),
        ("sles15.5", "el8"),
        ("opensuse-leap15.6", "el9"),
        ("opensuse-leap16.0", "el10"),
        ("opensuse-tumbleweed", "el10"),
        ("amzn2", "el7"),
        ("amzn2023", "el9"),
        ("arch", "el10"),
        ("gentoo", "el10"),
        ("linuxmint21.3", "el9"),
        ("ubuntu26.04", "el10"),
        ("debian-sid", "el10"),
        ("fedora46", "el10"),
        ("amzn1", "el7"),
        ("sles16.0", "el10"),
        ("azurelinux3.0", "el9"),
        ("slackware15.0", "el8"),
    ];
    for (typed, expected) in table {
        assert_eq!(catalog.dist(typed).unwrap().name, expected, "{typed}");
    }
    assert!(catalog.is_name_of("Pika-OS 4", "pika-os4"));
    assert!(!catalog.is_name_of("", "") && !catalog.is_name_of("debian12", "debian13"));
}

#[test]
fn unknown_names_are_refused_with_those_that_are_known() {
    let catalog = catalog();
    let error = catalog.dist("plan9").unwrap_err();
    let message = error.to_string();
    assert_eq!(
        message,
        "unknown dist \"plan9\": choose from el7, el8, el9, el10, fc42, fc43, fc44, fc45, or name a \
         distribution such as debian12, ubuntu24.04, rocky9, suse15, amzn2023"
    );
    assert!(error.hint().is_some());
    assert_eq!(catalog.dist("e18").unwrap_err().hint().unwrap(), "did you mean `-d el8`?");
    let alpine = catalog.dist("alpine3.20").unwrap_err().to_string();
    assert_eq!(
        alpine,
        "no dist fits \"alpine3.20\": its C library is musl, and Enterprise Linux's programs need glibc"
    );
    assert!(catalog.dist("centos6").unwrap_err().to_string().contains("older than 2.17"));
    // Who asks for Fedora's packages must not get Enterprise Linux's.
    assert!(catalog.dist("fc37").is_err());

    let error = catalog.runtime("singularty").unwrap_err();
    assert!(error.to_string().contains("there are apptainer, bubblewrap, buildah, "), "{error}");
    let error = catalog.runtime("aptainer").unwrap_err();
    assert_eq!(error.hint().unwrap(), "did you mean `-r apptainer`?");
    let hostile = catalog.runtime("\x1b[31m\n").unwrap_err().to_string();
    assert!(!hostile.contains(['\x1b', '\n']), "{hostile:?}");
}

#[test]
fn runtimes_are_consistent() {
    let catalog = catalog();
    for runtime in catalog.runtimes() {
        assert!(!runtime.title.is_empty() && !runtime.package.is_empty());
        assert!(!runtime.commands.is_empty(), "{}", runtime.name);
        for smoke in &runtime.smoke_tests {
            let texts = smoke
                .arguments
                .iter()
                .map(|text| (text, ["{tmp}", "{tree}", "{sandbox}"].as_slice()));
            for (text, allowed) in texts.chain([(&smoke.expect, ["{version}"].as_slice())]) {
                let known: usize = allowed.iter().map(|name| text.matches(name).count()).sum();
                assert_eq!(text.matches('{').count(), known, "{}: {text}", runtime.name);
            }
        }
        for link in &runtime.links {
            assert_ne!(link.path, link.target, "{}", runtime.name);
        }
    }
}

/// What apptainer's file asks for with a version of apptainer in a dist with this e2fsprogs.
fn extras(runtime: &Runtime, version: &str, e2fsprogs: &str) -> Vec<String> {
    let wanted = runtime.extras.iter().filter(|extra| {
        let in_time = extra.when.as_ref().is_none_or(|bound| bound.contains(version));
        in_time && extra.version.as_ref().is_none_or(|bound| bound.contains(e2fsprogs))
    });
    wanted.map(|extra| extra.package.clone()).collect()
}

#[test]
fn apptainers_helpers_depend_on_its_version() {
    let catalog = catalog();
    let apptainer = catalog.runtime("apptainer").unwrap();
    let now = extras(apptainer, "1.4.5", "1.45.6");
    assert_eq!(now, ["fakeroot", "util-linux", "libgcc", "shadow-utils-subid", "e2fsprogs"]);
    assert!(extras(apptainer, "1.10.0", "1.45.6").iter().all(|name| now.contains(name)));
    let three = extras(apptainer, "1.3.6", "1.46.5");
    assert!(three.contains(&"squashfs-tools".into()) && !three.contains(&"squashfuse".into()));
    let old = extras(apptainer, "1.2.5", "1.45.6");
    for name in ["squashfuse", "fuse-overlayfs", "fuse2fs", "e2fsprogs"] {
        assert!(old.contains(&name.into()), "{name}");
    }
    // EL7's e2fsprogs is too old. It has fuse2fs as a package, and no shadow-utils-subid: both are
    // taken where they are.
    assert!(!extras(apptainer, "1.2.5", "1.42.9").contains(&"e2fsprogs".into()));
    let optional = apptainer.extras.iter().filter(|extra| extra.optional);
    let optional: Vec<_> = optional.map(|extra| extra.package.as_str()).collect();
    assert_eq!(optional, ["shadow-utils-subid", "fuse2fs"]);
}

/// A list of dists would be wrong with each new one.
#[test]
fn no_runtime_of_the_programs_own_names_dists() {
    for runtime in catalog().runtimes() {
        assert!(runtime.extras.iter().all(|extra| extra.dists.is_empty()), "{}", runtime.name);
    }
}

/// Seen with 1.5.3: its test container does not start there, or its fakeroot finds no library.
#[test]
fn characters_that_break_a_runtime_are_named_by_its_file() {
    let catalog = catalog();
    let refused = |name| {
        let unfit = catalog.runtime(name).unwrap().unfit_paths.iter();
        unfit.filter(|unfit| unfit.refused).map(|unfit| unfit.character).collect::<String>()
    };
    assert_eq!(refused("apptainer"), ",;\\[");
    assert_eq!(refused("fakeroot"), ";");
    assert_eq!(refused("crun"), ";");
    assert_eq!(refused("charliecloud"), "");
    assert_eq!((refused("podman").as_str(), refused("buildah").as_str()), (":;", ":;"));
}

/// The text of what podman, buildah and skopeo generate is the same, and no command is two runtimes' but where one
/// says so.
#[test]
fn all_runtimes_can_be_in_one_prefix_but_for_those_that_conflict() {
    let catalog = catalog();
    let conflicting: Vec<_> = catalog.runtimes().filter(|it| !it.conflicts.is_empty()).collect();
    let names: Vec<_> = conflicting.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["singularity-ce"]);
    let rest = |runtime: &&Runtime| !names.contains(&runtime.name.as_str());
    catalog.check_together(&catalog.runtimes().filter(rest).collect::<Vec<_>>()).unwrap();
    for one in conflicting {
        let fits = |other: &&Runtime| !one.conflicts.contains(&other.name);
        catalog.check_together(&catalog.runtimes().filter(fits).collect::<Vec<_>>()).unwrap();
    }
}

#[test]
fn both_runtimes_with_fakeroot_edit_it_alike() {
    let catalog = catalog();
    let edits = |name| catalog.runtime(name).unwrap().edits.clone();
    assert_eq!(edits("apptainer"), edits("fakeroot"));
}

/// Applies a runtime's edits as [`Edit`] defines them.
fn apply(edits: &[Edit], path: &str, text: &str) -> String {
    let mut edited = String::new();
    for line in text.lines() {
        let bare = line.trim_start_matches([' ', '\t']);
        let edit = edits
            .iter()
            .find(|edit| edit.path.as_str() == path && bare.starts_with(&edit.line_starts_with));
        edited.push_str(edit.map_or(line, |edit| &edit.becomes));
        edited.push('\n');
    }
    edited
}

/// A script with the lines of fakeroot's that name places, in the shapes that they have there: it
/// looks for its library in the listed directories, asks its daemon for a key, and tells what it took.
const LIKE_FAKEROOT: &str = "#!/bin/sh
FAKEROOT_PREFIX=/usr
FAKEROOT_BINDIR=/usr/bin
FAKEROOT_LIB=libfakeroot-sysv.so
PATHS=/usr/lib64/libfakeroot:${FAKEROOT_PREFIX}/lib64/libfakeroot:${FAKEROOT_PREFIX}/lib32/libfakeroot
FAKED=${FAKEROOT_BINDIR}/faked-sysv
found=
if [ -n \"$PATHS\" ]
then
    for dir in `echo $PATHS | sed 's/:/ /g'`
    do
\tif test -r \"$dir/$FAKEROOT_LIB\"
\tthen
\t    found=\"$dir/$FAKEROOT_LIB\"
\tfi
    done
fi
test -n \"$found\" || { echo none; exit 1; }
KEY_PID=`eval $FAKED $FAKEDOPTS $PIPEIN`
echo \"$KEY_PID\"
cat \"$found\"
";

/// A tree in a directory with blanks in its name: `bin`, `lib64/libfakeroot`, and apptainer's links.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name).join("a  tree here");
        let _ = fs::remove_dir_all(&root);
        for directory in ["bin", "lib64/libfakeroot", "libexec/apptainer/bin"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        Self(root)
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.0.join(path);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Makes a runtime's links whose targets are there.
    fn link(&self, runtime: &Runtime) {
        for link in &runtime.links {
            let place = self.0.join(link.path.as_path());
            if self.0.join(link.target.as_path()).exists() && place.parent().unwrap().is_dir() {
                symlink(link.path.link_text_to(&link.target), place).unwrap();
            }
        }
    }

    /// The output of `path` in the tree under `shell`, run from `directory`, and whether it succeeded.
    fn run(&self, shell: &str, path: &str, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(shell);
        let output =
            command.arg(self.0.join(path)).args(arguments).current_dir("/").output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// Every way in which the script is reached.
const WAYS: [&str; 4] = [
    "bin/fakeroot-sysv",
    "bin/fakeroot",
    "libexec/apptainer/bin/fakeroot",
    "libexec/apptainer/bin/fakeroot-sysv",
];

#[test]
fn the_edited_fakeroot_finds_its_own_place() {
    let catalog = catalog();
    let runtime = catalog.runtime("apptainer").unwrap();
    let tree = Tree::new("like-fakeroot");
    tree.write("bin/faked-sysv", b"#!/bin/sh\necho \"faked: $0\"\n");
    tree.write("lib64/libfakeroot/libfakeroot-sysv.so", b"the tree's own library");
    let edited = apply(&runtime.edits, "bin/fakeroot-sysv", LIKE_FAKEROOT);
    assert_eq!(apply(&runtime.edits, "bin/fakeroot-sysv", &edited), edited, "not idempotent");
    tree.write("bin/fakeroot-sysv", edited.as_bytes());
    tree.link(runtime);
    let expected = format!("faked: {}/bin/faked-sysv\nthe tree's own library", tree.0.display());
    for way in WAYS {
        assert_eq!(tree.run("sh", way, &[]), (true, expected.clone()), "{way}");
    }
    // The control: without the edits it finds nothing, or the host's.
    tree.write("bin/fakeroot-sysv", LIKE_FAKEROOT.as_bytes());
    assert_ne!(tree.run("sh", "bin/fakeroot-sysv", &[]).1, expected);
}

#[test]
#[ignore = "needs Debian's packages fakeroot, dash, bash and busybox, and hides nothing: run by `make test`"]
fn the_real_fakeroot_runs_from_a_moved_tree() {
    let library = fs::read_dir("/usr/lib")
        .unwrap()
        .map(|entry| entry.unwrap().path().join("libfakeroot/libfakeroot-sysv.so"))
        .find(|path| path.exists())
        .expect("install Debian's package fakeroot");
    let catalog = catalog();
    let runtime = catalog.runtime("apptainer").unwrap();
    let tree = Tree::new("real-fakeroot");
    let script = fs::read_to_string("/usr/bin/fakeroot-sysv").unwrap();
    // Renamed, so that the host's copies cannot be what is found.
    let renamed = |text: &str| {
        text.replace("libfakeroot-sysv.so", "libfakeroot-mine.so")
            .replace("faked-sysv", "faked-mine")
    };
    tree.write("bin/faked-mine", &fs::read("/usr/bin/faked-sysv").unwrap());
    tree.write("lib64/libfakeroot/libfakeroot-mine.so", &fs::read(library).unwrap());
    let edited = apply(&runtime.edits, "bin/fakeroot-sysv", &renamed(&script));
    tree.write("bin/fakeroot-sysv", edited.as_bytes());
    tree.link(runtime);
    let owner = "f=$(mktemp); chown 3:4 \"$f\"; stat -c %u:%g \"$f\"; rm \"$f\"";
    for shell in ["dash", "bash"] {
        for way in WAYS {
            assert_eq!(tree.run(shell, way, &["id", "-u"]), (true, "0".into()), "{shell} {way}");
            assert_eq!(tree.run(shell, way, &["sh", "-c", owner]), (true, "3:4".into()), "{way}");
            assert!(!tree.run(shell, way, &["false"]).0, "{shell} {way} loses the exit status");
        }
    }
    tree.write("bin/fakeroot-sysv", renamed(&script).as_bytes());
    assert!(
        !tree.run("sh", "bin/fakeroot-sysv", &["true"]).0,
        "the control runs without the edits"
    );
}
