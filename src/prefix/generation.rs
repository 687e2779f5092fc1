//! Generations: complete trees, one of which is live.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::adopted::{self, ADOPTED};
use super::error::{PrefixError, failed};
use super::layout::parse_number;
use super::{Locked, Prefix, files};
use crate::model::{Arch, RECEIPT_NAME, Receipt, SIGNATURE_NAME};
use crate::workshop::{parse_receipt, read_receipt_bytes};

/// A complete tree of a prefix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation {
    /// Its architecture.
    pub arch: Arch,
    /// Its number: 1, 2, …; 0 is a tree that was adopted.
    pub number: u32,
    /// Its root.
    pub path: PathBuf,
}

impl Prefix {
    /// Every generation of `arch`, by number. Those that a killed run did not make live are among
    /// them until [`super::Locked::clean`].
    ///
    /// # Errors
    /// When the prefix cannot be read.
    pub fn generations(&self, arch: Arch) -> Result<Vec<Generation>, PrefixError> {
        let directory = self.layout.arch(arch);
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("read", &directory))?,
        };
        let mut generations = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed("read", &directory))?;
            let number = entry.file_name().to_str().and_then(parse_number);
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if let (Some(number), true) = (number, is_directory) {
                generations.push(self.generation(arch, number));
            }
        }
        generations.sort();
        Ok(generations)
    }

    /// The generation that launchers run; `None` when there is none.
    ///
    /// # Errors
    /// When the prefix cannot be read.
    pub fn live(&self, arch: Arch) -> Result<Option<Generation>, PrefixError> {
        let Some(number) = self.layout.linked_number(arch)? else { return Ok(None) };
        let generation = self.generation(arch, number);
        match fs::metadata(&generation.path) {
            Ok(_) => Ok(Some(generation)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &generation.path)(error)),
        }
    }

    /// The generations that launchers run: at most one of each architecture.
    ///
    /// # Errors
    /// When the prefix cannot be read.
    pub fn live_generations(&self) -> Result<Vec<Generation>, PrefixError> {
        let live = Arch::ALL.into_iter().map(|arch| self.live(arch));
        live.filter_map(Result::transpose).collect()
    }

    /// What is installed in `generation`.
    ///
    /// # Errors
    /// When there is no receipt, it is damaged, or a newer version of this program wrote it.
    pub fn receipt(&self, generation: &Generation) -> Result<Receipt, PrefixError> {
        match read_receipt_bytes(&generation.path)? {
            Some(bytes) => self.receipt_of(generation, &bytes),
            None if generation.number == ADOPTED => {
                adopted::receipt(generation.arch, &generation.path)
            }
            None => Err(damaged(generation, "it is missing".to_owned())),
        }
    }

    /// The same, where these are the bytes of its receipt.
    ///
    /// # Errors
    /// When it is damaged, or a newer version of this program wrote it.
    pub(crate) fn receipt_of(
        &self,
        generation: &Generation,
        bytes: &[u8],
    ) -> Result<Receipt, PrefixError> {
        let receipt = parse_receipt(&generation.path, bytes)?;
        match receipt.arch == generation.arch {
            true => Ok(receipt),
            false => Err(damaged(generation, format!("it is for {}", receipt.arch))),
        }
    }

    /// The same; `None` where the receipt is damaged, so that nobody knows.
    ///
    /// # Errors
    /// When it cannot be read, or a newer version of this program wrote it.
    pub fn whole_receipt(&self, generation: &Generation) -> Result<Option<Receipt>, PrefixError> {
        match self.receipt(generation) {
            Err(PrefixError::Damaged { .. }) => Ok(None),
            receipt => receipt.map(Some),
        }
    }

    /// The generation with this number, whether or not it is there.
    pub(super) fn generation(&self, arch: Arch, number: u32) -> Generation {
        Generation { arch, number, path: self.layout.generation(arch, number) }
    }

    /// A number that no generation of `arch` ever had.
    pub(super) fn next_number(&self, arch: Arch) -> Result<u32, PrefixError> {
        Ok(self.settled(arch)?.highest.saturating_add(1))
    }
}

impl Locked {
    /// Puts the text of a signature over the receipt of `generation` beside that, in one step.
    ///
    /// # Errors
    /// When the prefix cannot be written.
    pub(crate) fn write_signature(
        &self,
        generation: &Generation,
        text: &str,
    ) -> Result<(), PrefixError> {
        let path = generation.path.join(SIGNATURE_NAME);
        files::write(&path, text.as_bytes(), 0o644, &self.layout.staging())
    }
}

/// That the receipt of `generation` is damaged.
fn damaged(generation: &Generation, problem: String) -> PrefixError {
    PrefixError::Damaged { path: generation.path.join(RECEIPT_NAME), problem }
}
