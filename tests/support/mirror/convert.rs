//! A recipe and Debian's files → an EL package's [`Spec`]: paths as EL has them, modes, licences.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use elsewhere::stages::model::Arch;

use super::package::{Content, Entry, Role, Spec, isa_of};
use super::recipes::Recipe;
use crate::support::deb::{Deb, Debs, multiarch};

/// The package of `recipe` for `arch`; `tag` is what follows the release's number: `.el8`.
pub fn spec(recipe: &Recipe, debs: &Debs, arch: Arch, tag: &str) -> Spec {
    let names = recipe.sources(debs.suite);
    let sources: Vec<Deb> = names.iter().map(|name| debs.package(arch, name)).collect();
    let mut spec = Spec {
        name: recipe.name.to_owned(),
        epoch: recipe.epoch,
        version: sources[0].upstream_version(),
        release: format!("{}{tag}", recipe.release),
        arch: arch.as_str().to_owned(),
        summary: recipe.summary.to_owned(),
        license: recipe.license.to_owned(),
        entries: Vec::new(),
        requires: Vec::new(),
        provides: Vec::new(),
        conflicts: Vec::new(),
        obsoletes: Vec::new(),
        recommends: owned(recipe.recommends),
        filtered: owned(recipe.filtered),
        post: None,
    };
    for (deb, name) in sources.iter().zip(&names) {
        collect(&deb.root, &deb.root, recipe, arch, &mut spec.entries);
        add_license(deb, name, recipe.name, &mut spec.entries);
    }
    assert!(spec.entries.len() > 2, "{}: Debian's packages hold nothing for it", recipe.name);
    match recipe.name {
        "bash" => spec.entries.push(symlink("/usr/bin/sh", "bash")),
        "fakeroot" => make_fakeroot(&mut spec),
        "squashfs-tools" => move_to_sbin(&mut spec),
        _ => {}
    }
    spec.entries.sort_by(|a, b| a.path.cmp(&b.path));
    spec.entries.dedup_by(|a, b| a.path == b.path);
    let fill = |text: &&str| {
        text.replace("{evr}", &spec.evr()).replace("{isa}", &format!("({})", isa_of(arch)))
    };
    (spec.requires, spec.provides) =
        (recipe.requires.iter().map(fill).collect(), recipe.provides.iter().map(fill).collect());
    spec.add_build_ids();
    spec
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// Adds the files below `directory` that the recipe takes.
fn collect(root: &Path, directory: &Path, recipe: &Recipe, arch: Arch, entries: &mut Vec<Entry>) {
    for item in fs::read_dir(directory).unwrap() {
        let path = item.unwrap().path();
        let kind = path.symlink_metadata().unwrap();
        if kind.is_dir() {
            collect(root, &path, recipe, arch, entries);
            continue;
        }
        let place = el_path(&format!("/{}", path.strip_prefix(root).unwrap().display()), arch);
        if !recipe.take.iter().any(|pattern| matches(pattern, &place)) {
            continue;
        }
        if kind.is_symlink() {
            entries.push(symlink(&place, &el_target(root, &path, &place, arch)));
            continue;
        }
        let is_shared = place.contains(".so");
        let mode = if is_shared { 0o755 } else { (kind.permissions().mode() & 0o777) as u16 };
        let role = if place.starts_with("/usr/share/man/") { Role::Doc } else { Role::Plain };
        let content = Content::File(fs::read(&path).unwrap());
        entries.push(Entry::new(&place, mode, content, role));
    }
}

/// The text of EL's symlink at `place`: relative in one directory, absolute elsewhere.
fn el_target(root: &Path, path: &Path, place: &str, arch: Arch) -> String {
    let target = fs::read_link(path).unwrap();
    let there = match target.is_absolute() {
        true => target,
        false => {
            Path::new("/").join(path.strip_prefix(root).unwrap().parent().unwrap()).join(target)
        }
    };
    let there = el_path(&there.to_string_lossy(), arch);
    match (there.rsplit_once('/'), place.rsplit_once('/')) {
        (Some((there, name)), Some((here, _))) if there == here => name.to_owned(),
        _ => there,
    }
}

fn symlink(path: &str, target: &str) -> Entry {
    Entry::new(path, 0o777, Content::Symlink(target.to_owned()), Role::Plain)
}

/// Where EL has a file that Debian has at `path`: one `/usr`, and libraries in `lib64`.
pub fn el_path(path: &str, arch: Arch) -> String {
    let path = path.strip_prefix("/usr").unwrap_or(path);
    let multiarch = format!("/lib/{}/", multiarch(arch));
    let path = path.replace(&multiarch, "/lib64/").replace("/sbin/", "/bin/");
    let path = path.replace("/lib/podman/", "/libexec/podman/");
    let in_usr = ["/bin/", "/lib/", "/lib64/", "/libexec/", "/share/"];
    match in_usr.iter().any(|start| path.starts_with(start)) {
        true => format!("/usr{path}"),
        false => path,
    }
}

fn add_license(deb: &Deb, debian_name: &str, name: &str, entries: &mut Vec<Entry>) {
    let directory = format!("/usr/share/licenses/{name}");
    entries.push(Entry::new(&directory, 0o755, Content::Directory, Role::Plain));
    let file = deb.root.join("usr/share/doc").join(debian_name).join("copyright");
    let text = fs::read(file).unwrap_or_else(|_| b"See the sources.\n".to_vec());
    let path = format!("{directory}/copyright");
    entries.push(Entry::new(&path, 0o644, Content::File(text), Role::License));
}

/// EL's fakeroot: the script looks in EL's directories, and `/usr/bin/fakeroot` is made by the
/// package's scriptlet, so that the payload does not hold it.
fn make_fakeroot(spec: &mut Spec) {
    let script = spec.entries.iter_mut().find(|entry| entry.path == "/usr/bin/fakeroot-sysv");
    let Some(Entry { content: Content::File(bytes), .. }) = script else {
        panic!("Debian's fakeroot has no fakeroot-sysv");
    };
    let text = String::from_utf8(bytes.clone()).unwrap();
    let lines = text.lines().map(|line| match line.split_once('=') {
        Some(("PATHS", value)) if value.starts_with("/usr/lib/") => {
            "PATHS=/usr/lib64/libfakeroot:${FAKEROOT_PREFIX}/lib64/libfakeroot:${FAKEROOT_PREFIX}/lib32/libfakeroot"
        }
        _ => line,
    });
    *bytes = lines.map(|line| format!("{line}\n")).collect::<String>().into_bytes();
    let ghost = Entry::new("/usr/bin/fakeroot", 0o755, Content::Ghost, Role::Plain);
    spec.entries.push(ghost);
    spec.post = Some((
        "/usr/sbin/alternatives --install /usr/bin/fakeroot fakeroot /usr/bin/fakeroot-sysv 100",
        "/usr/sbin/alternatives",
    ));
}

/// EL has these programs among those of administrators.
fn move_to_sbin(spec: &mut Spec) {
    for entry in &mut spec.entries {
        entry.path = entry.path.replace("/usr/bin/", "/usr/sbin/");
    }
}

/// Whether `text` matches `pattern`, where `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|tail| {
            rest.is_empty()
                || (0..=tail.len())
                    .any(|at| tail.is_char_boundary(at) && matches(rest, &tail[at..]))
        }),
    }
}
