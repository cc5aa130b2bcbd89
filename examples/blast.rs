//! Sends frames over one end of a veth pair, or has them arrive there, as fast as it can or at a steady rate, and counts them.
//!
//! `cargo run --release --example blast -- IFACE --mix 20000 --rate 200000 --seconds 10 --handshakes 50`
//!
//! It refuses any interface but a veth: nothing here is meant for a real network. Prints one line:
//! `packets N bytes N seconds S rate R handshakes H`, where the rate is in packets per second.

#![allow(clippy::indexing_slicing)]

#[cfg(target_os = "linux")]
#[path = "../benches/traffic/mod.rs"]
mod traffic;

#[cfg(target_os = "linux")]
#[path = "../benches/traffic/readdress.rs"]
mod readdress;

#[cfg(target_os = "linux")]
#[path = "../benches/traffic/arrivals.rs"]
mod arrivals;

#[cfg(target_os = "linux")]
#[path = "../benches/traffic/wire.rs"]
mod wire;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    blasting::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("blast needs the packet sockets of Linux");
}

#[cfg(target_os = "linux")]
mod blasting {
    use super::arrivals::{Arrivals, FRAME_BYTES};
    use super::readdress::{NEXT, checksum, readdress};
    use super::traffic::{ACK, Generator, KASPERSKY, Pair, Receiver, SYN, client_hello};
    use super::wire::{BATCH, Wire};
    use anyhow::{Context, bail, ensure};
    use clap::{ArgGroup, Parser};
    use kaspector::capture::{Block, CaptureFile, LinkType};
    use std::io;
    use std::path::{Path, PathBuf};
    use std::time::{Duration, Instant};

    /// First address of those that shake hands: no other traffic here comes from 172.16.0.0/12.
    const HANDSHAKE_CLIENTS: u32 = 0xac10_0000;
    const HANDSHAKE_CLIENTS_MAX: u64 = 1 << 20;
    /// Frames of a flood before it begins anew, from other addresses.
    const FLOOD_FRAMES: u64 = 1 << 16;
    /// Waits shorter than this are spun through: the timer is not as fine.
    const SPIN: Duration = Duration::from_micros(200);

    /// Sends frames over a veth interface and counts them.
    #[derive(Parser)]
    #[command(group = ArgGroup::new("traffic").required(true))]
    struct Arguments {
        /// Interface to send over: one end of a veth pair
        interface: String,
        /// Frames of a capture file, in order, again and again
        #[arg(long, group = "traffic", value_name = "PATH")]
        file: Option<PathBuf>,
        /// 60-byte frames of so many flows
        #[arg(long, group = "traffic", value_name = "FLOWS")]
        small: Option<u64>,
        /// The enterprise mix, so many flows of it
        #[arg(long, group = "traffic", value_name = "FLOWS")]
        mix: Option<u64>,
        /// SYNs, each of a new flow
        #[arg(long, group = "traffic")]
        syn: bool,
        /// UDP datagrams between random addresses, of random bytes
        #[arg(long, group = "traffic")]
        udp: bool,
        /// 60-byte frames of 131,072 flows that nobody sends: they arrive at the interface, several times as many as go
        /// otherwise. Root only
        #[arg(long, group = "traffic", conflicts_with_all = ["handshakes", "rewrite"])]
        arrivals: bool,
        /// Packets per second [default: as many as go]
        #[arg(long)]
        rate: Option<u64>,
        /// How long
        #[arg(long, default_value = "10")]
        seconds: f64,
        /// End after so many frames of the traffic, if that is sooner
        #[arg(long)]
        packets: Option<u64>,
        /// Each time the frames begin anew, they come from other clients, so that flows stay distinct
        #[arg(long)]
        rewrite: bool,
        /// TLS handshakes per second among the rest, each for a Kaspersky name and from an address of its own in 172.16.0.0/12
        #[arg(long, default_value = "0")]
        handshakes: f64,
        /// Send even where the interface is not a veth
        #[arg(long)]
        really: bool,
    }

