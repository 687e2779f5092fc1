//! A writer of small programs and libraries for any architecture, with all that relocation and
//! audit look at. Nobody can run them: they have no code. `tests/hostile_elf.rs` uses it too.

use elsewhere::stages::model::Arch;

const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_STRSZ: u64 = 10;
const DT_SONAME: u64 = 14;
const DT_RUNPATH: u64 = 29;
const DT_VERDEF: u64 = 0x6fff_fffc;
const DT_VERDEFNUM: u64 = 0x6fff_fffd;
const DT_VERNEED: u64 = 0x6fff_fffe;
const DT_VERNEEDNUM: u64 = 0x6fff_ffff;
const HEADER: u64 = 64;
const PROGRAM_HEADER: u64 = 56;

/// What a file asks and gives.
pub struct Object {
    pub arch: Arch,
    pub interpreter: Option<&'static str>,
    pub soname: Option<&'static str>,
    pub needed: Vec<&'static str>,
    pub runpath: Option<&'static str>,
    /// Versions asked of the first library needed.
    pub requires: Vec<String>,
    /// Versions defined.
    pub provides: Vec<String>,
    pub has_sections: bool,
}

impl Object {
    pub fn encode(&self) -> Vec<u8> {
        let writer = Writer { is_big: self.arch == Arch::S390x, bytes: Vec::new() };
        self.write(writer)
    }

    fn write(&self, mut out: Writer) -> Vec<u8> {
        let mut strings = vec![0];
        let mut intern = |text: &str| {
            let at = strings.len() as u64;
            strings.extend(text.bytes().chain([0]));
            at
        };
        let mut entries: Vec<(u64, u64)> =
            self.needed.iter().map(|name| (DT_NEEDED, intern(name))).collect();
        entries.extend(self.soname.map(|name| (DT_SONAME, intern(name))));
        entries.extend(self.runpath.map(|path| (DT_RUNPATH, intern(path))));
        let first_needed = entries.first().map_or(0, |entry| entry.1);
        let requires: Vec<u64> = self.requires.iter().map(|name| intern(name)).collect();
        let provides: Vec<u64> = self.provides.iter().map(|name| intern(name)).collect();

        let segment_count = 4 + u64::from(self.interpreter.is_some());
        let at = HEADER + segment_count * PROGRAM_HEADER;
        out.bytes.resize(at as usize, 0);
        let interpreter = out.place(self.interpreter.unwrap_or_default().as_bytes(), 1);
        let note = out.place(&out.note(), 8);
        // Room that a program header can take, whatever else lies here.
        out.place(&[0; 32], 8);
        let symbols = out.place(&[0; 24], 8);
        let table = out.place(&strings, 1);
        let required = out.place(&out.verneed(first_needed, &requires), 8);
        let provided = out.place(&out.verdef(&provides), 8);
        entries.extend([(DT_STRTAB, table.0), (DT_STRSZ, table.1), (DT_SYMTAB, symbols.0)]);
        if !requires.is_empty() {
            entries.extend([(DT_VERNEED, required.0), (DT_VERNEEDNUM, 1)]);
        }
        if !provides.is_empty() {
            entries.extend([(DT_VERDEF, provided.0), (DT_VERDEFNUM, provides.len() as u64)]);
        }
        entries.extend([(DT_NULL, 0); 3]);
        let dynamic: Vec<u8> = entries
            .iter()
            .flat_map(|(tag, value)| [out.u64(*tag), out.u64(*value)].concat())
            .collect();
        let dynamic = out.place(&dynamic, 16);

        let sections = [
            (1, 2, interpreter),
            (7, 2, note),
            (11, 2, symbols),
            (3, 2, table),
            (0x6fff_fffe, 2, required),
            (0x6fff_fffd, 2, provided),
            (6, 3, dynamic),
        ];
        let (sections_at, count) = match self.has_sections {
            true => out.sections(&sections),
            false => (0, 0),
        };
        let mut segments = Vec::new();
        if self.interpreter.is_some() {
            segments.push(out.segment(3, interpreter, 0, 1));
        }
        segments.push(out.segment(1, (0, dynamic.0), 0, 0x1000));
        segments.push(out.segment(1, dynamic, 0x1000, 0x1000));
        segments.push(out.segment(2, dynamic, 0x1000, 8));
        segments.push(out.segment(0x6474_e553, note, 0, 8));
        let header = out.header(self.arch, segment_count, sections_at, count);
        let head = [header, segments.concat()].concat();
        out.bytes[..head.len()].copy_from_slice(&head);
        out.bytes
    }
}

