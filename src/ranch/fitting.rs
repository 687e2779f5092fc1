//! What of a driver's things fits a root directory: which libraries that has itself, which C library, and how its
//! loader is to find those that are added.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::orders::{LDCONFIG, Orders};
use super::walk::{Kind, Tree};
use crate::drivers::{
    DriverLink, DriverMount, Drivers, LIBRARIES, LoaderCache, NewerLibraries, is_native,
    newest_glibc,
};
use crate::model::{Arch, escape, is_among};

/// Where loaders look without being told, beside the directory that they lie in.
const USUAL: [&str; 6] =
    ["lib64", "usr/lib64", "lib", "usr/lib", "usr/local/lib64", "usr/local/lib"];

/// Where a root directory has its loader's cache.
const CACHE: &str = "etc/ld.so.cache";

/// Most libraries that are named in one message.
const MOST_NAMED: usize = 5;

/// What a command is to have of this machine's drivers.
#[derive(Clone, Debug, Default)]
pub(crate) struct DriverNeeds {
    /// Files, links and variables.
    pub(crate) drivers: Drivers,
    /// Libraries of which the root's own count, by their names; `*` stands for any characters.
    pub(crate) neutral: Vec<String>,
    /// The architecture of the libraries.
    pub(crate) arch: Option<Arch>,
    /// Where the command looks for libraries anyway: `LD_LIBRARY_PATH`, empty where it is not set.
    pub(crate) library_path: String,
}

/// What fits.
#[derive(Debug, Default)]
pub(super) struct Fitted {
    pub(super) mounts: Vec<DriverMount>,
    pub(super) links: Vec<DriverLink>,
    /// What is done when the root is there.
    pub(super) orders: Orders,
    /// What is to be said to the user.
    pub(super) said: Vec<String>,
}

/// What of `needs` fits the root directory `tree`. Where it is this machine's own, that has its own lists' libraries already; and what
/// `keeps` what is written is left without a cache of this run's libraries.
pub(super) fn fit(tree: &Tree, needs: &DriverNeeds, is_machines: bool, keeps: bool) -> Fitted {
    let DriverNeeds { drivers, neutral, arch, library_path } = needs;
    let image = ImageLibraries::of(tree, *arch);
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_spared = |place: &Path| is_among(neutral, &name(place)) && image.has(&name(place));
    let mut said = drivers.said.clone();
    let is_there = |mount: &DriverMount| {
        let is_same = fs::canonicalize(&mount.place).is_ok_and(|there| there == mount.source);
        is_machines && (is_same || mount.place.starts_with(LIBRARIES))
    };
    let mounts: Vec<DriverMount> = drivers
        .mounts
        .iter()
        .filter(|mount| !is_there(mount) && !is_spared(&mount.place))
        .cloned()
        .collect();
    let links: Vec<DriverLink> =
        drivers.links.iter().filter(|link| !is_spared(&link.place)).cloned().collect();
    said.extend(image.too_old_for(&mounts));
    let newer = drivers.newer.iter().filter_map(|newer| image.newer(newer));
    let holds = |folder: &&PathBuf| {
        !is_machines || mounts.iter().any(|mount| mount.place.parent() == Some(folder.as_path()))
    };
    let folders = newer.chain(drivers.folders.iter().filter(holds).cloned());
    let mut folders: Vec<String> =
        folders.map(|folder| folder.to_string_lossy().into_owned()).collect();
    // The loader divides there.
    folders.retain(|folder| match folder.contains([':', ';']) {
        false => true,
        true => {
            said.push(format!("the loader cannot be told of {}", escape(folder)));
            false
        }
    });
    let orders = image.orders(drivers, &folders, library_path, !is_machines && !keeps);
    Fitted { mounts, links, orders, said }
}

/// The libraries of a root directory, as its loader sees them.
struct ImageLibraries<'a> {
    tree: &'a Tree,
    arch: Option<Arch>,
    /// From the root on, without `/` in front, in the loader's order.
    directories: Vec<String>,
}

impl<'a> ImageLibraries<'a> {
    fn of(tree: &'a Tree, arch: Option<Arch>) -> Self {
        let mut all = Self { tree, arch, directories: Vec::new() };
        let cache =
            all.file(CACHE).and_then(|path| LoaderCache::read(&path).ok()).unwrap_or_default();
        let loader = arch.and_then(|arch| tree.find(Path::new(arch.loader())).ok());
        let beside = loader
            .filter(|it| it.missing.is_empty())
            .and_then(|it| Some(it.path.parent()?.to_string_lossy().into_owned()));
        let merged = beside.iter().map(|directory| format!("usr/{directory}"));
        let cached =
            cache.directories().into_iter().map(|it| it.trim_start_matches('/').to_owned());
        let usual = USUAL.into_iter().map(str::to_owned);
        for directory in cached.chain(beside.clone()).chain(merged).chain(usual) {
            let is_directory = tree
                .find(Path::new("/").join(&directory).as_path())
                .is_ok_and(|found| found.missing.is_empty() && found.kind == Kind::Directory);
            if is_directory && !all.directories.contains(&directory) {
                all.directories.push(directory);
            }
        }
        all
    }

    /// Where this machine has a file of the root's, links followed.
    fn file(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        let found = self.tree.find(&Path::new("/").join(path)).ok()?;
        let is_file = found.missing.is_empty() && found.kind == Kind::File;
        is_file.then(|| self.tree.on_host(&found.path))
    }

