//! What a wishlist says of the repository that it is for: its name, or a table.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{CvmfsOptions, Via};
use crate::error::CvmfsError;
use crate::model::RelPath;

/// Stands in a tag's pattern for the time.
const TIME: &str = "{time}";

/// The repository that a wishlist is for.
#[derive(Clone, Debug)]
pub(crate) struct CvmfsWish {
    /// Its name.
    pub(crate) repository: String,
    /// How it is published.
    pub(crate) via: Via,
    fields: Fields,
}

/// What the table may have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Fields {
    repository: String,
    via: Via,
    /// Seconds that a busy repository is waited for.
    wait: Option<u64>,
    /// How revisions are called.
    tag: Option<String>,
    /// What a gateway is asked to lease.
    lease: Option<RelPath>,
    /// `cvmfs_server`, where it is not on PATH.
    server: Option<PathBuf>,
    /// Where the server's configuration lies.
    configuration: Option<PathBuf>,
    /// Where versions are made.
    stage: Option<PathBuf>,
}

impl<'de> Deserialize<'de> for CvmfsWish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(repository) => Fields { repository, ..Fields::default() },
            table => table.try_into().map_err(D::Error::custom)?,
        };
        match fields.repository.is_empty() {
            true => Err(D::Error::custom("cvmfs: repository names none")),
            false => Ok(Self { repository: fields.repository.clone(), via: fields.via, fields }),
        }
    }
}

impl CvmfsWish {
    /// How the repository is written: with programs from `search_path`, unless it is said; journals are below `state`.
    ///
    /// # Errors
    /// When there is no `cvmfs_server`.
    pub(crate) fn options(
        &self,
        search_path: &[PathBuf],
        state: PathBuf,
    ) -> Result<CvmfsOptions, CvmfsError> {
        let fields = &self.fields;
        let mut options = match &fields.server {
            None => CvmfsOptions::found(search_path, state)?,
            Some(server) => CvmfsOptions::with(server.clone(), search_path, state),
        };
        if let Some(configuration) = &fields.configuration {
            options.configuration.clone_from(configuration);
        }
        if let Some(seconds) = fields.wait {
            options.wait = Duration::from_secs(seconds);
        }
        options.lease.clone_from(&fields.lease);
        Ok(options)
    }

    /// The tag of a revision that is published at `time`.
    pub(crate) fn tag(&self, time: &str) -> String {
        let pattern = self.fields.tag.as_deref().unwrap_or("elsewhere-{time}");
        pattern.replace(TIME, time)
    }

    /// Where versions are made, where that is said.
    pub(crate) fn stage(&self) -> Option<PathBuf> {
        self.fields.stage.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::read_toml;

    #[derive(Debug, Deserialize)]
    struct Whole {
        cvmfs: CvmfsWish,
    }

    fn read(text: &str) -> Result<CvmfsWish, String> {
        read_toml::<Whole>(text).map(|it| it.cvmfs).map_err(|problem| problem.message)
    }

    #[test]
    fn a_name_is_enough_and_a_table_says_more() {
        let named = read("cvmfs = \"r.example.org\"").unwrap();
        assert_eq!((named.repository.as_str(), named.via), ("r.example.org", Via::Transaction));
        assert_eq!(named.tag("T"), "elsewhere-T");
        let table = read(
            "[cvmfs]\nrepository = \"r\"\nvia = \"ingest\"\nwait = 5\ntag = \"grid-{time}\"\nlease = \"sw/x\"\n\
             server = \"/opt/cvmfs_server\"\nconfiguration = \"/opt/cvmfs\"\nstage = \"/var/tmp/x\"\n",
        )
        .unwrap();
        assert_eq!((table.via, table.tag("T").as_str()), (Via::Ingest, "grid-T"));
        let options = table.options(&[], "/state".into()).unwrap();
        assert_eq!(options.server, PathBuf::from("/opt/cvmfs_server"));
        assert_eq!(options.configuration, PathBuf::from("/opt/cvmfs"));
        assert_eq!(options.wait, Duration::from_secs(5));
        assert_eq!(options.lease.unwrap().as_str(), "sw/x");
        assert_eq!(table.stage().unwrap(), PathBuf::from("/var/tmp/x"));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (text, told) in [
            ("cvmfs = 3", "invalid type"),
            ("cvmfs = \"\"", "names none"),
            ("[cvmfs]\nvia = \"ingest\"", "names none"),
            ("[cvmfs]\nrepository = \"r\"\nvia = \"mail\"", "mail"),
            ("[cvmfs]\nrepository = \"r\"\nlaese = \"x\"", "laese"),
            ("[cvmfs]\nrepository = \"r\"\nlease = \"../x\"", "../x"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.contains(told), "{text}: {message}");
        }
    }
}
