//! Where packages lie: below other URLs than the metadata, outside their directory, under escaped
//! names; through a mirror that is a directory or a server; in lock files, receipts and the cache.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::fs;

use support::metadata;
use support::server::Server;
use support::small::{World, launch, packages, problems, receipt};

const ARCHES: [&str; 2] = ["x86_64", "aarch64"];

fn world(name: &str) -> World {
    World::new(name)
}

/// A file of the mirror's repository for an architecture.
fn file(arch: &str, path: &str) -> String {
    format!("mirror/small.test/{arch}/{path}")
}

/// Lets the mirror's lists of packages say what `change` makes of them.
fn relist(world: &World, change: impl Fn(String, &str) -> String) {
    for arch in ARCHES {
        metadata::relist(&world.prefix(&file(arch, "")), 9, |primary| change(primary, arch));
    }
}

/// The line of the list of packages where the entry ends that has this in it.
fn line(world: &World, inside: &str) -> usize {
    let list = world.prefix(&file("x86_64", "repodata/primary.xml"));
    let text = fs::read_to_string(list).unwrap();
    let start = text.find(inside).unwrap();
    let end = start + text[start..].find("</package>").unwrap();
    1 + text[..end].lines().count() - usize::from(!text[..end].ends_with('\n'))
}

/// Moves the package files of the repositories to `place`, a directory of the mirror.
fn move_packages(world: &World, place: impl Fn(&str) -> String) {
    for arch in ARCHES {
        let to = world.prefix(&format!("mirror/{}", place(arch)));
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(world.prefix(&file(arch, ""))).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rpm") {
                fs::rename(&path, to.join(path.file_name().unwrap())).unwrap();
            }
        }
    }
}

/// Installs, damages and repairs; then from the lock file, with the lists of packages gone.
fn holds(world: &World, mirror: &str, location: &str) {
    let installed = |prefix: &str| {
        let place = world.prefix(prefix);
        assert_eq!(problems(&place), [""; 0]);
        assert_eq!(launch(&place, "tool").as_deref(), Some("tool 1 part 1"));
        receipt(&place, std::env::consts::ARCH).unwrap()
    };
    world.ok(&["install", "-r", "tool", "--mirror", mirror, "p"]);
    let tool = installed("p").packages.into_iter().find(|it| it.nevra.name == "tool").unwrap();
    assert_eq!(tool.location, location);
    assert!(tool.url.starts_with("https://") || tool.url.starts_with("file:"), "{}", tool.url);
    let script = world.prefix("p").join(std::env::consts::ARCH).join("bin/tool");
    fs::remove_file(&script).unwrap();
    let _ = fs::remove_dir_all(world.prefix("cache"));
    world.ok(&["verify", "--repair", "--mirror", mirror, "p"]);
    installed("p");
    world.ok(&["plan", "-r", "tool", "-d", "small", "--mirror", mirror, "--lock", "lock.toml"]);
    let lock = fs::read_to_string(world.prefix("lock.toml")).unwrap();
    assert!(lock.contains(&format!("location = \"{location}\"")), "{lock}");
    for arch in ARCHES {
        fs::remove_dir_all(world.prefix(&file(arch, "repodata"))).unwrap();
    }
    let _ = fs::remove_dir_all(world.prefix("cache"));
    world.ok(&["install", "--lock", "lock.toml", "--mirror", mirror, "q"]);
    installed("q");
    if !mirror.starts_with("http") {
        return;
    }
    // What came from a server is in the cache now.
    fs::rename(world.prefix("mirror"), world.prefix("away")).unwrap();
    world.ok(&["install", "--lock", "lock.toml", "--mirror", mirror, "r"]);
    installed("r");
}

#[test]
fn packages_may_lie_on_another_server() {
    let world = world("locations-other");
    let base = "xml:base=\"https://pool.test:8443/a%2Bb/\" href";
    relist(&world, |primary, _| primary.replace("location href", &format!("location {base}")));
    move_packages(&world, |_| "pool.test:8443/a+b".to_owned());
    let mirror = world.prefix("mirror");
    let location = "https://pool.test:8443/a%2Bb/tool-1-1.el8.noarch.rpm";
    holds(&world, mirror.to_str().unwrap(), location);
}

#[test]
fn packages_may_lie_beside_the_repository() {
    let world = world("locations-beside");
    let base = "location xml:base=\"../pool/x y\" href";
    relist(&world, |primary, _| primary.replace("location href", base));
    move_packages(&world, |_| "small.test/pool/x y".to_owned());
    let server = Server::start(world.prefix("mirror"));
    holds(&world, &server.url(), "../pool/x y/tool-1-1.el8.noarch.rpm");
    let requests = server.requests();
    let is_it = |it: &String| it.contains("/small.test/pool/x%20y/tool-1-1.el8.noarch.rpm ");
    assert!(requests.iter().any(is_it), "{requests:?}");
}

