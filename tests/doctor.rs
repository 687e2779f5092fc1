//! `elsewhere doctor` on machines that lack something, made for real in namespaces.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "doctor/tree.rs"]
mod tree;

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use elsewhere::stages::launcher;
use serde_json::Value;
use support::program;
use support::tools;

/// As whom everything runs when root starts the tests: nobody has this number.
const USER: u32 = 54_321;

/// A directory with a copy of the program, and what makes machines sick.
struct Ward {
    path: PathBuf,
}

fn ward() -> &'static Ward {
    static WARD: OnceLock<Ward> = OnceLock::new();
    WARD.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("elsewhere-ward-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("prefix")).unwrap();
        fs::create_dir_all(path.join("temporary")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(path.join("prefix"), fs::Permissions::from_mode(0o777)).unwrap();
        fs::copy(program::path(), path.join("elsewhere")).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/sickroom.c");
        let mut compiler = Command::new(tools::need("cc", "gcc libc6-dev linux-libc-dev"));
        tools::run(compiler.arg("-O1").arg(source).arg("-o").arg(path.join("sickroom")));
        let user = user();
        let file = |name: &str, text: &str| fs::write(path.join(name), text).unwrap();
        file("empty", "");
        file("ranges", &format!("{user}:200000:65536\n"));
        file("passwd", &format!("root:x:0:0::/:/bin/sh\npatient:x:{user}:{user}::/:/bin/sh\n"));
        file("nsswitch", "passwd: files\ngroup: files\n");
        file("sleeper", "#!/bin/sh\nexec sleep 5\n");
        fs::set_permissions(path.join("sleeper"), fs::Permissions::from_mode(0o755)).unwrap();
        file("private", "");
        fs::set_permissions(path.join("private"), fs::Permissions::from_mode(0o600)).unwrap();
        file("no-device", "");
        fs::set_permissions(path.join("no-device"), fs::Permissions::from_mode(0o666)).unwrap();
        // What every host has, but the barest.
        fs::create_dir_all(path.join("etc")).unwrap();
        for name in ["hosts", "localtime", "resolv.conf", "subuid", "subgid", "os-release"] {
            file(&format!("etc/{name}"), "");
        }
        for name in ["group", "ld.so.cache"] {
            let _ = fs::copy(Path::new("/etc").join(name), path.join("etc").join(name));
        }
        for name in ["passwd", "nsswitch"] {
            let conf = if name == "nsswitch" { ".conf" } else { "" };
            fs::copy(path.join(name), path.join(format!("etc/{name}{conf}"))).unwrap();
        }
        file("os-release", "ID=opensuse-leap\nVERSION_ID=15.6\n");
        // Copied, since a clone may lie where an ordinary user may not read.
        let authority = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/network/authority");
        fs::create_dir(path.join("authority")).unwrap();
        for certificate in fs::read_dir(authority).unwrap().map(Result::unwrap) {
            let copy = path.join("authority").join(certificate.file_name());
            fs::copy(certificate.path(), copy).unwrap();
        }
        Ward { path }
    })
}

fn is_root() -> bool {
    tools::stdout(Command::new("id").arg("-u")) == "0"
}

fn user() -> u32 {
    if is_root() { USER } else { tools::stdout(Command::new("id").arg("-u")).parse().unwrap() }
}

/// The answer of a doctor on a machine that was treated so: `@name` is the ward's file.
struct Visit(Value, i32);

impl Visit {
    fn finding(&self, check: &str) -> &Value {
        let findings = self.0["findings"].as_array().unwrap();
        findings
            .iter()
            .find(|finding| finding["check"] == check)
            .unwrap_or_else(|| panic!("{check}"))
    }

    /// State and cause.
    fn state(&self, check: &str) -> String {
        let finding = self.finding(check);
        let cause = finding["cause"].as_str().map_or(String::new(), |cause| format!(" {cause}"));
        format!("{}{cause}", finding["state"].as_str().unwrap())
    }

    fn possible(&self, ability: &str) -> &str {
        let outlook = self.0["outlook"].as_array().unwrap();
        let found = outlook.iter().find(|outlook| outlook["ability"] == ability);
        found.unwrap()["possible"].as_str().unwrap()
    }
}

fn run(treatment: &str, words: &[&str]) -> Output {
    output(treatment, &[&["@elsewhere", "doctor"], words].concat(), &[])
}

/// What `words` answer on a machine that was treated so, with these variables.
fn output(treatment: &str, words: &[&str], variables: &[(&str, &str)]) -> Output {
    let ward = ward();
    let place = |word: &str| match word.strip_prefix('@') {
        Some(name) => ward.path.join(name).into_os_string(),
        None => word.into(),
    };
    let healthy = "--bind @etc /etc";
    let fuse = if is_root() { "--open-fuse" } else { "" };
    let treatment = format!("{healthy} {fuse} --user {USER} {treatment} --");
    Command::new(ward.path.join("sickroom"))
        .args(treatment.split_whitespace().map(place))
        .args(words.iter().map(|word| place(word)))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("SSL_CERT_DIR", ward.path.join("authority"))
        .envs(variables.iter().map(|(name, value)| (name, place(value))))
        .current_dir("/")
        .output()
        .unwrap()
}

