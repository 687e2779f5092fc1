//! The writer of RPM files. It can lie: headers, signatures and payloads are put together byte by
//! byte, so that a package may say one thing and hold another, and still be signed. It can also
//! write all that RPM's own tools ask of a package: see [`About`].

use elsewhere::stages::model::{Algorithm, Checksum, Evr, Nevra, PackageReason, PlannedPackage};

#[allow(unused_imports, reason = "each program uses a part of them")]
pub use super::archive::{Entry, compress, cpio, cpio_start, stripped_cpio};
pub use super::header::HeaderWriter;
use super::header::{PACKAGE_REGION, Relation, Relations, SIGNATURE_REGION, sense};
use super::keys::{Issuer, SignOptions, TestKey};

/// A file as the header lists it.
#[derive(Clone)]
pub struct File {
    pub path: Vec<u8>,
    pub mode: u16,
    pub data: Vec<u8>,
    pub link: String,
    pub flags: u32,
    pub inode: u32,
    /// Instead of the digest of `data`.
    pub digest: Option<String>,
    /// Instead of the length of `data`.
    pub size: Option<u32>,
}

impl File {
    fn new(path: &str, mode: u16, data: &[u8]) -> Self {
        Self {
            path: path.as_bytes().to_vec(),
            mode,
            data: data.to_vec(),
            link: String::new(),
            flags: 0,
            inode: 0,
            digest: None,
            size: None,
        }
    }

    pub fn regular(path: &str, data: &[u8]) -> Self {
        Self::new(path, 0o100_644, data)
    }

    pub fn program(path: &str, data: &[u8]) -> Self {
        Self::new(path, 0o100_755, data)
    }

    pub fn directory(path: &str) -> Self {
        Self::new(path, 0o040_755, b"")
    }

    pub fn symlink(path: &str, target: &str) -> Self {
        Self { link: target.to_owned(), ..Self::new(path, 0o120_777, target.as_bytes()) }
    }

    pub fn mode(self, mode: u16) -> Self {
        Self { mode, ..self }
    }

    pub fn flags(self, flags: u32) -> Self {
        Self { flags, ..self }
    }

    pub fn inode(self, inode: u32) -> Self {
        Self { inode, ..self }
    }

    fn is_ghost(&self) -> bool {
        self.flags & 64 != 0
    }
}

impl Entry {
    /// The file as the payload has it.
    pub fn of(file: &File) -> Self {
        let name = [b".".as_slice(), &file.path].concat();
        Self { name, mode: file.mode.into(), data: file.data.clone(), size: None }
    }
}

/// A package in the making.
#[derive(Clone)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub release: String,
    pub epoch: Option<u32>,
    pub arch: String,
    pub compressor: Option<String>,
    /// OpenPGP's number of the files' digest algorithm.
    pub digest_algorithm: Option<u32>,
    pub files: Vec<File>,
    /// Instead of one entry per file.
    pub entries: Option<Vec<Entry>>,
    /// Instead of everything above, as decompressed payload.
    pub archive: Option<Vec<u8>>,
    /// Tags that the header does not have.
    pub without: Vec<u32>,
    /// Whether paths are whole in one tag, as RPM 3 wrote them.
    pub old_names: bool,
    /// Whether directories and links have the digests that they name.
    pub every_digest: bool,
    /// Beside what every package provides.
    pub relations: Relations,
    /// With it the package is complete, as a distribution's are.
    pub about: Option<About>,
}

/// What a distribution's packages say beside what they hold.
#[derive(Clone)]
pub struct About {
    pub summary: String,
    pub license: String,
    pub vendor: String,
    /// When it was built, in seconds since 1970.
    pub built: u32,
    /// The `%post` script; its interpreter and programs are required for it.
    pub post: Option<(&'static str, &'static str)>,
}

impl Package {
    pub fn new(files: Vec<File>) -> Self {
        Self {
            name: "hello".into(),
            version: "1.0".into(),
            release: "1.el9".into(),
            epoch: None,
            arch: "x86_64".into(),
            compressor: Some("gzip".into()),
            digest_algorithm: Some(8),
            files,
            entries: None,
            archive: None,
            without: Vec::new(),
            old_names: false,
            every_digest: false,
            relations: Relations::default(),
            about: None,
        }
    }

