//! demo
#[path = "../tests/support/mod.rs"]
mod support;
use support::mirror::{Mirror, Options, directory};
fn main() {
    let started = std::time::Instant::now();
    let mirror = Mirror::build(&directory(), &Options::default());
    eprintln!("{:?} {:?}", mirror.root, started.elapsed());
}
