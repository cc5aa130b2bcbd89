//! Generated traffic for benchmarks: the same bytes for the same seed, in memory or as a capture file.

#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

pub mod blocks;

use std::io::{self, Write};

/// Names that one in two hundred flows of the mix asks for.
pub const KASPERSKY: [&str; 6] = [
    "s07.upd.kaspersky.com",
    "dc1-st.ksn.kaspersky-labs.com",
    "ksn-file-geo.kaspersky-labs.com",
    "activation-v2.kaspersky.com",
    "p11.upd.kaspersky.com",
    "ds.kaspersky.com",
];

/// Xorshift64*: fast, seeded, good enough for traffic.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Where generated frames go.
pub trait Receiver {
    /// Takes one frame, captured `at` nanoseconds after the epoch.
    fn frame(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
}

/// Writes a pcap file.
pub struct PcapWriter<W> {
    into: W,
}

impl<W: Write> PcapWriter<W> {
    pub fn new(mut into: W) -> io::Result<Self> {
        into.write_all(&0xa1b2_3c4d_u32.to_le_bytes())?;
        into.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
        into.write_all(&262_144_u32.to_le_bytes())?;
        into.write_all(&1_u32.to_le_bytes())?;
        Ok(Self { into })
    }
}

impl<W: Write> Receiver for PcapWriter<W> {
    fn frame(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let len = (bytes.len() as u32).to_le_bytes();
        self.into.write_all(&((at / 1_000_000_000) as u32).to_le_bytes())?;
        self.into.write_all(&((at % 1_000_000_000) as u32).to_le_bytes())?;
        self.into.write_all(&len)?;
        self.into.write_all(&len)?;
        self.into.write_all(bytes)
    }
}

/// Traffic with its clock: frames leave at a steady rate.
pub struct Generator<'r> {
    receiver: &'r mut dyn Receiver,
    pub random: Random,
    at: u64,
    step: u64,
    frame: Vec<u8>,
}

/// One flow's addresses: IPv4 and ports.
#[derive(Clone, Copy)]
pub struct Pair {
    pub client: u32,
    pub server: u32,
    pub client_port: u16,
    pub server_port: u16,
}

impl Pair {
    /// The addresses and ports of flow `number`.
    pub fn of(number: u64, server_port: u16) -> Self {
        let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            client: 0x0a00_0000 | (number as u32 & 0x00ff_ffff),
            server: 0xc633_6400 | (spread >> 40) as u32 & 0xff,
            client_port: 32_768 + (number >> 24) as u16 % 28_000 + (spread >> 50) as u16 % 1000,
            server_port,
        }
    }
}

pub const SYN: u8 = 2;
pub const ACK: u8 = 16;
const PSH: u8 = 8;

impl<'r> Generator<'r> {
    /// Frames `step` nanoseconds apart.
    pub fn new(receiver: &'r mut dyn Receiver, seed: u64, step: u64) -> Self {
        Self { receiver, random: Random::new(seed), at: 1_780_000_000_000_000_000, step, frame: Vec::new() }
    }

