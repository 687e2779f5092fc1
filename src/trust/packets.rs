//! OpenPGP files cut into packets: binary ones, and armored ones of several blocks with other text
//! between them. Only the frames are read here, so that a packet that nobody understands condemns
//! neither its neighbours nor the blocks beside its own.

use pgp::packet::{Packet, PacketHeader, PacketParser};
use pgp::types::{PacketLength, Tag};

use crate::tools::base64;

/// What some editors put before a text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Most packets of a file. The largest collections of a distribution have some thousand; keys that
/// strangers have signed too often have more, which nobody needs here.
const MOST_PACKETS: usize = 10_000;

/// What a block holds, by the words in its first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// Certificates.
    PublicKey,
    /// Signatures.
    Signature,
}

/// One packet as it lies in a file.
pub(super) struct RawPacket {
    /// What it is.
    pub(super) tag: Tag,
    /// Its frame and its body.
    bytes: Vec<u8>,
    /// Where the body begins.
    body: usize,
}

/// The packets of an armored block, or of a binary file.
#[derive(Default)]
pub(super) struct Block {
    /// Those that are whole.
    pub(super) packets: Vec<RawPacket>,
    /// Why no more could be read behind the last of them.
    pub(super) damage: Option<&'static str>,
}

impl RawPacket {
    /// Its body.
    pub(super) fn body(&self) -> &[u8] {
        self.bytes.get(self.body..).unwrap_or_default()
    }

    /// What it says; `None` when that is not understood.
    pub(super) fn parse(&self) -> Option<Packet> {
        PacketParser::new(self.bytes.as_slice()).next()?.ok()
    }
}

/// The blocks of a file that are labelled so; a binary file is one block.
pub(super) fn blocks(file: &[u8], label: Label) -> Vec<Block> {
    let file = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file);
    let armored = armored_blocks(file, label);
    // Packets begin with a byte whose highest bit is set, and so may text before a block.
    let is_binary = file.first().is_some_and(|first| first & 0x80 != 0);
    let mut left = MOST_PACKETS;
    if is_binary && (armored.is_empty() || first_tag(file) == Some(label.first_tag())) {
        return vec![cut(file, &mut left)];
    }
    armored.into_iter().map(|block| block.open(&mut left)).collect()
}

/// The packets in `base64` without the lines around it, as RPM 6 keeps signatures.
pub(super) fn bare_block(base64: &str) -> Block {
    let mut left = MOST_PACKETS;
    Armored { text: base64.bytes().collect(), has_end: true }.open(&mut left)
}

impl Label {
    fn first_line(self) -> &'static [u8] {
        match self {
            Self::PublicKey => b"-----BEGIN PGP PUBLIC KEY BLOCK-----",
            Self::Signature => b"-----BEGIN PGP SIGNATURE-----",
        }
    }

    fn first_tag(self) -> Tag {
        match self {
            Self::PublicKey => Tag::PublicKey,
            Self::Signature => Tag::Signature,
        }
    }
}

fn first_tag(file: &[u8]) -> Option<Tag> {
    PacketHeader::try_from_reader(file).ok().map(|header| header.tag())
}

/// The base64 of an armored block.
#[derive(Default)]
struct Armored {
    text: Vec<u8>,
    has_end: bool,
}

impl Armored {
    fn open(self, left: &mut usize) -> Block {
        let Some(bytes) = base64::decode(&self.text) else {
            return Block { packets: Vec::new(), damage: Some("its armor is damaged") };
        };
        let mut block = cut(&bytes, left);
        if !self.has_end {
            block.damage.get_or_insert("its armor is cut off");
        }
        block
    }
}

/// The armored blocks of a text, whatever ends its lines and stands around them. The checksum at a
/// block's end is optional, and whoever changes a block can change it too: it is passed over.
fn armored_blocks(file: &[u8], label: Label) -> Vec<Armored> {
    let (mut found, mut current) = (Vec::new(), None);
    for line in file.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii) {
        if line.starts_with(b"-----BEGIN ") {
            found.extend(current.take());
            current = (line == label.first_line()).then(Armored::default);
        } else if line.starts_with(b"-----END ") {
            found.extend(current.take().map(|block| Armored { has_end: true, ..block }));
        } else if let Some(block) = &mut current {
            // `Version: …` and the like, wherever they stand: base64 has no colon.
            let is_checksum = line.len() == 5 && line.starts_with(b"=");
            if !is_checksum && !line.contains(&b':') {
                block.text.extend_from_slice(line);
            }
        }
    }
    found.extend(current);
    found
}

