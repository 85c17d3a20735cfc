//! The plaintext of a delivery: frames of records with their proofs, then padding (`protocol.md` 5).
//!
//! ```text
//! frame = n u32 ‖ inst 16 ‖ batchSeq u64 ‖ index u32 ‖ P 384 ‖ content nonce 32 ‖ d u8 ‖ d siblings of 32 ‖ m u32 ‖ m bytes
//! plaintext = frames ‖ 0 u32 ‖ zeros up to the padded length          (big-endian; n = 449 + 32 d + m counts what follows)
//! ```
//!
//! Frames stand in ascending (batchSeq, index). The padded length tells an onlooker an eighth of the size at best.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use alloy_primitives::B256;
use contracts::leaf::{DeliveryEntry, LeafError, MAX_SIZE_LOG2, RECORD_PREIMAGE_BYTES, Tree};
use contracts::leaf::{hash_preimage, leaf_hash, proof_hash};

use crate::{error::EdgeError, onchain::InstId};

/// Bytes of a frame after `n` that are there whatever it holds.
const FIXED_BYTES: usize = 449;
/// The shortest padded plaintext.
const MIN_PADDED: usize = 4_096;
/// Frames of one delivery at most: the leaves of its plaintext tree.
pub const MAX_FRAMES: usize = 1 << MAX_SIZE_LOG2;

/// One delivered record with what proves it.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// Who anchored it.
    pub inst: InstId,
    /// In which batch.
    pub batch_seq: u64,
    /// At which position.
    pub index: u32,
    /// The record leaf's preimage.
    pub preimage: [u8; RECORD_PREIMAGE_BYTES],
    /// Nonce of the content commitment.
    pub content_nonce: B256,
    /// Path from leaf to root, the leaf's own level first.
    pub siblings: Vec<B256>,
    /// The record, `msnet-c14n/1`.
    pub content: Vec<u8>,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame")
            .field("batch_seq", &self.batch_seq)
            .field("index", &self.index)
            .field("content_bytes", &self.content.len())
            .finish_non_exhaustive()
    }
}

impl Frame {
    /// The record leaf's hash.
    pub fn leaf(&self) -> B256 {
        hash_preimage(&self.preimage)
    }

    /// The leaf of the plaintext tree.
    pub fn entry(&self) -> DeliveryEntry {
        DeliveryEntry {
            inst: self.inst,
            batchSeq: self.batch_seq,
            index: self.index,
            leaf: self.leaf(),
            proofHash: proof_hash(&self.siblings),
        }
    }

