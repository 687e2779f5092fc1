//! Registries: what is pushed is installed, proved as its origin is; only what changed moves; no other host is told a
//! password; whatever a registry answers, and whatever is killed, nothing half is taken for the whole.

#![allow(clippy::unwrap_used)]

mod attached;
mod everywhere;
mod readers;
mod shop;
#[path = "../support/mod.rs"]
mod support;
mod ways;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use elsewhere::stages::model::Checksum;
use serde_json::{Value, json};
use shop::{PLAN, Shop, count, digest};
use support::killing::kill_at_each;
use support::program;
use support::registry::{Manners, Real, StandIn};
use support::site::Outcome;
use support::tools::{files_below, need};

/// A file of `tests`.
fn file(name: &str) -> String {
    format!("{}/tests/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// System calls that send something, or change what is on disk.
const CALLS: [&str; 7] = ["connect", "sendto", "sendmsg", "write", "writev", "rename", "renameat2"];

#[test]
fn a_mirror_goes_into_a_registry_and_comes_out_of_it() {
    let shop = Shop::new("registry-mirror");
    let (site, one, two) = (&shop.site, shop.site.place("one"), shop.site.place("two"));
    let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());
    let mirror = site.mirror();
    let words = [&["mirror", one, "--mirror", mirror.to_str().unwrap()], &PLAN[..]].concat();
    shop.run(&words).ok();
    let planned = digest(&shop.push(&[]).ok());
    fs::rename(&mirror, site.place("away")).unwrap();
    fs::remove_dir_all(site.cache()).unwrap();
    // From a mirror comes just what the plan gave.
    assert_eq!(digest(&shop.push(&["--from", one]).ok()), planned);
    fs::remove_dir_all(site.cache()).unwrap();
    shop.run(&["mirror", "--from", &shop.hello(), two]).ok();
    shop.run(&["mirror", "--verify", two]).ok();
    let names = |root: &str| -> BTreeSet<_> {
        let root = std::path::Path::new(root);
        let files = files_below(root).into_iter();
        files.map(|it| it.strip_prefix(root).unwrap().to_owned()).collect()
    };
    assert_eq!(names(one), names(two));
    for name in names(one) {
        let read = |root: &str| fs::read(std::path::Path::new(root).join(&name)).unwrap();
        assert!(read(one) == read(two), "{}", name.display());
    }
}

#[test]
fn what_is_installed_is_pushed_in_the_versions_that_it_has() {
    let shop = Shop::new("registry-prefix");
    let (prefix, mirror) = (shop.site.prefix(), shop.site.mirror());
    let (prefix, mirror) = (prefix.to_str().unwrap(), mirror.to_str().unwrap());
    let pushed = digest(&shop.push(&[]).ok());
    shop.install(&[]).ok();
    shop.renew();
    let words = ["--from", prefix, "--mirror", mirror];
    shop.push_to(&shop.hello(), &words).ok();
    shop.install(&[]).ok();
    shop.works("1.0");
    // What has everything needs no mirror beside it, and what is nothing is said to be that.
    let words = ["--from", &pushed, "--mirror", mirror];
    shop.push_to(&shop.hello(), &words).refused(2, "all is in what --from names");
    shop.push_to(&shop.hello(), &["--from", "nowhere"]).refused(6, "nowhere");
}

#[test]
fn nothing_from_a_registry_gives_trust() {
    let (shop, other) = (Shop::stocked("registry-trust"), Shop::new("registry-trust-other"));
    // Of another world, signed by its keys, and whole.
    other.push(&[]).ok();
    let reference = other.registry.reference("lab/hello:1.0");
    let told = shop.install_of(&reference, &[]);
    assert_eq!(told.status, 4, "{}", told.err);
    assert!(!shop.site.prefix().join("bin").exists());
    let forged = shop.site.place("forged");
    let told = shop.run(&["mirror", "--from", &reference, forged.to_str().unwrap()]);
    assert_eq!(told.status, 4, "{}", told.err);
    assert!(!forged.exists());
    // What is named by a digest is that, whatever the registry says.
    let pushed = digest(&shop.push(&[]).ok());
    let (_, manifests) = other.registry.content();
    let name = format!("lab/hello@{}", pushed.split_once('@').unwrap().1);
    other.registry.put(&name.replace('@', ":"), &manifests["lab/hello:1.0"]);
    shop.install_of(&other.registry.reference(&name), &[])
        .refused(4, "wrong content: its digest is");
}

#[test]
fn whoever_may_is_let_in_and_nobody_else_is_told_a_password() {
    let shop = Shop::new("registry-login");
    for login in ["Basic", "Bearer"] {
        let _ = fs::remove_dir_all(shop.site.place("home/.docker"));
        shop.registry.behave(Manners { login: Some(login), ..Manners::default() });
        let refused = shop.push(&[]).refused(3, "HTTP status 401");
        assert!(refused.err.contains("log in first"), "{}", refused.err);
        shop.log_in(json!({ "auth": "YW5uOmJhZA==" }));
        let refused = shop.push(&[]).refused(3, "HTTP status 401");
        assert!(refused.err.contains("home/.docker/config.json do not count"), "{}", refused.err);
        assert!(!refused.err.contains("bad"), "{}", refused.err);
        shop.log_in(json!({ "auth": "YW5uOndvcmQ=" }));
        shop.push(&[]).ok();
        shop.install(&[]).ok();
        shop.works("1.0");
    }
    // Podman's file counts before docker's.
    shop.log_in(json!({ "auth": "YW5uOmJhZA==" }));
    let named =
        json!({ "auths": { shop.registry.address.to_string(): { "auth": "YW5uOndvcmQ=" } } });
    let file = shop.site.scratch.write("auth.json", named.to_string());
    let file = std::path::absolute(file).unwrap();
    let mut command = program::elsewhere();
    let prefix = shop.site.prefix();
    let words = ["install", "--from", &shop.hello(), "--dry-run", "-a", "x86_64"];
    shop.command(&mut command, &words);
    command.arg(prefix).env("REGISTRY_AUTH_FILE", file);
    Outcome::of(command.output().unwrap()).ok();
    // A helper is named.
    let helped = json!({ "credHelpers": { shop.registry.address.to_string(): "vault" } });
    shop.site.scratch.write("home/.docker/config.json", helped.to_string());
    shop.push(&[]).refused(3, "leaves it to the helper vault, which is not run here");
    shop.site.scratch.write("home/.docker/config.json", "{\"auths\": \"word\"");
    let told = shop.push(&[]).refused(2, "it is no JSON");
    assert!(!told.err.contains("word"), "{}", told.err);
}

#[test]
fn a_token_that_runs_out_is_replaced_in_the_middle() {
    let shop = Shop::new("registry-token");
    shop.log_in(json!({ "auth": "YW5uOndvcmQ=" }));
    let manners = Manners {
        login: Some("Bearer"),
        token_lasts: Some(3),
        relative: true,
        ..Manners::default()
    };
    shop.registry.behave(manners);
    let mut command = program::elsewhere();
    let (hello, mirror) = (shop.hello(), shop.site.mirror());
    let words = [&["push", &hello, "--mirror", mirror.to_str().unwrap()], &PLAN[..]].concat();
    shop.command(&mut command, &words);
    // Several at a time use a token up between them.
    Outcome::of(command.env("ELSEWHERE_ATTEMPTS", "20").output().unwrap()).ok();
    assert!(count(&shop.registry.log(), "GET /token") > 3);
    shop.registry.behave(Manners {
        token_lasts: Some(6),
        ..Manners { login: Some("Bearer"), ..Manners::default() }
    });
    shop.install(&[]).ok();
    shop.works("1.0");
}

#[test]
fn other_hosts_that_a_registry_names_see_no_authorization() {
    let (shop, other) = (Shop::new("registry-other-host"), StandIn::start());
    shop.log_in(json!({ "auth": "YW5uOndvcmQ=" }));
    for login in ["Basic", "Bearer"] {
        let manners = Manners { login: Some(login), ..Manners::default() };
        let uploads_at = Some(other.url());
        shop.registry.behave(Manners { uploads_at, ..manners.clone() });
        // It took the blobs, so that the registry itself has not what the manifest names.
        shop.push(&[]).refused(3, "cannot push the manifest");
        shop.registry.behave(manners.clone());
        shop.push(&[]).ok();
        other.share(&shop.registry);
        shop.registry.behave(Manners { blobs_at: Some(other.url()), ..manners });
        shop.install(&[]).ok();
        shop.works("1.0");
        let log = other.log();
        assert!(count(&log, "PUT") > 0 && count(&log, "GET") > 3, "{log:#?}");
        assert_eq!(count(&log, " +"), 0, "{log:#?}");
        shop.registry.log();
        shop.registry.forget();
        other.forget();
    }
}

#[test]
fn what_a_registry_answers_is_taken_for_no_more_than_it_is() {
    let shop = Shop::stocked("registry-answers");
    let behave = |manners| shop.registry.behave(manners);
    behave(Manners { wrong: true, ..Manners::default() });
    shop.install(&[]).refused(4, "wrong content: its digest is");
    behave(Manners { endless: true, ..Manners::default() });
    shop.install(&[]).refused(3, "sends more than the 4194304 bytes");
    // What breaks off is gone on with.
    behave(Manners { cut_at: Some(100), ..Manners::default() });
    shop.registry.log();
    shop.install(&[]).ok();
    shop.works("1.0");
    let log = shop.registry.log();
    assert!(count(&log, "bytes=100-") > 2, "{log:#?}");
    let status = |text, code, times| {
        behave(Manners { status: Some((text, code, times)), ..Manners::default() });
    };
    status("/manifests/1.0", 429, 1);
    shop.install(&[]).ok();
    for (code, hint) in [
        (429, "it asks to wait for 0 s"),
        (403, "who may do that must log in"),
        (404, "is the repository's name right"),
        (413, "takes no bodies as large"),
        (500, "TEST: said the stand-in"),
    ] {
        status("/manifests/1.0", code, usize::MAX);
        let told = shop
            .install(&[])
            .refused(3, &format!("lab/hello: cannot read the tag 1.0: HTTP status {code}"));
        assert!(told.err.contains(hint), "{code}: {}", told.err);
    }
    status("/v2/", 404, usize::MAX);
    shop.push(&[]).refused(3, "cannot enter the registry");
    status("PUT", 503, 1);
    shop.renew();
    shop.push(&[]).ok();
}

#[test]
fn what_no_push_makes_is_refused() {
    let shop = Shop::stocked("registry-hostile");
    let (_, manifests) = shop.registry.content();
    let index: Value = serde_json::from_slice(&manifests["lab/hello:1.0"]).unwrap();
    let part = index["manifests"][0]["digest"].as_str().unwrap();
    let part: Value = serde_json::from_slice(&manifests[&format!("lab/hello:{part}")]).unwrap();
    let forged = |change: &dyn Fn(&mut Value)| {
        let mut part = part.clone();
        change(&mut part);
        shop.registry.put("lab/hello:forged", &serde_json::to_vec(&part).unwrap());
        shop.install_of(&shop.registry.reference("lab/hello:forged"), &[])
    };
    // A manifest by itself will do.
    forged(&|_| {}).ok();
    let layer = |part: &mut Value, kind: &str, change: &dyn Fn(&mut Value)| {
        let layers = part["layers"].as_array_mut().unwrap().iter_mut();
        layers.filter(|layer| layer["mediaType"] == kind).for_each(change);
    };
    let title = "org.opencontainers.image.title";
    for name in ["../escape", "/etc/passwd", "", "a\u{1b}b"] {
        let told = forged(&|part| {
            layer(part, "application/toml", &|it| it["annotations"][title] = json!(name));
        });
        told.refused(2, "a file in it is called");
    }
    forged(&|part| layer(part, "application/toml", &|it| it["size"] = json!(1_u64 << 60)))
        .refused(2, "is far too large");
    forged(&|part| layer(part, "application/pgp-keys", &|it| it["digest"] = json!("md5:00")))
        .refused(2, "has no SHA-256");
    forged(&|part| {
        layer(part, "application/vnd.elsewhere.lock.v2+toml", &|it| it["size"] = json!(u64::MAX))
    })
    .refused(2, "far too large");
    forged(&|part| part["layers"] = json!([])).refused(2, "not just one lock file");
    forged(&|part| part["config"]["mediaType"] = json!("application/vnd.oci.image.config.v1+json"))
        .refused(2, "it is nothing that `elsewhere push` makes");
    forged(&|part| *part = json!([])).refused(2, "it is nothing that");
    // A package that is left out is missing, and none is asked for elsewhere.
    let left_out = |part: &mut Value| {
        let layers = part["layers"].as_array_mut().unwrap();
        layers.retain(|layer| layer["mediaType"] != "application/x-rpm");
    };
    let told = forged(&left_out);
    assert_eq!(told.status, 3, "{}", told.err);
    assert!(!shop.site.prefix().join("bin").exists());
}

#[test]
fn a_push_that_is_killed_leaves_the_old_tag_or_the_new_one_whole() {
    let shop = Shop::stocked("registry-kill");
    let (before_blobs, before) = shop.registry.content();
    let old = before["lab/hello:1.0"].clone();
    shop.renew();
    let pushing = |command: &mut Command| {
        let (hello, mirror) = (shop.hello(), shop.site.mirror());
        let words = [&["push", &hello, "--mirror", mirror.to_str().unwrap()], &PLAN[..]].concat();
        shop.command(command, &[&words[..], &["-s", &file("minisign/librarian.key")]].concat());
    };
    let mut kept = 0;
    let tries = kill_at_each(&CALLS, &[], &pushing, |killed| {
        let (blobs, manifests) = shop.registry.content();
        let now = &manifests["lab/hello:1.0"];
        let index: Value = serde_json::from_slice(now).unwrap();
        for part in index["manifests"].as_array().unwrap() {
            let part = &manifests[&format!("lab/hello:{}", part["digest"].as_str().unwrap())];
            let part: Value = serde_json::from_slice(part).unwrap();
            for layer in part["layers"].as_array().unwrap() {
                let digest = layer["digest"].as_str().unwrap().trim_start_matches("sha256:");
                assert!(blobs.contains_key(digest), "{killed:?}");
            }
        }
        kept += u32::from(*now == old);
        // Whoever finds it by the tag finds the signature beside it.
        let list = format!("lab/hello:sha256-{}", Checksum::of(now).hex());
        assert!(*now == old || manifests.contains_key(&list), "{killed:?}");
        if *now != old {
            // Once more from the old one, which this registry has whole.
            shop.registry.forget();
            let bytes = before_blobs.iter();
            bytes.for_each(|(digest, bytes)| shop.registry.put_blob(digest, bytes));
            before.iter().for_each(|(name, bytes)| shop.registry.put(name, bytes));
        }
    });
    assert!(tries > 30 && kept > 25, "{tries} tries, {kept} before the change");
    shop.push(&["-s", &file("minisign/librarian.key")]).ok();
    let key = file("minisign/librarian.pub");
    shop.install(&["--verify-key", &key]).ok();
    shop.works("2.0");
}

#[test]
fn offline_no_registry_is_asked() {
    let shop = Shop::stocked("registry-offline");
    shop.install(&["--offline"]).refused(3, "--offline");
    shop.push(&["--offline"]).refused(3, "--offline");
    assert_eq!(shop.registry.log(), [""; 0]);
    // Plain http is for this machine, unless somebody asks for it.
    let told = shop
        .install_of("oci://192.0.2.1:1/lab/hello:1", &["--offline"])
        .refused(3, "https://192.0.2.1:1/v2/");
    assert!(!told.err.contains("http://"), "{}", told.err);
    shop.install_of("oci://192.0.2.1:1/lab/hello:1", &["--offline", "--plain-http"])
        .refused(3, "http://192.0.2.1:1/v2/");
    for wrong in ["oci://r.example", "oci://ann:word@r.example/a", "oci://r.example/A:1"] {
        shop.install_of(wrong, &[]).refused(2, "oci://REGISTRY/REPOSITORY");
    }
    let pinned = format!("{}@sha256:{}", shop.registry.reference("lab/hello"), "a".repeat(64));
    shop.push_to(&pinned, &[]).refused(2, "name a tag");
    shop.install(&["-v", "1.0"]).refused(2, "no lists of packages to choose from");
}

#[test]
fn from_a_registry_of_this_machine_an_ordinary_user_installs_without_any_other_network() {
    let shop = Shop::new("registry-network");
    let directory = shop.site.place("real");
    let program = Real::prepare(&directory, "127.0.0.1:5000", None);
    // Loopback is all that there is, and up since this user made it so.
    let script = "$BUSYBOX ip link set lo up || exit 90\n\
        \"$REGISTRY\" serve real/config.yml > /dev/null 2>&1 &\n\
        for i in $(seq 200); do $BUSYBOX wget -q -O answer http://127.0.0.1:5000/v2/ && break; sleep 0.05; done 2> /dev/null\n\
        at=oci://127.0.0.1:5000/lab/hello:1.0\n\
        $E push -d lab -r hello -a x86_64 --mirror mirror --repos repos --cache-dir one $at && \
        mv mirror away && \
        $E install --from $at --repos repos --cache-dir two -a x86_64 prefix\n\
        status=$?; kill $!; exit $status";
    let mut command = Command::new(need("unshare", "util-linux"));
    command.args(["--user", "--map-root-user", "--net", "sh", "-c", script]);
    shop.site.enter(command.current_dir(shop.site.place(""))).env("E", program::path());
    command.env("REGISTRY", program).env("BUSYBOX", need("busybox", "busybox"));
    Outcome::of(command.output().unwrap()).ok();
    shop.works("1.0");
}

#[test]
fn debians_registry_takes_it_and_gives_it_back() {
    let shop = Shop::new("registry-real");
    let real = Real::start(&shop.site.place("real"));
    let reference = format!("oci://{}/lab/team/hello:1.0", real.address);
    let pushed = digest(&shop.push_to(&reference, &[]).ok());
    let again = shop.push_to(&reference, &["--json"]).ok();
    let moved: Vec<Value> =
        again.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = moved.iter().find_map(|line| line.get("moved")).unwrap();
    assert_eq!(*told, json!(0), "{}", again.out);
    shop.install_of(&reference, &[]).ok();
    shop.works("1.0");
    shop.install_of(&pushed, &[]).ok();
    shop.works("1.0");
    let mirror = shop.site.place("pulled");
    shop.run(&["mirror", "--from", &pushed, mirror.to_str().unwrap()]).ok();
    shop.run(&["mirror", "--verify", mirror.to_str().unwrap()]).ok();
    shop.renew();
    shop.push_to(&reference, &[]).ok();
    shop.install_of(&reference, &[]).ok();
    shop.works("2.0");
}
