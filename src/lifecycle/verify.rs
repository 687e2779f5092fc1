//! Whether what is installed, or a tree that lies anywhere, is still what was made; and where the user names
//! keys, whether their owners signed that it was made so.

use std::path::Path;

use super::attested::{self, Attestation};
use super::{launchers, siblings};
use crate::audit;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::launcher;
use crate::making;
use crate::minisig::PublicKey;
use crate::model::{Arch, RECEIPT_NAME, Receipt, SIGNATURE_NAME};
use crate::planning::definitions::made_with;
use crate::prefix::{Generation, KeptProgram, LostLink, Prefix, PrefixError};
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
    /// What is wrong with the programs that the prefix keeps; paths begin at the prefix.
    pub programs: Vec<Finding>,
}

/// How much of a prefix is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent<'a> {
    /// Whether older generations are too.
    pub all: bool,
    /// Whether origins are proved.
    pub is_deep: bool,
    /// Whose signature every receipt must have; nobody's where there are none.
    pub signers: &'a [PublicKey],
    /// The file of the program that runs.
    pub running: &'a Path,
    /// The same with its architecture, where a prefix may keep it.
    pub program: Option<(Arch, &'a Path)>,
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
    /// Who signed its receipt, where that is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Attestation>,
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
        let (part, shares_damage_with, signature) = (String::new(), Vec::new(), None);
        let (packages, files) = (0, 0);
        Self {
            part,
            arch,
            generation,
            live,
            signature,
            packages,
            files,
            findings,
            shares_damage_with,
        }
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
        let in_place =
            |finding: Finding| Finding { path: format!("{place}{}", finding.path), ..finding };
        self.programs.extend(other.programs.into_iter().map(in_place));
    }

    /// Every finding.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        let trees = self.trees.iter().flat_map(|tree| &tree.findings);
        trees.chain(&self.launchers).chain(&self.programs)
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

