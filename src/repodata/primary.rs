//! `primary.xml`: a repository's packages, streamed into an [`Index`].

use std::io::{BufRead, BufReader, Read};

use super::decode::{Measured, decompress};
use super::entry::Entry;
use super::repomd::RepomdRecord;
use super::xml::{Element, Xml};
use super::{RepodataError, is_below};
use crate::model::{Arch, Checksum, Evr, Index, NameHash, Package, Provide, Relation};

/// Most bytes that a `primary.xml` may unpack to, whatever is declared. The largest real one has
/// 110 million.
const LARGEST: u64 = 512 << 20;

/// Which packages of a repository are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The tree's architecture.
    pub arch: Arch,
    /// Position of the repository in [`Index::repositories`].
    pub repository: u16,
    /// When not empty, only packages of these names.
    pub only: &'a [String],
}

/// Reads `primary.xml` (plain, or packed by gzip, xz, zstd or bzip2) and adds the packages within
/// `scope` to `index`. What it unpacks to is held against `record`.
///
/// # Errors
/// When it is no such document, or a package's entry makes no sense. `index` then holds a part of
/// the packages and is of no use.
pub fn parse(
    reader: impl Read,
    record: &RepomdRecord,
    scope: &Scope<'_>,
    index: &mut Index,
) -> Result<(), RepodataError> {
    let limit = record.open_size.unwrap_or(LARGEST).min(LARGEST);
    let open = decompress(BufReader::with_capacity(64 * 1024, reader))?;
    let open = Measured::new(open, limit, record.open_checksum.as_ref());
    let mut xml = Xml::open(BufReader::with_capacity(64 * 1024, open), "metadata")?;
    let mut draft = Draft::default();
    while let Some(element) = xml.child()? {
        if element.name() != "package" {
            xml.skip()?;
            continue;
        }
        draft.clear();
        if draft.read(&mut xml, scope, index)? {
            let package = draft.finish(scope, index)?;
            index.packages.push(package);
        }
    }
    let got = xml.finish()?.into_inner().digest();
    match (&record.open_checksum, got) {
        (Some(expected), Some(got)) if got != *expected => {
            Err(RepodataError::OpenDigest { expected: expected.clone(), got })
        }
        _ => Ok(()),
    }
}

/// A package as it is being read. Used again for each, so that its buffers are allocated once.
#[derive(Default)]
struct Draft {
    name: String,
    arch: String,
    evr: Option<Evr>,
    checksum: Option<Checksum>,
    location: Option<Box<str>>,
    size: Option<(u64, u64)>,
    requires: Vec<Relation>,
    provides: Vec<Provide>,
    conflicts: Vec<Relation>,
    obsoletes: Vec<Relation>,
    recommends: Vec<Relation>,
    files: Vec<NameHash>,
    entry: Entry,
    text: String,
}

impl Draft {
    fn clear(&mut self) {
        self.name.clear();
        self.arch.clear();
        (self.evr, self.checksum, self.location, self.size) = (None, None, None, None);
        for relations in
            [&mut self.requires, &mut self.conflicts, &mut self.obsoletes, &mut self.recommends]
        {
            relations.clear();
        }
        self.provides.clear();
        self.files.clear();
    }

    /// Reads the content of `<package>`. False when the package is not in scope; then the rest of
    /// it was passed over.
    fn read(
        &mut self,
        xml: &mut Xml<impl BufRead>,
        scope: &Scope<'_>,
        index: &mut Index,
    ) -> Result<bool, RepodataError> {
        while let Some(element) = xml.child()? {
            match element.name() {
                "name" => {
                    xml.text(&mut self.name)?;
                    if !scope.only.is_empty() && !scope.only.contains(&self.name) {
                        xml.skip()?;
                        return Ok(false);
                    }
                }
                "arch" => {
                    xml.text(&mut self.arch)?;
                    if !scope.arch.accepts(&self.arch) {
                        xml.skip()?;
                        return Ok(false);
                    }
                }
                "version" => {
                    self.evr = Some(self.read_evr(&element)?);
                    xml.skip()?;
                }
                "checksum" => {
                    let algorithm = element.attribute("type")?.unwrap_or_default();
                    xml.text(&mut self.text)?;
                    let checksum = Checksum::new(&algorithm, self.text.trim());
                    self.checksum = Some(checksum.map_err(|source| RepodataError::Checksum {
                        of: self.subject(),
                        source,
                    })?);
                }
                "size" => {
                    self.size = Some(self.read_size(&element)?);
                    xml.skip()?;
                }
                "location" => {
                    self.location = Some(self.read_location(&element)?.into());
                    xml.skip()?;
                }
                "format" => self.read_format(xml, index)?,
                _ => xml.skip()?,
            }
        }
        Ok(true)
    }