/// Position and size.
type Range = (u64, u64);

struct Writer {
    is_big: bool,
    bytes: Vec<u8>,
}

impl Writer {
    fn place(&mut self, bytes: &[u8], align: usize) -> Range {
        self.bytes.resize(self.bytes.len().next_multiple_of(align), 0);
        let at = self.bytes.len() as u64;
        self.bytes.extend(bytes);
        (at, bytes.len() as u64)
    }

    fn u16(&self, value: u64) -> Vec<u8> {
        self.number(value, 2)
    }

    fn u32(&self, value: u64) -> Vec<u8> {
        self.number(value, 4)
    }

    fn u64(&self, value: u64) -> Vec<u8> {
        self.number(value, 8)
    }

    fn number(&self, value: u64, size: usize) -> Vec<u8> {
        match self.is_big {
            true => value.to_be_bytes()[8 - size..].to_vec(),
            false => value.to_le_bytes()[..size].to_vec(),
        }
    }

    fn header(&self, arch: Arch, segments: u64, sections_at: u64, sections: u64) -> Vec<u8> {
        let machine = match arch {
            Arch::X86_64 => 62,
            Arch::Aarch64 => 183,
            Arch::Ppc64le => 21,
            Arch::S390x => 22,
        };
        let data = if self.is_big { 2 } else { 1 };
        let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, data, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend([self.u16(3), self.u16(machine), self.u32(1)].concat());
        bytes.extend([self.u64(0), self.u64(HEADER), self.u64(sections_at), self.u32(0)].concat());
        for half in [HEADER, PROGRAM_HEADER, segments, 64, sections, 0] {
            bytes.extend(self.u16(half));
        }
        bytes
    }

    fn segment(&self, kind: u64, (at, size): Range, shift: u64, align: u64) -> Vec<u8> {
        let mut bytes = [self.u32(kind), self.u32(4)].concat();
        for word in [at, at + shift, at + shift, size, size, align] {
            bytes.extend(self.u64(word));
        }
        bytes
    }

    /// The section headers, behind an empty one.
    fn sections(&mut self, sections: &[(u64, u64, Range)]) -> Range {
        let mut bytes = vec![0; 64];
        for (kind, flags, (at, size)) in sections {
            bytes.extend([self.u32(0), self.u32(*kind), self.u64(*flags)].concat());
            for word in [*at, *at, *size, 0, 1, 0] {
                bytes.extend(self.u64(word));
            }
        }
        let (at, size) = self.place(&bytes, 8);
        (at, size / 64)
    }

    /// A property note that asks for x86-64-v2.
    fn note(&self) -> Vec<u8> {
        let words = [4, 16, 5].map(|word| self.u32(word)).concat();
        let property = [0xc000_8002, 4, 3, 0].map(|word| self.u32(word)).concat();
        [words, b"GNU\0".to_vec(), property].concat()
    }

    /// One record, with an entry for each version.
    fn verneed(&self, library: u64, versions: &[u64]) -> Vec<u8> {
        let count = versions.len() as u64;
        let head = [self.u16(1), self.u16(count), self.u32(library), self.u32(16), self.u32(0)];
        let entries = (1..).zip(versions).flat_map(|(number, version)| {
            let next = if number == count { 0 } else { 16 };
            [self.u32(0), self.u16(0), self.u16(2), self.u32(*version), self.u32(next)].concat()
        });
        head.concat().into_iter().chain(entries).collect()
    }

    /// A record for each version.
    fn verdef(&self, versions: &[u64]) -> Vec<u8> {
        let count = versions.len() as u64;
        let record = |(number, version): (u64, &u64)| {
            let next = if number == count { 0 } else { 28 };
            let halves = [1, 0, 2, 1].map(|half| self.u16(half)).concat();
            let words = [0, 20, next, *version, 0].map(|word| self.u32(word)).concat();
            [halves, words].concat()
        };
        (1..).zip(versions).flat_map(record).collect()
    }
}
