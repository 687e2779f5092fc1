//! From a dist's definition to its packages, over mirrors that are stale, broken, or lie.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use elsewhere::stages::error::Error;
use elsewhere::stages::fetch::{FetchError, FetchOptions, Fetcher};
use elsewhere::stages::metadata::{Loaded, Means, MetadataError, TrustFailure, load};
use elsewhere::stages::model::{Arch, Artifact, Checksum, Dist, Evr, Repository};
use support::metadata::{self, Listing, Repodata};
use support::program;
use support::scratch::{Log, Scratch};
use support::server::{Fault, Server};

/// A dist whose only repository has these lines beside the usual ones.
fn dist(lines: &str) -> Dist {
    toml::from_str(&format!(
        r#"
        name = "el9"
        title = "a dist"
        glibc = "2.34"
        maintained_until = "2032-05-31"
        [[repository]]
        id = "epel"
        arches = ["x86_64", "aarch64"]
        {lines}
        [[repository.key]]
        fingerprint = "94E279EB8D8F25B21810ADF121EA45AB2F86D6A1"
        url = "https://one.example/key"
        [[repository.key]]
        fingerprint = "0000000000000000000000000000000000000000"
        url = "https://one.example/other"
        arches = ["aarch64"]
        "#
    ))
    .unwrap()
}

const BASES: &str = r#"base = ["https://one.example/$basearch", "https://two.example/$basearch/"]"#;
const METALINK: &str = r#"metalink = "https://links.example/metalink?repo=epel&arch=$basearch""#;

/// Mirrors on one server, behind `--mirror`.
struct World {
    scratch: Scratch,
    server: Server,
    log: Log,
    /// What is started to decode.
    program: PathBuf,
}

/// A version of the repository.
struct Version<'a> {
    package: &'a str,
    timestamp: u64,
}

const NEW: Version<'_> = Version { package: "new", timestamp: 1_700_000_000 };
const OLD: Version<'_> = Version { package: "old", timestamp: 1_600_000_000 };

impl World {
    fn new() -> Self {
        let scratch = Scratch::new("metadata");
        fs::create_dir_all(scratch.path().join("mirror")).unwrap();
        let server = Server::start(scratch.path().join("mirror"));
        let program = program::path().to_owned();
        Self { scratch, server, log: Log::default(), program }
    }

    /// A world whose two hosts have the new version.
    fn published() -> Self {
        let world = Self::new();
        world.publish("one.example", &NEW);
        world.publish("two.example", &NEW);
        world
    }

    /// Writes a repository with one package, and returns the digest of its `repomd.xml`.
    fn publish(&self, host: &str, version: &Version<'_>) -> Checksum {
        let primary = primary(version.package);
        self.publish_primary(host, version, primary.as_bytes())
    }

    fn publish_primary(&self, host: &str, version: &Version<'_>, primary: &[u8]) -> Checksum {
        let root = format!("mirror/{host}/x86_64");
        let repodata = Repodata::new(version.timestamp).packed("zstd").with("primary", primary);
        let digest = Checksum::of(&repodata.write(&self.scratch.path().join(&root)));
        let signature = format!("{root}/repodata/repomd.xml.asc");
        self.scratch.write(&signature, format!("signed {digest}"));
        digest
    }

    /// Publishes the new version, with a `repomd.xml` that `change` has changed.
    fn publish_with(&self, host: &str, change: impl FnOnce(String) -> String) {
        self.publish(host, &NEW);
        let path = format!("mirror/{host}/x86_64/repodata/repomd.xml");
        let repomd = fs::read_to_string(self.scratch.path().join(&path)).unwrap();
        self.scratch.write(&path, change(repomd));
    }

    /// Writes a metalink that promises these versions, the current one first.
    fn promise(&self, digests: &[&Checksum]) {
        let verification = |digest: &Checksum| {
            format!("<verification><hash type=\"sha256\">{}</hash></verification>", digest.hex())
        };
        let alternates: String = digests[1..]
            .iter()
            .map(|digest| format!("<mm0:alternate>{}</mm0:alternate>", verification(digest)))
            .collect();
        let text = format!(
            r#"<metalink xmlns:mm0="x"><files><file name="repomd.xml">{}
            <mm0:alternates>{alternates}</mm0:alternates><resources>
            <url preference="9">http://one.example/x86_64/repodata/repomd.xml</url>
            <url preference="8">https://two.example/x86_64/repodata/repomd.xml</url>
            </resources></file></files></metalink>"#,
            verification(digests[0])
        );
        self.scratch.write("mirror/links.example/metalink?repo=epel&arch=x86_64", text);
    }

