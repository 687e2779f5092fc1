//! Builds mirrors in the shape of Enterprise Linux's out of real programs: signed packages,
//! metadata, keys, metalinks and mirror lists, at the paths that the real hosts have.

pub mod apptainer;
mod contents;
mod convert;
mod definitions;
pub mod elf;
pub mod package;
mod podman;
pub mod recipes;
pub mod repository;
mod shape;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use elsewhere::stages::model::{Arch, Checksum};

use self::contents::{all_specs, modules_yaml};
use self::definitions::{Place, key_url, write_dist, write_runtime};
use self::package::Spec;
use self::recipes::{debian_packages, recipes};
use self::repository::{RepositoryBuilder, metalink};
pub use self::shape::{Release, Repo, Vendor};
use super::deb::{Debs, Suite, multiarch};
use super::metadata::write;

/// The day on which packages and metadata say that they were made: 2024-01-01.
pub const MADE: u32 = 1_704_067_200;

/// What a mirror holds.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose programs they are.
    pub suite: Suite,
    pub releases: Vec<Release>,
    pub arches: Vec<Arch>,
    /// Whether definitions name metalinks and mirror lists: these need a server that looks at the
    /// query of a URL.
    pub with_lists: bool,
}

impl Default for Options {
    fn default() -> Self {
        let arches = vec![Arch::X86_64, Arch::Aarch64];
        Self { suite: Suite::default(), releases: vec![Release::El8], arches, with_lists: true }
    }
}

/// A mirror on disk.
pub struct Mirror {
    /// `root/HOST/PATH` is what the real hosts have at `https://HOST/PATH`.
    pub root: PathBuf,
    /// Definitions for `--repos`.
    pub repos: PathBuf,
    /// The Debian packages that it was made of.
    pub debs: Debs,
}

/// The version of what this module writes; a mirror with another one is built anew.
const FORMAT: &str = "2";

