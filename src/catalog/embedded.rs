//! The definitions that come with the program.

/// Path below `repos/`, and text, of every definition.
pub(super) const FILES: &[(&str, &str)] = &[
    ("dists/el10.toml", include_str!("../../repos/dists/el10.toml")),
    ("dists/el7.toml", include_str!("../../repos/dists/el7.toml")),
    ("dists/el8.toml", include_str!("../../repos/dists/el8.toml")),
    ("dists/el9.toml", include_str!("../../repos/dists/el9.toml")),
    ("dists/fc42.toml", include_str!("../../repos/dists/fc42.toml")),
    ("dists/fc43.toml", include_str!("../../repos/dists/fc43.toml")),
    ("dists/fc44.toml", include_str!("../../repos/dists/fc44.toml")),
    ("dists/fc45.toml", include_str!("../../repos/dists/fc45.toml")),
    ("runtimes/apptainer.toml", include_str!("../../repos/runtimes/apptainer.toml")),
    ("runtimes/charliecloud.toml", include_str!("../../repos/runtimes/charliecloud.toml")),
    ("runtimes/crun.toml", include_str!("../../repos/runtimes/crun.toml")),
    ("runtimes/fakeroot.toml", include_str!("../../repos/runtimes/fakeroot.toml")),
    ("runtimes/fuse-overlayfs.toml", include_str!("../../repos/runtimes/fuse-overlayfs.toml")),
    ("runtimes/squashfs-tools.toml", include_str!("../../repos/runtimes/squashfs-tools.toml")),
    ("runtimes/squashfuse.toml", include_str!("../../repos/runtimes/squashfuse.toml")),
    ("doctor.toml", include_str!("../../repos/doctor.toml")),
    ("host.toml", include_str!("../../repos/host.toml")),
    ("names.toml", include_str!("../../repos/names.toml")),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::FILES;

    #[test]
    fn every_file_of_repos_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("repos");
        let mut found = Vec::new();
        for place in ["", "dists", "runtimes"] {
            for entry in fs::read_dir(root.join(place)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let mut embedded: Vec<_> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        found.sort();
        embedded.sort();
        assert_eq!(embedded, found);
    }
}