    /// Bytes this frame takes, `n` included.
    pub fn encoded_len(&self) -> usize {
        4_usize
            .saturating_add(FIXED_BYTES)
            .saturating_add(self.siblings.len().saturating_mul(32))
            .saturating_add(self.content.len())
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EdgeError> {
        let too_long = |what: &str| EdgeError::Internal(format!("a frame's {what} is too long"));
        let n = self.encoded_len().saturating_sub(4);
        out.extend(u32::try_from(n).map_err(|_| too_long("body"))?.to_be_bytes());
        out.extend(self.inst);
        out.extend(self.batch_seq.to_be_bytes());
        out.extend(self.index.to_be_bytes());
        out.extend(self.preimage);
        out.extend(self.content_nonce);
        out.push(u8::try_from(self.siblings.len()).map_err(|_| too_long("proof"))?);
        self.siblings.iter().for_each(|sibling| out.extend(sibling));
        let m = u32::try_from(self.content.len()).map_err(|_| too_long("content"))?;
        out.extend(m.to_be_bytes());
        out.extend(&self.content);
        Ok(())
    }

    fn decode(mut bytes: &[u8]) -> Option<Frame> {
        let bytes = &mut bytes;
        let frame = Frame {
            inst: InstId::from(take::<16>(bytes)?),
            batch_seq: u64::from_be_bytes(take(bytes)?),
            index: u32::from_be_bytes(take(bytes)?),
            preimage: take(bytes)?,
            content_nonce: B256::from(take::<32>(bytes)?),
            siblings: {
                let [depth] = take::<1>(bytes)?;
                if depth > MAX_SIZE_LOG2 {
                    return None;
                }
                (0..depth).map(|_| take(bytes).map(B256::from)).collect::<Option<_>>()?
            },
            content: {
                let m = usize::try_from(u32::from_be_bytes(take(bytes)?)).ok()?;
                if m != bytes.len() {
                    return None;
                }
                bytes.to_vec()
            },
        };
        Some(frame)
    }
}

/// Takes `N` bytes off the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

/// The length a plaintext of `length` bytes is padded to: at least 4,096, else the next multiple of 2^(⌊log₂ L⌋ − 3).
pub fn padded_len(length: usize) -> usize {
    if length <= MIN_PADDED {
        return MIN_PADDED;
    }
    let step = 1_usize << length.ilog2().saturating_sub(3);
    length.checked_next_multiple_of(step).unwrap_or(length)
}

/// The padded plaintext of these frames.
///
/// # Errors
/// [`EdgeError::Internal`] without frames, with too many, or with frames out of order.
pub fn encode(frames: &[Frame]) -> Result<Vec<u8>, EdgeError> {
    let place = |frame: &Frame| (frame.batch_seq, frame.index);
    if frames.is_empty() || frames.len() > MAX_FRAMES || !frames.is_sorted_by_key(place) {
        return Err(EdgeError::Internal("a delivery's frames are 1 to 65536, in order".into()));
    }
    let mut out = Vec::new();
    for frame in frames {
        frame.encode(&mut out)?;
    }
    out.extend([0; 4]);
    out.resize(padded_len(out.len()), 0);
    Ok(out)
}

/// Reads a plaintext back; nothing but what [`encode`] writes is accepted.
///
/// # Errors
/// [`EdgeError::Integrity`] naming the frame.
pub fn decode(mut plaintext: &[u8]) -> Result<Vec<Frame>, EdgeError> {
    let whole = plaintext.len();
    let bad = |what: &str, count: usize| EdgeError::integrity(what, format!("frame {count}"));
    let mut frames: Vec<Frame> = Vec::new();
    loop {
        let at = frames.len();
        let head = take::<4>(&mut plaintext).ok_or_else(|| bad("the frames do not end", at))?;
        let n = usize::try_from(u32::from_be_bytes(head)).map_err(|_| bad("too long", at))?;
        if n == 0 {
            break;
        }
        let body = plaintext.get(..n).ok_or_else(|| bad("the frame is cut", at))?;
        plaintext = plaintext.get(n..).unwrap_or_default();
        let frame = Frame::decode(body).ok_or_else(|| bad("the frame does not read", at))?;
        let after = |last: &Frame| (last.batch_seq, last.index) < (frame.batch_seq, frame.index);
        if at >= MAX_FRAMES || !frames.last().is_none_or(after) {
            return Err(bad("the frames are not in order", at));
        }
        frames.push(frame);
    }
    let used = whole.saturating_sub(plaintext.len());
    if plaintext.iter().any(|byte| *byte != 0) || whole != padded_len(used) {
        return Err(bad("the padding is not as agreed", frames.len()));
    }
    Ok(frames)
}

/// The tree over the frames' entries; its root is the offer's `ptRoot`.
///
/// # Errors
/// [`LeafError::Size`] without frames or with too many.
pub fn entry_tree(frames: &[Frame]) -> Result<Tree, LeafError> {
    let leaves: Vec<B256> = frames.iter().map(|frame| leaf_hash(&frame.entry())).collect();
    Tree::new(&leaves)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn any_frame() -> impl Strategy<Value = Frame> {
        let siblings = proptest::collection::vec(any::<[u8; 32]>().prop_map(B256::from), 0..17);
        let content = proptest::collection::vec(any::<u8>(), 0..3_000);
        (any::<[u8; 16]>(), any::<u64>(), any::<u32>(), any::<u8>(), siblings, content).prop_map(
            |(inst, batch_seq, index, fill, siblings, content)| Frame {
                inst: InstId::from(inst),
                batch_seq,
                index,
                preimage: [fill; RECORD_PREIMAGE_BYTES],
                content_nonce: B256::repeat_byte(fill),
                siblings,
                content,
            },
        )
    }

    pub(crate) fn any_frames() -> impl Strategy<Value = Vec<Frame>> {
        proptest::collection::vec(any_frame(), 1..8).prop_map(|mut frames| {
            frames.sort_by_key(|frame| (frame.batch_seq, frame.index));
            frames.dedup_by_key(|frame| (frame.batch_seq, frame.index));
            frames
        })
    }

    #[test]
    fn the_published_padded_lengths() {
        let cases = [
            (1, 4_096),
            (4_097, 4_608),
            (10_000, 10_240),
            (70_000, 73_728),
            (1_000_000, 1_048_576),
        ];
        for (length, padded) in cases {
            assert_eq!(padded_len(length), padded, "{length}");
        }
    }

    #[test]
    fn no_frames_is_no_delivery() {
        assert!(encode(&[]).is_err());
        assert_eq!(decode(&[0; 4_096]).unwrap(), []);
        assert!(decode(&[0; 3]).is_err());
        assert!(decode(&[0; 4_097]).is_err());
    }

    proptest! {
        #[test]
        fn frames_round_trip(frames in any_frames()) {
            let plaintext = encode(&frames).unwrap();
            prop_assert_eq!(padded_len(plaintext.len()), plaintext.len());
            prop_assert_eq!(&decode(&plaintext).unwrap(), &frames);
            for frame in &frames {
                prop_assert_eq!(
                    frame.encoded_len(),
                    4 + 449 + 32 * frame.siblings.len() + frame.content.len()
                );
            }
        }

        #[test]
        fn a_changed_end_or_order_is_refused(frames in any_frames()) {
            let mut plaintext = encode(&frames).unwrap();
            plaintext.extend([0; 512]);
            prop_assert!(decode(&plaintext).is_err());
            plaintext.truncate(plaintext.len() - 512);
            let used: usize = frames.iter().map(Frame::encoded_len).sum();
            plaintext.truncate(used + 3);
            prop_assert!(decode(&plaintext).is_err());
            let mut doubled = frames.clone();
            doubled.extend(frames);
            prop_assert!(doubled.len() < 2 || decode(&encode_unordered(&doubled)).is_err());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let _ = decode(&bytes);
        }
    }

    fn encode_unordered(frames: &[Frame]) -> Vec<u8> {
        let mut out = Vec::new();
        for frame in frames {
            frame.encode(&mut out).unwrap();
        }
        out.extend([0; 4]);
        out.resize(padded_len(out.len()), 0);
        out
    }
}
