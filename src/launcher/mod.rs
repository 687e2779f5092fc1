//! The text of launchers: `PREFIX/bin/apptainer` and its like. Pure.
//!
//! A launcher finds its own directory, tells this machine's architecture by the glibc loader that
//! exists, and replaces itself with `../ARCH/PROGRAM` beside that directory. It depends on nothing
//! else of a prefix's layout, so the same text serves a tree published as `BASE/1.4.5/{bin,x86_64}`.
//! In a prefix of several dists, [`choosing`] writes one that also looks at the C library.
//!
//! # Forks
//!
//! None, unless the launcher is reached through a symlink to the file itself (one `readlink` per
//! link), as `sh NAME` found in `PATH` (one subshell), or where no loader or several exist and the
//! kernel is older than 6.1 (`uname -m`). Symlinked directories cost nothing: `DIR/../ARCH` is
//! resolved by the kernel.
//!
//! # Environment
//!
//! The launcher sets nothing but what the runtime's file declares (Apptainer's declares nothing): where
//! the user set a variable, or a file of the host or the user's says it all, it stays as it is. (The
//! programs that a runtime's file names in `library_path` have a launcher of their own inside the tree,
//! made by relocation.) Where it declares places at which directories of the tree must stand, the launcher
//! starts the tree's own program `elsewhere`, which shows them there to the program in a namespace, and waits.
//! Its shell variables begin with `elsewhere_` and are not exported. What shells
//! change by themselves cannot be helped, and `tests/launcher_shells.rs` holds them to this list:
//!
//! | shell | changes, beside setting `PWD` where it was unset or wrong |
//! |---|---|
//! | dash | drops names that are no shell names (`a.b`, bash's exported functions) |
//! | bash, as `sh` too | writes exported functions anew; `SHLVL` becomes 0 where it was unset |
//! | busybox ash | as dash; adds one to `SHLVL`; sets `PATH` where it was unset |
//! | ksh93 | sets `_`, and `A__z` unless it runs as `sh` |
//! | mksh | as dash; sets `_`, and `PATH` where it was unset |
//! | yash | nothing; but paths and arguments that are not valid in the locale become empty |
//! | zsh | sets `_`, `OLDPWD`, `LOGNAME`, and `HOME` unless it runs as `sh` |
//!
//! # Exit status
//!
//! The program's own. 127 when there is no tree for this machine; 126 when a symlink on the way to
//! the launcher cannot be read, or the program cannot be started, as on a file system that is mounted
//! noexec: then the launcher itself runs only as `sh LAUNCHER`.

mod environment;
mod fat;
mod places;
mod trees;

use std::fmt::Write as _;

pub use fat::{Candidate, choosing};
pub use trees::LaunchedTrees;

use crate::model::{
    Arch, Command, HostPlace, LAUNCHER_MARKER, VERSION_NAME, Variable, escape, shell_word,
};

/// The launcher of `command`, one of the commands of the runtime of this name: POSIX sh, the same for every architecture, every
/// prefix and every generation. It sets what `environment` says, and the program finds directories of its tree at
/// `places`.
#[must_use]
pub fn text(
    runtime: &str,
    command: &Command,
    environment: &[Variable],
    places: &[HostPlace],
    trees: LaunchedTrees,
) -> String {
    let program = shell_word(command.path.as_str());
    let (name, tree) = (shell_word(&command.name), "$elsewhere_bin/../$elsewhere_arch");
    let mut text = String::with_capacity(2048);
    text.push_str("#!/bin/sh -\n");
    text.push_str(LAUNCHER_MARKER);
    let _ = writeln!(text, "runs ../ARCHITECTURE/{}", escape(command.path.as_str()));
    text.push_str(FIND_SELF);
    text.push_str(&find_arch());
    let _ = writeln!(text, "elsewhere_program=$elsewhere_bin/../$elsewhere_arch/{program}");
    // An empty architecture would make the program the launcher itself, which would run for ever.
    text.push_str("if [ -n \"$elsewhere_arch\" ] && [ -x \"$elsewhere_program\" ]; then\n");
    text.push_str(&places::finding(places, command, tree));
    text.push_str(&environment::setting(command, environment, trees, tree));
    text.push_str(&places::starting(runtime, places, command, tree));
    text.push_str("\"$elsewhere_program\"");
    for argument in &command.arguments {
        let _ = write!(text, " {}", shell_word(argument));
    }
    text.push_str(" \"$@\"\nfi\n");
    let advice = advise(
        trees,
        r#""To add it: elsewhere install -a ${elsewhere_arch:-ARCH} -r $elsewhere_runtime '$elsewhere_prefix'""#,
    );
    text.push_str(&explain(&name, &program, &shell_word(runtime), &advice));
    text
}

