//! Where everything of a start is.

use std::path::PathBuf;

/// Where everything is. Paths that a configuration names need no quotes.
#[derive(Clone, Debug)]
pub(crate) struct Whereabouts {
    /// A link to the tree.
    pub(crate) tree: PathBuf,
    /// The site's directory of configuration.
    pub(crate) site: PathBuf,
    /// The user's, if there is a home.
    pub(crate) user: Option<PathBuf>,
    /// A directory for files of this start alone.
    pub(crate) run: PathBuf,
    /// Where caches are, unless the configuration says otherwise.
    pub(crate) cache: PathBuf,
    /// Where repositories are mounted.
    pub(crate) mounts: PathBuf,
}

impl Whereabouts {
    /// Fills the placeholders of a text.
    pub(super) fn fill(&self, text: &str) -> String {
        let user = self.user.clone().unwrap_or_default();
        let known = [
            ("{tree}", &self.tree),
            ("{site}", &self.site),
            ("{user}", &user),
            ("{run}", &self.run),
            ("{cache}", &self.cache),
            ("{mounts}", &self.mounts),
        ];
        let fill = |text: String, (name, path): (&str, &PathBuf)| {
            text.replace(name, &path.to_string_lossy())
        };
        known.into_iter().fold(text.to_owned(), fill)
    }

    /// Where files may be included from.
    pub(super) fn roots(&self) -> Vec<PathBuf> {
        let all = [&self.tree, &self.site, &self.mounts].into_iter().cloned();
        all.chain(self.user.clone()).collect()
    }
}
