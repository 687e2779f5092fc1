//! Receipts that lie: whoever can change a tree can change its receipt, which says how the tree was made and
//! gives no trust.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use elsewhere::stages::model::Checksum;
use serde_json::Value;
use support::keys::TestKey;
use support::rpms::{File, Package};
use support::site::{Site, data, hello};

fn installed(name: &str) -> Site {
    let site = Site::new(name);
    site.install(&[]).ok();
    site
}

#[test]
fn a_forged_receipt_is_found_by_looking_deep() {
    let site = installed("verify-deep");
    site.run("verify", &["--deep"]).ok();
    fs::write(site.in_tree("share/hello/text"), "text of 6.6\n").unwrap();
    let forged = Checksum::of(b"text of 6.6\n").to_string();
    site.forge_receipt(|receipt| {
        for file in receipt["files"].as_array_mut().unwrap() {
            if file["path"] == "share/hello/text" {
                file["checksum"] = forged.clone().into();
            }
        }
    });
    site.run("verify", &[]).ok();
    let outcome = site.run("verify", &["--deep"]).refused(8, "is damaged: 1 finding");
    let told = &outcome.findings()["x86_64/share/hello/text"];
    assert_eq!(told, "the receipt's digest is not its package's");
    // A signer that did not sign, and keys that are nobody's.
    let site = installed("verify-deep-key");
    let (key, other) = (site.key.fingerprint(), site.other.fingerprint());
    site.forge_receipt(|receipt| {
        let text = receipt.to_string().replace(key.as_str(), other.as_str());
        *receipt = serde_json::from_str(&text).unwrap();
    });
    let outcome = site.run("verify", &["--deep"]).refused(8, "is damaged: 3 findings");
    let told = &outcome.findings()["x86_64/hello-1.0-1.el9.x86_64"];
    assert!(told.contains("which neither a definition nor --trust-key names"), "{told}");
    // A signer that is pinned, and did not sign.
    let site = installed("verify-deep-signer");
    let (key, expired) = (site.key.fingerprint(), site.expired.fingerprint());
    site.forge_receipt(|receipt| {
        for package in receipt["packages"].as_array_mut().unwrap() {
            assert_eq!(package["signed_by"], key.as_str());
            package["signed_by"] = expired.as_str().into();
        }
    });
    let outcome = site.run("verify", &["--deep"]).refused(8, "is damaged: 2 findings");
    let told = &outcome.findings()["x86_64/hello-1.0-1.el9.x86_64"];
    assert_eq!(told, "the receipt says otherwise than the package");
}

/// Replaces `share/hello/text`, and what the receipt says of the file: not what its package brought, as if
/// relocation had made the new one of it.
fn replace_as_if_relocated(site: &Site) {
    fs::write(site.in_tree("share/hello/text"), "text of 6.6\n").unwrap();
    let checksum = |text: &[u8]| Value::from(Checksum::of(text).to_string());
    site.forge_receipt(|receipt| {
        for file in receipt["files"].as_array_mut().unwrap() {
            if file["path"] == "share/hello/text" {
                file["checksum"] = checksum(b"text of 6.6\n");
                file["packaged"] = checksum(b"text of 1.0\n");
            }
        }
    });
}

/// Passed before with status 0 where the receipt named another version.
#[test]
fn what_another_version_would_have_made_otherwise_is_not_proved() {
    let site = installed("verify-other-version");
    let is_made_by = |version: &str| {
        site.forge_receipt(|receipt| receipt["elsewhere"] = version.into());
    };
    // What this version makes in the same way is proved, whoever made it.
    is_made_by("0.0.9");
    site.run("verify", &["--deep"]).ok();
    replace_as_if_relocated(&site);
    for version in ["0.0.9", "99.0.0", ""] {
        is_made_by(version);
        site.run("verify", &[]).ok();
        let outcome = site.run("verify", &["--deep"]).refused(12, "is not proved: 1 finding");
        let told = &outcome.findings()["x86_64/share/hello/text"];
        assert!(told.starts_with("unproved"), "{told}");
        assert!(outcome.err.contains("elsewhere update"), "{}", outcome.err);
        assert!(!outcome.err.contains("as they were made"), "{}", outcome.err);
        let json = site.run("verify", &["--deep", "--json"]).json();
        assert_eq!(json["trees"][0]["findings"][0]["problem"], "unproved", "{json:#}");
    }
    is_made_by(env!("CARGO_PKG_VERSION"));
    site.run("verify", &["--deep"]).refused(8, "is damaged: 1 finding");
    // What nothing excuses is damage, whoever made the rest.
    is_made_by("0.0.9");
    fs::remove_file(site.in_tree("bin/hi")).unwrap();
    site.run("verify", &["--deep"]).refused(8, "is damaged: 1 finding");
}

