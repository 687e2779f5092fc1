//! Goes through a directory, entry by entry.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use super::attributes::Attributes;
use super::content::Needles;
use super::finding::{Lint, LintFinding, LintProfile, LintRule, Severity};
use crate::model::{Checksum, PUBLISHED_NAME, RECEIPT_NAME, SIGNATURE_NAME, VERSION_NAME};
use crate::publish::make::CATALOG;

/// The largest file, in bytes.
const LARGEST: u64 = 1 << 30;

/// The most entries of a catalog, and as many as it is worth its while.
const MOST: u64 = 200_000;
const FEWEST: u64 = 1_000;

/// The longest name, and the longest path from the directory on, in bytes: what the kernel takes of paths is 4095, and
/// the state of a publisher and the mount of a reader come in front.
const LONGEST_NAME: usize = 255;
const LONGEST_PATH: usize = 3072;

/// This program's own names begin as this does, and these are published.
const OWN: &str = RECEIPT_NAME;
const PUBLISHED: [&str; 4] = [RECEIPT_NAME, SIGNATURE_NAME, VERSION_NAME, PUBLISHED_NAME];

/// What goes wrong, and where.
type Failure = (PathBuf, io::Error);

/// One look at a directory.
pub(super) struct Walk<'a> {
    pub(super) profile: LintProfile,
    pub(super) root: &'a Path,
    pub(super) needles: Needles,
    /// The contents that were seen.
    pub(super) known: HashSet<Checksum>,
    pub(super) lint: Lint,
}

