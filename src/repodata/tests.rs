//! Metadata as repositories have it, and as attackers would.

use std::io::Write;

use super::primary::Scope;
use super::repomd::RepomdRecord;
use super::*;
use crate::decoding::Decoder;
use crate::model::{Arch, Checksum, Comparison, Index, NameHash, Provide};

/// A package's entry: `body` goes into `<format>`.
fn package(name: &str, arch: &str, body: &str) -> String {
    let digest = Checksum::of(name.as_bytes());
    format!(
        r#"<package type="rpm"><name>{name}</name><arch>{arch}</arch>
        <version epoch="0" ver="1.2" rel="3.el9"/>
        <checksum type="sha256" pkgid="YES">{}</checksum>
        <summary>It &amp; &#x41; thing</summary><description><![CDATA[<b>]]></description>
        <time file="1" build="2"/><size package="10" installed="20" archive="30"/>
        <location href="Packages/{name}-1.2-3.el9.{arch}.rpm"/>
        <format><rpm:license>GPL</rpm:license>{body}</format></package>"#,
        digest.hex()
    )
}

fn metadata(packages: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
        <metadata xmlns="http://linux.duke.edu/metadata/common"
          xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">{packages}</metadata>
        "#
    )
}

/// What `repomd.xml` would say about a file that unpacks to `open`.
fn record(open: &[u8]) -> RepomdRecord {
    RepomdRecord {
        location: "repodata/x".into(),
        checksum: Checksum::of(b"not looked at here"),
        size: None,
        open_checksum: Some(Checksum::of(open)),
        open_size: Some(open.len() as u64),
    }
}

fn read_with(bytes: &[u8], record: &RepomdRecord, only: &[String]) -> Result<Index, RepodataError> {
    let mut index = Index::default();
    let scope = Scope { arch: Arch::X86_64, repository: 3, only, may_fetch: &|_| true };
    primary::parse(&mut Decoder::here(), bytes, record, &scope, &mut index)?;
    Ok(index)
}

fn read(xml: &str) -> Result<Index, RepodataError> {
    read_with(xml.as_bytes(), &record(xml.as_bytes()), &[])
}

fn names(index: &Index) -> Vec<&str> {
    index.packages.iter().map(|package| index.text(package.name)).collect()
}

/// The message of the error that this text ends with.
fn failure(xml: &str) -> String {
    read(xml).map(|_| ()).unwrap_err().to_string()
}

const BODY: &str = r#"
    <rpm:provides><rpm:entry name="a"/><rpm:entry name="a" flags="EQ" epoch="0" ver="1.2" rel="3"/>
    </rpm:provides>
    <rpm:requires>
      <rpm:entry name="libz.so.1()(64bit)"/>
      <rpm:entry name="b" flags="GE" epoch="2" ver="7"/>
      <rpm:entry name="(c if d &gt;= 1)"/>
      <rpm:entry name="/bin/sh" pre="1"/>
      <rpm:entry name="rpmlib(CompressedFileNames)" flags="LE" epoch="0" ver="3.0.4" rel="1"/>
    </rpm:requires>
    <rpm:conflicts><rpm:entry name="x" flags="LT" epoch="0" ver="2"/></rpm:conflicts>
    <rpm:obsoletes><rpm:entry name="y" flags="LE" epoch="0" ver="2"/></rpm:obsoletes>
    <rpm:recommends><rpm:entry name="z"/></rpm:recommends>
    <rpm:suggests><rpm:entry name="s"/></rpm:suggests>
    <rpm:supplements><rpm:entry name="t"/></rpm:supplements>
    <rpm:enhances><rpm:entry name="u"/></rpm:enhances>
    <rpm:wonders><rpm:entry name="never"/></rpm:wonders>
    <file>/usr/bin/a</file><file type="dir">/etc/a</file><file type="wonder">/etc/w</file>"#;

#[test]
fn a_package_is_read_whole() {
    let index = read(&metadata(&package("a", "x86_64", BODY))).unwrap();
    let [a] = &index.packages[..] else { panic!("one package") };
    let show = |relations: &[_]| -> Vec<String> {
        relations.iter().map(|relation| index.display(relation)).collect()
    };
    let provided =
        |provide: &Provide| (provide.name, provide.evr.map(|evr| index.text(evr).to_owned()));
    let a_name = NameHash::of("a");
    let provides: Vec<_> = a.provides.iter().map(provided).collect();
    // Its own name and version come last, as libsolv adds them.
    let versions = [None, Some("1.2-3"), Some("1.2-3.el9")];
    assert_eq!(provides, versions.map(|version| (a_name, version.map(str::to_owned))));
    assert_eq!(show(&a.requires), ["libz.so.1()(64bit)", "b >= 2:7", "(c if d >= 1)"]);
    assert_eq!(show(&a.conflicts), ["x < 2"]);
    assert_eq!(show(&a.obsoletes), ["y <= 2"]);
    let weak = a.weak.as_ref().unwrap();
    let weak = [&weak.recommends, &weak.suggests, &weak.supplements, &weak.enhances];
    assert_eq!(weak.map(|relations| show(relations)), [["z"], ["s"], ["t"], ["u"]]);
    assert_eq!(*a.files, ["/usr/bin/a", "/etc/a", "/etc/w"].map(NameHash::of));
    assert_eq!(index.evr(a).to_string(), "1.2-3.el9");
    assert_eq!((a.size, a.installed_size, a.repository), (10, 20, 3));
    assert_eq!(index.location(a), "Packages/a-1.2-3.el9.x86_64.rpm");
    assert_eq!(a.checksum, Checksum::of(b"a"));
    assert_eq!(a.requires[1].comparison, Comparison::GreaterOrEqual);
    assert_eq!(index.strings.find("never"), None);
}

