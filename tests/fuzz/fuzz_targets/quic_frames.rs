//! Frames of Initial packets, which the target protects as a client does, with the keys of RFC 9001 appendix A.1: no mutation would
//! ever get past the seal. Each packet stands behind two bytes of length.
#![no_main]

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::aead::AeadInOut;
use kaspector::flow::Side;
use kaspector::inspect::quic::recognise;
use kaspector::inspect::{InitialConversation, Observation};

const DCID: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
const KEY: [u8; 16] = 0x1f36_9613_dd76_d546_7730_efcb_e3b1_a22d_u128.to_be_bytes();
const HEADER_KEY: [u8; 16] = 0x9f50_449e_04a0_e810_283a_1e99_33ad_edd2_u128.to_be_bytes();
const IV: [u8; 12] = [0xfa, 0x04, 0x4b, 0x2f, 0x42, 0xa3, 0xfd, 0x3b, 0x46, 0xfb, 0x25, 0x5c];

/// A datagram with one Initial packet.
fn datagram(number: u8, frames: &[u8]) -> Vec<u8> {
    let mut payload = frames.to_vec();
    // The sample must lie within the packet.
    payload.resize(payload.len().max(20), 0);
    let mut packet = vec![0xc0, 0, 0, 0, 1, 8];
    packet.extend(DCID);
    packet.extend([0, 0]);
    packet.extend((0x8000_0000 | (payload.len() as u32 + 17)).to_be_bytes());
    packet.push(number);
    let mut nonce = IV;
    nonce[11] ^= number;
    let cipher = aes_gcm::Aes128Gcm::new(&KEY.into());
    cipher.encrypt_in_place(&nonce.into(), &packet, &mut payload).expect("short enough");
    let number_at = packet.len() - 1;
    packet.extend(payload);
    let sample: [u8; 16] = packet[number_at + 4..number_at + 20].try_into().expect("16 bytes");
    let mut mask = sample.into();
    aes::Aes128::new(&HEADER_KEY.into()).encrypt_block(&mut mask);
    packet[0] ^= mask[0] & 0x0f;
    packet[number_at] ^= mask[1];
    packet
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut conversation = InitialConversation::default();
    let mut hellos = 0;
    let mut see = |side, observation: &Observation<'_>| {
        assert!(side == Side::Low && matches!(observation, Observation::QuicClientHello { .. }));
        hellos += 1;
    };
    let mut rest = data;
    for number in 0..=u8::MAX {
        let [high, low, after @ ..] = rest else { break };
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (frames, after) = after.split_at(length);
        rest = after;
        let datagram = datagram(number, frames);
        assert!(recognise(&datagram));
        conversation.accept(Side::Low, &datagram, &mut see);
        assert!(conversation.held_bytes() <= 131_400);
    }
    conversation.finish(&mut see);
    assert!(hellos <= 1 && conversation.held_bytes() == 0);
});
