//! A package that the user named by path or URL becomes one of the index, in a repository of its
//! own: from there on it is resolved, fetched and verified as any other.

use std::fs::File;
use std::io::{BufReader, Cursor};

use crate::context::Context;
use crate::error::Error;
use crate::metadata::Loaded;
use crate::model::{
    Arch, Comparison, Dist, Fingerprint, Index, KeyPin, LOCAL, NameHash, Package, PackageLocation,
    Provide, Relation, Source, Weak,
};
use crate::trust::{self, LocalPackage, LocalRelation};

/// Most bytes of a package that is named by URL: it is read into memory once, to see what it is.
const URL_LIMIT: u64 = 512 << 20;

/// Adds the package at `place`, a path or a URL, to `loaded`. The keys that may have signed it are
/// those of every repository of `dist`.
///
/// # Errors
/// When it cannot be read, is no package, or is another architecture's.
pub(super) fn append(
    context: Context<'_>,
    place: &str,
    dist: &Dist,
    arch: Arch,
    loaded: &mut Loaded,
) -> Result<(), Error> {
    let (location, package) = read(context, place)?;
    if !arch.accepts(&package.nevra.arch) {
        return Err(Error::Usage(format!(
            "{} is for {}, and a tree for {arch} is asked for: name its architecture with --arch",
            package.nevra, package.nevra.arch
        )));
    }
    let repository = u16::try_from(loaded.index.repositories.len()).unwrap_or(u16::MAX);
    loaded.index.repositories.push(LOCAL.to_owned());
    let package = convert(package, &location, repository, &mut loaded.index);
    loaded.index.packages.push(package);
    let keys = keys(dist, arch);
    loaded.sources.push(Source { id: LOCAL.to_owned(), base: Vec::new(), metadata: None, keys });
    Ok(())
}

/// The whole URL of the package, and what it says about itself.
fn read(context: Context<'_>, place: &str) -> Result<(String, LocalPackage), Error> {
    if place.contains("://") || place.starts_with("file:") {
        let bytes = context.fetcher.package(place, URL_LIMIT)?;
        let plain = context.fetcher.plain(place);
        let package = trust::read_local(Cursor::new(bytes), &plain)?;
        return Ok((plain, package));
    }
    let file = |source| Error::File { path: place.into(), source };
    let path = std::fs::canonicalize(place).map_err(file)?;
    let package = trust::read_local(BufReader::new(File::open(&path).map_err(file)?), place)?;
    let url = crate::fetch::join("file://", &path.to_string_lossy());
    Ok((url, package))
}

/// The keys of every repository of `dist`.
pub(super) fn keys(dist: &Dist, arch: Arch) -> Vec<KeyPin> {
    let mut keys: Vec<KeyPin> = Vec::new();
    for key in dist.enabled_for(arch).flat_map(|repository| &repository.keys) {
        let known =
            |fingerprint: &Fingerprint| keys.iter().any(|known| known.fingerprint == *fingerprint);
        if !known(&key.fingerprint) {
            keys.push(key.clone());
        }
    }
    keys
}

fn convert(local: LocalPackage, location: &str, repository: u16, index: &mut Index) -> Package {
    let strings = &mut index.strings;
    let mut relations = |list: Vec<LocalRelation>| -> Box<[Relation]> {
        list.into_iter()
            .map(|relation| Relation {
                name: strings.intern(&relation.name),
                comparison: relation.comparison,
                evr: relation
                    .evr
                    .filter(|_| relation.comparison != Comparison::Any)
                    .map(|evr| strings.intern(&evr)),
            })
            .collect()
    };
    let requires = relations(local.requires);
    let conflicts = relations(local.conflicts);
    let obsoletes = relations(local.obsoletes);
    let [recommends, suggests, supplements, enhances] = local.weak.map(&mut relations);
    let provides = local.provides.into_iter().map(|provide| Provide {
        name: NameHash::of(&provide.name),
        comparison: provide.comparison,
        evr: provide
            .evr
            .filter(|_| provide.comparison != Comparison::Any)
            .map(|evr| strings.intern(&evr)),
    });
    let provides = provides.collect();
    Package {
        name: strings.intern(&local.nevra.name),
        arch: strings.intern(&local.nevra.arch),
        evr: strings.intern(&local.nevra.evr.as_text()),
        repository,
        location: PackageLocation::Other(location.into()),
        size: local.size,
        installed_size: local.installed_size,
        checksum: local.checksum,
        requires,
        provides,
        conflicts,
        obsoletes,
        weak: Weak { recommends, suggests, supplements, enhances }.boxed(),
        files: local.files.iter().map(|path| NameHash::of(path)).collect(),
    }
}
