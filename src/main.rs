//! The program `elsewhere`: hands the process over to [`elsewhere::cli`].

fn main() {}
