//! Writes RPM's header structures: an index of tags, and a store with their data.

/// The tag of the region that RPM's own tools write around a package's header.
pub const PACKAGE_REGION: u32 = 63;
/// The same of a signature header.
pub const SIGNATURE_REGION: u32 = 62;

/// Writes a header structure.
#[derive(Default)]
pub struct HeaderWriter {
    /// Tags that are left out.
    without: Vec<u32>,
    /// The tag of the region around everything, as RPM's own tools write and ask for: what is in it
    /// is sorted. Without one, everything stays in the order in which it was added.
    region: Option<u32>,
    entries: Vec<Entry>,
}

struct Entry {
    tag: u32,
    kind: u32,
    count: usize,
    align: usize,
    data: Vec<u8>,
}

impl HeaderWriter {
    /// A header in this region, if any.
    pub fn within(region: Option<u32>) -> Self {
        Self { region, ..Self::default() }
    }

    /// A header that lacks these tags.
    pub fn lacking(self, tags: &[u32]) -> Self {
        Self { without: tags.to_vec(), ..self }
    }

    pub fn string(&mut self, tag: u32, text: &str) -> &mut Self {
        self.entry(tag, 6, 1, 1, [text.as_bytes(), b"\0"].concat())
    }

    /// A text in one language, English.
    pub fn translated(&mut self, tag: u32, text: &str) -> &mut Self {
        self.entry(tag, 9, 1, 1, [text.as_bytes(), b"\0"].concat())
    }

    pub fn strings<T: AsRef<[u8]>>(&mut self, tag: u32, texts: &[T]) -> &mut Self {
        let data = texts.iter().flat_map(|text| [text.as_ref(), b"\0"].concat()).collect();
        self.entry(tag, 8, texts.len(), 1, data)
    }

    pub fn u16s(&mut self, tag: u32, numbers: &[u16]) -> &mut Self {
        let data = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        self.entry(tag, 3, numbers.len(), 2, data)
    }

    pub fn u32s(&mut self, tag: u32, numbers: &[u32]) -> &mut Self {
        let data = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        self.entry(tag, 4, numbers.len(), 4, data)
    }

    pub fn binary(&mut self, tag: u32, data: &[u8]) -> &mut Self {
        self.entry(tag, 7, data.len(), 1, data.to_vec())
    }

    fn entry(
        &mut self,
        tag: u32,
        kind: u32,
        count: usize,
        align: usize,
        data: Vec<u8>,
    ) -> &mut Self {
        if !self.without.contains(&tag) {
            self.entries.push(Entry { tag, kind, count, align, data });
        }
        self
    }

    pub fn finish(&mut self) -> Vec<u8> {
        if self.region.is_some() {
            // RPM refuses data that is not in the order of its tags.
            self.entries.sort_by_key(|entry| entry.tag);
        }
        let (mut index, mut store) = (Vec::new(), Vec::new());
        let add = |index: &mut Vec<u8>, numbers: [u32; 4]| {
            index.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        };
        for entry in &self.entries {
            store.resize(store.len().next_multiple_of(entry.align), 0);
            add(&mut index, [entry.tag, entry.kind, store.len() as u32, entry.count as u32]);
            store.extend(&entry.data);
        }
        if let Some(region) = self.region {
            let mut first = Vec::new();
            add(&mut first, [region, 7, store.len() as u32, 16]);
            let back = (first.len() + index.len()) as u32;
            add(&mut store, [region, 7, back.wrapping_neg(), 16]);
            index = [first, index].concat();
        }
        let mut bytes = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
        bytes.extend((index.len() as u32 / 16).to_be_bytes());
        bytes.extend((store.len() as u32).to_be_bytes());
        bytes.extend(&index);
        bytes.extend(&store);
        bytes
    }
}

/// RPM's senses: how a relation compares, and what it is for.
pub mod sense {
    pub const LESS: u32 = 2;
    pub const GREATER: u32 = 4;
    pub const EQUAL: u32 = 8;
    pub const SCRIPT_POST: u32 = 1 << 10;
    pub const FIND_REQUIRES: u32 = 1 << 14;
    pub const FIND_PROVIDES: u32 = 1 << 15;
    pub const RPMLIB: u32 = 1 << 24;
    pub const CONFIG: u32 = 1 << 28;
    /// What is needed before scriptlets run.
    pub const BEFORE: u32 = 1 << 6 | 1 << 9 | SCRIPT_POST;
}

/// What a package asks of others or gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    pub name: String,
    pub flags: u32,
    /// `[EPOCH:]VERSION[-RELEASE]`, or nothing.
    pub evr: String,
}

impl Relation {
    /// As a spec file writes it: `fakeroot >= 1.2`. Rich dependencies, in parentheses, are one name.
    pub fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split(' ').collect();
        let (name, flags, evr) = match words[..] {
            [name, operator, evr] if !text.starts_with('(') => {
                let flags = operator.chars().map(|character| match character {
                    '<' => sense::LESS,
                    '>' => sense::GREATER,
                    '=' => sense::EQUAL,
                    _ => panic!("{text:?} is not a relation"),
                });
                (name, flags.sum(), evr)
            }
            _ => (text, 0, ""),
        };
        Self { name: name.to_owned(), flags, evr: evr.to_owned() }
    }

    /// The same for another reason.
    pub fn with(self, flags: u32) -> Self {
        Self { flags: self.flags | flags, ..self }
    }
}

/// The kinds of relations, by their names in metadata.
pub const KINDS: [&str; 8] = [
    "provides",
    "requires",
    "conflicts",
    "obsoletes",
    "recommends",
    "suggests",
    "supplements",
    "enhances",
];

/// Of each kind the header's tags: names, flags, versions.
const TAGS: [[u32; 3]; 8] = [
    [1047, 1112, 1113],
    [1049, 1048, 1050],
    [1054, 1053, 1055],
    [1090, 1114, 1115],
    [5046, 5048, 5047],
    [5049, 5051, 5050],
    [5052, 5054, 5053],
    [5055, 5057, 5056],
];

/// A package's relations, a list for each of [`KINDS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relations(pub [Vec<Relation>; 8]);

impl Relations {
    /// The relations of a kind.
    pub fn of(&mut self, kind: &str) -> &mut Vec<Relation> {
        &mut self.0[KINDS.iter().position(|known| *known == kind).unwrap()]
    }

    /// With these too, as a spec file writes them.
    pub fn and<T: AsRef<str>>(mut self, kind: &str, texts: &[T]) -> Self {
        self.of(kind).extend(texts.iter().map(|text| Relation::parse(text.as_ref())));
        self
    }

    /// Adds them to a header.
    pub fn list(&self, header: &mut HeaderWriter) {
        for (relations, [names, flags, versions]) in self.0.iter().zip(TAGS) {
            if !relations.is_empty() {
                let each =
                    |text: fn(&Relation) -> &str| relations.iter().map(text).collect::<Vec<_>>();
                header
                    .strings(names, &each(|it| &it.name))
                    .u32s(flags, &relations.iter().map(|it| it.flags).collect::<Vec<_>>())
                    .strings(versions, &each(|it| &it.evr));
            }
        }
    }
}
