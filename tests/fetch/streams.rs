//! Files that are read while they come, and big ones over several connections.

use std::fs;
use std::io::Read;
use std::thread;

use elsewhere::stages::fetch::{FetchError, FetchOptions, Fetcher, Stream, StreamEnd, Whence};
use elsewhere::stages::model::Checksum;

use crate::support::server::Fault;
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
