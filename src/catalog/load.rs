//! Reading definitions, and refusing those that make no sense.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::names::Names;
use super::{Catalog, CatalogError, embedded, origins};
use crate::model::{
    Builds, CHECKS, CONTAINER_DIRECTORY, Dist, DriverFacts, Fingerprint, FuseMounts, HostGives,
    ImageFiles, Registries, RelPath, Remedies, Repository, Runtime, TomlProblem, read_toml,
    without_userinfo,
};

/// A definition's text, and where it stands, for messages.
struct Definition {
    file: String,
    text: String,
    /// Which directory it comes from; the program's own come last.
    directory: usize,
}

impl Catalog {
    /// Reads the embedded definitions and those of `directories`, the most important one first. A
    /// file replaces the one of the same name in later directories and in the program; `names.toml`
    /// is put before theirs instead, and copies of certificates all count.
    ///
    /// # Errors
    /// When a directory cannot be read or a definition does not hold what its format asks for.
    pub fn load(directories: &[PathBuf]) -> Result<Self, CatalogError> {
        let mut files = BTreeMap::new();
        let mut name_tables = Vec::new();
        let mut certificates = Vec::new();
        for (number, directory) in directories.iter().enumerate() {
            collect((number, directory), &mut files, &mut name_tables)?;
            certificates.extend(certificates_in(directory)?);
        }
        for (path, text) in embedded::FILES {
            if let Some(print) = named_by_print(Path::new(path)) {
                certificates.push((print, (*text).to_owned()));
                continue;
            }
            let (file, text) = (format!("repos/{path}"), (*text).to_owned());
            let definition = Definition { file, text, directory: directories.len() };
            place((*path).to_owned(), definition, &mut files, &mut name_tables);
        }
        let mut catalog = build(&files, &name_tables)?;
        catalog.certificates = certificates;
        catalog.take_logins();
        Ok(catalog)
    }
}

/// Adds the definitions below `directory`. What is in `files` already is more important and stays.
fn collect(
    (number, directory): (usize, &Path),
    files: &mut BTreeMap<String, Definition>,
    name_tables: &mut Vec<Definition>,
) -> Result<(), CatalogError> {
    for path in toml_files(directory)? {
        let relative = path.strip_prefix(directory).unwrap_or(&path).to_string_lossy().into_owned();
        let is_definition = relative == "host.toml"
            || relative == "doctor.toml"
            || relative == "drivers.toml"
            || relative == "names.toml"
            || relative == "registries.toml"
            || relative == "images.toml"
            || relative.starts_with("dists/")
            || relative.starts_with("runtimes/");
        if !is_definition {
            let expected = "there may be dists/, runtimes/, host.toml, names.toml, doctor.toml, drivers.toml, registries.toml and images.toml";
            return Err(CatalogError::UnexpectedFile { path, expected });
        }
        let text = fs::read_to_string(&path)
            .map_err(|source| CatalogError::Unreadable { path: path.clone(), source })?;
        let file = path.to_string_lossy().into_owned();
        let definition = Definition { file, text, directory: number };
        place(relative, definition, files, name_tables);
    }
    Ok(())
}

fn place(
    relative: String,
    definition: Definition,
    files: &mut BTreeMap<String, Definition>,
    name_tables: &mut Vec<Definition>,
) {
    if relative == "names.toml" {
        name_tables.push(definition);
    } else {
        files.entry(relative).or_insert(definition);
    }
}

/// The files called `*.toml` in `directory` and in its `dists` and `runtimes`, sorted.
fn toml_files(directory: &Path) -> Result<Vec<PathBuf>, CatalogError> {
    let mut found = files_in(directory, "toml")?;
    for place in ["dists", "runtimes"].map(|name| directory.join(name)) {
        if place.exists() {
            found.extend(files_in(&place, "toml")?);
        }
    }
    found.sort();
    Ok(found)
}

