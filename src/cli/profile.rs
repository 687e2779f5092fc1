//! `elsewhere env` and `elsewhere module`: what puts an installed prefix on the search path.

use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::options::Output;
use crate::error::Error;
use crate::host::Host;
use crate::lifecycle::Whole;
use crate::model::escape;
use crate::prefix::Prefix;
use crate::terminal::Terminal;

/// Print what puts a prefix on the search path, for a shell's profile
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  eval \"$(elsewhere env ~/apptainer)\"
  elsewhere env ~/apptainer >> ~/.profile
  elsewhere env --shell fish ~/apptainer | source")]
pub(super) struct Env {
    /// The shell that reads it
    #[arg(long, value_enum, default_value_t = Syntax::Sh)]
    shell: Syntax,
    #[command(flatten)]
    pub(super) output: Output,
    /// The prefix
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
}

/// Print a modulefile for a prefix, for Lmod or Environment Modules
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere module /sw/apptainer > /sw/modulefiles/apptainer/1.4.5.lua
  elsewhere module --tcl /sw/apptainer > /sw/modulefiles/apptainer/1.4.5")]
pub(super) struct Module {
    /// For Lmod, in Lua: what you get without a flag
    #[arg(long, conflicts_with = "tcl")]
    lmod: bool,
    /// For Environment Modules, in Tcl; Lmod reads it too
    #[arg(long)]
    tcl: bool,
    #[command(flatten)]
    pub(super) output: Output,
    /// The prefix
    #[arg(value_name = "PREFIX")]
    prefix: PathBuf,
}

/// A shell's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Syntax {
    /// sh, bash, dash, ksh, zsh
    #[value(aliases = ["bash", "dash", "ksh", "zsh"])]
    Sh,
    /// csh, tcsh
    #[value(alias = "tcsh")]
    Csh,
    /// fish
    Fish,
}

impl Env {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let prefix = Prefix::open(&host.absolute(&self.prefix))?;
        let bin = bin(&prefix)?;
        if self.output.json {
            terminal.output_json(&json!({"bin": bin}));
        } else {
            terminal.output_document(&lines(self.shell, &bin));
        }
        Ok(())
    }
}

impl Module {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let whole = Whole::open(&host.absolute(&self.prefix))?;
        let mut names: Vec<String> = Vec::new();
        for runtime in whole.trees(None)?.iter().flat_map(|(_, tree)| &tree.runtimes) {
            let name = format!("{} {}", escape(&runtime.name), escape(&runtime.version));
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let bin = bin(whole.prefix())?;
        if self.output.json {
            terminal.output_json(&json!({"bin": bin, "runtimes": names}));
        } else {
            let text = if self.tcl { tcl(&bin, &names) } else { lua(&bin, &names) };
            terminal.output_document(text.trim_end());
        }
        Ok(())
    }
}

/// The directory of the launchers, where it can stand in `PATH`.
fn bin(prefix: &Prefix) -> Result<String, Error> {
    let bin = prefix.bin();
    let text = bin.to_str().filter(|text| !text.contains([':', '\n']));
    let unusable = || Error::Usage(format!("{} cannot stand in PATH", bin.display()));
    text.map(str::to_owned).ok_or_else(unusable)
}

/// Puts `bin` in front of `PATH`, once.
fn lines(syntax: Syntax, bin: &str) -> String {
    match syntax {
        Syntax::Sh => {
            let bin = format!("'{}'", bin.replace('\'', r"'\''"));
            format!("case \":$PATH:\" in *:{bin}:*) ;; *) PATH={bin}:$PATH; export PATH ;; esac")
        }
        Syntax::Csh => {
            // `!` recalls history even in single quotes.
            let bin = format!("'{}'", bin.replace('\'', r"'\''").replace('!', r"\!"));
            // In a pattern, `[` begins a set even in quotes; any character stands for it there.
            let pattern = bin.replace('[', "?");
            format!("if ( \":${{PATH}}:\" !~ *:{pattern}:* ) setenv PATH {bin}:\"$PATH\"")
        }
        Syntax::Fish => {
            let bin = format!("'{}'", bin.replace('\\', r"\\").replace('\'', r"\'"));
            format!("contains -- {bin} $PATH; or set -gx PATH {bin} $PATH")
        }
    }
}

/// A modulefile for Lmod.
fn lua(bin: &str, names: &[String]) -> String {
    let quoted = |text: &str| {
        let mut quoted = String::from("\"");
        for character in text.chars() {
            if matches!(character, '"' | '\\') {
                quoted.push('\\');
            }
            quoted.push(character);
        }
        quoted + "\""
    };
    let mut text = format!("help({})\n", quoted(&summary(names)));
    for name in names {
        let _ = writeln!(text, "whatis({})", quoted(name));
    }
    let _ = writeln!(text, "prepend_path(\"PATH\", {})", quoted(bin));
    text
}

/// A modulefile for Environment Modules.
fn tcl(bin: &str, names: &[String]) -> String {
    let quoted = |text: &str| {
        let mut quoted = String::from("\"");
        for character in text.chars() {
            if matches!(character, '"' | '\\' | '$' | '[' | ']' | '{' | '}') {
                quoted.push('\\');
            }
            quoted.push(character);
        }
        quoted + "\""
    };
    let mut text = format!(
        "#%Module1.0\nproc ModulesHelp {{ }} {{\n    puts stderr {}\n}}\n",
        quoted(&summary(names))
    );
    for name in names {
        let _ = writeln!(text, "module-whatis {}", quoted(name));
    }
    let _ = writeln!(text, "prepend-path PATH {}", quoted(bin));
    text
}

fn summary(names: &[String]) -> String {
    match names {
        [] => "Nothing is installed here yet.".to_owned(),
        names => format!("{}, for ordinary users, installed by elsewhere.", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Every character that some shell treats in its own way, but those that PATH cannot hold.
    const ODD: &str = "/o d'd/\"$x`y\\z!*[a]{b}~#&;(c)|<>?é/bin";

    #[test]
    fn sh_gets_the_directory_once_whatever_it_is_called() {
        let line = lines(Syntax::Sh, ODD);
        let script = format!("PATH=/usr/bin; {line}\n{line}\nprintf %s \"$PATH\"");
        let output = Command::new("/bin/sh").arg("-c").arg(script).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{ODD}:/usr/bin"));
    }

    #[test]
    fn modulefiles_quote_what_their_languages_expand() {
        let names = ["apptainer 1.4.5".to_owned()];
        let lua = lua("/a\"b\\c/bin", &names);
        assert!(lua.contains("prepend_path(\"PATH\", \"/a\\\"b\\\\c/bin\")\n"), "{lua}");
        assert!(lua.contains("whatis(\"apptainer 1.4.5\")\n"), "{lua}");
        let tcl = tcl("/a$b[c]{d}/bin", &names);
        assert!(tcl.starts_with("#%Module1.0\n"));
        assert!(tcl.contains("prepend-path PATH \"/a\\$b\\[c\\]\\{d\\}/bin\"\n"), "{tcl}");
    }

    #[test]
    fn fish_and_csh_quote_in_their_own_ways() {
        let fish = lines(Syntax::Fish, "/it's\\x/bin");
        assert!(fish.contains(r"set -gx PATH '/it\'s\\x/bin' $PATH"), "{fish}");
        let csh = lines(Syntax::Csh, "/it's!/bin");
        assert!(csh.ends_with(r#"setenv PATH '/it'\''s\!/bin':"$PATH""#), "{csh}");
    }
}
