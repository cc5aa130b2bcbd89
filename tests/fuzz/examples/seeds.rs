//! Writes the seeds of every target: `seeds PCAPS SIGNATURES CORPUS`.
//!
//! Frames, payloads and streams come from the captures, indicators from the signature files. A seed's name is the hash of its bytes, so
//! a second run adds nothing.

use kaspector::capture::{Block, CaptureFile, LinkType};
use kaspector::decode::{Decoder, Segment, Transport};
use kaspector::flow::{FlowKey, Origin, Side, Stream, StreamCounters};
use kaspector::inspect::{
    DatagramProtocol, Match, dns, ftp, http, lines, preamble, proxy_protocol, quic, recognise_datagram, reputation, syslog,
    smtp, socks, tds, tls,
};
use kaspector_cli::inputs::expand;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

/// Longest seed; longer ones only slow a fuzzer down.
const SEED_MAX: usize = 48 << 10;
/// Streams that begin with their pieces' choice.
const PIECES: [u8; 2] = [40, 1];

/// Endings of file names, and what they may mean by the numbers of the target `capture_formats`.
const FORMATS: [(&str, &[u8]); 4] = [("snoop", &[0]), ("cap", &[1, 2, 3, 4, 5]), ("enc", &[6]), ("erf", &[7])];

/// Beginnings that no capture has.
const MADE: [(&str, &[u8]); 9] = [
    (
        "eve_log",
        br#"{"timestamp":"2026-11-24T03:39:09.280040+0000","flow_id":1,"event_type":"dns","src_ip":"10.0.0.5","src_port":52616,"dest_ip":"10.0.0.53","dest_port":53,"proto":"UDP","dns":{"version":2,"type":"answer","id":1,"flags":"8180","rd":true,"rrname":"s07.upd.kaspersky.com","rrtype":"A","rcode":"NOERROR","answers":[{"rrname":"s07.upd.kaspersky.com","rrtype":"A","ttl":300,"rdata":"198.51.100.10"}]}}"#,
    ),
    (
        "eve_log",
        br#"{"timestamp":"2026-11-24T03:39:09.282434+0000","flow_id":2,"event_type":"tls","src_ip":"10.0.0.5","src_port":55400,"dest_ip":"198.51.100.10","dest_port":443,"proto":"TCP","tls":{"sni":"s07.upd.kaspersky.com","version":"TLS 1.2","subject":"CN=a","issuerdn":"CN=b"}}"#,
    ),
    ("google_quic", b"\x0d01234567Q043\x01CHLO\x01\0\0\0SNI\0\x0b\0\0\0dns.example"),
    ("identity", b"\x00\xffNOTIFY * HTTP/1.1\r\nSERVER: Linux/3.10 UPnP/1.0\r\n\r\n"),
    ("identity", b"\x04\xffNTLMSSP\0\x01\0\0\0\x01\x32\0\x02\x04\0\x04\0\x2b\0\0\0\x03\0\x03\0\x28\0\0\0\x0a\0\x61\x4a\0\0\0\x0fPC1CORP"),
    ("identity", b"\x07\xff\x02\x07\x04\x02\0\0\0\0\x01\x0a\x03sw1\x0c\x05IOS 1\x10\x0c\x05\x01\x0a\0\0\x02\x02\0\0\0\x01\0\0\0"),
    ("proxy_protocol", b"\x28\x01PROXY TCP4 192.0.2.1 192.0.2.2 4000 443\r\n"),
    ("proxy_protocol", b"\x28\x01\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x0f\xa0\x01\xbb"),
    ("tds", b"\x28\x01\x12\x01\0\x10\0\0\x01\0\x16\x03\x01\0\x03\x01\0\0"),
];

/// Segments of one flow that are made into a seed.
#[derive(Default)]
struct Flow {
    streams: [Stream; 2],
    bytes: [Vec<u8>; 2],
    /// Seeds of `conversation`, `quic` and `sessions`.
    conversation: Vec<u8>,
    datagrams: Vec<u8>,
    session: Vec<u8>,
}

