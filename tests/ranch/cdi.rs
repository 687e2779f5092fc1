//! What a command gets by CDI specifications, and what of these makes no sense.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Output;

use crate::executable;
use crate::machine::Machine;
use crate::support::tools;

/// A specification as a vendor's program writes it, of what lies in `{own}`.
const YAML: &str = r#"---
cdiVersion: 0.6.0
kind: toy.example/gpu
annotations: {made: here}
devices:
- name: "0"
  containerEdits:
    env: [TOY_DEVICE=0]
    deviceNodes:
    - path: /dev/null
      permissions: rw
    - path: /toys/zero
      hostPath: /dev/zero
      type: c
      major: 1
      minor: 5
- name: one
  containerEdits:
    env: [TOY_DEVICE=one]
containerEdits:
  env:
  - TOY=a=b
  - "TOYS=two words"
  mounts:
  - hostPath: {own}/drivers/libtoy.so.535
    containerPath: /usr/lib/vendor/libtoy.so.535
    options: [ro, nosuid, nodev, rbind, rprivate]
  - hostPath: {own}/conf
    containerPath: /etc/toy.conf
    options: &limits [ro, nosuid, nodev, bind]
  - hostPath: {own}/data
    containerPath: /opt/toy/data
    options: *limits
  hooks:
  - hookName: createContainer
    path: {own}/hook
    args: [toy-hook, create-symlinks, --link, libtoy.so.1::/usr/lib/vendor/libtoy.so, "--link=../toy.conf::/etc/toy/conf"]
  - hookName: createContainer
    path: {own}/hook
    args: [toy-ctk, hook, update-ldcache, --folder, /usr/lib/vendor]
    env: [DEBUG=false]
  - hookName: createContainer
    path: {own}/hook
    args: [toy-hook, chmod, --mode, "755", --path, /opt/toy]
  - hookName: poststart
    path: {own}/hook
    args: [toy-hook, dance]
"#;

struct Toys {
    machine: Machine,
    own: PathBuf,
}

impl Toys {
    fn new(name: &str) -> Self {
        let machine = Machine::new(name);
        let own = machine.barn.place.join("own");
        machine.library(&own.join("drivers"), "libtoy.so.535", "libtoy.so.1", "the machine's");
        machine.barn.own("conf", "the machine's\n");
        machine.barn.own("data/leaf", "leaf\n");
        // No hook's program ever runs: this one would be seen to.
        let hook = machine.barn.own("hook", &format!("#!/bin/sh\n: > {}/hooked\n", own.display()));
        executable(hook.as_ref());
        Self { machine, own }
    }

    fn write(&self, name: &str, text: &str) -> String {
        self.machine.barn.own(name, &text.replace("{own}", self.own.to_str().unwrap()))
    }

    /// What `--cdi FILE` says of this text.
    fn tried(&self, text: &str) -> (Output, String) {
        let file = self.write("tried.yaml", text);
        let output = self.machine.says(&["--cdi", &file], "echo ran");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output, said)
    }
}

const LOOK: &str = "uses libtoy.so.1 libtoy.so; cat /etc/toy.conf /opt/toy/data/leaf /etc/toy/conf /etc/os-release; \
    echo \"$TOY:$TOYS:$TOY_DEVICE\"; id -u; echo x > /toys/zero && [ -c /dev/null ] && echo node; \
    for f in /etc/toy.conf /opt/toy/data/leaf /opt/toy/data/new; do (echo x > $f) 2>&1; done; true";

