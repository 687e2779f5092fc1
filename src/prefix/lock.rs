//! One run at a time changes a prefix.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::fs::{Access, AtFlags, FlockOperation};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::error::{PrefixError, failed, shown};
use super::layout::{Layout, parse_number};
use super::{Prefix, bin, files};
use crate::model::{Arch, escape};
use crate::owned::{OwnedError, Owners, open_to_read};
use crate::report::Reporter;
use crate::tools::files as steps;
use crate::tools::machine::host_name;
use crate::tools::manners::Manners;

/// How often a waiting run tries again.
const POLL: Duration = Duration::from_millis(200);

/// A prefix that this run alone may change, until it is dropped. A prefix in which nothing was installed
/// is removed then, as far as this run made its directories. The kernel frees the lock of a run
/// that was killed.
///
/// What writes is a method of this type alone, so that nothing is written without the lock, nor with that
/// of another prefix:
///
/// ```compile_fail,E0599
/// # use elsewhere::stages::prefix::{Generation, Prefix};
/// fn swap(prefix: &Prefix, generation: &Generation) {
///     let _ = prefix.activate(generation);
/// }
/// ```
///
/// ```
/// # use elsewhere::stages::prefix::{Generation, Locked};
/// fn swap(prefix: &Locked, generation: &Generation) {
///     let _ = prefix.activate(generation);
/// }
/// ```
#[derive(Debug)]
pub struct Locked {
    prefix: Prefix,
    /// The prefix's directory, as it was found under its path.
    root: File,
    /// Directories above and at the prefix that this run made, outermost first.
    made: Vec<PathBuf>,
    hold: Hold,
    /// How the file system behaves, once that was tried.
    pub(super) manners: OnceLock<Manners>,
}

#[derive(Debug)]
enum Hold {
    /// `flock(2)` on the lock's file; held while it is open in any process, or given up.
    Flock { file: File },
    /// The owner's file, where the file system has no locks.
    Owner,
}

impl Deref for Locked {
    type Target = Prefix;

    fn deref(&self) -> &Prefix {
        &self.prefix
    }
}

/// How trying to take the lock ended.
enum Attempt {
    Taken(Hold),
    /// By whom.
    Held(Holder),
    /// The file was replaced while we looked at it.
    Again,
}

/// Who holds a lock: `PID HOST` in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    pid: u32,
    host: String,
}

