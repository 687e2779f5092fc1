//! The machines that trees are made for, where that is not this one.

use super::{Arch, GlibcVersion, HostFacts, Libc};

/// The least that every machine has which a tree is for: what `--for` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aim {
    /// The oldest glibc; `None` when nothing was said about it.
    pub glibc: Option<GlibcVersion>,
    /// The lowest x86-64 level, 1 to 4.
    pub x86_64_level: u8,
}

impl Aim {
    /// A machine of `arch` that has this and no more.
    #[must_use]
    pub fn machine(self, arch: Arch) -> HostFacts {
        HostFacts {
            arch: Some(arch),
            machine: arch.to_string(),
            libc: self.glibc.map_or(Libc::Unknown, Libc::Glibc),
            distribution: String::new(),
            x86_64_level: if arch == Arch::X86_64 { self.x86_64_level } else { 0 },
        }
    }
}