/// The launcher of the program `elsewhere` itself, which a prefix keeps as `DIRECTORY/ARCH/elsewhere`.
#[must_use]
pub fn own(directory: &str) -> String {
    let mut text = format!(
        "#!/bin/sh -\n{LAUNCHER_MARKER}runs ../{}/ARCHITECTURE/elsewhere\n",
        escape(directory)
    );
    text.push_str(FIND_SELF);
    text.push_str(&find_arch());
    let directory = shell_word(directory);
    let _ = write!(
        text,
        r#"elsewhere_program=$elsewhere_bin/../{directory}/$elsewhere_arch/elsewhere
if [ -n "$elsewhere_arch" ] && [ -x "$elsewhere_program" ]; then
    exec "$elsewhere_program" "$@"
fi
{closed}printf 'elsewhere: this prefix has no program for %s\nTo add it, run install.sh there\n' \
    "${{elsewhere_arch:-this machine}}" >&2
exit 127
"#,
        closed = explain_closed(
            "elsewhere",
            "[ -n \"$elsewhere_arch\" ] && [ -f \"$elsewhere_program\" ]"
        ),
    );
    text
}

/// Says that there is a program and that it may not be run, where the test `is_closed` finds that so.
/// `name` is quoted for the shell.
fn explain_closed(name: &str, is_closed: &str) -> String {
    format!(
        r#"if {is_closed}; then
    elsewhere_prefix=$(cd -P "$elsewhere_bin/.." && pwd)
    printf "%s: the programs in '%s' may not be run: the file system is mounted noexec, or you lack the permission\nWhat helps: elsewhere doctor '%s'\n" \
        {name} "$elsewhere_prefix" "$elsewhere_prefix" >&2
    exit 126
fi
"#
    )
}

/// Sets `elsewhere_advice` to `advice`, shell words, or to what is right where `elsewhere_prefix` is a shadow, is a published
/// version, or lies in one as `dists/DIST`: nobody but who publishes it can add something, and whoever reads it is somebody
/// else.
fn advise(trees: LaunchedTrees, advice: &str) -> String {
    if trees == LaunchedTrees::Shadow {
        return "elsewhere_advice=\"What it is made of has none, is gone, or is not mounted: elsewhere shadow update \
                '$elsewhere_prefix'\"\n"
            .to_owned();
    }
    format!(
        r#"elsewhere_advice={advice}
for elsewhere_other in "$elsewhere_prefix" "$elsewhere_prefix/../.."; do
    [ ! -f "$elsewhere_other/{VERSION_NAME}" ] ||
        elsewhere_advice='It was published and does not change: whoever publishes it can make a version that has more'
done
"#
    )
}

/// Sets `elsewhere_bin` to the directory of the launcher's own file. `$0` has no slash when `PATH`
/// has an empty entry (then the file is in the working directory) and after `sh NAME`.
const FIND_SELF: &str = r#"elsewhere_self=$0
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
"#;

/// Sets `elsewhere_arch`. The loader tells the userland's architecture rightly where the kernel does
/// not: under qemu-user, and in a container of another architecture.
fn find_arch() -> String {
    let mut text = String::from("elsewhere_arch=\n");
    for arch in Arch::ALL {
        let loader = arch.loader();
        let _ = writeln!(text, "[ ! -e {loader} ] || elsewhere_arch=$elsewhere_arch.{arch}");
    }
    text.push_str(
        r#"case $elsewhere_arch in
'' | .*.*)
    { read -r elsewhere_arch </proc/sys/kernel/arch; } 2>/dev/null ||
        elsewhere_arch=$(uname -m)
    ;;
*) ;;
esac
elsewhere_arch=${elsewhere_arch#.}
"#,
    );
    text
}

/// Says on standard error what is missing, what there is, and what to type. `name`, `program` and
/// `runtime` are quoted for the shell.
fn explain(name: &str, program: &str, runtime: &str, advice: &str) -> String {
    let arches = Arch::ALL.map(Arch::as_str).join(" ");
    let closed =
        explain_closed(name, "[ -n \"$elsewhere_arch\" ] && [ -f \"$elsewhere_program\" ]");
    format!(
        r#"{closed}elsewhere_has=
for elsewhere_other in {arches}; do
    [ ! -f "$elsewhere_bin/../$elsewhere_other/"{program} ] ||
        elsewhere_has="$elsewhere_has $elsewhere_other"
done
elsewhere_prefix=$(cd -P "$elsewhere_bin/.." && pwd)
elsewhere_runtime={runtime}
{advice}printf "%s: '%s' has no %s for %s; it has it for:%s\n%s\n" \
    {name} "$elsewhere_prefix" {name} "${{elsewhere_arch:-this machine}}" "${{elsewhere_has:- nothing}}" \
    "$elsewhere_advice" >&2
exit 127
"#
    )
}