#[test]
fn a_command_gets_what_a_specification_says_in_yaml_and_in_json() {
    let toys = Toys::new("toys");
    let yaml = toys.write("cdi/toy.yaml", YAML);
    let before = toys.machine.barn.snapshot();
    let user = toys.machine.barn.user();
    let json = toys.write("toy.json", JSON);
    let mut all = Vec::new();
    for file in [&yaml, &json] {
        let (said, warned) = toys.machine.prints(&["--cdi", &format!("{file}=0")], LOOK);
        let (seen, refused) = said.split_at(said.find("node\n").unwrap() + 5);
        let expected = format!(
            "the machine's\nthe machine's\nthe machine's\nleaf\nthe machine's\nNAME=Barn\na=b:two words:0\n{user}\nnode\n"
        );
        assert_eq!(seen, expected, "{warned}");
        assert_eq!(refused.matches("Read-only file system").count(), 3, "{refused}");
        assert!(
            warned.contains("the hook `hook dance`, is not known here, and not run"),
            "{warned}"
        );
        assert_eq!(warned.lines().count(), 1, "{warned}");
        all.push(said);
    }
    assert_eq!(all[0], all[1]);
    assert!(!toys.own.join("hooked").exists(), "a hook's program was run");
    assert!(toys.machine.barn.snapshot() == before, "something was changed");
}

/// The same as [`YAML`].
const JSON: &str = r#"{"cdiVersion": "0.6.0", "kind": "toy.example/gpu", "annotations": {"made": "here"},
"devices": [{"name": "0", "containerEdits": {"env": ["TOY_DEVICE=0"], "deviceNodes": [
  {"path": "/dev/null", "permissions": "rw"},
  {"path": "/toys/zero", "hostPath": "/dev/zero", "type": "c", "major": 1, "minor": 5}]}}],
"containerEdits": {"env": ["TOY=a=b", "TOYS=two words"], "mounts": [
  {"hostPath": "{own}/drivers/libtoy.so.535", "containerPath": "/usr/lib/vendor/libtoy.so.535",
   "options": ["ro", "nosuid", "nodev", "rbind", "rprivate"]},
  {"hostPath": "{own}/conf", "containerPath": "/etc/toy.conf", "options": ["ro", "nosuid", "nodev", "bind"]},
  {"hostPath": "{own}/data", "containerPath": "/opt/toy/data", "options": ["ro", "nosuid", "nodev", "bind"]}],
 "hooks": [
  {"hookName": "createContainer", "path": "{own}/hook",
   "args": ["toy-hook", "create-symlinks", "--link", "libtoy.so.1::/usr/lib/vendor/libtoy.so", "--link=../toy.conf::/etc/toy/conf"]},
  {"hookName": "createContainer", "path": "{own}/hook", "args": ["toy-ctk", "hook", "update-ldcache", "--folder", "/usr/lib/vendor"]},
  {"hookName": "poststart", "path": "{own}/hook", "args": ["toy-hook", "dance"]}]}}"#;

