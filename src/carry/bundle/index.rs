//! The index of a bundle: what is in it, and where. Everything in it is a claim until the digests were compared.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{BLOCK, HEAD_SIZE, aligned};
use crate::carry::is_within;
use crate::model::{Arch, Checksum};

/// Raised when an older program would misunderstand the file.
const FORMAT: u32 = 1;

/// Something in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BundleMember {
    /// Its name: for what a mirror has, the path there.
    pub(crate) name: String,
    /// What it is for; none where it is for several architectures.
    pub(crate) arch: Option<Arch>,
    /// Where it begins, in bytes from the start of the bundle.
    pub(crate) offset: u64,
    /// Bytes.
    pub(crate) size: u64,
    /// SHA-256.
    pub(crate) checksum: Checksum,
}

/// All that is in a bundle, each where the one before it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BundleIndex {
    format: u32,
    /// The digest of the first [`HEAD_SIZE`] bytes.
    pub(super) head: Checksum,
    /// Programs, by their names.
    pub(super) programs: Vec<BundleMember>,
    /// All else, by their names.
    pub(super) members: Vec<BundleMember>,
}

impl BundleIndex {
    /// The index of what begins with this head.
    pub(super) fn new(
        head: Checksum,
        programs: Vec<BundleMember>,
        members: Vec<BundleMember>,
    ) -> Self {
        Self { format: FORMAT, head, programs, members }
    }

    /// Everything in it, as it lies in the file.
    pub(super) fn all(&self) -> impl Iterator<Item = &BundleMember> {
        self.programs.iter().chain(&self.members)
    }

    /// As it is written.
    ///
    /// # Errors
    /// None that is known of.
    pub(super) fn text(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// The index in `text`, which begins at `index_at` of the bundle.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn read(text: &str, index_at: u64) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Said {
            format: u32,
        }
        let Said { format } = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if format != FORMAT {
            return Err(format!(
                "it has format {format}, and this program reads format {FORMAT}: take a newer elsewhere"
            ));
        }
        let index: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match index.is_sound(index_at) {
            true => Ok(index),
            false => Err("it contradicts itself".to_owned()),
        }
    }

    /// Whether everything has a name of its own, which leads nowhere else, and its own bytes.
    fn is_sound(&self, index_at: u64) -> bool {
        let mut names = BTreeSet::new();
        let mut free = HEAD_SIZE;
        for BundleMember { name, offset, size, .. } in self.all() {
            let is_name = is_within(name) && !name.contains(char::is_control);
            if !is_name || !names.insert(name) || *offset != free || offset % BLOCK != 0 {
                return false;
            }
            let Some(end) = offset.checked_add(*size).filter(|end| *end <= index_at) else {
                return false;
            };
            free = aligned(end);
        }
        free == index_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, offset: u64, size: u64) -> BundleMember {
        BundleMember {
            name: name.to_owned(),
            arch: None,
            offset,
            size,
            checksum: Checksum::of(b""),
        }
    }

    #[test]
    fn what_overlaps_or_leads_elsewhere_is_no_index() {
        let read = |members: &[BundleMember]| {
            let index = BundleIndex::new(Checksum::of(b""), Vec::new(), members.to_vec());
            BundleIndex::read(&index.text().unwrap(), 28 << 10)
        };
        let good = [member("a", 16384, 4096), member("b/c", 20480, 5000)];
        assert!(read(&good).is_ok());
        for (name, offset, size) in [
            ("a", 20480, 5000),
            ("../c", 20480, 5000),
            ("/c", 20480, 5000),
            ("", 20480, 5000),
            ("c\n", 20480, 5000),
            ("c", 16384, 5000),
            ("c", 20481, 5000),
            ("c", 24576, 5000),
            ("c", 20480, 1),
            ("c", 20480, 9000),
            ("c", 20480, u64::MAX),
            ("c", u64::MAX - 4095, 4095),
        ] {
            let bad = [good[0].clone(), member(name, offset, size)];
            assert_eq!(read(&bad), Err("it contradicts itself".to_owned()), "{bad:?}");
        }
        let text = BundleIndex::new(Checksum::of(b""), Vec::new(), Vec::new()).text().unwrap();
        let newer = text.replace("\"format\": 1", "\"format\": 2, \"colour\": 1");
        assert!(BundleIndex::read(&newer, HEAD_SIZE).unwrap_err().contains("newer elsewhere"));
        assert!(BundleIndex::read("{}", HEAD_SIZE).is_err());
    }

    /// Numbers without a pattern, the same in every run (SplitMix64).
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    #[test]
    fn whatever_an_index_says_members_are_in_the_file_and_apart() {
        let members = [member("a", 16384, 1), member("b", 20480, 4096), member("c", 24576, 9000)];
        let good = BundleIndex::new(Checksum::of(b""), Vec::new(), members.to_vec());
        let (good, index_at) = (good.text().unwrap(), 36864);
        let numbers = ["0", "1", "4096", "20480", "24576", "18446744073709551615", "-1", "1e9"];
        let (mut state, mut taken) = (1, 0);
        for _ in 0..20_000 {
            let mut text = good.clone().into_bytes();
            for _ in 0..=next(&mut state) % 3 {
                let at = usize::try_from(next(&mut state)).unwrap() % text.len();
                let number = numbers[usize::try_from(next(&mut state)).unwrap() % numbers.len()];
                match next(&mut state) % 3 {
                    0 => text[at] = u8::try_from(next(&mut state) % 128).unwrap(),
                    1 => drop(text.splice(at..at, number.bytes())),
                    _ => text.truncate(at.max(1)),
                }
            }
            let Ok(text) = String::from_utf8(text) else { continue };
            let Ok(index) = BundleIndex::read(&text, index_at) else { continue };
            taken += 1;
            let mut free = HEAD_SIZE;
            for member in index.all() {
                assert!(member.offset >= free && is_within(&member.name), "{text}");
                free = member.offset.checked_add(member.size).unwrap();
            }
            assert!(free <= index_at, "{text}");
        }
        assert!(taken > 100, "{taken}");
    }
}
