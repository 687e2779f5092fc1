//! Builds mirrors in the shape of Enterprise Linux's out of real programs: signed packages,
//! metadata, keys, metalinks and mirror lists, at the paths that the real hosts have.

pub mod apptainer;
mod convert;
mod definitions;
pub mod elf;
pub mod keys;
pub mod package;
pub mod recipes;
pub mod repository;

use std::fs;
use std::path::{Path, PathBuf};

use elsewhere::model::{Arch, Checksum, GlibcVersion};
use rpm::CompressionWithLevel;
use rpmrepo_metadata::CompressionType;

use self::definitions::{Place, key_url, write_dist, write_runtime};
use self::keys::Key;
use self::package::{Entry, Spec};
use self::recipes::{RECIPES, debian_packages};
use self::repository::{RepositoryBuilder, metalink, write};
use super::deb::Debs;

/// A release of Enterprise Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// xz payloads, gz metadata (EPEL: xz), modules.
    El8,
    /// zstd payloads, gz metadata (EPEL: xz), no modules that matter.
    El9,
    /// zstd payloads, gz metadata (EPEL: zst).
    El10,
}

impl Release {
    fn number(self) -> u8 {
        match self {
            Self::El8 => 8,
            Self::El9 => 9,
            Self::El10 => 10,
        }
    }

    /// `el8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::El8 => "el8",
            Self::El9 => "el9",
            Self::El10 => "el10",
        }
    }

    fn maintained_until(self) -> &'static str {
        match self {
            Self::El8 => "2029-05-31",
            Self::El9 => "2032-05-31",
            Self::El10 => "2035-05-31",
        }
    }

    fn has_modules(self) -> bool {
        self == Self::El8
    }

    fn payload(self) -> CompressionWithLevel {
        match self {
            Self::El8 => CompressionWithLevel::Xz(2),
            Self::El9 | Self::El10 => CompressionWithLevel::Zstd(9),
        }
    }

    fn metadata(self, vendor: Vendor) -> CompressionType {
        match (vendor, self) {
            (Vendor::Rocky | Vendor::Alma, _) => CompressionType::Gzip,
            (Vendor::Epel, Self::El10) => CompressionType::Zstd,
            (Vendor::Epel, _) => CompressionType::Xz,
        }
    }
}

/// Who signs and publishes packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    Rocky,
    /// Instead of Rocky, for the architectures that Rocky lacks.
    Alma,
    Epel,
}

impl Vendor {
    fn name(self) -> &'static str {
        match self {
            Self::Rocky => "Rocky Enterprise Software Foundation (test)",
            Self::Alma => "AlmaLinux (test)",
            Self::Epel => "Fedora Project (test)",
        }
    }

    /// The vendor's throwaway key.
    pub fn key(self) -> Key {
        match self {
            Self::Rocky => Key::new("Test key in place of Rocky's <rocky@example.org>", 8_101),
            Self::Alma => Key::new("Test key in place of AlmaLinux's <alma@example.org>", 8_102),
            Self::Epel => Key::new("Test key in place of EPEL's <epel@example.org>", 8_103),
        }
    }
}

/// A repository of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repo {
    BaseOs,
    AppStream,
    /// AppStream, in the module container-tools where the release has it.
    Module,
    Epel,
}

impl Repo {
    fn directory(self) -> &'static str {
        match self {
            Self::BaseOs => "BaseOS",
            Self::AppStream | Self::Module => "AppStream",
            Self::Epel => "Everything",
        }
    }
}

/// What a mirror holds.
#[derive(Clone, Debug)]
pub struct Options {
    pub releases: Vec<Release>,
    pub arches: Vec<Arch>,
    /// Whether definitions name metalinks and mirror lists: these need a server that looks at the
    /// query of a URL.
    pub with_lists: bool,
}

