//! Module lists as repositories have them, and as attackers would.

use super::*;
use crate::model::{Artifact, Checksum, DefaultStream, ModuleStream, NameHash};

const LIST: &str = r#"---
document: modulemd
version: 2
data:
  name: tools
  stream: "rhel8"
  version: 8000
  context: aaaa
  summary: Common tools
  description: >-
    A long text: with colons
      artifacts:
    	and a tab
  dependencies:
  - buildrequires:
      platform: [el8]
    requires:
      platform: [el8]
      perl: [5.26, '5.30']
      nginx: []
  profiles:
    common:
      rpms:
      - not-an-artifact
  artifacts:
    rpms:
    - runc-0:1.0-1.module_el8.x86_64
    - crun-0:1.0-1.module_el8.x86_64
    - crun-0:1.0-1.module_el8.src
...
---
document: modulemd
version: 2
data:
  name: tools
  stream: 4.0
  version: '8050'
  artifacts:
    rpm-map:
      sha256:
        abc:
          name: x
    rpms: []
  demodularized:
    rpms:
    - conmon
...
---
document: modulemd-defaults
version: 1
data:
  module: tools
  modified: 201909
  stream: rhel8
  profiles:
    rhel8: [common]
...
---
document: modulemd-translations
version: 1
data:
  module: tools
  stream: other
..."#;

fn record(text: &[u8]) -> RepomdRecord {
    RepomdRecord {
        location: "repodata/modules.yaml".into(),
        checksum: Checksum::of(b"not looked at here"),
        size: None,
        open_checksum: None,
        open_size: Some(text.len() as u64),
    }
}

fn read(text: &str) -> Result<Modules, RepodataError> {
    parse(&mut Decoder::here(), text.as_bytes(), &record(text.as_bytes()))
}

/// The streams of a list, each with its packages, and the defaults.
fn summary(text: &str) -> String {
    let modules = read(text).unwrap();
    let streams = modules.streams.iter().map(|stream| {
        let ModuleStream { module, stream, version, artifacts, .. } = stream;
        format!("{module}:{stream}:{version} ({})", artifacts.len())
    });
    let defaults = modules.defaults.iter();
    let defaults = defaults.map(|(module, it)| format!("{module} is {:?}", it.stream.as_deref()));
    let aside = modules.set_aside.iter().map(|why| format!("! {why}"));
    streams.chain(defaults).chain(aside).collect::<Vec<_>>().join("; ")
}

/// A document of a stream of one package, with more of its data.
fn stream(more: &str) -> String {
    format!(
        "---\ndocument: modulemd\nversion: 2\ndata:\n  name: m\n  stream: s\n  version: 1\n{more}\
         \n  artifacts:\n    rpms:\n    - a-0:1-1.x86_64\n...\n"
    )
}

#[test]
fn streams_and_defaults_are_read() {
    let modules = read(LIST).unwrap();
    let first = ModuleStream {
        module: "tools".into(),
        stream: "rhel8".into(),
        version: 8000,
        requires: vec![
            ("platform".into(), vec!["el8".into()]),
            ("perl".into(), vec!["5.26".into(), "5.30".into()]),
            ("nginx".into(), vec![]),
        ],
        artifacts: ["runc-0:1.0-1.module_el8.x86_64", "crun-0:1.0-1.module_el8.x86_64"]
            .map(|text| Artifact::parse(text).unwrap())
            .into(),
        demodularized: vec![],
    };
    let second = ModuleStream {
        module: "tools".into(),
        stream: "4.0".into(),
        version: 8050,
        demodularized: vec![NameHash::of("conmon")],
        ..ModuleStream::default()
    };
    let default =
        DefaultStream { stream: Some("rhel8".into()), modified: 201_909, is_disputed: false };
    let expected = Modules {
        streams: vec![first, second],
        defaults: [("tools".to_owned(), default)].into(),
        set_aside: vec![],
    };
    assert_eq!(modules, expected);
}

#[test]
fn packed_lists_are_read() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, LIST.as_bytes()).unwrap();
    let bytes = packed.finish().unwrap();
    assert_eq!(
        parse(&mut Decoder::here(), &bytes[..], &record(LIST.as_bytes())).unwrap(),
        read(LIST).unwrap()
    );
}

