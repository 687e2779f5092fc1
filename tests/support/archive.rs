//! Writes the payloads of packages: archives in both of RPM's formats, and what packs them.

use std::io::Write;

/// An entry of the payload.
#[derive(Clone)]
pub struct Entry {
    pub name: Vec<u8>,
    pub mode: u32,
    pub data: Vec<u8>,
    /// Instead of the length of `data`.
    pub size: Option<u32>,
}

impl Entry {
    /// The same without its data: a hard link whose data comes with another.
    pub fn without_data(self) -> Self {
        Self { data: Vec::new(), ..self }
    }
}

/// An archive of `entries`, with its trailer.
pub fn cpio(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, entry) in (1..).zip(entries) {
        let size = entry.size.unwrap_or(entry.data.len() as u32);
        cpio_entry(&mut bytes, &entry.name, [number, entry.mode, size], &entry.data);
    }
    cpio_entry(&mut bytes, b"TRAILER!!!", [0; 3], b"");
    bytes
}

/// What stands before the data of an entry of `size` bytes in an archive.
pub fn cpio_start(name: &[u8], mode: u32, size: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    cpio_entry(&mut bytes, name, [1, mode, size], b"");
    bytes
}

fn cpio_entry(bytes: &mut Vec<u8>, name: &[u8], numbers: [u32; 3], data: &[u8]) {
    let [inode, mode, size] = numbers;
    let name_size = name.len() as u32 + 1;
    bytes.extend(b"070701");
    for field in [inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
        bytes.extend(format!("{field:08x}").bytes());
    }
    bytes.extend(name.iter().chain(&[0]));
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// A stripped archive: `(number, data)` per entry.
pub fn stripped_cpio(entries: &[(u32, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, data) in entries {
        bytes.extend(format!("07070X{number:08x}\0\0").bytes());
        bytes.extend(*data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    cpio_entry(&mut bytes, b"TRAILER!!!", [0; 3], b"");
    bytes
}

pub fn compress(compressor: &str, data: &[u8]) -> Vec<u8> {
    match compressor {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        "xz" => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 2);
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        "lzma" => {
            let options = liblzma::stream::LzmaOptions::new_preset(2).unwrap();
            let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
            let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => zstd::encode_all(data, 3).unwrap(),
        _ => data.to_vec(),
    }
}
