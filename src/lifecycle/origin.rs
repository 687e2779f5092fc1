//! Where a tree came from, proved once more: its packages are verified by the keys that the definitions pin
//! today and made into a tree anew, with which its receipt is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::verify::{CheckedTree, Verification, generations, receipt};
use crate::catalog::Catalog;
use crate::context::Context;
use crate::error::Error;
use crate::making::{self, Contents, Making};
use crate::metadata::Keys;
use crate::model::{
    Aided, KeyPin, Loading, PLACING_PROGRAM, PackageReceipt, RECEIPT_NAME, Receipt, ReceiptFile,
    RelPath, Runtime, TreePlan,
};
use crate::planning::definitions::{check_all, of_definitions, pinned};
use crate::prefix::Prefix;
use crate::release::RUNNING;
use crate::verify::{Finding, Problem};
use crate::workshop::{MadeTree, Workshop};

/// Proves once more where every tree of `verification` came from: its packages are brought from
/// the cache or their sources, verified by the keys that the definitions pin today, and made into
/// a tree below `temporary`, with which the receipt is compared. Adds findings. Only where the user
/// says so, here and now, a package passes that carries no signature.
///
/// # Errors
/// When definitions are missing, a package cannot be had or is not genuine, or the tree cannot be made.
pub(super) fn verify_origin(
    context: Context<'_>,
    keys: &Keys<'_>,
    prefix: &Prefix,
    temporary: &Path,
    verification: &mut Verification,
) -> Result<(), Error> {
    for (generation, _) in generations(prefix, true)? {
        let is_it = |tree: &&mut CheckedTree| {
            (tree.arch, tree.generation) == (generation.arch, Some(generation.number))
        };
        let Some(tree) = verification.trees.iter_mut().find(is_it) else { continue };
        let Ok(receipt) = receipt(prefix, &generation)? else { continue };
        tree.findings.extend(prove(context, keys, &receipt, temporary)?);
    }
    Ok(())
}

/// The same for one tree that lies anywhere.
///
/// # Errors
/// As `verify_origin`.
pub(crate) fn verify_tree_origin(
    context: Context<'_>,
    keys: &Keys<'_>,
    tree: &MadeTree,
    temporary: &Path,
    verification: &mut Verification,
) -> Result<(), Error> {
    let findings = prove(context, keys, &tree.receipt, temporary)?;
    verification.trees.iter_mut().for_each(|tree| tree.findings.extend(findings.iter().cloned()));
    Ok(())
}

/// Makes the tree with `receipt` anew below `temporary`, and tells what is otherwise.
fn prove(
    context: Context<'_>,
    keys: &Keys<'_>,
    receipt: &Receipt,
    temporary: &Path,
) -> Result<Vec<Finding>, Error> {
    check_all(context.catalog, receipt)?;
    let plan = pinned(context, receipt)?;
    let claimed = claims(receipt, &plan, keys);
    if !claimed.is_empty() {
        return Ok(claimed);
    }
    // What is proved is that the packages themselves make this tree.
    let context = Context { store: None, ..context };
    let workshop = Workshop::temporary(temporary)?;
    workshop.check_space(plan.installed_size())?;
    let making = Making::new(context, &plan, &workshop)?;
    making::fill(context, keys, std::slice::from_ref(&making))?;
    let mut contents = making.account(keys);
    making.relocate(context, &mut contents)?;
    let mut findings = compare(receipt, &contents);
    let of_part = |part| compare_definitions(context.catalog, part);
    findings.extend(receipt.parts().filter_map(of_part));
    findings.extend(compare_loading(receipt, &contents.all_loading()));
    Ok(findings)
}

