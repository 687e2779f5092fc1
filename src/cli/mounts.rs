//! The words with which launchers start this program to mount repositories by a program of a tree for a command:
//! `launch-with-mounts TREE RUNTIME PROGRAM [REPOSITORY]... -- COMMAND`. No command of elsewhere's own, and so in none of its helps.
//!
//! # The processes
//!
//! The one that was started makes user and mount namespaces, in which the directory for mounts is there, and waits in
//! them. The second is the first of a namespace of processes, where that can be: whatever the command leaves behind ends
//! with it, and it ends with the one that waits. It mounts, starts the third, which becomes the command without any
//! rights, and ends what serves the mounts when that has ended.
//!
//! Where there can be no mounts in namespaces and the host has a setuid fusermount, the first process mounts
//! among the host's own mounts, in a directory of its own, and takes them down again.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use rustix::process::Signal;
use rustix::thread::UnshareFlags;

use super::options::Output;
use crate::doctor;
use crate::error::Error;
use crate::host::Host;
use crate::model::{END_OF_PLACES, IN_PLACES, PLACING_SCRATCH, RuntimeMade, WITH_MOUNTS, escape};
use crate::mounting::{self, Mounted, Mounting, MountingError, Whereabouts};
use crate::ranch::{Ranch, RanchError};
use crate::terminal::Form;
use crate::tools::programs::{self, Listen, Patience};
use crate::tools::{files, foreground, mounts, namespaces};
use crate::workshop::MadeTree;

/// The first words of the other processes.
const INSIDE: &str = "mounts-inside";
const SERVE: &str = "mounts-serve";
const ENTER: &str = "mounts-enter";

/// Where the files of a start are, in the directory for mounts.
const RUN: &str = ".run";

/// What is run where no command is named.
const SHELL: &str = "/bin/sh";

/// What mounts by FUSE for those who may not; it must be setuid.
const HELPERS: [&str; 2] = ["fusermount3", "fusermount"];

/// What this process is for, where it is one of these.
pub(super) enum Part {
    /// What a launcher starts.
    Launched(Vec<OsString>),
    /// To mount, and to wait for the command; it ends with this process.
    Inside(u32, Vec<OsString>),
    /// To become a program that mounts.
    Serve(u32, Vec<OsString>),
    /// To become the command.
    Enter(u32, Vec<OsString>),
}

/// What this process is for.
pub(super) fn asked(host: &Host) -> Option<Part> {
    let mut words = host.arguments().skip(1);
    let part = words.next()?;
    let part = part.to_str()?;
    if part == WITH_MOUNTS {
        return Some(Part::Launched(words.collect()));
    }
    let make = match part {
        INSIDE => Part::Inside,
        SERVE => Part::Serve,
        ENTER => Part::Enter,
        _ => return None,
    };
    let parent = words.next()?.to_str()?.parse().ok()?;
    Some(make(parent, words.collect()))
}

/// Does that, and ends with the command's status: 127 where there is none, 126 where it cannot be started.
pub(super) fn run(part: Part, host: &Host) -> ExitCode {
    let outcome = match part {
        Part::Launched(words) => Job::of(words).and_then(|job| job.launch(host)),
        Part::Inside(parent, words) => Job::of(words).and_then(|job| job.inside(host, parent)),
        Part::Serve(parent, words) => {
            let _ = foreground::end_with(parent, Signal::TERM);
            become_it(words)
        }
        Part::Enter(parent, words) => {
            let _ = namespaces::let_no_program_mount();
            match foreground::end_with(parent, Signal::KILL) {
                Ok(()) => become_it(words),
                Err(source) => Err(RanchError::Process { source }.into()),
            }
        }
    };
    outcome.map_or_else(
        |error| {
            let terminal = Output::default().terminal(host, Arc::default(), Form::Events);
            terminal.error(&error, error.hint().as_deref(), error.exit_status());
            ExitCode::from(error.exit_status())
        },
        ExitCode::from,
    )
}

fn become_it(words: Vec<OsString>) -> Result<u8, Error> {
    let mut words = words.into_iter();
    let program = words.next().unwrap_or_default();
    let mut command = Command::new(&program);
    command.args(words);
    let source = programs::become_program(command);
    Err(RanchError::Start { command: program, source }.into())
}

/// A command, and what is mounted for it.
struct Job {
    words: Vec<OsString>,
    tree: PathBuf,
    runtime: RuntimeMade,
    program: PathBuf,
    asked: Typed,
}

/// What the user typed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Typed {
    is_help: bool,
    container: Option<String>,
    repositories: Vec<String>,
    command: Vec<OsString>,
}

