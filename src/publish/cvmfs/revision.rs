//! What a publication came to.

use std::time::Duration;

use serde::Serialize;

use super::tags::Tagged;

/// A revision that was published.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Revision {
    /// Its number.
    pub revision: u64,
    /// Its tag, where it has one.
    pub tag: Option<String>,
    /// The root hash of what was published before.
    pub before: String,
    /// And now.
    pub after: String,
    /// Objects that are new in the storage, catalogs among them, where the server tells.
    pub objects: Option<u64>,
    /// And their bytes.
    pub bytes: Option<u64>,
    /// What it took, waiting included.
    pub seconds: f64,
}

impl Revision {
    /// `now` in the place of `before`; of the storage, what the server said in `output`.
    pub(super) fn of(
        before: &Tagged,
        now: &Tagged,
        tag: Option<&str>,
        output: &str,
        took: Duration,
    ) -> Self {
        let count = |names: &[&str]| {
            let counts: Vec<u64> = names.iter().filter_map(|name| counter(output, name)).collect();
            (!counts.is_empty()).then(|| counts.iter().sum())
        };
        Self {
            revision: now.revision,
            tag: tag.map(str::to_owned),
            before: before.hash.clone(),
            after: now.hash.clone(),
            objects: count(&["publish.n_chunks_added", "publish.n_catalogs_added"]),
            bytes: count(&["publish.sz_uploaded_bytes", "publish.sz_uploaded_catalog_bytes"]),
            seconds: took.as_secs_f64(),
        }
    }
}

/// The value of a counter, as servers print them that are configured to (`CVMFS_PRINT_STATISTICS`):
/// `NAME|VALUE|DESCRIPTION`.
fn counter(output: &str, name: &str) -> Option<u64> {
    let lines = output.lines().filter_map(|line| line.trim().split_once('|'));
    let mut values = lines.filter(|(it, _)| *it == name).filter_map(|(_, rest)| {
        let value = rest.split('|').next()?;
        value.parse().ok()
    });
    values.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_added_where_the_server_prints_them() {
        let tagged = |hash: &str, revision| Tagged {
            name: "trunk".to_owned(),
            hash: hash.to_owned(),
            revision,
        };
        let of = |output| {
            let (before, now) = (tagged("a", 6), tagged("b", 7));
            Revision::of(&before, &now, None, output, Duration::from_millis(1500))
        };
        let told = of("Name|Value|Description\npublish.n_chunks_added|2|Number\n\
                       publish.n_catalogs_added|1|Number\npublish.sz_uploaded_bytes|2700|Bytes\n");
        assert_eq!((told.objects, told.bytes, told.revision), (Some(3), Some(2700), 7));
        assert_eq!((told.before.as_str(), told.after.as_str(), told.seconds), ("a", "b", 1.5));
        assert_eq!((of("").objects, of("publish.n_chunks_added|x|").bytes), (None, None));
    }
}
