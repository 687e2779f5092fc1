//! The fields of a package, and packages that are set aside: the others are read as ever.

use elsewhere::stages::decoding::Decoder;
use elsewhere::stages::model::{Checksum, Evr, Index, Package};

use super::document::{document, names, package, read};

/// What is read of a package in whose entry `from` became `to`, between two others.
fn changed(from: &str, to: &str) -> Index {
    let entry = package("a", "");
    assert!(entry.contains(from), "{from}");
    let all = package("before", "") + &entry.replacen(from, to, 1) + &package("after", "");
    let index = read(&document(&all)).unwrap();
    assert!(names(&index).contains(&"before") && names(&index).contains(&"after"), "{to}");
    index
}

/// The same, where all three must be there.
fn all(from: &str, to: &str) -> Index {
    let index = changed(from, to);
    assert_eq!(names(&index), ["before", "a", "after"], "{to}");
    index
}

/// The package in whose entry `from` became `to`; it must be there.
fn kept(from: &str, to: &str) -> Package {
    all(from, to).packages.swap_remove(1)
}

/// Why the package in whose entry `from` became `to` was set aside.
fn why(from: &str, to: &str) -> String {
    let index = changed(from, to);
    assert_eq!(names(&index), ["before", "after"], "{to}");
    let [aside] = &index.set_aside[..] else { panic!("{to}: one is set aside") };
    aside.describe(&index)
}

const NAME: &str = "<name>a</name>";
const ARCH: &str = "<arch>x86_64</arch>";
const VERSION: &str = r#"<version epoch="0" ver="1.2" rel="3.el9"/>"#;
const SIZE: &str = r#"<size package="10" installed="20" archive="20"/>"#;
const LOCATION: &str = r#"<location href="Packages/a.rpm"/>"#;

