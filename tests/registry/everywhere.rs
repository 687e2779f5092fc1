//! By a lock file, from a mirror, a bundle and a registry, where there is no network but this machine's own
//! registry, as an ordinary user, by every shell.

use std::process::Command;

use crate::shop::{PLAN, Shop};
use crate::support::program;
use crate::support::registry::Real;
use crate::support::site::Outcome;
use crate::support::tools::need;

/// What the ordinary user's shell runs: `$SH` is that shell.
const USER: &str = r#"
set -eu
umask 000
at=oci://127.0.0.1:5000/lab/hello:1.0
from() { "$E" install --repos repos --cache-dir "new-$1" -a x86_64 --from "$2" prefix; }
for way in lock mirror script bundle registry; do
    rm -rf prefix
    case $way in
    lock) "$E" install --offline --lock hello.lock --repos repos --cache-dir filled prefix ;;
    mirror) from mirror carried ;;
    script) $SH carried/install.sh --from carried --repos repos prefix ;;
    bundle) $SH hello.run --repos repos --cache-dir new-bundle prefix ;;
    registry) from registry "$at" ;;
    esac
    test "$($SH prefix/bin/hello)" = 'hello 1.0'
    echo "$way by $(id -u)"
done
rm -rf new-*
"#;

#[test]
fn every_way_works_without_a_network_for_an_ordinary_user_and_any_shell() {
    let shop = Shop::new("registry-everywhere");
    let site = &shop.site;
    let standin = program::standin(&site.place(""));
    let standin = format!("x86_64={}", standin.display());
    let (mirror, prefix) = (site.mirror(), site.prefix());
    let place = |name: &str| site.place(name).to_str().unwrap().to_owned();
    let made = |words: &[&str], last: &[&str]| {
        let mut command = program::elsewhere();
        command.args(words).args(PLAN).args(["--mirror", mirror.to_str().unwrap(), "--repos"]);
        command.arg(site.repos()).arg("--cache-dir").arg(site.place("filled")).args(last);
        Outcome::of(site.enter(&mut command).output().unwrap()).ok();
    };
    made(&["plan", "--lock", &place("hello.lock")], &[]);
    made(&["mirror"], &[&place("carried")]);
    made(&["bundle", "--program", &standin], &["-o", &place("hello.run")]);
    made(&["install"], &[prefix.to_str().unwrap()]);
    let registry = Real::prepare(&site.place("real"), "127.0.0.1:5000", None);
    site.scratch.write("user.sh", USER);
    // Root of a namespace of its own sets up loopback, serves there, and lets the user in.
    let script = "$BUSYBOX ip link set lo up || exit 90\n\
        \"$REGISTRY\" serve real/config.yml > /dev/null 2>&1 &\n\
        for i in $(seq 200); do $BUSYBOX wget -q -O answer http://127.0.0.1:5000/v2/ && break; sleep 0.05; done 2> /dev/null\n\
        $E push -d lab -r hello -a x86_64 --mirror mirror --repos repos --cache-dir filled oci://127.0.0.1:5000/lab/hello:1.0 &&\n\
        mv mirror away || exit 91\n\
        mkdir -p tmp; export TMPDIR=$PWD/tmp; status=0\n\
        for SH in \"$DASH\" \"$BASH\" \"$BUSYBOX sh\"; do\n\
            export SH; $UNSHARE --user $SH user.sh || status=$?\n\
        done\n\
        kill $!; exit $status";
    let unshare = need("unshare", "util-linux");
    let mut command = Command::new(&unshare);
    command.args(["--user", "--map-root-user", "--net", "sh", "-c", script]);
    site.enter(command.current_dir(site.place(""))).env("E", program::path());
    command.env("REGISTRY", registry).env("UNSHARE", unshare);
    command.env("BUSYBOX", need("busybox", "busybox")).env("DASH", need("dash", "dash"));
    let told = Outcome::of(command.env("BASH", need("bash", "bash")).output().unwrap()).ok();
    for way in ["lock", "mirror", "script", "bundle", "registry"] {
        let done = told.out.lines().filter(|line| *line == format!("{way} by 65534"));
        assert_eq!(done.count(), 3, "{way}: {}{}", told.out, told.err);
    }
}
