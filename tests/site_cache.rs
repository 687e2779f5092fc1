//! A cache that somebody fills for all: what is proved is taken from there, whoever can write to it, and
//! nothing is written to it. What is not there, or something else, is fetched as ever.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use elsewhere::stages::model::Checksum;
use support::program;
use support::server::Server;
use support::session::is_root;
use support::site::{Outcome, Site};
use support::tools::{need, run};

/// A site with a filled cache of its own, for users who have nothing yet.
struct Shared {
    site: Site,
    cache: PathBuf,
}

impl Shared {
    fn new(name: &str) -> Self {
        let site = Site::new(name);
        // What a directory has is read where it lies, and no cache keeps it.
        let server = Server::start(site.mirror());
        site.install_from(&server.url(), &[]).ok();
        let cache = site.place("shared");
        fs::rename(site.cache(), &cache).unwrap();
        fs::remove_dir_all(site.prefix()).unwrap();
        Self { site, cache }
    }

    /// Installs from nothing.
    fn install(&self) -> Outcome {
        for gone in [self.site.cache(), self.site.prefix()] {
            let _ = fs::remove_dir_all(gone);
        }
        self.site.install(&["--verbose", "--site-cache", self.cache.to_str().unwrap()])
    }

    /// Runs `program` as somebody who reads what the permissions let him read: root may read all.
    fn as_anybody(&self, program: &str, words: &[&str]) -> Outcome {
        let mut command = Command::new(need("setpriv", "util-linux"));
        if is_root() {
            command.args(["--bounding-set", "-dac_override,-dac_read_search"]);
        }
        self.site.enter(&mut command);
        Outcome::of(command.arg(program).args(words).output().unwrap())
    }

    fn package(&self) -> PathBuf {
        self.site.file("base/Packages/hello-1.0-1.el9.x86_64.rpm")
    }

    /// Where the cache has the package.
    fn object(&self) -> PathBuf {
        let hex = Checksum::of(&fs::read(self.package()).unwrap()).hex();
        self.cache.join("objects/sha256").join(&hex[..2]).join(hex)
    }

    fn without_packages(&self) {
        fs::remove_dir_all(self.site.file("base/Packages")).unwrap();
    }

    /// What is in the cache.
    fn state(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn look(path: &Path, state: &mut BTreeMap<PathBuf, Vec<u8>>) {
            if path.is_dir() {
                fs::read_dir(path).unwrap().for_each(|it| look(&it.unwrap().path(), state));
            }
            state.insert(path.to_owned(), fs::read(path).unwrap_or_default());
        }
        let mut state = BTreeMap::new();
        look(&self.cache, &mut state);
        state
    }
}

fn is_installed(shared: &Shared) {
    let text = fs::read_to_string(shared.site.in_tree("share/hello/text")).unwrap();
    assert_eq!(text, "text of 1.0\n");
    shared.site.run("verify", &[]).ok();
}

#[test]
fn what_is_proved_is_taken_from_there_and_nothing_is_written_there() {
    let shared = Shared::new("shared");
    shared.without_packages();
    let before = shared.state();
    shared.site.install(&[]).refused(3, "hello");
    shared.install().ok();
    is_installed(&shared);
    assert_eq!(shared.state(), before);
    // Deeply, too: by the digests that the receipt has.
    shared.site.run("verify", &["--deep", "--site-cache", shared.cache.to_str().unwrap()]).ok();
    // As variable and in a file.
    for gone in [shared.site.cache(), shared.site.prefix()] {
        fs::remove_dir_all(gone).unwrap();
    }
    let mirror = shared.site.mirror();
    let words = ["-d", "lab", "-r", "hello", "-a", "x86_64"];
    let mut install = shared.site.command(mirror.to_str().unwrap(), "install", &words);
    install.env("ELSEWHERE_SITE_CACHE", &shared.cache);
    Outcome::of(install.output().unwrap()).ok();
    for gone in [shared.site.cache(), shared.site.prefix()] {
        fs::remove_dir_all(gone).unwrap();
    }
    let config = shared.site.scratch.write("config.toml", "site_cache = 'shared'\n");
    shared.site.install(&["--config", config.to_str().unwrap()]).ok();
    assert_eq!(shared.state(), before);
}

