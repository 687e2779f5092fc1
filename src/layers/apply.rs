//! One layer over those below it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;

use super::error::LayerError;
use super::sparse::SparseMap;
use super::tar::{MemberKind, TarMember, TarReader};
use super::tree::{About, ImageTree, failed};
use super::walk;
use crate::model::{Algorithm, Checksum, Digester};
use crate::report::{Phase, Reporter};

/// Bytes that are decoded, digested and written at a time.
const CHUNK: usize = 128 << 10;
/// What names a whiteout, and the one that hides all of a directory. Others with two of them are aufs' own.
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const RESERVED: &[u8] = b".wh..wh.";

/// Applies the layer that `open` gives, not compressed, to `tree`. Returns the digest of all its bytes, which an
/// image's configuration names as a `diff_id`.
///
/// # Errors
/// When it cannot be read, makes no sense, or cannot be written. The tree is of no use then.
pub fn apply(
    tree: &mut ImageTree<'_>,
    open: &mut dyn Read,
    reporter: &dyn Reporter,
) -> Result<Checksum, LayerError> {
    let mut digester = Digester::new(Algorithm::Sha256);
    let counted = Counted { open, digester: &mut digester, reporter };
    let mut applying = Applying {
        members: TarReader::new(counted),
        tree,
        later: Vec::new(),
        buffer: vec![0; CHUNK],
        reporter,
    };
    applying.run()?;
    tree.layer += 1;
    Ok(digester.finish())
}

/// All bytes of a layer, digested.
struct Counted<'a> {
    open: &'a mut dyn Read,
    digester: &'a mut Digester,
    reporter: &'a dyn Reporter,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.reporter.is_cancelled() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let count = self.open.read(buffer)?;
        self.digester.update(buffer.get(..count).unwrap_or_default());
        self.reporter.advanced(Phase::Unpack, count as u64);
        Ok(count)
    }
}

struct Applying<'a, 't, R> {
    members: TarReader<R>,
    tree: &'a mut ImageTree<'t>,
    /// Hard links to what was not there yet: the names, and those of their targets.
    later: Vec<(Vec<OsString>, Vec<OsString>)>,
    buffer: Vec<u8>,
    reporter: &'a dyn Reporter,
}

impl<R: Read> Applying<'_, '_, R> {
    fn run(&mut self) -> Result<(), LayerError> {
        let done = self.members();
        match done {
            Err(LayerError::Read(_)) if self.reporter.is_cancelled() => Err(LayerError::Cancelled),
            done => done,
        }
    }

    fn members(&mut self) -> Result<(), LayerError> {
        while let Some(member) = self.members.next()? {
            self.put(&member)?;
        }
        self.members.drain()?;
        // Each may be what another waits for.
        let mut later = std::mem::take(&mut self.later);
        while !later.is_empty() {
            let before = later.len();
            let mut left = Vec::new();
            for (names, target) in later {
                if !self.tree.hard_link(&names, &target)? {
                    left.push((names, target));
                }
            }
            later = left;
            if let Some((names, target)) = later.first().filter(|_| later.len() == before) {
                let what = format!("is a hard link to {}, which is not there", shown(target));
                return Err(LayerError::entry(shown(names).as_bytes(), what));
            }
        }
        Ok(())
    }

