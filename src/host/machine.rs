//! Architecture, C library, processor and distribution of this machine, found without starting a
//! program.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::model::{Arch, GlibcVersion, HostFacts, Libc};

/// The most that is read of a libc, in bytes. Real ones have 2 to 3 MB.
const LIBC_LIMIT: u64 = 32 << 20;

/// How glibc's banner begins.
const BANNER: &[u8] = b"GNU C Library ";

/// What this machine is.
pub(super) fn facts() -> HostFacts {
    let machine = rustix::system::uname().machine().to_string_lossy().into_owned();
    facts_below(Path::new("/"), machine)
}

/// The facts of the system whose root directory is `root`, on a kernel for `machine`.
fn facts_below(root: &Path, machine: String) -> HostFacts {
    let arch = arch_below(root, &machine);
    HostFacts {
        arch,
        machine,
        libc: libc_below(root, arch),
        distribution: distribution_below(root),
        x86_64_level: if arch == Some(Arch::X86_64) { x86_64_level() } else { 0 },
    }
}

/// The userland's architecture: that of the one glibc loader there is, which is right on a kernel of
/// another architecture and under emulation too. With none or several, the kernel's word is taken.
fn arch_below(root: &Path, machine: &str) -> Option<Arch> {
    let mut present = Arch::ALL.into_iter().filter(|arch| at(root, arch.loader()).exists());
    if let (Some(arch), None) = (present.next(), present.next()) {
        return Some(arch);
    }
    let kernel = fs::read_to_string(at(root, "/proc/sys/kernel/arch")).unwrap_or_default();
    kernel.trim().parse().or_else(|_| machine.parse()).ok()
}

fn libc_below(root: &Path, arch: Option<Arch>) -> Libc {
    let loader = arch.map(|arch| at(root, arch.loader())).filter(|loader| loader.exists());
    if let Some(loader) = loader {
        let version = libc_files(root, &loader).iter().find_map(|file| version_of_libc(file));
        return version.map_or(Libc::Unknown, Libc::Glibc);
    }
    let is_musl = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with("ld-musl-");
    let mut entries = fs::read_dir(at(root, "/lib")).into_iter().flatten().flatten();
    if entries.any(is_musl) { Libc::Musl } else { Libc::Unknown }
}

/// Where the libc may be that belongs to `loader`: beside the real file first, because distributions
/// make the loader a symlink into the directory of their libc.
fn libc_files(root: &Path, loader: &Path) -> Vec<PathBuf> {
    let real = loader.canonicalize().ok();
    let beside = real.iter().filter_map(|real| real.parent()).map(Path::to_owned);
    let usual = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(|place| at(root, place));
    beside.chain(usual).map(|directory| directory.join("libc.so.6")).collect()
}

/// The version in the banner that every glibc contains and prints when it is run: `GNU C Library
/// (Debian GLIBC 2.36-9) stable release version 2.36.`
fn version_of_libc(file: &Path) -> Option<GlibcVersion> {
    let mut bytes = Vec::new();
    File::open(file).ok()?.take(LIBC_LIMIT).read_to_end(&mut bytes).ok()?;
    let mut rest = bytes.as_slice();
    while let Some(start) = find(rest, BANNER) {
        rest = rest.get(start + BANNER.len()..)?;
        if let Some(version) = version_in_banner(rest) {
            return Some(version);
        }
    }
    None
}

/// The version in what follows [`BANNER`], up to the string's end.
fn version_in_banner(rest: &[u8]) -> Option<GlibcVersion> {
    const MARK: &[u8] = b" release version ";
    let text = rest.split(|byte| *byte == 0).next()?;
    let version = text.get(find(text, MARK)? + MARK.len()..)?;
    let is_version = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let digits: Vec<u8> = version.iter().copied().take_while(is_version).collect();
    String::from_utf8(digits).ok()?.parse().ok()
}

/// The position of `wanted` in `bytes`. Looks for its first byte first: a libc is large.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let begins = bytes.iter().enumerate().filter(|(_, byte)| **byte == first);
    begins
        .map(|(start, _)| start)
        .find(|start| bytes.get(*start..).is_some_and(|rest| rest.starts_with(wanted)))
}

/// `ID` and `VERSION_ID` of os-release(5), joined; empty when there are none.
fn distribution_below(root: &Path) -> String {
    let read = |path| fs::read_to_string(at(root, path));
    let text = read("/etc/os-release").or_else(|_| read("/usr/lib/os-release")).unwrap_or_default();
    let value = |name| os_release_value(&text, name).unwrap_or_default();
    value("ID") + &value("VERSION_ID")
}

/// The value that a file in the format of os-release(5) assigns to `name`: the last one counts, in
/// single or double quotes or in none, with `\` before special characters.
fn os_release_value(text: &str, name: &str) -> Option<String> {
    let assigned =
        |line: &str| line.trim().strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
    let value = text.lines().filter_map(assigned).next_back()?;
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    let inner = match quote {
        Some(quote) => value.trim_start_matches(quote).trim_end_matches(quote),
        None => &value,
    };
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    Some(plain)
}

