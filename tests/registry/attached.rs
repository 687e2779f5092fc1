//! What stands beside an artifact: a librarian's signature, which somebody asks for, and a bill of materials.

use std::fs;

use elsewhere::stages::model::Checksum;
use serde_json::Value;

use crate::file;
use crate::shop::{Shop, count, digest};
use crate::support::registry::{Manners, Real};
use crate::support::site::Outcome;

/// Pushes it signed.
fn signed(shop: &Shop) -> Outcome {
    shop.push(&["--sign", "-s", &file("minisign/librarian.key")]).ok()
}

/// Installs it where this key must have signed it.
fn install(shop: &Shop, key: &str) -> Outcome {
    shop.install(&["--verify-key", &file(key)])
}

/// The list under the tag of what was pushed, and all that is about it.
fn listed(shop: &Shop) -> (String, Vec<Value>) {
    let (_, manifests) = shop.registry.content();
    let index = Checksum::of(&manifests["lab/hello:1.0"]);
    let tag = format!("lab/hello:sha256-{}", index.hex());
    let list = manifests.get(&tag).map(|list| serde_json::from_slice::<Value>(list).unwrap());
    let entries = list.map(|list| list["manifests"].as_array().unwrap().clone());
    (tag, entries.unwrap_or_default())
}

#[test]
fn an_artifact_counts_that_the_librarian_signed_and_no_other() {
    let shop = Shop::stocked("registry-signed");
    // One that lists what is about others itself, page by page, and one that leaves it to those who push.
    for referrers in [None, Some(1)] {
        shop.registry.behave(Manners { referrers, ..Manners::default() });
        shop.registry.log();
        install(&shop, "minisign/librarian.pub")
            .refused(4, "no key of --verify-key signed it: there is no signature beside it");
        let log = shop.registry.log();
        assert_eq!(count(&log, "/blobs/"), 0, "{log:#?}");
        signed(&shop);
        signed(&shop);
        let told = install(&shop, "minisign/librarian.pub").ok();
        assert!(told.err.contains("runtimes:hello-1.0 (x86_64)"), "{}", told.err);
        assert!(told.err.contains("its packages must be signed by their distributors besides"));
        shop.works("1.0");
        install(&shop, "release/other.pub").refused(4, "it is by the key");
        // Of several keys one is enough, and each of several signatures is looked at.
        let both = [file("release/other.pub"), file("minisign/librarian.pub")];
        shop.install(&["--verify-key", &both[0], "--verify-key", &both[1]]).ok();
        // What has another digest is not what was signed.
        let (_, manifests) = shop.registry.content();
        let mut index: Value = serde_json::from_slice(&manifests["lab/hello:1.0"]).unwrap();
        index["annotations"]["more"] = "than was signed".into();
        shop.registry.put("lab/hello:1.0", index.to_string().as_bytes());
        install(&shop, "minisign/librarian.pub").refused(4, "there is no signature beside it");
        let place = shop.site.place("signed-mirror");
        let words = ["mirror", "--from", &shop.hello(), "--verify-key", &both[1]];
        shop.run(&[&words[..], &[place.to_str().unwrap()]].concat()).refused(4, "--verify-key");
        shop.registry.put("lab/hello:1.0", &manifests["lab/hello:1.0"]);
        let entries = listed(&shop).1.len();
        assert_eq!(entries, usize::from(referrers.is_none()), "it is signed once, in one list");
        shop.registry.forget();
        shop.registry.behave(Manners::default());
        shop.push(&[]).ok();
    }
    let mirror = shop.site.mirror();
    let words = ["install", "--from", mirror.to_str().unwrap(), "--verify-key", &file("x"), "p"];
    shop.run(&words).refused(2, "it is what a registry has");
    shop.install(&["--verify-key", &file("minisign/README")]).refused(2, "it is no public key");
    shop.push(&["--sign", "-s", &file("minisign/README")]).refused(2, "it is no secret key");
}

#[test]
fn a_signature_that_is_forged_or_endless_says_nothing() {
    let shop = Shop::new("registry-forged-signature");
    signed(&shop);
    let (tag, entries) = listed(&shop);
    let (_, manifests) = shop.registry.content();
    let name = format!("lab/hello:{}", entries[0]["digest"].as_str().unwrap());
    let manifest: Value = serde_json::from_slice(&manifests[&name]).unwrap();
    let forged = |change: &dyn Fn(&mut Value)| {
        let mut manifest = manifest.clone();
        change(&mut manifest);
        let bytes = manifest.to_string().into_bytes();
        let digest = format!("sha256:{}", Checksum::of(&bytes).hex());
        shop.registry.put(&format!("lab/hello:{digest}"), &bytes);
        let mut entry = entries[0].clone();
        (entry["digest"], entry["size"]) = (digest.into(), bytes.len().into());
        let list = serde_json::json!({ "schemaVersion": 2, "manifests": [entry] });
        shop.registry.put(&tag, list.to_string().as_bytes());
        install(&shop, "minisign/librarian.pub")
    };
    forged(&|_| {}).ok();
    let config = manifest["config"]["digest"].clone();
    forged(&|it| it["layers"][0]["size"] = (1_u64 << 40).into()).refused(4, "--verify-key");
    forged(&|it| it["layers"][0]["digest"] = config.clone()).refused(4, "--verify-key");
    forged(&|it| it["layers"] = Value::Null).refused(4, "none that `elsewhere push` makes");
    for list in ["[]", "{\"schemaVersion\":2}", "", "{\"manifests\": 4}"] {
        shop.registry.put(&tag, list.as_bytes());
        let told = install(&shop, "minisign/librarian.pub");
        assert_ne!(told.status, 0, "{list}: {}", told.err);
        assert!(!shop.site.prefix().join("bin").exists(), "{list}");
    }
}

