//! What every step of a run is given: definitions, this machine, what the user and the site settled, the
//! way to the network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::catalog::Catalog;
use crate::fetch::Fetcher;
use crate::metadata::Memory;
use crate::model::{Aim, Arch, Dist, GlibcVersion, HostFacts, MachineNeeds};
use crate::report::Reporter;
use crate::store::Store;

/// What every stage is given: read once, the same for the whole run.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    /// The definitions.
    pub catalog: &'a Catalog,
    /// This program's own file, which is started again to decode.
    pub program: &'a Path,
    /// This program for several architectures, linked statically, for trees that must have it.
    pub programs: &'a BTreeMap<Arch, PathBuf>,
    /// This machine.
    pub host: &'a HostFacts,
    /// The dist to take where neither the user nor the prefix says; `None` or `auto` to choose.
    pub default_dist: Option<&'a str>,
    /// The only dists that packages may come from; any, where it is empty.
    pub allowed_dists: &'a [String],
    /// The machines that trees are made for, where `--for` says so.
    pub aim: Option<Aim>,
    /// What the prefix knows of repositories, where there is one.
    pub memory: Option<&'a Memory>,
    /// Whether what is older than before is let in.
    pub allows_downgrade: bool,
    /// The way to the network and the cache.
    pub fetcher: &'a Fetcher<'a>,
    /// What was unpacked before, where that is to be used and added to.
    pub store: Option<&'a Store>,
    /// Today, `YYYY-MM-DD`: dists are maintained until a day.
    pub today: &'a str,
    /// Where events go.
    pub reporter: &'a dyn Reporter,
}

impl Context<'_> {
    /// Whether packages may come from `dist`.
    #[must_use]
    pub(crate) fn allows(&self, dist: &Dist) -> bool {
        self.allowed_dists.is_empty() || self.allowed_dists.contains(&dist.name)
    }

    /// The machine that a tree for `arch` must run on; `None` when nothing is known of it.
    #[must_use]
    pub(crate) fn target(&self, arch: Arch) -> Option<HostFacts> {
        match self.aim {
            Some(aim) => Some(aim.machine(arch)),
            None => Some(self.host.clone()).filter(|host| host.arch == Some(arch)),
        }
    }

    /// Whether this machine can run a tree for `arch` that needs `glibc`: one that is made for
    /// others may be too new for it, and this one may have no glibc at all.
    #[must_use]
    pub(crate) fn runs_here(&self, arch: Arch, glibc: Option<GlibcVersion>) -> bool {
        let is_fit = |aim: Aim| {
            let needs = MachineNeeds { glibc, x86_64_level: aim.x86_64_level };
            self.host.glibc().is_some() && self.host.runs(needs)
        };
        self.host.arch == Some(arch) && self.aim.is_none_or(is_fit)
    }
}
