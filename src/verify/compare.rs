//! Compares what a receipt lists with what is there, by several threads.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::finding::finding;
use super::{Finding, Problem, VerifyError};
use crate::model::{Checksum, Digester, FileKind, ReceiptFile};
use crate::report::{Phase, Reporter};
use crate::tools::limits::Limit;
use crate::tools::threads::{self, Queue};

/// More threads than this only make a disk seek, or a network file system queue.
const MOST_THREADS: usize = 8;
/// Bytes that are read at a time.
const CHUNK: usize = 256 << 10;
/// Permission bits that count.
const FILE_BITS: u32 = 0o7777;
/// Of directories all but set-group-id, which project directories hand down.
const DIRECTORY_BITS: u32 = 0o5777;

/// Findings about every one of `files`, in no order.
pub(super) fn all(
    tree: &Path,
    files: &[ReceiptFile],
    reporter: &dyn Reporter,
) -> Result<Vec<Finding>, VerifyError> {
    let queue = Queue::default();
    let work = || {
        let mut findings = Vec::new();
        let mut buffer = vec![0; CHUNK];
        while let Some((_, file)) = queue.take(files) {
            if reporter.is_cancelled() {
                break;
            }
            let problem = compare(tree, file, &mut buffer, reporter)?;
            findings.extend(problem.map(|problem| finding(file, problem)));
        }
        Ok(findings)
    };
    let found = threads::together(MOST_THREADS, work);
    if reporter.is_cancelled() {
        return Err(VerifyError::Cancelled);
    }
    Ok(found.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// What is wrong with `file`.
fn compare(
    tree: &Path,
    file: &ReceiptFile,
    buffer: &mut [u8],
    reporter: &dyn Reporter,
) -> Result<Option<Problem>, VerifyError> {
    let path = tree.join(&file.path);
    let metadata = match fs::symlink_metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if is_absent(&error) => return Ok(Some(Problem::Missing)),
        Err(error) => return unreadable(&path, error).map(Some),
    };
    Ok(match &file.kind {
        FileKind::Directory if metadata.is_dir() => mode(file, &metadata, DIRECTORY_BITS),
        FileKind::Directory => Some(Problem::Kind { expected: "directory" }),
        FileKind::Symlink { target } if metadata.is_symlink() => link(&path, target)?,
        FileKind::Symlink { .. } => Some(Problem::Kind { expected: "symlink" }),
        FileKind::File { size, checksum, .. } if metadata.is_file() => {
            let is_same = *size == metadata.len();
            let content = match is_same.then(|| digest(&path, checksum, buffer, reporter)) {
                Some(Ok(got)) if got == *checksum => None,
                Some(Err(error)) => Some(unreadable(&path, error)?),
                _ => Some(Problem::Content),
            };
            content.or_else(|| mode(file, &metadata, FILE_BITS))
        }
        FileKind::File { .. } => Some(Problem::Kind { expected: "file" }),
    })
}

fn mode(file: &ReceiptFile, metadata: &Metadata, bits: u32) -> Option<Problem> {
    let (expected, found) = (file.mode & bits, metadata.permissions().mode() & bits);
    (expected != found).then_some(Problem::Mode { expected, found })
}

fn link(path: &Path, expected: &str) -> Result<Option<Problem>, VerifyError> {
    Ok(match fs::read_link(path) {
        Ok(found) if found.as_os_str() == expected => None,
        Ok(found) => Some(Problem::Target {
            expected: expected.to_owned(),
            found: found.to_string_lossy().into_owned(),
        }),
        Err(error) => Some(unreadable(path, error)?),
    })
}

/// The digest of the file at `path`, by `like`'s algorithm.
fn digest(
    path: &Path,
    like: &Checksum,
    buffer: &mut [u8],
    reporter: &dyn Reporter,
) -> io::Result<Checksum> {
    let mut file = File::open(path)?;
    let mut digester = Digester::new(like.algorithm());
    loop {
        let count = match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count?,
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() || reporter.is_cancelled() {
            return Ok(digester.finish());
        }
        digester.update(bytes);
        reporter.advanced(Phase::Verify, bytes.len() as u64);
    }
}

/// Whether nothing can be there: a file may stand where a directory on the way would be.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What a file that cannot be read means: where this process met a limit, nothing about the file.
fn unreadable(path: &Path, source: io::Error) -> Result<Problem, VerifyError> {
    match Limit::of(&source) {
        Some(_) => Err(VerifyError::Read { path: path.to_owned(), source }),
        None => Ok(Problem::Unreadable { reason: source.to_string() }),
    }
}