struct Corpus(PathBuf);

impl Corpus {
    fn add(&self, target: &str, seed: &[&[u8]]) -> Result<(), Box<dyn Error>> {
        let seed = seed.concat();
        if seed.is_empty() || seed.len() > SEED_MAX {
            return Ok(());
        }
        let folder = self.0.join(target);
        std::fs::create_dir_all(&folder)?;
        let name: String = Sha256::digest(&seed).iter().take(10).map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(folder.join(format!("seed-{name}")), seed)?;
        Ok(())
    }

    fn capture(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let bytes = std::fs::read(path)?;
        self.add("capture_file", &[&bytes])?;
        let ending = path.extension().and_then(|ending| ending.to_str());
        for format in FORMATS.iter().filter(|(name, _)| ending == Some(name)).flat_map(|(_, formats)| *formats) {
            self.add("capture_formats", &[&[*format], &PIECES, &bytes])?;
        }
        self.add("detector", &[&bytes])?;
        self.add("differential", &[&bytes])?;
        self.add("scan_threads", &[&[0], &bytes])?;
        let Ok(mut file) = CaptureFile::open(path) else { return Ok(()) };
        let (mut block, mut decoder) = (Block::default(), Decoder::default());
        let mut flows: BTreeMap<u64, Flow> = BTreeMap::new();
        let mut first_frames = 0;
        let mut all_frames = Vec::new();
        while let Ok(true) = file.next_block(&mut block) {
            for frame in block.frames() {
                if first_frames < 8 {
                    first_frames += 1;
                    self.add("decode", &[&frame.link_type.0.to_be_bytes(), &[0], frame.bytes])?;
                }
                all_frames.extend([u8::from(frame.link_type == LinkType::RAW), 0]);
                all_frames.extend((frame.bytes.len() as u16).to_be_bytes());
                all_frames.extend(frame.bytes);
                if let Ok(segment) = decoder.decode(&frame) {
                    let (key, side) = FlowKey::of(&segment.five_tuple, &segment.zone);
                    flows.entry(key.hash(0)).or_default().take(&segment, side);
                }
            }
        }
        all_frames.truncate(SEED_MAX);
        self.add("fragments", &[&all_frames])?;
        for flow in flows.into_values() {
            self.flow(flow)?;
        }
        Ok(())
    }

    fn flow(&self, flow: Flow) -> Result<(), Box<dyn Error>> {
        for (target, seed) in
            [("conversation", &flow.conversation), ("quic", &flow.datagrams), ("sessions", &flow.session)]
        {
            self.add(target, &[seed.get(..SEED_MAX).unwrap_or(seed)])?;
        }
        for datagram in datagrams(&flow.datagrams) {
            if recognise_datagram(datagram) == DatagramProtocol::Dns {
                self.add("dns", &[&PIECES, datagram])?;
            }
            for reader in 0..3 {
                self.add("identity", &[&[reader, u8::MAX], datagram])?;
            }
            if quic::google_client_hello(datagram).is_some() || quic::unknown_version(datagram).is_some() {
                self.add("google_quic", &[datagram])?;
            }
        }
        for stream in &flow.bytes {
            let stream = stream.get(..SEED_MAX - 2).unwrap_or(stream);
            for (target, recognised) in [
                ("dns", dns::recognise_stream(stream)),
                ("tls", tls::recognise_client(stream)),
                ("tls", tls::recognise_server(stream)),
                ("http", http::recognise_request(stream)),
                ("responses", http::recognise_response(stream)),
                ("smtp", smtp::recognise(stream)),
                ("ftp", ftp::recognise(stream)),
                ("syslog", syslog::recognise(stream)),
                ("socks", socks::recognise(stream)),
                ("reputation", reputation::recognise(stream)),
                ("lines", lines::recognise(stream)),
                ("tds", tds::recognise(stream)),
                ("proxy_protocol", proxy_protocol::recognise(stream)),
            ] {
                if recognised == Match::Yes {
                    self.add(target, &[&PIECES, stream])?;
                }
            }
            if preamble::recognise(stream) == Match::Yes {
                self.add("preamble", &[stream])?;
            }
            // A certificate is what begins behind two lengths and can be read.
            if tls::recognise_server(stream) == Match::Yes
                && let Some(body) = (0..stream.len())
                    .filter_map(|at| stream.get(at..))
                    .find(|body| tls::Certificate::parse(body).is_some())
                && let Some((&[_, _, _, a, b, c], rest)) = body.split_first_chunk()
            {
                self.add("certificate", &[rest.get(..u32::from_be_bytes([0, a, b, c]) as usize).unwrap_or(rest)])?;
            }
            // A hello without its record is what CRYPTO frames carry, and a body what the parser takes.
            if tls::recognise_client(stream) == Match::Yes {
                let message = stream.get(5..).unwrap_or(&[]);
                let message = message.get(..message.len().min(1_900)).unwrap_or(&[]);
                self.add("tls", &[&PIECES, message.get(4..).unwrap_or(&[])])?;
                let (first, second) = message.split_at(message.len() / 2);
                let frames = [crypto(message.len() / 2, second), vec![1], crypto(0, first)].concat();
                self.add("quic_frames", &[&(frames.len() as u16).to_be_bytes(), &frames])?;
            }
        }
        Ok(())
    }

