//! Payloads become files: each of them held against its digest in the proven header, written into
//! one tree and nowhere else, in bounded memory whatever the package's size.
//!
//! What a package may not bring is refused before its payload is read: paths that climb, devices,
//! things in the way of each other, things that another package has. Set-user-id bits, owners and
//! file capabilities are dropped. Files end with mode 0755 where anyone may run them and 0644
//! otherwise, directories with 0755, whatever the header and the umask say; files have the
//! header's modification time. Scriptlets are never run.
//!
//! Hard links of a package stay hard links where the file system has them: whoever changes a file
//! later must write a new one and rename it into place.

mod archive;
mod claims;
mod error;
mod keeping;
mod layout;
mod restore;
mod session;
mod tree;
mod writer;

use std::io::Read;

use cap_std::fs::Dir;

use crate::decoding::Decoder;
use crate::model::{ReceiptFile, RelPath, escape};
use crate::report::Reporter;
use crate::store::{Store, StoreKey};
use crate::trust::{Header, SignedBy, Verified};

pub use claims::Claims;
pub use error::{FileProblem, UnpackError};
pub(crate) use restore::{Restored, restore};

use keeping::Keeping;
use layout::Layout;
use session::Unpacking;

/// Where packages are unpacked to.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// The tree's root. Nothing outside it is touched.
    pub tree: &'a Dir,
    /// What the tree's packages have claimed: one for all of them, also side by side.
    pub claims: &'a Claims,
}

/// What came of a package.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// What the package has in the tree, sorted by path; directories too that it merely needs.
    /// What several packages share stands with each of them.
    pub files: Vec<ReceiptFile>,
    /// Whose signature the package carries; `None` when the policy let it pass without.
    pub signed_by: Option<SignedBy>,
    /// The licence that the header names.
    pub license: String,
    /// The source package that the header names.
    pub source_rpm: String,
}

/// Unpacks `verified` into `destination`, decoded in threads of this process: [`unpack_by`] says more.
///
/// # Errors
/// [`UnpackError`], naming the package and the path.
pub fn unpack<R: Read + Send>(
    verified: Verified<R>,
    only: &[RelPath],
    destination: &Destination,
    reporter: &dyn Reporter,
) -> Result<Unpacked, UnpackError> {
    unpack_by(&mut Decoder::here(), verified, only, destination, reporter)
}

/// Unpacks `verified`, decoded by `decoder`, into `destination`: all of it, or the files that `only` names
/// (by their places in the tree).
///
/// After an error the tree may hold some of the package's files, each of them whole and proven;
/// it must not be used.
///
/// # Errors
/// [`UnpackError`], naming the package and the path.
pub fn unpack_by<R: Read + Send>(
    decoder: &mut Decoder,
    verified: Verified<R>,
    only: &[RelPath],
    destination: &Destination,
    reporter: &dyn Reporter,
) -> Result<Unpacked, UnpackError> {
    unpack_and_keep(decoder, None, verified, only, destination, reporter)
}

/// The same, and keeps what was unpacked in the store, where there is one.
///
/// # Errors
/// [`UnpackError`], naming the package and the path. That something cannot be kept is none.
pub(crate) fn unpack_and_keep<R: Read + Send>(
    decoder: &mut Decoder,
    store: Option<&Store>,
    mut verified: Verified<R>,
    only: &[RelPath],
    destination: &Destination,
    reporter: &dyn Reporter,
) -> Result<Unpacked, UnpackError> {
    let written = write(decoder, store, &mut verified, only, destination, reporter);
    let (package, license, source_rpm) = {
        let header = verified.header();
        (header.nevra.to_string(), header.license.clone(), header.source_rpm.clone())
    };
    match written {
        Ok((files, keeping)) => {
            let signed_by = verified.finish()?.signed_by;
            if let Err(error) = keeping.finish() {
                reporter.detail(format!("{package}: what was unpacked is not kept: {error}"));
            }
            Ok(Unpacked { files, signed_by, license, source_rpm })
        }
        // Bytes that were damaged on the way show as anything: the file's digest says it better.
        Err(error) if error.blames_package() => Err(match verified.finish() {
            Ok(_) => error,
            Err(cause) => cause.into(),
        }),
        Err(error) => Err(error),
    }
}

fn write<'s, R: Read + Send>(
    decoder: &mut Decoder,
    store: Option<&'s Store>,
    verified: &mut Verified<R>,
    only: &[RelPath],
    destination: &Destination,
    reporter: &dyn Reporter,
) -> Result<(Vec<ReceiptFile>, Keeping<'s>), UnpackError> {
    let key = StoreKey::of(verified.checksum(), only);
    let (header, head, payload) = verified.parts();
    let mut layout = Layout::new(header, only)?;
    // What nobody signed is not kept: nothing would prove it another time.
    let store = store.filter(|_| header.signed_by.is_some());
    let keeping = store.map_or_else(Keeping::nothing, |store| {
        Keeping::new(store.begin(&key, head, layout.size()))
    });
    destination.claims.claim(&mut layout)?;
    tell_changes(header, &layout, reporter);
    let keeping = decoder.decode(header.compression, payload, |open| {
        Unpacking::new(&layout, destination.tree, keeping, reporter).run(open)
    })?;
    Ok((layout.receipt(), keeping))
}

/// Tells what the tree has otherwise than the package.
fn tell_changes(header: &Header, layout: &Layout, reporter: &dyn Reporter) {
    let name = &header.nevra;
    for file in layout.yielding.iter().filter_map(|&number| header.files.get(number)) {
        let (path, target) = (escape(&file.path), escape(&file.link_target));
        reporter.detail(format!(
            "{name}: the link {path} to {target} gives way to the directory that / has there"
        ));
    }
    for (file, place) in header.files.iter().zip(&layout.places) {
        if let Some(place) = place.as_ref().filter(|_| file.mode & 0o6000 != 0) {
            reporter.detail(format!(
                "{name}: {} loses its set-user-id or set-group-id bit",
                place.path
            ));
        }
    }
}
