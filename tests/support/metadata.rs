//! The writer of repositories' metadata: `primary.xml`, the documents beside it, and the
//! `repomd.xml` that names them, as createrepo_c writes them.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use elsewhere::stages::model::{Checksum, Evr};

use super::archive::compress;
use super::header::{KINDS, Relation, Relations, sense};
use super::rpms::{File, Package, parts};

const NAMESPACES: &str = "xmlns=\"http://linux.duke.edu/metadata/common\" \
                          xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\"";

/// A package as metadata lists it: what it claims to be.
#[derive(Clone)]
pub struct Listing {
    pub name: String,
    pub arch: String,
    pub evr: Evr,
    pub checksum: Checksum,
    pub summary: String,
    pub description: String,
    /// Bytes of the package file.
    pub size: u64,
    /// Bytes of the files in it.
    pub installed: u64,
    pub location: String,
    /// The rest of `<format>` before the relations: licence, vendor, where the header lies.
    pub details: String,
    pub relations: Relations,
    /// The files that `primary.xml` lists: what they are (`dir`, `ghost` or nothing), and their paths.
    pub files: Vec<(&'static str, String)>,
}

impl Listing {
    /// A package of this name that says the least.
    pub fn new(name: &str, arch: &str, evr: &Evr) -> Self {
        Self {
            name: name.to_owned(),
            arch: arch.to_owned(),
            evr: evr.clone(),
            checksum: Checksum::of(name.as_bytes()),
            summary: "s".to_owned(),
            description: String::new(),
            size: 1,
            installed: 1,
            location: format!("Packages/{name}.rpm"),
            details: String::new(),
            relations: Relations::default().and("provides", &[format!("{name} = {evr}")]),
            files: Vec::new(),
        }
    }

    /// What these bytes are, by the package that they were written from.
    pub fn of(package: &Package, bytes: &[u8], location: String) -> Self {
        let nevra = package.nevra();
        let [_, start, end] = parts(bytes);
        let (license, vendor) =
            package.about.as_ref().map_or(("MIT", ""), |it| (&it.license, &it.vendor));
        let (license, vendor) = (escaped(license), escaped(vendor));
        let source = package.source();
        let all = listed(package);
        Self {
            checksum: Checksum::of(bytes),
            size: bytes.len() as u64,
            installed: package.installed(),
            location,
            details: format!(
                "<rpm:license>{license}</rpm:license>\n<rpm:vendor>{vendor}</rpm:vendor>\n\
                 <rpm:sourcerpm>{source}</rpm:sourcerpm>\n\
                 <rpm:header-range start=\"{start}\" end=\"{end}\"/>\n"
            ),
            relations: asked(package.all_relations(), &all),
            files: all.into_iter().filter(|(_, path)| is_primary(path)).collect(),
            ..Self::new(&nevra.name, &nevra.arch, &nevra.evr)
        }
    }

    /// With these relations too, as a spec file writes them.
    pub fn and<T: AsRef<str>>(self, kind: &str, texts: &[T]) -> Self {
        Self { relations: self.relations.and(kind, texts), ..self }
    }

    /// The package's entry, an element a line.
    pub fn entry(&self) -> String {
        let mut format = self.details.clone();
        for (kind, relations) in KINDS.iter().zip(&self.relations.0) {
            if !relations.is_empty() {
                writeln!(format, "<rpm:{kind}>").unwrap();
                relations.iter().for_each(|it| format.push_str(&entry(it, *kind == "requires")));
                writeln!(format, "</rpm:{kind}>").unwrap();
            }
        }
        for (kind, path) in &self.files {
            format.push_str(&file(kind, path));
        }
        self.entry_with(&format)
    }

    /// The package's entry with this in `<format>`.
    pub fn entry_with(&self, format: &str) -> String {
        let Self { name, arch, evr, summary, description, size, installed, location, .. } = self;
        let Evr { epoch, version, release } = evr;
        format!(
            "<package type=\"rpm\">\n<name>{name}</name>\n<arch>{arch}</arch>\n\
             <version epoch=\"{epoch}\" ver=\"{version}\" rel=\"{release}\"/>\n\
             <checksum type=\"sha256\" pkgid=\"YES\">{}</checksum>\n\
             <summary>{}</summary>\n<description>{}</description>\n<packager/>\n<url/>\n\
             <time file=\"1\" build=\"2\"/>\n\
             <size package=\"{size}\" installed=\"{installed}\" archive=\"{installed}\"/>\n\
             <location href=\"{location}\"/>\n<format>\n{format}</format>\n</package>\n",
            self.checksum.hex(),
            escaped(summary),
            escaped(description),
        )
    }