impl Mirror {
    /// The mirror in `directory`, which is built if it is not there or was built otherwise. Debian
    /// packages are kept beside it. Two processes may call this at once.
    pub fn build(directory: &Path, options: &Options) -> Self {
        let parent = directory.parent().unwrap();
        fs::create_dir_all(parent).unwrap();
        let debs = Debs::open(parent, options.suite);
        let mirror = Self { root: directory.join("mirror"), repos: directory.join("repos"), debs };
        let lock = fs::File::create(directory.with_extension("lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        let stamp = format!("{options:?} {}", sources_digest());
        if fs::read_to_string(directory.join("stamp")).is_ok_and(|known| known == stamp) {
            return mirror;
        }
        let _ = fs::remove_dir_all(directory);
        fs::create_dir_all(directory).unwrap();
        for arch in &options.arches {
            mirror.debs.fetch(*arch, &debian_packages(options.suite));
        }
        for &release in &options.releases {
            mirror.build_release(release, options, &directory.join("scratch"));
        }
        write_runtime(&mirror.repos);
        write(&directory.join("stamp"), stamp.as_bytes());
        mirror
    }

    /// The file names of the libraries that `packages` of the mirror bring for `arch`.
    pub fn libraries(&self, arch: Arch, packages: &BTreeSet<String>) -> BTreeSet<String> {
        let wanted = recipes(self.debs.suite).filter(|recipe| packages.contains(recipe.name));
        let sources = wanted.flat_map(|recipe| recipe.sources(self.debs.suite));
        let directories = sources.flat_map(|name| {
            let root = self.debs.package(arch, name).root;
            ["lib", "usr/lib"].map(|lib| root.join(lib).join(multiarch(arch)))
        });
        directories
            .filter_map(|directory| fs::read_dir(directory).ok())
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains(".so"))
            .collect()
    }

    fn build_release(&self, release: Release, options: &Options, scratch: &Path) {
        fs::create_dir_all(scratch).unwrap();
        let mut places = Vec::new();
        // An architecture per thread: compressing and signing take most of the time.
        std::thread::scope(|scope| {
            let threads: Vec<_> = options
                .arches
                .iter()
                .map(|&arch| scope.spawn(move || self.build_arch(release, arch, scratch)))
                .collect();
            for thread in threads {
                places.extend(thread.join().unwrap());
            }
        });
        for vendor in [Vendor::Rocky, Vendor::Alma, Vendor::Epel] {
            if places.iter().any(|place: &Place| place.vendor == vendor) {
                let file = self.file(&key_url(vendor, release));
                write(&file, &vendor.key().public_file());
            }
        }
        write_dist(&self.repos, release, &places, &Vendor::key, options.with_lists);
    }

    /// Builds one architecture's repositories.
    fn build_arch(&self, release: Release, arch: Arch, scratch: &Path) -> Vec<Place> {
        let specs = all_specs(&self.debs, release, arch, scratch);
        let mut places = Vec::new();
        for repo in [Repo::BaseOs, Repo::AppStream, Repo::Epel] {
            let vendor = match repo {
                Repo::Epel => Vendor::Epel,
                _ if release == Release::El8 && !matches!(arch, Arch::X86_64 | Arch::Aarch64) => {
                    Vendor::Alma
                }
                _ => Vendor::Rocky,
            };
            let place = Place { release, repo, arch, vendor };
            let members = specs.iter().filter(|(member, _)| member.directory() == repo.directory());
            self.build_repository(&place, &members.collect::<Vec<_>>());
            places.push(place);
        }
        places
    }

    fn build_repository(&self, place: &Place, members: &[&(Repo, Spec)]) {
        let key = place.vendor.key();
        let base = place.base(place.arch.as_str());
        let by_initial = place.vendor != Vendor::Alma;
        let mut builder = RepositoryBuilder::new(self.file(&base), by_initial);
        for (_, spec) in members {
            let package = spec.package(place.release.payload(), place.vendor.name());
            builder.add(&spec.file_name(), package, &key);
        }
        if place.repo == Repo::AppStream && place.release.has_modules() {
            builder.set_modules(modules_yaml(place.arch, members));
        }
        let signer = (place.vendor != Vendor::Epel).then_some(&key);
        let repomd = builder.finish(place.release.metadata(place.vendor), signer);
        self.write_list(place, &base, &repomd);
    }

    /// Writes the metalink (EPEL) or mirror list under a name with the URL's query in it.
    fn write_list(&self, place: &Place, base: &str, repomd: &Checksum) {
        let size = fs::metadata(self.file(&format!("{base}repodata/repomd.xml"))).unwrap().len();
        let text = match place.vendor {
            Vendor::Epel => metalink(repomd, size, &[base.to_owned()]),
            Vendor::Rocky => format!("{base}\n"),
            // One list for every architecture.
            Vendor::Alma => format!("{}\n", place.base("$basearch")),
        };
        write(&self.file(&place.list(place.arch.as_str())), text.as_bytes());
    }

    /// Where the mirror has what the world has at `url`.
    pub fn file(&self, url: &str) -> PathBuf {
        self.root.join(url.strip_prefix("https://").unwrap())
    }
}

/// The mirror that the tests and the demo share, below `target/`.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/el-mirror/default")
}

/// The digest of everything that decides what a mirror holds, beside its options.
fn sources_digest() -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support");
    let writers = ["archive.rs", "header.rs", "keys.rs", "metadata.rs", "rpms.rs"];
    let mut files: Vec<PathBuf> = ["mirror", "apptainer"]
        .iter()
        .flat_map(|name| fs::read_dir(directory.join(name)).unwrap())
        .map(|entry| entry.unwrap().path())
        .chain(writers.map(|name| directory.join(name)))
        .filter(|path| {
            path.extension().is_some_and(|kind| kind == "rs" || kind == "c" || kind == "h")
        })
        .collect();
    files.sort();
    let mut text = FORMAT.as_bytes().to_vec();
    files.iter().for_each(|file| text.extend(fs::read(file).unwrap()));
    Checksum::of(&text).hex()
}
