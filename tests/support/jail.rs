//! Directories for one test, and what lies in them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use elsewhere::stages::model::RelPath;
use elsewhere::stages::report::Reporter;
use elsewhere::stages::trust::{Keyring, Policy, open};
use elsewhere::stages::unpack::{Claims, Destination, UnpackError, Unpacked, unpack};

use super::keys::TestKey;
use super::rpms::Package;

/// A directory that goes away with the test.
pub struct Jail {
    pub path: PathBuf,
}

impl Jail {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("scratch-{}-{number}", std::process::id());
        let path = Path::new(option_env!("CARGO_TARGET_TMPDIR").unwrap_or("target/tmp")).join(name);
        fs::create_dir_all(path.join("tree")).unwrap();
        Self { path }
    }

    /// The tree: a directory with room beside it, where an attack would show.
    pub fn tree(&self) -> PathBuf {
        self.path.join("tree")
    }

    pub fn dir(&self) -> Dir {
        Dir::open_ambient_dir(self.tree(), ambient_authority()).unwrap()
    }

    /// Unpacks a package, signed as it should be, into the tree: all of it, or these files alone.
    pub fn install(
        &self,
        package: &Package,
        only: &[RelPath],
        reporter: &dyn Reporter,
    ) -> Result<Unpacked, UnpackError> {
        let key = TestKey::new();
        let bytes = package.signed(&key);
        let mut keyring = Keyring::new();
        let allowed = keyring.add_trusted(&key.public_file()).unwrap();
        let policy = Policy { keyring: &keyring, allowed: &allowed, allow_unsigned: false };
        let verified = open(bytes.as_slice(), &package.planned(&bytes), &policy)?;
        let (tree, claims) = (self.dir(), Claims::new());
        unpack(verified, only, &Destination { tree: &tree, claims: &claims }, reporter)
    }

    /// Everything in the jail: path → mode, content or link text.
    pub fn listing(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        list(&self.path, &self.path, &mut found);
        found
    }

    /// What lies in the tree.
    pub fn tree_listing(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        list(&self.tree(), &self.tree(), &mut found);
        found
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn list(root: &Path, directory: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let about = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let mode = about.permissions().mode() & 0o7777;
        let what = if about.is_symlink() {
            format!("-> {}", fs::read_link(&path).unwrap().display())
        } else if about.is_dir() {
            list(root, &path, found);
            format!("{mode:o} directory")
        } else {
            let content = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            format!("{mode:o} {} {content:.40}", about.mtime())
        };
        found.insert(name, what);
    }
}