#[test]
fn what_others_put_beside_it_at_the_same_time_stays() {
    for conditions in [true, false] {
        let shop = Shop::stocked("registry-race");
        shop.registry.behave(Manners { races: 3, conditions, ..Manners::default() });
        signed(&shop);
        let entries = listed(&shop).1;
        assert_eq!(entries.len(), 4, "conditions: {conditions}: {entries:#?}");
        let others = entries.iter().filter(|entry| entry["data"] == "e30=").count();
        assert_eq!(others, 3, "with all that they say: {entries:#?}");
        shop.registry.behave(Manners::default());
        install(&shop, "minisign/librarian.pub").ok();
        // Somebody who never stops is not waited for.
        shop.registry.behave(Manners { races: usize::MAX, conditions, ..Manners::default() });
        shop.push(&["--sbom"]).refused(3, "others write its list");
    }
}

#[test]
fn a_bill_of_materials_stands_beside_it_and_is_the_same_twice() {
    let shop = Shop::new("registry-sbom");
    shop.push(&["--sbom"]).ok();
    shop.push(&["--sbom=spdx"]).ok();
    let before = shop.registry.content();
    fs::remove_dir_all(shop.site.cache()).unwrap();
    shop.push(&["--sbom"]).ok();
    assert!(shop.registry.content() == before, "the same plan gives the same bill");
    let (blobs, manifests) = before;
    let entries = listed(&shop).1;
    let kinds: Vec<_> = entries.iter().map(|it| it["artifactType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["application/vnd.cyclonedx+json", "application/spdx+json"]);
    let name = format!("lab/hello:{}", entries[0]["digest"].as_str().unwrap());
    let manifest: Value = serde_json::from_slice(&manifests[&name]).unwrap();
    let digest = manifest["layers"][0]["digest"].as_str().unwrap().trim_start_matches("sha256:");
    let bill: Value = serde_json::from_slice(&blobs[digest]).unwrap();
    shop.install(&[]).ok();
    let prefix = shop.site.prefix();
    let installed = shop.run_at_prefix(&["sbom", prefix.to_str().unwrap()]).ok();
    let installed: Value = serde_json::from_str(&installed.out).unwrap();
    // But for the time and the number that it is in, it is what an install says.
    assert_eq!(bill["components"], installed["components"]);
    assert_eq!(bill["dependencies"], installed["dependencies"]);
}

#[test]
fn what_is_in_the_cache_is_not_asked_for() {
    let shop = Shop::stocked("registry-cached");
    shop.install(&[]).ok();
    shop.registry.log();
    let again = |reference: &str, words: &[&str]| {
        let _ = fs::remove_dir_all(shop.site.prefix());
        let prefix = shop.site.prefix();
        let basic = ["install", "--from", reference, "-a", "x86_64", prefix.to_str().unwrap()];
        shop.run(&[&basic, words].concat())
    };
    again(&shop.hello(), &[]).ok();
    assert_eq!(shop.registry.log(), ["GET /v2/lab/hello/manifests/1.0"]);
    let pushed = digest(&shop.push(&[]).ok());
    shop.registry.log();
    again(&pushed, &["--offline"]).ok();
    shop.works("1.0");
    again(&pushed, &[]).ok();
    assert_eq!(shop.registry.log(), [""; 0]);
}

#[test]
fn a_registry_takes_blobs_from_another_repository_of_its_own() {
    let shop = Shop::new("registry-mount");
    let real = Real::start(&shop.site.place("real"));
    let place = |name: &str| format!("oci://{}/{name}:1.0", real.address);
    let told = |outcome: Outcome| -> (u64, u64, u64) {
        let last: Value = serde_json::from_str(outcome.ok().out.lines().last().unwrap()).unwrap();
        let number = |name: &str| last[name].as_u64().unwrap();
        (number("blobs"), number("mounted"), number("moved"))
    };
    let (blobs, mounted, moved) = told(shop.push_to(&place("lab/one"), &["--json"]));
    assert_eq!((mounted, moved), (0, blobs));
    let words = ["--json", "--mount-from", "lab/one"];
    assert_eq!(told(shop.push_to(&place("lab/two"), &words)), (blobs, blobs, 0));
    assert_eq!(told(shop.push_to(&place("lab/two"), &words)), (blobs, 0, 0));
    // What is pushed from there is known to be there.
    let words = ["--json", "--from", &place("lab/two")];
    assert_eq!(told(shop.push_to(&place("lab/three"), &words)), (blobs, blobs, 0));
    // What is not there, or may not be had, is sent.
    shop.renew();
    let (blobs, mounted, moved) = {
        let words = ["--json", "--mount-from", "lab/one"];
        told(shop.push_to(&place("lab/four"), &words))
    };
    assert!(mounted > 0 && moved > 0 && mounted + moved == blobs, "{blobs} {mounted} {moved}");
    shop.install_of(&place("lab/four"), &[]).ok();
    shop.works("2.0");
    shop.registry
        .behave(Manners { status: Some(("mount=", 403, usize::MAX)), ..Manners::default() });
    shop.push(&["--mount-from", "lab/none"]).ok();
}

#[test]
fn a_registry_that_does_not_answer_is_told_of_as_one() {
    let shop = Shop::new("registry-silent");
    let told = shop.install_of("oci://127.0.0.1:1/lab/hello:1", &[]).refused(3, "127.0.0.1:1");
    assert!(!told.err.contains("--mirror"), "{}", told.err);
    assert!(told.err.contains("a copy in another registry"), "{}", told.err);
    let offline = shop.install_of("oci://127.0.0.1:1/lab/hello:1", &["--offline"]);
    assert!(offline.refused(3, "--offline").err.contains("@sha256:"));
}
