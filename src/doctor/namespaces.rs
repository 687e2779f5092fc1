//! User namespaces, and mounts in them: tried in a child process, explained by settings.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::io::Errno;

use super::explain::{self, at};
use super::probe::Probe;
use super::{Observation, State, Subject};
use crate::tools::programs::{self, Listen, Patience};

/// The checks for which this program itself does what runtimes do: others may be allowed what it is not.
pub(crate) const TRIED: [&str; 4] = ["user-namespaces", "mounts", "overlay", "fuse"];

/// The outcome of each step that the child took: 0, or the system's error number.
pub(super) type Steps = BTreeMap<String, i32>;

/// The checks `user-namespaces`, `mounts`, `overlay` and `fuse`.
pub(super) fn observe(subject: &Subject) -> Vec<Observation> {
    match take_steps(subject) {
        Ok(steps) => judge(subject, &steps),
        Err(error) => {
            let unknown = |check| {
                let evidence = format!("this program could not be started again: {error}");
                Observation::new(check, State::Unknown, evidence)
            };
            TRIED.map(unknown).to_vec()
        }
    }
}

/// What of the steps that a mount by FUSE in a namespace takes the host refuses `executable`, this program: `None` where it
/// is all allowed.
pub(crate) fn refused_step(executable: &Path) -> Option<&'static str> {
    let mut child = Command::new(executable);
    child.arg(Probe::COMMAND).arg(Probe::Namespaces.word());
    let steps = steps_of(child).unwrap_or_default();
    let is_refused = |step: &&str| steps.get(*step) != Some(&0);
    ["fuse-device", "user", "map", "mounts", "fuse"].into_iter().find(is_refused)
}

/// How long a program may take that the doctor runs: whoever asks the doctor waits less.
pub(super) const LIMIT: Patience<'static> =
    Patience { time: Duration::from_secs(60), is_cancelled: &|| false };

/// The command that starts this program again, in the child's part.
pub(super) fn child(subject: &Subject, probe: Probe) -> Command {
    let mut command = Command::new(&subject.executable);
    command.arg(Probe::COMMAND).arg(probe.word());
    command
}

fn take_steps(subject: &Subject) -> io::Result<Steps> {
    steps_of(child(subject, Probe::Namespaces))
}

fn steps_of(child: Command) -> io::Result<Steps> {
    let text = programs::run(child, Listen::Output, LIMIT)?.output;
    let step = |line: &str| {
        let (name, number) = line.split_once(' ')?;
        Some((name.to_owned(), number.parse().ok()?))
    };
    Ok(text.lines().filter_map(step).collect())
}

/// What the steps mean.
pub(super) fn judge(subject: &Subject, steps: &Steps) -> Vec<Observation> {
    let user = user_namespaces(subject, steps);
    let has_user = user.state == State::Ok;
    let mounts = mounts(steps, has_user);
    let fuse = fuse(subject, steps, has_user);
    let overlay = overlay(subject, steps, fuse.state == State::Ok);
    vec![user, mounts, overlay, fuse]
}

fn user_namespaces(subject: &Subject, steps: &Steps) -> Observation {
    const CHECK: &str = "user-namespaces";
    let failed = ["user", "map"]
        .into_iter()
        .find_map(|name| Some((name, *steps.get(name)?)).filter(|(_, number)| *number != 0));
    let Some((step, number)) = failed else {
        if !steps.contains_key("map") {
            return Observation::new(CHECK, State::Unknown, "the attempt ended without an answer");
        }
        let network = match steps.get("network") {
            Some(0) => "network namespaces can be made too",
            _ => "no network namespaces, which only --net needs",
        };
        return Observation::new(CHECK, State::Ok, format!("one was made; {network}"));
    };
    let what = if step == "user" { "making one" } else { "mapping an id into one" };
    let why = explain::user_namespaces(&subject.root, number);
    let mut evidence = format!("{what} failed: {}; {}", error(number), why.evidence);
    if let Some(container) = explain::container(&subject.root) {
        evidence = format!("{evidence}; {container}");
    }
    Observation::new(CHECK, State::Broken, evidence).because(why.cause)
}

