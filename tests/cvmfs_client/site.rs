//! A place that everybody may look into: a prefix with the client, repositories, and what a user has.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{Gid, Uid};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::header::Relation;
use crate::support::rpms::File;
use crate::support::small::{Small, World, small, text};
use crate::support::{program, tools};

/// As whom everything runs where root starts the tests.
const USER: u32 = 54_503;

/// RPM's flags of a `%config` file.
const CONFIG: u32 = 1;

const KEY: &str = "the key of test.org\n";

const DEFAULT: &str = r#"
CVMFS_CACHE_BASE=/var/lib/cvmfs
CVMFS_SHARED_CACHE=yes
CVMFS_KEYS_DIR=/etc/cvmfs/keys
if [ "x$CVMFS_BASE_ENV" = "x" ]; then
  readonly CVMFS_USER=cvmfs
  readonly CVMFS_MOUNT_DIR=/cvmfs
  readonly CVMFS_RELOAD_SOCKETS=/var/run/cvmfs
  readonly CVMFS_BASE_ENV=1
fi
"#;

/// As its package has it: of use without the configuration repository, which is the only one that it knows.
const DOMAIN: &str = r#"
if [ "$CVMFS_CONFIG_REPO_DEFAULT_ENV" = "" ]; then
  CVMFS_KEYS_DIR=/etc/cvmfs/keys/test.org
  CVMFS_SERVER_URL="file://PLACE/first/@fqrn@"
fi
"#;

pub(crate) fn user() -> u32 {
    let own = rustix::process::getuid();
    if own.is_root() { USER } else { own.as_raw() }
}

pub(crate) fn hello(repository: &str) -> String {
    format!("hello from {repository}\n")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether the user of the tests can mount by FUSE here; says so where not.
pub(crate) fn fuse_works() -> bool {
    let is_there = Path::new("/dev/fuse").exists();
    let opens = || fs::File::options().read(true).write(true).open("/dev/fuse").is_ok();
    let works = is_there && (is_root() || opens());
    if !works {
        tools::missing("the CernVM-FS client: /dev/fuse cannot be opened");
    }
    works
}

pub(crate) struct Site {
    pub(crate) world: World,
    /// Where all is that the user sees.
    pub(crate) place: PathBuf,
    pub(crate) prefix: PathBuf,
    pub(crate) has_own_cvmfs: bool,
    option: String,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.place);
    }
}

