//! `elsewhere runtime-config`: the settings of an installed runtime.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::installation;
use super::options::{Definitions, Output};
use super::owners;
use super::parts::typed;
use crate::error::Error;
use crate::host::Host;
use crate::model::{Arch, RuntimeConfig, escape};
use crate::owned::Owners;
use crate::planning::definitions;
use crate::prefix::PrefixError;
use crate::publish::Published;
use crate::runtime_config::{self, Knowledge, RuntimeConfigError, Values};
use crate::shadow::Shadow;
use crate::terminal::Terminal;
use crate::workshop::MadeTree;

/// Read, change and check the settings of an installed runtime
///
/// Runtimes pass over settings that they do not know without a word, so a misspelt one protects nobody. These commands know which
/// there are: they run the runtime's own program in PREFIX for that, as its launcher would, so only for a prefix whose programs
/// you would run. PREFIX is a prefix, a shadow, or a published version, which can only be read.
#[derive(Debug, Args)]
pub(super) struct RuntimeConfigCommand {
    #[command(subcommand)]
    command: Inner,
}

#[derive(Debug, Subcommand)]
enum Inner {
    Get(Get),
    Set(Set),
    Diff(Diff),
    Check(Check),
}

/// Where the settings are.
#[derive(Debug, Args)]
struct Place {
    /// Of this runtime [default: the only one that has settings]
    #[arg(short, long, value_name = "NAME")]
    runtime: Option<String>,
    /// For this architecture only [default: all]
    #[arg(short, long, value_name = "ARCH")]
    arch: Option<Arch>,
    #[command(flatten)]
    definitions: Definitions,
    #[command(flatten)]
    output: Output,
    /// Prefix, shadow, or published version
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
}

/// Show a setting, or all of them, as the runtime understands them
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere runtime-config get ~/apptainer
  elsewhere runtime-config get ~/apptainer 'bind path'")]
struct Get {
    #[command(flatten)]
    place: Place,
    /// The setting; none: all
    #[arg(value_name = "KEY")]
    key: Option<String>,
}

/// Change a setting
///
/// Nothing is written unless the runtime knows the setting and takes the value. The file is replaced in one step; all its other
/// lines stay as they are.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere runtime-config set ~/apptainer 'mount home' no
  elsewhere runtime-config set ~/apptainer 'bind path' /etc/hosts /scratch    in place of all others
  elsewhere runtime-config set --add ~/apptainer 'bind path' /scratch
  elsewhere runtime-config set --unset ~/apptainer 'bind path'                the default again")]
struct Set {
    /// Beside the values that it has
    #[arg(long, conflicts_with = "unset")]
    add: bool,
    /// Not set any more
    #[arg(long, conflicts_with = "values")]
    unset: bool,
    #[command(flatten)]
    place: Place,
    /// The setting
    #[arg(value_name = "KEY")]
    key: String,
    /// Its value, or its values
    #[arg(value_name = "VALUE", required_unless_present = "unset", allow_hyphen_values = true)]
    values: Vec<String>,
}

/// Show which settings are not what they are by default
#[derive(Debug, Args)]
struct Diff {
    #[command(flatten)]
    place: Place,
}

/// Find lines that mean nothing to the runtime, and values that it does not take
///
/// Exit status 2 says that there are some.
#[derive(Debug, Args)]
struct Check {
    #[command(flatten)]
    place: Place,
}

/// The settings of one tree.
struct Subject {
    place: String,
    file: PathBuf,
    text: String,
    tree: PathBuf,
    config: RuntimeConfig,
}

impl RuntimeConfigCommand {
    fn place(&self) -> &Place {
        match &self.command {
            Inner::Get(command) => &command.place,
            Inner::Set(command) => &command.place,
            Inner::Diff(command) => &command.place,
            Inner::Check(command) => &command.place,
        }
    }

