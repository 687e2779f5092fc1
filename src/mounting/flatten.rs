//! One file of settings, put together of many: in the order in which they count, with what they include, and with paths
//! that lead into the tree.
//!
//! The files are the shell's, of which only the program that is configured by them makes anything: it lets a shell
//! read them. Here they are text. Of a line that includes another file the path must be plain to see: variables
//! in it are those that earlier lines set to a plain value. Paths are moved where they begin a value, or
//! stand behind a colon or semicolon in one; anything else stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::MountingError;
use super::whereabouts::Whereabouts;
use crate::model::{FuseMounts, is_setting};

/// The largest file that is read, in bytes, and the largest that is made.
const LIMIT: u64 = 1 << 20;

/// How deep files may include each other.
const DEPTH: usize = 8;

/// Where files may be included from beside those places that the configuration has: what is root's.
const ROOTS: [&str; 2] = ["/etc", "/usr"];

/// The settings for `repository`, where `first` is mounted already or there is none.
///
/// # Errors
/// When a file cannot be read, or what it includes cannot be told.
pub(super) fn flatten(
    mounts: &FuseMounts,
    where_: &Whereabouts,
    repository: &str,
    first: Option<&str>,
) -> Result<Flattened, MountingError> {
    let mut moved: Vec<(&str, String)> =
        mounts.moved.iter().map(|it| (it.from.as_str(), where_.fill(&it.to))).collect();
    moved.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    let mut flat = Flat { where_, moved, known: BTreeMap::new(), made: Flattened::default() };
    let domain = repository.split_once('.').map_or(repository, |(_, domain)| domain);
    for entry in &mounts.configuration {
        let first = first.filter(|first| *first != repository);
        let entry = match (entry.strip_prefix("{first}/"), first) {
            (Some(rest), Some(first)) => format!("{{mounts}}/{first}/{rest}"),
            (Some(_), None) => continue,
            (None, _) => entry.clone(),
        };
        let entry = entry.replace("{repository}", repository).replace("{domain}", domain);
        if !entry.starts_with('{')
            && let Some((name, value)) = entry.split_once('=')
        {
            let value = where_.fill(value);
            flat.known.insert(name.to_owned(), value.clone());
            flat.made.set(name, &value);
            continue;
        }
        if entry.starts_with("{user}") && where_.user.is_none() {
            continue;
        }
        for path in files(&where_.fill(&entry))? {
            flat.add(&path, 0)?;
        }
    }
    Ok(flat.made)
}

/// One file of settings.
#[derive(Debug, Default)]
pub(super) struct Flattened {
    pub(super) text: String,
    /// What it sets.
    pub(super) names: BTreeSet<String>,
}

impl Flattened {
    /// Adds a setting, which counts more than all before.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.names.insert(name.to_owned());
        self.text.push_str(&format!("{name}='{}'\n", value.replace('\'', "'\\''")));
    }
}

/// The files that an entry means, sorted by name.
fn files(entry: &str) -> Result<Vec<PathBuf>, MountingError> {
    let Some((directory, ending)) = entry.rsplit_once("/*") else { return Ok(vec![entry.into()]) };
    let failed = |source| MountingError::Read { path: directory.into(), source };
    let listed = match fs::read_dir(directory) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        listed => listed.map_err(failed)?,
    };
    let paths = listed.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>();
    let mut paths = paths.map_err(failed)?;
    paths.retain(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ending))
    });
    paths.sort();
    Ok(paths)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

struct Flat<'a> {
    where_: &'a Whereabouts,
    /// Paths and what they become, the longest first.
    moved: Vec<(&'a str, String)>,
    /// Settings with a plain value, as the last line has them.
    known: BTreeMap<String, String>,
    made: Flattened,
}

