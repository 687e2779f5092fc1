//! Fetching from a server that fails in every way that mirrors do.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use elsewhere::fetch::{FetchError, Fetcher, Options, Proof, Reason};
use elsewhere::model::Checksum;
use elsewhere::report::Phase;
use support::scratch::{Log, Scratch};
use support::server::{Fault, Server};

/// What the tests' mirror stands for.
const SITE: &str = "https://repo.example";

/// A server with one file, a cache beside it, and the file's content.
struct World {
    scratch: Scratch,
    server: Server,
    log: Log,
    content: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let scratch = Scratch::new("fetch");
        let content: Vec<u8> = (0..300_000_u32).map(|n| (n * 7 + n / 251) as u8).collect();
        for name in ["a/file", "b/file", "c/file"] {
            scratch.write(&format!("mirror/repo.example/{name}"), &content);
        }
        let server = Server::start(scratch.path().join("mirror"));
        Self { scratch, server, log: Log::default(), content }
    }

    fn options(&self) -> Options {
        Options {
            mirror: Some(self.server.url()),
            attempts: 2,
            pause: Duration::from_millis(1),
            stall_timeout: Duration::from_millis(400),
            ..Options::new(self.scratch.path().join("cache"))
        }
    }

    fn fetcher(&self) -> Fetcher<'_> {
        Fetcher::new(self.options(), &self.log).unwrap()
    }

    fn checksum(&self) -> Checksum {
        Checksum::of(&self.content)
    }

    /// Fetches the file from these directories, knowing its digest and size.
    fn content(&self, places: &[&str]) -> Result<elsewhere::fetch::Fetched, FetchError> {
        let size = Some(self.content.len() as u64);
        let progress = Some(Phase::Download);
        self.fetcher().content(&urls(places), &self.checksum(), size, progress)
    }

    fn partial_files(&self) -> usize {
        fs::read_dir(self.scratch.path().join("cache/partial")).unwrap().count()
    }
}

fn urls(places: &[&str]) -> Vec<String> {
    places.iter().map(|place| format!("{SITE}/{place}/file")).collect()
}

/// The reason of the only place that was tried.
fn only_reason(error: &FetchError) -> &Reason {
    assert_eq!(error.attempts().len(), 1, "{error}");
    &error.attempts()[0].reason
}

/// Fetches `a/file` as a document with this fault, and returns why that failed.
fn document_failure(world: &World, fault: Fault) -> FetchError {
    world.server.fault("a/file", fault);
    world.fetcher().document(&urls(&["a"])[0], 1 << 20).unwrap_err()
}

#[test]
fn a_document_is_revalidated_and_not_sent_twice() {
    let world = World::new();
    let url = &urls(&["a"])[0];
    for _ in 0..2 {
        assert_eq!(world.fetcher().document(url, 1 << 20).unwrap(), world.content);
    }
    let requests = world.server.requests();
    assert_eq!(requests, ["GET /repo.example/a/file 200", "GET /repo.example/a/file 304"]);
    world.scratch.write("mirror/repo.example/a/file", b"new");
    assert_eq!(world.fetcher().document(url, 1 << 20).unwrap(), b"new");
}

#[test]
fn a_stale_document_is_not_used_when_the_server_is_away() {
    let world = World::new();
    let url = &urls(&["a"])[0];
    world.fetcher().document(url, 1 << 20).unwrap();
    world.server.fault("a/file", Fault::drop_connection(usize::MAX));
    assert!(world.fetcher().document(url, 1 << 20).is_err());
}

#[test]
fn a_damaged_document_in_the_cache_is_fetched_again() {
    let world = World::new();
    let url = &urls(&["a"])[0];
    world.fetcher().document(url, 1 << 20).unwrap();
    let directory = world.scratch.path().join("cache/documents");
    let path = fs::read_dir(directory).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(world.fetcher().document(url, 1 << 20).unwrap(), world.content);
    assert_eq!(world.server.count("a/file 200"), 2);
}

