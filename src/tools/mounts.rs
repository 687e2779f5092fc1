//! Mount tables, as proc_pid_mountinfo(5) describes them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Types of file systems that other machines serve: statfs(2) has no word for that.
const NETWORK: [&str; 14] = [
    "nfs",
    "nfs4",
    "lustre",
    "gpfs",
    "beegfs",
    "cifs",
    "smb3",
    "afs",
    "ceph",
    "9p",
    "pvfs2",
    "panfs",
    "wekafs",
    "fuse.sshfs",
];

/// Whether other machines serve file systems of this type.
pub(crate) fn is_network(kind: &str) -> bool {
    NETWORK.contains(&kind)
}

/// A line of a mount table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The directory of its file system that is mounted: `/`, but for bind mounts and the like.
    pub(crate) root: PathBuf,
    /// Where it is mounted.
    pub(crate) point: PathBuf,
    /// The file system's type.
    pub(crate) kind: String,
}

/// The mounts of a table, in its order. Lines that are none are passed over.
pub(crate) fn mounts(table: &[u8]) -> impl Iterator<Item = Mount> {
    table.split(|byte| *byte == b'\n').filter_map(mount)
}

/// The mount that holds `path`. Of several at one place the last one is on top.
pub(crate) fn holding(table: &[u8], path: &Path) -> Option<Mount> {
    let holds = mounts(table).filter(|mount| path.starts_with(&mount.point));
    // Of several that are equal, the last.
    holds.max_by_key(|mount| mount.point.as_os_str().len())
}

fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ').skip(3);
    let (root, point) = (unescape(fields.next()?), unescape(fields.next()?));
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some(Mount { root, point, kind: String::from_utf8_lossy(kind).into_owned() })
}

/// Turns `\040` and the like back into the byte.
fn unescape(field: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let code = (first == b'\\').then(|| after.get(..3)).flatten();
        let digit = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok();
        let byte = code.and_then(digit);
        plain.push(byte.unwrap_or(first));
        rest = if byte.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    PathBuf::from(OsString::from_vec(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"21 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
        30 21 0:26 / /home rw shared:1 master:2 - nfs4 server:/home rw\n\
        31 30 0:27 / /home/a\\040b rw - lustre x rw\n\
        32 30 0:27 /of/it /home/a\\040b rw - beegfs x rw\n\
        broken line\n";

    #[test]
    fn the_deepest_and_last_mount_holds_a_path() {
        let kind = |path: &str| holding(MOUNTS, Path::new(path)).unwrap().kind;
        assert_eq!(kind("/homestead"), "ext4");
        assert_eq!(kind("/home/x"), "nfs4");
        assert_eq!(kind("/home/a b/c"), "beegfs");
        assert!(holding(b"", Path::new("/")).is_none());
    }

    #[test]
    fn a_bind_mount_has_its_root() {
        let roots: Vec<_> = mounts(MOUNTS).map(|mount| mount.root).collect();
        assert_eq!(roots, ["/", "/", "/", "/of/it"].map(PathBuf::from));
    }

    #[test]
    fn mount_tables_are_unescaped() {
        assert_eq!(unescape(br"/a\040b\134\012"), Path::new("/a b\\\n"));
        assert_eq!(unescape(br"/a\04"), Path::new(r"/a\04"));
        assert_eq!(unescape(br"a\9\04"), Path::new(r"a\9\04"));
    }
}
