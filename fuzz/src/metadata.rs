//! Metalinks, mirror lists, `repomd.xml`, `primary.xml`, `modules.yaml`; and what the resolver
//! makes of the packages that they name.

use elsewhere::stages::decoding::Decoder;
use elsewhere::stages::fetch::places;
use elsewhere::stages::model::{
    Arch, Checksum, DecidedBy, Dist, GlibcVersion, HostGives, Index, Origin, Repository,
    RepositoryCost, RepositoryPriority, Runtime,
};
use elsewhere::stages::repodata::primary::Scope;
use elsewhere::stages::repodata::repomd::{Repomd, RepomdRecord};
use elsewhere::stages::repodata::{metalink, modules, primary, repomd};
use elsewhere::stages::resolve::{Part, Target, Wanted, resolve};

use super::{rpms, tagged};

const METALINK: u8 = 0;
const MIRRORLIST: u8 = 1;
const REPOMD: u8 = 2;
const PRIMARY: u8 = 3;
const MODULES: u8 = 4;
/// Where the repository is.
const BASE: &str = "https://h.example/el8/x86_64/";
/// What an input may unpack to.
const OPEN_SIZE: u64 = 1 << 20;

pub(super) fn run(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    match *kind {
        METALINK => run_metalink(bytes),
        MIRRORLIST => check_mirrors(&metalink::parse_mirrorlist(bytes)),
        REPOMD => {
            if let Ok(Repomd { primary, modules, .. }) = repomd::parse(bytes) {
                modules.iter().chain([&primary]).for_each(|record| check_place(&record.location));
            }
        }
        PRIMARY => run_primary(bytes),
        MODULES => run_modules(bytes),
        _ => {}
    }
}

fn run_metalink(bytes: &[u8]) {
    if let Ok(metalink) = metalink::parse(bytes) {
        assert!(!metalink.checksums.is_empty(), "a metalink that promises nothing");
        check_mirrors(&metalink.mirrors);
    }
}

fn check_mirrors(mirrors: &[String]) {
    for url in mirrors {
        assert!(url.starts_with("https://") || url.starts_with("http://"), "{url:?}");
        assert!(url.ends_with('/') && !url.contains('\n'), "{url:?}");
    }
}

/// Wherever a location leads, it is as secure as the repository; and on its server, unless it is a
/// URL itself.
fn check_place(location: &str) {
    for place in places(&[BASE.to_owned()], location) {
        assert!(place.starts_with("https://"), "{location:?} leads to {place:?}");
        assert!(location.contains("://") || place.starts_with("https://h.example/"), "{place:?}");
    }
}

fn run_primary(bytes: &[u8]) {
    let mut index = Index { repositories: vec!["fuzz".to_owned()], ..Index::default() };
    let may_fetch = |url: &str| !places(&[BASE.to_owned()], url).is_empty();
    let scope = Scope { arch: Arch::X86_64, repository: 0, only: &[], may_fetch: &may_fetch };
    if primary::parse(&mut Decoder::here(), bytes, &record(), &scope, &mut index).is_err() {
        return;
    }
    for package in &index.packages {
        let location = index.location(package);
        check_place(&location);
        assert!(!places(&[BASE.to_owned()], &location).is_empty());
        assert!(Arch::X86_64.accepts(index.text(package.arch)));
    }
    for package in &index.set_aside {
        assert!(package.describe(&index).contains("was set aside"));
    }
    check_choice(&index);
}

fn run_modules(bytes: &[u8]) {
    let Ok(modules) = modules::parse(&mut Decoder::here(), bytes, &record()) else { return };
    for stream in &modules.streams {
        assert!(!stream.module.is_empty() && !stream.stream.is_empty());
    }
    assert!(modules.defaults.keys().all(|module| !module.is_empty()));
    assert!(modules.set_aside.len() < 30, "not all of them are told");
    let mut index = Index { repositories: vec!["fuzz".to_owned()], ..Index::default() };
    let scope = Scope { arch: Arch::X86_64, repository: 0, only: &[], may_fetch: &|_| true };
    let primary = primary_xml().replace("3.el8", "3.module_el8");
    primary::parse(&mut Decoder::here(), primary.as_bytes(), &record(), &scope, &mut index)
        .unwrap();
    index.modules = modules;
    check_choice(&index);
}

/// What the resolver makes of an index.
fn check_choice(index: &Index) {
    let definition = "name = 'a'\ntitle = 'a'\npackage = 'a'\ncommand = []\n";
    let runtime: Runtime = toml::from_str(definition).unwrap();
    let wanted = [Wanted { runtime: &runtime, version: None, local: false, part: Part::Whole }];
    let (dist, host) = (dist(), HostGives::default());
    let target =
        Target { arch: Arch::X86_64, dist: &dist, runtimes: &wanted, host: &host, sources: vec![] };
    match resolve(index, &target) {
        Ok(plan) => {
            assert!(plan.packages.iter().any(|package| package.nevra.name == "a"));
            let _ = (plan.download_size(), plan.installed_size());
        }
        Err(error) => {
            let _ = (error.to_string(), error.hint());
        }
    }
}

