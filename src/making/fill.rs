//! Every package of every tree, fetched by some threads and verified and unpacked by others, the
//! largest first. A package is worked on while it still comes in: its header is verified before
//! anything is written, each file before it counts, and the whole before the tree is of any use.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::{self, Scope};
use std::time::Duration;

use super::make::Making;
use super::places::Mirrors;
use crate::context::Context;
use crate::decoding::Decoder;
use crate::error::Error;
use crate::fetch::{FetchError, Stream, StreamEnd, Whence, package_places};
use crate::metadata::Keys;
use crate::model::{KeyPin, LOCAL, PlannedPackage};
use crate::report::{Event, Phase};
use crate::sandbox::{self, Confinement};
use crate::tools::threads::{self, Queue, Task};
use crate::trust::{self, Policy};
use crate::unpack::{self, UnpackError, Unpacked};

/// Packages that are fetched at the same time; `fetch` bounds the connections to one host.
const DOWNLOADS: usize = 6;
/// Packages that are unpacked at the same time, at the least: one may wait for the network.
const LEAST_UNPACKERS: usize = 2;
/// … and at the most: each takes memory.
const MOST_UNPACKERS: usize = 8;
/// Packages that may have come, or be coming, before somebody unpacks them: each is an open file.
const AHEAD: usize = 16;
/// How often a thread looks up that waits until others are not so far behind.
const TICK: Duration = Duration::from_millis(50);
/// A package that is smaller than the largest by this factor gives way to it on busy processors: the
/// run cannot end before the largest is decoded, whatever else is.
const GIVES_WAY: u64 = 4;
/// How far it gives way: what `nice` adds.
const NICER: i32 = 5;

/// Fetches, verifies and unpacks every package of every tree.
///
/// # Errors
/// The first failure; the other threads then stop at their next step.
pub(crate) fn fill(
    context: Context<'_>,
    keys: &Keys<'_>,
    trees: &[Making<'_>],
) -> Result<(), Error> {
    check_at_hand(context, trees)?;
    announce(context, trees);
    let crew = |way| Crew::new(context, keys, way, trees);
    if crew(Way::WhileComing).run()? == Outcome::Unsure {
        // A mirror served other bytes first, or the cache was damaged. That is rare: no need to be
        // fast, only to be sure.
        context.reporter.detail("a package came damaged: all are unpacked anew".to_owned());
        trees.iter().try_for_each(Making::reset)?;
        crew(Way::WhenProven).run()?;
    }
    // Whoever stops because of another thread's failure leaves the telling to it: nothing may fall
    // between the two.
    if let Some(package) = trees.iter().flat_map(Making::parts).find_map(Making::lacking) {
        return Err(Error::NotUnpacked(package.nevra.clone()));
    }
    for phase in [Phase::Download, Phase::Unpack] {
        context.reporter.event(Event::Finished { phase });
    }
    Ok(())
}

/// Where nothing is asked of the network: refuses to begin without all packages, and names those that lack.
fn check_at_hand(context: Context<'_>, trees: &[Making<'_>]) -> Result<(), FetchError> {
    let places = |(part, package): (&Making<'_>, &'_ PlannedPackage)| {
        package_places(part.plan().source(&package.source), package)
    };
    let parts = trees.iter().flat_map(Making::parts);
    let wanted = parts.flat_map(|part| {
        let fetched = part.fetched().into_iter();
        fetched.map(move |(_, it)| (places((part, it)), &it.checksum, it.size))
    });
    context.fetcher.check_at_hand(wanted)
}

fn announce(context: Context<'_>, trees: &[Making<'_>]) {
    let packages: Vec<_> = trees.iter().flat_map(Making::parts).flat_map(Making::fetched).collect();
    let total = |size: fn(&PlannedPackage) -> u64| {
        Some(crate::model::total(packages.iter().map(|(_, package)| size(package))))
    };
    for (phase, total) in [
        (Phase::Download, total(|package| package.size)),
        (Phase::Unpack, total(|package| package.installed_size)),
    ] {
        context.reporter.event(Event::Started { phase, total });
    }
}

