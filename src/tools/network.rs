//! The way to the network as environment variables say it: through which proxy, past which hosts,
//! and whose certificates count. What is set and cannot be used is an error: nobody who names a
//! proxy wants it passed by.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use reqwest::Url;

use crate::model::escape;

/// Schemes of proxies that are spoken to, and what else they are called.
const SCHEMES: [(&str, &str); 7] = [
    ("http", "http"),
    ("https", "https"),
    ("socks4", "socks4"),
    ("socks4a", "socks4a"),
    ("socks5", "socks5"),
    ("socks5h", "socks5h"),
    // As curl has it; desktops set it.
    ("socks", "socks4"),
];
/// The first line of a certificate.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// A bundle of all authorities has some hundred kilobytes.
const LARGEST_BUNDLE: u64 = 32 << 20;
/// Directories of certificates have some hundred files.
const MOST_FILES: usize = 10_000;

/// A variable that is set and cannot be used. Its value is not shown where that may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {variable} {problem}")]
pub struct Unusable {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// The variables about the network that are set.
#[derive(Clone, Default)]
pub(crate) struct Way(Vec<(&'static str, OsString)>);

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// Where it is, with a name and a password if it asks for them.
    pub(crate) url: Url,
    /// The variable that names it.
    pub(crate) variable: &'static str,
}

impl Way {
    /// The way that `variables` describe.
    pub(crate) fn new(variables: Vec<(&'static str, OsString)>) -> Self {
        Self(variables)
    }

    /// The proxy through which `url` is asked for, if there is one.
    ///
    /// # Errors
    /// When a variable is set that is about this URL and cannot be used.
    pub(crate) fn check(&self, url: &Url) -> Result<Option<Proxy>, Unusable> {
        let proxy = self.proxy(url)?;
        let is_secure = |url: &Url| url.scheme() == "https";
        if is_secure(url) || proxy.as_ref().is_some_and(|proxy| is_secure(&proxy.url)) {
            self.check_certificates()?;
        }
        Ok(proxy)
    }

    /// The same, without a look at certificates.
    ///
    /// # Errors
    /// When a variable is set that is about this URL and names no proxy.
    pub(crate) fn proxy(&self, url: &Url) -> Result<Option<Proxy>, Unusable> {
        match self.passes(url.host_str().unwrap_or_default()) {
            true => Ok(None),
            false => self.standing_proxy(url.scheme()),
        }
    }

    /// The proxy for hosts that `no_proxy` does not name.
    ///
    /// # Errors
    /// When a variable is set for `scheme` and names no proxy.
    pub(crate) fn standing_proxy(&self, scheme: &str) -> Result<Option<Proxy>, Unusable> {
        let names = match scheme {
            "https" => ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
            _ => ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
        };
        let set = names.into_iter().find_map(|name| self.value(name));
        set.map(|(variable, value)| Proxy::parse(variable, value)).transpose()
    }

    /// Whether the certificates can be read that variables name, where they do.
    ///
    /// # Errors
    /// When not.
    pub(crate) fn check_certificates(&self) -> Result<(), Unusable> {
        let unusable = |variable| move |problem| Unusable { variable, problem };
        if let Some((name, value)) = self.value("SSL_CERT_FILE") {
            return check_file(value).map_err(unusable(name));
        }
        match self.value("SSL_CERT_DIR") {
            Some((name, value)) => check_directories(value).map_err(unusable(name)),
            None => Ok(()),
        }
    }

    /// Whether a variable names certificates.
    pub(crate) fn names_certificates(&self) -> bool {
        ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| self.value(name).is_some())
    }

    fn value(&self, name: &str) -> Option<(&'static str, &OsStr)> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(name, value)| (*name, value.as_os_str()))
    }

    /// Whether `host` is reached without a proxy. As curl: names hold for all below them, and
    /// addresses may be those of networks.
    fn passes(&self, host: &str) -> bool {
        let set = ["no_proxy", "NO_PROXY"].iter().find_map(|name| self.value(name));
        let list = set.map(|(_, value)| value.to_string_lossy()).unwrap_or_default();
        let host = bare(host);
        let entries = list.split([',', ' ', '\t']).map(bare).filter(|entry| !entry.is_empty());
        let address: Option<IpAddr> = host.parse().ok();
        entries.into_iter().any(|entry| match address {
            _ if entry == "*" => true,
            Some(address) => holds(entry, address),
            None => is_below(host, entry),
        })
    }
}

impl fmt::Debug for Way {
    /// Shows no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Proxy {
    fn parse(variable: &'static str, value: &OsStr) -> Result<Self, Unusable> {
        let unusable = |problem: String| Unusable { variable, problem };
        let form = "as http://[USER:PASSWORD@]HOST:PORT is";
        let text = value.to_str().map(str::trim).unwrap_or_default();
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let lower = scheme.to_ascii_lowercase();
        let Some((_, scheme)) = SCHEMES.iter().find(|(name, _)| *name == lower) else {
            let known = SCHEMES.map(|(name, _)| name).join(", ");
            let problem = format!("names a proxy by a scheme that is none of {known}");
            return Err(unusable(problem));
        };
        // `http:/proxy`: half a scheme is no host.
        let is_whole = text.contains("://") || !text.trim_end_matches('/').contains('/');
        let parsed = Url::parse(&format!("{scheme}://{rest}")).ok().filter(|_| is_whole);
        let url = parsed.filter(|url| url.host_str().is_some_and(is_plain));
        let mut url = url.ok_or_else(|| unusable(format!("is no proxy's address, {form}")))?;
        // curl's default; that of http and https is what URLs mean.
        if url.port().is_none() && scheme.starts_with("socks") {
            let _ = url.set_port(Some(1080));
        }
        Ok(Self { url, variable })
    }

    /// Whether it is told addresses of hosts, which are looked up here, and not their names.
    pub(crate) fn wants_addresses(&self) -> bool {
        matches!(self.url.scheme(), "socks4" | "socks5")
    }

    /// Its address as messages show it: without name and password.
    pub(crate) fn shown(&self) -> String {
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let host = self.url.host_str().unwrap_or_default();
        format!("{}://{}{port}", self.url.scheme(), escape(host))
    }
}

impl fmt::Debug for Proxy {
    /// Shows no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.shown(), self.variable)
    }
}

/// Whether a proxy's host is one: schemes that browsers do not know let nearly everything pass.
fn is_plain(host: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !host.is_empty() && host.bytes().all(is_plain)
}

/// A host, or an entry of `no_proxy`, without what some write around it.
fn bare(name: &str) -> &str {
    let name = name.trim().trim_end_matches('.');
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let inner = inner.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(inner);
    inner.trim_start_matches('.')
}

/// Whether `host` is `domain` or below it.
fn is_below(host: &str, domain: &str) -> bool {
    let (host, domain) = (host.to_ascii_lowercase(), domain.to_ascii_lowercase());
    host.strip_suffix(&domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether `entry` is `address` or, as `10.0.0.0/8`, a network that holds it.
fn holds(entry: &str, address: IpAddr) -> bool {
    let (network, length) = entry.split_once('/').unwrap_or((entry, ""));
    let Ok(network) = bare(network).parse::<IpAddr>() else { return false };
    let (network, address, bits) = match (network, address) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            (u128::from(one.to_bits()) << 96, u128::from(other.to_bits()) << 96, 32)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits(), other.to_bits(), 128),
        _ => return false,
    };
    let length = if length.is_empty() { Some(bits) } else { length.parse().ok() };
    match length.filter(|length| *length <= bits) {
        Some(0) => true,
        Some(length) => (network ^ address) >> (128 - length) == 0,
        None => false,
    }
}

fn check_file(value: &OsStr) -> Result<(), String> {
    const EMPTY: &str = "is set to nothing: unset it";
    if value.is_empty() {
        return Err(EMPTY.to_owned());
    }
    let names = || format!("names {}", escape(&value.to_string_lossy()));
    match holds_certificate(Path::new(value)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("{}, which holds no certificate in PEM form", names())),
        Err(error) => Err(format!("{}, which cannot be read: {error}", names())),
    }
}