    fn ip(&mut self, pair: Pair, to_server: bool, protocol: u8, transport: &[u8], payload: &[u8]) -> io::Result<()> {
        let (src, dst) = if to_server { (pair.client, pair.server) } else { (pair.server, pair.client) };
        let frame = &mut self.frame;
        frame.clear();
        frame.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0]);
        frame.extend(((20 + transport.len() + payload.len()) as u16).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
        frame.extend(src.to_be_bytes());
        frame.extend(dst.to_be_bytes());
        frame.extend(transport);
        frame.extend(payload);
        let len = frame.len().max(60);
        frame.resize(len, 0);
        self.at += self.step;
        self.receiver.frame(self.at, frame)
    }

    /// Any frame.
    pub fn raw(&mut self, frame: &[u8]) -> io::Result<()> {
        self.at += self.step;
        self.receiver.frame(self.at, frame)
    }

    /// A TCP segment; `sequence` counts from the sender's first byte, which follows a SYN with number 999.
    pub fn tcp(
        &mut self,
        pair: Pair,
        to_server: bool,
        flags: u8,
        sequence: u32,
        ack: u32,
        payload: &[u8],
    ) -> io::Result<()> {
        let ports = if to_server { [pair.client_port, pair.server_port] } else { [pair.server_port, pair.client_port] };
        let mut header = [0; 20];
        header[..2].copy_from_slice(&ports[0].to_be_bytes());
        header[2..4].copy_from_slice(&ports[1].to_be_bytes());
        header[4..8].copy_from_slice(&1000_u32.wrapping_add(sequence).to_be_bytes());
        header[8..12].copy_from_slice(&1000_u32.wrapping_add(ack).to_be_bytes());
        header[12] = 0x50;
        header[13] = flags;
        header[14] = 0xff;
        let checksum = tcp_checksum(pair, &header, payload);
        header[16..18].copy_from_slice(&checksum.to_be_bytes());
        self.ip(pair, to_server, 6, &header, payload)
    }

    /// A UDP datagram.
    pub fn udp(&mut self, pair: Pair, to_server: bool, payload: &[u8]) -> io::Result<()> {
        let ports = if to_server { [pair.client_port, pair.server_port] } else { [pair.server_port, pair.client_port] };
        let mut header = [0; 8];
        header[..2].copy_from_slice(&ports[0].to_be_bytes());
        header[2..4].copy_from_slice(&ports[1].to_be_bytes());
        header[4..6].copy_from_slice(&((8 + payload.len()) as u16).to_be_bytes());
        self.ip(pair, to_server, 17, &header, payload)
    }

    /// The first fragment of an IPv4 datagram whose rest never comes.
    pub fn fragment(&mut self, pair: Pair, payload: &[u8]) -> io::Result<()> {
        let number = (self.random.next() as u16).to_be_bytes();
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        frame.extend(((20 + payload.len()) as u16).to_be_bytes());
        frame.extend([number[0], number[1], 0x20, 0, 64, 17, 0, 0]);
        frame.extend(pair.client.to_be_bytes());
        frame.extend(pair.server.to_be_bytes());
        frame.extend(payload);
        self.at += self.step;
        self.receiver.frame(self.at, &frame)
    }

    fn name(&mut self) -> String {
        let draw = self.random.next();
        if draw.is_multiple_of(200) {
            KASPERSKY[(draw >> 32) as usize % KASPERSKY.len()].to_owned()
        } else {
            format!("host{}.service{}.example{}.com", draw >> 56, (draw >> 40) & 0xff, (draw >> 20) & 0xfff)
        }
    }

    /// 60-byte frames of `flows` flows in random order, each a bare ACK.
    pub fn small64(&mut self, packets: u64, flows: u64) -> io::Result<()> {
        for _ in 0..packets {
            let draw = self.random.next();
            let pair = Pair::of(draw % flows, 443);
            self.tcp(pair, draw >> 63 == 0, ACK, 1, 1, &[])?;
        }
        Ok(())
    }

    /// The first packet of each of the flows that [`Self::small64`] draws from.
    pub fn open64(&mut self, flows: u64) -> io::Result<()> {
        (0..flows).try_for_each(|number| self.tcp(Pair::of(number, 443), true, ACK, 1, 1, &[]))
    }

    /// `flows` flows of one to three small packets.
    pub fn churn(&mut self, flows: u64) -> io::Result<()> {
        for number in 0..flows {
            let pair = Pair::of(number, 443);
            let count = 1 + self.random.below(3);
            self.tcp(pair, true, SYN, u32::MAX, 0, &[])?;
            if count > 1 {
                self.tcp(pair, false, SYN | ACK, u32::MAX, 0, &[])?;
            }
            if count > 2 {
                self.tcp(pair, true, ACK, 0, 0, &[])?;
            }
        }
        Ok(())
    }

    /// SYNs of ever new flows; out of `per` flows one is answered and completes a TLS hello.
    pub fn syn_flood(&mut self, packets: u64, per: Option<u64>) -> io::Result<()> {
        for number in 0..packets {
            let pair = Pair::of(number, 443);
            self.tcp(pair, true, SYN, u32::MAX, 0, &[])?;
            if per.is_some_and(|per| number.is_multiple_of(per)) {
                let name = self.name();
                self.tcp(pair, false, SYN | ACK, u32::MAX, 0, &[])?;
                self.tcp(pair, true, PSH | ACK, 0, 0, &client_hello(&name, 517))?;
            }
        }
        Ok(())
    }

    /// Queries and answers, one flow each.
    pub fn dns(&mut self, packets: u64) -> io::Result<()> {
        for number in 0..packets / 2 {
            let pair = Pair::of(number, 53);
            let name = self.name();
            self.udp(pair, true, &dns_message(number as u16, &name, false))?;
            self.udp(pair, false, &dns_message(number as u16, &name, true))?;
        }
        Ok(())
    }

    /// New TLS connections: handshake and hello, nothing else.
    pub fn tls_handshakes(&mut self, flows: u64) -> io::Result<()> {
        for number in 0..flows {
            let pair = Pair::of(number, 443);
            let name = self.name();
            self.tcp(pair, true, SYN, u32::MAX, 0, &[])?;
            self.tcp(pair, false, SYN | ACK, u32::MAX, 0, &[])?;
            self.tcp(pair, true, PSH | ACK, 0, 0, &client_hello(&name, 517))?;
        }
        Ok(())
    }

    /// An enterprise mix: `flows` flows, a few hundred of them at a time, mean frame about 780 bytes.
    pub fn mix(&mut self, flows: u64) -> io::Result<()> {
        let mut active: Vec<MixFlow> = Vec::new();
        let mut opened = 0;
        while opened < flows || !active.is_empty() {
            while active.len() < 512 && opened < flows {
                let flow = self.open_mix_flow(opened);
                active.push(flow);
                opened += 1;
            }
            let at = self.random.below(active.len() as u64) as usize;
            let mut flow = active.swap_remove(at);
            // A few packets of a flow usually come together.
            let mut alive = true;
            for _ in 0..1 + self.random.below(4) {
                alive = flow.step(self)?;
                if !alive {
                    break;
                }
            }
            if alive {
                active.push(flow);
            }
        }
        Ok(())
    }

    fn open_mix_flow(&mut self, number: u64) -> MixFlow {
        let draw = self.random.below(100);
        let name = self.name();
        let (kind, port, bulk) = match draw {
            0..45 => (MixKind::Tls, 443, 4 + self.random.below(24)),
            45..65 => (MixKind::Dns, 53, 0),
            65..80 => (MixKind::Http, 80, 2 + self.random.below(20)),
            80..95 => (MixKind::Udp, 443, 4 + self.random.below(20)),
            _ => (MixKind::Opaque, 5432, 2 + self.random.below(60)),
        };
        MixFlow { pair: Pair::of(number, port), kind, name, step: 0, bulk, sent: 0, received: 0 }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MixKind {
    Tls,
    Dns,
    Http,
    Udp,
    Opaque,
}

struct MixFlow {
    pair: Pair,
    kind: MixKind,
    name: String,
    step: u64,
    bulk: u64,
    sent: u32,
    received: u32,
}

const BULK: [u8; 1400] = [0x5a; 1400];

impl MixFlow {
    /// Sends the flow's next packet; false when it was the last.
    fn step(&mut self, into: &mut Generator<'_>) -> io::Result<bool> {
        let pair = self.pair;
        let step = self.step;
        self.step += 1;
        match self.kind {
            MixKind::Dns => {
                into.udp(pair, step == 0, &dns_message(step as u16, &self.name, step > 0))?;
                return Ok(step == 0);
            }
            MixKind::Udp => {
                into.udp(pair, step.is_multiple_of(4), &BULK[..1200])?;
                return Ok(step < self.bulk);
            }
            _ => {}
        }
        match step {
            0 => into.tcp(pair, true, SYN, u32::MAX, 0, &[])?,
            1 => into.tcp(pair, false, SYN | ACK, u32::MAX, 0, &[])?,
            2 => into.tcp(pair, true, ACK, 0, 0, &[])?,
            3 => {
                let request = match self.kind {
                    MixKind::Tls => client_hello(&self.name, 517),
                    MixKind::Http => http_request(&self.name),
                    _ => b"\x00\x00\x00\x2a\x00\x03\x00\x00user\x00app\x00".to_vec(),
                };
                into.tcp(pair, true, PSH | ACK, 0, 0, &request)?;
                self.sent = request.len() as u32;
            }
            _ if step.is_multiple_of(3) => into.tcp(pair, true, ACK, self.sent, self.received, &[])?,
            _ => {
                let first = match self.kind {
                    MixKind::Tls => &b"\x17\x03\x03\x05\x73"[..],
                    MixKind::Http if self.received == 0 => b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n",
                    _ => b"",
                };
                // The last segment of a message is seldom full.
                let len = if into.random.below(4) == 0 { 200 } else { BULK.len() };
                let mut payload = first.to_vec();
                payload.extend(&BULK[first.len()..len]);
                into.tcp(pair, false, ACK, self.received, self.sent, &payload)?;
                self.received += payload.len() as u32;
            }
        }
        Ok(step < 4 + self.bulk)
    }
}

/// A ClientHello record of about `len` bytes for `name`.
pub fn client_hello(name: &str, len: usize) -> Vec<u8> {
    let mut extensions = Vec::new();
    let mut extension = |kind: u16, body: &[u8]| {
        extensions.extend(kind.to_be_bytes());
        extensions.extend((body.len() as u16).to_be_bytes());
        extensions.extend(body);
    };
    let mut sni = ((name.len() + 3) as u16).to_be_bytes().to_vec();
    sni.push(0);
    sni.extend((name.len() as u16).to_be_bytes());
    sni.extend(name.as_bytes());
    extension(0, &sni);
    extension(10, &[0, 4, 0, 29, 0, 23]);
    extension(13, &[0, 4, 4, 3, 8, 4]);
    extension(16, b"\x00\x0c\x02h2\x08http/1.1");
    extension(43, &[4, 3, 4, 3, 3]);
    let padding = len.saturating_sub(extensions.len() + 4 + 9 + 34 + 33 + 8 + 2);
    extensions.extend(21_u16.to_be_bytes());
    extensions.extend((padding as u16).to_be_bytes());
    extensions.resize(extensions.len() + padding, 0);
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(32);
    body.extend([9; 32]);
    body.extend([0, 6, 0x13, 1, 0x13, 2, 0xc0, 0x2b, 1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut record = vec![22, 3, 1];
    record.extend(((body.len() + 4) as u16).to_be_bytes());
    record.push(1);
    record.extend(&(body.len() as u32).to_be_bytes()[1..]);
    record.extend(body);
    record
}

/// A query for `name`, or its answer with a CNAME and three addresses.
pub fn dns_message(id: u16, name: &str, answer: bool) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend(if answer { [0x81, 0x80, 0, 1, 0, 4, 0, 0, 0, 0] } else { [1, 0, 0, 1, 0, 0, 0, 0, 0, 0] });
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    if answer {
        message.extend(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x0c\x04edge\x03cdn\x01x\x00");
        let target = 0xc000 | (message.len() as u16 - 12);
        for host in 1..4 {
            message.extend(target.to_be_bytes());
            message.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, host]);
        }
    }
    message
}

/// A GET request with the headers of a browser.
pub fn http_request(host: &str) -> Vec<u8> {
    format!(
        "GET /assets/application.js?v=20260101 HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64)\r\n\
         Accept: */*\r\nAccept-Language: en-US,en;q=0.9\r\nAccept-Encoding: gzip, deflate\r\nReferer: http://{host}/\r\n\
         Connection: keep-alive\r\nCookie: session=0123456789abcdef\r\n\r\n"
    )
    .into_bytes()
}

/// Checksum of a segment between the two of a pair, in whatever direction (RFC 9293 section 3.1).
fn tcp_checksum(pair: Pair, header: &[u8], payload: &[u8]) -> u16 {
    let length = (header.len() + payload.len()) as u32;
    let addresses = [pair.client, pair.server, 6, length].map(|word| (word >> 16) + (word & 0xffff));
    let words = header.chunks(2).chain(payload.chunks(2));
    let words = words.map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let mut sum: u32 = addresses.into_iter().chain(words).sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