    fn load(&self, dist: &Dist) -> Result<Loaded, MetadataError> {
        self.load_with(dist, Arch::X86_64, |_, _, _| Ok(()))
    }

    fn load_with(
        &self,
        dist: &Dist,
        arch: Arch,
        verify: impl Fn(&Repository, &[u8], &[u8]) -> Result<(), TrustFailure> + Sync,
    ) -> Result<Loaded, MetadataError> {
        let options = FetchOptions {
            mirror: Some(self.server.url()),
            attempts: 2,
            pause: Duration::from_millis(1),
            stall_timeout: Duration::from_millis(400),
            ..FetchOptions::new(self.scratch.path().join("cache"))
        };
        let fetcher = Fetcher::new(options, &self.log).unwrap();
        let (verify, program, reporter) = (&verify, &*self.program, &self.log);
        let means = Means { fetcher: &fetcher, verify, memory: None, program, reporter };
        load(means, dist, arch, None)
    }

    /// The package that is found, when all goes well.
    fn package(&self, dist: &Dist) -> String {
        let loaded = self.load(dist).unwrap();
        let [package] = &loaded.index.packages[..] else { panic!("one package") };
        loaded.index.text(package.name).to_owned()
    }

    /// The message when it does not.
    fn failure(&self, dist: &Dist) -> String {
        self.load(dist).unwrap_err().to_string().replace(&self.server.url(), "http://MIRROR")
    }
}

fn primary(name: &str) -> String {
    metadata::primary(&[Listing::new(name, "x86_64", &Evr::parse("1-1"))])
}

#[test]
fn a_repository_is_read_from_its_base() {
    let world = World::published();
    let loaded = world.load(&dist(BASES)).unwrap();
    assert_eq!(loaded.index.repositories, ["epel"]);
    assert_eq!(loaded.index.packages.len(), 1);
    let [source] = &loaded.sources[..] else { panic!("one source") };
    assert_eq!(source.id, "epel");
    assert_eq!(source.base, ["https://one.example/x86_64/", "https://two.example/x86_64/"]);
    assert_eq!(source.keys.len(), 1, "the other key signs for aarch64 only");
    assert_eq!(world.log.advanced(), 1);
}

#[test]
fn metadata_are_decoded_by_processes_of_their_own() {
    let mut world = World::published();
    assert_eq!(world.package(&dist(BASES)), "new");
    let details = world.log.details().join("\n");
    assert!(
        details.contains("what is compressed is decoded by processes of their own"),
        "{details}"
    );
    // One that says that it is ready, and dies of what it is fed with.
    let script = "#!/bin/sh\nprintf '\\000\\004\\000\\000\\000fake'\nkill -9 $$\n";
    world.program = world.scratch.write("decoder", script);
    fs::set_permissions(&world.program, fs::Permissions::from_mode(0o755)).unwrap();
    let failure = world.failure(&dist(BASES));
    assert!(failure.contains("the process that decodes was killed"), "{failure}");
    // Where none can be started, threads do it.
    world.program = world.scratch.path().join("absent");
    assert_eq!(world.package(&dist(BASES)), "new");
}

#[test]
fn a_second_run_asks_once() {
    let world = World::published();
    world.load(&dist(BASES)).unwrap();
    let before = world.server.requests().len();
    world.load(&dist(BASES)).unwrap();
    let requests = world.server.requests();
    // Nothing but its server vouches for it: a copy in the cache would have another author.
    assert_eq!(requests[before..], ["GET /one.example/x86_64/repodata/repomd.xml 200"]);
}

#[test]
fn repositories_keep_the_order_of_the_dist() {
    let world = World::published();
    world.publish("three.example", &OLD);
    let mut dist = dist(BASES);
    let mut second = dist.repositories[0].clone();
    (second.id, second.base) = ("extras".into(), vec!["https://three.example/x86_64".into()]);
    dist.repositories.push(second);
    world.server.fault("one.example", Fault::slow(20_000));
    let loaded = world.load(&dist).unwrap();
    assert_eq!(loaded.index.repositories, ["epel", "extras"]);
    let found: Vec<_> =
        loaded.index.packages.iter().map(|p| (p.repository, loaded.index.text(p.name))).collect();
    assert_eq!(found, [(0, "new"), (1, "old")]);
}

