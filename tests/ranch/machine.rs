//! A made-up machine with drivers: libraries that a compiler makes, a cache of them that ldconfig writes, a runtime's list,
//! and an image with a C library, a loader and programs of its own. The machine is a ranch of this one's root.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::tools;
use crate::{Barn, executable};

/// Says which library of a name its loader finds.
const USES: &str = r#"
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **names) {
    for (int i = 1; i < count; i++) {
        void *library = dlopen(names[i], RTLD_NOW);
        const char *(*driver)(void) = library ? dlsym(library, "driver") : NULL;
        printf("%s\n", driver ? driver() : dlerror());
    }
    return 0;
}
"#;

/// Programs of the image.
const PROGRAMS: [&str; 6] = ["sh", "cat", "ls", "id", "readlink", "env"];

pub(crate) struct Machine {
    pub(crate) barn: Barn,
    /// What lies where, on this machine: words for the ranch that it is.
    pub(crate) injected: Vec<String>,
}

impl Machine {
    pub(crate) fn new(name: &str) -> Self {
        let barn = Barn::new(name);
        let machine = Self { barn, injected: Vec::new() };
        for program in PROGRAMS {
            machine.furnish(&tools::need(program, "coreutils"));
        }
        machine.furnish(&tools::need("ldconfig", "libc-bin"));
        symlink("usr/sbin", machine.barn.root().join("sbin")).unwrap();
        let source = machine.barn.place.join("uses.c");
        fs::write(&source, USES).unwrap();
        let uses = machine.barn.root().join("usr/bin/uses");
        tools::run(Command::new(cc()).arg("-o").arg(&uses).arg(&source).arg("-ldl"));
        machine.furnish_libraries(&uses);
        machine
    }

    /// Copies a program of this machine into the image, with the libraries that it needs.
    fn furnish(&self, program: &Path) {
        let real = fs::canonicalize(program).unwrap();
        let directory = if program.parent().unwrap().ends_with("sbin") { "sbin" } else { "bin" };
        let to = self.barn.root().join("usr").join(directory).join(program.file_name().unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&real, &to).unwrap();
        self.furnish_libraries(&real);
    }

    fn furnish_libraries(&self, program: &Path) {
        let listed = Command::new("ldd").arg(program).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        for path in listed.split_whitespace().filter(|word| word.starts_with('/')) {
            let real = fs::canonicalize(path).unwrap();
            let [to, real_to] = [Path::new(path), &real].map(|path| {
                let place = path.strip_prefix("/usr").or(path.strip_prefix("/")).unwrap();
                let to = self.barn.root().join("usr").join(place);
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                to
            });
            fs::copy(&real, &real_to).unwrap();
            // As distributions have their loader: a link into the directory of their libraries.
            if fs::symlink_metadata(&to).is_err() {
                let below = real_to.strip_prefix(self.barn.root()).unwrap();
                symlink(Path::new("/").join(below), to).unwrap();
            }
        }
    }

    /// A directory of the user's, with nothing in it yet.
    pub(crate) fn own(&self, name: &str) -> PathBuf {
        PathBuf::from(self.barn.own(&format!("{name}/.keep"), "")).parent().unwrap().to_owned()
    }

    /// A library in `directory`, with a link by its soname if that is another name, that says `says`.
    pub(crate) fn library(
        &self,
        directory: &Path,
        name: &str,
        soname: &str,
        says: &str,
    ) -> PathBuf {
        let path = directory.join(name);
        let source = self.barn.place.join("library.c");
        fs::write(&source, "const char *driver(void) { return SAYS; }\n").unwrap();
        fs::create_dir_all(directory).unwrap();
        let mut compiler = Command::new(cc());
        compiler.args(["-shared", "-fPIC", "-nostdlib", &format!("-DSAYS=\"{says}\"")]);
        compiler.arg(format!("-Wl,-soname,{soname}")).arg("-o").arg(&path).arg(&source);
        tools::run(&mut compiler);
        if name != soname {
            let _ = fs::remove_file(directory.join(soname));
            symlink(name, directory.join(soname)).unwrap();
        }
        path
    }

    /// A library that asks for a glibc that nobody has yet.
    pub(crate) fn library_of_tomorrow(&self, directory: &Path, name: &str) {
        let place = self.own("tomorrow");
        let write = |name: &str, text: &str| {
            let path = place.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let script = write("libc.map", "GLIBC_2.99 { tomorrow; };\n");
        let libc = write("libc.c", "void tomorrow(void) {}\n");
        let source = write(
            "driver.c",
            "void tomorrow(void);\nconst char *driver(void) { tomorrow(); return 0; }\n",
        );
        let made = place.join("libc.so.6");
        let shared = ["-shared", "-fPIC", "-nostdlib"];
        let mut compiler = Command::new(cc());
        compiler.args(shared).arg(format!("-Wl,--version-script,{}", script.display()));
        tools::run(compiler.args(["-Wl,-soname,libc.so.6", "-o"]).args([&made, &libc]));
        let mut compiler = Command::new(cc());
        compiler.args(shared).args([format!("-Wl,-soname,{name}"), "-o".to_owned()]);
        tools::run(compiler.arg(directory.join(name)).args([&source, &made]));
    }

    /// Lets the machine's loader know the libraries in `directories`, and it has a runtime's list for NVIDIA with these lines.
    pub(crate) fn installs(&mut self, directories: &[&Path], list: &str) {
        let place = self.own("made");
        let conf: Vec<_> = directories.iter().map(|path| path.display().to_string()).collect();
        fs::write(place.join("conf"), conf.join("\n") + "\n").unwrap();
        let cache = place.join("cache");
        let mut ldconfig = Command::new(tools::need("ldconfig", "libc-bin"));
        ldconfig.args(["-X", "-C"]).arg(&cache).arg("-f").arg(place.join("conf"));
        tools::run(&mut ldconfig);
        self.injected.extend(["-i".to_owned(), format!("{}:/etc/ld.so.cache", cache.display())]);
        self.barn.own("prefix/etc/apptainer/nvliblist.conf", list);
        let smi = self.barn.own("prefix/bin/nvidia-smi", "#!/bin/sh\necho all is well\n");
        executable(Path::new(&smi));
    }

    /// `elsewhere ranch` on this machine, with these words.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let elsewhere = self.barn.place.join("elsewhere");
        let mut command = self.barn.as_user(&elsewhere);
        command.arg("ranch").args(&self.injected).args(["/", "--"]).arg(&elsewhere);
        command.arg("ranch").args(words);
        let bin = self.barn.place.join("own/prefix/bin");
        command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", bin.display()));
        command
    }

    /// What a script says in the image.
    pub(crate) fn says(&self, words: &[&str], script: &str) -> Output {
        let root = self.barn.root();
        let root = root.to_str().unwrap();
        self.command(&[words, &[root, "--", "/bin/sh", "-c", script]].concat()).output().unwrap()
    }

    /// The same, where all must go well: what it prints, and what is said beside that.
    pub(crate) fn prints(&self, words: &[&str], script: &str) -> (String, String) {
        let output = self.says(words, script);
        assert!(output.status.success(), "{output:?}");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    }
}

fn cc() -> PathBuf {
    tools::need("cc", "gcc libc6-dev")
}
