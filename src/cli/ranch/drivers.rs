//! What of this machine's drivers a command is to have: by a runtime's list, or by CDI specifications.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::mounter;
use crate::catalog::Catalog;
use crate::drivers::cdi::{Specifications, named_kind};
use crate::drivers::{self, DriverError, Drivers, HostDrivers, LoaderCache};
use crate::error::Error;
use crate::host::Host;
use crate::model::{BindWords, DriverKind, Runtime, escape};
use crate::ranch::{DriverNeeds, RanchError};

/// The kinds of hardware that have an option of their own, as definitions call them.
const NV: &str = "nvidia";
const ROCM: &str = "rocm";

/// Where this machine's loader has its cache.
const CACHE: &str = "/etc/ld.so.cache";

/// What is wanted of this machine's drivers.
#[derive(Debug, Args)]
pub(super) struct DriverArgs {
    /// Show what programs need of this machine's NVIDIA drivers: the libraries and programs that a runtime's list
    /// names; the image's own libGL and the like stay
    #[arg(long)]
    nv: bool,
    /// The same of AMD's drivers
    #[arg(long)]
    rocm: bool,
    /// Show what a CDI specification says that a device needs: VENDOR/CLASS=DEVICE or FILE=DEVICE, or all devices of
    /// VENDOR/CLASS or FILE. Of its hooks no program is run
    #[arg(long, value_name = "FILE|KIND")]
    cdi: Vec<String>,
    /// Where CDI specifications are; of several the later ones count more [default: /etc/cdi and /var/run/cdi]
    /// [also: ELSEWHERE_CDI_DIRS]
    #[arg(long, value_name = "DIR", requires = "cdi")]
    cdi_dir: Vec<PathBuf>,
}

impl DriverArgs {
    /// Whether nothing is wanted.
    pub(super) fn is_nothing(&self) -> bool {
        !self.nv && !self.rocm && self.cdi.is_empty()
    }

    fn kinds(&self) -> impl Iterator<Item = &'static str> {
        [(self.nv, NV), (self.rocm, ROCM)].into_iter().filter(|it| it.0).map(|it| it.1)
    }

    /// What is wanted, as far as this machine has it.
    ///
    /// # Errors
    /// When there is no list or no such device, or a specification makes no sense.
    pub(super) fn needs(
        &self,
        host: &Host,
        catalog: &Catalog,
        prefix: Option<&Path>,
    ) -> Result<DriverNeeds, Error> {
        let facts = catalog.drivers();
        let arch = host.facts().arch;
        let mut all = Drivers::default();
        for name in self.kinds() {
            // One that is not there was refused with the definitions that name it.
            let (Some(kind), Some(arch)) = (facts.kind(name), arch) else { continue };
            let list = list(host, catalog, kind, prefix)?;
            let real = fs::canonicalize(CACHE).unwrap_or_else(|_| CACHE.into());
            let cache = LoaderCache::read(&real).unwrap_or_else(|error| {
                all.said
                    .push(format!("cannot read {CACHE}, by which libraries are found: {error}"));
                LoaderCache::default()
            });
            let host = HostDrivers { cache, search_path: host.search_path(), arch };
            all.add(drivers::listed(&list, kind, &host).map_err(RanchError::from)?);
        }
        all.add(self.by_specifications(host)?);
        let (neutral, library_path) = (facts.neutral.clone(), host.library_path());
        Ok(DriverNeeds { drivers: all, neutral, arch, library_path })
    }

    fn by_specifications(&self, host: &Host) -> Result<Drivers, Error> {
        if self.cdi.is_empty() {
            return Ok(Drivers::default());
        }
        let directories = match self.cdi_dir.is_empty() {
            true => host.cdi_directories(),
            false => self.cdi_dir.iter().map(|path| host.absolute(path)).collect(),
        };
        let specifications = Specifications::of(&directories);
        let mut drivers =
            specifications.drivers(&self.cdi, host.facts().arch).map_err(RanchError::from)?;
        let unusable = specifications.unusable.iter().map(|error| format!("passed over: {error}"));
        drivers.said.extend(unusable);
        Ok(drivers)
    }

    /// The options by which `runtime` does the same by itself, and what it must be told of one by one.
    ///
    /// # Errors
    /// When it has no words for a kind of hardware; else as [`Self::needs`].
    pub(super) fn told(
        &self,
        host: &Host,
        runtime: &Runtime,
        bind: &BindWords,
    ) -> Result<(Vec<String>, Option<DriverNeeds>), Error> {
        let mut options = Vec::new();
        for name in self.kinds() {
            let own = runtime.drivers.iter().find(|it| it.kind == name && !it.options.is_empty());
            let own = own.ok_or_else(|| RanchError::NoDriverWords {
                runtime: runtime.name.clone(),
                what: format!(
                    "{name} drivers; where there is a CDI specification, --cdi may say the same"
                ),
            })?;
            options.extend_from_slice(&own.options);
        }
        let names: Option<Vec<_>> = self.cdi.iter().map(|word| named_kind(word)).collect();
        match names.filter(|_| !bind.device.is_empty() && self.cdi_dir.is_empty()) {
            Some(names) => {
                let words = names.iter().map(|(kind, device)| format!("{kind}={device}"));
                options.extend(words.flat_map(|device| bind.device_words(&device)));
                Ok((options, None))
            }
            None => {
                let drivers = self.by_specifications(host)?;
                Ok((options, Some(DriverNeeds { drivers, ..DriverNeeds::default() })))
            }
        }
    }
}

/// The list of what programs need for hardware of `kind`: that of the prefix that is named; of the one that this program
/// lies in; of what PATH leads to; or this machine's own.
fn list(
    host: &Host,
    catalog: &Catalog,
    kind: &DriverKind,
    prefix: Option<&Path>,
) -> Result<PathBuf, Error> {
    let of_kind = |runtime: &Runtime| -> Vec<PathBuf> {
        let lists = runtime.drivers.iter().filter(|it| it.kind == kind.name);
        lists.filter_map(|it| Some(it.list.as_ref()?.as_path().to_owned())).collect()
    };
    let lists: Vec<PathBuf> = catalog.runtimes().flat_map(of_kind).collect();
    let arch = host.facts().arch.map_or("", |arch| arch.as_str());
    // A tree, or what has trees in it: a prefix, a shadow of one, or any other installation.
    let within = |directory: &Path| {
        let trees = [directory.to_owned(), directory.join(arch)];
        let mut files = trees.iter().flat_map(|tree| lists.iter().map(|list| tree.join(list)));
        files.find(|file| file.is_file())
    };
    let mut found = match prefix.and_then(within) {
        None => mounter::in_trees(host, prefix, &within)?,
        found => found,
    };
    // A prefix that is named is the one that is meant.
    if prefix.is_none() {
        let search = host.search_path();
        let above = search.iter().filter_map(|directory| directory.parent());
        found = found.or_else(|| above.chain([Path::new("/")]).find_map(within));
    }
    found.ok_or_else(|| {
        let names: Vec<String> = lists.iter().map(|list| list.display().to_string()).collect();
        let place = match prefix {
            Some(prefix) => format!("in {}", escape(&prefix.to_string_lossy())),
            None => "in a prefix with this program, beside PATH, or in /".to_owned(),
        };
        let runtime = catalog.runtimes().find(|it| !of_kind(it).is_empty());
        let error = DriverError::NoList {
            kind: kind.title.clone(),
            wanted: format!("no {} {place}", names.join(" or ")),
            runtime: runtime.map(|it| it.name.clone()).unwrap_or_default(),
        };
        RanchError::from(error).into()
    })
}
