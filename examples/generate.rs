//! Writes a generated capture for measurements: `cargo run --release --example generate -- mix 200000 mix.pcap`.

#[path = "../benches/traffic/mod.rs"]
mod traffic;

use std::io::{self, BufWriter, Write};
use traffic::{Generator, PcapWriter};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, count, path] = arguments.as_slice() else {
        return Err(io::Error::other("usage: generate mix|small64|churn|dns|tls|syn COUNT FILE"));
    };
    let count: u64 = count.parse().map_err(|_| io::Error::other(format!("{count} is no number")))?;
    let mut writer = PcapWriter::new(BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?))?;
    let mut generator = Generator::new(&mut writer, 7, 10_000);
    match kind.as_str() {
        "mix" => generator.mix(count),
        "small64" => generator.small64(count, 1_000_000),
        "churn" => generator.churn(count),
        "dns" => generator.dns(count),
        "tls" => generator.tls_handshakes(count),
        "syn" => generator.syn_flood(count, Some(10)),
        other => Err(io::Error::other(format!("unknown kind {other}"))),
    }?;
    io::stdout().flush()
}
