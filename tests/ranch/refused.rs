//! What makes no sense, in words that say which and why. Nothing is run then.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Output;

use crate::{Barn, tools};

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let barn = Barn::new("refused");
    let file = barn.own("leaf", "leaf\n");
    let directory = file.strip_suffix("/leaf").unwrap().to_owned();
    symlink("circle", barn.root().join("data/circle")).unwrap();
    let inject = |place: &str| ["--inject".to_owned(), format!("{file}:{place}")];
    let rows: [(&[String], &str); 11] = [
        (
            &inject("/data/hay/leaf"),
            "the place /data/hay/leaf of the root directory: /data/hay is no directory",
        ),
        (&inject("/data"), "/data of the root directory: a file cannot take a directory's place"),
        (&inject("/data/../x"), "it must not contain `..`"),
        (&inject("/data/."), "a file cannot take a directory's place"),
        (&inject("/"), "the root itself is what is shown"),
        (&inject("/data/circle/x"), "symlinks lead in a circle"),
        (&inject("/proc/leaf"), "/proc is the kernel's"),
        (
            &["-i".into(), format!("{directory}:/data/hay")],
            "a directory cannot take a file's place",
        ),
        (&["-i".into(), format!("{directory}/none:/data/x")], "/none: No such file"),
        (&["-w".into(), "/data/hay".into()], "/data/hay of the root directory: it is no directory"),
        (&["-w".into(), "data".into()], "it must begin with /"),
    ];
    for (words, expected) in rows {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = barn.refusal(&words);
        assert!(said.contains(expected), "{words:?}: {said}");
    }
    let twice = [inject("/data/x"), inject("/data/deep/../x").map(|it| it.replace("deep/../", ""))];
    let twice: Vec<&str> = twice.as_flattened().iter().map(String::as_str).collect();
    assert!(barn.refusal(&twice).contains("something else is injected there already"));
    let within =
        ["-i", &format!("{directory}:/data/tree"), "-i", &format!("{file}:/data/tree/x/y")];
    let said = barn.refusal(&within);
    assert!(said.contains("what is injected at /data/tree stays as it is"), "{said}");
    assert!(barn.refusal(&["--inject", "/x"]).contains("write FROM:TO"));
}

/// No link of the root directory leads out of it: it is followed as programs there follow it.
#[test]
fn no_link_leads_out() {
    let barn = Barn::new("links");
    let leaf = barn.own("leaf", "leaf\n");
    let outside = barn.place.join("own");
    symlink(&outside, barn.root().join("data/absolute")).unwrap();
    symlink("../../../../own", barn.root().join("data/climbing")).unwrap();
    for place in ["/data/absolute/new/leaf", "/data/climbing/new/leaf"] {
        let said = barn.prints(&["-i", &format!("{leaf}:{place}")], &format!("cat {place}"));
        assert_eq!(said, "leaf\n", "{place}");
    }
    let names = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["leaf"]);
}

fn on(barn: &Barn, root: &str) -> Output {
    barn.as_user(barn.place.join("elsewhere")).args(["ranch", root]).output().unwrap()
}

#[test]
fn what_is_no_root_directory_is_said_to_be_none() {
    let barn = Barn::new("roots");
    let file = barn.own("leaf", "leaf\n");
    let rows = [
        (file.as_str(), format!("cannot use {file} as an image: it is neither squashfs nor SIF")),
        ("/none", "cannot read /none as a root directory: No such file".to_owned()),
        ("/dev/null", "cannot read /dev/null as a root directory: Not a directory".to_owned()),
    ];
    for (root, expected) in rows {
        let output = on(&barn, root);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&expected), "{said}");
    }
}

/// Where no user may make namespaces, that is said, and what helps.
#[test]
fn without_namespaces_the_host_is_blamed() {
    let barn = Barn::new("none");
    // In a chroot nobody may make any.
    let mut command = tools::need("unshare", "util-linux");
    command = command.canonicalize().unwrap();
    let words = format!(
        "mount --rbind / {0}/tmp && exec chroot {0}/tmp {0}/elsewhere ranch {0}/root -- /bin/true",
        barn.place.display()
    );
    let mut command = barn.as_user(command);
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &words]);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("TMPDIR", "/tmp");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(said.contains("cannot make a user namespace with mounts of its own"), "{said}");
    assert!(said.contains("elsewhere doctor"), "{said}");
}
