//! A grid: a version that is published for two architectures, read where nobody may write, by another user than its
//! publisher's; and what a launch there asks of a file server.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::installed::{RUNTIMES, mirror, server, session};
use crate::support::session::{Run, Session, is_root, launcher, quoted};
use crate::support::tools::run;

/// A session, and a directory in which a version is published.
fn published(name: &str) -> (Session, PathBuf) {
    let session = session(name);
    let base = session.work.join("grid/sw");
    let words =
        format!("{RUNTIMES} -a x86_64,aarch64 -d el8 --repos repos --mirror {}", server().url());
    let how = session.without_help(mirror(), &words);
    let install = format!(
        "./elsewhere install --layout versioned --name 2026.1 {words} --cache-dir home/cache {}",
        quoted(base.as_os_str())
    );
    println!("{}", session.script(&how, &install));
    // The publisher's from now on, who is somebody else.
    if is_root() {
        run(Command::new("chown").args(["-R", "0:0"]).arg(&base));
    }
    (session, base)
}

#[test]
fn a_grid_of_two_architectures_reads_what_another_user_published() {
    let (session, base) = published("grid");
    let apptainer = launcher(&base, "apptainer");
    let way = quoted(base.join("current/bin/apptainer").as_os_str());
    let home = quoted(base.as_os_str());
    let script = format!(
        "set -e; {apptainer} --version; {way} --version
         {apptainer} exec image sh -c 'echo it ran'; {way} exec image sh -c 'echo it ran there'
         ./elsewhere verify --repos repos {home}; ./elsewhere status {home}
         if touch {home}/new 2>/dev/null; then echo written; fi"
    );
    let told = session.script(&Run::default(), &script);
    for part in
        ["it ran\n", "it ran there", "as they were made", "x86_64: apptainer", "aarch64: apptainer"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!is_root() || !told.contains("written"), "{told}");
    let told = session.aarch64(&mirror().debs, &base);
    for part in ["aarch64", "apptainer version", "PRETTY_NAME"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn a_user_has_a_configuration_of_his_own_over_what_another_published() {
    let (session, base) = published("shadow");
    let version = base.join("current");
    let (hidden, poison) = (session.system_copies(&version), session.poison(&version));
    let read_only = vec![base.clone()];
    let plain = Run { read_only, ..Run::default() };
    let how = Run { hidden, library_path: Some(poison), ..plain.clone() };
    let (home, shadow) = (quoted(base.as_os_str()), session.work.join("home/my own"));
    let own = quoted(shadow.as_os_str());
    let make = format!(
        "set -e; ./elsewhere shadow {home} {own}
         echo 'message = edited here' >> {own}/x86_64/etc/apptainer/apptainer.conf
         ./elsewhere shadow status {own}
         if touch {home}/new 2>/dev/null; then echo written; fi"
    );
    let mut told = session.script(&plain, &make);
    let launch = format!(
        "set -e; {apptainer} buildcfg; {apptainer} exec image sh -c 'echo it ran'
         {own}/bin/mksquashfs -version | head -n 1",
        apptainer = launcher(&shadow, "apptainer"),
    );
    told.push_str(&session.script(&how, &launch));
    let tree = shadow.join(".elsewhere-shadow/1/x86_64");
    let configuration = format!("APPTAINER_CONF_FILE={}/etc/apptainer/", tree.display());
    let libexec = format!("LIBEXECDIR={}/libexec/apptainer\n", tree.display());
    for part in [
        &*configuration,
        &*libexec,
        "edited here",
        "it ran\n",
        "mksquashfs version",
        "as it is there\n  edited etc/apptainer/apptainer.conf",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!is_root() || !told.contains("written"), "{told}");
}

/// What a launch asks for.
#[derive(Debug, Default)]
struct Asked {
    /// Calls that name the base.
    calls: usize,
    /// Names that are looked up below it, each once.
    names: BTreeSet<PathBuf>,
    /// Regular files that are opened or run.
    files: BTreeSet<PathBuf>,
}

impl Asked {
    /// By `command`, which is run by a user who is in no way the publisher.
    fn by(session: &Session, base: &Path, command: &str) -> Self {
        let trace = "strace -f -qq -e trace=%file -e signal=none -o home/asked";
        let script = format!("{trace} {command} >home/said 2>&1 || :; cat home/asked");
        let told = session.script(&Run::default(), &script);
        let mut asked = Self::default();
        for call in told.lines().filter(|line| line.contains(base.to_str().unwrap())) {
            asked.calls += 1;
            let named = call.split('"').nth(1).unwrap();
            let is_read = call.contains("open") || call.contains("execve");
            asked.add(base, Path::new(named), is_read && !call.contains("= -1"));
        }
        asked
    }

    /// Adds what the kernel looks up on its way to `path`, link by link.
    fn add(&mut self, base: &Path, path: &Path, is_read: bool) {
        let Ok(below) = path.strip_prefix(base) else { return };
        let mut here = base.to_owned();
        let parts: Vec<_> = below.components().collect();
        for (at, part) in parts.iter().enumerate() {
            match part.as_os_str().to_str().unwrap() {
                ".." => drop(here.pop()),
                name => here.push(name),
            }
            self.names.insert(here.clone());
            if let Ok(text) = fs::read_link(&here) {
                let rest: PathBuf = parts[at + 1..].iter().collect();
                let target = here.parent().unwrap().join(text).join(rest);
                return self.add(base, &target, is_read);
            }
        }
        if is_read && here.is_file() {
            self.files.insert(here);
        }
    }

    /// Bytes of the files.
    fn bytes(&self) -> u64 {
        self.files.iter().map(|file| fs::metadata(file).unwrap().len()).sum()
    }
}

#[test]
fn a_launch_asks_for_few_names_and_files() {
    let (session, base) = published("asked");
    let apptainer = launcher(&base, "apptainer");
    let mut exec = None;
    for (name, words, most) in [
        ("apptainer --version", "--version", (40, 18)),
        ("apptainer exec", "exec image true", (70, 30)),
    ] {
        let asked = Asked::by(&session, &base, &format!("{apptainer} {words}"));
        println!(
            "{name}: {} calls, {} names, {} files, {} bytes",
            asked.calls,
            asked.names.len(),
            asked.files.len(),
            asked.bytes()
        );
        assert!(asked.names.len() <= most.0 && asked.files.len() <= most.1, "{asked:#?}");
        assert!(!asked.files.is_empty() && asked.bytes() > 1 << 16, "{asked:#?}");
        exec = Some(asked);
    }
    let version = base.join("2026.1");
    let mut all = (0, 0);
    let mut waiting = vec![version];
    while let Some(path) = waiting.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        all = (all.0 + 1, all.1 + if about.is_file() { about.len() } else { 0 });
        if about.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    println!("the version: {} entries, {} bytes", all.0, all.1);
    let exec = exec.unwrap();
    println!("{}", arithmetic(exec.files.len() as u64, exec.bytes()));
}

/// What that comes to for a grid that starts cold, as docs/cvmfs.md has it.
fn arithmetic(files: u64, bytes: u64) -> String {
    let gigabytes = |count: u64| (count * bytes) as f64 / 1e9;
    let row = |what: &str, count: u64| {
        format!(
            "{what}: {} requests for files, at most {:.2} GB\n",
            count * files,
            gigabytes(count)
        )
    };
    let asked = NODES as f64 / TIME_TO_LIVE;
    let mut text = row("all nodes, from their proxies", NODES);
    text += &row("a site of 1,000 nodes, from its proxies", 1000);
    text += &format!("that is {:.1} s of 10 Gbit/s\n", gigabytes(1000) * 8.0 / 10.0);
    text += &row("200 proxies, from the stratum 1 servers", 200);
    text + &format!(
        "new revisions: {asked:.0} questions a second, {:.1} at each of 200\n",
        asked / 200.0
    )
}

/// The grid that docs/cvmfs.md tells of, and a repository's usual time to live, in seconds.
const NODES: u64 = 100_000;
const TIME_TO_LIVE: f64 = 240.0;
