//! A repository on disk: packages below `Packages/`, metadata below `repodata/`, and what the
//! distribution publishes beside it (signatures, metalinks, mirror lists).

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use elsewhere::model::Checksum;
use flate2::{Compression, GzBuilder};
use rpmrepo_metadata::{
    ChecksumType, CompressionType, Package, PackageFileOptions, RepomdRecord, RepositoryOptions,
    RepositoryWriter,
};

use super::keys::{Key, MADE};

/// A repository that packages are being added to.
pub struct RepositoryBuilder {
    root: PathBuf,
    /// Whether packages lie in directories of their initials, as on Rocky's and EPEL's mirrors.
    by_initial: bool,
    /// Paths relative to `root`.
    packages: Vec<String>,
    /// The text of modules.yaml.
    modules: Option<String>,
}

impl RepositoryBuilder {
    /// An empty repository in `root`.
    pub fn new(root: PathBuf, by_initial: bool) -> Self {
        Self { root, by_initial, packages: Vec::new(), modules: None }
    }

    /// Adds a package file.
    pub fn add(&mut self, file_name: &str, bytes: &[u8]) {
        let initial = file_name[..1].to_lowercase();
        let location = match self.by_initial {
            true => format!("Packages/{initial}/{file_name}"),
            false => format!("Packages/{file_name}"),
        };
        write(&self.root.join(&location), bytes);
        self.packages.push(location);
    }

    /// Adds modules.yaml.
    pub fn set_modules(&mut self, text: String) {
        self.modules = Some(text);
    }

    /// Writes the metadata, signed by `signer` where the distribution signs it, and returns the
    /// checksum of `repomd.xml`.
    pub fn finish(mut self, compression: CompressionType, signer: Option<&Key>) -> Checksum {
        self.packages.sort();
        let options = RepositoryOptions::default().compression_type(compression);
        let mut writer =
            RepositoryWriter::new_with_options(&self.root, self.packages.len(), options).unwrap();
        for location in self.packages {
            let file = self.root.join(&location);
            let options =
                PackageFileOptions { location_href: Some(location), ..Default::default() };
            writer.add_package(&Package::from_file_with_options(file, options).unwrap()).unwrap();
        }
        if let Some(text) = &self.modules {
            let path = Path::new("repodata/modules.yaml.gz");
            write(&self.root.join(path), &gzip(text.as_bytes()));
            let record = RepomdRecord::new("modules", path, &self.root, ChecksumType::Sha256);
            writer.repomd_mut().add_record(record.unwrap());
        }
        writer.repomd_mut().set_revision(&MADE.to_string());
        writer.finish().unwrap();
        let file = self.root.join("repodata/repomd.xml");
        let repomd = date(&fs::read_to_string(&file).unwrap());
        write(&file, repomd.as_bytes());
        if let Some(key) = signer {
            write(&file.with_extension("xml.asc"), key.sign(repomd.as_bytes()).as_bytes());
        }
        Checksum::of(repomd.as_bytes())
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

/// Writes a file, with its directories, dated as the mirror is.
pub fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = fs::File::create(path).unwrap();
    file.write_all(bytes).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(MADE.into())).unwrap();
}

/// `repomd.xml` with every file dated as the mirror is, so that the same mirror has the same bytes.
fn date(repomd: &str) -> String {
    let mut parts = repomd.split("<timestamp>");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        write!(text, "<timestamp>{MADE}{rest}").unwrap();
    }
    text
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