impl Typed {
    fn of(words: impl Iterator<Item = OsString>) -> Result<Self, MountingError> {
        let wrong = |why: String| MountingError::Words(format!("{why}; --help says what can be"));
        let mut typed = Self::default();
        let mut words = words;
        while let Some(word) = words.next() {
            match word.to_str() {
                Some("--") => {
                    typed.command = words.collect();
                    break;
                }
                Some("-h" | "--help") => typed.is_help = true,
                Some("--container") => {
                    let image = words.next().and_then(|word| word.into_string().ok());
                    let image =
                        image.ok_or_else(|| wrong("--container needs an image".to_owned()))?;
                    typed.container = Some(image);
                }
                Some(name) if mounting::is_repository(name) => {
                    typed.repositories.push(name.to_owned());
                }
                _ => {
                    let word = escape(&word.to_string_lossy()).into_owned();
                    return Err(wrong(format!(
                        "{word} is no repository's name (the command stands behind `--`)"
                    )));
                }
            }
        }
        match typed.repositories.is_empty() && !typed.is_help {
            true => Err(wrong("no repository is named".to_owned())),
            false => Ok(typed),
        }
    }
}

impl Job {
    fn of(words: Vec<OsString>) -> Result<Self, Error> {
        let wrong =
            || Error::Usage(format!("{WITH_MOUNTS} is for launchers: it cannot be typed so"));
        let mut rest = words.iter().cloned();
        let tree = rest.next().ok_or_else(wrong)?;
        let name = rest.next().ok_or_else(wrong)?;
        let program = rest.next().ok_or_else(wrong)?.into();
        // The generation that is live now, whatever becomes so while the command runs.
        let tree = fs::canonicalize(&tree)
            .map_err(|source| Error::File { path: tree.clone().into(), source })?;
        let made = MadeTree::open(&tree)?.and_then(|made| made.receipt.made_with);
        let runtimes = made.map(|made| made.runtimes).unwrap_or_default();
        let mut runtimes = runtimes.into_iter().filter(|it| it.fuse_mounts.is_some());
        let runtime = runtimes
            .find(|it| name == it.name.as_str())
            .ok_or_else(|| MountingError::Unsaid { tree: tree.clone() })?;
        let asked = Typed::of(rest)?;
        Ok(Self { words, tree, runtime, program, asked })
    }

    fn mounts(&self) -> Result<&crate::model::FuseMounts, MountingError> {
        let unsaid = || MountingError::Unsaid { tree: self.tree.clone() };
        self.runtime.fuse_mounts.as_ref().ok_or_else(unsaid)
    }

    /// Chooses among the ways in which this host lets it be done.
    fn launch(self, host: &Host) -> Result<u8, Error> {
        let mounts = self.mounts()?;
        if self.asked.is_help || self.asked.container.is_some() {
            let terminal = Output::default().terminal(host, Arc::default(), Form::Lines);
            terminal.output(match &self.asked.container {
                Some(image) => self.container_line(image)?,
                None => self.help(host)?,
            });
            return Ok(0);
        }
        let refused = doctor::refused_step(&host.executable());
        let Some(step) = refused else { return self.in_namespaces(host, &mounts.at) };
        match helper(host).filter(|_| step != "fuse-device") {
            Some(helper) => self.among_mounts(host, &helper),
            None => {
                let why = match step {
                    "fuse-device" => "/dev/fuse cannot be opened".to_owned(),
                    _ => format!(
                        "in namespaces, the step `{step}` is refused, and there is no {} that is setuid",
                        HELPERS.join(" or ")
                    ),
                };
                let instead = self.container_line("IMAGE").ok();
                Err(MountingError::Forbidden { why, instead }.into())
            }
        }
    }

    /// Makes the namespaces, and waits in them.
    fn in_namespaces(&self, host: &Host, at: &str) -> Result<u8, Error> {
        let (own, home) = (host.executable(), host.absolute(Path::new(".")));
        let ranch = Ranch {
            drivers: None,
            injections: Vec::new(),
            writable: vec![at.into()],
            keep: None,
            is_root: false,
        };
        let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
        ranch.enter(Path::new("/"), &self.tree.join(PLACING_SCRATCH), &home)?;
        let failed = |source| RanchError::Namespaces { source };
        namespaces::let_programs_mount().map_err(failed)?;
        let mut parent = std::process::id();
        if is_whole(&table) {
            namespaces::enter(UnshareFlags::NEWPID).map_err(failed)?;
            parent = 0;
        }
        let mut command = Command::new(own);
        command.arg(INSIDE).arg(parent.to_string()).args(&self.words);
        ended(command)
    }

