//! `primary.xml`: a repository's packages, streamed into an [`Index`].

use std::io::{BufReader, Read};

use super::RepodataError;
use super::budget::Budget;
use super::decode::{Measured, decompressed, newlines};
use super::entry::{Entry, write_evr};
use super::error::{brief, quote};
use super::repomd::RepomdRecord;
use super::values::{Proven, location_of, number, stronger};
use super::xml::{Element, Xml};
use crate::decoding::Decoder;
use crate::model::{
    Arch, Checksum, Comparison, Evr, EvrRef, Index, NameHash, Package, PackageLocation, Provide,
    Relation, SetAside, Weak,
};

/// Most bytes that a `primary.xml` may unpack to, whatever is declared. The largest real one has
/// 110 million.
const LARGEST: u64 = 512 << 20;
/// Packages that are set aside with the line that says why. To find a line takes time.
const LINES: usize = 1000;

/// Which packages of a repository are wanted.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The tree's architecture.
    pub arch: Arch,
    /// Position of the repository in [`Index::repositories`].
    pub repository: u16,
    /// When not empty, only packages of these names.
    pub only: &'a [String],
    /// Whether a file may be fetched from the URL that a package names as its own.
    pub may_fetch: &'a dyn Fn(&str) -> bool,
}

/// The document, with the measure of what was unpacked.
type Document<'r> = Xml<BufReader<Measured<&'r mut dyn Read>>>;

/// Reads `primary.xml` (plain, or packed by gzip, xz, zstd or bzip2, which `decoder` decodes) and adds the packages within
/// `scope` to `index`; those whose entry cannot be used are set aside there. What it unpacks to is
/// held against `record`; what is held of it is bounded by its own size, packed as it is.
///
/// # Errors
/// When it is no such document, or too much would have to be held. `index` then holds a part of the packages and is of no use.
pub fn parse(
    decoder: &mut Decoder,
    reader: impl Read + Send,
    record: &RepomdRecord,
    scope: &Scope<'_>,
    index: &mut Index,
) -> Result<(), RepodataError> {
    let mut draft = Draft { held: Held::new(index), ..Draft::default() };
    let reader = BufReader::with_capacity(64 * 1024, draft.held.budget.weigh(reader));
    decompressed(decoder, reader, |open| read_all(open, record, scope, &mut draft, index))
}

/// Reads all packages of the decompressed document.
fn read_all(
    open: &mut dyn Read,
    record: &RepomdRecord,
    scope: &Scope<'_>,
    draft: &mut Draft,
    index: &mut Index,
) -> Result<(), RepodataError> {
    let limit = record.open_size.unwrap_or(LARGEST).min(LARGEST);
    let open = Measured::new(open, limit, record.open_checksum.as_ref());
    let mut xml = Xml::open(BufReader::with_capacity(64 * 1024, open), "metadata")?;
    while let Some(element) = xml.child()? {
        if element.name() != "package" {
            xml.skip()?;
            continue;
        }
        draft.clear();
        draft.read(&mut xml, scope, index)?;
        if draft.is_outside(scope) {
            continue;
        }
        match draft.finish(scope, index) {
            Ok(package) => {
                draft.held.finished += package.weight();
                index.packages.push(package);
            }
            Err(why) => {
                let is_told = index.set_aside.len() < LINES;
                let line = is_told.then(|| line(&xml));
                let package = draft.set_aside(why, line, scope);
                draft.held.finished += package.weight();
                index.set_aside.push(package);
            }
        }
        draft.held.check(0, index)?;
    }
    let got = xml.finish()?.into_inner().digest();
    match (&record.open_checksum, got) {
        (Some(expected), Some(got)) if got != *expected => {
            Err(RepodataError::OpenDigest { expected: expected.clone(), got })
        }
        _ => Ok(()),
    }
}

/// The line, from 1, that was read up to.
fn line(xml: &Document<'_>) -> usize {
    let source = xml.source();
    1 + source.get_ref().lines().saturating_sub(newlines(source.buffer()))
}

/// What is held of the document.
#[derive(Default)]
struct Held {
    budget: Budget,
    /// Bytes of the packages that were read, and of those that were set aside.
    finished: usize,
    /// Bytes of the strings that were there before.
    others: usize,
}

impl Held {
    /// Nothing, beside what is in `index`.
    fn new(index: &Index) -> Self {
        Self { others: index.strings.weight(), ..Self::default() }
    }

    /// Refuses to hold more than may be, where the package that is being read takes `more` bytes.
    fn check(&self, more: usize, index: &Index) -> Result<(), RepodataError> {
        let strings = index.strings.weight().saturating_sub(self.others);
        self.budget.check(self.finished + strings + more)
    }
}

