//! Runtimes: who sees what is mounted below an image's directory, and what is said to those that do not.

use std::process::Output;

use crate::Barn;
use crate::support::tools;

fn told(barn: &Barn, words: &[&str]) -> Output {
    let mut command = barn.as_user(barn.place.join("elsewhere"));
    command.arg("ranch").args(words).current_dir(barn.place.join("own")).output().unwrap()
}

#[test]
fn a_runtime_is_told_the_same_in_its_own_words() {
    let barn = Barn::new("told");
    let file = barn.own("own.conf", "own\n");
    let pair = format!("{file}:/etc/own.conf");
    let said = |words: &[&str]| {
        let output = told(&barn, words);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    let image = ["-i", "own.conf:/etc/own.conf", "image.sif", "--", "app", "a b"];
    let rows: [(&str, &[&str], String); 4] = [
        (
            "apptainer",
            &["-w", "/data"],
            format!("apptainer exec --writable-tmpfs --bind {pair} image.sif app 'a b'"),
        ),
        ("podman", &[], format!("podman run --rm --volume {pair} image.sif app 'a b'")),
        ("charliecloud", &[], format!("ch-run --bind {pair} image.sif -- app 'a b'")),
        (
            "bubblewrap",
            &[],
            format!(
                "bwrap --bind image.sif / --dev /dev --proc /proc --bind {file} /etc/own.conf -- app 'a b'"
            ),
        ),
    ];
    for (runtime, words, expected) in rows {
        assert_eq!(said(&[&["--for", runtime], words, &image[..]].concat()), expected);
    }
    let options = said(&["--for", "apptainer", "-i", &pair, "-i", "/usr:/mnt/a b"]);
    assert_eq!(options, format!("--bind {pair} --bind '/usr:/mnt/a b'"));
    let json = said(&["--for=podman", "--json", "-i", &pair]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json, serde_json::json!({ "options": ["--volume", pair], "command": null }));
}

#[test]
fn what_a_runtime_would_take_for_something_else_is_not_said_to_it() {
    let barn = Barn::new("untold");
    let file = barn.own("a,b", "own\n");
    let rows: [(&[&str], &str); 7] = [
        (&["--for", "apptainer", "-i", &format!("{file}:/x")], "it takes ',' for its own"),
        (&["--for", "podman", "-w", "/data"], "podman has no words that make a directory writable"),
        (&["--for", "crun", "-i", &format!("{file}:/x")], "of crun has no words for files"),
        (&["--for", "podman", "-i", "/nowhere:/x"], "cannot inject /nowhere"),
        (&["--for", "podman", "-i", &format!("{file}:/../x")], "must not contain `..`"),
        (&["--for", "none"], "none"),
        (&["--for", "podman", "--map-root"], "cannot be used with"),
    ];
    for (words, expected) in rows {
        let output = told(&barn, words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(output.stdout.is_empty() && said.contains(expected), "{words:?}: {said}");
    }
}

/// Those that bind an image's directory with all that is mounted there.
#[test]
fn who_binds_a_directory_as_a_whole_sees_a_ranch_in_it() {
    let barn = Barn::new("seen by");
    let leaf = barn.own("leaf", "leaf\n");
    let root = barn.root().to_str().unwrap().to_owned();
    let sees = |words: &[&str], runtime: &[&str]| {
        let mut command = barn.as_user(barn.place.join("elsewhere"));
        command.args(["ranch", "-i", &format!("/usr:{root}/usr")]);
        command.args(["-i", &format!("{leaf}:{root}/data/leaf")]).args(words).args(["/", "--"]);
        command.args(runtime).args(["/bin/cat", "/data/leaf"]);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let output = command.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "leaf\n", "{runtime:?}: {output:?}");
    };
    sees(&["--map-root"], &["chroot", &root]);
    sees(&[], &["unshare", "--user", "--map-root-user", "--root", &root]);
    match tools::find("bwrap") {
        Some(_) => sees(&[], &["bwrap", "--bind", &root, "/"]),
        None => tools::missing("that bubblewrap sees a ranch: it is not there"),
    }
}
