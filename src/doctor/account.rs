//! The user: a name that programs of a tree find too, and ranges of subordinate ids.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::explain::at;
use super::namespaces::{LIMIT, child, error};
use super::probe::Probe;
use super::{Observation, State, Subject};
use crate::model::escape;
use crate::tools::programs::{self, Listen, Running};

/// A range: its first id, and how many.
type Range = (u64, u64);

/// Ids that an image's files usually have: what distributions assign to a user.
const USUAL_RANGE: u64 = 65_536;

/// The check `id-maps`: maps a range into a user namespace, as `--fakeroot` does.
pub(super) fn id_maps(subject: &Subject) -> Vec<Observation> {
    const CHECK: &str = "id-maps";
    if subject.user_id == 0 {
        let evidence = "root maps ids without helpers and ranges";
        return vec![Observation::new(CHECK, State::Ok, evidence)];
    }
    let user = name(subject).unwrap_or_else(|| subject.user_id.to_string());
    let limited = |cause, which: String| {
        let evidence = match cause {
            "id-ranges" => format!("{} has no range of ids in {which}", escape(&user)),
            _ => which.clone(),
        };
        let start = 100_000 + (u64::from(subject.user_id) % 50_000) * USUAL_RANGE;
        let range = format!("{start}-{}", start + USUAL_RANGE - 1);
        vec![
            Observation::new(CHECK, State::Limited, evidence)
                .because(cause)
                .with("which", which)
                .with("range", range)
                .with("user", escape(&user)),
        ]
    };
    let helpers: Vec<Result<PathBuf, String>> =
        ["newuidmap", "newgidmap"].map(|program| helper(subject, program)).into_iter().collect();
    if let Some(Err(problem)) = helpers.iter().find(|helper| helper.is_err()) {
        return limited("id-helpers", problem.clone());
    }
    let ranges = [("/etc/subuid", "-u"), ("/etc/subgid", "-g")]
        .map(|(file, kind)| range(subject, file, kind, &user).ok_or(file));
    if let Some(Err(file)) = ranges.iter().find(|range| range.is_err()) {
        let evidence = match subid_source(&subject.root) {
            Some(source) => format!("{file} or {source}, which nsswitch.conf names"),
            None => (*file).to_owned(),
        };
        return limited("id-ranges", evidence);
    }
    let maps: Vec<(PathBuf, Range)> =
        helpers.into_iter().flatten().zip(ranges.into_iter().flatten()).collect();
    match map(subject, &maps) {
        Mapped::Done(count) => {
            let evidence = format!("{count} ids of {} were mapped", escape(&user));
            vec![Observation::new(CHECK, State::Ok, evidence)]
        }
        Mapped::Refused(reason) => limited("id-refused", reason),
        Mapped::Untried(reason) => vec![Observation::new(CHECK, State::Unknown, reason)],
    }
}

/// The check `identity`: the user's name, also with the tree's libraries in front of the host's, as
/// the modules of directory services (SSSD, LDAP) meet them in programs of the tree.
pub(super) fn identity(subject: &Subject) -> Vec<Observation> {
    const CHECK: &str = "identity";
    let observation = |state, evidence: String| Observation::new(CHECK, state, evidence);
    let Some(id) = program(subject, "id") else {
        return vec![observation(State::Unknown, "there is no program `id` to ask".to_owned())];
    };
    let plain = name_by(Command::new(&id));
    let Some(plain) = plain else {
        let evidence = format!("`id -un` finds no name for user {}", subject.user_id);
        return vec![
            observation(State::Broken, evidence)
                .because("identity-none")
                .with("user", subject.user_id),
        ];
    };
    let shown = escape(&plain).into_owned();
    let Some(tree) = &subject.installed else {
        return vec![observation(State::Ok, format!("user {} is {shown}", subject.user_id))];
    };
    if let Some(reason) = &tree.distrust {
        let evidence = format!(
            "user {} is {shown}; with the tree's libraries it was not tried: {reason}",
            subject.user_id
        );
        return vec![observation(State::Unknown, evidence)];
    }
    let mut command = Command::new(at(&subject.root, tree.arch.loader()));
    let directories: Vec<&OsStr> =
        tree.library_directories.iter().map(|directory| directory.as_os_str()).collect();
    command.arg("--library-path").arg(directories.join(":".as_ref())).arg(&id);
    vec![match name_by(command) {
        Some(name) if name == plain => observation(
            State::Ok,
            format!("user {} is {shown}, with the tree's libraries too", subject.user_id),
        ),
        _ => observation(
            State::Limited,
            format!("user {} is {shown}, and not so with the tree's libraries", subject.user_id),
        )
        .because("identity-shadowed"),
    }]
}

/// The helper's path, or why it cannot help.
fn helper(subject: &Subject, name: &str) -> Result<PathBuf, String> {
    let path = program(subject, name).ok_or_else(|| format!("{name} is missing"))?;
    let about = fs::metadata(&path).map_err(|error| format!("{name}: {error}"))?;
    let is_setuid = about.uid() == 0 && about.permissions().mode() & 0o4000 != 0;
    let mut capability = [0; 64];
    let has_capability =
        rustix::fs::getxattr(&path, "security.capability", &mut capability[..]).is_ok();
    if is_setuid || has_capability {
        Ok(path)
    } else {
        let path = path.to_string_lossy();
        Err(format!("{} is neither setuid-root nor has a capability", escape(&path)))
    }
}

