//! How much the store holds, and what goes when that is too much: what was used least recently.

use std::io;

use serde::Serialize;

use super::entry::StoredPackage;
use super::shelves::Shelves;

/// What is there, or was taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Holdings {
    /// How many packages.
    pub(crate) packages: usize,
    /// Bytes of their files.
    pub(crate) size: u64,
}

impl Holdings {
    fn add(&mut self, size: u64) {
        self.packages += 1;
        self.size = self.size.saturating_add(size);
    }
}

/// What is there.
pub(super) fn holdings(shelves: &Shelves) -> io::Result<Holdings> {
    let mut all = Holdings::default();
    for name in shelves.packages()? {
        let entry =
            shelves.package(&name).and_then(|open| StoredPackage::of(open, &shelves.owners));
        all.add(entry.map_or(0, |entry| entry.size));
    }
    Ok(all)
}

/// Takes out what nobody can use, and then what was used least recently, until the rest has `limit` bytes
/// at the most. What went.
pub(super) fn bound(shelves: &Shelves, limit: u64) -> io::Result<Holdings> {
    let (mut gone, mut entries, mut total) = (Holdings::default(), Vec::new(), 0_u64);
    for name in shelves.packages()? {
        match shelves.package(&name).and_then(|open| StoredPackage::of(open, &shelves.owners)) {
            Ok(entry) => {
                total = total.saturating_add(entry.size);
                entries.push((entry.used(), entry.size, name));
            }
            // Another run was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !shelves.has(&name) => {}
            Err(_) if shelves.remove(&name) => gone.add(0),
            Err(_) => {}
        }
    }
    entries.sort();
    for (_, size, name) in entries {
        if total <= limit && limit > 0 {
            break;
        }
        if shelves.remove(&name) {
            total = total.saturating_sub(size);
            gone.add(size);
        }
    }
    Ok(gone)
}
