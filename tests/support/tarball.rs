//! Tar archives, made entry by entry, for tests: right ones, and ones that no program writes.

/// An archive that is being written.
#[derive(Clone, Default)]
pub struct Tarball(Vec<u8>);

/// An entry, as its header has it.
#[derive(Clone)]
pub struct TarEntry {
    pub name: Vec<u8>,
    pub kind: u8,
    pub mode: u32,
    pub owner: (u64, u64),
    pub mtime: u64,
    pub link: Vec<u8>,
    pub data: Vec<u8>,
    /// Major and minor number.
    pub device: (u64, u64),
    /// Records of an extended header before it.
    pub records: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What is not said otherwise.
pub const MTIME: u64 = 1_700_000_000;

impl TarEntry {
    pub fn new(kind: u8, name: impl AsRef<[u8]>) -> Self {
        let (mode, link) = (if kind == b'5' { 0o755 } else { 0o644 }, Vec::new());
        let (owner, device, data, records) = ((0, 0), (0, 0), Vec::new(), Vec::new());
        let name = name.as_ref().to_vec();
        Self { name, kind, mode, owner, mtime: MTIME, link, data, device, records }
    }

    pub fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    pub fn record(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.records.push((key.as_bytes().to_vec(), value.as_ref().to_vec()));
        self
    }
}

impl Tarball {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn directory(self, name: &str) -> Self {
        self.entry(TarEntry::new(b'5', name))
    }

    pub fn file(self, name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Self {
        let data = data.as_ref().to_vec();
        self.entry(TarEntry { data, ..TarEntry::new(b'0', name) })
    }

    pub fn symlink(self, name: &str, text: &str) -> Self {
        self.entry(TarEntry { link: text.into(), mode: 0o777, ..TarEntry::new(b'2', name) })
    }

    pub fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(TarEntry { link: target.into(), ..TarEntry::new(b'1', name) })
    }

    pub fn entry(mut self, entry: TarEntry) -> Self {
        if !entry.records.is_empty() {
            let data = entry.records.iter().flat_map(|(key, value)| record(key, value)).collect();
            self = self.entry(TarEntry { data, ..TarEntry::new(b'x', "PaxHeaders/x") });
        }
        let size = entry.data.len() as u64;
        self.0.extend(header(&entry, size));
        self.data(&entry.data)
    }

    /// A header whose size says something else than what follows.
    pub fn claiming(mut self, entry: &TarEntry, size: u64) -> Self {
        self.0.extend(header(entry, size));
        self.data(&entry.data)
    }

    fn data(mut self, data: &[u8]) -> Self {
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// The archive as it is.
    pub fn open(&self) -> Vec<u8> {
        self.0.clone()
    }

    /// The archive with its end.
    pub fn bytes(&self) -> Vec<u8> {
        [self.0.as_slice(), &[0; 1024]].concat()
    }
}

/// A record of an extended header, whose length counts itself.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (1..).map(|digits| rest + digits).find(|it| it.to_string().len() + rest == *it);
    let length = length.unwrap().to_string();
    [length.as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

fn header(entry: &TarEntry, size: u64) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    let octal = |number: u64, digits: usize| format!("{number:0digits$o}\0").into_bytes();
    put(0, &entry.name[..entry.name.len().min(100)]);
    put(100, &octal(entry.mode.into(), 7));
    put(108, &octal(entry.owner.0, 7));
    put(116, &octal(entry.owner.1, 7));
    put(124, &octal(size, 11));
    put(136, &octal(entry.mtime, 11));
    put(156, &[entry.kind]);
    put(157, &entry.link[..entry.link.len().min(100)]);
    put(257, b"ustar\x0000");
    put(329, &octal(entry.device.0, 7));
    put(337, &octal(entry.device.1, 7));
    put(148, b"        ");
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}
