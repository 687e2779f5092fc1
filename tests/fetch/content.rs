//! Content: cached, resumed, shared, and never believed without its digest.

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use elsewhere::stages::error::Error;
use elsewhere::stages::fetch::{FetchError, FetchOptions, Fetcher, Reason, Whence};
use elsewhere::stages::model::Checksum;

use crate::support::scratch::{Log, Scratch};
use crate::support::server::Fault;
use crate::{SITE, World, only_reason, urls};

#[test]
fn content_comes_once_and_then_from_the_cache() {
    let world = World::new();
    let first = world.content(&["a"]).unwrap();
    assert_eq!(fs::read(first.path()).unwrap(), world.content);
    assert_eq!(world.log.advanced(), world.content.len() as u64);
    let second = world.content(&["a"]).unwrap();
    assert_eq!(second.path(), first.path());
    assert_eq!(world.server.requests().len(), 1);
    assert_eq!(world.partial_files(), 0);
}

#[test]
fn a_damaged_object_in_the_cache_is_fetched_again() {
    let world = World::new();
    let path = world.content(&["a"]).unwrap().path().to_owned();
    fs::write(&path, b"damaged").unwrap();
    let again = world.content(&["a"]).unwrap();
    assert_eq!(world.server.requests().len(), 2);
    assert_eq!(fs::read(again.path()).unwrap(), world.content);
    assert_eq!(again.path(), path);
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
    assert!(!error.is_not_found());
    assert_eq!(Error::from(error).exit_status(), 4);
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

#[test]
fn a_server_that_sends_another_part_sends_the_file_anew() {
    for fault in [Fault::later_range(), Fault::short_range(1000)] {
        let world = World::new();
        world.server.fault("a/file", Fault::truncate_at(100_000).times(1));
        world.server.fault("a/file", fault.times(1));
        let options = FetchOptions { attempts: 3, ..world.options() };
        let fetcher = Fetcher::new(options, &world.log).unwrap();
        let size = Some(world.content.len() as u64);
        let fetched = fetcher.content(&urls(&["a"]), &world.checksum(), size, None).unwrap();
        assert_eq!(fs::read(fetched.path()).unwrap(), world.content);
    }
}

/// Makes the partial files of a dead run, two hours old.
fn age(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        make_old(&entry.unwrap().path(), Duration::from_secs(7200));
    }
}

fn make_old(path: &Path, age: Duration) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn notes_of_what_was_made_long_ago_go_and_those_of_repositories_stay() {
    let world = World::new();
    let fetcher = Fetcher::new(world.options(), &world.log).unwrap();
    let seen = world.scratch.path().join("cache/seen");
    for name in ["made-old.json", "made-new.json", "a-repository.json"] {
        fs::write(seen.join(name), "x").unwrap();
    }
    let day = Duration::from_secs(24 * 3600);
    make_old(&seen.join("made-old.json"), 401 * day);
    make_old(&seen.join("made-new.json"), 399 * day);
    make_old(&seen.join("a-repository.json"), 4000 * day);
    drop(fetcher);
    Fetcher::new(world.options(), &world.log).unwrap();
    assert!(!seen.join("made-old.json").exists());
    assert!(seen.join("made-new.json").exists());
    assert!(seen.join("a-repository.json").exists());
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
fn another_run_may_take_over_and_finish_first() {
    let world = World::new();
    world.server.fault("a/file", Fault::slow(300_000));
    let partial = world.scratch.path().join("cache/partial");
    let checksum = world.checksum();
    let object = world.scratch.path().join("cache/objects/sha256").join(checksum.first_digits(2));
    thread::scope(|scope| {
        let fetching = scope.spawn(|| world.content(&["a"]).unwrap());
        let begun = loop {
            let entries = fs::read_dir(&partial).into_iter().flatten();
            match entries.map(|entry| entry.unwrap().path()).next() {
                Some(path) => break path,
                None => thread::sleep(Duration::from_millis(1)),
            }
        };
        fs::create_dir_all(&object).unwrap();
        fs::rename(begun, object.join(checksum.hex())).unwrap();
        assert_eq!(fs::read(fetching.join().unwrap().path()).unwrap(), world.content);
    });
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
    let asked = world.server.requests().len();
    world.content(&["a"]).unwrap();
    assert_eq!(world.server.requests().len(), asked, "it is in the cache");
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
    let options = FetchOptions { stall_timeout: Duration::from_secs(60), ..world.options() };
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
    let options = FetchOptions { mirror: None, ..world.options() };
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
    let error = Fetcher::new(FetchOptions::new(file.join("cache")), &log).err().unwrap();
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
    let error = fetcher.document(&format!("file:{}.not", path.display()), 10).unwrap_err();
    assert!(error.is_not_found());
}

#[test]
fn what_never_ends_or_never_begins_is_not_read_as_a_file() {
    let world = World::new();
    let fifo = world.scratch.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let fetcher = world.fetcher();
    for path in [fifo.to_str().unwrap(), "/dev/zero", "/"] {
        let url = format!("file:{path}");
        let error = fetcher.document(&url, 1 << 20).unwrap_err();
        assert!(error.to_string().contains("it is no regular file"), "{error}");
        let error = fetcher.size_of(&url).unwrap_err();
        assert!(error.to_string().contains("it is no regular file"), "{error}");
        let stream = elsewhere::stages::fetch::Stream::default();
        let fed = fetcher.feed(
            Whence::only(std::slice::from_ref(&url)),
            &world.checksum(),
            7,
            None,
            &stream,
        );
        assert!(fed.unwrap_err().to_string().contains("it is no regular file"));
        let error = fetcher.content(&[url], &world.checksum(), None, None).unwrap_err();
        assert!(error.to_string().contains("it is no regular file"), "{error}");
    }
}

#[test]
fn a_directory_can_be_the_mirror() {
    let world = World::new();
    let mirror = world.scratch.path().join("mirror");
    for base in [mirror.display().to_string(), format!("file://{}/", mirror.display())] {
        let options = FetchOptions { mirror: Some(base), ..world.options() };
        let fetcher = Fetcher::new(options, &world.log).unwrap();
        assert_eq!(fetcher.document(&urls(&["a"])[0], 1 << 20).unwrap(), world.content);
        assert!(fetcher.document(&format!("{SITE}/absent"), 10).unwrap_err().is_not_found());
    }
    assert!(world.server.requests().is_empty());
}
