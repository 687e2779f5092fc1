//! What a launcher sets in the environment, as text of its own: nothing of it forks.

use std::fmt::Write as _;

use super::trees::LaunchedTrees;
use crate::model::{
    Command, Effect, SHADOW_NOW as NOW, SHADOW_THEN as THEN, TREE, Variable, shell_word,
};

/// Sets what `environment` says, for programs of the tree at `tree`, a word of the launcher's, which may be
/// relative to the working directory. Nothing at all where there is nothing to set. Those of a shadow look behind
/// it first. A command that mounts something is another's, which is told nothing of the runtime's.
pub(super) fn setting(
    command: &Command,
    environment: &[Variable],
    trees: LaunchedTrees,
    tree: &str,
) -> String {
    let environment = if command.mounts { &[] } else { environment };
    if environment.is_empty() && trees == LaunchedTrees::Own {
        return String::new();
    }
    let mut text = format!(
        r#"    elsewhere_tree={tree}
    case $elsewhere_tree in
    /*) ;;
    *) elsewhere_tree=$PWD/$elsewhere_tree ;;
    esac
"#
    );
    if trees == LaunchedTrees::Shadow {
        text.push_str(&look_behind(&shell_word(&command.name)));
    }
    for variable in environment {
        let name = &variable.name;
        let is_there = |place: &String| format!("[ ! -e {} ]", place_word(place));
        let mut tests: Vec<String> = variable.unless_exists.iter().map(is_there).collect();
        match &variable.effect {
            Effect::Set(value) => {
                tests.insert(0, format!("[ -z \"${{{name}+set}}\" ]"));
                let _ = write!(
                    text,
                    "    if {}; then\n        {name}={}\n        export {name}\n    fi\n",
                    tests.join(" && "),
                    value_word(value)
                );
            }
            Effect::Prepend(value) => {
                let set = format!(
                    "elsewhere_value={}\ncase ${{{name}-}}: in\n\"$elsewhere_value\":*) ;;\n\
                     *) {name}=$elsewhere_value${{{name}:+:${name}}} ;;\nesac\nexport {name}\n",
                    value_word(value)
                );
                let (opening, step, closing) = match tests.is_empty() {
                    true => (String::new(), "    ", ""),
                    false => {
                        (format!("    if {}; then\n", tests.join(" && ")), "        ", "    fi\n")
                    }
                };
                text.push_str(&opening);
                set.lines().for_each(|line| {
                    let _ = writeln!(text, "{step}{line}");
                });
                text.push_str(closing);
            }
        }
    }
    text
}

/// Says where what the shadow's tree is made of is gone, or is another version by now, if there is somebody to read it.
/// `-ef` follows links, and forks nothing. `name` is quoted for the shell.
fn look_behind(name: &str) -> String {
    format!(
        r#"    if [ ! -e "$elsewhere_tree/{THEN}" ]; then
        printf "%s: what '%s' is made of is gone, or not mounted now\nWhere there is a newer version: elsewhere shadow update DIR\n" \
            {name} "$elsewhere_tree" >&2
        exit 127
    elif [ -t 2 ] && [ ! "$elsewhere_tree/{THEN}" -ef "$elsewhere_tree/{NOW}" ]; then
        printf "%s: there is another version than the one that '%s' is made of: elsewhere shadow update\n" \
            {name} "$elsewhere_tree" >&2
    fi
"#
    )
}

/// A value as the right side of an assignment.
fn value_word(value: &str) -> String {
    let quoted = |part: &str| match part {
        "" => String::new(),
        part => shell_word(part).into_owned(),
    };
    let parts: Vec<String> = value.split(TREE).map(quoted).collect();
    match parts.concat().is_empty() && parts.len() == 1 {
        true => "''".to_owned(),
        // In braces: letters may follow.
        false => parts.join("${elsewhere_tree}"),
    }
}

/// A place of the host as a word. The directory of the user's configuration is found as the XDG's own
/// specification has it.
fn place_word(place: &str) -> String {
    let homes = [
        ("$XDG_CONFIG_HOME", r#""${XDG_CONFIG_HOME:-${HOME-}/.config}""#),
        ("$HOME", r#""${HOME-}""#),
    ];
    let below = |(name, word): &(&str, &str)| {
        let rest = place.strip_prefix(name)?;
        Some(format!("{word}{}", shell_word(rest)))
    };
    homes.iter().find_map(below).unwrap_or_else(|| shell_word(place).into_owned())
}
