//! Measures whole installs against the least that they could take, and, where it is given, against
//! Apptainer's own script; and how time grows with packages, metadata, latency and architectures.
//!
//! ```text
//! cargo build --release && cargo run --release --example bench -- install
//! cargo run --release --example bench -- growth         # writes docs/growth-*.svg
//! cargo run --release --example bench -- install --mirror DIR --repos DIR -d el8 -r apptainer \
//!     --payload FILE.xz [--peer SCRIPT]                 # another mirror, and the script
//! cargo run --release --example bench -- compare --before FILE    # two builds, in turn
//! cargo run --release --example bench -- carry          # from a mirror, a bundle, a registry; with --peer too
//! cargo run --release --example bench -- publish        # versions, in a directory and in a stand-in for CVMFS
//! cargo run --release --example bench -- ranch          # against overlayfs and fuse-overlayfs
//! ```
//!
//! `compare` ends with 1 where the later build is slower, or takes more memory, by more than a tenth.
//!
//! `--program FILE` measures another build of elsewhere, `--runs N` takes the fastest of N (default 3), in turn with what it is compared to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::large_stack_frames,
    reason = "a benchmark prints, and stops at what goes wrong"
)]

mod carry;
mod install;
mod measure;
mod plot;
mod publish;
mod ranch;
mod synthetic;

#[path = "../../tests/support/mod.rs"]
mod support;

use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use liblzma::stream::{IGNORE_CHECK, Stream};
use measure::{Run, fastest, run, side_by_side};
use plot::{Curve, svg};
use support::server::Server;
use synthetic::{Mirror, Shape};

/// EL8's shape, as Apptainer's script sees it: 23 packages, one of them large, 33 MB of metadata.
pub(crate) const EL8: Shape = Shape {
    packages: 23,
    largest: 120 << 20,
    other: 600 << 10,
    metadata: 33,
    arches: 1,
    compressor: "xz",
};
/// Small packages, and more metadata than any dist has today.
const MANY_PACKAGES: Shape =
    Shape { packages: 20, largest: 4 << 20, other: 200 << 10, metadata: 250, ..EL8 };

/// Where a file system in memory usually is.
const MEMORY: &str = "/dev/shm";

fn main() {
    let mut words = std::env::args().skip(1);
    let mode = words.next().unwrap_or_else(|| "install".into());
    let mut options = HashMap::new();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        options.insert(name.trim_start_matches('-').to_owned(), value);
    }
    let bench = Bench::new(&options);
    match mode.as_str() {
        "install" => bench.install(&options),
        "growth" => bench.growth(Path::new(options.get("out").map_or("docs", String::as_str))),
        "compare" => bench.compare(Path::new(&options["before"])),
        "carry" => bench.carry(&options),
        "publish" => bench.publish(),
        "ranch" => bench.ranch(),
        other => {
            panic!("none of `install`, `growth`, `compare`, `carry`, `publish`, `ranch`: {other}")
        }
    }
}

/// What is measured, and where.
struct Bench {
    program: PathBuf,
    work: PathBuf,
    runs: usize,
    /// How many directories of earlier runs were put aside.
    aside: Cell<usize>,
}

/// Where an install gets its packages, and what it is to install.
struct Source {
    root: PathBuf,
    repos: PathBuf,
    dist: String,
    runtime: String,
    arches: String,
}

impl Source {
    fn of(mirror: &Mirror, arches: &[&str]) -> Self {
        Self {
            root: mirror.root.clone(),
            repos: mirror.repos.clone(),
            dist: "bench".into(),
            runtime: "bench-runtime".into(),
            arches: arches.join(","),
        }
    }
}