fn mounts(steps: &Steps, has_user: bool) -> Observation {
    match steps.get("mounts") {
        Some(0) => Observation::new("mounts", State::Ok, "a tmpfs was mounted in a user namespace"),
        Some(number) if has_user => Observation::new(
            "mounts",
            State::Broken,
            format!("mounting a tmpfs in a user namespace failed: {}", error(*number)),
        )
        .because("mounts-refused"),
        _ => untried("mounts"),
    }
}

fn overlay(subject: &Subject, steps: &Steps, has_fuse: bool) -> Observation {
    let number = match steps.get("overlay") {
        Some(0) => {
            let evidence = "an overlay was mounted in a user namespace";
            return Observation::new("overlay", State::Ok, evidence);
        }
        Some(number) => *number,
        None => return untried("overlay"),
    };
    let cause = if number == Errno::NODEV.raw_os_error() {
        "overlay-missing"
    } else if kernel(subject).is_some_and(|version| version < (5, 11)) {
        "overlay-kernel"
    } else {
        "overlay-refused"
    };
    let state = if has_fuse { State::Limited } else { State::Broken };
    let evidence = format!("mounting an overlay in a user namespace failed: {}", error(number));
    Observation::new("overlay", state, evidence).because(cause)
}

fn fuse(subject: &Subject, steps: &Steps, has_user: bool) -> Observation {
    const CHECK: &str = "fuse";
    let broken = |cause, what: &str, number| {
        let evidence = format!("{what} failed: {}", error(number));
        Observation::new(CHECK, State::Broken, evidence).because(cause)
    };
    match steps.get("fuse-device") {
        Some(0) => {}
        None => return Observation::new(CHECK, State::Unknown, "the attempt gave no answer"),
        Some(&number) => {
            let is = |errors: &[Errno]| errors.iter().any(|error| error.raw_os_error() == number);
            let cause = match number {
                _ if is(&[Errno::NOENT]) => "fuse-missing",
                _ if is(&[Errno::ACCESS, Errno::PERM]) => "fuse-closed",
                _ => "fuse-module",
            };
            return broken(cause, "opening /dev/fuse", number).with("mode", mode(subject));
        }
    }
    match steps.get("fuse") {
        Some(0) => Observation::new(CHECK, State::Ok, "a FUSE mount was made in a user namespace"),
        Some(&number) => {
            let cause = match kernel(subject) {
                _ if number == Errno::NODEV.raw_os_error() => "fuse-module",
                Some(version) if version < (4, 18) => "fuse-kernel",
                _ => "fuse-refused",
            };
            broken(cause, "a FUSE mount in a user namespace", number).with("mode", mode(subject))
        }
        None if has_user => untried(CHECK),
        None => Observation::new(
            CHECK,
            State::Unknown,
            "/dev/fuse can be opened; mounting needs a user namespace, which cannot be made",
        ),
    }
}

fn untried(check: &'static str) -> Observation {
    Observation::new(check, State::Unknown, "cannot be tried where the step before it fails")
}

fn kernel(subject: &Subject) -> Option<(u32, u32)> {
    explain::kernel_version(&explain::sysctl(&subject.root, "kernel.osrelease")?)
}

/// `/dev/fuse`'s permissions, as `chmod` writes them.
fn mode(subject: &Subject) -> String {
    let about = std::fs::metadata(at(&subject.root, "/dev/fuse"));
    about.map_or_else(
        |_| "mode unknown".to_owned(),
        |about| format!("mode {:o}", about.permissions().mode() & 0o777),
    )
}

/// The system's words for an error number.
pub(super) fn error(number: i32) -> String {
    match number {
        0.. => {
            let text = io::Error::from_raw_os_error(number).to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
        _ => "an unknown error".to_owned(),
    }
}
