//! What a doctor says of an installed tree: its libraries in front of the host's, and what it binds
//! into containers. And what an install says of the machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use elsewhere::stages::model::Checksum;

use crate::support::tiny::{TOOL, Tiny, text};
use crate::support::tools;
use crate::{output, visit_with, ward};

/// The tool, installed in the ward, and libraries beside it that change who the user is.
fn tiny() -> &'static Tiny {
    static TINY: OnceLock<Tiny> = OnceLock::new();
    TINY.get_or_init(|| {
        let tiny = Tiny::with("doctor-tree", &["2.0.0"]);
        let runtime = tiny.scratch.path().join("repos/runtimes/tool.toml");
        let text = fs::read_to_string(&runtime).unwrap();
        fs::write(&runtime, format!("container_facing = [\"tool\"]\n{text}")).unwrap();
        tiny.install(&["--no-doctor"]);
        let copy = |from: &Path, to: &str| {
            let mut copy = Command::new("cp");
            tools::run(copy.arg("-a").arg(from).arg(ward().path.join(to)));
        };
        copy(&tiny.prefix(), "installed");
        copy(&tiny.scratch.path().join("repos"), "repos");
        copy(&tiny.mirror(), "mirror");
        tiny
    })
}

/// Where the ward's tree is.
fn tree() -> PathBuf {
    tiny();
    ward().path.join("installed/x86_64")
}

/// Compiles a library into the ward.
fn library(name: &str, source: &str, options: &[&str]) -> PathBuf {
    let file = ward().path.join(format!("{name}.c"));
    fs::write(&file, source).unwrap();
    let target = ward().path.join(name);
    let mut compiler = Command::new(tools::need("cc", "gcc libc6-dev"));
    tools::run(compiler.args(["-shared", "-fPIC"]).arg(&file).arg("-o").arg(&target).args(options));
    target
}

/// Has the tree's receipt say that its programs look for libraries in these directories.
fn search(directories: &[&str]) {
    let path = tree().join(".elsewhere.json");
    let mut receipt: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    receipt["loading"]["directories"] = directories.into();
    fs::write(path, receipt.to_string()).unwrap();
}

/// Has the tree's receipt list this file, or directory, as it is; or not.
fn list(name: &str, is_listed: bool) {
    let path = tree().join(".elsewhere.json");
    let mut receipt: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let files = receipt["files"].as_array_mut().unwrap();
    files.retain(|file| file["path"] != name);
    let place = tree().join(name);
    if is_listed && place.is_dir() {
        files.push(serde_json::json!({"path": name, "kind": "directory", "mode": 0o755}));
    } else if is_listed {
        let bytes = fs::read(&place).unwrap();
        files.push(serde_json::json!({
            "path": name, "kind": "file", "mode": 0o755, "size": bytes.len(),
            "checksum": Checksum::of(&bytes).to_string()
        }));
    }
    files.sort_by_key(|file| file["path"].as_str().unwrap().to_owned());
    fs::write(path, receipt.to_string()).unwrap();
}

/// The directory of the machine's own libraries.
fn libraries() -> PathBuf {
    let compiler = tools::need("cc", "gcc libc6-dev");
    let libc = tools::stdout(Command::new(compiler).arg("-print-file-name=libnss_hesiod.so.2"));
    PathBuf::from(libc).canonicalize().unwrap().parent().unwrap().to_owned()
}

const REPOS: [&str; 3] = ["--repos", "@repos", "@installed"];

