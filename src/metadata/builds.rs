//! What a build system has, by the pages that its web server makes of directories.

use crate::fetch::{FetchError, Fetcher};

/// Most bytes of a listing.
const LISTING_LIMIT: u64 = 4 << 20;
/// Most entries of a listing that are looked at.
const MOST_ENTRIES: usize = 2000;

/// The directories in the listing at `url`, by their names.
///
/// # Errors
/// When it cannot be had.
pub(crate) fn directories(fetcher: &Fetcher<'_>, url: &str) -> Result<Vec<String>, FetchError> {
    let page = fetcher.document(&format!("{url}/"), LISTING_LIMIT)?;
    Ok(named_in(&String::from_utf8_lossy(&page)))
}

/// The directories that a page links to, by their names.
fn named_in(page: &str) -> Vec<String> {
    let is_plain = |name: &&str| {
        let may_be = |byte: u8| byte.is_ascii_alphanumeric() || b"._~^+-".contains(&byte);
        name.starts_with(|it: char| it.is_ascii_alphanumeric()) && name.bytes().all(may_be)
    };
    let links = page.split("href=\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0));
    let names = links.filter_map(|link| link.strip_suffix('/')).filter(is_plain);
    let mut names: Vec<String> = names.take(MOST_ENTRIES).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_names_directories() {
        let page = "<a href=\"/packages/\">Parent</a> <a href=\"?C=M;O=A\">Last</a>\n\
            <a href=\"1.3.6/\">1.3.6/</a><a href=\"1.4.0~rc.1/\">x</a> <a href=\"README\">r</a>\
            <a href=\"../\">up</a><a href=\"https://other.example/1.9/\">o</a><a href=\"1.3.6/\">";
        assert_eq!(named_in(page), ["1.3.6", "1.4.0~rc.1"]);
        assert_eq!(named_in("<a href=\"1.0/"), [""; 0]);
    }
}