#[test]
fn other_architectures_and_names_are_passed_over() {
    let all: String = [("a", "x86_64"), ("b", "noarch"), ("c", "i686"), ("d", "src")]
        .map(|(name, arch)| package(name, arch, BODY))
        .concat();
    let xml = metadata(&all);
    assert_eq!(names(&read(&xml).unwrap()), ["a", "b"]);
    let bytes = xml.as_bytes();
    let only = read_with(bytes, &record(bytes), &["b".into(), "c".into()]).unwrap();
    assert_eq!(names(&only), ["b"]);
}

/// `bytes` packed by every method that repositories use.
fn packed(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bytes).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
    xz.write_all(bytes).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    bzip2.write_all(bytes).unwrap();
    vec![
        ("plain", bytes.to_vec()),
        ("gzip", gzip.finish().unwrap()),
        ("xz", xz.finish().unwrap()),
        ("zstd", zstd::encode_all(bytes, 3).unwrap()),
        ("bzip2", bzip2.finish().unwrap()),
    ]
}

#[test]
fn every_packing_is_recognised_and_truncation_noticed() {
    let xml = metadata(&package("a", "x86_64", BODY));
    for (method, bytes) in packed(xml.as_bytes()) {
        let index = read_with(&bytes, &record(xml.as_bytes()), &[]).unwrap();
        assert_eq!(names(&index), ["a"], "{method}");
        for length in [0, 3, bytes.len() / 2, bytes.len() - 12] {
            let result = read_with(&bytes[..length], &record(xml.as_bytes()), &[]);
            assert!(result.is_err(), "{method} cut to {length}");
        }
    }
}

#[test]
fn every_truncation_is_an_error_and_ends() {
    let xml = metadata(&package("a", "x86_64", BODY));
    let whole = xml.trim_end().len();
    for length in 0..whole {
        let mut record = record(xml.as_bytes());
        record.open_checksum = None;
        assert!(read_with(&xml.as_bytes()[..length], &record, &[]).is_err(), "cut to {length}");
    }
}

#[test]
fn a_bomb_ends_at_the_declared_size() {
    let xml = metadata(&" ".repeat(3_000_000));
    for (method, bytes) in packed(xml.as_bytes()) {
        let mut record = record(xml.as_bytes());
        record.open_size = Some(100_000);
        let error = read_with(&bytes, &record, &[]).unwrap_err().to_string();
        assert!(error.contains("unpacks to more than 100000 bytes"), "{method}: {error}");
    }
}

#[test]
fn what_it_unpacks_to_must_be_as_declared() {
    let xml = metadata("");
    let error = read_with(xml.as_bytes(), &record(b"other"), &[]).unwrap_err();
    assert!(matches!(error, RepodataError::Read(_)), "longer: {error}");
    let mut record = record(xml.as_bytes());
    record.open_checksum = Some(Checksum::of(b"other"));
    let error = read_with(xml.as_bytes(), &record, &[]).unwrap_err();
    assert!(matches!(error, RepodataError::OpenDigest { .. }));
}

