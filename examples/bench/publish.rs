//! The table of what is published: seconds, and what of each version is new, in a directory and in a repository of the
//! tests' stand-in, whose own time is said apart: a real server takes another one.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::Bench;
use super::measure::{Run, run_to};
use super::support::cvmfs::Publisher;
use super::support::keys::TestKey;
use super::synthetic::{Mirror, Shape, Since};

/// A runtime of 24 packages for two architectures.
const SHAPE: Shape = Shape {
    packages: 24,
    largest: 40 << 20,
    other: 400 << 10,
    metadata: 6,
    arches: 2,
    compressor: "zstd",
};

/// What is published, one behind the other.
const STEPS: [(&str, Since); 4] = [
    ("the first version", Since::First),
    ("the same: nothing to do", Since::First),
    ("one package is mended", Since::Mended),
    ("the next version", Since::Next),
];

/// Where.
const WAYS: [&str; 3] = ["directory", "transaction", "ingest"];

/// What one publication came to.
struct Row {
    run: Run,
    told: Value,
}

impl Bench {
    /// The table of what is published.
    pub(crate) fn publish(&self) {
        let key = TestKey::new();
        let mirrors = [Since::First, Since::Mended, Since::Next].map(|since| {
            Mirror::changed(
                &self.work.join(format!("published-{}", since as u8)),
                SHAPE,
                &key,
                since,
            )
        });
        println!(
            "| | | s | of it the server, s | CPU, s | others, % | entries | MB | new contents | MB | objects of the server | kB |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
        for way in WAYS {
            let mut fastest: Vec<Row> = Vec::new();
            for round in 0..self.runs {
                let rows = self.publish_once(way, &mirrors);
                if round == 0 {
                    fastest = rows;
                } else {
                    for (best, row) in fastest.iter_mut().zip(rows) {
                        if row.run.wall < best.run.wall {
                            *best = row;
                        }
                    }
                }
            }
            for ((name, _), row) in STEPS.iter().zip(&fastest) {
                row.print(way, name);
            }
        }
    }

    /// Publishes all steps in a place of its own.
    fn publish_once(&self, way: &str, mirrors: &[Mirror; 3]) -> Vec<Row> {
        let place = self.work.join("grid");
        self.put_aside(&place);
        fs::create_dir_all(&place).unwrap();
        let publisher = Publisher::stand_in("");
        let places = match way {
            "directory" => "directory = \"pub\"\n".to_owned(),
            via => publisher.wish("cvmfs", via),
        };
        let list = place.join("list.toml");
        let text = format!(
            "{places}[[runtime]]\nname = \"bench-runtime\"\ndists = [\"bench\"]\n\
             arches = [\"x86_64\", \"aarch64\"]\n"
        );
        fs::write(&list, text).unwrap();
        STEPS.map(|(_, since)| self.sync(&list, &mirrors[since as usize])).into()
    }

    fn sync(&self, list: &Path, mirror: &Mirror) -> Row {
        super::sync();
        let told = list.with_file_name("told");
        let mut command = Command::new(&self.program);
        command.args(["sync", "--json", "--mirror"]).arg(&mirror.root).arg("--repos");
        command.arg(&mirror.repos).arg("--cache-dir").arg(self.work.join("cache")).arg(list);
        command.env("XDG_STATE_HOME", list.with_file_name("state"));
        let run = run_to(&mut command, File::create(&told).unwrap().into());
        let text = fs::read_to_string(told).unwrap();
        Row { run, told: serde_json::from_str(text.lines().last().unwrap()).unwrap() }
    }
}

impl Row {
    fn print(&self, way: &str, name: &str) {
        let account = &self.told["bases"][0]["added"][0]["account"];
        let count = |name: &str| account[name].as_u64().unwrap_or(0);
        let revisions = self.told["cvmfs"][0]["revisions"].as_array().cloned().unwrap_or_default();
        let sum = |name: &str| -> f64 {
            revisions.iter().filter_map(|it| it[name].as_f64()).fold(0.0, |sum, it| sum + it)
        };
        println!(
            "| {way} | {name} | {:.2} | {:.2} | {:.2} | {:.0} | {} | {:.1} | {} | {:.2} | {} | {:.0} |",
            self.run.wall,
            sum("seconds"),
            self.run.cpu,
            100.0 * self.run.others / self.run.wall,
            count("entries"),
            count("bytes") as f64 / 1e6,
            count("new_files"),
            count("new_bytes") as f64 / 1e6,
            sum("objects"),
            sum("bytes") / 1e3
        );
    }
}
