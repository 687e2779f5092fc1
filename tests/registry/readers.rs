//! Others' programs read what is pushed, and others' registries take it. What cannot be built here is named.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use elsewhere::stages::model::Checksum;
use serde_json::Value;

use crate::file;
use crate::shop::{Shop, digest};
use crate::support::golang::{CRANE, ORAS, REGISTRY, built};
use crate::support::program;
use crate::support::registry::Real;
use crate::support::tools::{files_below, find, missing, run, stdout};

/// go-containerregistry's registry, which ends with this.
struct Forgetful(Child, String);

impl Forgetful {
    fn start(program: &Path) -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let mut command = Command::new(program);
        program::alone(&mut command).args(["-port", &free.port().to_string()]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut started = Self(child, free.to_string());
        for _ in 0..500 {
            if TcpStream::connect(free).is_ok() {
                return started;
            }
            assert!(started.0.try_wait().unwrap().is_none(), "the registry does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the registry does not answer");
    }
}

impl Drop for Forgetful {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program on its own: not with this machine's files of passwords.
fn alone(program: &Path, shop: &Shop) -> Command {
    let mut command = Command::new(program);
    program::alone(&mut command).env("HOME", shop.site.place("home"));
    command
}

/// Pushes it signed and with a bill, installs it by that, and returns its reference with its digest.
fn pushed(shop: &Shop, address: &str) -> String {
    let reference = format!("oci://{address}/lab/hello:1.0");
    let words = ["--sbom", "-s", &file("minisign/librarian.key")];
    let pushed = digest(&shop.push_to(&reference, &words).ok());
    let key = file("minisign/librarian.pub");
    shop.install_of(&reference, &["--verify-key", &key]).ok();
    shop.works("1.0");
    shop.install_of(&pushed, &["--verify-key", &key]).ok();
    pushed
}

#[test]
fn go_containerregistrys_registry_takes_it_and_gives_it_back() {
    let Some(program) = built(&REGISTRY) else { return };
    let shop = Shop::new("registry-forgetful");
    let registry = Forgetful::start(&program);
    let first = pushed(&shop, &registry.1);
    shop.renew();
    let reference = format!("oci://{}/lab/hello:1.0", registry.1);
    shop.push_to(&reference, &[]).ok();
    shop.install_of(&reference, &[]).ok();
    shop.works("2.0");
    shop.install_of(&first, &[]).ok();
    shop.works("1.0");
}

#[test]
fn crane_reads_and_copies_what_is_pushed() {
    let Some(program) = built(&CRANE) else { return };
    let shop = Shop::new("registry-crane");
    let real = Real::start(&shop.site.place("real"));
    let pushed = pushed(&shop, &real.address);
    let digest = pushed.rsplit_once('@').unwrap().1;
    let place = format!("{}/lab/hello:1.0", real.address);
    let crane = |words: &[&str]| stdout(alone(&program, &shop).args(words));
    assert_eq!(crane(&["digest", &place]), digest);
    let index = run(alone(&program, &shop).args(["manifest", &place])).stdout;
    assert_eq!(Checksum::of(&index).hex(), digest.trim_start_matches("sha256:"));
    let copy = format!("{}/copies/hello:1.0", real.address);
    crane(&["copy", &place, &copy]);
    assert_eq!(crane(&["digest", &copy]), digest);
    shop.install_of(&format!("oci://{copy}"), &[]).ok();
    shop.works("1.0");
}

#[test]
fn skopeo_reads_and_copies_what_is_pushed() {
    let Some(skopeo) = find("skopeo") else {
        missing("skopeo: it is not installed");
        return;
    };
    let shop = Shop::new("registry-skopeo");
    let real = Real::start(&shop.site.place("real"));
    let pushed = pushed(&shop, &real.address);
    let digest = pushed.rsplit_once("@sha256:").unwrap().1;
    let place = format!("docker://{}/lab/hello:1.0", real.address);
    let skopeo =
        |words: &[&str]| run(alone(&skopeo, &shop).arg("--insecure-policy").args(words)).stdout;
    // What it reads is what was pushed, byte for byte.
    let index = skopeo(&["inspect", "--raw", "--tls-verify=false", &place]);
    assert_eq!(Checksum::of(&index).hex(), digest);
    let index: Value = serde_json::from_slice(&index).unwrap();
    let manifest = index["manifests"][0]["digest"].as_str().unwrap().trim_start_matches("sha256:");
    // All of it as files: a directory's blobs have their digests for names.
    let directory = shop.site.place("as-files");
    let to = format!("dir:{}", directory.display());
    let mut copy = vec!["copy", "--src-tls-verify=false", "--dest-tls-verify=false"];
    skopeo(&[&copy[..], &[&place, &to]].concat());
    let (mut packages, bytes) = (0, fs::read(directory.join("manifest.json")).unwrap());
    assert_eq!(Checksum::of(&bytes).hex(), manifest);
    let layers: Value = serde_json::from_slice(&bytes).unwrap();
    for layer in layers["layers"].as_array().unwrap() {
        let digest = layer["digest"].as_str().unwrap().trim_start_matches("sha256:");
        assert_eq!(Checksum::of(&fs::read(directory.join(digest)).unwrap()).hex(), digest);
        packages += usize::from(layer["mediaType"] == "application/x-rpm");
    }
    assert!(packages > 0, "{layers:#}");
    // Through a layout on disk to another repository. Its older versions write the index anew; what that names
    // keeps its digest, and can be installed.
    copy.push("--all");
    let layout = format!("oci:{}:1.0", shop.site.place("layout").display());
    let there = format!("{}/copies/hello:1.0", real.address);
    let copied = format!("docker://{there}");
    skopeo(&[&copy[..], &[&place, &layout]].concat());
    skopeo(&[&copy[..], &[&layout, &copied]].concat());
    let again = skopeo(&["inspect", "--raw", "--tls-verify=false", &copied]);
    let again: Value = serde_json::from_slice(&again).unwrap();
    let named = |index: &Value| {
        let manifests = index["manifests"].as_array().unwrap().iter();
        manifests.map(|it| (it["digest"].clone(), it["platform"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(named(&again), named(&index));
    shop.install_of(&format!("oci://{there}"), &[]).ok();
    shop.works("1.0");
}

#[test]
fn oras_writes_the_files_of_what_is_pushed_and_finds_what_stands_beside_it() {
    let Some(program) = built(&ORAS) else { return };
    let shop = Shop::new("registry-oras");
    let forgetful = built(&REGISTRY).map(|registry| Forgetful::start(&registry));
    let real = Real::start(&shop.site.place("real"));
    let addresses = [Some(real.address.clone()), forgetful.as_ref().map(|it| it.1.clone())];
    for address in addresses.into_iter().flatten() {
        let reference = pushed(&shop, &address);
        let place = format!("{address}/lab/hello:1.0");
        let oras = |words: &[&str]| stdout(alone(&program, &shop).args(words).arg("--plain-http"));
        // Whoever reads artifacts finds the signature and the bill, wherever they are listed.
        let found: Value =
            serde_json::from_str(&oras(&["discover", "--format", "json", &place])).unwrap();
        let about = found.get("referrers").or(found.get("manifests")).unwrap();
        let mut kinds: Vec<_> = about.as_array().unwrap().iter().collect();
        kinds.sort_by_key(|it| it["artifactType"].as_str());
        let kinds: Vec<_> = kinds.iter().map(|it| it["artifactType"].as_str().unwrap()).collect();
        let signature = "application/vnd.elsewhere.signature.v1+minisig";
        assert_eq!(kinds, ["application/vnd.cyclonedx+json", signature], "{found:#}");
        let pulled = shop.site.place("pulled-by-oras");
        let _ = fs::remove_dir_all(&pulled);
        oras(&["pull", "--platform", "linux/amd64", "-o", pulled.to_str().unwrap(), &place]);
        let files = files_below(&pulled);
        assert!(files.iter().any(|it| it.ends_with("elsewhere.lock")), "{files:#?}");
        let _ = fs::remove_dir_all(shop.site.prefix());
        let prefix = shop.site.prefix();
        let from = pulled.to_str().unwrap();
        shop.run(&["install", "--from", from, prefix.to_str().unwrap()]).ok();
        shop.works("1.0");
        // What somebody else attaches is another thing, and hides nothing.
        let note = shop.site.scratch.write("note.txt", "hello\n");
        let mut attach = alone(&program, &shop);
        attach.args(["attach", "--plain-http", "--artifact-type", "text/plain", &place]);
        run(attach.arg("note.txt:text/plain").current_dir(note.parent().unwrap()));
        let key = file("minisign/librarian.pub");
        shop.install_of(&reference, &["--verify-key", &key]).ok();
    }
}
