//! Writes a directory as a tar archive that is the same for the same files, whoever writes it and when: sorted, the
//! owner's ids, and no time later than one that is given. It has no name that leads out of it, and no link that
//! leads out of the repository.

use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt};

use crate::error::CvmfsError;
use crate::model::{PUBLISHED_NAME, VERSION_NAME};

/// An archive consists of blocks of so many bytes.
const BLOCK: usize = 512;

/// The most that a header's numbers hold, in octal digits.
const SIZE_DIGITS: usize = 11;
const ID_DIGITS: usize = 7;

/// What an entry is.
#[derive(Debug)]
enum Kind {
    Directory,
    File { size: u64 },
    Link { text: PathBuf },
}

/// An entry.
#[derive(Debug)]
struct Member {
    path: PathBuf,
    kind: Kind,
    mode: u32,
    time: u64,
}

/// A directory that is to be written as an archive.
#[derive(Debug)]
pub(super) struct Archive {
    tree: Dir,
    root: PathBuf,
    members: Vec<Member>,
    owner: (u32, u32),
}

/// How an archive is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// The ids of whose the files are to be.
    pub(super) owner: (u32, u32),
    /// The latest time, in seconds since 1970, and that of all but files.
    pub(super) time: u64,
    /// How deep below the repository's root it is laid.
    pub(super) depth: usize,
}

impl Archive {
    /// Looks at all that `root` holds.
    ///
    /// # Errors
    /// When something in it is no file, directory or symlink, gives rights, or leads out of the repository.
    pub(super) fn of(root: &Path, manner: Manner) -> Result<Self, CvmfsError> {
        let at = |source| CvmfsError::Io { path: root.to_owned(), source };
        let tree = Dir::open_ambient_dir(root, ambient_authority()).map_err(at)?;
        let mut archive =
            Self { tree, root: root.to_owned(), members: Vec::new(), owner: manner.owner };
        let mut waiting = vec![PathBuf::new()];
        while let Some(directory) = waiting.pop() {
            for path in archive.names(&directory)? {
                let member = archive.member(path, manner)?;
                if matches!(member.kind, Kind::Directory) {
                    waiting.push(member.path.clone());
                }
                archive.members.push(member);
            }
        }
        archive.members.sort_by(|a, b| (rank(a), &a.path).cmp(&(rank(b), &b.path)));
        Ok(archive)
    }

    fn names(&self, directory: &Path) -> Result<Vec<PathBuf>, CvmfsError> {
        let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let entries = self.tree.read_dir(here).map_err(self.at(directory))?;
        let names = entries.map(|entry| entry.map(|entry| directory.join(entry.file_name())));
        names.collect::<io::Result<_>>().map_err(self.at(directory))
    }

    fn member(&self, path: PathBuf, manner: Manner) -> Result<Member, CvmfsError> {
        let unfit = |problem| CvmfsError::Unfit { path: self.root.join(&path), problem };
        let about = self.tree.symlink_metadata(&path).map_err(self.at(&path))?;
        let mode = about.mode() & 0o7777;
        let kind = match about.file_type() {
            kind if kind.is_dir() => Kind::Directory,
            kind if kind.is_file() => Kind::File { size: about.len() },
            kind if kind.is_symlink() => {
                let text = self.tree.read_link_contents(&path).map_err(self.at(&path))?;
                let depth = manner.depth + path.components().count() - 1;
                match leads_out(&text, depth) {
                    true => return Err(unfit("leads out of the repository")),
                    false => Kind::Link { text },
                }
            }
            _ => return Err(unfit("is no file, directory or symlink")),
        };
        let is_link = matches!(kind, Kind::Link { .. });
        if mode & 0o7000 != 0 && !is_link {
            return Err(unfit(
                "has rights of its owner or group (setuid, setgid), or a sticky bit",
            ));
        }
        let own = u64::try_from(about.mtime()).unwrap_or(0);
        let time =
            if matches!(kind, Kind::File { .. }) { own.min(manner.time) } else { manner.time };
        Ok(Member { path, kind, mode: if is_link { 0o777 } else { mode }, time })
    }

    /// Writes it.
    ///
    /// # Errors
    /// When a file cannot be read, or has changed, or what is written to wants no more.
    pub(super) fn write(&self, out: &mut dyn Write) -> Result<(), CvmfsError> {
        let piped = |source| CvmfsError::Piped { source };
        let mut out = io::BufWriter::with_capacity(1 << 16, out);
        for member in &self.members {
            out.write_all(&header(member, self.owner)).map_err(piped)?;
            if let Kind::File { size } = member.kind {
                self.copy(&member.path, size, &mut out)?;
            }
        }
        out.write_all(&[0; 2 * BLOCK]).map_err(piped)?;
        out.flush().map_err(piped)
    }

