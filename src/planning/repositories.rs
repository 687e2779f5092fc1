//! Which repositories are left out: told, and kept with what is made without them, so that an update
//! does as the install did.

use crate::catalog::Catalog;
use crate::context::Context;
use crate::model::{Arch, DecidedBy, Receipt, Repository, RuntimeRequest, TreePlan};

/// The definitions for what is planned in the place of `tree`, where there is one, with what is `asked` for.
pub(super) fn remembering(
    catalog: &Catalog,
    tree: Option<&Receipt>,
    asked: &[RuntimeRequest],
) -> Catalog {
    let installed = tree.into_iter().flat_map(|tree| &tree.runtimes).map(|it| it.name.as_str());
    let names = asked.iter().map(|it| it.name.as_str()).chain(installed);
    let catalog = &catalog.reading_for(names);
    match tree {
        None => catalog.clone(),
        Some(tree) => tree.parts().fold(catalog.clone(), |catalog, part| {
            catalog.remembering(&part.dist, &part.disabled_repositories, &part.enabled_repositories)
        }),
    }
}

/// Notes in `tree` what the command line said, or the one by which its forerunner was made.
pub(super) fn record(context: Context<'_>, tree: &mut TreePlan) {
    if let Some(inner) = &mut tree.container {
        record(context, inner);
    }
    let Ok(dist) = context.catalog.dist(&tree.dist) else { return };
    let typed = dist.repositories_for(tree.arch).filter(|repository| {
        matches!(repository.decided_by, DecidedBy::CommandLine | DecidedBy::Receipt)
    });
    let (enabled, disabled): (Vec<_>, Vec<_>) = typed.partition(|repository| repository.enabled);
    tree.enabled_repositories = enabled.into_iter().map(|it| it.id.clone()).collect();
    tree.disabled_repositories = disabled.into_iter().map(|it| it.id.clone()).collect();
}

/// Says which repositories of the dist `name` are not read, and who said so.
pub(super) fn tell(context: Context<'_>, name: &str, arch: Arch) {
    let Ok(dist) = context.catalog.dist(name) else { return };
    let off = dist.repositories_for(arch).filter(|repository| !repository.enabled);
    let told: Vec<String> = off.filter_map(describe).collect();
    if !told.is_empty() {
        context.reporter.note(format!("{arch}: of {name} not read: {}", told.join(", ")));
    }
}

/// Why a repository is not read; nothing where its definition says so and nobody else.
fn describe(repository: &Repository) -> Option<String> {
    let id = &repository.id;
    let why = match repository.decided_by {
        DecidedBy::Definition => return None,
        DecidedBy::Configuration => "by the configuration".to_owned(),
        DecidedBy::Receipt => {
            format!("as when this was installed; --enable-repo {id} reads it again")
        }
        DecidedBy::CommandLine => "--disable-repo".to_owned(),
        DecidedBy::Policy => "by this site's policy".to_owned(),
    };
    Some(format!("{id} ({why})"))
}
