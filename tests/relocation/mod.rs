//! What the tests of relocation and audit share: scratch trees, a C compiler, listings.
#![allow(dead_code, reason = "every test program uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use elsewhere::stages::model::{Arch, Checksum, FileKind, ReceiptFile, RelPath, Runtime};
use elsewhere::stages::relocate::{RelocateError, Relocated, relocate};
use elsewhere::stages::report::Silent;

/// A directory that is removed at the end.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}-{}-{count}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, inner: &str) -> PathBuf {
        self.0.join(inner)
    }

    /// Writes a file, with the directories that it lies in.
    pub(crate) fn write(&self, inner: &str, bytes: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.path(inner);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    pub(crate) fn link(&self, inner: &str, text: &str) {
        let path = self.path(inner);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(text, path).unwrap();
    }

    /// Compiles `source` to `inner`.
    pub(crate) fn compile(&self, inner: &str, source: &str, flags: &[&str]) -> PathBuf {
        let path = self.path(inner);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let code = self.write(&format!("{inner}.c"), source, 0o644);
        let mut command = Command::new("cc");
        command.arg("-o").arg(&path).arg(&code).args(flags);
        let output = command.output().expect("a C compiler (Debian: gcc) must be installed");
        assert!(output.status.success(), "cc {flags:?}: {}", text(&output.stderr));
        fs::remove_file(code).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// This machine's architecture.
pub(crate) fn native() -> Arch {
    match std::env::consts::ARCH {
        "powerpc64" => Arch::Ppc64le,
        name => name.parse().expect("the tests run on the architectures of trees"),
    }
}

/// The glibc family, as the definitions shipped name it.
pub(crate) fn host_libraries() -> Vec<String> {
    let globs = [
        "ld-linux*",
        "ld64.so.*",
        "libc.so.6",
        "libm.so.6",
        "libdl.so.2",
        "libpthread.so.0",
        "librt.so.1",
        "libresolv.so.2",
        "libutil.so.1",
        "libanl.so.1",
        "libmvec.so.1",
        "libnss_*",
    ];
    globs.map(str::to_owned).to_vec()
}

/// The files of a tree, as unpacking lists them.
pub(crate) fn list(tree: &Path) -> Vec<ReceiptFile> {
    let mut files = Vec::new();
    collect(tree, tree, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(tree: &Path, directory: &Path, files: &mut Vec<ReceiptFile>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let kind = if metadata.is_symlink() {
            let target = fs::read_link(&path).unwrap().to_str().unwrap().to_owned();
            FileKind::Symlink { target }
        } else if metadata.is_dir() {
            collect(tree, &path, files);
            FileKind::Directory
        } else {
            let checksum = Checksum::of(&fs::read(&path).unwrap());
            FileKind::File { size: metadata.len(), checksum, packaged: None }
        };
        let inner = path.strip_prefix(tree).unwrap().to_str().unwrap();
        let mode = if metadata.is_symlink() { 0o777 } else { metadata.mode() & 0o7777 };
        let path = RelPath::new(inner).unwrap();
        files.push(ReceiptFile { path, kind, mode, package: Some("p".into()), config: false });
    }
}

/// A runtime's definition with these lines.
pub(crate) fn runtime(lines: &str) -> Runtime {
    let head = "name = 'r'\ntitle = 'r'\npackage = 'r'\n";
    let tail = "\n[[command]]\nname = 'r'\npath = 'bin/r'\n";
    toml::from_str(&format!("{head}{lines}{tail}")).unwrap()
}

/// Relocates `tree` for `arch`, and proves that the list of files tells the truth afterwards.
pub(crate) fn try_relocate(
    tree: &Path,
    arch: Arch,
    runtimes: &[&Runtime],
) -> Result<(Relocated, Vec<ReceiptFile>), RelocateError> {
    let mut files = list(tree);
    let before = files.clone();
    let silent = Silent::default();
    let done = relocate(tree, arch, &mut files, runtimes, &host_libraries(), &silent)?;
    assert_eq!(bare(&files), bare(&list(tree)), "the list of files differs from the tree");
    for file in &files {
        if let FileKind::File { checksum, packaged: Some(packaged), .. } = &file.kind {
            assert_ne!(checksum, packaged);
            let was = before.iter().any(
                |old| matches!(&old.kind, FileKind::File { checksum, .. } if checksum == packaged),
            );
            assert!(was, "{}: the packaged digest is no file's", file.path);
        }
    }
    Ok((done, files))
}

/// [`try_relocate`] for this machine's architecture, which must work.
pub(crate) fn relocated(tree: &Path, runtimes: &[&Runtime]) -> (Relocated, Vec<ReceiptFile>) {
    try_relocate(tree, native(), runtimes).unwrap()
}

/// What can be seen on disk of a list of files.
fn bare(files: &[ReceiptFile]) -> Vec<ReceiptFile> {
    let mut files = files.to_vec();
    for file in &mut files {
        file.package = None;
        if let FileKind::File { packaged, .. } = &mut file.kind {
            *packaged = None;
        }
    }
    files
}

/// Runs a program with an empty environment but for `variables`.
pub(crate) fn run(program: &Path, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program);
    command.env_clear().envs(variables.iter().copied());
    command.output().unwrap()
}

/// What a program prints; it must succeed.
pub(crate) fn printed(program: &Path, variables: &[(&str, &str)]) -> String {
    let output = run(program, variables);
    let shown = program.display();
    assert!(output.status.success(), "{shown}: {} {}", output.status, text(&output.stderr));
    text(&output.stdout)
}