    /// Reads the content of `<format>`.
    fn read_format(
        &mut self,
        xml: &mut Xml<impl BufRead>,
        index: &mut Index,
    ) -> Result<(), RepodataError> {
        while let Some(element) = xml.child()? {
            let section = match element.name() {
                "requires" => Section::Requires,
                "provides" => Section::Provides,
                "conflicts" => Section::Conflicts,
                "obsoletes" => Section::Obsoletes,
                "recommends" => Section::Recommends,
                "file" => {
                    xml.text(&mut self.text)?;
                    self.files.push(NameHash::of(&self.text));
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

    /// Reads the entries of one kind of dependency.
    fn read_section(
        &mut self,
        section: Section,
        xml: &mut Xml<impl BufRead>,
        index: &mut Index,
    ) -> Result<(), RepodataError> {
        while let Some(element) = xml.child()? {
            let has_name = self.entry.read(&element)?;
            xml.skip()?;
            let is_requires = matches!(section, Section::Requires);
            let is_none = self.entry.is_for_scriptlet || self.entry.is_rpms_own();
            if !has_name || (is_requires && is_none) {
                continue;
            }
            let (comparison, evr) = self.entry.bound(index);
            let relations = match section {
                Section::Provides => {
                    let name = NameHash::of(self.entry.name());
                    self.provides.push(Provide { name, comparison, evr });
                    continue;
                }
                Section::Requires => &mut self.requires,
                Section::Conflicts => &mut self.conflicts,
                Section::Obsoletes => &mut self.obsoletes,
                Section::Recommends => &mut self.recommends,
            };
            let name = index.strings.intern(self.entry.name());
            relations.push(Relation { name, comparison, evr });
        }
        Ok(())
    }

    fn read_evr(&self, element: &Element<'_>) -> Result<Evr, RepodataError> {
        let version = element.attribute("ver")?.ok_or_else(|| self.missing("version"))?;
        let release = element.attribute("rel")?.ok_or_else(|| self.missing("release"))?;
        let epoch = element.attribute("epoch")?.unwrap_or_default();
        let epoch = match epoch.as_str() {
            "" => 0,
            digits => digits.parse().map_err(|_| self.invalid("epoch", epoch.clone()))?,
        };
        Ok(Evr { epoch, version, release })
    }

    /// The bytes of the package file, and of its files when installed.
    fn read_size(&self, element: &Element<'_>) -> Result<(u64, u64), RepodataError> {
        let number = |name| {
            let text = element.attribute(name)?.ok_or_else(|| self.missing("size"))?;
            text.parse().map_err(|_| self.invalid("size", text))
        };
        Ok((number("package")?, number("installed")?))
    }

    fn read_location(&self, element: &Element<'_>) -> Result<String, RepodataError> {
        if let Some(base) = element.attribute("xml:base")? {
            return Err(self.invalid("base URL of its own", base));
        }
        let location = element.attribute("href")?.ok_or_else(|| self.missing("location"))?;
        if !is_below(&location) {
            return Err(self.invalid("location", location));
        }
        Ok(location)
    }

    /// The whole package.
    fn finish(&mut self, scope: &Scope<'_>, index: &mut Index) -> Result<Package, RepodataError> {
        if self.name.is_empty() {
            return Err(self.missing("name"));
        }
        if self.arch.is_empty() {
            return Err(self.missing("architecture"));
        }
        let (size, installed_size) = self.size.ok_or_else(|| self.missing("size"))?;
        Ok(Package {
            evr: self.evr.take().ok_or_else(|| self.missing("version"))?,
            location: self.location.take().ok_or_else(|| self.missing("location"))?,
            checksum: self.checksum.take().ok_or_else(|| self.missing("checksum"))?,
            name: index.strings.intern(&self.name),
            arch: index.strings.intern(&self.arch),
            repository: scope.repository,
            size,
            installed_size,
            requires: self.requires.as_slice().into(),
            provides: self.provides.as_slice().into(),
            conflicts: self.conflicts.as_slice().into(),
            obsoletes: self.obsoletes.as_slice().into(),
            recommends: self.recommends.as_slice().into(),
            files: self.files.as_slice().into(),
        })
    }

    /// The package as errors name it.
    fn subject(&self) -> String {
        match self.name.as_str() {
            "" => "a package".into(),
            name => format!("package {name}"),
        }
    }

    fn missing(&self, what: &'static str) -> RepodataError {
        RepodataError::Missing { what, of: self.subject() }
    }

    fn invalid(&self, what: &'static str, value: String) -> RepodataError {
        RepodataError::Invalid { what, of: self.subject(), value }
    }
}

/// A kind of dependency that is kept.
#[derive(Clone, Copy)]
enum Section {
    Requires,
    Provides,
    Conflicts,
    Obsoletes,
    Recommends,
}