    pub fn without(self, tags: &[u32]) -> Self {
        Self { without: tags.to_vec(), ..self }
    }

    pub fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    pub fn entries(self, entries: Vec<Entry>) -> Self {
        Self { entries: Some(entries), ..self }
    }

    pub fn compressor(self, compressor: &str) -> Self {
        Self { compressor: Some(compressor.into()), ..self }
    }

    pub fn nevra(&self) -> Nevra {
        let (version, release) = (self.version.clone(), self.release.clone());
        let evr = Evr { epoch: self.epoch.unwrap_or(0), version, release };
        Nevra { name: self.name.clone(), evr, arch: self.arch.clone() }
    }

    /// The plan's entry for these bytes as this package.
    pub fn planned(&self, bytes: &[u8]) -> PlannedPackage {
        planned(self.nevra(), bytes)
    }

    pub fn signed(&self, key: &TestKey) -> Vec<u8> {
        let issuer = if self.about.is_some() { Issuer::Both } else { Issuer::Fingerprint };
        self.signed_so(key, &SignOptions { issuer, ..SignOptions::default() })
    }

    pub fn signed_so(&self, key: &TestKey, options: &SignOptions) -> Vec<u8> {
        let header = self.header();
        self.assembled(&header, Some(&key.sign(&header, options)))
    }

    pub fn unsigned(&self) -> Vec<u8> {
        self.assembled(&self.header(), None)
    }

    fn assembled(&self, header: &[u8], signature: Option<&[u8]>) -> Vec<u8> {
        let region = self.about.as_ref().map(|_| SIGNATURE_REGION);
        let mut signatures = HeaderWriter::within(region);
        list_signatures(&mut signatures, header, signature);
        assemble(&signatures.finish(), header, &self.payload())
    }

    pub fn header(&self) -> Vec<u8> {
        let region = self.about.as_ref().map(|_| PACKAGE_REGION);
        let mut header = HeaderWriter::within(region).lacking(&self.without);
        header.string(1000, &self.name).string(1001, &self.version).string(1002, &self.release);
        if let Some(epoch) = self.epoch {
            header.u32s(1003, &[epoch]);
        }
        let license = self.about.as_ref().map_or("MIT", |about| &about.license);
        header.string(1014, license).string(1022, &self.arch).string(1044, &self.source());
        header.string(1124, "cpio");
        if let Some(compressor) = &self.compressor {
            header.string(1125, compressor);
        }
        if !self.files.is_empty() {
            self.list_files(&mut header);
        }
        match &self.about {
            None => self.relations.list(&mut header),
            Some(about) => self.complete(about, &mut header),
        }
        header.finish()
    }

    /// The name of the source package.
    pub fn source(&self) -> String {
        match &self.about {
            None => "hello-1.0-1.el9.src.rpm".to_owned(),
            Some(_) => format!("{}-{}-{}.src.rpm", self.name, self.version, self.release),
        }
    }

    /// Bytes of all files.
    pub fn installed(&self) -> u64 {
        self.files.iter().map(|file| file.data.len() as u64).sum()
    }

    /// Everything that the package asks of others or gives them, what RPM adds by itself included.
    pub fn all_relations(&self) -> Relations {
        let mut all = self.relations.clone();
        let evr = self.nevra().evr.to_string();
        let own = |name: &str| Relation::parse(&format!("{name} = {evr}"));
        all.of("provides").push(own(&self.name));
        let Some(about) = &self.about else { return all };
        if let Some(isa) = isa(&self.arch) {
            all.of("provides").push(own(&format!("{}({isa})", self.name)));
        }
        if self.files.iter().any(|file| file.flags & 1 != 0) {
            let config = own(&format!("config({})", self.name)).with(sense::CONFIG);
            all.of("provides").push(config.clone());
            all.of("requires").push(config);
        }
        if let Some((_, program)) = about.post {
            let needs = ["/bin/sh", program];
            all.of("requires").extend(needs.map(|it| Relation::parse(it).with(sense::SCRIPT_POST)));
        }
        let features = [
            ("CompressedFileNames", "3.0.4-1"),
            ("FileDigests", "4.6.0-1"),
            ("PayloadFilesHavePrefix", "4.0-1"),
        ];
        for (name, version) in features {
            let feature = Relation::parse(&format!("rpmlib({name}) <= {version}"));
            all.of("requires").push(feature.with(sense::RPMLIB));
        }
        all
    }