/// Where a program is: on the search path, or where such programs usually are.
fn program(subject: &Subject, name: &str) -> Option<PathBuf> {
    let usual = ["/usr/bin", "/bin"].map(|place| at(&subject.root, place));
    let places = subject.search_path.iter().chain(&usual);
    places.map(|place| place.join(name)).find(|path| path.is_file())
}

/// The program of a tree that lists ranges.
pub(crate) const GETSUBIDS: &str = "bin/getsubids";

/// The user's first range: in the file, or from the service that nsswitch.conf names instead.
fn range(subject: &Subject, file: &str, kind: &str, user: &str) -> Option<Range> {
    let text = fs::read_to_string(at(&subject.root, file)).unwrap_or_default();
    let id = subject.user_id.to_string();
    let in_file = |line: &str| {
        let mut parts = line.trim().split(':');
        let owner = parts.next()?;
        let range = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        (owner == user || owner == id).then_some(range)
    };
    text.lines().find_map(in_file).or_else(|| {
        subid_source(&subject.root)?;
        let trusted = subject.installed.as_ref().filter(|tree| tree.distrust.is_none());
        let own = trusted.map(|tree| tree.tree.join(GETSUBIDS));
        let getsubids = own.filter(|path| path.is_file()).or_else(|| program(subject, "getsubids"));
        let mut command = Command::new(getsubids?);
        if kind == "-g" {
            command.arg(kind);
        }
        command.arg(user);
        listed_range(&output(command)?)
    })
}

/// The range in a line of getsubids(1): `0: USER START COUNT`.
fn listed_range(text: &str) -> Option<Range> {
    let mut words = text.lines().next()?.split_whitespace().skip(2);
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// What nsswitch.conf names as the source of ranges, where it is not the files.
fn subid_source(root: &Path) -> Option<String> {
    let text = fs::read_to_string(at(root, "/etc/nsswitch.conf")).ok()?;
    let source = text.lines().find_map(|line| line.trim().strip_prefix("subid:"))?;
    let source = source.split_whitespace().next()?;
    (source != "files").then(|| escape(source).into_owned())
}

/// The user's name, by /etc/passwd or whatever else the host asks.
fn name(subject: &Subject) -> Option<String> {
    name_by(Command::new(program(subject, "id")?))
}

/// What a program prints, trimmed; `None` when it fails.
fn output(command: Command) -> Option<String> {
    let finished = programs::run(command, Listen::Output, LIMIT).ok()?;
    finished.end.is_success().then(|| finished.output.trim().to_owned())
}

/// The name that the program `id` finds.
fn name_by(mut command: Command) -> Option<String> {
    command.arg("-un");
    output(command)
}

/// What came of mapping.
enum Mapped {
    /// So many ids.
    Done(u64),
    Refused(String),
    Untried(String),
}

/// Maps the ranges into a user namespace of a child that waits for it.
fn map(subject: &Subject, maps: &[(PathBuf, Range)]) -> Mapped {
    let child = child(subject, Probe::Wait);
    match Running::waiting(child, Listen::Output, LIMIT) {
        Ok(mut waiting) => map_into(&mut waiting, subject, maps),
        Err(_) => Mapped::Untried("this program could not be started again".to_owned()),
    }
}

fn map_into(waiting: &mut Running, subject: &Subject, maps: &[(PathBuf, Range)]) -> Mapped {
    let line = waiting.first_line(LIMIT).unwrap_or_default();
    if line.trim() != "user 0" {
        let evidence = "helpers and ranges are there; mapping needs a user namespace, which cannot \
                        be made";
        return Mapped::Untried(evidence.to_owned());
    }
    let own = [subject.user_id, rustix::process::getegid().as_raw()];
    let mut mapped = u64::MAX;
    for ((helper, (start, count)), own) in maps.iter().zip(own) {
        let words = [0, u64::from(own), 1, 1, *start, *count].map(|number| number.to_string());
        let mut command = Command::new(helper);
        command.arg(waiting.id().to_string()).args(words);
        match programs::run(command, Listen::Errors, LIMIT) {
            Ok(finished) if finished.end.is_success() => mapped = mapped.min(*count),
            Ok(finished) => {
                return Mapped::Refused(escape(finished.output.trim()).into_owned());
            }
            Err(failure) => {
                return Mapped::Refused(error(failure.raw_os_error().unwrap_or(-1)));
            }
        }
    }
    Mapped::Done(mapped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn getsubids_is_understood() {
        assert_eq!(listed_range("0: ann 100000 65536\n1: ann 7 1\n"), Some((100_000, 65_536)));
        assert_eq!(listed_range("Error fetching ranges"), None);
        assert_eq!(listed_range(""), None);
    }
}