impl Walk<'_> {
    /// Looks at all of it.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        let about =
            fs::symlink_metadata(self.root).map_err(|error| (self.root.to_owned(), error))?;
        if !about.is_dir() {
            return Err((self.root.to_owned(), io::ErrorKind::NotADirectory.into()));
        }
        self.lint.entries = 1;
        self.modes(Path::new("."), &about);
        self.attributes(self.root, Path::new("."));
        let root = self.root.to_owned();
        let entries = self.directory(&root, Path::new(""))? + 1;
        if !has_catalog(&root) {
            self.catalog(Path::new("."), entries, false);
        }
        Ok(())
    }

    /// Looks at what is in `directory`, at `place`. Returns how many entries it has that no catalog below counts.
    fn directory(&mut self, directory: &Path, place: &Path) -> Result<u64, Failure> {
        let failed = |error| (directory.to_owned(), error);
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name());
        }
        names.sort();
        let mut folded: BTreeMap<String, &OsStr> = BTreeMap::new();
        let mut entries = 0;
        for name in &names {
            let place = place.join(name);
            self.name(&place, name);
            let lower = name.to_string_lossy().to_lowercase();
            if let Some(other) = folded.insert(lower, name) {
                let problem = format!("differs from {} in case alone", other.to_string_lossy());
                self.find(&place, LintRule::Case, Severity::Noted, problem);
            }
            entries += self.entry(&directory.join(name), &place)?;
        }
        let is_version = names.iter().any(|name| name == VERSION_NAME);
        if has_catalog(directory) {
            let has_all = entries + 1;
            self.catalog(place, has_all, true);
            // It is an entry of the catalog above all the same.
            return Ok(0);
        }
        if is_version {
            let problem = format!("has no {CATALOG}: it is a part of the catalog above");
            self.find(place, LintRule::Catalog, Severity::Noted, problem);
        }
        Ok(entries)
    }

    /// Looks at one entry. Returns how many entries it and what is in it are for the catalog.
    fn entry(&mut self, path: &Path, place: &Path) -> Result<u64, Failure> {
        let failed = |error| (path.to_owned(), error);
        let length = place.as_os_str().len();
        if length > LONGEST_PATH {
            let problem = format!("has a path of {length} bytes: {LONGEST_PATH} are the most");
            self.find(place, LintRule::LongPath, Severity::Refused, problem);
            // What is below it can perhaps not even be named.
            return Ok(1);
        }
        let about = fs::symlink_metadata(path).map_err(failed)?;
        self.lint.entries += 1;
        let kind = about.file_type();
        self.attributes(path, place);
        if kind.is_symlink() {
            let text = fs::read_link(path).map_err(failed)?;
            self.link(place, &text);
            return Ok(1);
        }
        self.modes(place, &about);
        if kind.is_dir() {
            return Ok(1 + self.directory(path, place)?);
        }
        if !kind.is_file() {
            let what = match kind {
                kind if kind.is_fifo() => "a FIFO",
                kind if kind.is_socket() => "a socket",
                _ => "a device",
            };
            self.find(place, LintRule::Special, Severity::Refused, format!("is {what}"));
            return Ok(1);
        }
        self.file(path, place, &about).map_err(failed)?;
        Ok(1)
    }

    fn file(&mut self, path: &Path, place: &Path, about: &Metadata) -> io::Result<()> {
        if about.nlink() > 1 {
            let severity = self.in_images(Severity::Refused, Severity::Noted);
            let problem = format!("has {} names", about.nlink());
            self.find(place, LintRule::HardLink, severity, problem);
        }
        if about.len() > LARGEST {
            let problem = format!("has {} MiB", about.len() >> 20);
            self.find(place, LintRule::LargeFile, Severity::Refused, problem);
        }
        self.lint.files += 1;
        self.lint.bytes += about.len();
        if about.len() > LARGEST {
            return Ok(());
        }
        // What others cannot read is told already, and this user may be one of them.
        let (checksum, size, found) = match self.needles.read(path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            read => read?,
        };
        if self.known.insert(checksum) {
            self.lint.distinct_bytes += size;
        }
        if let Some(found) = found {
            self.builder_path(place, &found);
        }
        Ok(())
    }

    fn link(&mut self, place: &Path, text: &Path) {
        if let Some(found) = self.needles.find(text.as_os_str().as_encoded_bytes()) {
            self.builder_path(place, &found);
        }
        // In an image both lead to where the image is the root.
        if self.profile == LintProfile::Image {
            return;
        }
        if text.is_absolute() {
            let problem = format!("leads to {}", text.display());
            self.find(place, LintRule::AbsoluteLink, Severity::Refused, problem);
        } else if leaves(place, text) {
            let problem = format!("leads out, to {}", text.display());
            self.find(place, LintRule::LinkOutside, Severity::Refused, problem);
        }
    }

    fn modes(&mut self, place: &Path, about: &Metadata) {
        let mode = about.mode();
        let needed = if about.is_dir() || mode & 0o100 != 0 { 0o005 } else { 0o004 };
        if mode & needed != needed {
            // In an image, only root and the publisher may have to.
            let severity = self.in_images(Severity::Refused, Severity::Noted);
            let problem = format!("has mode {:04o}: others cannot use it", mode & 0o7777);
            self.find(place, LintRule::Mode, severity, problem);
        }
        if mode & 0o6000 != 0 {
            let is_inherited = about.is_dir() && mode & 0o4000 == 0;
            let severity = if is_inherited { Severity::Noted } else { Severity::Refused };
            let severity = self.in_images(severity, Severity::Noted);
            let problem = format!("has mode {:04o}", mode & 0o7777);
            self.find(place, LintRule::Setuid, severity, problem);
        }
    }

    fn attributes(&mut self, path: &Path, place: &Path) {
        let Attributes { has_capabilities, names } = Attributes::of(path);
        if has_capabilities {
            let severity = self.in_images(Severity::Refused, Severity::Noted);
            let problem = "has file capabilities".to_owned();
            self.find(place, LintRule::Capability, severity, problem);
        }
        if !names.is_empty() {
            let problem = format!("has {}", names.join(", "));
            self.find(place, LintRule::Attribute, Severity::Noted, problem);
        }
    }

    fn name(&mut self, place: &Path, name: &OsStr) {
        let length = name.len();
        if length > LONGEST_NAME {
            let problem = format!("has a name of {length} bytes: {LONGEST_NAME} are the most");
            self.find(place, LintRule::Name, Severity::Refused, problem);
        }
        let refuse = |walk: &mut Self, problem: &str| {
            walk.find(place, LintRule::Name, Severity::Refused, problem.to_owned());
        };
        match name.to_str() {
            None => refuse(self, "has a name that is not UTF-8"),
            Some(text) if text.chars().any(char::is_control) => {
                refuse(self, "has a line break or another control character in its name");
            }
            Some(".cvmfs" | ".cvmfsbundles") => refuse(self, "has a name that is the server's own"),
            Some(text) if text.starts_with(".cvmfsgraft-") => {
                refuse(self, "has a name that the server takes for a mark, and does not publish");
            }
            Some(text)
                if self.profile == LintProfile::Tree
                    && text.starts_with(OWN.trim_end_matches(".json"))
                    && !PUBLISHED.contains(&text) =>
            {
                let problem = "is what a run works with".to_owned();
                self.find(place, LintRule::Rest, Severity::Refused, problem);
            }
            Some(_) => {}
        }
    }

    fn builder_path(&mut self, place: &Path, found: &str) {
        let severity = self.in_images(Severity::Refused, Severity::Noted);
        self.find(place, LintRule::BuilderPath, severity, format!("names {found}"));
    }

    /// Looks at how many entries a catalog has; `is_own`, where a directory asked for it.
    fn catalog(&mut self, place: &Path, entries: u64, is_own: bool) {
        let marker = self.root.join(place).join(CATALOG);
        if is_own && !fs::symlink_metadata(&marker).is_ok_and(|about| about.is_file()) {
            let problem = "is no regular file".to_owned();
            self.find(&place.join(CATALOG), LintRule::Catalog, Severity::Refused, problem);
        }
        if entries > MOST {
            let problem = format!("has {entries} entries in one catalog: {MOST} are the most");
            self.find(place, LintRule::Catalog, Severity::Refused, problem);
        } else if is_own && entries < FEWEST {
            let problem = format!("has a catalog of its own for {entries} entries");
            self.find(place, LintRule::Catalog, Severity::Noted, problem);
        }
    }

    fn in_images(&self, tree: Severity, image: Severity) -> Severity {
        match self.profile {
            LintProfile::Tree => tree,
            LintProfile::Image => image,
        }
    }

    fn find(&mut self, place: &Path, rule: LintRule, severity: Severity, problem: String) {
        let path = match place.as_os_str().is_empty() {
            true => ".".to_owned(),
            false => place.to_string_lossy().into_owned(),
        };
        self.lint.findings.push(LintFinding { path, rule, severity, problem, help: rule.help() });
    }
}

