//! What is written is kept, and seen again: what the command wrote as it wrote it, and the rest as it is by then.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::Barn;

/// A barn, and a directory of the user's that is not there yet.
fn barn(name: &str) -> (Barn, String) {
    let barn = Barn::new(name);
    barn.write("data/barley", "barley\n");
    let keep = barn.place.join("own/kept").to_str().unwrap().to_owned();
    (barn, keep)
}

#[test]
fn a_second_run_sees_what_the_first_one_wrote() {
    let (barn, keep) = barn("kept");
    let before = barn.snapshot();
    let words = ["-w", "/data", "-w", "/data/deep", "-w", "/etc", "--keep", &keep];
    let write = "cd /data && echo new > new && mkdir more && echo in > more/in && rm hay && \
        rm barley && echo own > barley && mv self it && echo below > deep/below && ln -s more way";
    barn.write("data/self", "self\n");
    barn.prints(&words, write);
    let look = "cd /data && ls && cat new more/in barley it deep/below way/in deep/er/straw /etc/os-release";
    let seen = "barley\ndeep\nit\nmore\nnew\nway\n\
        new\nin\nown\nself\nbelow\nin\nstraw\nNAME=Barn\n";
    for _ in 0..3 {
        assert_eq!(barn.prints(&words, look), seen);
    }
    // As much of it as is asked for, and nothing without.
    let fewer = ["-w", "/data", "--keep", &keep];
    assert_eq!(barn.prints(&fewer, "cat /data/new; ls /data/deep"), "new\ner\n");
    assert_eq!(barn.prints(&["-w", "/data"], "ls /data"), "barley\ndeep\nhay\nself\n");
    fs::remove_file(barn.root().join("data/self")).unwrap();
    let ours = |path: &PathBuf| path.ends_with("data") || path.ends_with("data/self");
    let unchanged = |mut all: std::collections::BTreeMap<PathBuf, _>| {
        all.retain(|path, _| !ours(path));
        all
    };
    assert!(unchanged(barn.snapshot()) == unchanged(before), "something was changed");
}

#[test]
fn what_changes_in_the_original_is_seen_beside_what_is_kept() {
    let (barn, keep) = barn("changing");
    let root = barn.root();
    symlink("hay", root.join("data/link")).unwrap();
    let words = ["-w", "/data", "-k", &keep];
    barn.prints(&words, "echo mine > /data/mine; rm /data/barley; echo mine > /data/later");
    for name in ["data/hay", "data/link"] {
        fs::remove_file(root.join(name)).unwrap();
    }
    fs::remove_dir_all(root.join("data/deep")).unwrap();
    symlink("mine", root.join("data/link")).unwrap();
    for (name, text) in
        [("straw", "straw\n"), ("later", "later\n"), ("er/oats", "oats\n"), (".ranch", "x\n")]
    {
        barn.write(&format!("data/{name}"), text);
    }
    let said = barn.prints(&words, "cd /data; ls; cat later link straw er/oats .ranch mine");
    assert_eq!(said, "er\nlater\nlink\nmine\nstraw\nmine\nmine\nstraw\noats\nx\nmine\n");
}

#[test]
fn what_is_injected_is_there_for_the_run_that_injects_it() {
    let (barn, keep) = barn("guests");
    let leaf = barn.own("leaf", "leaf\n");
    let keeping = ["-w", "/data", "-k", &keep];
    let with = |place: &str| {
        [&keeping[..], &["-i", &format!("{leaf}:{place}")]]
            .concat()
            .iter()
            .map(|it| (*it).to_owned())
            .collect::<Vec<_>>()
    };
    let prints = |words: &[String], script: &str| {
        barn.prints(&words.iter().map(String::as_str).collect::<Vec<_>>(), script)
    };
    let both = [with("/data/a/b/leaf"), with("/data/leaf")].concat();
    let said =
        prints(&both[..4], "true") + &prints(&with("/data/leaf"), "ls /data; cat /data/leaf");
    assert_eq!(said, "barley\ndeep\nhay\nleaf\nleaf\n");
    let said =
        prints(&with("/data/a/b/leaf"), "ls /data; echo x > /data/a/beside; cat /data/a/b/leaf");
    assert_eq!(said, "a\nbarley\ndeep\nhay\nleaf\n");
    assert_eq!(
        barn.prints(&keeping, "find /data/a; ls /data"),
        "/data/a\n/data/a/beside\na\nbarley\ndeep\nhay\n"
    );
    assert_eq!(prints(&with("/data/a/b/leaf"), "cat /data/a/b/leaf /data/a/beside"), "leaf\nx\n");
}