/// What `receipt` claims of signatures that nobody vouches for today: neither the definitions, whose keys
/// `plan` has, nor the user.
fn claims(receipt: &Receipt, plan: &TreePlan, keys: &Keys<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (part, plan) in receipt.parts().zip(plan.parts()) {
        for source in &part.sources {
            let pins = plan.source(&source.id).map_or(&[][..], |source| &source.keys);
            let is_pinned =
                |key: &KeyPin| pins.iter().any(|pin| pin.fingerprint == key.fingerprint);
            for key in source.keys.iter().filter(|key| !is_pinned(key)) {
                let (key, id) = (&key.fingerprint, &source.id);
                let reason = format!("the receipt names {key} for {id}, which no definition does");
                let problem = differs(receipt, &reason);
                findings.push(Finding { path: RECEIPT_NAME.to_owned(), problem });
            }
        }
        for package in &part.packages {
            let pins = plan.source(&package.source).map_or(&[][..], |source| &source.keys);
            let place = (part.dist.as_str(), package.source.as_str());
            let reason = match &package.signed_by {
                None if keys.lets_in_unsigned(place) => continue,
                None => "it is not signed, by the receipt, and nothing here allows that \
                         (--allow-unsigned)"
                    .to_owned(),
                Some(key) if keys.allowed(place, pins).contains(key) => continue,
                Some(key) => format!(
                    "it is signed by {key}, by the receipt, which neither a definition nor --trust-key \
                     names"
                ),
            };
            findings.push(Finding { path: package.nevra.to_string(), problem: origin(&reason) });
        }
    }
    findings
}

/// What the packages say otherwise than the receipt.
fn compare(receipt: &Receipt, contents: &Contents) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (told, proven) in receipt.all_packages().zip(contents.all_packages()) {
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
    findings.extend(compare_files(receipt, &contents.all_files()));
    findings
}

/// What the definitions say otherwise than the receipt does of them.
fn compare_definitions(catalog: &Catalog, receipt: &Receipt) -> Option<Finding> {
    let told = receipt.made_with.as_ref()?;
    let names = receipt.runtimes.iter().filter_map(|it| catalog.runtime(&it.name).ok());
    let runtimes: Vec<&Runtime> = names.collect();
    let is_same = *told == of_definitions(catalog, &receipt.dist, &runtimes);
    let reason = "the receipt says otherwise than the definitions, unless those changed since";
    // Those that another version brings are others.
    let finding = || Finding { path: RECEIPT_NAME.to_owned(), problem: differs(receipt, reason) };
    (!is_same).then(finding)
}

fn compare_files(receipt: &Receipt, files: &[ReceiptFile]) -> Vec<Finding> {
    fn by_path(files: &[ReceiptFile]) -> BTreeMap<&RelPath, &ReceiptFile> {
        files.iter().map(|file| (&file.path, file)).collect()
    }
    let told = receipt.all_files();
    let (told, proven) = (by_path(&told), by_path(files));
    let paths: BTreeSet<&RelPath> = told.keys().chain(proven.keys()).copied().collect();
    let difference = |path: &RelPath| match (told.get(path), proven.get(path)) {
        // No package brings it: it is this program, or another build of it.
        (told, proven) if path.as_str() == PLACING_PROGRAM && told != proven => {
            let reason = "it is elsewhere itself, and not the program that runs".to_owned();
            Some(Problem::Unproved { reason })
        }
        // What packages bring is the same for all versions.
        (Some(told), Some(proven)) if told.packaged_checksum() != proven.packaged_checksum() => {
            Some(origin("the receipt's digest is not its package's"))
        }
        (Some(told), Some(proven)) if told != proven => {
            Some(differs(receipt, "the receipt says otherwise than its package"))
        }
        (Some(_), None) => Some(differs(receipt, "no package brings it")),
        (None, Some(_)) => Some(differs(receipt, "the receipt does not list it")),
        _ => None,
    };
    let finding = |path: &RelPath| {
        let problem = difference(path)?;
        Some(Finding { path: path.to_string(), problem })
    };
    paths.into_iter().filter_map(finding).collect()
}

/// A receipt that tells programs to look elsewhere than relocation does.
fn compare_loading(receipt: &Receipt, proven: &Loading) -> Option<Finding> {
    let told = receipt.all_loading().filter(|told| told != proven)?;
    let is_other = |aided: &&Aided| !proven.aided.contains(aided);
    let path = told.aided.iter().find(is_other).map_or(RECEIPT_NAME, |aided| aided.path.as_str());
    let problem = differs(receipt, "the receipt says otherwise where its libraries are");
    Some(Finding { path: path.to_owned(), problem })
}

/// What a receipt says that this version does not make: damage, unless it says that another version made
/// the tree. That one may have relocated in another way, and whoever changed the tree may have written
/// that it did: nothing is proved then.
fn differs(receipt: &Receipt, reason: &str) -> Problem {
    match receipt.elsewhere.as_str() {
        RUNNING => origin(reason),
        version => {
            Problem::Unproved { reason: format!("{reason}, and that elsewhere {version} made it") }
        }
    }
}

fn origin(reason: &str) -> Problem {
    Problem::Origin { reason: reason.to_owned() }
}
