//! A repository of CernVM-FS for tests, and its `cvmfs_server`: the stand-in beside this file, or, where
//! `CVMFS_TEST_REPOSITORY` names a repository of this machine and a real one is on PATH, that.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use elsewhere::stages::publish::{CvmfsOptions, CvmfsRepository};

use super::scratch::Scratch;
use super::tools;

/// The stand-in's repository.
pub const NAME: &str = "stand-in.example.org";

const SERVER: &str = include_str!("cvmfs/cvmfs_server");
const SWISSKNIFE: &str = include_str!("cvmfs/cvmfs_swissknife");

/// Whatever takes longer never ends.
const LONG: Duration = Duration::from_secs(120);

/// A repository and who publishes it.
pub struct Publisher {
    pub scratch: Scratch,
    pub name: String,
    is_real: bool,
}

/// What a run of the server came to.
#[derive(Debug)]
pub struct Told {
    pub status: Option<i32>,
    pub output: String,
}

impl Publisher {
    /// The real one, where there is one to be tested, else a stand-in of this test's own.
    pub fn any() -> Self {
        match std::env::var("CVMFS_TEST_REPOSITORY") {
            Ok(name) => {
                tools::need("cvmfs_server", "cvmfs-server");
                Self { scratch: Scratch::new("cvmfs"), name, is_real: true }
            }
            Err(_) => Self::stand_in(""),
        }
    }

    /// A stand-in, with these lines in its configuration too.
    pub fn stand_in(more: &str) -> Self {
        let scratch = Scratch::new("cvmfs");
        for (name, text) in [("cvmfs_server", SERVER), ("cvmfs_swissknife", SWISSKNIFE)] {
            let path = scratch.write(&format!("bin/{name}"), text);
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let root = std::path::absolute(scratch.path()).unwrap();
        let root = root.display();
        scratch.write(
            &format!("etc/repositories.d/{NAME}/server.conf"),
            format!(
                "CVMFS_SPOOL_DIR={root}/spool\nCVMFS_UNION_DIR={root}/cvmfs\nCVMFS_AUTO_TAG=true\n\
                 CVMFS_UPSTREAM_STORAGE=local,{root}/srv/txn,{root}/srv\nCVMFS_PRINT_STATISTICS=true\n\
                 CVMFS_GARBAGE_COLLECTION=true\n{more}"
            ),
        );
        for directory in ["faults", "cvmfs", "spool/scratch/current", "spool/tmp"] {
            fs::create_dir_all(scratch.path().join(directory)).unwrap();
        }
        scratch.write("spool/mounted", "ro\n");
        let store = format!("srv/{NAME}");
        scratch.write(&format!("{store}/revisions/1/tags"), "trunk 00 1 1 1 (default) current\n");
        fs::create_dir_all(scratch.path().join(&store).join("revisions/1/tree")).unwrap();
        let client = scratch.path().join(&store).join("client");
        std::os::unix::fs::symlink("revisions/1", client).unwrap();
        Self { scratch, name: NAME.to_owned(), is_real: false }
    }

    /// The stand-in that another process made at `root`.
    pub fn at(root: &Path) -> Self {
        Self { scratch: Scratch::at(root), name: NAME.to_owned(), is_real: false }
    }

    /// Whether it is the real one.
    pub fn is_real(&self) -> bool {
        self.is_real
    }

    /// A path of the stand-in's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// How the product uses it.
    pub fn options(&self) -> CvmfsOptions {
        let state = self.path("state");
        let search: Vec<PathBuf> = match self.is_real {
            true => std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect(),
            false => vec![self.path("bin"), "/usr/bin".into(), "/bin".into()],
        };
        let mut options = CvmfsOptions::found(&search, state).unwrap();
        options.wait = Duration::from_secs(30);
        if !self.is_real {
            options.configuration = self.path("etc");
            options.pause = Duration::from_millis(5);
        }
        options
    }

    /// The repository, as the product opens it.
    pub fn repository(&self) -> CvmfsRepository {
        CvmfsRepository::open(&self.name, self.options()).unwrap()
    }

    /// The command.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.options().server);
        command.args(words).current_dir("/").process_group(0);
        command
    }

    /// What a wishlist says of what lies in `sw` of the stand-in's repository: in the table `cvmfs`, or
    /// `destination.cvmfs`.
    pub fn wish(&self, table: &str, via: &str) -> String {
        let at = |name: &str| std::path::absolute(self.path(name)).unwrap();
        format!(
            "directory = {:?}\n[{table}]\nrepository = \"{NAME}\"\nvia = \"{via}\"\nwait = 20\n\
             server = {:?}\nconfiguration = {:?}\nstage = {:?}\n",
            at("cvmfs/sw"),
            at("bin/cvmfs_server"),
            at("etc"),
            at("stage"),
        )
    }

