//! `elsewhere list`: what can be installed.

use std::fmt::Write;

use clap::Args;
use serde::Serialize;

use super::options::{Output, Sources, TrustKeys};
use super::session::Session;
use crate::catalog::Catalog;
use crate::error::{Error, NETWORK};
use crate::host::Host;
use crate::model::{Arch, Dist, escape};
use crate::pipeline::{self, Context, Offer};
use crate::terminal::Terminal;

/// List runtimes, their versions, and the dists that they come from
///
/// Versions are those that the repositories of one dist hold now: the dist that an install would
/// choose here, or the one that --dist names. Where they cannot be reached, that is said and only
/// the definitions are listed.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Show the versions that this dist's repositories hold
    #[arg(short, long, value_name = "DIST")]
    dist: Option<String>,
    /// Architecture [default: the configuration's first, or this machine's]
    #[arg(short, long, value_name = "ARCH")]
    arch: Option<Arch>,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    pub(super) output: Output,
}

/// The whole answer, as `--json` shows it.
#[derive(Serialize)]
struct Listing<'a> {
    /// The dist and architecture that the versions are of.
    dist: &'a str,
    arch: Arch,
    runtimes: Vec<Offer>,
    dists: Vec<DistLine<'a>>,
}

/// One dist.
#[derive(Serialize)]
struct DistLine<'a> {
    name: &'a str,
    title: &'a str,
    glibc: String,
    maintained_until: &'a str,
    arches: Vec<Arch>,
}

impl List {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let session = Session::open(host, &self.sources, terminal)?;
        let context = session.context();
        let arch = self.arch.or(session.default_arch()).ok_or_else(|| {
            Error::Usage("this machine's architecture has no packages: name one with --arch".into())
        })?;
        let dist = self.dist(context, host, arch)?;
        let catalog = context.catalog;
        self.sources.repositories.check_for(catalog, [dist.name.as_str()])?;
        let listing = Listing {
            dist: &dist.name,
            arch,
            runtimes: self.offers(&session, dist, arch)?,
            dists: dists(context.catalog),
        };
        if self.output.json {
            terminal.output_json(&listing);
        } else {
            terminal.output(table(context.catalog, &listing).trim_end());
        }
        Ok(())
    }

    /// The dist whose versions are shown.
    fn dist<'a>(&self, context: Context<'a>, host: &Host, arch: Arch) -> Result<&'a Dist, Error> {
        let by_default = context.default_dist.filter(|dist| *dist != "auto");
        if let Some(typed) = self.dist.as_deref().or(by_default) {
            return Ok(context.catalog.dist(typed)?);
        }
        let choices = context.catalog.choices(arch, Some(host.facts()), context.today)?;
        let allowed = choices.iter().find(|choice| context.allows(choice.dist));
        let choice = allowed.or(choices.first());
        Ok(choice.ok_or(Error::NoDist { arch })?.dist)
    }

    /// Every runtime's versions; none of them where the network fails and no dist was asked for.
    fn offers(&self, session: &Session<'_>, dist: &Dist, arch: Arch) -> Result<Vec<Offer>, Error> {
        let context = session.context();
        let keys = session.keys(&TrustKeys::default(), false)?;
        match pipeline::offers(context, &keys, dist, arch) {
            Err(error) if self.dist.is_none() && error.exit_status() == NETWORK => {
                context.reporter.warning(format!("versions are not known: {error}"));
                let unknown = |name: &str| Offer { runtime: name.to_owned(), versions: Vec::new() };
                Ok(context.catalog.runtimes().map(|runtime| unknown(&runtime.name)).collect())
            }
            outcome => outcome,
        }
    }
}

fn dists(catalog: &Catalog) -> Vec<DistLine<'_>> {
    let line = |dist| {
        let dist: &Dist = dist;
        let exists = |arch: &Arch| dist.repositories_for(*arch).next().is_some();
        DistLine {
            name: &dist.name,
            title: &dist.title,
            glibc: dist.glibc.to_string(),
            maintained_until: &dist.maintained_until,
            arches: Arch::ALL.into_iter().filter(exists).collect(),
        }
    };
    catalog.dists().map(line).collect()
}

/// At most this many versions of a runtime stand in the table.
const SHOWN_VERSIONS: usize = 4;

fn table(catalog: &Catalog, listing: &Listing<'_>) -> String {
    let mut text =
        format!("Runtimes, and their versions in {} for {}:\n", listing.dist, listing.arch);
    for offer in &listing.runtimes {
        let title = catalog.runtime(&offer.runtime).map_or("", |runtime| &runtime.title);
        let versions: Vec<_> =
            offer.versions.iter().take(SHOWN_VERSIONS).map(|text| escape(text)).collect();
        let versions = if versions.is_empty() { "-".to_owned() } else { versions.join(" ") };
        let _ = writeln!(text, "  {:<15} {versions}\n  {:<15} {title}", offer.runtime, "");
    }
    text.push_str("\nDists:\n");
    for dist in &listing.dists {
        let arches: Vec<&str> = dist.arches.iter().map(|arch| arch.as_str()).collect();
        let _ = writeln!(
            text,
            "  {:<5} glibc {:<5} until {}  {}",
            dist.name,
            dist.glibc,
            dist.maintained_until,
            arches.join(" ")
        );
    }
    text
}