#[test]
fn mirrors_are_tried_until_one_serves() {
    for fault in [Fault::not_found(), Fault::status(503, 9), Fault::stall(), Fault::endless()] {
        let world = World::published();
        world.server.fault("one.example/x86_64/repodata/repomd.xml", fault.clone());
        let loaded = world.load(&dist(BASES)).unwrap();
        assert_eq!(loaded.sources[0].base[0], "https://two.example/x86_64/", "{fault:?}");
        assert_eq!(world.log.retries().len(), 1, "{fault:?}");
    }
}

#[test]
fn primary_comes_from_another_mirror_when_the_first_spoils_it() {
    for fault in [Fault::not_found(), Fault::corrupt_byte(30), Fault::truncate_at(20)] {
        let world = World::published();
        world.server.fault("one.example/x86_64/repodata/primary", fault.clone());
        assert_eq!(world.package(&dist(BASES)), "new", "{fault:?}");
        assert_eq!(world.log.retries().len(), 1, "{fault:?}");
    }
}

#[test]
fn primary_with_the_wrong_digest_everywhere_is_refused() {
    let world = World::published();
    world.server.fault("primary", Fault::corrupt_byte(30));
    let error = world.load(&dist(BASES)).unwrap_err();
    assert!(error.to_string().contains("wrong content"), "{error}");
    assert!(error.hint().is_some());
    assert_eq!(Error::from(error).exit_status(), 4);
}

#[test]
fn primary_that_is_hostile_is_named() {
    let bomb = "<!DOCTYPE m [<!ENTITY a \"aaaa\">]><metadata packages=\"0\">&a;</metadata>";
    for (text, message) in [
        ("<html>portal</html>", "is <html>, not <metadata>"),
        ("<metadata><package>", "ends early"),
        (bomb, "XML entities"),
        (&format!("<metadata>{}", "<a>".repeat(999)), "nested deeper"),
    ] {
        let world = World::new();
        world.publish_primary("one.example", &NEW, text.as_bytes());
        let failure = world.failure(&dist(BASES));
        let prefix = "repository epel of el9 for x86_64: repodata/primary.xml.zst";
        assert!(failure.starts_with(prefix) && failure.contains(message), "{failure}");
    }
}

/// Only what is not what its digest says, or has none that proves anything, is a matter of trust.
#[test]
fn what_is_malformed_is_no_matter_of_trust() {
    let status = |world: &World| {
        let error = world.load(&dist(BASES)).unwrap_err();
        elsewhere::stages::error::Error::Metadata(error).exit_status()
    };
    let world = World::new();
    world.publish_primary("one.example", &NEW, b"<metadata><package>");
    assert_eq!(status(&world), 3, "a broken list of packages");
    for repomd in ["<html>portal</html>", "<repomd>", "<repomd><data type='primary'/></repomd>"] {
        let world = World::new();
        world.scratch.write("mirror/one.example/x86_64/repodata/repomd.xml", repomd);
        assert_eq!(status(&world), 3, "{repomd}");
    }
    let world = World::new();
    world.publish_with("one.example", |repomd| repomd.replace("type=\"sha256\"", "type=\"sha\""));
    assert_eq!(status(&world), 4, "a digest that proves nothing");
    let world = World::new();
    world.publish_with("one.example", |repomd| {
        repomd.replace("primary.xml.zst", "https://no.example/p").replace("https", "http")
    });
    let text = world.failure(&dist(BASES));
    assert!(text.contains("is at a place where repodata/repomd.xml may not send"), "{text}");
    assert_eq!(status(&world), 3);
    let world = World::published();
    world.server.fault("primary", Fault::corrupt_byte(30));
    assert_eq!(status(&world), 4, "other bytes than promised");
}

#[test]
fn a_package_that_makes_no_sense_is_told_and_the_rest_is_read() {
    let world = World::new();
    let text = primary("good").replace("packages=\"1\">\n", "packages=\"1\">\n<package/>\n");
    world.publish_primary("one.example", &NEW, text.as_bytes());
    assert_eq!(world.package(&dist(BASES)), "good");
    let told = "a package was set aside: repository epel, line 3: it has no name";
    assert!(world.log.details().contains(&told.to_owned()), "{:?}", world.log.details());
}

