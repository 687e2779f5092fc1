//! The keys of a run: fetched when a source needs them, checked against their pins, and shared by
//! all threads.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::fetch::{FetchError, Fetcher, Proof};
use crate::model::{Fingerprint, KeyPin, TrustedFile, UserTrust, escape, means_repository};
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
    /// Held per key while it is fetched, so that threads that need the same one wait for it.
    fetching: Mutex<BTreeMap<Fingerprint, Arc<Mutex<()>>>>,
}

#[derive(Default)]
struct State {
    keyring: Keyring,
    /// What became of each pin that was asked for: its error, where it could not be had.
    pins: BTreeMap<Fingerprint, Option<String>>,
}

impl<'a> Keys<'a> {
    /// A keyring with the keys of the files that the user trusts.
    ///
    /// # Errors
    /// When such a file cannot be read or holds no key.
    pub(crate) fn new(
        fetcher: &'a Fetcher<'a>,
        reporter: &'a dyn Reporter,
        user: &UserTrust,
    ) -> Result<Self, KeyFileError> {
        let mut state = State { keyring: Keyring::at(seconds()), ..State::default() };
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

    /// Fetches the pinned keys that are not here yet. One that cannot be had is told as a detail:
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
            let failure = self.fetch(pin).err().map(|error| error.to_string());
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
    pub(crate) fn failures(&self, pins: &[KeyPin]) -> Vec<String> {
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

    /// The keyring as it is now.
    pub(crate) fn with_keyring<T>(&self, use_it: impl FnOnce(&Keyring) -> T) -> T {
        use_it(&self.read().keyring)
    }

    /// Adds one key: from the cache, or from the first place that serves it.
    fn fetch(&self, pin: &KeyPin) -> Result<(), FetchError> {
        let note = format!("key-{}", pin.fingerprint);
        if let Some(kept) = self.fetcher.recall(&note)
            && self.add(kept.as_bytes(), pin).is_ok()
        {
            return Ok(());
        }
        let urls: Vec<String> = std::iter::once(&pin.url).chain(&pin.alternates).cloned().collect();
        let bytes = self.fetcher.document_from(
            &urls,
            KEY_FILE_LIMIT,
            Proof::Caller,
            |_, bytes| match self.add(&bytes, pin) {
                Ok(()) => Ok(bytes),
                Err(error) => Err(error.into()),
            },
        )?;
        // A binary key file is fetched again by the next run; distributions publish armoured ones.
        if let Ok(text) = std::str::from_utf8(&bytes) {
            self.fetcher.remember(&note, text)?;
        }
        Ok(())
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
