//! Bills of materials: what is in them, and that the same prefix gives the same bytes.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use elsewhere::stages::model::Checksum;
use serde_json::{Value, json};
use support::site::Site;

fn sbom(site: &Site, format: &str) -> Value {
    let file = site.scratch.path().join("sbom.json");
    let words = ["--format", format, "-o", file.to_str().unwrap()];
    let program = site.elsewhere().arg("sbom").args(words).arg(site.prefix()).output().unwrap();
    assert!(program.status.success(), "{program:?}");
    let first = fs::read(&file).unwrap();
    let again =
        site.elsewhere().args(["sbom", "--format", format]).arg(site.prefix()).output().unwrap();
    assert_eq!(first, again.stdout);
    serde_json::from_slice(&first).unwrap()
}

const HELLO: &str = "pkg:rpm/hello@1.0-1.el9?arch=x86_64&distro=lab";
const DATA: &str = "pkg:rpm/hello-data@1.0-1.el9?arch=x86_64&distro=lab";

#[test]
fn cyclonedx_names_every_package() {
    let site = Site::new("sbom-cyclonedx");
    site.install(&[]).ok();
    let document = sbom(&site, "cyclonedx");
    assert_eq!(document["specVersion"], "1.6");
    let components = document["components"].as_array().unwrap();
    let names: Vec<&Value> = components.iter().map(|component| &component["bom-ref"]).collect();
    assert_eq!(names, [&json!("runtime:hello:x86_64"), &json!(DATA), &json!(HELLO)]);
    let hello = &components[2];
    let file = fs::read(site.file("base/Packages/hello-1.0-1.el9.x86_64.rpm")).unwrap();
    let digest = Checksum::of(&file);
    assert_eq!(hello["hashes"], json!([{"alg": "SHA-256", "content": digest.hex()}]));
    assert_eq!(hello["licenses"], json!([{"expression": "MIT"}]));
    let url = "https://forged.example/base/Packages/hello-1.0-1.el9.x86_64.rpm";
    assert_eq!(hello["externalReferences"], json!([{"type": "distribution", "url": url}]));
    let dependencies = json!([
        {"ref": "prefix", "dependsOn": ["runtime:hello:x86_64"]},
        {"ref": "runtime:hello:x86_64", "dependsOn": [HELLO]},
        {"ref": DATA, "dependsOn": []},
        {"ref": HELLO, "dependsOn": [DATA]},
    ]);
    assert_eq!(document["dependencies"], dependencies);
    assert!(!document.to_string().contains(site.scratch.path().to_str().unwrap()));
}

#[test]
fn spdx_relates_every_package() {
    let site = Site::new("sbom-spdx");
    site.install(&[]).ok();
    let document = sbom(&site, "spdx");
    let packages = document["packages"].as_array().unwrap();
    let purls: Vec<&Value> = packages[1..]
        .iter()
        .map(|package| &package["externalRefs"][0]["referenceLocator"])
        .collect();
    assert_eq!(purls, [&json!(DATA), &json!(HELLO)]);
    assert_eq!(packages[2]["licenseDeclared"], "MIT");
    let relations = document["relationships"].as_array().unwrap();
    let relation = |from: &Value, to: &Value, kind: &str| {
        relations.contains(&json!({
            "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to,
        }))
    };
    let ids: Vec<&Value> = packages.iter().map(|package| &package["SPDXID"]).collect();
    assert!(relation(&json!("SPDXRef-DOCUMENT"), ids[0], "DESCRIBES"));
    assert!(relation(ids[0], ids[2], "DEPENDS_ON"));
    assert!(relation(ids[2], ids[1], "DEPENDS_ON"));
}
