//! Trees are those that umoci makes of the same image, and Debian's registry is read.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use elsewhere::stages::model::Checksum;
use serde_json::json;

use crate::shelf::Shelf;
use crate::support::deb::{Debs, Suite};
use crate::support::goods::{GZIP, Goods, PLAIN, layers};
use crate::support::registry::Real;
use crate::support::tarball::{TarEntry, Tarball};
use crate::support::tools::{find, host_arch, missing, run};

/// Everything below a directory: what umoci keeps, and how.
fn listing(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(directory) = ahead.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let about = fs::symlink_metadata(&path).unwrap();
            let (mode, kind) = (about.mode() & 0o777, about.mode() >> 12);
            let content = if about.is_symlink() {
                fs::read_link(&path).unwrap().display().to_string()
            } else if about.is_file() {
                Checksum::of(&fs::read(&path).unwrap()).to_string()
            } else {
                String::new()
            };
            let time = about.mtime();
            let line = format!(
                "{kind:o} {mode:o} {} {time} {content}",
                if about.is_dir() { 0 } else { about.nlink() }
            );
            found.insert(path.strip_prefix(root).unwrap().to_owned(), line);
            if about.is_dir() {
                ahead.push(path);
            }
        }
    }
    found
}

/// Layers in which everything happens on which programs could differ.
fn cases() -> Vec<(&'static str, Tarball)> {
    let base = Tarball::new()
        .directory("etc")
        .directory("opq")
        .directory("opq/sub")
        .file("opq/sub/x", "x")
        .file("opq/lower", "l")
        .file("a/b/c/bar", "deep")
        .directory("usr/lib")
        .file("usr/lib/one", "1")
        .symlink("lib", "usr/lib")
        .symlink("abs", "/usr/lib")
        .file("hl1", "old")
        .hard_link("hl2", "hl1")
        .hard_link("hl3", "hl1")
        .file("gone", "g")
        .directory("dir")
        .file("dir/in", "i")
        .file("file", "f")
        .entry(TarEntry::new(b'6', "pipe").mode(0o644))
        .entry(TarEntry { device: (1, 3), ..TarEntry::new(b'3', "dev/null").mode(0o666) })
        .entry(TarEntry { owner: (1000, 1000), ..TarEntry::new(b'0', "owned") })
        .file(b"caf\xe9", "latin")
        .entry(TarEntry::new(b'0', "x").record("path", "long/".repeat(30) + "end"));
    let upper = Tarball::new()
        .directory("opq")
        .file("opq/.wh..wh..opq", "")
        .file("opq/new", "n")
        .file("a/.wh.b", "")
        .file("a/new", "n")
        .file("lib/two", "2")
        .file("abs/three", "3")
        .file("hl1", "new")
        .hard_link(".wh.gone", "file")
        .file("dir", "now a file")
        .directory("file")
        .file("file/in", "i")
        .entry(TarEntry { mtime: 1_600_000_000, ..TarEntry::new(b'5', "etc").mode(0o700) })
        .hard_link("low", "usr/lib/one");
    let top = Tarball::new().file("usr/lib/.wh.two", "").symlink("again", "a").file("again/x", "x");
    vec![(GZIP, base), (PLAIN, upper), (GZIP, top)]
}