/// Passed before with status 0: whoever can change a launcher can write another version into the receipt.
#[test]
fn a_launcher_that_another_version_is_said_to_have_written_is_not_proved() {
    let site = installed("verify-other-launcher");
    let launcher = site.prefix().join("bin/hello");
    let text = fs::read_to_string(&launcher).unwrap();
    fs::write(&launcher, text.replace("exec ", "exec strace ")).unwrap();
    site.forge_receipt(|receipt| receipt["elsewhere"] = "0.0.9".into());
    let outcome = site.run("verify", &[]).refused(12, "is not proved: 1 finding");
    assert!(outcome.findings()["bin/hello"].starts_with("unproved"), "{}", outcome.out);
    assert!(outcome.err.contains("elsewhere verify --repair"), "{}", outcome.err);
    site.run("verify", &["--repair"]).ok();
    assert_eq!(fs::read_to_string(&launcher).unwrap(), text);
    site.run("verify", &[]).ok();
}

#[test]
fn looking_deep_tells_of_unsigned_packages() {
    let site = Site::new("verify-unsigned");
    let unsigned = site.forged(hello("2.0"), hello("2.0").unsigned());
    site.publish(2000, &[unsigned, site.good(data())]);
    site.install(&["--allow-unsigned=base"]).ok();
    let outcome = site.run("verify", &["--deep", "--allow-unsigned=base"]).ok();
    let told = &outcome.findings()["x86_64/hello-2.0-1.el9.x86_64"];
    assert_eq!(told, "let in by --allow-unsigned: its origin is not proven");
    // That it was allowed once is what a receipt says. It gives no trust.
    let outcome = site.run("verify", &["--deep"]).refused(8, "is damaged: 1 finding");
    let told = &outcome.findings()["x86_64/hello-2.0-1.el9.x86_64"];
    assert!(told.contains("--allow-unsigned"), "{told}");
    fs::write(site.in_tree("share/hello/text"), "damaged").unwrap();
    site.run("verify", &["--repair"]).refused(4, "hello-2.0-1.el9.x86_64 is refused");
    site.run("verify", &["--repair", "--allow-unsigned=base"]).ok();
    assert_eq!(fs::read_to_string(site.in_tree("share/hello/text")).unwrap(), "text of 2.0\n");
}

/// A trojan that lies where the receipt says that packages come from, and the receipt that fits it.
fn plant(site: &Site, trojan: impl Fn(Package) -> Vec<u8>, forge: impl Fn(&mut Value)) {
    let (package, old) = (hello("1.0"), hello("1.0").signed(&site.key));
    let mut files = package.files.clone();
    let is_text = |file: &&mut File| file.path == b"/usr/share/hello/text";
    files.iter_mut().filter(is_text).for_each(|file| file.data = b"text of 6.6\n".to_vec());
    let new = trojan(Package { files, ..package });
    site.write("base/Packages/hello-1.0-1.el9.x86_64.rpm", &new);
    fs::write(site.in_tree("share/hello/text"), "text of 6.6\n").unwrap();
    let of = |bytes: &[u8]| Checksum::of(bytes).to_string();
    site.forge_receipt(|receipt| {
        let text = receipt.to_string().replace(&of(&old), &of(&new));
        let text = text.replace(&of(b"text of 1.0\n"), &of(b"text of 6.6\n"));
        let text =
            text.replace(&format!("\"size\":{}", old.len()), &format!("\"size\":{}", new.len()));
        *receipt = serde_json::from_str(&text).unwrap();
        forge(receipt);
    });
    site.run("verify", &[]).ok();
}

/// Sets what the receipt says of who signed `hello`.
fn sign_as(receipt: &mut Value, signer: Value) {
    receipt["packages"][0]["signed_by"] = signer;
}

/// Passed before with status 0: `signed_by: null` was taken for the user's leave.
#[test]
fn a_trojan_that_its_receipt_says_is_unsigned_is_found_by_looking_deep() {
    let site = installed("verify-trojan-unsigned");
    plant(&site, |package| package.unsigned(), |receipt| sign_as(receipt, Value::Null));
    let outcome = site.run("verify", &["--deep"]).refused(8, "is damaged: 1 finding");
    let told = &outcome.findings()["x86_64/hello-1.0-1.el9.x86_64"];
    assert!(told.starts_with("it is not signed"), "{told}");
    assert!(outcome.err.contains("do not use this prefix"), "{}", outcome.err);
    // Nor is it fetched where something else is to be put right.
    fs::write(site.in_tree("share/hello/text"), "damaged").unwrap();
    site.run("verify", &["--repair"]).refused(4, "hello-1.0-1.el9.x86_64 is refused");
    assert_eq!(fs::read_to_string(site.in_tree("share/hello/text")).unwrap(), "damaged");
}

