//! Users and groups by their names.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::Host;
use crate::owned::Owners;
use crate::tools::programs::{self, Listen, Patience};

/// How long a directory service may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

impl Host {
    /// Those whom `entries` name: `user:NAME`, `group:NAME`, or numbers for names.
    ///
    /// # Errors
    /// With the first entry that names nobody.
    pub(crate) fn owners(&self, entries: &[String]) -> Result<Owners, String> {
        let mut owners = Owners::default();
        for entry in entries {
            let (kind, name) = entry.split_once(':').ok_or(entry)?;
            let (database, ids) = match kind {
                "user" => ("passwd", &mut owners.users),
                "group" => ("group", &mut owners.groups),
                _ => return Err(entry.clone()),
            };
            ids.insert(name.parse().ok().or_else(|| id(database, name)).ok_or(entry)?);
        }
        Ok(owners)
    }
}

/// The number of `name` in `passwd` or `group`: by the file, else by what the system asks besides.
fn id(database: &str, name: &str) -> Option<u32> {
    let file = fs::read_to_string(format!("/etc/{database}")).unwrap_or_default();
    id_in(&file, name).or_else(|| {
        let mut command = Command::new("getent");
        command.args([database, "--", name]);
        let answer = programs::run(command, Listen::Output, Patience::of(LIMIT)).ok()?;
        id_in(&answer.output, name)
    })
}

fn id_in(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_named_by_kind_and_name_or_number() {
        let host = Host::read();
        let owners = |entries: &[&str]| {
            host.owners(&entries.iter().map(|&entry| entry.to_owned()).collect::<Vec<_>>())
        };
        let found = owners(&["user:root", "user:4321", "group:50"]).unwrap();
        assert_eq!(found.users, [0, 4321].into());
        assert_eq!(found.groups, [50].into());
        for wrong in ["root", "user:", "user:no-such-user-anywhere", "other:root"] {
            assert_eq!(owners(&[wrong]), Err(wrong.to_owned()));
        }
        assert_eq!(id_in("ada:x:1000:1000::/:/bin/sh\nadam:x:7:\n", "adam"), Some(7));
        assert_eq!(id_in("ada:x:1000:1000\n", "ad"), None);
    }
}
