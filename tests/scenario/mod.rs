//! Builds an index, a runtime and a target in a few lines, for the tests of the resolver.

// Each test program uses another part of it.
#![allow(dead_code)]

use elsewhere::stages::model::{
    Arch, Artifact, Checksum, Comparison, DecidedBy, DefaultStream, Dist, Evr, Extra, GlibcVersion,
    HostGives, Index, ModuleStream, Modules, NameHash, Origin, Package, PackageLocation, Provide,
    Relation, Repository, RepositoryCost, RepositoryPriority, Runtime, Source, TreePlan, Weak,
};
use elsewhere::stages::resolve::{ResolveError, Target, Wanted, resolve};

/// A package that a scenario offers.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) name: String,
    pub(crate) evr: Evr,
    pub(crate) arch: String,
    pub(crate) requires: Vec<String>,
    pub(crate) provides: Vec<String>,
    pub(crate) conflicts: Vec<String>,
    pub(crate) obsoletes: Vec<String>,
    /// Recommends, suggests, supplements, enhances.
    pub(crate) weak: [Vec<String>; 4],
    pub(crate) files: Vec<String>,
}

/// A package named `NAME-[EPOCH:]VERSION-RELEASE[.ARCH]`; x86_64 unless said.
pub(crate) fn package(nevr: &str) -> Offer {
    let arches = [".noarch", ".i686", ".aarch64", ".x86_64"];
    let arch = arches.into_iter().find(|arch| nevr.ends_with(arch));
    let nevr = nevr.strip_suffix(arch.unwrap_or_default()).unwrap();
    let (rest, release) = nevr.rsplit_once('-').unwrap();
    let (name, version) = rest.rsplit_once('-').unwrap();
    Offer {
        name: name.to_owned(),
        evr: Evr::parse(&format!("{version}-{release}")),
        arch: arch.unwrap_or(".x86_64")[1..].to_owned(),
        requires: Vec::new(),
        provides: Vec::new(),
        conflicts: Vec::new(),
        obsoletes: Vec::new(),
        weak: Default::default(),
        files: Vec::new(),
    }
}

/// The kinds of weak dependencies, in the order of [`Offer::weak`].
pub(crate) const WEAK: [&str; 4] = ["recommends", "suggests", "supplements", "enhances"];

impl Offer {
    pub(crate) fn requires(mut self, relation: &str) -> Self {
        self.requires.push(relation.to_owned());
        self
    }

    pub(crate) fn provides(mut self, relation: &str) -> Self {
        self.provides.push(relation.to_owned());
        self
    }

    pub(crate) fn conflicts(mut self, relation: &str) -> Self {
        self.conflicts.push(relation.to_owned());
        self
    }

    pub(crate) fn obsoletes(mut self, relation: &str) -> Self {
        self.obsoletes.push(relation.to_owned());
        self
    }

    /// Adds a weak dependency of one of the kinds [`WEAK`].
    pub(crate) fn wishes(mut self, kind: &str, relation: &str) -> Self {
        let kind = WEAK.iter().position(|it| *it == kind).unwrap();
        self.weak[kind].push(relation.to_owned());
        self
    }

    pub(crate) fn file(mut self, path: &str) -> Self {
        self.files.push(path.to_owned());
        self
    }

    /// `[EPOCH:]VERSION-RELEASE`
    pub(crate) fn evr(&self) -> String {
        let Evr { epoch, version, release } = &self.evr;
        let epoch = if *epoch == 0 { String::new() } else { format!("{epoch}:") };
        format!("{epoch}{version}-{release}")
    }

    pub(crate) fn nevra(&self) -> String {
        format!("{}-{}.{}", self.name, self.evr(), self.arch)
    }
}

/// A repository and its packages.
#[derive(Clone, Debug)]
pub(crate) struct Offers {
    pub(crate) id: String,
    pub(crate) priority: u8,
    pub(crate) cost: u32,
    pub(crate) only: Vec<String>,
    pub(crate) module_hotfixes: bool,
    pub(crate) packages: Vec<Offer>,
}

/// One version of a module stream.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) module: String,
    pub(crate) stream: String,
    pub(crate) default: bool,
    pub(crate) version: u64,
    /// Modules, each with one stream.
    pub(crate) requires: Vec<(String, String)>,
    pub(crate) artifacts: Vec<String>,
}

/// A whole situation: repositories, host, and runtimes that are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) repositories: Vec<Offers>,
    pub(crate) modules: Vec<Stream>,
    pub(crate) host: HostGives,
    pub(crate) runtimes: Vec<(Runtime, Option<String>, bool)>,
}

/// A scenario in which the runtime `app`, of the package `app`, is wanted, and the only repository
/// is called `base`.
pub(crate) fn scenario() -> Scenario {
    Scenario {
        repositories: Vec::new(),
        modules: Vec::new(),
        host: HostGives::default(),
        runtimes: Vec::new(),
    }
    .repository("base", 99)
    .runtime("app")
}

