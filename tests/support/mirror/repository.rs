//! A repository on disk: packages below `Packages/`, metadata below `repodata/`, and what the
//! distribution publishes beside it (signatures, metalinks, mirror lists).

use std::fmt::Write as _;
use std::path::PathBuf;

use elsewhere::stages::model::Checksum;

use super::MADE;
use crate::support::keys::TestKey;
use crate::support::metadata::{Listing, Repodata, beside, primary, write};
use crate::support::rpms::Package;

/// A repository that packages are being added to.
pub struct RepositoryBuilder {
    root: PathBuf,
    /// Whether packages lie in directories of their initials, as on Rocky's and EPEL's mirrors.
    by_initial: bool,
    packages: Vec<(Listing, Package)>,
    /// The text of modules.yaml.
    modules: Option<String>,
}

impl RepositoryBuilder {
    /// An empty repository in `root`.
    pub fn new(root: PathBuf, by_initial: bool) -> Self {
        Self { root, by_initial, packages: Vec::new(), modules: None }
    }

    /// Adds a package under this file name, signed.
    pub fn add(&mut self, file_name: &str, package: Package, key: &TestKey) {
        let initial = file_name[..1].to_lowercase();
        let location = match self.by_initial {
            true => format!("Packages/{initial}/{file_name}"),
            false => format!("Packages/{file_name}"),
        };
        let bytes = package.signed(key);
        write(&self.root.join(&location), &bytes);
        self.packages.push((Listing::of(&package, &bytes, location), package));
    }

    /// Adds modules.yaml.
    pub fn set_modules(&mut self, text: String) {
        self.modules = Some(text);
    }

    /// Writes the metadata, packed so, signed by `signer` where the distribution signs it, and
    /// returns the checksum of `repomd.xml`.
    pub fn finish(mut self, compressor: &'static str, signer: Option<&TestKey>) -> Checksum {
        self.packages.sort_by(|a, b| a.0.location.cmp(&b.0.location));
        let listings: Vec<Listing> = self.packages.iter().map(|(it, _)| it.clone()).collect();
        let packages: Vec<(Listing, &Package)> =
            self.packages.iter().map(|(listing, package)| (listing.clone(), package)).collect();
        let mut repodata = Repodata::new(MADE.into())
            .by_digest()
            .packed(compressor)
            .with("primary", primary(&listings));
        for (kind, text) in beside(&packages) {
            repodata = repodata.with(kind, text);
        }
        if let Some(text) = self.modules {
            repodata = repodata.with("modules", text);
        }
        let repomd = repodata.write(&self.root);
        if let Some(key) = signer {
            let signature = self.root.join("repodata/repomd.xml.asc");
            write(&signature, &key.sign_detached(&repomd));
        }
        Checksum::of(&repomd)
    }
}

/// The text of a metalink that names `repomd.xml` below each of `bases`.
pub fn metalink(repomd: &Checksum, size: u64, bases: &[String]) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <metalink version=\"3.0\" xmlns=\"http://www.metalinker.org/\" type=\"dynamic\">\n\
         <files><file name=\"repomd.xml\">\n<size>{size}</size>\n\
         <verification><hash type=\"sha256\">{}</hash></verification>\n\
         <resources maxconnections=\"1\">\n",
        repomd.hex()
    );
    for (position, base) in bases.iter().enumerate() {
        let preference = 100 - position;
        writeln!(
            text,
            "<url protocol=\"https\" type=\"https\" location=\"XX\" preference=\"{preference}\">\
             {base}repodata/repomd.xml</url>"
        )
        .unwrap();
    }
    text.push_str("</resources>\n</file></files>\n</metalink>\n");
    text
}
