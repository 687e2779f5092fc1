//! The strings of an index: each once, and the names that are asked for as hashes.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::num::NonZeroU32;
use std::sync::LazyLock;

/// A string of an [`Index`](super::Index), by number: counted from one, so that an `Option` of it is no larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StrId(NonZeroU32);

impl StrId {
    /// The number, for tables with a place for every string: below [`Interner::len`].
    #[must_use]
    pub fn number(self) -> usize {
        self.0.get() as usize - 1
    }

    /// The string with this number, if there can be one.
    fn nth(number: usize) -> Option<Self> {
        NonZeroU32::new(u32::try_from(number).ok()?.checked_add(1)?).map(Self)
    }
}

/// The name of something that is provided, or the path of a file, as a hash. Packages provide far more
/// than is ever asked for: as text it would take most of an index's memory, and most of the time to
/// read one.
/// The hash function is seeded by the system, and differs from run to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameHash(u64);

impl NameHash {
    /// The hash of `name`.
    #[must_use]
    pub fn of(name: &str) -> Self {
        static SEEDED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(SEEDED.hash_one(name))
    }
}

/// Every string of an index, once.
#[derive(Debug, Default)]
pub struct Interner {
    text: String,
    /// `(start, length)` of each string in `text`.
    spans: Vec<(u32, u32)>,
    /// Half of a string's hash → its number; the strings themselves are in `text`. When another
    /// string has the same, the next free number after it is the key.
    by_hash: HashMap<u32, StrId, BuildHasherDefault<Hashed>>,
}

/// The hasher of keys that are parts of hashes already, by a hasher that nobody outside can predict.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write_u32(&mut self, hash: u32) {
        // Tables use the highest bits too.
        self.0 = u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0.rotate_left(8) ^ u64::from(byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Interner {
    /// The number of `string`, which is added if it is new.
    ///
    /// # Panics
    /// When all strings together exceed 4 GiB, which no accepted repository can.
    pub fn intern(&mut self, string: &str) -> StrId {
        let key = match self.seek(NameHash::of(string), |known| known == string) {
            Ok(id) => return id,
            Err(key) => key,
        };
        let fits =
            |value: usize| u32::try_from(value).unwrap_or_else(|_| panic!("index too large"));
        let id = StrId::nth(self.spans.len()).unwrap_or_else(|| panic!("index too large"));
        self.spans.push((fits(self.text.len()), fits(string.len())));
        self.text.push_str(string);
        self.by_hash.insert(key, id);
        id
    }

    /// How many strings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Bytes of memory that they take, about: the text, and for each string its span and its place in
    /// the table of hashes.
    #[must_use]
    pub(crate) fn weight(&self) -> usize {
        const EACH: usize = 32;
        self.text.len() + self.spans.len() * EACH
    }

    /// Whether there is no string yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The number of `string`, if it is there.
    #[must_use]
    pub fn find(&self, string: &str) -> Option<StrId> {
        self.seek(NameHash::of(string), |known| known == string).ok()
    }

    /// The number of the string with this hash, if it is there.
    #[must_use]
    pub fn named(&self, name: NameHash) -> Option<StrId> {
        self.seek(name, |string| NameHash::of(string) == name).ok()
    }

    /// The number of the string with this hash that `is_it`, or the key under which it would have to
    /// be added.
    fn seek(&self, hash: NameHash, is_it: impl Fn(&str) -> bool) -> Result<StrId, u32> {
        let mut key = hash.0 as u32;
        while let Some(&id) = self.by_hash.get(&key) {
            if is_it(self.resolve(id)) {
                return Ok(id);
            }
            key = key.wrapping_add(1);
        }
        Err(key)
    }

    /// Every string, in the order of the numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.spans.len()).filter_map(StrId::nth).map(|id| self.resolve(id))
    }

    /// The string with number `id`.
    ///
    /// # Panics
    /// When `id` comes from another interner.
    #[must_use]
    pub fn resolve(&self, id: StrId) -> &str {
        let (start, length) = self.spans[id.number()];
        &self.text[start as usize..start as usize + length as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_kept_once() {
        let mut strings = Interner::default();
        let glibc = strings.intern("glibc");
        assert_ne!(glibc, strings.intern("bash"));
        assert_eq!(glibc, strings.intern("glibc"));
        assert_eq!(strings.resolve(glibc), "glibc");
        assert_eq!(strings.find("zsh"), None);
    }
}
