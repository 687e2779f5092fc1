//! `elsewhere list`: what can be installed.

use std::fmt::Write;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::options::{Output, Sources};
use super::session::Session;
use super::trust::TrustArgs;
use crate::catalog::Catalog;
use crate::context::Context;
use crate::error::{Error, NETWORK};
use crate::host::Host;
use crate::metadata::{self, CheckedSource, SourceState, SourcesError};
use crate::model::{Arch, Dist, escape};
use crate::planning::{self, ArchivedVersions, Offer};
use crate::terminal::Terminal;

/// List runtimes, their versions, and the dists that they come from
///
/// Versions are those that the repositories of one dist hold now: the dist that an install would
/// choose here, or the one that --dist names. Where they cannot be reached, that is said and only
/// the definitions are listed.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere list
  elsewhere list -d el9 -a aarch64
  elsewhere list --all-versions -d el8         older ones too, and the archives that hold them
  elsewhere list --check-sources -d el8,el9    are the repositories as they are said to be?")]
pub(super) struct List {
    /// Show the versions that this dist's repositories hold; with --check-sources one or several
    #[arg(short, long = "dist", value_name = "DIST", value_delimiter = ',')]
    dists: Vec<String>,
    /// Architecture [default: the configuration's first, or this machine's]; with --check-sources one
    /// or several [default: all]
    #[arg(short, long = "arch", value_name = "ARCH", value_delimiter = ',')]
    arches: Vec<Arch>,
    /// Show every version, and those that only archives hold (`install -v` finds these by itself)
    #[arg(long, conflicts_with = "check_sources")]
    all_versions: bool,
    /// Ask every place that the definitions name (lists of mirrors, metadata and their signatures,
    /// module lists, keys), and say what is not as they claim, with file and line
    #[arg(long)]
    check_sources: bool,
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
        if self.check_sources {
            return self.tell_sources(&session, terminal);
        }
        let (dist, arch) = (one(&self.dists, "dist")?, one(&self.arches, "arch")?);
        let arch = arch.copied().or(session.default_arch()).ok_or_else(|| {
            Error::Usage("this machine's architecture has no packages: name one with --arch".into())
        })?;
        let dist = chosen(context, host, dist, arch)?;
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
            let most = if self.all_versions { usize::MAX } else { SHOWN_VERSIONS };
            table(context.catalog, &listing, most).iter().for_each(|line| terminal.output(line));
        }
        Ok(())
    }

    /// Every runtime's versions; none of them where the network fails and no dist was asked for.
    fn offers(&self, session: &Session<'_>, dist: &Dist, arch: Arch) -> Result<Vec<Offer>, Error> {
        let context = session.context();
        let keys = session.keys(&TrustArgs::default())?;
        match planning::offers(context, &keys, dist, arch, self.all_versions) {
            Err(error) if self.dists.is_empty() && error.exit_status() == NETWORK => {
                context.reporter.warning(format!("versions are not known: {error}"));
                let unknown = |name: &str| Offer {
                    runtime: name.to_owned(),
                    versions: Vec::new(),
                    archived: Vec::new(),
                };
                Ok(context.catalog.runtimes().map(|runtime| unknown(&runtime.name)).collect())
            }
            outcome => outcome,
        }
    }
}

