//! Prefixes of several dists: every command works on each of their parts, or on the one that is named.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Args;

use crate::context::Context;
use crate::error::Error;
use crate::model::{Aim, Arch, Dist, Pins, Receipt, escape, shell_word};
use crate::prefix::{Generation, Prefix};
use crate::report::Reporter;
use crate::terminal::Terminal;

/// How often a run plans anew because another one changed the prefix meanwhile.
const REPLANS: usize = 5;

/// Does `work`, and again where another run changed the prefix between its plan and its turn.
///
/// # Errors
/// What `work` fails with.
pub(super) fn replanned<T>(
    terminal: &Terminal,
    work: impl Fn() -> Result<T, Error>,
) -> Result<T, Error> {
    for _ in 0..REPLANS {
        match work() {
            Err(error @ Error::Stale { .. }) => terminal.note(format!("{error}: planning anew")),
            outcome => return outcome,
        }
    }
    work()
}

/// A path as a word of a command that the user may type.
pub(super) fn typed(path: &Path) -> String {
    shell_word(&escape(&path.to_string_lossy())).into_owned()
}

/// Which part is meant.
#[derive(Debug, Default, Args)]
pub(super) struct PartOf {
    /// In a prefix of several dists: this one only [default: all]
    #[arg(short, long, value_name = "DIST")]
    dist: Option<String>,
}

impl PartOf {
    /// The parts of `prefix` that are meant, each a prefix of its own; in an ordinary prefix itself.
    ///
    /// # Errors
    /// When the prefix cannot be read, or has nothing of the named dist.
    pub(super) fn of(&self, prefix: &Prefix) -> Result<Vec<Prefix>, Error> {
        let mut parts = all(prefix)?;
        let Some(wanted) = &self.dist else { return Ok(parts) };
        let mut there = BTreeSet::new();
        let mut chosen = Vec::new();
        for part in parts.drain(..) {
            let dists = dists(&part)?;
            if dists.contains(wanted) {
                chosen.push(part);
            }
            there.extend(dists);
        }
        if chosen.is_empty() {
            let there: Vec<String> = there.into_iter().collect();
            let there = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
            return Err(nothing_of(wanted, &there));
        }
        Ok(chosen)
    }

    /// Refuses a tree of another dist than the one that is named, if one is.
    ///
    /// # Errors
    /// When it is of another one.
    pub(super) fn check(&self, receipt: &Receipt) -> Result<(), Error> {
        match self.dist.as_ref().filter(|wanted| **wanted != receipt.dist) {
            None => Ok(()),
            Some(wanted) => Err(nothing_of(wanted, &receipt.dist)),
        }
    }

    /// Whether one dist is named.
    pub(super) fn is_one(&self) -> bool {
        self.dist.is_some()
    }
}

fn nothing_of(wanted: &str, there: &str) -> Error {
    let (wanted, there) = (escape(wanted), escape(there));
    Error::Usage(format!("nothing of {wanted} is installed here: there is {there}"))
}

/// Every part of `prefix`: what it holds itself, and its members.
///
/// # Errors
/// When the prefix cannot be read.
pub(super) fn all(prefix: &Prefix) -> Result<Vec<Prefix>, Error> {
    let members = prefix.members()?;
    let mut parts = Vec::new();
    let has_generations =
        |arch: Arch| prefix.generations(arch).is_ok_and(|generations| !generations.is_empty());
    if members.is_empty() || Arch::ALL.into_iter().any(has_generations) {
        parts.push(prefix.clone());
    }
    parts.extend(members.into_iter().map(|(_, member)| member));
    Ok(parts)
}

/// The whole and every member, whether the whole has trees of its own or had some: each keeps pins.
///
/// # Errors
/// When the prefix cannot be read.
pub(super) fn whole_and_members(prefix: &Prefix) -> Result<Vec<Prefix>, Error> {
    let members = prefix.members()?.into_iter().map(|(_, member)| member);
    Ok(std::iter::once(prefix.clone()).chain(members).collect())
}

/// The dists that `part` has live trees of, as far as their receipts are whole.
///
/// # Errors
/// When a receipt cannot be read.
pub(super) fn dists(part: &Prefix) -> Result<BTreeSet<String>, Error> {
    let mut dists = BTreeSet::new();
    for generation in part.live_generations()? {
        dists.extend(part.whole_receipt(&generation)?.map(|receipt| receipt.dist));
    }
    Ok(dists)
}

/// The live generations of `part`, with their receipts.
///
/// # Errors
/// When it cannot be read.
pub(super) fn live(part: &Prefix) -> Result<Vec<(Generation, Receipt)>, Error> {
    let mut live = Vec::new();
    for generation in part.live_generations()? {
        let receipt = part.receipt(&generation)?;
        live.push((generation, receipt));
    }
    Ok(live)
}

/// The pins of all parts.
///
/// # Errors
/// When they cannot be read.
pub(super) fn pins(prefix: &Prefix) -> Result<Pins, Error> {
    let mut pins = prefix.pins()?;
    for (_, member) in prefix.members()? {
        pins.extend(member.pins()?);
    }
    Ok(pins)
}

/// An architecture of `part`, for people: with the dist, where there are several.
pub(super) fn label(part: &Prefix, arch: Arch) -> String {
    match part.whole() {
        None => arch.to_string(),
        Some(_) => format!("{}{arch}", part.place()),
    }
}

/// The context for work on a part of a prefix of several dists: its trees are for the machines that
/// its dists are for, whatever this machine is. In an ordinary prefix `context` itself.
///
/// # Errors
/// When the prefix cannot be read.
pub(super) fn context<'a>(context: Context<'a>, part: &Prefix) -> Result<Context<'a>, Error> {
    if part.whole().is_none() && part.members()?.is_empty() {
        return Ok(context);
    }
    let dists = dists(part)?;
    let dists = dists.iter().filter_map(|dist| context.catalog.dist(dist).ok());
    let newest = dists.max_by_key(|dist| (dist.glibc, dist.x86_64_level));
    Ok(newest.map_or(context, |dist| for_dist(context, dist)))
}

/// `context` for trees that run wherever `dist` does.
pub(super) fn for_dist<'a>(context: Context<'a>, dist: &Dist) -> Context<'a> {
    // What its packages ask of glibc is the launchers' business, and nobody's reason to refuse them.
    let aim = Aim { glibc: None, x86_64_level: dist.x86_64_level };
    Context { aim: Some(aim), ..context }
}

/// Removes what is left of dists that nothing is installed of any more.
///
/// # Errors
/// When the prefix cannot be locked.
pub(super) fn drop_empty(prefix: &Prefix, wait: bool, terminal: &Terminal) -> Result<(), Error> {
    if prefix.takes_members() {
        prefix.lock(wait, terminal)?.drop_empty_members();
    }
    Ok(())
}