#[test]
fn a_trojan_that_is_signed_by_a_key_of_its_receipt_is_found_by_looking_deep() {
    let own = TestKey::new();
    let print = own.fingerprint();
    let claims = |says_so: bool| {
        let site = installed("verify-trojan-key");
        site.write("keys/own", own.public_file());
        plant(
            &site,
            |package| package.signed(&own),
            |receipt| {
                let key = serde_json::json!({
                    "fingerprint": print.as_str(), "url": "https://forged.example/keys/own",
                    "alternates": [], "arches": []
                });
                receipt["sources"][0]["key"].as_array_mut().unwrap().push(key);
                if says_so {
                    sign_as(receipt, print.as_str().into());
                    receipt["packages"][0]["trusted_by_user"] = true.into();
                }
            },
        );
        site
    };
    let outcome = claims(true).run("verify", &["--deep"]).refused(8, "is damaged: 2 findings");
    let told = outcome.findings();
    let key = &told["x86_64/.elsewhere.json"];
    assert!(key.ends_with("for base, which no definition does"), "{key}");
    let signer = &told["x86_64/hello-1.0-1.el9.x86_64"];
    assert!(signer.contains(print.as_str()), "{signer}");
    // A key that signed nothing, by the receipt, is none of the definitions' either.
    claims(false).run("verify", &["--deep"]).refused(8, "is damaged: 1 finding");
}

#[test]
fn a_trojan_that_is_signed_by_another_repositorys_key_is_not_fetched() {
    let site = installed("verify-trojan-other");
    let other = site.other.fingerprint();
    plant(
        &site,
        |package| package.signed(&site.other),
        |receipt| sign_as(receipt, other.as_str().into()),
    );
    fs::write(site.in_tree("share/hello/text"), "damaged").unwrap();
    site.run("verify", &["--repair"]).refused(4, "hello-1.0-1.el9.x86_64 is refused");
    assert_eq!(fs::read_to_string(site.in_tree("share/hello/text")).unwrap(), "damaged");
}

#[test]
fn what_its_package_does_not_bring_is_not_put_back() {
    let site = installed("verify-not-brought");
    site.forge_receipt(|receipt| {
        for file in receipt["files"].as_array_mut().unwrap() {
            if file["path"] == "share/hello/text" {
                file["checksum"] = Checksum::of(b"text of 6.6\n").to_string().into();
            }
        }
    });
    fs::write(site.in_tree("share/hello/text"), "damaged").unwrap();
    site.run("verify", &["--repair"]).refused(8, "is damaged: 1 finding");
    assert_eq!(fs::read_to_string(site.in_tree("share/hello/text")).unwrap(), "damaged");
}

#[test]
fn a_key_of_the_users_own_counts_where_it_is_named() {
    let site = Site::new("verify-own-key");
    let own = TestKey::new();
    let file = site.scratch.write("own.asc", own.public_file());
    let signed = site.forged(hello("2.0"), hello("2.0").signed(&own));
    site.publish(2000, &[signed, site.good(data())]);
    let named = format!("base={}", file.display());
    let trusted = ["--trust-key", &named];
    site.install(&trusted).ok();
    site.run("verify", &[&["--deep"][..], &trusted].concat()).ok();
    let outcome = site.run("verify", &["--deep"]).refused(8, "is damaged: 1 finding");
    let told = &outcome.findings()["x86_64/hello-2.0-1.el9.x86_64"];
    assert!(told.contains("--trust-key"), "{told}");
}

/// Only what a definition says of a source counts: one that none has is no source.
#[test]
fn a_source_that_no_definition_has_is_missing() {
    let site = installed("verify-source");
    site.forge_receipt(|receipt| {
        let text = receipt.to_string().replace("\"id\":\"base\"", "\"id\":\"mine\"");
        let text = text.replace("\"source\":\"base\"", "\"source\":\"mine\"");
        *receipt = serde_json::from_str(&text).unwrap();
    });
    site.run("verify", &["--deep"]).refused(11, "the repository mine in dists/lab.toml");
}

