//! Symlinks: absolute ones become relative, none climbs out of the tree, and those that lead
//! nowhere are told.

use super::RelocateError;
use super::tree::Tree;
use crate::elf::{Led, Places};
use crate::model::{FileKind, RelPath, escape};

/// What becomes of a symlink.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    /// Gets this text.
    Rewritten(String),
    /// Kept, though the tree has nothing there.
    Dangling,
    /// Removed: it would lead out of the tree, wherever that lies.
    Removed,
}

/// Puts every symlink of `tree` right, and tells in `warnings` of those that lead nowhere.
pub(super) fn settle(tree: &mut Tree, warnings: &mut Vec<String>) -> Result<(), RelocateError> {
    let fates: Vec<(RelPath, String, Fate)> = {
        let places = Places::of(tree.files());
        let links = tree.files().filter_map(|file| match &file.kind {
            FileKind::Symlink { target } => Some((file.path.clone(), target.clone())),
            _ => None,
        });
        links
            .map(|(path, text)| {
                let fate = fate(&places, &path, &text);
                (path, text, fate)
            })
            .collect()
    };
    for (path, text, fate) in fates {
        match fate {
            Fate::Kept => {}
            Fate::Rewritten(text) => tree.make_link(&path, &text)?,
            Fate::Dangling => warnings
                .push(format!("{path} leads to {}, which the tree does not have", escape(&text))),
            Fate::Removed => {
                tree.remove(&path)?;
                warnings.push(format!(
                    "{path} was left out: it leads out of the tree, to {}",
                    escape(&text)
                ));
            }
        }
    }
    Ok(())
}

fn fate(places: &Places, path: &RelPath, text: &str) -> Fate {
    let is_absolute = text.starts_with('/');
    match places.follow(path, text) {
        Led::To(_) if is_plain(path, text) => Fate::Kept,
        Led::To(real) => Fate::Rewritten(path.link_text_to(&direct(places, path, text, real))),
        // Of the host's files, such as /proc/mounts, nothing is known.
        Led::Nowhere if is_absolute => Fate::Dangling,
        Led::Nowhere if path.resolve_link(text).is_some() => Fate::Dangling,
        Led::Nowhere | Led::Out => from_usr(places, path, text)
            .map_or(if is_absolute { Fate::Dangling } else { Fate::Removed }, |target| {
                Fate::Rewritten(path.link_text_to(&target))
            }),
    }
}

/// Whether the text leads on disk where it leads by its meaning: relative, and not by way of
/// `usr`, which the tree does not have.
fn is_plain(path: &RelPath, text: &str) -> bool {
    let target = path.resolve_link(text);
    !text.starts_with('/')
        && target
            .is_none_or(|target| target.as_str() != "usr" && !target.as_str().starts_with("usr/"))
}

/// The place that the text names, when it leads to `real`; else `real` itself. A chain of links
/// stays a chain.
fn direct(places: &Places, path: &RelPath, text: &str, real: RelPath) -> RelPath {
    let named = path.resolve_link(text).and_then(|named| RelPath::in_tree(named.as_str()).ok()?);
    let same = |named: &RelPath| places.real(named.as_str()) == Led::To(real.clone());
    named.filter(same).unwrap_or(real)
}

/// Where the link led before `usr` was merged into the root: `/usr/bin/x -> ../../etc/y`.
fn from_usr(places: &Places, path: &RelPath, text: &str) -> Option<RelPath> {
    let before = RelPath::new(&format!("usr/{}", path.as_str())).ok()?;
    let target = RelPath::in_tree(before.resolve_link(text)?.as_str()).ok()??;
    matches!(places.real(target.as_str()), Led::To(_)).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ReceiptFile;

    fn entry(path: &str, kind: FileKind) -> ReceiptFile {
        let path = RelPath::new(path).unwrap();
        ReceiptFile { path, kind, mode: 0o755, package: None, config: false }
    }

    fn fate_of(path: &str, text: &str) -> Fate {
        let link = |text: &str| FileKind::Symlink { target: text.to_owned() };
        let files = [
            entry("bin", FileKind::Directory),
            entry("etc/alternatives", FileKind::Directory),
            entry("lib64/deep/er", FileKind::Directory),
            entry("lib64/chain", link("/usr/lib64/deep")),
            entry("top", link("lib64/deep/er")),
            entry("lib64/deep/short", link("../../bin")),
        ];
        fate(&Places::of(&files), &RelPath::new(path).unwrap(), text)
    }

    #[test]
    fn absolute_links_become_relative() {
        let to = |text: &str| Fate::Rewritten(text.to_owned());
        assert_eq!(fate_of("bin/x", "/usr/lib64/deep"), to("../lib64/deep"));
        assert_eq!(fate_of("bin/x", "/etc/alternatives"), to("../etc/alternatives"));
        assert_eq!(fate_of("bin/x", "/lib64/chain/er"), to("../lib64/chain/er"));
    }

    #[test]
    fn links_are_read_as_they_were_before_usr_was_merged() {
        let to = |text: &str| Fate::Rewritten(text.to_owned());
        assert_eq!(fate_of("bin/x", "../../etc/alternatives"), to("../etc/alternatives"));
        assert_eq!(fate_of("etc/x", "../usr/lib64/deep"), to("../lib64/deep"));
        assert_eq!(fate_of("bin/x", "../lib64/deep"), Fate::Kept);
    }

    #[test]
    fn nothing_relative_climbs_out() {
        assert_eq!(fate_of("bin/x", "../../../etc/passwd"), Fate::Removed);
        assert_eq!(fate_of("bin/x", "../.."), Fate::Removed);
        assert_eq!(fate_of("bin/x", "../../bin/none"), Fate::Removed);
        // Its text looks harmless, but it goes through a link to a place nearer to the root.
        assert_eq!(fate_of("lib64/x", "deep/short/../../passwd"), Fate::Removed);
    }

    #[test]
    fn links_to_what_is_missing_are_told() {
        assert_eq!(fate_of("bin/x", "y"), Fate::Dangling);
        assert_eq!(fate_of("bin/x", "/proc/mounts"), Fate::Dangling);
        assert_eq!(fate_of("bin/x", "x"), Fate::Dangling);
    }
}
