//! Registries for tests: one in this process that can misbehave in every way that the program must survive, and
//! Debian's `docker-registry`, run as it comes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use elsewhere::stages::model::{Arch, Checksum};
use serde_json::{Value, json};

use super::deb::{Debs, Suite};

/// What a registry does otherwise than the simplest would.
#[derive(Clone, Default)]
pub struct Manners {
    /// `Basic` or `Bearer`: whoever does not show what that gives is refused.
    pub login: Option<&'static str>,
    /// So many requests a token is good for.
    pub token_lasts: Option<usize>,
    /// Locations of uploads are relative, and have a query.
    pub relative: bool,
    /// Blobs, or uploads, are elsewhere: `http://HOST:PORT`.
    pub blobs_at: Option<String>,
    pub uploads_at: Option<String>,
    /// Blobs longer than this end there, once each.
    pub cut_at: Option<usize>,
    /// Blobs have another last byte.
    pub wrong: bool,
    /// Documents never end.
    pub endless: bool,
    /// This status, to so many requests whose line contains this.
    pub status: Option<(&'static str, u16, usize)>,
    /// It says the digest of a manifest, and how many more it gives.
    pub says_digest: bool,
    /// It lists referrers itself, so many on a page.
    pub referrers: Option<usize>,
    /// What a tag means is replaced only where the request's condition holds.
    pub conditions: bool,
    /// Of so many lists that are written under a tag somebody else writes one at the same time, who saw what was
    /// there before.
    pub races: usize,
}

/// A registry in this process.
pub struct StandIn {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    manners: Mutex<Manners>,
    blobs: Mutex<BTreeMap<String, Vec<u8>>>,
    manifests: Mutex<BTreeMap<String, (String, Vec<u8>)>>,
    log: Mutex<Vec<String>>,
    tokens: Mutex<BTreeMap<String, usize>>,
    cut: Mutex<Vec<String>>,
}

/// What was asked.
struct Request {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl StandIn {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (address, shared) = (listener.local_addr().unwrap(), Arc::<Shared>::default());
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(request) = read(&mut reader) {
                        if shared.answer(&stream, address, &request).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { address, shared }
    }

    /// Behaves so from now on.
    pub fn behave(&self, manners: Manners) {
        *self.shared.manners.lock().unwrap() = manners;
    }

    /// `oci://127.0.0.1:PORT/REST`.
    pub fn reference(&self, rest: &str) -> String {
        format!("oci://{}/{rest}", self.address)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests since the last call: `METHOD TARGET RANGE`, and `+` where there was an `Authorization`.
    pub fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.log.lock().unwrap())
    }

    /// The blobs and the manifests that it has, by their names.
    pub fn content(&self) -> (BTreeMap<String, Vec<u8>>, BTreeMap<String, Vec<u8>>) {
        let manifests = self.shared.manifests.lock().unwrap();
        let manifests = manifests.iter().map(|(name, (_, bytes))| (name.clone(), bytes.clone()));
        (self.shared.blobs.lock().unwrap().clone(), manifests.collect())
    }

    /// Puts a manifest there.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        self.shared.put(name, bytes);
    }

    /// Puts a blob there.
    pub fn put_blob(&self, digest: &str, bytes: &[u8]) {
        self.shared.blobs.lock().unwrap().insert(digest.to_owned(), bytes.to_vec());
    }

    /// Has nothing any more.
    pub fn forget(&self) {
        self.shared.blobs.lock().unwrap().clear();
        self.shared.manifests.lock().unwrap().clear();
    }

    /// Lets it have the blobs of another one.
    pub fn share(&self, other: &Self) {
        let blobs = other.shared.blobs.lock().unwrap().clone();
        self.shared.blobs.lock().unwrap().extend(blobs);
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, target, headers, body })
}

/// Sends an answer.
fn send(mut to: &TcpStream, status: u16, headers: &[String], body: &[u8]) -> std::io::Result<()> {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    write!(to, "HTTP/1.1 {status} x\r\nContent-Length: {}\r\n{headers}\r\n", body.len())?;
    to.write_all(body)
}