fn visit(treatment: &str) -> Visit {
    visit_with(treatment, &["@prefix"], &[])
}

fn visit_with(treatment: &str, words: &[&str], variables: &[(&str, &str)]) -> Visit {
    let words = [&["@elsewhere", "doctor", "--json", "--wait", "20"], words].concat();
    let output = output(treatment, &words, variables);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let value = values.next().and_then(Result::ok);
    let value = value.unwrap_or_else(|| panic!("{output:?}"));
    Visit(value, output.status.code().unwrap())
}

#[test]
fn a_healthy_machine_is_found_so() {
    let visit = visit("--bind @ranges /etc/subuid --bind @ranges /etc/subgid");
    for check in ["kernel", "user-namespaces", "mounts", "overlay", "identity", "limits", "network"]
    {
        assert_eq!(visit.state(check), "ok", "{}", visit.finding(check));
    }
    assert_eq!(visit.state("libc"), "ok");
    assert_eq!(visit.possible("run an unpacked image"), "yes");
    // In a user namespace of the tests' own there are neither the device nor setuid programs.
    if is_root() {
        assert_eq!(visit.state("fuse"), "ok");
        tools::need("newuidmap", "uidmap");
        assert_eq!(visit.state("id-maps"), "ok", "{}", visit.finding("id-maps"));
        assert_eq!(visit.possible("run a SIF image"), "yes");
        assert_eq!(visit.possible("build an image with --fakeroot"), "yes");
        assert_eq!(visit.1, 0);
    }
}

#[test]
fn namespaces_limited_to_zero_are_explained() {
    let visit = visit("--no-namespaces");
    assert_eq!(visit.state("user-namespaces"), "broken namespaces-zero");
    assert_eq!(visit.state("mounts"), "unknown");
    let finding = visit.finding("user-namespaces");
    let evidence = finding["evidence"].as_str().unwrap();
    assert!(evidence.contains("No space left on device"), "{evidence}");
    assert!(finding["commands"].to_string().contains("user.max_net_namespaces = 0"));
    assert_eq!(visit.possible("run an unpacked image"), "no");
    assert_eq!(visit.1, 7);
}

#[test]
fn a_seccomp_filter_is_named() {
    assert_eq!(visit("--refuse unshare").state("user-namespaces"), "broken namespaces-seccomp");
}

#[test]
fn refused_mounts_are_not_blamed_on_namespaces() {
    let visit = visit("--refuse mount");
    assert_eq!(visit.state("user-namespaces"), "ok");
    assert_eq!(visit.state("mounts"), "broken mounts-refused");
}

#[test]
fn without_the_fuse_device_images_are_unpacked_on_demand() {
    let visit = visit("--bare-dev");
    assert_eq!(visit.state("fuse"), "broken fuse-missing");
    assert_eq!(visit.possible("run a SIF image"), "limited");
    let outlook = visit.0["outlook"].to_string();
    assert!(outlook.contains("without FUSE only with --unsquash"), "{outlook}");
    let told = visit.finding("fuse").to_string();
    assert!(told.contains("apptainer exec --unsquash") && !told.contains("instead"), "{told}");
    assert_eq!(visit.possible("make and use an ext3 overlay"), "no");
    // There is no GPU either.
    assert_eq!(visit.possible("use GPUs (--nv, --rocm)"), "no");
    assert_eq!(visit.possible("run an unpacked image"), "yes");
    assert_eq!(visit.possible("write to an overlay"), "yes");
}

#[test]
fn id_maps_need_ranges_and_privileged_helpers() {
    tools::need("newuidmap", "uidmap");
    // In a user namespace of the tests' own no program is root's.
    if is_root() {
        let no_range = visit("--bind @empty /etc/subuid --bind @empty /etc/subgid");
        assert_eq!(no_range.state("id-maps"), "limited id-ranges");
        let commands = no_range.finding("id-maps")["commands"].to_string();
        assert!(
            commands.contains("usermod --add-subuids") && commands.contains("patient"),
            "{commands}"
        );
    }
    let no_helper = visit("--bind @empty /usr/bin/newuidmap");
    assert_eq!(no_helper.state("id-maps"), "limited id-helpers");
    assert_eq!(no_helper.possible("build an image with --fakeroot"), "limited");
}

#[test]
fn commands_are_those_of_the_distribution() {
    let visit = visit("--bind @empty /usr/bin/newuidmap --bind @os-release /etc/os-release");
    assert!(visit.finding("id-maps")["commands"].to_string().contains("zypper"));
}