/// Which device is meant, and which specification.
#[test]
fn devices_are_chosen_by_kind_and_later_directories_count_more() {
    let toys = Toys::new("kinds");
    let spec = |who: &str, devices: &[&str]| {
        let device = |name: &&str| {
            format!(
                "- {{name: \"{name}\", containerEdits: {{env: [\"SEEN_{}={who}\"]}}}}\n",
                name.to_uppercase()
            )
        };
        let devices: String = devices.iter().map(device).collect();
        format!(
            "cdiVersion: 0.5.0\nkind: toy.example/gpu\ncontainerEdits: {{env: [BY_{who}=yes]}}\ndevices:\n{devices}"
        )
    };
    toys.write("usual/toy.yaml", &spec("usual", &["a", "b"]));
    toys.write("usual/notes.txt", "no specification");
    toys.write("later/toy.yml", &spec("later", &["b", "c"]));
    let (usual, later) = (toys.own.join("usual"), toys.own.join("later"));
    let dirs = ["--cdi-dir", usual.to_str().unwrap(), "--cdi-dir", later.to_str().unwrap()];
    let seen = |words: &[&str]| {
        let (said, _) = toys
            .machine
            .prints(words, "echo \"a=$SEEN_A b=$SEEN_B c=$SEEN_C $BY_usual/$BY_later\"");
        said.trim_end().to_owned()
    };
    let with = |word: &str| seen(&[&["--cdi", word], &dirs[..]].concat());
    assert_eq!(with("toy.example/gpu=a"), "a=usual b= c= yes/");
    assert_eq!(with("toy.example/gpu=b"), "a= b=later c= /yes");
    assert_eq!(with("toy.example/gpu"), "a=usual b=later c=later yes/yes");
    assert_eq!(with("toy.example/gpu=all"), "a=usual b=later c=later yes/yes");
    let two = ["--cdi", "toy.example/gpu=a", "--cdi", "toy.example/gpu=c"];
    assert_eq!(seen(&[&two[..], &dirs[..]].concat()), "a=usual b= c=later yes/yes");
    // By the variable; and a file whose device `all` stands for the others.
    let root = toys.machine.barn.root();
    let mut command =
        toys.machine.command(&["--cdi", "toy.example/gpu=a", root.to_str().unwrap(), "--"]);
    command.args(["/bin/sh", "-c", "echo $SEEN_A"]).env("ELSEWHERE_CDI_DIRS", &usual);
    assert_eq!(tools::stdout(&mut command), "usual");
    let whole = toys.write("whole.yaml", &spec("whole", &["a", "all"]));
    assert_eq!(seen(&["--cdi", &whole]), "a= b= c= /");
    assert_eq!(seen(&["--cdi", &format!("{whole}=a")]), "a=whole b= c= /");
    // Twice in one directory.
    toys.write("usual/zoo.yaml", &spec("zoo", &["a"]));
    let refused = |word: &str| {
        let output = toys.machine.says(&[&["--cdi", word], &dirs[..]].concat(), "echo ran");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = refused("toy.example/gpu=a");
    assert!(said.contains("toy.example/gpu=a stands in ") && said.contains("zoo.yaml"), "{said}");
    let said = refused("toy.example/gpu=z");
    assert!(
        said.contains("no CDI specification has toy.example/gpu=z: there are toy.example/gpu=a"),
        "{said}"
    );
    assert!(refused("toys").contains("\"toys\" is neither a file nor a kind of device"));
    assert!(refused("/nowhere.yaml").contains("cannot read /nowhere.yaml"));
}

/// Each of these texts is refused, with the file and these words.
fn refuse(toys: &Toys, rows: &[(String, &str)]) {
    for (text, expected) in rows {
        let (output, said) = toys.tried(text);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{text}: {output:?}");
        let expected = expected.replace("{own}", toys.own.to_str().unwrap());
        assert!(said.contains("tried.yaml") && said.contains(&expected), "{expected}: {said}");
    }
}

/// A specification with a device that asks for this.
fn with(edits: &str) -> String {
    format!(
        "cdiVersion: 0.6.0\nkind: toy.example/gpu\ndevices:\n- name: a\n  containerEdits:\n    {edits}\n"
    )
}

#[test]
fn mounts_that_make_no_sense_are_refused_with_file_and_field() {
    let toys = Toys::new("mounts");
    let mount = |fields: &str| with(&format!("mounts: [{{{fields}}}]"));
    symlink("/nowhere", toys.own.join("dangling")).unwrap();
    let rows = [
        (
            mount("hostPath: /nowhere/lib.so, containerPath: /lib.so"),
            "mounts[0].hostPath names /nowhere/lib.so, which is not here",
        ),
        (
            mount("hostPath: {own}/dangling, containerPath: /lib.so"),
            "mounts[0].hostPath names {own}/dangling, which is not here",
        ),
        (
            mount("hostPath: /etc, containerPath: /a/../../b"),
            "mounts[0].containerPath is \"/a/../../b\": it must begin with / and have no `..`",
        ),
        (mount("hostPath: etc, containerPath: /b"), "mounts[0].hostPath must begin with /"),
        (mount("containerPath: /b"), "mounts[0] has no hostPath"),
        (mount("hostPath: tmpfs, containerPath: /b"), "mounts[0].hostPath must begin with /"),
        (
            mount("hostPath: /etc, containerPath: /b, type: tmpfs"),
            "mounts[0].type is \"tmpfs\": only what is on this machine can be shown",
        ),
        (mount("hostPath: \"/a\\0b\", containerPath: /b"), "mounts[0].hostPath has a zero in it"),
        (
            mount("hostPath: {own}/data, containerPath: /data/hay/below"),
            "mounts[0].hostPath: cannot use the place /data/hay/below of the root directory",
        ),
        (
            mount("hostPath: {own}/data, containerPath: /data/hay"),
            "a directory cannot take a file's place",
        ),
        (mount("hostPath: {own}/conf, containerPath: /dev/toy"), "the directory is this machine's"),
    ];
    refuse(&toys, &rows);
}

#[test]
fn what_makes_no_sense_is_refused_with_file_and_field() {
    let toys = Toys::new("senseless");
    let field = "devices[0].containerEdits.";
    let rows = [
        (with("env: [TOY]"), "env[0] is \"TOY\", and not NAME=VALUE"),
        (with("env: [=x]"), "env[0] is \"=x\", and not NAME=VALUE"),
        (with("env: {A: b}"), "env is no list"),
        (
            with("deviceNodes: [{path: /dev/toy0}]"),
            "deviceNodes[0].path names /dev/toy0, which is not here",
        ),
        (
            with("deviceNodes: [{path: /etc/passwd}]"),
            "deviceNodes[0].path names /etc/passwd, which is no device node",
        ),
        (
            with("deviceNodes: [{path: /dev/null, type: b}]"),
            "which is of type \"c\", and not \"b\"",
        ),
        (with("deviceNodes: [{path: /dev/null, major: 1, minor: 9}]"), "which is 1:3 here"),
        (
            with("deviceNodes: [{path: /dev/null, major: many}]"),
            "deviceNodes[0].major is \"many\", which is no number",
        ),
        (
            with("hooks: [{hookName: a, path: /b, args: [x, create-symlinks, --link, oops]}]"),
            "hooks[0]: the link \"oops\" makes no sense",
        ),
        (
            with(
                "hooks: [{hookName: a, path: /b, args: [x, create-symlinks, --link, \"a::/b/../c\"]}]",
            ),
            "the link \"a::/b/../c\" makes no sense",
        ),
        (
            with(
                "hooks: [{hookName: a, path: /b, args: [x, create-symlinks, --link, \"a::/data\"]}]",
            ),
            "a link cannot take a directory's place",
        ),
        (
            with("hooks: [{hookName: a, path: /b, args: [x, update-ldcache, --folder, \"../x\"]}]"),
            "the folder \"../x\" makes no sense",
        ),
        (with("hooks: [{path: /b}]"), "hooks[0] has no hookName"),
        (with("mounts: []\n    mounts: []"), "the key \"mounts\" stands twice"),
    ];
    refuse(&toys, &rows);
    let (_, said) = toys.tried(&with("env: [TOY]"));
    assert!(said.contains(&format!("tried.yaml: line 6: {field}env[0]")), "{said}");
}

#[test]
fn what_a_specification_may_not_be_is_told() {
    let toys = Toys::new("versions");
    let devices = "devices: [{name: a}]";
    let rows = [
        (format!("kind: a/b\n{devices}"), "the specification has no cdiVersion"),
        (format!("cdiVersion: new\nkind: a/b\n{devices}"), "cdiVersion is \"new\", which is no version"),
        (format!("cdiVersion: 0.6.0\nkind: b\n{devices}"), "kind is \"b\": it is no VENDOR/CLASS"),
        (format!("cdiVersion: 0.6.0\nkind: a/b/c\n{devices}"), "kind is \"a/b/c\": its class is no name"),
        (format!("cdiVersion: 0.5.0\nkind: a/b.c\n{devices}"), "kind has a dot in its class, as of version 0.6.0"),
        ("cdiVersion: 0.6.0\nkind: a/b\ndevices: []".to_owned(), "the specification has no devices"),
        ("cdiVersion: 0.6.0\nkind: a/b\ndevices: [{name: a}, {name: a}]".to_owned(), "devices[1] is another device \"a\""),
        ("cdiVersion: 0.4.0\nkind: a/b\ndevices: [{name: \"0\"}]".to_owned(), "devices[0].name begins with a digit, as of version 0.5.0"),
        (
            "cdiVersion: 0.4.0\nkind: a/b\ndevices: [{name: a, containerEdits: {deviceNodes: [{path: /dev/a, hostPath: /dev/null}]}}]".to_owned(),
            "deviceNodes[0].hostPath is of version 0.5.0, and cdiVersion says 0.4.0",
        ),
        ("[not, a, mapping]".to_owned(), "the specification is no mapping"),
        ("a: [".to_owned(), "it is not YAML"),
    ];
    refuse(&toys, &rows);
    // What is newer, or nobody's to give, is said, and the rest done.
    let (output, said) = toys.tried(
        "cdiVersion: 1.9.0\nkind: a/b\nfuture: [1]\ndevices:\n- name: a\n  containerEdits:\n    additionalGids: [5]\n    dreams: {}\n",
    );
    assert_eq!(output.stdout, b"ran\n", "{said}");
    for expected in [
        "which is newer than 1.1.0, the newest known here",
        "line 3: future is not known here, and passed over",
        "devices[0].containerEdits.dreams is not known here, and passed over",
        "additionalGids, groups that the user is not in, takes more rights than a user has",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

/// Links of the image are followed within it, and those of a specification take the places of files.
#[test]
fn no_place_leads_out_of_the_image() {
    let toys = Toys::new("places");
    let root = toys.machine.barn.root();
    symlink("../../../../own", root.join("data/climbing")).unwrap();
    symlink(&toys.own, root.join("data/absolute")).unwrap();
    let old =
        toys.machine.library(&root.join("usr/lib"), "libtoy.so.470", "libtoy.so.1", "the image's");
    assert!(old.exists());
    let file = toys.write(
        "places.yaml",
        "cdiVersion: 0.6.0\nkind: toy.example/gpu\ndevices:\n- name: a\n  containerEdits:\n    mounts:\n    \
         - {hostPath: \"{own}/conf\", containerPath: /data/climbing/conf}\n    \
         - {hostPath: \"{own}/conf\", containerPath: /data/absolute/conf}\n    \
         - {hostPath: \"{own}/drivers/libtoy.so.535\", containerPath: /usr/lib/libtoy.so.535}\n    \
         hooks:\n    - {hookName: a, path: /b, args: [x, update-ldcache, --folder, /usr/lib]}\n",
    );
    let before = toys.machine.barn.snapshot();
    let inside = fs::read_dir(&toys.own).unwrap().count();
    let script = "cat /data/climbing/conf /data/absolute/conf; uses libtoy.so.1; readlink /usr/lib/libtoy.so.1; cat /usr/lib/libtoy.so.470 > /dev/null && echo there";
    let (said, _) = toys.machine.prints(&["--cdi", &file], script);
    assert_eq!(said, "the machine's\nthe machine's\nthe machine's\nlibtoy.so.535\nthere\n");
    assert!(toys.machine.barn.snapshot() == before, "something was changed");
    assert_eq!(fs::read_dir(&toys.own).unwrap().count(), inside);
}

/// Libraries of the image's own that are newer than the driver come first, where the vendor's hook says so.
#[test]
fn newer_libraries_of_the_image_come_first() {
    let toys = Toys::new("newer");
    let root = toys.machine.barn.root();
    toys.machine.library(
        &root.join("usr/local/cuda/compat"),
        "libcuda.so.550.1",
        "libcuda.so.1",
        "the image's",
    );
    toys.machine.library(
        &toys.own.join("drivers"),
        "libcuda.so.535.1",
        "libcuda.so.1",
        "the machine's",
    );
    for (driver, expected) in [("535.1", "the image's\n"), ("560.3", "the machine's\n")] {
        let file = toys.write(
            "newer.yaml",
            &format!(
                "cdiVersion: 0.6.0\nkind: toy.example/gpu\ndevices:\n- name: a\n  containerEdits:\n    mounts:\n    \
                 - {{hostPath: \"{{own}}/drivers/libcuda.so.535.1\", containerPath: /usr/lib/libcuda.so.535.1}}\n    \
                 hooks:\n    - {{hookName: a, path: /b, args: [x, enable-cuda-compat, --host-driver-version={driver}]}}\n    \
                 - {{hookName: a, path: /b, args: [x, update-ldcache, --folder, /usr/lib]}}\n"
            ),
        );
        let (said, _) = toys.machine.prints(&["--cdi", &file], "uses libcuda.so.1");
        assert_eq!(said, expected, "{driver}");
    }
}

/// What a runtime that is told by `--for` cannot have is refused; else its own words say the same.
#[test]
fn a_runtime_is_told_in_its_own_words_or_not_at_all() {
    let toys = Toys::new("words");
    let own = toys.own.to_str().unwrap();
    let plain = toys.write(
        "plain.yaml",
        "cdiVersion: 0.6.0\nkind: toy.example/gpu\ndevices:\n- name: a\n  containerEdits:\n    env: [\"TOY=a\"]\n    \
         deviceNodes: [{path: /dev/null}]\n    mounts:\n    \
         - {hostPath: \"{own}/conf\", containerPath: /etc/toy.conf, options: [ro]}\n    \
         - {hostPath: \"{own}/drivers/libtoy.so.535\", containerPath: /usr/lib/v/libtoy.so.535}\n    \
         hooks:\n    - {hookName: a, path: /b, args: [x, update-ldcache, --folder, /usr/lib/v]}\n",
    );
    let comma = toys.write(
        "comma.yaml",
        "cdiVersion: 0.6.0\nkind: toy.example/gpu\ndevices: [{name: a, containerEdits: {env: [\"TOY=a,b\"]}}]\n",
    );
    let astray = toys.write(
        "astray.yaml",
        "cdiVersion: 0.6.0\nkind: toy.example/gpu\ndevices:\n- name: a\n  containerEdits:\n    \
         hooks: [{hookName: a, path: /b, args: [x, create-symlinks, --link, \"none::/lib/x\"]}]\n",
    );
    let run = |words: &[&str]| toys.machine.command(words).output().unwrap();
    let library = format!("{own}/drivers/libtoy.so.535");
    let binds = |bind: &str, read_only: &str| {
        format!(
            "{bind} {own}/conf:/etc/toy.conf{read_only} {bind} {library}:/usr/lib/v/libtoy.so.535 \
             {bind} {library}:/usr/lib/v/libtoy.so.1{read_only}"
        )
    };
    let rows: [(&[&str], String); 7] = [
        (&["--for", "apptainer", "--nv"], "--nv".to_owned()),
        (&["--for", "apptainer", "--rocm"], "--rocm".to_owned()),
        (&["--for", "podman", "--cdi", "nvidia.com/gpu=0"], "--device nvidia.com/gpu=0".to_owned()),
        (&["--for", "podman", "--cdi", "nvidia.com/gpu"], "--device nvidia.com/gpu=all".to_owned()),
        (
            &["--for", "apptainer", "--cdi", &plain],
            format!("{} --env TOY=a --env LD_LIBRARY_PATH=/usr/lib/v", binds("--bind", ":ro")),
        ),
        (
            &["--for", "charliecloud", "--cdi", &plain],
            format!("{} --set-env=TOY=a --set-env=LD_LIBRARY_PATH=/usr/lib/v", binds("--bind", "")),
        ),
        (
            &["--for", "podman", "--cdi", &plain],
            format!(
                "--device /dev/null:/dev/null {} --env TOY=a --env LD_LIBRARY_PATH=/usr/lib/v",
                binds("--volume", ":ro")
            ),
        ),
    ];
    for (words, expected) in rows {
        let output = run(words);
        let said = String::from_utf8(output.stdout.clone()).unwrap().replace('\'', "");
        assert_eq!(said.trim_end(), expected, "{words:?}: {output:?}");
    }
    let rows: [(&[&str], &str); 5] = [
        (&["--for", "podman", "--nv"], "the definition of podman has no words for nvidia drivers"),
        (
            &["--for", "bubblewrap", "--rocm"],
            "the definition of bubblewrap has no words for rocm drivers",
        ),
        (&["--for", "apptainer", "--cdi", &comma], "it takes ',' for its own"),
        (&["--for", "podman", "--cdi", &astray], "has no words for the link /lib/x"),
        (
            &["--for", "apptainer", "--cdi", "toy.example/gpu=none"],
            "no CDI specification has toy.example/gpu=none",
        ),
    ];
    for (words, expected) in rows {
        let output = run(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(2), 0),
            "{words:?}: {output:?}"
        );
        assert!(said.contains(expected), "{words:?}: {said}");
    }
}
