//! What a tree gets besides what the layers have: `repos/images.toml`, with the image's configuration in its texts.

use super::config::Execution;
use crate::layers::{ImageTree, LayerError};
use crate::model::ImageFiles;

/// Adds it to `tree`.
///
/// # Errors
/// When something cannot be made.
pub(super) fn furnish(
    tree: &mut ImageTree<'_>,
    files: &ImageFiles,
    execution: &Execution,
) -> Result<(), LayerError> {
    for path in &files.directories {
        if tree.find(path)?.is_none() {
            tree.add_directory(path)?;
        }
    }
    for file in &files.file {
        if !file.only_where_missing || tree.find(&file.path)?.is_none() {
            let text = filled(&file.text, execution);
            tree.add_file(&file.path, file.mode, text.as_bytes())?;
        }
    }
    for link in &files.symlink {
        tree.add_symlink(&link.path, &link.target)?;
    }
    Ok(())
}

/// `text` with what the configuration says.
fn filled(text: &str, execution: &Execution) -> String {
    let words = |words: &Option<super::config::Words>| {
        words.as_ref().map(super::config::Words::list).unwrap_or_default()
    };
    let (mut entrypoint, command) = (words(&execution.entrypoint), words(&execution.cmd));
    if entrypoint.is_empty() && command.is_empty() {
        // As container runtimes begin where nothing is said.
        entrypoint = vec!["/bin/sh".to_owned()];
    }
    let labels = execution.labels.clone().unwrap_or_default();
    let labels = serde_json::to_string_pretty(&labels).unwrap_or_default();
    let parts = [
        ("environment", environment(execution.env.as_deref().unwrap_or_default())),
        ("entrypoint", single_quoted(&double_quoted(&entrypoint))),
        ("command", single_quoted(&double_quoted(&command))),
        ("entrypoint_words", all_single_quoted(&entrypoint)),
        ("command_words", all_single_quoted(&command)),
        ("labels", labels),
    ];
    let mut filled = String::new();
    let mut rest = text;
    // What stands in a value is no name.
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let known = after.split_once("}}").and_then(|(name, after)| {
            Some((&parts.iter().find(|(known, _)| *known == name)?.1, after))
        });
        match known {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push_str("{{");
                rest = after;
            }
        }
    }
    filled + rest
}

/// Variables, as sh exports them: what the user has set stays, but for PATH.
fn environment(variables: &[String]) -> String {
    let mut text = String::new();
    for variable in variables {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        let is_inner = |it: char| it.is_ascii_alphanumeric() || it == '_';
        let is_name = !name.is_empty()
            && name.chars().all(is_inner)
            && !name.starts_with(|it: char| it.is_ascii_digit());
        if !is_name {
            continue;
        }
        let quoted = double_quoted_word(value);
        text.push_str(&match (name, value) {
            ("PATH", _) => format!("export PATH={quoted}\n"),
            (name, "") => format!("export {name}=\"${{{name}:-}}\"\n"),
            (name, _) => format!("export {name}=\"${{{name}:-{quoted}}}\"\n"),
        });
    }
    text
}

/// A word in double quotes, in which nothing has a meaning.
fn double_quoted_word(word: &str) -> String {
    let mut quoted = String::from("\"");
    for character in word.chars() {
        if matches!(character, '\\' | '"' | '`' | '$') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

fn double_quoted(words: &[String]) -> String {
    words.iter().map(|word| double_quoted_word(word)).collect::<Vec<_>>().join(" ")
}

/// A text in single quotes.
fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

fn all_single_quoted(words: &[String]) -> String {
    words.iter().map(|word| single_quoted(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::config::Words;
    use super::*;

    #[test]
    fn texts_say_what_the_configuration_does() {
        let list =
            |words: &[&str]| Some(Words::List(words.iter().map(|it| (*it).into()).collect()));
        let execution = Execution {
            env: Some(vec![
                "PATH=/bin:/a b".into(),
                "A=b a\"r$X`".into(),
                "E".into(),
                "1x=2".into(),
            ]),
            entrypoint: list(&["/bin/echo", "he llo"]),
            cmd: list(&["a\"b", "c'd", "{{labels}}"]),
            labels: None,
        };
        let fill = |text: &str| filled(text, &execution);
        let expected = "export PATH=\"/bin:/a b\"\nexport A=\"${A:-\"b a\\\"r\\$X\\`\"}\"\nexport E=\"${E:-}\"\n";
        assert_eq!(fill("{{environment}}"), expected);
        assert_eq!(fill("a={{entrypoint}}"), "a='\"/bin/echo\" \"he llo\"'");
        assert_eq!(fill("{{command}}"), "'\"a\\\"b\" \"c'\"'\"'d\" \"{{labels}}\"'");
        assert_eq!(fill("{{command_words}}"), "'a\"b' 'c'\"'\"'d' '{{labels}}'");
        assert_eq!(fill("{{labels}}, {{none}}, {{"), "{}, {{none}}, {{");
        let nothing = filled("{{entrypoint}}{{command}}", &Execution::default());
        assert_eq!(nothing, "'\"/bin/sh\"'''");
    }
}
