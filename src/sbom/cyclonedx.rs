//! CycloneDX 1.6: <https://cyclonedx.org/docs/1.6/json/>.

use serde_json::{Value, json};

use super::license::Licence;
use super::material::{Material, RuntimeEntry, source_rpm};
use crate::model::{Algorithm, Checksum, PackageReceipt};

/// The reference of the prefix itself.
const ROOT: &str = "prefix";

/// The document.
pub(super) fn write(material: &Material<'_>) -> Value {
    let runtimes = material.runtimes();
    let components: Vec<Value> = runtimes
        .iter()
        .map(runtime)
        .chain(material.packages.iter().map(|(purl, package)| component(purl, package)))
        .collect();
    let mut dependencies = vec![json!({
        "ref": ROOT,
        "dependsOn": runtimes.iter().map(|runtime| &runtime.reference).collect::<Vec<_>>(),
    })];
    for runtime in &runtimes {
        dependencies.push(json!({"ref": runtime.reference, "dependsOn": runtime.needs}));
    }
    for (purl, needs) in material.needs() {
        dependencies.push(json!({"ref": purl, "dependsOn": needs}));
    }
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", material.uuid),
        "version": 1,
        "metadata": {
            "timestamp": material.created,
            "tools": {"components": [
                {"type": "application", "name": "elsewhere", "version": env!("CARGO_PKG_VERSION")},
            ]},
            "component": {"type": "platform", "bom-ref": ROOT, "name": "elsewhere prefix"},
        },
        "components": components,
        "dependencies": dependencies,
    })
}

fn runtime(runtime: &RuntimeEntry<'_>) -> Value {
    json!({
        "type": "application",
        "bom-ref": runtime.reference,
        "name": runtime.name,
        "version": runtime.version,
        "properties": [property("elsewhere:arch", runtime.arch)],
    })
}

fn component(purl: &str, package: &PackageReceipt) -> Value {
    let mut properties = vec![
        property("elsewhere:signed_by", package.signed_by.as_ref().map_or("", |key| key.as_str())),
        property("elsewhere:size", &package.size.to_string()),
    ];
    properties.extend(package.signed_at.map(|at| property("elsewhere:signed_at", &at.to_string())));
    properties.extend(source_rpm(package).map(|name| property("elsewhere:source_rpm", name)));
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": package.nevra.name,
        "version": package.nevra.evr.to_string(),
        "purl": purl,
        "hashes": [hash(&package.checksum)],
        "externalReferences": [{"type": "distribution", "url": package.url}],
        "properties": properties,
    });
    let licences = match Licence::of(&package.license) {
        Licence::Unknown => None,
        Licence::Expression(text) => Some(json!([{"expression": text}])),
        Licence::Name(text) => Some(json!([{"license": {"name": text}}])),
    };
    if let (Some(licences), Some(fields)) = (licences, component.as_object_mut()) {
        fields.insert("licenses".to_owned(), licences);
    }
    component
}

fn property(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

fn hash(checksum: &Checksum) -> Value {
    let algorithm = match checksum.algorithm() {
        Algorithm::Sha256 => "SHA-256",
        Algorithm::Sha384 => "SHA-384",
        Algorithm::Sha512 => "SHA-512",
    };
    json!({"alg": algorithm, "content": checksum.hex()})
}