/// When a package is unpacked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// While it comes in.
    WhileComing,
    /// When its whole file was found to be the right one.
    WhenProven,
}

/// How filling ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Filled,
    /// A package does not prove, and what was read of it may not be what is in the cache now.
    Unsure,
}

/// One package of one tree.
struct Job<'a> {
    tree: &'a Making<'a>,
    position: usize,
    package: &'a PlannedPackage,
    stream: Stream,
}

impl Job<'_> {
    /// The keys that may have signed the package.
    fn pins(&self) -> &[KeyPin] {
        let source = self.tree.plan().source(&self.package.source);
        source.map_or(&[], |source| &source.keys)
    }
}

/// The threads' common ground.
struct Crew<'a> {
    context: Context<'a>,
    keys: &'a Keys<'a>,
    way: Way,
    trees: &'a [Making<'a>],
    jobs: Vec<Job<'a>>,
    is_confinement_told: AtomicBool,
    is_decoding_told: AtomicBool,
    mirrors: Mirrors,
    downloads: Queue,
    /// Told of at `taken`.
    unpacking: Queue,
    taken: (Mutex<()>, Condvar),
    is_over: AtomicBool,
}

/// Threads of a crew.
type Tasks<'scope> = Vec<Task<'scope, Result<Outcome, Error>>>;

impl<'a> Crew<'a> {
    fn new(context: Context<'a>, keys: &'a Keys<'a>, way: Way, trees: &'a [Making<'a>]) -> Self {
        let mut jobs = Vec::new();
        for tree in trees.iter().flat_map(Making::parts) {
            for (position, package) in tree.fetched() {
                jobs.push(Job { tree, position, package, stream: Stream::default() });
            }
        }
        jobs.sort_by_key(|job| std::cmp::Reverse(job.package.size));
        let (downloads, unpacking) = (Queue::default(), Queue::default());
        let [is_confinement_told, is_decoding_told, is_over] =
            [const { AtomicBool::new(false) }; 3];
        Self {
            context,
            keys,
            way,
            trees,
            jobs,
            is_confinement_told,
            is_decoding_told,
            mirrors: Mirrors::default(),
            downloads,
            unpacking,
            taken: Default::default(),
            is_over,
        }
    }

    fn run(&self) -> Result<Outcome, Error> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let unpackers = processors.clamp(LEAST_UNPACKERS, MOST_UNPACKERS);
        thread::scope(|scope| {
            let downloads = start(scope, DOWNLOADS, || self.download());
            // Here, because threads that unpack have no network.
            self.jobs.iter().for_each(|job| self.keys.ensure(job.pins()));
            let unpackers = start(scope, unpackers, || self.unpack());
            let (fetched_here, unpacked_here) =
                self.stand_in(downloads.is_empty(), unpackers.is_empty());
            let fetched = join(downloads, fetched_here);
            let unpacked = join(unpackers, unpacked_here);
            match unpacked {
                Err(Error::Unpack(UnpackError::Cancelled)) | Ok(_) => fetched.and(unpacked),
                // Only what was proven fails here, and that counts for more than what did not come.
                refused => refused,
            }
        })
    }

    /// Does here what no thread was to be had for. Outcomes of fetching and of unpacking.
    fn stand_in(
        &self,
        fetches: bool,
        unpacks: bool,
    ) -> (Result<Outcome, Error>, Result<Outcome, Error>) {
        if unpacks {
            // A thread is confined for ever, and this one has more to do.
            let reason = "no thread can be started for it".to_owned();
            self.context.reporter.detail(Confinement::Unavailable(reason).to_string());
        }
        match (fetches, unpacks) {
            (false, false) => (Ok(Outcome::Filled), Ok(Outcome::Filled)),
            (true, false) => (self.download(), Ok(Outcome::Filled)),
            (false, true) => (Ok(Outcome::Filled), self.unpack_each(Decoder::here())),
            (true, true) => {
                for job in &self.jobs {
                    if let Err(error) = self.feed(job) {
                        return (Err(error.into()), Ok(Outcome::Filled));
                    }
                    match self.put(job, &mut Decoder::here()) {
                        Ok(Outcome::Filled) => {}
                        unpacked => return (Ok(Outcome::Filled), unpacked),
                    }
                }
                (Ok(Outcome::Filled), Ok(Outcome::Filled))
            }
        }
    }