/// A package as it is being read. Used again for each, so that its buffers are allocated once.
#[derive(Default)]
struct Draft {
    name: Option<String>,
    arch: Option<String>,
    /// `[EPOCH:]VERSION[-RELEASE]`
    evr: String,
    checksum: Option<Proven>,
    location: Option<String>,
    /// Bytes of the package file, and of its files when installed; 0 where it does not say.
    size: (u64, u64),
    /// Whether the package seemed to be out of scope, so that its dependencies were passed over.
    is_partial: bool,
    requires: Vec<Relation>,
    provides: Vec<Provide>,
    conflicts: Vec<Relation>,
    obsoletes: Vec<Relation>,
    weak: [Vec<Relation>; 4],
    files: Vec<NameHash>,
    entry: Entry,
    text: String,
    held: Held,
}

impl Draft {
    fn clear(&mut self) {
        (self.name, self.arch) = (None, None);
        self.evr.clear();
        (self.checksum, self.location, self.size) = (None, None, (0, 0));
        self.is_partial = false;
        let strong = [&mut self.requires, &mut self.conflicts, &mut self.obsoletes];
        for relations in strong.into_iter().chain(&mut self.weak) {
            relations.clear();
        }
        self.provides.clear();
        self.files.clear();
    }

    /// Refuses to hold more than may be.
    fn check(&self, index: &Index) -> Result<(), RepodataError> {
        let strong = [&self.requires, &self.conflicts, &self.obsoletes];
        let relations: usize = strong.into_iter().chain(&self.weak).map(Vec::len).sum();
        let bytes = relations * size_of::<Relation>()
            + self.provides.len() * size_of::<Provide>()
            + self.files.len() * size_of::<NameHash>();
        // They are copied in the end.
        self.held.check(2 * bytes, index)
    }

    /// Whether the package is of no interest, as far as it was read.
    fn is_outside(&self, scope: &Scope<'_>) -> bool {
        let is_other = |name: &String| !scope.only.is_empty() && !scope.only.contains(name);
        self.name.as_ref().is_some_and(is_other)
            || self.arch.as_ref().is_some_and(|arch| !scope.arch.accepts(arch))
    }

    /// Reads the content of `<package>`. Of an element that stands there twice the last one counts,
    /// as for libsolv.
    fn read(
        &mut self,
        xml: &mut Document<'_>,
        scope: &Scope<'_>,
        index: &mut Index,
    ) -> Result<(), RepodataError> {
        while let Some(element) = xml.child()? {
            match element.name() {
                "name" => xml.text(self.name.get_or_insert_default())?,
                "arch" => xml.text(self.arch.get_or_insert_default())?,
                _ if self.is_outside(scope) => {
                    self.is_partial = true;
                    xml.skip()?;
                }
                "version" => {
                    self.read_evr(&element)?;
                    xml.skip()?;
                }
                "checksum" => {
                    let algorithm = element.attribute("type")?.unwrap_or_default();
                    xml.text(&mut self.text)?;
                    let checksum = Checksum::new(&algorithm, self.text.trim());
                    self.checksum = Some(stronger(self.checksum.take(), checksum));
                }
                "size" => {
                    element.attributes(|key, value| match key {
                        "package" => self.size.0 = number(value).unwrap_or(0),
                        "installed" => self.size.1 = number(value).unwrap_or(0),
                        _ => {}
                    })?;
                    xml.skip()?;
                }
                "location" => {
                    self.location = location_of(&element)?.or(self.location.take());
                    xml.skip()?;
                }
                "format" => self.read_format(xml, index)?,
                _ => xml.skip()?,
            }
        }
        Ok(())
    }

    /// Reads the content of `<format>`.
    fn read_format(
        &mut self,
        xml: &mut Document<'_>,
        index: &mut Index,
    ) -> Result<(), RepodataError> {
        while let Some(element) = xml.child()? {
            let section = match element.name() {
                "requires" => Section::Requires,
                "provides" => Section::Provides,
                "conflicts" => Section::Conflicts,
                "obsoletes" => Section::Obsoletes,
                "recommends" => Section::Weak(0),
                "suggests" => Section::Weak(1),
                "supplements" => Section::Weak(2),
                "enhances" => Section::Weak(3),
                "file" => {
                    xml.text(&mut self.text)?;
                    if !self.text.starts_with('/') {
                        self.text.insert(0, '/');
                    }
                    self.files.push(NameHash::of(&self.text));
                    self.check(index)?;
                    continue;
                }
                _ => {
                    xml.skip()?;
                    continue;
                }
            };
            self.read_section(section, xml, index)?;
        }
        Ok(())
    }

