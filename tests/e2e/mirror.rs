//! Whether the mirrors are what the world's tools take them for: RPM, createrepo_c and dnf judge.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use elsewhere::stages::model::{Arch, Dist, GlibcVersion, Runtime};

use crate::installed::mirror;
use crate::support::judges::{createrepo_agrees, rpm_accepts};
use crate::support::mirror::{Mirror, Options, Release, Vendor, directory};
use crate::support::tools::{need, run, stdout};

/// A directory below the mirror's that is emptied first.
fn scratch(name: &str) -> PathBuf {
    let path = directory().with_file_name(format!("scratch-{name}"));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Every directory below `directory` that holds a repository.
fn repositories(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true if entry.join("repodata/repomd.xml").exists() => found.push(entry),
            true => found.extend(repositories(&entry)),
            false => {}
        }
    }
    found
}

#[test]
fn createrepo_c_agrees_with_the_metadata() {
    for (number, root) in repositories(&mirror().root).iter().enumerate() {
        let output = scratch(&format!("createrepo-{number}"));
        createrepo_agrees(root, &output);
        fs::remove_dir_all(output).unwrap();
    }
}

#[test]
fn rpm_accepts_every_signature_and_digest() {
    let root = &mirror().root;
    let keys = [
        "dl.rockylinux.org/pub/rocky/RPM-GPG-KEY-rockyofficial",
        "dl.fedoraproject.org/pub/epel/RPM-GPG-KEY-EPEL-8",
    ];
    let packages = packages(root);
    assert!(packages.len() > 80, "only {} packages", packages.len());
    rpm_accepts(&keys.map(|key| root.join(key)), &packages, &scratch("rpmdb"));
}

fn packages(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(packages(&entry));
        } else if entry.extension().is_some_and(|kind| kind == "rpm") {
            found.push(entry);
        }
    }
    found
}

#[test]
fn gpg_accepts_the_signed_metadata() {
    let gpg = need("gpg", "gnupg");
    let home = scratch("gpg");
    let key = mirror().root.join("dl.rockylinux.org/pub/rocky/RPM-GPG-KEY-rockyofficial");
    let run_gpg = |arguments: &[&Path]| {
        run(Command::new(&gpg).arg("--homedir").arg(&home).arg("--batch").args(arguments));
    };
    run_gpg(&[Path::new("--import"), &key]);
    let mut signed = 0;
    for root in repositories(&mirror().root) {
        let signature = root.join("repodata/repomd.xml.asc");
        if signature.exists() {
            run_gpg(&[Path::new("--verify"), &signature, &root.join("repodata/repomd.xml")]);
            signed += 1;
        }
    }
    assert_eq!(signed, 4, "BaseOS and AppStream of two architectures");
}

#[test]
fn the_program_reads_the_definitions() {
    let read = |name| fs::read_to_string(mirror().repos.join(name)).unwrap();
    let dist: Dist = toml::from_str(&read("dists/el8.toml")).unwrap();
    let arm: Vec<_> = dist.repositories_for(Arch::Aarch64).map(|it| it.id.as_str()).collect();
    assert_eq!(arm, ["baseos", "appstream", "epel"]);
    assert_eq!(dist.glibc, GlibcVersion { major: 2, minor: 28 });
    let epel = &dist.repositories.last().unwrap().keys[0];
    assert_eq!(epel.fingerprint, Vendor::Epel.key().fingerprint());
    assert!(mirror().file(&epel.url).exists());
    let runtime: Runtime = toml::from_str(&read("runtimes/image-tools.toml")).unwrap();
    assert_eq!(runtime.package, "squashfuse");
}

#[test]
fn dnf_resolves_every_runtime() {
    let text =
        dnf(mirror(), "8", Arch::Aarch64, &["apptainer", "charliecloud", "crun", "squashfuse"]);
    for line in ["apptainer aarch64 1.4.10-1.el8", "fakeroot-libs aarch64 1.31-1.el8"] {
        assert!(text.contains(line), "{text}");
    }
    // The default stream of the module, whatever version another stream has.
    assert!(text.contains("crun aarch64 1.8.1-1.module_el8"), "{text}");
    assert!(text.contains("container-tools rhel8"), "{text}");
}