    fn complete(&self, about: &About, header: &mut HeaderWriter) {
        let About { summary, vendor, built, post, .. } = about;
        let count = self.files.len();
        let mut requires = self.all_relations();
        requires.of("requires").sort_by(|a, b| a.name.cmp(&b.name));
        requires.list(header);
        header
            .strings(100, &["C"])
            .translated(1004, summary)
            .translated(1005, &format!("{summary}, made for tests."))
            .u32s(1006, &[*built])
            .string(1007, "localhost")
            .u32s(1009, &[self.installed() as u32])
            .string(1011, vendor)
            .string(1015, vendor)
            .translated(1016, "Unspecified")
            .string(1020, "https://example.org/")
            .string(1021, "linux")
            .u16s(1033, &vec![0; count])
            .strings(1039, &vec!["root"; count])
            .strings(1040, &vec!["root"; count])
            .u32s(1045, &vec![u32::MAX; count])
            .u32s(1080, &[*built])
            .strings(1081, &[format!("{vendor} - {}", self.nevra().evr)])
            .strings(1082, &["- Rebuild for tests"])
            .strings(1097, &vec![""; count])
            .string(1126, "2")
            .strings(5092, &[Checksum::of(&self.payload()).hex()])
            .u32s(5093, &[8]);
        if let Some((script, _)) = post {
            header.string(1024, script).string(1086, "/bin/sh");
        }
    }

    fn list_files(&self, header: &mut HeaderWriter) {
        let each = |value: fn(&File) -> u32| self.files.iter().map(value).collect::<Vec<_>>();
        let digest = |file: &File| match file.mode & 0o170_000 {
            0o100_000 if !file.is_ghost() => {
                file.digest.clone().unwrap_or_else(|| self.digest(&file.data))
            }
            _ if self.every_digest => file.digest.clone().unwrap_or_default(),
            _ => String::new(),
        };
        let digests: Vec<Vec<u8>> =
            self.files.iter().map(|file| digest(file).into_bytes()).collect();
        let links: Vec<Vec<u8>> =
            self.files.iter().map(|file| file.link.clone().into_bytes()).collect();
        let modes: Vec<u16> = self.files.iter().map(|file| file.mode).collect();
        let (mut directories, mut bases, mut indexes) = (Vec::new(), Vec::new(), Vec::new());
        for file in &self.files {
            let slash = file.path.iter().rposition(|&byte| byte == b'/');
            let (directory, base) = file.path.split_at(slash.map_or(0, |slash| slash + 1));
            if directories.last().map(Vec::as_slice) != Some(directory) {
                directories.push(directory.to_vec());
            }
            indexes.push(directories.len() as u32 - 1);
            bases.push(base.to_vec());
        }
        let inodes: Vec<u32> = (1000u32..)
            .zip(&self.files)
            .map(|(number, file)| if file.inode == 0 { number } else { file.inode })
            .collect();
        header
            .u32s(1028, &each(|file| file.size.unwrap_or(file.data.len() as u32)))
            .u16s(1030, &modes)
            .u32s(1034, &each(|_| 1_500_000_000))
            .strings(1035, &digests)
            .strings(1036, &links)
            .u32s(1037, &each(|file| file.flags))
            .u32s(1095, &each(|_| 1))
            .u32s(1096, &inodes);
        if self.old_names {
            let whole: Vec<Vec<u8>> = self.files.iter().map(|file| file.path.clone()).collect();
            header.strings(1027, &whole);
        } else {
            header.u32s(1116, &indexes).strings(1117, &bases).strings(1118, &directories);
        }
        if let Some(algorithm) = self.digest_algorithm {
            header.u32s(5011, &[algorithm]);
        }
    }

    fn digest(&self, data: &[u8]) -> String {
        let algorithm = match self.digest_algorithm {
            Some(9) => Algorithm::Sha384,
            Some(10) => Algorithm::Sha512,
            _ => Algorithm::Sha256,
        };
        Checksum::by(algorithm, data).hex()
    }

