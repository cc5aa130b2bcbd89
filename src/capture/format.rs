//! Recognises what a file holds by its first bytes, never by its name.

/// Bytes that [`recognise`] wants to see, if the file has them; a tar archive shows itself only at byte 257.
pub(super) const HEAD_BYTES: usize = 512;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Pcap,
    Pcapng,
    Gzip,
    Zstd,
    Foreign(Foreign),
}

/// Something that we do not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    pub kind: ForeignKind,
    pub looks_like: &'static str,
    pub advice: &'static str,
}

/// Whether frames may hide in a file that we do not read; decides if one found in a folder is worth an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignKind {
    /// A capture in another format.
    Capture,
    /// A compressed file or an archive; perhaps of captures.
    Packed,
    /// Anything else.
    Other,
}

/// What a file that begins with `head` holds; `head` is the whole file when shorter than [`HEAD_BYTES`].
pub(super) fn recognise(head: &[u8]) -> Format {
    match head {
        // draft-ietf-opsawg-pcap, section 4; libpcap's pcap-common for the nanosecond and Kuznetzov's magic.
        [0xa1, 0xb2, 0xc3, 0xd4, ..] | [0xd4, 0xc3, 0xb2, 0xa1, ..] => return Format::Pcap,
        [0xa1, 0xb2, 0x3c, 0x4d, ..] | [0x4d, 0x3c, 0xb2, 0xa1, ..] => return Format::Pcap,
        [0xa1, 0xb2, 0xcd, 0x34, ..] | [0x34, 0xcd, 0xb2, 0xa1, ..] => return Format::Pcap,
        // draft-ietf-opsawg-pcapng, section 4.1: the same in both byte orders.
        [0x0a, 0x0d, 0x0d, 0x0a, ..] => return Format::Pcapng,
        // RFC 1952 section 2.3.1, with deflate (8) as the only method.
        [0x1f, 0x8b, 0x08, ..] => return Format::Gzip,
        // RFC 8878 section 3.1: a frame, or a skippable frame before it.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => return Format::Zstd,
        _ => {}
    }
    let known = FOREIGN.iter().find(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    Format::Foreign(match known {
        Some((_, _, foreign)) => *foreign,
        None if head.is_empty() => EMPTY,
        None if head.iter().all(|&byte| byte == 0) => ZEROS,
        // Text before ERF: "15:43:54.449556" read as an ERF record is a frame of 1997.
        None if is_text(head) => TEXT,
        None if is_erf(head) => ERF,
        None => UNKNOWN,
    })
}

/// ERF has no magic number, so this wants plausible records as far as they can be seen: a timestamp (little-endian, seconds in the upper
/// half) from 1996 to 2100, a type that Endace assigned (1 to 27, 48 for padding; Wireshark's wiretap/erf.h), and a length that covers the
/// 16-byte header and not much more than that and the packet: padding, and headers of 8 bytes each.
fn is_erf(head: &[u8]) -> bool {
    let mut rest = head;
    while let Some(&[_, _, _, _, s0, s1, s2, s3, kind, _, r0, r1, _, _, w0, w1]) = rest.first_chunk::<16>() {
        let seconds = u32::from_le_bytes([s0, s1, s2, s3]);
        let (length, on_wire) = (u16::from_be_bytes([r0, r1]), u16::from_be_bytes([w0, w1]));
        let is_record = (820_454_400..4_102_444_800).contains(&seconds)
            && matches!(kind & 0x7f, 1..=27 | 48)
            && (16..=u32::from(on_wire) + ERF_AROUND_MAX).contains(&u32::from(length));
        if !is_record {
            return false;
        }
        rest = rest.get(usize::from(length)..).unwrap_or_default();
    }
    head.len() >= 16
}

/// Bytes of an ERF record around its packet: the header, eight more, and padding.
const ERF_AROUND_MAX: u32 = 16 + 8 * 8 + 16;

/// Whether the bytes are printable ASCII and UTF-8 letters, with the usual white space.
fn is_text(head: &[u8]) -> bool {
    // The cut at HEAD_BYTES may fall into a character; up to three bytes of it are left.
    let whole = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    whole && head.iter().all(|&byte| byte >= 0x20 && byte != 0x7f || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c))
}

