//! Random situations, the same for the same seed.

use super::scenario::{Offer, Scenario, package, scenario};

/// Sebastiano Vigna's SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True in `percent` of a hundred cases.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

const VERSIONS: [&str; 10] =
    ["1.0~rc1", "1.0", "1.0^git2", "1.1", "1.9", "1.10", "2.0~beta", "2.0", "2.0^p1", "3.0"];
const OPERATORS: [&str; 5] = ["<", "<=", "=", ">=", ">"];

/// What the names of a situation's parts are.
struct Names {
    packages: Vec<String>,
    hosts: Vec<String>,
    virtuals: Vec<String>,
    files: Vec<String>,
}

/// The situation with this seed.
pub(crate) fn situation(seed: u64) -> Scenario {
    let random = &mut Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5eed);
    let count = 6 + random.below(14);
    let names = Names {
        // Letters first, so that the order of names is not that of dependencies.
        packages: (0..count)
            .map(|n| format!("{}{n}", (b'a' + random.below(26) as u8) as char))
            .collect(),
        hosts: (0..random.below(4)).map(|n| format!("host{n}")).collect(),
        virtuals: (0..5).map(|n| format!("virtual{n}")).collect(),
        files: (0..3).map(|n| format!("/usr/bin/file{n}")).collect(),
    };
    let mut case = scenario();
    if random.chance(50) {
        case = case.repository("extra", *random.pick(&[99, 99, 10, 50]));
        case = case.costs(*random.pick(&[1000, 500, 2000]));
    }
    for host in &names.hosts {
        case = case.host_package(host);
        let mut offer = package(&format!("{host}-{}-1", random.pick(&VERSIONS)));
        random_provides(random, &names, &mut offer);
        case.repositories[0].packages.push(offer);
    }
    let mut app = package("app-1-1");
    for _ in 0..2 + random.below(3) {
        let requirement = requirement(random, &names, 0);
        app.requires.push(requirement);
    }
    random_wishes(random, &names, &mut app);
    case.repositories[0].packages.push(app);
    for position in 0..count {
        add_versions(random, &names, position, &mut case);
    }
    add_twins(random, &mut case);
    for repository in &mut case.repositories {
        // As createrepo lists them; dnf's choices depend on it.
        repository.packages.sort_by_key(Offer::nevra);
    }
    if random.chance(25) {
        add_modules(random, &names, &mut case);
    }
    let extra = random.pick(&names.packages);
    if random.chance(25) {
        case = case.extra(&format!("package = {extra:?}"));
    }
    case
}

/// Lets the second repository, if there is one, have some packages of the first, too.
fn add_twins(random: &mut Random, case: &mut Scenario) {
    let [first, second] = &mut case.repositories[..] else { return };
    let is_twin = |offer: &&Offer| !case.host.packages.contains(&offer.name) && random.chance(25);
    second.packages.extend(first.packages.iter().filter(is_twin).cloned());
}

/// Adds one to three versions of the package at `position`.
fn add_versions(random: &mut Random, names: &Names, position: usize, case: &mut Scenario) {
    let name = &names.packages[position];
    let epoch = if random.chance(15) { "1:" } else { "" };
    let mut seen = Vec::new();
    for _ in 0..1 + random.below(3) {
        let epoch = if random.chance(30) { epoch } else { "" };
        let arch = if random.chance(15) { ".noarch" } else { "" };
        let version = format!("{epoch}{}-{}", random.pick(&VERSIONS), 1 + random.below(2));
        if seen.contains(&version) {
            continue;
        }
        let mut offer = package(&format!("{name}-{version}{arch}"));
        seen.push(version);
        random_provides(random, names, &mut offer);
        for _ in 0..random.below(3) {
            if random.chance(65) {
                offer.requires.push(requirement(random, names, position));
            }
        }
        if random.chance(12) {
            offer.conflicts.push(exclusion(random, names, position));
        }
        if random.chance(8) {
            offer.obsoletes.push(named(random, names.packages.get(position..).unwrap()));
        }
        if random.chance(1) {
            offer.obsoletes.push("app".to_owned());
        }
        random_wishes(random, names, &mut offer);
        let repository = random.below(case.repositories.len());
        case.repositories[repository].packages.push(offer);
    }
}

fn random_provides(random: &mut Random, names: &Names, offer: &mut Offer) {
    if random.chance(45) {
        let capability = random.pick(&names.virtuals).clone();
        offer.provides.push(match random.below(4) {
            0 => format!("{capability} = {}", random.pick(&VERSIONS)),
            1 => format!("{capability} = {}-2", random.pick(&VERSIONS)),
            2 => format!("{capability} {} {}", random.pick(&OPERATORS), random.pick(&VERSIONS)),
            _ => capability,
        });
    }
    if random.chance(25) {
        offer.files.push(random.pick(&names.files).clone());
    }
}

/// Adds weak dependencies, of any kind, on any package; mostly such as decide something.
fn random_wishes(random: &mut Random, names: &Names, offer: &mut Offer) {
    let percent = if offer.name == "app" { 70 } else { 12 };
    for (number, relations) in offer.weak.iter_mut().enumerate() {
        if random.chance(percent) {
            relations.push(match random.below(10) {
                0 => rich(random, names, 0, 0),
                1 => named(random, &names.virtuals),
                2 | 3 => named(random, &names.packages),
                4..=7 if number > 1 => "app".to_owned(),
                _ => random.pick(&names.packages).clone(),
            });
        }
    }
}

