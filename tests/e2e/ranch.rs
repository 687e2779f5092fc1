//! `elsewhere ranch` of files: what is in them is mounted by the prefix's own programs, real ones, and nothing is left.

use std::fs;

use crate::installed::Traveller;
use crate::support::image;
use crate::support::session::{Run, quoted};
use crate::support::sif::{Object, SQUASHFS, sif};

#[test]
fn what_is_in_a_file_is_a_commands_root_and_is_not_changed() {
    let traveller = Traveller::new("ranch");
    let (session, how) = (&traveller.session, Run::default());
    session.make_image(&how, &traveller.prefix);
    let data = fs::read(session.work.join("image.sqsh")).unwrap();
    let size = i64::try_from(data.len()).unwrap();
    let in_sif = sif(&[Object::system((36864, size), SQUASHFS)], &data);
    fs::write(session.work.join("image.sif"), &in_sif).unwrap();
    fs::write(session.work.join("own.conf"), "own\n").unwrap();
    let prefix = quoted(traveller.prefix.as_os_str());
    let inside = "cat /etc/os-release /etc/own.conf; echo new > /etc/new; cat /etc/new; \
        cd /etc; ls hosts passwd; if touch /bin/new 2>/dev/null; then echo writable; fi";
    for name in ["image.sqsh", "image.sif"] {
        let words = format!("-i own.conf:/etc/own.conf {name} -- sh -c '{inside}'");
        let said = session.script(&how, &format!("./elsewhere ranch --prefix {prefix} {words}"));
        let expected = format!("PRETTY_NAME=\"{}\"\nown\nnew\nhosts\npasswd", image::NAME);
        assert_eq!(said, expected, "{name}");
    }
    assert_eq!(fs::read(session.work.join("image.sif")).unwrap(), in_sif);
    // Ended or killed, it takes the mounting program with it.
    let gone = "is_there() { cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -q \"[ ]$PWD/image.sif\"; }
        within() { tries=0; until \"$@\"; do tries=$((tries + 1)); [ $tries -lt 200 ]; sleep 0.1; done; }
        no() { ! \"$@\"; }";
    let ranch = format!("./elsewhere ranch --prefix {prefix} image.sif --");
    let script = format!(
        "set -e; {gone}
        {ranch} sh -c 'sleep 100' & within is_there; kill -9 $!; within no is_there; echo killed
        {ranch} sh -c 'exit 42' || echo $?; within no is_there; echo ended"
    );
    assert_eq!(session.script(&how, &script), "killed\n42\nended");
}