/// Checks every live tree of `prefix`, older ones too where `extent` says so, the launchers, and the
/// programs that are kept. Needs neither lock nor network, and writes nothing.
///
/// # Errors
/// When something cannot be read, or an older receipt does not say what it was made with and there are
/// no definitions either. Damage is no error.
pub(super) fn verify(
    catalog: &Catalog,
    prefix: &Prefix,
    extent: Extent<'_>,
    reporter: &dyn Reporter,
) -> Result<Verification, Error> {
    let mut trees = Vec::new();
    for (generation, live) in generations(prefix, extent.all)? {
        trees.push(match read(prefix, &generation, extent.signers)? {
            Ok((receipt, signature)) => {
                let tree = MadeTree { path: generation.path.clone(), receipt };
                let mut findings = check_tree(catalog, &tree, || prefix.keeps_modes(), reporter)?;
                if let Some(signature) = &signature {
                    attested::hold_edits(&tree.path, signature, &mut findings);
                }
                let shares_damage_with = siblings::sharing(prefix, &generation, &findings)?;
                let number = Some(generation.number);
                let checked = CheckedTree::new(generation.arch, number, live, findings);
                CheckedTree { shares_damage_with, signature, ..checked.of(&tree.receipt) }
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
    let launchers = match is_readable {
        true => check_launchers(catalog, prefix, extent.signers)?,
        false => Vec::new(),
    };
    Ok(Verification { trees, launchers, programs: check_programs(prefix, extent)? })
}

/// Checks a tree that lies anywhere, whose receipt one of `signers` must have signed where there are some.
/// Needs no network, and writes nothing.
///
/// # Errors
/// As `verify`.
pub(crate) fn verify_tree(
    catalog: &Catalog,
    tree: &MadeTree,
    signers: &[PublicKey],
    reporter: &dyn Reporter,
) -> Result<Verification, Error> {
    let of = |tree| Verification { trees: vec![tree], ..Verification::default() };
    let (receipt, signature) = match signers {
        [] => (tree.receipt.clone(), None),
        signers => match attested::receipt_at(&tree.path, signers)? {
            Ok((receipt, signature)) => (receipt, Some(signature)),
            Err(finding) => {
                return Ok(of(CheckedTree::new(tree.receipt.arch, None, false, vec![finding])));
            }
        },
    };
    let tree = MadeTree { path: tree.path.clone(), receipt };
    let mut findings = check_tree(catalog, &tree, || None, reporter)?;
    if let Some(signature) = &signature {
        attested::hold_edits(&tree.path, signature, &mut findings);
    }
    let checked = CheckedTree::new(tree.receipt.arch, None, false, findings);
    Ok(of(CheckedTree { signature, ..checked.of(&tree.receipt) }))
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

/// A tree's receipt and, where one of `signers` must have signed it, its signature; a finding when it is
/// damaged or not signed.
fn read(
    prefix: &Prefix,
    generation: &Generation,
    signers: &[PublicKey],
) -> Result<Result<(Receipt, Option<Attestation>), Finding>, Error> {
    if signers.is_empty() {
        return Ok(receipt(prefix, generation)?.map(|receipt| (receipt, None)));
    }
    let proved = attested::receipt(prefix, generation, signers)?;
    Ok(proved.map(|(receipt, signature)| (receipt, Some(signature))))
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
pub(super) fn check_tree(
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
        set: &receipt.set,
        own_names: &[RECEIPT_NAME, SIGNATURE_NAME],
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

/// What is wrong with the launchers, which follow from the receipts: from those alone that one of `signers`
/// signed, where there are some.
fn check_launchers(
    catalog: &Catalog,
    prefix: &Prefix,
    signers: &[PublicKey],
) -> Result<Vec<Finding>, Error> {
    let read = |prefix: &Prefix, generation: &Generation| match read(prefix, generation, signers)? {
        Ok((receipt, _)) => Ok(receipt),
        Err(Finding { problem, .. }) => {
            let (path, problem) = (generation.path.join(RECEIPT_NAME), problem.to_string());
            Err(Error::from(PrefixError::Damaged { path, problem }))
        }
    };
    let is_damage = |error: &Error| matches!(error, Error::Prefix(PrefixError::Damaged { .. }));
    let live = prefix.live_generations()?;
    let live = live.iter().map(|generation| read(prefix, generation)).collect();
    let texts = |live: Vec<Receipt>| launchers::texts_by(catalog, prefix, live.iter(), &read);
    let mut launchers = match Result::and_then(live, texts) {
        // A finding of its own.
        Err(error) if is_damage(&error) => return Ok(Vec::new()),
        launchers => launchers?,
    };
    launchers.extend(prefix.keeps_programs().then(|| prefix.own_launcher(launcher::own)));
    let (mut problem, mut was_kept) = (Problem::Launcher, true);
    // Those of several dists run what the members have.
    let members = prefix.members()?.into_iter().map(|(_, member)| member);
    for part in std::iter::once(prefix.clone()).chain(members) {
        for (generation, _) in generations(&part, false)? {
            let receipt = match read(&part, &generation) {
                Err(error) if is_damage(&error) => continue,
                receipt => receipt?,
            };
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
    let wrong = wrong.into_iter().map(|path| Finding { path, problem: problem.clone() });
    let foreign = prefix.foreign_launchers(&launchers)?.into_iter();
    Ok(wrong.chain(foreign.map(|path| Finding { path, problem: Problem::Extra })).collect())
}

/// What is wrong with the programs that `prefix` keeps.
fn check_programs(prefix: &Prefix, extent: Extent<'_>) -> Result<Vec<Finding>, Error> {
    let unproved = |reason: &str| Some(Problem::Unproved { reason: reason.to_owned() });
    let problem = |what| match what {
        // Its digest lies beside it, and in no receipt.
        KeptProgram::AsKept if extent.is_deep || !extent.signers.is_empty() => {
            unproved("as it was kept, and not the program that runs: nothing else says what it is")
        }
        KeptProgram::AsKept => None,
        KeptProgram::Unknown => {
            unproved("not the program that runs, and nobody wrote down what was kept")
        }
        KeptProgram::Changed => Some(Problem::Content),
        KeptProgram::NoFile => Some(Problem::Kind { expected: "file" }),
        KeptProgram::Mode(found) => Some(Problem::Mode { expected: 0o755, found }),
        KeptProgram::Missing => Some(Problem::Missing),
        KeptProgram::Extra => Some(Problem::Extra),
    };
    let kept = prefix.kept_programs(extent.running)?.into_iter();
    let found = kept.filter_map(|(path, what)| Some(Finding { path, problem: problem(what)? }));
    let mut findings: Vec<Finding> = found.collect();
    let suffices = |finding: &Finding| finding.problem.is_mode_that_suffices();
    if findings.iter().any(suffices) && prefix.keeps_modes() == Some(false) {
        findings.retain(|finding| !suffices(finding));
    }
    Ok(findings)
}