fn checksum() -> String {
    format!(r#"<checksum type="sha256" pkgid="YES">{}</checksum>"#, Checksum::of(b"a").hex())
}

#[test]
fn a_name_is_needed_and_the_last_counts() {
    for none in ["", "<name/>", "<name></name>", "<other>a</other>"] {
        let why = why(NAME, none);
        assert!(why.starts_with("a package was set aside: repository repository, line "), "{why}");
        assert!(why.ends_with(": it has no name"), "{why}");
    }
    assert_eq!(names(&changed(NAME, "<name>x</name><name>a</name>")), ["before", "a", "after"]);
    assert_eq!(names(&changed(NAME, "<name>a<b>x</b></name>")), ["before", "a", "after"]);
}

#[test]
fn without_an_architecture_it_is_for_all() {
    let arch = |to: &str| {
        let index = changed(ARCH, to);
        let package = index.packages.iter().find(|it| index.text(it.name) == "a");
        package.map(|package| index.text(package.arch).to_owned())
    };
    assert_eq!(arch("").as_deref(), Some("noarch"));
    assert_eq!(arch("<arch>i686</arch><arch>s390x</arch>"), None);
    assert_eq!(arch("<arch>noarch</arch><arch>x86_64</arch>").as_deref(), Some("x86_64"));
    for unknown in ["<arch/>", "<arch>i686</arch>", "<arch>x86_64 </arch>"] {
        assert_eq!(arch(unknown), None, "{unknown}");
        assert!(changed(ARCH, unknown).set_aside.is_empty(), "{unknown}: no concern of ours");
    }
    // When the second one is met, the first has had its effect.
    let twice = "<arch>i686</arch><time/><arch>x86_64</arch>";
    assert!(why(ARCH, twice).ends_with("it says twice what it is, and not the same"));
}

#[test]
fn what_a_version_lacks_is_empty() {
    let evr = |to: &str| {
        let index = all(VERSION, to);
        Evr::from(index.evr(&index.packages[1])).as_text()
    };
    assert_eq!(evr(r#"<version epoch="2" ver="1" rel="1"/>"#), "2:1-1");
    assert_eq!(evr(r#"<version ver="1" rel="1"/>"#), "1-1");
    assert_eq!(evr(r#"<version epoch="" ver="1" rel="1"/>"#), "1-1");
    assert_eq!(evr(r#"<version epoch="007" ver="1" rel="1"/>"#), "7:1-1");
    assert_eq!(evr(r#"<version epoch="q" ver="1" rel="1"/>"#), "q:1-1");
    assert_eq!(evr(r#"<version epoch="-1" ver="1" rel="1"/>"#), "-1:1-1");
    assert_eq!(evr(r#"<version ver="2:1" rel="1"/>"#), "0:2:1-1");
    assert_eq!(evr(r#"<version epoch="2:1" ver="1" rel="1"/>"#), "2:1:1-1");
    assert_eq!(evr(r#"<version epoch="0" rel="1"/>"#), "-1");
    assert_eq!(evr(r#"<version epoch="0" ver="1"/>"#), "1");
    assert_eq!(evr(r#"<version/>"#), "");
    assert_eq!(evr(""), "");
    assert_eq!(evr(r#"<version ver="1" rel="1"/><version ver="2" rel="2"/>"#), "2-2");
    let why = why(VERSION, r#"<version epoch="4294967296" ver="1" rel="1"/>"#);
    assert!(why.ends_with("its epoch is larger than any that RPM knows"), "{why}");
}

#[test]
fn only_a_strong_checksum_lets_a_package_in() {
    let (a, own) = (Checksum::of(b"a"), checksum());
    let weak = r#"<checksum type="sha" pkgid="YES">0123</checksum>"#;
    for proven in [
        format!("{own}{weak}"),
        format!("{weak}{own}"),
        own.replace("sha256", "SHA256"),
        own.replace(&a.hex(), &format!("\n{}\n", a.hex().to_uppercase())),
        own.replace(r#" pkgid="YES""#, ""),
    ] {
        assert_eq!(kept(&own, &proven).checksum, a, "{proven}");
    }
    for (unproven, reason) in [
        ("".to_owned(), "it has no checksum"),
        (weak.to_owned(), r#"checksum algorithm "sha" is not accepted (SHA-256 or better is)"#),
        (
            own.replace("sha256", "md5"),
            r#"checksum algorithm "md5" is not accepted (SHA-256 or better is)"#,
        ),
        (
            own.replace("sha256", "sha3"),
            r#"checksum algorithm "sha3" is not accepted (SHA-256 or better is)"#,
        ),
        (
            own.replace(r#"type="sha256""#, ""),
            r#"checksum algorithm "" is not accepted (SHA-256 or better is)"#,
        ),
        (own.replace(&a.hex(), "12xy"), r#""12xy" is not a digest in hexadecimal"#),
        (own.replace(&a.hex(), ""), r#""" is not a digest in hexadecimal"#),
    ] {
        let why = why(&own, &unproven);
        // The second entry of a document, whose first two lines begin it.
        let line = 2 + 2 * package("a", "").lines().count();
        let start = format!("a-1.2-3.el9 was set aside: repository repository, line {line}: ");
        assert!(why.starts_with(&start), "{why}");
        assert!(why.ends_with(reason), "{why}: {reason}");
    }
    let endless = why(&own, &own.replace(&a.hex(), &"x".repeat(500_000)));
    assert!(endless.len() < 200, "{endless}");
}

#[test]
fn sizes_may_be_missing_or_odd() {
    let sizes = |to: &str| {
        let package = kept(SIZE, to);
        (package.size, package.installed_size)
    };
    assert_eq!(sizes(""), (0, 0));
    assert_eq!(sizes("<size/>"), (0, 0));
    assert_eq!(sizes(r#"<size package="5"/>"#), (5, 0));
    assert_eq!(sizes(r#"<size installed="5"/>"#), (0, 5));
    assert_eq!(sizes(r#"<size package="" installed="-5"/>"#), (0, 0));
    assert_eq!(sizes(r#"<size package="5.5" installed=" 6k"/>"#), (5, 6));
    assert_eq!(
        sizes(r#"<size package="99999999999999999999" installed="18446744073709551615"/>"#),
        (0, 0)
    );
    assert_eq!(sizes(r#"<size package="1" installed="2"/><size package="3"/>"#), (3, 2));
}

#[test]
fn a_location_is_needed() {
    let location = |to: &str| {
        let index = all(LOCATION, to);
        index.location(&index.packages[1]).into_owned()
    };
    assert_eq!(location(r#"<location href="a"/><location href="b"/>"#), "b");
    assert_eq!(location(r#"<location href="a"/><location/>"#), "a");
    for none in
        ["", "<location/>", r#"<location href=""/>"#, r#"<location xml:base="https://h/"/>"#]
    {
        assert!(why(LOCATION, none).ends_with("it has no location"), "{none}");
    }
}

#[test]
fn a_location_is_joined_to_its_base() {
    let location = |to: &str| {
        let index = all(LOCATION, to);
        index.location(&index.packages[1]).into_owned()
    };
    assert_eq!(location(r#"<location href="../a b.rpm"/>"#), "../a b.rpm");
    assert_eq!(location(r#"<location xml:base="" href="a.rpm"/>"#), "a.rpm");
    assert_eq!(location(r#"<location xml:base="pool/" href="/a.rpm"/>"#), "pool/a.rpm");
    assert_eq!(location(r#"<location xml:base="../pool" href="a.rpm"/>"#), "../pool/a.rpm");
    let elsewhere = r#"<location xml:base="https://h/p//" href="a.rpm"/>"#;
    assert_eq!(location(elsewhere), "https://h/p/a.rpm");
    let both = r#"<location xml:base="https://h/p" href="https://o/a.rpm?x=1"/>"#;
    assert_eq!(location(both), "https://o/a.rpm?x=1");
}

#[test]
fn a_package_at_a_forbidden_place_is_set_aside() {
    use elsewhere::stages::model::Arch;
    use elsewhere::stages::repodata::primary::{Scope, parse};
    let text = document(&(package("a", "").replace("Packages/", "http://h/") + &package("b", "")));
    let mut index = Index { repositories: vec!["r".into()], ..Index::default() };
    let may_fetch = |url: &str| url.starts_with("https:");
    let scope = Scope { arch: Arch::X86_64, repository: 0, only: &[], may_fetch: &may_fetch };
    parse(&mut Decoder::here(), text.as_bytes(), &super::document::record(), &scope, &mut index)
        .unwrap();
    assert_eq!(names(&index), ["b"]);
    let why = index.set_aside[0].describe(&index);
    assert!(
        why.ends_with(r#"it lies at "http://h/a.rpm", where this repository may not send"#),
        "{why}"
    );
}

#[test]
fn a_package_provides_itself() {
    let index = read(&document(&package("a", ""))).unwrap();
    let [provide] = &index.packages[0].provides[..] else { panic!("one capability") };
    assert_eq!(provide.evr.map(|evr| index.text(evr)), Some("1.2-3.el9"));
    let own =
        r#"<rpm:provides><rpm:entry name="a" flags="EQ" ver="1.2" rel="3.el9"/></rpm:provides>"#;
    assert_eq!(read(&document(&package("a", own))).unwrap().packages[0].provides.len(), 1);
}

/// As libsolv does; createrepo_c adds them up.
#[test]
fn of_two_sections_of_a_kind_the_last_counts() {
    let section =
        |name: &str| format!(r#"<rpm:requires><rpm:entry name="{name}"/></rpm:requires>"#);
    let index = read(&document(&package("a", &(section("x") + &section("y"))))).unwrap();
    let requires: Vec<_> = index.packages[0].requires.iter().map(|it| index.display(it)).collect();
    assert_eq!(requires, ["y"]);
}

#[test]
fn what_is_not_known_is_passed_over() {
    let odd = "<rpm:requires><other name=\"x\"><deep/></other></rpm:requires><x:what/>\n\
        <file type=\"odd\"><b>/no</b>usr/bin/a</file><file/>";
    let index = changed("<format>", &format!("<odd><name>b</name></odd><format>{odd}"));
    let a = &index.packages[1];
    assert_eq!(names(&index), ["before", "a", "after"]);
    assert!(a.has(elsewhere::stages::model::NameHash::of("/usr/bin/a")));
    let unpaid =
        document("<group><package/></group>text").replace("packages=\"1\"", "packages=\"x\"");
    assert!(read(&unpaid).unwrap().packages.is_empty());
}

/// The line is found whatever the buffers, and told as long as that takes no time.
#[test]
fn lines_are_counted() {
    let filler = "<!-- a line -->\n".repeat(20_000);
    let broken = package("a", "").replace(NAME, "");
    let text = document(&format!("{filler}{broken}{filler}{broken}"));
    let index = read(&text).unwrap();
    let ends: Vec<usize> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| *line == "</package>")
        .map(|(number, _)| number + 1)
        .collect();
    let lines: Vec<_> = index.set_aside.iter().map(|package| package.line.unwrap()).collect();
    assert_eq!(lines, ends);
    let many = read(&document(&"<package/>".repeat(2000))).unwrap();
    assert_eq!(many.set_aside.len(), 2000);
    assert_eq!(many.set_aside.iter().filter(|package| package.line.is_some()).count(), 1000);
}