impl Site {
    /// Packages and repositories, and nothing installed.
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let world = World::new(name);
        world.define("newer", "2.36", 1, "");
        let name = format!("elsewhere-client-{name}-{}-{number}", std::process::id());
        let place = std::env::temp_dir().join(name);
        fs::create_dir_all(place.join("home")).unwrap();
        fs::create_dir(place.join("tmp")).unwrap();
        fs::copy(program::path(), place.join("elsewhere")).unwrap();
        let standin = program::standin_of(&place, &place.join("elsewhere"));
        let option = format!("--program={}={}", std::env::consts::ARCH, standin.display());
        let prefix = place.join("moved 'here, now");
        let has_own_cvmfs = Path::new("/cvmfs").exists();
        let site = Self { world, place, prefix, has_own_cvmfs, option };
        let mut cc = Command::new(tools::need("cc", "gcc"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/sickroom.c");
        tools::run(cc.arg("-O1").arg(source).arg("-o").arg(site.place.join("sickroom")));
        site.publish();
        for name in ["atlas.test.org", "lhcb.test.org"] {
            site.serve(name, KEY);
        }
        site.serve_first();
        for name in ["home", "tmp"] {
            site.give(&site.place.join(name));
        }
        site
    }

    pub(crate) fn installed(name: &str) -> Self {
        let site = Self::new(name);
        site.install("p");
        site.moved();
        site
    }

    /// With all that a user must set; nothing where the user cannot mount by FUSE here.
    pub(crate) fn ready(name: &str) -> Option<Self> {
        if !fuse_works() {
            return None;
        }
        let site = Self::installed(name);
        site.user_file("default.local", "CVMFS_HTTP_PROXY=DIRECT\n");
        Some(site)
    }

    /// The configuration repository, whose files say where the others are.
    fn serve_first(&self) {
        let first = self.place.join("first/cfg.test.org");
        let etc = first.join("etc/cvmfs");
        fs::create_dir_all(etc.join("domain.d")).unwrap();
        let write = |name: &str, text: &str| fs::write(etc.join(name), text).unwrap();
        write(
            "default.conf",
            "if [ \"x$CVMFS_CLIENT_PROFILE\" = xsingle ]; then\n  CVMFS_HTTP_PROXY=DIRECT\nfi\n\
             . $CVMFS_MOUNT_DIR/$CVMFS_CONFIG_REPOSITORY/etc/cvmfs/common.conf\n",
        );
        write("common.conf", "CVMFS_CONFIG_REPO_DEFAULT_ENV=1\n. ../cvmfs/nowhere.conf\n");
        let keys = "CVMFS_KEYS_DIR=$CVMFS_MOUNT_DIR/$CVMFS_CONFIG_REPOSITORY/etc/cvmfs/keys";
        let url = format!("CVMFS_SERVER_URL=file://{}/served/@fqrn@", self.place.display());
        write("domain.d/test.org.conf", &format!("{keys}\n{url}\n"));
        fs::create_dir(etc.join("keys")).unwrap();
        write("keys/test.org.pub", KEY);
        fs::write(self.place.join("first/cfg.test.org.key"), KEY).unwrap();
    }

    /// A repository that is signed by `key`.
    pub(crate) fn serve(&self, repository: &str, key: &str) {
        let at = self.place.join("served").join(repository);
        fs::create_dir_all(&at).unwrap();
        fs::write(at.join("hello"), hello(repository)).unwrap();
        fs::write(self.place.join(format!("served/{repository}.key")), key).unwrap();
    }

    fn compile(&self, name: &str, words: &[&str]) -> Vec<u8> {
        let made = self.place.join(name);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cvmfs_client/standin.c");
        let mut cc = Command::new(tools::need("cc", "gcc"));
        cc.args(["-O1", "-o"]).arg(&made).arg(source).args(words).current_dir(&self.place);
        tools::run(&mut cc);
        fs::read(made).unwrap()
    }

    /// The five packages, and what they need.
    fn publish(&self) {
        let soname = "-Wl,-soname,libfuse3.so.3";
        let libfuse = self.compile("libfuse3.so.3", &["-fPIC", "-shared", "-DFUSE", soname]);
        let fuse3 = self.compile("libcvmfs_fuse3.so", &["-fPIC", "-shared", "libfuse3.so.3"]);
        let stub = ["-fPIC", "-shared", "-DSTUB", "-DVERSION=\"2.12.0\""];
        let stub = self.compile("libcvmfs_fuse3_stub.so", &stub);
        let cvmfs2 = self.compile("cvmfs2", &["-DPROGRAM"]);
        let domain = DOMAIN.replace("PLACE", &self.place.to_string_lossy());
        let text = |path: &str, text: &str| File::regular(path, text.as_bytes());
        let mut libs = small(
            "fuse3-libs",
            "3.10.2",
            vec![File::program("/usr/lib64/libfuse3.so.3", &libfuse)],
            &[],
        );
        libs.package.relations.of("provides").push(Relation::parse("libfuse3.so.3()(64bit)"));
        let of_cvmfs = vec![
            File::program("/usr/bin/cvmfs2", &cvmfs2),
            text("/etc/cvmfs/default.conf", DEFAULT).flags(CONFIG),
            text("/etc/cvmfs/config.sh", "exit 1\n"),
        ];
        let of_config = vec![
            text(
                "/etc/cvmfs/default.d/50-test.conf",
                "CVMFS_CONFIG_REPO_DEFAULT_ENV=\nCVMFS_CONFIG_REPOSITORY=cfg.test.org\n",
            ),
            text("/etc/cvmfs/domain.d/test.org.conf", &domain),
            text(
                "/etc/cvmfs/config.d/cfg.test.org.conf",
                "CVMFS_HTTP_PROXY=\"${CVMFS_HTTP_PROXY:=DIRECT}\"\n",
            ),
            text("/etc/cvmfs/keys/test.org/one.pub", KEY),
        ];
        let of_fuse3 = vec![
            File::program("/usr/lib64/libcvmfs_fuse3.so", &fuse3),
            File::program("/usr/lib64/libcvmfs_fuse3_stub.so", &stub),
        ];
        // Of these nothing is there: who follows them fails.
        let machines = &[
            "autofs",
            "gdb",
            "lsof",
            "psmisc",
            "selinux-policy",
            "cvmfs-config",
            "/usr/sbin/semodule",
        ];
        let of_libs = vec![File::program("/usr/lib64/libcvmfs_util.so", &stub)];
        let mut all: Vec<Small> = crate::support::small::packages("1");
        all.extend([
            small("cvmfs", "2.12.0", of_cvmfs, machines),
            small("cvmfs-libs", "2.12.0", of_libs, &[]),
            small("cvmfs-fuse3", "2.12.0", of_fuse3, &["cvmfs", "fuse3", "libfuse3.so.3()(64bit)"]),
            small("cvmfs-config-default", "2.2", of_config, &[]),
            libs,
            small("libgcc", "1", Vec::new(), &[]),
        ]);
        self.world.publish(&all, 1);
    }

    pub(crate) fn install(&self, prefix: &str) -> String {
        self.world.ok(&["install", &self.option, "-r", "cvmfs", "-d", "newer", prefix])
    }

    /// With the prefix where the user finds it, which is not where it was made, and not the user's.
    pub(crate) fn moved(&self) {
        let _ = fs::remove_dir_all(&self.prefix);
        tools::run(Command::new("cp").arg("-a").arg(self.world.prefix("p")).arg(&self.prefix));
        let _ = fs::remove_dir_all(self.world.prefix("p"));
    }

    fn give(&self, path: &Path) {
        if is_root() {
            let (user, group) = (Uid::from_raw(USER), Gid::from_raw(USER));
            rustix::fs::chown(path, Some(user), Some(group)).unwrap();
        }
    }

    /// A file of the user's own configuration.
    pub(crate) fn user_file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.place.join("home/.config/elsewhere/cvmfs").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// `program` on a machine on which everybody may mount by FUSE, run by the user.
    pub(crate) fn on_machine(&self, treatment: &[&str], program: &Path) -> Command {
        let mut command = Command::new(self.place.join("sickroom"));
        if is_root() {
            command.arg("--open-fuse");
        }
        command.args(treatment).args(["--user", &USER.to_string(), "--"]).arg(program);
        self.environment(&mut command);
        command
    }

    pub(crate) fn environment(&self, command: &mut Command) {
        let home = self.place.join("home");
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", home);
        command.env("TMPDIR", self.place.join("tmp")).current_dir(&self.place);
    }

    pub(crate) fn launcher(&self) -> PathBuf {
        self.prefix.join("bin/cvmfsexec")
    }

    pub(crate) fn exec(&self, words: &[&str]) -> Command {
        let mut command = self.on_machine(&[], &self.launcher());
        command.args(words);
        command
    }

    pub(crate) fn said(&self, words: &[&str]) -> String {
        text(&self.exec(words).output().unwrap())
    }

    /// One that has said that it runs, and waits until it is ended.
    pub(crate) fn waiting(&self, repositories: &[&str]) -> Waiting {
        let script = "trap 'echo ended; exit 33' TERM; cat /cvmfs/*/hello; sleep 1000 & echo ready; wait; wait";
        let words = [repositories, &["--", "sh", "-c", script]].concat();
        let mut child = self.exec(&words).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while line != "ready\n" {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "it ended");
        }
        Waiting { child, lines }
    }

    /// Neither a mount nor a process is left, or will be in a moment.
    pub(crate) fn assert_nothing_left(&self) {
        let name = self.place.file_name().unwrap().to_str().unwrap();
        let left = || {
            let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
            let mounts = mounts.lines().filter(|line| line.contains(name)).map(str::to_owned);
            let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
                let path = entry.unwrap().path().join("cmdline");
                let line = String::from_utf8_lossy(&fs::read(path).ok()?).into_owned();
                line.contains(name).then_some(line)
            });
            mounts.chain(processes).collect::<Vec<_>>()
        };
        let since = Instant::now();
        while !left().is_empty() {
            assert!(since.elapsed() < Duration::from_secs(60), "{:#?}", left());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub(crate) struct Waiting {
    pub(crate) child: Child,
    pub(crate) lines: BufReader<std::process::ChildStdout>,
}

impl Waiting {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it, as its user does.
    pub(crate) fn end(&mut self) {
        self.signal(Signal::TERM);
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert_eq!((line.as_str(), self.child.wait().unwrap().code()), ("ended\n", Some(33)));
    }
}

/// Makes a file a program of root's that everybody runs as root.
pub(crate) fn make_setuid(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o4755)).unwrap();
}
