//! `elsewhere doctor`: will it work here, and if not, what is to be typed or who is to be asked?

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::installation::Installation;
use super::options::{Definitions, Output};
use super::parts;
use crate::catalog::Catalog;
use crate::context::Context;
use crate::doctor::{
    self, Diagnosis, DistFacts, InstalledFacts, Observation, Outlook, Possible, Probe, State,
    Subject, Verdict,
};
use crate::error::Error;
use crate::host::Host;
use crate::lifecycle::{self, Whole};
use crate::model::{Ability, Loading, Receipt, RelPath, Request, Runtime, escape};
use crate::report::Reporter;
use crate::terminal::{Form, Page, Terminal};
use crate::workshop::MadeTree;

/// Say what works on this machine, and what helps where something does not
///
/// Tries what container runtimes do (make a user namespace, map ids, mount file systems, read the
/// user's name) and looks at the prefix, the C library, the processor, limits and the way to the
/// network. Changes nothing, connects to nothing and needs no root: run it as the user, and on the
/// machine, that will run containers. Ends with status 7 when something is broken.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere doctor                                 before an install
  elsewhere doctor ~/apptainer                     with what is installed
  elsewhere doctor --fix-commands ~/apptainer      what to ask the administrator for
  srun elsewhere doctor --json /sw/apptainer       on a worker node, for a program")]
pub(super) struct Doctor {
    /// Runtime whose abilities are judged [default: those installed, or what `install` takes]
    #[arg(short, long = "runtime", value_name = "NAME", value_delimiter = ',')]
    runtimes: Vec<String>,
    /// Print only the commands for the administrator, with their price in security
    #[arg(long, conflicts_with = "json")]
    fix_commands: bool,
    /// Wait so many seconds for checks that do not answer
    #[arg(long, value_name = "SECONDS", default_value_t = 0.25)]
    wait: f64,
    #[command(flatten)]
    definitions: Definitions,
    #[command(flatten)]
    pub(super) output: Output,
    /// Where the runtime is, or will be, installed; or a tree that was copied out of a prefix
    #[arg(value_name = "PREFIX")]
    prefix: Option<PathBuf>,
}

/// The part of a doctor's child process, where the command line asks for that: no command of users',
/// and so in no help and no completions.
pub(super) fn asked_probe(host: &Host) -> Option<Probe> {
    let mut words = host.arguments().skip(1);
    let is_child = words.next()? == Probe::COMMAND;
    Probe::parse(words.next()?.to_str()?).filter(|_| is_child)
}

/// Plays that part.
pub(super) fn run_probe(probe: Probe, host: &Host) {
    let terminal = Output::default().terminal(host, Arc::default(), Form::Lines);
    doctor::probe(probe, &|step, number| terminal.output(format_args!("{step} {number}")));
}

impl Doctor {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let catalog = self.definitions.catalog(host)?;
        let patience = Duration::try_from_secs_f64(self.wait)
            .map_err(|_| Error::Usage(format!("--wait {} is no time in seconds", self.wait)))?;
        let path = self.prefix.as_ref().map(|path| host.absolute(path));
        let mut patient = Patient::new(host, &catalog, path.as_deref(), &self.runtimes)?;
        patient.check_tree(terminal);
        for name in &patient.undefined {
            terminal.warning(format!(
                "{}: no definition here says what it needs: name their directory with --repos",
                escape(name)
            ));
        }
        let observations = doctor::examine(&patient.subject, patience);
        let diagnosis = patient.diagnosis(&catalog, observations);
        let mut page = Page::new(terminal.width(), host.stdout_colour());
        if self.output.json {
            terminal.output_json(&diagnosis);
        } else if self.fix_commands {
            commands(&mut page, &diagnosis);
            terminal.output_page(&page);
        } else {
            text(&mut page, &diagnosis);
            terminal.output_page(&page);
        }
        let broken: Vec<&str> = diagnosis.broken().map(|finding| finding.check).collect();
        // Who asks for commands, or reads JSON, has the answer already.
        if broken.is_empty() || self.fix_commands { Ok(()) } else { Err(Error::Unwell(broken)) }
    }
}