    pub fn run() -> anyhow::Result<()> {
        let arguments = Arguments::parse();
        let interface = &arguments.interface;
        let mut wire = Wire::open(interface).with_context(|| format!("{interface} cannot be opened for sending"))?;
        if !arguments.really {
            let driver = wire.driver(interface).unwrap_or_default();
            ensure!(driver == "veth", "{interface} is no veth interface ({driver:?}): real networks are not for this");
        }
        if arguments.arrivals {
            arrive(&arguments)?.print();
            return Ok(());
        }
        let mut frames = Frames::default();
        let mut generator = Generator::new(&mut frames, 7, 1);
        let mut rewrite = arguments.rewrite;
        if let Some(path) = &arguments.file {
            frames = read(path)?;
        } else if let Some(flows) = arguments.small {
            ensure!(flows > 0, "--small: at least one flow");
            generator.small64((2 * flows).clamp(1 << 16, 1 << 22), flows)?;
        } else if let Some(flows) = arguments.mix {
            generator.mix(flows)?;
        } else if arguments.syn {
            generator.syn_flood(FLOOD_FRAMES, None)?;
            rewrite = true;
        } else {
            random_datagrams(&mut generator)?;
            rewrite = true;
        }
        ensure!(!frames.ends.is_empty(), "there are no frames to send");
        if arguments.file.is_none() {
            frames.each(checksum);
        }
        blast(&mut wire, &mut frames, &arguments, rewrite)?.print();
        Ok(())
    }

    /// Frames one behind the other.
    #[derive(Default)]
    struct Frames {
        bytes: Vec<u8>,
        ends: Vec<usize>,
    }

    impl Receiver for Frames {
        fn frame(&mut self, _at: u64, bytes: &[u8]) -> io::Result<()> {
            self.bytes.extend_from_slice(bytes);
            self.ends.push(self.bytes.len());
            Ok(())
        }
    }

    impl Frames {
        fn start(&self, number: usize) -> usize {
            number.checked_sub(1).map_or(0, |before| self.ends[before])
        }

        fn each(&mut self, change: impl Fn(&mut [u8])) {
            let mut start = 0;
            for &end in &self.ends {
                change(&mut self.bytes[start..end]);
                start = end;
            }
        }

        fn of(&self, numbers: std::ops::Range<usize>) -> impl Iterator<Item = &[u8]> {
            let start = self.start(numbers.start);
            self.ends[numbers].iter().scan(start, |start, &end| Some(&self.bytes[std::mem::replace(start, end)..end]))
        }
    }

    fn read(path: &Path) -> anyhow::Result<Frames> {
        let (mut source, mut block, mut frames) = (CaptureFile::open(path)?, Block::default(), Frames::default());
        while source.next_block(&mut block)? {
            for frame in block.frames() {
                ensure!(frame.link_type == LinkType::ETHERNET, "{}: its frames are not Ethernet", path.display());
                frames.frame(0, frame.bytes)?;
            }
        }
        Ok(frames)
    }

    fn random_datagrams(generator: &mut Generator<'_>) -> io::Result<()> {
        for number in 0..FLOOD_FRAMES {
            let draw = generator.random.next();
            let pair = Pair { client_port: draw as u16, server_port: (draw >> 16) as u16, ..Pair::of(number, 0) };
            let mut payload = [0; 512];
            for part in payload.chunks_exact_mut(8) {
                part.copy_from_slice(&generator.random.next().to_ne_bytes());
            }
            generator.udp(pair, draw >> 63 == 0, &payload[..1 + (draw >> 32) as usize % payload.len()])?;
        }
        Ok(())
    }

    #[derive(Default)]
    struct Sent {
        packets: u64,
        bytes: u64,
        handshakes: u64,
        elapsed: Duration,
    }

    impl Sent {
        fn print(&self) {
            let seconds = self.elapsed.as_secs_f64();
            println!(
                "packets {} bytes {} seconds {seconds:.3} rate {:.0} handshakes {}",
                self.packets,
                self.bytes,
                self.packets as f64 / seconds,
                self.handshakes
            );
        }
    }

    /// Has frames arrive in place of sending them.
    fn arrive(arguments: &Arguments) -> anyhow::Result<Sent> {
        // The kernel prepares each burst for some milliseconds, so the larger the faster.
        const BURST: u64 = 1 << 18;
        let mut template = Frames::default();
        let pair = Pair { client_port: 40_000, ..Pair::of(0, 443) };
        Generator::new(&mut template, 7, 1).tcp(pair, true, ACK, 1, 1, &[])?;
        let template: [u8; FRAME_BYTES] = template.bytes[..FRAME_BYTES].try_into()?;
        let mut arrivals =
            Arrivals::at(&arguments.interface, template, checksum).context("no program for XDP can be loaded")?;
        let limit = arguments.packets.unwrap_or(u64::MAX);
        let each = arguments.rate.filter(|&rate| rate > 0).map_or(0.0, |rate| 1e9 / rate as f64);
        // What a frame's way takes is not known yet, so the first come too slowly.
        let (mut pause, mut burst) = (each, if each > 0.0 { BURST / 16 } else { BURST });
        let (mut sent, begun) = (Sent::default(), Instant::now());
        while sent.packets < limit && begun.elapsed().as_secs_f64() < arguments.seconds {
            arrivals.pause(pause as u32)?;
            let (count, start) = (burst.min(limit - sent.packets), Instant::now());
            arrivals.arrive(count as u32).context("frames cannot arrive at this interface")?;
            sent.packets += count;
            let took = start.elapsed().as_secs_f64() * 1e9 / count as f64;
            pause = (pause + each - took).clamp(0.0, 80_000.0);
            burst = arguments.rate.map_or(BURST, |rate| (rate / 4).clamp(BURST / 64, BURST));
        }
        sent.bytes = sent.packets * FRAME_BYTES as u64;
        sent.elapsed = begun.elapsed();
        Ok(sent)
    }

