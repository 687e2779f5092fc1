//! What a launch asks of the file server: thousands of nodes do it at once.

use std::collections::BTreeMap;

use crate::installed::Traveller;
use crate::support::session::{Run, launcher, quoted};

/// What a command said, and its calls that name the prefix, as strace tells them. The command may fail.
fn calls(traveller: &Traveller, command: &str) -> (String, Vec<String>) {
    let trace = "strace -f -qq -e trace=%file -e signal=none -o home/calls";
    let script = format!("{trace} {command} >home/said 2>&1 || :; cat home/calls");
    let told = traveller.session.script(&Run::default(), &script);
    let prefix = traveller.prefix.to_str().unwrap();
    let said = traveller.session.script(&Run::default(), "cat home/said");
    (said, told.lines().filter(|line| line.contains(prefix)).map(str::to_owned).collect())
}

/// The libraries that are opened, and how often.
fn opened(calls: &[String]) -> BTreeMap<String, usize> {
    let mut opened = BTreeMap::new();
    for call in calls.iter().filter(|call| call.contains("open") && call.contains(".so")) {
        let path = call.split('"').nth(1).unwrap();
        *opened.entry(path.to_owned()).or_default() += 1;
    }
    opened
}

#[test]
fn a_launch_opens_each_library_once_and_searches_for_none() {
    let traveller = Traveller::new("calls");
    let tree = traveller.prefix.join("x86_64");
    let helper = |name: &str| quoted(tree.join("libexec/apptainer/bin").join(name).as_os_str());
    let apptainer = launcher(&traveller.prefix, "apptainer");
    let commands = [
        ("apptainer", format!("{apptainer} --version"), 20),
        // Of an image in a directory: strace -f stops squashfuse_ll, which is counted by itself, while the
        // kernel waits for what it serves.
        ("apptainer exec", format!("{apptainer} exec image sh -c 'echo it ran'"), 30),
        ("squashfuse_ll", format!("{} --help", helper("squashfuse_ll")), 20),
        ("fuse-overlayfs", format!("{} --version", helper("fuse-overlayfs")), 20),
        ("mksquashfs", format!("{} -version", helper("mksquashfs")), 20),
    ];
    for (name, command, most) in commands {
        let (said, calls) = calls(&traveller, &command);
        assert!(!name.ends_with("exec") || said.contains("it ran"), "{said}");
        println!("{name}: {} calls", calls.len());
        let is_library = |call: &&String| call.contains(".so") || call.contains("/lib64");
        let failed: Vec<&String> =
            calls.iter().filter(is_library).filter(|call| call.contains("= -1")).collect();
        assert!(failed.is_empty(), "{name}: {failed:#?}");
        let opened = opened(&calls);
        assert!(!opened.is_empty() && opened.values().all(|times| *times == 1), "{opened:#?}");
        assert!(calls.len() <= most, "{name}: {} calls: {calls:#?}", calls.len());
    }
}
