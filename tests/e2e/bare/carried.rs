//! What is carried, on hosts that have nothing and no network: the same runtimes by a lock file, from a mirror,
//! a bundle and a registry, by every shell that is there, for an ordinary user.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{HOSTS, Outcome, machine, mirror, outcome, program};
use crate::installed::RUNTIMES;
use crate::support::deb::Suite;
use crate::support::image;
use crate::support::mirror::Mirror;
use crate::support::registry::Real;
use crate::support::server::Server;
use crate::support::session::{Network, Run, Session, is_root, launcher, quoted};
use crate::support::tools::files_below;

/// Where the registry is, in the network that has nothing else.
const REGISTRY: &str = "127.0.0.1:5000";

/// A way to have the runtimes: what it is called, what was carried for it (below `media`), and what the user types.
struct Way(&'static str, &'static [&'static str], &'static str);

const WAYS: [Way; 12] = [
    Way("online", &[], "./elsewhere install $WORDS --mirror $URL prefix"),
    Way(
        "lock file and cache",
        &["x.lock", "filled"],
        "./elsewhere install --offline --lock media/x.lock $COMMON prefix",
    ),
    Way(
        "lock file and mirror",
        &["x.lock", "mirror"],
        "./elsewhere install --lock media/x.lock --mirror file:$PWD/media/mirror $COMMON prefix",
    ),
    Way("mirror", &["mirror"], "./elsewhere install --from media/mirror $COMMON prefix"),
    Way("install.sh, dash", &["mirror"], "dash media/mirror/install.sh $SCRIPT prefix"),
    Way("install.sh, bash", &["mirror"], "bash media/mirror/install.sh $SCRIPT prefix"),
    Way(
        "install.sh, busybox",
        &["mirror"],
        "bin/busybox sh media/mirror/install.sh $SCRIPT prefix",
    ),
    Way("bundle, dash", &["x.run"], "dash media/x.run $COMMON prefix"),
    Way("bundle, bash", &["x.run"], "bash media/x.run $COMMON prefix"),
    Way("bundle, busybox", &["x.run"], "bin/busybox sh media/x.run $COMMON prefix"),
    Way("bundle, --run", &["x.run"], "sh media/x.run --run $COMMON -- --version"),
    Way(
        "registry",
        &["registry"],
        "./elsewhere install --from oci://$REGISTRY/site/x:1 $COMMON prefix",
    ),
];

#[test]
#[ignore = "needs roots of Debian releases and the static program: make bare"]
fn bare_hosts_install_what_was_carried() {
    let mut rows: Vec<Row> = WAYS.iter().map(Row::new).collect();
    let mut hosts = Vec::new();
    for suite in [Suite::Bullseye, Suite::Bookworm] {
        let mirror = mirror(suite);
        let server = Server::start(&mirror.root);
        let mut luggage = Luggage::pack(&mirror, &server);
        for (name, _, _) in HOSTS.into_iter().filter(|host| host.2 == suite) {
            luggage.session.move_to(&machine(name));
            hosts.push(format!("{name}, programs of {suite:?}"));
            for row in &mut rows {
                row.bytes.push(luggage.bytes(row.way));
                row.hosts.push(luggage.install(row.way));
            }
        }
    }
    println!("{}", table(&hosts, &rows));
    let failures: Vec<String> = rows.iter().flat_map(|row| row.failures(&hosts)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What is carried of one suite's programs, and the user who installs from it.
struct Luggage {
    session: Session,
    url: String,
    /// The registry's program and its settings, outside of the user's world.
    registry: String,
    place: PathBuf,
}

impl Luggage {
    /// Makes all of it on this machine.
    fn pack(mirror: &Mirror, server: &Server) -> Self {
        let suite = format!("{:?}", mirror.debs.suite).to_lowercase();
        let session =
            Session::new(&mirror.debs, &format!("carried-{suite}"), &program(), &mirror.repos);
        let place = session.work.with_extension("registry");
        let real = Real::start(&place);
        let words = format!(
            "{RUNTIMES} -a {} -d el8 --repos repos --mirror {} --cache-dir filled",
            session.arch,
            server.url()
        );
        session.script(
            &Run::default(),
            &format!(
                "set -e; mkdir media
             ./elsewhere plan {words} --lock media/x.lock; ./elsewhere mirror {words} media/mirror
             ./elsewhere bundle {words} -o media/x.run; ./elsewhere push {words} oci://{}/site/x:1
             mv filled media/filled",
                real.address
            ),
        );
        drop(real);
        let serve = Real::prepare(&place, REGISTRY, None);
        let config = place.join("config.yml");
        let registry =
            format!("exec {} serve {}", quoted(serve.as_os_str()), quoted(config.as_os_str()));
        Self { session, url: server.url(), registry, place }
    }

    /// How many bytes were carried for it.
    fn bytes(&self, way: &Way) -> u64 {
        let size = |path: &Path| path.symlink_metadata().unwrap().len();
        let carried = way.1.iter().map(|name| match *name {
            "registry" => self.place.join("data"),
            name => self.session.work.join("media").join(name),
        });
        carried
            .map(|path| match path.is_dir() {
                true => files_below(&path).iter().map(|file| size(file)).sum(),
                false => size(&path),
            })
            .sum()
    }

    /// Installs so, with a cache that is new, and puts to use what is there then. Returns the seconds of the install.
    fn install(&self, Way(name, carried, typed): &Way) -> Result<f64, String> {
        let (session, mut seconds) = (&self.session, 0.0);
        let network = match *name {
            "online" => Network::All,
            "registry" => Network::Loopback(self.registry.clone()),
            _ => Network::None,
        };
        let how = Run { network, read_only: vec![session.work.join("media")], ..Run::default() };
        let done: Outcome = outcome(|| {
            let cache =
                if carried.contains(&"filled") { "cp -a media/filled home/cache" } else { ":" };
            session
                .script(&how, &format!("rm -rf prefix home/cache home/.cache image.sqsh; {cache}"));
            let words = [
                ("$WORDS", "$RUNTIMES -d el8 -a $ARCH $COMMON"),
                ("$SCRIPT", "--from media/mirror --repos repos"),
                ("$COMMON", "--repos repos --cache-dir home/cache"),
                ("$RUNTIMES", RUNTIMES),
                ("$ARCH", session.arch.as_str()),
                ("$URL", &self.url),
                ("$REGISTRY", REGISTRY),
            ];
            let typed =
                words.iter().fold((*typed).to_owned(), |text, (from, to)| text.replace(from, to));
            // The registry may need a moment.
            let wait = match how.network {
                Network::Loopback(_) => format!(
                    "n=0; until bin/busybox wget -q -O home/answer http://{REGISTRY}/v2/ 2>/dev/null; do
                     n=$((n + 1)); [ $n -lt 200 ]; sleep 0.05; done; "
                ),
                _ => String::new(),
            };
            let clock = "$(date +%s%N)";
            let told = session.script(
                &how,
                &format!(
                    "set -e; {wait}a={clock}; {typed}; b={clock}; echo took: $(((b - a) / 1000000))"
                ),
            );
            let taken = told.lines().filter_map(|line| line.strip_prefix("took: ")).next_back();
            let milliseconds: u32 = taken.unwrap().parse().unwrap();
            seconds = f64::from(milliseconds) / 1000.0;
            self.use_it(&how, name);
        });
        done.map(|()| seconds)
    }

    /// Everything that was installed is there, whole, and works.
    fn use_it(&self, how: &Run, name: &str) {
        let session = &self.session;
        let mut prefix = session.work.join("prefix");
        if name.ends_with("--run") {
            let made = session.work.join("home/cache/bundles");
            let mut made = std::fs::read_dir(made).unwrap().map(|entry| entry.unwrap().path());
            prefix = made.find(|path| path.is_dir()).unwrap();
        }
        assert!(session.make_image(how, &prefix).contains("image.sqsh"));
        let told = session.apptainer(how, &prefix);
        assert!(told.contains(image::NAME) && told.contains("apptainer version"), "{told}");
        assert!(session.ch_run(how, &prefix).contains(image::NAME));
        assert!(session.mount_and_overlay(how, &prefix).contains(image::NAME));
        let place = quoted(prefix.as_os_str());
        let script = format!(
            "{} --version; ./elsewhere verify --repos repos {place}
             if touch media/new 2>/dev/null; then echo written; fi; echo user: $(id -u)",
            launcher(&prefix, "crun")
        );
        let told = session.script(how, &script);
        assert!(told.contains("as they were made") && !told.contains("written"), "{told}");
        assert!(!is_root() || told.contains("user: 54321"), "not as an ordinary user: {told}");
        if !matches!(how.network, Network::All) {
            let interfaces = "sed 1,2d /proc/net/dev | cut -d: -f1 | tr -d ' '";
            assert_eq!(session.script(how, interfaces), "lo");
        }
    }
}

impl Drop for Luggage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.place);
    }
}

