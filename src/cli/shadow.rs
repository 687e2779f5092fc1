//! `elsewhere shadow`: a configuration of one's own over a prefix that one cannot write to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::installation::{self, PlacedTree};
use super::options::{Definitions, Output};
use crate::error::Error;
use crate::host::Host;
use crate::launcher::LaunchedTrees;
use crate::lifecycle::tell_config;
use crate::making::{self, DistTrees, MadeWithReceipt};
use crate::model::{RelPath, escape, shell_word};
use crate::shadow::{self, Original, Shadow, ShadowState};
use crate::terminal::Terminal;

/// Make a small prefix of your own over one that you cannot write to, with a configuration of your own
///
/// DIR gets the configuration of PREFIX (a copy of each tree's etc, yours to edit), launchers, copies of the few
/// programs that look for their configuration where they lie themselves, and links to everything else. PREFIX may be
/// a prefix, a published version, or a directory of versions, on CVMFS for example; it is only read. DIR is made of
/// the version that counts there now, and stays at it until it is updated: its launchers say when there is
/// another one. What you edited goes into the next version; where that changed a file too, its own lies beside
/// yours as FILE.rpmnew.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_long_help = "\
Examples:
  elsewhere shadow /cvmfs/sw.example.org/apptainer ~/apptainer
  vi ~/apptainer/x86_64/etc/apptainer/apptainer.conf
  ~/apptainer/bin/apptainer exec image.sif true
  elsewhere shadow status ~/apptainer               what you edited, and whether there is a newer version
  elsewhere shadow update ~/apptainer               follow PREFIX, and keep what you edited
  elsewhere shadow remove ~/apptainer"
)]
pub(super) struct ShadowCommand {
    #[command(subcommand)]
    command: Option<Inner>,
    #[command(flatten)]
    make: Make,
}

#[derive(Debug, Subcommand)]
enum Inner {
    Status(Status),
    Update(Update),
    Remove(Remove),
}

#[derive(Debug, Args)]
struct Make {
    #[command(flatten)]
    definitions: Definitions,
    #[command(flatten)]
    output: Output,
    /// Prefix, published version, or directory of versions
    #[arg(value_name = "PREFIX")]
    prefix: Option<PathBuf>,
    /// Directory to make: not there, empty, or a shadow, which then follows PREFIX
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Say what a shadow is made of, whether that is what counts, and what was edited in it
#[derive(Debug, Args)]
struct Status {
    #[command(flatten)]
    definitions: Definitions,
    #[command(flatten)]
    output: Output,
    /// The shadow
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Make a shadow anew of the version that counts, with what was edited in it
#[derive(Debug, Args)]
struct Update {
    /// Change nothing; exit status 10 says that there is something to do
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    definitions: Definitions,
    #[command(flatten)]
    output: Output,
    /// The shadow
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Remove a shadow
#[derive(Debug, Args)]
struct Remove {
    /// Also what was edited or added in its configuration
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    output: Output,
    /// The shadow
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// What a shadow is made of.
struct Sources {
    originals: Vec<Original>,
    launchers: BTreeMap<String, String>,
}

impl ShadowCommand {
    /// What is shown, and how.
    pub(super) fn output(&self) -> &Output {
        match &self.command {
            None => &self.make.output,
            Some(Inner::Status(command)) => &command.output,
            Some(Inner::Update(command)) => &command.output,
            Some(Inner::Remove(command)) => &command.output,
        }
    }

    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        match &self.command {
            None => self.make.execute(host, terminal),
            Some(Inner::Status(command)) => command.execute(host, terminal),
            Some(Inner::Update(command)) => command.execute(host, terminal),
            Some(Inner::Remove(command)) => {
                let shadow = Shadow::open(&host.absolute(&command.directory))?;
                shadow::remove(&shadow, command.force)?;
                let path = shadow.root.display().to_string();
                tell(
                    command.output.json,
                    terminal,
                    &format!("removed {}", escape(&path)),
                    &json!({ "removed": path }),
                );
                Ok(())
            }
        }
    }
}

impl Make {
    fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let (Some(prefix), Some(directory)) = (&self.prefix, &self.directory) else {
            return Err(Error::Usage("name PREFIX and DIR".to_owned()));
        };
        let (of, root) = (host.absolute(prefix), host.absolute(directory));
        let sources = Sources::of(&of, &self.definitions, host)?;
        make(&root, &of, &sources, self.output.json, terminal)
    }
}

impl Update {
    fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let shadow = Shadow::open(&host.absolute(&self.directory))?;
        let of = PathBuf::from(&shadow.record.of);
        let sources = Sources::of(&of, &self.definitions, host)?;
        if !self.check {
            return make(&shadow.root, &of, &sources, self.output.json, terminal);
        }
        let trees = shadow::states(&shadow, &sources.originals)?;
        let is_same =
            trees.len() == sources.originals.len() && trees.iter().all(|tree| tree.is_current);
        if self.output.json {
            terminal.output_json(&json!({ "update": !is_same, "trees": trees }));
        }
        if is_same { Ok(()) } else { Err(Error::UpdateAvailable) }
    }
}

impl Status {
    fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let shadow = Shadow::open(&host.absolute(&self.directory))?;
        // Where the prefix is away, what there is here is told all the same.
        let sources = Sources::of(Path::new(&shadow.record.of), &self.definitions, host);
        let originals = sources.as_ref().map_or(&[][..], |sources| &sources.originals);
        let trees = shadow::states(&shadow, originals)?;
        let away = sources.as_ref().err().map(Error::to_string);
        if self.output.json {
            let path = shadow.root.display().to_string();
            let of = &shadow.record.of;
            let about = json!({ "shadow": path, "of": of, "away": away, "trees": trees });
            terminal.output_json(&about);
            return Ok(());
        }
        terminal.output(format_args!("a shadow of {}", escape(&shadow.record.of)));
        if let Some(away) = away {
            terminal.output(format_args!("which cannot be read now: {away}"));
        }
        let directory = self.directory.to_string_lossy();
        trees.iter().for_each(|tree| terminal.output(describe(tree, &directory)));
        Ok(())
    }
}

