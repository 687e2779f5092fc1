//! The fuzz targets, for seconds instead of hours: their seeds, changed at random, the same in
//! every run. `docs/fuzzing.md` says how to run them for longer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

/// What each target may take: far more than the tests need, for slow machines.
const SLOWEST: Duration = Duration::from_secs(10);

/// Numbers without a pattern, the same in every run (Steele and others, SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }
}

/// `seed` with one to four changes, none of them to the first byte, which says what the rest is.
fn mutate(seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let (kind, mut bytes) = (seed[0], seed[1..].to_vec());
    for _ in 0..=random.below(4) {
        change(&mut bytes, other, random);
    }
    bytes.insert(0, kind);
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len());
    let length = random.below(bytes.len() - at).min(1 << random.below(10));
    let numbers = [0, 1, 7, 0x7f, 0xff, 0xffff, bytes.len() as u64, 1 << 31, 1 << 63, u64::MAX];
    match random.below(8) {
        _ if bytes.is_empty() => bytes.push(0),
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next() as u8,
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..at + length)),
        4 => {
            let copy = bytes[at..at + length].to_vec();
            bytes.splice(at..at, copy);
        }
        5 => {
            let from = random.below(other.len());
            let part = other[from..].iter().copied().take(length).collect::<Vec<_>>();
            bytes.splice(at..(at + length).min(bytes.len()), part);
        }
        _ => {
            let number = numbers[random.below(numbers.len())];
            let size = [1, 2, 4, 8][random.below(4)];
            let little = random.below(2) == 0;
            let number = if little { number.to_le_bytes() } else { number.to_be_bytes() };
            let number = if little { &number[..size] } else { &number[8 - size..] };
            for (place, byte) in bytes.iter_mut().skip(at).zip(number) {
                *place = *byte;
            }
        }
    }
}

/// Runs one target on its seeds and on `rounds` inputs made of them.
fn hold(name: &str, rounds: u64) {
    let target = fuzz::target(name);
    let seeds = (target.seeds)();
    let start = Instant::now();
    for (number, seed) in seeds.iter().enumerate() {
        attempt(target, seed, &format!("seed-{number}"));
    }
    for round in 0..rounds {
        let mut random = Random(round);
        let seed = &seeds[random.below(seeds.len())];
        let other = &seeds[random.below(seeds.len())];
        attempt(target, &mutate(seed, other, &mut random), &format!("round-{round}"));
    }
    println!("{name}: {rounds} rounds in {:?}", start.elapsed());
}

/// Runs a target on one input, which is kept if it fails.
fn attempt(target: &fuzz::Target, input: &[u8], label: &str) {
    let start = Instant::now();
    if catch_unwind(|| (target.run)(input)).is_err() || start.elapsed() > SLOWEST {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = path.join(format!("fuzz-{}-{label}", target.name));
        std::fs::write(&path, input).unwrap();
        panic!("{label} failed after {:?}; the input is {}", start.elapsed(), path.display());
    }
}

#[test]
fn documents_hold() {
    hold("documents", 1500);
}

#[test]
fn elf_holds() {
    hold("elf", 500);
}

#[test]
fn layers_hold() {
    hold("layer", 1500);
}

#[test]
fn metadata_holds() {
    hold("metadata", 3000);
}

#[test]
fn openpgp_holds() {
    hold("openpgp", 500);
}

#[test]
fn packages_hold() {
    hold("package", 1000);
}

#[test]
fn payloads_hold() {
    hold("payload", 500);
}

#[test]
fn settings_hold() {
    hold("settings", 3000);
}
