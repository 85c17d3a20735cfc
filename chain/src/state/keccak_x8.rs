//! Eight keccak256 at once: a trie hashes thousands of short nodes that do not wait for each other.
//!
//! ```text
//!   AVX-512F   one register holds one word of all eight states
//!   AVX2       the same with four states, twice
//!   else       alloy's scalar keccak, eight times
//! ```
//!
//! The kind is chosen by the processor at run time. A state is 25 words of 64 bits; a message is taken in blocks of 17
//! words (136 bytes), padded with `0x01 … 0x80` (the Keccak of Ethereum, before FIPS 202 changed the padding). Lanes
//! whose messages have fewer blocks give their digest early and are then carried along. This file is the only place of
//! the repository with `unsafe`: to call a function compiled for a processor feature after looking for that feature.

use std::sync::OnceLock;

use alloy_primitives::{B256, keccak256};

/// Bytes that one permutation takes in.
pub(crate) const BLOCK_BYTES: usize = 136;

/// How eight messages are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lanes {
    /// One after the other.
    Scalar,
    /// Four beside each other. Only [`available`](Self::available) makes it.
    #[cfg(target_arch = "x86_64")]
    Avx2(Detected),
    /// Eight beside each other. Only [`available`](Self::available) makes it.
    #[cfg(target_arch = "x86_64")]
    Avx512(Detected),
}

/// Witness that the processor was asked and has the feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detected(());

impl Lanes {
    /// What this processor can do, the slowest first.
    pub fn available() -> Vec<Self> {
        let mut found = vec![Self::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                found.push(Self::Avx2(Detected(())));
            }
            if is_x86_feature_detected!("avx512f") {
                found.push(Self::Avx512(Detected(())));
            }
        }
        found
    }

    /// The fastest of them, looked for once.
    pub fn best() -> Self {
        static BEST: OnceLock<Lanes> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().last().copied().unwrap_or(Self::Scalar))
    }

    /// keccak256 of eight messages.
    pub fn keccak256_x8(self, messages: &[&[u8]; 8]) -> [B256; 8] {
        match self {
            Self::Scalar => messages.map(keccak256),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(Detected(())) => x86::four_twice(messages),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(Detected(())) => x86::eight(messages),
        }
    }
}

/// keccak256 of eight messages, in the fastest way that this processor has.
pub fn keccak256_x8(messages: &[&[u8]; 8]) -> [B256; 8] {
    Lanes::best().keccak256_x8(messages)
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "AVX-512 and AVX2 intrinsics")]
mod x86 {
    use std::arch::x86_64::*;

    use alloy_primitives::B256;

    use super::BLOCK_BYTES;

    const WORDS: usize = BLOCK_BYTES / 8;

    #[rustfmt::skip]
    const ROUND_CONSTANTS: [u64; 24] = [
        0x0000_0000_0000_0001, 0x0000_0000_0000_8082, 0x8000_0000_0000_808a, 0x8000_0000_8000_8000,
        0x0000_0000_0000_808b, 0x0000_0000_8000_0001, 0x8000_0000_8000_8081, 0x8000_0000_0000_8009,
        0x0000_0000_0000_008a, 0x0000_0000_0000_0088, 0x0000_0000_8000_8009, 0x0000_0000_8000_000a,
        0x0000_0000_8000_808b, 0x8000_0000_0000_008b, 0x8000_0000_0000_8089, 0x8000_0000_0000_8003,
        0x8000_0000_0000_8002, 0x8000_0000_0000_0080, 0x0000_0000_0000_800a, 0x8000_0000_8000_000a,
        0x8000_0000_8000_8081, 0x8000_0000_0000_8080, 0x0000_0000_8000_0001, 0x8000_0000_8000_8008,
    ];

