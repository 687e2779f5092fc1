//! What is bound from a tree into containers, and which libc that needs there.

use std::fs::File;

use super::{Observation, State, Subject};
use crate::elf::{Abi, Elf, Reading};
use crate::model::{Arch, GlibcVersion};

/// The check `container-libc`: nothing to say where nothing is installed.
pub(super) fn container_libc(subject: &Subject) -> Vec<Observation> {
    const CHECK: &str = "container-libc";
    let Some(tree) = &subject.installed else { return Vec::new() };
    let needed = tree.container_facing.iter().filter_map(|path| {
        let file = File::open(path).ok()?;
        glibc_of(&file, tree.arch)
    });
    let Some(needed) = needed.max() else { return Vec::new() };
    let evidence = format!("what is bound into containers needs glibc {needed}");
    let oldest = subject.dists.iter().find(|dist| dist.is_maintained);
    vec![match oldest.filter(|dist| dist.glibc < needed) {
        Some(dist) => Observation::new(CHECK, State::Limited, evidence)
            .because("fakeroot-new")
            .with("needed", needed)
            .with("dist", &dist.name),
        None => Observation::new(CHECK, State::Ok, evidence),
    }]
}

/// The newest glibc that a program or library asks for.
fn glibc_of(file: &File, arch: Arch) -> Option<GlibcVersion> {
    let Ok(Reading::Native(elf)) = Elf::read(file, Abi::of(arch)) else { return None };
    let demands = elf.linkage.required.iter().filter(|required| !required.weak);
    demands.filter_map(|required| GlibcVersion::from_symbol_version(&required.version)).max()
}
