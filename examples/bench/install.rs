//! The table of whole installs: cold over several links, from a warm cache, in memory, and where nothing is
//! to do.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use elsewhere::stages::model::Arch;

use super::measure::{Run, run, side_by_side};
use super::support::server::Server;
use super::synthetic::{Mirror, Shape};
use super::{Bench, EL8, MEMORY, Source, sync};

/// The same, packed as EL9 and EL10 do.
const EL9: Shape = Shape { compressor: "zstd", ..EL8 };
/// For four architectures, each as large.
const FAT: Shape = Shape { arches: 4, ..EL8 };

/// Connections that a host gets at most: the floor of a link that limits each.
const CONNECTIONS: f64 = 4.0;

impl Bench {
    /// The table of whole installs.
    pub(crate) fn install(&self, options: &HashMap<String, String>) {
        let (source, payload) = self.source(options);
        println!(
            "| | floor, s | wall, s | of the floor | requests in a row | connections | CPU, s | memory, MiB | \
             script, s | faster |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
        let peer = options.get("peer").map(String::as_str);
        let cases = [
            ("cold, no latency", Link::default()),
            ("cold, 20 ms a request, 40 ms a connection", Link::of(20, 40, 0)),
            ("cold, 60 ms a request, 120 ms a connection", Link::of(60, 120, 0)),
            ("cold, 10 MB/s a connection", Link::of(0, 0, 10_000_000)),
        ];
        for (name, link) in cases {
            self.cold_row(name, (&source, &payload), link, peer);
        }
        if let Some(memory) = self.in_memory() {
            memory.cold_row("cold, all in memory", (&source, &payload), Link::default(), None);
        }
        self.warm_rows(&source, &payload);
        if options.contains_key("mirror") {
            return;
        }
        let (source, payload) = self.shaped_mirror("el9", EL9);
        self.cold_row("cold, zstd", (&source, &payload), Link::default(), None);
        let (source, payload) = self.shaped_mirror("fat", FAT);
        self.cold_row("cold, four architectures", (&source, &payload), Link::default(), None);
    }

    /// The mirror that is named, or one of EL8's shape, and the payload of its largest package.
    pub(crate) fn source(&self, options: &HashMap<String, String>) -> (Source, PathBuf) {
        let Some(mirror) = options.get("mirror") else { return self.shaped_mirror("el8", EL8) };
        let source = Source {
            root: mirror.into(),
            repos: options["repos"].clone().into(),
            dist: options.get("d").map_or("el8".into(), String::clone),
            runtime: options.get("r").map_or("apptainer".into(), String::clone),
            arches: "x86_64".into(),
        };
        (source, options.get("payload").map_or_else(PathBuf::new, PathBuf::from))
    }

    /// A mirror of this shape, and the payload of its largest package.
    fn shaped_mirror(&self, name: &str, shape: Shape) -> (Source, PathBuf) {
        let mirror = Mirror::build(&self.work.join(name), shape);
        let arches: Vec<&str> =
            Arch::ALL[..shape.arches].iter().map(|arch| arch.as_str()).collect();
        (Source::of(&mirror, &arches), mirror.payload)
    }

    /// The same with prefix and cache in memory, where there is such a file system.
    fn in_memory(&self) -> Option<Self> {
        let is_there =
            rustix::fs::statvfs(MEMORY).is_ok_and(|it| it.f_bavail * it.f_frsize > 2 << 30);
        let work = Path::new(MEMORY).join(format!("elsewhere-bench-{}", std::process::id()));
        is_there.then(|| Self {
            program: self.program.clone(),
            work,
            runs: self.runs,
            aside: Cell::new(0),
        })
    }

    /// Installs with nothing there yet, over `link`.
    fn cold_row(
        &self,
        name: &str,
        (source, payload): (&Source, &Path),
        link: Link,
        peer: Option<&str>,
    ) {
        let server = link.server(&source.root);
        let mut bytes = 0;
        let copies = source.arches.split(',').count();
        let mut floor = || self.decode(payload, copies);
        let mut cold = || {
            let before = server.bytes();
            let run = self.cold(source, &server);
            bytes = server.bytes() - before;
            run
        };
        let mut script = || self.script(peer.unwrap_or_default(), &server);
        let runs = match peer {
            Some(_) => side_by_side(self.runs, &mut [&mut floor, &mut cold, &mut script]),
            None => side_by_side(self.runs, &mut [&mut floor, &mut cold]),
        };
        let rate = f64::from(link.rate);
        let over_link = if rate > 0.0 { bytes as f64 / (CONNECTIONS * rate) } else { 0.0 };
        // Once more, and what it asked for is written down: that takes time, too.
        let server = link.server(&source.root);
        let trace = self.work.join("trace.json");
        self.put_aside(&self.work.join("cache"));
        self.put_aside(&self.prefix());
        run(self.command(source, &server.url()).arg("--trace").arg(&trace));
        let asked = Some((in_a_row(&trace), server.connections()));
        row(name, runs[0].wall.max(over_link), runs[1], asked, runs.get(2));
    }

    /// Installs with a full cache, and what there is to do where nothing is.
    fn warm_rows(&self, source: &Source, payload: &Path) {
        let server = Server::start(&source.root);
        let _ = self.cold(source, &server);
        let mut floor = || self.decode(payload, 1);
        let mut warm = || self.warm(source, &server);
        let decoding = || {
            self.put_aside(&self.prefix());
            sync();
            run(self.command(source, &server.url()).arg("--no-store"))
        };
        let mut keeping_nothing = || {
            self.put_aside(&self.work.join("cache"));
            decoding()
        };
        let runs = side_by_side(self.runs, &mut [&mut floor, &mut warm]);
        row("warm cache, second prefix", runs[0].wall, runs[1], None, None);
        let runs = side_by_side(self.runs, &mut [&mut floor, &mut keeping_nothing]);
        row("cold, keeping nothing unpacked", runs[0].wall, runs[1], None, None);
        let _ = self.cold(source, &server);
        let mut repair = || {
            let file = self.prefix().join("x86_64/share/bench-part-1");
            fs::remove_dir_all(&file).unwrap();
            let mut repair = Command::new(&self.program);
            repair.args(["verify", "--repair", "--offline", "--repos"]).arg(&source.repos);
            run(repair.arg("--cache-dir").arg(self.work.join("cache")).arg(self.prefix()))
        };
        let mut nothing = || run(&mut self.command(source, &server.url()));
        let root = source.root.display().to_string();
        let mut local = || run(&mut self.command(source, &root));
        let mut status = || run(Command::new(&self.program).arg("status").arg(self.prefix()));
        let floor = runs[0].wall;
        let runs =
            side_by_side(5 * self.runs, &mut [&mut nothing, &mut local, &mut status, &mut repair]);
        row("nothing to do, revalidated", floor, runs[0], None, None);
        row("nothing to do, from a directory", floor, runs[1], None, None);
        row("status", floor, runs[2], None, None);
        if source.runtime == "bench-runtime" {
            row("repair of one package, offline", floor, runs[3], None, None);
        }
    }
}

/// The network's share.
#[derive(Clone, Copy, Default)]
struct Link {
    /// Milliseconds that a request takes, and a connection more.
    latency: u64,
    connect: u64,
    /// Bytes a second of a connection; 0 for as many as go.
    rate: u32,
}

impl Link {
    fn of(latency: u64, connect: u64, rate: u32) -> Self {
        Self { latency, connect, rate }
    }

