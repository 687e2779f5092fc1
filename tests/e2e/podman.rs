//! podman, buildah and skopeo (`make bare`): Debian 13's programs, packaged as Enterprise Linux packages them,
//! installed in a Debian 13 that has none of them, moved, made read-only, and used by an ordinary user with a
//! loopback registry.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use elsewhere::stages::model::Arch;

use crate::support::deb::Suite;
use crate::support::image;
use crate::support::mirror::{Mirror, Options, Release, directory};
use crate::support::program;
use crate::support::registry::Real;
use crate::support::server::Server;
use crate::support::session::{Run, Session, quoted};

/// Roots below `BARE_HOSTS`, whether the user has subordinate ids, and whether there is `/dev/net/tun`. The
/// first has `newuidmap`, the last has none.
const HOSTS: [(&str, bool, bool); 4] = [
    ("trixie-uidmap", true, true),
    ("trixie-uidmap", true, false),
    ("trixie-uidmap", false, true),
    ("trixie", false, false),
];

const RUNTIMES: &str =
    "-r apptainer -r podman -r buildah -r skopeo -r bubblewrap -r squashfs-tools-ng";

/// What runs on each host: a name, a script, and what it says. `R` stands for the registry.
const STEPS: [(&str, &str, &str); 19] = [
    (
        "podman info",
        "podman info --format '{{.Host.OCIRuntime.Path}} {{.Host.Conmon.Path}}'",
        "bin/crun ",
    ),
    (
        "podman import",
        "podman import image.tar localhost/tiny:1 && podman images",
        "localhost/tiny",
    ),
    ("podman run", "podman run --rm --net=host localhost/tiny:1 cat /etc/os-release", image::NAME),
    (
        "podman run, own network",
        "podman run --rm localhost/tiny:1 cat /etc/os-release",
        image::NAME,
    ),
    (
        "podman push",
        "podman push --tls-verify=false localhost/tiny:1 R/tiny:1; echo pushed $?",
        "pushed 0",
    ),
    (
        "podman pull",
        "podman rmi -f localhost/tiny:1 && podman pull --tls-verify=false R/tiny:1 && podman images",
        "/tiny",
    ),
    (
        "podman build",
        "podman build --tls-verify=false --net=host -t built -f home/Containerfile home && \
         podman run --rm --net=host localhost/built cat /etc/built",
        "it was built",
    ),
    (
        "podman run --init",
        "podman run --rm --init --net=host R/tiny:1 cat /etc/os-release",
        image::NAME,
    ),
    (
        "podman exec",
        "podman run -d --name long --net=host R/tiny:1 sleep 60 && podman exec long id && podman kill long",
        "uid=0",
    ),
    (
        "podman logs",
        "podman run --name said --net=host R/tiny:1 echo it was said && podman logs said && podman rm said",
        "it was said",
    ),
    (
        "podman volumes",
        "podman run --rm --net=host -v $PWD/home:/mnt R/tiny:1 touch /mnt/touched && ls home",
        "touched",
    ),
    ("podman unshare", "podman unshare cat /proc/self/uid_map", "0"),
    (
        "buildah",
        "c=$(buildah from --tls-verify=false R/tiny:1) && buildah run --net=host $c id && \
         buildah commit $c made && buildah images",
        "localhost/made",
    ),
    (
        "buildah build",
        "buildah build --tls-verify=false --net=host -t bud -f home/Containerfile home",
        "localhost/bud",
    ),
    (
        "skopeo",
        "skopeo inspect --tls-verify=false docker://R/tiny:1 && \
         skopeo copy --src-tls-verify=false docker://R/tiny:1 oci:home/copied:1 && ls home/copied",
        "oci-layout",
    ),
    (
        "skopeo, into the store",
        "skopeo copy --src-tls-verify=false docker://R/tiny:1 containers-storage:localhost/copied:1 && podman images",
        "localhost/copied",
    ),
    ("apptainer", "apptainer exec image sh -c 'cat /etc/os-release'", image::NAME),
    ("bubblewrap", "bwrap --unshare-user --bind image / cat /etc/os-release", image::NAME),
    (
        "squashfs-tools-ng",
        "tar2sqfs -q -f home/image.sqsh <image.tar && sqfs2tar home/image.sqsh >home/back.tar && ls home",
        "back.tar",
    ),
];

/// What does not work on a host, and is said to in docs/podman.md.
fn expected_to_fail(step: &str, host: &str, has_tun: bool) -> bool {
    match step {
        "podman run, own network" => !has_tun,
        "buildah" | "buildah build" | "skopeo, into the store" => host == "trixie",
        _ => false,
    }
}

#[test]
#[ignore = "needs roots of Debian 13: make bare"]
fn podman_and_its_like_run_from_a_prefix_that_was_moved() {
    // EL10's packages are packed with zstd, which is fast.
    let (releases, arches) = (vec![Release::El10], vec![Arch::X86_64]);
    let options = Options { suite: Suite::Trixie, releases, arches, ..Options::default() };
    let mirror = Mirror::build(&directory().with_file_name("trixie"), &options);
    let server = Server::start(&mirror.root);
    let mut rows: BTreeMap<&str, Vec<Result<(), String>>> = BTreeMap::new();
    for (name, has_ids, has_tun) in HOSTS {
        let host = Host::new(&mirror, &server, (name, has_ids, has_tun));
        let ids = host.script("podman unshare cat /proc/self/uid_map");
        assert_eq!(ids.contains("65536"), has_ids, "{name}: {ids}");
        for (step, script, says) in STEPS {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let text = host.script(script);
                assert!(text.contains(says), "{script}: {text}");
            }));
            let outcome = outcome.map_err(|reason| match reason.downcast::<String>() {
                Ok(text) => *text,
                Err(_) => "it panicked".to_owned(),
            });
            rows.entry(step).or_default().push(outcome);
        }
        // Ends the process that keeps its namespaces, too.
        host.script("podman rm -a -f -t 0; podman system migrate");
        host.stays_without_podman(&server);
    }
    tell(&rows);
}

