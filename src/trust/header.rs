//! What a package's header says: who it is, how its payload is packed, and every file with the
//! digest that the payload must have. Once the header's signature is proven, this is the truth
//! that the payload is held against.

use crate::model::{Checksum, Compression, Evr, Nevra};

use super::SignedBy;
use super::blob::{Blob, Malformed};

/// More files than any package of a distribution has.
const MAX_FILES: usize = 1 << 18;

/// Linux has no longer paths.
const MAX_PATH: usize = 4096;
/// Bytes that the paths of all files may have, each of them counted once for every directory on
/// its way, because all of these are looked at. 100,000 files ten directories deep need 100 MiB.
const MAX_PATHS: usize = 512 << 20;

/// Tags of the header, by RPM's names and numbers.
mod tag {
    pub(super) const NAME: u32 = 1000;
    pub(super) const VERSION: u32 = 1001;
    pub(super) const RELEASE: u32 = 1002;
    pub(super) const EPOCH: u32 = 1003;
    pub(super) const LICENSE: u32 = 1014;
    pub(super) const URL: u32 = 1020;
    pub(super) const ARCH: u32 = 1022;
    pub(super) const OLDFILENAMES: u32 = 1027;
    pub(super) const FILESIZES: u32 = 1028;
    pub(super) const FILEMODES: u32 = 1030;
    pub(super) const FILEMTIMES: u32 = 1034;
    pub(super) const FILEDIGESTS: u32 = 1035;
    pub(super) const FILELINKTOS: u32 = 1036;
    pub(super) const FILEFLAGS: u32 = 1037;
    pub(super) const SOURCERPM: u32 = 1044;
    pub(super) const FILEDEVICES: u32 = 1095;
    pub(super) const FILEINODES: u32 = 1096;
    pub(super) const DIRINDEXES: u32 = 1116;
    pub(super) const BASENAMES: u32 = 1117;
    pub(super) const DIRNAMES: u32 = 1118;
    pub(super) const PAYLOADFORMAT: u32 = 1124;
    pub(super) const PAYLOADCOMPRESSOR: u32 = 1125;
    pub(super) const LONGFILESIZES: u32 = 5008;
    pub(super) const FILEDIGESTALGO: u32 = 5011;
}

/// What a file is, by the upper bits of its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symlink.
    Symlink,
    /// A device, FIFO or socket, or nothing known.
    Special,
}

impl FileType {
    /// The type that `mode` (as `st_mode`) names.
    #[must_use]
    pub fn of(mode: u32) -> Self {
        match mode & 0o170_000 {
            0o100_000 => Self::Regular,
            0o040_000 => Self::Directory,
            0o120_000 => Self::Symlink,
            _ => Self::Special,
        }
    }
}

/// One file of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderFile {
    /// Its absolute path.
    pub path: String,
    /// Its type and permissions, as `st_mode`.
    pub mode: u32,
    /// Its size in bytes.
    pub size: u64,
    /// Its modification time, in seconds since 1970.
    pub mtime: u32,
    /// Its digest. Every regular file that is not `%ghost` has one.
    pub digest: Option<Checksum>,
    /// A symlink's text; empty for all else.
    pub link_target: String,
    /// RPM's `%config`, `%ghost` and the like.
    pub flags: FileFlags,
    /// Device and inode where it was packaged: equal for hard links of one file. Builders that know
    /// of no hard links name none.
    pub identity: Option<(u32, u32)>,
}

impl HeaderFile {
    /// What the file is.
    #[must_use]
    pub fn file_type(&self) -> FileType {
        FileType::of(self.mode)
    }
}

/// RPM's flags of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileFlags(pub u32);

impl FileFlags {
    /// Whether it is marked `%config`.
    #[must_use]
    pub fn is_config(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether it is marked `%ghost`: owned by the package, and not in its payload.
    #[must_use]
    pub fn is_ghost(self) -> bool {
        self.0 & 64 != 0
    }
}

/// A package's header.
#[derive(Clone, Debug)]
pub struct Header {
    /// Name, epoch, version, release, architecture.
    pub nevra: Nevra,
    /// Its licence.
    pub license: String,
    /// The file name of the source package that it was built from.
    pub source_rpm: String,
    /// The project's home page; empty where it names none.
    pub url: String,
    /// How the payload is compressed.
    pub compression: Compression,
    /// Its files, in the header's order, which is also the order of their numbers.
    pub files: Vec<HeaderFile>,
    /// Whose signature it carries; `None` when the policy let it pass without.
    pub signed_by: Option<SignedBy>,
}

impl Header {
    /// Reads what `blob` says.
    pub(super) fn parse(blob: &Blob) -> Result<Self, Malformed> {
        Ok(Self {
            nevra: nevra(blob)?,
            license: blob.text(tag::LICENSE)?.unwrap_or_default().to_owned(),
            source_rpm: blob.text(tag::SOURCERPM)?.unwrap_or_default().to_owned(),
            url: blob.text(tag::URL)?.unwrap_or_default().to_owned(),
            compression: compression(blob)?,
            files: files(blob)?,
            signed_by: None,
        })
    }