impl Bench {
    fn new(options: &HashMap<String, String>) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = options.get("program").map(PathBuf::from);
        let program = program.unwrap_or_else(|| root.join("target/release/elsewhere"));
        assert!(program.is_file(), "{}: type: cargo build --release", program.display());
        let runs = options.get("runs").map_or(3, |runs| runs.parse().unwrap());
        Self { program, work: root.join("target/bench"), runs, aside: Cell::new(0) }
    }

    /// Makes way for a new directory at `path`. What an earlier run left there is deleted at the end
    /// only: ext4 looks for inodes around those that were deleted in the last minutes, which takes a
    /// tenth of a second of an install.
    fn put_aside(&self, path: &Path) {
        let number = self.aside.replace(self.aside.get() + 1);
        let aside = self.work.join("aside");
        fs::create_dir_all(&aside).unwrap();
        let _ = fs::rename(path, aside.join(number.to_string()));
    }

    /// The table of this build against an earlier one.
    fn compare(&self, before: &Path) {
        let (work, runs) = (self.work.join("before"), self.runs);
        let before = Self { program: before.to_owned(), work, runs, aside: Cell::new(0) };
        let mirror = Mirror::build(&self.work.join("el8"), EL8);
        let source = Source::of(&mirror, &["x86_64"]);
        let mut worse = Vec::new();
        println!("| | before, s | after, s | after / before | CPU, s | memory, MiB |");
        println!("|---|---|---|---|---|---|");
        let mut row = |name: &str, runs: &[Run]| {
            let (before, after) = (runs[0], runs[1]);
            println!(
                "| {name} | {:.3} | {:.3} | {:.2} | {:.2}, {:.2} | {:.0}, {:.0} |",
                before.wall,
                after.wall,
                after.wall / before.wall,
                before.cpu,
                after.cpu,
                before.memory,
                after.memory
            );
            if after.wall > 1.1 * before.wall || after.memory > 1.1 * before.memory {
                worse.push(name.to_owned());
            }
            let others = before.others.max(after.others);
            if others > 0.1 * after.wall {
                eprintln!("  others used {:.0} % of a processor", 100.0 * others / after.wall);
            }
        };
        let many_packages = Mirror::build(&self.work.join("growth"), MANY_PACKAGES);
        let source_of_many = Source::of(&many_packages, &["x86_64"]);
        let server = Server::start(&source_of_many.root);
        let mut one = || before.cold(&source_of_many, &server);
        let mut other = || self.cold(&source_of_many, &server);
        row("cold, 250 MB of metadata", &side_by_side(self.runs, &mut [&mut one, &mut other]));
        for (name, latency, connect) in
            [("cold", 0, 0), ("cold, 60 ms a request, 120 ms a connection", 60, 120)]
        {
            let server = Server::start(&source.root);
            server.latency(Duration::from_millis(latency));
            server.connect_cost(Duration::from_millis(connect));
            let (mut one, mut other) =
                (|| before.cold(&source, &server), || self.cold(&source, &server));
            row(name, &side_by_side(self.runs, &mut [&mut one, &mut other]));
        }
        let server = Server::start(&source.root);
        let (mut one, mut other) =
            (|| before.warm(&source, &server), || self.warm(&source, &server));
        row("warm cache, second prefix", &side_by_side(self.runs, &mut [&mut one, &mut other]));
        let url = server.url();
        let mut one = || run(&mut before.command(&source, &url));
        let mut other = || run(&mut self.command(&source, &url));
        let many = 5 * self.runs;
        row("nothing to do, revalidated", &side_by_side(many, &mut [&mut one, &mut other]));
        let status =
            |bench: &Self| run(Command::new(&bench.program).arg("status").arg(bench.prefix()));
        let (mut one, mut other) = (|| status(&before), || status(self));
        row("status", &side_by_side(many, &mut [&mut one, &mut other]));
        let verify =
            |bench: &Self| run(Command::new(&bench.program).arg("verify").arg(bench.prefix()));
        let (mut one, mut other) = (|| verify(&before), || verify(self));
        row("verify", &side_by_side(self.runs, &mut [&mut one, &mut other]));
        if !worse.is_empty() {
            eprintln!("worse by more than a tenth: {}", worse.join("; "));
            std::process::exit(1);
        }
    }

    /// The curves.
    fn growth(&self, out: &Path) {
        let small = Shape { packages: 20, largest: 4 << 20, other: 200 << 10, metadata: 3, ..EL8 };
        let mut points = Vec::new();
        for packages in [20, 50, 100, 200, 400] {
            points.push((packages as f64, self.shaped(Shape { packages, ..small }, 0)));
        }
        self.draw(out, "packages", "Time against packages", "packages of 200 kB", &points);
        points.clear();
        for metadata in [3, 30, 90, 180, 250] {
            points.push((metadata as f64, self.shaped(Shape { metadata, ..small }, 0)));
        }
        self.draw(out, "metadata", "Time against metadata", "MB of primary.xml, open", &points);
        points.clear();
        for latency in [0, 20, 60, 120, 240] {
            points.push((latency as f64, self.shaped(small, latency)));
        }
        self.draw(out, "latency", "Time against latency", "ms per request", &points);
        points.clear();
        for arches in [1, 2, 4] {
            let shape = Shape { arches, largest: 40 << 20, ..small };
            points.push((arches as f64, self.shaped(shape, 0)));
        }
        self.draw(
            out,
            "architectures",
            "Time against architectures",
            "architectures in one run",
            &points,
        );
    }

    fn shaped(&self, shape: Shape, latency: u64) -> Run {
        let mirror = Mirror::build(&self.work.join("growth"), shape);
        let server = Server::start(&mirror.root);
        server.latency(Duration::from_millis(latency));
        let arches = ["x86_64", "aarch64", "ppc64le", "s390x"];
        let source = Source::of(&mirror, &arches[..shape.arches]);
        fastest(self.runs, || self.cold(&source, &server))
    }

    fn draw(&self, out: &Path, name: &str, title: &str, across: &str, points: &[(f64, Run)]) {
        println!("\n| {across} | wall, s | CPU, s | memory, MiB |\n|---|---|---|---|");
        for (value, run) in points {
            println!("| {value} | {:.2} | {:.2} | {:.0} |", run.wall, run.cpu, run.memory);
        }
        let curve = |name, value: fn(&Run) -> f64| {
            let points = points.iter().map(|(at, run)| (*at, value(run))).collect();
            Curve { name, points }
        };
        let curves = [curve("wall", |run| run.wall), curve("CPU", |run| run.cpu)];
        fs::write(out.join(format!("growth-{name}.svg")), svg(title, across, "seconds", &curves))
            .unwrap();
    }

    /// An install with nothing there yet.
    fn cold(&self, source: &Source, server: &Server) -> Run {
        self.put_aside(&self.work.join("cache"));
        self.warm(source, server)
    }

    /// An install into a new prefix.
    fn warm(&self, source: &Source, server: &Server) -> Run {
        self.put_aside(&self.prefix());
        sync();
        run(&mut self.command(source, &server.url()))
    }

    fn command(&self, source: &Source, mirror: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["install", "-d", &source.dist, "-r", &source.runtime, "-a", &source.arches]);
        command.arg("--mirror").arg(mirror).arg("--repos").arg(&source.repos);
        command.arg("--cache-dir").arg(self.work.join("cache")).arg(self.prefix());
        command
    }

    fn prefix(&self) -> PathBuf {
        self.work.join("prefix")
    }

    /// Apptainer's script, with its URLs turned to `server`.
    fn script(&self, script: &str, server: &Server) -> Run {
        let text = fs::read_to_string(script).unwrap();
        let turned = self.work.join("script.sh");
        fs::write(&turned, text.replace("=\"https://", &format!("=\"{}/", server.url()))).unwrap();
        let prefix = self.work.join("script");
        self.put_aside(&prefix);
        run(Command::new("bash").arg(&turned).args(["-d", "el8"]).arg(prefix))
    }

    /// Decodes so many copies of a payload as fast as can be, on as many processors as there are.
    fn decode(&self, payload: &Path, copies: usize) -> Run {
        let bytes = fs::read(payload).unwrap();
        let is_zstd = payload.extension().is_some_and(|it| it == "zstd");
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let left = AtomicUsize::new(copies);
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..processors.min(copies) {
                scope.spawn(|| {
                    while left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
                        if is_zstd { open_zstd(&bytes) } else { open_xz(&bytes) }
                    }
                });
            }
        });
        let wall = start.elapsed().as_secs_f64();
        Run { wall, cpu: wall, others: 0.0, memory: 0.0 }
    }
}

fn open_xz(bytes: &[u8]) {
    let stream = Stream::new_stream_decoder(100 << 20, IGNORE_CHECK).unwrap();
    drain(liblzma::bufread::XzDecoder::new_stream(bytes, stream));
}

fn open_zstd(bytes: &[u8]) {
    drain(zstd::Decoder::with_buffer(bytes).unwrap());
}

fn drain(mut open: impl Read) {
    let mut buffer = vec![0; 1 << 20];
    while open.read(&mut buffer).unwrap() > 0 {}
}

/// What earlier runs wrote is not the next one's to wait for.
fn sync() {
    let _ = Command::new("sync").status();
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.work.join("aside"));
        if self.work.starts_with(MEMORY) {
            let _ = fs::remove_dir_all(&self.work);
        }
    }
}
