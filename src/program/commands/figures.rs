//! Figures as a person reads them.

use std::time::Duration;

/// Packets and bits per second in words: `1.2 M packets/s  7.4 Gb/s`.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn rate(packets: u64, bytes: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(1e-6);
    let packets = scaled(packets as f64 / seconds);
    // `1.2 M packets/s`, but `7.4 Gb/s`.
    let separator = if packets.ends_with(' ') { "" } else { " " };
    format!("{packets}{separator}packets/s  {}b/s", scaled(bytes as f64 * 8.0 / seconds))
}

/// A number and the letter of its thousands, with a space between them or behind it.
#[must_use]
pub fn scaled(mut number: f64) -> String {
    for unit in ["", "k", "M", "G"] {
        if number < 999.5 {
            return if unit.is_empty() { format!("{number:.0} ") } else { format!("{number:.1} {unit}") };
        }
        number /= 1000.0;
    }
    format!("{number:.1} T")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_four_digits_at_most() {
        for (number, text) in
            [(0.0, "0 "), (999.0, "999 "), (999.6, "1.0 k"), (1_200_000.0, "1.2 M"), (7e15, "7000.0 T")]
        {
            assert_eq!(scaled(number), text);
        }
    }
}
