//! The command line: arguments → [`crate::model::Request`]; results → output and exit status.
//! One file per command.

mod bundle;
mod cache;
mod carrying;
mod completions;
mod destinations;
mod doctor;
mod document;
mod history;
mod image;
mod install;
mod installation;
mod librarian;
mod lint;
mod list;
mod lock;
mod man;
mod mirror;
mod mounts;
mod opened;
mod options;
mod output;
mod owners;
mod parts;
mod pin;
mod places;
mod plan;
mod profile;
mod programs;
mod prune;
mod push;
mod ranch;
mod receipt;
mod registry;
mod remove;
mod repositories;
mod repository;
mod rollback;
mod runtime_config;
mod sbom;
mod self_command;
mod session;
mod shadow;
mod status;
mod sync;
mod trust;
mod update;
mod verify;
mod versioned;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{CommandFactory, Parser, Subcommand};

use crate::decoding;
use crate::error::{EXIT_STATUSES, Error, UPDATE_AVAILABLE};
use crate::host::Host;
use crate::report::Reporter;
use crate::terminal::{self, Form, Terminal};
use opened::Typed;

/// What was typed.
#[derive(Debug, Parser)]
#[command(
    name = "elsewhere",
    version,
    about = "Container runtimes from Enterprise Linux RPMs, in any directory, for any user",
    long_about = "Installs container runtimes (Apptainer first) from Enterprise Linux RPMs into a \
                  directory of your own: without root, on any distribution. Every package's origin \
                  is proved by its OpenPGP signature; the tree can be moved, copied or published.",
    after_long_help = after_help(),
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Command {
    Install(install::Install),
    Plan(plan::PlanCommand),
    List(list::List),
    Lock(lock::Lock),
    Mirror(mirror::Mirror),
    Bundle(bundle::BundleCommand),
    Push(push::Push),
    Sync(sync::Sync),
    Lint(lint::LintCommand),
    Status(status::Status),
    Verify(verify::Verify),
    Sbom(sbom::Sbom),
    Update(update::Update),
    Rollback(rollback::Rollback),
    History(history::History),
    Pin(pin::Pin),
    Unpin(pin::Unpin),
    Remove(remove::Remove),
    Prune(prune::Prune),
    Shadow(shadow::ShadowCommand),
    RuntimeConfig(runtime_config::RuntimeConfigCommand),
    Ranch(ranch::RanchCommand),
    Image(image::ImageCommand),
    Cache(cache::CacheCommand),
    Receipt(receipt::ReceiptCommand),
    Doctor(doctor::Doctor),
    Env(profile::Env),
    Module(profile::Module),
    Completions(completions::Completions),
    Man(man::Man),
    #[command(name = "self")]
    SelfCommand(self_command::SelfCommand),
}

/// Closes `--help`.
fn after_help() -> String {
    let statuses: String = EXIT_STATUSES
        .iter()
        .map(|(status, meaning)| format!("  {status:<4} {meaning}\n"))
        .collect();
    format!("{EXAMPLES}\n\nExit statuses:\n{statuses}\n{FURTHER}")
}

const EXAMPLES: &str = "\
Examples:
  elsewhere install ~/apptainer                     Apptainer for this machine
  elsewhere install -a x86_64,aarch64 ~/apptainer   one prefix for two architectures
  elsewhere install -v 1.4 -d el9 ~/apptainer       a version, from a chosen EL release
  elsewhere install -d el7,el8,el9 /sw/apptainer    for every machine, old and new
  elsewhere plan -r charliecloud                    what would be installed, and why
  elsewhere status ~/apptainer                      what is installed
  elsewhere update ~/apptainer                      the newest version; rollback goes back
  elsewhere verify ~/apptainer                      whether it is still as it was made
  elsewhere doctor ~/apptainer                      what works on this machine, and what helps";

const FURTHER: &str =
    "Environment variables, configuration and formats: see the documentation in docs/.";

/// Runs the program: the whole of `main`.
#[must_use]
pub fn run() -> ExitCode {
    let host = Host::read();
    if host.arguments().skip(1).eq([decoding::COMMAND]) {
        let outcome = terminal::piped_output().and_then(decoding::serve);
        return ExitCode::from(u8::from(outcome.is_err()));
    }
    if let Some(probe) = doctor::asked_probe(&host) {
        doctor::run_probe(probe, &host);
        return ExitCode::SUCCESS;
    }
    if let Some(stage) = ranch::asked_stage(&host) {
        return run_stage(&host, stage);
    }
    if let Some(part) = mounts::asked(&host) {
        return mounts::run(part, &host);
    }
    if let Some(words) = places::asked(&host) {
        return places::run(words, &host);
    }
    let typed = Typed::of(&host);
    let status = run_words(&host, &typed);
    typed.clean();
    status
}