#[test]
fn plain_http_needs_a_proof() {
    let world = World::new();
    let options = Options { mirror: None, ..world.options() };
    let fetcher = Fetcher::new(options, &world.log).unwrap();
    let url = format!("{}/repo.example/a/file", world.server.url());
    let error = fetcher.document(&url, 1 << 20).unwrap_err();
    assert!(matches!(only_reason(&error), Reason::Insecure), "{error}");
    assert!(world.server.requests().is_empty());
    let digests = [world.checksum()];
    let take = |_: &str, bytes: Vec<u8>| Ok(bytes);
    for proof in [Proof::Caller, Proof::Digest(&digests)] {
        let bytes =
            fetcher.document_from(std::slice::from_ref(&url), 1 << 20, proof, take).unwrap();
        assert_eq!(bytes, world.content);
    }
    let size = Some(world.content.len() as u64);
    fetcher.content(&[url], &world.checksum(), size, None).unwrap();
}

#[test]
fn a_document_with_the_wrong_digest_is_passed_over() {
    let world = World::new();
    world.server.fault("a/file", Fault::corrupt_byte(9));
    let digests = [Checksum::of(b"the next version"), world.checksum()];
    let take = |url: &str, _| Ok(url.to_owned());
    let fetcher = world.fetcher();
    let proof = Proof::Digest(&digests);
    let served = fetcher.document_from(&urls(&["a", "b"]), 1 << 20, proof, take).unwrap();
    assert_eq!(served, urls(&["b"])[0]);
    assert!(world.log.retries()[0].contains("wrong content"), "{:?}", world.log.retries());
    let error = fetcher.document_from(&urls(&["a"]), 1 << 20, proof, take).unwrap_err();
    assert!(matches!(only_reason(&error), Reason::Digest { .. }));
    assert!(error.is_refusal());
}

#[test]
fn a_document_that_the_caller_refuses_is_passed_over() {
    let world = World::new();
    let judge = |url: &str, _| match url.contains("/b/") {
        true => Ok(()),
        false => Err("not this one".into()),
    };
    let fetcher = world.fetcher();
    fetcher.document_from(&urls(&["a", "b"]), 1 << 20, Proof::Server, judge).unwrap();
    let refuse = |_: &str, _| Err::<(), _>("no".into());
    let error =
        fetcher.document_from(&urls(&["a", "b"]), 1 << 20, Proof::Server, refuse).unwrap_err();
    assert!(error.is_refusal());
    assert_eq!(world.server.count("a/file"), 2, "a refusal is final");
}

#[test]
fn not_found_is_final() {
    let world = World::new();
    let error = document_failure(&world, Fault::not_found());
    assert!(matches!(only_reason(&error), Reason::NotFound(404)));
    assert!(error.is_not_found());
    assert_eq!(world.server.requests().len(), 1);
}

#[test]
fn passing_faults_are_tried_again() {
    let faults = [
        Fault::status(503, 1),
        Fault::status(429, 1),
        Fault::drop_connection(1),
        Fault::truncate_at(1000).times(1),
        Fault::stall().times(1),
    ];
    for fault in faults {
        let world = World::new();
        world.server.fault("a/file", fault.clone());
        let bytes = world.fetcher().document(&urls(&["a"])[0], 1 << 20);
        assert_eq!(bytes.unwrap(), world.content, "{fault:?}");
        assert_eq!(world.log.retries().len(), 1, "{fault:?}");
    }
}

#[test]
fn lasting_faults_end_with_their_reason() {
    let reason = |fault| {
        let error = document_failure(&World::new(), fault);
        format!("{}", only_reason(&error))
    };
    assert_eq!(reason(Fault::status(503, 9)), "HTTP status 503");
    assert_eq!(reason(Fault::status(403, 9)), "HTTP status 403");
    assert!(reason(Fault::drop_connection(9)).contains("connection"));
    assert!(reason(Fault::truncate_at(1000)).contains("broke"));
    assert!(reason(Fault::stall()).contains("no answer"));
    assert!(reason(Fault::endless()).contains("more than the 1048576 bytes"));
}

#[test]
fn a_trickle_is_as_good_as_nothing() {
    let world = World::new();
    world.server.fault("a/file", Fault::slow(500));
    let options = Options { minimum_rate: 5000, attempts: 1, ..world.options() };
    let fetcher = Fetcher::new(options, &world.log).unwrap();
    let error = fetcher.document(&urls(&["a"])[0], 1 << 20).unwrap_err();
    assert!(matches!(only_reason(&error), Reason::Stalled(_)), "{error}");
}