impl Scenario {
    /// Adds a repository; the packages that follow are in it.
    pub(crate) fn repository(mut self, id: &str, priority: u8) -> Self {
        self.repositories.push(Offers {
            id: id.to_owned(),
            priority,
            cost: 1000,
            only: Vec::new(),
            module_hotfixes: false,
            packages: Vec::new(),
        });
        self
    }

    pub(crate) fn costs(mut self, cost: u32) -> Self {
        self.repositories.last_mut().unwrap().cost = cost;
        self
    }

    pub(crate) fn hotfixes(mut self) -> Self {
        self.repositories.last_mut().unwrap().module_hotfixes = true;
        self
    }

    pub(crate) fn only(mut self, name: &str) -> Self {
        self.repositories.last_mut().unwrap().only.push(name.to_owned());
        self
    }

    pub(crate) fn with(mut self, offer: Offer) -> Self {
        self.repositories.last_mut().unwrap().packages.push(offer);
        self
    }

    /// Adds a module stream; `artifacts` are separated by blanks.
    pub(crate) fn stream(
        mut self,
        module: &str,
        stream: &str,
        default: bool,
        artifacts: &str,
    ) -> Self {
        self.modules.push(Stream {
            module: module.to_owned(),
            stream: stream.to_owned(),
            default,
            version: 1,
            requires: Vec::new(),
            artifacts: artifacts.split_whitespace().map(str::to_owned).collect(),
        });
        self
    }

    /// Of the stream that was added last: its version, and a stream that it needs.
    pub(crate) fn needing(mut self, version: u64, module: &str, stream: &str) -> Self {
        let last = self.modules.last_mut().unwrap();
        last.version = version;
        last.requires.push((module.to_owned(), stream.to_owned()));
        self
    }

    /// Wants another runtime; the extras and streams that follow are its own.
    pub(crate) fn runtime(mut self, name: &str) -> Self {
        let definition =
            format!("name = {name:?}\ntitle = {name:?}\npackage = {name:?}\ncommand = []\n");
        self.runtimes.push((toml::from_str(&definition).unwrap(), None, false));
        self
    }

    fn last(&mut self) -> &mut (Runtime, Option<String>, bool) {
        self.runtimes.last_mut().unwrap()
    }

    pub(crate) fn version(mut self, version: &str) -> Self {
        self.last().1 = Some(version.to_owned());
        self
    }

    pub(crate) fn local(mut self) -> Self {
        self.last().2 = true;
        self
    }

    /// Adds an extra, in TOML.
    pub(crate) fn extra(mut self, definition: &str) -> Self {
        let extra: Extra = toml::from_str(definition).unwrap();
        self.last().0.extras.push(extra);
        self
    }

    /// Follows only the libraries of the package of this name.
    pub(crate) fn libraries_only(mut self, name: &str) -> Self {
        self.last().0.libraries_only.push(name.to_owned());
        self
    }

    pub(crate) fn uses_stream(mut self, module: &str, stream: &str) -> Self {
        self.last().0.streams.insert(module.to_owned(), stream.to_owned());
        self
    }

    pub(crate) fn host_package(mut self, name: &str) -> Self {
        self.host.packages.push(name.to_owned());
        self
    }

    pub(crate) fn host_capability(mut self, pattern: &str) -> Self {
        self.host.capabilities.push(pattern.to_owned());
        self
    }

    pub(crate) fn host_library(mut self, pattern: &str) -> Self {
        self.host.libraries.push(pattern.to_owned());
        self
    }

    pub(crate) fn index(&self) -> Index {
        let mut index = Index { modules: self.modules(), ..Index::default() };
        for (number, repository) in self.repositories.iter().enumerate() {
            index.repositories.push(repository.id.clone());
            for offer in &repository.packages {
                let package = entry(&mut index, offer, u16::try_from(number).unwrap());
                index.packages.push(package);
            }
        }
        index
    }

    fn modules(&self) -> Modules {
        let mut modules = Modules::default();
        for Stream { module, stream, default, version, requires, artifacts } in &self.modules {
            let needs =
                |(module, stream): &(String, String)| (module.clone(), vec![stream.clone()]);
            modules.streams.push(ModuleStream {
                module: module.clone(),
                stream: stream.clone(),
                version: *version,
                requires: requires.iter().map(needs).collect(),
                artifacts: artifacts.iter().filter_map(|text| Artifact::parse(text)).collect(),
                demodularized: Vec::new(),
            });
            if *default {
                let stream = Some(stream.clone());
                let default = DefaultStream { stream, ..DefaultStream::default() };
                modules.defaults.insert(module.clone(), default);
            }
        }
        modules
    }

    pub(crate) fn dist(&self) -> Dist {
        let repository = |offers: &Offers| Repository {
            id: offers.id.clone(),
            arches: Arch::ALL.to_vec(),
            metalink: None,
            mirrorlist: None,
            base: Vec::new(),
            signed_metadata: false,
            keys: Vec::new(),
            modular: false,
            priority: RepositoryPriority(offers.priority),
            cost: RepositoryCost(offers.cost),
            module_hotfixes: offers.module_hotfixes,
            only: offers.only.clone(),
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
            repositories: self.repositories.iter().map(repository).collect(),
            builds: Vec::new(),
        }
    }