/// What dnf would install into an empty root, with single blanks.
fn dnf(mirror: &Mirror, release: &str, arch: Arch, wanted: &[&str]) -> String {
    let program = need("dnf", "dnf");
    let root = scratch(&format!("dnf-{release}-{arch}"));
    let mut configuration = format!("[main]\nreposdir={0}\ncachedir={0}/cache\n", root.display());
    configuration.push_str(&format!("module_platform_id=platform:el{release}\n"));
    for (number, place) in repositories(&mirror.root).iter().enumerate() {
        let text = place.to_string_lossy();
        if text.contains(&format!("/{arch}")) && text.contains(&format!("/{release}/")) {
            configuration
                .push_str(&format!("[r{number}]\nname=r{number}\nbaseurl=file://{text}\n"));
        }
    }
    let file = root.join("dnf.conf");
    fs::write(&file, configuration).unwrap();
    let output = Command::new(program)
        .arg("-c")
        .arg(&file)
        .arg(format!("--installroot={}", root.join("root").display()))
        .args([&format!("--releasever={release}"), &format!("--forcearch={arch}")])
        .args(["--setopt=install_weak_deps=False", "--nogpgcheck", "--assumeno", "install"])
        .args(wanted)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("Dependencies resolved."), "{text}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn other_releases_and_architectures_have_their_own_shape() {
    let options = Options {
        releases: vec![Release::El8, Release::El9, Release::El10],
        arches: vec![Arch::X86_64, Arch::S390x],
        ..Options::default()
    };
    let mirror = Mirror::build(&directory().with_file_name("shapes"), &options);
    let rpm = need("rpm", "rpm");
    for (place, compressor) in [
        ("dl.rockylinux.org/pub/rocky/8/BaseOS/x86_64/os", "xz"),
        ("dl.rockylinux.org/pub/rocky/9/BaseOS/s390x/os", "zstd"),
        ("dl.fedoraproject.org/pub/epel/10/Everything/x86_64", "zstd"),
        ("repo.almalinux.org/almalinux/8/BaseOS/s390x/os", "xz"),
    ] {
        for package in packages(&mirror.root.join(place)) {
            let query = ["-qp", "--nosignature", "--qf", "%{PAYLOADCOMPRESSOR}"];
            let found = stdout(Command::new(&rpm).args(query).arg(&package));
            assert_eq!(found, compressor, "{}", package.display());
        }
    }
    dnf(&mirror, "9", Arch::S390x, &["charliecloud", "crun", "fakeroot"]);
    let definitions = fs::read_to_string(mirror.repos.join("dists/el8.toml")).unwrap();
    assert!(definitions.contains(Vendor::Alma.key().fingerprint().as_str()), "{definitions}");
    assert!(definitions.contains("metalink?repo=epel-8&arch=$basearch"), "{definitions}");
}

#[test]
fn the_same_mirror_has_the_same_bytes() {
    let options = Options { arches: vec![Arch::X86_64], ..Options::default() };
    let digests = ["first", "second"].map(|name| {
        let place = scratch("same").with_file_name(format!("same-{name}"));
        let _ = fs::remove_dir_all(&place);
        let mirror = Mirror::build(&place, &options);
        let digests: Vec<_> = repositories(&mirror.root)
            .iter()
            .flat_map(|root| {
                ["repomd.xml", "repomd.xml.asc"].map(|name| root.join("repodata").join(name))
            })
            .filter_map(|file| fs::read(file).ok())
            .map(|bytes| elsewhere::stages::model::Checksum::of(&bytes))
            .collect();
        fs::remove_dir_all(place).unwrap();
        digests
    });
    assert_eq!(digests[0], digests[1]);
}
