//! OpenPGP packets and armor, put together byte by byte: also such as no library writes.

/// A packet with a header of the new format.
pub fn packet(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    [&[0xc0 | tag, 0xff], length.as_slice(), body].concat()
}

/// The body of a public key of some version and algorithm, with meaningless key material.
pub fn key_body(version: u8, algorithm: u8, material: usize) -> Vec<u8> {
    let mut body = vec![version, 0x5f, 0x5e, 0x10, 0];
    if version == 3 {
        body.extend([0, 0]);
    }
    body.push(algorithm);
    if version > 4 {
        body.extend((material as u32).to_be_bytes());
    }
    body.extend((0..material).map(|number| number as u8));
    body
}

/// The body of a signature of some version and algorithm, with meaningless contents.
pub fn signature_body(version: u8, kind: u8, algorithm: u8) -> Vec<u8> {
    // Version, kind, algorithm, SHA-512, two empty areas of subpackets, and a hash's first bytes.
    let mut body = vec![version, kind, algorithm, 10];
    match version {
        6 => body.extend([0; 8]),
        _ => body.extend([0; 4]),
    }
    body.extend([0x12, 0x34]);
    if version == 6 {
        body.push(32);
        body.extend([7; 32]);
    }
    body.extend([0x55; 300]);
    body
}

/// A certificate of OpenPGP 6 with ML-DSA-87 and Ed448, as RHEL 10 has one.
pub fn post_quantum() -> Vec<u8> {
    let signature = packet(2, &signature_body(6, 0x1f, 31));
    [
        packet(6, &key_body(6, 31, 2649)),
        signature.clone(),
        packet(13, b"Post <quantum@example.org>"),
        signature.clone(),
        packet(14, &key_body(6, 36, 1624)),
        signature,
    ]
    .concat()
}

/// The packets in a body: tag, and whole packet.
pub fn cut(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut packets = Vec::new();
    while let [first, second, ..] = *bytes {
        let number = |range: std::ops::Range<usize>| {
            bytes[range].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
        };
        let (tag, length) = match (first & 0x40 != 0, first & 3) {
            (true, _) => (
                first & 0x3f,
                match second {
                    0..192 => 2 + usize::from(second),
                    192..224 => 3 + ((number(1..3) - (192 << 8)) + 192),
                    _ => 6 + number(2..6),
                },
            ),
            (false, 0) => ((first >> 2) & 15, 2 + number(1..2)),
            (false, 1) => ((first >> 2) & 15, 3 + number(1..3)),
            (false, _) => ((first >> 2) & 15, 5 + number(1..5)),
        };
        let (one, rest) = bytes.split_at(length);
        packets.push((tag, one.to_vec()));
        bytes = rest;
    }
    packets
}

/// Armor around `bytes`, without a checksum.
pub fn armor(label: &str, bytes: &[u8]) -> String {
    format!("-----BEGIN PGP {label}-----\n\n{}-----END PGP {label}-----\n", base64(bytes))
}

/// Base64 in lines.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (number, three) in bytes.chunks(3).enumerate() {
        let mut bits = [0; 4];
        bits[1..=three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes(bits);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= three.len() { DIGITS[value] as char } else { '=' });
        }
        if number % 16 == 15 {
            text.push('\n');
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
