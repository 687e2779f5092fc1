//! Lock files and receipts of format 1, in which what is bound into containers stood among the rest:
//! packages had a `dist`, ids of its sources and repositories were `DIST/ID`, and its files were listed
//! with the directory that they are in.

use serde::Deserialize;

use super::{
    Arch, GlibcVersion, Plan, PlannedPackage, PlannedRuntime, RECEIPT_FORMAT, Receipt, ReceiptFile,
    RelPath, Source, TreePlan,
};

/// A lock file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OlderPlan {
    #[serde(rename = "format")]
    _format: u32,
    #[serde(rename = "tree")]
    trees: Vec<OlderTree>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OlderTree {
    arch: Arch,
    dist: String,
    container_dist: Option<String>,
    #[serde(default)]
    disabled_repositories: Vec<String>,
    #[serde(default)]
    enabled_repositories: Vec<String>,
    glibc: Option<GlibcVersion>,
    #[serde(rename = "runtime")]
    runtimes: Vec<PlannedRuntime>,
    #[serde(rename = "source")]
    sources: Vec<Source>,
    #[serde(rename = "package")]
    packages: Vec<OlderPackage>,
}

#[derive(Deserialize)]
struct OlderPackage {
    #[serde(flatten)]
    package: PlannedPackage,
    dist: Option<String>,
}

impl OlderPlan {
    /// The same as a plan of today.
    ///
    /// # Errors
    /// That it contradicts itself.
    pub(super) fn today(self) -> Result<Plan, String> {
        let trees = self.trees.into_iter().map(OlderTree::today).collect::<Result<_, _>>()?;
        Ok(Plan::of(trees))
    }
}

impl OlderTree {
    fn today(self) -> Result<TreePlan, String> {
        let (arch, container) = (self.arch, self.container_dist);
        let (mut packages, mut inner) = (Vec::new(), Vec::new());
        for OlderPackage { package, dist } in self.packages {
            match dist {
                None => packages.push(package),
                Some(dist) if Some(&dist) == container.as_ref() => {
                    inner.push(PlannedPackage { source: plain(&dist, &package.source), ..package });
                }
                Some(_) => return Err(format!("{arch}: {} is of another dist", package.nevra)),
            }
        }
        let mut tree = TreePlan {
            arch,
            dist: self.dist,
            disabled_repositories: self.disabled_repositories,
            enabled_repositories: self.enabled_repositories,
            glibc: self.glibc,
            runtimes: self.runtimes,
            sources: self.sources,
            packages,
            container: None,
        };
        if let Some(dist) = container {
            tree.container = Some(Box::new(TreePlan {
                disabled_repositories: take(&mut tree.disabled_repositories, &dist),
                enabled_repositories: take(&mut tree.enabled_repositories, &dist),
                sources: take_sources(&mut tree.sources, &dist),
                packages: inner,
                dist,
                ..tree.clone()
            }));
        }
        Ok(tree)
    }
}

/// What a receipt says of the dists of its packages.
#[derive(Deserialize)]
pub(super) struct OlderDists {
    packages: Vec<OlderDist>,
}

#[derive(Deserialize)]
struct OlderDist {
    dist: Option<String>,
}

/// `receipt`, whose packages are of these dists, as one of today. Which part asks for its glibc nobody
/// wrote down.
pub(super) fn receipt(receipt: Receipt, dists: OlderDists) -> Receipt {
    let mut outer = Receipt { format: RECEIPT_FORMAT, ..receipt };
    let Some(dist) = dists.packages.iter().find_map(|package| package.dist.clone()) else {
        return outer;
    };
    let directory = RelPath::container_directory();
    let mut inner = Receipt {
        packages: Vec::new(),
        files: Vec::new(),
        disabled_repositories: take(&mut outer.disabled_repositories, &dist),
        enabled_repositories: take(&mut outer.enabled_repositories, &dist),
        sources: take_sources(&mut outer.sources, &dist),
        loading: outer.loading.as_ref().map(|loading| loading.within(&directory)),
        reuse: None,
        made_with: None,
        dist: dist.clone(),
        ..outer.clone()
    };
    if let Some(loading) = &mut outer.loading {
        let is_outside = |path: &RelPath| !path.as_path().starts_with(directory.as_path());
        loading.directories.retain(is_outside);
        loading.aided.retain(|aided| is_outside(&aided.path));
    }
    for (mut package, of) in std::mem::take(&mut outer.packages).into_iter().zip(dists.packages) {
        if of.dist.is_some() {
            package.source = plain(&dist, &package.source);
            inner.packages.push(package);
        } else {
            outer.packages.push(package);
        }
    }
    for file in std::mem::take(&mut outer.files) {
        let place = within(directory.as_str(), file.path.as_str());
        match place.and_then(|place| RelPath::new(place).ok()) {
            Some(path) => inner.files.push(ReceiptFile { path, ..file }),
            None => outer.files.push(file),
        }
    }
    outer.container = Some(Box::new(inner));
    outer
}

/// What of `text` comes after `first` and a slash.
fn within<'a>(first: &str, text: &'a str) -> Option<&'a str> {
    text.strip_prefix(first)?.strip_prefix('/')
}

/// `id` without the dist before it.
fn plain(dist: &str, id: &str) -> String {
    within(dist, id).unwrap_or(id).to_owned()
}

/// Takes those of `ids` that are of `dist`.
fn take(ids: &mut Vec<String>, dist: &str) -> Vec<String> {
    let (inner, outer): (Vec<_>, Vec<_>) =
        std::mem::take(ids).into_iter().partition(|id| within(dist, id).is_some());
    *ids = outer;
    inner.iter().map(|id| plain(dist, id)).collect()
}

/// Takes those of `sources` that are of `dist`.
fn take_sources(sources: &mut Vec<Source>, dist: &str) -> Vec<Source> {
    let (inner, outer): (Vec<_>, Vec<_>) =
        std::mem::take(sources).into_iter().partition(|it| within(dist, &it.id).is_some());
    *sources = outer;
    inner.into_iter().map(|source| Source { id: plain(dist, &source.id), ..source }).collect()
}
