//! Files that are read while they come, and big ones over several connections.

use std::fs;
use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use elsewhere::stages::fetch::{FetchError, FetchOptions, Fetcher, Stream, StreamEnd, Whence};
use elsewhere::stages::model::Checksum;

use crate::support::server::{Fault, Server};
use crate::{SITE, World, urls};

/// Reads a stream while it is fed: what was read, how it ended, and what feeding said.
fn fed(world: &World, places: &[&str]) -> (Vec<u8>, StreamEnd, Result<(), FetchError>) {
    let stream = Stream::default();
    let mut reader = stream.reader();
    let size = world.content.len() as u64;
    let result = thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut bytes = Vec::new();
            let _ = reader.read_to_end(&mut bytes);
            bytes
        });
        let result = world.fetcher().feed(
            Whence::only(&urls(places)),
            &world.checksum(),
            size,
            None,
            &stream,
        );
        (reading.join().unwrap(), result)
    });
    (result.0, stream.wait(), result.1)
}

#[test]
fn a_stream_gives_the_file_from_the_server_and_from_the_cache() {
    let world = World::new();
    let (bytes, end, result) = fed(&world, &["a"]);
    result.unwrap();
    assert!(bytes == world.content);
    assert_eq!(end, StreamEnd::Sure);
    let (bytes, end, result) = fed(&world, &["a"]);
    result.unwrap();
    assert!(bytes == world.content);
    assert_eq!(end, StreamEnd::Unsure, "nobody has digested the cache's copy");
    assert_eq!(world.server.requests().len(), 1);
}

#[test]
fn a_stream_goes_on_at_the_next_mirror() {
    for fault in [Fault::truncate_at(100_000), Fault::stall(), Fault::not_found()] {
        let world = World::new();
        world.server.fault("a/file", fault.clone());
        let (bytes, end, result) = fed(&world, &["a", "b"]);
        result.unwrap();
        assert!(bytes == world.content, "{fault:?}");
        assert_eq!(end, StreamEnd::Sure, "{fault:?}");
    }
}

#[test]
fn a_stream_that_had_other_bytes_is_unsure() {
    let world = World::new();
    world.server.fault("a/file", Fault::corrupt_byte(10));
    let (_, end, result) = fed(&world, &["a", "b"]);
    result.unwrap();
    assert_eq!(end, StreamEnd::Unsure);
    assert_eq!(fs::read(world.content(&["a"]).unwrap().path()).unwrap(), world.content);
}

#[test]
fn a_stream_that_cannot_be_had_ends() {
    let world = World::new();
    let (bytes, end, result) = fed(&world, &["missing"]);
    assert!(matches!(result, Err(FetchError::Unavailable(_))));
    assert_eq!((bytes.len(), end), (0, StreamEnd::Failed));
}

/// A world with a file that is worth several connections.
fn big() -> (World, Vec<u8>) {
    let world = World::new();
    let content: Vec<u8> = (0..12_u32 << 20).map(|n| (n * 7 + n / 251) as u8).collect();
    world.scratch.write("mirror/repo.example/big", &content);
    (world, content)
}

fn fetch_big(world: &World, content: &[u8]) -> Vec<u8> {
    let size = Some(content.len() as u64);
    let url = [format!("{SITE}/big")];
    let options = FetchOptions { attempts: 3, ..world.options() };
    let fetcher = Fetcher::new(options, &world.log).unwrap();
    let fetched = fetcher.content(&url, &Checksum::of(content), size, None).unwrap();
    fs::read(fetched.path()).unwrap()
}

#[test]
fn a_slow_big_file_comes_over_several_connections() {
    let (world, content) = big();
    world.server.rate(4 << 20);
    assert!(fetch_big(&world, &content) == content);
    assert!(world.server.count("bytes=") >= 4, "{:?}", world.server.requests());
    assert!(world.server.most_connections() <= 5, "four, and the one that was given up");
    assert_eq!(world.partial_files(), 0);
}

#[test]
fn a_big_file_whose_parts_fail_comes_all_the_same() {
    let (world, content) = big();
    world.server.rate(6 << 20);
    world.server.fault("/big", Fault::ignore_range().times(2));
    world.server.fault("/big", Fault::drop_connection(1));
    assert!(fetch_big(&world, &content) == content);
}

#[test]
fn a_big_file_comes_from_a_server_that_gives_small_parts_only() {
    let (world, content) = big();
    world.server.rate(6 << 20);
    world.server.fault("/big", Fault::short_range(1_000_000));
    assert!(fetch_big(&world, &content) == content);
}