#[test]
fn the_list_of_packages_may_lie_on_another_server() {
    let world = World::new();
    world.publish_with("one.example", |repomd| {
        repomd.replace("href=", "xml:base=\"https://two.example/lists\" href=")
    });
    let (from, to) = ("one.example/x86_64/repodata", "two.example/lists/repodata");
    let place = |path: &str| world.scratch.path().join(format!("mirror/{path}/primary.xml.zst"));
    fs::create_dir_all(place(to).parent().unwrap()).unwrap();
    std::fs::rename(place(from), place(to)).unwrap();
    assert_eq!(world.package(&dist(BASES)), "new");
}

#[test]
fn a_dist_without_the_architecture_says_which_it_has() {
    let world = World::published();
    let error = world.load_with(&dist(BASES), Arch::S390x, |_, _, _| Ok(())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "el9 has no repositories for s390x; it has some for x86_64, aarch64"
    );
}

#[test]
fn a_repository_that_is_nowhere_is_named_with_its_dist_and_architecture() {
    let world = World::published();
    let error = world.load_with(&dist(BASES), Arch::Aarch64, |_, _, _| Ok(())).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("repository epel of el9 for aarch64: none of its places"), "{text}");
    assert!(text.contains("two.example/aarch64/repodata/repomd.xml: not found"), "{text}");
}

#[test]
fn a_metalink_gives_the_mirrors_and_the_promise() {
    let world = World::published();
    world.publish("two.example", &OLD);
    let current = world.publish("one.example", &NEW);
    world.promise(&[&current]);
    let loaded = world.load(&dist(METALINK)).unwrap();
    // https goes first, but its version is not promised.
    let bases = ["http://one.example/x86_64/", "https://two.example/x86_64/"];
    assert_eq!(loaded.sources[0].base, bases);
    assert!(world.log.retries()[0].contains("wrong content"), "{:?}", world.log.retries());
}

#[test]
fn an_alternate_is_good_enough() {
    let world = World::new();
    let old = world.publish("two.example", &OLD);
    world.promise(&[&Checksum::of(b"not mirrored yet"), &old]);
    assert_eq!(world.package(&dist(METALINK)), "old");
}

#[test]
fn what_the_metalink_does_not_promise_is_refused() {
    let world = World::published();
    world.promise(&[&Checksum::of(b"another")]);
    let error = world.load(&dist(&format!("{METALINK}\n{BASES}"))).unwrap_err();
    assert_eq!(error.fetch_error().unwrap().attempts().len(), 2, "no place is left out");
    assert_eq!(Error::from(error).exit_status(), 4);
}

#[test]
fn without_a_metalink_the_base_serves() {
    for fault in [Fault::not_found(), Fault::status(500, 99), Fault::endless()] {
        let world = World::published();
        world.promise(&[&Checksum::of(b"another")]);
        world.server.fault("metalink", fault);
        assert_eq!(world.package(&dist(&format!("{METALINK}\n{BASES}"))), "new");
        assert!(world.log.warnings().is_empty());
    }
}

#[test]
fn behind_a_mirror_nothing_waits_for_a_list() {
    let world = World::published();
    world.promise(&[&Checksum::of(b"another")]);
    world.server.fault("metalink", Fault::stall());
    let dist = dist(&format!("{METALINK}\n{BASES}\nsigned_metadata = true"));
    assert_eq!(world.package(&dist), "new");
    // The list is asked for a second time after it stalled. By then all else was there.
    let requests = world.server.requests();
    let place = |of: &str| requests.iter().position(|request| request.contains(of)).unwrap();
    assert!(place("repomd.xml ") < 3 && place("repomd.xml.asc ") < 3, "{requests:?}");
    assert_eq!(world.server.count("repomd.xml"), 2, "{requests:?}");
}