    pub(crate) fn plan(&self) -> Result<TreePlan, ResolveError> {
        self.plan_of(&self.index())
    }

    pub(crate) fn plan_of(&self, index: &Index) -> Result<TreePlan, ResolveError> {
        let wanted: Vec<Wanted> = self
            .runtimes
            .iter()
            .map(|(runtime, version, local)| Wanted {
                runtime,
                version: version.as_deref(),
                local: *local,
                part: elsewhere::stages::resolve::Part::Whole,
            })
            .collect();
        let source = |offers: &Offers| Source {
            id: offers.id.clone(),
            base: vec![format!("https://example.org/{}/", offers.id)],
            metadata: None,
            keys: Vec::new(),
        };
        let target = Target {
            arch: Arch::X86_64,
            dist: &self.dist(),
            runtimes: &wanted,
            host: &self.host,
            sources: self.repositories.iter().map(source).collect(),
        };
        resolve(index, &target)
    }

    /// All of it, a package a line, for a failing test to show.
    pub(crate) fn show(&self) -> String {
        let mut text = format!("host {:?}\n", self.host.packages);
        for (runtime, version, _) in &self.runtimes {
            text += &format!(
                "{} {version:?} {:?} {:?}\n",
                runtime.name, runtime.extras, runtime.streams
            );
        }
        for repository in &self.repositories {
            text += &format!("{} priority {}\n", repository.id, repository.priority);
            for offer in &repository.packages {
                let lists = [
                    ("requires", &offer.requires),
                    ("provides", &offer.provides),
                    ("conflicts", &offer.conflicts),
                    ("obsoletes", &offer.obsoletes),
                    ("files", &offer.files),
                ];
                text += &format!("  {}", offer.nevra());
                let lists = lists.into_iter().chain(WEAK.into_iter().zip(&offer.weak));
                for (name, list) in lists.filter(|(_, list)| !list.is_empty()) {
                    text += &format!(" {name} {list:?}");
                }
                text.push('\n');
            }
        }
        text
    }

    /// The chosen packages' full names, separated by blanks.
    pub(crate) fn chooses(&self) -> String {
        match self.plan() {
            Ok(plan) => {
                let names = plan.packages.iter().map(|package| package.nevra.to_string());
                names.collect::<Vec<_>>().join(" ").replace(".x86_64", "")
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The message of the error, and its hint.
    pub(crate) fn fails(&self) -> String {
        match self.plan() {
            Ok(plan) => panic!("{plan:#?}"),
            Err(error) => error.to_string(),
        }
    }
}

/// An offer as the index holds it; every package provides its own name and version.
fn entry(index: &mut Index, offer: &Offer, repository: u16) -> Package {
    let own = format!("{} = {}", offer.name, offer.evr());
    let provides: Vec<String> = offer.provides.iter().cloned().chain([own]).collect();
    let mut relations = |texts: &[String]| -> Box<[Relation]> {
        texts.iter().map(|text| relation(index, text)).collect()
    };
    let [requires, conflicts, obsoletes] =
        [&offer.requires, &offer.conflicts, &offer.obsoletes].map(|t| relations(t));
    let [recommends, suggests, supplements, enhances] = offer.weak.each_ref().map(|t| relations(t));
    let provides = provides.iter().map(|text| {
        let (name, comparison, evr) = parts(text);
        let evr = evr.map(|evr| index.strings.intern(evr));
        Provide { name: NameHash::of(name), comparison, evr }
    });
    let provides = provides.collect();
    let files = offer.files.iter().map(|file| NameHash::of(file)).collect();
    Package {
        name: index.strings.intern(&offer.name),
        arch: index.strings.intern(&offer.arch),
        evr: index.strings.intern(&offer.evr.as_text()),
        repository,
        location: PackageLocation::Other(format!("Packages/{}.rpm", offer.nevra()).into()),
        size: 1000,
        installed_size: 3000,
        checksum: Checksum::of(offer.nevra().as_bytes()),
        requires,
        provides,
        conflicts,
        obsoletes,
        weak: Weak { recommends, suggests, supplements, enhances }.boxed(),
        files,
    }
}

/// `name`, `name >= evr`, or a rich dependency.
pub(crate) fn relation(index: &mut Index, text: &str) -> Relation {
    let (name, comparison, evr) = parts(text);
    Relation {
        name: index.strings.intern(name),
        comparison,
        evr: evr.map(|evr| index.strings.intern(evr)),
    }
}

/// The parts of a relation's text.
pub(crate) fn parts(text: &str) -> (&str, Comparison, Option<&str>) {
    let words: Vec<&str> = text.split(' ').collect();
    let [name, operator, evr] = words[..] else { return (text, Comparison::Any, None) };
    if text.starts_with('(') {
        return (text, Comparison::Any, None);
    }
    let comparison = match operator {
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        "=" => Comparison::Equal,
        ">=" => Comparison::GreaterOrEqual,
        ">" => Comparison::Greater,
        other => panic!("{other} is no operator"),
    };
    (name, comparison, Some(evr))
}
