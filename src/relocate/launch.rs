//! Programs that cannot find their libraries by `$ORIGIN` get a launcher of their own, which sets
//! `LD_LIBRARY_PATH` for them. What it sets is told as data: nobody reads a launcher's text.

use std::io;

use super::RelocateError;
use super::tree::{Tree, at};
use crate::model::{LAUNCHED_DIRECTORY, RelPath};

/// Moves the program at `path` away and puts a launcher in its place, which makes it look for its
/// libraries in `directories` of the tree. Returns where the program is now.
pub(super) fn launch(
    tree: &mut Tree,
    path: &RelPath,
    directories: &[RelPath],
) -> Result<RelPath, RelocateError> {
    let program = RelPath::new(&format!("{LAUNCHED_DIRECTORY}/{}", path.as_str()))
        .map_err(|invalid| at(path)(io::Error::other(invalid)))?;
    let mode = tree.file(path).map_or(0o755, |file| file.mode);
    tree.rename(path, &program)?;
    tree.create(path, text(path, &program, directories), mode)?;
    Ok(program)
}

/// The launcher that lies at `path` and starts `program`.
fn text(path: &RelPath, program: &RelPath, directories: &[RelPath]) -> String {
    let up = "/..".repeat(path.depth() - 1);
    let program = quoted(program.as_str());
    let libraries: Vec<String> = directories
        .iter()
        .map(|directory| format!("$_elsewhere_root/{}", quoted(directory.as_str())))
        .collect();
    let libraries = libraries.join(":");
    format!(
        r#"#!/bin/sh
# Starts the program that belongs here with its own libraries, which it cannot find by its place.
_elsewhere_self=$0
case $_elsewhere_self in
*/*) ;;
*)
    if [ -f "$_elsewhere_self" ]; then
        _elsewhere_self=./$_elsewhere_self
    else
        _elsewhere_self=$(command -v -- "$_elsewhere_self")
    fi
    ;;
esac
while [ -h "$_elsewhere_self" ]; do
    _elsewhere_link=$(readlink -- "$_elsewhere_self" && printf x)
    _elsewhere_link=${{_elsewhere_link%?x}}
    case $_elsewhere_link in
    /*) _elsewhere_self=$_elsewhere_link ;;
    *) _elsewhere_self=${{_elsewhere_self%/*}}/$_elsewhere_link ;;
    esac
done
case $_elsewhere_self in
/*) ;;
*) _elsewhere_self=$PWD/$_elsewhere_self ;;
esac
_elsewhere_root=${{_elsewhere_self%/*}}{up}
LD_LIBRARY_PATH={libraries}
export LD_LIBRARY_PATH
exec "$_elsewhere_root"/{program} "$@"
"#
    )
}

/// `path` as sh reads it: as it stands when it is plain.
fn quoted(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._+-".contains(&byte);
    match path.bytes().all(is_plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}