impl Shared {
    fn answer(&self, to: &TcpStream, own: SocketAddr, request: &Request) -> std::io::Result<()> {
        let Request { method, target, .. } = request;
        let shown = request.headers.get("authorization").cloned();
        let line = format!("{method} {target}");
        let mark = if shown.is_some() { " +" } else { "" };
        let range = request.headers.get("range").map(|range| format!(" {range}"));
        self.log.lock().unwrap().push(format!("{line}{}{mark}", range.unwrap_or_default()));
        let mut manners = self.manners.lock().unwrap().clone();
        if let Some((text, status, left)) = manners.status
            && left > 0
            && line.contains(text)
        {
            self.manners.lock().unwrap().status = Some((text, status, left - 1));
            let body = br#"{"errors":[{"code":"TEST","message":"said the stand-in"}]}"#;
            return send(to, status, &["Retry-After: 0".to_owned()], body);
        }
        if target.starts_with("/token") {
            return self.token(to, shown.as_deref(), manners.login);
        }
        if let Some(way) = manners.login.take()
            && !self.is_let_in(way, shown.as_deref())
        {
            let challenge = match way {
                "Basic" => "WWW-Authenticate: Basic realm=\"x\"".to_owned(),
                _ => format!(
                    "WWW-Authenticate: Bearer realm=\"http://{own}/token?a=b\",service=\"s\""
                ),
            };
            return send(to, 401, &[challenge], b"");
        }
        let path = target.split('?').next().unwrap();
        let rest = path.strip_prefix("/v2/").unwrap_or_default();
        if rest.is_empty() {
            return send(to, 200, &[], b"{}");
        }
        if let Some((_, digest)) = rest.split_once("/blobs/sha256:") {
            return self.blob(to, request, digest, &manners);
        }
        if rest.ends_with("/blobs/uploads/") && method == "POST" {
            let location = match (&manners.uploads_at, manners.relative) {
                (Some(base), _) => format!("{base}{path}there"),
                (None, true) => format!("{path}there?state=a%2Fb"),
                (None, false) => format!("http://{own}{path}there"),
            };
            return send(to, 202, &[format!("Location: {location}")], b"");
        }
        if rest.contains("/blobs/uploads/there") && method == "PUT" {
            let digest = Checksum::of(&request.body).hex();
            let is_it = target.contains(&format!("digest=sha256%3A{digest}"));
            let has_state = !manners.relative || target.contains("state=a%2Fb&");
            if !is_it || !has_state {
                return send(to, 400, &[], b"");
            }
            self.blobs.lock().unwrap().insert(digest, request.body.clone());
            return send(to, 201, &[], b"");
        }
        if let Some((repository, digest)) = rest.split_once("/referrers/")
            && let Some(page) = manners.referrers
        {
            return self.referrers(to, request, (repository, digest), page);
        }
        match rest.split_once("/manifests/") {
            Some((repository, name)) => self.manifest(to, request, (repository, name), &manners),
            None => send(to, 404, &[], b""),
        }
    }

    fn token(
        &self,
        to: &TcpStream,
        shown: Option<&str>,
        login: Option<&str>,
    ) -> std::io::Result<()> {
        // ann:word
        let may = login == Some("Anonymous") || shown == Some("Basic YW5uOndvcmQ=");
        if !may {
            return send(to, 401, &[], b"");
        }
        let mut tokens = self.tokens.lock().unwrap();
        let token = format!("token{}", tokens.len());
        tokens.insert(format!("Bearer {token}"), 0);
        send(to, 200, &[], format!("{{\"token\":\"{token}\"}}").as_bytes())
    }

    fn is_let_in(&self, way: &str, shown: Option<&str>) -> bool {
        let Some(shown) = shown else { return false };
        if way == "Basic" {
            return shown == "Basic YW5uOndvcmQ=";
        }
        let lasts = self.manners.lock().unwrap().token_lasts.unwrap_or(usize::MAX);
        let mut tokens = self.tokens.lock().unwrap();
        let Some(used) = tokens.get_mut(shown) else { return false };
        *used += 1;
        *used <= lasts
    }

