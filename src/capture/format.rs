//! Recognises what a file holds by its first bytes, never by its name.

/// Bytes that [`recognise`] wants to see, if the file has them; a tar archive shows itself only at byte 257.
pub(super) const HEAD_BYTES: usize = 512;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Pcap,
    Pcapng,
    Snoop,
    Netmon,
    Netxray,
    Sniffer,
    Erf,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    Lz4,
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
#[non_exhaustive]
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
        // The .xz file format, section 2.1.1.
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => return Format::Xz,
        // Block size, then the first block's magic number, or that of the end.
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => return Format::Bzip2,
        [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, ..] => return Format::Bzip2,
        // LZ4 frame format, version 1.6.
        [0x04, 0x22, 0x4d, 0x18, ..] => return Format::Lz4,
        [b's', b'n', b'o', b'o', b'p', 0, 0, 0, ..] => return Format::Snoop,
        [b'G', b'M', b'B', b'U', ..] | [b'R', b'T', b'S', b'S', ..] => return Format::Netmon,
        [b'X', b'C', b'P', 0, ..] | [b'V', b'L', 0, 0, ..] => return Format::Netxray,
        _ if head.starts_with(b"TRSNIFF data    \x1a") => return Format::Sniffer,
        _ => {}
    }
    let known = FOREIGN.iter().find(|(at, magic, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    // Text is none: "15:43:54.449556" read as an ERF record is a frame of 1997.
    let is_erf = known.is_none() && !head.iter().all(|&byte| byte == 0) && !is_text(head) && super::erf::is_erf(head);
    if is_erf {
        return Format::Erf;
    }
    Format::Foreign(match known {
        Some((_, _, foreign)) => *foreign,
        None if head.is_empty() => EMPTY,
        None if head.iter().all(|&byte| byte == 0) => ZEROS,
        None if is_text(head) => TEXT,
        None => UNKNOWN,
    })
}

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
    (0, b"\x1f\x9d", packed("it is compressed with compress", "unpack it with `uncompress FILE`")),
    (0, b"PK\x03\x04", packed("it is a zip archive", "unpack it with `unzip FILE` and name the folder")),
    (0, b"7z\xbc\xaf\x27\x1c", packed("it is a 7-Zip archive", "unpack it with `7z x FILE` and name the folder")),
    (0, b"Rar!\x1a\x07", packed("it is a RAR archive", "unpack it with `unrar x FILE` and name the folder")),
    (257, b"ustar", packed("it is a tar archive", "unpack it with `tar -xf FILE` and name the folder")),
];

/// A compressed file that this build cannot unpack.
#[cfg(not(feature = "compression"))]
pub(super) const NOT_UNPACKED: Foreign = packed(
    "it is compressed with bzip2, lz4, xz or zstd, and this build unpacks gzip alone",
    "unpack it, or build kaspector with the feature `compression`",
);

/// A compressed file within a compressed file.
pub(super) const NESTED: Foreign = packed(
    "it is compressed twice",
    "undo the outer compression, with `gzip -d`, `zstd -d`, `xz -d`, `bzip2 -d` or `lz4 -d`",
);

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
        assert_eq!(recognise(b"\xfd7zXZ\0"), Format::Xz);
        assert_eq!(recognise(b"BZh91AY&SY"), Format::Bzip2);
        assert_eq!(recognise(b"BZh of something else"), Format::Foreign(TEXT));
        assert_eq!(recognise(b"\x04\x22\x4d\x18"), Format::Lz4);
        assert_eq!(recognise(b"snoop\0\0\0"), Format::Snoop);
        assert_eq!(recognise(b"GMBU"), Format::Netmon);
        assert_eq!(recognise(b"RTSS"), Format::Netmon);
        assert_eq!(recognise(b"XCP\0"), Format::Netxray);
        assert_eq!(recognise(b"TRSNIFF data    \x1a"), Format::Sniffer);
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
        // What the dynamic linker keeps began like a record of ERF, before more was asked for.
        assert_eq!(looks_like(b"glibc-ld.so.cache1.1\x8a\x0f\0\0\xa0\x3a\0\0"), UNKNOWN.looks_like);
        let erf = [0, 0, 0, 0, 0x00, 0x68, 0x5e, 0x5f, 2, 4, 0, 80, 0, 0, 0, 62];
        assert_eq!(looks_like(&erf), UNKNOWN.looks_like, "one record, and it is cut");
    }
}