const fn capture(looks_like: &'static str, advice: &'static str) -> Foreign {
    Foreign { kind: ForeignKind::Capture, looks_like, advice }
}

const fn packed(looks_like: &'static str, advice: &'static str) -> Foreign {
    Foreign { kind: ForeignKind::Packed, looks_like, advice }
}

const fn other(looks_like: &'static str, advice: &'static str) -> Foreign {
    Foreign { kind: ForeignKind::Other, looks_like, advice }
}

const EDITCAP: &str = "convert it with `editcap -F pcap IN OUT` (from Wireshark)";
const MERGECAP: &str = "write it again with a current libpcap: `tcpdump -r IN -w OUT`";

const EMPTY: Foreign = other("the file is empty", "check the program that should have written it");
const ZEROS: Foreign =
    other("it begins with zeros only", "copy it again; it may have been allocated but never written");
const ERF: Foreign = capture("it looks like an Endace ERF capture", EDITCAP);
const TEXT: Foreign = other(
    "it looks like text",
    "name a binary capture, as `tcpdump -w` writes it; a hex dump can be turned into one with `text2pcap`",
);
const UNKNOWN: Foreign = other(
    "the first bytes belong to no format that we know",
    "if Wireshark opens it, convert it with `editcap -F pcap IN OUT`",
);

/// Offset, magic bytes, and what they mean. Capture formats are those of Wireshark's wiretap library.
const FOREIGN: &[(usize, &[u8], Foreign)] = &[
    (0, b"snoop\0\0\0", capture("it is a Solaris snoop capture (RFC 1761)", EDITCAP)),
    (0, b"GMBU", capture("it is a Microsoft Network Monitor 2 capture", EDITCAP)),
    (0, b"RTSS", capture("it is a Microsoft Network Monitor 1 capture", EDITCAP)),
    (0, b"TRSNIFF data    \x1a", capture("it is a Network General Sniffer capture", EDITCAP)),
    (0, b"XCP\0", capture("it is a NetXray or Windows Sniffer capture", EDITCAP)),
    (0, b"VL\0\0", capture("it is an old NetXray capture", EDITCAP)),
    (0, b"\x05VNF", capture("it is a Visual Networks capture", EDITCAP)),
    (0, b"\x7fver", capture("it is a Savvius OmniPeek capture", EDITCAP)),
    (0, b"iptrace ", capture("it is an AIX iptrace capture", EDITCAP)),
    (0, b"btsnoop\0", capture("it is a Bluetooth btsnoop log, which holds no network traffic", "leave it out")),
    (0, &[0xa1, 0xb2, 0xc3, 0xcb], capture("it is a pcap variant of an old private libpcap", MERGECAP)),
    (0, &[0xcb, 0xc3, 0xb2, 0xa1], capture("it is a pcap variant of an old private libpcap", MERGECAP)),
    (0, &[0x1c, 0x00, 0x01, 0xac], capture("it is an IXIA hardware capture", EDITCAP)),
    (0, &[0xac, 0x01, 0x00, 0x1c], capture("it is an IXIA hardware capture", EDITCAP)),
    (0, &[0x1c, 0x00, 0x01, 0xab], capture("it is an IXIA software capture", EDITCAP)),
    (0, &[0xab, 0x01, 0x00, 0x1c], capture("it is an IXIA software capture", EDITCAP)),
    (
        0,
        b"\xfd7zXZ\0",
        packed("it is compressed with xz", "unpack it with `xz -d FILE`, or pipe `xz -dc FILE` into `-`"),
    ),
    (
        0,
        b"BZh",
        packed("it is compressed with bzip2", "unpack it with `bzip2 -d FILE`, or pipe `bzip2 -dc FILE` into `-`"),
    ),
    (
        0,
        b"\x04\x22\x4d\x18",
        packed("it is compressed with lz4", "unpack it with `lz4 -d FILE`, or pipe `lz4 -dc FILE` into `-`"),
    ),
    (0, b"\x1f\x9d", packed("it is compressed with compress", "unpack it with `uncompress FILE`")),
    (0, b"PK\x03\x04", packed("it is a zip archive", "unpack it with `unzip FILE` and name the folder")),
    (0, b"7z\xbc\xaf\x27\x1c", packed("it is a 7-Zip archive", "unpack it with `7z x FILE` and name the folder")),
    (0, b"Rar!\x1a\x07", packed("it is a RAR archive", "unpack it with `unrar x FILE` and name the folder")),
    (257, b"ustar", packed("it is a tar archive", "unpack it with `tar -xf FILE` and name the folder")),
];