/// Runs one of a ranch's processes.
fn run_stage(host: &Host, stage: ranch::Stage) -> ExitCode {
    let typed = |words: &[OsString]| match Cli::try_parse_from(words) {
        Ok(Cli { command: Command::Ranch(command) }) => Some(command),
        _ => None,
    };
    let status = match stage {
        ranch::Stage::Inside(post, words) => {
            typed(&words).map(|command| command.run_inside(host, &post))
        }
        ranch::Stage::Enter(own, post, words) => {
            typed(&words).map(|command| command.enter(host, own, &post))
        }
        ranch::Stage::Serve(parent, words) => Some(ranch::serve(host, parent, words)),
    };
    status.unwrap_or(ExitCode::FAILURE)
}

/// Runs what was typed.
fn run_words(host: &Host, typed: &Typed) -> ExitCode {
    let words = &typed.words;
    let mut cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(tell(&error, host, words)),
    };
    if let Command::Bundle(command) = &mut cli.command {
        command.unpacked.clone_from(&typed.unpacked);
    }
    let cancelled = Arc::new(AtomicBool::new(false));
    let form = json_form(words);
    let output = cli.command.output();
    let terminal = match cli.command.is_for_cron() {
        true => output.terminal_for_cron(host, Arc::clone(&cancelled), form),
        false => output.terminal(host, Arc::clone(&cancelled), form),
    };
    let execute = || {
        if !cli.command.passes_signals_on() {
            session::catch_signals(&cancelled)?;
        }
        session::tell_limits(&terminal);
        let reporter: &dyn Reporter = &terminal;
        let _whole = reporter.measure("run");
        cli.command.execute(host, &terminal)
    };
    // What the panic said stands above.
    let outcome = catch_unwind(AssertUnwindSafe(execute)).unwrap_or(Err(Error::Panicked));
    terminal.finish();
    // Of a run that fails, too.
    let traced = cli.command.output().write_trace(&terminal);
    let unwritten = terminal.take_output_error().map(|source| Error::Output { source });
    match outcome.and(traced).and_then(|()| unwritten.map_or(Ok(()), Err)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::UpdateAvailable) => ExitCode::from(UPDATE_AVAILABLE),
        Err(Error::Ended(status)) => ExitCode::from(status),
        Err(error) => {
            // However a stage says it.
            let error = if error.is_cancelled() { Error::Cancelled } else { error };
            terminal.error(&error, error.hint().as_deref(), error.exit_status());
            ExitCode::from(error.exit_status())
        }
    }
}

/// Shows what ends a run before it begins: help, the version, a command line that makes no sense.
/// Returns the exit status.
fn tell(told: &clap::Error, host: &Host, words: &[OsString]) -> u8 {
    // clap's own statuses: 0 for --help and --version, 2 for usage.
    let status = u8::try_from(told.exit_code()).unwrap_or(2);
    let wants_json = words.iter().any(|word| word == "--json");
    if status == 0 || !wants_json {
        let _ = told.print();
        return status;
    }
    let text = told.render().to_string();
    let text = text.split("\n\nUsage:").next().unwrap_or_default();
    let text = text.split("\n\nFor more information").next().unwrap_or_default();
    let text: Vec<&str> = text.trim_start_matches("error: ").split_whitespace().collect();
    let error = Error::Usage(text.join(" "));
    let terminal = options::Output::json().terminal(host, Arc::default(), json_form(words));
    terminal.error(&error, error.hint().as_deref(), status);
    status
}

/// Commands whose result is a document: they only look.
const DOCUMENTS: [&str; 13] = [
    "completions",
    "doctor",
    "env",
    "history",
    "lint",
    "list",
    "lock",
    "man",
    "module",
    "plan",
    "sbom",
    "status",
    "verify",
];

