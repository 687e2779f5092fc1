//! Opens a bundle, in one file or in several beside each other, and finds what is in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::head::{Beginning, set_of};
use super::index::{BundleIndex, BundleMember};
use super::trailer::{TRAILER_SIZE, Trailer};
use super::{HEAD_SIZE, part_name};
use crate::error::Error;
use crate::fetch::Members;
use crate::model::{Arch, Checksum, escape};
use crate::owned::open_to_read;
use crate::report::{Event, Phase, Reporter};
use crate::tools::excerpt::Excerpt;
use crate::tools::threads;

/// Most bytes of an index. That of a hundred thousand members is as long.
const INDEX_LIMIT: u64 = 64 << 20;
/// Members that are read at the same time.
const AT_ONCE: usize = 4;

/// A bundle whose head, index and trailer are as they were written.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// Its file, or the first of them.
    pub(super) path: PathBuf,
    /// All of it.
    pub(super) bytes: Excerpt,
    pub(super) index: BundleIndex,
    pub(super) trailer: Trailer,
    /// Where in the index's members each is.
    names: BTreeMap<String, usize>,
}

impl Bundle {
    /// The bundle at `path`, with the further parts of it that lie beside one called `….001`.
    ///
    /// # Errors
    /// When it is none, or damaged; what is damaged is named.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let error = |source| Error::File { path: path.to_owned(), source };
        let path = fs::canonicalize(path).map_err(error)?;
        let file = open_to_read(&path).map_err(error)?;
        let mut head = Vec::new();
        let first = Excerpt::from(file.try_clone().map_err(error)?);
        first.cut(0, HEAD_SIZE).read_to_end(&mut head).map_err(error)?;
        let total = match Beginning::of(&head) {
            Beginning::Bundle(total) => total,
            Beginning::Mangled => {
                let what = "its line ends were changed on the way (a transfer in text mode?)";
                return Err(damaged(&path, what));
            }
            Beginning::Compressed => {
                return Err(refused(&path, "it was compressed on the way: decompress it (gunzip)"));
            }
            Beginning::Other => {
                return Err(refused(&path, "it is no bundle of `elsewhere bundle`"));
            }
        };
        let bytes = Excerpt::of(parts(&path, file, total, set_of(&head))?);
        let trailer = trailer(&path, &bytes, total)?;
        let index = index(&path, &bytes, &trailer)?;
        if Checksum::of(&head) != index.head {
            return Err(damaged(&path, "its head is not what was written"));
        }
        let members = index.members.iter().enumerate();
        let names = members.map(|(at, member)| (member.name.clone(), at)).collect();
        Ok(Self { path, bytes, index, trailer, names })
    }

    /// Where it is; of several files, the first.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Everything in it, as it lies in the file.
    pub(crate) fn members(&self) -> impl Iterator<Item = &BundleMember> {
        self.index.all()
    }

    /// The digest of its index, which no other bundle has.
    pub(crate) fn digest(&self) -> &Checksum {
        &self.trailer.index
    }

    /// Compares everything with its digest that an install for `arches` reads.
    ///
    /// # Errors
    /// When something was changed: the first is named.
    pub(crate) fn check(&self, arches: &[Arch], reporter: &dyn Reporter) -> Result<(), Error> {
        let is_read =
            |member: &&BundleMember| member.arch.is_none_or(|arch| arches.contains(&arch));
        let changed = self.changed(self.members().filter(is_read).collect(), reporter)?;
        match changed.first() {
            None => Ok(()),
            Some((name, _)) => Err(damaged(&self.path, &format!("{name} is not what was written"))),
        }
    }

    /// Those of `members` that are not what was written, with the reason where they cannot be read.
    ///
    /// # Errors
    /// When the run is cancelled.
    pub(super) fn changed(
        &self,
        members: Vec<&BundleMember>,
        reporter: &dyn Reporter,
    ) -> Result<Vec<(String, Option<io::Error>)>, Error> {
        let size = crate::model::total(members.iter().map(|member| member.size));
        reporter.event(Event::Started { phase: Phase::Verify, total: Some(size) });
        let look = |member: &&BundleMember| {
            if reporter.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let digest = Checksum::of_reader(member.checksum.algorithm(), self.bytes_of(member));
            reporter.advanced(Phase::Verify, member.size);
            Ok(match digest {
                Ok((digest, size)) if digest == member.checksum && size == member.size => None,
                other => Some((member.name.clone(), other.err())),
            })
        };
        let found = threads::each(AT_ONCE, &members, look)?;
        reporter.event(Event::Finished { phase: Phase::Verify });
        Ok(found.into_iter().flatten().collect())
    }

    pub(super) fn bytes_of(&self, member: &BundleMember) -> Excerpt {
        self.bytes.cut(member.offset, member.size)
    }
}