/// Says as warnings, at the end of a run, what would make an install at `path` useless. What cannot
/// be found out is not said.
pub(super) fn warn(host: &Host, context: Context<'_>, path: &Path, request: &Request) {
    if host.facts().arch.is_none_or(|arch| !request.arches.contains(&arch)) {
        return;
    }
    let names: Vec<String> = request.runtimes.iter().map(|runtime| runtime.name.clone()).collect();
    let Ok(patient) = Patient::new(host, context.catalog, Some(path), &names) else { return };
    let observations = doctor::examine_before_install(&patient.subject, PATIENCE);
    let diagnosis = patient.diagnosis(context.catalog, observations);
    let broken: Vec<String> = diagnosis
        .broken()
        .map(|finding| format!("{}: {}", finding.check, finding.meaning))
        .collect();
    if !broken.is_empty() {
        context.reporter.warning(format!(
            "{} What helps: elsewhere doctor {}",
            broken.join(" "),
            parts::typed(path)
        ));
    }
}

/// Who and what is here, for a run that makes trees at `path`; `None` where that cannot be told.
pub(super) fn subject(host: &Host, catalog: &Catalog, path: &Path) -> Option<Arc<Subject>> {
    Patient::new(host, catalog, Some(path), &[]).ok().map(|patient| patient.subject)
}

/// Refuses to begin where trees for this machine could not be run: before anything is fetched. What
/// cannot be found out is not refused.
///
/// # Errors
/// When the file system of `subject`'s prefix is mounted noexec.
pub(super) fn check_place(subject: Option<&Arc<Subject>>) -> Result<(), Error> {
    let Some(subject) = subject else { return Ok(()) };
    let observations = doctor::examine_some(subject, &["prefix"], PATIENCE);
    match observations.into_iter().find(|found| found.cause == doctor::NOEXEC) {
        None => Ok(()),
        Some(found) => Err(Error::NoExec { evidence: found.evidence }),
    }
}

/// How long an install waits for the checks.
const PATIENCE: Duration = Duration::from_millis(250);

/// Where trees keep their libraries whose receipts do not say it.
const USUAL_LIBRARIES: &str = "lib64";

/// Who is examined, and for which runtimes.
pub(super) struct Patient<'a> {
    pub(super) subject: Arc<Subject>,
    runtimes: Vec<&'a Runtime>,
    /// Installed runtimes of which no definition says what they can do.
    undefined: Vec<String>,
    prefix: Option<Whole>,
    /// What is installed.
    live: Option<MadeTree>,
    /// How its programs find their libraries.
    loading: Loading,
}

impl<'a> Patient<'a> {
    /// The machine, the user, and what is at `path`. Where no runtime is named, those installed
    /// there are meant.
    ///
    /// # Errors
    /// When a runtime is unknown, or the prefix cannot be read.
    pub(super) fn new(
        host: &Host,
        catalog: &'a Catalog,
        path: Option<&Path>,
        names: &[String],
    ) -> Result<Self, Error> {
        let arch = host.facts().arch;
        // A prefix, unless something else is there; there may be nothing yet.
        let at = path.map(Installation::at);
        let is_other =
            at.as_ref().is_some_and(|it| !matches!(it, Ok(Installation::Prefix(_)) | Err(_)));
        let prefix = path.filter(|_| !is_other).map(Whole::create).transpose()?;
        let live = match (at, &prefix, arch) {
            (Some(Ok(Installation::Tree(tree))), ..) => Some(tree)
                .filter(|it| arch == Some(it.receipt.arch))
                .map(|it| (it.path, it.receipt)),
            (Some(Ok(Installation::Version(version))), _, Some(arch)) => {
                let trees = version.trees()?.into_iter().map(|(_, it)| (it.path, it.receipt));
                let trees = trees.filter(|(_, receipt)| receipt.arch == arch);
                lifecycle::fittest(catalog, trees.collect(), host.facts())
            }
            (_, Some(whole), Some(arch)) => whole.launched(catalog, arch, host.facts())?,
            _ => None,
        };
        let (mut names, mut undefined) = (names.to_vec(), Vec::new());
        if let (Some((_, receipt)), true) = (&live, names.is_empty()) {
            names.extend(receipt.runtimes.iter().map(|runtime| runtime.name.clone()));
            undefined.extend(names.iter().filter(|name| catalog.runtime(name).is_err()).cloned());
        } else if names.is_empty() {
            names.push(catalog.default_runtime()?.name.clone());
        }
        // Of what is installed and has no definition here, nothing is known that it could not do.
        names.retain(|name| !undefined.contains(name));
        let runtimes: Vec<&Runtime> =
            names.iter().map(|name| catalog.runtime(name)).collect::<Result<_, _>>()?;
        let loading = live.as_ref().and_then(|(_, receipt)| receipt.all_loading());
        let live = live.map(|(path, receipt)| MadeTree { path, receipt });
        let installed = live.as_ref().map(|tree| installed(catalog, &runtimes, tree));
        let subject = Subject {
            root: PathBuf::from("/"),
            facts: host.facts().clone(),
            executable: host.executable(),
            user_id: host.user_id(),
            search_path: host.search_path(),
            prefix: path.map(Path::to_owned),
            installed,
            dists: dists(catalog, host),
            temporary_dir: host.temporary_dir(),
            drivers: catalog.drivers().kinds.clone(),
            cdi_directories: host.cdi_directories(),
            network_variables: host.network_variables(),
        };
        let loading = loading.unwrap_or_default();
        Ok(Self { subject: Arc::new(subject), runtimes, undefined, prefix, live, loading })
    }

