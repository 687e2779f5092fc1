//! Packages' entries as data, and changes to them at random: fields that are missing, empty, doubled,
//! odd, unknown or out of order.

use elsewhere::stages::model::Checksum;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// The kinds of dependencies.
pub(crate) const KINDS: [&str; 8] = [
    "requires",
    "provides",
    "conflicts",
    "obsoletes",
    "recommends",
    "suggests",
    "supplements",
    "enhances",
];

/// An element: its name, its attributes, its text, and what it contains.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: Vec<(&'static str, String)>,
    text: String,
    children: Vec<Element>,
}

/// Texts that a field may have instead of a sensible one.
const ODD: [&str; 31] = [
    "",
    " ",
    "0",
    "00",
    "1",
    "2",
    "-1",
    "1.5",
    " 7k",
    "x",
    "?",
    "é",
    "(x y",
    "(a or b)",
    "a b",
    "../a",
    "/a",
    "2:1",
    "q",
    "1-2",
    "~",
    "^1",
    "<>\"'",
    "4294967295",
    "4294967296",
    "99999999999999999999",
    "https://o.example/a b+c.rpm",
    "http://o.example/a.rpm",
    "noarch",
    "i686",
    "sha",
];
/// Flags that are known to libsolv, and some that are not.
const FLAGS: [&str; 9] = ["LT", "LE", "EQ", "GE", "GT", "NE", "ne", "XX", ""];
/// Types of checksums.
const TYPES: [&str; 7] = ["sha256", "SHA256", "sha", "sha1", "md5", "crc32", ""];
/// Attributes that an element may get although it has them or needs them not.
const ATTRIBUTES: [&str; 12] = [
    "flags",
    "epoch",
    "ver",
    "rel",
    "pre",
    "type",
    "href",
    "xml:base",
    "package",
    "installed",
    "odd",
    "name",
];

fn element(name: &str, attributes: &[(&'static str, &str)], text: &str) -> Element {
    let attributes = attributes.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    Element { name: name.to_owned(), attributes, text: text.to_owned(), children: Vec::new() }
}

/// A sensible package, with some of everything.
pub(crate) fn package(name: &str) -> Element {
    let mut format = element("format", &[], "");
    for kind in KINDS {
        let mut section = element(&format!("rpm:{kind}"), &[], "");
        let entry = |attributes: &[(&'static str, &str)]| element("rpm:entry", attributes, "");
        section.children = vec![
            entry(&[("name", &format!("{name}-{kind}"))]),
            entry(&[("name", "x"), ("flags", "GE"), ("epoch", "1"), ("ver", "2"), ("rel", "3")]),
            entry(&[("name", "y"), ("flags", "EQ"), ("epoch", "0"), ("ver", "4.5")]),
        ];
        if kind == "requires" {
            section.children.push(entry(&[("name", "/bin/sh"), ("pre", "1")]));
            section.children.push(entry(&[("name", "(a or b)")]));
        }
        if kind == "provides" {
            let own =
                [("name", name), ("flags", "EQ"), ("epoch", "0"), ("ver", "1.2"), ("rel", "3")];
            section.children.push(entry(&own));
        }
        format.children.push(section);
    }
    format.children.push(element("file", &[], &format!("/usr/bin/{name}")));
    format.children.push(element("file", &[("type", "dir")], "/etc/d"));
    let digest = Checksum::of(name.as_bytes());
    let mut package = element("package", &[("type", "rpm")], "");
    package.children = vec![
        element("name", &[], name),
        element("arch", &[], "x86_64"),
        element("version", &[("epoch", "0"), ("ver", "1.2"), ("rel", "3")], ""),
        element("checksum", &[("type", "sha256"), ("pkgid", "YES")], &digest.hex()),
        element("summary", &[], "a package"),
        element("time", &[("file", "1"), ("build", "2")], ""),
        element("size", &[("package", "10"), ("installed", "20"), ("archive", "30")], ""),
        element("location", &[("href", &format!("p/{name}.rpm"))], ""),
        format,
    ];
    package
}

/// Changes one thing. Returns what, in a word.
pub(crate) fn mutate(package: &mut Element, random: &mut StdRng) -> &'static str {
    // Half of the time something of the package itself, else something deeper.
    let mut place = package;
    while !place.children.is_empty() {
        let is_container = |child: &Element| !child.children.is_empty();
        let deeper: Vec<usize> =
            (0..place.children.len()).filter(|&at| is_container(&place.children[at])).collect();
        match deeper.choose(random) {
            Some(&at) if random.gen_bool(0.6) => place = &mut place.children[at],
            _ => break,
        }
    }
    let at = random.gen_range(0..place.children.len().max(1));
    let Some(child) = place.children.get_mut(at) else { return "nothing" };
    match random.gen_range(0..12) {
        0 => {
            place.children.remove(at);
            "an element less"
        }
        1 => {
            let mut twin = child.clone();
            for _ in 0..random.gen_range(0..2) {
                change_value(&mut twin, random);
            }
            let to = random.gen_range(0..=place.children.len());
            place.children.insert(to, twin);
            "doubled"
        }
        2 => {
            child.name = "unknown".to_owned();
            "an unknown element"
        }
        3 => {
            place.children.shuffle(random);
            "another order"
        }
        4 | 5 if !child.attributes.is_empty() => {
            let at = random.gen_range(0..child.attributes.len());
            child.attributes.remove(at);
            "an attribute less"
        }
        6 => {
            let key = *ATTRIBUTES.choose(random).unwrap();
            if child.attributes.iter().all(|(known, _)| *known != key) {
                child.attributes.push((key, odd(key, random)));
            }
            "an attribute more"
        }
        _ => {
            change_value(child, random);
            "another value"
        }
    }
}

/// Gives an attribute or the text of an element an odd value.
fn change_value(element: &mut Element, random: &mut StdRng) {
    match element.attributes.choose_mut(random) {
        Some((key, value)) if element.text.is_empty() || random.gen_bool(0.5) => {
            *value = odd(key, random);
        }
        // libsolv makes one slash of two.
        _ if element.name == "file" => element.text = odd("file", random).replace("//", "/"),
        _ => element.text = odd("text", random),
    }
}

fn odd(key: &str, random: &mut StdRng) -> String {
    let of = match key {
        "flags" => &FLAGS[..],
        "type" => &TYPES[..],
        _ => &ODD[..],
    };
    (*of.choose(random).unwrap()).to_owned()
}

impl Element {
    /// Whether an element stands twice where once is meant.
    pub(crate) fn is_doubled(&self) -> bool {
        let names = self.children.iter().map(|child| &child.name);
        let mut names: Vec<&String> = names
            .filter(|name| !matches!(name.as_str(), "rpm:entry" | "file" | "unknown"))
            .collect();
        names.sort();
        names.windows(2).any(|pair| pair[0] == pair[1])
            || self.children.iter().any(Self::is_doubled)
    }

    /// The element as XML.
    pub(crate) fn write(&self, xml: &mut String) {
        let escape =
            |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        xml.push_str(&format!("<{}", self.name));
        for (key, value) in &self.attributes {
            xml.push_str(&format!(" {key}=\"{}\"", escape(value)));
        }
        xml.push_str(&format!(">{}", escape(&self.text)));
        self.children.iter().for_each(|child| child.write(xml));
        xml.push_str(&format!("</{}>\n", self.name));
    }
}