#[test]
fn a_whole_url_is_a_location_too() {
    let world = world("locations-url");
    relist(&world, |primary, arch| {
        primary.replace("href=\"", &format!("href=\"https://pool.test/{arch}/../{arch}/"))
    });
    move_packages(&world, |arch| format!("pool.test/{arch}"));
    let mirror = world.prefix("mirror");
    let arch = std::env::consts::ARCH;
    let location = format!("https://pool.test/{arch}/../{arch}/tool-1-1.el8.noarch.rpm");
    holds(&world, mirror.to_str().unwrap(), &location);
}

/// A repository of files may name files; and one that is as secure as none may not be left for
/// plain http.
#[test]
fn files_lead_to_files_and_nothing_leads_to_plain_http() {
    let world = world("locations-files");
    let files = world.prefix("mirror/small.test");
    let dist = fs::read_to_string(world.prefix("repos/dists/small.toml")).unwrap();
    let of_files = dist.replace("https://small.test/$", &format!("file://{}/$", files.display()));
    world.scratch.write("repos/dists/small.toml", of_files);
    let pool = format!("file://{}/pool/%74ool-1-1.el8.noarch.rpm", files.display());
    relist(&world, |primary, _| primary.replace("tool-1-1.el8.noarch.rpm", &pool));
    move_packages(&world, |_| "small.test/pool".to_owned());
    for arch in ARCHES {
        let part = "part-1-1.el8.noarch.rpm";
        fs::copy(files.join("pool").join(part), files.join(arch).join(part)).unwrap();
    }
    world.ok(&["install", "-r", "tool", "p"]);
    assert_eq!(launch(&world.prefix("p"), "tool").as_deref(), Some("tool 1 part 1"));
    // The same list, from a server.
    world.scratch.write("repos/dists/small.toml", dist);
    let told = world.fails(5, &["install", "-r", "tool", "q"]);
    let line = line(&world, "<name>tool</name>");
    let expected =
        format!("tool-1-1.el8 was set aside: repository base, line {line}: it lies at \"file://");
    assert!(told.contains(&expected), "{told}");
    assert!(!world.prefix("q").exists());
}

/// The package list as it is published, with an older version of the tool before it.
fn with_two_versions(name: &str) -> World {
    let world = world(name);
    world.publish(
        &packages("2").into_iter().chain(packages("1").split_off(2)).collect::<Vec<_>>(),
        2,
    );
    world
}

#[test]
fn what_is_set_aside_is_told_and_an_older_version_serves() {
    let world = with_two_versions("locations-older");
    relist(&world, |primary, _| {
        primary.replace("href=\"tool-2", "xml:base=\"http://plain.test/\" href=\"tool-2")
    });
    let expected = format!(
        "tool-2-1.el8 was set aside: repository base, line {}: it lies at \
         \"http://plain.test/tool-2-1.el8.noarch.rpm\", where this repository may not send",
        line(&world, "href=\"tool-2")
    );
    let expected = expected.as_str();
    let told = world.ok(&["install", "-r", "tool", "p"]);
    assert!(told.contains(&format!("warning: {expected}")), "{told}");
    assert_eq!(launch(&world.prefix("p"), "tool").as_deref(), Some("tool 1 part 1"));
    let told = world.fails(5, &["install", "-r", "tool", "-v", "2", "q"]);
    assert!(told.contains("holds no tool 2: it holds 1") && told.contains(expected), "{told}");
    let told = world.ok(&["plan", "-r", "gadget", "-d", "small"]);
    assert!(!told.contains("set aside"), "{told}");
    let _ = fs::remove_dir_all(world.prefix("cache"));
    let told = world.ok(&["plan", "-r", "gadget", "-d", "small", "--verbose"]);
    assert!(told.contains(expected), "{told}");
}

#[test]
fn what_needs_a_package_that_is_set_aside_says_so() {
    let world = world("locations-needed");
    relist(&world, |primary, _| {
        let (before, part) = primary.split_once("<name>part</name>").unwrap();
        let weak = part.replacen("type=\"sha256\"", "type=\"sha\"", 1);
        format!("{before}<name>part</name>{weak}")
    });
    let told = world.fails(5, &["install", "-r", "tool", "p"]);
    assert!(
        told.contains("tool-1-1.el8.noarch needs part: no package of base provides it"),
        "{told}"
    );
    let expected = format!(
        "part-1-1.el8 was set aside: repository base, line {}: checksum algorithm \"sha\" \
         is not accepted (SHA-256 or better is)",
        line(&world, "<name>part</name>")
    );
    assert!(told.contains(&expected), "{told}");
}

#[test]
fn sizes_that_nobody_declares_are_no_hindrance() {
    let world = world("locations-sizes");
    relist(&world, |primary, _| {
        primary
            .split("<size")
            .enumerate()
            .map(|(number, part)| match number {
                0 => part.to_owned(),
                _ => part.split_once("/>").unwrap().1.to_owned(),
            })
            .collect()
    });
    let mirror = world.prefix("mirror");
    holds(&world, mirror.to_str().unwrap(), "tool-1-1.el8.noarch.rpm");
}
