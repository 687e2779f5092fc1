//! Documents: revalidated, judged, and refused.

use std::fs;
use std::path::PathBuf;

use elsewhere::stages::error::Error;
use elsewhere::stages::fetch::{FetchError, FetchOptions, Fetcher, Proof, Reason};
use elsewhere::stages::model::Checksum;

use crate::support::server::Fault;
use crate::{World, only_reason, urls};

/// Fetches `a/file` as a document with this fault, and returns why that failed.
fn document_failure(world: &World, fault: Fault) -> FetchError {
    world.server.fault("a/file", fault);
    world.fetcher().document(&urls(&["a"])[0], 1 << 20).unwrap_err()
}

/// The document, which whoever asks proves.
fn judged(world: &World, url: &str) -> Result<Vec<u8>, FetchError> {
    let urls = [url.to_owned()];
    world.fetcher().document_from(&urls, 1 << 20, Proof::Caller, |_, bytes| Ok(bytes))
}

/// The file of the only document in the cache.
fn cached(world: &World) -> PathBuf {
    let directory = world.scratch.path().join("cache/documents");
    fs::read_dir(directory).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn a_document_is_revalidated_and_not_sent_twice() {
    let world = World::new();
    let url = &urls(&["a"])[0];
    for _ in 0..2 {
        assert_eq!(judged(&world, url).unwrap(), world.content);
    }
    let requests = world.server.requests();
    assert_eq!(requests, ["GET /repo.example/a/file 200", "GET /repo.example/a/file 304"]);
    world.scratch.write("mirror/repo.example/a/file", b"new");
    assert_eq!(judged(&world, url).unwrap(), b"new");
}

#[test]
fn a_document_that_only_its_server_vouches_for_is_never_the_caches() {
    let world = World::new();
    let url = &urls(&["a"])[0];
    judged(&world, url).unwrap();
    // As somebody plants it: with the server's own ETag, and the digest of another text.
    let bytes = fs::read(cached(&world)).unwrap();
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let (own, other) = (Checksum::of(&world.content), Checksum::of(b"planted"));
    let head = head.replace(&own.hex(), &other.hex());
    fs::write(cached(&world), format!("{head}\nplanted")).unwrap();
    assert_eq!(judged(&world, url).unwrap(), b"planted", "it is what the cache takes for current");
    assert_eq!(world.fetcher().document(url, 1 << 20).unwrap(), world.content);
    // Nor is one that proves itself and may lack what was added since.
    let (urls, take) = ([url.to_owned()], |_: &str, bytes| Ok(bytes));
    let fresh = world.fetcher().document_from(&urls, 1 << 20, Proof::Fresh, take);
    assert_eq!(fresh.unwrap(), world.content);
}

#[test]
fn a_stale_document_is_not_used_when_the_server_is_away() {
    let world = World::new();
    let url = &urls(&["a"])[0];
    judged(&world, url).unwrap();
    world.server.fault("a/file", Fault::drop_connection(usize::MAX));
    assert!(judged(&world, url).is_err());
    assert!(world.fetcher().document(url, 1 << 20).is_err());
}

#[test]
fn a_damaged_document_in_the_cache_is_fetched_again() {
    let world = World::new();
    let url = &urls(&["a"])[0];
    judged(&world, url).unwrap();
    let mut bytes = fs::read(cached(&world)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(cached(&world), bytes).unwrap();
    assert_eq!(judged(&world, url).unwrap(), world.content);
    assert_eq!(world.server.count("a/file 200"), 2);
}

#[test]
fn plain_http_needs_a_proof() {
    let world = World::new();
    let options = FetchOptions { mirror: None, ..world.options() };
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
    assert_eq!(Error::from(error).exit_status(), 4);
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
    assert_eq!(Error::from(error).exit_status(), 4);
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
    let options = FetchOptions { minimum_rate: 5000, attempts: 1, ..world.options() };
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
    let options = FetchOptions { mirror: None, ..world.options() };
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
