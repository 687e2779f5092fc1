//! Draws: progress bars on a terminal, plain lines in a log, a JSON object per line for programs
//! (`docs/json.md` describes them).
//! The only room that writes to standard output and standard error; and so the one that sees to it that
//! nothing that comes from a file or the network drives the user's terminal, whoever passed it on.

mod page;
mod secret;
mod trace;

use std::collections::HashMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::model::{escape_document, escape_json, escape_lines};
use crate::report::{Event, Phase, Reporter, Span};

pub(crate) use page::Page;

use trace::Trace;

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Errors only.
    Quiet,
    /// And warnings.
    Terse,
    /// What happens.
    Normal,
    /// And every decision.
    Verbose,
}

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Bars, for a terminal.
    Bars,
    /// Lines, for a log.
    Lines,
    /// For programs: a document on standard output, and what happens on standard error, a JSON object
    /// per line.
    Document,
    /// For programs: what happens and last the result, a JSON object per line on standard output.
    Events,
}

impl Form {
    /// Whether it is for programs.
    fn is_json(self) -> bool {
        matches!(self, Self::Document | Self::Events)
    }
}

/// The last line of a run whose events go to standard output.
#[derive(Serialize)]
struct Outcome<'a, T> {
    event: &'static str,
    #[serde(flatten)]
    result: &'a T,
}

/// The user's screen.
pub(crate) struct Terminal {
    verbosity: Verbosity,
    form: Form,
    /// Whether failed requests are told as they happen (`-e`).
    show_retries: bool,
    /// Whether colours may be used on standard error.
    colour: bool,
    /// Columns of standard output.
    width: usize,
    bars: MultiProgress,
    /// What took how long, where that is recorded.
    trace: Option<Trace>,
    state: Mutex<State>,
    cancelled: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    phases: HashMap<Phase, Progress>,
    warnings: Vec<String>,
    /// The first failure to write a result.
    output_error: Option<io::Error>,
}

/// Where a phase stands.
struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    /// When a JSON line last told of it.
    told: Instant,
    done: u64,
    /// How much of what is done needed no doing.
    cached: u64,
    total: u64,
    /// How many architectures are at it.
    open: usize,
}

/// JSON lines about progress come no more often than this.
const JSON_INTERVAL: Duration = Duration::from_millis(200);

/// Columns of a screen that nothing is known of …
const USUAL_WIDTH: usize = 80;
/// … the fewest that text is wrapped to …
const NARROWEST: usize = 20;
/// … and the most: longer lines are hard to read.
const WIDEST: usize = 100;

/// Standard output as a pipe to another process of this program: it is no screen.
pub(crate) fn piped_output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

impl Terminal {
    /// A screen. `cancelled` is set by the signal handler.
    #[must_use]
    pub(crate) fn new(
        verbosity: Verbosity,
        form: Form,
        show_retries: bool,
        colour: bool,
        cancelled: Arc<AtomicBool>,
    ) -> Self {
        let target = match form {
            Form::Bars if verbosity >= Verbosity::Normal => ProgressDrawTarget::stderr(),
            _ => ProgressDrawTarget::hidden(),
        };
        let bars = MultiProgress::with_draw_target(target);
        let (width, trace, state) = (USUAL_WIDTH, None, Mutex::default());
        Self { verbosity, form, show_retries, colour, width, bars, trace, state, cancelled }
    }

    /// The same, recording what takes how long, if `records`.
    #[must_use]
    pub(crate) fn recording(self, records: bool) -> Self {
        Self { trace: records.then(Trace::new), ..self }
    }

    /// What took how long so far, as a document (`docs/performance.md`), if that is recorded. Once.
    pub(crate) fn trace(&self) -> Option<String> {
        Some(self.trace.as_ref()?.document().to_string())
    }

    /// The same with the columns that standard output has, or else so many, within what can be
    /// read.
    #[must_use]
    pub(crate) fn with_columns(self, columns: Option<usize>) -> Self {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
        let own = size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
        let width = own.or(columns).unwrap_or(USUAL_WIDTH).clamp(NARROWEST, WIDEST);
        Self { width, ..self }
    }

    /// Columns of standard output.
    #[must_use]
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Writes `text`, a result for people, to standard output; a line end is added. Further lines must be
    /// indented. A reader that went away (`| head`) is no error.
    pub(crate) fn output(&self, text: impl Display) {
        self.write_output(&escape_lines(&text.to_string()));
    }

    /// The same for a page.
    pub(crate) fn output_page(&self, page: &Page) {
        self.write_output(page.text());
    }

    /// The same for what a program reads: a script or a document, which is written as it is. On a terminal
    /// there is no program, and it only shows.
    pub(crate) fn output_document(&self, text: &str) {
        match io::stdout().is_terminal() {
            true => self.write_output(&escape_document(text)),
            false => self.write_output(text),
        }
    }