/// Prints the table, and fails where it is not as the documentation says.
fn tell(rows: &BTreeMap<&str, Vec<Result<(), String>>>) {
    let mut text = String::from("| |");
    for (host, has_ids, has_tun) in HOSTS {
        let map = if host == "trixie" { "no newuidmap" } else { "newuidmap" };
        let ids = if has_ids { "ids" } else { "no ids" };
        let tun = if has_tun { "tun" } else { "no tun" };
        write!(text, " {map}, {ids}, {tun} |").unwrap();
    }
    text.push_str("\n|---|---|---|---|---|\n");
    let mut wrong = Vec::new();
    for (step, script, _) in STEPS {
        write!(text, "| {step}: `{script}` |").unwrap();
        for (outcome, (host, has_ids, has_tun)) in rows[step].iter().zip(HOSTS) {
            text.push_str(if outcome.is_ok() { " works |" } else { " fails |" });
            if outcome.is_err() != expected_to_fail(step, host, has_tun) {
                wrong.push(format!("{host} ids {has_ids} tun {has_tun}: {step}: {outcome:?}"));
            }
        }
        text.push('\n');
    }
    println!("{text}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A Debian 13, a user's session in it, and a prefix that was moved and that nobody may write to.
struct Host {
    session: Session,
    prefix: PathBuf,
    registry: Real,
    how: Run,
}

impl Host {
    fn new(mirror: &Mirror, server: &Server, (name, has_ids, has_tun): (&str, bool, bool)) -> Self {
        let place = std::env::var_os("BARE_HOSTS").expect("BARE_HOSTS is not set: type: make bare");
        let session = Session::new(&mirror.debs, name, program::path(), &mirror.repos);
        let session = session.in_machine(&Path::new(&place).join(name));
        let registry = Real::start(&session.work.join("registry"));
        let (first, prefix) =
            (session.work.join("home/first"), session.work.join("home/moved here"));
        // The user has a range in each Debian: without `newuidmap` too, which podman takes for an error.
        let hidden: &[&str] = if has_ids { &[] } else { &["/etc/subuid", "/etc/subgid"] };
        let hidden = hidden.iter().map(PathBuf::from).collect();
        let how = Run { containers: true, no_tun: !has_tun, hidden, ..Run::default() };
        let install = |words: &str| {
            session.script(
                &how,
                &format!(
                    "./elsewhere install {words} -a x86_64 -d el10 --cache-dir home/cache --repos repos \
                     --mirror {} {}",
                    server.url(),
                    quoted(first.as_os_str())
                ),
            )
        };
        let told = install(RUNTIMES);
        assert!(told.contains("installed"), "{told}");
        assert!(told.contains("neither /etc/containers/policy.json nor"), "{told}");
        // What several runtimes share stays for those that stay.
        install("-r charliecloud");
        let remove = format!(
            "./elsewhere remove -r charliecloud --repos repos --cache-dir home/cache --mirror {} home/first",
            server.url()
        );
        session.script(&how, &remove);
        session.script(&how, "./elsewhere verify --repos repos home/first");
        session.script(&how, "mv home/first 'home/moved here' && chmod -R a-w 'home/moved here'");
        session.script(&how, "tar -C image -cf image.tar .");
        let from = format!("FROM {}/tiny:1\nRUN echo it was built >/etc/built\n", registry.address);
        std::fs::write(session.work.join("home/Containerfile"), from).unwrap();
        let library_path = Some(session.poison(&prefix));
        let how = Run { library_path, ..how };
        let host = Self { session, prefix, registry, how };
        // What the install said, and what it says to do.
        let told = host.script("podman import image.tar localhost/tiny:1 2>&1 || :");
        assert!(told.contains("no policy.json file found"), "{told}");
        host.script(
            "mkdir -p home/.config/containers; \
             cp 'home/moved here/x86_64/etc/containers/elsewhere-policy.json' home/.config/containers/policy.json",
        );
        host
    }

    /// What several runtimes share is there for those that stay.
    fn stays_without_podman(&self, server: &Server) {
        let remove = format!(
            "chmod -R u+w 'home/moved here'; ./elsewhere remove -r podman --repos repos --cache-dir home/cache \
             --mirror {} 'home/moved here'; ./elsewhere verify --repos repos 'home/moved here'",
            server.url()
        );
        let how = Run { library_path: None, ..self.how.clone() };
        self.session.script(&how, &remove);
        let told = self.script(
            "apptainer buildcfg; buildah --version; skopeo --version; bwrap --version; ls 'home/moved here/bin'",
        );
        let staying = ["LIBEXECDIR=", "buildah version 1.", "skopeo version 1.", "bubblewrap 0."];
        assert!(staying.iter().all(|says| told.contains(says)), "{told}");
        assert!(!told.lines().any(|line| line == "podman"), "{told}");
    }

    /// Runs a script with the prefix's commands, and returns what it said.
    fn script(&self, script: &str) -> String {
        let bin = quoted(self.prefix.join("bin").as_os_str());
        let script = script.replace("R/", &format!("{}/", self.registry.address));
        let script = format!(
            "export PATH={bin}:$PATH XDG_RUNTIME_DIR=$PWD/home/run; mkdir -p home/run; set -e; {script}"
        );
        self.session.script(&self.how, &script)
    }
}
