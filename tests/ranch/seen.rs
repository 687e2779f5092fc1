//! What is seen, and that nothing is changed.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::support::tools;
use crate::{Barn, executable};

/// The poster's example: a directory that nobody may write to, and a file beside what is there.
#[test]
fn a_directory_that_cannot_be_written_can_be_written_and_is_not_changed() {
    let barn = Barn::new("poster");
    let before = barn.snapshot();
    let said = barn.prints(
        &["--writable", "/data"],
        "echo new > /data/cow && cat /data/cow /data/hay && ls /data",
    );
    assert_eq!(said, "new\nhay\ncow\ndeep\nhay\n");
    assert!(barn.snapshot() == before, "something was changed");
    let without = barn.ranch(&[], "echo new > /data/cow");
    assert!(!without.status.success(), "{without:?}");
}

#[test]
fn what_is_injected_stands_beside_what_is_there_or_in_its_place() {
    let barn = Barn::new("inject");
    let (file, other) = (barn.own("conf", "own\n"), barn.own("tree/leaf", "leaf\n"));
    let tree = other.strip_suffix("/leaf").unwrap();
    let before = barn.snapshot();
    let beside = ["--inject", &format!("{file}:/etc/app.conf")];
    assert_eq!(barn.prints(&beside, "cat /etc/app.conf /etc/os-release"), "own\nNAME=Barn\n");
    let instead = ["-i", &format!("{file}:/data/hay")];
    assert_eq!(barn.prints(&instead, "cat /data/hay /data/deep/er/straw"), "own\nstraw\n");
    let below = ["-i", &format!("{tree}:/a/b/c"), "-i", &format!("{file}:/data/deep/x/y")];
    assert_eq!(barn.prints(&below, "cat /a/b/c/leaf /data/deep/x/y /data/hay"), "leaf\nown\nhay\n");
    let over = ["-i", &format!("{tree}:/data/deep")];
    assert_eq!(barn.prints(&over, "ls /data/deep"), "leaf\n");
    // What is injected is the machine's own.
    let written = barn.prints(&below, "echo more >> /data/deep/x/y && cat /data/deep/x/y");
    assert_eq!(written, "own\nmore\n");
    assert!(barn.snapshot() == before, "something was changed");
}

/// Each row fails in a ranch in which every entry is a link into the original, which the second test shows.
const CASES: [(&str, &str, &str); 7] = [
    ("a link that climbs", "cat /etc/os-release", "NAME=Barn"),
    ("a directory's own path", "cd /data/deep && pwd -P", "/data/deep"),
    ("the way back", "cd /data/deep && cat ../cow", "cow"),
    ("a program's own path", "/data/self /proc/self/exe", "/data/self"),
    ("a program's own file", "find /data -maxdepth 1 -type f -name self", "/data/self"),
    ("a name that is given away", "mv /data/hay /data/hey && cat /data/hey", "hay"),
    ("a name that is taken away", "rm /data/hay && ls /data", "cow\ndeep\nself"),
];

/// A barn with a program in `data`, and a file to put beside it.
fn cases() -> (Barn, String) {
    let barn = Barn::new("cases");
    let program = barn.root().join("data/self");
    fs::copy(tools::need("readlink", "coreutils"), &program).unwrap();
    executable(&program);
    let cow = barn.own("cow", "cow\n");
    (barn, format!("{cow}:/data/cow"))
}

#[test]
fn what_breaks_in_a_ranch_of_links_does_not_break() {
    let (barn, cow) = cases();
    let before = barn.snapshot();
    for (case, script, expected) in CASES {
        let said = barn.prints(&["-w", "/etc", "-i", &cow], script);
        assert_eq!(said.trim_end(), expected, "{case}");
    }
    assert!(barn.snapshot() == before, "something was changed");
}

/// What the cases are there for: by Charliecloud's method, whose commands these are, they fail.
#[test]
fn the_cases_tell_a_ranch_of_links_from_this_one() {
    let (barn, _) = cases();
    let root = barn.root();
    fs::create_dir(root.join("usr")).unwrap();
    let ranch = "for d in etc data; do mkdir over/$d over/$d/.orig; mount --rbind $R/$d over/$d/.orig; \
        mount --rbind over/$d $R/$d; \
        for e in $R/$d/.orig/*; do ln -s .orig/${e##*/} $R/$d/${e##*/}; done; done; \
        echo cow > $R/data/cow; mount --rbind /usr $R/usr; mount --rbind /proc $R/proc";
    let mut failed = Vec::new();
    for (case, script, expected) in CASES {
        let whole = format!(
            "set -e; mount -t tmpfs none {0}/tmp; cd {0}/tmp; mkdir over; {ranch}; exec chroot $R /bin/sh -c '{script}'",
            barn.place.display()
        );
        let mut command = barn.as_user(tools::need("unshare", "util-linux"));
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &whole]).env("R", &root);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let output = command.output().unwrap();
        println!("{case}: {output:?}");
        if String::from_utf8_lossy(&output.stdout).trim_end() != expected {
            failed.push(case);
        }
    }
    assert_eq!(failed, CASES[..5].iter().map(|case| case.0).collect::<Vec<_>>());
}