/// The files in `directory` whose names have this ending.
fn files_in(directory: &Path, ending: &str) -> Result<Vec<PathBuf>, CatalogError> {
    let unreadable = |source| CatalogError::Unreadable { path: directory.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The copies of certificates in `directory`.
fn certificates_in(directory: &Path) -> Result<Vec<(Fingerprint, String)>, CatalogError> {
    let place = directory.join("keys");
    if !place.exists() {
        return Ok(Vec::new());
    }
    let mut paths = files_in(&place, "asc")?;
    paths.sort();
    let read = |path: PathBuf| {
        let Some(print) = path.strip_prefix(directory).ok().and_then(named_by_print) else {
            let expected = "a certificate is called by its key's fingerprint, keys/FINGERPRINT.asc";
            return Err(CatalogError::UnexpectedFile { path, expected });
        };
        match fs::read_to_string(&path) {
            Ok(text) => Ok((print, text)),
            Err(source) => Err(CatalogError::Unreadable { path, source }),
        }
    };
    paths.into_iter().map(read).collect()
}

/// The key whose certificate a file below a directory of definitions is called by.
fn named_by_print(path: &Path) -> Option<Fingerprint> {
    let is_certificate =
        path.parent() == Some(Path::new("keys")) && path.extension().is_some_and(|it| it == "asc");
    let name = path.file_stem().filter(|_| is_certificate)?;
    Fingerprint::new(name.to_str()?).ok()
}

fn build(
    files: &BTreeMap<String, Definition>,
    name_tables: &[Definition],
) -> Result<Catalog, CatalogError> {
    let mut catalog = Catalog {
        dists: BTreeMap::new(),
        runtimes: BTreeMap::new(),
        host: HostGives::default(),
        names: Names::default(),
        remedies: Remedies::default(),
        registries: Registries::default(),
        image_files: ImageFiles::default(),
        drivers: DriverFacts::default(),
        logins: Vec::new(),
        certificates: Vec::new(),
    };
    // In the order of their names: every dist before any runtime, which may name dists.
    for (relative, definition) in files {
        if let Some(file_name) = relative.strip_prefix("dists/") {
            let mut dist: Dist = parse(definition)?;
            origins::note(&mut dist, &definition.file, &definition.text);
            let is_set_aside = |it: &&mut Repository| it.archive || !it.runtimes.is_empty();
            let aside = dist.repositories.iter_mut().filter(is_set_aside);
            aside.for_each(|repository| repository.enabled = false);
            let problem = named_as_file(&dist.name, file_name);
            check(definition, problem.or_else(|| dist_problem(&dist)))?;
            catalog.dists.insert(dist.name.clone(), dist);
        } else if let Some(file_name) = relative.strip_prefix("runtimes/") {
            let mut runtime: Runtime = parse(definition)?;
            runtime.file.clone_from(&definition.file);
            let problem = named_as_file(&runtime.name, file_name);
            check(definition, problem.or_else(|| runtime_problem(&runtime, &catalog.dists)))?;
            catalog.runtimes.insert(runtime.name.clone(), runtime);
        } else if relative == "doctor.toml" {
            catalog.remedies = parse(definition)?;
        } else if relative == "registries.toml" {
            catalog.registries = parse(definition)?;
        } else if relative == "images.toml" {
            catalog.image_files = parse(definition)?;
        } else if relative == "drivers.toml" {
            catalog.drivers = parse(definition)?;
            check(definition, catalog.drivers.problem())?;
        } else {
            catalog.host = parse(definition)?;
        }
    }
    check_commands(&catalog, files)?;
    check_drivers(&catalog)?;
    for definition in name_tables {
        let names: Names = parse(definition)?;
        check(definition, names.problem(&catalog.dists))?;
        catalog.names.append(names);
    }
    Ok(catalog)
}

/// Refuses two runtimes of one directory that have commands of the same name. A runtime of the user's
/// own may have those of one that comes with the program, and so may one that conflicts with the other: whoever
/// wants both keeps them in two prefixes.
fn check_commands(
    catalog: &Catalog,
    files: &BTreeMap<String, Definition>,
) -> Result<(), CatalogError> {
    let definition = |name: &String| files.get(&format!("runtimes/{name}.toml"));
    let directory = |runtime: &Runtime| definition(&runtime.name).map(|it| it.directory);
    let runtimes: Vec<&Runtime> = catalog.runtimes().collect();
    for (number, one) in runtimes.iter().enumerate() {
        let is_unknown = |name: &&String| !catalog.runtimes.contains_key(*name);
        if let Some(name) = one.conflicts.iter().find(is_unknown) {
            let problem = format!("it conflicts with {name:?}, and there is no such runtime");
            return Err(CatalogError::Invalid { file: one.file.clone(), problem });
        }
        let others = runtimes.iter().skip(number + 1);
        for other in others.filter(|other| directory(one) == directory(other)) {
            if one.conflicts_with(other) {
                continue;
            }
            if let Some(command) = one.shares_command(other) {
                return Err(CatalogError::CommandTwice {
                    command: command.to_owned(),
                    first: one.file.clone(),
                    second: other.file.clone(),
                });
            }
        }
    }
    Ok(())
}

/// Refuses runtimes that name a kind of hardware that there is none of. Another `drivers.toml` may have others.
fn check_drivers(catalog: &Catalog) -> Result<(), CatalogError> {
    for runtime in catalog.runtimes() {
        let is_unknown = |kind: &&str| catalog.drivers.kind(kind).is_none();
        let mut named = runtime.drivers.iter().map(|drivers| drivers.kind.as_str());
        if let Some(kind) = named.find(is_unknown) {
            let problem = format!("there is no kind {kind:?} in drivers.toml");
            return Err(CatalogError::Invalid { file: runtime.file.clone(), problem });
        }
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(definition: &Definition) -> Result<T, CatalogError> {
    read_toml(&definition.text).map_err(|TomlProblem { line, message }| CatalogError::Syntax {
        file: definition.file.clone(),
        line,
        message,
    })
}

fn check(definition: &Definition, problem: Option<String>) -> Result<(), CatalogError> {
    match problem {
        None => Ok(()),
        Some(problem) => Err(CatalogError::Invalid { file: definition.file.clone(), problem }),
    }
}

fn named_as_file(name: &str, file_name: &str) -> Option<String> {
    let plain = file_name.strip_suffix(".toml").unwrap_or(file_name);
    if !is_plain_name(name) {
        return Some(format!("{name:?} is no name: use letters, digits, `.`, `_`, `+` and `-`"));
    }
    (plain != name).then(|| format!("`name` is {name:?}, and the file is called {file_name:?}"))
}

/// Whether `name` can be a file's name, and a word on a command line that is no option.
fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
    name.bytes().all(plain) && name.starts_with(|first: char| first.is_ascii_alphanumeric())
}

fn dist_problem(dist: &Dist) -> Option<String> {
    if !is_date(&dist.maintained_until) {
        return Some(format!("`maintained_until` {:?} is no YYYY-MM-DD", dist.maintained_until));
    }
    if !(1..=4).contains(&dist.x86_64_level) {
        return Some(format!("`x86_64_level` {} is not 1, 2, 3 or 4", dist.x86_64_level));
    }
    for (position, repository) in dist.repositories.iter().enumerate() {
        let earlier = dist.repositories.iter().take(position);
        let twin = earlier
            .into_iter()
            .filter(|other| other.id == repository.id)
            .any(|other| repository.arches.iter().any(|arch| other.arches.contains(arch)));
        if twin {
            return Some(format!(
                "repository {:?} stands twice for one architecture",
                repository.id
            ));
        }
        if let Some(problem) = repository_problem(repository) {
            return Some(format!("repository {:?} {problem}", repository.id));
        }
    }
    dist.builds.iter().find_map(|builds| {
        let problem = builds_problem(builds, dist)?;
        Some(format!("builds {:?} {problem}", builds.id))
    })
}

fn builds_problem(builds: &Builds, dist: &Dist) -> Option<String> {
    if !is_plain_name(&builds.id) {
        return Some("have no plain `id`".to_owned());
    }
    if !is_plain_name(&builds.release) {
        return Some("have no plain `release`".to_owned());
    }
    if !dist.repositories.iter().any(|repository| repository.id == builds.of) {
        return Some(format!("are `of` {:?}, and there is no such repository", builds.of));
    }
    let is_url = URL_SCHEMES.iter().any(|scheme| builds.base.starts_with(scheme));
    (!is_url).then(|| "have a `base` that is not https, http or file".to_owned())
}

/// What URLs begin with.
const URL_SCHEMES: [&str; 3] = ["https://", "http://", "file:"];

fn repository_problem(repository: &Repository) -> Option<String> {
    let lists = repository.metalink.iter().chain(&repository.mirrorlist);
    let sources: Vec<_> = lists.chain(&repository.base).collect();
    if !is_plain_name(&repository.id) {
        return Some("has no plain `id`".to_owned());
    }
    if repository.arches.is_empty() {
        return Some("has no `arches`".to_owned());
    }
    if sources.is_empty() {
        return Some("has no `metalink`, `mirrorlist` or `base`".to_owned());
    }
    if repository.keys.is_empty() {
        return Some("has no `key`: without one, no package of it can be accepted".to_owned());
    }
    let keys = repository.keys.iter().flat_map(|key| key.alternates.iter().chain([&key.url]));
    sources
        .into_iter()
        .chain(keys)
        .find(|url| !URL_SCHEMES.iter().any(|scheme| url.starts_with(scheme)))
        .map(|url| {
            format!("has a URL that is not https, http or file: {:?}", without_userinfo(url))
        })
}

/// Whether `text` has the form of a date. Dates are only compared, as texts.
fn is_date(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    parts.iter().map(|part| part.len()).eq([4, 2, 2]) && parts.into_iter().all(digits)
}

fn runtime_problem(runtime: &Runtime, dists: &BTreeMap<String, Dist>) -> Option<String> {
    let mut names: Vec<_> = runtime.commands.iter().map(|command| &command.name).collect();
    if let Some(name) = names.iter().find(|name| !is_plain_name(name)) {
        return Some(format!("{name:?} cannot be a command's name"));
    }
    names.sort();
    if let Some([name, _]) = names.windows(2).find(|pair| pair.first() == pair.last()) {
        return Some(format!("command {name:?} stands twice"));
    }
    if let Some(name) = unknown_check(runtime) {
        return Some(format!("there is no check {name:?}: there are {}", CHECKS.join(", ")));
    }
    if let Some(problem) = files_problem(runtime) {
        return Some(problem);
    }
    let places = runtime.places.iter().enumerate();
    for (number, place) in places {
        if let Some(other) = runtime.places.iter().take(number).find(|other| other.meets(place)) {
            return Some(format!("the places {} and {} lie in each other", other.at, place.at));
        }
    }
    let of_mounts = runtime.fuse_mounts.as_ref().and_then(FuseMounts::problem);
    let mounting = runtime.commands.iter().find(|command| command.mounts);
    match (&runtime.fuse_mounts, mounting) {
        (None, Some(command)) => {
            return Some(format!("{:?} mounts, and there are no `[fuse_mounts]`", command.name));
        }
        (Some(_), None) => return Some("no command of its mounts anything".to_owned()),
        (Some(_), _) if !runtime.places.is_empty() => {
            return Some("what has places at the host cannot mount something too".to_owned());
        }
        _ => {}
    }
    let of_mounters =
        of_mounts.or_else(|| runtime.squashfs_mounters.iter().find_map(|it| it.problem()));
    if let Some(problem) = of_mounters.or_else(|| runtime.bind.as_ref()?.problem()) {
        return Some(problem);
    }
    let of_shadows = &runtime.shadow.environment;
    let mut variables: Vec<_> =
        runtime.environment.iter().chain(of_shadows).map(|it| &it.name).collect();
    variables.sort();
    if let Some([name, _]) = variables.windows(2).find(|pair| pair.first() == pair.last()) {
        return Some(format!("the variable {name} stands twice"));
    }
    let mut named = runtime.extras.iter().flat_map(|extra| &extra.dists);
    named.find(|dist| !dists.contains_key(*dist)).map(|dist| format!("there is no dist {dist:?}"))
}

/// What is wrong with the files that the runtime wants beside those of packages.
fn files_problem(runtime: &Runtime) -> Option<String> {
    let mut places: Vec<&RelPath> = runtime.files.iter().map(|file| &file.path).collect();
    places.sort();
    if let Some([path, _]) = places.windows(2).find(|pair| pair.first() == pair.last()) {
        return Some(format!("the file {path} stands twice"));
    }
    let is_own = |path: &&&RelPath| {
        path.as_str().starts_with('.') || path.as_path().starts_with(CONTAINER_DIRECTORY)
    };
    let own = places.iter().find(is_own)?;
    Some(format!("the file {own} would lie where elsewhere has its own"))
}

/// A check that the runtime's abilities or tests name, and that there is none of.
fn unknown_check(runtime: &Runtime) -> Option<&str> {
    let abilities = runtime.abilities.iter();
    let of_abilities = abilities.flat_map(|ability| ability.needs.iter().chain(&ability.wants));
    let named = of_abilities.flat_map(|names| names.split('|'));
    let of_tests = runtime.smoke_tests.iter().flat_map(|test| test.checks());
    named.chain(of_tests).find(|name| !CHECKS.contains(name))
}