impl Flat<'_> {
    /// Adds a file, if it is there.
    fn add(&mut self, path: &Path, depth: usize) -> Result<(), MountingError> {
        let failed = |source| MountingError::Read { path: path.to_owned(), source };
        let file = match fs::File::open(path) {
            Err(error) if is_absent(&error) => return Ok(()),
            file => file.map_err(failed)?,
        };
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(failed(io::Error::other("it is no file")));
        }
        let mut text = String::new();
        file.take(LIMIT).read_to_string(&mut text).map_err(failed)?;
        if self.made.text.len() + text.len() >= LIMIT as usize || depth > DEPTH {
            return Err(failed(io::Error::other("it is too large, or included too often")));
        }
        for (number, line) in text.lines().enumerate() {
            let wrong = |why| MountingError::Line { path: path.to_owned(), line: number + 1, why };
            match included(line.trim()) {
                Some(word) => {
                    let directory = path.parent().unwrap_or(Path::new("/"));
                    let other = self.path(word, directory).map_err(wrong)?;
                    // What includes it may be all that a condition has.
                    self.made.text.push_str(":\n");
                    self.add(&other, depth + 1)?;
                }
                None => {
                    let line = self.moved_line(line);
                    self.made.text.push_str(&line);
                    self.made.text.push('\n');
                }
            }
        }
        Ok(())
    }

    /// The file that a line includes, in words that no shell is needed for.
    fn path(&self, word: &str, directory: &Path) -> Result<PathBuf, String> {
        let word = unquoted(word);
        let mut path = String::new();
        let mut rest = word;
        while let Some((before, after)) = rest.split_once('$') {
            path.push_str(before);
            let (name, after) = match after.strip_prefix('{') {
                Some(after) => after.split_once('}').unwrap_or((after, "")),
                None => {
                    let end = after.find(|it: char| !it.is_ascii_alphanumeric() && it != '_');
                    after.split_at(end.unwrap_or(after.len()))
                }
            };
            let value = self.known.get(name).ok_or_else(|| match is_setting(name) {
                true => {
                    format!("what ${{{name}}} is cannot be told, and so not which file is included")
                }
                false => {
                    format!("{word:?} is included, and only a shell could tell which file that is")
                }
            })?;
            path.push_str(value);
            rest = after;
        }
        path.push_str(rest);
        if path.contains(|it: char| it.is_whitespace() || "`\"'\\*?[&|<>()".contains(it)) {
            return Err(format!(
                "{word:?} is included, and only a shell could tell which file that is"
            ));
        }
        let path = directory.join(self.moved_path(&path).unwrap_or(path));
        let real = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        let roots = self.where_.roots();
        let is_within = |root: PathBuf| real.starts_with(fs::canonicalize(&root).unwrap_or(root));
        let mut roots = roots.into_iter().chain(ROOTS.map(PathBuf::from));
        match roots.any(is_within) {
            true => Ok(path),
            false => {
                Err(format!("{} is included, and is no file of the configuration", path.display()))
            }
        }
    }

    /// A line, with paths that lead where its files are now; what it sets is known.
    fn moved_line(&mut self, line: &str) -> String {
        let Some((left, value)) = line.split_once('=') else { return line.to_owned() };
        let words: Vec<&str> = left.split_whitespace().collect();
        let name = match words.as_slice() {
            [name] | ["export" | "readonly", name] => *name,
            _ => return line.to_owned(),
        };
        if !is_setting(name) || left.ends_with(char::is_whitespace) {
            return line.to_owned();
        }
        let mut moved = String::new();
        let mut rest = value;
        let mut begins = true;
        while let Some(next) = rest.chars().next() {
            let (from, to) =
                match self.moved.iter().find(|(from, _)| begins && is_below(rest, from)) {
                    Some((from, to)) => (from.len(), to.as_str()),
                    None => (next.len_utf8(), rest.get(..next.len_utf8()).unwrap_or_default()),
                };
            moved.push_str(to);
            begins = ":;".contains(next) || (moved.len() == 1 && "'\"".contains(next));
            rest = rest.get(from..).unwrap_or_default();
        }
        self.made.names.insert(name.to_owned());
        let plain = unquoted(&moved);
        match plain.contains(|it: char| "$`\\\"' \t;".contains(it)) {
            true => self.known.remove(name),
            false => self.known.insert(name.to_owned(), plain.to_owned()),
        };
        format!("{left}={moved}")
    }

    fn moved_path(&self, path: &str) -> Option<String> {
        let (from, to) = self.moved.iter().find(|(from, _)| is_below(path, from))?;
        Some(format!("{to}{}", path.get(from.len()..)?))
    }
}

/// What a line includes.
fn included(line: &str) -> Option<&str> {
    let word = line.strip_prefix(". ").or_else(|| line.strip_prefix("source "))?;
    let end = word.find(" #").unwrap_or(word.len());
    Some(word.get(..end)?.trim_end_matches(';').trim())
}

/// Whether `text` begins with the path `from`, or one below it.
fn is_below(text: &str, from: &str) -> bool {
    let ends =
        |rest: &str| !rest.starts_with(|it: char| it.is_ascii_alphanumeric() || "._-".contains(it));
    text.strip_prefix(from).is_some_and(ends)
}

