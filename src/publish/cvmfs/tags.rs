//! The list of a repository's tags, by which its revisions are told: what is published now, and whether something is.

use std::thread;
use std::time::Duration;

use super::CvmfsRepository;
use super::server::Until;
use crate::error::CvmfsError;
use crate::tools::programs::Listen;

/// The tag that is always what is published now.
const TRUNK: &str = "trunk";

/// Tags that the server moves by itself.
const MOVING: [&str; 2] = [TRUNK, "trunk-previous"];

/// Reading a list takes seconds.
const LIMIT: Duration = Duration::from_secs(300);

/// How often it is asked for.
const TRIES: u32 = 4;

/// One tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tagged {
    /// Its name.
    pub(super) name: String,
    /// The root hash of what it names.
    pub(super) hash: String,
    /// And its revision.
    pub(super) revision: u64,
}

/// All tags at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tags {
    /// What is published.
    pub(super) trunk: Tagged,
    /// The others, without those that move by themselves, as they were listed: the newest first.
    pub(super) named: Vec<Tagged>,
}

impl Tags {
    /// Reads the list as `tag -l -x` prints it: name, root hash, size, revision, and more.
    fn parse(output: &str) -> Option<Self> {
        let tagged = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let revision = fields.get(3)?.parse().ok()?;
            let hash = (*fields.get(1)?).to_owned();
            Some(Tagged { name: (*fields.first()?).to_owned(), hash, revision })
        };
        let all: Vec<Tagged> = output.lines().filter_map(tagged).collect();
        let trunk = all.iter().find(|it| it.name == TRUNK)?.clone();
        let is_named = |it: &Tagged| !MOVING.contains(&it.name.as_str());
        Some(Self { trunk, named: all.into_iter().filter(is_named).collect() })
    }

    /// The one of this name.
    pub(super) fn find(&self, name: &str) -> Option<&Tagged> {
        self.named.iter().find(|it| it.name == name)
    }
}

impl CvmfsRepository {
    /// The tags that there are now. It is asked for a few times: a web server may be down for a moment.
    ///
    /// # Errors
    /// When they cannot be had.
    pub(super) fn tags(&self) -> Result<Tags, CvmfsError> {
        let mut tries = 0;
        loop {
            let words = ["tag", "-l", "-x", &self.name];
            let said = self.server.run(&words, Listen::Output, Until::Passed(LIMIT))?;
            if said.is_well()
                && let Some(tags) = Tags::parse(&said.output)
            {
                return Ok(tags);
            }
            tries += 1;
            if tries == TRIES {
                // Again, for what it says of it.
                let said = self.server.run(&words, Listen::Both, Until::Passed(LIMIT))?;
                return Err(self.refused(&said));
            }
            thread::sleep(self.options.pause * (1 << tries));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_tags_is_read() {
        let list = "trunk aa11 27648 7 1764400000 (default) current HEAD\n\
                    trunk-previous aa10 27648 6 1764300000 (default) default undo target\n\
                    elsewhere-1 aa11 27648 7 1764400000 (default) \n\
                    generic-2026-11-29T10:00:00Z aa09 27648 5 1764200000\n\
                    what is this\n";
        let tags = Tags::parse(list).unwrap();
        assert_eq!((tags.trunk.hash.as_str(), tags.trunk.revision), ("aa11", 7));
        assert_eq!(tags.named.len(), 2);
        assert_eq!(tags.find("elsewhere-1").unwrap().revision, 7);
        assert!(tags.find("trunk-previous").is_none());
        assert!(Tags::parse("").is_none());
        assert!(Tags::parse("x aa 1 2\n").is_none(), "nothing is published");
    }
}