#[test]
fn redirects_are_followed_within_reason() {
    let world = World::new();
    let to = |path: &str| format!("{}{path}", world.server.url());
    world.server.fault("a/file", Fault::redirect(to("/repo.example/b/file")));
    assert_eq!(world.fetcher().document(&urls(&["a"])[0], 1 << 20).unwrap(), world.content);

    let secret = world.scratch.write("secret", "x");
    for target in [format!("file://{}", secret.display()), to("/repo.example/a/file")] {
        world.server.clear_faults();
        let error = document_failure(&world, Fault::redirect(&target));
        assert!(matches!(only_reason(&error), Reason::Redirect(_)), "{target}: {error}");
    }
}

#[test]
fn unknown_hosts_and_closed_ports_are_told_apart() {
    let world = World::new();
    let options = Options { mirror: None, ..world.options() };
    let fetcher = Fetcher::new(options, &world.log).unwrap();
    let error = fetcher.document("https://nonexistent.invalid/x", 10).unwrap_err();
    assert!(matches!(only_reason(&error), Reason::Name { host } if host == "nonexistent.invalid"));
    assert!(error.hint().unwrap().contains("https_proxy"));

    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = fetcher.document(&format!("https://127.0.0.1:{port}/x"), 10).unwrap_err();
    assert!(matches!(only_reason(&error), Reason::Connect(_)), "{error}");

    // Plain http where TLS is expected.
    let url = world.server.url().replace("http:", "https:");
    let error = fetcher.document(&format!("{url}/x"), 10).unwrap_err();
    assert!(matches!(only_reason(&error), Reason::Tls(_)), "{error}");
}

#[test]
fn content_comes_once_and_then_from_the_cache() {
    let world = World::new();
    let first = world.content(&["a"]).unwrap();
    assert_eq!(fs::read(first.path()).unwrap(), world.content);
    assert!(!first.is_from_cache());
    assert_eq!(world.log.advanced(), world.content.len() as u64);
    let second = world.content(&["a"]).unwrap();
    assert!(second.is_from_cache());
    assert_eq!(world.server.requests().len(), 1);
    assert_eq!(world.partial_files(), 0);
}

#[test]
fn a_damaged_object_in_the_cache_is_fetched_again() {
    let world = World::new();
    let path = world.content(&["a"]).unwrap().path().to_owned();
    fs::write(&path, b"damaged").unwrap();
    let again = world.content(&["a"]).unwrap();
    assert!(!again.is_from_cache());
    assert_eq!(fs::read(path).unwrap(), world.content);
}

#[test]
fn content_falls_over_to_the_next_mirror() {
    let faults = [
        Fault::not_found(),
        Fault::status(500, 9),
        Fault::corrupt_byte(200_000),
        Fault::truncate_at(1000),
        Fault::drop_connection(9),
        Fault::endless(),
        Fault::stall(),
    ];
    for fault in faults {
        let world = World::new();
        world.server.fault("a/file", fault.clone());
        let fetched = world.content(&["a", "b"]).unwrap();
        assert_eq!(fetched.url(), urls(&["b"])[0], "{fault:?}");
        assert_eq!(fs::read(fetched.path()).unwrap(), world.content, "{fault:?}");
        assert_eq!(world.log.retries().len(), 1, "{fault:?}");
        assert_eq!(world.log.advanced(), world.content.len() as u64, "{fault:?}");
    }
}

#[test]
fn every_place_and_its_reason_is_named() {
    let world = World::new();
    world.server.fault("a/file", Fault::not_found());
    world.server.fault("b/file", Fault::corrupt_byte(0));
    world.server.fault("c/file", Fault::endless());
    let error = world.content(&["a", "b", "c"]).unwrap_err();
    let text = error.to_string().replace(&world.server.url(), "http://MIRROR");
    let mut corrupt = world.content.clone();
    corrupt[0] ^= 0xff;
    let expected = format!(
        "cannot fetch from any of 3 places:\n  \
         http://MIRROR/repo.example/a/file: not found (HTTP status 404)\n  \
         http://MIRROR/repo.example/b/file: wrong content: its digest is {}, expected was {}\n  \
         http://MIRROR/repo.example/c/file: sends more than the 300000 bytes that it should have",
        Checksum::of(&corrupt),
        world.checksum()
    );
    assert_eq!(text, expected);
    assert!(error.is_refusal() && !error.is_not_found());
    assert_eq!(world.partial_files(), 0, "nothing useful came");
    assert!(!world.scratch.path().join("cache/objects/sha256").exists());
}