impl Prefix {
    /// Makes the prefix's directories if need be, and waits until no other run changes it; with
    /// `wait` false fails instead of waiting.
    ///
    /// # Errors
    /// [`PrefixError::Held`], [`PrefixError::Cancelled`], or that the prefix cannot be written.
    pub fn lock(&self, wait: bool, reporter: &dyn Reporter) -> Result<Locked, PrefixError> {
        let mut made = Vec::new();
        let mut told = false;
        loop {
            self.make_skeleton(&mut made)?;
            let root = File::open(&self.layout.root).map_err(failed("open", &self.layout.root))?;
            match attempt(&self.layout, &self.owners, reporter)? {
                Attempt::Taken(hold) => {
                    let (prefix, manners) = (self.clone(), OnceLock::new());
                    let locked = Locked { prefix, root, made, hold, manners };
                    // Another run may have removed an empty prefix just before we had the lock.
                    self.make_skeleton(&mut Vec::new())?;
                    self.check_owners()?;
                    locked.is_in_place()?;
                    return Ok(locked);
                }
                Attempt::Again => continue,
                Attempt::Held(holder) if !wait => return Err(held(&self.layout, &holder)),
                Attempt::Held(holder) if !told => {
                    told = true;
                    let path = shown(&self.layout.root);
                    reporter
                        .note(format!("waiting: {path} is being changed by {}", holder.shown()));
                }
                Attempt::Held(_) => {}
            }
            if reporter.is_cancelled() {
                return Err(PrefixError::Cancelled);
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Locked {
    /// Proves that the path still leads to the directory that was locked. Whoever owns a directory above the
    /// prefix can put another one, or a link, in its place, so every step asks before it.
    ///
    /// # Errors
    /// [`PrefixError::Replaced`]; or that it cannot be looked at.
    pub(super) fn is_in_place(&self) -> Result<(), PrefixError> {
        let path = &self.layout.root;
        match is_same(&self.root, path) {
            true => Ok(()),
            false => Err(PrefixError::Replaced { path: path.clone() }),
        }
    }
}

impl Prefix {
    /// Makes the directories that everything else relies on, and proves that they can be written, and by
    /// nobody else: each before something is made in it.
    fn make_skeleton(&self, made: &mut Vec<PathBuf>) -> Result<(), PrefixError> {
        let layout = &self.layout;
        made.extend(files::make_directories(&layout.root)?);
        check_access(&layout.root)?;
        self.owners.check_root(&layout.root)?;
        for (directory, mode) in [
            (layout.bin(), 0o755),
            (layout.hidden(), 0o755),
            (layout.staging(), 0o700),
            (layout.trash(), 0o700),
        ] {
            if files::make_directory(&directory, mode)? && mode == 0o755 {
                made.push(directory.clone());
            }
            check_access(&directory)?;
            self.owners.check_directory(&directory)?;
        }
        Ok(())
    }

    /// Checks every other directory that a run writes to, but those of trees.
    fn check_owners(&self) -> Result<(), PrefixError> {
        let layout = &self.layout;
        let mut directories = vec![layout.members(), layout.programs()];
        for arch in Arch::ALL {
            directories.extend([layout.arch(arch), layout.programs().join(arch.as_str())]);
        }
        for directory in directories {
            self.owners.check_directory(&directory)?;
        }
        for arch in Arch::ALL {
            for name in numbered(&layout.arch(arch))? {
                self.owners.check_directory(&layout.arch(arch).join(name))?;
            }
        }
        Ok(())
    }
}

/// The names in the directory of an architecture that generations have, whatever has them.
fn numbered(directory: &Path) -> Result<Vec<String>, PrefixError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed("read", directory))?,
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter(|name| parse_number(name).is_some()).collect())
}

/// Proves that a directory can be written.
fn check_access(directory: &Path) -> Result<(), PrefixError> {
    let wanted = Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::accessat(rustix::fs::CWD, directory, wanted, AtFlags::EACCESS)
        .map_err(|error| failed("write to", directory)(error.into()))
}

/// Tries once.
fn attempt(
    layout: &Layout,
    owners: &Owners,
    reporter: &dyn Reporter,
) -> Result<Attempt, PrefixError> {
    let path = layout.lock();
    let mut file = match owners.open_or_make(&path, 0o644) {
        // The other run removed the empty prefix between our two steps.
        Err(OwnedError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(Attempt::Again);
        }
        file => file?,
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) if !is_same(&file, &path) => Ok(Attempt::Again),
        Ok(()) => {
            // For messages only: the lock is the kernel's.
            let _ = file.set_len(0).and_then(|()| file.write_all(Holder::this().line().as_bytes()));
            let _ = steps::set_mode(&file, 0o644);
            Ok(Attempt::Taken(Hold::Flock { file }))
        }
        Err(Errno::WOULDBLOCK) => Ok(Attempt::Held(Holder::read(&mut file))),
        Err(Errno::INTR) => Ok(Attempt::Again),
        Err(error) if error == Errno::NOLCK || steps::is_refusal(&error.into()) => {
            without_flock(layout, reporter)
        }
        Err(error) => Err(failed("lock", &path)(error.into())),
    }
}

/// Whether `path` still names the open file.
fn is_same(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Takes the lock by making a file that must not exist yet, where the file system has no locks. The
/// file of a run that died on this machine is taken over; one of another machine cannot be judged.
fn without_flock(layout: &Layout, reporter: &dyn Reporter) -> Result<Attempt, PrefixError> {
    let path = layout.owner();
    let line = Holder::this().line();
    let taken = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path);
    match taken {
        Ok(mut file) => {
            file.write_all(line.as_bytes()).map_err(failed("write", &path))?;
            reporter.warning(format!(
                "the file system of {} has no locks; {} stands in for one, and stays if this run is killed",
                shown(&layout.root),
                shown(&path)
            ));
            Ok(Attempt::Taken(Hold::Owner))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let Ok(mut file) = open_to_read(&path) else { return Ok(Attempt::Again) };
            let holder = Holder::read(&mut file);
            if !holder.is_dead_here() {
                return Ok(Attempt::Held(holder));
            }
            take_away(layout, &holder);
            Ok(Attempt::Again)
        }
        Err(error) => Err(failed("write", &path)(error)),
    }
}