#[test]
fn whatever_lies_there_does_no_harm() {
    let shared = Shared::new("shared-odd");
    let place = shared.object();
    let good = fs::read(&place).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    let huge = || File::create(&place).unwrap().set_len(1 << 40).unwrap();
    let device = || symlink("/dev/zero", &place).unwrap();
    let shapes: [(&str, &dyn Fn()); 9] = [
        ("other bytes", &|| fs::write(&place, &bad).unwrap()),
        ("fewer bytes", &|| fs::write(&place, &good[..100]).unwrap()),
        ("nothing", &|| fs::write(&place, "").unwrap()),
        ("far more bytes", &huge),
        ("a pipe", &|| drop(run(Command::new("mkfifo").arg(&place)))),
        ("a device", &device),
        ("a link to nowhere", &|| symlink("/nonexistent", &place).unwrap()),
        ("a link in a circle", &|| symlink(&place, &place).unwrap()),
        ("a directory", &|| fs::create_dir(&place).unwrap()),
    ];
    for (what, shape) in shapes {
        fs::remove_file(&place).unwrap_or_else(|error| panic!("before {what}: {error}"));
        shape();
        let outcome = shared.install();
        assert_eq!(outcome.status, 0, "{what}: {}", outcome.err);
        is_installed(&shared);
    }
    fs::remove_dir(&place).unwrap();
    // A link to the right bytes is as good as they are.
    symlink(shared.site.scratch.write("elsewhere.rpm", &good), &place).unwrap();
    shared.install().ok();
    // Nothing is there; it is no directory.
    fs::remove_dir_all(&shared.cache).unwrap();
    shared.install().ok();
    assert!(!shared.cache.exists());
    fs::write(&shared.cache, "").unwrap();
    shared.install().ok();
    is_installed(&shared);
}

/// What the user may not read is as good as not there: that is told, and fetched.
#[test]
fn what_may_not_be_read_there_is_fetched() {
    let shared = Shared::new("shared-shut");
    let file = shared.object();
    let shut = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for place in [shared.cache.clone(), shared.cache.join("objects"), file] {
        let mode = fs::metadata(&place).unwrap().permissions().mode() & 0o7777;
        shut(&place, 0o000);
        let place_is_shut = shared.as_anybody("cat", &[place.to_str().unwrap()]);
        assert!(place_is_shut.err.contains("Permission denied"), "{}", place_is_shut.err);
        for gone in [shared.site.cache(), shared.site.prefix()] {
            let _ = fs::remove_dir_all(gone);
        }
        let (mirror, cache) = (shared.site.mirror(), shared.cache.to_str().unwrap());
        let words = ["-d", "lab", "-r", "hello", "-a", "x86_64", "--site-cache", cache];
        let install = shared.site.command(mirror.to_str().unwrap(), "install", &words);
        let words: Vec<&str> = install.get_args().map(|word| word.to_str().unwrap()).collect();
        shared.as_anybody(program::path().to_str().unwrap(), &words).ok();
        is_installed(&shared);
        shut(&place, mode);
    }
}

/// The keys that it has are asked for last, and are what is pinned or nothing.
#[test]
fn a_key_is_taken_from_there_by_its_fingerprint() {
    let shared = Shared::new("shared-key");
    let note = shared.cache.join(format!("seen/key-{}.json", shared.site.key.fingerprint()));
    let kept = fs::read_to_string(&note).unwrap();
    fs::remove_dir_all(shared.site.file("keys")).unwrap();
    shared.install().ok();
    fs::write(&note, shared.site.other.public_file()).unwrap();
    shared.install().refused(4, "key");
    fs::write(&note, "").unwrap();
    shared.install().refused(4, "key");
    fs::write(&note, kept).unwrap();
    shared.install().ok();
}