    /// Its entry in `filelists.xml` or `other.xml`, with what that has of it.
    fn entry_beside(&self, what: &str) -> String {
        let Self { name, arch, evr: Evr { epoch, version, release }, .. } = self;
        format!(
            "<package pkgid=\"{}\" name=\"{name}\" arch=\"{arch}\">\n\
             <version epoch=\"{epoch}\" ver=\"{version}\" rel=\"{release}\"/>\n{what}</package>\n",
            self.checksum.hex()
        )
    }
}

/// A document of these entries.
pub fn document(count: usize, entries: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <metadata {NAMESPACES} packages=\"{count}\">\n{entries}</metadata>\n"
    )
}

/// The `primary.xml` of these packages.
pub fn primary(listings: &[Listing]) -> String {
    document(listings.len(), &listings.iter().map(Listing::entry).collect::<String>())
}

/// The `filelists.xml` and the `other.xml` of these packages, of which each has these files.
pub fn beside(packages: &[(Listing, &Package)]) -> [(&'static str, String); 2] {
    let text = |root: &str, what: fn(&Package) -> String| {
        let entries: String = packages
            .iter()
            .map(|(listing, package)| listing.entry_beside(&what(package)))
            .collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} \
             xmlns=\"http://linux.duke.edu/metadata/{}\" packages=\"{}\">\n{entries}</{root}>\n",
            root.trim_end_matches("data"),
            packages.len()
        )
    };
    let files =
        |package: &Package| listed(package).iter().map(|(kind, path)| file(kind, path)).collect();
    [("filelists", text("filelists", files)), ("other", text("otherdata", |_| String::new()))]
}

/// Documents of a repository in the making.
pub struct Repodata {
    time: u64,
    /// `none`, `gzip`, `xz` or `zstd`.
    compressor: &'static str,
    /// Whether file names begin with digests, as distributions have them.
    by_digest: bool,
    documents: Vec<(&'static str, Vec<u8>)>,
}

impl Repodata {
    /// Plain documents of this time.
    pub fn new(time: u64) -> Self {
        Self { time, compressor: "none", by_digest: false, documents: Vec::new() }
    }

    /// With packed documents.
    pub fn packed(self, compressor: &'static str) -> Self {
        Self { compressor, ..self }
    }

    /// With file names that begin with digests.
    pub fn by_digest(self) -> Self {
        Self { by_digest: true, ..self }
    }

    /// With this document: `primary`, `modules` and so on.
    pub fn with(mut self, kind: &'static str, text: impl Into<Vec<u8>>) -> Self {
        self.documents.push((kind, text.into()));
        self
    }

    /// Writes all of it below `root`, and returns `repomd.xml`.
    pub fn write(&self, root: &Path) -> Vec<u8> {
        let time = self.time;
        let mut repomd = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <repomd xmlns=\"http://linux.duke.edu/metadata/repo\" \
             xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\">\n<revision>{time}</revision>\n"
        );
        for (kind, text) in &self.documents {
            let packed = compress(self.compressor, text);
            let (digest, open) = (Checksum::of(&packed), Checksum::of(text));
            let name = self.name(kind, &digest);
            writeln!(
                repomd,
                "<data type=\"{kind}\">\n<checksum type=\"sha256\">{}</checksum>\n\
                 <open-checksum type=\"sha256\">{}</open-checksum>\n\
                 <location href=\"repodata/{name}\"/>\n<timestamp>{time}</timestamp>\n\
                 <size>{}</size>\n<open-size>{}</open-size>\n</data>",
                digest.hex(),
                open.hex(),
                packed.len(),
                text.len()
            )
            .unwrap();
            write(&root.join("repodata").join(name), &packed);
        }
        repomd.push_str("</repomd>\n");
        write(&root.join("repodata/repomd.xml"), repomd.as_bytes());
        repomd.into_bytes()
    }

    fn name(&self, kind: &str, digest: &Checksum) -> String {
        let ending = match self.compressor {
            "gzip" => ".gz",
            "xz" => ".xz",
            "zstd" => ".zst",
            _ => "",
        };
        let text = if kind == "modules" { "yaml" } else { "xml" };
        match self.by_digest {
            true => format!("{}-{kind}.{text}{ending}", digest.hex()),
            false => format!("{kind}.{text}{ending}"),
        }
    }
}