/// The place of the absolute `path` in the system whose root directory is `root`.
fn at(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// The processor's level as the x86-64 psABI defines it, by the features that programs use.
#[cfg(target_arch = "x86_64")]
fn x86_64_level() -> u8 {
    use std::is_x86_feature_detected as has;
    let second = has!("cmpxchg16b") && has!("popcnt") && has!("sse3") && has!("ssse3");
    let second = second && has!("sse4.1") && has!("sse4.2");
    let third = has!("avx") && has!("avx2") && has!("bmi1") && has!("bmi2") && has!("f16c");
    let third = third && has!("fma") && has!("lzcnt") && has!("movbe");
    let fourth = has!("avx512f") && has!("avx512bw") && has!("avx512cd");
    let fourth = fourth && has!("avx512dq") && has!("avx512vl");
    match (second, third, fourth) {
        (false, ..) => 1,
        (true, false, _) => 2,
        (true, true, false) => 3,
        (true, true, true) => 4,
    }
}

/// Unknown: this program was built for another processor.
#[cfg(not(target_arch = "x86_64"))]
fn x86_64_level() -> u8 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    /// A root directory for a test, with these files.
    fn root(test: &str, files: &[(&str, &[u8])]) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/machine").join(test);
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        for (path, bytes) in files {
            let path = at(&root, path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        root
    }

    const LIBC: &[u8] =
        b"\x7fELF\0GNU C Library \0junk\0GNU C Library (GNU libc) stable release version 2.17, by\0";

    #[test]
    fn this_machines_libc_has_the_version_that_getconf_says() {
        let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let facts = facts();
        assert_eq!(format!("glibc {}", facts.glibc().unwrap()), said.trim());
        assert_eq!(
            facts.arch.unwrap().as_str(),
            std::env::consts::ARCH.replace("powerpc64", "ppc64le")
        );
        assert!(!facts.distribution.is_empty());
    }

    #[test]
    fn the_loader_tells_the_architecture() {
        for arch in Arch::ALL {
            let root = root(arch.as_str(), &[(arch.loader(), b"")]);
            assert_eq!(arch_below(&root, "x86_64"), Some(arch));
        }
    }

    #[test]
    fn without_one_loader_the_kernel_tells_it() {
        let both = [(Arch::X86_64.loader(), &b""[..]), (Arch::Aarch64.loader(), b"")];
        let kernel = ("/proc/sys/kernel/arch", &b"aarch64\n"[..]);
        let several = root("several", &[both[0], both[1], kernel]);
        assert_eq!(arch_below(&several, "x86_64"), Some(Arch::Aarch64));
        assert_eq!(arch_below(&root("old", &both), "x86_64"), Some(Arch::X86_64));
        let none = root("none", &[]);
        assert_eq!(arch_below(&none, "ppc64le"), Some(Arch::Ppc64le));
        assert_eq!(arch_below(&none, "riscv64"), None);
        assert_eq!(arch_below(&none, ""), None);
    }

    #[test]
    fn libc_is_looked_for_beside_the_real_loader() {
        let root = root(
            "beside",
            &[
                ("/lib/multi/ld.so", b""),
                ("/lib/multi/libc.so.6", b"GNU C Library stable\0"),
                ("/lib64/x", b""),
            ],
        );
        symlink("../lib/multi/ld.so", at(&root, Arch::X86_64.loader())).unwrap();
        assert_eq!(libc_below(&root, Some(Arch::X86_64)), Libc::Unknown);
        fs::write(at(&root, "/lib/multi/libc.so.6"), LIBC).unwrap();
        let version = GlibcVersion { major: 2, minor: 17 };
        assert_eq!(libc_below(&root, Some(Arch::X86_64)), Libc::Glibc(version));
    }

    #[test]
    fn musl_and_nothing_are_told_apart() {
        let musl = root("musl", &[("/lib/ld-musl-x86_64.so.1", b"")]);
        assert_eq!(facts_below(&musl, "x86_64".to_owned()).libc, Libc::Musl);
        assert_eq!(facts_below(&musl, "x86_64".to_owned()).arch, Some(Arch::X86_64));
        assert_eq!(libc_below(&root("nix", &[]), Some(Arch::X86_64)), Libc::Unknown);
        let both = root("both", &[("/lib/ld-musl-x86_64.so.1", b""), (Arch::X86_64.loader(), b"")]);
        assert_eq!(libc_below(&both, Some(Arch::X86_64)), Libc::Unknown);
    }

    #[test]
    fn os_release_is_read_as_a_shell_would() {
        let text =
            "# ID=no\nID=no\n ID=\"debian\"\nVERSION_ID='12'\nNAME=a\\ b\nX=\"a\\\"b\"\nE=\n";
        let value = |name| os_release_value(text, name);
        assert_eq!(value("ID"), Some("debian".to_owned()));
        assert_eq!(value("VERSION_ID"), Some("12".to_owned()));
        assert_eq!(value("NAME"), Some("a b".to_owned()));
        assert_eq!(value("X"), Some("a\"b".to_owned()));
        assert_eq!(value("E"), Some(String::new()));
        assert_eq!(value("VERSION"), None);
    }

    #[test]
    fn the_distribution_is_named_by_id_and_version() {
        let etc = root("etc", &[("/etc/os-release", b"ID=sles\nVERSION_ID=\"15.6\"\n")]);
        assert_eq!(distribution_below(&etc), "sles15.6");
        let lib = root("lib", &[("/usr/lib/os-release", b"ID=arch\n")]);
        assert_eq!(distribution_below(&lib), "arch");
        assert_eq!(distribution_below(&root("unknown", &[])), "");
    }
}