    /// The first regular file that the payload must hold and that no digest vouches for.
    pub(super) fn file_without_digest(&self) -> Option<&HeaderFile> {
        self.files.iter().find(|file| {
            file.file_type() == FileType::Regular && !file.flags.is_ghost() && file.digest.is_none()
        })
    }
}

fn nevra(blob: &Blob) -> Result<Nevra, Malformed> {
    let epoch = blob.u32s(tag::EPOCH)?.first().copied().unwrap_or(0);
    let version = blob.required_text(tag::VERSION)?.to_owned();
    let release = blob.required_text(tag::RELEASE)?.to_owned();
    Ok(Nevra {
        name: blob.required_text(tag::NAME)?.to_owned(),
        evr: Evr { epoch, version, release },
        arch: blob.required_text(tag::ARCH)?.to_owned(),
    })
}

fn compression(blob: &Blob) -> Result<Compression, Malformed> {
    match blob.text(tag::PAYLOADFORMAT)? {
        None | Some("cpio") => {}
        Some(other) => return Err(Malformed::Unsupported(format!("{other:?} payload format"))),
    }
    Ok(match blob.text(tag::PAYLOADCOMPRESSOR)? {
        // What is not compressed at all is read as well.
        None | Some("gzip" | "") => Compression::Gzip,
        Some("none" | "identity" | "uncompressed") => Compression::None,
        Some("bzip2") => Compression::Bzip2,
        Some("xz") => Compression::Xz,
        Some("lzma") => Compression::Lzma,
        Some("zstd") => Compression::Zstd,
        Some(other) => return Err(Malformed::Unsupported(format!("{other:?} compression"))),
    })
}

/// The arrays that describe files, with one element per file.
struct Columns<'a> {
    paths: Vec<String>,
    modes: Vec<u16>,
    sizes: Vec<u64>,
    mtimes: Vec<u32>,
    digests: Vec<&'a str>,
    link_targets: Vec<&'a str>,
    flags: Vec<u32>,
    /// Devices and inodes, where both are named.
    identities: Option<Vec<(u32, u32)>>,
}

fn files(blob: &Blob) -> Result<Vec<HeaderFile>, Malformed> {
    let columns = Columns::read(blob)?;
    let algorithm = digest_algorithm(blob)?;
    (0..columns.paths.len()).map(|number| columns.file(number, algorithm)).collect()
}

/// The digest algorithm of files, by the number that OpenPGP gives it. `None` stands for one
/// that proves nothing; MD5 is what a header means that names none.
fn digest_algorithm(blob: &Blob) -> Result<Option<&'static str>, Malformed> {
    Ok(match blob.u32s(tag::FILEDIGESTALGO)?.first() {
        Some(8) => Some("sha256"),
        Some(9) => Some("sha384"),
        Some(10) => Some("sha512"),
        _ => None,
    })
}

impl<'a> Columns<'a> {
    /// What is not there is as rpm takes it: no flags, no links, the time 0.
    fn read(blob: &'a Blob) -> Result<Self, Malformed> {
        let paths = paths(blob)?;
        let count = paths.len();
        let u32s = |tag| optional(tag, blob.u32s(tag)?, count);
        let texts = |tag| optional(tag, blob.texts(tag)?, count);
        let identities = match blob.has(tag::FILEDEVICES) && blob.has(tag::FILEINODES) {
            true => {
                let (devices, inodes) = (u32s(tag::FILEDEVICES)?, u32s(tag::FILEINODES)?);
                Some(devices.into_iter().zip(inodes).collect())
            }
            false => None,
        };
        Ok(Self {
            modes: column(tag::FILEMODES, blob.u16s(tag::FILEMODES)?, count)?,
            sizes: sizes(blob, count)?,
            mtimes: u32s(tag::FILEMTIMES)?,
            digests: texts(tag::FILEDIGESTS)?,
            link_targets: texts(tag::FILELINKTOS)?,
            flags: u32s(tag::FILEFLAGS)?,
            identities,
            paths,
        })
    }