/// Removes the owner's file of a dead run. Renamed before it is looked at again: of two runs that
/// find it, the slower one may have got the new owner's file, and puts that back.
fn take_away(layout: &Layout, dead: &Holder) {
    let stale = files::unique(&layout.trash(), "owner");
    if fs::rename(layout.owner(), &stale).is_err() {
        return;
    }
    let is_dead = open_to_read(&stale).is_ok_and(|mut file| Holder::read(&mut file) == *dead);
    if !is_dead {
        let _ = fs::hard_link(&stale, layout.owner());
    }
    let _ = fs::remove_file(stale);
}

fn held(layout: &Layout, holder: &Holder) -> PrefixError {
    let owner = layout.owner();
    PrefixError::Held {
        path: layout.root.clone(),
        holder: holder.shown(),
        owner: owner.exists().then_some(owner),
    }
}

impl Holder {
    fn this() -> Self {
        Self { pid: std::process::id(), host: host_name() }
    }

    fn line(&self) -> String {
        format!("{} {}\n", self.pid, self.host)
    }

    /// From the file; process 0 when it says nothing (yet).
    fn read(file: &mut File) -> Self {
        let mut text = String::new();
        let _ = file.rewind();
        let _ = file.take(512).read_to_string(&mut text);
        let (pid, host) = text.trim_end().split_once(' ').unwrap_or_default();
        Self { pid: pid.parse().unwrap_or(0), host: host.to_owned() }
    }

    fn shown(&self) -> String {
        match self.pid {
            0 => "another run".to_owned(),
            pid => format!("process {pid} on {}", escape(&self.host)),
        }
    }

    fn is_dead_here(&self) -> bool {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        // By the kernel's word: there may be no /proc.
        self.host == Self::this().host
            && pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH))
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let is_in_place = self.is_in_place().is_ok();
        let mut file = match std::mem::replace(&mut self.hold, Hold::Owner) {
            Hold::Flock { file } => Some(file),
            Hold::Owner => None,
        };
        let is_owner = file.is_none();
        let mut give_up = || {
            if let Some(file) = file.take() {
                // A child that another thread is just starting has a copy of the open file.
                let _ = rustix::fs::flock(&file, FlockOperation::Unlock);
            }
        };
        // Only once: the owner's file may be another run's a moment later.
        let is_removed =
            is_in_place && remove_skeleton_if_empty(&self.prefix.layout, &self.made, &mut give_up);
        give_up();
        if is_owner && !is_removed && is_in_place {
            let _ = fs::remove_file(self.layout.owner());
        }
    }
}

/// Removes a prefix in which nothing is installed: `rmdir` refuses whatever is not empty. The
/// prefix's own directory and those above it go only if this run made them. Whether it gave up the
/// lock on the way.
fn remove_skeleton_if_empty(layout: &Layout, made: &[PathBuf], give_up: &mut dyn FnMut()) -> bool {
    if layout.members().exists() || Arch::ALL.into_iter().any(|arch| layout.arch(arch).exists()) {
        return false;
    }
    bin::discard_program(layout);
    let rooms = [layout.staging(), layout.trash()];
    let remains = |error: io::Error| error.kind() != io::ErrorKind::NotFound;
    if rooms.iter().any(|room| fs::remove_dir(room).is_err_and(remains)) {
        return false;
    }
    // A `bin` that was there before the prefix was is not ours.
    if made.contains(&layout.bin()) || !made.contains(&layout.hidden()) {
        let _ = fs::remove_dir(layout.bin());
    }
    // What was believed of repositories and known of keys concerned what was installed.
    if !layout.pins().exists() {
        let _ = fs::remove_file(layout.sightings());
        let _ = fs::remove_file(layout.keys());
    }
    // From here on another run may begin: whatever it makes keeps `rmdir` from succeeding.
    let _ = fs::remove_file(layout.owner());
    let _ = fs::remove_file(layout.lock());
    // On NFS and FUSE what is open stays, under another name.
    give_up();
    let _ = fs::remove_dir(layout.hidden());
    for directory in made.iter().rev() {
        let _ = fs::remove_dir(directory);
    }
    true
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
