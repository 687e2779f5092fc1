//! A writer of RPM files that can lie: headers, signatures and payloads are put together byte by
//! byte, so that a package may say one thing and hold another, and still be signed.

use std::io::Write;

use elsewhere::model::{Algorithm, Checksum, Evr, Nevra, PackageReason, PlannedPackage};

use super::keys::{SignOptions, TestKey};

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

/// An entry of the payload.
#[derive(Clone)]
pub struct Entry {
    pub name: Vec<u8>,
    pub mode: u32,
    pub data: Vec<u8>,
    /// Instead of the length of `data`.
    pub size: Option<u32>,
}

impl Entry {
    pub fn of(file: &File) -> Self {
        let name = [b".".as_slice(), &file.path].concat();
        Self { name, mode: file.mode.into(), data: file.data.clone(), size: None }
    }

    /// The same without its data: a hard link whose data comes with another.
    pub fn without_data(self) -> Self {
        Self { data: Vec::new(), ..self }
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
        self.signed_so(key, &SignOptions::default())
    }

    pub fn signed_so(&self, key: &TestKey, options: &SignOptions) -> Vec<u8> {
        let header = self.header();
        let signature = key.sign(&header, options);
        assemble(&signature_header(&header, Some(&signature)), &header, &self.payload())
    }

    pub fn unsigned(&self) -> Vec<u8> {
        let header = self.header();
        assemble(&signature_header(&header, None), &header, &self.payload())
    }

    pub fn header(&self) -> Vec<u8> {
        let mut header = HeaderWriter { without: self.without.clone(), ..Default::default() };
        header.string(1000, &self.name).string(1001, &self.version).string(1002, &self.release);
        if let Some(epoch) = self.epoch {
            header.u32s(1003, &[epoch]);
        }
        header.string(1014, "MIT").string(1022, &self.arch).string(1044, "hello-1.0-1.el9.src.rpm");
        header.string(1124, "cpio");
        if let Some(compressor) = &self.compressor {
            header.string(1125, compressor);
        }
        if !self.files.is_empty() {
            self.list_files(&mut header);
        }
        header.finish()
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
        Checksum::by(algorithm, data).hex().to_owned()
    }

    /// The payload, compressed.
    pub fn payload(&self) -> Vec<u8> {
        let archive = self.archive.clone().unwrap_or_else(|| {
            let every = || {
                self.files.iter().filter(|file| !file.is_ghost()).map(Entry::of).collect::<Vec<_>>()
            };
            cpio(&self.entries.clone().unwrap_or_else(every))
        });
        compress(self.compressor.as_deref().unwrap_or("none"), &archive)
    }
}

/// The plan's entry for these bytes.
pub fn planned(nevra: Nevra, bytes: &[u8]) -> PlannedPackage {
    PlannedPackage {
        location: format!("Packages/{nevra}.rpm"),
        nevra,
        dist: None,
        source: "test".into(),
        size: bytes.len() as u64,
        installed_size: 0,
        checksum: Checksum::of(bytes),
        files: Vec::new(),
        reason: PackageReason { by: "runtime test".into(), needs: "hello".into() },
    }
}

/// An archive of `entries`, with its trailer.
pub fn cpio(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, entry) in (1..).zip(entries) {
        let size = entry.size.unwrap_or(entry.data.len() as u32);
        cpio_entry(&mut bytes, &entry.name, [number, entry.mode, size], &entry.data);
    }
    cpio_entry(&mut bytes, b"TRAILER!!!", [0; 3], b"");
    bytes
}

/// What stands before the data of an entry of `size` bytes in an archive.
pub fn cpio_start(name: &[u8], mode: u32, size: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    cpio_entry(&mut bytes, name, [1, mode, size], b"");
    bytes
}

fn cpio_entry(bytes: &mut Vec<u8>, name: &[u8], numbers: [u32; 3], data: &[u8]) {
    let [inode, mode, size] = numbers;
    let name_size = name.len() as u32 + 1;
    bytes.extend(b"070701");
    for field in [inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
        bytes.extend(format!("{field:08x}").bytes());
    }
    bytes.extend(name.iter().chain(&[0]));
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// A stripped archive: `(number, data)` per entry.
pub fn stripped_cpio(entries: &[(u32, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, data) in entries {
        bytes.extend(format!("07070X{number:08x}\0\0").bytes());
        bytes.extend(*data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    cpio_entry(&mut bytes, b"TRAILER!!!", [0; 3], b"");
    bytes
}

pub fn compress(compressor: &str, data: &[u8]) -> Vec<u8> {
    match compressor {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        "xz" => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 2);
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        "lzma" => {
            let options = liblzma::stream::LzmaOptions::new_preset(2).unwrap();
            let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
            let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => zstd::encode_all(data, 3).unwrap(),
        _ => data.to_vec(),
    }
}

/// The signature header over `header`: its SHA-256, and the signature packet, if there is one.
pub fn signature_header(header: &[u8], signature: Option<&[u8]>) -> Vec<u8> {
    let mut signatures = HeaderWriter::default();
    if let Some(signature) = signature {
        signatures.binary(268, signature);
    }
    signatures.string(273, Checksum::of(header).hex());
    signatures.finish()
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

/// Writes a header structure.
#[derive(Default)]
pub struct HeaderWriter {
    /// Tags that are left out.
    pub without: Vec<u32>,
    index: Vec<u8>,
    store: Vec<u8>,
}

impl HeaderWriter {
    pub fn string(&mut self, tag: u32, text: &str) -> &mut Self {
        self.entry(tag, 6, 1, 1, &[text.as_bytes(), b"\0"].concat())
    }

    pub fn strings(&mut self, tag: u32, texts: &[Vec<u8>]) -> &mut Self {
        let data: Vec<u8> =
            texts.iter().flat_map(|text| [text, b"\0".as_slice()].concat()).collect();
        self.entry(tag, 8, texts.len(), 1, &data)
    }

    pub fn u16s(&mut self, tag: u32, numbers: &[u16]) -> &mut Self {
        let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        self.entry(tag, 3, numbers.len(), 2, &data)
    }

    pub fn u32s(&mut self, tag: u32, numbers: &[u32]) -> &mut Self {
        let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        self.entry(tag, 4, numbers.len(), 4, &data)
    }

    pub fn binary(&mut self, tag: u32, data: &[u8]) -> &mut Self {
        self.entry(tag, 7, data.len(), 1, data)
    }

    fn entry(&mut self, tag: u32, kind: u32, count: usize, align: usize, data: &[u8]) -> &mut Self {
        if self.without.contains(&tag) {
            return self;
        }
        self.store.resize(self.store.len().next_multiple_of(align), 0);
        for number in [tag, kind, self.store.len() as u32, count as u32] {
            self.index.extend(number.to_be_bytes());
        }
        self.store.extend(data);
        self
    }

    pub fn finish(&self) -> Vec<u8> {
        let mut bytes = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
        bytes.extend((self.index.len() as u32 / 16).to_be_bytes());
        bytes.extend((self.store.len() as u32).to_be_bytes());
        bytes.extend(&self.index);
        bytes.extend(&self.store);
        bytes
    }
}
