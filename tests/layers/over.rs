//! One layer over another: what hides, what replaces, and where a path leads.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::support::jail::Jail;
use super::support::tarball::{TarEntry, Tarball};
use super::{apply_all, names_of, refusal, tree_of};

fn lower() -> Tarball {
    let tar =
        Tarball::new().directory("a").file("a/one", "1").directory("a/b").file("a/b/two", "2");
    tar.file("a/b/three", "3").file("top", "t")
}

#[test]
fn whiteouts_hide_what_lower_layers_have() {
    let file = Tarball::new().file("a/b/.wh.two", "");
    assert_eq!(names_of(&[lower(), file]), ["a", "a/b", "a/b/three", "a/one", "top"]);
    let directory = Tarball::new().file("a/.wh.b", "");
    assert_eq!(names_of(&[lower(), directory]), ["a", "a/one", "top"]);
    // Real images have them as hard links, and whatever else.
    let link = Tarball::new().hard_link("a/.wh.b", "top").symlink(".wh.top", "x");
    assert_eq!(names_of(&[lower(), link]), ["a", "a/one"]);
    // What is not there can be hidden, and in what is not there, too.
    let nothing =
        Tarball::new().file("a/.wh.none", "").file("none/.wh.x", "").file("top/.wh.x", "");
    assert_eq!(names_of(&[lower(), nothing]).len(), 6);
    // In the lowest layer nothing is hidden.
    let first =
        Tarball::new().file("x", "1").file(".wh.x", "").directory("d").file("d/.wh..wh..opq", "");
    assert_eq!(names_of(&[first]), ["d", "x"]);
}

#[test]
fn what_the_layer_itself_has_stays_wherever_the_whiteout_stands() {
    let before = Tarball::new().file(".wh.a", "").file("a/new", "n");
    assert_eq!(names_of(&[lower(), before]), ["a", "a/new", "top"]);
    let after = Tarball::new().file("a/b/new", "n").file(".wh.a", "");
    assert_eq!(names_of(&[lower(), after]), ["a", "a/b", "a/b/new", "top"]);
    let opaque = Tarball::new().file("a/b/new", "n").file("a/.wh..wh..opq", "").file("a/last", "l");
    assert_eq!(names_of(&[lower(), opaque]), ["a", "a/b", "a/b/new", "a/last", "top"]);
    let empty = Tarball::new().file("a/.wh..wh..opq", "");
    assert_eq!(names_of(&[lower(), empty]), ["a", "top"]);
    let all = Tarball::new().file(".wh..wh..opq", "").file("x", "");
    assert_eq!(names_of(&[lower(), all]), ["x"]);
    // Other names of aufs' mean nothing.
    let aufs = Tarball::new().directory(".wh..wh.plnk").file(".wh..wh.aufs", "");
    assert_eq!(names_of(&[lower(), aufs]).len(), 6);
    // And in a third layer.
    let third = Tarball::new().file("a/.wh.new", "");
    let second = Tarball::new().file(".wh.a", "").file("a/new", "n");
    assert_eq!(names_of(&[lower(), second, third]), ["a", "top"]);
}

#[test]
fn whiteouts_that_hide_nothing_that_can_be_are_refused() {
    for name in [".wh.", "a/.wh..", "a/.wh..."] {
        let told = refusal(&[lower(), Tarball::new().file(name, "")]);
        assert!(told.contains(name) && told.contains("hides nothing"), "{told}");
    }
}

#[test]
fn what_stands_there_gives_way_to_what_is_above() {
    // A file over a directory, a directory over a file, a link over both, and a file in what was one.
    let upper = Tarball::new().file("a", "now a file").directory("top").file("top/in", "i");
    assert_eq!(names_of(&[lower(), upper]), ["a", "top", "top/in"]);
    let implied = Tarball::new().file("top/in/deep", "d");
    assert_eq!(names_of(&[lower(), implied])[4..], ["a/one", "top", "top/in", "top/in/deep"]);
    let link = Tarball::new().symlink("a", "top");
    assert_eq!(names_of(&[lower(), link]), ["a -> top", "top"]);
    // A directory over one keeps what is in it, and has the newer permissions.
    let modes = Tarball::new().entry(TarEntry::new(b'5', "a").mode(0o711));
    assert!(tree_of(&[lower(), modes]).contains(&"a 711 directory".to_owned()));
    // Within a layer, too.
    let twice = Tarball::new().file("x", "1").file("x", "2");
    assert!(tree_of(&[twice])[0].ends_with(" 2"));
}

