//! The program `elsewhere`: hands the process over to [`elsewhere::cli`].

fn main() -> std::process::ExitCode {
    elsewhere::cli::run()
}