/// Several servers, each on a port of its own, and a slow first one, with a file that takes ten seconds of it.
struct Mirrors {
    world: World,
    content: Vec<u8>,
    others: Vec<Server>,
}

/// What a server has, for the file's content.
type Makes<'m> = &'m dyn Fn(&[u8]) -> Vec<u8>;

impl Mirrors {
    /// The first one, and these.
    fn new(others: &[Makes<'_>]) -> Self {
        let world = World::new();
        let content: Vec<u8> = (0..20_u32 << 20).map(|n| (n * 7 + n / 251) as u8).collect();
        world.scratch.write("mirror/big", &content);
        world.server.rate(500_000);
        let other = |(number, make): (usize, &Makes<'_>)| {
            let path = world.scratch.write(&format!("other-{number}/big"), make(&content));
            Server::start(path.parent().unwrap())
        };
        let others = others.iter().enumerate().map(other).collect();
        Self { world, content, others }
    }

    fn fetch(&self, stall_timeout: Duration) -> Result<Vec<u8>, FetchError> {
        let all = [&self.world.server].into_iter().chain(&self.others);
        let urls: Vec<String> = all.map(|server| format!("{}/big", server.url())).collect();
        let options = FetchOptions { mirror: None, stall_timeout, ..self.world.options() };
        let fetcher = Fetcher::new(options, &self.world.log).unwrap();
        let size = Some(self.content.len() as u64);
        let fetched = fetcher.content(&urls, &Checksum::of(&self.content), size, None)?;
        Ok(fs::read(fetched.path()).unwrap())
    }
}

const STALLED: Duration = Duration::from_secs(3);

#[test]
fn a_big_file_that_comes_slowly_comes_from_other_places_too() {
    let mirrors = Mirrors::new(&[&<[u8]>::to_vec, &<[u8]>::to_vec]);
    // Twice as fast as the first, each.
    mirrors.others.iter().for_each(|other| other.rate(2_000_000));
    assert!(mirrors.fetch(STALLED).unwrap() == mirrors.content);
    let [one, two] = [0, 1].map(|number| mirrors.others[number].bytes());
    assert!(one > 2 << 20 && two > 2 << 20, "{one}, {two}");
    // Most bytes came once: what is late is asked for again, and little of it is.
    let all = mirrors.world.server.bytes() + one + two;
    assert!(all < mirrors.content.len() as u64 * 3 / 2, "{all}");
    for other in &mirrors.others {
        assert!(other.most_connections() <= 2);
    }
    assert!(mirrors.world.log.warnings().is_empty());
    assert_eq!(mirrors.world.partial_files(), 0);
}

#[test]
fn a_place_that_sends_other_bytes_is_found_out_and_named() {
    let lie = |content: &[u8]| content.iter().map(|byte| !byte).collect();
    let mirrors = Mirrors::new(&[&lie, &<[u8]>::to_vec]);
    // Fast enough to be asked for much.
    assert!(mirrors.fetch(STALLED).unwrap() == mirrors.content);
    let warnings = mirrors.world.log.warnings();
    let liar = format!("{}/big sent other bytes", mirrors.others[0].url());
    assert!(warnings.iter().any(|told| told.contains(&liar)), "{warnings:?}");
    assert!(warnings.iter().all(|told| told.contains(&liar)), "{warnings:?}");
}

#[test]
fn places_that_fail_are_left_alone_and_waited_for_by_nobody() {
    let shorter = |content: &[u8]| content[..1 << 20].to_vec();
    let mirrors = Mirrors::new(&[&shorter, &<[u8]>::to_vec, &<[u8]>::to_vec]);
    mirrors.others[1].fault("/big", Fault::stall());
    // Whoever waited for the one that says nothing would run into this.
    let began = Instant::now();
    assert!(mirrors.fetch(Duration::from_secs(600)).unwrap() == mirrors.content);
    assert!(began.elapsed() < Duration::from_secs(300));
    assert!(mirrors.others[2].bytes() > 2 << 20);
}

/// What is fast enough is asked of nobody else.
#[test]
fn other_places_are_left_in_peace_where_one_is_fast() {
    let mirrors = Mirrors::new(&[&<[u8]>::to_vec]);
    mirrors.world.server.rate(4 << 20);
    assert!(mirrors.fetch(STALLED).unwrap() == mirrors.content);
    assert_eq!(mirrors.others[0].requests(), [""; 0]);
}