fn check_directories(value: &OsStr) -> Result<(), String> {
    let parts = value.as_bytes().split(|byte| *byte == b':').filter(|part| !part.is_empty());
    let directories: Vec<&Path> = parts.map(|part| Path::new(OsStr::from_bytes(part))).collect();
    if directories.is_empty() {
        return Ok(());
    }
    let mut problem = None;
    for directory in directories {
        match fs::read_dir(directory) {
            Ok(entries) => {
                let paths = entries.take(MOST_FILES).filter_map(Result::ok).map(|it| it.path());
                if paths.into_iter().any(|path| holds_certificate(&path).unwrap_or(false)) {
                    return Ok(());
                }
            }
            Err(error) => {
                problem.get_or_insert(format!("cannot be read: {error}"));
            }
        }
    }
    let problem = problem.unwrap_or_else(|| "holds no certificate in PEM form".to_owned());
    Err(format!("names {}, which {problem}", escape(&value.to_string_lossy())))
}

fn holds_certificate(path: &Path) -> io::Result<bool> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_BUNDLE).read_to_end(&mut bytes)?;
    Ok(bytes.windows(CERTIFICATE.len()).any(|window| window == CERTIFICATE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(variables: &[(&'static str, &str)]) -> Way {
        Way::new(variables.iter().map(|(name, value)| (*name, OsString::from(value))).collect())
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn proxy(variables: &[(&'static str, &str)], to: &str) -> Result<Option<String>, String> {
        let proxy = way(variables).proxy(&url(to)).map_err(|error| error.to_string())?;
        Ok(proxy.map(|proxy| proxy.url.to_string()))
    }

    #[test]
    fn variables_count_in_curls_order() {
        let to = |set: &[(&'static str, &str)], to| proxy(set, to).unwrap().unwrap_or_default();
        let (http, https) = ("http://a.example/x", "https://a.example/x");
        let all = [("ALL_PROXY", "all:1")];
        assert_eq!(
            (to(&all, http), to(&all, https)),
            ("http://all:1/".into(), "http://all:1/".into())
        );
        let both = [("HTTPS_PROXY", "upper:1"), ("https_proxy", "lower:1"), ("all_proxy", "all:1")];
        assert_eq!(
            (to(&both, http), to(&both, https)),
            ("http://all:1/".into(), "http://lower:1/".into())
        );
        assert_eq!(to(&[("http_proxy", "p:1")], https), "");
    }

    #[test]
    fn addresses_of_proxies_are_read_as_curl_reads_them() {
        let read = |value: &str| proxy(&[("https_proxy", value)], "https://a/");
        for (value, expected) in [
            ("proxy:3128", "http://proxy:3128/"),
            ("proxy", "http://proxy/"),
            ("10.0.0.1:80", "http://10.0.0.1/"),
            ("[2001:db8::1]:3128", "http://[2001:db8::1]:3128/"),
            (" http://ann:p%40ss@proxy.example:3128/ ", "http://ann:p%40ss@proxy.example:3128/"),
            ("HTTP://proxy:1", "http://proxy:1/"),
            ("https://proxy", "https://proxy/"),
            ("socks5h://proxy", "socks5h://proxy:1080"),
            ("socks5://proxy:9", "socks5://proxy:9"),
            ("socks4a://me@proxy", "socks4a://me@proxy:1080"),
            ("socks://127.0.0.1:1080/", "socks4://127.0.0.1:1080/"),
        ] {
            assert_eq!(read(value), Ok(Some(expected.to_owned())), "{value}");
        }
        for value in [
            "http://",
            "://proxy",
            "http://a b:1",
            "http://proxy:port",
            "proxy:99999",
            "socks5://",
            "socks5://a b",
            "socks5://a|b:1",
            "http://[::1",
            ":3128",
            "http://:3128",
            "http:/proxy:1/x y",
        ] {
            let error = read(value).unwrap_err();
            assert!(
                error.contains("https_proxy is no proxy's address") || error.contains("scheme"),
                "{value}: {error}"
            );
        }
        for value in ["ftp://proxy", "socks6://proxy", "quic://proxy"] {
            assert!(read(value).unwrap_err().contains("a scheme that is none of http, https"));
        }
    }

    #[test]
    fn hosts_pass_by_proxies_as_with_curl() {
        let passes = |list: &str, host: &str| way(&[("no_proxy", list)]).passes(host);
        for (list, host) in [
            ("*", "a.example"),
            ("a.example", "a.example"),
            (".example", "a.example"),
            ("example", "a.example"),
            ("x, a.example", "a.example"),
            ("x a.example y", "a.example"),
            ("A.Example", "a.example"),
            ("a.example.", "a.example"),
            ("a.example", "a.example."),
            ("*.example", "a.example"),
            ("127.0.0.1", "127.0.0.1"),
            ("10.0.0.0/8", "10.2.3.4"),
            ("10.2.3.4/32", "10.2.3.4"),
            ("0.0.0.0/0", "10.2.3.4"),
            ("[::1]", "[::1]"),
            ("::1", "[::1]"),
            ("2001:db8::/32", "[2001:db8:1::2]"),
            ("[2001:db8::]/32", "[2001:db8:1::2]"),
        ] {
            assert!(passes(list, host), "{list:?} {host}");
        }
        for (list, host) in [
            ("", "a.example"),
            (",", "a.example"),
            ("b.example", "a.example"),
            ("ample", "a.example"),
            ("a.example", "example"),
            ("10.0.0.0/8", "11.2.3.4"),
            ("10.0.0.0/33", "10.2.3.4"),
            ("10.0.0.0/x", "10.2.3.4"),
            ("0.0.1", "127.0.0.1"),
            ("2001:db8::/32", "[2001:db9::2]"),
            ("127.0.0.1", "[::1]"),
            ("10.0.0.0/8", "a.example"),
        ] {
            assert!(!passes(list, host), "{list:?} {host}");
        }
        let set = [("no_proxy", "b"), ("NO_PROXY", "a"), ("https_proxy", "ftp://x")];
        assert!(proxy(&set, "https://a/").is_err());
        assert_eq!(proxy(&set, "https://b/"), Ok(None));
    }

    #[test]
    fn certificates_that_variables_name_must_be_there() {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/network");
        let (authority, file) = (place.join("authority"), place.join("authority/974eb9f8.0"));
        let (authority, file) = (authority.to_str().unwrap(), file.to_str().unwrap());
        let readme = place.join("README").to_str().unwrap().to_owned();
        let check = |set: &[(&'static str, &str)], to| {
            way(set).check(&url(to)).map(drop).map_err(|error| error.to_string())
        };
        let https = "https://a/";
        let two = format!("/nowhere:{authority}");
        assert_eq!(check(&[("SSL_CERT_FILE", file)], https), Ok(()));
        assert_eq!(check(&[("SSL_CERT_DIR", &two)], https), Ok(()));
        assert_eq!(check(&[("SSL_CERT_FILE", "/nowhere")], "http://a/"), Ok(()));
        assert_eq!(check(&[("SSL_CERT_DIR", ":")], https), Ok(()));
        for (name, value, problem) in [
            ("SSL_CERT_FILE", "", "is set to nothing"),
            ("SSL_CERT_FILE", "/nowhere", "names /nowhere, which cannot be read: No such file"),
            ("SSL_CERT_FILE", authority, "it is no file"),
            ("SSL_CERT_FILE", &readme, "holds no certificate"),
            ("SSL_CERT_DIR", "/nowhere", "cannot be read: No such file"),
            ("SSL_CERT_DIR", file, "cannot be read: Not a directory"),
            ("SSL_CERT_DIR", "/proc/self/fdinfo", "holds no certificate"),
        ] {
            let error = check(&[(name, value)], https).unwrap_err();
            assert!(error.contains(name) && error.contains(problem), "{error}");
            // A proxy may be reached by TLS, too.
            let proxied = [(name, value), ("http_proxy", "https://p")];
            assert_eq!(check(&proxied, "http://a/").unwrap_err(), error);
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let set = [("https_proxy", "http://ann:s3cret@proxy:1")];
        let way = way(&set);
        let proxy = way.proxy(&url("https://a/")).unwrap().unwrap();
        assert_eq!(proxy.shown(), "http://proxy:1");
        assert!(!format!("{way:?}{proxy:?}").contains("s3cret"));
        let error = Proxy::parse("https_proxy", OsStr::new("x://ann:s3cret@proxy")).unwrap_err();
        assert!(!error.to_string().contains("s3cret"));
    }
}
