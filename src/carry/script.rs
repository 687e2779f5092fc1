//! The `install.sh` of a mirror: the program's own, which takes just the programs that are in the mirror.

use std::collections::BTreeMap;

use crate::model::{Arch, Checksum};

/// The script before version and checksums are filled in.
const TEMPLATE: &str = include_str!("../../install.sh");

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Its name in a mirror.
pub(super) const SCRIPT: &str = "install.sh";

/// What the program for `arch` is called in a mirror: where the script looks for it.
pub(super) fn program_name(arch: Arch) -> String {
    format!("elsewhere-{VERSION}-{arch}")
}

/// The script for programs with these digests.
pub(super) fn script(programs: &BTreeMap<Arch, Checksum>) -> String {
    let filled = TEMPLATE.replace("@VERSION@", VERSION);
    Arch::ALL.iter().fold(filled, |text, arch| {
        let digest = programs.get(arch).map(Checksum::hex).unwrap_or_default();
        text.replace(&format!("@SHA256_{arch}@"), &digest)
    })
}
