//! Whether what is installed, or a tree that lies anywhere, is still what was made.

use super::{launchers, siblings};
use crate::audit;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::making;
use crate::model::{Arch, RECEIPT_NAME, Receipt};
use crate::planning::definitions::made_with;
use crate::prefix::{Generation, LostLink, Prefix, PrefixError};
use crate::release::RUNNING;
use crate::report::Reporter;
use crate::verify::{self, Expectation, Finding, Problem};
use crate::workshop::MadeTree;

/// What was found in a prefix, or in a tree that lies elsewhere.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(crate) struct Verification {
    /// Every tree that was looked at.
    pub trees: Vec<CheckedTree>,
    /// What is wrong with launchers; paths are their names in `PREFIX/bin`.
    pub launchers: Vec<Finding>,
}

/// What was found in one tree.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct CheckedTree {
    /// The part of a prefix of several dists that it is in, ending in `/`; empty otherwise.
    pub part: String,
    /// Its architecture.
    pub arch: Arch,
    /// The generation's number; of a tree that is no prefix's there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Whether it is the one that launchers run.
    pub live: bool,
    /// How many packages its receipt lists.
    pub packages: usize,
    /// How many files, directories and symlinks its receipt lists.
    pub files: usize,
    /// What is not as it was made, and what the user changed.
    pub findings: Vec<Finding>,
    /// The other generations that have a damaged file of it as the same file on disk.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shares_damage_with: Vec<u32>,
}

impl CheckedTree {
    fn new(arch: Arch, generation: Option<u32>, live: bool, findings: Vec<Finding>) -> Self {
        let (part, shares_damage_with) = (String::new(), Vec::new());
        Self { part, arch, generation, live, packages: 0, files: 0, findings, shares_damage_with }
    }

    /// The same with what its receipt lists.
    fn of(self, receipt: &Receipt) -> Self {
        let files = receipt.parts().map(|part| part.files.len()).sum();
        Self { packages: receipt.all_packages().count(), files, ..self }
    }
}

impl Verification {
    /// Adds what was found in the part of the prefix that lies at `place`.
    pub(crate) fn add(&mut self, other: Self, place: &str) {
        let in_place = |tree: CheckedTree| CheckedTree { part: place.to_owned(), ..tree };
        self.trees.extend(other.trees.into_iter().map(in_place));
        let prefix = if place.is_empty() { String::new() } else { format!("{place}bin/") };
        self.launchers.extend(
            other
                .launchers
                .into_iter()
                .map(|finding| Finding { path: format!("{prefix}{}", finding.path), ..finding }),
        );
    }

    /// Every finding.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.trees.iter().flat_map(|tree| &tree.findings).chain(&self.launchers)
    }

    /// How many findings are damage.
    #[must_use]
    pub(crate) fn damage(&self) -> usize {
        self.findings().filter(|finding| finding.problem.is_damage()).count()
    }

    /// Of how many findings nothing says whether they are damage.
    #[must_use]
    pub(crate) fn unproved(&self) -> usize {
        self.findings().filter(|finding| finding.problem.is_unproved()).count()
    }
}

/// Checks every live tree of `prefix`, with `all` the older ones too, and the launchers. Needs
/// neither lock nor network, and writes nothing.
///
/// # Errors
/// When something cannot be read, or an older receipt does not say what it was made with and there are
/// no definitions either. Damage is no error.
pub(super) fn verify(
    catalog: &Catalog,
    prefix: &Prefix,
    all: bool,
    reporter: &dyn Reporter,
) -> Result<Verification, Error> {
    let mut trees = Vec::new();
    for (generation, live) in generations(prefix, all)? {
        trees.push(match receipt(prefix, &generation)? {
            Ok(receipt) => {
                let tree = MadeTree { path: generation.path.clone(), receipt };
                let findings = check_tree(catalog, &tree, || prefix.keeps_modes(), reporter)?;
                let shares_damage_with = siblings::sharing(prefix, &generation, &findings)?;
                let number = Some(generation.number);
                let checked = CheckedTree::new(generation.arch, number, live, findings);
                CheckedTree { shares_damage_with, ..checked.of(&tree.receipt) }
            }
            Err(finding) => {
                CheckedTree::new(generation.arch, Some(generation.number), live, vec![finding])
            }
        });
    }
    for arch in Arch::ALL {
        if let Some(lost) = prefix.lost(arch)? {
            let (generation, problem) = match lost {
                LostLink::To(Generation { number: generation, .. }) => {
                    (Some(generation), Problem::Unlinked { generation })
                }
                LostLink::Unknown(generations) => (None, Problem::LinkUnknown { generations }),
            };
            let findings = vec![Finding { path: String::new(), problem }];
            trees.push(CheckedTree::new(arch, generation, true, findings));
        }
    }
    // The launchers follow from the receipts.
    let is_readable = trees.iter().all(|tree| !tree.live || tree.files > 0);
    let launchers = if is_readable { check_launchers(catalog, prefix)? } else { Vec::new() };
    Ok(Verification { trees, launchers })
}