/// Cuts bytes into packets, up to the first that is not whole, and as many as are `left`.
fn cut(mut rest: &[u8], left: &mut usize) -> Block {
    let mut block = Block::default();
    // An editor's last line end is no packet.
    while !rest.trim_ascii().is_empty() {
        let whole = rest;
        let framed = PacketHeader::try_from_reader(&mut rest).map(|header| {
            let length = match header.packet_length() {
                PacketLength::Fixed(length) => usize::try_from(length).ok(),
                PacketLength::Indeterminate | PacketLength::Partial(_) => None,
            };
            (header.tag(), length.filter(|&length| length <= rest.len()))
        });
        let Ok((tag, Some(length))) = framed else {
            block.damage = Some("it ends within a packet, or holds something else");
            break;
        };
        let Some(fewer) = left.checked_sub(1) else {
            block.damage = Some("its file holds more packets than any key file");
            break;
        };
        *left = fewer;
        let body = whole.len() - rest.len();
        let (packet, after) = whole.split_at(body + length);
        block.packets.push(RawPacket { tag, bytes: packet.to_vec(), body });
        rest = after;
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armored(text: &str) -> Vec<Option<Vec<u8>>> {
        let blocks = armored_blocks(text.as_bytes(), Label::Signature).into_iter();
        blocks.map(|block| base64::decode(&block.text).filter(|_| block.has_end)).collect()
    }

    #[test]
    fn blocks_are_found_whatever_their_lines_look_like() {
        let begin = "-----BEGIN PGP SIGNATURE-----";
        let end = "-----END PGP SIGNATURE-----";
        let abcd = || vec![Some(b"abcd".to_vec())];
        for text in [
            format!("{begin}\n\nYWJjZA==\n=AbCd\n{end}\n"),
            format!("{begin}\nYWJj\nZA==\n{end}"),
            format!("text\r\n{begin}  \r\nVersion: 1\r\nComment: x\r\n\r\nYWJjZA==\r\n{end}\r\n"),
            format!("{begin}\r \rYWJj\rZA\r{end}\r"),
            format!("  {begin}\n \t\n  YW Jj\n  ZA=\n=\n=AbCd\n  {end}\nmore"),
        ] {
            assert_eq!(armored(&text), abcd(), "{text:?}");
        }
        let other = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nYWJjZA==\n";
        let text = format!("{begin}\n\nYWJj\n{other}{begin}\n\nY*Jj\n{end}\n{begin}\n\n{end}\n");
        assert_eq!(armored(&text), [None, None, Some(Vec::new())]);
    }

    fn cut_all(bytes: &[u8]) -> Block {
        let mut left = MOST_PACKETS;
        cut(bytes, &mut left)
    }

    #[test]
    fn a_file_is_cut_at_its_frames() {
        let user = [&[0xcd, 2][..], b"me"].concat();
        let private = [&[0xfc, 1][..], b"x"].concat();
        let block = cut_all(&[user.clone(), private, user.clone()].concat());
        let bodies: Vec<&[u8]> = block.packets.iter().map(RawPacket::body).collect();
        assert_eq!(bodies, [b"me".as_slice(), b"x", b"me"]);
        assert_eq!(block.damage, None);
        assert!(block.packets[1].parse().is_none());
        for odd in [&[0xcd, 3, b'm'][..], &[0xcd], &[0x03, 0x01, 0], &[0xcd, 0xe1, 0, 0], &[0xb7]] {
            let block = cut_all(&[user.as_slice(), odd].concat());
            assert_eq!(block.packets.len(), 1, "{odd:?}");
            assert!(block.damage.is_some(), "{odd:?}");
        }
        assert_eq!(cut_all(&[user.as_slice(), b"\r\n"].concat()).damage, None);
    }
}