#[test]
fn the_user_stays_who_he_is_and_can_be_root() {
    let barn = Barn::new("who");
    let user = barn.user();
    assert_eq!(barn.prints(&[], "id -u"), format!("{user}\n"));
    assert_eq!(barn.prints(&["--map-root"], "id -u"), "0\n");
    // Programs there make namespaces of their own, as container runtimes do.
    for words in [&[][..], &["--map-root"]] {
        let nested = barn.prints(words, "unshare --user --map-root-user --mount sh -c 'id -u'");
        assert_eq!(nested, "0\n");
    }
}

#[test]
fn a_machines_own_root_gets_what_it_lacks() {
    let barn = Barn::new("machine");
    let leaf = barn.own("leaf", "leaf\n");
    let mut command = barn.as_user(barn.place.join("elsewhere"));
    command.args(["ranch", "-i", &format!("{leaf}:/cvmfs/sw.example.org/leaf"), "/", "--"]);
    command.args(["sh", "-c", "cat /cvmfs/sw.example.org/leaf; ls -d /usr /tmp"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, "leaf\n/tmp\n/usr\n", "{output:?}");
    assert!(!std::path::Path::new("/cvmfs/sw.example.org/leaf").exists());
}

/// As container runtimes do, which find their own files so: once the namespace in which they were started is gone, the kernel
/// knows no more where it was mounted.
#[test]
fn a_program_keeps_its_place_when_it_makes_namespaces_of_its_own() {
    const SCRIPT: &str = "import ctypes, os\n\
                          before = os.readlink('/proc/self/exe')\n\
                          assert ctypes.CDLL(None).unshare(0x10020000) == 0\n\
                          print(before == os.readlink('/proc/self/exe'), before.startswith('/usr/'))";
    let barn = Barn::new("place");
    let leaf = barn.own("leaf", "leaf\n");
    let mut command = barn.as_user(barn.place.join("elsewhere"));
    command.args(["ranch", "-i", &format!("{leaf}:/cvmfs/sw.example.org/leaf"), "/", "--"]);
    // Debian's, whose place everybody may enter.
    command.args(["/usr/bin/python3", "-c", SCRIPT]);
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "True True\n", "{output:?}");
}

/// The name under which the original lies may be there already.
#[test]
fn no_name_clashes() {
    let barn = Barn::new("names");
    barn.write("data/.ranch", "one\n");
    symlink("hay", barn.root().join("data/.ranch1")).unwrap();
    barn.write("data/a b'c\n\u{e9}", "odd\n");
    let said =
        barn.prints(&["-w", "/data"], "cat /data/.ranch /data/.ranch1 /data/a*; : > /data/new");
    assert_eq!(said, "one\nhay\nodd\n");
}

/// The script that `--print` prints shows a command the same by util-linux's tools.
#[test]
fn what_is_printed_does_the_same() {
    let barn = Barn::new("print");
    let cow = barn.own("cow", "cow\n");
    let script =
        "cat /data/cow /data/hay /etc/os-release; id -u; echo new > /data/new; ls -A /data";
    let words = ["-i".to_owned(), format!("{cow}:/data/cow")];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = barn.prints(&words, script);
    let printed = barn.prints(&[&words[..], &["--print"]].concat(), script);
    // Nothing is made below what is shown, whose owner could lead it elsewhere.
    let makes = |line: &&str| ["mkdir ", "ln ", ": >"].iter().any(|word| line.starts_with(word));
    let below: Vec<_> = printed.lines().filter(makes).filter(|it| it.contains("/root/")).collect();
    assert!(below.is_empty() && printed.lines().any(|line| makes(&line)), "{below:?}");
    let file = barn.own("printed", &printed);
    let mut command = barn.as_user(tools::need("unshare", "util-linux"));
    command.args(["--user", "--map-root-user", "--mount", "sh", &file]);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), done, "{printed}\n{output:?}");
    let shellcheck = tools::need("shellcheck", "shellcheck");
    tools::run(Command::new(shellcheck).args(["--shell", "sh"]).arg(&file));
}