#[test]
fn a_file_of_another_size_is_refused() {
    let world = World::new();
    let fetch = |size| {
        let fetcher = world.fetcher();
        fetcher.content(&urls(&["a"]), &world.checksum(), Some(size), None).unwrap_err()
    };
    assert!(matches!(only_reason(&fetch(1000)), Reason::TooLong(1000)));
    let error = fetch(300_001);
    assert!(matches!(only_reason(&error), Reason::Size { got: 300_000, expected: 300_001 }));
}

#[test]
fn a_broken_download_is_resumed() {
    let world = World::new();
    world.server.fault("a/file", Fault::truncate_at(100_000).times(1));
    world.content(&["a"]).unwrap();
    let requests = world.server.requests();
    assert!(requests[1].ends_with(" 206"), "{requests:?}");
    assert!(world.server.bytes() <= world.content.len() as u64, "nothing came twice");
    assert_eq!(world.log.advanced(), world.content.len() as u64);
}

#[test]
fn a_broken_download_is_resumed_at_another_mirror() {
    let world = World::new();
    world.server.fault("a/file", Fault::truncate_at(100_000));
    world.content(&["a", "b"]).unwrap();
    assert_eq!(world.server.count("b/file bytes="), 1, "{:?}", world.server.requests());
}

#[test]
fn a_server_without_ranges_sends_the_file_anew() {
    let world = World::new();
    world.server.fault("a/file", Fault::truncate_at(100_000).times(1));
    world.server.fault("a/file", Fault::ignore_range());
    let fetched = world.content(&["a"]).unwrap();
    assert_eq!(fs::read(fetched.path()).unwrap(), world.content);
}

/// Makes the partial files of a dead run, two hours old.
fn age(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let file = File::options().write(true).open(entry.unwrap().path()).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(7200)).unwrap();
    }
}

#[test]
fn a_later_run_takes_over_what_a_dead_one_left() {
    let world = World::new();
    world.server.fault("a/file", Fault::truncate_at(100_000).times(2));
    world.content(&["a"]).unwrap_err();
    assert_eq!(world.partial_files(), 1);
    age(&world.scratch.path().join("cache/partial"));
    world.content(&["a"]).unwrap();
    let requests = world.server.requests();
    assert!(requests.last().unwrap().ends_with("206"), "{requests:?}");
    assert_eq!(world.partial_files(), 0);
}

#[test]
fn a_wrong_beginning_is_thrown_away() {
    let world = World::new();
    world.server.fault("a/file", Fault::truncate_at(100_000));
    world.content(&["a"]).unwrap_err();
    let partial = world.scratch.path().join("cache/partial");
    let path = fs::read_dir(&partial).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&path).unwrap();
    bytes[5] ^= 1;
    fs::write(&path, bytes).unwrap();
    age(&partial);
    let fetched = world.content(&["b"]).unwrap();
    assert_eq!(fs::read(fetched.path()).unwrap(), world.content);
    assert_eq!(world.server.count("b/file"), 2, "{:?}", world.server.requests());
}

#[test]
fn many_runs_share_a_cache() {
    let world = World::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let fetched = world.content(&["a", "b"]).unwrap();
                assert_eq!(fs::read(fetched.path()).unwrap(), world.content);
            });
        }
    });
    assert_eq!(world.partial_files(), 0);
    assert!(world.content(&["a"]).unwrap().is_from_cache());
}

