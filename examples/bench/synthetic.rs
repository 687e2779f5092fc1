//! A mirror in the shape of Enterprise Linux's, of any size: one big package, many small ones, and
//! metadata with as many packages more as are asked for. The bytes are this machine's own programs'.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use elsewhere::model::{Arch, Checksum};
use flate2::{Compression, GzBuilder};

use super::support::keys::TestKey;
use super::support::rpms::{File, Package};

/// What a mirror holds.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Packages that the runtime needs, itself included.
    pub(crate) packages: usize,
    /// Bytes of the runtime's own package, unpacked.
    pub(crate) largest: usize,
    /// Bytes of each other package, unpacked.
    pub(crate) other: usize,
    /// Megabytes of primary.xml, over three repositories.
    pub(crate) metadata: usize,
    /// How many architectures.
    pub(crate) arches: usize,
}

/// A mirror on disk.
pub(crate) struct Mirror {
    pub(crate) root: PathBuf,
    pub(crate) repos: PathBuf,
    /// The payload of the largest package.
    pub(crate) payload: PathBuf,
}

const REPOSITORIES: [&str; 3] = ["extra", "apps", "base"];
const MADE: u64 = 1_700_000_000;

impl Mirror {
    /// Builds the mirror in `directory`.
    pub(crate) fn build(directory: &Path, shape: Shape) -> Self {
        let _ = fs::remove_dir_all(directory);
        let root = directory.join("mirror");
        let repos = directory.join("repos");
        let key = TestKey::new();
        write(&root.join("bench.example/key"), &key.public_file());
        let arches = &Arch::ALL[..shape.arches];
        write(&repos.join("dists/bench.toml"), dist(&key, arches).as_bytes());
        write(&repos.join("runtimes/bench-runtime.toml"), RUNTIME.as_bytes());
        let payload = directory.join("payload.xz");
        let mut source = Programs::new();
        let made: Vec<(Package, Vec<u8>)> = (0..shape.packages)
            .map(|number| {
                let package = package(number, shape, &mut source);
                let bytes = package.payload();
                (package, bytes)
            })
            .collect();
        write(&payload, &made[0].1);
        for arch in arches {
            let mut texts = REPOSITORIES.map(|_| String::new());
            for (number, (package, payload)) in made.iter().enumerate() {
                let repository = number.min(1) + usize::from(number > 1 && number % 2 == 0);
                let bytes = signed(package, payload, *arch, &key);
                let location = format!("Packages/{}-1.0-1.{arch}.rpm", package.name);
                let base = root.join(format!("bench.example/{}/{arch}", REPOSITORIES[repository]));
                write(&base.join(&location), &bytes);
                let size = package.files.iter().map(|file| file.data.len()).sum();
                let needs = if number == 0 { shape.packages } else { 1 };
                texts[repository] += &entry(
                    &package.name,
                    *arch,
                    &location,
                    &Checksum::of(&bytes),
                    bytes.len(),
                    size,
                    needs,
                );
            }
            for (name, mut text) in REPOSITORIES.iter().zip(texts) {
                filler(&mut text, *arch, name, (shape.metadata << 20) / 3);
                let base = root.join(format!("bench.example/{name}/{arch}"));
                publish(&base, &text);
            }
        }
        Self { root, repos, payload }
    }
}

/// Bytes as programs have them.
struct Programs {
    files: Vec<PathBuf>,
    open: Option<fs::File>,
}

impl Programs {
    fn new() -> Self {
        let mut files: Vec<PathBuf> =
            ["/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu", "/usr/lib64"]
                .iter()
                .filter_map(|directory| fs::read_dir(directory).ok())
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| path.is_file() && !path.is_symlink())
                .collect();
        files.sort();
        Self { files, open: None }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let rest = (length - bytes.len()) as u64;
            let read = match &mut self.open {
                Some(file) => file.take(rest).read_to_end(&mut bytes).unwrap_or(0),
                None => 0,
            };
            if read == 0 {
                let Some(next) = self.files.pop() else {
                    // A small machine: the same again.
                    *self = Self::new();
                    continue;
                };
                self.open = fs::File::open(next).ok();
            }
        }
        bytes
    }
}

fn package(number: usize, shape: Shape, source: &mut Programs) -> Package {
    let name = name(number);
    let size = if number == 0 { shape.largest } else { shape.other };
    let files = if number == 0 { 100 } else { 10 };
    // Not at the beginning of a file: nothing here is to be taken for a program.
    let mut data = |_| [b"data\n".as_slice(), &source.take(size / files)].concat();
    let mut listed: Vec<File> = (0..files)
        .map(|file| File::regular(&format!("/usr/share/{name}/{file}"), &data(file)))
        .collect();
    if number == 0 {
        listed.insert(
            0,
            File::program("/usr/bin/bench-runtime", b"#!/bin/sh\necho bench-runtime 1.0\n"),
        );
    }
    let package = Package::new(listed).named(&name).compressor("xz");
    Package { release: "1".into(), ..package }
}

fn name(number: usize) -> String {
    if number == 0 { "bench-runtime".into() } else { format!("bench-part-{number}") }
}

fn signed(package: &Package, payload: &[u8], arch: Arch, key: &TestKey) -> Vec<u8> {
    let mut package = package.clone();
    package.arch = arch.as_str().into();
    // The signature does not cover the payload: signed with an empty one, which then gives way.
    package.archive = Some(Vec::new());
    let mut bytes = package.signed(key);
    let empty = super::support::rpms::compress("xz", &[]).len();
    bytes.truncate(bytes.len() - empty);
    bytes.extend_from_slice(payload);
    bytes
}

