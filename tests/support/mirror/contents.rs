//! Which packages a release's mirror holds, with those that must never be chosen: older releases,
//! another module stream, a 32-bit twin, and what every host has.

use std::path::Path;

use elsewhere::stages::model::Arch;

use super::apptainer;
use super::convert;
use super::package::{Entry, Spec};
use super::recipes::recipes;
use super::shape::{Release, Repo};
use crate::support::deb::Debs;

/// Every package of a release for an architecture, with those that must never be chosen.
pub fn all_specs(debs: &Debs, release: Release, arch: Arch, scratch: &Path) -> Vec<(Repo, Spec)> {
    let tag = format!(".{}", release.name());
    let mut specs: Vec<(Repo, Spec)> = Vec::new();
    for recipe in recipes(debs.suite) {
        let in_module = recipe.repo == Repo::Module && release.has_modules();
        let tag = if in_module { MODULE_TAG } else { &tag };
        specs.push((recipe.repo, convert::spec(recipe, debs, arch, tag)));
        if in_module {
            // Another stream's, which is newer by version.
            let mut other = convert::spec(recipe, debs, arch, OTHER_STREAM_TAG);
            other.version = format!("9{}", other.version);
            specs.push((recipe.repo, other));
        }
        if matches!(recipe.name, "zlib" | "squashfs-tools") {
            let mut older = convert::spec(recipe, debs, arch, tag);
            older.release = format!("0{tag}");
            specs.push((recipe.repo, older));
        }
    }
    if apptainer::ARCHES.contains(&arch) {
        for version in apptainer::VERSIONS {
            specs.push((Repo::Epel, apptainer::spec(debs, arch, version, &tag, scratch)));
        }
    }
    specs.push((Repo::BaseOs, alternatives(&tag)));
    if arch == Arch::X86_64 {
        specs.push((Repo::BaseOs, zlib_i686(&specs)));
    }
    specs
}

const MODULE_TAG: &str = ".module_el8.10.0+1948+22ea8a3c";
const OTHER_STREAM_TAG: &str = ".module_el8.9.0+1777+11aa7b2b";

/// The program that scriptlets call, for dnf; a package without an architecture.
fn alternatives(tag: &str) -> Spec {
    let script = "#!/bin/sh\necho 'alternatives: scriptlets do not run here' >&2\nexit 1\n";
    let entries = vec![Entry::file("/usr/sbin/alternatives", 0o755, script)];
    plain_spec("alternatives", "1.19", tag, "noarch", entries)
}

/// The 32-bit twin of zlib: the same version, and another soname's marker.
fn zlib_i686(specs: &[(Repo, Spec)]) -> Spec {
    let (_, zlib) = specs.iter().find(|(_, spec)| spec.name == "zlib").unwrap();
    let entries = vec![Entry::file("/usr/lib/libz.so.1", 0o755, "no 64-bit library\n")];
    let mut twin = plain_spec("zlib", &zlib.version, "", "i686", entries);
    twin.release = zlib.release.clone();
    twin.provides = vec!["libz.so.1".to_owned()];
    twin
}

fn plain_spec(name: &str, version: &str, tag: &str, arch: &str, entries: Vec<Entry>) -> Spec {
    Spec {
        name: name.to_owned(),
        epoch: 0,
        version: version.to_owned(),
        release: format!("1{tag}"),
        arch: arch.to_owned(),
        summary: format!("{name} in shape"),
        license: "ASL 2.0".to_owned(),
        entries,
        requires: Vec::new(),
        provides: Vec::new(),
        conflicts: Vec::new(),
        obsoletes: Vec::new(),
        recommends: Vec::new(),
        filtered: Vec::new(),
        post: None,
    }
}

/// modules.yaml: container-tools with its default stream `rhel8` and a stream `4.0`.
pub fn modules_yaml(arch: Arch, members: &[&(Repo, Spec)]) -> String {
    let mut text = String::new();
    for (stream, tag) in [("rhel8", MODULE_TAG), ("4.0", OTHER_STREAM_TAG)] {
        text.push_str(&format!(
            "---\ndocument: modulemd\nversion: 2\ndata:\n  name: container-tools\n  \
             stream: \"{stream}\"\n  version: 8100020240101000000\n  context: 22ea8a3c\n  \
             arch: {arch}\n  summary: Container tools\n  description: >-\n    Container tools.\n  \
             license:\n    module:\n    - MIT\n  artifacts:\n    rpms:\n"
        ));
        for (_, spec) in members.iter().filter(|(_, spec)| spec.release.ends_with(tag)) {
            let Spec { name, epoch, version, release, arch, .. } = spec;
            text.push_str(&format!("    - {name}-{epoch}:{version}-{release}.{arch}\n"));
        }
        text.push_str("...\n");
    }
    text.push_str(
        "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: container-tools\n  \
         stream: \"rhel8\"\n  profiles:\n    rhel8: [common]\n...\n",
    );
    text
}