    fn signatures(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let text = std::fs::read_to_string(path)?;
        for indicator in text.split("[[indicator]]").skip(1).step_by(5) {
            self.add("signatures", &[b"version = \"1\"\n[[indicator]]", indicator.as_bytes()])?;
        }
        Ok(())
    }
}

impl Flow {
    fn take(&mut self, segment: &Segment<'_>, side: Side) {
        if segment.payload.is_empty() {
            return;
        }
        let at = usize::from(side == Side::High);
        let length = (segment.payload.len().min(0x3fff) as u16).to_be_bytes();
        let payload = segment.payload.get(..0x3fff).unwrap_or(segment.payload);
        match segment.transport {
            Transport::Tcp { seq, .. } => {
                let bytes = &mut self.bytes[at];
                self.streams[at].accept(
                    Origin::default(),
                    seq,
                    payload,
                    segment.payload_len,
                    &mut StreamCounters::default(),
                    |_, _, new| bytes.extend(new),
                );
                self.conversation.extend([at as u8, length[0], length[1]]);
                self.conversation.extend(payload);
                self.session.extend([(at as u8) << 3, 6, length[0], length[1]]);
            }
            Transport::Udp => {
                self.datagrams.extend([at as u8, length[0], length[1]]);
                self.datagrams.extend(payload);
                self.session.extend([16 | (at as u8) << 3, 6, length[0], length[1]]);
            }
        }
        self.session.extend(payload);
    }
}

fn datagrams(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while let [_, high, low, after @ ..] = rest {
        let (datagram, after) = after.split_at(usize::from(u16::from_be_bytes([*high, *low])).min(after.len()));
        all.push(datagram);
        rest = after;
    }
    all
}

/// A CRYPTO frame.
fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
    let two = |value: usize| (value as u16 | 0x4000).to_be_bytes();
    [&[6][..], &two(offset), &two(data.len()), data].concat()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [captures, signatures, corpus] = arguments.as_slice() else {
        return Err("usage: seeds PCAPS SIGNATURES CORPUS".into());
    };
    let corpus = Corpus(corpus.into());
    for (target, seed) in MADE {
        corpus.add(target, &[seed])?;
    }
    let endings = ["*.pcap*", "derived/*.pcap*", "derived/*.snoop", "derived/*.cap", "derived/*.enc", "derived/*.erf"];
    for pattern in endings.map(|ending| format!("{captures}/{ending}")) {
        for input in expand([pattern]) {
            if let kaspector_cli::inputs::Input::Named(path) | kaspector_cli::inputs::Input::Found(path) = input? {
                corpus.capture(&path)?;
            }
        }
    }
    for entry in std::fs::read_dir(signatures)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            corpus.signatures(&path)?;
        }
    }
    Ok(())
}
