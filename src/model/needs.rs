//! Whether programs run on a machine: the one answer for choosing dists, for judging plans and trees,
//! and for the doctor.

use std::fmt;

use super::{Dist, GlibcVersion, HostFacts, MadeWith};

/// What programs ask of the machine that runs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MachineNeeds {
    /// The oldest glibc that runs them; `None` where nothing is known of it.
    pub glibc: Option<GlibcVersion>,
    /// The x86-64 level, 1 to 4; 0 or 1 on other architectures.
    pub x86_64_level: u8,
}

/// What a machine has too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Its glibc is too old.
    Glibc {
        /// The oldest that is needed.
        needed: GlibcVersion,
        /// The machine's.
        found: GlibcVersion,
    },
    /// Its processor is too old.
    Level {
        /// The x86-64 level that is needed.
        needed: u8,
        /// The machine's.
        found: u8,
    },
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Glibc { needed, found } => {
                write!(f, "glibc {needed} is needed, and there is {found}")
            }
            Self::Level { needed, found } => {
                write!(f, "a processor of x86-64-v{needed} is needed, and there is x86-64-v{found}")
            }
        }
    }
}

impl Dist {
    /// What every machine of this dist has, and its packages may ask for.
    #[must_use]
    pub fn needs(&self) -> MachineNeeds {
        MachineNeeds { glibc: Some(self.glibc), x86_64_level: self.x86_64_level }
    }
}

impl MadeWith {
    /// What every machine of the tree's dist has; `None` where that is not known.
    #[must_use]
    pub fn needs(&self) -> Option<MachineNeeds> {
        let glibc = Some(self.glibc?);
        Some(MachineNeeds { glibc, x86_64_level: self.x86_64_level })
    }
}

impl HostFacts {
    /// What this machine lacks to run programs of its own architecture that need this. `None` where they
    /// run, as far as its glibc and its processor are known.
    #[must_use]
    pub fn shortage(&self, needs: MachineNeeds) -> Option<Shortage> {
        if let (Some(needed), Some(found)) = (needs.glibc, self.glibc())
            && needed > found
        {
            return Some(Shortage::Glibc { needed, found });
        }
        let (needed, found) = (needs.x86_64_level, self.x86_64_level);
        (found > 0 && needed > found).then_some(Shortage::Level { needed, found })
    }

    /// Whether programs that need this run on this machine, as far as it is known.
    #[must_use]
    pub fn runs(&self, needs: MachineNeeds) -> bool {
        self.shortage(needs).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Arch, Libc};
    use super::*;

    fn machine(libc: Libc, x86_64_level: u8) -> HostFacts {
        HostFacts {
            arch: Some(Arch::X86_64),
            machine: String::new(),
            libc,
            distribution: String::new(),
            x86_64_level,
        }
    }

    fn glibc(text: &str) -> GlibcVersion {
        text.parse().unwrap()
    }

    fn told(libc: Libc, level: u8, needed: Option<&str>, needed_level: u8) -> String {
        let needs = MachineNeeds { glibc: needed.map(glibc), x86_64_level: needed_level };
        let shortage = machine(libc, level).shortage(needs);
        shortage.map_or("runs".to_owned(), |shortage| shortage.to_string())
    }

    #[test]
    fn glibc_and_processor_must_be_new_enough() {
        let has = Libc::Glibc(glibc("2.28"));
        assert_eq!(told(has, 2, Some("2.28"), 2), "runs");
        assert_eq!(told(has, 2, Some("2.17"), 1), "runs");
        assert_eq!(told(has, 2, Some("2.34"), 3), "glibc 2.34 is needed, and there is 2.28");
        assert_eq!(
            told(has, 2, Some("2.28"), 3),
            "a processor of x86-64-v3 is needed, and there is x86-64-v2"
        );
    }

    #[test]
    fn what_is_not_known_is_no_shortage() {
        assert_eq!(told(Libc::Unknown, 4, Some("2.34"), 1), "runs");
        assert_eq!(told(Libc::Glibc(glibc("2.17")), 4, None, 1), "runs");
        assert_eq!(told(Libc::Glibc(glibc("2.39")), 0, Some("2.39"), 3), "runs");
    }
}