/// Checks a tree that lies anywhere. Needs no network, and writes nothing.
///
/// # Errors
/// As `verify`.
pub(crate) fn verify_tree(
    catalog: &Catalog,
    tree: &MadeTree,
    reporter: &dyn Reporter,
) -> Result<Verification, Error> {
    let findings = check_tree(catalog, tree, || None, reporter)?;
    let checked = CheckedTree::new(tree.receipt.arch, None, false, findings);
    Ok(Verification { trees: vec![checked.of(&tree.receipt)], launchers: Vec::new() })
}

/// The live generations, or all, and which of them are live.
pub(super) fn generations(prefix: &Prefix, all: bool) -> Result<Vec<(Generation, bool)>, Error> {
    let mut generations = Vec::new();
    for arch in Arch::ALL {
        let live = prefix.live(arch)?;
        let is_live = |generation: &Generation| Some(generation) == live.as_ref();
        let there = prefix.generations(arch)?.into_iter();
        let wanted = there.filter(|generation| all || is_live(generation));
        generations.extend(wanted.map(|generation| {
            let live = is_live(&generation);
            (generation, live)
        }));
    }
    Ok(generations)
}

/// A tree's receipt; a finding when it is damaged itself.
pub(super) fn receipt(
    prefix: &Prefix,
    generation: &Generation,
) -> Result<Result<Receipt, Finding>, Error> {
    match prefix.receipt(generation) {
        Ok(receipt) => Ok(Ok(receipt)),
        Err(PrefixError::Damaged { problem: reason, .. }) => {
            let path = RECEIPT_NAME.to_owned();
            Ok(Err(Finding { path, problem: Problem::Unreadable { reason } }))
        }
        Err(error) => Err(error.into()),
    }
}

/// What is not as it was made in `tree`; `keeps_modes` tries whether permissions stay as they are set
/// there, where it can.
fn check_tree(
    catalog: &Catalog,
    tree: &MadeTree,
    keeps_modes: impl Fn() -> Option<bool>,
    reporter: &dyn Reporter,
) -> Result<Vec<Finding>, Error> {
    let receipt = &tree.receipt;
    let with = made_with(catalog, receipt)?;
    let subject = Expectation {
        tree: &tree.path,
        files: &receipt.all_files(),
        receipt_name: RECEIPT_NAME,
        plugin_directories: &with.plugin_directories(),
    };
    let mut findings = verify::check(&subject, reporter)?;
    let suffices = |finding: &Finding| finding.problem.is_mode_that_suffices();
    // A tree may be copied to where permissions are the file system's own. What a receipt says counts
    // where that cannot be tried only.
    if findings.iter().any(suffices) && !keeps_modes().unwrap_or(!receipt.without_modes) {
        findings.retain(|finding| !suffices(finding));
    }
    // In a damaged tree, what programs lack is most often what is damaged.
    if !findings.iter().any(|finding| finding.problem.is_damage()) {
        findings.extend(gaps(tree, &with.host_libraries)?);
    }
    Ok(findings)
}

/// What the programs of the tree lack, on whatever host.
fn gaps(tree: &MadeTree, libraries: &[String]) -> Result<Vec<Finding>, Error> {
    let finding = |gap: audit::Gap| Finding {
        path: gap.path().to_string(),
        problem: Problem::Gap { gap: gap.to_string() },
    };
    let audit = making::audit_made(tree, libraries)?;
    Ok(audit.gaps.into_iter().map(finding).collect())
}

fn check_launchers(catalog: &Catalog, prefix: &Prefix) -> Result<Vec<Finding>, Error> {
    let launchers = match launchers::texts(catalog, prefix, launchers::live(prefix)?.iter()) {
        // A member's receipt, which is a finding of its own.
        Err(Error::Prefix(PrefixError::Damaged { .. })) => return Ok(Vec::new()),
        launchers => launchers?,
    };
    let (mut problem, mut was_kept) = (Problem::Launcher, true);
    // Those of several dists run what the members have.
    let members = prefix.members()?.into_iter().map(|(_, member)| member);
    for part in std::iter::once(prefix.clone()).chain(members) {
        for (generation, _) in generations(&part, false)? {
            let Some(receipt) = part.whole_receipt(&generation)? else { continue };
            was_kept &= !receipt.without_modes;
            if receipt.elsewhere != RUNNING {
                let reason = "not the launcher that this version of elsewhere writes, and a receipt \
                              says that another one did";
                problem = Problem::Unproved { reason: reason.to_owned() };
            }
        }
    }
    let mut wrong = prefix.wrong_launchers(&launchers, true)?;
    if !wrong.is_empty() && !prefix.keeps_modes().unwrap_or(was_kept) {
        wrong = prefix.wrong_launchers(&launchers, false)?;
    }
    let wrong = wrong.into_iter();
    Ok(wrong.map(|path| Finding { path, problem: problem.clone() }).collect())
}