/// A tree of a shadow, for people.
fn describe(tree: &ShadowState, directory: &str) -> String {
    let runtimes = tree.runtimes.iter().map(|name| escape(name)).collect::<Vec<_>>().join(", ");
    let state = match (tree.is_there, tree.is_current) {
        (false, _) => format!(
            "its version is gone, or not mounted: elsewhere shadow update {}",
            shell_word(directory)
        ),
        (true, true) => "as it is there".to_owned(),
        (true, false) => format!(
            "there is another version, or configuration: elsewhere shadow update {}",
            shell_word(directory)
        ),
    };
    let mut text = format!("{}: {runtimes}; {state}", tree.place);
    let mut tell = |what: &str, files: &[RelPath]| {
        files
            .iter()
            .for_each(|file| text.push_str(&format!("\n  {what} {}", escape(file.as_str()))));
    };
    tell("edited", &tree.edited);
    tell("added", &tree.added);
    tell("removed", &tree.removed);
    tell("not what was copied:", &tree.damaged);
    text
}

/// Makes the shadow, and says what came of it.
fn make(
    root: &Path,
    of: &Path,
    sources: &Sources,
    is_json: bool,
    terminal: &Terminal,
) -> Result<(), Error> {
    let made = shadow::make(root, of, &sources.originals, &sources.launchers, terminal)?;
    let (is_new, path) = (made.is_new, root.display().to_string());
    let mut trees = Vec::new();
    for (place, config) in made.trees {
        let (kept, new, saved) = (&config.kept, &config.rpmnew, &config.rpmsave);
        trees.push(json!({ "place": place, "kept": kept, "rpmnew": new, "rpmsave": saved }));
        tell_config(terminal, config);
    }
    let shown = escape(&path);
    let text = match is_new {
        true => format!(
            "made {shown}, a shadow of {}; its configuration is yours to edit",
            escape(&of.to_string_lossy())
        ),
        false => format!("{shown}: nothing to do"),
    };
    let of = of.display().to_string();
    let about = json!({ "shadow": path, "of": of, "made": is_new, "trees": trees });
    tell(is_json, terminal, &text, &about);
    Ok(())
}

/// What came of it, for people or for programs.
fn tell(is_json: bool, terminal: &Terminal, text: &str, about: &Value) {
    match is_json {
        true => terminal.output_json(about),
        false => terminal.line(text),
    }
}

impl Sources {
    /// The trees of what is at `of`, and the launchers of a shadow of it.
    fn of(of: &Path, definitions: &Definitions, host: &Host) -> Result<Self, Error> {
        let catalog = definitions.catalog(host)?;
        let (mut originals, mut parts) = (Vec::new(), BTreeMap::new());
        for PlacedTree { place, tree, now } in installation::placed_trees(of)? {
            let made = MadeWithReceipt::for_shadow(&catalog, tree.receipt.clone())?;
            let copies = made.copied_programs();
            let text = place.as_str();
            let directory = text.rfind('/').map_or("", |at| &text[..=at]).to_owned();
            parts.entry(directory).or_insert_with(Vec::new).push(made);
            originals.push(Original { place, tree, now, copies });
        }
        originals.sort_by(|one, other| one.place.cmp(&other.place));
        let part = |(directory, trees)| DistTrees { directory, trees };
        let parts: Vec<DistTrees> = parts.into_iter().map(part).collect();
        let launchers = making::launchers(&parts, LaunchedTrees::Shadow);
        Ok(Self { originals, launchers })
    }
}
