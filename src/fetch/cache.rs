//! The cache on disk. Many runs, on many machines, may share it, without locks: files appear by
//! rename(2) and never change afterwards.
//!
//! ```text
//! CACHE/
//! ├── objects/sha256/ab/<hex>      files by their digest; checked again whenever they are used
//! ├── documents/<sha256 of URL>    small files by URL: a line of JSON (ETag, Last-Modified, the
//! │                                body's digest), then the body; revalidated by a request
//! ├── derived/<key>                what took long to make of objects: its digest in a line, then it
//! ├── seen/<repository>            the newest metadata that was accepted (see `metadata`)
//! └── partial/<hex>.<random>       files on their way; what a dead run left is taken over
//! ```
//!
//! Everything here may be deleted at any time.

use std::fs::{self, DirBuilder, DirEntry, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{FetchError, Stream};
use crate::model::{Checksum, Digester};
use crate::owned::{Owners, open_to_read};
use crate::tools::files;
use crate::tools::replacement::{Care, Replacement};

/// A partial file that nothing was added to for this long belongs to no living run: another one may
/// go on with it.
const ABANDONED: Duration = Duration::from_secs(120);
/// After this long, nobody will.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);
/// How keys of notes begin that are about one thing that a run made …
pub(crate) const MADE: &str = "made-";
/// … and how long they are kept: without one, what it is about is made again of packages.
const MADE_KEPT: Duration = Duration::from_secs(400 * 24 * 3600);
/// Most bytes of a `seen` file or a document's first line.
const SMALL: u64 = 64 * 1024;

/// Permissions, before the umask, of what every user may take from the cache …
const SHARED: u32 = 0o666;
/// … and of what is for its maker alone.
const OWN: u32 = 0o600;
/// Permissions of the cache's directories.
const PRIVATE: u32 = 0o700;
/// Most bytes of a file in `derived/`.
const DERIVED: u64 = 64 << 20;

/// A cache directory.
pub(super) struct Cache {
    root: PathBuf,
    owners: Owners,
}

impl Cache {
    /// Opens the cache at `root`, making the directories that are missing, for this user alone. Each is
    /// checked before anything is made in it.
    pub(super) fn open(root: PathBuf, owners: Owners) -> Result<Self, FetchError> {
        create_directories(&root)?;
        owners.check_root(&root)?;
        let cache = Self { root, owners };
        for name in ["objects", "documents", "derived", "seen", "partial"] {
            cache.make(&cache.root.join(name))?;
        }
        cache.sweep();
        Ok(cache)
    }

    /// Removes partial files that nobody came back for, and old things that can be made again.
    fn sweep(&self) {
        for (path, age) in self.files("partial").into_iter().chain(self.files("derived")) {
            if age > FORGOTTEN {
                let _ = fs::remove_file(path);
            }
        }
        let is_made = |path: &Path| {
            path.file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(MADE.as_bytes()))
        };
        for (path, age) in self.files("seen") {
            if age > MADE_KEPT && is_made(&path) {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// The files of a directory that can be looked at, and how long ago each was written to.
    fn files(&self, directory: &str) -> Vec<(PathBuf, Duration)> {
        let age = |entry: &DirEntry| {
            let metadata = entry.metadata().ok().filter(Metadata::is_file)?;
            metadata.modified().ok()?.elapsed().ok()
        };
        let entries = fs::read_dir(self.root.join(directory)).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some((entry.path(), age(&entry)?))).collect()
    }

    /// The file with this digest, if it is here and still whole, and its size. A damaged one is
    /// removed.
    pub(super) fn find(&self, checksum: &Checksum) -> Result<Option<(PathBuf, u64)>, FetchError> {
        let path = self.object(checksum);
        self.check_shard(&path)?;
        let file = match open_to_read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                remove(&path)?;
                return Ok(None);
            }
            Err(error) => return Err(FetchError::cache("read", &path, error)),
        };
        let (digest, size) = Checksum::of_reader(checksum.algorithm(), file)
            .map_err(|error| FetchError::cache("read", &path, error))?;
        if digest == *checksum {
            return Ok(Some((path, size)));
        }
        remove(&path)?;
        Ok(None)
    }

    /// The file that should have this digest, if it is here with this size. Its bytes were not
    /// looked at.
    pub(super) fn open_unproven(&self, checksum: &Checksum, size: u64) -> Option<File> {
        let path = self.object(checksum);
        self.check_shard(&path).ok()?;
        let file = open_to_read(&path).ok()?;
        file.metadata().is_ok_and(|metadata| metadata.len() == size).then_some(file)
    }

    /// Starts, or goes on with, a file that will have this digest.
    pub(super) fn begin(&self, checksum: &Checksum) -> Result<Partial, FetchError> {
        let prefix = format!("{}.", checksum.hex());
        let path = self.root.join("partial").join(format!("{prefix}{:016x}", files::random()));
        if self.take_over(&prefix, &path) {
            match self.resume(&path, checksum) {
                Ok(partial) => return Ok(partial),
                Err(_) => remove(&path)?,
            }
        }
        Partial::create(path, checksum)
    }

    /// Renames an abandoned partial file, whose name begins with `prefix`, to `path`. rename(2)
    /// lets one run win.
    fn take_over(&self, prefix: &str, path: &Path) -> bool {
        let is_wanted = |(found, age): &(PathBuf, Duration)| {
            let name = found.file_name().unwrap_or_default().to_string_lossy();
            *age > ABANDONED && name.starts_with(prefix)
        };
        let mut candidates = self.files("partial").into_iter().filter(is_wanted);
        candidates.any(|(found, _)| fs::rename(found, path).is_ok())
    }

    /// Makes a finished partial file an object. Its digest must have been compared.
    pub(super) fn commit(
        &self,
        partial: Partial,
        checksum: &Checksum,
    ) -> Result<PathBuf, FetchError> {
        let path = self.object(checksum);
        self.make_shard(&path)?;
        match rename(&partial.path, &path) {
            Ok(()) => Ok(path),
            // Another run may have taken this one for dead, gone on with its file, and been faster.
            Err(error) => self.find(checksum)?.map(|(path, _)| path).ok_or(error),
        }
    }

    /// What was fetched from `url` the last time, at most `limit` bytes of it.
    pub(super) fn document(&self, url: &str, limit: u64) -> Option<Document> {
        let file = self.own(&self.document_path(url))?;
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(SMALL)).read_to_end(&mut bytes).ok()?;
        let end = bytes.iter().position(|&byte| byte == b'\n')?;
        let head: DocumentHead = serde_json::from_slice(bytes.get(..end)?).ok()?;
        let body = bytes.split_off(end.checked_add(1)?);
        let is_whole = head.url == url && Checksum::of(&body) == head.digest;
        (is_whole && body.len() as u64 <= limit).then_some(Document { head, body })
    }

    /// Remembers what was fetched from a URL.
    pub(super) fn remember_document(&self, document: &Document) -> Result<(), FetchError> {
        let path = self.document_path(&document.head.url);
        let mut bytes = serde_json::to_vec(&document.head)
            .map_err(|error| FetchError::cache("write", &path, error.into()))?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&document.body);
        self.replace(&path, &[&bytes], SHARED)
    }

    /// Keeps `bytes`, whose digest was compared, as an object.
    pub(super) fn store(&self, checksum: &Checksum, bytes: &[u8]) -> Result<(), FetchError> {
        let path = self.object(checksum);
        self.make_shard(&path)?;
        self.replace(&path, &[bytes], SHARED)
    }

    /// The note under `key` in `seen/`.
    pub(super) fn recall(&self, key: &str) -> Option<String> {
        let mut text = String::new();
        let file = self.own(&self.seen(key))?;
        file.take(SMALL).read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// Replaces the note under `key` in `seen/`.
    pub(super) fn remember(&self, key: &str, text: &str) -> Result<(), FetchError> {
        self.replace(&self.seen(key), &[text.as_bytes()], SHARED)
    }

    /// What was kept under `key` in `derived/`, if it is whole and this user's own: no digest from
    /// outside proves it, and others may write in a shared cache.
    pub(super) fn derived(&self, key: &Checksum) -> Option<Vec<u8>> {
        let file = self.own(&self.root.join("derived").join(key.hex()))?;
        let mut bytes = Vec::new();
        file.take(DERIVED).read_to_end(&mut bytes).ok()?;
        let body = bytes.split_off(bytes.iter().position(|&byte| byte == b'\n')?);
        let body = body.get(1..)?;
        (bytes == Checksum::of(body).hex().as_bytes()).then(|| body.to_owned())
    }

    /// Keeps `bytes` under `key` in `derived/`.
    pub(super) fn keep_derived(&self, key: &Checksum, bytes: &[u8]) -> Result<(), FetchError> {
        let digest = format!("{}\n", Checksum::of(bytes).hex());
        self.replace(&self.root.join("derived").join(key.hex()), &[digest.as_bytes(), bytes], OWN)
    }

    /// The file at `path`, where it is of those whom this run trusts: what no digest from outside proves.
    fn own(&self, path: &Path) -> Option<File> {
        let file = open_to_read(path).ok()?;
        file.metadata().is_ok_and(|metadata| self.owners.has(&metadata)).then_some(file)
    }

    /// Makes a directory, for this user alone, and checks whose it is.
    fn make(&self, path: &Path) -> Result<(), FetchError> {
        match DirBuilder::new().mode(PRIVATE).create(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(FetchError::cache("create", path, error));
            }
            _ => {}
        }
        Ok(self.owners.check_directory(path)?)
    }

    /// The directories above an object, from `objects`, outermost first.
    fn shard(path: &Path) -> impl Iterator<Item = &Path> {
        [3, 2, 1].into_iter().filter_map(|above| path.ancestors().nth(above))
    }

    fn make_shard(&self, object: &Path) -> Result<(), FetchError> {
        // All of the cache may have been deleted meanwhile.
        create_directories(&self.root)?;
        Self::shard(object).try_for_each(|directory| self.make(directory))
    }

    fn check_shard(&self, object: &Path) -> Result<(), FetchError> {
        Self::shard(object).try_for_each(|directory| Ok(self.owners.check_directory(directory)?))
    }

    /// Goes on with a partial file, which only this user and those whom this run trusts can have written.
    fn resume(&self, path: &Path, checksum: &Checksum) -> io::Result<Partial> {
        let file = self.owners.open_or_make(path, 0o600).map_err(io::Error::other)?;
        Partial::resume(path, file, checksum)
    }

    /// Writes beside, then renames.
    fn replace(&self, path: &Path, pieces: &[&[u8]], mode: u32) -> Result<(), FetchError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = self.root.join("partial").join(format!("{name}.{:016x}", files::random()));
        let fill = |file: &mut File| pieces.iter().try_for_each(|piece| file.write_all(piece));
        let new = Replacement::file(temporary.clone(), Care::Usual(mode), fill);
        let new = new.map_err(|error| FetchError::cache("write", &temporary, error))?;
        new.put(path).map_err(|error| FetchError::cache("write", path, error))
    }

    pub(super) fn object(&self, checksum: &Checksum) -> PathBuf {
        object_path(&self.root, checksum)
    }

    fn document_path(&self, url: &str) -> PathBuf {
        self.root.join("documents").join(Checksum::of(url.as_bytes()).hex())
    }

    fn seen(&self, key: &str) -> PathBuf {
        seen_path(&self.root, key)
    }
}

