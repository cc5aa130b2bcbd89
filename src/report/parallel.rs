//! Hosts are written one by one, and there may be hundreds of thousands: each processor writes some of them, and what it wrote is put
//! together in their order.

use std::io;
use std::panic::resume_unwind;
use std::thread::{Builder, available_parallelism, scope};

/// As many are written at a time by a thread. What they come to is kept until those before it are out.
const CHUNK: usize = 512;
/// Threads at most.
const THREADS_MAX: usize = 8;

/// Writes `all` in their order. `write`: writes some of them, without looking at the others.
pub(super) fn in_parallel<T: Sync>(
    out: &mut impl io::Write,
    all: &[T],
    write: impl Fn(&[T], &mut Vec<u8>) -> io::Result<()> + Sync,
) -> io::Result<()> {
    let threads = if all.len() > CHUNK { available_parallelism().map_or(1, usize::from).min(THREADS_MAX) } else { 1 };
    let write_to = |chunk: &[T], buffer: &mut Vec<u8>| {
        buffer.clear();
        write(chunk, buffer)
    };
    let (mut own, mut others) = (Vec::new(), vec![Vec::new(); threads - 1]);
    for wave in all.chunks(CHUNK * threads) {
        let (first, rest) = wave.split_at_checked(CHUNK).unwrap_or((wave, &[]));
        scope(|scope| {
            let others: Vec<_> = rest
                .chunks(CHUNK)
                .zip(&mut others)
                .map(|(chunk, buffer)| {
                    Builder::new().spawn_scoped(scope, move || write_to(chunk, buffer).map(|()| &*buffer))
                })
                .collect();
            write_to(first, &mut own)?;
            out.write_all(&own)?;
            for (other, chunk) in others.into_iter().zip(rest.chunks(CHUNK)) {
                match other {
                    Ok(other) => out.write_all(other.join().unwrap_or_else(|panic| resume_unwind(panic))?)?,
                    // No thread could be had.
                    Err(_) => {
                        write_to(chunk, &mut own)?;
                        out.write_all(&own)?;
                    }
                }
            }
            Ok::<_, io::Error>(())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(count: usize) -> Vec<u8> {
        let all: Vec<usize> = (0..count).collect();
        let mut out = Vec::new();
        in_parallel(&mut out, &all, |some, out| {
            some.iter().try_for_each(|number| io::Write::write_all(out, format!("{number}\n").as_bytes()))
        })
        .expect("memory takes all");
        out
    }

    #[test]
    fn the_order_is_that_of_one_thread() {
        for count in [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
            let expected: String = (0..count).map(|number| format!("{number}\n")).collect();
            assert!(written(count) == expected.as_bytes(), "{count}");
        }
    }

    #[test]
    fn a_failure_ends_it() {
        let all: Vec<usize> = (0..3 * CHUNK).collect();
        let failed = in_parallel(&mut Vec::new(), &all, |some, _| {
            if some.contains(&(2 * CHUNK)) { Err(io::Error::other("full")) } else { Ok(()) }
        });
        assert_eq!(failed.expect_err("one chunk fails").to_string(), "full");
    }
}
