//! demo
#![allow(clippy::print_stdout)]
#[path = "../tests/support/mod.rs"]
mod support;
use std::path::Path;
use support::mirror::{Mirror, Options, directory};
use support::session::*;
fn main() {
    let mirror = Mirror::build(&directory(), &Options::default());
    let s = Session::new(&mirror.debs, "demo", Path::new("/bin/true"), &mirror.repos);
    let p = Path::new("/tmp/fp/prefix");
    let r = Run::default();
    let h = Run { hidden: s.system_copies(p), library_path: Some(s.poison(p)), ..Run::default() };
    println!("{:?}", h.hidden);
    for r in [r, h] {
        println!("{}", s.make_image(&r, p));
        println!("{}", s.mount_and_overlay(&r, p));
        println!("{}", s.fakeroot(&r, p));
        println!("{}", s.ch_run(&r, p));
        println!("{}", s.apptainer(&r, p));
        println!("{}", s.crun(&r, p));
    }
    println!("{}", s.aarch64(&mirror.debs, p));
}
