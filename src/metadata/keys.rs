//! The keys of a run: brought when a source needs them, checked against their pins, and shared by
//! all threads.
//!
//! A copy of a certificate proves itself by the pinned fingerprint, but for what it lacks: it may be older than
//! the key's revocation. So every copy counts that there is (of the definitions, the prefix, the cache), as one
//! certificate; and once a day its places are asked for it anew, which can only add to that. Where they do not
//! have it, it is said how old the newest copy is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::copies::{Copies, Note};
use super::error::TrustFailure;
use crate::fetch::{FetchError, Fetcher, Proof, Refusal};
use crate::host::date;
use crate::model::{
    Dist, Fingerprint, KeyPin, KnownKey, KnownKeys, Repository, TrustedFile, UserTrust, escape,
    means_repository,
};
use crate::report::Reporter;
use crate::tools::machine::seconds;
use crate::trust::{Keyring, SignedBy, TrustError};

/// A key file of a distribution is a few kilobytes.
const KEY_FILE_LIMIT: u64 = 1 << 20;

/// Why a file of `--trust-key` is of no use.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("cannot read the key file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds no key that can be used.
    #[error("{}: {source}", escape(&path.to_string_lossy()))]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TrustError,
    },
}

/// The keyring of a run.
pub(crate) struct Keys<'a> {
    fetcher: &'a Fetcher<'a>,
    reporter: &'a dyn Reporter,
    user: UserTrust,
    /// What `--trust-key` gave: each key with the repository that it counts for.
    trusted: Vec<(String, Fingerprint)>,
    state: RwLock<State>,
    /// Held per key while it is brought, so that threads that need the same one wait for it.
    fetching: Mutex<BTreeMap<Fingerprint, Arc<Mutex<()>>>>,
}

#[derive(Default)]
struct State {
    keyring: Keyring,
    /// What others than their places have of certificates.
    copies: Copies,
    /// What became of each pin that was asked for: its error, where it could not be had.
    pins: BTreeMap<Fingerprint, Option<Arc<FetchError>>>,
}

impl<'a> Keys<'a> {
    /// A keyring with the keys of the files that the user trusts; of others the definitions have copies, each
    /// with its fingerprint.
    ///
    /// # Errors
    /// When such a file cannot be read or holds no key.
    pub(crate) fn new(
        fetcher: &'a Fetcher<'a>,
        reporter: &'a dyn Reporter,
        user: &UserTrust,
        copies: &[(Fingerprint, String)],
    ) -> Result<Self, KeyFileError> {
        let mut state = State { keyring: Keyring::at(seconds()), ..State::default() };
        for (print, certificate) in copies {
            state.copies.add(print, certificate.clone(), None);
        }
        let mut trusted = Vec::new();
        for TrustedFile { repository, path } in &user.files {
            let bytes = fs::read(path)
                .map_err(|source| KeyFileError::Unreadable { path: path.clone(), source })?;
            let unusable = |source| KeyFileError::Unusable { path: path.clone(), source };
            let added = state.keyring.add_trusted(&bytes).map_err(unusable)?;
            trusted.extend(added.into_iter().map(|print| (repository.clone(), print)));
        }
        for what in state.keyring.passed_over() {
            reporter.detail(format!("passed over in the files of --trust-key: {what}"));
        }
        Ok(Self {
            fetcher,
            reporter,
            user: user.clone(),
            trusted,
            state: RwLock::new(state),
            fetching: Mutex::default(),
        })
    }

    /// The fingerprints that may sign for the repository `id` of `dist`, which has these pins.
    #[must_use]
    pub(crate) fn allowed(&self, (dist, id): (&str, &str), pins: &[KeyPin]) -> Vec<Fingerprint> {
        let pinned = pins.iter().map(|pin| pin.fingerprint.clone());
        let is_its = |(name, _): &&(String, Fingerprint)| means_repository(name, dist, id);
        let trusted = self.trusted.iter().filter(is_its).map(|(_, print)| print.clone());
        pinned.chain(trusted).collect()
    }

    /// Whether a key came from `--trust-key`, for the repository `id` of `dist`.
    #[must_use]
    pub(crate) fn is_trusted_by_user(&self, place: (&str, &str), print: &Fingerprint) -> bool {
        self.allowed(place, &[]).contains(print)
    }

    /// Whether the user lets packages of the repository `id` of `dist` in that carry no signature.
    #[must_use]
    pub(crate) fn lets_in_unsigned(&self, (dist, id): (&str, &str)) -> bool {
        self.user.lets_in_unsigned(dist, id)
    }

