//! Texts of nested mappings, lists and words: YAML, as people write it, and JSON, with the lines in which things
//! stand, so that messages can name these.
//!
//! Such texts come from others. The caller bounds their length; here nesting is bounded, and how much there is
//! after all aliases are followed: an alias of aliases of aliases would else be more than there is memory.

use std::collections::BTreeMap;
use std::fmt;

use granit_parser::{Event, Parser, ScalarStyle};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Deepest nesting. Real texts have about ten levels.
const DEEPEST: usize = 64;
/// Most mappings, lists and words, those that aliases repeat among them.
const MOST_NODES: usize = 200_000;
/// Most keys of one mapping: each is held against all others.
const MOST_KEYS: usize = 4096;
/// Most bytes that they hold together, for the same reason.
const MOST_BYTES: usize = 16 << 20;

/// What is said of such a text.
const TOO_MUCH: &str = "it is more than any real text holds, its aliases followed";

/// Something in such a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// The line in which it begins, from 1; 0 in JSON, where nobody counts.
    pub(crate) line: usize,
    /// What it is.
    pub(crate) held: Held,
}

/// What a [`Node`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Nothing: `null`, `~`, or a key without a value.
    Nothing,
    /// A word: a text, a number, `true`; as it is written, without quotes.
    Word(String),
    /// Nodes in order.
    List(Vec<Node>),
    /// Keys in order, each once.
    Mapping(Vec<(String, Node)>),
}

/// Why a text is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub(crate) struct TreeTextError {
    /// The line, from 1.
    pub(crate) line: usize,
    /// Why.
    pub(crate) why: String,
}

/// Reads a text in YAML: one document.
///
/// # Errors
/// When it is no YAML, or is more than any real text: it has several documents, a key twice, or too much of anything.
pub(crate) fn read_yaml(text: &str) -> Result<Node, TreeTextError> {
    let options = granit_parser::options! {
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    let mut reading = Reading::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| TreeTextError {
            line: error.marker().line(),
            why: format!("it is not YAML: {}", error.kind()),
        })?;
        let line = span.start.line();
        reading.take(line, event).map_err(|why| TreeTextError { line, why })?;
    }
    Ok(reading.root.unwrap_or(Node { line: 1, held: Held::Nothing }))
}

/// Reads a text in JSON.
///
/// # Errors
/// When it is no JSON, has a key twice, or is more than any real text.
pub(crate) fn read_json(text: &str) -> Result<Node, TreeTextError> {
    let node: Node = serde_json::from_str(text).map_err(|error| TreeTextError {
        line: error.line(),
        why: format!("it is not JSON: {error}"),
    })?;
    match node.weight().0 > MOST_NODES {
        true => Err(TreeTextError { line: 1, why: TOO_MUCH.to_owned() }),
        false => Ok(node),
    }
}

impl Node {
    /// The value of `key`, where this is a mapping that has it and it is something.
    pub(crate) fn at(&self, key: &str) -> Option<&Self> {
        let Held::Mapping(entries) = &self.held else { return None };
        let found = entries.iter().find(|(name, _)| name == key).map(|(_, node)| node);
        found.filter(|node| node.held != Held::Nothing)
    }

    fn weight(&self) -> (usize, usize) {
        let sum = |(nodes, bytes): (usize, usize), (more, longer)| (nodes + more, bytes + longer);
        match &self.held {
            Held::Nothing => (1, 0),
            Held::Word(text) => (1, text.len()),
            Held::List(nodes) => nodes.iter().map(Self::weight).fold((1, 0), sum),
            Held::Mapping(entries) => {
                let of_entry = |(key, node): &(String, Self)| sum((0, key.len()), node.weight());
                entries.iter().map(of_entry).fold((1, 0), sum)
            }
        }
    }
}

/// A mapping or list that has begun and not ended.
#[derive(Debug)]
struct Begun {
    node: Node,
    anchor: usize,
    /// Of a mapping, the key whose value comes next.
    key: Option<String>,
}

#[derive(Debug, Default)]
struct Reading {
    root: Option<Node>,
    begun: Vec<Begun>,
    anchors: BTreeMap<usize, Node>,
    documents: usize,
    nodes: usize,
    bytes: usize,
}