/// A directory service whose module needs a newer library than the tree has, as SSSD's modules do:
/// its name and that of the library are those of modules that glibc brings, to lie where the loader
/// looks.
#[test]
fn a_directory_service_that_the_trees_libraries_break_is_found() {
    let spoiled = tree().join("lib64");
    let place = libraries();
    let helper = "libnss_compat.so.2";
    let versions = ward().path.join("versions");
    fs::write(&versions, "WARD_2 { global: ward_name; };\n").unwrap();
    let new = library(
        "new.so",
        "const char *ward_name(void) { return \"ldapuser\"; }",
        &[
            "-Wl,-soname,libnss_compat.so.2",
            &format!("-Wl,--version-script={}", versions.display()),
        ],
    );
    let old = library("old.so", "int nothing;", &["-Wl,-soname,libnss_compat.so.2"]);
    let module = library(
        "module.so",
        "#include <nss.h>\n#include <pwd.h>\n#include <string.h>\n#include <errno.h>\n\
         const char *ward_name(void);\n\
         enum nss_status _nss_hesiod_getpwuid_r(uid_t id, struct passwd *user, char *buffer,\n\
             size_t size, int *error) {\n\
         if (id == 0 || size < 100) { *error = ENOENT; return NSS_STATUS_NOTFOUND; }\n\
         strcpy(buffer, ward_name());\n\
         user->pw_name = user->pw_passwd = user->pw_gecos = user->pw_dir = user->pw_shell = buffer;\n\
         user->pw_uid = user->pw_gid = id; return NSS_STATUS_SUCCESS; }\n",
        &[new.to_str().unwrap()],
    );
    fs::write(ward().path.join("ldap"), "passwd: files hesiod\ngroup: files\n").unwrap();
    let treatment = format!(
        "--bind @ldap /etc/nsswitch.conf --bind @empty /etc/passwd --bind {} {} --bind {} {}",
        module.display(),
        place.join("libnss_hesiod.so.2").display(),
        new.display(),
        place.join(helper).display()
    );
    let well = visit_with(&treatment, &REPOS, &[]);
    assert_eq!(well.state("identity"), "ok", "{}", well.finding("identity"));
    let evidence = well.finding("identity")["evidence"].as_str().unwrap();
    assert!(evidence.contains("ldapuser, with the tree's libraries too"), "{evidence}");
    let was_listed = spoiled.exists();
    fs::create_dir_all(&spoiled).unwrap();
    search(&["lib64"]);
    fs::copy(old, spoiled.join(helper)).unwrap();
    for place in [&spoiled, &spoiled.join(helper)] {
        fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // What the receipt does not list is not loaded; it was before.
    let strange = visit_with(&treatment, &REPOS, &[]);
    assert_eq!(strange.state("identity"), "unknown", "{}", strange.finding("identity"));
    let evidence = strange.finding("identity")["evidence"].as_str().unwrap();
    assert!(
        evidence.contains("ldapuser; with the tree's libraries it was not tried"),
        "{evidence}"
    );
    let name = format!("lib64/{helper}");
    list("lib64", true);
    list(&name, true);
    let ill = visit_with(&treatment, &REPOS, &[]);
    // Nor what others may have changed.
    fs::set_permissions(spoiled.join(helper), fs::Permissions::from_mode(0o775)).unwrap();
    let shared = visit_with(&treatment, &REPOS, &[]);
    assert_eq!(shared.state("identity"), "unknown", "{}", shared.finding("identity"));
    list(&name, false);
    list("lib64", was_listed);
    search(&[]);
    let unsearched = visit_with(&treatment, &REPOS, &[]);
    assert_eq!(unsearched.state("identity"), "ok", "{}", unsearched.finding("identity"));
    fs::remove_file(spoiled.join(helper)).unwrap();
    assert_eq!(ill.state("identity"), "limited identity-shadowed", "{}", ill.finding("identity"));
}

#[test]
fn what_is_bound_into_containers_is_held_against_old_ones() {
    let tool = tree().join("bin/tool").canonicalize().unwrap();
    let was = fs::read(&tool).unwrap();
    // Every program that this compiler's libc starts needs 2.34; a library asks for what it calls.
    let old = library("plain.so", "#include <stdio.h>\nint f(void) { return puts(\"\"); }", &[]);
    let new = library(
        "recent.so",
        "#include <pthread.h>\nint f(pthread_t *t, void *(*g)(void *)) {\n\
         return pthread_create(t, 0, g, 0); }",
        &[],
    );
    let state = |file: &Path| {
        fs::copy(file, &tool).unwrap();
        visit_with("", &REPOS, &[]).state("container-libc")
    };
    assert_eq!(state(&old), "ok");
    assert_eq!(state(&new), "limited fakeroot-new");
    fs::write(&tool, was).unwrap();
}

#[test]
fn an_install_warns_once_of_what_would_make_it_useless() {
    tiny();
    let install = |treatment: &str, more: &[&str]| {
        let words =
            ["@elsewhere", "install", "--repos", "@repos", "--mirror", "@mirror", "--cache-dir"];
        let words = [&words[..], &["@cache"], &TOOL, more, &["@prefix/new"]].concat();
        let output = output(treatment, &words, &[]);
        (output.status.success(), text(&output.stderr))
    };
    let cache = ward().path.join("cache");
    fs::create_dir_all(&cache).unwrap();
    std::os::unix::fs::chown(&cache, Some(crate::user()), None).unwrap();
    let (done, told) = install("", &[]);
    assert!(done && !told.contains("warning: user-namespaces"), "{told}");
    let (done, told) = install("--no-namespaces", &[]);
    assert!(done, "{told}");
    let warning = "warning: user-namespaces: The administrator's limit is zero.";
    assert_eq!(told.matches(warning).count(), 1, "{told}");
    assert!(told.contains("What helps: elsewhere doctor "), "{told}");
    let (done, told) = install("--no-namespaces", &["--no-doctor"]);
    assert!(done && !told.contains("administrator"), "{told}");
    // It is said before the download: also where that fails.
    let package = "mirror/tiny.example/extra/x86_64/Packages/tool-2.0.0-1.x86_64.rpm";
    let (package, away) = (ward().path.join(package), ward().path.join("away"));
    fs::rename(&package, &away).unwrap();
    for kept in ["objects", "unpacked"] {
        fs::remove_dir_all(cache.join(kept)).unwrap();
    }
    tools::run(Command::new("rm").arg("-rf").arg(ward().path.join("prefix/new")));
    let (done, told) = install("--no-namespaces", &[]);
    fs::rename(&away, &package).unwrap();
    assert!(!done && told.contains("tool-2.0.0") && told.contains(warning), "{told}");
}
