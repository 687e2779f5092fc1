//! SPDX 2.3: <https://spdx.github.io/spdx-spec/v2.3/>.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::license::Licence;
use super::material::{Material, RuntimeEntry, source_rpm};
use crate::model::{Algorithm, Checksum, PackageReceipt};

/// What is not known, or not said.
const NOT_SAID: &str = "NOASSERTION";
const DOCUMENT: &str = "SPDXRef-DOCUMENT";

/// The document.
pub(super) fn write(material: &Material<'_>) -> Value {
    let runtimes = material.runtimes();
    let mut other_licences = BTreeMap::new();
    let mut packages: Vec<Value> = runtimes.iter().map(runtime).collect();
    for (purl, package) in &material.packages {
        packages.push(describe(purl, package, &mut other_licences));
    }
    let extracted: Vec<Value> = other_licences
        .iter()
        .map(|(id, text)| json!({"licenseId": id, "name": text, "extractedText": text}))
        .collect();
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": "elsewhere prefix",
        "documentNamespace": format!("urn:uuid:{}", material.uuid),
        "creationInfo": {
            "created": material.created,
            "creators": [format!("Tool: elsewhere-{}", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "hasExtractedLicensingInfos": extracted,
        "relationships": relationships(material, &runtimes),
    })
}

fn relationships(material: &Material<'_>, runtimes: &[RuntimeEntry<'_>]) -> Vec<Value> {
    let relation = |from: &str, kind: &str, to: &str| json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to});
    let mut relations = Vec::new();
    for runtime in runtimes {
        let from = reference(&runtime.reference);
        relations.push(relation(DOCUMENT, "DESCRIBES", &from));
        let needs = runtime.needs.iter();
        relations.extend(needs.map(|to| relation(&from, "DEPENDS_ON", &reference(to))));
    }
    for (purl, needs) in material.needs() {
        let from = reference(&purl);
        let needs = needs.iter();
        relations.extend(needs.map(|to| relation(&from, "DEPENDS_ON", &reference(to))));
    }
    relations
}

fn runtime(runtime: &RuntimeEntry<'_>) -> Value {
    json!({
        "SPDXID": reference(&runtime.reference),
        "name": runtime.name,
        "versionInfo": runtime.version,
        "downloadLocation": NOT_SAID,
        "filesAnalyzed": false,
        "licenseConcluded": NOT_SAID,
        "licenseDeclared": NOT_SAID,
        "copyrightText": NOT_SAID,
        "comment": format!("for {}", runtime.arch),
    })
}

fn describe(purl: &str, package: &PackageReceipt, others: &mut BTreeMap<String, String>) -> Value {
    let licence = match Licence::of(&package.license) {
        Licence::Unknown => NOT_SAID.to_owned(),
        Licence::Expression(text) => text.to_owned(),
        Licence::Name(text) => {
            let id = format!("LicenseRef-{}", Checksum::of(text.as_bytes()).hex());
            others.insert(id.clone(), text.to_owned());
            id
        }
    };
    let is_web = package.url.starts_with("https://") || package.url.starts_with("http://");
    let signer = package
        .signed_by
        .as_ref()
        .map_or("not signed".to_owned(), |key| format!("signed by {key}"));
    let source = source_rpm(package).map_or(String::new(), |name| format!("; built from {name}"));
    json!({
        "SPDXID": reference(purl),
        "name": package.nevra.name,
        "versionInfo": package.nevra.evr.to_string(),
        "packageFileName": package.location.rsplit('/').next(),
        "downloadLocation": if is_web { package.url.as_str() } else { NOT_SAID },
        "filesAnalyzed": false,
        "checksums": [checksum(&package.checksum)],
        "licenseConcluded": NOT_SAID,
        "licenseDeclared": licence,
        "copyrightText": NOT_SAID,
        "sourceInfo": format!("{signer}{source}"),
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": purl,
        }],
    })
}

fn checksum(checksum: &Checksum) -> Value {
    let algorithm = match checksum.algorithm() {
        Algorithm::Sha256 => "SHA256",
        Algorithm::Sha384 => "SHA384",
        Algorithm::Sha512 => "SHA512",
    };
    json!({"algorithm": algorithm, "checksumValue": checksum.hex()})
}

/// An identifier of the document's own: letters, digits, `.` and `-` are allowed. The digest keeps
/// apart what looks the same without the other characters.
fn reference(name: &str) -> String {
    let plain = |character: char| match character.is_ascii_alphanumeric() || character == '.' {
        true => character,
        false => '-',
    };
    let digest = Checksum::of(name.as_bytes()).first_digits(8);
    format!("SPDXRef-{}-{digest}", name.chars().map(plain).collect::<String>())
}