    /// A downloading thread.
    fn download(&self) -> Result<Outcome, Error> {
        let _guard = Guard(self);
        while let Some((number, job)) = self.downloads.take(&self.jobs) {
            self.wait_for_turn(number);
            if self.is_over() {
                job.stream.abandon();
                continue;
            }
            if let Err(error) = self.feed(job) {
                if matches!(error, FetchError::Cancelled) && self.is_told_elsewhere() {
                    continue;
                }
                self.end();
                self.abandon();
                return Err(error.into());
            }
        }
        Ok(Outcome::Filled)
    }

    fn feed(&self, job: &Job<'_>) -> Result<(), FetchError> {
        let Job { package, stream, .. } = job;
        let tree = job.tree.plan();
        let urls = package_places(tree.source(&package.source), package);
        let further = || self.mirrors.places(self.context, tree, package);
        let feed = match self.way {
            Way::WhileComing => crate::fetch::Fetcher::feed,
            Way::WhenProven => crate::fetch::Fetcher::feed_proven,
        };
        let phase = Some(Phase::Download);
        let whence = Whence::or(&urls, &further);
        feed(self.context.fetcher, whence, &package.checksum, package.size, phase, stream)
    }

    /// Waits until those who unpack are not far behind the package with this number.
    fn wait_for_turn(&self, number: usize) {
        let (mutex, condition) = &self.taken;
        let mut guard = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        let is_early = || number >= self.unpacking.asked().saturating_add(AHEAD);
        while is_early() && !self.is_over() && !self.context.reporter.is_cancelled() {
            let woken = condition.wait_timeout(guard, TICK);
            guard = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// An unpacking thread.
    fn unpack(&self) -> Result<Outcome, Error> {
        let _guard = Guard(self);
        self.confine();
        self.unpack_each(self.decoder())
    }

    /// Unpacks what nobody else does.
    fn unpack_each(&self, mut decoder: Decoder) -> Result<Outcome, Error> {
        let largest = self.jobs.first().map_or(0, |job| job.package.size);
        let mut gives_way = false;
        while let Some((_, job)) = self.unpacking.take(&self.jobs) {
            self.taken.1.notify_all();
            if self.is_over() {
                break;
            }
            // The largest come first, so a thread that gives way once need never come back.
            if !gives_way && job.package.size < largest / GIVES_WAY {
                gives_way = true;
                // On Linux, of this thread and those that it starts. Where it fails all are equal.
                let _ = rustix::process::nice(NICER);
                decoder.give_way(NICER);
            }
            match self.put(job, &mut decoder) {
                Ok(Outcome::Filled) => {}
                outcome => return outcome,
            }
        }
        Ok(Outcome::Filled)
    }

    /// Puts one package into its tree.
    fn put(&self, job: &Job<'_>, decoder: &mut Decoder) -> Result<Outcome, Error> {
        match self.bring(job, decoder) {
            Ok(unpacked) => {
                job.stream.release();
                job.tree.add(job.position, unpacked);
                Ok(Outcome::Filled)
            }
            Err(error @ Error::Unpack(UnpackError::Cancelled)) => Err(error),
            Err(error) => self.blame(job, error),
        }
    }

    /// Takes from this thread what unpacking needs not, as far as the kernel can.
    fn confine(&self) {
        let staged: Vec<&Path> = self.trees.iter().map(|tree| tree.path()).collect();
        let confinement = sandbox::confine(&staged);
        if !self.is_confinement_told.swap(true, Ordering::Relaxed) {
            self.context.reporter.detail(confinement.to_string());
        }
    }

    /// What decodes for this thread: a process of its own, or threads of this one where there is none to be
    /// had.
    fn decoder(&self) -> Decoder {
        let (decoder, kept) = Decoder::start_or_here(self.context.program);
        if !self.is_decoding_told.swap(true, Ordering::Relaxed) {
            self.context.reporter.detail(kept.how);
        }
        decoder
    }

    /// What a failure to unpack means: it may come from bytes that were not the package's.
    fn blame(&self, job: &Job<'_>, error: Error) -> Result<Outcome, Error> {
        self.end();
        match job.stream.wait() {
            StreamEnd::Sure => {
                self.abandon();
                Err(error)
            }
            // In the second way, what is read was proven.
            StreamEnd::Unsure if self.way == Way::WhenProven => Err(error),
            StreamEnd::Unsure => Ok(Outcome::Unsure),
            // The downloading thread tells why; or it was stopped, because of another's error.
            StreamEnd::Failed => Ok(Outcome::Filled),
        }
    }

    /// Verifies one package and puts it into its tree.
    fn bring(&self, job: &Job<'_>, decoder: &mut Decoder) -> Result<Unpacked, Error> {
        let Job { tree, package, stream, .. } = job;
        let pins = job.pins();
        let place = (tree.plan().dist.as_str(), package.source.as_str());
        let allowed = self.keys.allowed(place, pins);
        let reader = std::io::BufReader::with_capacity(1 << 16, stream.reader());
        let verified = self.keys.with_keyring(|keyring| {
            let allow_unsigned = self.keys.lets_in_unsigned(place);
            let policy = Policy { keyring, allowed: &allowed, allow_unsigned };
            trust::open(reader, package, &policy)
        });
        let verified = verified.map_err(|source| {
            let repository = match package.source.as_str() {
                LOCAL => None,
                id => Some(format!("{}/{id}", place.0).into()),
            };
            Error::Untrusted { source, missing_keys: self.keys.failures(pins).into(), repository }
        })?;
        if let Some(warning) = verified.warning() {
            self.context.reporter.warning(warning.to_owned());
        }
        let destination = tree.destination();
        let (only, reporter) = (&package.files, self.context.reporter);
        Ok(unpack::unpack_by(decoder, verified, only, &destination, reporter)?)
    }

    /// Lets nobody wait for what does not come any more: there can be more threads that unpack than
    /// threads that fetch.
    fn abandon(&self) {
        self.jobs.iter().for_each(|job| job.stream.abandon());
    }

    /// Whether a package that was abandoned has its reason told by another thread. Not so where the user
    /// asked to stop: whoever waits for the package may learn that it does not come, and end all, before
    /// the thread that fetched it says so.
    fn is_told_elsewhere(&self) -> bool {
        self.is_over() && !self.context.reporter.is_cancelled()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.taken.1.notify_all();
    }
}

/// Lets nobody wait for a thread that died.
struct Guard<'a>(&'a Crew<'a>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end();
            self.0.abandon();
        }
    }
}

/// Starts so many threads, or as many as there are to be had.
fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    count: usize,
    work: impl Fn() -> Result<Outcome, Error> + Copy + Send + 'scope,
) -> Tasks<'scope> {
    (0..count).map_while(|_| threads::hand(scope, work, |work| work()).ok()).collect()
}

/// The first error, or the worst outcome; `here` among them.
fn join(threads: Tasks<'_>, here: Result<Outcome, Error>) -> Result<Outcome, Error> {
    let mut all = here;
    for thread in threads {
        let result = thread.join().unwrap_or(Err(Error::Panicked));
        if all.is_ok() && !matches!(result, Ok(Outcome::Filled)) {
            all = result;
        }
    }
    all
}
