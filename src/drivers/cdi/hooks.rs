//! Hooks: programs of the machine that a specification names, to run in the container. None of them is run; what the
//! known ones do stands here.

use std::path::{Path, PathBuf};

use super::super::{DriverError, DriverLink, NewerLibraries};
use super::fields::malformed;
use super::kinds::is_place;
use super::spec::CdiHook;
use crate::model::escape;

/// Where a hook looks for newer libraries that names no directory, and what they are called.
const NEWER: &str = "/usr/local/cuda/compat";
const NEWER_NAME: &str = "libcuda.so.";

/// What a hook does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// It makes links.
    Links(Vec<DriverLink>),
    /// It lets the loader find libraries in these directories, and gives them the names by which they are asked for.
    Folders(Vec<PathBuf>),
    /// It lets libraries of the image come first where they are newer.
    Newer(NewerLibraries),
    /// Nothing that is of use here.
    Nothing,
    /// Nobody knows here; its name.
    Unknown(String),
}

/// What `hook` of the specification `file` does, by its arguments: the program's name, perhaps `hook`, the
/// hook's name, and options. All of these programs are called so.
pub(super) fn deed(file: &Path, hook: &CdiHook) -> Result<Deed, DriverError> {
    let mut words = hook.arguments.iter().map(String::as_str).skip(1).peekable();
    words.next_if_eq(&"hook");
    let name = words.next().unwrap_or_default();
    let words: Vec<&str> = words.collect();
    let odd = |what: &str, text: &str| {
        malformed(file, format!("{}: {what} {:?} makes no sense", hook.stands, text))
    };
    let folders = || -> Result<Vec<PathBuf>, DriverError> {
        let folders = values(&words, "folder").into_iter();
        folders
            .map(|text| {
                if is_place(Path::new(text)) {
                    Ok(text.into())
                } else {
                    Err(odd("the folder", text))
                }
            })
            .collect()
    };
    Ok(match name {
        "create-symlinks" => {
            let mut links = Vec::new();
            for text in values(&words, "link") {
                let parts = text.split_once("::").filter(|(target, place)| {
                    !target.is_empty() && !place.contains("::") && is_place(Path::new(place))
                });
                let (target, place) = parts.ok_or_else(|| odd("the link", text))?;
                let wanted_by = format!("{}: {}", file.display(), hook.stands);
                links.push(DriverLink { place: place.into(), target: target.into(), wanted_by });
            }
            Deed::Links(links)
        }
        "update-ldcache" | "create-soname-symlinks" => Deed::Folders(folders()?),
        "enable-cuda-compat" => {
            let one = |option| values(&words, option).into_iter().next_back();
            let directory = one("cuda-compat-container-root").unwrap_or(NEWER);
            if !is_place(Path::new(directory)) {
                return Err(odd("the directory", directory));
            }
            match one("host-driver-version") {
                Some(than) => Deed::Newer(NewerLibraries {
                    directory: directory.into(),
                    name: NEWER_NAME.to_owned(),
                    than: than.to_owned(),
                }),
                None => Deed::Nothing,
            }
        }
        // What is made here has these rights already, and what is the machine's keeps its own; and a user makes no device nodes.
        "chmod" | "disable-device-node-modification" | "noop" => Deed::Nothing,
        _ => {
            let program = hook.path.rsplit('/').next().unwrap_or_default();
            let name = format!("{program} {name}");
            Deed::Unknown(escape(name.trim_end()).into_owned())
        }
    })
}

/// The values of the option `--name`, in either way of writing it.
fn values<'a>(words: &[&'a str], name: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix("--").and_then(|it| it.strip_prefix(name)) else {
            continue;
        };
        match option.strip_prefix('=') {
            Some(value) => found.push(value),
            None if option.is_empty() => found.extend(words.next()),
            None => {}
        }
    }
    found
}