#[test]
fn a_host_gets_few_connections() {
    let world = World::new();
    world.server.latency(Duration::from_millis(20));
    let fetcher = world.fetcher();
    std::thread::scope(|scope| {
        for number in 0..12 {
            let (fetcher, world) = (&fetcher, &world);
            scope.spawn(move || {
                let name = format!("mirror/repo.example/n/{number}");
                world.scratch.write(&name, number.to_string());
                let url = format!("{SITE}/n/{number}");
                assert_eq!(fetcher.document(&url, 10).unwrap(), number.to_string().as_bytes());
            });
        }
    });
    assert!(world.server.most_connections() <= 4, "{}", world.server.most_connections());
    assert!(world.server.connections() <= 4, "they are used again");
}

#[test]
fn cancelling_ends_a_stalled_download_at_once_and_leaves_nothing() {
    let world = World::new();
    world.server.fault("a/file", Fault::stall());
    let options = Options { stall_timeout: Duration::from_secs(60), ..world.options() };
    let fetcher = Fetcher::new(options, &world.log).unwrap();
    let start = Instant::now();
    let result = std::thread::scope(|scope| {
        let fetching =
            scope.spawn(|| fetcher.content(&urls(&["a"]), &world.checksum(), None, None));
        std::thread::sleep(Duration::from_millis(200));
        world.log.cancelled.store(true, Ordering::SeqCst);
        fetching.join().unwrap()
    });
    assert!(matches!(result, Err(FetchError::Cancelled)));
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(world.partial_files(), 0);
}

#[test]
fn silent_hosts_are_asked_last() {
    let world = World::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let away = format!("http://127.0.0.1:{port}/file");
    let here = format!("{}/repo.example/a/file", world.server.url());
    let options = Options { mirror: None, ..world.options() };
    let fetcher = Fetcher::new(options, &world.log).unwrap();
    let urls = [away, here];
    fetcher.content(&urls, &world.checksum(), None, None).unwrap();
    fs::remove_dir_all(world.scratch.path().join("cache/objects")).unwrap();
    fetcher.content(&urls, &world.checksum(), None, None).unwrap();
    assert_eq!(world.log.retries().len(), 1, "{:?}", world.log.retries());
}

#[test]
fn a_cache_that_cannot_be_made_is_named() {
    let scratch = Scratch::new("cache");
    let file = scratch.write("file", "");
    let log = Log::default();
    let error = Fetcher::new(Options::new(file.join("cache")), &log).err().unwrap();
    assert!(matches!(&error, FetchError::Cache { .. }), "{error}");
    assert!(error.to_string().contains("file/cache"), "{error}");
    assert!(error.hint().unwrap().contains("--cache-dir"));
}

#[test]
fn files_are_read_where_they_lie() {
    let world = World::new();
    let path = world.scratch.path().join("mirror/repo.example/a/file");
    let url = format!("file:{}", path.display());
    let fetcher = world.fetcher();
    assert_eq!(fetcher.document(&url, 1 << 20).unwrap(), world.content);
    let error = fetcher.document(&url, 1000).unwrap_err();
    assert!(matches!(only_reason(&error), Reason::TooLong(1000)));
    let fetched =
        fetcher.content(std::slice::from_ref(&url), &world.checksum(), None, None).unwrap();
    assert_eq!(fetched.path(), path);
    let error =
        fetcher.content(std::slice::from_ref(&url), &world.checksum(), Some(7), None).unwrap_err();
    assert!(matches!(only_reason(&error), Reason::Size { got: 300_000, expected: 7 }));
    let error = fetcher.content(&[url], &Checksum::of(b""), None, None).unwrap_err();
    assert!(matches!(only_reason(&error), Reason::Digest { .. }));
    let error = fetcher.document("file:/nonexistent", 10).unwrap_err();
    assert!(error.is_not_found());
}

#[test]
fn a_directory_can_be_the_mirror() {
    let world = World::new();
    let mirror = world.scratch.path().join("mirror");
    for base in [mirror.display().to_string(), format!("file://{}/", mirror.display())] {
        let options = Options { mirror: Some(base), ..world.options() };
        let fetcher = Fetcher::new(options, &world.log).unwrap();
        assert_eq!(fetcher.document(&urls(&["a"])[0], 1 << 20).unwrap(), world.content);
        assert!(fetcher.document(&format!("{SITE}/absent"), 10).unwrap_err().is_not_found());
    }
    assert!(world.server.requests().is_empty());
}