    /// The library called so that programs of the architecture get.
    fn library(&self, name: &str) -> Option<PathBuf> {
        let arch = self.arch?;
        let mut files =
            self.directories.iter().filter_map(|it| self.file(Path::new(it).join(name)));
        files.find(|file| is_native(file, arch))
    }

    fn has(&self, name: &str) -> bool {
        self.library(name).is_some()
    }

    /// Whether its programs are glibc's.
    fn has_loader(&self) -> bool {
        self.arch.is_some_and(|arch| self.file(arch.loader()).is_some())
    }

    /// What is to be said of libraries that ask for a newer C library than there is.
    fn too_old_for(&self, mounts: &[DriverMount]) -> Option<String> {
        let asks = mounts.iter().filter_map(|mount| Some((mount, mount.glibc?)));
        let libc = self.arch.and_then(|arch| newest_glibc(&self.library("libc.so.6")?, arch));
        let asks: Vec<_> =
            asks.filter(|(_, asked)| libc.is_none_or(|libc| *asked > libc)).collect();
        if asks.is_empty() {
            return None;
        }
        let name = |(mount, asked): &(&DriverMount, crate::model::GlibcVersion)| {
            let name = mount.place.file_name().unwrap_or_default().to_string_lossy();
            format!("{} (GLIBC_{asked})", escape(&name))
        };
        let mut names: Vec<String> = asks.iter().take(MOST_NAMED).map(name).collect();
        if asks.len() > MOST_NAMED {
            names.push(format!("{} more", asks.len() - MOST_NAMED));
        }
        let has = match libc {
            Some(libc) => format!("has GLIBC_{libc}"),
            None => "has no glibc that is known".to_owned(),
        };
        Some(format!(
            "libraries of this machine's drivers ask for a newer C library than the image's, which {has}, and cannot be \
             loaded there: {}",
            names.join(", ")
        ))
    }

    /// The directory of libraries of its own that are newer than the driver's.
    fn newer(&self, wish: &NewerLibraries) -> Option<PathBuf> {
        let major = |version: &str| version.split('.').next()?.parse::<u32>().ok();
        let found = self.tree.find(&wish.directory).ok().filter(|it| it.missing.is_empty())?;
        let entries = fs::read_dir(self.tree.on_host(&found.path)).ok()?.flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let versions = names.filter_map(|name| name.strip_prefix(&wish.name).map(str::to_owned));
        let versions: Vec<String> = versions.filter(|version| version.contains('.')).collect();
        // Of several nobody knows which counts.
        let [version] = versions.as_slice() else { return None };
        (major(version)? > major(&wish.than)?).then(|| wish.directory.clone())
    }

    /// What is done so that its programs find libraries in `folders`.
    fn orders(&self, drivers: &Drivers, folders: &[String], path: &str, may_cache: bool) -> Orders {
        let mut orders = Orders { environment: drivers.environment.clone(), ..Orders::default() };
        if folders.is_empty() {
            return orders;
        }
        let set = orders.environment.iter().rev().find(|(name, _)| name == Orders::LIBRARY_PATH);
        let earlier = set.map_or(path, |(_, value)| value).to_owned();
        orders.environment.retain(|(name, _)| name != Orders::LIBRARY_PATH);
        let own = self.directories.iter().map(|directory| format!("/{directory}"));
        let earlier = earlier.split(':').filter(|it| !it.is_empty()).map(str::to_owned);
        let mut all: Vec<String> = Vec::new();
        for directory in earlier.clone().chain(own).chain(folders.iter().cloned()) {
            if !all.contains(&directory) {
                all.push(directory);
            }
        }
        orders.library_path = all.join(":");
        orders.earlier_path = earlier.collect::<Vec<_>>().join(":");
        if may_cache && self.can_cache() {
            orders.folders = folders.to_vec();
        }
        orders
    }

    /// Whether its own program can write a cache of libraries: there is one for glibc's loader, and a place for the cache.
    fn can_cache(&self) -> bool {
        let is_program =
            |path: PathBuf| fs::metadata(path).is_ok_and(|it| it.permissions().mode() & 0o111 != 0);
        let etc = self.tree.find(Path::new("/etc")).ok().filter(|it| it.missing.is_empty());
        let can_read = |path: PathBuf| fs::read_dir(path).is_ok();
        self.has_loader()
            && self.file(LDCONFIG).is_some_and(is_program)
            && etc.is_some_and(|it| can_read(self.tree.on_host(&it.path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_without_libraries_gets_a_path() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/fitting");
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        let tree = Tree::new(root);
        let folders = vec!["/.drivers/lib".into(), "/odd:one".into()];
        let environment = vec![("LD_LIBRARY_PATH".to_owned(), "/its:".to_owned())];
        let drivers = Drivers { folders, environment, ..Drivers::default() };
        let library_path = "/users".to_owned();
        let needs = DriverNeeds { drivers, library_path, ..DriverNeeds::default() };
        let fitted = fit(&tree, &needs, false, false);
        assert_eq!(fitted.orders.library_path, "/its:/usr/lib:/.drivers/lib");
        assert!(fitted.orders.folders.is_empty() && fitted.orders.environment.is_empty());
        assert_eq!(fitted.said, ["the loader cannot be told of /odd:one"]);
    }
}
