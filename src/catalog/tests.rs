use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::model::Libc;

fn embedded() -> Catalog {
    Catalog::load(&[]).unwrap()
}

/// A directory of definitions, removed at the end.
struct Definitions(PathBuf);

impl Definitions {
    fn new(test: &str, files: &[(&str, &str)]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/catalog").join(test);
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(root)
    }

    fn load(&self) -> Result<Catalog, CatalogError> {
        Catalog::load(std::slice::from_ref(&self.0))
    }

    /// The message of the error that these definitions give, without the directory's own path.
    fn refused(&self) -> String {
        let message = self.load().unwrap_err().to_string();
        message.replace(&format!("{}/", self.0.display()), "")
    }
}

impl Drop for Definitions {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const DIST: &str = "name = 'mine'\ntitle = 'Mine'\nglibc = '2.28'\nmaintained_until = '2030-01-01'\n\
[[repository]]\nid = 'os'\narches = ['x86_64']\nbase = ['https://example.org/os/']\n\
[[repository.key]]\nfingerprint = '94E279EB8D8F25B21810ADF121EA45AB2F86D6A1'\n\
url = 'https://example.org/key'\n";

const RUNTIME: &str = "name = 'tool'\ntitle = 'Tool'\npackage = 'tool'\n\
[[command]]\nname = 'tool'\npath = 'bin/tool'\n";

#[test]
fn names_lead_to_the_newest_release_that_their_glibc_runs() {
    let catalog = embedded();
    let releases: Vec<_> = catalog.dists().filter(|dist| dist.name.starts_with("el")).collect();
    let mut seen = 0;
    for (pattern, dist, glibc) in catalog.names.entries() {
        let Some(glibc) = glibc else {
            assert!(dist.starts_with("fc"), "{pattern} does not say why it is {dist}");
            continue;
        };
        let fits = releases.iter().filter(|release| release.glibc <= glibc);
        let newest = fits.max_by_key(|release| release.glibc).unwrap();
        assert_eq!(newest.name, dist, "{pattern} with glibc {glibc}");
        seen += 1;
    }
    assert!(seen > 50);
}

#[test]
fn no_pattern_hides_behind_an_earlier_one() {
    let catalog = embedded();
    for (pattern, dist, _) in catalog.names.entries() {
        let name = pattern.replace('*', "");
        assert_eq!(catalog.names.dist(&name), Some(dist), "{pattern}");
        assert_eq!(catalog.names.refusal(&name), None, "{pattern}");
    }
}

#[test]
fn a_users_definition_replaces_the_embedded_one() {
    let text = DIST.replace("mine", "el8").replace("Mine", "A mirror of ours");
    let mine = Definitions::new("replaces", &[("dists/el8.toml", &text)]);
    let catalog = mine.load().unwrap();
    assert_eq!(catalog.dist("el8").unwrap().title, "A mirror of ours");
    assert_eq!(catalog.dist("rocky8").unwrap().title, "A mirror of ours");
    assert_eq!(catalog.dists().count(), embedded().dists().count());
}

#[test]
fn the_first_directory_counts_most() {
    let first = Definitions::new("first", &[("dists/mine.toml", DIST)]);
    let second = DIST.replace("'Mine'", "'Less'");
    let second = Definitions::new("second", &[("dists/mine.toml", &second)]);
    let catalog = Catalog::load(&[first.0.clone(), second.0.clone()]).unwrap();
    assert_eq!(catalog.dist("mine").unwrap().title, "Mine");
}

#[test]
fn a_users_names_come_before_the_embedded_ones() {
    let names = "[[name]]\npatterns = ['debian12']\ndist = 'mine'\n";
    let mine = Definitions::new("names", &[("names.toml", names), ("dists/mine.toml", DIST)]);
    let catalog = mine.load().unwrap();
    assert_eq!(catalog.dist("debian12").unwrap().name, "mine");
    assert_eq!(catalog.dist("debian11").unwrap().name, "el8");
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let error = Catalog::load(&[PathBuf::from("/nonexistent/definitions")]).unwrap_err();
    assert_eq!(error.to_string(), "cannot read definitions from /nonexistent/definitions");
}

#[test]
fn unknown_fields_are_refused_with_file_line_and_field() {
    let text = RUNTIME.replace("package =", "colour = 'red'\npackage =");
    let mine = Definitions::new("field", &[("runtimes/tool.toml", &text)]);
    let message = mine.refused();
    assert!(message.starts_with("runtimes/tool.toml, line 3: unknown field `colour`"), "{message}");

    let text = DIST.replace("id = 'os'", "id = 'os'\nmirrors = []");
    let mine = Definitions::new("nested", &[("dists/mine.toml", &text)]);
    let message = mine.refused();
    assert!(message.starts_with("dists/mine.toml, line 7: unknown field `mirrors`"), "{message}");

    let mine = Definitions::new("host", &[("host.toml", "packages = []\nsonames = []\n")]);
    assert!(mine.refused().starts_with("host.toml, line 2: unknown field `sonames`"));

    let mine = Definitions::new("table", &[("names.toml", "[[name]]\nfoo = 1\n")]);
    assert!(mine.refused().starts_with("names.toml, line 2: unknown field `foo`"));
}

#[test]
fn bad_values_are_refused() {
    let refused = |from: &str, to: &str| {
        assert!(DIST.contains(from), "{from}");
        Definitions::new("values", &[("dists/mine.toml", &DIST.replace(from, to))]).refused()
    };
    let cases = [
        ("name = 'mine'", "name = 'yours'", "`name` is \"yours\""),
        ("2030-01-01", "soon", "is no YYYY-MM-DD"),
        ("'https://example.org/os/'", "'ftp://example.org/os/'", "not https, http or file"),
        ("'https://example.org/key'", "'key'", "not https, http or file"),
        ("base = ['https://example.org/os/']", "", "has no `metalink`"),
        ("'94E279EB8D8F25B21810ADF121EA45AB2F86D6A1'", "'2F86D6A1'", "full key fingerprint"),
        ("arches = ['x86_64']", "arches = ['i686']", "line 7: unknown variant `i686`"),
        ("arches = ['x86_64']", "arches = []", "has no `arches`"),
        ("id = 'os'", "id = '../os'", "no plain `id`"),
        ("glibc = '2.28'", "glibc = 'new'", "not a glibc version"),
        ("glibc = '2.28'", "glibc = '2.28'\nx86_64_level = 5", "not 1, 2, 3 or 4"),
        ("title = 'Mine'\n", "", "missing field `title`"),
        ("title = 'Mine'", "title = 'Mine", "line 2: "),
    ];
    for (from, to, expected) in cases {
        let message = refused(from, to);
        assert!(message.contains(expected), "{to}: {message}");
        assert!(message.starts_with("dists/mine.toml"), "{message}");
    }
}

#[test]
fn a_repository_stands_once_for_an_architecture() {
    let (_, repository) = DIST.split_once("[[repository]]").unwrap();
    let text = format!("{DIST}[[repository]]{repository}");
    let mine = Definitions::new("twice", &[("dists/mine.toml", &text)]);
    assert!(mine.refused().contains("stands twice for one architecture"));
    let other = text.replacen("'x86_64'", "'aarch64'", 1);
    assert!(Definitions::new("once", &[("dists/mine.toml", &other)]).load().is_ok());
}

#[test]
fn a_command_cannot_be_written_outside_the_prefix() {
    for name in ["../tool", "a/b", "", ".tool", "-r", "a b", "tool\\n"] {
        let text =
            RUNTIME.replace("[[command]]\nname = 'tool'", &format!("[[command]]\nname = '{name}'"));
        let mine = Definitions::new("command", &[("runtimes/tool.toml", &text)]);
        assert!(mine.refused().contains("cannot be a command's name"), "{name}");
    }
    let climbing = RUNTIME.replace("bin/tool", "../bin/tool");
    let mine = Definitions::new("climbing", &[("runtimes/tool.toml", &climbing)]);
    assert!(mine.refused().contains("not a plain relative path"));
}

#[test]
fn two_runtimes_of_a_directory_cannot_have_one_command() {
    let other = RUNTIME.replace("name = 'tool'\ntitle", "name = 'other'\ntitle");
    let both = [("runtimes/tool.toml", RUNTIME), ("runtimes/other.toml", &other)];
    assert_eq!(
        Definitions::new("claims", &both).refused(),
        "runtimes/other.toml and runtimes/tool.toml both have the command \"tool\""
    );
    // Whoever wants both has two directories, and two prefixes.
    let first = Definitions::new("claims-first", &both[..1]);
    let second = Definitions::new("claims-second", &both[1..]);
    let catalog = Catalog::load(&[first.0.clone(), second.0.clone()]).unwrap();
    let runtimes = [catalog.runtime("tool").unwrap(), catalog.runtime("other").unwrap()];
    let refused = catalog.check_together(&runtimes).unwrap_err().to_string();
    assert!(refused.contains("claims-first/runtimes/tool.toml and "), "{refused}");
    assert!(refused.contains("claims-second/runtimes/other.toml have the command"), "{refused}");
    assert!(catalog.check_together(&runtimes[..1]).is_ok());
    // One of the user's own in place of one that comes with the program.
    let text = RUNTIME.replace("[[command]]\nname = 'tool'", "[[command]]\nname = 'crun'");
    assert!(Definitions::new("claims-own", &[("runtimes/tool.toml", &text)]).load().is_ok());
}

#[test]
fn names_of_dists_that_do_not_exist_are_refused() {
    let extra = format!("{RUNTIME}[[extra]]\npackage = 'x'\ndists = ['el88']\n");
    let mine = Definitions::new("extra", &[("runtimes/tool.toml", &extra)]);
    assert_eq!(mine.refused(), "runtimes/tool.toml: there is no dist \"el88\"");
    let names = "[[name]]\npatterns = ['x']\ndist = 'el88'\n";
    assert!(Definitions::new("dist", &[("names.toml", names)]).refused().contains("el88"));
    let names = "[[name]]\npatterns = ['my-9']\ndist = 'el9'\n";
    assert!(
        Definitions::new("never", &[("names.toml", names)]).refused().contains("never matches")
    );
    let newer = DIST.replace("'mine'", "'el8'").replace("2.28", "2.99");
    assert!(Definitions::new("newer", &[("dists/el8.toml", &newer)]).load().is_ok());
}

#[test]
fn checks_that_do_not_exist_are_refused() {
    for added in [
        "[[smoke]]\npath = 'bin/tool'\nneeds = ['fusee']\n",
        "[[ability]]\ndoes = 'x'\nneeds = ['overlay|fusee']\n",
        "[[ability]]\ndoes = 'x'\nwants = ['fusee']\n",
    ] {
        let text = format!("{RUNTIME}{added}");
        let message = Definitions::new("check", &[("runtimes/tool.toml", &text)]).refused();
        assert!(message.contains("there is no check \"fusee\": there are kernel, "), "{message}");
        let right = text.replace("fusee", "fuse");
        assert!(Definitions::new("right", &[("runtimes/tool.toml", &right)]).load().is_ok());
    }
}

#[test]
fn a_mounter_that_is_not_told_what_to_mount_is_refused() {
    let mounter = |arguments: &str| {
        format!("{RUNTIME}[[squashfs_mounter]]\npath = 'bin/tool'\narguments = [{arguments}]\n")
    };
    let text = mounter("'-o', 'offset={offset}', '{image}'");
    let message = Definitions::new("mounter", &[("runtimes/tool.toml", &text)]).refused();
    assert!(message.contains("the mounter bin/tool lack {directory}"), "{message}");
    let text = mounter("'{image}', '{offset}', '{directory}'");
    assert!(Definitions::new("mounts", &[("runtimes/tool.toml", &text)]).load().is_ok());
}

#[test]
fn words_for_binds_that_lack_a_name_are_refused() {
    let bind = |options: &str, command: &str| {
        format!("{RUNTIME}[bind]\noptions = [{options}]\ncommand = [{command}]\n")
    };
    let right = ("'-v', '{from}:{to}'", "'run', '{options}', '{image}'");
    for (options, command, expected) in [
        ("'-v', '{from}'", right.1, "the `options` of `[bind]` lack {to}"),
        (right.0, "'run', '{image}'", "has no word {options}"),
        (right.0, "'run', '{options}'", "lacks {image}"),
    ] {
        let text = bind(options, command);
        let message = Definitions::new("bind", &[("runtimes/tool.toml", &text)]).refused();
        assert!(message.contains(expected), "{message}");
    }
    let text = bind(right.0, right.1);
    assert!(Definitions::new("binds", &[("runtimes/tool.toml", &text)]).load().is_ok());
}

#[test]
fn a_misplaced_file_is_refused_and_others_are_left_alone() {
    let mine = Definitions::new("misplaced", &[("el8.toml", DIST)]);
    assert!(mine.refused().starts_with("el8.toml is no definition"));
    let mine = Definitions::new("notes", &[("README.md", ""), ("dists/mine.toml~", "junk")]);
    assert!(mine.load().is_ok());
}

#[test]
fn what_the_host_gives_is_the_general_and_the_runtimes_own() {
    let catalog = embedded();
    let runtime = catalog.runtime("apptainer").unwrap();
    let gives = catalog.host_gives(&[runtime]);
    assert!(gives.packages.contains(&"glibc".to_owned()));
    assert!(gives.packages.contains(&"fuse3".to_owned()));
    let crun = catalog.host_gives(&[catalog.runtime("crun").unwrap()]);
    assert!(!crun.packages.contains(&"fuse3".to_owned()));
    let never = ["libgcc_s.so.1", "libcrypt.so.1", "libcrypt.so.2", "libz.so.1", "libstdc++.so.6"];
    assert!(never.iter().all(|name| !gives.libraries.contains(&(*name).to_owned())));
}

#[test]
fn loaders_of_every_architecture_are_the_hosts() {
    let host = embedded().host;
    let libraries: BTreeSet<_> = host.libraries.iter().map(String::as_str).collect();
    for arch in Arch::ALL {
        let (_, name) = arch.loader().rsplit_once('/').unwrap();
        assert!(libraries.contains(name), "{name}");
    }
    for library in libraries {
        let capability = format!("{library}*");
        assert!(host.capabilities.contains(&capability), "{capability}");
    }
}

#[test]
fn defaults_are_el8_and_for_an_old_glibc_el7() {
    let catalog = embedded();
    let host = |arch, glibc: &str| HostFacts {
        arch: Some(arch),
        machine: String::new(),
        libc: Libc::Glibc(glibc.parse().unwrap()),
        distribution: String::new(),
        x86_64_level: 0,
    };
    let first = |arch, glibc: &str, today: &str| {
        let choices = catalog.choices(arch, Some(&host(arch, glibc)), today).unwrap();
        let choice = choices.first().unwrap();
        (choice.dist.name.clone(), choice.message.is_some())
    };
    for arch in Arch::ALL {
        assert_eq!(first(arch, "2.36", "2026-11-20"), ("el8".to_owned(), false));
        assert_eq!(first(arch, "2.36", "2029-06-01"), ("el9".to_owned(), false));
    }
    assert_eq!(first(Arch::X86_64, "2.27", "2026-11-20"), ("el7".to_owned(), true));
    let old = host(Arch::S390x, "2.17");
    let error = catalog.choices(Arch::S390x, Some(&old), "2026-11-20").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no dist has packages for s390x that run on this machine's glibc 2.17"
    );
}

#[test]
fn for_other_machines_nothing_is_ruled_out() {
    let catalog = embedded();
    let choices = catalog.choices(Arch::Aarch64, None, "2026-11-20").unwrap();
    let names: Vec<_> = choices.iter().map(|choice| choice.dist.name.as_str()).collect();
    assert_eq!(names, ["el8", "el9", "el10", "fc43", "fc44", "fc45"]);
}