    /// Lets what is installed be run, and its libraries be loaded, where these are as they were made and
    /// nobody else can have made them otherwise.
    fn check_tree(&mut self, reporter: &dyn Reporter) {
        let Some(tree) = &self.live else { return };
        let Some(subject) = Arc::get_mut(&mut self.subject) else { return };
        if let Some(installed) = &mut subject.installed {
            let directories = library_directories(&tree.receipt);
            let user = subject.user_id;
            installed.distrust =
                lifecycle::distrust(tree, &directories, doctor::GETSUBIDS, user, reporter);
        }
    }

    /// What the observations mean for the runtimes.
    pub(super) fn diagnosis(&self, catalog: &Catalog, observations: Vec<Observation>) -> Diagnosis {
        let distribution = &self.subject.facts.distribution;
        let mut abilities: Vec<Ability> = Vec::new();
        for ability in self.runtimes.iter().flat_map(|runtime| &runtime.abilities) {
            if !abilities.contains(ability) {
                abilities.push(ability.clone());
            }
        }
        let remedy = |cause: &str| catalog.remedy(cause, distribution);
        Diagnosis::new(&self.subject, observations, &abilities, &remedy, &self.known())
    }

    /// What placeholders of remedies stand for that no check knows.
    fn known(&self) -> BTreeMap<&'static str, String> {
        let programs = self.runtimes.iter().flat_map(|runtime| &runtime.namespace_programs);
        let programs: Vec<&RelPath> = programs.map(|path| self.loading.started(path)).collect();
        let mut known = BTreeMap::from([("profile", "elsewhere".to_owned())]);
        if let Some(prefix) = &self.prefix {
            known.insert("programs", one_of(&prefix.everywhere(&programs)));
            let plain =
                |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
            let path = prefix.prefix().path().to_string_lossy().replace('/', ".");
            known.insert("profile", format!("elsewhere{}", path.replace(|c| !plain(c), "_")));
        }
        known
    }
}

/// An AppArmor pattern for any of `patterns`.
fn one_of(patterns: &[String]) -> String {
    match patterns {
        [pattern] => pattern.clone(),
        patterns => format!("{{{}}}", patterns.join(",")),
    }
}

fn installed(
    catalog: &Catalog,
    runtimes: &[&Runtime],
    MadeTree { path: tree, receipt }: &MadeTree,
) -> InstalledFacts {
    let faces = |package: &Option<String>| {
        let Some(package) = package else { return false };
        runtimes.iter().any(|runtime| runtime.container_facing.contains(package))
    };
    let files = receipt.all_files().into_iter().filter(|file| faces(&file.package));
    let directories = library_directories(receipt);
    InstalledFacts {
        library_directories: directories.iter().map(|path| tree.join(path)).collect(),
        container_facing: files.map(|file| tree.join(file.path.as_str())).collect(),
        tree: tree.clone(),
        arch: receipt.arch,
        glibc_needed: receipt.glibc_needed,
        x86_64_level: match &receipt.made_with {
            Some(with) => with.x86_64_level,
            None => catalog.dist(&receipt.dist).map_or(1, |dist| dist.x86_64_level),
        },
        distrust: Some("it was not verified".to_owned()),
    }
}

