//! Layers of images become the files that they say, below one directory.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod forms;
mod hostile;
mod over;

use std::collections::BTreeMap;
use std::path::PathBuf;

use elsewhere::stages::layers::{ImageNode, ImageTree, LayerError, apply};
use elsewhere::stages::model::Checksum;
use elsewhere::stages::report::Silent;

use support::jail::Jail;
use support::tarball::Tarball;

/// Applies archives one over the other.
fn apply_all(jail: &Jail, layers: &[Vec<u8>]) -> Result<BTreeMap<PathBuf, ImageNode>, LayerError> {
    let root = jail.dir();
    let mut tree = ImageTree::new(&root);
    for layer in layers {
        let digest = apply(&mut tree, &mut layer.as_slice(), &Silent::default())?;
        assert_eq!(digest, Checksum::of(layer), "the digest is of all bytes");
    }
    tree.finish();
    Ok(tree.nodes().clone())
}

/// The same, and what lies there: `PATH WHAT`.
fn tree_of(layers: &[Tarball]) -> Vec<String> {
    let jail = Jail::new();
    let layers: Vec<_> = layers.iter().map(Tarball::bytes).collect();
    let nodes = apply_all(&jail, &layers).unwrap();
    let listing = jail.tree_listing();
    let known = nodes.keys().map(|path| path.to_string_lossy().into_owned());
    let known: Vec<_> = known.filter(|path| !path.is_empty()).collect();
    assert_eq!(known, listing.keys().cloned().collect::<Vec<_>>(), "what is there is known");
    listing.into_iter().map(|(path, what)| format!("{path} {what}")).collect()
}

/// The names alone, and links.
fn names_of(layers: &[Tarball]) -> Vec<String> {
    let short = |line: String| match line.split_once(" -> ") {
        Some(_) => line,
        None => line.split(' ').next().unwrap().to_owned(),
    };
    tree_of(layers).into_iter().map(short).collect()
}

/// The words of the refusal of layers.
fn refusal(layers: &[Tarball]) -> String {
    let layers: Vec<_> = layers.iter().map(Tarball::bytes).collect();
    apply_all(&Jail::new(), &layers).unwrap_err().to_string()
}
