//! The program `elsewhere`: hands the process over to [`elsewhere::run`].

fn main() -> std::process::ExitCode {
    elsewhere::run()
}
