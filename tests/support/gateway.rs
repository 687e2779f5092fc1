//! What may stand between the program and a server: another name for it, TLS, a proxy. Every
//! connection serves one request, and the requests' heads are remembered.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A gateway that runs as long as the tests do.
pub struct Gateway {
    pub port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Gateway {
    /// Hands requests on to the server at `upstream`, as they are.
    pub fn plain(upstream: &str) -> Self {
        let upstream = upstream.to_owned();
        Self::start(move |stream, heads| serve(stream, &upstream, heads))
    }

    /// The same, and takes TLS away.
    pub fn tls(upstream: &str) -> Self {
        let (upstream, config) = (upstream.to_owned(), configuration());
        Self::start(move |stream, heads| {
            let connection = ServerConnection::new(config.clone()).unwrap();
            serve(StreamOwned::new(connection, stream), &upstream, heads)
        })
    }

    /// A proxy, which takes `upstream` for whatever host is asked for by http, and lets https
    /// through to the port that is named, on loopback.
    pub fn proxy(upstream: &str) -> Self {
        let upstream = upstream.to_owned();
        Self::start(move |mut stream, heads| {
            let head = head(&mut stream)?;
            heads.lock().unwrap().push(head.clone());
            let Some(rest) = head.strip_prefix("CONNECT ") else {
                return relay(&mut stream, &upstream, &head);
            };
            let port = rest.split(' ').next().and_then(|place| place.rsplit(':').next()).unwrap();
            let there = TcpStream::connect(format!("127.0.0.1:{port}"))?;
            stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
            let (mut from, mut to) = (stream.try_clone()?, there.try_clone()?);
            std::thread::spawn(move || io::copy(&mut from, &mut to));
            io::copy(&mut &there, &mut &stream)?;
            stream.shutdown(std::net::Shutdown::Both)
        })
    }

    /// A proxy that answers everything with this status.
    pub fn refusing(status: &str) -> Self {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        Self::start(move |mut stream, heads| {
            let head = head(&mut stream)?;
            heads.lock().unwrap().push(head);
            stream.write_all(answer.as_bytes())
        })
    }

    /// A SOCKS proxy of both versions, which takes `upstream` for whatever is asked for. Its heads say
    /// what that was: the version, whether by name or address, and who asked.
    pub fn socks(upstream: &str) -> Self {
        let upstream = upstream.to_owned();
        Self::start(move |mut stream, heads| {
            let asked = socks_head(&mut stream)?;
            heads.lock().unwrap().push(asked);
            let there = TcpStream::connect(&upstream)?;
            let (mut from, mut to) = (stream.try_clone()?, there.try_clone()?);
            std::thread::spawn(move || io::copy(&mut from, &mut to));
            io::copy(&mut &there, &mut &stream)?;
            stream.shutdown(std::net::Shutdown::Both)
        })
    }

    /// The heads of all requests so far, in small letters.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().iter().map(|head| head.to_lowercase()).collect()
    }

    fn start<F>(serve: F) -> Self
    where
        F: Fn(TcpStream, &Mutex<Vec<String>>) -> io::Result<()> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let (serve, remembered) = (Arc::new(serve), heads.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (serve, heads) = (serve.clone(), remembered.clone());
                std::thread::spawn(move || serve(stream, &heads));
            }
        });
        Self { port, heads }
    }
}

fn serve(
    mut stream: impl Read + Write,
    upstream: &str,
    heads: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let head = head(&mut stream)?;
    heads.lock().unwrap().push(head.clone());
    relay(&mut stream, upstream, &head)
}

/// Reads a request's head, byte by byte: what follows belongs to someone else.
fn head(stream: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// What a client asks of a SOCKS proxy; granted.
fn socks_head(stream: &mut TcpStream) -> io::Result<String> {
    match byte(stream)? {
        4 => {
            let rest = bytes(stream, 7)?;
            let user = text_to_zero(stream)?;
            let by_name = rest[3..6] == [0; 3] && rest[6] != 0;
            let place = if by_name { text_to_zero(stream)? } else { address(&rest[3..]) };
            stream.write_all(&[0, 90, 0, 0, 0, 0, 0, 0])?;
            Ok(format!("4 {place} by {user:?}"))
        }
        _ => {
            let methods = byte(stream)?;
            let methods = bytes(stream, methods.into())?;
            let mut user = String::new();
            if methods.contains(&2) {
                stream.write_all(&[5, 2])?;
                byte(stream)?;
                for end in [":", ""] {
                    let length = byte(stream)?;
                    user += &(String::from_utf8_lossy(&bytes(stream, length.into())?) + end);
                }
                stream.write_all(&[1, 0])?;
            } else {
                stream.write_all(&[5, 0])?;
            }
            let kind = bytes(stream, 4)?[3];
            let place = match kind {
                1 => address(&bytes(stream, 4)?),
                4 => format!("{:?}", bytes(stream, 16)?),
                _ => {
                    let length = byte(stream)?;
                    String::from_utf8_lossy(&bytes(stream, length.into())?).into_owned()
                }
            };
            bytes(stream, 2)?;
            stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
            Ok(format!("5 {place} by {user:?}"))
        }
    }
}

fn byte(stream: &mut TcpStream) -> io::Result<u8> {
    Ok(bytes(stream, 1)?[0])
}

fn bytes(stream: &mut TcpStream, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn text_to_zero(stream: &mut TcpStream) -> io::Result<String> {
    let mut text = Vec::new();
    loop {
        match byte(stream)? {
            0 => return Ok(String::from_utf8_lossy(&text).into_owned()),
            byte => text.push(byte),
        }
    }
}

fn address(bytes: &[u8]) -> String {
    bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(".")
}

/// Sends a request on, the path alone in its first line, and brings the answer.
fn relay(stream: &mut (impl Read + Write), upstream: &str, head: &str) -> io::Result<()> {
    let (line, headers) = head.split_once("\r\n").unwrap();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let path = match target.split_once("://") {
        Some((_, place)) => place.find('/').map_or("/", |start| &place[start..]),
        None => target,
    };
    let mut there = TcpStream::connect(upstream)?;
    write!(there, "{method} {path} HTTP/1.1\r\nConnection: close\r\n{headers}")?;
    let names = headers.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = names.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = lengths.next().map_or(0, |(_, length)| length.trim().parse().unwrap());
    io::copy(&mut stream.take(length), &mut there)?;
    let mut answer = BufReader::new(there);
    let mut line = String::new();
    answer.read_line(&mut line)?;
    write!(stream, "{line}Connection: close\r\n")?;
    // As it comes: how fast it does is seen behind the gateway too.
    io::copy(&mut answer, stream)?;
    stream.flush()
}

fn configuration() -> Arc<ServerConfig> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/network");
    let certificate = CertificateDer::from_pem_file(place.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(place.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    Arc::new(config)
}
