//! File systems that a program of a runtime mounts for a command, by FUSE: where, how the program is told, and of which
//! files its configuration is put together.

use serde::{Deserialize, Serialize};

use super::shell_word;

/// The first word that launchers give the program `elsewhere` of the tree, where it is to mount something.
pub(crate) const WITH_MOUNTS: &str = "launch-with-mounts";

/// Places that configuration files are named by.
const ROOTS: [&str; 4] = ["{tree}/", "{site}/", "{user}/", "{first}/"];

/// What arguments must say.
const TOLD: [&str; 3] = ["{config}", "{repository}", "{directory}"];

/// How the repositories that a user names are mounted for a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FuseMounts {
    /// The directory in which the command sees each under its name.
    pub at: String,
    /// The program's arguments to mount one, in the foreground: `{config}`, `{repository}`, `{directory}`.
    pub arguments: Vec<String>,
    /// Its arguments to print what it understood of its configuration, as lines `NAME=VALUE    # from FILE`.
    pub understood: Vec<String>,
    /// Files of the configuration, `FILE` or `DIRECTORY/*.ENDING`, and settings, `NAME=VALUE`, in the order in which they count.
    pub configuration: Vec<String>,
    /// The setting that names the repository which is mounted first, because it holds configuration of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// Absolute paths in values, and what they become. The longest counts.
    #[serde(rename = "moved", default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<MovedPath>,
    /// Settings without which nothing can be mounted.
    #[serde(rename = "required", default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<RequiredSetting>,
    /// The setting that names the directory of the cache.
    pub cache: String,
    /// Where keys are looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeySettings>,
    /// The words by which a container runtime mounts them, where the host lets nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerWords>,
}

/// A path that programs have compiled in or that configuration names, and what it becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MovedPath {
    /// The path, and all below it.
    pub from: String,
    /// `{tree}`, `{run}` (of this start alone), `{cache}` or `{mounts}` (where repositories are), and what is below.
    pub to: String,
}

/// A setting without which nothing can be mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequiredSetting {
    /// Its name.
    pub name: String,
    /// What to write, as an example.
    pub example: String,
    /// What it is for.
    pub because: String,
}

/// Settings about keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {
    /// The one that names a directory of them.
    pub directory: String,
    /// The one that names files, with colons between them.
    pub files: String,
    /// How their names end: `.pub`.
    pub ending: String,
}

/// How a container runtime is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerWords {
    /// Its words before everything else.
    pub command: Vec<String>,
    /// Words for each repository: `{tree}`, `{repository}`, `{directory}`.
    pub each: Vec<String>,
    /// Characters that no path may hold, because it takes them for its own.
    #[serde(default)]
    pub unfit: String,
}

impl FuseMounts {
    /// What of it makes no sense.
    #[must_use]
    pub(crate) fn problem(&self) -> Option<String> {
        let is_plain = |name: &&str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain)
        };
        let names = self.at.strip_prefix('/').map(|rest| rest.split('/').collect::<Vec<_>>());
        if !names.is_some_and(|names| names.iter().all(is_plain)) {
            return Some(format!(
                "{:?} is no place for mounts: write an absolute, plain path",
                self.at
            ));
        }
        for words in [&self.arguments, &self.understood] {
            let is_missing = |what: &&&str| !words.iter().any(|word| word.contains(**what));
            if let Some(what) = TOLD.iter().find(is_missing) {
                return Some(format!("the program that mounts is not told {what}"));
            }
        }
        let is_odd = |entry: &&String| {
            let is_file = ROOTS.iter().any(|root| entry.starts_with(root));
            !is_file && !entry.split_once('=').is_some_and(|(name, _)| is_setting(name))
        };
        if let Some(entry) = self.configuration.iter().find(is_odd) {
            return Some(format!(
                "{entry:?} is neither a setting nor a file in {}",
                ROOTS.join(", ").replace('/', "")
            ));
        }
        let keys = self.keys.iter().flat_map(|keys| [&keys.directory, &keys.files]);
        let required = self.required.iter().map(|setting| &setting.name);
        let mut settings = self.first.iter().chain([&self.cache]).chain(keys).chain(required);
        if let Some(name) = settings.find(|name| !is_setting(name)) {
            return Some(format!("{name:?} cannot be a setting's name"));
        }
        let odd = self.moved.iter().find(|it| !it.from.starts_with('/') || !it.to.starts_with('{'));
        odd.map(|moved| format!("{:?} cannot be moved to {:?}", moved.from, moved.to))
    }
}

impl ContainerWords {
    /// The command line that mounts `repositories` at `at` in `image` by the tree at `tree`, and runs `command` there;
    /// the character that it would take for its own, where there is one.
    ///
    /// # Errors
    /// That character.
    pub(crate) fn line(
        &self,
        tree: &str,
        at: &str,
        repositories: &[String],
        image_and_command: &[String],
    ) -> Result<String, char> {
        if let Some(odd) = tree.chars().find(|it| self.unfit.contains(*it)) {
            return Err(odd);
        }
        let mut words: Vec<String> =
            self.command.iter().map(|word| word.replace("{tree}", tree)).collect();
        for repository in repositories {
            let directory = format!("{at}/{repository}");
            let fill = |word: &String| {
                let word = word.replace("{repository}", repository);
                word.replace("{directory}", &directory).replace("{tree}", tree)
            };
            words.extend(self.each.iter().map(fill));
        }
        words.extend(image_and_command.iter().cloned());
        Ok(words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" "))
    }
}

/// Whether `name` is one of the shell's variables, as settings are.
#[must_use]
pub(crate) fn is_setting(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(plain)
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "at = '/mnt/x'\narguments = ['{config}', '{repository}', '{directory}']\n\
        understood = ['{config}', '{repository}', '{directory}']\nconfiguration = ['{tree}/a', 'A=b']\ncache = 'C'\n";

    #[test]
    fn what_makes_no_sense_is_said() {
        let problem = |text: &str| toml::from_str::<FuseMounts>(text).unwrap().problem();
        assert_eq!(problem(WHOLE), None);
        for (old, new, because) in [
            ("/mnt/x", "mnt", "absolute"),
            ("/mnt/x", "/mnt/../x", "absolute"),
            ("/mnt/x", "/", "absolute"),
            ("['{config}', '{repository}'", "['{repository}'", "not told {config}"),
            ("{tree}/a", "/etc/a", "neither a setting"),
            ("A=b", "A b=c", "neither a setting"),
            ("cache = 'C'", "cache = '1'", "cannot be a setting's name"),
        ] {
            let said = problem(&WHOLE.replacen(old, new, 1)).unwrap_or_default();
            assert!(said.contains(because), "{new}: {said}");
        }
    }

    #[test]
    fn a_container_runtime_is_told_in_its_own_words() {
        let words = |text: &str| (*text).to_owned();
        let container = ContainerWords {
            command: vec![words("run"), words("-B"), words("{tree}")],
            each: vec![words("-m"), words("p {repository} {directory}")],
            unfit: ":".to_owned(),
        };
        let line =
            |tree: &str| container.line(tree, "/m", &[words("a.b")], &[words("i"), words("c d")]);
        assert_eq!(line("/t").unwrap(), "run -B /t -m 'p a.b /m/a.b' i 'c d'");
        assert_eq!(line("/t:u").unwrap_err(), ':');
    }
}