#[test]
fn trees_are_those_that_umoci_makes() {
    let (shelf, mut goods) = (Shelf::new("image-umoci"), Goods::default());
    let manifest = goods.image(&json!({ "architecture": go_arch() }), &cases());
    goods.layout(&shelf.place("layout"), &manifest);
    let debs = Debs::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), Suite::default());
    debs.fetch(host_arch(), &["umoci"]);
    let umoci = debs.package(host_arch(), "umoci").root.join("usr/bin/umoci");
    let image = format!("{}:1", shelf.place("layout").display());
    let mut command = Command::new(umoci);
    command.args(["raw", "unpack", "--rootless", "--image", &image]).arg(shelf.place("theirs"));
    run(&mut command);
    shelf.run(&["pull", "oci:layout:1", "-o", "ours"]).ok();
    let (mut ours, theirs) = (listing(&shelf.place("ours")), listing(&shelf.place("theirs")));
    // What this program adds, and the directories whose times that changes.
    let added = [
        ".singularity.d",
        ".run",
        ".exec",
        ".shell",
        ".test",
        "singularity",
        "environment",
        ".elsewhere-image.json",
        "etc/mtab",
        "etc/passwd",
        "etc/group",
        "etc/hosts",
        "etc/resolv.conf",
    ];
    let directories = ["home", "proc", "root", "run", "sys", "tmp", "var", "var/tmp"];
    ours.retain(|path, _| {
        let is_added = added.iter().any(|it| path.starts_with(it));
        let is_directory =
            directories.iter().any(|it| path == Path::new(it)) && !theirs.contains_key(path);
        !is_added && !is_directory
    });
    let names = |all: &BTreeMap<PathBuf, String>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
    let mut different = 0;
    for (path, line) in &ours {
        // Directories that no layer has get the time at which they are made, and dev one of the run's own.
        let is_implied = ["a", "a/b", "usr", "dev"].iter().any(|it| path == Path::new(it))
            || path.as_os_str().as_bytes().starts_with(b"long");
        if is_implied {
            different += 1;
            continue;
        }
        assert_eq!(line, &theirs[path], "{}", path.display());
    }
    println!(
        "{} entries, {} of them compared with their times",
        ours.len(),
        ours.len() - different
    );
}

fn go_arch() -> &'static str {
    match host_arch().as_str() {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[test]
fn debians_registry_is_read() {
    let Some(skopeo) = find("skopeo") else {
        return missing("images in Debian's registry: skopeo");
    };
    let (shelf, mut goods) = (Shelf::new("image-real"), Goods::default());
    let manifest = goods.image(&json!({ "architecture": go_arch() }), &layers());
    goods.layout(&shelf.place("layout"), &manifest);
    let registry = Real::start(&shelf.place("registry"));
    let name = format!("{}/lab/tool:1", registry.address);
    let mut copy = Command::new(skopeo);
    copy.args(["--insecure-policy", "copy", "--preserve-digests", "--dest-tls-verify=false"]);
    copy.arg(format!("oci:{}:1", shelf.place("layout").display())).arg(format!("docker://{name}"));
    run(&mut copy);
    shelf.run(&["pull", &name, "-o", "tree"]).ok();
    shelf.run(&["pull", "oci:layout", "-o", "local"]).ok();
    assert_eq!(listing(&shelf.place("tree/usr")), listing(&shelf.place("local/usr")));
    shelf.run(&["verify", "tree"]).ok();
}

#[test]
fn charliecloud_runs_a_tree_as_it_lies() {
    let (shelf, mut goods) = (Shelf::new("image-run"), Goods::default());
    let debs = Debs::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), Suite::default());
    let packages =
        ["charliecloud-runtime", "libsquashfuse0", "libfuse3-3", "liblzo2-2", "busybox-static"];
    debs.fetch(host_arch(), &packages);
    let busybox = fs::read(debs.busybox(host_arch())).unwrap();
    let program = TarEntry { data: busybox, ..TarEntry::new(b'0', "bin/busybox").mode(0o755) };
    let tar =
        Tarball::new().entry(program).symlink("bin/sh", "busybox").symlink("bin/cat", "busybox");
    let layers =
        [(GZIP, tar.symlink("lib", "usr/lib")), (PLAIN, Tarball::new().file("lib/two", "2"))];
    let manifest = goods.image(&json!({ "architecture": go_arch() }), &layers);
    goods.layout(&shelf.place("layout"), &manifest);
    shelf.run(&["pull", "oci:layout", "-o", "tree"]).ok();
    let roots = packages.map(|name| debs.package(host_arch(), name).root);
    let libraries: Vec<PathBuf> = roots
        .iter()
        .flat_map(|root| ["usr/lib", "lib"].map(|place| root.join(place)))
        .flat_map(|place| fs::read_dir(place).into_iter().flatten().map(|it| it.unwrap().path()))
        .filter(|path| path.is_dir())
        .collect();
    let mut command = Command::new(roots[0].join("usr/bin/ch-run"));
    command.arg(shelf.place("tree")).args(["--", "/bin/sh", "-c", "cat /usr/lib/two"]);
    command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries).unwrap()).env("USER", "tester");
    assert_eq!(run(&mut command).stdout, b"2");
    shelf.run(&["verify", "tree"]).ok();
}
