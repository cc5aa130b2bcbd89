//! Reads a pcap file into a reused buffer and walks its records: what any reader must at least do. `walk FILE` says how many records
//! there are, how long they are together, and something from each header, so that nothing is optimised away.

use std::fs::File;
use std::io::{self, Read};

const BUFFER: usize = 1 << 20;
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

fn main() -> io::Result<()> {
    let path = std::env::args().nth(1).ok_or_else(|| io::Error::other("usage: walk FILE"))?;
    let mut file = File::open(path)?;
    file.read_exact(&mut [0; FILE_HEADER])?;
    let mut buffer = vec![0; BUFFER];
    let (mut filled, mut records, mut bytes, mut times) = (0, 0_u64, 0_u64, 0_u64);
    loop {
        let read = file.read(buffer.get_mut(filled..).unwrap_or_default())?;
        if read == 0 {
            break;
        }
        filled += read;
        let mut at = 0;
        while let Some(header) = buffer.get(at..filled).and_then(|rest| rest.first_chunk::<RECORD_HEADER>()) {
            let words = u128::from_le_bytes(*header);
            #[allow(clippy::cast_possible_truncation)]
            let (time, len) = (words as u64, (words >> 64) as u32);
            let end = at + RECORD_HEADER + len as usize;
            if end > filled {
                break;
            }
            at = end;
            records += 1;
            bytes += u64::from(len);
            times ^= time;
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
    println!("{records} {bytes} {times:x}");
    Ok(())
}