/// A compressed file within a compressed file.
pub(super) const NESTED: Foreign =
    packed("it is compressed twice", "undo the outer compression with `gzip -d FILE` or `zstd -d FILE`");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn looks_like(head: &[u8]) -> &'static str {
        match recognise(head) {
            Format::Foreign(foreign) => foreign.looks_like,
            known => panic!("{known:?}"),
        }
    }

    #[test]
    fn every_magic_is_recognised_and_no_prefix_of_it_panics() {
        for magic in [[0xa1, 0xb2, 0xc3, 0xd4], [0xa1, 0xb2, 0x3c, 0x4d], [0xa1, 0xb2, 0xcd, 0x34]] {
            assert_eq!(recognise(&magic), Format::Pcap);
            let mut swapped = magic;
            swapped.reverse();
            assert_eq!(recognise(&swapped), Format::Pcap);
        }
        assert_eq!(recognise(b"\x0a\x0d\x0d\x0a"), Format::Pcapng);
        assert_eq!(recognise(b"\x1f\x8b\x08\0"), Format::Gzip);
        assert_eq!(recognise(&[0x28, 0xb5, 0x2f, 0xfd]), Format::Zstd);
        assert_eq!(recognise(&[0x5a, 0x2a, 0x4d, 0x18]), Format::Zstd);
        for (at, magic, foreign) in FOREIGN {
            let mut head = vec![0xee; *at];
            head.extend_from_slice(magic);
            assert_eq!(recognise(&head), Format::Foreign(*foreign));
            (0..head.len()).for_each(|end| _ = recognise(&head[..end]));
        }
    }

    #[test]
    fn what_has_no_magic_is_still_named() {
        assert_eq!(looks_like(b""), EMPTY.looks_like);
        assert_eq!(looks_like(&[0; 64]), ZEROS.looks_like);
        assert_eq!(looks_like(b"15:43:54.449556 IP 10.20.0.5 > 10.0.0.1\n"), TEXT.looks_like);
        assert_eq!(looks_like("Größe".as_bytes()), TEXT.looks_like);
        assert_eq!(looks_like(b"\x7fELF\x02\x01\x01"), UNKNOWN.looks_like);
        // 2020-09-13, type 2 (Ethernet), record length 80.
        let erf = [0, 0, 0, 0, 0x00, 0x68, 0x5e, 0x5f, 2, 4, 0, 80, 0, 0, 0, 62];
        assert_eq!(looks_like(&erf), ERF.looks_like);
        let mut two = erf.to_vec();
        two.resize(80, 0);
        two.extend_from_slice(&erf);
        assert_eq!(looks_like(&two), ERF.looks_like);
        // The second record is none, then the first one: of no assigned type, or far longer than its packet.
        for (at, byte) in [(88, 0x2e), (8, 0x2e), (10, 0x40)] {
            let mut wrong = two.clone();
            wrong[at] = byte;
            assert_eq!(looks_like(&wrong), UNKNOWN.looks_like, "{at}");
        }
        assert_eq!(looks_like(b"glibc-ld.so.cache1.1\0\x06\0\0"), UNKNOWN.looks_like);
    }
}