    fn blast(wire: &mut Wire, frames: &mut Frames, arguments: &Arguments, rewrite: bool) -> anyhow::Result<Sent> {
        let mut sent = Sent::default();
        let limit = arguments.packets.unwrap_or(u64::MAX);
        // At most 100 microseconds of frames at a time.
        let batch = arguments.rate.map_or(BATCH as u64, |rate| (rate / 10_000).clamp(1, BATCH as u64)) as usize;
        let begun = Instant::now();
        let (mut at, mut traffic) = (0, 0_u64);
        while traffic < limit {
            let elapsed = begun.elapsed().as_secs_f64();
            if elapsed >= arguments.seconds {
                break;
            }
            if sent.handshakes < (elapsed * arguments.handshakes) as u64 {
                let handshake = handshake(sent.handshakes)?;
                send_all(wire, &handshake, 0..handshake.ends.len(), &mut sent)?;
                sent.handshakes += 1;
            }
            let until = (at + batch.min(usize::try_from(limit - traffic)?)).min(frames.ends.len());
            if rewrite && traffic >= frames.ends.len() as u64 {
                let mut start = frames.start(at);
                for number in at..until {
                    let end = frames.ends[number];
                    readdress(&mut frames.bytes[start..end], NEXT);
                    start = end;
                }
            }
            send_all(wire, frames, at..until, &mut sent)?;
            traffic += (until - at) as u64;
            at = if until == frames.ends.len() { 0 } else { until };
            if let Some(rate) = arguments.rate.filter(|&rate| rate > 0) {
                wait(begun + Duration::from_secs_f64(sent.packets as f64 / rate as f64));
            }
        }
        sent.elapsed = begun.elapsed();
        Ok(sent)
    }

    /// Sends the frames `numbers`; waits where the interface is busy.
    fn send_all(
        wire: &mut Wire,
        frames: &Frames,
        mut numbers: std::ops::Range<usize>,
        sent: &mut Sent,
    ) -> anyhow::Result<()> {
        let mut busy = 0;
        while !numbers.is_empty() {
            let until = numbers.end.min(numbers.start + BATCH);
            let taken = wire.send(frames.of(numbers.start..until)).context("the interface takes no frames")?;
            if taken == 0 {
                busy += 1;
                if busy > 1_000_000 {
                    bail!("the interface stays busy");
                }
                std::hint::spin_loop();
            }
            sent.packets += taken as u64;
            sent.bytes += (frames.ends[..numbers.start + taken].last().copied().unwrap_or(0)
                - frames.start(numbers.start)) as u64;
            numbers.start += taken;
        }
        Ok(())
    }

    fn wait(until: Instant) {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            match left.checked_sub(SPIN) {
                Some(longer) if !longer.is_zero() => std::thread::sleep(longer),
                _ => std::hint::spin_loop(),
            }
        }
    }

    /// SYN, its answer, and a hello for a Kaspersky name.
    fn handshake(number: u64) -> io::Result<Frames> {
        let mut frames = Frames::default();
        let mut generator = Generator::new(&mut frames, 7, 1);
        let client = HANDSHAKE_CLIENTS + (number % HANDSHAKE_CLIENTS_MAX) as u32;
        let pair = Pair { client, ..Pair::of(number, 443) };
        let name = KASPERSKY[number as usize % KASPERSKY.len()];
        generator.tcp(pair, true, SYN, u32::MAX, 0, &[])?;
        generator.tcp(pair, false, SYN | ACK, u32::MAX, 0, &[])?;
        generator.tcp(pair, true, ACK, 0, 0, &client_hello(name, 517))?;
        frames.each(checksum);
        Ok(frames)
    }
}