    /// What is shown, and how.
    pub(super) fn output(&self) -> &Output {
        &self.place().output
    }

    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let place = self.place();
        let subjects = place.subjects(host)?;
        let knowledge = learn(&subjects, host)?;
        match &self.command {
            Inner::Get(Get { key, .. }) => {
                get(place, &subjects, &knowledge, key.as_deref(), terminal)
            }
            Inner::Set(command) => {
                let path = host.absolute(&place.prefix);
                if Published::at(&path)?.is_some() {
                    return Err(PrefixError::Published { path }.into());
                }
                let owners = owners::by_files(host)?;
                command.execute((&subjects, &owners), &knowledge, terminal)
            }
            Inner::Diff(_) => diff(place, &subjects, &knowledge, terminal),
            Inner::Check(_) => check(place, &subjects, &knowledge, terminal),
        }
    }
}

impl Place {
    /// The settings that are meant, of each tree.
    fn subjects(&self, host: &Host) -> Result<Vec<Subject>, Error> {
        let path = host.absolute(&self.prefix);
        let catalog = self.definitions.catalog(host)?;
        let mut subjects = Vec::new();
        for (place, MadeTree { path: tree, receipt }) in trees(&path)? {
            if self.arch.is_some_and(|arch| arch != receipt.arch) {
                continue;
            }
            for runtime in definitions::made_with(&catalog, &receipt)?.runtimes {
                // Trees that were made before definitions said it.
                let known = catalog.runtime(&runtime.name).ok();
                let config = runtime.config.or_else(|| known.and_then(|it| it.config.clone()));
                let is_meant = self.runtime.as_ref().is_none_or(|name| *name == runtime.name);
                let Some(config) = config.filter(|_| is_meant) else { continue };
                let file = tree.join(&config.path);
                let text = runtime_config::read(&file)?;
                let (place, tree) = (place.clone(), tree.clone());
                subjects.push((runtime.name, Subject { place, file, text, tree, config }));
            }
        }
        if let [(first, _), rest @ ..] = subjects.as_slice()
            && let Some((other, _)) = rest.iter().find(|(name, _)| name != first)
        {
            let (first, other) = (escape(first), escape(other));
            return Err(Error::Usage(format!("{first} and {other} have settings: name one by -r")));
        }
        match subjects.is_empty() {
            true => Err(RuntimeConfigError::None { path }.into()),
            false => Ok(subjects.into_iter().map(|(_, subject)| subject).collect()),
        }
    }
}

/// The trees of the prefix, shadow or version at `path`, each with where it lies.
fn trees(path: &Path) -> Result<Vec<(String, MadeTree)>, Error> {
    let Some(shadow) = Shadow::at(path)? else {
        let placed = installation::placed_trees(path)?.into_iter();
        return Ok(placed.map(|placed| (placed.place.to_string(), placed.tree)).collect());
    };
    let mut trees = Vec::new();
    for recorded in &shadow.record.trees {
        let original = MadeTree::open(Path::new(&recorded.tree))?;
        let tree = original.map(|tree| MadeTree { path: shadow.tree(&recorded.place), ..tree });
        trees.extend(tree.map(|tree| (recorded.place.to_string(), tree)));
    }
    Ok(trees)
}

/// What the first program that runs here knows; trees for other machines have programs that do not.
fn learn(subjects: &[Subject], host: &Host) -> Result<Knowledge, Error> {
    let mut last = None;
    for subject in subjects {
        match Knowledge::of(&subject.tree, &subject.config, &host.temporary_dir()) {
            Err(error @ RuntimeConfigError::Unlearned { .. }) => last = Some(error),
            knowledge => return Ok(knowledge?),
        }
    }
    let path = subjects.first().map(|subject| subject.tree.clone()).unwrap_or_default();
    Err(last.unwrap_or(RuntimeConfigError::None { path }).into())
}

/// Refuses a key that there is not.
fn check_key(knowledge: &Knowledge, key: &str) -> Result<(), RuntimeConfigError> {
    match knowledge.keys.contains(key) {
        true => Ok(()),
        false => {
            let known = knowledge.keys.iter().cloned().collect();
            Err(RuntimeConfigError::Unknown { key: key.to_owned(), known })
        }
    }
}

