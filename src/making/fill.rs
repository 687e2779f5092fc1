//! Every package of every tree, fetched by some threads and verified and unpacked by others, the
//! largest first. A package is worked on while it still comes in: its header is verified before
//! anything is written, each file before it counts, and the whole before the tree is of any use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::{self, Scope};
use std::time::Duration;

use super::due::{DuePackage, places};
use super::make::Making;
use super::places::Mirrors;
use super::restore;
use crate::context::Context;
use crate::decoding::Decoder;
use crate::error::Error;
use crate::fetch::{FetchError, Stream, StreamEnd, Whence};
use crate::metadata::Keys;
use crate::report::{Event, Phase};
use crate::sandbox::{self, Confinement};
use crate::store::Store;
use crate::tools::threads::{self, Queue, Task};
use crate::trust;
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

/// Fetches, verifies and unpacks every package of every tree; or takes from the store what was unpacked
/// before.
///
/// # Errors
/// The first failure; the other threads then stop at their next step.
pub(crate) fn fill(
    context: Context<'_>,
    keys: &Keys<'_>,
    trees: &[Making<'_>],
) -> Result<(), Error> {
    let wanted = DuePackage::of(trees);
    announce(context, &wanted);
    // Where room is short, what is installed counts for more than what is kept.
    let has_room = |store: &&Store| store.has_room(DuePackage::size(&wanted));
    let keeping = Context { store: context.store.filter(has_room), ..context };
    let crew = |way, wanted| Crew::new(keeping, keys, way, trees, wanted).run();
    let (kept, absent) = restore::sort_out(context.store, wanted);
    // What several trees have is decoded for one of them, and then there for the others.
    let (absent, again) = restore::set_apart(keeping.store, absent);
    check_at_hand(context, &absent)?;
    // A thread takes memory: none is started where there is nothing to do beside the other.
    let (left, filled) = match kept.is_empty() || absent.is_empty() {
        true => {
            let left = restore::restore(context, keys, trees, kept);
            (left, crew(Way::WhileComing, absent))
        }
        false => thread::scope(|scope| {
            let restoring = threads::spawn(scope, || restore::restore(context, keys, trees, kept));
            let filled = crew(Way::WhileComing, absent);
            (restoring.join().unwrap_or(Err(Error::Panicked)), filled)
        }),
    };
    let (mut outcome, mut left) = (filled?, left?);
    if outcome == Outcome::Filled {
        left.extend(restore::restore(context, keys, trees, again)?);
        outcome = crew(Way::WhileComing, left)?;
    }
    if outcome == Outcome::Unsure {
        // A mirror served other bytes first, or the cache was damaged. That is rare: no need to be
        // fast, only to be sure.
        context.reporter.detail("a package came damaged: all are unpacked anew".to_owned());
        trees.iter().try_for_each(Making::reset)?;
        crew(Way::WhenProven, DuePackage::of(trees))?;
    }
    // Whoever stops because of another thread's failure leaves the telling to it: nothing may fall
    // between the two.
    if let Some(package) = trees.iter().flat_map(Making::parts).find_map(Making::lacking) {
        return Err(Error::NotUnpacked(package.nevra.clone()));
    }
    let measuring = context.reporter.measure("bound what is kept unpacked");
    let settled = context.store.map(Store::settle);
    drop(measuring);
    if let Some(Err(error)) = settled {
        context.reporter.detail(format!("what was unpacked before cannot be looked at: {error}"));
    }
    for phase in [Phase::Download, Phase::Unpack] {
        context.reporter.event(Event::Finished { phase });
    }
    Ok(())
}

/// Where nothing is asked of the network: refuses to begin without all packages, and names those that lack.
fn check_at_hand(context: Context<'_>, absent: &[DuePackage<'_>]) -> Result<(), FetchError> {
    let needed = absent.iter().map(|wanted| {
        let package = wanted.package;
        (wanted.places(), &package.checksum, package.size)
    });
    context.fetcher.check_at_hand(needed)
}

fn announce(context: Context<'_>, wanted: &[DuePackage<'_>]) {
    let size = crate::model::total(wanted.iter().map(|wanted| wanted.package.size));
    for (phase, total) in [(Phase::Download, size), (Phase::Unpack, DuePackage::size(wanted))] {
        context.reporter.event(Event::Started { phase, total: Some(total) });
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

/// One package, and how it comes.
struct Job<'a> {
    wanted: DuePackage<'a>,
    stream: Stream,
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
    fn new(
        context: Context<'a>,
        keys: &'a Keys<'a>,
        way: Way,
        trees: &'a [Making<'a>],
        wanted: Vec<DuePackage<'a>>,
    ) -> Self {
        let job = |wanted| Job { wanted, stream: Stream::default() };
        let mut jobs: Vec<Job<'_>> = wanted.into_iter().map(job).collect();
        jobs.sort_by_key(|job| std::cmp::Reverse(job.wanted.package.size));
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
        if self.jobs.is_empty() {
            return Ok(Outcome::Filled);
        }
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let unpackers = processors.clamp(LEAST_UNPACKERS, MOST_UNPACKERS);
        thread::scope(|scope| {
            let downloads = start(scope, DOWNLOADS, || self.download());
            // Here, because threads that unpack have no network.
            self.jobs.iter().for_each(|job| self.keys.ensure(job.wanted.pins()));
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
        let Job { wanted, stream } = job;
        let (tree, package) = (wanted.tree.plan(), wanted.package);
        let _measuring = self.context.reporter.measure_on("fetch", &package.nevra);
        let urls = wanted.places();
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
        let largest = self.jobs.first().map_or(0, |job| job.wanted.package.size);
        let mut gives_way = false;
        while let Some((_, job)) = self.unpacking.take(&self.jobs) {
            self.taken.1.notify_all();
            if self.is_over() {
                break;
            }
            // The largest come first, so a thread that gives way once need never come back.
            if !gives_way && job.wanted.package.size < largest / GIVES_WAY {
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
        let reporter = self.context.reporter;
        let _measuring = reporter.measure_on("unpack", &job.wanted.package.nevra);
        match self.bring(job, decoder) {
            Ok(unpacked) => {
                job.stream.release();
                job.wanted.tree.add(job.wanted.position, unpacked);
                Ok(Outcome::Filled)
            }
            Err(error @ Error::Unpack(UnpackError::Cancelled)) => Err(error),
            Err(error) => self.blame(job, error),
        }
    }

    /// Takes from this thread what unpacking needs not, as far as the kernel can.
    fn confine(&self) {
        let mut writable = places(self.trees);
        writable.extend(self.context.store.map(Store::path));
        let confinement = sandbox::confine(&writable);
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
        let Job { wanted, stream } = job;
        let package = wanted.package;
        let reader = std::io::BufReader::with_capacity(1 << 16, stream.reader());
        let verified = wanted.judged(self.keys, |policy| trust::open(reader, package, policy));
        let verified = verified.map_err(|source| {
            Error::untrusted(source, wanted.place(), self.keys.failures(wanted.pins()))
        })?;
        if let Some(warning) = verified.warning() {
            self.context.reporter.warning(warning.to_owned());
        }
        let (only, destination) = (&package.files, wanted.tree.destination());
        let Context { store, reporter, .. } = self.context;
        Ok(unpack::unpack_and_keep(decoder, store, verified, only, &destination, reporter)?)
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
