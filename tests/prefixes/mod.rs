//! Prefixes for tests: made, filled and looked at. Shared by the `prefix*.rs` test files.

// Shared: no test file uses all of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use elsewhere::stages::model::{
    Arch, Checksum, FileKind, RECEIPT_FORMAT, Receipt, ReceiptFile, RelPath,
};
use elsewhere::stages::prefix::{Generation, Locked, Prefix};
use elsewhere::stages::report::{Event, Reporter, Silent};

pub const ARCH: Arch = Arch::X86_64;

/// A fresh directory, removed at the end. The umask is as unhelpful as can be.
pub struct Place(pub PathBuf);

impl Place {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("prefix-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        let mut path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
        // The tests that root runs as an ordinary user may not write there.
        if fs::create_dir_all(&path).is_err() {
            path = Path::new("/tmp").join(&name);
            fs::create_dir_all(&path).unwrap();
        }
        Self(path)
    }

    pub fn join(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    /// A prefix in this place, and its lock.
    pub fn prefix(&self) -> (Prefix, Locked) {
        let prefix = Prefix::create(&self.join("p")).unwrap();
        let lock = prefix.lock(false, &Silent::default()).unwrap();
        (prefix, lock)
    }

    /// Makes it look as if the run that made generation `number` live had been killed just before it turned
    /// the link: that leads to `before`, or is not there.
    pub fn undo_swap(&self, number: u32, before: Option<u32>) {
        let home = self.join("p/.elsewhere/x86_64");
        let journal = fs::read_to_string(home.join("journal.jsonl")).unwrap();
        let (text, line) = journal.trim_end().rsplit_once('\n').unwrap();
        assert!(line.contains("activated") && text.contains("begun"), "{journal}");
        fs::write(home.join("journal.jsonl"), format!("{text}\n")).unwrap();
        fs::remove_file(home.join(format!("config-{number}.json"))).unwrap();
        fs::remove_file(self.join("p/x86_64")).unwrap();
        if let Some(before) = before {
            let text = format!(".elsewhere/x86_64/{before}");
            std::os::unix::fs::symlink(text, self.join("p/x86_64")).unwrap();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::process::Command::new("chmod").arg("-R").arg("u+rwx").arg(&self.0).status();
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Remembers notes and warnings.
#[derive(Default)]
pub struct Notes(pub Mutex<Vec<String>>);

impl Reporter for Notes {
    fn event(&self, event: Event) {
        if let Event::Note { message } | Event::Warning { message } = event {
            self.0.lock().unwrap().push(message);
        }
    }
}

/// The receipt of a tree with these files, `(path, content)`: those under `etc/` are `%config`.
pub fn receipt(files: &[(&str, &str)]) -> Receipt {
    let file = |&(path, content): &(&str, &str)| ReceiptFile {
        path: RelPath::new(path).unwrap(),
        kind: FileKind::File {
            size: content.len() as u64,
            checksum: Checksum::of(content.as_bytes()),
            packaged: None,
        },
        mode: 0o644,
        package: Some("package".to_owned()),
        config: path.starts_with("etc/"),
    };
    Receipt {
        format: RECEIPT_FORMAT,
        arch: ARCH,
        dist: "el8".to_owned(),
        disabled_repositories: Vec::new(),
        enabled_repositories: Vec::new(),
        runtimes: Vec::new(),
        installed_at: 0,
        without_modes: false,
        elsewhere: "0".to_owned(),
        glibc_needed: None,
        sources: Vec::new(),
        packages: Vec::new(),
        files: files.iter().map(file).collect(),
        set: Vec::new(),
        loading: None,
        reuse: None,
        made_with: None,
        container: None,
    }
}

/// Writes a file and the directories above it.
pub fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Makes a generation with these files that is not live yet. Configuration is carried from `live`.
pub fn commit(lock: &Locked, files: &[(&str, &str)]) -> Generation {
    let staging = lock.stage(ARCH).unwrap();
    for (path, content) in files {
        write(&staging.path().join(path), content);
    }
    staging.write_receipt(&receipt(files)).unwrap();
    staging.sync().unwrap();
    staging.commit().unwrap()
}

/// Makes a generation with these files live.
pub fn install(lock: &Locked, files: &[(&str, &str)]) -> Generation {
    let generation = commit(lock, files);
    if let Some(live) = lock.live(ARCH).unwrap() {
        lock.carry_config(&live, &generation.path).unwrap();
    }
    lock.activate(&generation).unwrap();
    generation
}

/// The numbers of all generations.
pub fn numbers(prefix: &Prefix) -> Vec<u32> {
    prefix.generations(ARCH).unwrap().iter().map(|generation| generation.number).collect()
}

pub fn live(prefix: &Prefix) -> Option<u32> {
    prefix.live(ARCH).unwrap().map(|generation| generation.number)
}

pub fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Every path below `root`, relative, sorted; directories end in a slash.
pub fn listing(root: &Path) -> Vec<String> {
    fn visit(root: &Path, directory: &Path, paths: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let is_directory = entry.file_type().unwrap().is_dir();
            let path = entry.path();
            let shown = path.strip_prefix(root).unwrap().display().to_string();
            paths.push(if is_directory { format!("{shown}/") } else { shown });
            if is_directory {
                visit(root, &path, paths);
            }
        }
    }
    let mut paths = Vec::new();
    visit(root, root, &mut paths);
    paths.sort();
    paths
}
