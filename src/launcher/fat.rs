//! The launcher of a prefix with trees of several dists: it runs the newest one that this machine's C
//! library and processor run.
//!
//! # How it looks at the machine
//!
//! Up to 2.33, glibc lies on disk under its version, `libc-2.28.so`, beside `libc.so.6`; since 2.34 it
//! does not. `[ -e ]` sees both, and forks nothing. How much newer than 2.34 it is only `getconf`
//! says, which is asked only where a tree depends on the answer and its processor level fits. The level
//! of an x86-64 processor stands in `/proc/cpuinfo`, which `read` reads, and only for a tree that needs
//! more than every processor has.

use std::cmp::Reverse;
use std::fmt::Write as _;

use super::trees::LaunchedTrees;
use super::{FIND_SELF, advise, environment, explain_closed, find_arch, places};
use crate::model::{
    Command, GlibcVersion, HostPlace, LAUNCHER_MARKER, Variable, escape, shell_word,
};

/// A tree that the launcher may run, for each of the architectures that it is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where `ARCH` lies, below the prefix: empty, or ending in `/`.
    pub directory: String,
    /// Its dist, for messages.
    pub dist: String,
    /// The oldest glibc that runs it.
    pub glibc: GlibcVersion,
    /// The x86-64 level that it needs, at least 1.
    pub x86_64_level: u8,
}

/// The last glibc that lies on disk under its version, and the first that does not (both of major
/// version 2).
const LAST_NAMED: u16 = 33;
/// Nothing here runs on an older one.
const FIRST_NAMED: u16 = 17;

/// What `/proc/cpuinfo` calls the features of each x86-64 level above the first, the highest first.
const LEVELS: [(u8, &str); 3] = [
    (4, "avx512f avx512bw avx512cd avx512dq avx512vl"),
    (3, "abm avx avx2 bmi1 bmi2 f16c fma movbe"),
    (2, "cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3"),
];

/// The launcher of `command`, one of the commands of the runtime of this name, in a prefix with `trees` of several dists.
/// It sets what `environment` says, and the program finds directories of its tree at `places`.
#[must_use]
pub fn choosing(
    runtime: &str,
    command: &Command,
    environment: &[Variable],
    places: &[HostPlace],
    kind: LaunchedTrees,
    trees: &[Candidate],
) -> String {
    let program = shell_word(command.path.as_str());
    let mut trees = trees.to_vec();
    trees.sort_by_key(|tree| Reverse((tree.glibc, tree.x86_64_level, tree.directory.clone())));
    let mut text = String::from("#!/bin/sh -\n");
    text.push_str(LAUNCHER_MARKER);
    let _ = writeln!(
        text,
        "runs ../[dists/DIST/]ARCHITECTURE/{} of the newest dist that fits this machine",
        escape(command.path.as_str())
    );
    text.push_str(FIND_SELF);
    text.push_str(&find_arch());
    text.push_str(&find_glibc());
    text.push_str("elsewhere_level=\nelsewhere_has=\nelsewhere_chosen=\nelsewhere_closed=\nfor elsewhere_tree in");
    for tree in &trees {
        let needs = format!("{}:{}:{}", number(tree.glibc), tree.x86_64_level, tree.directory);
        let _ = write!(text, " \\\n    {}", shell_word(&needs));
    }
    text.push_str("; do\n");
    let _ = writeln!(text, "    elsewhere_program={program}");
    text.push_str(UNPACK);
    text.push_str(ASK_GETCONF);
    if trees.iter().any(|tree| tree.x86_64_level > 1) {
        text.push_str(&find_level());
    }
    text.push_str("    elsewhere_chosen=$elsewhere_program\n    break\ndone\n");
    text.push_str("if [ -n \"$elsewhere_chosen\" ]; then\n");
    let tree = "$elsewhere_bin/../$elsewhere_directory$elsewhere_arch";
    let name = shell_word(&command.name);
    text.push_str(&places::finding(places, command, tree));
    text.push_str(&environment::setting(command, environment, kind, tree));
    text.push_str(&places::starting(runtime, places, command, tree));
    text.push_str("\"$elsewhere_chosen\"");
    for argument in &command.arguments {
        let _ = write!(text, " {}", shell_word(argument));
    }
    text.push_str(" \"$@\"\nfi\n");
    let advice = advise(
        kind,
        r#""To add one: elsewhere install -d DIST -a ${elsewhere_arch:-ARCH} -r $elsewhere_runtime '$elsewhere_prefix'""#,
    );
    text.push_str(&explain(&name, &shell_word(runtime), &trees, &advice));
    text
}

/// A version as a number that `[` compares: 2.17 is 2017.
fn number(glibc: GlibcVersion) -> u32 {
    u32::from(glibc.major) * 1000 + u32::from(glibc.minor)
}