    fn server(self, root: &Path) -> Server {
        let server = Server::start(root);
        server.latency(Duration::from_millis(self.latency));
        server.connect_cost(Duration::from_millis(self.connect));
        server.rate(self.rate as usize);
        server
    }
}

/// How many requests in a row a run waited for, by its trace, until the answer began that brought most
/// bytes: none of them began before the one before it ended.
fn in_a_row(trace: &Path) -> usize {
    let whole: serde_json::Value = serde_json::from_slice(&fs::read(trace).unwrap()).unwrap();
    let events = whole["traceEvents"].as_array().unwrap();
    let mut asked: Vec<(f64, f64, u64)> = events
        .iter()
        .filter(|event| event["name"] == "request")
        .map(|event| {
            let number = |name: &str| event[name].as_f64().unwrap();
            let bytes = event["args"]["bytes"].as_str().map_or(0, |bytes| bytes.parse().unwrap());
            (number("ts"), number("ts") + number("dur"), bytes)
        })
        .collect();
    asked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut rows: Vec<usize> = Vec::new();
    for (began, ..) in &asked {
        let before = asked.iter().zip(&rows).filter(|((_, ended, _), _)| ended <= began);
        rows.push(1 + before.map(|(_, row)| *row).max().unwrap_or(0));
    }
    let largest = asked.iter().zip(rows).max_by_key(|((_, _, bytes), _)| *bytes);
    largest.map_or(0, |(_, row)| row)
}

/// Prints a line of the table. `asked` are requests in a row, and connections.
fn row(name: &str, floor: f64, run: Run, asked: Option<(usize, usize)>, script: Option<&Run>) {
    let (script, faster) = match script {
        Some(script) => (format!("{:.2}", script.wall), format!("{:.1} ×", script.wall / run.wall)),
        None => (String::new(), String::new()),
    };
    let (requests, connections) = match asked {
        Some((requests, connections)) => (requests.to_string(), connections.to_string()),
        None => (String::new(), String::new()),
    };
    println!(
        "| {name} | {floor:.2} | {:.3} | {:.2} × | {requests} | {connections} | {:.2} | {:.0} | {script} | \
         {faster} |",
        run.wall,
        run.wall / floor,
        run.cpu,
        run.memory
    );
    if run.others > 0.1 * run.wall {
        eprintln!("  others used {:.0} % of a processor meanwhile", 100.0 * run.others / run.wall);
    }
}
