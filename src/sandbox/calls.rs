//! The system calls that are left to a process that only decodes: it reads and writes what is open, has
//! memory, and ends. By a seccomp filter, where the kernel has them (Linux 3.17, EL7's too).

/// What the kernel calls x86_64, aarch64 and ppc64le (`AUDIT_ARCH_*` of linux/audit.h).
pub const ARCHITECTURES: [u32; 3] = [0xc000_003e, 0xc000_00b7, 0xc000_0015];

/// A system call's name, and its number on these (`asm/unistd.h`).
pub type CallNumbers = (&'static str, [u32; 3]);

/// The calls that are left.
pub const CALLS_LEFT: [CallNumbers; 14] = [
    ("read", [0, 63, 3]),
    ("write", [1, 64, 4]),
    ("munmap", [11, 215, 91]),
    ("mremap", [25, 216, 163]),
    ("brk", [12, 214, 45]),
    ("madvise", [28, 233, 205]),
    ("futex", [202, 98, 221]),
    // How a process ends that is told to.
    ("rt_sigaction", [13, 134, 173]),
    ("rt_sigprocmask", [14, 135, 174]),
    ("rt_sigreturn", [15, 139, 172]),
    ("sigaltstack", [131, 132, 185]),
    ("exit", [60, 93, 1]),
    ("exit_group", [231, 94, 234]),
    ("clock_gettime", [228, 113, 246]),
];

/// Those that are left where they ask for no memory that can be run.
pub const CALLS_LEFT_FOR_DATA: [CallNumbers; 2] =
    [("mmap", [9, 222, 90]), ("mprotect", [10, 226, 125])];

#[cfg(all(
    target_endian = "little",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "powerpc64")
))]
pub(super) use filter::keep_few;

/// Says that there is no filter for this architecture.
#[cfg(not(all(
    target_endian = "little",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "powerpc64")
)))]
pub(super) fn keep_few() -> Result<(), String> {
    Err("there is no filter for this architecture".to_owned())
}

#[cfg(all(
    target_endian = "little",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "powerpc64")
))]
mod filter {
    use seccompiler::{apply_filter, sock_filter};

    use super::{ARCHITECTURES, CALLS_LEFT, CALLS_LEFT_FOR_DATA, CallNumbers};

    /// The column of this architecture.
    const COLUMN: usize = if cfg!(target_arch = "x86_64") {
        0
    } else if cfg!(target_arch = "aarch64") {
        1
    } else {
        2
    };

    /// The numbers here of calls in a table.
    fn numbers<const N: usize>(calls: &[CallNumbers; N]) -> [u32; N] {
        calls.each_ref().map(|(_, numbers)| numbers[COLUMN])
    }

    // Of linux/filter.h and linux/seccomp.h.
    const LOAD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const JUMP_IF_BITS: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const KILL: u32 = 0;
    /// `EPERM` for what is not allowed: an allocator or a C library that tries something else for a
    /// moment goes on without it, and who is up to something has nothing from it.
    const REFUSE: u32 = 0x0005_0000 | 1;
    /// Where a call's number, its architecture and its third argument are.
    const NUMBER: u32 = 0;
    const ARCHITECTURE: u32 = 4;
    const PROTECTION: u32 = 32;
    /// `PROT_EXEC`
    const RUNNABLE: u32 = 4;

    /// The filter, as a program of the kernel's.
    fn program() -> Vec<sock_filter> {
        let (architecture, plain, about_memory) =
            (ARCHITECTURES[COLUMN], numbers(&CALLS_LEFT), numbers(&CALLS_LEFT_FOR_DATA));
        let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
        let mut steps = vec![
            step(LOAD, 0, 0, ARCHITECTURE),
            step(JUMP_IF_EQUAL, 1, 0, architecture),
            step(RETURN, 0, 0, KILL),
            step(LOAD, 0, 0, NUMBER),
        ];
        // Behind the numbers: refuse; load, jump, allow, refuse.
        let mut left = (plain.len() + about_memory.len()) as u8;
        for number in plain {
            left -= 1;
            steps.push(step(JUMP_IF_EQUAL, left + 3, 0, number));
        }
        for number in about_memory {
            left -= 1;
            steps.push(step(JUMP_IF_EQUAL, left + 1, 0, number));
        }
        steps.extend([
            step(RETURN, 0, 0, REFUSE),
            step(LOAD, 0, 0, PROTECTION),
            step(JUMP_IF_BITS, 1, 0, RUNNABLE),
            step(RETURN, 0, 0, ALLOW),
            step(RETURN, 0, 0, REFUSE),
        ]);
        steps
    }

    /// Leaves these calls to the calling thread, for ever.
    pub(in crate::sandbox) fn keep_few() -> Result<(), String> {
        apply_filter(&program()).map_err(|error| error.to_string())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// What the filter answers to a call, by following its steps.
        fn answer(architecture: u32, number: u32, protection: u32) -> u32 {
            let (steps, mut at, mut loaded) = (program(), 0, 0);
            loop {
                let sock_filter { code, jt, jf, k } = steps[at].clone();
                at += 1;
                let is_so = match code {
                    RETURN => return k,
                    LOAD => {
                        loaded = match k {
                            NUMBER => number,
                            ARCHITECTURE => architecture,
                            PROTECTION => protection,
                            other => panic!("{other}"),
                        };
                        continue;
                    }
                    JUMP_IF_EQUAL => loaded == k,
                    JUMP_IF_BITS => loaded & k != 0,
                    other => panic!("{other}"),
                };
                at += usize::from(if is_so { jt } else { jf });
            }
        }

        #[test]
        fn the_filter_lets_through_what_it_lists_and_nothing_else() {
            let (own, plain, about_memory) =
                (ARCHITECTURES[COLUMN], numbers(&CALLS_LEFT), numbers(&CALLS_LEFT_FOR_DATA));
            for number in 0..600 {
                let expected = match number {
                    _ if plain.contains(&number) => [ALLOW, ALLOW],
                    _ if about_memory.contains(&number) => [ALLOW, REFUSE],
                    _ => [REFUSE, REFUSE],
                };
                assert_eq!([answer(own, number, 3), answer(own, number, 7)], expected, "{number}");
            }
            assert_eq!(answer(own, 0x4000_0000, 0), REFUSE, "x32 has its own numbers");
            assert_eq!(answer(own ^ 1, plain[0], 0), KILL);
        }
    }
}