    fn write_output(&self, text: &str) {
        let written = self.bars.suspend(|| writeln!(io::stdout().lock(), "{text}"));
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            self.state().output_error.get_or_insert(error);
        }
    }

    /// Why not all results could be written to standard output, if that is so. Tells it once.
    pub(crate) fn take_output_error(&self) -> Option<io::Error> {
        self.state().output_error.take()
    }

    /// Writes a result as JSON to standard output: on one line where programs read, which among events
    /// is one more event; else as an indented document.
    pub(crate) fn output_json(&self, value: &impl Serialize) {
        let text = match self.form {
            Form::Events => serde_json::to_string(&Outcome { event: "result", result: value }),
            Form::Document => serde_json::to_string(value),
            Form::Bars | Form::Lines => serde_json::to_string_pretty(value),
        };
        match text {
            Ok(text) => self.write_output(&escape_json(&text)),
            Err(error) => self.error(&error, None, 1),
        }
    }

    /// Writes a line for people to standard error, unless quiet or JSON was asked for.
    pub(crate) fn line(&self, text: impl Display) {
        if self.verbosity >= Verbosity::Normal && !self.form.is_json() {
            self.write_line(&escape_lines(&text.to_string()));
        }
    }

    /// Shows an error with its causes and, behind them, what to do next. `status` is what the
    /// process ends with.
    pub(crate) fn error(&self, error: &dyn std::error::Error, hint: Option<&str>, status: u8) {
        let causes = causes(error);
        if self.form.is_json() {
            let message = causes.join(": ");
            self.tell_line(&serde_json::json!({
                "event": "error", "status": status, "message": message, "causes": causes,
                "hint": hint
            }));
            return;
        }
        self.write_labelled("error:", "1;31", &causes.join(": "));
        if let Some(hint) = hint {
            self.write_labelled("hint:", "1;36", hint);
        }
    }

    /// Clears the bars and shows the warnings of the run again, once each, in one place.
    pub(crate) fn finish(&self) {
        let warnings = std::mem::take(&mut self.state().warnings);
        let _ = self.bars.clear();
        if self.form.is_json() || self.verbosity == Verbosity::Quiet {
            return;
        }
        for warning in warnings {
            self.write_labelled("warning:", "1;33", &warning);
        }
    }

    /// Writes `text` behind a label in a colour.
    fn write_labelled(&self, label: &str, colour: &str, text: &str) {
        self.write_line(&format!("{} {}", self.painted(label, colour), escape_lines(text)));
    }

    fn write_line(&self, text: &str) {
        // In one piece, also where other processes write to the same place.
        let line = format!("{text}\n");
        self.bars.suspend(|| {
            let _ = io::stderr().lock().write_all(line.as_bytes());
        });
    }

    /// Writes what happened, for programs, beside the result or before it.
    fn tell_line(&self, value: &impl Serialize) {
        if let Ok(text) = serde_json::to_string(value) {
            match self.form {
                Form::Events => self.write_output(&escape_json(&text)),
                _ => self.write_line(&escape_json(&text)),
            }
        }
    }

    fn painted(&self, text: &str, colour: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self, event: Event) {
        match event {
            Event::Started { phase, total } => self.start(phase, total),
            Event::Advanced { phase, by } => self.advance(phase, by),
            Event::Cached { phase, by } => self.cache(phase, by),
            Event::Finished { phase } => self.end(phase),
            Event::Note { message } => self.line(message),
            Event::Warning { message } => {
                let warnings = &mut self.state().warnings;
                if !warnings.contains(&message) {
                    warnings.push(message);
                }
            }
            Event::Retry { url, reason } => {
                if self.show_retries || self.verbosity == Verbosity::Verbose {
                    self.line(format_args!("retry: {url}: {reason}"));
                }
            }
            Event::Detail { message } => {
                if self.verbosity == Verbosity::Verbose {
                    self.line(message);
                }
            }
        }
    }

    /// Begins a phase, or adds to one that another architecture has begun.
    fn start(&self, phase: Phase, total: Option<u64>) {
        let mut state = self.state();
        let now = Instant::now();
        let progress = state.phases.entry(phase).or_insert_with(|| {
            let bar = (self.form == Form::Bars).then(|| {
                let bar = self.bars.add(ProgressBar::new(0).with_style(style(phase)));
                bar.set_message(label(phase));
                // Not by a thread: there may be none to be had.
                bar.tick();
                bar
            });
            Progress { bar, started: now, told: now, done: 0, cached: 0, total: 0, open: 0 }
        });
        progress.open += 1;
        progress.total += total.unwrap_or(0);
        if let Some(bar) = &progress.bar {
            bar.set_length(progress.total);
        }
    }

    fn advance(&self, phase: Phase, by: u64) {
        let mut state = self.state();
        let Some(progress) = state.phases.get_mut(&phase) else { return };
        progress.done += by;
        if let Some(bar) = &progress.bar {
            bar.set_position(progress.done);
        }
    }

    fn cache(&self, phase: Phase, by: u64) {
        if let Some(progress) = self.state().phases.get_mut(&phase) {
            progress.cached += by;
        }
    }

    /// Ends a phase: its bar gives way to one line that says what was done.
    fn end(&self, phase: Phase) {
        let Some(progress) = self.close(phase) else { return };
        if let Some(bar) = &progress.bar {
            bar.finish_and_clear();
            self.bars.remove(bar);
        }
        let seconds = progress.started.elapsed().as_secs_f64();
        let (cached, label) = (progress.cached.min(progress.done), label(phase));
        let was_there = match cached {
            0 => String::new(),
            cached => format!("; {} were in the cache", amount(phase, cached)),
        };
        let amount = amount(phase, progress.done - cached);
        self.line(format_args!("{label:<10} {amount} in {seconds:.1} s{was_there}"));
    }

    /// Takes a phase out once every architecture has ended it.
    fn close(&self, phase: Phase) -> Option<Progress> {
        let mut state = self.state();
        let progress = state.phases.get_mut(&phase)?;
        progress.open -= 1;
        if progress.open == 0 { state.phases.remove(&phase) } else { None }
    }

    /// Tells of an event as a JSON line; progress only now and then.
    fn tell(&self, event: &Event) {
        if let Event::Advanced { phase, by } = event {
            let mut state = self.state();
            let Some(progress) = state.phases.get_mut(phase) else { return };
            progress.done += by;
            if progress.told.elapsed() < JSON_INTERVAL {
                return;
            }
            progress.told = Instant::now();
            let (done, total) = (progress.done, progress.total);
            let value = serde_json::json!(
                {"event": "progress", "phase": phase, "done": done, "total": total});
            return self.tell_line(&value);
        }
        match event {
            Event::Started { phase, total } => self.start(*phase, *total),
            Event::Finished { phase } => drop(self.close(*phase)),
            _ => {}
        }
        self.tell_line(event);
    }
}

