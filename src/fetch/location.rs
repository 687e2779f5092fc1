//! Where bytes are: joining base URLs and locations, the detour through `--mirror`, and what a URL
//! says about who answers.

use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

use reqwest::Url;

use super::Reason;

/// `location`, as metadata gives it (raw), below the base URL `base`.
///
/// All but RFC 3986's unreserved characters and `/` is percent-encoded: object stores read a bare
/// `+` as a space and do not find a bare `^`.
#[must_use]
pub fn join(base: &str, location: &str) -> String {
    let mut url = format!("{}/", base.trim_end_matches('/'));
    for byte in location.trim_start_matches('/').bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                url.push(char::from(byte));
            }
            _ => {
                let _ = write!(url, "%{byte:02X}");
            }
        }
    }
    url
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
    File(PathBuf),
}

impl Place {
    /// Where `url` is read, with the user's `--mirror` if there is one.
    pub(super) fn of(url: &str, mirror: Option<&str>) -> Result<Self, Reason> {
        let parsed = Url::parse(url).map_err(|_| Reason::Url)?;
        match (parsed.scheme(), mirror) {
            ("file", _) => parsed.to_file_path().map(Self::File).map_err(|()| Reason::Url),
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
            Self::Web { url, .. } if url.password().is_some() => {
                let mut shown = url.clone();
                // Fails for URLs that can have none.
                let _ = shown.set_password(None);
                shown.to_string()
            }
            Self::Web { url, .. } => url.to_string(),
            Self::File(path) => format!("file:{}", path.display()),
        }
    }
}

/// `https://HOST/PATH` as `BASE/HOST/PATH`. A query becomes a part of the file's name, as
/// recursive downloaders name files.
fn mirrored(url: &Url, base: &str) -> Result<Place, Reason> {
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => return Err(Reason::Url),
    };
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let base = base.trim_end_matches('/');
    if base.starts_with("http://") || base.starts_with("https://") {
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
    let mut rooted = Url::parse("file:///").map_err(|_| Reason::Url)?;
    rooted.set_path(url.path());
    let decoded = rooted.to_file_path().map_err(|()| Reason::Url)?;
    let mut name = below(&directory.join(host), &decoded)?.into_os_string();
    name.push(query);
    Ok(Place::File(name.into()))
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
    }

    #[test]
    fn joined_file_urls_decode_to_the_same_name() {
        let place = Place::of(&join("file:///m", "a^b+c d%.rpm"), None).unwrap();
        assert_eq!(place, Place::File("/m/a^b+c d%.rpm".into()));
        assert_eq!(Place::of("file:/m/x", None).unwrap(), Place::File("/m/x".into()));
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
        assert!(show("https://h/a/..%2f..%2f..%2fetc/passwd", "/m").is_err());
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
