//! A static file server on the loopback interface that can be told to fail.
//!
//! It speaks enough HTTP/1.1 to stand for a mirror: persistent connections, ranges, `HEAD`,
//! entity tags with `If-None-Match` and `If-Modified-Since`. Every connection has a thread. A
//! request for `/a/b?query` is answered with the file `a/b?query` if there is one, else `a/b`:
//! metalinks of several repositories differ only in their query.
//!
//! ```no_run
//! let server = Server::start("mirror");
//! server.fault("primary.xml", Fault::truncate_at(1000).times(1));
//! fetch(&format!("{}/repodata/primary.xml.gz", server.url()));
//! assert_eq!(server.requests().len(), 2);
//! ```
//!
//! Faults are tried in the order in which they were set; the first whose text is contained in the
//! request's target, and that has times left, applies. Dropping the server ends it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

/// How long a stalled connection sleeps between looks at whether the server still runs.
const TICK: Duration = Duration::from_millis(10);

/// A running server.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What a server does wrong, and how often.
#[derive(Clone, Debug)]
pub struct Fault {
    kind: Kind,
    left: usize,
}

#[derive(Clone, Debug)]
enum Kind {
    Status(u16),
    Truncate(usize),
    Corrupt(usize),
    Stall,
    Drop,
    Redirect(String),
    Endless,
    Slow(usize),
    WholeFile,
    ShortRange(usize),
    LaterRange,
}

impl Fault {
    /// Says that the file does not exist.
    pub fn not_found() -> Self {
        Kind::Status(404).always()
    }

    /// Answers with this status, so many times.
    pub fn status(code: u16, times: usize) -> Self {
        Kind::Status(code).always().times(times)
    }

    /// Declares the whole length, sends so many bytes of the body, and closes the connection.
    pub fn truncate_at(bytes: usize) -> Self {
        Kind::Truncate(bytes).always()
    }

    /// Flips all bits of the file's byte at this offset.
    pub fn corrupt_byte(offset: usize) -> Self {
        Kind::Corrupt(offset).always()
    }

    /// Sends the head and half of the body, then nothing, and keeps the connection.
    pub fn stall() -> Self {
        Kind::Stall.always()
    }

    /// Closes the connection without an answer, so many times.
    pub fn drop_connection(times: usize) -> Self {
        Kind::Drop.always().times(times)
    }

    /// Sends elsewhere.
    pub fn redirect(to: impl Into<String>) -> Self {
        Kind::Redirect(to.into()).always()
    }

    /// Sends bytes for ever, and never says how many.
    pub fn endless() -> Self {
        Kind::Endless.always()
    }

    /// Sends so many bytes a second.
    pub fn slow(bytes_per_second: usize) -> Self {
        Kind::Slow(bytes_per_second).always()
    }

    /// Ignores `Range` and sends the whole file.
    pub fn ignore_range() -> Self {
        Kind::WholeFile.always()
    }

    /// Sends so many bytes of a range at the most, and says so.
    pub fn short_range(bytes: usize) -> Self {
        Kind::ShortRange(bytes).always()
    }

    /// Sends a range that begins later than the one that was asked for, and says so.
    pub fn later_range() -> Self {
        Kind::LaterRange.always()
    }

    /// The same, so many times only.
    pub fn times(mut self, times: usize) -> Self {
        self.left = times;
        self
    }
}

impl Kind {
    fn always(self) -> Fault {
        Fault { kind: self, left: usize::MAX }
    }
}

#[derive(Default)]
struct Shared {
    root: PathBuf,
    latency: Mutex<Duration>,
    connect_cost: Mutex<Duration>,
    /// Bytes a second on each connection; 0 for as many as there can be.
    rate: AtomicUsize,
    faults: Mutex<Vec<(String, Fault)>>,
    requests: Mutex<Vec<String>>,
    is_stopped: AtomicBool,
    connections: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
    bytes: AtomicU64,
}