    /// Runs the server, with nothing to answer its questions.
    pub fn run(&self, words: &[&str]) -> Told {
        self.answer(words, b"")
    }

    /// Runs the server, and gives it this to read.
    pub fn answer(&self, words: &[&str], input: &[u8]) -> Told {
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(input);
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let output = [stdout, stderr].concat();
        Told { status: status.code(), output: String::from_utf8_lossy(&output).into_owned() }
    }

    /// Runs the server, which must succeed.
    pub fn must(&self, words: &[&str]) -> String {
        let told = self.run(words);
        assert_eq!(told.status, Some(0), "{words:?}: {}", told.output);
        told.output
    }

    /// Makes the stand-in fail at this point, once.
    pub fn fault(&self, point: &str, action: &str) {
        self.scratch.write(&format!("faults/{point}"), format!("{action}\n"));
    }

    /// Writes a hook.
    pub fn hook(&self, name: &str, body: &str) {
        let text = format!("{name}() {{\n{body}\n}}\n");
        match self.is_real {
            true => fs::write("/etc/cvmfs/cvmfs_server_hooks.sh", text).unwrap(),
            false => drop(self.scratch.write("etc/cvmfs_server_hooks.sh", text)),
        }
    }

    /// Takes every hook and fault away.
    pub fn mend(&self) {
        let hooks = match self.is_real {
            true => PathBuf::from("/etc/cvmfs/cvmfs_server_hooks.sh"),
            false => self.path("etc/cvmfs_server_hooks.sh"),
        };
        let _ = fs::remove_file(hooks);
        for name in ["down", "nokey", "reached", "go", "leased"] {
            let _ = fs::remove_file(self.path(name));
        }
        let _ = fs::remove_dir_all(self.path("faults"));
        fs::create_dir_all(self.path("faults")).unwrap();
    }

    /// Where it is written.
    pub fn union(&self) -> PathBuf {
        match self.is_real {
            true => Path::new("/cvmfs").join(&self.name),
            false => self.path("cvmfs"),
        }
    }

    /// Where its state is.
    pub fn spool(&self) -> PathBuf {
        match self.is_real {
            true => Path::new("/var/spool/cvmfs").join(&self.name),
            false => self.path("spool"),
        }
    }

    /// Where readers see it: what is published, whatever the publisher does.
    pub fn client(&self) -> PathBuf {
        match self.is_real {
            true => self.spool().join("rdonly"),
            false => self.path(&format!("srv/{}/client/tree", self.name)),
        }
    }

    /// Whether a transaction is open.
    pub fn is_open(&self) -> bool {
        self.spool().join("in_transaction.lock").exists()
    }

    /// All that readers see below `path`: kinds, permissions, contents.
    pub fn readers_see(&self, path: &str) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        list(&self.client().join(path), String::new(), &mut found);
        found
    }

    /// Waits until the stand-in stands at a point where it was told to wait.
    pub fn wait_for_the_point(&self) {
        let began = Instant::now();
        while !self.path("reached").exists() {
            assert!(began.elapsed() < LONG, "it comes there");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Somebody else's transaction, with something in it.
    pub fn open_as_another(&self) {
        self.must(&["transaction", &self.name]);
        fs::write(self.union().join("foreign"), "another's").unwrap();
        if !self.is_real {
            // Where the real one keeps what is written.
            fs::write(self.spool().join("scratch/current/foreign"), "another's").unwrap();
        }
    }

    /// What a crash of the machine leaves: nothing is mounted, and what was written in a transaction lies in the layer
    /// that was mounted over what is published.
    pub fn crash(&self) {
        for entry in fs::read_dir(self.union()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if self.is_open() && name.starts_with(".elsewhere-txn-") {
                fs::write(self.spool().join("scratch/current").join(name), "").unwrap();
            }
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
        self.scratch.write("spool/mounted", "none\n");
    }

    /// A process that sits in the repository.
    pub fn sit_inside(&self) -> Child {
        Command::new("/bin/sleep").arg("600").current_dir(self.union()).spawn().unwrap()
    }
}

fn list(path: &Path, name: String, found: &mut BTreeMap<String, String>) {
    let Ok(about) = fs::symlink_metadata(path) else { return };
    let mode = about.permissions().mode() & 0o7777;
    let what = if about.is_symlink() {
        format!("-> {}", fs::read_link(path).unwrap().display())
    } else if about.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let below = format!("{name}/{}", entry.file_name().to_string_lossy());
            list(&entry.path(), below, found);
        }
        format!("{mode:o} directory")
    } else if about.is_file() {
        format!("{mode:o} {}", String::from_utf8_lossy(&fs::read(path).unwrap()))
    } else {
        format!("{mode:o} special")
    };
    found.insert(name, what);
}