#[test]
fn noexec_and_full_file_systems_are_found() {
    let noexec = visit("--tmpfs @prefix roomy-noexec");
    assert_eq!(noexec.state("prefix"), "broken prefix-noexec");
    assert_eq!(noexec.possible("run a SIF image"), "no");
    let full = visit("--tmpfs @prefix small");
    assert_eq!(full.state("prefix"), "broken prefix-full");
    assert!(full.finding("prefix")["meaning"].to_string().contains("1.00 MiB left"));
}

#[test]
fn a_place_that_is_tight_or_somebody_elses_is_found() {
    let tight = visit("--tmpfs @prefix tight");
    assert_eq!(tight.state("prefix"), "limited prefix-tight");
    assert_eq!(tight.possible("run an unpacked image"), "yes");
    let foreign = visit_with("", &["/"], &[]);
    assert_eq!(foreign.state("prefix"), "broken prefix-unwritable");
}

#[test]
fn the_temporary_directory_is_looked_at_where_the_variable_says() {
    let state = |treatment: &str| {
        visit_with(treatment, &["@prefix"], &[("TMPDIR", "@temporary")]).state("temporary")
    };
    assert_eq!(state("--tmpfs @temporary roomy-noexec"), "limited temporary-noexec");
    assert_eq!(state("--tmpfs @temporary small"), "limited temporary-full");
}

#[test]
fn a_fuse_device_that_is_closed_or_no_device_is_told_apart() {
    // In a user namespace of the tests' own the user owns the file.
    if is_root() {
        let closed = visit("--bind @private /dev/fuse");
        assert_eq!(closed.state("fuse"), "broken fuse-closed");
        assert!(closed.finding("fuse")["meaning"].to_string().contains("mode 600"));
        let refused = visit("--bind @no-device /dev/fuse");
        assert_eq!(refused.state("fuse"), "broken fuse-refused");
    }
}

#[test]
fn helpers_that_lost_their_power_are_not_taken_for_good() {
    // A filter needs no_new_privs, under which setuid means nothing.
    let treatment = "--bind @ranges /etc/subuid --bind @ranges /etc/subgid --refuse mount";
    if is_root() {
        tools::need("newuidmap", "uidmap");
        assert_eq!(visit(treatment).state("id-maps"), "limited id-refused");
    }
}

#[test]
fn missing_certificates_and_odd_proxies_are_found() {
    let network = |variables: &[(&str, &str)]| visit_with("", &[], variables).state("network");
    assert_eq!(network(&[("SSL_CERT_FILE", "/nowhere")]), "limited certificates-variable");
    assert_eq!(network(&[("https_proxy", "ftp://p")]), "limited proxy-malformed");
    assert_eq!(network(&[("https_proxy", "http://p:1")]), "ok");
}

#[test]
fn low_limits_and_lost_names_are_found() {
    assert_eq!(visit("--files 100").state("limits"), "limited limits-low");
    let nobody = visit("--bind @empty /etc/passwd");
    assert_eq!(nobody.state("identity"), "broken identity-none");
}

/// As users meet it: the launcher runs only by the shell's name there.
#[test]
fn a_launcher_on_noexec_says_so() {
    let command = toml::from_str("name = \"r\"\npath = \"bin/r\"\n").unwrap();
    let text = launcher::text("r", &command, &[], &[], launcher::LaunchedTrees::Own);
    fs::write(ward().path.join("launcher"), text).unwrap();
    let prefix = ward().path.join("prefix");
    let script = format!(
        "cd '{}' && mkdir -p bin $(uname -m)/bin && cp ../launcher bin/r && \
         cp /bin/true $(uname -m)/bin/r && sh bin/r",
        prefix.display()
    );
    let output = output("--tmpfs @prefix roomy-noexec", &["/bin/sh", "-c", &script], &[]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(126), "{told}");
    assert!(told.contains("the file system is mounted noexec"), "{told}");
}

#[test]
fn what_does_not_answer_is_unknown_and_does_not_hold_up_the_rest() {
    let started = Instant::now();
    let output = run("--bind @sleeper /usr/bin/id", &["@prefix"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(started.elapsed() < Duration::from_secs(3));
    assert!(text.contains("unknown  identity         no answer within 250ms"), "{text}");
    assert!(text.contains("user-namespaces"), "{text}");
}

#[test]
fn fix_commands_is_a_script() {
    let output = run("--no-namespaces", &["--fix-commands", "--wait", "20", "@prefix"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\necho 'user.max_user_namespaces = 15000' > /etc/sysctl.d/"), "{text}");
    assert!(text.lines().all(|line| !line.starts_with("# ") || line.len() <= 80), "{text}");
    let script = ward().path.join("script");
    fs::write(&script, &text).unwrap();
    tools::run(Command::new("sh").arg("-n").arg(script));
}