#[test]
fn how_a_list_is_written_does_not_matter() {
    let whole = "m:s:1 (1); m is Some(\"s\")";
    let defaults =
        "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: m\n  stream: s\n";
    assert_eq!(summary(&format!("{}{defaults}", stream(""))), whole);
    // Indented by four blanks, and by one; keys in another order; comments.
    for text in [
        "document: modulemd-defaults\nversion: 1\ndata:\n    module: m\n    stream: s\n",
        "data:\n module: m\n stream: s # here\nversion: 1\n# there\ndocument: modulemd-defaults\n",
        "{document: modulemd-defaults, version: 1, data: {module: m, stream: s}}\n",
        "{\"document\": \"modulemd-defaults\",\n\"version\": 1, \"data\": {\"module\": 'm',\n\
         \"stream\": \"\\x73\"}}\n",
        "? document\n: modulemd-defaults\n? version\n: 1\ndata:\n  ? module\n  : m\n  stream: >-\n    s\n",
        "document: !!str modulemd-defaults\r\nversion: 1\r\ndata:\r\n  module: &x m\r\n  stream: s\r\n",
    ] {
        for before in ["", "...\n%YAML 1.2\n---\n", "--- # it\n"] {
            assert_eq!(summary(&format!("{}{before}{text}", stream(""))), whole, "{before}{text}");
        }
    }
    assert_eq!(summary(&format!("\u{feff}{}{defaults}", stream(""))), whole);
    assert_eq!(summary(&format!("# nothing\n\n{}\n...\n...\n{defaults}", stream(""))), whole);
}

/// As Fedora's list has it: by YAML's letter the quote would have to be indented.
#[test]
fn texts_in_quotes_go_on_over_lines_and_end_in_the_first_column() {
    for text in [
        "  summary: 'one\n\n    two\n\n'",
        "  summary: \"one\n\n two\\\n\n\"",
        "  description: 'it''s:\n- no list\n  artifacts:\n'",
        "  description: |\n    one\n\n      two\n   \n  summary: >2\n    x\n",
        "  description: one\n    two\n     three",
    ] {
        assert_eq!(summary(&stream(text)), "m:s:1 (1)", "{text}");
    }
}

#[test]
fn other_kinds_of_documents_are_passed_over() {
    for text in [
        "document: modulemd-packager\nversion: 3\ndata:\n  name: m\n  version: none\n",
        "document: modulemd-obsoletes\nversion: 1\ndata:\n  module: m\n  stream: s\n  message: x\n",
        "document: modulemd-translations\nversion: 1\ndata:\n  module: m\n  stream: [s]\n",
        "document: something-new\nversion: next\ndata: [1, 2]\n",
        "",
        "# a comment\n",
        "~\n...\n",
    ] {
        assert_eq!(summary(&format!("{}---\n{text}", stream(""))), "m:s:1 (1)", "{text}");
    }
}

#[test]
fn of_the_first_format_requires_are_plain() {
    let text = stream("  dependencies:\n    requires:\n      platform: f27\n      perl: 5.26\n");
    let modules = read(&text.replace("version: 2", "version: 1")).unwrap();
    let expected = [("platform", "f27"), ("perl", "5.26")];
    let expected = expected.map(|(module, stream)| (module.to_owned(), vec![stream.to_owned()]));
    assert_eq!(modules.streams[0].requires, expected);
}

#[test]
fn a_document_that_makes_no_sense_condemns_only_itself() {
    let good = stream("");
    let odd = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        let text =
            format!("{}{good}{}", good.replace(from, to), good.replace("  name: m", "  name: n"));
        let text = summary(&text);
        let (streams, why) = text.split_once("; ! line ").unwrap_or((&text, ""));
        assert_eq!(streams, "m:s:1 (1); n:s:1 (1)", "{to}");
        why.to_owned()
    };
    assert_eq!(odd("  name: m", "  name: [m]"), "5 has a list as its name");
    assert_eq!(odd("  name: m\n", ""), "1 does not name its module");
    assert_eq!(odd("  stream: s\n", ""), "1 does not name its stream");
    assert_eq!(odd("  version: 1", "  version: one"), "7 has \"one\" as its version");
    assert_eq!(odd("version: 2", "version: 3"), "1 has the unknown version 3");
    assert_eq!(odd("version: 2\n", ""), "1 does not say its version");
    assert_eq!(odd("document: modulemd\n", ""), "1 does not say what it is");
    assert_eq!(
        odd("document: modulemd", "document: modulemd\ndocument: x"),
        "3 says twice what it is"
    );
    assert_eq!(odd("    rpms:\n    - ", "  - "), "10 has a list as its artifacts");
    assert_eq!(
        odd("  name: m", "  name: m\n  stream: *x"),
        "6 is not YAML: while parsing node, found unknown anchor"
    );
    let tab = "5 is not YAML: while scanning a plain scalar, found a tab";
    assert_eq!(odd("  name: m", "  name: m\n\t- : ["), tab);
}

