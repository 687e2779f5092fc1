//! What decodes is walled in, decodes as threads of this process do, and its death is told.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use elsewhere::stages::decoding::{Compression, Decoder};
use elsewhere::stages::sandbox::wall_in;

use support::program;
use support::scratch::Scratch;
use support::tools::missing;

/// What `input` decodes to, or the error's words.
fn decoded(decoder: &mut Decoder, how: Compression, input: &[u8]) -> Result<Vec<u8>, String> {
    decoder.decode(how, input, |open| {
        let mut bytes = Vec::new();
        open.read_to_end(&mut bytes).map(|_| bytes).map_err(|error| error.to_string())
    })
}

/// Bytes that compress a little, and none of them as the one before.
fn bytes() -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 59) as u8
    };
    (0..2_000_000).map(next).collect()
}

/// These bytes, compressed in every way.
fn packed(bytes: &[u8]) -> [(Compression, Vec<u8>); 5] {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(bytes).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
    xz.write_all(bytes).unwrap();
    let zstd = zstd::encode_all(bytes, 1).unwrap();
    [
        (Compression::Gzip, gzip.finish().unwrap()),
        (Compression::Bzip2, bzip2.finish().unwrap()),
        (Compression::Xz, xz.finish().unwrap()),
        (Compression::Zstd, zstd),
        (Compression::None, bytes.to_vec()),
    ]
}

#[test]
fn one_process_decodes_as_threads_do_one_payload_after_the_other() {
    let (mut apart, _) = Decoder::start(program::path()).unwrap();
    let (mut here, bytes) = (Decoder::here(), bytes());
    for (how, packed) in packed(&bytes) {
        assert!(decoded(&mut apart, how, &packed) == Ok(bytes.clone()), "{how:?}");
        let mut damaged = packed.clone();
        damaged[packed.len() / 2] ^= 0x55;
        damaged[packed.len() / 2 + 1] ^= 0xaa;
        for odd in [&damaged[..], &packed[..packed.len() / 2], b"\xfd7zXZ\0 and no more", b""] {
            let expected = decoded(&mut here, how, odd);
            assert!(decoded(&mut apart, how, odd) == expected, "{how:?} {:?}", expected.err());
        }
    }
}

#[test]
fn what_nobody_reads_to_its_end_is_in_nobodys_way() {
    let (mut decoder, _) = Decoder::start(program::path()).unwrap();
    let bytes = bytes();
    let many = bytes.repeat(4);
    for _ in 0..3 {
        for (how, packed) in packed(&many) {
            // Satisfied with the beginning, or not at all.
            let begun = decoder.decode(how, &packed[..], |open| open.read_exact(&mut [0; 10]));
            assert!(begun.is_ok(), "{how:?}");
            let refused = decoder.decode(how, &packed[..], |_| Err::<(), _>("refused"));
            assert_eq!(refused, Err("refused"));
        }
        let (how, packed) = packed(&bytes).into_iter().next().unwrap();
        assert!(decoded(&mut decoder, how, &packed) == Ok(bytes.clone()));
    }
}

#[test]
fn an_input_that_cannot_be_read_is_told_as_it_is() {
    struct Broken(usize);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0 {
                0 => Err(io::Error::new(ErrorKind::ConnectionReset, "the line is cut")),
                left => {
                    self.0 = left - buffer.len().min(left);
                    Ok(buffer.len().min(left))
                }
            }
        }
    }
    let (mut decoder, _) = Decoder::start(program::path()).unwrap();
    for length in [0, 1 << 20] {
        let work = |open: &mut dyn Read| open.read_to_end(&mut Vec::new());
        let error = decoder.decode(Compression::Gzip, Broken(length), work).unwrap_err();
        assert_eq!(error.to_string(), "the line is cut");
    }
    assert_eq!(decoded(&mut decoder, Compression::Gzip, b"plain").unwrap(), b"plain");
}

