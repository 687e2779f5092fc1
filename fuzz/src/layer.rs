//! Layers of an image, over one that is good: whatever one says, nothing is written beside the tree, and what is known
//! of that is what is there.

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use elsewhere::stages::layers::{ImageTree, apply};
use elsewhere::stages::report::Silent;

use super::package::assert_outside_is_untouched;
use super::scratch::Scratch;
use super::tagged;
use super::tarball::{TarEntry, Tarball};

pub(super) fn run(input: &[u8]) {
    let Some((kind, layer)) = input.split_first() else { return };
    let mut layer = layer.to_vec();
    if kind % 2 == 1 {
        repair(&mut layer);
    }
    let scratch = Scratch::new();
    let root = Dir::open_ambient_dir(scratch.directory("tree"), ambient_authority()).unwrap();
    let mut tree = ImageTree::new(&root);
    apply(&mut tree, &mut lower().bytes().as_slice(), &Silent::default()).unwrap();
    let applied = apply(&mut tree, &mut layer.as_slice(), &Silent::default());
    tree.finish();
    assert_outside_is_untouched(&scratch);
    if applied.is_ok() {
        let known = tree.nodes().keys().map(|path| path.to_string_lossy().into_owned());
        let mut known: Vec<String> = known.filter(|path| !path.is_empty()).collect();
        known.sort();
        assert_eq!(known, scratch.listing("tree"), "what is known is not what is there");
    }
}

/// Makes the checksums of headers right, as whoever writes them would.
fn repair(layer: &mut [u8]) {
    for header in layer.chunks_exact_mut(512) {
        if header[257..262] == *b"ustar" {
            header[148..156].fill(b' ');
            let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

fn lower() -> Tarball {
    let tar = Tarball::new().directory("a").file("a/one", "1").symlink("l", "a");
    tar.symlink("up", "../..").file("top", "t").hard_link("other", "top")
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let whole = lower()
        .file("l/two", "2")
        .file("up/out", "o")
        .file("a/.wh.one", "")
        .file("a/.wh..wh..opq", "")
        .hard_link("late", "later")
        .file("later", "l")
        .directory("top")
        .entry(TarEntry::new(b'6', "pipe"))
        .entry(TarEntry { device: (1, 3), ..TarEntry::new(b'3', "null") });
    let long = TarEntry { data: b"a/long/name\0".to_vec(), ..TarEntry::new(b'L', "l") };
    let records = TarEntry::new(b'0', "x")
        .record("path", "../out")
        .record("SCHILY.xattr.user.a", "\n8 b=c\n")
        .record("mtime", "-1.5")
        .record("uid", "70000");
    let headers = Tarball::new().entry(long).file("cut", "c").entry(records);
    [whole, headers]
        .into_iter()
        .flat_map(|tar| [0, 1].map(|kind| tagged(kind, tar.bytes())))
        .collect()
}