/// Whether a directory asks for a catalog of its own.
fn has_catalog(directory: &Path) -> bool {
    fs::symlink_metadata(directory.join(CATALOG)).is_ok()
}

/// Whether a relative link with this text at `place` leads out of the directory in which places begin.
fn leaves(place: &Path, text: &Path) -> bool {
    let mut depth = place.components().count().saturating_sub(1);
    for part in text.components() {
        match part {
            Component::ParentDir if depth == 0 => return true,
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a look at nothing finds.
    fn found(look: impl Fn(&mut Walk<'_>)) -> Vec<(LintRule, Severity)> {
        let mut walk = Walk {
            profile: LintProfile::Tree,
            root: Path::new("/nonexistent"),
            needles: Needles::of(Path::new("/nonexistent")),
            known: HashSet::new(),
            lint: Lint::default(),
        };
        look(&mut walk);
        walk.lint.findings.iter().map(|it| (it.rule, it.severity)).collect()
    }

    /// File systems that take longer ones are rare, and tests have none.
    #[test]
    fn a_name_that_is_too_long_is_refused() {
        let of = |length| {
            let name = "n".repeat(length);
            found(|walk| walk.name(Path::new(&name), OsStr::new(&name)))
        };
        assert_eq!(of(LONGEST_NAME + 1), [(LintRule::Name, Severity::Refused)]);
        assert_eq!(of(LONGEST_NAME), []);
    }

    #[test]
    fn a_catalog_of_too_many_entries_is_refused() {
        let of = |entries| found(|walk| walk.catalog(Path::new("."), entries, false));
        assert_eq!(of(MOST + 1), [(LintRule::Catalog, Severity::Refused)]);
        assert_eq!(of(MOST), []);
        assert_eq!(of(1), [], "the directory itself need not be one");
    }

    #[test]
    fn links_may_go_up_as_far_as_the_directory() {
        let leaves = |place: &str, text: &str| leaves(Path::new(place), Path::new(text));
        assert!(!leaves("a/b", "../c"));
        assert!(leaves("a/b", "../../c"));
        assert!(!leaves("current", "1.4.5"));
        assert!(leaves("current", "../1.4.5"));
        assert!(leaves("a/b/c", "x/../../../../y"));
    }
}