/// Where the programs of the tree look for libraries.
fn library_directories(receipt: &Receipt) -> Vec<String> {
    match &receipt.loading {
        Some(loading) => loading.directories.iter().map(|it| it.as_str().to_owned()).collect(),
        None => vec![USUAL_LIBRARIES.to_owned()],
    }
}

fn dists(catalog: &Catalog, host: &Host) -> Vec<DistFacts> {
    let today = host.today();
    let Some(arch) = host.facts().arch else { return Vec::new() };
    let has_packages = catalog.dists().filter(|dist| dist.repositories_for(arch).next().is_some());
    has_packages
        .map(|dist| DistFacts {
            name: dist.name.clone(),
            glibc: dist.glibc,
            x86_64_level: dist.x86_64_level,
            is_maintained: dist.maintained_until >= today,
        })
        .collect()
}

/// The diagnosis for people.
fn text(page: &mut Page, diagnosis: &Diagnosis) {
    for finding in &diagnosis.findings {
        let state = page.paint(state_word(finding.state), state_colour(finding.state), 7);
        if page.is_narrow() {
            page.painted_line(&state, &format!("  {}", finding.check));
            page.wrap("    ", "    ", &finding.evidence);
        } else {
            let indent = " ".repeat(26);
            let check = format!("  {:<15}  ", finding.check);
            page.painted_wrap(&state, &check, &indent, &finding.evidence);
        }
    }
    for finding in diagnosis.troubles() {
        page.line("");
        describe(page, finding);
    }
    if !diagnosis.outlook.is_empty() {
        page.line("");
        page.line("On this machine:");
    }
    for outlook in &diagnosis.outlook {
        let (word, tint) = possible(outlook);
        let word = page.paint(word, tint, 7);
        let mut line = outlook.ability.clone();
        if outlook.possible != Possible::Yes {
            let _ = write!(line, " ({})", outlook.because.join(", "));
        }
        if !outlook.otherwise.is_empty() {
            let _ = write!(line, ": {}", outlook.otherwise);
        }
        page.painted_wrap(&word, "  ", "         ", &line);
    }
}

/// One trouble: what it means, what to do, whom to ask.
fn describe(page: &mut Page, finding: &Verdict) {
    let check = page.paint(finding.check, "1", 0);
    page.painted_wrap(&check, ": ", "  ", &finding.meaning);
    if !finding.user.is_empty() {
        page.wrap("  You: ", "    ", &finding.user);
    }
    if finding.commands.is_empty() {
        return;
    }
    page.line("  An administrator, as root:");
    for command in &finding.commands {
        page.line(&format!("    {command}"));
    }
    if !finding.trade_off.is_empty() {
        page.wrap("  The price: ", "    ", &finding.trade_off);
    }
}

/// The commands for the administrator, as a script: what they are for in comments.
fn commands(page: &mut Page, diagnosis: &Diagnosis) {
    let mut is_empty = true;
    for finding in diagnosis.troubles().filter(|finding| !finding.commands.is_empty()) {
        page.wrap("# ", "# ", &format!("{}: {}", finding.check, finding.meaning));
        page.wrap("# ", "# ", &format!("The price: {}", finding.trade_off));
        for command in &finding.commands {
            page.line(command);
        }
        page.line("");
        is_empty = false;
    }
    if is_empty {
        page.line("# Nothing that an administrator could mend.");
    }
}

fn state_word(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Unknown => "unknown",
        State::Limited => "limited",
        State::Broken => "broken",
    }
}

fn state_colour(state: State) -> &'static str {
    match state {
        State::Ok => "32",
        State::Unknown => "36",
        State::Limited => "33",
        State::Broken => "31",
    }
}

fn possible(outlook: &Outlook) -> (&'static str, &'static str) {
    match outlook.possible {
        Possible::Yes => ("yes", "32"),
        Possible::Limited => ("limited", "33"),
        Possible::No => ("no", "31"),
        Possible::Unknown => ("unknown", "36"),
    }
}
