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
mod layout;
mod session;
mod tree;
mod writer;

use std::io::Read;

use cap_std::fs::Dir;

use crate::decoding::Decoder;
use crate::model::{ReceiptFile, RelPath, escape};
use crate::report::Reporter;
use crate::trust::{Header, Proven, Verified};

pub use claims::Claims;
pub use error::{FileProblem, UnpackError};

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
    /// That the package file was the plan's, byte for byte.
    pub proof: Proven,
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
    mut verified: Verified<R>,
    only: &[RelPath],
    destination: &Destination,
    reporter: &dyn Reporter,
) -> Result<Unpacked, UnpackError> {
    let written = write(decoder, &mut verified, only, destination, reporter);
    let (license, source_rpm) = {
        let header = verified.header();
        (header.license.clone(), header.source_rpm.clone())
    };
    match written {
        Ok(files) => Ok(Unpacked { files, proof: verified.finish()?, license, source_rpm }),
        // Bytes that were damaged on the way show as anything: the file's digest says it better.
        Err(error) if error.blames_package() => Err(match verified.finish() {
            Ok(_) => error,
            Err(cause) => cause.into(),
        }),
        Err(error) => Err(error),
    }
}

fn write<R: Read + Send>(
    decoder: &mut Decoder,
    verified: &mut Verified<R>,
    only: &[RelPath],
    destination: &Destination,
    reporter: &dyn Reporter,
) -> Result<Vec<ReceiptFile>, UnpackError> {
    let (header, payload) = verified.parts();
    let mut layout = Layout::new(header, only)?;
    destination.claims.claim(&mut layout)?;
    tell_changes(header, &layout, reporter);
    decoder.decode(header.compression, payload, |open| {
        Unpacking::new(&layout, destination.tree, reporter).run(open)
    })?;
    Ok(layout.receipt())
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