impl List {
    /// Asks the sources of the dists and architectures that are named, or of all.
    fn tell_sources(&self, session: &Session<'_>, terminal: &Terminal) -> Result<(), Error> {
        let context = session.context();
        let mut dists: Vec<&Dist> = Vec::new();
        for typed in &self.dists {
            dists.push(context.catalog.dist(typed)?);
        }
        if dists.is_empty() {
            dists.extend(context.catalog.dists());
        }
        let names = dists.iter().map(|dist| dist.name.as_str());
        self.sources.repositories.check_for(context.catalog, names)?;
        let arches = if self.arches.is_empty() { Arch::ALL.to_vec() } else { self.arches.clone() };
        let keys = session.keys(&TrustArgs::default())?;
        let Context { fetcher, program, reporter, .. } = context;
        let packages = context.catalog.runtimes().map(|runtime| runtime.package.clone());
        let packages: Vec<String> = packages.collect();
        let asked = (&*dists, &*arches, &*packages);
        let sources = metadata::check_sources(fetcher, &keys, program, asked, reporter)?;
        if sources.is_empty() {
            let arches: Vec<&str> = arches.iter().map(|arch| arch.as_str()).collect();
            return Err(Error::Usage(format!(
                "no dist named has anything for {}",
                arches.join(", ")
            )));
        }
        if self.output.json {
            terminal.output_json(&json!({ "sources": sources }));
        } else {
            sources.iter().for_each(|source| terminal.output(describe(source)));
        }
        Ok(SourcesError::check(&sources)?)
    }
}

/// What was found in a place, for people.
fn describe(source: &CheckedSource) -> String {
    let state = match source.state {
        SourceState::Ok => "ok",
        SourceState::Differs => "differs",
        SourceState::Unreachable => "unreachable",
    };
    let arch = source.arch.map_or(String::new(), |arch| format!(" {arch}"));
    let CheckedSource { dist, repository, what, .. } = source;
    let mut text = format!("{state:<12} {dist}{arch} {repository} {what} {}", escape(&source.url));
    if let Some(reason) = &source.reason {
        let line = source.line.map_or(String::new(), |line| format!(", line {line}"));
        let _ = write!(text, "\n    {reason}\n    {}{line} names it", escape(&source.file));
    }
    text
}

/// The one that is named, if any is.
fn one<'a, T>(named: &'a [T], option: &str) -> Result<Option<&'a T>, Error> {
    match named {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(Error::Usage(format!("several --{option} go with --check-sources only"))),
    }
}

/// The dist whose versions are shown: `typed`, or the one that an install would choose.
fn chosen<'a>(
    context: Context<'a>,
    host: &Host,
    typed: Option<&String>,
    arch: Arch,
) -> Result<&'a Dist, Error> {
    let by_default = context.default_dist.filter(|dist| *dist != "auto");
    if let Some(typed) = typed.map(String::as_str).or(by_default) {
        return Ok(context.catalog.dist(typed)?);
    }
    let choices = context.catalog.choices(arch, Some(host.facts()), context.today)?;
    let allowed = choices.iter().find(|choice| context.allows(choice.dist));
    let choice = allowed.or(choices.first());
    Ok(choice.ok_or(Error::NoDist { arch })?.dist)
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

/// At most this many versions of a runtime stand in the table, unless all are asked for.
const SHOWN_VERSIONS: usize = 4;

fn table(catalog: &Catalog, listing: &Listing<'_>, most: usize) -> Vec<String> {
    let mut lines =
        vec![format!("Runtimes, and their versions in {} for {}:", listing.dist, listing.arch)];
    for offer in &listing.runtimes {
        let title = catalog.runtime(&offer.runtime).map_or("", |runtime| &runtime.title);
        let versions: Vec<_> = offer.versions.iter().take(most).map(|text| escape(text)).collect();
        let versions = if versions.is_empty() { "-".to_owned() } else { versions.join(" ") };
        lines.push(format!("  {:<15} {versions}", offer.runtime));
        for ArchivedVersions { repository, versions } in &offer.archived {
            let versions: Vec<_> = versions.iter().map(|text| escape(text)).collect();
            lines.push(format!("  {:<15} {repository}: {}", "", versions.join(" ")));
        }
        lines.push(format!("  {:<15} {title}", "").trim_end().to_owned());
    }
    lines.push(String::new());
    lines.push("Dists:".to_owned());
    for dist in &listing.dists {
        let arches: Vec<&str> = dist.arches.iter().map(|arch| arch.as_str()).collect();
        lines.push(format!(
            "  {:<5} glibc {:<5} until {}  {}",
            dist.name,
            dist.glibc,
            dist.maintained_until,
            arches.join(" ")
        ));
    }
    lines
}