    /// Mounts, and waits for the command.
    fn inside(self, host: &Host, parent: u32) -> Result<u8, Error> {
        foreground::end_with(parent, Signal::KILL)
            .map_err(|source| RanchError::Process { source })?;
        if std::process::id() == 1 {
            namespaces::mount_proc().map_err(|source| {
                let step = "mount the processes of the command's namespace at /proc".to_owned();
                RanchError::Step { step, source }
            })?;
        }
        let at = PathBuf::from(&self.mounts()?.at);
        let run = at.join(RUN);
        make(&run)?;
        // Within the namespace what serves a mount takes it down itself.
        let unmount = |_: &Path| {};
        let mounted = self.mount(host, &at, &run, &unmount)?;
        files::set_mode_at(&at, 0o555)
            .map_err(|source| MountingError::Write { path: at.clone(), source })?;
        let mut command = Command::new(host.executable());
        command.arg(ENTER).arg(std::process::id().to_string()).args(self.command());
        let status = ended(command);
        mounted.end(&unmount);
        status
    }

    /// Mounts among the host's own mounts, by its setuid `helper`, for the command alone if it can be shown there.
    fn among_mounts(&self, host: &Host, helper: &Path) -> Result<u8, Error> {
        let places = [host.temporary_dir(), PathBuf::from("/tmp")];
        let place = places.iter().find(|place| mounting::is_plain(place));
        let run =
            files::unique(place.map_or(Path::new("/tmp"), PathBuf::as_path), "elsewhere-mounts");
        make(&run)?;
        let at = run.join("mounts");
        make(&at)?;
        let unmount = |place: &Path| {
            let mut command = Command::new(helper);
            command.args(["-u", "-z"]).arg(place);
            let _ = programs::run(
                command,
                Listen::Both,
                Patience::of(std::time::Duration::from_secs(30)),
            );
        };
        let outcome =
            self.mount(host, &at, &run, &unmount).map_err(Error::from).and_then(|mounted| {
                let status = ended(self.seeing(host, &at)?);
                mounted.end(&unmount);
                status
            });
        let _ = files::remove_tree(&run);
        outcome
    }

    /// The command, which sees what is at `at` in its place, where namespaces can be made, or is told of it.
    fn seeing(&self, host: &Host, at: &Path) -> Result<Command, Error> {
        let step = doctor::refused_step(&host.executable());
        let mut command = Command::new(host.executable());
        command.arg(ENTER).arg(std::process::id().to_string());
        if step == Some("fuse") {
            command.arg(host.executable()).arg(IN_PLACES).arg(&self.tree);
            command.arg(at).arg(&self.mounts()?.at).arg(END_OF_PLACES);
        } else {
            command.env("ELSEWHERE_MOUNTS", at);
        }
        command.args(self.command());
        Ok(command)
    }

    fn mount(
        &self,
        host: &Host,
        at: &Path,
        run: &Path,
        unmount: &dyn Fn(&Path),
    ) -> Result<Mounted, MountingError> {
        let serve = || {
            let mut command = Command::new(host.executable());
            command.arg(SERVE).arg(std::process::id().to_string());
            command
        };
        let name = &self.runtime.name;
        let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
        let mounting = Mounting {
            mounts: self.mounts()?,
            environment: &self.runtime.environment,
            tree: &self.tree,
            program: &self.program,
            whereabouts: Whereabouts {
                tree: mounting::tree_link(run),
                site: Path::new("/etc/elsewhere").join(name),
                user: host.config_dir().map(|directory| directory.join(name)),
                run: run.to_owned(),
                cache: cache(host, name, &table),
                mounts: at.to_owned(),
            },
            serve: &serve,
        };
        mounting.mount(&self.asked.repositories, unmount)
    }

    fn command(&self) -> Vec<OsString> {
        match self.asked.command.is_empty() {
            true => vec![SHELL.into()],
            false => self.asked.command.clone(),
        }
    }

    /// What a container runtime is told, for `image`.
    fn container_line(&self, image: &str) -> Result<String, MountingError> {
        let mounts = self.mounts()?;
        let words = mounts.container.as_ref().ok_or_else(|| {
            MountingError::Words("no container runtime mounts for this one".to_owned())
        })?;
        let command = self.command();
        let command = command.iter().map(|word| word.to_string_lossy().into_owned());
        let behind: Vec<String> = std::iter::once(image.to_owned()).chain(command).collect();
        let tree = self.tree.to_string_lossy();
        words.line(&tree, &mounts.at, &self.asked.repositories, &behind).map_err(|odd| {
            MountingError::Words(format!(
                "a container runtime takes {odd:?} in the tree's path for its own"
            ))
        })
    }