/// Where the cache at `root` has the file with this digest.
pub(super) fn object_path(root: &Path, checksum: &Checksum) -> PathBuf {
    let shard = checksum.first_digits(2);
    root.join("objects").join(checksum.algorithm().as_str()).join(shard).join(checksum.hex())
}

/// Where the cache at `root` has the note under `key`.
pub(super) fn seen_path(root: &Path, key: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = key.chars().map(plain).collect();
    root.join("seen").join(format!("{}.json", name.trim_start_matches('.')))
}

/// A small file, and what lets its server say that it is still the same.
pub(super) struct Document {
    /// What is known about it.
    pub(super) head: DocumentHead,
    /// The content.
    pub(super) body: Vec<u8>,
}

/// The first line of a file in `documents/`.
#[derive(Serialize, Deserialize)]
pub(super) struct DocumentHead {
    /// Where it came from.
    pub(super) url: String,
    /// Its ETag.
    pub(super) etag: Option<String>,
    /// Its Last-Modified.
    pub(super) last_modified: Option<String>,
    /// Digest of the body.
    pub(super) digest: Checksum,
}

/// A file on its way into the cache. Dropped, it stays for a later run to go on with.
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    digester: Digester,
    empty: Digester,
    /// Who is told of what comes.
    stream: Option<Stream>,
    /// Bytes that are there.
    pub(super) length: u64,
}

