//! The demo (`make demo`): builds a mirror in the shape of Enterprise Linux's out of real programs,
//! installs from it for two architectures as an ordinary user would, and runs what it got.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a demo prints, and stops at what goes wrong"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use support::mirror::{Mirror, Options, directory};
use support::program;
use support::server::Server;
use support::session::{Run, Session, is_root, quoted};
use support::tools::run;

/// Where the prefix is left for whoever wants to try more.
const LEFT: &str = "target/demo/prefix";

fn main() {
    let started = Instant::now();
    println!("elsewhere: container runtimes from Enterprise Linux RPMs, in any directory\n");

    let clock = Instant::now();
    let mirror = Mirror::build(&directory(), &Options::default());
    println!("1. A mirror like Enterprise Linux 8's, of real programs (Debian's, as RPMs)");
    let (count, bytes) = measure(&mirror.root, "rpm");
    done(clock, &format!("{count} signed packages for x86_64 and aarch64, {}", size(bytes)));

    let session = Session::new(&mirror.debs, "demo", program::path(), &mirror.repos);
    let server = Server::start(&mirror.root);
    let prefix = install(&session, &mirror, &server);
    let moved = travel(&session, &prefix);
    use_it(&session, &mirror, &moved);
    leave(&moved);

    println!("\nAll of it took {:.1} s. What to try next:", started.elapsed().as_secs_f32());
    for (command, what) in [
        (format!("{LEFT}/bin/apptainer buildcfg"), "what the program finds of its own"),
        (format!("target/debug/elsewhere status {LEFT}"), "what is installed, and from where"),
        ("target/debug/elsewhere list".to_owned(), "what else there is"),
        (
            "target/debug/elsewhere install ~/apptainer".to_owned(),
            "where a real mirror is in reach",
        ),
    ] {
        println!("   {command:50} {what}");
    }
}

/// Installs four runtimes for two architectures, with everyone watching.
fn install(session: &Session, mirror: &Mirror, server: &Server) -> PathBuf {
    let prefix = session.work.join("prefix");
    let who = if is_root() { "an ordinary user, whom root becomes here" } else { "you" };
    println!("\n2. Install four runtimes from it for two architectures, as {who}");
    let words = "-r apptainer -r charliecloud -r crun -r image-tools -a x86_64,aarch64";
    println!("   where this machine's own copies of what it brings are hidden");
    println!("   $ elsewhere install {words} --mirror {} --repos … PREFIX\n", server.url());
    let usual = format!("-d el8 --repos repos --mirror {}", server.url());
    let how = session.without_help(mirror, &format!("{words} {usual}"));
    let before = (server.requests().len(), server.bytes());
    let clock = Instant::now();
    let memory = session.show(
        &how,
        &format!(
            "./elsewhere install {words} {usual} --cache-dir home/cache {}",
            quoted(prefix.as_os_str())
        ),
    );
    println!();
    let (requests, bytes) = (server.requests().len() - before.0, server.bytes() - before.1);
    done(
        clock,
        &format!("{requests} requests, {}, at most {} of memory", size(bytes), size(memory)),
    );
    for arch in ["x86_64", "aarch64"] {
        let tree = prefix.join(arch).canonicalize().unwrap();
        let (count, bytes) = measure(&tree, "");
        println!("     {arch}: {count} files, {}", size(bytes));
    }
    prefix
}

/// Moves the prefix to another path, with a blank in it.
fn travel(session: &Session, prefix: &Path) -> PathBuf {
    let moved = session.work.join("moved here");
    println!("\n3. Move the prefix, so that nothing is where it was installed");
    let clock = Instant::now();
    fs::rename(prefix, &moved).unwrap();
    done(clock, &format!("mv prefix {}", quoted("moved here".as_ref())));
    moved
}

/// Takes every step with the system's own copies of the libraries hidden and garbage in
/// `LD_LIBRARY_PATH`, then runs the other architecture's tree.
fn use_it(session: &Session, mirror: &Mirror, prefix: &Path) {
    let hidden = session.system_copies(prefix);
    let library_path = Some(session.poison(prefix));
    println!(
        "\n4. Use it, with LD_LIBRARY_PATH full of garbage and {} system libraries",
        hidden.len()
    );
    println!("   hidden, so that only what the prefix brings can be what works");
    let how = Run { hidden, library_path, ..Run::default() };
    let clock = Instant::now();
    let step = |title: &str, text: String, clock: &mut Instant| {
        done(*clock, title);
        text.lines().for_each(|line| println!("     │ {line}"));
        *clock = Instant::now();
    };
    let mut clock = clock;
    step("mksquashfs packed an image", session.make_image(&how, prefix), &mut clock);
    let text = session.mount_and_overlay(&how, prefix);
    step("squashfuse mounted it, fuse-overlayfs made it writable", text, &mut clock);
    step(
        "fakeroot: is root's file mine? inside, then outside",
        session.fakeroot(&how, prefix),
        &mut clock,
    );
    step("apptainer exec, in the packed image", session.apptainer(&how, prefix), &mut clock);
    step("ch-run, Charliecloud's", session.ch_run(&how, prefix), &mut clock);
    step("crun, as an OCI runtime", session.crun(&how, prefix), &mut clock);

    println!("\n5. Run the aarch64 tree through the same launchers (under qemu-user)");
    clock = Instant::now();
    step("aarch64", session.aarch64(&mirror.debs, prefix), &mut clock);
}

/// Leaves the prefix below `target/`.
fn leave(prefix: &Path) {
    let left = Path::new(env!("CARGO_MANIFEST_DIR")).join(LEFT);
    if left.exists() {
        run(Command::new("chmod").args(["-R", "u+w"]).arg(&left));
        fs::remove_dir_all(&left).unwrap();
    }
    fs::create_dir_all(left.parent().unwrap()).unwrap();
    run(Command::new("cp").arg("-a").arg(prefix).arg(&left));
}

fn done(clock: Instant, what: &str) {
    println!("   ✓ {what} ({:.1} s)", clock.elapsed().as_secs_f32());
}

/// How many files there are below `directory` with this extension (or any), and their bytes.
fn measure(directory: &Path, extension: &str) -> (usize, u64) {
    let mut total = (0, 0);
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let about = path.symlink_metadata().unwrap();
        let (count, bytes) = match about.is_dir() {
            true => measure(&path, extension),
            false if path.to_string_lossy().ends_with(extension) => (1, about.len()),
            false => (0, 0),
        };
        total = (total.0 + count, total.1 + bytes);
    }
    total
}

fn size(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