#[test]
fn a_key_without_a_value_is_an_empty_list() {
    let text = stream("  demodularized:\n  dependencies:\n  - requires:\n      perl:\n");
    assert_eq!(summary(&text), "m:s:1 (1)");
    let empty = text.replace("    rpms:\n    - a-0:1-1.x86_64\n", "");
    assert_eq!(summary(&empty), "m:s:1 (0)");
    let defaults = "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: m\n";
    assert_eq!(summary(&format!("{}{defaults}", stream(""))), "m:s:1 (1); m is None");
}

/// What becomes of a document, `from` in which is `to` instead; of one beside it, nothing must.
fn changed(document: &str, from: &str, to: &str) -> String {
    assert_eq!(document.matches(from).count(), 1, "{from}");
    let text =
        format!("{}{}", document.replace(from, to), stream("").replace("name: m", "name: n"));
    let text = summary(&text);
    let parts = text.split("; ").filter(|part| *part != "n:s:1 (1)").collect::<Vec<_>>();
    assert_eq!(parts.len() + 1, text.split("; ").count(), "{text}");
    parts.join("; ")
}

#[test]
fn every_field_may_be_missing_empty_doubled_or_odd() {
    let good = stream("");
    let long = format!("  name: {}\n", "m".repeat(256));
    for (from, to, expected) in [
        ("document: modulemd\n", "document:\n", "! line 2 has \"\" as its document"),
        ("version: 2\n", "version:\n", "! line 3 has \"\" as its version"),
        ("version: 2\n", "version: 9\nversion: 2\n", "m:s:1 (1)"),
        ("data:\n", "xdata:\n", "! line 1 has no data"),
        ("data:\n", "data:\nxdata:\n", "! line 1 has no data"),
        ("data:\n", "data: x\nxdata:\n", "! line 4 has \"x\" as its data"),
        ("  name: m\n", "  name:\n", "! line 5 has \"\" as its name"),
        ("  name: m\n", "  name: x\n  name: m\n", "m:s:1 (1)"),
        ("  name: m\n", long.as_str(), "! line 5 has"),
        ("  stream: s\n", "  stream:\n", "! line 6 has \"\" as its stream"),
        ("  stream: s\n", "  stream: {}\n", "! line 6 has a mapping as its stream"),
        ("  stream: s\n", "  stream: x\n  stream: s\n", "m:s:1 (1)"),
        ("  version: 1\n", "", "m:s:0 (1)"),
        ("  version: 1\n", "  version:\n", "! line 7 has \"\" as its version"),
        ("  version: 1\n", "  version: 7\n  version: 1\n", "m:s:1 (1)"),
        ("  version: 1\n", "  version: -1\n", "! line 7 has \"-1\" as its version"),
        ("    - a-0:1-1.x86_64\n", "    - a\n    - b-0:1-1.src\n    -\n", "m:s:1 (0)"),
        ("    rpms:\n", "    rpms: [b-0:1-1.noarch]\n    rpms:\n", "m:s:1 (2)"),
        ("    rpms:\n", "    debs:\n", "m:s:1 (0)"),
    ] {
        let got = changed(&good, from, to);
        assert!(got.starts_with(expected), "{to}: {got}");
    }
    let defaults = "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: m\n  stream: s\n  \
                    modified: 1\n...\n";
    for (from, to, expected) in [
        ("version: 1\n", "version: 2\n", "! line 1 has the unknown version 2"),
        ("  module: m\n", "", "! line 1 does not name its module"),
        ("  stream: s\n", "", "m is None"),
        ("  stream: s\n", "  stream:\n", "! line 6 has \"\" as its stream"),
        ("  modified: 1\n", "", "m is Some(\"s\")"),
        ("  modified: 1\n", "  modified: x\n", "! line 7 has \"x\" as its modified"),
        ("  modified: 1\n...\n", &defaults.replace(": s", ": t"), "m is Some(\"t\")"),
    ] {
        assert_eq!(changed(defaults, from, to), expected, "{to}");
    }
}

