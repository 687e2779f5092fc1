//! `--program ARCH=FILE`: this program for other architectures.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::elf::check_standalone;
use crate::error::Error;
use crate::host::Host;
use crate::model::{Arch, escape};

/// `ARCH=FILE`.
#[derive(Clone, Debug)]
pub(super) struct NamedProgram(pub(super) Arch, pub(super) PathBuf);

impl FromStr for NamedProgram {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (arch, path) = text.split_once('=').ok_or("as in aarch64=FILE")?;
        let arch = arch.parse().map_err(|_| format!("{arch} is no architecture"))?;
        Ok(Self(arch, path.into()))
    }
}

/// Which programs trees get that must have one.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ProgramArgs {
    /// The program `elsewhere` for an architecture, linked statically as those of releases are, which the trees of
    /// some runtimes must have (docs/definitions.md, places); this one is the program for its own architecture
    #[arg(long = "program", value_name = "ARCH=FILE")]
    programs: Vec<NamedProgram>,
}

impl ProgramArgs {
    /// This program, if it is linked statically, and those that were named, which count in its place.
    ///
    /// # Errors
    /// When one that was named is none, or would run only where its libraries are.
    pub(super) fn read(&self, host: &Host) -> Result<BTreeMap<Arch, PathBuf>, Error> {
        let mut programs = own(host);
        for NamedProgram(arch, path) in &self.programs {
            let (arch, path) = (*arch, host.absolute(path));
            let opened = File::open(&path);
            let file = opened.map_err(|source| Error::File { path: path.clone(), source })?;
            check_standalone(arch, &file).map_err(|why| {
                let path = escape(&path.to_string_lossy()).into_owned();
                Error::Usage(format!(
                    "--program: {path} cannot be the program for {arch}: {why}; those of releases can"
                ))
            })?;
            programs.insert(arch, path);
        }
        Ok(programs)
    }
}

/// This program, if it is linked statically.
pub(super) fn own(host: &Host) -> BTreeMap<Arch, PathBuf> {
    let program = host.program().filter(|_| host.program_is_portable());
    host.program_arch().zip(program).into_iter().collect()
}
