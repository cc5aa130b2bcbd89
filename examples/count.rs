//! Counts what comes over an interface and does nothing with it, through the same ring as `kaspector watch`: what any receiver must at
//! least spend.
//!
//! `cargo run --release --example count -- IFACE [--seconds N] [--ring-blocks N]` ends after N seconds or at SIGTERM. With `--touch` it
//! reads one byte of each frame, too: what it takes to have the frames come from the sender's cache to the receiver's.

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    counting::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("count needs the packet rings of Linux");
}

#[cfg(target_os = "linux")]
mod counting {
    use clap::Parser;
    use kaspector::capture::Frames;
    use kaspector_live::{Ring, RingOptions};
    use rustix::time::{ClockId, clock_gettime};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};
    use tokio::signal::unix::{SignalKind, signal};

    /// Frames asked for ahead of their turn, as many as the sensor asks for.
    const AHEAD: usize = 16;
    /// As long as the sensor's own.
    const WAIT: Duration = Duration::from_millis(100);

    /// Counts frames and does nothing with them.
    #[derive(Parser)]
    struct Arguments {
        /// Interface to count on
        interface: String,
        /// End after so many seconds [default: at SIGTERM]
        #[arg(long)]
        seconds: Option<f64>,
        /// Blocks of 1 MiB in the ring
        #[arg(long, default_value = "64")]
        ring_blocks: u32,
        /// Read the EtherType of each frame
        #[arg(long)]
        touch: bool,
        /// Bytes to take of each frame
        #[arg(long, default_value = "65535")]
        snaplen: u32,
    }

    pub fn run() -> anyhow::Result<()> {
        let arguments = Arguments::parse();
        let stop: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut terminate = runtime.block_on(async { signal(SignalKind::terminate()) })?;
        runtime.spawn(async move {
            terminate.recv().await;
            stop.store(true, Ordering::Relaxed);
        });
        let options =
            RingOptions { blocks: arguments.ring_blocks, snaplen: arguments.snaplen, ..RingOptions::default() };
        let mut ring = Ring::open(&arguments.interface, &options)?;
        eprintln!("Counting on {}", arguments.interface);
        let begun = Instant::now();
        let (mut packets, mut bytes) = (0_u64, 0_u64);
        loop {
            let is_last = stop.load(Ordering::Relaxed)
                || arguments.seconds.is_some_and(|seconds| begun.elapsed().as_secs_f64() >= seconds);
            let count = |frames: Frames<'_>| {
                let bytes = frames.records.iter().map(|record| u64::from(record.wire_len)).sum::<u64>();
                if arguments.touch {
                    let types = frames.iter().enumerate().map(|(index, frame)| {
                        frames.prefetch(index + AHEAD);
                        u64::from(frame.bytes.get(12).copied().unwrap_or_default())
                    });
                    std::hint::black_box(types.sum::<u64>());
                }
                (frames.len() as u64, bytes)
            };
            let came = ring.with_block(if is_last { Duration::ZERO } else { WAIT }, count)?;
            if let Some((more_packets, more_bytes)) = came {
                packets += more_packets;
                bytes += more_bytes;
            }
            if is_last && came.is_none() {
                break;
            }
        }
        let spent = clock_gettime(ClockId::ProcessCPUTime);
        let spent = spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9;
        let dropped = ring.statistics()?.drops;
        println!("packets {packets} bytes {bytes} dropped {dropped} cpu_seconds {spent:.3}");
        Ok(())
    }
}
