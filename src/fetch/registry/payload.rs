//! What is sent with a request.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::blocking::{Body, RequestBuilder};

use crate::tools::excerpt::Excerpt;

/// The longest that one upload may take, whatever its rate.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Bytes that are sent.
pub(crate) enum Payload {
    /// At hand.
    Bytes(Vec<u8>),
    /// In a file, and how many there are.
    File(Excerpt, u64),
}

impl Payload {
    /// `request` with these bytes, which `sent` counts on their way.
    pub(super) fn put_into(&self, request: RequestBuilder, sent: Arc<AtomicU64>) -> RequestBuilder {
        match self {
            Self::Bytes(bytes) => request.body(bytes.clone()),
            Self::File(excerpt, size) => {
                let counted = Counted { excerpt: excerpt.anew(), total: 0, sent };
                request.timeout(LONGEST).body(Body::sized(counted, *size))
            }
        }
    }
}

/// Bytes that are counted while they are read.
struct Counted {
    excerpt: Excerpt,
    total: u64,
    sent: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.excerpt.read(buffer)?;
        self.total += count as u64;
        self.sent.store(self.total, Ordering::Relaxed);
        Ok(count)
    }
}