    /// Reads the entries of one kind of dependency. They take the place of those of an earlier section
    /// of that kind.
    fn read_section(
        &mut self,
        section: Section,
        xml: &mut Document<'_>,
        index: &mut Index,
    ) -> Result<(), RepodataError> {
        match section {
            Section::Provides => self.provides.clear(),
            section => self.relations(section).clear(),
        }
        while let Some(element) = xml.child()? {
            let has_name = element.name() == "entry" && self.entry.read(&element)?;
            xml.skip()?;
            let is_requires = matches!(section, Section::Requires);
            let is_none = self.entry.is_for_scriptlet || self.entry.is_rpms_own();
            if !has_name || (is_requires && is_none) {
                continue;
            }
            self.check(index)?;
            let (comparison, evr) = self.entry.bound(index);
            if matches!(section, Section::Provides) {
                let name = NameHash::of(self.entry.name());
                self.provides.push(Provide { name, comparison, evr });
                continue;
            }
            let name = index.strings.intern(self.entry.name());
            self.relations(section).push(Relation { name, comparison, evr });
        }
        Ok(())
    }

    /// The list of a section that is not Provides.
    fn relations(&mut self, section: Section) -> &mut Vec<Relation> {
        match section {
            Section::Requires | Section::Provides => &mut self.requires,
            Section::Conflicts => &mut self.conflicts,
            Section::Obsoletes => &mut self.obsoletes,
            Section::Weak(kind) => &mut self.weak[kind],
        }
    }

    /// Reads `<version>`. What is missing is empty. An epoch that is no number counts as a part of the
    /// version, as for libsolv.
    fn read_evr(&mut self, element: &Element<'_>) -> Result<(), RepodataError> {
        let (mut epoch, mut version, mut release) = (None, None, None);
        element.attributes(|key, value| match key {
            "ver" => version = Some(value.to_owned()),
            "rel" => release = Some(value.to_owned()),
            "epoch" if value != "0" => epoch = Some(value.to_owned()),
            _ => {}
        })?;
        let [epoch, version, release] =
            [&epoch, &version, &release].map(|it| it.as_deref().unwrap_or_default());
        write_evr(&mut self.evr, epoch, version, release);
        Ok(())
    }

    /// The whole package, or why it cannot be used.
    fn finish(&mut self, scope: &Scope<'_>, index: &mut Index) -> Result<Package, String> {
        let name = self.name.as_deref().filter(|name| !name.is_empty());
        let name = name.ok_or("it has no name")?;
        if self.is_partial {
            return Err("it says twice what it is, and not the same".to_owned());
        }
        let epoch = self.evr.split(':').next().filter(|_| Evr::has_epoch(&self.evr));
        if epoch.is_some_and(|epoch| epoch.parse::<u32>().is_err()) {
            return Err("its epoch is larger than any that RPM knows".to_owned());
        }
        let checksum = match self.checksum.take() {
            Some(checksum) => checksum.map_err(|error| brief(&error.to_string()))?,
            None => return Err("it has no checksum".to_owned()),
        };
        let location = self.location.take().ok_or("it has no location")?;
        if location.contains("://") && !(scope.may_fetch)(&location) {
            let location = quote(&location);
            return Err(format!("it lies at {location}, where this repository may not send"));
        }
        let own = NameHash::of(name);
        let evr = index.strings.intern(&self.evr);
        let itself = Provide { name: own, comparison: Comparison::Equal, evr: Some(evr) };
        if !self.provides.contains(&itself) {
            self.provides.push(itself);
        }
        let [recommends, suggests, supplements, enhances] =
            self.weak.each_ref().map(|relations| relations.as_slice().into());
        let arch = self.arch.as_deref().unwrap_or("noarch");
        let what = (name, EvrRef::parse(&self.evr), arch);
        Ok(Package {
            name: index.strings.intern(name),
            arch: index.strings.intern(arch),
            evr,
            location: PackageLocation::of(&location, what, &mut index.strings),
            checksum,
            repository: scope.repository,
            size: self.size.0,
            installed_size: self.size.1,
            requires: self.requires.as_slice().into(),
            provides: self.provides.as_slice().into(),
            conflicts: self.conflicts.as_slice().into(),
            obsoletes: self.obsoletes.as_slice().into(),
            weak: Weak { recommends, suggests, supplements, enhances }.boxed(),
            files: self.files.as_slice().into(),
        })
    }

    /// What is kept of a package that cannot be used.
    fn set_aside(&mut self, why: String, line: Option<usize>, scope: &Scope<'_>) -> SetAside {
        let name = self.name.take().unwrap_or_default();
        let provided = self.provides.iter().map(|provide| provide.name);
        let has = provided.chain(self.files.iter().copied()).chain([NameHash::of(&name)]);
        SetAside {
            has: has.collect(),
            name,
            evr: Evr::parse(&self.evr),
            repository: scope.repository,
            line,
            why,
        }
    }
}

/// A kind of dependency that is kept.
#[derive(Clone, Copy)]
enum Section {
    Requires,
    Provides,
    Conflicts,
    Obsoletes,
    /// Recommends, suggests, supplements, enhances.
    Weak(usize),
}