impl Reading {
    fn take(&mut self, line: usize, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                match self.documents > 1 {
                    true => Err("another document begins, and one is expected".to_owned()),
                    false => Ok(()),
                }
            }
            Event::Scalar(text, style, anchor, _) => {
                let is_plain = style == ScalarStyle::Plain;
                let held = match &*text {
                    "" | "~" | "null" | "Null" | "NULL" if is_plain => Held::Nothing,
                    text => Held::Word(text.to_owned()),
                };
                self.add(Node { line, held }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(line, Held::List(Vec::new()), anchor),
            Event::MappingStart(_, anchor, _) => {
                self.begin(line, Held::Mapping(Vec::new()), anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.begun.pop() {
                Some(Begun { node, anchor, .. }) => self.put(node, anchor),
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                self.add(node.ok_or("an alias stands within what it is of")?, 0)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, line: usize, held: Held, anchor: usize) -> Result<(), String> {
        let node = Node { line, held };
        self.weigh(&node)?;
        if let Some(Begun { node: Node { held: Held::Mapping(_), .. }, key: None, .. }) =
            self.begun.last()
        {
            return Err("a key is no word".to_owned());
        }
        self.begun.push(Begun { node, anchor, key: None });
        Ok(())
    }

    fn weigh(&mut self, node: &Node) -> Result<(), String> {
        let (nodes, bytes) = node.weight();
        (self.nodes, self.bytes) = (self.nodes + nodes, self.bytes + bytes);
        match self.nodes > MOST_NODES || self.bytes > MOST_BYTES {
            true => Err(TOO_MUCH.to_owned()),
            false => Ok(()),
        }
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        self.weigh(&node)?;
        self.put(node, anchor)
    }

    /// Puts a whole node where it belongs.
    fn put(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        if anchor > 0 {
            // Kept once more, and so weighed once more.
            self.weigh(&node)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(begun) = self.begun.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut begun.node.held {
            Held::List(nodes) => nodes.push(node),
            Held::Mapping(entries) => match begun.key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    let Held::Word(key) = node.held else {
                        return Err("a key is no word".to_owned());
                    };
                    check_key(entries, &key)?;
                    begun.key = Some(key);
                }
            },
            Held::Nothing | Held::Word(_) => {}
        }
        Ok(())
    }
}

/// Refuses a key that is there already, or is one too many.
fn check_key(entries: &[(String, Node)], key: &str) -> Result<(), String> {
    if entries.iter().any(|(known, _)| known == key) {
        return Err(format!("the key {key:?} stands twice"));
    }
    match entries.len() >= MOST_KEYS {
        true => Err("a mapping has more keys than any real one".to_owned()),
        false => Ok(()),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let held = deserializer.deserialize_any(HeldVisitor)?;
        Ok(Self { line: 0, held })
    }
}

struct HeldVisitor;

impl<'de> Visitor<'de> for HeldVisitor {
    type Value = Held;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Held, E> {
        Ok(Held::Nothing)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Held, E> {
        Ok(Held::Word(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Held, E> {
        Ok(Held::Word(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Held, E> {
        Ok(Held::Word(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Held, E> {
        Ok(Held::Word(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Held, E> {
        Ok(Held::Word(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Held, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Held::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Held, A::Error> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        while let Some((key, node)) = map.next_entry::<String, Node>()? {
            check_key(&entries, &key).map_err(A::Error::custom)?;
            entries.push((key, node));
        }
        Ok(Held::Mapping(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(node: Option<&Node>) -> &str {
        match node.map(|node| &node.held) {
            Some(Held::Word(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_ways_of_writing_say_the_same() {
        let yaml = read_yaml(
            "# words\nkind: a/b\nlist:\n- x: 1\n  y: \"a:b\"\n- [p, 'q', null]\nempty:\nyes: true\n",
        )
        .unwrap();
        let json = read_json(
            r#"{"kind":"a/b","list":[{"x":1,"y":"a:b"},["p","q",null]],"empty":null,"yes":true}"#,
        )
        .unwrap();
        fn plain(mut node: Node) -> Node {
            node.line = 0;
            node.held = match node.held {
                Held::List(nodes) => Held::List(nodes.into_iter().map(plain).collect()),
                Held::Mapping(entries) => Held::Mapping(
                    entries.into_iter().map(|(key, node)| (key, plain(node))).collect(),
                ),
                held => held,
            };
            node
        }
        assert_eq!(yaml.at("list").unwrap().line, 4);
        assert_eq!(yaml.at("empty"), None);
        assert_eq!(plain(yaml), json);
    }

    #[test]
    fn an_alias_stands_for_what_it_is_of() {
        let node = read_yaml("a: &x {k: v}\nb: *x\nc: &y word\nd: *y\n").unwrap();
        assert_eq!(word(node.at("b").unwrap().at("k")), "v");
        assert_eq!(word(node.at("d")), "word");
    }

    #[test]
    fn what_is_more_than_any_real_text_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let last = format!("*a{}, ", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{last}]\n"));
        }
        let why = |text: &str| read_yaml(text).unwrap_err().to_string();
        assert!(why(&bomb).contains("its aliases followed"), "{}", why(&bomb));
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(100));
        assert!(why(&long).contains("its aliases followed"));
        assert!(why("a: &a [*a]\n").starts_with("line 1: "));
        assert!(why(&"[".repeat(100_000)).contains("not YAML"));
        assert!(why(&"- ".repeat(100_000)).contains("not YAML"));
        assert_eq!(why("a: 1\nb: 2\na: 3\n"), "line 3: the key \"a\" stands twice");
        assert_eq!(
            why("a: 1\n---\nb: 2\n"),
            "line 2: another document begins, and one is expected"
        );
        assert_eq!(why("? [a]\n: b\n"), "line 1: a key is no word");
        assert!(why("a: *nothing\n").contains("not YAML"));
        let json = |text: &str| read_json(text).unwrap_err().to_string();
        assert!(json("{\"a\":1,\n\"a\":2}").contains("the key \"a\" stands twice"));
        assert!(json(&"[".repeat(100_000)).contains("not JSON"));
        assert!(
            json(&format!("[{}1]", "1,".repeat(MOST_NODES))).contains("more than any real text")
        );
        let keys: String = (0..=MOST_KEYS).map(|key| format!("k{key}: v\n")).collect();
        assert!(why(&keys).contains("more keys than any real one"));
    }
}
