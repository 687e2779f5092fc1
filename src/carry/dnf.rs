//! Repositories for dnf, of just the packages that a mirror has: their lists say what the packages themselves
//! do, and lie apart from the distributor's, which nobody could sign anew. The same packages give the same
//! bytes: no time is in them but the revision, which is the newest of the metadata that they came by.

use std::fmt::Write;

use quick_xml::escape::escape;

use super::proving::ProvenPackage;
use crate::model::{Arch, Checksum, Comparison, Evr};
use crate::trust::{LocalPackage, LocalRelation};

/// The directory of these repositories in a mirror.
pub(super) const DNF: &str = "dnf";

/// A repository that is being listed.
#[derive(Debug)]
pub(super) struct Listing {
    /// When the packages' own metadata were made, in seconds since 1970.
    revision: u64,
    /// Entries, each with the path of its file in the mirror.
    entries: Vec<(String, String)>,
}

/// Where the repository of a dist lies in a mirror.
pub(super) fn directory(dist: &str, arch: Arch) -> String {
    format!("{DNF}/{dist}/{arch}")
}

impl Listing {
    /// An empty list.
    pub(super) fn new(revision: u64) -> Self {
        Self { revision, entries: Vec::new() }
    }

    /// Adds the package at `path` in the mirror.
    pub(super) fn add(&mut self, path: &str, package: &ProvenPackage) {
        self.entries.push((path.to_owned(), entry(path, &package.said)));
    }

    /// Its files, by their paths in the repository.
    pub(super) fn files(mut self) -> [(String, Vec<u8>); 2] {
        self.entries.sort();
        let mut primary = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metadata xmlns=\"http://linux.duke.edu/metadata/common\" \
             xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"{}\">\n",
            self.entries.len()
        );
        self.entries.iter().for_each(|(_, entry)| primary.push_str(entry));
        primary.push_str("</metadata>\n");
        let digest = Checksum::of(primary.as_bytes());
        let name = format!("repodata/{}-primary.xml", digest.hex());
        let repomd = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\">\n\
             <revision>{}</revision>\n<data type=\"primary\">\n<checksum type=\"sha256\">{}</checksum>\n\
             <location href=\"{name}\"/>\n<timestamp>{}</timestamp>\n<size>{}</size>\n</data>\n</repomd>\n",
            self.revision,
            digest.hex(),
            self.revision,
            primary.len()
        );
        [(name, primary.into_bytes()), ("repodata/repomd.xml".to_owned(), repomd.into_bytes())]
    }
}

fn entry(path: &str, package: &LocalPackage) -> String {
    let LocalPackage {
        nevra, size, checksum, installed_size, summary, license, source_rpm, ..
    } = package;
    // From the repository's own directory.
    let up = "../".repeat(directory("-", Arch::X86_64).split('/').count());
    let mut text = format!(
        "<package type=\"rpm\">\n<name>{}</name>\n<arch>{}</arch>\n<version {}/>\n\
         <checksum type=\"sha256\" pkgid=\"YES\">{}</checksum>\n<summary>{}</summary>\n\
         <description/>\n<packager/>\n<url/>\n<time file=\"0\" build=\"0\"/>\n\
         <size package=\"{size}\" installed=\"{installed_size}\" archive=\"0\"/>\n\
         <location href=\"{up}{}\"/>\n<format>\n<rpm:license>{}</rpm:license>\n\
         <rpm:sourcerpm>{}</rpm:sourcerpm>\n",
        shown(&nevra.name),
        shown(&nevra.arch),
        version(&nevra.evr),
        checksum.hex(),
        shown(summary),
        shown(path),
        shown(license),
        shown(source_rpm),
    );
    let [recommends, suggests, supplements, enhances] = &package.weak;
    relations(&mut text, "provides", &[(&package.provides, "")]);
    let needed_first = (&package.scriptlets_require, " pre=\"1\"");
    relations(&mut text, "requires", &[(&package.requires, ""), needed_first]);
    for (kind, list) in [
        ("conflicts", &package.conflicts),
        ("obsoletes", &package.obsoletes),
        ("recommends", recommends),
        ("suggests", suggests),
        ("supplements", supplements),
        ("enhances", enhances),
    ] {
        relations(&mut text, kind, &[(list, "")]);
    }
    for file in &package.files {
        let _ = writeln!(text, "<file>{}</file>", shown(file));
    }
    text.push_str("</format>\n</package>\n");
    text
}

/// The relations of one kind, of each list with what its entries have besides.
fn relations(text: &mut String, kind: &str, lists: &[(&Vec<LocalRelation>, &str)]) {
    if lists.iter().all(|(list, _)| list.is_empty()) {
        return;
    }
    let _ = writeln!(text, "<rpm:{kind}>");
    for (list, more) in lists {
        for LocalRelation { name, comparison, evr } in *list {
            let flags = match comparison {
                Comparison::Less => "LT",
                Comparison::LessOrEqual => "LE",
                Comparison::Equal => "EQ",
                Comparison::GreaterOrEqual => "GE",
                Comparison::Greater => "GT",
                Comparison::Any | Comparison::NotEqual | Comparison::Unknown => "",
            };
            let bound = evr
                .as_ref()
                .filter(|_| !flags.is_empty())
                .map(|evr| format!(" flags=\"{flags}\" {}", version(&Evr::parse(evr))));
            let bound = bound.unwrap_or_default();
            let _ = writeln!(text, "<rpm:entry name=\"{}\"{bound}{more}/>", shown(name));
        }
    }
    let _ = writeln!(text, "</rpm:{kind}>");
}

/// The attributes of a version.
fn version(evr: &Evr) -> String {
    let release = match evr.release.as_str() {
        "" => String::new(),
        release => format!(" rel=\"{}\"", shown(release)),
    };
    format!("epoch=\"{}\" ver=\"{}\"{release}", evr.epoch, shown(&evr.version))
}

/// A text within XML, without what XML cannot hold.
fn shown(text: &str) -> String {
    escape(text.replace(|c: char| c.is_control(), " ")).into_owned()
}