impl Members for Bundle {
    fn member(&self, name: &Path) -> io::Result<Excerpt> {
        let found = name.to_str().and_then(|name| self.names.get(name));
        let member = found.and_then(|at| self.index.members.get(*at));
        let member = member.ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, "the bundle has no such member")
        })?;
        Ok(self.bytes_of(member))
    }

    fn identity(&self) -> String {
        format!("bundle {}", self.digest())
    }
}

/// That a bundle is not what was written.
pub(super) fn damaged(path: &Path, what: &str) -> Error {
    let what = escape(what).into_owned();
    Error::DamagedBundle { path: path.to_owned(), what }
}

fn refused(path: &Path, why: &str) -> Error {
    Error::Usage(format!("{}: {why}", escape(&path.to_string_lossy())))
}

/// Its files, each with its size: more than one where the first is called `….001` and is not all.
fn parts(
    path: &Path,
    first: File,
    total: Option<u64>,
    set: Option<&str>,
) -> Result<Vec<(File, u64)>, Error> {
    let error = |path: &Path, source| Error::File { path: path.to_owned(), source };
    let size = first.metadata().map_err(|source| error(path, source))?.len();
    let (mut files, mut found) = (vec![(first, size)], size);
    let is_first = path.extension().is_some_and(|it| it == "001");
    let Some((total, set)) = total.zip(set).filter(|_| is_first) else {
        return Ok(files);
    };
    let stem = path.with_extension("");
    while found < total {
        let part = part_name(&stem, files.len() + 1, set);
        let file = open_to_read(&part).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                damaged(path, &format!("its part {} is not beside it", part.display()))
            }
            _ => error(&part, source),
        })?;
        let size = file.metadata().map_err(|source| error(&part, source))?.len();
        if size == 0 {
            return Err(damaged(path, &format!("its part {} is empty", part.display())));
        }
        files.push((file, size));
        found = found.saturating_add(size);
    }
    Ok(files)
}

fn trailer(path: &Path, bytes: &Excerpt, total: Option<u64>) -> Result<Trailer, Error> {
    let length = bytes.length();
    let mut end = Vec::new();
    let last = bytes.cut(length.saturating_sub(TRAILER_SIZE as u64), TRAILER_SIZE as u64);
    let read = last.take(TRAILER_SIZE as u64).read_to_end(&mut end);
    read.map_err(|source| Error::File { path: path.to_owned(), source })?;
    match (Trailer::read(&end), total) {
        (Some(trailer), _) if trailer.total == length => Ok(trailer),
        (_, Some(total)) if length < total => {
            let what = format!(
                "it is cut short, or was changed on the way: it has {length} bytes of {total}"
            );
            Err(damaged(path, &what))
        }
        (_, Some(total)) if length > total => {
            Err(damaged(path, &format!("it has {length} bytes, where {total} were written")))
        }
        _ => Err(damaged(path, "its trailer is not what was written")),
    }
}

fn index(path: &Path, bytes: &Excerpt, trailer: &Trailer) -> Result<BundleIndex, Error> {
    let Trailer { total, index_at, index_size, index, .. } = trailer;
    let is_within = index_at.checked_add(*index_size).is_some_and(|end| end <= *total);
    if !is_within || *index_size > INDEX_LIMIT {
        return Err(damaged(path, "its trailer names no index"));
    }
    let mut text = Vec::new();
    let read = bytes.cut(*index_at, *index_size).read_to_end(&mut text);
    read.map_err(|source| Error::File { path: path.to_owned(), source })?;
    if Checksum::of(&text) != *index {
        return Err(damaged(path, "its index is not what was written"));
    }
    let text = String::from_utf8(text).map_err(|error| error.to_string());
    let index = text.and_then(|text| BundleIndex::read(&text, *index_at));
    index.map_err(|why| refused(path, &format!("its index cannot be used: {why}")))
}