#[test]
fn a_guess_is_tried_once_and_not_where_there_is_a_list() {
    let world = World::published();
    let dist = dist(&format!("{METALINK}\n{BASES}"));
    world.server.fault("one.example", Fault::status(503, 99));
    world.load(&dist).unwrap();
    // Once by the guess; the ordinary way goes on to the second base.
    assert_eq!(world.server.count("one.example/x86_64/repodata/repomd.xml"), 2);
    world.server.clear_faults();
    let digest = world.publish("two.example", &NEW);
    world.promise(&[&digest]);
    world.load(&dist).unwrap();
    world.server.fault("one.example", Fault::stall());
    let before = world.server.requests().len();
    world.load(&dist).unwrap();
    let requests = &world.server.requests()[before..];
    assert!(requests.iter().all(|request| request.contains("metalink")), "{requests:?}");
}

#[test]
fn a_mirror_list_gives_mirrors() {
    let world = World::published();
    world.scratch.write("mirror/links.example/list", "# x\nhttps://two.example/x86_64\n");
    let list = r#"mirrorlist = "https://links.example/list""#;
    let loaded = world.load(&dist(&format!("{list}\n{BASES}"))).unwrap();
    assert_eq!(
        loaded.sources[0].base,
        ["https://two.example/x86_64/", "https://one.example/x86_64/"]
    );
}

/// Accepts what [`World::publish`] writes as a signature.
fn check(_: &Repository, repomd: &[u8], signature: &[u8]) -> Result<(), TrustFailure> {
    match signature == format!("signed {}", Checksum::of(repomd)).as_bytes() {
        true => Ok(()),
        false => Err(TrustFailure("made by nobody".into())),
    }
}

fn signed() -> Dist {
    dist(&format!("signed_metadata = true\n{BASES}"))
}

#[test]
fn a_signature_is_asked_for_where_there_should_be_one() {
    let world = World::published();
    let calls = AtomicUsize::new(0);
    let counted = |repository: &Repository, repomd: &[u8], signature: &[u8]| {
        calls.fetch_add(1, Ordering::SeqCst);
        check(repository, repomd, signature)
    };
    world.load_with(&signed(), Arch::X86_64, counted).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    world.load_with(&dist(BASES), Arch::X86_64, |_, _, _| panic!("not signed")).unwrap();
}

#[test]
fn a_bad_or_missing_signature_is_refused() {
    let asc = "x86_64/repodata/repomd.xml.asc";
    let world = World::published();
    world.scratch.write(&format!("mirror/one.example/{asc}"), "forged");
    world.server.fault(format!("two.example/{asc}"), Fault::not_found());
    let error = world.load_with(&signed(), Arch::X86_64, check).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("its signature is not accepted: made by nobody"), "{text}");
    assert!(text.contains("its signature is missing"), "{text}");
    assert_eq!(Error::from(error).exit_status(), 4);
    assert_eq!(world.server.count("primary"), 0, "nothing is read before it is believed");

    world.server.clear_faults();
    let loaded = world.load_with(&signed(), Arch::X86_64, check).unwrap();
    assert_eq!(loaded.sources[0].base[0], "https://two.example/x86_64/");
}

#[test]
fn a_signature_that_the_network_keeps_back_is_no_missing_one() {
    let world = World::published();
    let fault = |fault: fn() -> Fault| {
        world.server.clear_faults();
        for host in ["one", "two"] {
            let asc = format!("{host}.example/x86_64/repodata/repomd.xml.asc");
            world.server.fault(asc, fault());
        }
        world.load_with(&signed(), Arch::X86_64, check).unwrap_err()
    };
    for away in
        [|| Fault::status(503, usize::MAX), || Fault::drop_connection(usize::MAX), Fault::stall]
    {
        let error = fault(away);
        let error = Error::from(error);
        let hint = error.hint().unwrap();
        assert!(!hint.contains("signed_metadata"), "{hint}");
        assert_eq!(error.exit_status(), 3, "{error}");
    }
    // What object stores say of files that are not there.
    let error = Error::from(fault(|| Fault::status(403, usize::MAX)));
    assert!(error.hint().unwrap().contains("signed_metadata"), "{error}");
    assert_eq!(error.exit_status(), 4, "{error}");
}