fn get(
    place: &Place,
    subjects: &[Subject],
    knowledge: &Knowledge,
    key: Option<&str>,
    terminal: &Terminal,
) -> Result<(), Error> {
    key.map_or(Ok(()), |key| check_key(knowledge, key))?;
    let mut shown = Vec::new();
    for subject in subjects {
        let mut values = knowledge.understood(&subject.text)?;
        values.retain(|its, _| key.is_none_or(|key| key == its));
        if !place.output.json {
            if subjects.len() > 1 {
                terminal.output(format_args!("# {}", subject.place));
            }
            show(&values, key.is_none(), terminal);
        }
        shown.push(json!({ "place": subject.place, "settings": values }));
    }
    if place.output.json {
        terminal.output_json(&json!({ "trees": shown, "known": knowledge.keys }));
    }
    Ok(())
}

fn show(values: &Values, with_keys: bool, terminal: &Terminal) {
    for (key, values) in values {
        for value in values {
            match with_keys {
                true => terminal.output(format_args!("{} = {}", escape(key), escape(value))),
                false => terminal.output(escape(value)),
            }
        }
    }
}

impl Set {
    fn execute(
        &self,
        (subjects, owners): (&[Subject], &Owners),
        knowledge: &Knowledge,
        terminal: &Terminal,
    ) -> Result<(), Error> {
        let Self { key, .. } = self;
        check_key(knowledge, key)?;
        if self.values.iter().any(|value| value.is_empty() || value.contains(char::is_control)) {
            return Err(Error::Usage("a value is a line of text that is not empty".to_owned()));
        }
        let mut texts = Vec::new();
        for Subject { text, .. } in subjects {
            let before = runtime_config::values(text).remove(key).filter(|_| self.add);
            let values: Vec<String> =
                before.into_iter().flatten().chain(self.values.iter().cloned()).collect();
            let new = runtime_config::set(text, key, &values);
            knowledge.understood(&new)?;
            texts.push(new);
        }
        let mut written = Vec::new();
        for (subject, text) in subjects.iter().zip(texts) {
            if text != subject.text {
                let Subject { tree, config, .. } = subject;
                runtime_config::write(owners, tree, &config.path, &text)?;
            }
            terminal.line(format_args!("{}", escape(&subject.file.to_string_lossy())));
            written.push(json!({ "place": subject.place, "changed": text != subject.text }));
        }
        if self.place.output.json {
            terminal.output_json(&json!({ "trees": written }));
        }
        Ok(())
    }
}

fn diff(
    place: &Place,
    subjects: &[Subject],
    knowledge: &Knowledge,
    terminal: &Terminal,
) -> Result<(), Error> {
    let mut shown = Vec::new();
    for subject in subjects {
        let now = knowledge.understood(&subject.text)?;
        let changed = runtime_config::changed(&knowledge.defaults, &now);
        for it in changed.iter().filter(|_| !place.output.json) {
            let words = |values: &[String]| match values {
                [] => "(not set)".to_owned(),
                values => escape(&values.join(" | ")).into_owned(),
            };
            let (key, default, now) = (escape(&it.key), words(&it.default), words(&it.now));
            terminal.output(format_args!("{}: {key}: {default} -> {now}", subject.place));
        }
        shown.push(json!({ "place": subject.place, "changed": changed }));
    }
    if place.output.json {
        terminal.output_json(&json!({ "trees": shown }));
    }
    Ok(())
}

fn check(
    place: &Place,
    subjects: &[Subject],
    knowledge: &Knowledge,
    terminal: &Terminal,
) -> Result<(), Error> {
    let (mut count, mut shown) = (0, Vec::<Value>::new());
    for subject in subjects {
        let faults = runtime_config::faults(&subject.text, &knowledge.keys);
        let refused = knowledge.understood(&subject.text).err();
        count += faults.len() + usize::from(refused.is_some());
        let refused = refused.map(|error| error.to_string());
        if !place.output.json {
            let file = typed(&subject.file);
            for fault in &faults {
                let (line, text) = (fault.line, escape(&fault.text));
                terminal.output(format_args!("{file}:{line}: {}: {text}", fault.problem));
            }
            refused.iter().for_each(|said| terminal.output(format_args!("{file}: {said}")));
        }
        shown.push(json!({ "place": subject.place, "faults": faults, "refused": refused }));
    }
    if place.output.json {
        terminal.output_json(&json!({ "trees": shown }));
    }
    match count {
        0 => Ok(()),
        count => Err(RuntimeConfigError::Faults { count }.into()),
    }
}
