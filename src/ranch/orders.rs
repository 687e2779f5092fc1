//! What is done in a root directory that was made, before the command runs there: its loader is told of libraries, and
//! variables are set. Who makes the root decides it, and leaves it beside the root for the process that becomes the command.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::shell_word;
use crate::tools::programs::{self, Listen, Patience};

/// The program of a root directory that writes its loader's cache, and where that lies.
pub(super) const LDCONFIG: &str = "/sbin/ldconfig";
const CACHE: &str = "/etc/ld.so.cache";

/// What they are called in the scratch directory, which nobody outside sees.
const NAME: &str = "orders";

/// How long the program may take: images on network file systems may be slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Orders {
    /// Variables, in order; of several of one name the last counts.
    pub(super) environment: Vec<(String, String)>,
    /// Directories whose libraries go into the loader's cache, where that can be written.
    pub(super) folders: Vec<String>,
    /// What the loader searches where there is no such cache.
    pub(super) library_path: String,
    /// What it searches beside the cache, as it would without.
    pub(super) earlier_path: String,
}

impl Orders {
    /// The variable by which the loader is told.
    pub(super) const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

    /// Leaves them in the scratch directory, where there are any.
    pub(super) fn leave(&self, scratch: &Path) -> io::Result<()> {
        match *self == Self::default() {
            true => Ok(()),
            false => fs::write(scratch.join(NAME), serde_json::to_vec(self)?),
        }
    }

    /// Those that were left there.
    pub(super) fn left(scratch: &Path) -> io::Result<Self> {
        match fs::read(scratch.join(NAME)) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Tells the loader, in the root directory, and sets `command`'s variables.
    pub(super) fn follow(&self, command: &mut Command, tell: &dyn Fn(&str)) {
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let is_cached = !self.folders.is_empty() && self.cache(tell);
        let path = if is_cached { &self.earlier_path } else { &self.library_path };
        if !path.is_empty() {
            command.env(Self::LIBRARY_PATH, path);
        }
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        // Without links: nobody may write to where its libraries are.
        ["-X", "-C", CACHE].into_iter().chain(self.folders.iter().map(String::as_str))
    }

    fn cache(&self, tell: &dyn Fn(&str)) -> bool {
        let mut command = Command::new(LDCONFIG);
        command.args(self.words());
        let why = match programs::run(command, Listen::Both, Patience::of(PATIENCE)) {
            Ok(finished) if finished.end.is_success() => return true,
            Ok(finished) => programs::tail(&finished.output),
            Err(error) => error.to_string(),
        };
        let variable = Self::LIBRARY_PATH;
        tell(&format!("the image's {LDCONFIG} failed, so {variable} is set instead: {why}"));
        false
    }

    /// A line of a shell's script that tells the loader of the root directory `root`, a word of the shell; and what sets the
    /// variables in front of a command, an empty text or words with a blank behind.
    pub(super) fn commands(&self, root: &str) -> (String, String) {
        let word = |text: &str| shell_word(text).into_owned();
        let mut line = String::new();
        let mut variables: Vec<(&str, &str)> =
            self.environment.iter().map(|(name, value)| (&**name, &**value)).collect();
        let path = match self.folders.is_empty() {
            true => &self.library_path,
            false => {
                let words: Vec<String> = self.words().map(word).collect();
                line = format!("chroot {root} {LDCONFIG} {}\n", words.join(" "));
                &self.earlier_path
            }
        };
        if !path.is_empty() {
            variables.push((Self::LIBRARY_PATH, path));
        }
        let set = |(name, value): &(&str, &str)| word(&format!("{name}={value}")) + " ";
        let words: String = variables.iter().map(set).collect();
        (line, if words.is_empty() { words } else { format!("env {words}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_says_the_same() {
        let mut orders = Orders {
            environment: vec![("A".to_owned(), "b c".to_owned())],
            folders: vec!["/.drivers/lib".to_owned()],
            library_path: "/lib:/.drivers/lib".to_owned(),
            earlier_path: String::new(),
        };
        let (line, variables) = orders.commands("\"$scratch\"/root");
        assert_eq!(
            line,
            "chroot \"$scratch\"/root /sbin/ldconfig -X -C /etc/ld.so.cache /.drivers/lib\n"
        );
        assert_eq!(variables, "env 'A=b c' ");
        orders.folders.clear();
        let (line, variables) = orders.commands("/r");
        assert_eq!(line, "");
        assert_eq!(variables, "env 'A=b c' 'LD_LIBRARY_PATH=/lib:/.drivers/lib' ");
    }
}