    fn help(&self, host: &Host) -> Result<String, MountingError> {
        let mounts = self.mounts()?;
        let name = self.runtime.commands.iter().find(|command| command.mounts);
        let name = name.map_or("", |command| command.name.as_str());
        let user = host.config_dir().unwrap_or_default().join(&self.runtime.name);
        let mut text = format!(
            "Runs a command that sees repositories below {at}, mounted for it alone.\n\n\
             Usage: {name} REPOSITORY... [-- COMMAND [ARGUMENT]...]\n       \
             {name} --container IMAGE REPOSITORY... [-- COMMAND]\n\n\
             Without a command, a shell. The exit status is the command's; 127 where there is none, 126 where it\n\
             cannot be started, 2 where the configuration lacks something, 7 where this host lets nothing be\n\
             mounted. What is mounted is gone when the command has ended.\n\n\
             --container prints the command line by which a container runtime mounts them, for hosts where\n\
             only that may.\n\n\
             Configuration, what comes later counts more:\n",
            at = mounts.at
        );
        for entry in mounts.configuration.iter().filter(|entry| entry.starts_with('{')) {
            let entry = entry.replace("{tree}", &self.tree.to_string_lossy());
            let entry = entry.replace("{user}", &user.to_string_lossy());
            let entry = entry.replace("{site}", &format!("/etc/elsewhere/{}", self.runtime.name));
            let entry = entry.replace("{first}", "(the configuration repository)");
            let _ = writeln!(text, "  {entry}");
        }
        Ok(text.trim_end().to_owned())
    }
}

/// Where caches are kept unless the configuration names a place: on a disk of this machine.
fn cache(host: &Host, name: &str, table: &[u8]) -> PathBuf {
    let of_all = |directory: &Path| directory.join(format!("elsewhere-{}", host.user_id()));
    let near = host.cache_dir().ok().into_iter();
    let places: Vec<PathBuf> = near
        .chain([of_all(Path::new("/var/tmp")), of_all(&host.temporary_dir())])
        .map(|place| place.join(format!("{name}-mounts")))
        .collect();
    mounting::cache_place(&places, table)
}

/// Runs a command in this one's place, and says how it ended.
fn ended(command: Command) -> Result<u8, Error> {
    let status = foreground::run(command);
    let status = status.map_err(|source| RanchError::Process { source })?;
    Ok(foreground::exit_code(status))
}

fn make(directory: &Path) -> Result<(), MountingError> {
    let made = DirBuilder::new().mode(0o700).create(directory);
    made.map_err(|source| MountingError::Write { path: directory.to_owned(), source })
}

/// The host's program that mounts for those who may not.
fn helper(host: &Host) -> Option<PathBuf> {
    const SETUID: u32 = 0o4000;
    let usual = ["/usr/bin", "/bin"].map(PathBuf::from);
    let places: Vec<PathBuf> = host.search_path().into_iter().chain(usual).collect();
    let is_it = |path: &PathBuf| {
        let found = fs::metadata(path).ok().filter(|it| it.is_file());
        found.is_some_and(|it| it.uid() == 0 && it.mode() & SETUID != 0)
    };
    let all = HELPERS.iter().flat_map(|name| places.iter().map(move |place| place.join(name)));
    all.filter(|path| path.is_absolute()).find(is_it)
}

/// Whether nothing covers a part of /proc, by the table of mounts: the kernel lets another be mounted only then.
fn is_whole(table: &[u8]) -> bool {
    let proc = Path::new("/proc");
    let covers = |point: &Path| {
        point != proc && point.starts_with(proc) && !point.ends_with(OsStr::new("binfmt_misc"))
    };
    !mounts::mounts(table).any(|mount| covers(&mount.point))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(words: &[&str]) -> Result<Typed, String> {
        Typed::of(words.iter().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn repositories_come_before_the_command() {
        let it = typed(&["a.b", "c.d.e", "--", "ls", "-l", "--", "x"]).unwrap();
        assert_eq!(it.repositories, ["a.b", "c.d.e"]);
        assert_eq!(it.command, ["ls", "-l", "--", "x"]);
        assert!(typed(&["--help"]).unwrap().is_help);
        for (words, because) in [
            (&["--", "ls"][..], "no repository"),
            (&["a.b", "ls", "-l"], "ls is no repository's name"),
            (&["../x.y"], "no repository's name"),
            (&["a.b/c"], "no repository's name"),
            (&["-N", "a.b"], "no repository's name"),
            (&["--container"], "needs an image"),
        ] {
            let error = typed(words).unwrap_err();
            assert!(error.contains(because), "{words:?}: {error}");
        }
    }

    #[test]
    fn a_covered_proc_is_known() {
        let line = |point: &str| format!("1 1 0:5 / {point} rw - proc proc rw\n");
        assert!(is_whole((line("/proc") + &line("/proc/sys/fs/binfmt_misc")).as_bytes()));
        assert!(!is_whole((line("/proc") + &line("/proc/kcore")).as_bytes()));
    }
}