    /// Brings the pinned keys that are not here yet. One that cannot be had is told as a detail:
    /// it matters only when a signature needs it.
    pub(crate) fn ensure(&self, pins: &[KeyPin]) {
        for pin in pins {
            if self.read().pins.contains_key(&pin.fingerprint) {
                continue;
            }
            let turn = self.turn(pin);
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            if self.read().pins.contains_key(&pin.fingerprint) {
                continue;
            }
            let failure = self.bring(pin).err().map(Arc::new);
            if let Some(reason) = &failure {
                self.reporter.detail(format!("key {} is not at hand: {reason}", pin.fingerprint));
            }
            self.write().pins.insert(pin.fingerprint.clone(), failure);
        }
    }

    fn turn(&self, pin: &KeyPin) -> Arc<Mutex<()>> {
        let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(fetching.entry(pin.fingerprint.clone()).or_default())
    }

    /// Why pinned keys are missing, for the error of a signature that could not be checked.
    #[must_use]
    pub(crate) fn failures(&self, pins: &[KeyPin]) -> Vec<Arc<FetchError>> {
        let state = self.read();
        let reason = |pin: &KeyPin| state.pins.get(&pin.fingerprint).cloned().flatten();
        pins.iter().filter_map(reason).collect()
    }

    /// Checks a detached signature by one of the keys of the repository `id` of `dist`.
    ///
    /// # Errors
    /// When it is not a good signature by one of them.
    pub(crate) fn verify_detached(
        &self,
        place: (&str, &str),
        pins: &[KeyPin],
        data: &[u8],
        signature: &[u8],
    ) -> Result<SignedBy, TrustError> {
        self.ensure(pins);
        self.read().keyring.verify_detached(data, signature, &self.allowed(place, pins))
    }