fn entry(
    name: &str,
    arch: Arch,
    location: &str,
    checksum: &Checksum,
    size: usize,
    installed: usize,
    needs: usize,
) -> String {
    let requires: String =
        (1..needs).map(|number| format!("<rpm:entry name=\"bench-part-{number}\"/>")).collect();
    format!(
        "<package type=\"rpm\"><name>{name}</name><arch>{arch}</arch>\
         <version epoch=\"0\" ver=\"1.0\" rel=\"1\"/>\
         <checksum type=\"sha256\" pkgid=\"YES\">{}</checksum><summary>s</summary>\
         <size package=\"{size}\" installed=\"{installed}\" archive=\"{installed}\"/>\
         <location href=\"{location}\"/><format><rpm:license>MIT</rpm:license>\
         <rpm:provides><rpm:entry name=\"{name}\" flags=\"EQ\" epoch=\"0\" ver=\"1.0\" rel=\"1\"/>\
         </rpm:provides><rpm:requires>{requires}</rpm:requires></format></package>\n",
        checksum.hex()
    )
}

/// Packages that nobody needs, as real ones look, until there are so many bytes.
fn filler(text: &mut String, arch: Arch, repository: &str, bytes: usize) {
    let mut number = 0;
    while text.len() < bytes {
        number += 1;
        let name = format!("{repository}-library-{number}");
        let digest = Checksum::of(name.as_bytes());
        let _ = write!(
            text,
            "<package type=\"rpm\">\n  <name>{name}</name>\n  <arch>{arch}</arch>\n\
             \x20 <version epoch=\"0\" ver=\"{}.{}\" rel=\"{}.el8\"/>\n\
             \x20 <checksum type=\"sha256\" pkgid=\"YES\">{}</checksum>\n\
             \x20 <summary>One of the libraries that {repository} has</summary>\n\
             \x20 <description>{}</description>\n  <packager>bench</packager>\n  <url>https://example.org/{name}</url>\n\
             \x20 <time file=\"1700000000\" build=\"1690000000\"/>\n\
             \x20 <size package=\"{}\" installed=\"{}\" archive=\"1\"/>\n\
             \x20 <location href=\"Packages/{name}-1.rpm\"/>\n  <format>\n    <rpm:license>MIT</rpm:license>\n\
             \x20   <rpm:vendor>bench</rpm:vendor>\n    <rpm:group>Unspecified</rpm:group>\n\
             \x20   <rpm:buildhost>localhost</rpm:buildhost>\n    <rpm:sourcerpm>{name}-1.src.rpm</rpm:sourcerpm>\n\
             \x20   <rpm:header-range start=\"4504\" end=\"20000\"/>\n    <rpm:provides>\n",
            number % 9,
            number % 7,
            number % 5,
            digest.hex(),
            "It gives programs what they ask of it, and nothing else. ".repeat(4),
            1000 + number,
            5000 + number,
        );
        for provide in 0..8 {
            let _ = writeln!(
                text,
                "      <rpm:entry name=\"lib{name}-{provide}.so.1()(64bit)\" flags=\"EQ\" epoch=\"0\" ver=\"1.{provide}\" rel=\"1.el8\"/>"
            );
        }
        text.push_str("    </rpm:provides>\n    <rpm:requires>\n");
        for require in 0..12 {
            let other = (number * 7 + require * 13) % 997;
            let _ = writeln!(
                text,
                "      <rpm:entry name=\"lib{repository}-library-{other}-{}.so.1()(64bit)\"/>",
                require % 8
            );
        }
        text.push_str("    </rpm:requires>\n");
        for file in 0..2 {
            let _ = writeln!(text, "    <file>/usr/bin/{name}-{file}</file>");
        }
        text.push_str("  </format>\n</package>\n");
    }
}

/// Writes the metadata of one repository.
fn publish(base: &Path, packages: &str) {
    let primary = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metadata xmlns=\"http://linux.duke.edu/metadata/common\" \
         xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"1\">\n{packages}</metadata>\n"
    );
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::default());
    encoder.write_all(primary.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let digest = Checksum::of(&packed);
    let location = format!("repodata/{}-primary.xml.gz", digest.hex());
    let repomd = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd><revision>{MADE}</revision>\
         <data type=\"primary\"><checksum type=\"sha256\">{}</checksum>\
         <open-checksum type=\"sha256\">{}</open-checksum><location href=\"{location}\"/>\
         <timestamp>{MADE}</timestamp><size>{}</size><open-size>{}</open-size></data></repomd>\n",
        digest.hex(),
        Checksum::of(primary.as_bytes()).hex(),
        packed.len(),
        primary.len()
    );
    write(&base.join(location), &packed);
    write(&base.join("repodata/repomd.xml"), repomd.as_bytes());
}

fn dist(key: &TestKey, arches: &[Arch]) -> String {
    let mut text = "name = \"bench\"\ntitle = \"a mirror for measuring\"\nglibc = \"2.28\"\n\
                    maintained_until = \"2099-01-01\"\n"
        .to_owned();
    let arches: Vec<String> = arches.iter().map(|arch| format!("\"{arch}\"")).collect();
    for name in REPOSITORIES {
        let _ = write!(
            text,
            "\n[[repository]]\nid = \"{name}\"\narches = [{}]\n\
             base = [\"https://bench.example/{name}/$basearch/\"]\n\n[[repository.key]]\n\
             fingerprint = \"{}\"\nurl = \"https://bench.example/key\"\n",
            arches.join(", "),
            key.fingerprint()
        );
    }
    text
}

const RUNTIME: &str = "name = \"bench-runtime\"\ntitle = \"what is installed to measure\"\n\
package = \"bench-runtime\"\n\n[[command]]\nname = \"bench-runtime\"\npath = \"bin/bench-runtime\"\n\n\
[[smoke]]\npath = \"bin/bench-runtime\"\nexpect = \"bench-runtime {version}\"\n";

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