    /// One entry per file. Of a complete package's hard links, the last brings the data.
    fn every_entry(&self) -> Vec<Entry> {
        let is_again = |(at, file): (usize, &File)| {
            let rest = self.files.iter().skip(at + 1);
            file.inode != 0 && rest.into_iter().any(|other| other.inode == file.inode)
        };
        let files = self.files.iter().enumerate().filter(|(_, file)| !file.is_ghost());
        let entry = |(at, file)| match self.about.is_some() && is_again((at, file)) {
            true => Entry::of(file).without_data(),
            false => Entry::of(file),
        };
        files.map(entry).collect()
    }

    /// The payload, compressed.
    pub fn payload(&self) -> Vec<u8> {
        let archive = self
            .archive
            .clone()
            .unwrap_or_else(|| cpio(&self.entries.clone().unwrap_or_else(|| self.every_entry())));
        compress(self.compressor.as_deref().unwrap_or("none"), &archive)
    }
}

/// The plan's entry for these bytes.
pub fn planned(nevra: Nevra, bytes: &[u8]) -> PlannedPackage {
    PlannedPackage {
        location: format!("Packages/{nevra}.rpm"),
        nevra,
        source: "test".into(),
        size: bytes.len() as u64,
        installed_size: 0,
        checksum: Checksum::of(bytes),
        files: Vec::new(),
        reason: PackageReason { by: "runtime test".into(), needs: "hello".into() },
    }
}

/// The signature header over `header`: its SHA-256, and the signature packet, if there is one.
pub fn signature_header(header: &[u8], signature: Option<&[u8]>) -> Vec<u8> {
    let mut signatures = HeaderWriter::default();
    list_signatures(&mut signatures, header, signature);
    signatures.finish()
}

fn list_signatures(signatures: &mut HeaderWriter, header: &[u8], signature: Option<&[u8]>) {
    if let Some(signature) = signature {
        signatures.binary(268, signature);
    }
    signatures.string(273, &Checksum::of(header).hex());
}

/// The name that `%{?_isa}` puts in parentheses.
pub fn isa(arch: &str) -> Option<&'static str> {
    match arch {
        "x86_64" => Some("x86-64"),
        "aarch64" => Some("aarch-64"),
        "ppc64le" => Some("ppc-64"),
        "s390x" => Some("s390-64"),
        "i686" => Some("x86-32"),
        _ => None,
    }
}

/// A package file: lead, signature header with its padding, header, payload.
pub fn assemble(signatures: &[u8], header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 96];
    bytes[..6].copy_from_slice(&[0xed, 0xab, 0xee, 0xdb, 3, 0]);
    bytes[9] = 1;
    bytes[79] = 5;
    bytes.extend(signatures);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(header);
    bytes.extend(payload);
    bytes
}

/// Where the entry of `tag` begins in the index of the header structure at `start`.
pub fn index_entry(bytes: &[u8], start: usize, tag: u32) -> usize {
    let mut entries = (start + 16..).step_by(16);
    entries.find(|&at| bytes[at..at + 4] == tag.to_be_bytes()).unwrap()
}

/// The middle of the data of `tag`, a binary entry of the header structure at `start`.
pub fn middle_of(bytes: &[u8], start: usize, tag: u32) -> usize {
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let entry = index_entry(bytes, start, tag);
    start + 16 + 16 * number(start + 8) + number(entry + 8) + number(entry + 12) / 2
}

/// The parts of a package file: where its signature header, header and payload begin.
pub fn parts(bytes: &[u8]) -> [usize; 3] {
    let length = |at: usize| {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        16 + 16 * number(at + 8) + number(at + 12)
    };
    let header = (96 + length(96)).next_multiple_of(8);
    [96, header, header + length(header)]
}

/// The same package, with nothing but this key's signature over its header.
pub fn resign(bytes: &[u8], key: &TestKey) -> Vec<u8> {
    let [_, header, payload] = parts(bytes);
    let (header, payload) = (&bytes[header..payload], &bytes[payload..]);
    let signature = key.sign(header, &SignOptions::default());
    assemble(&signature_header(header, Some(&signature)), header, payload)
}