#[test]
fn entities_and_document_types_are_refused() {
    let bomb = r#"<?xml version="1.0"?><!DOCTYPE metadata [<!ENTITY a "aaaaaaaaaa">
        <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><metadata packages="0">&b;</metadata>"#;
    let external = r#"<!DOCTYPE m SYSTEM "file:///etc/passwd"><metadata packages="0"/>"#;
    let in_text = metadata("<package><name>&b;</name></package>");
    let in_attribute = metadata(r#"<package><name>a</name><location href="&b;"/></package>"#);
    for xml in [bomb, external, &in_text, &in_attribute] {
        let error = read(xml).map(|_| ()).unwrap_err();
        assert!(matches!(error, RepodataError::Entities), "{error}: {xml}");
    }
}

#[test]
fn depth_and_endless_texts_are_refused() {
    let deep = metadata(&"<x>".repeat(100_000));
    assert!(matches!(read(&deep), Err(RepodataError::Deep(_))));
    let filler = "a".repeat(3 << 20);
    for endless in [
        metadata(&format!("<package><name>{filler}</name></package>")),
        metadata(&format!("<package {filler}=''/>")),
        metadata(&format!("<!--{filler}-->")),
        metadata(&format!("<package><name>{}</name></package>", "a&amp;".repeat(1 << 20))),
    ] {
        let error = failure(&endless);
        assert!(error.contains("end"), "{error}");
    }
}

#[test]
fn what_is_not_primary_is_refused() {
    let message = |xml: &str| failure(xml);
    assert!(message("").contains("ends early"));
    assert!(message("<html><body>Sign in</body></html>").contains("is <html>, not <metadata>"));
    assert!(message("Not Found").contains("ends early"));
    assert!(message("<metadata></wrong>").contains("is not XML"));
    assert!(message("<metadata></metadata><more/>").contains("more after"));
    assert!(message("\u{0}\u{1}\u{2}<").contains("is not XML"));
    assert!(read_with(b"<metadata>\xff\xfe</metadata>", &record(&[0; 99]), &[]).is_err());
}

const REPOMD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>8.10</revision>
  <data type="filelists"><checksum type="md5">00</checksum><timestamp>1700000009</timestamp></data>
  <data type="primary">
    <checksum type="sha256">DIGEST</checksum>
    <open-checksum type="sha256">DIGEST</open-checksum>
    <location href="repodata/DIGEST-primary.xml.gz"/>
    <timestamp>1700000005.25</timestamp><size>1000</size><open-size>9000</open-size>
  </data>
  <data type="modules"><checksum type="sha512">LONG</checksum>
    <location href="repodata/modules.yaml.gz"/></data>
</repomd>"#;

fn repomd_text() -> String {
    let hex = Checksum::of(b"p").hex();
    REPOMD.replace("DIGEST", &hex).replace("LONG", &hex.repeat(2))
}

#[test]
fn repomd_is_read() {
    let repomd = repomd::parse(repomd_text().as_bytes()).unwrap();
    assert_eq!((repomd.revision.as_str(), repomd.timestamp), ("8.10", 1_700_000_009));
    let primary = &repomd.primary;
    assert_eq!(primary.checksum, Checksum::of(b"p"));
    assert_eq!(primary.open_checksum, Some(Checksum::of(b"p")));
    assert_eq!((primary.size, primary.open_size), (Some(1000), Some(9000)));
    assert!(primary.location.ends_with("-primary.xml.gz"));
    assert_eq!(repomd.modules.unwrap().size, None);
}

fn metalink_text() -> String {
    let sum = |text: &str| Checksum::of(text.as_bytes()).hex();
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files><file name="repomd.xml">
  <mm0:timestamp>1700000000</mm0:timestamp><size>4728</size>
  <verification><hash type="md5">00</hash><hash type="sha1">00</hash>
   <hash type="sha256">{}</hash></verification>
  <mm0:alternates><mm0:alternate><mm0:timestamp>1690000000</mm0:timestamp><size>1</size>
   <verification><hash type="sha256">{}</hash></verification></mm0:alternate></mm0:alternates>
  <resources maxconnections="1">
   <url protocol="http" type="http" preference="100">http://plain.example/epel/repodata/repomd.xml</url>
   <url protocol="rsync" type="rsync" preference="99">rsync://r.example/repodata/repomd.xml</url>
   <url protocol="https" type="https" preference="90">https://far.example/epel/repodata/repomd.xml</url>
   <url protocol="https" type="https" preference="98">https://near.example/epel/repodata/repomd.xml</url>
  </resources></file></files></metalink>"#,
        sum("now"),
        sum("before")
    )
}

#[test]
fn a_metalink_is_read() {
    let link = metalink::parse(metalink_text().as_bytes()).unwrap();
    assert_eq!(
        link.mirrors,
        ["https://near.example/epel/", "https://far.example/epel/", "http://plain.example/epel/"]
    );
    assert_eq!(link.checksums, [Checksum::of(b"now"), Checksum::of(b"before")]);
    assert_eq!((link.timestamp, link.size), (Some(1_700_000_000), Some(4728)));
}

#[test]
fn a_metalink_without_a_strong_promise_is_refused() {
    let weak = metalink_text().replace("sha256", "sha1");
    let error = metalink::parse(weak.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "the metalink lacks its SHA-2 digest of repomd.xml");
    let other = metalink_text().replace("repomd.xml\"", "other\"");
    assert!(metalink::parse(other.as_bytes()).is_err());
    assert!(metalink::parse(b"<html></html>").is_err());
}

#[test]
fn a_mirror_list_is_read() {
    let list = b"# repo = x\n\nhttp://c.example/x\nhttps://a.example/x/\nhttps://b.example/x\n\
        ftp://d.example/\nhttps://a.example/x\n";
    assert_eq!(
        metalink::parse_mirrorlist(list),
        ["https://a.example/x/", "https://b.example/x/", "http://c.example/x/"]
    );
    assert!(metalink::parse_mirrorlist(b"<html>404</html>").is_empty());
}

#[test]
fn a_mirror_has_a_host_and_no_blanks() {
    for url in ["https://", "http:///x/", "https://a.example/ x/", "https://a.example/\x1b[m/"] {
        assert!(metalink::parse_mirrorlist(url.as_bytes()).is_empty(), "{url:?}");
    }
}
