//! Where bytes are: joining base URLs and locations, the detour through `--mirror`, and what a URL
//! says about who answers.

use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

use reqwest::Url;

use super::Reason;
use super::local::Local;
use crate::model::{PlannedPackage, Source, without_userinfo};

/// Where the file is that a repository's metadata names: below the repository's base URL `base`, or
/// where `location` says itself if it is a URL. `None` for a URL that would be less secure than
/// `base` is: what came over https never leads to plain http, and only files lead to files.
///
/// The name and password in `base` go along to the same scheme, host and port, and nowhere else.
fn locate(base: &str, location: &str) -> Option<String> {
    let url =
        if location.contains("://") { absolute(base, location)? } else { join(base, location) };
    let climbs = url.split('/').any(|part| part == "..");
    // Nothing is above a server's root.
    if climbs { Url::parse(&url).ok().map(String::from) } else { Some(url) }
}

/// Where a location leads to for each of several base URLs, each place once. The first is where `location` was read:
/// where that may not lead, a mirror over plain http among the others changes nothing.
#[must_use]
pub fn places(bases: &[String], location: &str) -> Vec<String> {
    if bases.first().is_some_and(|first| locate(first, location).is_none()) {
        return Vec::new();
    }
    let mut places: Vec<String> = Vec::with_capacity(bases.len());
    for place in bases.iter().filter_map(|base| locate(base, location)) {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// Every URL of a package, best first.
#[must_use]
pub(crate) fn package_places(source: Option<&Source>, package: &PlannedPackage) -> Vec<String> {
    let bases = source.map_or(&[][..], |source| &source.base);
    if bases.is_empty() {
        return vec![package.location.clone()];
    }
    places(bases, &package.location)
}

/// The URL `location`, if what came from `base` may send there.
fn absolute(base: &str, location: &str) -> Option<String> {
    let base = Url::parse(base).ok()?;
    let path =
        location.find("://").and_then(|at| Some(at + 3 + location.get(at + 3..)?.find('/')?));
    let (origin, rest) = location.split_at(path.unwrap_or(location.len()));
    let (path, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let mut url = Url::parse(&format!("{origin}{}{query}", encode(path))).ok()?;
    let is_secure = match base.scheme() {
        "https" => url.scheme() == "https",
        "http" => matches!(url.scheme(), "http" | "https"),
        "file" => matches!(url.scheme(), "file" | "https"),
        _ => false,
    };
    if url.origin() == base.origin() && base.has_authority() && url.username().is_empty() {
        // Both fail for URLs that can have none.
        let _ = url.set_username(base.username());
        let _ = url.set_password(base.password());
    }
    is_secure.then(|| url.into())
}

/// The URL of the file at an absolute path.
#[must_use]
pub(crate) fn file_url(path: &Path) -> Option<String> {
    Url::from_file_path(path).ok().map(String::from)
}

/// `location`, as metadata gives it, below the base URL `base`.
#[must_use]
pub fn join(base: &str, location: &str) -> String {
    format!("{}/{}", base.trim_end_matches('/'), encode(location.trim_start_matches('/')))
}

/// A path as it stands in metadata, for a URL.
///
/// All but RFC 3986's unreserved characters and `/` is percent-encoded: object stores read a bare
/// `+` as a space and do not find a bare `^`. What is encoded already stays.
fn encode(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    let bytes = path.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let is_hex = |at| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
        let is_kept = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/')
            || (byte == b'%' && is_hex(at + 1) && is_hex(at + 2));
        if is_kept {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Where a URL is really read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Over HTTP.
    Web {
        /// The URL to ask.
        url: Url,
        /// Whether the transport says who answers, or the user vouched for the server.
        is_authentic: bool,
    },
    /// From a file of this machine.
    File(Local),
}

impl Place {
    /// Where `url` is read, with the user's `--mirror` if there is one.
    pub(super) fn of(url: &str, mirror: Option<&str>) -> Result<Self, Reason> {
        let parsed = Url::parse(url).map_err(|_| Reason::Url)?;
        match (parsed.scheme(), mirror) {
            ("file", _) => match parsed.to_file_path() {
                Ok(path) => Ok(Self::File(Local::File(path))),
                Err(()) => Err(Reason::Url),
            },
            ("http" | "https", Some(base)) => mirrored(&parsed, base),
            ("http" | "https", None) => {
                let is_authentic = parsed.scheme() == "https";
                Ok(Self::Web { url: parsed, is_authentic })
            }
            _ => Err(Reason::Url),
        }
    }

    /// The place as messages show it.
    pub(super) fn show(&self) -> String {
        match self {
            Self::Web { url, .. } => without_userinfo(url.as_str()).into_owned(),
            Self::File(Local::File(path)) => format!("file:{}", path.display()),
            Self::File(Local::Member(_, name)) => name.display().to_string(),
        }
    }
}

/// The host of `url` as a mirror's directory is called.
fn host_directory(url: &Url) -> Result<String, Reason> {
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => return Err(Reason::Url),
    };
    // A host of dots is a directory's parent.
    if host.trim_matches('.').is_empty() { Err(Reason::Url) } else { Ok(host) }
}

/// Where a directory that stands for all hosts has the file at `url`, seen from there; none for what
/// `--mirror` does not turn to.
#[must_use]
pub(crate) fn mirror_path(url: &str) -> Option<PathBuf> {
    let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    in_mirror(Path::new(""), &url).ok()
}

/// The file of `url` in the mirror `directory`. A query becomes a part of the file's name, as recursive
/// downloaders name files.
fn in_mirror(directory: &Path, url: &Url) -> Result<PathBuf, Reason> {
    let host = host_directory(url)?;
    let mut rooted = Url::parse("file:///").map_err(|_| Reason::Url)?;
    rooted.set_path(url.path());
    let mut name = rooted.to_file_path().map_err(|()| Reason::Url)?.into_os_string();
    name.push(query(url));
    below(&directory.join(host), Path::new(&name))
}

fn query(url: &Url) -> String {
    url.query().map(|query| format!("?{query}")).unwrap_or_default()
}

/// `https://HOST/PATH` as `BASE/HOST/PATH`.
fn mirrored(url: &Url, base: &str) -> Result<Place, Reason> {
    let base = base.trim_end_matches('/');
    if base.starts_with("http://") || base.starts_with("https://") {
        let (host, query) = (host_directory(url)?, query(url));
        let joined = format!("{base}/{host}{}{query}", url.path());
        let url = Url::parse(&joined).map_err(|_| Reason::Url)?;
        return Ok(Place::Web { url, is_authentic: true });
    }
    let directory = if base.starts_with("file:") {
        Url::parse(base).ok().and_then(|url| url.to_file_path().ok()).ok_or(Reason::Url)?
    } else if base.starts_with('/') {
        PathBuf::from(base)
    } else {
        return Err(Reason::Url);
    };
    Ok(Place::File(Local::File(in_mirror(&directory, url)?)))
}

/// `path` (absolute, decoded) below `directory`; nothing in it may climb.
fn below(directory: &Path, path: &Path) -> Result<PathBuf, Reason> {
    let mut place = directory.to_owned();
    for component in path.components() {
        match component {
            Component::Normal(name) => place.push(name),
            Component::RootDir => {}
            _ => return Err(Reason::Url),
        }
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_percent_encoded() {
        let url = join("https://h/b/", "Packages/p/passt-0^20240101.g1-1.el9+2~rc 1%.rpm");
        assert_eq!(url, "https://h/b/Packages/p/passt-0%5E20240101.g1-1.el9%2B2~rc%201%25.rpm");
        assert_eq!(join("https://h/b", "/x"), "https://h/b/x");
        assert_eq!(join("file:/m", "é?#"), "file:/m/%C3%A9%3F%23");
        assert_eq!(join("https://h/b/", "a%2Bb%5ec%4"), "https://h/b/a%2Bb%5ec%254");
    }

    fn located(base: &str, location: &str) -> String {
        locate(base, location).unwrap_or_else(|| "refused".to_owned())
    }

    #[test]
    fn locations_climb_within_their_server() {
        assert_eq!(located("https://h/a/b/", "../x.rpm"), "https://h/a/x.rpm");
        assert_eq!(located("https://h/a/b/", "../../../../x.rpm"), "https://h/x.rpm");
        assert_eq!(located("https://h:8/a/", "p/../../x+.rpm"), "https://h:8/x%2B.rpm");
        assert_eq!(located("file:///m/a", "../x.rpm"), "file:///m/x.rpm");
        assert_eq!(located("https://h/a", "//evil/x"), "https://h/a/evil/x");
    }

    #[test]
    fn urls_of_their_own_stay_secure() {
        let own = "https://o.example/p/x^1+2%2B.rpm?token=a/../b";
        let encoded = "https://o.example/p/x%5E1%2B2%2B.rpm?token=a/../b";
        for base in ["https://h/a", "http://h/a", "file:///m"] {
            assert_eq!(located(base, own), encoded, "{base}");
        }
        assert_eq!(located("https://h/a", "HTTPS://O.example"), "https://o.example/");
        assert_eq!(located("http://h/a", "http://o/x"), "http://o/x");
        assert_eq!(located("file:///m", "file:///n/a+b.rpm"), "file:///n/a%2Bb.rpm");
        for (base, location) in [
            ("https://h/a", "http://h/x"),
            ("file:///m", "http://h/x"),
            ("https://h/a", "file:///etc/passwd"),
            ("http://h/a", "file:///etc/passwd"),
            ("https://h/a", "ftp://h/x"),
            ("https://h/a", "media://x#1"),
            ("https://h/a", "x://"),
        ] {
            assert_eq!(located(base, location), "refused", "{base} {location}");
        }
    }

    #[test]
    fn a_less_secure_mirror_beside_it_makes_no_url_acceptable() {
        let (secure, plain) = ("https://a/r/".to_owned(), "http://b/r/".to_owned());
        let places = |bases: [&String; 2], location| places(&bases.map(Clone::clone), location);
        assert_eq!(places([&secure, &plain], "http://o/x"), [""; 0]);
        assert_eq!(places([&plain, &secure], "http://o/x"), ["http://o/x"]);
        assert_eq!(places([&secure, &plain], "https://o/x"), ["https://o/x"]);
        assert_eq!(places([&secure, &plain], "x"), ["https://a/r/x", "http://b/r/x"]);
    }

    #[test]
    fn names_and_passwords_stay_with_their_origin() {
        let base = "https://ann:secret@h:8443/a";
        assert_eq!(located(base, "../x"), "https://ann:secret@h:8443/x");
        assert_eq!(located(base, "https://h:8443/x"), "https://ann:secret@h:8443/x");
        for other in ["https://h/x", "https://h:8444/x", "https://o:8443/x", "https://bob@h:8443/x"]
        {
            assert_eq!(located(base, other), other);
        }
        assert_eq!(located("http://ann:secret@h/a", "https://h/x"), "https://h/x");
        assert_eq!(located("https://ann:secret@h/a", "https://h:443/x"), "https://ann:secret@h/x");
    }

    #[test]
    fn joined_file_urls_decode_to_the_same_name() {
        let place = Place::of(&join("file:///m", "a^b+c d%.rpm"), None).unwrap();
        let file = |path: &str| Place::File(Local::File(path.into()));
        assert_eq!(place, file("/m/a^b+c d%.rpm"));
        assert_eq!(Place::of("file:/m/x", None).unwrap(), file("/m/x"));
    }

    #[test]
    fn a_mirror_takes_host_path_and_query() {
        let show = |url, base| Place::of(url, Some(base)).map(|place| place.show());
        let link = "https://mirrors.example/metalink?repo=epel-8&arch=x86_64";
        assert_eq!(
            show(link, "http://127.0.0.1:1/m/").unwrap(),
            "http://127.0.0.1:1/m/mirrors.example/metalink?repo=epel-8&arch=x86_64"
        );
        for base in ["/m", "file:/m", "file:///m/"] {
            assert_eq!(
                show(link, base).unwrap(),
                "file:/m/mirrors.example/metalink?repo=epel-8&arch=x86_64"
            );
        }
        assert_eq!(show("https://h:8443/a%5Eb", "/m").unwrap(), "file:/m/h:8443/a^b");
        assert!(show("https://h/x", "mirror/relative").is_err());
        for climbing in [
            "https://h/a/..%2f..%2f..%2fetc/passwd",
            "https://../etc/passwd",
            "https://./x",
            "https://%2e%2e/x",
            "https://h/a?/../../../etc/passwd",
        ] {
            assert!(show(climbing, "/m").is_err(), "{climbing}");
        }
        assert!(show("https://../x", "http://127.0.0.1:1/m").is_err());
    }

    #[test]
    fn only_https_and_the_mirror_are_authentic() {
        let authentic = |url, mirror| match Place::of(url, mirror) {
            Ok(Place::Web { is_authentic, .. }) => Some(is_authentic),
            _ => None,
        };
        assert_eq!(authentic("https://h/x", None), Some(true));
        assert_eq!(authentic("http://h/x", None), Some(false));
        assert_eq!(authentic("http://h/x", Some("http://m")), Some(true));
        assert_eq!(authentic("ftp://h/x", None), None);
        assert_eq!(authentic("/etc/passwd", None), None);
    }
}