impl Partial {
    fn create(path: PathBuf, checksum: &Checksum) -> Result<Self, FetchError> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|error| FetchError::cache("write", &path, error))?;
        let empty = Digester::new(checksum.algorithm());
        Ok(Self { path, file, digester: empty.clone(), empty, stream: None, length: 0 })
    }

    fn resume(path: &Path, mut file: File, checksum: &Checksum) -> io::Result<Self> {
        let empty = Digester::new(checksum.algorithm());
        let mut digester = empty.clone();
        let length = io::copy(&mut file, &mut digester)?;
        Ok(Self { path: path.to_owned(), file, digester, empty, stream: None, length })
    }

    /// Lets `stream` have what is there, and what comes.
    pub(super) fn feed(&mut self, stream: &Stream) -> Result<(), FetchError> {
        stream.begin(self.handle()?, self.length);
        self.stream = Some(stream.clone());
        Ok(())
    }

    /// Whether it was for somebody who does not want it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::is_abandoned)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Another handle of the file, for pieces that are written behind `length`.
    pub(super) fn handle(&self) -> Result<File, FetchError> {
        self.file.try_clone().map_err(|error| FetchError::cache("read", &self.path, error))
    }

    /// Counts what was written up to `end`.
    pub(super) fn take_in(&mut self, end: u64) -> Result<(), FetchError> {
        let mut buffer = vec![0; 128 << 10];
        while self.length < end {
            let left = usize::try_from(end - self.length).unwrap_or(usize::MAX);
            let room = buffer.get_mut(..left.min(128 << 10)).unwrap_or_default();
            self.file
                .read_exact_at(room, self.length)
                .map_err(|error| FetchError::cache("read", &self.path, error))?;
            self.count(room);
        }
        Ok(())
    }

    /// Cuts off what lies behind `length`.
    pub(super) fn trim(&mut self) -> Result<(), FetchError> {
        let cut = self.file.set_len(self.length);
        cut.map_err(|error| FetchError::cache("write", &self.path, error))
    }

    /// Adds a piece.
    pub(super) fn write(&mut self, chunk: &[u8]) -> Result<(), FetchError> {
        let written = self.file.write_all_at(chunk, self.length);
        written.map_err(|error| FetchError::cache("write", &self.path, error))?;
        self.count(chunk);
        Ok(())
    }

    /// Counts a piece that was written at `length`.
    fn count(&mut self, chunk: &[u8]) {
        self.length = self.length.saturating_add(chunk.len() as u64);
        if let Some(stream) = &self.stream {
            stream.reach(self.length);
        }
        self.digester.update(chunk);
    }

    /// The digest of what is there.
    pub(super) fn digest(&self) -> Checksum {
        self.digester.clone().finish()
    }

    /// Begins anew.
    pub(super) fn restart(&mut self) -> Result<(), FetchError> {
        if let Some(stream) = &self.stream {
            stream.restart();
        }
        let emptied = self.file.set_len(0);
        emptied.map_err(|error| FetchError::cache("write", &self.path, error))?;
        self.digester = self.empty.clone();
        self.length = 0;
        Ok(())
    }

    /// Removes it.
    pub(super) fn discard(self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn create_directories(path: &Path) -> Result<(), FetchError> {
    let made = DirBuilder::new().mode(PRIVATE).recursive(true).create(path);
    made.map_err(|error| FetchError::cache("create", path, error))
}

fn rename(from: &Path, to: &Path) -> Result<(), FetchError> {
    fs::rename(from, to).map_err(|error| {
        let _ = fs::remove_file(from);
        FetchError::cache("write", to, error)
    })
}

fn remove(path: &Path) -> Result<(), FetchError> {
    files::remove_tree(path).map_err(|error| FetchError::cache("replace", path, error))
}