    /// The file with this number. All columns are equally long: [`Columns::read`] has seen to it.
    fn file(&self, number: usize, algorithm: Option<&str>) -> Result<HeaderFile, Malformed> {
        let mode = self.modes[number].into();
        // Of all else, digests are not looked at: some builders write zeros there.
        let hex = match FileType::of(mode) {
            FileType::Regular => self.digests[number],
            _ => "",
        };
        let digest = algorithm.filter(|_| !hex.is_empty()).map(|name| Checksum::new(name, hex));
        Ok(HeaderFile {
            path: self.paths[number].clone(),
            mode,
            size: self.sizes[number],
            mtime: self.mtimes[number],
            digest: digest.transpose().map_err(|_| Malformed::Files(tag::FILEDIGESTS))?,
            link_target: self.link_targets[number].to_owned(),
            flags: FileFlags(self.flags[number]),
            identity: self.identities.as_ref().map(|identities| identities[number]),
        })
    }
}

/// The paths of all files: of directories and names apart, or as RPM 3 and some builders write them,
/// whole.
fn paths(blob: &Blob) -> Result<Vec<String>, Malformed> {
    let whole = !blob.has(tag::BASENAMES);
    let names = blob.texts(if whole { tag::OLDFILENAMES } else { tag::BASENAMES })?;
    let count = names.len();
    if count > MAX_FILES {
        return Err(Malformed::Unsupported(format!("a list of {count} files")));
    }
    let indexes = match whole {
        true => vec![0; count],
        false => column(tag::DIRINDEXES, blob.u32s(tag::DIRINDEXES)?, count)?,
    };
    let directories = if whole { vec![""] } else { blob.texts(tag::DIRNAMES)? };
    let directory = |index: u32| {
        let found = usize::try_from(index).ok().and_then(|index| directories.get(index));
        found.copied().ok_or(Malformed::Files(tag::DIRNAMES))
    };
    // Many files may share one directory's name: were it long, a small header would fill the memory.
    let mut left = MAX_PATHS;
    let path = |(name, index): (&str, u32)| {
        let directory = directory(index)?;
        let length = directory.len() + name.len();
        if length > MAX_PATH {
            return Err(Malformed::Unsupported(format!("a path of {length} bytes")));
        }
        let depth = 1 + directory.bytes().chain(name.bytes()).filter(|byte| *byte == b'/').count();
        left = left
            .checked_sub(length * depth)
            .ok_or_else(|| Malformed::Unsupported("so many long paths".to_owned()))?;
        Ok(absolute(directory, name))
    };
    names.into_iter().zip(indexes).map(path).collect()
}

/// The path that `directory` and `name` are together: rpm puts one behind the other. Some builders
/// begin with `./`, or with no slash, and end directories' paths with one.
fn absolute(directory: &str, name: &str) -> String {
    let parts = directory.split('/').chain(name.split('/'));
    let joined = match directory.is_empty() || directory.ends_with('/') {
        true => parts.filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/"),
        false => return absolute("", &format!("{directory}{name}")),
    };
    format!("/{joined}")
}

fn column<T>(tag: u32, values: Vec<T>, count: usize) -> Result<Vec<T>, Malformed> {
    if values.len() == count { Ok(values) } else { Err(Malformed::Files(tag)) }
}

/// A column that may be missing.
fn optional<T: Clone + Default>(
    tag: u32,
    mut values: Vec<T>,
    count: usize,
) -> Result<Vec<T>, Malformed> {
    if values.is_empty() {
        values.resize(count, T::default());
    }
    column(tag, values, count)
}

/// Sizes of files: 32-bit numbers, or 64-bit ones where a file is larger than 4 GiB.
fn sizes(blob: &Blob, count: usize) -> Result<Vec<u64>, Malformed> {
    if blob.has(tag::LONGFILESIZES) {
        return column(tag::LONGFILESIZES, blob.u64s(tag::LONGFILESIZES)?, count);
    }
    let sizes = column(tag::FILESIZES, blob.u32s(tag::FILESIZES)?, count)?;
    Ok(sizes.into_iter().map(u64::from).collect())
}