impl Default for Options {
    fn default() -> Self {
        let arches = vec![Arch::X86_64, Arch::Aarch64];
        Self { releases: vec![Release::El8], arches, with_lists: false }
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
const FORMAT: &str = "1";

impl Mirror {
    /// The mirror in `directory`, which is built if it is not there or was built otherwise. Debian
    /// packages are kept in `directory/../debs`. Two processes may call this at once.
    pub fn build(directory: &Path, options: &Options) -> Self {
        let parent = directory.parent().unwrap();
        fs::create_dir_all(parent).unwrap();
        let debs = Debs::open(&parent.join("debs"));
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
            mirror.debs.fetch(*arch, &debian_packages());
        }
        for &release in &options.releases {
            mirror.build_release(release, options, &directory.join("scratch"));
        }
        write_runtime(&mirror.repos);
        write(&directory.join("stamp"), stamp.as_bytes());
        mirror
    }

    fn build_release(&self, release: Release, options: &Options, scratch: &Path) {
        fs::create_dir_all(scratch).unwrap();
        let mut glibc = GlibcVersion { major: 2, minor: 17 };
        let mut places = Vec::new();
        // An architecture per thread: compressing and signing take most of the time.
        std::thread::scope(|scope| {
            let threads: Vec<_> = options
                .arches
                .iter()
                .map(|&arch| scope.spawn(move || self.build_arch(release, arch, scratch)))
                .collect();
            for thread in threads {
                let (found, highest) = thread.join().unwrap();
                places.extend(found);
                glibc = glibc.max(highest);
            }
        });
        for vendor in [Vendor::Rocky, Vendor::Alma, Vendor::Epel] {
            if places.iter().any(|place: &Place| place.vendor == vendor) {
                let file = self.file(&key_url(vendor, release));
                write(&file, vendor.key().public().as_bytes());
            }
        }
        write_dist(&self.repos, release, &places, &Vendor::key, glibc, options.with_lists);
    }

    /// Builds one architecture's repositories, and says the highest glibc that a package asks for.
    fn build_arch(
        &self,
        release: Release,
        arch: Arch,
        scratch: &Path,
    ) -> (Vec<Place>, GlibcVersion) {
        let specs = all_specs(&self.debs, release, arch, scratch);
        let mut glibc = GlibcVersion { major: 2, minor: 17 };
        for (_, spec) in specs.iter().filter(|(_, spec)| spec.name != "glibc") {
            let (requires, _) = spec.generated();
            if let Some((major, minor)) = elf::highest_glibc(requires.iter().map(String::as_str)) {
                glibc = glibc.max(GlibcVersion { major, minor });
            }
        }
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
        (places, glibc)
    }

    fn build_repository(&self, place: &Place, members: &[&(Repo, Spec)]) {
        let key = place.vendor.key();
        let base = place.base(place.arch.as_str());
        let by_initial = place.vendor != Vendor::Alma;
        let mut builder = RepositoryBuilder::new(self.file(&base), by_initial);
        for (_, spec) in members {
            let bytes = spec.build(place.release.payload(), place.vendor.name(), &key);
            builder.add(&spec.file_name(), &bytes);
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
            Vendor::Rocky | Vendor::Alma => format!("{base}\n"),
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

/// Every package of a release for an architecture, with those that must never be chosen.
fn all_specs(debs: &Debs, release: Release, arch: Arch, scratch: &Path) -> Vec<(Repo, Spec)> {
    let tag = format!(".{}", release.name());
    let mut specs: Vec<(Repo, Spec)> = Vec::new();
    for recipe in RECIPES {
        let in_module = recipe.repo == Repo::Module && release.has_modules();
        let tag = if in_module { MODULE_TAG } else { &tag };
        specs.push((recipe.repo, convert::spec(recipe, debs, arch, tag)));
        if in_module {
            // Another stream's, which is newer by version.
            let mut other = convert::spec(recipe, debs, arch, OTHER_STREAM_TAG);
            other.version = format!("9{}", other.version);
            specs.push((recipe.repo, other));
        }
        if matches!(recipe.name, "zlib" | "squashfs-tools") {
            let mut older = convert::spec(recipe, debs, arch, &tag);
            older.release = format!("0{tag}");
            specs.push((recipe.repo, older));
        }
    }
    if apptainer::ARCHES.contains(&arch) {
        for version in apptainer::VERSIONS {
            specs.push((Repo::Epel, apptainer::spec(debs, arch, version, &tag, scratch)));
        }
    }
    specs.push((Repo::BaseOs, alternatives(&tag)));
    if arch == Arch::X86_64 {
        specs.push((Repo::BaseOs, zlib_i686(&specs)));
    }
    specs
}

const MODULE_TAG: &str = ".module_el8.10.0+1948+22ea8a3c";
const OTHER_STREAM_TAG: &str = ".module_el8.9.0+1777+11aa7b2b";

/// The program that scriptlets call, for dnf; a package without an architecture.
fn alternatives(tag: &str) -> Spec {
    let script = "#!/bin/sh\necho 'alternatives: scriptlets do not run here' >&2\nexit 1\n";
    let entries = vec![Entry::file("/usr/sbin/alternatives", 0o755, script)];
    plain_spec("alternatives", "1.19", tag, "noarch", entries)
}

/// The 32-bit twin of zlib: the same version, and another soname's marker.
fn zlib_i686(specs: &[(Repo, Spec)]) -> Spec {
    let (_, zlib) = specs.iter().find(|(_, spec)| spec.name == "zlib").unwrap();
    let entries = vec![Entry::file("/usr/lib/libz.so.1", 0o755, "no 64-bit library\n")];
    let mut twin = plain_spec("zlib", &zlib.version, "", "i686", entries);
    twin.release = zlib.release.clone();
    twin.provides = vec!["libz.so.1".to_owned()];
    twin
}

fn plain_spec(name: &str, version: &str, tag: &str, arch: &str, entries: Vec<Entry>) -> Spec {
    Spec {
        name: name.to_owned(),
        epoch: 0,
        version: version.to_owned(),
        release: format!("1{tag}"),
        arch: arch.to_owned(),
        summary: format!("{name} in shape"),
        license: "ASL 2.0".to_owned(),
        entries,
        requires: Vec::new(),
        provides: Vec::new(),
        conflicts: Vec::new(),
        obsoletes: Vec::new(),
        recommends: Vec::new(),
        filtered: Vec::new(),
        post: None,
    }
}

/// modules.yaml: container-tools with its default stream `rhel8` and a stream `4.0`.
fn modules_yaml(arch: Arch, members: &[&(Repo, Spec)]) -> String {
    let mut text = String::new();
    for (stream, tag) in [("rhel8", MODULE_TAG), ("4.0", OTHER_STREAM_TAG)] {
        text.push_str(&format!(
            "---\ndocument: modulemd\nversion: 2\ndata:\n  name: container-tools\n  \
             stream: \"{stream}\"\n  version: 8100020240101000000\n  context: 22ea8a3c\n  \
             arch: {arch}\n  summary: Container tools\n  description: >-\n    Container tools.\n  \
             license:\n    module:\n    - MIT\n  artifacts:\n    rpms:\n"
        ));
        for (_, spec) in members.iter().filter(|(_, spec)| spec.release.ends_with(tag)) {
            let Spec { name, epoch, version, release, arch, .. } = spec;
            text.push_str(&format!("    - {name}-{epoch}:{version}-{release}.{arch}\n"));
        }
        text.push_str("...\n");
    }
    text.push_str(
        "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: container-tools\n  \
         stream: \"rhel8\"\n  profiles:\n    rhel8: [common]\n...\n",
    );
    text
}

/// The digest of everything that decides what a mirror holds, beside its options.
fn sources_digest() -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support");
    let mut files: Vec<PathBuf> = ["", "mirror", "apptainer"]
        .iter()
        .flat_map(|name| fs::read_dir(directory.join(name)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension().is_some_and(|kind| kind == "rs" || kind == "c" || kind == "h")
        })
        .collect();
    files.sort();
    let mut text = FORMAT.as_bytes().to_vec();
    files.iter().for_each(|file| text.extend(fs::read(file).unwrap()));
    Checksum::of(&text).hex().to_owned()
}
