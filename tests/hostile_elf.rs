//! Malformed programs and libraries: nothing panics, hangs, or takes memory or disk. Needs a C
//! compiler.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here should stop the test")]

#[path = "../fuzz/src/elf_seeds.rs"]
#[allow(unreachable_pub)]
mod elf_seeds;
mod relocation;

use std::fs;
use std::time::{Duration, Instant};

use elf_seeds::Object;
use elsewhere::stages::audit::audit;
use elsewhere::stages::model::{Arch, Loading, ReceiptFile};
use elsewhere::stages::relocate::relocate;
use elsewhere::stages::report::Silent;
use relocation::{Scratch, host_libraries, list, native};

/// Numbers without a pattern, the same in every run (Knuth, MMIX).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next()).unwrap() % bound
    }
}

/// Changes one thing in `bytes`: mostly in the headers and in the dynamic section.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random, interesting: &[std::ops::Range<usize>]) {
    let range = interesting[random.below(interesting.len())].clone();
    let at = (range.start + random.below(range.len())).min(bytes.len() - 1);
    let length = bytes.len() as u64;
    let values = [0, 1, 8, 0x40, 0xfff, length - 1, length, 1 << 31, 1 << 46, 1 << 63, u64::MAX];
    match random.below(10) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes.truncate(at.max(1)),
        2 | 3 => bytes[at] = u8::try_from(random.next() & 0xff).unwrap(),
        _ => {
            let value = values[random.below(values.len())].to_le_bytes();
            let at = at & !3;
            let size = [2, 4, 8][random.below(3)];
            for (place, byte) in bytes.iter_mut().skip(at).zip(value).take(size) {
                *place = byte;
            }
        }
    }
}

#[test]
fn mutated_files_do_no_harm() {
    let scratch = Scratch::new("hostile");
    let shared = ["-shared", "-fPIC", "-Wl,-soname,liby.so.1"];
    let inner = scratch.compile("t/lib64/y/liby.so.1", "int y(void) { return 1; }", &shared);
    let (inner, script) = (inner.display().to_string(), scratch.write("v", "X_1 { x; };", 0o644));
    let script = format!("-Wl,--version-script={}", script.display());
    let flags = ["-shared", "-fPIC", "-Wl,-soname,libx.so.1", &script, &inner];
    let code = "int y(void); int x(void) { return y(); }";
    let library = scratch.compile("t/lib64/libx.so.1", code, &flags);
    let library = library.display().to_string();
    let main = "int x(void); int main(void) { return x(); }";
    let link = format!("-Wl,-rpath-link,{}", scratch.path("t/lib64/y").display());
    let flags = [&library, &link, "-Wl,--enable-new-dtags", "-Wl,-rpath,/usr/lib64"];
    let program = scratch.compile("t/bin/program", main, &flags);
    let pristine = [program, library.into()].map(|path| (fs::read(&path).unwrap(), path));
    for (pristine, path) in pristine {
        let sections = pristine.len() - 2048..pristine.len();
        let dynamic = dynamic_section(&pristine);
        let interesting = [0..64, 64..1024, 64..1024, dynamic, sections, 0..pristine.len()];
        let mut random = Random(42);
        let (mut rewritten, mut refused) = (0, 0);
        for round in 0..2500 {
            let mut bytes = pristine.clone();
            for _ in 0..=random.below(3) {
                mutate(&mut bytes, &mut random, &interesting);
            }
            fs::write(&path, &bytes).unwrap();
            let done = survive(&scratch, round, bytes.len());
            rewritten += usize::from(done);
            refused += usize::from(!done);
        }
        println!("{}: {rewritten} rewritten, {refused} refused or left", path.display());
        assert!(rewritten > 300 && refused > 300, "{rewritten} {refused}");
        fs::remove_dir_all(scratch.path("t/libexec")).ok();
        fs::write(&path, &pristine).unwrap();
    }
}

#[test]
fn a_library_that_is_named_thousands_of_times_is_judged_once() {
    let scratch = Scratch::new("judged");
    let versions: Vec<String> = (0..2000).map(|number| format!("X_{number}")).collect();
    let object = |soname, needed, requires: &[String], provides: &[String]| Object {
        arch: Arch::X86_64,
        interpreter: None,
        soname: Some(soname),
        needed,
        runpath: None,
        requires: requires.to_vec(),
        provides: provides.to_vec(),
        has_sections: false,
    };
    let asking = object("liba.so.1", vec!["libx.so.1"; 4000], &versions, &[]);
    scratch.write("t/lib64/liba.so.1", asking.encode(), 0o755);
    scratch.write("t/lib64/libx.so.1", object("libx.so.1", vec![], &[], &versions).encode(), 0o755);
    let (tree, start) = (scratch.path("t"), Instant::now());
    let mut files = list(&tree);
    relocate(&tree, Arch::X86_64, &mut files, &[], &[], &Silent::default()).unwrap();
    let audit = audit(&tree, Arch::X86_64, &files, &[], &Loading::default(), None).unwrap();
    assert!(audit.gaps.is_empty(), "{:.300}", format!("{:?}", audit.gaps));
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

/// Relocates and audits the tree. Whether the program was rewritten.
fn survive(scratch: &Scratch, round: usize, size: usize) -> bool {
    let tree = scratch.path("t");
    let _ = fs::remove_dir_all(tree.join("libexec"));
    let mut files: Vec<ReceiptFile> = list(&tree);
    let start = Instant::now();
    let (globs, silent) = (host_libraries(), Silent::default());
    let done = relocate(&tree, native(), &mut files, &[], &globs, &silent).unwrap();
    audit(&tree, native(), &files, &globs, &Loading::default(), None).unwrap();
    assert!(start.elapsed() < Duration::from_secs(2), "round {round} took {:?}", start.elapsed());
    assert!(done.growth < 4 * size as u64 + 4096, "round {round} grew by {}", done.growth);
    done.rewritten > 0 && done.warnings.is_empty()
}

/// Where the dynamic section lies: found by its program header.
fn dynamic_section(bytes: &[u8]) -> std::ops::Range<usize> {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let headers = (64..).step_by(56);
    let header = headers.take(20).find(|at| bytes[*at..at + 4] == 2u32.to_le_bytes()).unwrap();
    let start = usize::try_from(word(header + 8)).unwrap();
    start..start + usize::try_from(word(header + 32)).unwrap()
}