/// Sets `elsewhere_glibc` to the number of this machine's glibc: 2034 for all that are at least that,
/// 0 where no glibc is found. `elsewhere_exact` is empty where it may be newer. Of several, the oldest
/// counts, which is safe.
fn find_glibc() -> String {
    let names: Vec<String> =
        (FIRST_NAMED..=LAST_NAMED).rev().map(|minor| minor.to_string()).collect();
    format!(
        r#"elsewhere_glibc=0
elsewhere_exact=
for elsewhere_libc in /lib64 /lib/"${{elsewhere_arch#ppc64le}}-linux-gnu" \
    /lib/powerpc64le-linux-gnu /usr/lib64 /lib /usr/lib; do
    [ -e "$elsewhere_libc/libc.so.6" ] || continue
    elsewhere_glibc=2{after:03}
    for elsewhere_minor in {names}; do
        [ ! -e "$elsewhere_libc/libc-2.$elsewhere_minor.so" ] || {{
            elsewhere_glibc=20$elsewhere_minor
            elsewhere_exact=y
        }}
    done
    break
done
"#,
        after = LAST_NAMED + 1,
        names = names.join(" ")
    )
}

/// Takes `GLIBC:LEVEL:DIRECTORY` apart; goes on to the next tree where this one has no program.
const UNPACK: &str = r#"    elsewhere_directory=${elsewhere_tree#*:*:}
    elsewhere_program=$elsewhere_bin/../$elsewhere_directory$elsewhere_arch/$elsewhere_program
    if [ -z "$elsewhere_arch" ] || [ ! -x "$elsewhere_program" ]; then
        [ -z "$elsewhere_arch" ] || [ ! -f "$elsewhere_program" ] || elsewhere_closed=y
        continue
    fi
    elsewhere_has='are trees for it'
    elsewhere_needs=${elsewhere_tree%%:*}
    elsewhere_tree=${elsewhere_tree#*:}
    elsewhere_tree=${elsewhere_tree%%:*}
"#;

/// Goes on to the next tree where this one's glibc is too new. `getconf` is asked once, where no file
/// told: the system's own, for `PATH` may lead to one of another C library.
const ASK_GETCONF: &str = r#"    if [ "$elsewhere_needs" -gt "$elsewhere_glibc" ] && [ -z "$elsewhere_exact" ]; then
        elsewhere_exact=y
        elsewhere_getconf=/usr/bin/getconf
        [ -x "$elsewhere_getconf" ] || elsewhere_getconf='getconf'
        elsewhere_minor=$("$elsewhere_getconf" GNU_LIBC_VERSION 2>&-) || elsewhere_minor=
        elsewhere_minor=${elsewhere_minor#glibc 2.}
        elsewhere_minor=${elsewhere_minor%%.*}
        case $elsewhere_minor in
        [1-9][0-9]) elsewhere_glibc=20$elsewhere_minor ;;
        *) ;;
        esac
    fi
    [ "$elsewhere_needs" -le "$elsewhere_glibc" ] || continue
"#;

/// Goes on to the next tree where this one needs another processor. `/proc/cpuinfo` is read once.
fn find_level() -> String {
    let mut text = String::from(
        r#"    if [ "$elsewhere_tree" -gt 1 ] && [ "$elsewhere_arch" = x86_64 ]; then
        if [ -z "$elsewhere_level" ]; then
            elsewhere_flags=
            [ ! -r /proc/cpuinfo ] || while IFS=: read -r elsewhere_key elsewhere_flags; do
                case $elsewhere_key in
                flags*) break ;;
                *) elsewhere_flags= ;;
                esac
            done </proc/cpuinfo
            elsewhere_level=4
"#,
    );
    for (level, features) in LEVELS {
        let _ = write!(
            text,
            r#"            for elsewhere_key in {features}; do
                case " $elsewhere_flags " in
                *" $elsewhere_key "*) ;;
                *) [ "$elsewhere_level" -lt {level} ] || elsewhere_level={below} ;;
                esac
            done
"#,
            below = level - 1
        );
    }
    text.push_str(
        r#"        fi
        [ "$elsewhere_tree" -le "$elsewhere_level" ] || continue
    fi
"#,
    );
    text
}

/// Says on standard error what this machine is, what there is, and what to type. `name` and `runtime`
/// are quoted for the shell.
fn explain(name: &str, runtime: &str, trees: &[Candidate], advice: &str) -> String {
    let needs = |tree: &Candidate| match tree.x86_64_level {
        0 | 1 => format!("{} glibc {}", escape(&tree.dist), tree.glibc),
        level => format!("{} glibc {} and x86-64-v{level}", escape(&tree.dist), tree.glibc),
    };
    let needs = trees.iter().map(needs).collect::<Vec<_>>().join(", ");
    let closed = explain_closed(name, "[ -n \"$elsewhere_closed\" ]");
    format!(
        r#"{closed}elsewhere_prefix=$(cd -P "$elsewhere_bin/.." && pwd)
elsewhere_name={name}
elsewhere_runtime={runtime}
{advice}case $elsewhere_glibc in
0)
    elsewhere_glibc='no glibc in its usual place'
    elsewhere_advice="None runs with musl. With a glibc in another place: $elsewhere_prefix/dists/DIST/bin/$elsewhere_name"
    ;;
*)
    elsewhere_glibc="glibc 2.${{elsewhere_glibc#20}}"
    ;;
esac
printf "%s: '%s' has no %s for %s with %s%s\nThere %s; they need: %s\n%s\n" \
    "$elsewhere_name" "$elsewhere_prefix" "$elsewhere_name" "${{elsewhere_arch:-this machine}}" "$elsewhere_glibc" \
    "${{elsewhere_level:+ and x86-64-v$elsewhere_level}}" \
    "${{elsewhere_has:-is none for it}}" {needs} "$elsewhere_advice" >&2
exit 127
"#,
        needs = shell_word(&needs),
    )
}
