//! How packages are compressed.

/// How a payload is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, which is also what a header means that names nothing. As in RPM, a payload that
    /// does not begin as gzip does is taken as it is.
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// xz's predecessor.
    Lzma,
    /// Zstandard.
    Zstd,
}
