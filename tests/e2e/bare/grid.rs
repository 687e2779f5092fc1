//! A grid: one version, published for two architectures and made of two releases' programs, read where nobody can
//! write and without a network, by somebody who did not publish it, with three C libraries.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Outcome, machine, mirror, outcome, program};
use crate::installed::RUNTIMES;
use crate::support::deb::{Debs, Suite};
use crate::support::image;
use crate::support::mirror::{Mirror, Options, Release, directory};
use crate::support::server::Server;
use crate::support::session::{Network, Run, STRANGER, Session, is_root, launcher, quoted};
use crate::support::tools::run;

/// Debian's releases, and of which dist's programs each has to run: those of `el9` need glibc 2.36 here.
const NODES: [(&str, Suite, &str); 3] = [
    ("bullseye", Suite::Bullseye, "el8"),
    ("bookworm", Suite::Bookworm, "el9"),
    ("trixie", Suite::Trixie, "el9"),
];

#[test]
#[ignore = "needs roots of Debian releases and the static program: make bare"]
fn bare_nodes_of_two_architectures_read_what_another_user_published() {
    let (mut session, base) = published();
    let mut text = String::from(
        "| node | glibc | architecture | runs | what is published there | calls that name it | that find nothing |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let mut failures = Vec::new();
    for (name, suite, dist) in NODES {
        session.move_to(&machine(name));
        for arch in ["x86_64", "aarch64"] {
            let node = Node { session: &session, base: &base, suite, dist };
            let (mut seen, mut glibc) = (Seen::default(), String::new());
            let done: Outcome = outcome(|| (seen, glibc) = node.read(arch));
            let worked = if done.is_ok() { "works" } else { "FAILS" };
            let Seen { calls, failed } = &seen;
            let failed_calls = failed.len();
            writeln!(
                text,
                "| {name} | {glibc} | {arch} | {dist} | {worked} | {calls} | {failed_calls} |"
            )
            .unwrap();
            if let Err(reason) = done {
                failures.push(format!("{name}, {arch}: {reason}"));
            } else if !failed.is_empty() {
                failures.push(format!("{name}, {arch}: {}", failed.join("\n")));
            }
        }
    }
    println!("{text}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A session, and the directory in which a version is published that nobody of it owns.
fn published() -> (Session, PathBuf) {
    let mirror = mirror_of_two_dists();
    let server = Server::start(&mirror.root);
    let session = Session::new(&mirror.debs, "bare-grid", &program(), &mirror.repos);
    let base = session.work.join("grid/sw");
    let install = format!(
        "./elsewhere install --layout versioned --name 2026.1 {RUNTIMES} -a x86_64,aarch64 -d el8,el9 \
         --repos repos --mirror {} --cache-dir home/cache {}",
        server.url(),
        quoted(base.as_os_str())
    );
    println!("{}", session.script(&Run::default(), &install));
    // What others read of the publisher's session, and where the kernel's own directory comes to lie.
    let image = session.work.join("image");
    run(Command::new("chmod").args(["-R", "a+rX"]).arg(&image));
    if is_root() {
        run(Command::new("chown").args(["-R", "0:0"]).arg(session.work.join("grid")));
    }
    (session, base)
}

/// A mirror of Debian 11's programs as those of `el8`, and Debian 12's as those of `el9`.
fn mirror_of_two_dists() -> Mirror {
    let older = mirror(Suite::Bullseye);
    let options = Options { releases: vec![Release::El9], ..Options::default() };
    let newer = Mirror::build(&directory().with_file_name("bookworm-el9"), &options);
    let place = directory().with_file_name("two-dists");
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).unwrap();
    for part in [&older, &newer] {
        for (from, to) in [(&part.root, "mirror"), (&part.repos, "repos")] {
            run(Command::new("cp").arg("-rlT").arg(from).arg(place.join(to)).arg("-f"));
        }
    }
    Mirror { root: place.join("mirror"), repos: place.join("repos"), debs: newer.debs }
}

/// What programs asked of the tree: calls that name it, and those of them that found nothing.
#[derive(Default)]
struct Seen {
    calls: usize,
    failed: Vec<String>,
}

impl Seen {
    /// By the calls in `trace` that name `place`.
    fn of(trace: &Path, place: &str) -> Self {
        let text = String::from_utf8_lossy(&fs::read(trace).unwrap()).into_owned();
        let named = text.lines().filter(|line| line.contains(&format!("\"{place}/")));
        let (mut calls, mut failed) = (0, Vec::new());
        for line in named {
            calls += 1;
            // What is no link is asked for one, where programs want to know their own places.
            if line.contains("= -1 ") && !line.contains("= -1 EINVAL") {
                failed.push(line.to_owned());
            }
        }
        Self { calls, failed }
    }
}

/// A machine of the grid, on which somebody works.
struct Node<'a> {
    session: &'a Session,
    base: &'a Path,
    suite: Suite,
    dist: &'a str,
}

impl Node<'_> {
    /// Everything that a user does there. Returns what was asked of the tree, and the C library's version.
    fn read(&self, arch: &str) -> (Seen, String) {
        let trace = self.session.work.join("sandbox.trace");
        let how = Run {
            user: Some(STRANGER),
            read_only: vec![self.session.work.join("grid")],
            network: Network::None,
            ..Run::default()
        };
        let traced = Run { trace: is_root().then(|| trace.clone()), ..how.clone() };
        let debs = Debs::open(directory().parent().unwrap(), self.suite);
        let (place, version) = match arch {
            "x86_64" => {
                self.here(&how, &traced);
                let said = self.session.script(&how, "ldd --version | sed q");
                (self.base.to_str().unwrap(), said)
            }
            _ => {
                let told = self.session.aarch64_by(&traced, &debs, self.base);
                for part in ["aarch64", "apptainer version", image::NAME] {
                    assert!(told.contains(part), "{part}: {told}");
                }
                ("/opt", debs.package("aarch64".parse().unwrap(), "libc6").upstream_version())
            }
        };
        let version = version.rsplit(' ').next().unwrap().to_owned();
        if !is_root() {
            return (Seen::default(), version);
        }
        let seen = Seen::of(&trace, place);
        assert!(seen.calls > 0, "nothing was seen of {place}");
        let calls = fs::read_to_string(&trace).unwrap_or_default();
        let started =
            calls.lines().filter(|line| line.contains("execve(") && line.contains("/dists/"));
        let (right, wrong): (Vec<_>, Vec<_>) = started
            .filter(|line| line.contains(&format!("\"{place}/")) || line.contains("/../"))
            .partition(|line| line.contains(&format!("/dists/{}/{arch}/", self.dist)));
        assert!(!right.is_empty() && wrong.is_empty(), "of {}: {right:#?} {wrong:#?}", self.dist);
        (seen, version)
    }

    /// Everything on the machine's own architecture; what only asks of the tree is traced. Not crun, which opens
    /// libraries by name and so is told to search for them.
    fn here(&self, how: &Run, traced: &Run) {
        let (session, base) = (self.session, self.base);
        let [apptainer, pack, squashfuse, overlay, charliecloud, crun] =
            ["apptainer", "mksquashfs", "squashfuse", "fuse-overlayfs", "ch-run", "crun"]
                .map(|name| launcher(base, name));
        let script = format!(
            "set -e; cd \"$(mktemp -d)\"; work={work}
             {pack} $work/image image.sqsh -noappend -all-root -quiet -no-progress
             {apptainer} exec image.sqsh sh -c 'cat /etc/os-release'
             {current} exec $work/image sh -c 'echo it ran there'
             {charliecloud} $work/image -- sh -c 'echo and there'; {crun} --version
             $work/elsewhere verify --repos $work/repos {base}; $work/elsewhere status {base}
             if touch {base}/new; then echo written; fi; echo user: $(id -u); rm -r \"$PWD\"",
            work = quoted(session.work.as_os_str()),
            current = quoted(base.join("current/bin/apptainer").as_os_str()),
            base = quoted(base.as_os_str()),
        );
        let told = session.script(how, &script);
        let parts = [
            "it ran there",
            "and there",
            "as they were made",
            image::NAME,
            "Read-only file system",
        ];
        for part in parts {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("written"), "{told}");
        assert!(!is_root() || told.contains(&format!("user: {STRANGER}")), "{told}");
        let ask = format!(
            "{apptainer} --version; {pack} -version; {overlay} --version; {squashfuse} --help
             {charliecloud} --version; {apptainer} exec {image} true",
            image = quoted(session.work.join("image").as_os_str()),
        );
        let told = session.output(traced, &ask);
        assert!(String::from_utf8_lossy(&told.stdout).contains("apptainer version"), "{told:?}");
    }
}
