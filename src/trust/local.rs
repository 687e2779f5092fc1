//! What a package file says about itself, for a file that the user named (`-v file.rpm`): as much
//! as a repository's metadata would say. Nothing is proven here; [`super::open`] does that later.

use std::io::{self, Read};

use crate::model::{Algorithm, Checksum, Comparison, Digester, Nevra};

use super::TrustError;
use super::blob::{self, Blob, Malformed};
use super::header::Header;

/// Names, flags and versions of each kind of relation, by RPM's tags.
mod tag {
    pub(super) const PROVIDES: [u32; 3] = [1047, 1112, 1113];
    pub(super) const REQUIRES: [u32; 3] = [1049, 1048, 1050];
    pub(super) const CONFLICTS: [u32; 3] = [1054, 1053, 1055];
    pub(super) const OBSOLETES: [u32; 3] = [1090, 1114, 1115];
    pub(super) const RECOMMENDS: [u32; 3] = [5046, 5048, 5047];
    pub(super) const SUGGESTS: [u32; 3] = [5049, 5051, 5050];
    pub(super) const SUPPLEMENTS: [u32; 3] = [5052, 5054, 5053];
    pub(super) const ENHANCES: [u32; 3] = [5055, 5057, 5056];
    pub(super) const SUMMARY: u32 = 1004;
    pub(super) const SIZE: u32 = 1009;
    pub(super) const LONGSIZE: u32 = 5009;
}

/// Flags of a relation: the comparison.
const LESS: u32 = 1 << 1;
const GREATER: u32 = 1 << 2;
const EQUAL: u32 = 1 << 3;
/// Flags of a relation: needed by a scriptlet (`Requires(pre)`, `Requires(post)`, old `PreReq`).
const SCRIPTLET: u32 = (1 << 6) | (1 << 9) | (1 << 10);

/// A package file's own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPackage {
    /// Name, epoch, version, release, architecture.
    pub nevra: Nevra,
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file.
    pub checksum: Checksum,
    /// Bytes of its files when installed.
    pub installed_size: u64,
    /// One line for people.
    pub summary: String,
    /// Its licence.
    pub license: String,
    /// The file name of the source package that it was built from.
    pub source_rpm: String,
    /// Requires, without those of scriptlets and of rpm itself.
    pub requires: Vec<LocalRelation>,
    /// Requires of scriptlets.
    pub scriptlets_require: Vec<LocalRelation>,
    /// Provides, the package's own name among them.
    pub provides: Vec<LocalRelation>,
    /// Conflicts.
    pub conflicts: Vec<LocalRelation>,
    /// Obsoletes.
    pub obsoletes: Vec<LocalRelation>,
    /// Recommends, Suggests, Supplements and Enhances.
    pub weak: [Vec<LocalRelation>; 4],
    /// The absolute paths of its files.
    pub files: Vec<String>,
}

/// A capability with a version condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalRelation {
    /// The capability: a name, a soname, a path, or a whole rich dependency in parentheses.
    pub name: String,
    /// How `evr` is compared.
    pub comparison: Comparison,
    /// `[EPOCH:]VERSION[-RELEASE]`; there exactly when `comparison` is not `Any`.
    pub evr: Option<String>,
}

/// Reads a package file to its end and says what it is; `name` stands for it in errors.
///
/// # Errors
/// [`TrustError::Malformed`], when it is no binary package or cannot be read.
pub fn read_local(reader: impl Read, name: &str) -> Result<LocalPackage, TrustError> {
    let malformed = |source| TrustError::Malformed { package: name.to_owned(), source };
    read(reader).map_err(malformed)
}

fn read(reader: impl Read) -> Result<LocalPackage, Malformed> {
    let mut source = Digesting { reader, digester: Digester::new(Algorithm::Sha256), count: 0 };
    blob::read_lead(&mut source)?;
    Blob::read(&mut source, "signature header")?.skip_padding(&mut source)?;
    let blob = Blob::read(&mut source, "header")?;
    let header = Header::parse(&blob)?;
    let mut requires = relations(&blob, tag::REQUIRES)?;
    requires.retain(|(relation, _)| !relation.name.starts_with("rpmlib("));
    let (scriptlets_require, requires) =
        requires.into_iter().partition(|(_, flags)| flags & SCRIPTLET != 0);
    let (provides, conflicts) =
        (relations(&blob, tag::PROVIDES)?, relations(&blob, tag::CONFLICTS)?);
    let obsoletes = relations(&blob, tag::OBSOLETES)?;
    let [recommends, suggests] =
        [relations(&blob, tag::RECOMMENDS)?, relations(&blob, tag::SUGGESTS)?];
    let [supplements, enhances] =
        [relations(&blob, tag::SUPPLEMENTS)?, relations(&blob, tag::ENHANCES)?];
    io::copy(&mut source, &mut io::sink())?;
    let without_flags = |relations: Vec<(LocalRelation, u32)>| {
        relations.into_iter().map(|(relation, _)| relation).collect()
    };
    Ok(LocalPackage {
        size: source.count,
        checksum: source.digester.finish(),
        installed_size: installed_size(&blob)?,
        summary: blob.texts(tag::SUMMARY)?.first().map_or_else(String::new, |it| (*it).to_owned()),
        license: header.license,
        source_rpm: header.source_rpm,
        requires: without_flags(requires),
        scriptlets_require: without_flags(scriptlets_require),
        provides: without_flags(provides),
        conflicts: without_flags(conflicts),
        obsoletes: without_flags(obsoletes),
        weak: [recommends, suggests, supplements, enhances].map(without_flags),
        files: header.files.into_iter().map(|file| file.path).collect(),
        nevra: header.nevra,
    })
}

fn installed_size(blob: &Blob) -> Result<u64, Malformed> {
    let long = blob.u64s(tag::LONGSIZE)?.first().copied();
    let short = blob.u32s(tag::SIZE)?.first().copied();
    Ok(long.or(short.map(u64::from)).unwrap_or(0))
}

/// The relations of one kind, each with its flags.
fn relations(blob: &Blob, tags: [u32; 3]) -> Result<Vec<(LocalRelation, u32)>, Malformed> {
    let [names, flags, versions] = tags;
    let (texts, numbers, evrs) = (blob.texts(names)?, blob.u32s(flags)?, blob.texts(versions)?);
    if texts.len() != numbers.len() || texts.len() != evrs.len() {
        return Err(Malformed::Entry(names));
    }
    let rows = texts.into_iter().zip(numbers).zip(evrs);
    Ok(rows.map(|((name, flags), evr)| (relation(name, flags, evr), flags)).collect())
}

fn relation(name: &str, flags: u32, evr: &str) -> LocalRelation {
    let comparison = match flags & (LESS | GREATER | EQUAL) {
        _ if evr.is_empty() => Comparison::Any,
        LESS => Comparison::Less,
        GREATER => Comparison::Greater,
        EQUAL => Comparison::Equal,
        both if both == LESS | EQUAL => Comparison::LessOrEqual,
        both if both == GREATER | EQUAL => Comparison::GreaterOrEqual,
        _ => Comparison::Any,
    };
    let evr = (comparison != Comparison::Any).then(|| evr.to_owned());
    LocalRelation { name: name.to_owned(), comparison, evr }
}

/// A reader that counts and digests what passes.
struct Digesting<R> {
    reader: R,
    digester: Digester,
    count: u64,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.digester.update(buffer.get(..count).unwrap_or_default());
        self.count += count as u64;
        Ok(count)
    }
}
