//! Which program mounts a file that holds a root directory: that of the prefix that is named, or in which this
//! program lies, or one that is found by PATH.

use std::path::{Path, PathBuf};

use super::super::installation::{Installation, trees_of};
use super::super::parts::PartOf;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::host::Host;
use crate::imagefile::ImageFile;
use crate::model::{Arch, Runtime, SquashfsMounter};
use crate::prefix;
use crate::ranch::{Image, RanchError};

/// The file at `path`, with who mounts it.
///
/// # Errors
/// When it is no image that can be mounted or another machine's, or nobody is there to mount it.
pub(super) fn image(
    host: &Host,
    catalog: &Catalog,
    path: PathBuf,
    prefix: Option<&Path>,
) -> Result<Image, Error> {
    let file = ImageFile::open(&path).map_err(RanchError::from)?;
    let machine = host.facts().machine.as_str();
    if let Some(other) = file.machine.filter(|it| !it.machines.contains(&machine)) {
        return Err(RanchError::Machine { path, machine: other.name }.into());
    }
    match mounter(host, catalog, prefix)? {
        Some((program, mounter)) => Ok(Image { path, file, program, mounter: mounter.clone() }),
        None => Err(lack(catalog, path, prefix).into()),
    }
}

/// The program, and how it is told what to mount.
fn mounter<'a>(
    host: &Host,
    catalog: &'a Catalog,
    prefix: Option<&Path>,
) -> Result<Option<(PathBuf, &'a SquashfsMounter)>, Error> {
    let known: Vec<_> = catalog.runtimes().flat_map(|it| &it.squashfs_mounters).collect();
    let within = |directory: &Path, path: &dyn Fn(&SquashfsMounter) -> PathBuf| {
        let found = |mounter: &&SquashfsMounter| directory.join(path(mounter)).is_file();
        let mounter = known.iter().copied().find(found)?;
        Some((directory.join(path(mounter)), mounter))
    };
    let in_tree = |mounter: &SquashfsMounter| mounter.path.as_path().to_owned();
    let found = in_trees(host, prefix, &|tree| within(tree, &in_tree))?;
    // A prefix that is named is the one that is meant.
    if found.is_some() || prefix.is_some() {
        return Ok(found);
    }
    let name = |mounter: &SquashfsMounter| {
        PathBuf::from(mounter.path.as_path().file_name().unwrap_or_default())
    };
    let mut search = host.search_path().into_iter().filter(|directory| directory.is_absolute());
    Ok(search.find_map(|directory| within(&directory, &name)))
}

/// What `find` finds in a tree for this machine of the prefix that is named, or of the one that this program lies in.
pub(super) fn in_trees<T>(
    host: &Host,
    prefix: Option<&Path>,
    find: &dyn Fn(&Path) -> Option<T>,
) -> Result<Option<T>, Error> {
    let own = host.executable();
    let directory = prefix.or_else(|| prefix::keeper(&own));
    let (Some(directory), Some(arch)) = (directory, host.program_arch()) else { return Ok(None) };
    Ok(trees(directory, arch)?.iter().find_map(|tree| find(tree)))
}

/// The trees at `path` that this machine runs.
fn trees(path: &Path, arch: Arch) -> Result<Vec<PathBuf>, Error> {
    Ok(match Installation::at(path)? {
        Installation::Tree(tree) => vec![tree.path.clone()],
        Installation::Prefix(whole) => {
            let trees = whole.trees(None)?.into_iter().map(|(generation, _)| generation);
            trees.filter(|it| it.arch == arch).map(|it| it.path).collect()
        }
        Installation::Version(version) => {
            let trees = trees_of(&version, &PartOf::default())?.into_iter().map(|(_, tree)| tree);
            trees.filter(|it| it.receipt.arch == arch).map(|it| it.path).collect()
        }
    })
}

/// That there is none, and what brings one.
fn lack(catalog: &Catalog, path: PathBuf, prefix: Option<&Path>) -> RanchError {
    let runtimes = || catalog.runtimes().filter(|it| !it.squashfs_mounters.is_empty());
    let names: Vec<_> = runtimes()
        .flat_map(|it| &it.squashfs_mounters)
        .filter_map(|it| it.path.as_str().rsplit('/').next())
        .collect();
    let mut wanted: Vec<&str> = Vec::new();
    for name in names {
        if !wanted.contains(&name) {
            wanted.push(name);
        }
    }
    let place = match prefix {
        Some(prefix) => format!("in {}", prefix.display()),
        None => "in PATH, or beside this program in a prefix".to_owned(),
    };
    // The one that is for nothing else.
    let is_it = |runtime: &&Runtime| {
        let is_command = |mounter: &SquashfsMounter| {
            runtime.commands.iter().any(|command| command.path == mounter.path)
        };
        runtime.squashfs_mounters.iter().any(is_command)
    };
    let runtime = runtimes().find(is_it).or_else(|| runtimes().next());
    let runtime = runtime.map(|runtime| runtime.name.clone()).unwrap_or_default();
    RanchError::NoMounter { path, wanted: format!("{} {place}", wanted.join(" or ")), runtime }
}