    fn put(&mut self, member: &TarMember) -> Result<(), LayerError> {
        let names = walk::names(&member.path);
        if let Some((last, parents)) = names.split_last()
            && last.as_bytes().starts_with(WHITEOUT)
        {
            return self.whiteout(member, last.as_bytes(), parents);
        }
        let about = About {
            mode: member.mode,
            owner: member.owner,
            mtime: Some(member.mtime),
            xattrs: &member.xattrs,
        };
        if names.is_empty() && member.kind != MemberKind::Directory {
            return Err(LayerError::entry(&member.path, "is the root, which is a directory"));
        }
        match member.kind {
            MemberKind::Directory => self.tree.directory(&names, &about),
            MemberKind::File => {
                let Self { members, tree, buffer, .. } = self;
                let map = member.map.as_ref();
                tree.file(&names, &about, |file| fill(file, map, members, (buffer, &names)))
            }
            MemberKind::Symlink if member.target.is_empty() => {
                Err(LayerError::entry(&member.path, "is a symlink without a target"))
            }
            MemberKind::Symlink => self.tree.symlink(&names, &about, &member.target),
            MemberKind::HardLink => {
                let target = walk::names(&member.target);
                if target.is_empty() {
                    let what = "is a hard link to a directory";
                    return Err(LayerError::entry(&member.path, what));
                }
                if !self.tree.hard_link(&names, &target)? {
                    self.later.push((names, target));
                }
                Ok(())
            }
            MemberKind::Fifo => self.tree.fifo(&names, &about),
            MemberKind::Character => self.tree.device(&names, &about, (false, member.device)),
            MemberKind::Block => self.tree.device(&names, &about, (true, member.device)),
            MemberKind::Other(kind) => {
                let path = String::from_utf8_lossy(&member.path);
                let path = crate::model::escape(&path);
                self.reporter.detail(format!(
                    "{path} is passed over: nobody but its maker knows entries of kind {:?}",
                    char::from(kind)
                ));
                Ok(())
            }
        }
    }

    /// Hides what lower layers have. It counts whatever kind of entry it is.
    fn whiteout(
        &mut self,
        member: &TarMember,
        name: &[u8],
        parents: &[OsString],
    ) -> Result<(), LayerError> {
        if name == OPAQUE {
            let Some(place) = self.directory_of(parents)? else { return Ok(()) };
            return self.tree.hide(&place, true);
        }
        if name.starts_with(RESERVED) {
            return Ok(());
        }
        let hidden = name.strip_prefix(WHITEOUT).unwrap_or_default();
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(LayerError::entry(&member.path, "hides nothing that can be there"));
        }
        let hidden = std::ffi::OsStr::from_bytes(hidden).to_owned();
        let names: Vec<OsString> = parents.iter().cloned().chain([hidden]).collect();
        let Some(place) = self.tree.place(&names, false)? else { return Ok(()) };
        self.tree.hide(&place, false)
    }

    /// Where the directory is that these names lead to, if there is one.
    fn directory_of(
        &mut self,
        names: &[OsString],
    ) -> Result<Option<std::path::PathBuf>, LayerError> {
        // Of any name in it.
        let inner: Vec<OsString> = names.iter().cloned().chain(["x".into()]).collect();
        let place = self.tree.place(&inner, false)?;
        Ok(place.and_then(|place| place.parent().map(std::path::Path::to_owned)))
    }
}

/// Writes a file's data, and says how many bytes it has, and their digest.
fn fill(
    file: &mut File,
    map: Option<&SparseMap>,
    data: &mut impl Read,
    (buffer, names): (&mut Vec<u8>, &[OsString]),
) -> Result<(u64, Checksum), LayerError> {
    let mut digester = Digester::new(Algorithm::Sha256);
    let write = |source| failed(names, source);
    let Some(map) = map else {
        let mut size = 0;
        loop {
            let count = data.read(buffer).map_err(LayerError::Read)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                return Ok((size, digester.finish()));
            };
            digester.update(bytes);
            file.write_all(bytes).map_err(write)?;
            size += count as u64;
        }
    };
    let mut at = 0;
    for (offset, length) in &map.parts {
        digest_zeros(&mut digester, offset - at);
        file.seek(SeekFrom::Start(*offset)).map_err(write)?;
        let mut part = data.by_ref().take(*length);
        loop {
            let count = part.read(buffer).map_err(LayerError::Read)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            digester.update(bytes);
            file.write_all(bytes).map_err(write)?;
        }
        at = offset + length;
    }
    digest_zeros(&mut digester, map.size - at);
    file.set_len(map.size).map_err(write)?;
    Ok((map.size, digester.finish()))
}

/// A hole, as whoever reads it has it.
fn digest_zeros(digester: &mut Digester, mut count: u64) {
    const ZEROS: [u8; 4096] = [0; 4096];
    while count > 0 {
        let some = usize::try_from(count).unwrap_or(ZEROS.len()).min(ZEROS.len());
        digester.update(ZEROS.get(..some).unwrap_or(&ZEROS));
        count -= some as u64;
    }
}

fn shown(names: &[OsString]) -> String {
    names.iter().collect::<std::path::PathBuf>().to_string_lossy().into_owned()
}
