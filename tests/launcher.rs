//! Launchers: their text, and how they behave under this machine's `sh`. Every other shell is
//! `launcher_shells.rs`'s.

#![allow(clippy::unwrap_used)]

mod launching;

use std::path::Path;

use launching::{Scratch, text};

const SH: &str = "/bin/sh";

#[test]
fn the_text_of_a_launcher() {
    assert_eq!(
        text("run-singularity"),
        r#"#!/bin/sh -
# Launcher written by elsewhere: runs ../ARCHITECTURE/bin/apptainer
elsewhere_self=$0
case $elsewhere_self in
*/*) ;;
*) [ -f "./$elsewhere_self" ] || elsewhere_self=$(command -v "$elsewhere_self") ;;
esac
case $elsewhere_self in
/* | ./* | ../*) ;;
*) elsewhere_self=./$elsewhere_self ;;
esac
while [ -h "$elsewhere_self" ]; do
    elsewhere_link=$(readlink "$elsewhere_self" && echo .) || exit 126
    elsewhere_link=${elsewhere_link%??}
    case $elsewhere_link in
    /*) elsewhere_self=$elsewhere_link ;;
    *) elsewhere_self=${elsewhere_self%/*}/$elsewhere_link ;;
    esac
done
elsewhere_bin=${elsewhere_self%/*}
elsewhere_arch=
[ ! -e /lib64/ld-linux-x86-64.so.2 ] || elsewhere_arch=$elsewhere_arch.x86_64
[ ! -e /lib/ld-linux-aarch64.so.1 ] || elsewhere_arch=$elsewhere_arch.aarch64
[ ! -e /lib64/ld64.so.2 ] || elsewhere_arch=$elsewhere_arch.ppc64le
[ ! -e /lib/ld64.so.1 ] || elsewhere_arch=$elsewhere_arch.s390x
case $elsewhere_arch in
'' | .*.*)
    { read -r elsewhere_arch </proc/sys/kernel/arch; } 2>/dev/null ||
        elsewhere_arch=$(uname -m)
    ;;
*) ;;
esac
elsewhere_arch=${elsewhere_arch#.}
elsewhere_program=$elsewhere_bin/../$elsewhere_arch/bin/apptainer
if [ -n "$elsewhere_arch" ] && [ -x "$elsewhere_program" ]; then
    exec "$elsewhere_program" --quiet run 'it'\''s $HOME; a
b' "$@"
fi
if [ -n "$elsewhere_arch" ] && [ -f "$elsewhere_program" ]; then
    elsewhere_prefix=$(cd -P "$elsewhere_bin/.." && pwd)
    printf "%s: the programs in '%s' may not be run: the file system is mounted noexec, or you lack the permission\nWhat helps: elsewhere doctor '%s'\n" \
        run-singularity "$elsewhere_prefix" "$elsewhere_prefix" >&2
    exit 126
fi
elsewhere_has=
for elsewhere_other in x86_64 aarch64 ppc64le s390x; do
    [ ! -f "$elsewhere_bin/../$elsewhere_other/"bin/apptainer ] ||
        elsewhere_has="$elsewhere_has $elsewhere_other"
done
elsewhere_prefix=$(cd -P "$elsewhere_bin/.." && pwd)
elsewhere_runtime=apptainer
elsewhere_advice="To add it: elsewhere install -a ${elsewhere_arch:-ARCH} -r $elsewhere_runtime '$elsewhere_prefix'"
for elsewhere_other in "$elsewhere_prefix" "$elsewhere_prefix/../.."; do
    [ ! -f "$elsewhere_other/.elsewhere-version.json" ] ||
        elsewhere_advice='It was published and does not change: whoever publishes it can make a version that has more'
done
printf "%s: '%s' has no %s for %s; it has it for:%s\n%s\n" \
    run-singularity "$elsewhere_prefix" run-singularity "${elsewhere_arch:-this machine}" "${elsewhere_has:- nothing}" \
    "$elsewhere_advice" >&2
exit 127
"#
    );
}

#[test]
fn no_launcher_sets_a_library_path() {
    for name in ["apptainer", "crun"] {
        assert!(!text(name).contains("LD_LIBRARY_PATH"), "{name}");
    }
}

#[test]
fn what_a_launcher_sets() {
    let _serial = launching::serial();
    launching::what_it_sets(Path::new(SH));
    let text = launching::text_that_sets(Path::new("/host"));
    let (_, after) = text.split_once("[ -x \"$elsewhere_program\" ]; then\n").unwrap();
    let (set, _) = after.split_once("    exec").unwrap();
    assert_eq!(
        set,
        r#"    elsewhere_tree=$elsewhere_bin/../$elsewhere_arch
    case $elsewhere_tree in
    /*) ;;
    *) elsewhere_tree=$PWD/$elsewhere_tree ;;
    esac
    if [ -z "${SET+set}" ]; then
        SET=${elsewhere_tree}'/etc/it'\''s a $file:'${elsewhere_tree}
        export SET
    fi
    if [ -z "${PLAIN+set}" ]; then
        PLAIN='~ $HOME'
        export PLAIN
    fi
    if [ -z "${EMPTY+set}" ]; then
        EMPTY=''
        export EMPTY
    fi
    if [ -z "${UNLESS+set}" ] && [ ! -e '/host/a file' ] && [ ! -e "${XDG_CONFIG_HOME:-${HOME-}/.config}"/tool/file ] && [ ! -e "${HOME-}"/.file ]; then
        UNLESS=ours
        export UNLESS
    fi
    elsewhere_value=${elsewhere_tree}'/libexec/a b'
    case ${PATH-}: in
    "$elsewhere_value":*) ;;
    *) PATH=$elsewhere_value${PATH:+:$PATH} ;;
    esac
    export PATH
    if [ ! -e '/host/a file' ]; then
        elsewhere_value=x
        case ${LIST-}: in
        "$elsewhere_value":*) ;;
        *) LIST=$elsewhere_value${LIST:+:$LIST} ;;
        esac
        export LIST
    fi
"#
    );
}

#[test]
fn it_starts_in_every_way() {
    let _serial = launching::serial();
    launching::every_way_of_starting(Path::new(SH));
}

#[test]
fn the_shell_can_be_given_the_file() {
    let _serial = launching::serial();
    launching::run_by_the_shell_itself(Path::new(SH));
}

#[test]
fn input_arguments_and_status_pass_through() {
    let _serial = launching::serial();
    launching::input_and_first_arguments(Path::new(SH));
}

#[test]
fn the_architecture_is_the_userlands() {
    let _serial = launching::serial();
    launching::choice_of_architecture(Path::new(SH));
}

#[test]
fn without_a_tree_it_says_what_to_type() {
    let _serial = launching::serial();
    launching::message_without_a_tree(Path::new(SH));
}

#[test]
fn a_program_that_may_not_run_is_not_said_to_be_missing() {
    let _serial = launching::serial();
    launching::message_where_nothing_may_run(Path::new(SH));
}

#[test]
fn of_several_dists_the_newest_that_fits_is_run() {
    let _serial = launching::serial();
    launching::choice_of_dist(Path::new(SH));
    launching::message_without_a_fitting_dist(Path::new(SH));
}

#[test]
fn it_works_where_a_version_has_a_prefix_of_its_own() {
    let _serial = launching::serial();
    let scratch = Scratch::new();
    launching::prefix_at(&scratch.join("base/1.4.5"), Path::new(SH));
    std::os::unix::fs::symlink("1.4.5", scratch.join("base/current")).unwrap();
    let program = scratch.join("base/current/bin/apptainer");
    let output = std::process::Command::new(program).output().unwrap();
    let told = launching::told(&output);
    assert!(launching::is_from(&told, &scratch.0, &scratch.join("base/1.4.5")));
}