#[test]
fn what_a_stream_needs_may_be_missing_empty_doubled_or_odd() {
    let needs = |text: &str| {
        let modules = read(&stream(text)).map_err(|error| error.to_string())?;
        Ok::<_, String>(modules.streams[0].requires.clone())
    };
    let two = |one: &[&str], other: &[&str]| {
        let owned = |streams: &[&str]| streams.iter().map(|it| (*it).to_owned()).collect();
        Ok(vec![("p".to_owned(), owned(one)), ("q".to_owned(), owned(other))])
    };
    assert_eq!(needs(""), Ok(Vec::new()));
    assert_eq!(needs("  dependencies:\n"), Ok(Vec::new()));
    let text = "  dependencies:\n  - requires: {p: [], q: [-x]}\n";
    assert_eq!(needs(text), two(&[], &["-x"]));
    let text = "  dependencies:\n  - requires: {p: [1, 2]}\n  - requires: {q: }\n";
    assert_eq!(needs(text), two(&["1", "2"], &[]));
    let text = "  dependencies:\n  - requires: {p: {}}\n";
    assert_eq!(needs(text).unwrap_err(), "line 9 has a mapping as its dependencies");
    let text = format!("  dependencies:\n  - requires: {{p: [{}]}}\n", "x,".repeat(1001));
    assert_eq!(needs(&text).unwrap_err(), "line 9 has \"x\" as its dependencies");
}

#[test]
fn aliases_are_not_followed() {
    let aside = stream("  xmd:\n    a: &a [x, x]\n    b: &b [*a, *a]\n    c: [*b, *b]\n    *a : x");
    assert_eq!(summary(&aside), "m:s:1 (1)");
    let used = stream("  summary: &a [x]\n  demodularized:\n    rpms: *a");
    let error = read(&used).unwrap_err().to_string();
    assert_eq!(error, "line 10 has an alias as its demodularized");
}

#[test]
fn nesting_size_and_counts_are_bounded() {
    for deep in
        ["[".repeat(100_000), "{a: ".repeat(100_000), "\n- ".repeat(100), "? ".repeat(100_000)]
    {
        let text = format!("{}---\n{deep}\n---\n", stream(""));
        let text = summary(&text);
        assert!(text.starts_with("m:s:1 (1); ! line "), "{text}");
    }
    let long = stream(&format!("  description: {}\n", "x ".repeat(5 << 20)));
    let text = summary(&format!("{long}{}", stream("")));
    assert_eq!(text, "m:s:1 (1); ! line 1 is larger than any document of a module list");
    let needs = format!("      m: [{}]\n", "s,".repeat(1000)).repeat(1000);
    let many = stream(&format!("  dependencies:\n  - requires:\n{needs}")).repeat(2);
    assert!(
        read(&many).unwrap_err().to_string().ends_with("is more than any list of modules holds")
    );
    let many = "---\nx: y\n".repeat(MOST_DOCUMENTS + 2);
    assert!(
        read(&many).unwrap_err().to_string().ends_with("is more than any list of modules holds")
    );
    let limit = RepomdRecord { open_size: Some(10), ..record(b"") };
    let error = parse(&mut Decoder::here(), LIST.as_bytes(), &limit).unwrap_err().to_string();
    assert!(error.contains("unpacks to more than 10 bytes"), "{error}");
}

#[test]
fn what_is_no_list_at_all_is_refused() {
    let message =
        |text: &[u8]| parse(&mut Decoder::here(), text, &record(text)).unwrap_err().to_string();
    assert_eq!(
        message(b"<html>\n<body>404</body></html>"),
        "line 1 is \"<html> <body>404</body></html>\", not a mapping"
    );
    assert_eq!(message(b"\n---\nmodules: none\n"), "line 2 does not say what it is");
    assert_eq!(message(b"---\nd\xffcument: modulemd\n"), "line 1 is not UTF-8");
    assert_eq!(message(b"a: [1\n"), "line 1 is not YAML: unclosed bracket '['");
    assert_eq!(read("").unwrap(), Modules::default());
    assert_eq!(read("# none yet\n").unwrap(), Modules::default());
}

#[test]
fn only_the_first_documents_that_are_set_aside_are_named() {
    let modules = read(&format!("{}{}", "---\n- x\n".repeat(50), stream(""))).unwrap();
    assert_eq!(modules.set_aside.len(), MOST_SAID + 1);
    assert_eq!(modules.set_aside.last().unwrap(), "and 30 more");
}
