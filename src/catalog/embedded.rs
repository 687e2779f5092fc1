//! The definitions that come with the program.

/// Path below `repos/`, and text, of every definition; `build.rs` lists them.
pub(super) const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/definitions.rs"));

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::FILES;

    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, found),
                false => found.push(path),
            }
        }
    }

    #[test]
    fn every_file_of_repos_is_embedded_as_it_is() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("repos");
        let mut found = Vec::new();
        walk(&root, &mut found);
        found.sort();
        let path = |path: &PathBuf| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let text = |path: &PathBuf| fs::read_to_string(path).unwrap();
        let found: Vec<_> = found.iter().map(|file| (path(file), text(file))).collect();
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        let embedded: Vec<_> = FILES.iter().map(owned).collect();
        assert!(embedded.len() > 10);
        assert_eq!(embedded, found);
    }
}