    /// Checks signatures of the metadata of `dist`.
    pub(crate) fn verifier<'v>(
        &'v self,
        dist: &'v Dist,
    ) -> impl Fn(&Repository, &[u8], &[u8]) -> Result<(), TrustFailure> + Sync + 'v {
        |repository, data, signature| {
            let (place, pins) = ((&*dist.name, &*repository.id), &*repository.keys);
            self.verify_detached(place, pins, data, signature).map(drop).map_err(|error| {
                let failures = self.failures(pins);
                let here = failures.iter().find_map(|failure| failure.of_this_machine());
                TrustFailure(match here.filter(|_| error.lacks_key()) {
                    Some(here) => Box::new(here),
                    None => Box::new(error),
                })
            })
        }
    }

    /// The file in which a pinned key is published, and its URL.
    ///
    /// # Errors
    /// When none of its places serves that key.
    pub(crate) fn published(&self, pin: &KeyPin) -> Result<(String, Vec<u8>), FetchError> {
        let urls: Vec<String> = std::iter::once(&pin.url).chain(&pin.alternates).cloned().collect();
        let accept = |url: &str, bytes: Vec<u8>| {
            self.add(&bytes, pin).map_err(Refusal::from).map(|()| (url.to_owned(), bytes))
        };
        self.fetcher.document_in_passing(&urls, KEY_FILE_LIMIT, Proof::Fresh, accept)
    }

    /// The certificates of these keys, as far as they are known, each armored.
    #[must_use]
    pub(crate) fn copies(&self, of: &BTreeSet<&Fingerprint>) -> BTreeMap<Fingerprint, String> {
        let known = self.known().into_iter().filter(|(print, _)| of.contains(print));
        known.map(|(print, known)| (print, known.certificate)).collect()
    }

    /// The keyring as it is now.
    pub(crate) fn with_keyring<T>(&self, use_it: impl FnOnce(&Keyring) -> T) -> T {
        use_it(&self.read().keyring)
    }

    /// Lets what a prefix keeps of certificates count too.
    pub(crate) fn know(&self, known: &KnownKeys) {
        for (print, KnownKey { asked_at, certificate }) in known {
            self.know_copy(print, certificate, asked_at.filter(|&time| time <= seconds()));
        }
    }

    /// The same for copies of which nobody says how old they are.
    pub(crate) fn know_copies(&self, copies: &BTreeMap<Fingerprint, String>) {
        copies.iter().for_each(|(print, certificate)| self.know_copy(print, certificate, None));
    }

    fn know_copy(&self, print: &Fingerprint, certificate: &str, asked_at: Option<u64>) {
        let mut state = self.write();
        let is_new = state.copies.add(print, certificate.to_owned(), asked_at);
        // One that is in use already.
        if is_new
            && state.keyring.has(print)
            && let Err(error) = state.keyring.add_pinned(certificate.as_bytes(), print)
        {
            drop(state);
            self.tell_unusable(print, &error);
        }
    }

    /// What is known of the pinned certificates that were asked for, for a prefix to keep.
    #[must_use]
    pub(crate) fn known(&self) -> KnownKeys {
        let state = self.read();
        let known = |print: &Fingerprint| {
            let certificate = state.keyring.copy_of(print)?;
            Some((print.clone(), KnownKey { asked_at: state.copies.asked_at(print), certificate }))
        };
        state.pins.keys().filter_map(known).collect()
    }

    /// Whether no revocation that is known by now takes away what the key signed at `time`.
    #[must_use]
    pub(crate) fn stands_by(&self, print: &Fingerprint, time: Option<u64>) -> bool {
        self.read().keyring.stands_by(print, time)
    }

    /// Adds one key: all copies of it that there are; and where none of them was made today, the one that the
    /// first place serves.
    fn bring(&self, pin: &KeyPin) -> Result<(), FetchError> {
        let print = &pin.fingerprint;
        let mut is_known = false;
        let copies: Vec<String> = self.read().copies.of(print).cloned().collect();
        for copy in copies {
            match self.add(copy.as_bytes(), pin) {
                Ok(()) => is_known = true,
                Err(error) => self.tell_unusable(print, &error),
            }
        }
        // Anybody may have left it: one more copy, whose age nobody knows.
        let of_site = Note::of_site(self.fetcher, print);
        is_known |= of_site.is_some_and(|note| self.add(note.certificate.as_bytes(), pin).is_ok());
        let now = seconds();
        if let Some(note) = Note::recall(self.fetcher, print)
            && self.add(note.certificate.as_bytes(), pin).is_ok()
        {
            is_known = true;
            let is_fresh = note.is_fresh(now);
            self.write().copies.add(print, note.certificate, note.asked_at);
            if is_fresh {
                return Ok(());
            }
        }
        match self.ask(pin, is_known) {
            Ok(()) => self.remember(print, now),
            Err(error) if is_known && !matches!(error, FetchError::Cancelled) => {
                self.tell_age(print, &error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Asks the places of a key for it. Where there are copies, nothing hangs on an answer.
    fn ask(&self, pin: &KeyPin, is_known: bool) -> Result<(), FetchError> {
        let urls: Vec<String> = std::iter::once(&pin.url).chain(&pin.alternates).cloned().collect();
        let accept = |_: &str, bytes: Vec<u8>| self.add(&bytes, pin).map_err(Refusal::from);
        match is_known {
            true => self.fetcher.document_in_passing(&urls, KEY_FILE_LIMIT, Proof::Fresh, accept),
            false => self.fetcher.document_from(&urls, KEY_FILE_LIMIT, Proof::Fresh, accept),
        }
    }

    /// Leaves what is known of a key, which was asked for `now`, for later runs.
    fn remember(&self, print: &Fingerprint, now: u64) {
        // Another run may have learnt more meanwhile.
        if let Some(note) = Note::recall(self.fetcher, print) {
            let _ = self.write().keyring.add_pinned(note.certificate.as_bytes(), print);
        }
        let Some(certificate) = self.read().keyring.copy_of(print) else { return };
        self.write().copies.add(print, certificate.clone(), Some(now));
        let note = Note { asked_at: Some(now), certificate };
        if let Err(error) = note.leave(self.fetcher, print) {
            self.reporter.detail(error.to_string());
        }
    }

    /// Says of a key that could not be asked for how old what is known of it is.
    fn tell_age(&self, print: &Fingerprint, error: &FetchError) {
        let since = match self.read().copies.asked_at(print) {
            Some(time) => format!("it was revoked since {}", date(time)),
            None => "it was revoked since the copy was made that is here".to_owned(),
        };
        self.reporter.warning(format!(
            "key {print} cannot be asked for anew, and nobody here knows whether {since}: {error}"
        ));
    }

    fn tell_unusable(&self, print: &Fingerprint, error: &TrustError) {
        self.reporter.warning(format!("a copy of key {print} is of no use: {error}"));
    }

    fn add(&self, file: &[u8], pin: &KeyPin) -> Result<(), TrustError> {
        self.write().keyring.add_pin(file, pin)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}
