//! However it ends, nothing stays mounted and no process is left.

use rustix::process::Signal;

use crate::ATLAS;
use crate::site::Site;
use crate::support::small::text;

#[test]
fn status_and_signals_are_the_commands() {
    let Some(site) = Site::ready("ends") else { return };
    let status = |script: &str| {
        let output = site.exec(&[ATLAS, "--", "sh", "-c", script]).output().unwrap();
        output.status.code()
    };
    assert_eq!(status("exit 0"), Some(0));
    assert_eq!(status("exit 7"), Some(7));
    assert_eq!(status("kill -KILL $$"), Some(137));
    let none = site.exec(&[ATLAS, "--", "/none"]).output().unwrap();
    assert_eq!(none.status.code(), Some(127), "{}", text(&none));
    let refused = site.exec(&[ATLAS, "--", "/etc"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(126), "{}", text(&refused));
    site.waiting(&[ATLAS]).end();
    site.assert_nothing_left();
}

/// The command's children too, which it leaves behind.
#[test]
fn what_a_command_leaves_behind_ends_with_it() {
    let Some(site) = Site::ready("behind") else { return };
    let left = format!("{}/elsewhere", site.place.display());
    let script = format!("sleep 1000 & exec -a {left} sleep 1000 & disown -a; echo $!");
    let mut command = site.exec(&[ATLAS, "--", "bash", "-c", &script]);
    let status = command.stdout(std::process::Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    site.assert_nothing_left();
}

#[test]
fn who_is_killed_leaves_nothing() {
    let Some(site) = Site::ready("killed") else { return };
    let mut waiting = site.waiting(&[ATLAS, "lhcb.test.org"]);
    waiting.signal(Signal::KILL);
    waiting.child.wait().unwrap();
    site.assert_nothing_left();
    // And the next start finds everything as it should be.
    site.waiting(&[ATLAS]).end();
    site.assert_nothing_left();
}