/// A requirement of the package at `position`: mostly of those after it.
fn requirement(random: &mut Random, names: &Names, position: usize) -> String {
    if random.chance(22) {
        return rich(random, names, position, 0);
    }
    term(random, names, position)
}

/// A requirement without parentheses.
fn term(random: &mut Random, names: &Names, position: usize) -> String {
    let start = if random.chance(90) { (position + 1).min(names.packages.len() - 1) } else { 0 };
    match random.below(20) {
        0..=10 => named(random, names.packages.get(start..).unwrap()),
        11..=15 => named(random, &names.virtuals),
        16 | 17 => random.pick(&names.files).clone(),
        18 if !names.hosts.is_empty() => random.pick(&names.hosts).clone(),
        _ => named(random, &names.packages),
    }
}

/// A name, half of the time with a version, and that mostly one that is easily had.
fn named(random: &mut Random, names: &[String]) -> String {
    let name = random.pick(names);
    match random.below(12) {
        0 => format!("{name} {} {}", random.pick(&OPERATORS), random.pick(&VERSIONS)),
        1 => format!("{name} {} {}-2", random.pick(&OPERATORS), random.pick(&VERSIONS)),
        2 | 3 => format!("{name} >= {}", random.pick(&VERSIONS[..4])),
        4 | 5 => format!("{name} <= {}", random.pick(&VERSIONS[5..])),
        6 if random.chance(50) => format!("{name} >= 1:{}", random.pick(&VERSIONS[..3])),
        _ => name.clone(),
    }
}

/// What a package conflicts with: nothing of the host.
fn exclusion(random: &mut Random, names: &Names, position: usize) -> String {
    let later = names.packages.get(position..).unwrap();
    if random.chance(30) {
        let (left, right) = (named(random, later), named(random, later));
        let operator = random.pick(&["and", "or", "unless", "if"]);
        return format!("({left} {operator} {right})");
    }
    named(random, later)
}

fn rich(random: &mut Random, names: &Names, position: usize, depth: usize) -> String {
    let mut part = || {
        if depth == 0 && random.chance(25) {
            return rich(random, names, position, 1);
        }
        term(random, names, position)
    };
    let (one, two, three) = (part(), part(), part());
    let single = |random: &mut Random| named(random, &names.virtuals);
    match random.below(9) {
        0 => format!("({one} and {two})"),
        1 | 2 => format!("({one} or {two})"),
        3 | 4 => format!("({one} if {two})"),
        5 => format!("({one} if {two} else {three})"),
        6 => format!("({one} unless {two})"),
        7 => format!("({} with {})", single(random), single(random)),
        _ => format!("({} without {})", single(random), random.pick(&names.packages)),
    }
}

/// Makes some packages modular: of one module with two streams, and now and then of another one, which
/// is there in two versions and needs the first.
fn add_modules(random: &mut Random, names: &Names, case: &mut Scenario) {
    let mut artifacts = [Vec::new(), Vec::new()];
    for repository in &mut case.repositories {
        for offer in &mut repository.packages {
            let is_candidate = names.packages.contains(&offer.name);
            if is_candidate && random.chance(30) {
                let stream = random.below(2);
                offer.evr.release = format!("{}.module_s{stream}", offer.evr.release);
                let (name, arch) = (&offer.name, &offer.arch);
                let (epoch, version) = (offer.evr.epoch, &offer.evr.version);
                let artifact = format!("{name}-{epoch}:{version}-{}.{arch}", offer.evr.release);
                artifacts[stream].push(artifact);
            }
        }
    }
    let [first, second] = artifacts.map(|artifacts| artifacts.join(" "));
    let default = random.chance(80);
    *case =
        case.clone().stream("tools", "s0", default, &first).stream("tools", "s1", false, &second);
    if random.chance(30) {
        *case = case.clone().uses_stream("tools", "s1");
    }
    if random.chance(50) {
        add_needing(random, names, case);
    }
}

/// Adds a module whose two versions need streams of the first one. Where that has a default one of
/// them can be had with it: between defaults that contradict each other libsolv's choice is no rule.
fn add_needing(random: &mut Random, names: &Names, case: &mut Scenario) {
    let mut artifacts = [Vec::new(), Vec::new()];
    for offer in case.repositories.iter_mut().flat_map(|repository| &mut repository.packages) {
        let is_plain =
            !offer.evr.release.contains(".module") && names.packages.contains(&offer.name);
        if is_plain && random.chance(25) {
            let version = random.below(2);
            offer.evr.release = format!("{}.module_v{version}", offer.evr.release);
            let Offer { name, evr, arch, .. } = &offer;
            let artifact = format!("{name}-{}:{}-{}.{arch}", evr.epoch, evr.version, evr.release);
            artifacts[version].push(artifact);
        }
    }
    for (version, artifacts) in (1..).zip(artifacts) {
        let has_default = case.modules.iter().any(|stream| stream.default);
        let all = ["s0", "s1", "s2"];
        let needs = *random.pick(if has_default && version == 1 { &all[..1] } else { &all });
        let with = case.clone().stream("needing", "n", true, &artifacts.join(" "));
        *case = with.needing(version, "tools", needs);
    }
}
