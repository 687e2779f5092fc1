//! Whether what is installed is still what was installed; and, when asked, where it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{launchers, siblings};
use crate::audit;
use crate::catalog::Catalog;
use crate::context::Context;
use crate::error::Error;
use crate::making::{self, Making, Rules};
use crate::metadata::Keys;
use crate::model::{Aided, Arch, Loading, PackageReceipt, Receipt, ReceiptFile, RelPath, Runtime};
use crate::planning::definitions::{check_all, made_with, of_definitions, pinned};
use crate::prefix::{Generation, Prefix, PrefixError, RECEIPT_NAME};
use crate::report::Reporter;
use crate::verify::{self, Finding, Problem, Subject};

/// What was found in a prefix.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Verification {
    /// Every tree that was looked at.
    pub trees: Vec<CheckedTree>,
    /// What is wrong with launchers; paths are their names in `PREFIX/bin`.
    pub launchers: Vec<Finding>,
}

/// What was found in one tree.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CheckedTree {
    /// The part of a prefix of several dists that it is in, ending in `/`; empty otherwise.
    pub part: String,
    /// Its architecture.
    pub arch: Arch,
    /// The generation's number.
    pub generation: u32,
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

impl Verification {
    /// Adds what was found in the part of the prefix that lies at `place`.
    pub fn add(&mut self, other: Self, place: &str) {
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

    /// How many findings are damage.
    #[must_use]
    pub fn damage(&self) -> usize {
        let all = self.trees.iter().flat_map(|tree| &tree.findings).chain(&self.launchers);
        all.filter(|finding| finding.problem.is_damage()).count()
    }
}

/// Checks every live tree of `prefix`, with `all` the older ones too, and the launchers. Needs
/// neither lock nor network, and writes nothing.
///
/// # Errors
/// When something cannot be read, or an older receipt does not say what it was made with and there are
/// no definitions either. Damage is no error.
pub fn verify(
    catalog: &Catalog,
    prefix: &Prefix,
    all: bool,
    reporter: &dyn Reporter,
) -> Result<Verification, Error> {
    let mut trees = Vec::new();
    for (generation, live) in generations(prefix, all)? {
        trees.push(match receipt(prefix, &generation)? {
            Ok(receipt) => check_tree(catalog, prefix, (&generation, live), &receipt, reporter)?,
            Err(finding) => CheckedTree {
                part: String::new(),
                arch: generation.arch,
                generation: generation.number,
                live,
                packages: 0,
                files: 0,
                findings: vec![finding],
                shares_damage_with: Vec::new(),
            },
        });
    }
    for arch in Arch::ALL {
        if let Some(generation) = prefix.lost(arch)? {
            let Generation { arch, number: generation, .. } = generation;
            let (part, path) = (String::new(), String::new());
            let findings = vec![Finding { path, problem: Problem::Unlinked { generation } }];
            let (live, packages, files) = (true, 0, 0);
            let shares_damage_with = Vec::new();
            trees.push(CheckedTree {
                part,
                arch,
                generation,
                live,
                packages,
                files,
                findings,
                shares_damage_with,
            });
        }
    }
    // The launchers follow from the receipts.
    let is_readable = trees.iter().all(|tree| !tree.live || tree.files > 0);
    let launchers = if is_readable { check_launchers(catalog, prefix)? } else { Vec::new() };
    Ok(Verification { trees, launchers })
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

fn check_tree(
    catalog: &Catalog,
    prefix: &Prefix,
    (generation, live): (&Generation, bool),
    receipt: &Receipt,
    reporter: &dyn Reporter,
) -> Result<CheckedTree, Error> {
    let with = made_with(catalog, receipt)?;
    let subject = Subject {
        tree: &generation.path,
        receipt,
        receipt_name: RECEIPT_NAME,
        plugin_directories: &with.plugin_directories(),
    };
    let mut findings = verify::check(&subject, reporter)?;
    let suffices = |finding: &Finding| finding.problem.is_mode_that_suffices();
    // A prefix may be copied to where permissions are the file system's own. What a receipt says counts
    // where that cannot be tried only.
    if findings.iter().any(suffices) && !prefix.keeps_modes().unwrap_or(!receipt.without_modes) {
        findings.retain(|finding| !suffices(finding));
    }
    // In a damaged tree, what programs lack is most often what is damaged.
    if !findings.iter().any(|finding| finding.problem.is_damage()) {
        findings.extend(gaps(generation, receipt, &with.host_libraries)?);
    }
    Ok(CheckedTree {
        part: String::new(),
        arch: generation.arch,
        generation: generation.number,
        live,
        packages: receipt.packages.len(),
        files: receipt.files.len(),
        shares_damage_with: siblings::sharing(prefix, generation, &findings)?,
        findings,
    })
}

/// What the programs of the tree lack, on whatever host.
fn gaps(
    generation: &Generation,
    receipt: &Receipt,
    libraries: &[String],
) -> Result<Vec<Finding>, Error> {
    // The user may have removed configuration; nothing is loaded from there.
    let files: Vec<ReceiptFile> =
        receipt.files.iter().filter(|file| !file.is_config()).cloned().collect();
    let tree = &generation.path;
    let arch = generation.arch;
    let loading = making::loading(tree, receipt, &files, libraries)?;
    let (audit, _) = making::audit_both(tree, arch, &files, libraries, &loading, None)?;
    let finding = |gap: audit::Gap| Finding {
        path: gap.path().to_string(),
        problem: Problem::Gap { gap: gap.to_string() },
    };
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
            if receipt.elsewhere != env!("CARGO_PKG_VERSION") {
                problem = Problem::OtherVersion;
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

/// Proves once more where every tree of `verification` came from: its packages are brought from
/// the cache or their sources, verified by the keys that the definitions pin today, and made into
/// a tree below `temporary`, with which the receipt is compared. Adds findings.
///
/// # Errors
/// When definitions are missing, a package cannot be had or is not genuine, or the tree cannot be made.
pub fn verify_origin(
    context: Context<'_>,
    keys: &Keys<'_>,
    prefix: &Prefix,
    temporary: &Path,
    verification: &mut Verification,
) -> Result<(), Error> {
    let workshop = Workshop::new(temporary)?;
    let scratch = Prefix::create(&workshop.0)?;
    let lock = scratch.lock(false, context.reporter)?;
    for (generation, _) in generations(prefix, true)? {
        let is_it = |tree: &&mut CheckedTree| {
            (tree.arch, tree.generation) == (generation.arch, generation.number)
        };
        let Some(tree) = verification.trees.iter_mut().find(is_it) else { continue };
        let Ok(receipt) = receipt(prefix, &generation)? else { continue };
        check_all(context.catalog, &receipt)?;
        let plan = pinned(context, &receipt)?;
        scratch.check_space(plan.installed_size())?;
        let making = Making::new(context, &plan, scratch.stage(&lock, plan.arch)?)?;
        making::fill(context, keys, rules(&receipt), std::slice::from_ref(&making))?;
        let (packages, mut files, _) = making.account(keys);
        let relocated = making.relocate(context, &mut files)?;
        tree.findings.extend(compare(&receipt, &packages, &files));
        tree.findings.extend(compare_definitions(context.catalog, &receipt));
        tree.findings.extend(compare_loading(&receipt, &relocated.loading));
    }
    Ok(())
}

/// Packages that were let in unsigned are let in again, and told.
pub(super) fn rules(receipt: &Receipt) -> Rules {
    let allow_unsigned = receipt.packages.iter().any(|package| package.signed_by.is_none());
    Rules { allow_unsigned, now: receipt.installed_at }
}

/// What the packages say otherwise than the receipt.
fn compare(receipt: &Receipt, packages: &[PackageReceipt], files: &[ReceiptFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (told, proven) in receipt.packages.iter().zip(packages) {
        // Which keys the user names is this run's business.
        let trusted_by_user = told.trusted_by_user;
        let is_same = *told == PackageReceipt { trusted_by_user, ..proven.clone() };
        let problem = match (&proven.signed_by, is_same) {
            (None, true) => Problem::Unsigned,
            (_, true) => continue,
            _ => origin("the receipt says otherwise than the package"),
        };
        findings.push(Finding { path: told.nevra.to_string(), problem });
    }
    findings.extend(compare_files(receipt, files));
    findings
}

/// What the definitions say otherwise than the receipt does of them.
fn compare_definitions(catalog: &Catalog, receipt: &Receipt) -> Option<Finding> {
    let told = receipt.made_with.as_ref()?;
    // Those that another version brings are others.
    let is_same_version = receipt.elsewhere == env!("CARGO_PKG_VERSION");
    let names = receipt.runtimes.iter().filter_map(|it| catalog.runtime(&it.name).ok());
    let runtimes: Vec<&Runtime> = names.collect();
    let is_same = *told == of_definitions(catalog, &receipt.dist, &runtimes);
    let reason = "the receipt says otherwise than the definitions, unless those changed since";
    let finding = || Finding { path: RECEIPT_NAME.to_owned(), problem: origin(reason) };
    (is_same_version && !is_same).then(finding)
}

fn compare_files(receipt: &Receipt, files: &[ReceiptFile]) -> Vec<Finding> {
    fn by_path(files: &[ReceiptFile]) -> BTreeMap<&RelPath, &ReceiptFile> {
        files.iter().map(|file| (&file.path, file)).collect()
    }
    let (told, proven) = (by_path(&receipt.files), by_path(files));
    // Another version may relocate in another way; what packages bring is the same for all.
    let is_same_version = receipt.elsewhere == env!("CARGO_PKG_VERSION");
    let paths: BTreeSet<&RelPath> = told.keys().chain(proven.keys()).copied().collect();
    let difference = |path: &RelPath| match (told.get(path), proven.get(path)) {
        (Some(told), Some(proven)) if told.packaged_checksum() != proven.packaged_checksum() => {
            Some("the receipt's digest is not its package's")
        }
        (Some(told), Some(proven)) if told != proven => {
            is_same_version.then_some("the receipt says otherwise than its package")
        }
        (Some(_), None) => is_same_version.then_some("no package brings it"),
        (None, Some(_)) => is_same_version.then_some("the receipt does not list it"),
        _ => None,
    };
    let finding = |path: &RelPath| {
        let problem = origin(difference(path)?);
        Some(Finding { path: path.to_string(), problem })
    };
    paths.into_iter().filter_map(finding).collect()
}

/// A receipt that tells programs to look elsewhere than relocation does.
fn compare_loading(receipt: &Receipt, proven: &Loading) -> Option<Finding> {
    let is_same_version = receipt.elsewhere == env!("CARGO_PKG_VERSION");
    let told = receipt.loading.as_ref().filter(|told| is_same_version && *told != proven)?;
    let differs = |aided: &&Aided| !proven.aided.contains(aided);
    let path = told.aided.iter().find(differs).map_or(RECEIPT_NAME, |aided| aided.path.as_str());
    let problem = origin("the receipt says otherwise where its libraries are");
    Some(Finding { path: path.to_owned(), problem })
}

fn origin(reason: &str) -> Problem {
    Problem::Origin { reason: reason.to_owned() }
}

/// A directory that nobody else can look into, deleted at the end.
struct Workshop(PathBuf);

impl Workshop {
    fn new(temporary: &Path) -> Result<Self, Error> {
        let path = temporary.join(format!("elsewhere-{}", std::process::id()));
        // Fails when it is there: somebody else may have made it.
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(Error::Staging { path, source }),
        }
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