/// Applied before where they were below 01000.
#[test]
fn a_mode_that_no_tree_has_is_never_given_to_a_file() {
    let (text, directory) = ("share/hello/text", "share/hello");
    for (name, mode) in [
        (text, 0o4755),
        (text, 0o2644),
        (text, 0o666),
        (text, 0o777),
        (text, 0o600),
        (text, u32::MAX),
        (directory, 0o1755),
        (directory, 0o777),
        (directory, 0o700),
        (directory, 0o644),
    ] {
        let site = installed("receipt-mode");
        let mode_of = || fs::metadata(site.in_tree(name)).unwrap().permissions().mode() & 0o7777;
        let before = mode_of();
        site.forge_receipt(|receipt| {
            for file in receipt["files"].as_array_mut().unwrap() {
                if file["path"] == name {
                    file["mode"] = mode.into();
                }
            }
        });
        for words in [&[][..], &["--repair"], &["--deep"]] {
            let outcome = site.run("verify", words).refused(8, "is damaged: 1 finding");
            let told = &outcome.findings()["x86_64/.elsewhere.json"];
            assert!(told.contains(&format!("{name} has a mode that no tree has")), "{told}");
        }
        assert_eq!(mode_of(), before, "{name} {mode:o}");
    }
}

/// The content of `share/hello-data/two` in the live tree, and who signed its package, by the receipt.
fn taken(site: &Site) -> (String, Value) {
    let text = fs::read_to_string(site.in_tree("share/hello-data/two")).unwrap();
    let receipt = fs::read_to_string(site.in_tree(".elsewhere.json")).unwrap();
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    (text, receipt["packages"][1]["signed_by"].clone())
}

/// Takes the packages away, and what the cache has of them.
fn without_packages(site: &Site) {
    fs::remove_file(site.file("base/Packages/hello-data-1.0-1.el9.x86_64.rpm")).unwrap();
    for kept in ["objects", "unpacked"] {
        fs::remove_dir_all(site.cache().join(kept)).unwrap();
    }
}

/// What a forged receipt says of a package.
type Claim<'a> = &'a dyn Fn(&Site, &mut Value);

/// Got into the next generation before, with every word of the receipt.
#[test]
fn nothing_is_taken_over_by_a_receipt_that_no_run_of_this_users_wrote() {
    let good = |site: &Site| ("two\n".to_owned(), Value::from(site.key.fingerprint().as_str()));
    let digest = |text: &str| Value::from(Checksum::of(text.as_bytes()).to_string());
    let forge = |site: &Site, sign: &dyn Fn(&mut Value)| {
        fs::write(site.in_tree("share/hello-data/two"), "bad\n").unwrap();
        site.forge_receipt(|receipt| {
            for file in receipt["files"].as_array_mut().unwrap() {
                if file["path"] == "share/hello-data/two" {
                    file["checksum"] = digest("bad\n");
                }
            }
            sign(&mut receipt["packages"][1]);
        });
        site.run("verify", &[]).ok();
    };
    let claims: [Claim<'_>; 3] =
        [&|_, _| (), &|_, package| package["signed_by"] = Value::Null, &|site, package| {
            package["signed_by"] = site.other.fingerprint().as_str().into();
            package["trusted_by_user"] = true.into();
        }];
    for claim in claims {
        let site = installed("take-over-forged");
        forge(&site, &|package| claim(&site, package));
        site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
        site.run("update", &[]).ok();
        assert_eq!(taken(&site), good(&site));
        site.run("verify", &["--deep"]).ok();
    }
    // What a run of this user's made is taken over, and not fetched again …
    let site = installed("take-over");
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    without_packages(&site);
    site.run("update", &[]).ok();
    assert_eq!(taken(&site), good(&site));
    // … but not for somebody who did not make it.
    site.publish(3000, &[site.good(hello("3.0")), site.good(data())]);
    without_packages(&site);
    let mut update = site.elsewhere();
    update.arg("update").arg("--mirror").arg(site.mirror()).arg("--repos").arg(site.repos());
    update.arg("--cache-dir").arg(site.place("other cache")).arg(site.prefix());
    let outcome = support::site::Outcome::of(update.output().unwrap());
    outcome.refused(3, "hello-data-1.0-1.el9.x86_64");
    site.run("update", &[]).ok();
}

/// Was taken over before, as the receipt said that it was allowed once.
#[test]
fn what_the_user_let_in_is_let_in_again_by_the_user_alone() {
    let site = Site::new("take-over-unsigned");
    let key = TestKey::new();
    let file = site.scratch.write("own.asc", key.public_file());
    let by_key = format!("base={}", file.display());
    let cases: [(Vec<u8>, &[&str]); 2] = [
        (data().unsigned(), &["--allow-unsigned=base"]),
        (data().signed(&key), &["--trust-key", &by_key]),
    ];
    for (time, (bytes, words)) in (2..).step_by(2).zip(cases) {
        let publish = |time: u64| {
            let listed = site.forged(data(), bytes.clone());
            site.publish(time * 1000, &[site.good(hello(&format!("{time}.0"))), listed]);
        };
        publish(time);
        site.install(words).ok();
        publish(time + 1);
        site.run("update", &[]).refused(4, "package hello-data-1.0-1.el9.x86_64 is refused");
        without_packages(&site);
        site.run("update", words).ok();
    }
}