impl Server {
    /// Serves the files below `root` on a free port.
    pub fn start(root: impl Into<PathBuf>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port on loopback");
        let address = listener.local_addr().expect("the port's address");
        let shared = Arc::new(Shared { root: root.into(), ..Shared::default() });
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.is_stopped.load(Ordering::SeqCst) {
                    return;
                }
                let shared = accepting.clone();
                std::thread::spawn(move || shared.connection(stream));
            }
        });
        Self { address, shared }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes requests fail whose target (path and query) contains `target`.
    pub fn fault(&self, target: impl Into<String>, fault: Fault) {
        self.shared.faults.lock().unwrap().push((target.into(), fault));
    }

    /// Serves well again.
    pub fn clear_faults(&self) {
        self.shared.faults.lock().unwrap().clear();
    }

    /// Waits so long before each answer.
    pub fn latency(&self, latency: Duration) {
        *self.shared.latency.lock().unwrap() = latency;
    }

    /// Waits so long before the first answer on each connection.
    pub fn connect_cost(&self, cost: Duration) {
        *self.shared.connect_cost.lock().unwrap() = cost;
    }

    /// Sends so many bytes a second on each connection; 0 for as many as there can be.
    pub fn rate(&self, bytes_per_second: usize) {
        self.shared.rate.store(bytes_per_second, Ordering::SeqCst);
    }

    /// Every request so far: `GET /path 200`, `GET /path bytes=5- 206`. The status is `-` where
    /// no answer was sent.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The number of requests so far whose target contains `target`.
    pub fn count(&self, target: &str) -> usize {
        self.requests().iter().filter(|request| request.contains(target)).count()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The most connections that were open at one time.
    pub fn most_connections(&self) -> usize {
        self.shared.most_open.load(Ordering::SeqCst)
    }

    /// Bytes of bodies sent so far.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}

/// A request's line and the headers that matter.
#[derive(Default)]
struct Request {
    method: String,
    target: String,
    range: Option<String>,
    if_none_match: Option<String>,
    if_modified_since: Option<String>,
    is_last: bool,
}

/// A file as it is served.
struct Content {
    file: File,
    size: usize,
    etag: String,
    modified: String,
}

/// Whether the connection can serve another request.
type KeepOpen = bool;

impl Shared {
    fn connection(&self, stream: TcpStream) {
        self.connections.fetch_add(1, Ordering::SeqCst);
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_open.fetch_max(open, Ordering::SeqCst);
        let _ = stream.set_nodelay(true);
        let cost = *self.connect_cost.lock().unwrap();
        std::thread::sleep(cost);
        if let Ok(reading) = stream.try_clone() {
            let mut reader = BufReader::new(reading);
            while let Some(request) = read_request(&mut reader) {
                if !self.answer(&stream, &request).unwrap_or(false) || request.is_last {
                    break;
                }
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    fn answer(&self, stream: &TcpStream, request: &Request) -> std::io::Result<KeepOpen> {
        let latency = *self.latency.lock().unwrap();
        std::thread::sleep(latency);
        match self.take_fault(&request.target) {
            Some(Kind::Drop) => {
                self.log(request, "-");
                Ok(false)
            }
            Some(Kind::Status(code)) => self.empty(stream, request, code, ""),
            Some(Kind::Redirect(to)) => {
                self.empty(stream, request, 302, &format!("Location: {to}\r\n"))
            }
            Some(Kind::Endless) => self.endless(stream, request),
            fault => match self.load(&request.target) {
                Some(content) => self.file(stream, request, content, fault),
                None => self.empty(stream, request, 404, ""),
            },
        }
    }

    /// The fault that applies to a request, one time less.
    fn take_fault(&self, target: &str) -> Option<Kind> {
        let mut faults = self.faults.lock().unwrap();
        let (_, fault) = faults
            .iter_mut()
            .find(|(contained, fault)| target.contains(contained.as_str()) && fault.left > 0)?;
        fault.left = fault.left.saturating_sub(1);
        Some(fault.kind.clone())
    }

    fn log(&self, request: &Request, status: &str) {
        let range = request.range.as_ref().map(|range| format!(" {range}")).unwrap_or_default();
        let line = format!("{} {}{range} {status}", request.method, request.target);
        self.requests.lock().unwrap().push(line);
    }

    /// An answer without a body.
    fn empty(
        &self,
        mut stream: &TcpStream,
        request: &Request,
        code: u16,
        headers: &str,
    ) -> std::io::Result<KeepOpen> {
        self.log(request, &code.to_string());
        let length = if code == 304 { "" } else { "Content-Length: 0\r\n" };
        write!(stream, "HTTP/1.1 {code} {}\r\n{length}{headers}\r\n", phrase(code))?;
        Ok(true)
    }

    fn endless(&self, mut stream: &TcpStream, request: &Request) -> std::io::Result<KeepOpen> {
        self.log(request, "200");
        write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        let zeros = vec![0; 0x1000];
        while !self.is_stopped.load(Ordering::SeqCst) {
            write!(stream, "1000\r\n")?;
            self.send(stream, &zeros)?;
            write!(stream, "\r\n")?;
        }
        Ok(false)
    }

    /// The file for a request's target.
    fn load(&self, target: &str) -> Option<Content> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (target, String::new()),
        };
        let relative = decode(path.trim_start_matches('/'))?;
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if !Path::new(&relative).components().all(is_plain) {
            return None;
        }
        let named = self.root.join(format!("{relative}{query}"));
        let path = if named.is_file() { named } else { self.root.join(&relative) };
        let path = if path.is_dir() { path.join("index.html") } else { path };
        let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let age = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let etag = format!("\"{:x}-{:x}\"", metadata.len(), age.as_nanos());
        // Clients give it back as they got it, so that any text will do.
        let modified = format!("@{}", age.as_secs());
        let size = usize::try_from(metadata.len()).ok()?;
        Some(Content { file: File::open(&path).ok()?, size, etag, modified })
    }

    fn file(
        &self,
        mut stream: &TcpStream,
        request: &Request,
        content: Content,
        fault: Option<Kind>,
    ) -> std::io::Result<KeepOpen> {
        let tags = format!(
            "ETag: {}\r\nLast-Modified: {}\r\nAccept-Ranges: bytes\r\n",
            content.etag, content.modified
        );
        let is_known = match &request.if_none_match {
            Some(etag) => *etag == content.etag,
            None => request.if_modified_since.as_ref() == Some(&content.modified),
        };
        if is_known && fault.is_none() {
            return self.empty(stream, request, 304, &tags);
        }
        let total = content.size;
        let range = request.range.as_ref().filter(|_| !matches!(fault, Some(Kind::WholeFile)));
        let (status, (start, end), extra) = match range.and_then(|range| bounds_of(range)) {
            Some((start, _)) if start >= total => {
                let range = format!("Content-Range: bytes */{total}\r\n");
                return self.empty(stream, request, 416, &range);
            }
            Some((start, end)) => {
                let (start, end) = match fault {
                    Some(Kind::ShortRange(most)) => (start, end.min(start + most)),
                    Some(Kind::LaterRange) => (start + 1, end),
                    _ => (start, end),
                };
                let end = end.min(total);
                let range = format!("Content-Range: bytes {start}-{}/{total}\r\n", end - 1);
                (206, (start, end), range)
            }
            None => (200, (0, total), String::new()),
        };
        self.log(request, &status.to_string());
        let phrase = phrase(status);
        let length = end - start;
        write!(
            stream,
            "HTTP/1.1 {status} {phrase}\r\nContent-Length: {length}\r\n{tags}{extra}\r\n"
        )?;
        if request.method == "HEAD" {
            return Ok(true);
        }
        if fault.is_none() && self.rate.load(Ordering::SeqCst) == 0 {
            return self.send_file(stream, &content.file, start, length);
        }
        let mut body = vec![0; length];
        content.file.read_exact_at(&mut body, start as u64)?;
        if let Some(Kind::Corrupt(offset)) = fault
            && let Some(byte) = offset.checked_sub(start).and_then(|at| body.get_mut(at))
        {
            *byte ^= 0xff;
        }
        self.body(stream, &body, fault)
    }

    /// Sends a part of a file by sendfile(2): what the server takes of the processors, those whom it
    /// serves do not get.
    fn send_file(
        &self,
        mut stream: &TcpStream,
        mut file: &File,
        start: usize,
        length: usize,
    ) -> std::io::Result<KeepOpen> {
        file.seek(SeekFrom::Start(start as u64))?;
        let sent = std::io::copy(&mut file.take(length as u64), &mut stream)?;
        self.bytes.fetch_add(sent, Ordering::SeqCst);
        Ok(sent == length as u64)
    }

    fn body(
        &self,
        stream: &TcpStream,
        body: &[u8],
        fault: Option<Kind>,
    ) -> std::io::Result<KeepOpen> {
        match fault {
            Some(Kind::Truncate(length)) => {
                self.send(stream, &body[..length.min(body.len())])?;
                return Ok(false);
            }
            Some(Kind::Stall) => {
                self.send(stream, &body[..body.len() / 2])?;
                while !self.is_stopped.load(Ordering::SeqCst) {
                    std::thread::sleep(TICK);
                }
                return Ok(false);
            }
            Some(Kind::Slow(rate)) => self.send_slowly(stream, body, rate)?,
            _ => match self.rate.load(Ordering::SeqCst) {
                0 => self.send(stream, body)?,
                rate => self.send_slowly(stream, body, rate)?,
            },
        }
        Ok(true)
    }

    fn send_slowly(&self, stream: &TcpStream, body: &[u8], rate: usize) -> std::io::Result<()> {
        let start = std::time::Instant::now();
        let mut sent = 0;
        for piece in body.chunks((rate / 50).max(1)) {
            self.send(stream, piece)?;
            sent += piece.len();
            let due = Duration::from_secs_f64(sent as f64 / rate as f64);
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        }
        Ok(())
    }

    fn send(&self, mut stream: &TcpStream, bytes: &[u8]) -> std::io::Result<()> {
        stream.write_all(bytes)?;
        self.bytes.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        Ok(())
    }
}

/// Reads a request's head; `None` when the client is gone.
fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.by_ref().take(16 * 1024).read_line(&mut line).ok().filter(|&length| length > 0)?;
    let mut words = line.split_whitespace();
    let mut request = Request {
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        ..Request::default()
    };
    loop {
        line.clear();
        reader.by_ref().take(16 * 1024).read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let value = value.trim().to_owned();
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value),
            "if-none-match" => request.if_none_match = Some(value),
            "if-modified-since" => request.if_modified_since = Some(value),
            "connection" => request.is_last = value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    Some(request)
}

/// The first byte and the one after the last of `bytes=START-` or `bytes=START-LAST`, the only kinds
/// of range that are understood.
fn bounds_of(range: &str) -> Option<(usize, usize)> {
    let (start, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end =
        if last.is_empty() { usize::MAX } else { last.parse::<usize>().ok()?.checked_add(1)? };
    Some((start.parse().ok()?, end)).filter(|(start, end)| start < end)
}

/// Undoes percent-encoding.
fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?.to_owned();
            bytes.push(u8::from_str_radix(&digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        302 => "Found",
        304 => "Not Modified",
        404 => "Not Found",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