#[test]
fn other_names_of_a_file_keep_what_it_was() {
    let first =
        Tarball::new().file("one", "old").hard_link("two", "one").hard_link("/three", "./one");
    let jail = Jail::new();
    let upper = Tarball::new().file("one", "new");
    apply_all(&jail, &[first.bytes(), upper.bytes()]).unwrap();
    let read = |name: &str| fs::read_to_string(jail.tree().join(name)).unwrap();
    assert_eq!(
        (read("one"), read("two"), read("three")),
        ("new".into(), "old".into(), "old".into())
    );
    let inode = |name: &str| fs::metadata(jail.tree().join(name)).unwrap().ino();
    assert_eq!(inode("two"), inode("three"));
    // To a lower layer's, to a link, to itself, and to what comes later.
    let upper = Tarball::new()
        .hard_link("early", "late")
        .hard_link("earlier", "early")
        .symlink("link", "one")
        .hard_link("same", "link")
        .hard_link("one", "one")
        .hard_link("low", "two")
        .file("late", "l");
    let names = names_of(&[first, upper]);
    let expected =
        ["earlier", "early", "late", "link -> one", "low", "one", "same -> one", "three", "two"];
    assert_eq!(names, expected);
}

#[test]
fn hard_links_that_lead_nowhere_are_refused() {
    let told = refusal(&[Tarball::new().hard_link("x", "none")]);
    assert!(told.contains("x is a hard link to none, which is not there"), "{told}");
    let told = refusal(&[Tarball::new().hard_link("x", "y").hard_link("y", "x")]);
    assert!(told.contains("not there"), "{told}");
    for target in ["a", "/", ".."] {
        let told = refusal(&[lower(), Tarball::new().hard_link("x", target)]);
        assert!(told.contains("hard link to a directory"), "{told}");
    }
    let told = refusal(&[lower(), Tarball::new().hard_link("a", "a/one")]);
    assert!(told.contains("below it"), "{told}");
}

#[test]
fn symlinks_on_the_way_lead_where_they_would_from_the_root() {
    let lower =
        Tarball::new().directory("usr/lib").file("usr/lib/one", "1").symlink("lib", "usr/lib");
    let upper = Tarball::new().file("lib/two", "2");
    let expected = ["lib -> usr/lib", "usr", "usr/lib", "usr/lib/one", "usr/lib/two"];
    assert_eq!(names_of(&[lower.clone(), upper]), expected);
    let absolute = Tarball::new().symlink("d/l", "/usr/../usr/./lib").file("d/l/two", "2");
    let names = names_of(&[lower.clone(), absolute]);
    assert_eq!(names.last().unwrap(), "usr/lib/two");
    // A whiteout of what a link leads to, and of a link itself.
    let hidden = Tarball::new().file("lib/.wh.one", "");
    assert_eq!(names_of(&[lower.clone(), hidden]), ["lib -> usr/lib", "usr", "usr/lib"]);
    let hidden = Tarball::new().file(".wh.lib", "");
    assert_eq!(names_of(&[lower.clone(), hidden]), ["usr", "usr/lib", "usr/lib/one"]);
    // A directory's own entry takes the link's place.
    let replaced = Tarball::new().directory("lib").file("lib/two", "2");
    assert_eq!(names_of(&[lower.clone(), replaced])[..2], ["lib", "lib/two"]);
    // What a link leads to is made where it is missing.
    let dangling = Tarball::new().symlink("run", "var/run").file("run/x", "x");
    assert_eq!(names_of(&[dangling]), ["run -> var/run", "var", "var/run", "var/run/x"]);
    // Links that a later entry makes count from then on.
    let moved = Tarball::new().file("lib/a", "a").symlink("lib", "usr").file("lib/b", "b");
    let names = names_of(&[lower, moved]);
    assert!(names.contains(&"usr/lib/a".into()) && names.contains(&"usr/b".into()), "{names:?}");
}
