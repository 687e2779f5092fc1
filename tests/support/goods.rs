//! Images, made layer by layer, for tests: what a registry has of them, and a directory in OCI's layout.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use elsewhere::stages::model::Checksum;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::tarball::Tarball;

/// Media types.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
pub const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";

/// Blobs by their digests, and manifests.
#[derive(Clone, Default)]
pub struct Goods {
    pub blobs: BTreeMap<String, Vec<u8>>,
}

impl Goods {
    /// Adds a blob, and says what points to it.
    pub fn add(&mut self, kind: &str, bytes: &[u8]) -> Value {
        let hex = Checksum::of(bytes).hex();
        self.blobs.insert(hex.clone(), bytes.to_vec());
        json!({ "mediaType": kind, "digest": format!("sha256:{hex}"), "size": bytes.len() })
    }

    /// Adds an image of these layers (media type, archive, and how it is sent), and says what points to its manifest.
    pub fn image(&mut self, config: &Value, layers: &[(&str, Tarball)]) -> Value {
        let diffs: Vec<String> =
            layers.iter().map(|(_, tar)| Checksum::of(&tar.bytes()).to_string()).collect();
        let mut whole = json!({ "architecture": "amd64", "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": diffs } });
        for (key, value) in config.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let config = self.add(CONFIG, whole.to_string().as_bytes());
        let layers: Vec<Value> =
            layers.iter().map(|(kind, tar)| self.add(kind, &packed(kind, &tar.bytes()))).collect();
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        self.add(MANIFEST, manifest.to_string().as_bytes())
    }

    /// The bytes that a descriptor points to.
    pub fn bytes(&self, descriptor: &Value) -> Vec<u8> {
        self.blobs[descriptor["digest"].as_str().unwrap().trim_start_matches("sha256:")].clone()
    }

    /// Writes a layout with this one image, called `1`.
    pub fn layout(&self, directory: &Path, manifest: &Value) {
        let blobs = directory.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        for (hex, bytes) in &self.blobs {
            fs::write(blobs.join(hex), bytes).unwrap();
        }
        let mut manifest = manifest.clone();
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "1" });
        let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
        fs::write(directory.join("index.json"), index.to_string()).unwrap();
        fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    }
}

/// An archive as registries have it.
fn packed(kind: &str, tar: &[u8]) -> Vec<u8> {
    if kind.ends_with("gzip") {
        // In two members, as some programs write it.
        let (one, two) = tar.split_at(tar.len() / 2);
        let member = |part: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap()
        };
        return [member(one), member(two)].concat();
    }
    if kind.ends_with("zstd") {
        // A frame to be passed over first, and two after it.
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let (one, two) = tar.split_at(tar.len() / 3);
        let frame = |part: &[u8]| zstd::encode_all(part, 1).unwrap();
        return [skipped, frame(one), frame(two)].concat();
    }
    tar.to_vec()
}

/// A small image's layers.
pub fn layers() -> [(&'static str, Tarball); 3] {
    let base = Tarball::new()
        .directory("usr")
        .file("usr/bin/tool", "#!/bin/sh\necho tool\n")
        .file("usr/lib/one", "1")
        .symlink("lib", "usr/lib");
    let middle = Tarball::new().file("lib/two", "2").file("usr/lib/.wh.one", "");
    let top = Tarball::new().file("etc/hosts", "127.0.0.1 own\n").file("data", vec![7; 200_000]);
    [(GZIP, base), (ZSTD, middle), (PLAIN, top)]
}