#[test]
fn what_keeps_from_a_key_is_told_as_it_is() {
    let world = World::published();
    let no_files = |_: &Repository, _: &[u8], _: &[u8]| {
        let met = io::Error::from_raw_os_error(24);
        Err(TrustFailure(Box::new(FetchError::System(met))))
    };
    let error = Error::from(world.load_with(&signed(), Arch::X86_64, no_files).unwrap_err());
    assert_eq!(error.exit_status(), 7, "{error}");
    assert!(error.hint().unwrap().contains("ulimit -n"), "{error}");
    assert_eq!(world.server.count("two.example"), 0, "another place cannot help");
    let stopped =
        |_: &Repository, _: &[u8], _: &[u8]| Err(TrustFailure(Box::new(FetchError::Cancelled)));
    let error = Error::from(world.load_with(&signed(), Arch::X86_64, stopped).unwrap_err());
    assert_eq!(error.exit_status(), 130, "{error}");
}

#[test]
fn older_metadata_is_reported_where_nothing_vouches_for_time() {
    let world = World::published();
    world.load(&dist(BASES)).unwrap();
    world.publish("one.example", &OLD);
    assert_eq!(world.package(&dist(BASES)), "old");
    let warnings = world.log.warnings();
    assert!(warnings[0].contains("1157 days older"), "{warnings:?}");
}

#[test]
fn older_metadata_is_refused_where_newer_was_signed() {
    let world = World::published();
    world.load_with(&signed(), Arch::X86_64, check).unwrap();
    world.publish("one.example", &OLD);
    let loaded = world.load_with(&signed(), Arch::X86_64, check).unwrap();
    assert_eq!(loaded.sources[0].base[0], "https://two.example/x86_64/");
    world.publish("two.example", &OLD);
    let error = world.load_with(&signed(), Arch::X86_64, check).unwrap_err();
    assert!(error.to_string().contains("older than what was seen before"), "{error}");
    assert_eq!(Error::from(error).exit_status(), 4);
}

#[test]
fn an_alternate_that_is_older_than_what_was_seen_is_refused() {
    let world = World::new();
    let new = world.publish("two.example", &NEW);
    let old = world.publish("one.example", &OLD);
    world.promise(&[&new, &old]);
    assert_eq!(world.package(&dist(METALINK)), "new");
    std::fs::remove_dir_all(world.scratch.path().join("cache/objects")).unwrap();
    world.server.fault("two.example", Fault::not_found());
    let failure = world.failure(&dist(METALINK));
    assert!(failure.contains("older than what was seen before"), "{failure}");
    // But what the metalink calls current is current.
    world.promise(&[&old]);
    assert_eq!(world.package(&dist(METALINK)), "old");
    assert_eq!(world.log.warnings().len(), 1);
}

#[test]
fn module_streams_are_read_where_the_dist_has_some() {
    let world = World::published();
    let modular = dist(&format!("modular = true\n{BASES}"));
    assert_eq!(world.package(&modular), "new");
    let warnings = world.log.warnings();
    assert!(
        warnings.concat().contains("no module list, although its definition says"),
        "{warnings:?}"
    );
    assert!(warnings.concat().contains("`module_hotfixes = true`"), "{warnings:?}");

    let yaml = "---\ndocument: modulemd\nversion: 2\ndata:\n  name: tools\n  stream: one\n  \
        version: 1\n  artifacts:\n    rpms:\n    - a-0:1-1.x86_64\n...\n";
    let path = world.scratch.path().join("mirror/one.example/x86_64/repodata/repomd.xml");
    let entry = format!(
        r#"<data type="modules"><checksum type="sha256">{}</checksum>
        <location href="repodata/modules.yaml"/></data></repomd>"#,
        Checksum::of(yaml.as_bytes()).hex()
    );
    let repomd = fs::read_to_string(&path).unwrap().replace("</repomd>", &entry);
    fs::write(path, repomd).unwrap();
    world.scratch.write("mirror/one.example/x86_64/repodata/modules.yaml", yaml);
    let loaded = world.load(&modular).unwrap();
    let [stream] = &loaded.index.modules.streams[..] else { panic!("{:?}", loaded.index) };
    assert_eq!(stream.module, "tools");
    assert_eq!(stream.artifacts, [Artifact::parse("a-0:1-1.x86_64").unwrap()]);
    // It counts whatever the definition says.
    assert_eq!(world.load(&dist(BASES)).unwrap().index.modules, loaded.index.modules);
}

#[test]
fn cancelling_ends_it() {
    let world = World::published();
    world.log.cancelled.store(true, Ordering::SeqCst);
    assert!(world.failure(&dist(BASES)).contains("cancelled"));
}