fn dist() -> Dist {
    let repository = Repository {
        id: "fuzz".to_owned(),
        arches: Arch::ALL.to_vec(),
        metalink: None,
        mirrorlist: None,
        base: Vec::new(),
        signed_metadata: false,
        keys: Vec::new(),
        modular: false,
        priority: RepositoryPriority::default(),
        cost: RepositoryCost::default(),
        module_hotfixes: false,
        only: Vec::new(),
        runtimes: Vec::new(),
        archive: false,
        enabled: true,
        decided_by: DecidedBy::default(),
        origin: Origin::default(),
    };
    Dist {
        name: "el8".to_owned(),
        title: "EL 8".to_owned(),
        glibc: GlibcVersion { major: 2, minor: 28 },
        maintained_until: "2029-05-31".to_owned(),
        x86_64_level: 1,
        repositories: vec![repository],
        builds: Vec::new(),
    }
}

fn record() -> RepomdRecord {
    RepomdRecord {
        location: "repodata/x".to_owned(),
        checksum: Checksum::of(b""),
        size: None,
        open_checksum: None,
        open_size: Some(OPEN_SIZE),
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let primary = primary_xml();
    let modules = include_str!("seeds/modules.yaml");
    let mut seeds = vec![
        tagged(METALINK, include_str!("seeds/metalink.xml")),
        tagged(MIRRORLIST, "# best first\nhttp://b.example/el8/\nhttps://a.example/el8\n"),
        tagged(REPOMD, include_str!("seeds/repomd.xml")),
        tagged(PRIMARY, &primary),
        tagged(PRIMARY, odd_xml()),
        tagged(REPOMD, include_str!("seeds/odd-repomd.xml")),
        tagged(MODULES, modules),
        tagged(MODULES, include_str!("seeds/styles.yaml")),
    ];
    for compressor in ["gzip", "bzip2", "xz", "zstd"] {
        seeds.push(tagged(PRIMARY, rpms::compress(compressor, primary.as_bytes())));
        seeds.push(tagged(MODULES, rpms::compress(compressor, modules.as_bytes())));
    }
    seeds
}

/// Packages with every oddity that is read or sets one aside.
fn odd_xml() -> String {
    let odd = [
        ("<name>a</name>", ""),
        ("<arch>x86_64</arch>", "<arch>i686</arch><arch>x86_64</arch>"),
        (r#"epoch="1" ver="2.0""#, r#"epoch="x""#),
        (r#"type="sha256""#, r#"type="sha""#),
        (r#"package="10""#, r#"package="-1""#),
        (r#"href="Packages/a.rpm""#, r#"xml:base="https://o.example/p" href="../%41+.rpm?x#y""#),
        (r#"href="Packages/a.rpm""#, r#"href="http://o.example/a.rpm""#),
        (r#"href="Packages/a.rpm""#, r#"xml:base="../../.." href="/a.rpm""#),
        (r#"flags="LT" epoch="0" ver="2""#, r#"flags="NE" epoch="1""#),
        (r#"<rpm:entry name="d"/>"#, r#"<rpm:entry name="d" flags="?"/><rpm:entry/>"#),
    ];
    let change =
        |(from, to)| package("a", "x86_64", "", "<file>bin/a</file>").replacen(from, to, 1);
    format!("<metadata>{}</metadata>", odd.map(change).concat())
}

/// Packages that need each other in every way that there is.
fn primary_xml() -> String {
    let entry = |attributes: &str| format!("<rpm:entry {attributes}/>");
    let requires = [
        r#"name="b" flags="GE" epoch="1" ver="2.0" rel="1""#,
        r#"name="(c if b)""#,
        r#"name="(b &gt;= 1 or c unless a else (b with d))""#,
        r#"name="libz.so.1(ZLIB_1.2)(64bit)""#,
        r#"name="/usr/bin/sh" pre="1""#,
    ];
    let a = package("a", "x86_64", &requires.map(entry).concat(), "<file>/usr/bin/a</file>");
    let b = package("b", "noarch", "", r#"<file type="dir">/etc/b</file>"#);
    let c = package("c", "x86_64", &entry(r#"name="/etc/b""#), "<file>/usr/bin/sh</file>");
    let head = r#"<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" packages="3">"#;
    format!("{head}{a}{b}{c}</metadata>")
}

fn package(name: &str, arch: &str, requires: &str, files: &str) -> String {
    let digest = Checksum::of(name.as_bytes());
    format!(
        r#"<package type="rpm"><name>{name}</name><arch>{arch}</arch>
<version epoch="1" ver="2.0" rel="3.el8"/>
<checksum type="sha256" pkgid="YES">{}</checksum>
<summary>&lt;&#x41;&amp;</summary><description><![CDATA[<b>]]></description>
<time file="1" build="2"/><size package="10" installed="20" archive="30"/>
<location href="Packages/{name}.rpm"/>
<format><rpm:license>MIT</rpm:license>
<rpm:provides><rpm:entry name="{name}" flags="EQ" epoch="1" ver="2.0" rel="3.el8"/>
<rpm:entry name="libz.so.1(ZLIB_1.2)(64bit)"/></rpm:provides>
<rpm:requires>{requires}</rpm:requires>
<rpm:conflicts><rpm:entry name="x" flags="LT" epoch="0" ver="2"/></rpm:conflicts>
<rpm:obsoletes><rpm:entry name="y" flags="LE" epoch="0" ver="2"/></rpm:obsoletes>
<rpm:recommends><rpm:entry name="d"/></rpm:recommends>{files}</format></package>
"#,
        digest.hex()
    )
}
