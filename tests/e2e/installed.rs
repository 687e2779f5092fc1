//! One install by the real program, shared by the tests, and a copy of it for each.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use crate::support::mirror::{Mirror, Options, directory};
use crate::support::program;
use crate::support::server::Server;
use crate::support::session::{Session, quoted};
use crate::support::tools::run;

/// The shared mirror.
pub(crate) fn mirror() -> &'static Mirror {
    static MIRROR: OnceLock<Mirror> = OnceLock::new();
    MIRROR.get_or_init(|| Mirror::build(&directory(), &Options::default()))
}

/// Serves the shared mirror: an ordinary user may not read it where root's own clone lies.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(&mirror().root))
}

/// What the shared prefix holds.
pub(crate) const RUNTIMES: &str = "-r apptainer -r charliecloud -r crun -r image-tools";

/// A new session with nothing installed.
pub(crate) fn session(name: &str) -> Session {
    Session::new(&mirror().debs, name, program::path(), &mirror().repos)
}

/// Runs `elsewhere install` in `session`, where the machine has no library that it brings, and
/// returns what it printed.
pub(crate) fn install(session: &Session, arguments: &str, prefix: &Path) -> String {
    let prefix = quoted(prefix.as_os_str());
    let words = format!("{arguments} -d el8 --repos repos --mirror {}", server().url());
    let how = session.without_help(mirror(), &words);
    session.script(&how, &format!("./elsewhere install {words} --cache-dir home/cache {prefix}"))
}

/// A session of its own with a copy of the shared prefix, at another path, with a blank in it.
pub(crate) struct Traveller {
    pub(crate) session: Session,
    pub(crate) prefix: PathBuf,
    /// Keeps the first install for the tests that run at the same time.
    _home: Arc<Home>,
}

/// The first install and its session.
struct Home {
    _session: Session,
    prefix: PathBuf,
}

impl Traveller {
    /// Copies the prefix as a user would, with `cp -a`.
    pub(crate) fn new(name: &str) -> Self {
        let home = home();
        let session = session(name);
        let prefix = session.work.join("moved here").join("prefix");
        std::fs::create_dir(session.work.join("moved here")).unwrap();
        run(Command::new("cp").arg("-a").arg(&home.prefix).arg(&prefix));
        Self { session, prefix, _home: home }
    }

    /// Where the prefix was installed.
    pub(crate) fn home(&self) -> &Path {
        &self._home.prefix
    }
}

/// The first install, made when no test holds one.
fn home() -> Arc<Home> {
    static HOME: Mutex<Weak<Home>> = Mutex::new(Weak::new());
    let mut known = HOME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(home) = known.upgrade() {
        return home;
    }
    let session = session("home");
    let prefix = session.work.join("prefix");
    install(&session, &format!("{RUNTIMES} -a x86_64,aarch64"), &prefix);
    let home = Arc::new(Home { _session: session, prefix });
    *known = Arc::downgrade(&home);
    home
}
