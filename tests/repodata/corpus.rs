//! A corpus of packages with every oddity, made by mutation: what is read of one says nothing about
//! the others, and is what libsolv and createrepo_c read of it.
//!
//! `ELSEWHERE_MUTATIONS=10000` makes so many documents instead of some hundred.

use std::collections::BTreeSet;

use elsewhere::stages::model::{Evr, Index, NameHash, Package, Relation, Weak};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::document::{document, read};
use super::mutation::{Element, mutate, package};

/// Documents that are made where nobody says how many.
const USUAL: usize = 300;
/// Packages in each.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A document with one package that was changed.
pub(crate) struct Case {
    pub(crate) xml: String,
    /// The entry of the package that was changed.
    pub(crate) entry: String,
    /// The place of the package that was changed, and what was.
    pub(crate) changed: usize,
    pub(crate) how: Vec<&'static str>,
    pub(crate) is_doubled: bool,
}

/// Cases, the same in every run.
pub(crate) fn cases() -> impl Iterator<Item = Case> {
    let count = std::env::var("ELSEWHERE_MUTATIONS").ok().and_then(|count| count.parse().ok());
    (0..count.unwrap_or(USUAL)).map(|seed| {
        let mut random = StdRng::seed_from_u64(seed as u64);
        let mut packages: Vec<Element> = NAMES.iter().map(|name| package(name)).collect();
        let changed = random.gen_range(0..packages.len());
        let times = random.gen_range(1..4);
        let how = (0..times).map(|_| mutate(&mut packages[changed], &mut random)).collect();
        let (mut xml, mut entry) = (String::new(), String::new());
        packages.iter().for_each(|package| package.write(&mut xml));
        packages[changed].write(&mut entry);
        let is_doubled = packages[changed].is_doubled();
        Case { xml: document(&xml), entry, changed, how, is_doubled }
    })
}

/// Relations as text, each once.
pub(crate) type Relations = BTreeSet<String>;

/// Everything that is read of a package, in words that do not depend on its index.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) name: String,
    pub(crate) arch: String,
    pub(crate) evr: String,
    pub(crate) location: String,
    pub(crate) checksum: String,
    pub(crate) size: u64,
    pub(crate) installed: u64,
    pub(crate) relations: [Relations; 7],
    pub(crate) provides: BTreeSet<(NameHash, String)>,
    pub(crate) files: BTreeSet<NameHash>,
}

/// What was read of a package.
pub(crate) fn view(index: &Index, package: &Package) -> View {
    let all = |relations: &[Relation]| relations.iter().map(|it| index.display(it)).collect();
    let weak = package.weak.as_deref().cloned().unwrap_or_default();
    let Weak { recommends, suggests, supplements, enhances } = &weak;
    let relations = [
        &package.requires,
        &package.conflicts,
        &package.obsoletes,
        recommends,
        suggests,
        supplements,
        enhances,
    ];
    let provides = package.provides.iter().map(|provide| {
        let evr =
            provide.evr.map(|evr| format!("{} {}", provide.comparison.as_str(), index.text(evr)));
        (provide.name, evr.unwrap_or_default())
    });
    View {
        name: index.text(package.name).to_owned(),
        arch: index.text(package.arch).to_owned(),
        evr: Evr::from(index.evr(package)).as_text(),
        location: index.location(package).into_owned(),
        checksum: package.checksum.to_string(),
        size: package.size,
        installed: package.installed_size,
        relations: relations.map(|relations| all(relations)),
        provides: provides.collect(),
        files: package.files.iter().copied().collect(),
    }
}

/// The packages of a document, read or set aside, in its order as far as that is kept.
pub(crate) fn views(xml: &str) -> (Vec<View>, usize) {
    let index = read(xml).unwrap_or_else(|error| panic!("{error}:\n{xml}"));
    let views = index.packages.iter().map(|package| view(&index, package)).collect();
    (views, index.set_aside.len())
}

#[test]
fn no_package_changes_what_is_read_of_another() {
    let mut plain = String::new();
    NAMES.iter().for_each(|name| package(name).write(&mut plain));
    let (plain, aside) = views(&document(&plain));
    assert_eq!((plain.len(), aside), (NAMES.len(), 0));
    let (mut count, mut kept, mut aside) = (0, 0, 0);
    for case in cases() {
        let (mut read, set_aside) = views(&case.xml);
        assert!(read.len() + set_aside <= NAMES.len(), "{:?}:\n{}", case.how, case.entry);
        if read.len() == NAMES.len() {
            read.remove(case.changed);
            kept += 1;
        }
        let others = plain.iter().enumerate().filter(|(at, _)| *at != case.changed);
        let others: Vec<&View> = others.map(|(_, view)| view).collect();
        assert_eq!(read.iter().collect::<Vec<_>>(), others, "{:?}:\n{}", case.how, case.entry);
        count += 1;
        aside += set_aside;
    }
    println!("{count} mutations: {kept} packages kept, {aside} set aside");
}
