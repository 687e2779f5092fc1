//! What is no image, or another one, is refused, and leaves nothing.

use serde_json::{Value, json};

use crate::shelf::{Shelf, result, said};
use crate::stocked;
use crate::support::goods::{CONFIG, GZIP, Goods, INDEX, MANIFEST, layers};
use crate::support::registry::Manners;
use crate::support::tarball::Tarball;

#[test]
fn one_other_byte_in_any_blob_is_refused() {
    let (shelf, goods) = stocked("image-flipped");
    let told: Value = result(&shelf.pull("1", &["--json"]).ok());
    let manifest = goods.bytes(&json!({ "digest": told["manifest"] }));
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    for descriptor in layers.iter().chain([&manifest["config"]]) {
        let (mut bytes, shelf) = (goods.bytes(descriptor), stocked("image-flipped").0);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let hex = descriptor["digest"].as_str().unwrap().trim_start_matches("sha256:");
        shelf.registry.put_blob(hex, &bytes);
        shelf.pull("1", &[]).refused(4, hex);
        assert!(shelf.left().is_empty(), "{:?}", shelf.left());
    }
    // And in a manifest, by its digest.
    let digest = told["manifest"].as_str().unwrap();
    let shelf = stocked("image-flipped").0;
    shelf.registry.put(&format!("lab/tool:{digest}"), b"{}");
    shelf.pull("1", &[]).refused(4, "digest");
    assert!(shelf.left().is_empty());
}

#[test]
fn a_layer_that_the_configuration_does_not_mean_is_refused() {
    let (shelf, mut goods) = (Shelf::new("image-diff"), Goods::default());
    let manifest = goods.image(&json!({}), &layers());
    let mut text: Value = serde_json::from_slice(&goods.bytes(&manifest)).unwrap();
    // Two layers in the other order: each is whole, and the image another.
    text["layers"].as_array_mut().unwrap().swap(0, 1);
    let swapped = goods.add(MANIFEST, text.to_string().as_bytes());
    shelf.stock(&goods, "1", &swapped);
    shelf.pull("1", &[]).refused(4, "is not what the image's configuration says");
    assert!(shelf.left().is_empty());
    text["layers"].as_array_mut().unwrap().pop();
    let fewer = goods.add(MANIFEST, text.to_string().as_bytes());
    shelf.stock(&goods, "1", &fewer);
    shelf.pull("1", &[]).refused(2, "another number of layers");
}

#[test]
fn what_is_no_image_for_the_machine_is_named() {
    let (shelf, mut goods) = stocked("image-none");
    let name = shelf.name("1");
    let told = said(
        &shelf
            .run(&["pull", "-a", "ppc64le", "-o", "tree", &name])
            .refused(5, "nothing for linux/ppc64le"),
    );
    assert!(told.contains("linux/amd64, linux/arm64/v8") && !told.contains("unknown"), "{told}");
    // One that is for one machine says so in its configuration.
    let arm = goods.image(&json!({ "architecture": "arm64" }), &[layers()[0].clone()]);
    shelf.stock(&goods, "arm", &arm);
    shelf.pull("arm", &[]).refused(5, "it has linux/arm64");
    // An index that says otherwise than the configuration is warned of.
    let mut wrong = arm;
    wrong["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    let index = json!({ "schemaVersion": 2, "manifests": [wrong] });
    let index = goods.add(INDEX, index.to_string().as_bytes());
    shelf.stock(&goods, "wrong", &index);
    let told = said(&shelf.pull("wrong", &[]).ok());
    assert!(told.contains("its configuration that it is for linux/arm64"), "{told}");
}

#[test]
fn what_is_no_image_is_refused_by_what_it_is() {
    let (shelf, mut goods) = (Shelf::new("image-other"), Goods::default());
    let config = goods.add(CONFIG, br#"{"os":"linux","architecture":"amd64"}"#);
    let layer = |kind: &str| json!({ "mediaType": kind, "digest": config["digest"], "size": config["size"] });
    let of = |layers: Value| json!({ "schemaVersion": 2, "config": config, "layers": layers });
    let cases = [
        (
            "old",
            json!({ "schemaVersion": 1, "fsLayers": [], "name": "x" }),
            "first version of docker's format",
        ),
        ("both", json!({ "manifests": [], "layers": [] }), "neither an index nor a manifest"),
        ("nothing", json!({}), "neither an index nor a manifest"),
        (
            "sif",
            of(json!([layer("application/vnd.sylabs.sif.layer.v1.sif")])),
            "no image of layers of files",
        ),
        ("crypt", of(json!([layer(&format!("{GZIP}+encrypted"))])), "encrypted"),
        ("more", of(json!([layer(GZIP)])), "another number of layers"),
        ("empty", json!({ "schemaVersion": 2, "manifests": [] }), "has nothing for linux/amd64"),
    ];
    for (tag, document, words) in cases {
        let root = goods.add(MANIFEST, document.to_string().as_bytes());
        shelf.stock(&goods, tag, &root);
        let status = if tag == "empty" { 5 } else { 2 };
        shelf.pull(tag, &[]).refused(status, words);
        assert!(shelf.left().is_empty(), "{tag}");
    }
    let root = goods.add(MANIFEST, b"no json");
    shelf.stock(&goods, "text", &root);
    shelf.pull("text", &[]).refused(2, "no manifest");
    shelf.pull("none", &[]).refused(3, "404");
    shelf.registry.behave(Manners { endless: true, ..Manners::default() });
    shelf.pull("text", &[]).refused(3, "");
}

#[test]
fn an_archive_that_makes_no_sense_leaves_nothing() {
    let (shelf, mut goods) = (Shelf::new("image-archive"), Goods::default());
    let manifest = goods.image(&json!({}), &[(GZIP, Tarball::new().file("a/.wh..", ""))]);
    shelf.stock(&goods, "1", &manifest);
    let told = said(&shelf.pull("1", &[]).refused(4, "hides nothing"));
    assert!(told.contains("the layer sha256:"), "{told}");
    assert!(shelf.left().is_empty());
}

#[test]
fn nothing_but_an_images_tree_is_replaced() {
    let (shelf, _) = stocked("image-place");
    shelf.scratch.write("tree/own", "o");
    for words in [&[][..], &["--replace"]] {
        shelf.pull("1", words).refused(2, "is no image's tree, and not empty");
    }
    std::fs::remove_file(shelf.place("tree/own")).unwrap();
    shelf.pull("1", &[]).ok();
    shelf.pull("1", &[]).refused(2, "--replace");
    shelf.pull("1", &["--replace"]).ok();
    shelf.scratch.write("file", "f");
    let name = shelf.name("1");
    shelf.run(&["pull", "-a", "x86_64", "-o", "file", &name]).refused(2, "is no directory");
    for name in ["", "A", "shub://a/b", "oci:"] {
        shelf.run(&["pull", name]).refused(2, name);
    }
    shelf.run(&["pull", "oci:nowhere"]).refused(6, "nowhere");
    shelf.run(&["pull", "--platform", "a/b/c/d", &name]).refused(2, "OS/ARCHITECTURE");
}