/// What programs are told: a document alone where the command only looks, events where it changes
/// something. Also of a command line that makes no sense otherwise.
fn json_form(words: &[OsString]) -> Form {
    let words = words.iter().skip(1).map(|word| word.to_string_lossy().into_owned());
    let words: Vec<String> = words.take_while(|word| word != "--").collect();
    let Some(name) = words.iter().find(|word| !word.starts_with('-')) else {
        return Form::Document;
    };
    let has = |option: &str| words.iter().any(|word| word == option);
    let begins = |option: &str| words.iter().any(|word| word.starts_with(option));
    let repairs = name == "verify" && has("--repair");
    let looks = name == "cache" && has("info")
        || name == "mirror" && has("--verify")
        || name == "sync" && has("--dry-run")
        || name == "ranch" && (has("--print") || has("--for") || begins("--for="))
        || name == "image" && has("verify")
        || name == "shadow" && has("status")
        || name == "runtime-config" && !has("set")
        || name == "bundle" && (has("--verify") || has("--list"));
    let is_known = Cli::command().find_subcommand(name).is_some();
    match DOCUMENTS.contains(&name.as_str()) || looks || !is_known {
        true if !repairs => Form::Document,
        _ => Form::Events,
    }
}

impl Command {
    /// Whether it is made to be run by nobody, who reads no more than has to be said.
    fn is_for_cron(&self) -> bool {
        matches!(self, Self::Sync(_))
    }

    /// Whether signals are for the program that it runs.
    fn passes_signals_on(&self) -> bool {
        matches!(self, Self::Ranch(_))
    }

    fn output(&self) -> &options::Output {
        match self {
            Self::Install(command) => &command.output,
            Self::Plan(command) => &command.output,
            Self::List(command) => &command.output,
            Self::Lock(command) => &command.output,
            Self::Mirror(command) => &command.output,
            Self::Bundle(command) => &command.output,
            Self::Push(command) => &command.output,
            Self::Sync(command) => &command.output,
            Self::Lint(command) => &command.output,
            Self::Status(command) => &command.output,
            Self::Verify(command) => &command.output,
            Self::Sbom(command) => &command.output,
            Self::Update(command) => &command.output,
            Self::Rollback(command) => &command.output,
            Self::History(command) => &command.output,
            Self::Pin(command) => &command.output,
            Self::Unpin(command) => &command.output,
            Self::Remove(command) => &command.output,
            Self::Prune(command) => &command.output,
            Self::Shadow(command) => command.output(),
            Self::RuntimeConfig(command) => command.output(),
            Self::Ranch(command) => &command.output,
            Self::Image(command) => command.output(),
            Self::Cache(command) => command.output(),
            Self::Receipt(command) => command.output(),
            Self::Doctor(command) => &command.output,
            Self::Env(command) => &command.output,
            Self::Module(command) => &command.output,
            Self::Completions(command) => &command.output,
            Self::Man(command) => &command.output,
            Self::SelfCommand(command) => command.output(),
        }
    }

    fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        match self {
            Self::Install(command) => command.execute(host, terminal),
            Self::Plan(command) => command.execute(host, terminal),
            Self::List(command) => command.execute(host, terminal),
            Self::Lock(command) => command.execute(host, terminal),
            Self::Mirror(command) => command.execute(host, terminal),
            Self::Bundle(command) => command.execute(host, terminal),
            Self::Push(command) => command.execute(host, terminal),
            Self::Sync(command) => command.execute(host, terminal),
            Self::Lint(command) => command.execute(host, terminal),
            Self::Status(command) => command.execute(terminal),
            Self::Verify(command) => command.execute(host, terminal),
            Self::Sbom(command) => command.execute(terminal),
            Self::Update(command) => command.execute(host, terminal),
            Self::Rollback(command) => command.execute(host, terminal),
            Self::History(command) => command.execute(host, terminal),
            Self::Pin(command) => command.execute(host, terminal),
            Self::Unpin(command) => command.execute(host, terminal),
            Self::Remove(command) => command.execute(host, terminal),
            Self::Prune(command) => command.execute(host, terminal),
            Self::Shadow(command) => command.execute(host, terminal),
            Self::RuntimeConfig(command) => command.execute(host, terminal),
            Self::Ranch(command) => command.execute(host, terminal),
            Self::Image(command) => command.execute(host, terminal),
            Self::Cache(command) => command.execute(host, terminal),
            Self::Receipt(command) => command.execute(host, terminal),
            Self::Doctor(command) => command.execute(host, terminal),
            Self::Env(command) => command.execute(host, terminal),
            Self::Module(command) => command.execute(host, terminal),
            Self::Completions(command) => {
                command.execute(Cli::command(), terminal);
                Ok(())
            }
            Self::Man(command) => command.execute(Cli::command(), host, terminal),
            Self::SelfCommand(command) => command.execute(host, terminal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }
}