    fn blob(
        &self,
        mut to: &TcpStream,
        request: &Request,
        digest: &str,
        manners: &Manners,
    ) -> std::io::Result<()> {
        let Some(mut bytes) = self.blobs.lock().unwrap().get(digest).cloned() else {
            return send(to, 404, &[], b"");
        };
        if let Some(base) = &manners.blobs_at {
            return send(to, 307, &[format!("Location: {base}{}", request.target)], b"");
        }
        if request.method == "HEAD" {
            return write!(to, "HTTP/1.1 200 x\r\nContent-Length: {}\r\n\r\n", bytes.len());
        }
        if let Some(last) = bytes.last_mut().filter(|_| manners.wrong) {
            *last ^= 1;
        }
        let range = request.headers.get("range").and_then(|it| it.strip_prefix("bytes="));
        if let Some(start) = range.and_then(|it| it.trim_end_matches('-').parse::<usize>().ok()) {
            let header =
                format!("Content-Range: bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
            return send(to, 206, &[header], &bytes[start..]);
        }
        let was_cut = self.cut.lock().unwrap().contains(&digest.to_owned());
        if let Some(at) = manners.cut_at.filter(|at| *at < bytes.len() && !was_cut) {
            self.cut.lock().unwrap().push(digest.to_owned());
            write!(to, "HTTP/1.1 200 x\r\nContent-Length: {}\r\n\r\n", bytes.len())?;
            to.write_all(&bytes[..at])?;
            to.shutdown(std::net::Shutdown::Both)?;
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        send(to, 200, &[], &bytes)
    }

    fn manifest(
        &self,
        mut to: &TcpStream,
        request: &Request,
        (repository, name): (&str, &str),
        manners: &Manners,
    ) -> std::io::Result<()> {
        let key = format!("{repository}:{name}");
        if request.method == "PUT" {
            let text: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let blobs = self.blobs.lock().unwrap();
            let layers = text["layers"].as_array().into_iter().flatten();
            let now = self.manifests.lock().unwrap().get(&key).map(|(_, bytes)| bytes.clone());
            let raced = name.starts_with("sha256-") && manners.races > 0;
            if raced {
                self.manners.lock().unwrap().races -= 1;
                let other = with_another(now.as_deref(), manners.races);
                // Who does not look at conditions takes both, one after the other.
                self.put(&key, if manners.conditions { &other } else { &request.body });
                if !manners.conditions {
                    self.put(&key, &other);
                    return send(to, 201, &[], b"");
                }
            }
            let now = self.manifests.lock().unwrap().get(&key).map(|(_, bytes)| bytes.clone());
            if manners.conditions && !holds(request, now.as_deref()) {
                return send(to, 412, &[], b"");
            }
            for layer in layers.chain(text.get("config")) {
                let digest = layer["digest"].as_str().unwrap().trim_start_matches("sha256:");
                if !blobs.contains_key(digest) {
                    return send(to, 400, &[], b"");
                }
            }
            let kind = request.headers["content-type"].clone();
            let digest = format!("sha256:{}", Checksum::of(&request.body).hex());
            let mut manifests = self.manifests.lock().unwrap();
            let by_digest = format!("{repository}:{digest}");
            for key in [key, by_digest] {
                manifests.insert(key, (kind.clone(), request.body.clone()));
            }
            let mut headers = vec![format!("Docker-Content-Digest: {digest}")];
            if let (Some(subject), Some(_)) =
                (text["subject"]["digest"].as_str(), manners.referrers)
            {
                headers.push(format!("OCI-Subject: {subject}"));
            }
            return send(to, 201, &headers, b"");
        }
        if manners.endless {
            write!(to, "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            loop {
                write!(to, "1000\r\n{}\r\n", " ".repeat(0x1000))?;
            }
        }
        match self.manifests.lock().unwrap().get(&key) {
            Some((kind, bytes)) => {
                let digest = Checksum::of(bytes).hex();
                let mut headers =
                    vec![format!("Content-Type: {kind}"), format!("ETag: \"sha256:{digest}\"")];
                if manners.says_digest {
                    headers.push(format!("Docker-Content-Digest: sha256:{digest}"));
                    headers.push("ratelimit-limit: 100;w=21600".to_owned());
                    headers.push("ratelimit-remaining: 76;w=21600".to_owned());
                }
                let body = if request.method == "HEAD" { b"" } else { bytes.as_slice() };
                send(to, 200, &headers, body)
            }
            None => send(to, 404, &[], b""),
        }
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        let kind = "application/vnd.oci.image.index.v1+json".to_owned();
        self.manifests.lock().unwrap().insert(key.to_owned(), (kind, bytes.to_vec()));
    }

    /// What is about a manifest, a page of it.
    fn referrers(
        &self,
        to: &TcpStream,
        request: &Request,
        (repository, digest): (&str, &str),
        page: usize,
    ) -> std::io::Result<()> {
        let mut found = Vec::new();
        for (name, (kind, bytes)) in &*self.manifests.lock().unwrap() {
            let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
            let named = name.strip_prefix(&format!("{repository}:")).unwrap_or_default();
            if value["subject"]["digest"] == digest && named.starts_with("sha256:") {
                found.push(json!({ "mediaType": kind, "digest": named, "size": bytes.len(),
                    "artifactType": value["artifactType"] }));
            }
        }
        let from = request.target.rsplit_once("from=").map_or(0, |(_, at)| at.parse().unwrap());
        let rest = found.len().saturating_sub(from + page);
        let list = json!({ "schemaVersion": 2, "manifests": found.iter().skip(from).take(page)
            .collect::<Vec<_>>() });
        let mut headers = vec!["Content-Type: application/vnd.oci.image.index.v1+json".to_owned()];
        if rest > 0 {
            let path = request.target.split('?').next().unwrap();
            headers.push(format!("Link: <{path}?from={}>; rel=\"next\"", from + page));
        }
        send(to, 200, &headers, list.to_string().as_bytes())
    }
}

/// Whether a request's condition holds where a tag names `now`.
fn holds(request: &Request, now: Option<&[u8]>) -> bool {
    let state = now.map(|bytes| format!("\"sha256:{}\"", Checksum::of(bytes).hex()));
    let none = request.headers.get("if-none-match").is_none_or(|_| state.is_none());
    none && request.headers.get("if-match").is_none_or(|wanted| Some(wanted) == state.as_ref())
}

/// A list of referrers with an entry of somebody else's more.
fn with_another(list: Option<&[u8]>, number: usize) -> Vec<u8> {
    let nothing = json!({ "schemaVersion": 2, "manifests": [] });
    let mut list = list.map_or(nothing, |list| serde_json::from_slice(list).unwrap());
    let digest = format!("sha256:{number:064x}");
    let entry = json!({ "mediaType": "x/y", "digest": digest, "size": 1, "data": "e30=" });
    list["manifests"].as_array_mut().unwrap().push(entry);
    list.to_string().into_bytes()
}

/// Debian's `docker-registry`, which ends with this.
pub struct Real {
    child: Child,
    pub address: String,
}

impl Real {
    /// Makes it ready to run in `directory`, and to listen at `address`, with TLS where a certificate and its key
    /// are named. Returns the program.
    pub fn prepare(directory: &Path, address: &str, tls: Option<&Path>) -> PathBuf {
        let arch: Arch = std::env::consts::ARCH.parse().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        let debs = Debs::open(&root, Suite::default());
        debs.fetch(arch, &["docker-registry"]);
        fs::create_dir_all(directory).unwrap();
        let text = concat!(
            "version: 0.1\nlog: {level: error}\nstorage:\n  filesystem: {rootdirectory: ROOT/data}\n",
            "http: {addr: 'ADDRESS'TLS}\n"
        );
        let tls = tls.map_or_else(String::new, |place| {
            let file = |name: &str| place.join(name).display().to_string();
            format!(", tls: {{certificate: {}, key: {}}}", file("server.pem"), file("server.key"))
        });
        let text = text.replace("TLS", &tls);
        let text = text.replace("ROOT", directory.to_str().unwrap()).replace("ADDRESS", address);
        fs::write(directory.join("config.yml"), text).unwrap();
        debs.package(arch, "docker-registry").root.join("usr/bin/docker-registry")
    }

    /// Runs it in `directory`.
    pub fn start(directory: &Path) -> Self {
        Self::start_with(directory, None)
    }

    /// The same, with TLS where a directory has `server.pem` and `server.key`.
    pub fn start_with(directory: &Path, tls: Option<&Path>) -> Self {
        // Somebody else may take the port in between: then there is no answer, and another one is tried.
        for _ in 0..20 {
            let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
            let program = Self::prepare(directory, &free.to_string(), tls);
            let config = directory.join("config.yml");
            let mut command = Command::new(&program);
            // It takes settings from variables, and podman's users have one of those names.
            super::program::alone(&mut command);
            command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.env("OTEL_TRACES_EXPORTER", "none").spawn().unwrap();
            while child.try_wait().unwrap().is_none() {
                if TcpStream::connect(free).is_ok() {
                    return Self { child, address: free.to_string() };
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        panic!("docker-registry does not start");
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