/// What a command keeps may lead anywhere: it is followed as programs there follow it.
#[test]
fn nothing_that_is_kept_leads_out() {
    let (barn, keep) = barn("leading");
    let leaf = barn.own("leaf", "leaf\n");
    let outside = barn.place.join("own");
    let words = ["-w", "/data", "-w", "/etc", "-k", &keep];
    let plant =
        format!("ln -s {} /data/x; ln -s /etc/z /data/y; ln -s {0} /etc/z", outside.display());
    barn.prints(&words, &plant);
    for place in ["/data/x/new/leaf", "/data/y/new/leaf", "/etc/z/new/leaf"] {
        for words in [&["-w", "/data", "-k", &keep][..], &["-k", &keep]] {
            let pair = format!("{leaf}:{place}");
            let injected = [words, &["-i", &pair]].concat();
            let output = barn.ranch(&injected, &format!("cat {place}"));
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let refused = output.status.code() == Some(2);
            assert!(refused || said == "leaf\n", "{place}: {output:?}");
        }
    }
    let mut names: Vec<_> =
        fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["kept", "leaf"]);
}

#[test]
fn one_run_at_a_time_keeps_and_nobody_else_can_write_there() {
    let (barn, keep) = barn("alone");
    let words = ["-w", "/data", "--keep", &keep];
    let mut command = barn.command(&words, "echo $$; sleep 100");
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let second = barn.ranch(&words, "echo ran");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(9), "{said}");
    assert!(
        second.stdout.is_empty() && said.contains("another run keeps what it writes"),
        "{said}"
    );
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    assert_eq!(barn.prints(&words, "echo ran"), "ran\n");
    assert_eq!(fs::metadata(&keep).unwrap().permissions().mode() & 0o777, 0o700);
    fs::set_permissions(&keep, fs::Permissions::from_mode(0o777)).unwrap();
    let open = barn.ranch(&words, "echo ran");
    let said = String::from_utf8_lossy(&open.stderr).into_owned();
    assert_eq!(open.status.code(), Some(6), "{said}");
    assert!(said.contains("can be written by others"), "{said}");
    fs::set_permissions(&keep, fs::Permissions::from_mode(0o700)).unwrap();
    let list = barn.place.join("own/kept/below/data/given");
    for wrong in ["", "2 made", "1 made\0l", "1 made\0l../../x\0y", "1 made\0q\0"] {
        fs::write(&list, wrong).unwrap();
        assert!(
            barn.refusal(&words).contains("the list of what was given is damaged"),
            "{wrong:?}"
        );
    }
}

/// Whenever a run is killed, the next one gives everything back and takes nothing for the command's own will.
#[test]
fn a_killed_run_removes_nothing() {
    let (barn, keep) = barn("torn");
    for number in 0..200 {
        barn.write(&format!("data/many{number}"), "many\n");
    }
    let words = ["-w", "/data", "--keep", &keep];
    barn.prints(&words, "echo mine > /data/mine; rm /data/hay");
    for number in 0..30 {
        barn.write(&format!("data/later{number}"), "later\n");
        let mut child = barn.command(&words, "sleep 1").spawn().unwrap();
        std::thread::sleep(Duration::from_millis(number));
        kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
        child.wait().unwrap();
    }
    // One that was killed may hold its place until its last process is gone.
    let said = loop {
        let output =
            barn.ranch(&words, "cd /data; ls | wc -l; cat mine later* many* | sort -u; ls hay");
        if output.status.code() != Some(9) {
            break String::from_utf8(output.stdout).unwrap();
        }
    };
    assert_eq!(said, format!("{}\nlater\nmany\nmine\n", 200 + 30 + 3));
}
