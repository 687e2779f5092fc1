//! Dependencies: `<rpm:entry>` in all its sections.

use elsewhere::stages::model::{Index, Relation, Weak};

use super::document::{document, names, package, read};

/// What a package requires whose entry has these attributes.
fn required(attributes: &str) -> Vec<String> {
    let requires = format!("<rpm:requires><rpm:entry {attributes}/></rpm:requires>");
    let index = read(&document(&package("a", &requires))).unwrap();
    shown(&index, &index.packages[0].requires)
}

fn shown(index: &Index, relations: &[Relation]) -> Vec<String> {
    relations.iter().map(|relation| index.display(relation)).collect()
}

#[test]
fn what_an_entry_lacks_is_empty() {
    let read = |attributes: &str, expected: &str| {
        assert_eq!(required(attributes), [expected], "{attributes}");
    };
    // As in EPEL 8: python3-rdflib.
    read(r#"name="x" flags="GE" epoch="1""#, "x >= 1:");
    read(r#"name="x" flags="GE" epoch="0""#, "x >= ");
    read(r#"name="x" flags="GE""#, "x >= ");
    read(r#"name="x" flags="EQ" ver="2""#, "x = 2");
    read(r#"name="x" flags="EQ" ver="2" rel="""#, "x = 2");
    read(r#"name="x" flags="EQ" rel="3""#, "x = -3");
    read(r#"name="x" flags="EQ" epoch="" ver="" rel="3""#, "x = -3");
    read(r#"name="x""#, "x");
    read(r#"name="x" epoch="1" ver="2" rel="3""#, "x");
    read(r#"name="""#, "");
}

#[test]
fn odd_epochs_belong_to_the_version() {
    let read = |attributes: &str, expected: &str| {
        assert_eq!(required(attributes), [expected], "{attributes}");
    };
    read(r#"name="x" flags="EQ" ver="2:1""#, "x = 0:2:1");
    read(r#"name="x" flags="EQ" epoch="q" ver="1""#, "x = q:1");
    read(r#"name="x" flags="EQ" epoch="00" ver="1""#, "x = 00:1");
    read(r#"name="x" flags="EQ" epoch="99999999999" ver="1""#, "x = 99999999999:1");
}

#[test]
fn unknown_flags_are_fulfilled_by_nothing() {
    assert_eq!(required(r#"name="x" flags="WHAT" ver="1""#), ["x ! 1"]);
    assert_eq!(required(r#"name="x" flags="" ver="1""#), ["x ! 1"]);
    assert_eq!(required(r#"name="x" flags="ge" ver="1""#), ["x ! 1"]);
    assert_eq!(required(r#"name="x" flags="NE" ver="1""#), ["x <> 1"]);
}

#[test]
fn an_entry_without_a_name_says_nothing() {
    assert_eq!(required(r#"flags="EQ" ver="1""#), [] as [&str; 0]);
}

#[test]
fn only_what_scriptlets_alone_need_is_left_out() {
    assert_eq!(required(r#"name="x" pre="1""#), [] as [&str; 0]);
    for pre in ["0", "", "true", "2"] {
        assert_eq!(required(&format!(r#"name="x" pre="{pre}""#)), ["x"], "{pre:?}");
    }
}

/// Every kind is read alike, and no oddity keeps the next package from being read.
#[test]
fn every_kind_of_dependency_may_be_odd() {
    let kinds = ["requires", "provides", "conflicts", "obsoletes"];
    let weak = ["recommends", "suggests", "supplements", "enhances"];
    let odd =
        r#"<rpm:entry/><rpm:entry name="x" flags="GE" epoch="1"/><rpm:entry name="y" flags="?"/>"#;
    let sections: String =
        kinds.iter().chain(&weak).map(|kind| format!("<rpm:{kind}>{odd}</rpm:{kind}>")).collect();
    let index = read(&document(&(package("a", &sections) + &package("b", "")))).unwrap();
    assert_eq!(names(&index), ["a", "b"]);
    let [a, _] = &index.packages[..] else { panic!("two packages") };
    let Weak { recommends, suggests, supplements, enhances } = &**a.weak.as_ref().unwrap();
    let weak = [recommends, suggests, supplements, enhances];
    for relations in [&a.requires, &a.conflicts, &a.obsoletes].into_iter().chain(weak) {
        assert_eq!(shown(&index, relations), ["x >= 1:", "y ! "]);
    }
    let provided: Vec<_> =
        a.provides.iter().map(|provide| index.text(provide.evr.unwrap())).collect();
    assert_eq!(provided, ["1:", "", "1.2-3.el9"]);
}
