//! Where a repository's state lies, as its server's own configuration says: a file of shell, which
//! `cvmfs_server` reads with `.`, and so is read here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::words::word;
use crate::error::CvmfsError;
use crate::tools::programs::{self, Listen, Patience};

/// Far more than reading a file takes.
const LIMIT: Patience<'static> =
    Patience { time: Duration::from_secs(60), is_cancelled: &|| false };

/// Reads the file that `$1` names as the server does, and prints what is asked of it.
const SCRIPT: &str = r#". "$1" >/dev/null || exit 1
printf '\n%s\n' "$CVMFS_SPOOL_DIR" "$CVMFS_UNION_DIR" "$CVMFS_UPSTREAM_STORAGE" "$CVMFS_GARBAGE_COLLECTION" "$CVMFS_USER""#;

/// What the server's configuration says of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Configuration {
    /// Its state.
    pub(super) spool: PathBuf,
    /// Where it is mounted to be written.
    pub(super) union: PathBuf,
    /// Whether it is written by way of a gateway, which leases paths.
    pub(super) is_gateway: bool,
    /// Whether garbage may be collected.
    pub(super) collects: bool,
    /// Whose it is.
    pub(super) user: String,
}

impl Configuration {
    /// Reads that of the repository `name` below `directory`.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub(super) fn read(directory: &Path, name: &str) -> Result<Self, CvmfsError> {
        word(name, "the name of a repository")?;
        if name.contains('/') || name.starts_with('.') {
            let what = "the name of a repository";
            return Err(CvmfsError::Word { text: name.to_owned(), what });
        }
        let path = directory.join("repositories.d").join(name).join("server.conf");
        if !path.is_file() {
            return Err(CvmfsError::Unknown { repository: name.to_owned(), path });
        }
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(SCRIPT).arg("sh").arg(&path).current_dir("/");
        let unreadable = |reason| CvmfsError::Configuration { path: path.clone(), reason };
        let finished = programs::run(command, Listen::Both, LIMIT)
            .map_err(|error| unreadable(error.to_string()))?;
        if !finished.end.is_success() {
            return Err(unreadable(programs::tail(&finished.output)));
        }
        Self::parse(&finished.output, name)
            .ok_or_else(|| unreadable("it does not say CVMFS_SPOOL_DIR".to_owned()))
    }

    /// What the script printed: an empty line and a value, time and again.
    fn parse(output: &str, name: &str) -> Option<Self> {
        let lines: Vec<&str> = output.lines().collect();
        let values = lines.get(lines.len().checked_sub(10)?..)?;
        let value = |number: usize| values.get(2 * number + 1).copied().unwrap_or_default();
        let spool = Path::new(value(0));
        let union = match value(1) {
            "" => Path::new("/cvmfs").join(name),
            union => union.into(),
        };
        let upstream = value(2);
        spool.is_absolute().then(|| Self {
            spool: spool.to_owned(),
            union,
            is_gateway: upstream.split(',').next().is_some_and(|kind| kind == "gw"),
            collects: value(3) == "true",
            user: value(4).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_shell() {
        let place = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("target/tmp/server-conf-{}", std::process::id()));
        let read = |text: &str| {
            let file = place.join("repositories.d/r.example.org/server.conf");
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
            Configuration::read(&place, "r.example.org")
        };
        let read_one = read(
            "echo noise\nBASE=/var/spool\nCVMFS_SPOOL_DIR=$BASE/r\n\
             CVMFS_UPSTREAM_STORAGE=gw,/srv/cvmfs/r,http://localhost:4929/api/v1\nCVMFS_USER='ada'\n",
        )
        .unwrap();
        assert_eq!(read_one.spool, Path::new("/var/spool/r"));
        assert_eq!(read_one.union, Path::new("/cvmfs/r.example.org"));
        assert_eq!((read_one.is_gateway, read_one.collects), (true, false));
        assert_eq!(read_one.user, "ada");
        let local = "CVMFS_SPOOL_DIR=/s\nCVMFS_UNION_DIR=/u\nCVMFS_UPSTREAM_STORAGE=local,/a,/b\n\
                     CVMFS_GARBAGE_COLLECTION=true\n";
        let read_one = read(local).unwrap();
        assert_eq!(read_one.union, Path::new("/u"));
        assert_eq!((read_one.is_gateway, read_one.collects), (false, true));
        for broken in ["", "CVMFS_SPOOL_DIR=s\n", "exit 3\n", "if\n"] {
            assert!(read(broken).is_err(), "{broken}");
        }
        for name in ["none.example.org", "../x", "-f", "a b", ".."] {
            assert!(Configuration::read(&place, name).is_err(), "{name}");
        }
        std::fs::remove_dir_all(place).unwrap();
    }
}
