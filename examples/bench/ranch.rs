//! A directory that cannot be written to, made one that can: as a ranch, by the kernel's overlayfs, and by
//! fuse-overlayfs, where that is found; each run writes a file and lists all that is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Bench;
use super::measure::{Case, Run, run, side_by_side};
use super::support::tools::{find, need, stdout};

/// Entries of the directory, and whether they are directories.
const SHAPES: [(usize, bool); 7] = [
    (100, false),
    (1_000, false),
    (10_000, false),
    (100_000, false),
    (100, true),
    (1_000, true),
    (10_000, true),
];

impl Bench {
    /// The table of seconds and mounts against entries.
    pub(crate) fn ranch(&self) {
        let fuse = find("fuse-overlayfs");
        println!("| entries | ranch, s | mounts | overlayfs, s | fuse-overlayfs, s |");
        println!("|---|---|---|---|---|");
        for (count, are_directories) in SHAPES {
            let many = self.many(count, are_directories);
            let look = format!(": > {0}/new; ls -L {0} > {0}/list", many.display());
            let ranch = |script: &str| {
                let mut command = Command::new(&self.program);
                command.args(["ranch", "-w"]).arg(&many).args(["/", "--", "sh", "-c", script]);
                command
            };
            let ranched = || run(&mut ranch(&look));
            let overlay =
                || run(&mut overlaid(&many, "mount -t overlay none -o userxattr,", &look));
            let by_fuse = || run(&mut overlaid(&many, "fuse-overlayfs -o ", &look));
            let (mut ranched, mut overlay, mut by_fuse) = (ranched, overlay, by_fuse);
            let mut cases: Vec<Case<'_>> = vec![&mut ranched, &mut overlay];
            if fuse.is_some() {
                cases.push(&mut by_fuse);
            }
            let runs = side_by_side(self.runs, &mut cases);
            let mounts = |script| stdout(&mut ranch(script)).trim().parse::<usize>().unwrap();
            let outside = fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
            let mounts = mounts("wc -l < /proc/self/mountinfo").saturating_sub(outside);
            let seconds = |run: Option<&Run>| {
                run.map_or("not there".to_owned(), |run| format!("{:.3}", run.wall))
            };
            let kind = if are_directories { "directories" } else { "files" };
            println!(
                "| {count} {kind} | {} | {mounts} | {} | {} |",
                seconds(runs.first()),
                seconds(runs.get(1)),
                seconds(runs.get(2))
            );
            fs::remove_dir_all(&many).unwrap();
        }
    }

    /// A directory with so many entries.
    fn many(&self, count: usize, are_directories: bool) -> PathBuf {
        let many = self.work.join("ranch").join(format!("{count}-{are_directories}"));
        let _ = fs::remove_dir_all(&many);
        fs::create_dir_all(&many).unwrap();
        for number in 0..count {
            let path = many.join(format!("entry{number}"));
            match are_directories {
                true => fs::create_dir(path).unwrap(),
                false => drop(fs::File::create(path).unwrap()),
            }
        }
        many
    }
}

/// A script in namespaces of its own, over whose directory `mount` has laid one in memory.
fn overlaid(many: &Path, mount: &str, script: &str) -> Command {
    let script = format!(
        "set -e; mount -t tmpfs none /mnt; mkdir /mnt/upper /mnt/work
         {mount}lowerdir={0},upperdir=/mnt/upper,workdir=/mnt/work {0}; {script}",
        many.display()
    );
    let mut command = Command::new(need("unshare", "util-linux"));
    command.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"]);
    command.args(["sh", "-c", &script]);
    command
}