    /// Keccak-f of 1,600 bits and the sponge around it, over `$lanes` states in registers of type `$word`.
    macro_rules! sponge {
        ($name:ident, $feature:literal, $lanes:literal, $word:ty, $zero:expr, $splat:expr,
         $xor:expr, $xor3:expr, $chi:expr, $rol:ident) => {
            #[target_feature(enable = $feature)]
            fn $name(messages: &[&[u8]; $lanes]) -> [B256; $lanes] {
                let blocks = messages.map(|message| message.len() / BLOCK_BYTES);
                let last = blocks.iter().copied().max().unwrap_or(0);
                let mut digests = [B256::ZERO; $lanes];
                let mut s: [$word; 25] = [$zero; 25];
                for block in 0..=last {
                    let mut input = [[0u64; $lanes]; WORDS];
                    for (lane, message) in messages.iter().enumerate() {
                        super::absorb(message, block, |word, value| input[word][lane] = value);
                    }
                    for (state, words) in s.iter_mut().zip(input) {
                        // SAFETY: both types are plain bits of one size.
                        let words: $word = unsafe { std::mem::transmute(words) };
                        *state = $xor(*state, words);
                    }
                    for constant in ROUND_CONSTANTS {
                        let mut c = [$zero; 5];
                        for x in 0..5 {
                            c[x] = $xor3($xor3(s[x], s[x + 5], s[x + 10]), s[x + 15], s[x + 20]);
                        }
                        for x in 0..5 {
                            let turned = $rol::<1, 63>(c[(x + 1) % 5]);
                            for y in [0, 5, 10, 15, 20] {
                                s[x + y] = $xor3(s[x + y], c[(x + 4) % 5], turned);
                            }
                        }
                        let mut carried = s[1];
                        sponge!(@turn s carried $rol
                            (10, 1), (7, 3), (11, 6), (17, 10), (18, 15), (3, 21), (5, 28), (16, 36),
                            (8, 45), (21, 55), (24, 2), (4, 14), (15, 27), (23, 41), (19, 56), (13, 8),
                            (12, 25), (2, 43), (20, 62), (14, 18), (22, 39), (9, 61), (6, 20), (1, 44));
                        for y in [0, 5, 10, 15, 20] {
                            let row = [s[y], s[y + 1], s[y + 2], s[y + 3], s[y + 4]];
                            for x in 0..5 {
                                s[y + x] = $chi(row[x], row[(x + 1) % 5], row[(x + 2) % 5]);
                            }
                        }
                        s[0] = $xor(s[0], $splat(constant.cast_signed()));
                    }
                    if blocks.contains(&block) {
                        // SAFETY: both types are plain bits of one size.
                        let words: [[u64; $lanes]; 4] =
                            unsafe { std::mem::transmute([s[0], s[1], s[2], s[3]]) };
                        for lane in (0..$lanes).filter(|&lane| blocks[lane] == block) {
                            for (part, word) in digests[lane].chunks_exact_mut(8).zip(&words) {
                                part.copy_from_slice(&word[lane].to_le_bytes());
                            }
                        }
                    }
                }
                digests
            }
        };
        // The steps rho and pi: along one cycle through all words but the first.
        (@turn $s:ident $carried:ident $rol:ident $(($to:literal, $by:literal)),*) => {
            $(
                let next = $s[$to];
                $s[$to] = $rol::<$by, { 64 - $by }>($carried);
                $carried = next;
            )*
            let _ = $carried;
        };
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn rol_512<const LEFT: i32, const RIGHT: u32>(word: __m512i) -> __m512i {
        _mm512_rol_epi64::<LEFT>(word)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn rol_256<const LEFT: i32, const RIGHT: i32>(word: __m256i) -> __m256i {
        _mm256_or_si256(_mm256_slli_epi64::<LEFT>(word), _mm256_srli_epi64::<RIGHT>(word))
    }

    #[rustfmt::skip]
    sponge!(
        keccak_512, "avx512f", 8, __m512i, _mm512_setzero_si512(), _mm512_set1_epi64, _mm512_xor_si512,
        |a, b, c| _mm512_ternarylogic_epi64::<0x96>(a, b, c),
        |a, b, c| _mm512_ternarylogic_epi64::<0xd2>(a, b, c),
        rol_512
    );

    #[rustfmt::skip]
    sponge!(
        keccak_256, "avx2", 4, __m256i, _mm256_setzero_si256(), _mm256_set1_epi64x, _mm256_xor_si256,
        |a, b, c| _mm256_xor_si256(a, _mm256_xor_si256(b, c)),
        |a, b, c| _mm256_xor_si256(a, _mm256_andnot_si256(b, c)),
        rol_256
    );

    pub(super) fn eight(messages: &[&[u8]; 8]) -> [B256; 8] {
        // SAFETY: `Lanes::Avx512` is made only where AVX-512F was detected.
        unsafe { keccak_512(messages) }
    }

    pub(super) fn four_twice(messages: &[&[u8]; 8]) -> [B256; 8] {
        let [a, b, c, d, e, f, g, h] = *messages;
        // SAFETY: `Lanes::Avx2` is made only where AVX2 was detected.
        let ([a, b, c, d], [e, f, g, h]) =
            unsafe { (keccak_256(&[a, b, c, d]), keccak_256(&[e, f, g, h])) };
        [a, b, c, d, e, f, g, h]
    }
}

/// Gives the words of a message's block, padded if it is the last one; nothing behind that.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn absorb(message: &[u8], block: usize, mut put: impl FnMut(usize, u64)) {
    let Some(rest) = message.get(block * BLOCK_BYTES..) else { return };
    let mut padded = [0; BLOCK_BYTES];
    let bytes = rest.first_chunk::<BLOCK_BYTES>().unwrap_or_else(|| {
        padded[..rest.len()].copy_from_slice(rest);
        padded[rest.len()] = 0x01;
        padded[BLOCK_BYTES - 1] |= 0x80;
        &padded
    });
    for (index, word) in bytes.as_chunks::<8>().0.iter().enumerate() {
        put(index, u64::from_le_bytes(*word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A generator that needs no seed from outside (xorshift64*).
    fn fill(state: &mut u64, bytes: &mut [u8]) {
        for byte in bytes {
            *state ^= *state >> 12;
            *state ^= *state << 25;
            *state ^= *state >> 27;
            *byte = state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0];
        }
    }

    fn check(messages: [&[u8]; 8]) {
        let expected = messages.map(keccak256);
        for lanes in Lanes::available() {
            assert_eq!(lanes.keccak256_x8(&messages), expected, "{lanes:?}");
        }
        assert_eq!(keccak256_x8(&messages), expected);
    }

    #[test]
    fn every_length_up_to_2000_beside_every_other_kind_of_length() {
        let mut bytes = vec![0; 2_100];
        fill(&mut 7, &mut bytes);
        for length in 0..=2_000 {
            let other = (length * 7 + 3) % 2_001;
            let lengths = [length, length, other, 0, length / 2, 135, 136, length];
            check(std::array::from_fn(|lane| &bytes[lane..lane + lengths[lane]]));
        }
    }

    /// `MSNET_KECCAK_INPUTS` sets how many; a million take half a minute.
    #[test]
    fn random_inputs_of_trie_like_lengths() {
        let asked = std::env::var("MSNET_KECCAK_INPUTS").ok().and_then(|text| text.parse().ok());
        let inputs: usize = asked.unwrap_or(100_000);
        let (mut state, mut bytes) = (0x9e37_79b9_7f4a_7c15, vec![0; 8 * 600]);
        for _ in 0..inputs.div_ceil(8) {
            fill(&mut state, &mut bytes[..64]);
            let (from, rest) = bytes.split_at(8);
            let lengths: [usize; 8] = std::array::from_fn(|lane| usize::from(from[lane]) * 2);
            check(std::array::from_fn(|lane| &rest[lane * 590..lane * 590 + lengths[lane]]));
            let turn = usize::from(bytes[63]);
            bytes.rotate_left(turn);
        }
    }
}