    fn copy(&self, path: &Path, size: u64, out: &mut dyn Write) -> Result<(), CvmfsError> {
        let piped = |source| CvmfsError::Piped { source };
        let mut file = self.tree.open(path).map_err(self.at(path))?;
        let mut left = size;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = file.read(&mut buffer).map_err(self.at(path))?;
            left = match left.checked_sub(count as u64) {
                Some(left) if count > 0 || left == 0 => left,
                _ => {
                    let problem = "changed while it was read";
                    return Err(CvmfsError::Unfit { path: self.root.join(path), problem });
                }
            };
            if count == 0 {
                break;
            }
            out.write_all(buffer.get(..count).unwrap_or_default()).map_err(piped)?;
        }
        let rest = padding(size);
        out.write_all(&vec![0; rest]).map_err(piped)
    }

    fn at(&self, path: &Path) -> impl FnOnce(io::Error) -> CvmfsError {
        let path = self.root.join(path);
        |source| CvmfsError::Io { path, source }
    }
}

/// What comes later than its place by name, for whoever takes an archive for whole that was cut: a version says what it is
/// once all of it is there, and the links beside the versions come last, for until then they lead to what was there before.
fn rank(member: &Member) -> u32 {
    let name = member.path.file_name().unwrap_or_default();
    match (member.path.components().count(), &member.kind) {
        (1, Kind::Link { .. }) => 3,
        (1, Kind::File { .. }) if name == PUBLISHED_NAME => 2,
        (2, Kind::File { .. }) if name == VERSION_NAME => 1,
        _ => 0,
    }
}

/// Whether a symlink with this text leads out of the repository, `depth` directories below its root.
fn leads_out(text: &Path, depth: usize) -> bool {
    use std::path::Component;
    let mut left = depth;
    for part in text.components() {
        match part {
            Component::RootDir | Component::Prefix(_) => return true,
            Component::CurDir => {}
            Component::Normal(_) => left += 1,
            Component::ParentDir => match left.checked_sub(1) {
                Some(less) => left = less,
                None => return true,
            },
        }
    }
    false
}

/// How many bytes are missing to a whole block.
fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    (BLOCK - over) % BLOCK
}

/// The header of an entry; before it, what does not fit into one.
fn header(member: &Member, owner: (u32, u32)) -> Vec<u8> {
    let mut name = member.path.as_os_str().as_bytes().to_vec();
    let (size, link, kind) = match &member.kind {
        Kind::Directory => {
            name.push(b'/');
            (0, &[][..], b'5')
        }
        Kind::File { size } => (*size, &[][..], b'0'),
        Kind::Link { text } => (0, text.as_os_str().as_bytes(), b'2'),
    };
    let mut more = Vec::new();
    let mut add = |key: &str, value: &[u8]| more.extend(record(key, value));
    if name.len() > 100 {
        add("path", &name);
    }
    if link.len() > 100 {
        add("linkpath", link);
    }
    for (key, number, digits) in [
        ("size", size, SIZE_DIGITS),
        ("uid", owner.0.into(), ID_DIGITS),
        ("gid", owner.1.into(), ID_DIGITS),
    ] {
        if number >= 8_u64.pow(u32::try_from(digits).unwrap_or(0)) {
            add(key, number.to_string().as_bytes());
        }
    }
    let mut blocks = Vec::new();
    let fields = Fields { mode: member.mode, owner, time: member.time };
    if !more.is_empty() {
        blocks.extend(block(b"pax", &[], b'x', more.len() as u64, fields));
        let rest = padding(more.len() as u64);
        blocks.extend(&more);
        blocks.resize(blocks.len() + rest, 0);
    }
    blocks.extend(block(&name, link, kind, size, fields));
    blocks
}

/// Numbers of a header.
#[derive(Clone, Copy)]
struct Fields {
    mode: u32,
    owner: (u32, u32),
    time: u64,
}

/// One header, POSIX ustar.
fn block(name: &[u8], link: &[u8], kind: u8, size: u64, fields: Fields) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut at = 0;
    let mut put = |bytes: &[u8], width: usize| {
        let room = block.get_mut(at..at + width).unwrap_or_default();
        room.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        at += width;
    };
    put(name, 100);
    put(&octal(fields.mode.into(), ID_DIGITS), 8);
    put(&octal(fields.owner.0.into(), ID_DIGITS), 8);
    put(&octal(fields.owner.1.into(), ID_DIGITS), 8);
    put(&octal(size, SIZE_DIGITS), 12);
    put(&octal(fields.time, SIZE_DIGITS), 12);
    put(b"        ", 8);
    put(&[kind], 1);
    put(link, 100);
    put(b"ustar\x0000", 8);
    put(&[], 64);
    put(&octal(0, ID_DIGITS), 8);
    put(&octal(0, ID_DIGITS), 8);
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    let sum = octal(sum, 6);
    block[148..156].iter_mut().zip(sum.iter().chain(&[0, b' '])).for_each(|(to, from)| *to = *from);
    block
}

/// So many octal digits; what has more is in a record of its own.
fn octal(number: u64, digits: usize) -> Vec<u8> {
    let text = format!("{number:0digits$o}");
    match text.len() == digits {
        true => text.into_bytes(),
        false => b"0".repeat(digits),
    }
}

/// A record of an extended header: its length, itself included, the key and the value.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length.to_string().len() + rest != length {
        length = length.to_string().len() + rest;
    }
    let mut record = format!("{length} {key}=").into_bytes();
    record.extend(value);
    record.push(b'\n');
    record
}

#[cfg(test)]
#[path = "tar_tests.rs"]
mod tests;