/// Lets the list of packages of the repository at `root` say what `change` makes of it, at this
/// time. Whatever else the repository had, its signature among it, is left out.
pub fn relist(root: &Path, time: u64, change: impl FnOnce(String) -> String) {
    let is_primary = |path: &PathBuf| path.to_string_lossy().contains("primary.xml");
    let repodata = root.join("repodata");
    let mut files = fs::read_dir(&repodata).unwrap().map(|entry| entry.unwrap().path());
    let path = files.find(is_primary).unwrap();
    let mut text = fs::read(&path).unwrap();
    if path.extension().is_some_and(|ending| ending == "gz") {
        let packed = std::mem::take(&mut text);
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut text).unwrap();
    }
    fs::remove_dir_all(&repodata).unwrap();
    let text = change(String::from_utf8(text).unwrap());
    Repodata::new(time).with("primary", text).write(root);
}

/// Writes a file, with the directories that it needs.
pub fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn entry(relation: &Relation, says_when: bool) -> String {
    let Relation { name, flags, evr } = relation;
    let mut text = format!("<rpm:entry name=\"{}\"", escaped(name));
    let comparison = match flags & (sense::LESS | sense::GREATER | sense::EQUAL) {
        sense::LESS => "LT",
        sense::GREATER => "GT",
        sense::EQUAL => "EQ",
        10 => "LE",
        12 => "GE",
        _ => "",
    };
    if !evr.is_empty() {
        let (epoch, rest) = evr.split_once(':').unwrap_or(("0", evr));
        let (version, release) = rest.split_once('-').unwrap_or((rest, ""));
        write!(text, " flags=\"{comparison}\" epoch=\"{epoch}\" ver=\"{version}\"").unwrap();
        if !release.is_empty() {
            write!(text, " rel=\"{release}\"").unwrap();
        }
    }
    if says_when && flags & sense::BEFORE != 0 {
        text.push_str(" pre=\"1\"");
    }
    text + "/>\n"
}

fn file(kind: &str, path: &str) -> String {
    match kind {
        "" => format!("<file>{}</file>\n", escaped(path)),
        kind => format!("<file type=\"{kind}\">{}</file>\n", escaped(path)),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The files of a package: what they are, and their paths.
fn listed(package: &Package) -> Vec<(&'static str, String)> {
    let kind = |file: &File| match file.mode & 0o170_000 {
        0o040_000 => "dir",
        _ if file.flags & 64 != 0 => "ghost",
        _ => "",
    };
    let path = |file: &File| String::from_utf8_lossy(&file.path).into_owned();
    package.files.iter().map(|file| (kind(file), path(file))).collect()
}

/// Whether `primary.xml` lists a file at this path.
fn is_primary(path: &str) -> bool {
    path.starts_with("/etc/") || path.contains("bin/") || path == "/usr/lib/sendmail"
}

/// What of a header's relations createrepo_c lists: nothing that the package gives itself, that RPM
/// must be able to do, or that is listed already; of versions of glibc's the newest.
fn asked(mut all: Relations, files: &[(&str, String)]) -> Relations {
    let provided = all.of("provides").clone();
    let is_own = |it: &Relation| {
        let is_same = |own: &Relation| own.name == it.name && own.evr == it.evr;
        let is_file = |(_, path): &(&str, String)| *path == it.name && is_primary(path);
        provided.iter().any(is_same) || files.iter().any(is_file)
    };
    let mut kept: Vec<Relation> = Vec::new();
    let mut newest: Option<Relation> = None;
    for relation in all.of("requires").drain(..) {
        if relation.name.starts_with("rpmlib(") || is_own(&relation) {
            continue;
        }
        if relation.name.starts_with("libc.so.6") {
            let is_newer = |known: &Relation| glibc(&known.name).cmp(&glibc(&relation.name));
            if newest.as_ref().is_none_or(|known| is_newer(known) == Ordering::Less) {
                newest = Some(relation);
            }
        } else if !kept.contains(&relation) {
            kept.push(relation);
        }
    }
    kept.extend(newest);
    *all.of("requires") = kept;
    all
}

/// The version in `libc.so.6(GLIBC_2.34)(64bit)`.
fn glibc(name: &str) -> Vec<u32> {
    let version = name.split(['(', ')']).nth(1).unwrap_or_default();
    version.split(|it: char| !it.is_ascii_digit()).filter_map(|it| it.parse().ok()).collect()
}
