//! What a launcher starts instead of a program whose directories must stand at places of the host: the program
//! `elsewhere` of the same tree, which shows them there and starts that program. The same for a command that mounts
//! something by its program, for another.

use std::fmt::Write as _;

use crate::model::{
    Command, END_OF_PLACES, HostPlace, IN_PLACES, PLACING_PROGRAM, WITH_MOUNTS, shell_word,
};

/// Finds that program in the tree at `tree`, which are words of the launcher's within quotes, or says what to do.
/// Nothing at all where there are no places.
pub(super) fn finding(places: &[HostPlace], command: &Command, tree: &str) -> String {
    if places.is_empty() && !command.mounts {
        return String::new();
    }
    let name = shell_word(&command.name);
    format!(
        r#"    elsewhere_places="{tree}/{PLACING_PROGRAM}"
    if [ ! -x "$elsewhere_places" ]; then
        elsewhere_prefix=$(cd -P "$elsewhere_bin/.." && pwd)
        printf "%s: '%s' is missing or may not be run: without it %s does not find its files\nWhat helps: elsewhere verify '%s'\n" \
            {name} "$elsewhere_places" {name} "$elsewhere_prefix" >&2
        exit 126
    fi
"#
    )
}

/// Runs what follows, which is of the runtime of this name, in that program's namespace; where there are no places, as it is.
pub(super) fn starting(
    runtime: &str,
    places: &[HostPlace],
    command: &Command,
    tree: &str,
) -> String {
    let mut text = String::from("    exec ");
    if command.mounts {
        let _ =
            write!(text, "\"$elsewhere_places\" {WITH_MOUNTS} \"{tree}\" {} ", shell_word(runtime));
    } else if !places.is_empty() {
        let _ = write!(text, "\"$elsewhere_places\" {IN_PLACES} \"{tree}\"");
        for word in places.iter().flat_map(HostPlace::words) {
            let _ = write!(text, " {}", shell_word(word));
        }
        let _ = write!(text, " {END_OF_PLACES} ");
    }
    text
}
