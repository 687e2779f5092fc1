//! Kernel, C library, processor, limits, what decoders are kept from.

use super::{Observation, State, Subject, explain};
use crate::decoding::Decoder;
use crate::model::{Arch, Libc, MachineNeeds, Shortage, escape};
use crate::tools::limits;

/// EL7's kernel: the oldest that runs containers for ordinary users, with its backports.
const OLDEST_KERNEL: (u32, u32) = (3, 10);

/// The check `kernel`.
pub(super) fn kernel(subject: &Subject) -> Vec<Observation> {
    let release = explain::sysctl(&subject.root, "kernel.osrelease");
    let Some(release) = release else {
        return vec![Observation::new("kernel", State::Unknown, "/proc does not tell its version")];
    };
    let mut evidence = format!("Linux {}", escape(&release));
    if !subject.facts.distribution.is_empty() {
        evidence = format!("{evidence}, {}", escape(&subject.facts.distribution));
    }
    if let Some(container) = explain::container(&subject.root) {
        evidence = format!("{evidence}, {container}");
    }
    let is_old = explain::kernel_version(&release).is_some_and(|version| version < OLDEST_KERNEL);
    let observation = |state| Observation::new("kernel", state, evidence.clone());
    vec![if is_old {
        observation(State::Broken).because("kernel-old").with("kernel", release)
    } else {
        observation(State::Ok)
    }]
}

/// The checks `libc` and `processor`: whether a tree's programs can run here at all.
pub(super) fn programs(subject: &Subject) -> Vec<Observation> {
    vec![libc(subject), processor(subject)]
}

fn libc(subject: &Subject) -> Observation {
    const CHECK: &str = "libc";
    let found = match subject.facts.libc {
        Libc::Glibc(found) => found,
        Libc::Musl => {
            return Observation::new(CHECK, State::Broken, "musl").because("libc-musl");
        }
        Libc::Unknown => {
            return Observation::new(
                CHECK,
                State::Unknown,
                "no C library was found where it is expected",
            );
        }
    };
    let installed = subject.installed.as_ref().and_then(|tree| tree.glibc_needed);
    let oldest = subject.dists.first().map(|dist| dist.glibc);
    let needs = MachineNeeds { glibc: installed.or(oldest), x86_64_level: 0 };
    if let Some(Shortage::Glibc { needed, found }) = subject.facts.shortage(needs) {
        let whose = if installed.is_some() { "the tree" } else { "the oldest dist" };
        return Observation::new(
            CHECK,
            State::Broken,
            format!("glibc {found}; {whose} needs {needed}"),
        )
        .because("libc-old")
        .with("needed", needed)
        .with("found", found)
        .with("dist", dist_name(subject));
    }
    let evidence = match installed {
        Some(needed) => format!("glibc {found}; the tree needs {needed}"),
        None => format!("glibc {found}, which runs {}", runnable(subject)),
    };
    Observation::new(CHECK, State::Ok, evidence)
}

fn processor(subject: &Subject) -> Observation {
    const CHECK: &str = "processor";
    let Some(arch) = subject.facts.arch else {
        let evidence = format!("{}: there are no packages for it", escape(&subject.facts.machine));
        return Observation::new(CHECK, State::Broken, evidence);
    };
    let found = subject.facts.x86_64_level;
    if arch != Arch::X86_64 || found == 0 {
        return Observation::new(CHECK, State::Ok, arch.to_string());
    }
    let level = subject.installed.as_ref().map_or(1, |tree| tree.x86_64_level);
    let evidence = format!("x86-64-v{found}");
    let needs = MachineNeeds { glibc: None, x86_64_level: level };
    if let Some(Shortage::Level { needed, found }) = subject.facts.shortage(needs) {
        let evidence = format!("{evidence}; the tree needs x86-64-v{needed}");
        return Observation::new(CHECK, State::Broken, evidence)
            .because("processor-old")
            .with("needed", needed)
            .with("found", found)
            .with("dist", dist_name(subject));
    }
    Observation::new(CHECK, State::Ok, evidence)
}

/// The newest dist that runs here, or what stands for none in a command.
fn dist_name(subject: &Subject) -> String {
    let dist = subject.runnable().next_back();
    dist.map_or_else(|| "DIST".to_owned(), |dist| dist.name.clone())
}

/// The names of the dists that run here.
fn runnable(subject: &Subject) -> String {
    let names: Vec<&str> = subject.runnable().map(|dist| dist.name.as_str()).collect();
    if names.is_empty() { "none of the dists".to_owned() } else { names.join(", ") }
}

/// The check `limits`.
pub(super) fn limits(_: &Subject) -> Vec<Observation> {
    vec![match limits::low() {
        None => Observation::new("limits", State::Ok, "files, processes, memory: enough of each"),
        Some(low) => Observation::new("limits", State::Limited, low.clone())
            .because("limits-low")
            .with("which", low),
    }]
}

/// The check `decoding`: what those are kept from that decode packages.
pub(super) fn decoding(subject: &Subject) -> Vec<Observation> {
    const CHECK: &str = "decoding";
    let (_, kept) = Decoder::start_or_here(&subject.executable);
    vec![match kept.is_full {
        true => Observation::new(CHECK, State::Ok, kept.how),
        false => Observation::new(CHECK, State::Limited, kept.how).because("decoding-open"),
    }]
}
