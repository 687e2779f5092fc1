//! Debian packages as raw material: fetched with apt by whoever runs this, for any architecture,
//! without touching the machine's own apt, and unpacked below a cache directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use elsewhere::stages::model::Arch;

use super::tools::{need, run, stdout};

/// The Debian release whose programs are used, whatever the machine runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Suite {
    /// Debian 11: its programs run on glibc 2.31.
    Bullseye,
    /// Debian 12: what the demo and the tests use.
    #[default]
    Bookworm,
    /// Debian 13, whose podman is new enough: its programs run on glibc 2.41.
    Trixie,
}

impl Suite {
    /// Debian's own name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bullseye => "bullseye",
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A cache of unpacked Debian packages.
pub struct Debs {
    root: PathBuf,
    /// Whose packages they are.
    pub suite: Suite,
}

/// An unpacked Debian package.
pub struct Deb {
    /// The directory that holds its files.
    pub root: PathBuf,
    /// Its version as Debian writes it: `1:4.5.1-1`.
    pub version: String,
}

impl Deb {
    /// Upstream's version: epoch, Debian's revision and repacking marks dropped.
    pub fn upstream_version(&self) -> String {
        let version = self.version.split_once(':').map_or(&*self.version, |(_, rest)| rest);
        let version = version.rsplit_once('-').map_or(version, |(upstream, _)| upstream);
        let version = version.split(['+', '~']).next().unwrap_or(version);
        version.trim_end_matches(".dfsg").to_owned()
    }
}

impl Debs {
    /// The cache of `suite`'s packages below `parent`, which is created.
    pub fn open(parent: &Path, suite: Suite) -> Self {
        let root = parent.join(match suite {
            Suite::Bookworm => "debs",
            Suite::Bullseye => "debs-bullseye",
            Suite::Trixie => "debs-trixie",
        });
        fs::create_dir_all(&root).unwrap();
        Self { root: root.canonicalize().unwrap(), suite }
    }

    /// The usual suite's packages, beside these.
    pub fn usual(&self) -> Self {
        Self::open(self.root.parent().unwrap(), Suite::default())
    }

