//! Hosts that have nothing (`make bare`): roots of Debian releases, each with its base and an
//! ordinary user alone, where the static program installs and everything is put to use.

#[path = "bare/carried.rs"]
mod carried;
#[path = "bare/grid.rs"]
mod grid;

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use crate::installed::RUNTIMES;
use crate::support::deb::Suite;
use crate::support::image;
use crate::support::mirror::{Mirror, Options, apptainer, directory};
use crate::support::server::Server;
use crate::support::session::{Run, Session, quoted};

/// Debian's releases, the C library that each has, and whose programs are installed there: what was
/// built for a newer C library than a host's cannot run on it.
const HOSTS: [(&str, &str, Suite); 4] = [
    ("bullseye", "2.31", Suite::Bullseye),
    ("bookworm", "2.36", Suite::Bookworm),
    ("trixie", "2.41", Suite::Bookworm),
    ("trixie", "2.41", Suite::Bullseye),
];

#[test]
#[ignore = "needs roots of Debian releases and the static program: make bare"]
fn bare_hosts_run_everything() {
    let mut table = Table::default();
    for (name, glibc, suite) in HOSTS {
        let mirror = mirror(suite);
        let server = Server::start(&mirror.root);
        let host = Host::new(name, &mirror);
        let said = host.session.script(&Run::default(), "ldd --version | sed q");
        assert!(said.ends_with(glibc), "{name}: {said}");
        table.row(name, glibc, suite, host.every_step(&mirror, &server));
    }
    println!("{}", table.text);
    assert!(table.failures.is_empty(), "{}", table.failures.join("\n"));
}

#[test]
#[ignore = "needs roots of Debian releases and the static program: make bare"]
fn a_host_with_too_old_a_c_library_is_told_so_before_the_download() {
    let mirror = mirror(Suite::Bookworm);
    let server = Server::start(&mirror.root);
    let host = Host::new("bullseye", &mirror);
    let output = host.session.output(&Run::default(), &host.install(&server, "x86_64"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("2.31"), "the host's C library is not named: {text}");
    assert!(!host.prefix.exists(), "{text}");
    let packages: Vec<_> =
        server.requests().into_iter().filter(|path| path.ends_with(".rpm")).collect();
    assert!(packages.is_empty(), "{packages:?}: {text}");
}

/// The mirror of `suite`'s programs.
fn mirror(suite: Suite) -> Mirror {
    match suite {
        Suite::Bookworm => Mirror::build(&directory(), &Options::default()),
        Suite::Bullseye | Suite::Trixie => {
            let options = Options { suite, ..Options::default() };
            Mirror::build(&directory().with_file_name(suite.name()), &options)
        }
    }
}

/// Where `make bare` keeps the hosts and the program.
fn place() -> PathBuf {
    std::env::var_os("BARE_HOSTS").expect("BARE_HOSTS is not set: type: make bare").into()
}

/// The static program.
fn program() -> PathBuf {
    place().join(format!("elsewhere-{}", std::env::consts::ARCH))
}

/// The root directory of a host.
fn machine(name: &str) -> PathBuf {
    place().join(name)
}

/// A bare system, and a user's session in it.
struct Host {
    session: Session,
    prefix: PathBuf,
}

impl Host {
    fn new(name: &str, mirror: &Mirror) -> Self {
        let session = Session::new(&mirror.debs, name, &program(), &mirror.repos);
        let session = session.in_machine(&machine(name));
        let prefix = session.work.join("a prefix");
        Self { session, prefix }
    }

    fn install(&self, server: &Server, arches: &str) -> String {
        format!(
            "./elsewhere install {RUNTIMES} -a {arches} -d el8 --cache-dir home/cache --repos repos \
             --mirror {} {}",
            server.url(),
            quoted(self.prefix.as_os_str())
        )
    }

    /// Every step, by the name of what it shows, and whether it worked or why it did not.
    fn every_step(&self, mirror: &Mirror, server: &Server) -> Vec<(&'static str, Outcome)> {
        let (session, prefix, how) = (&self.session, self.prefix.as_path(), &Run::default());
        let works = |text: String| assert!(text.contains(image::NAME), "{text}");
        let steps: [(&str, &dyn Fn()); 9] = [
            ("install", &|| {
                session.script(how, &self.install(server, "x86_64,aarch64"));
            }),
            ("pack", &|| assert!(session.make_image(how, prefix).contains("image.sqsh"))),
            ("mount, overlay", &|| works(session.mount_and_overlay(how, prefix))),
            ("fakeroot", &|| assert_eq!(session.fakeroot(how, prefix), "root: yes\nroot: no")),
            ("apptainer", &|| works(session.apptainer(how, prefix))),
            ("ch-run", &|| works(session.ch_run(how, prefix))),
            ("crun", &|| works(session.crun(how, prefix))),
            ("aarch64", &|| {
                let text = session.aarch64(&mirror.debs, prefix);
                assert!(text.contains(apptainer::NEWEST), "{text}");
                works(text);
            }),
            ("verify", &|| {
                let prefix = quoted(prefix.as_os_str());
                session.script(how, &format!("./elsewhere verify --repos repos {prefix}"));
            }),
        ];
        steps.into_iter().map(|(name, step)| (name, outcome(step))).collect()
    }
}

type Outcome = Result<(), String>;

fn outcome(step: impl FnOnce()) -> Outcome {
    catch_unwind(AssertUnwindSafe(step)).map_err(|reason| match reason.downcast::<String>() {
        Ok(text) => *text,
        Err(_) => "it panicked".to_owned(),
    })
}

/// Host × what was done there, as Markdown.
#[derive(Default)]
struct Table {
    text: String,
    failures: Vec<String>,
}

impl Table {
    fn row(&mut self, host: &str, glibc: &str, suite: Suite, steps: Vec<(&str, Outcome)>) {
        if self.text.is_empty() {
            let names: Vec<&str> = steps.iter().map(|(name, _)| *name).collect();
            let line = "|---".repeat(names.len() + 3);
            let names = names.join(" | ");
            write!(self.text, "| host | glibc | programs of | {names} |\n{line}|\n").unwrap();
        }
        write!(self.text, "| {host} | {glibc} | {suite:?}").unwrap();
        for (name, outcome) in steps {
            self.text.push_str(if outcome.is_ok() { " | works" } else { " | FAILS" });
            if let Err(reason) = outcome {
                self.failures.push(format!("{host}, {name}: {reason}"));
            }
        }
        self.text.push_str(" |\n");
    }
}
