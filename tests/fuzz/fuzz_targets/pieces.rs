//! Cuts a stream into pieces, as a network does.

/// The pieces of `stream` that `seed` stands for: single bytes, small and large pieces in turn, or about equal ones.
pub fn pieces(seed: [u8; 2], stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let [largest, mut state] = seed.map(u64::from);
    let mut rest = stream;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let length = 1 + (state >> 33) % (1 + largest * largest / 8);
        let (piece, after) = rest.split_at((length as usize).min(rest.len()));
        rest = after;
        Some(piece)
    })
}