    /// Makes sure that `packages` are there for `arch`, and fetches those that are not.
    pub fn fetch(&self, arch: Arch, packages: &[&str]) {
        // Other tests, in this process and in others, may want the same.
        let lock = fs::File::create(self.root.join("lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        let missing: Vec<&str> = packages
            .iter()
            .copied()
            .filter(|package| !self.directory(arch, package).join("version").exists())
            .collect();
        if missing.is_empty() {
            return;
        }
        need("apt-get", "apt");
        let unpacker = need("dpkg-deb", "dpkg");
        self.update(arch);
        let archives = self.root.join("archives").join(debian(arch));
        fs::create_dir_all(&archives).unwrap();
        let words: Vec<String> =
            missing.iter().map(|package| format!("{package}:{}", debian(arch))).collect();
        let download = || {
            let mut command = self.apt(arch);
            command.arg("download").args(&words).current_dir(&archives);
            command
        };
        if !download().output().is_ok_and(|output| output.status.success()) {
            // The lists may be from a time before Debian's last update.
            let _ = fs::remove_file(self.state(arch).join("updated"));
            self.update(arch);
            run(&mut download());
        }
        for package in missing {
            let archive = find_archive(&archives, package);
            unpack(&unpacker, &archive, &self.directory(arch, package));
        }
    }

    /// The package, which was fetched before.
    pub fn package(&self, arch: Arch, package: &str) -> Deb {
        let directory = self.directory(arch, package);
        let version = fs::read_to_string(directory.join("version"))
            .unwrap_or_else(|_| panic!("{package} was not fetched for {arch}"));
        Deb { root: directory.join("root"), version }
    }

    /// The static busybox, which was fetched before: newer suites have everything in `/usr`.
    pub fn busybox(&self, arch: Arch) -> PathBuf {
        let root = self.package(arch, "busybox-static").root;
        let places = ["bin/busybox", "usr/bin/busybox"].map(|place| root.join(place));
        places.into_iter().find(|place| place.exists()).unwrap()
    }

    fn directory(&self, arch: Arch, package: &str) -> PathBuf {
        self.root.join(debian(arch)).join(package)
    }

    /// Fetches Debian's package lists for `arch`, where that was not done before.
    fn update(&self, arch: Arch) {
        let state = self.state(arch);
        if state.join("updated").exists() {
            return;
        }
        assert!(
            Path::new(KEYRING).exists(),
            "{KEYRING} is missing: as root, type: apt-get install debian-archive-keyring"
        );
        for directory in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(state.join(directory)).unwrap();
        }
        fs::write(state.join("status"), "").unwrap();
        fs::write(state.join("sources.list"), source_line(self.suite)).unwrap();
        // What the machine's own apt runs after an update concerns its own cache only.
        fs::write(state.join("quiet.conf"), "#clear APT::Update::Post-Invoke;\n").unwrap();
        run(self.apt(arch).arg("update").arg("--error-on=any"));
        fs::write(state.join("updated"), "").unwrap();
    }

    fn state(&self, arch: Arch) -> PathBuf {
        self.root.join("apt").join(debian(arch))
    }

    /// `apt-get` with lists, cache and sources of its own. The machine's proxies still count.
    fn apt(&self, arch: Arch) -> Command {
        let state = self.state(arch);
        let mut command = Command::new("apt-get");
        command.arg("-q").arg("-c").arg(state.join("quiet.conf"));
        for (name, value) in [
            ("Dir::State", state.clone()),
            ("Dir::State::status", state.join("status")),
            ("Dir::Cache", state.join("cache")),
            ("Dir::Etc::sourcelist", state.join("sources.list")),
            ("Dir::Etc::sourceparts", "-".into()),
            ("APT::Architecture", debian(arch).into()),
            ("APT::Architectures", debian(arch).into()),
            ("APT::Sandbox::User", "root".into()),
            ("Acquire::Languages", "none".into()),
            ("Acquire::Retries", "3".into()),
            ("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled", "false".into()),
        ] {
            command.arg("-o").arg(format!("{name}={}", value.display()));
        }
        command
    }
}

/// Debian's name of an architecture.
pub fn debian(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "amd64",
        Arch::Aarch64 => "arm64",
        Arch::Ppc64le => "ppc64el",
        Arch::S390x => "s390x",
    }
}

/// The directory of libraries on Debian: `x86_64-linux-gnu`.
pub fn multiarch(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "x86_64-linux-gnu",
        Arch::Aarch64 => "aarch64-linux-gnu",
        Arch::Ppc64le => "powerpc64le-linux-gnu",
        Arch::S390x => "s390x-linux-gnu",
    }
}

/// A line of sources.list: the mirror of Debian that the machine uses, where it uses one.
fn source_line(suite: Suite) -> String {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(
        fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|e| e.path()),
    );
    let text: String = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    let used = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace)
        .find(|word| word.contains("://") && word.trim_end_matches('/').ends_with("/debian"));
    format!(
        "deb [signed-by={KEYRING}] {} {} main\n",
        used.expect("no Debian mirror stands in /etc/apt: add one to sources.list"),
        suite.name()
    )
}

fn find_archive(archives: &Path, package: &str) -> PathBuf {
    let start = format!("{package}_");
    fs::read_dir(archives)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with(&start))
        .unwrap_or_else(|| panic!("apt-get download left no archive of {package}"))
}

/// Unpacks `archive` as `directory/root` and writes `directory/version` last.
fn unpack(unpacker: &Path, archive: &Path, directory: &Path) {
    let _ = fs::remove_dir_all(directory);
    fs::create_dir_all(directory).unwrap();
    run(Command::new(unpacker).arg("-x").arg(archive).arg(directory.join("root")));
    let version = stdout(Command::new(unpacker).arg("-f").arg(archive).arg("Version"));
    fs::write(directory.join("version"), version).unwrap();
}