/// A way, and what came of it on each host.
struct Row {
    way: &'static Way,
    bytes: Vec<u64>,
    hosts: Vec<Result<f64, String>>,
}

impl Row {
    fn new(way: &'static Way) -> Self {
        Self { way, bytes: Vec::new(), hosts: Vec::new() }
    }

    fn failures(&self, hosts: &[String]) -> Vec<String> {
        let each = hosts.iter().zip(&self.hosts);
        each.filter_map(|(host, done)| {
            done.as_ref().err().map(|reason| format!("{host}, {}: {reason}", self.way.0))
        })
        .collect()
    }
}

/// Way × host, as Markdown.
fn table(hosts: &[String], rows: &[Row]) -> String {
    let mut text = format!("| way | carried, MB | {} |\n|---", hosts.join(" | "));
    text.push_str(&"|---".repeat(hosts.len() + 1));
    text.push_str("|\n");
    for row in rows {
        let mut bytes: Vec<String> =
            row.bytes.iter().map(|bytes| format!("{:.1}", *bytes as f64 / 1e6)).collect();
        bytes.dedup();
        let bytes = if row.way.1.is_empty() { String::new() } else { bytes.join(" and ") };
        write!(text, "| {} | {bytes}", row.way.0).unwrap();
        for done in &row.hosts {
            match done {
                Ok(seconds) => write!(text, " | works, {seconds:.1} s").unwrap(),
                Err(_) => text.push_str(" | FAILS"),
            }
        }
        text.push_str(" |\n");
    }
    text
}