/// A program in the place of this one: a script that first says that it is ready.
fn script(scratch: &Scratch, name: &str, what: &str) -> PathBuf {
    let text = format!("#!/bin/sh\nprintf '\\000\\004\\000\\000\\000fake'\n{what}\n");
    let path = scratch.write(name, &text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Starts a program that was just written, which another thread's child may hold open for a moment.
fn start(path: &Path) -> Decoder {
    loop {
        match Decoder::start(path) {
            Ok((decoder, kept)) => {
                assert_eq!((kept.is_full, kept.how.as_str()), (true, "fake"));
                return decoder;
            }
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_process_that_dies_is_told_and_not_waited_for() {
    let scratch = Scratch::new("decoding-dies");
    for (name, what, expected) in [
        (
            "killed",
            "kill -9 $$",
            "the process that decodes was killed: by the system, for want of ",
        ),
        ("died", "kill -11 $$", "the process that decodes died of signal 11: it met its limit on "),
        ("ended", "exit 3", "the process that decodes ended early, with status 3"),
        ("odd", "printf 'what is this'; sleep 60", "the process that decodes gave something odd"),
        ("shut", "exec >&-; sleep 60", "the process that decodes closed its output"),
    ] {
        let mut decoder = start(&script(&scratch, name, what));
        for _ in 0..2 {
            let error = decoded(&mut decoder, Compression::Gzip, &bytes()).unwrap_err();
            assert!(error.starts_with(expected), "{name}: {error}");
        }
    }
}

#[test]
fn what_is_no_decoder_is_not_started() {
    let scratch = Scratch::new("decoding-none");
    let absent = scratch.path().join("absent");
    assert_eq!(Decoder::start(&absent).unwrap_err().kind(), ErrorKind::NotFound);
    let error = Decoder::start(Path::new("/bin/true")).unwrap_err().to_string();
    assert_eq!(error, "the process that decodes ended early, with status 0");
    let error = Decoder::start(Path::new("/bin/echo")).unwrap_err().to_string();
    assert_eq!(error, "what was started is no decoder");
}

/// What the kernel says of the program in its part.
#[test]
fn the_program_is_walled_in_before_it_is_fed() {
    let mut command = Command::new(program::path());
    command.arg("decoder").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut head = [0; 5];
    child.stdout.as_mut().unwrap().read_exact(&mut head).unwrap();
    let about = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap();
    let (status, limits) = (about("status"), about("limits"));
    let is = |text: &str, name: &str, value: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        let rest = line.strip_prefix(name).unwrap().split_whitespace().next();
        assert_eq!(rest, Some(value), "{line}");
    };
    is(&status, "NoNewPrivs:", "1");
    is(&status, "Threads:", "1");
    match head[0] {
        0 => is(&status, "Seccomp:", "2"),
        _ => missing("walling a process in: this kernel has no seccomp filters"),
    }
    is(&limits, "Max address space", "402653184");
    is(&limits, "Max cpu time", "3600");
    for none in ["Max file size", "Max core file size", "Max open files", "Max processes"] {
        is(&limits, none, "0");
    }
    // Its input ends.
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn within_the_walls_nothing_is_reached() {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "within_the_walls", "--ignored", "--nocapture", "--test-threads=1"]);
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

/// The other part of the test before this one: the thread that does this can do nothing else afterwards.
#[test]
#[ignore = "is run by the test before it"]
fn within_the_walls() {
    let scratch = Scratch::new("decoding-walls");
    let file = scratch.write("file", "text");
    let (new, mut open) = (scratch.path().join("new"), File::open(&file).unwrap());
    let parent = rustix::process::getppid().unwrap();
    let walls = wall_in();
    if !walls.is_full() {
        missing(&format!("walling a process in: {walls}"));
        return;
    }
    let refused = |what: &str, outcome: io::Result<()>| {
        let error = outcome.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{what}: {error}");
    };
    refused("reading a file", File::open(&file).map(drop));
    refused("reading a directory", fs::read_dir(scratch.path()).map(drop));
    refused("looking at a file", fs::metadata(&file).map(drop));
    refused("appending to a file", OpenOptions::new().append(true).open(&file).map(drop));
    refused("making a file", File::create(&new).map(drop));
    refused("deleting a file", fs::remove_file(&file));
    refused("renaming a file", fs::rename(&file, &new));
    refused("TCP", TcpStream::connect("127.0.0.1:1").map(drop));
    refused("UDP", UdpSocket::bind("127.0.0.1:0").map(drop));
    refused("a Unix socket", UnixDatagram::unbound().map(drop));
    refused("a pipe", io::pipe().map(drop));
    assert!(Command::new("/bin/true").spawn().is_err());
    let kill = rustix::process::kill_process(parent, rustix::process::Signal::CONT);
    assert_eq!(kill, Err(rustix::io::Errno::PERM));
    // Little memory can be had, and much cannot.
    let mut memory: Vec<u8> = Vec::new();
    assert!(memory.try_reserve_exact(1 << 20).is_ok());
    memory.resize(1 << 20, 1);
    assert!(memory.try_reserve_exact(384 << 20).is_err());
    // What is open stays so.
    let mut text = String::new();
    let mut buffer = [0; 10];
    let count = open.read(&mut buffer).unwrap();
    text.push_str(str::from_utf8(&buffer[..count]).unwrap());
    assert_eq!(text, "text");
}