/// A word without its quotes, and without the comment behind it.
fn unquoted(word: &str) -> &str {
    let word = word.split_once(" #").map_or(word, |(word, _)| word).trim();
    let within = |quote| word.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whereabouts(root: &Path) -> Whereabouts {
        Whereabouts {
            tree: root.join("tree"),
            site: root.join("site"),
            user: Some(root.join("user")),
            run: root.join("run"),
            cache: root.join("cache"),
            mounts: root.join("mnt"),
        }
    }

    fn mounts() -> FuseMounts {
        toml::from_str(
            "at = '/mnt/x'\narguments = []\nunderstood = []\ncache = 'CACHE'\nconfiguration = [\n\
             '{tree}/etc/x/default.conf', '{tree}/etc/x/default.d/*.conf', '{first}/etc/x/default.conf',\n\
             '{user}/default.local', 'LOG={run}/{repository}.log', '{first}/etc/x/domain.d/{domain}.conf',\n\
             '{tree}/etc/x/config.d/{repository}.conf']\n\
             [[moved]]\nfrom = '/etc/x'\nto = '{tree}/etc/x'\n[[moved]]\nfrom = '/mnt/x'\nto = '{mounts}'\n\
             [[moved]]\nfrom = '/var/lib/x'\nto = '{cache}'\n[[moved]]\nfrom = '/var/lib/x/deep'\nto = '{run}'\n",
        )
        .unwrap()
    }

    fn scratch(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/flatten").join(name);
        let _ = fs::remove_dir_all(&root);
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn flat(root: &Path) -> Result<String, MountingError> {
        flatten(&mounts(), &whereabouts(root), "a.b.c", Some("cfg.b.c")).map(|flat| flat.text)
    }

    #[test]
    fn files_come_in_their_order_with_what_they_include() {
        let root = scratch(
            "order",
            &[
                ("tree/etc/x/default.conf", "readonly MNT=/mnt/x\nN=1\n"),
                ("tree/etc/x/default.d/20.conf", "N=3\n"),
                ("tree/etc/x/default.d/10.conf", "CFG=cfg.b.c\nN=2\n"),
                ("tree/etc/x/default.d/README", "N=never\n"),
                (
                    "mnt/cfg.b.c/etc/x/default.conf",
                    "N=4\nif true; then\n  . ${MNT}/$CFG/etc/x/common.conf # more\nfi\n",
                ),
                ("mnt/cfg.b.c/etc/x/common.conf", "N=5\nsource ../x/nowhere.conf\n"),
                ("mnt/cfg.b.c/etc/x/domain.d/b.c.conf", "N=7\n"),
                ("user/default.local", "N=6\n"),
                ("tree/etc/x/config.d/a.b.c.conf", "N=8\n"),
            ],
        );
        let text = flat(&root).unwrap();
        let lines: Vec<_> =
            text.lines().filter(|line| line.contains("N=") || line.starts_with("LOG")).collect();
        let log = format!("LOG='{}/run/a.b.c.log'", root.display());
        assert_eq!(lines, ["N=1", "N=2", "N=3", "N=4", "N=5", "N=6", &log, "N=7", "N=8"]);
        assert!(text.contains("then\n:\nN=5\n:\nfi"), "{text}");
        // Of itself the first one has no configuration.
        let alone =
            flatten(&mounts(), &whereabouts(&root), "cfg.b.c", Some("cfg.b.c")).unwrap().text;
        assert!(!alone.contains("N=4") && !alone.contains("N=7"), "{alone}");
    }

    #[test]
    fn paths_are_moved_where_they_begin_something() {
        let root = scratch(
            "moved",
            &[(
                "tree/etc/x/default.conf",
                "\
K=/etc/x/keys
  export L=\"/etc/x/a.pub:/etc/x/b.pub\"
C='/var/lib/x'
D=/var/lib/x/deep/er
E=/etc/xy:/mnt/x.y
U=\"http://host/mnt/x/@r@;file:/none\"
if [ -f /etc/x/other ]; then
  readonly M=/mnt/x
fi
V=/mnt/x/a # /etc/x
",
            )],
        );
        let (text, root) = (flat(&root).unwrap(), root.display());
        for line in [
            format!("K={root}/tree/etc/x/keys"),
            format!("  export L=\"{root}/tree/etc/x/a.pub:{root}/tree/etc/x/b.pub\""),
            format!("C='{root}/cache'"),
            format!("D={root}/run/er"),
            "E=/etc/xy:/mnt/x.y".to_owned(),
            "U=\"http://host/mnt/x/@r@;file:/none\"".to_owned(),
            "if [ -f /etc/x/other ]; then".to_owned(),
            format!("  readonly M={root}/mnt"),
            format!("V={root}/mnt/a # /etc/x"),
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }

    #[test]
    fn what_only_a_shell_could_tell_is_not_guessed() {
        for (line, because) in [
            (". $(id)/x", "only a shell"),
            (". `id`", "only a shell"),
            (". $UNKNOWN/x", "what ${UNKNOWN} is cannot be told"),
            ("A=$(id)\n. $A/x", "what ${A} is cannot be told"),
            (". /home/other/x", "no file of the configuration"),
            (". ../../../out.conf", "no file of the configuration"),
            (". /etc/x/default.conf", "included too often"),
        ] {
            let files = [("tree/etc/x/default.conf", line), ("out.conf", "A=1")];
            let root = scratch("refused", &files);
            let error = flat(&root).unwrap_err();
            let said = format!("{error}: {:?}", std::error::Error::source(&error));
            assert!(said.contains(because), "{line}: {said}");
        }
    }
}