impl Reporter for Terminal {
    fn event(&self, event: Event) {
        if let Some(trace) = &self.trace {
            trace.tell(&event);
        }
        match self.form {
            Form::Document | Form::Events => self.tell(&event),
            Form::Bars | Form::Lines => self.draw(event),
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn is_recording(&self) -> bool {
        self.trace.is_some()
    }

    fn span(&self, span: Span) {
        if let Some(trace) = &self.trace {
            trace.add(span);
        }
    }
}

/// The messages of an error and of its sources, outermost first, without repetition.
fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    let mut current = Some(error);
    while let Some(error) = current {
        let message = error.to_string();
        if !messages.last().is_some_and(|last| last.contains(&message)) {
            messages.push(message);
        }
        current = error.source();
    }
    messages
}

/// What a phase is called.
fn label(phase: Phase) -> &'static str {
    match phase {
        Phase::Metadata => "metadata",
        Phase::Download => "download",
        Phase::Unpack => "unpack",
        Phase::Relocate => "relocate",
        Phase::Test => "test",
        Phase::Verify => "verify",
        Phase::Upload => "upload",
    }
}

/// An amount of a phase's work, with its unit.
fn amount(phase: Phase, done: u64) -> String {
    match phase {
        Phase::Metadata => format!("{done} repositories"),
        Phase::Relocate => format!("{done} files"),
        Phase::Test => format!("{done} programs"),
        _ => HumanBytes(done).to_string(),
    }
}

/// The look of a phase's bar.
fn style(phase: Phase) -> ProgressStyle {
    let template = match phase {
        Phase::Download | Phase::Unpack | Phase::Verify | Phase::Upload => {
            "{msg:<10} {wide_bar} {bytes:>10}/{total_bytes:<10} {binary_bytes_per_sec:>12} {eta:>4}"
        }
        Phase::Metadata | Phase::Relocate | Phase::Test => "{msg:<10} {wide_bar} {pos:>5}/{len:<5}",
    };
    let style = ProgressStyle::with_template(template);
    // Characters that every terminal has, whatever its locale.
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer: inner")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_cause_that_is_already_told_is_not_repeated() {
        assert_eq!(causes(&Outer(io::Error::other("inner"))), ["outer: inner"]);
        assert_eq!(causes(&Outer(io::Error::other("disk"))), ["outer: inner", "disk"]);
    }

    #[test]
    fn warnings_are_kept_once() {
        let terminal = Terminal::new(Verbosity::Quiet, Form::Lines, false, false, Arc::default());
        terminal.warning("twice".into());
        terminal.warning("twice".into());
        assert_eq!(terminal.state().warnings, ["twice"]);
    }
}
