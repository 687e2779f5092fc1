//! On which line of its file each field of a repository's definition stands: what a definition claims
//! and is not so is told with its place.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::{Dist, Origin, line_at};

/// Notes for every repository and build system of `dist` where in `file`, which holds `text`,
/// it is defined.
pub(super) fn note(dist: &mut Dist, file: &str, text: &str) {
    // It has been read before: this cannot fail.
    let Ok(table) = DeTable::parse(text) else { return };
    let tables = array(table.get_ref(), "repository");
    for (repository, table) in dist.repositories.iter_mut().zip(tables) {
        let mut origin = Origin { file: file.to_owned(), ..Origin::default() };
        note_fields(table, "", text, &mut origin);
        for (position, key) in array(table, "key").into_iter().enumerate() {
            note_fields(key, &format!("key.{position}."), text, &mut origin);
        }
        repository.origin = origin;
    }
    for (builds, table) in dist.builds.iter_mut().zip(array(table.get_ref(), "builds")) {
        builds.origin.file = file.to_owned();
        note_fields(table, "", text, &mut builds.origin);
    }
}

/// The tables of the array `name`.
fn array<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Vec<&'t DeTable<'i>> {
    let found = table.iter().find(|(key, _)| key.get_ref() == name);
    let items = match found.map(|(_, value)| value.get_ref()) {
        Some(DeValue::Array(items)) => items.iter().map(Spanned::get_ref).collect(),
        _ => Vec::new(),
    };
    let table = |item: &'t DeValue<'i>| match item {
        DeValue::Table(table) => Some(table),
        _ => None,
    };
    items.into_iter().filter_map(table).collect()
}

fn note_fields(table: &DeTable<'_>, prefix: &str, text: &str, origin: &mut Origin) {
    for (key, _) in table {
        let line = line_at(text, key.span().start);
        origin.lines.insert(format!("{prefix}{}", key.get_ref()), line);
    }
}
