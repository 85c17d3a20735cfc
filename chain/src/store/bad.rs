//! [`BadBlocks`]: the blocks that broke a rule, so that nobody runs them twice. Their frames lie in the log; a flush
//! keeps the positions in `meta.bad`.

use std::collections::{BTreeMap, VecDeque};

use alloy_primitives::B256;

use super::schema::decode;
use crate::{error::ChainError, log::Position};

/// Bad blocks remembered; an older one would just be run again.
const MAX_BAD_BLOCKS: usize = 1_024;

/// Bad blocks by hash, the newest last.
#[derive(Debug, Clone, Default)]
pub struct BadBlocks {
    reasons: BTreeMap<B256, String>,
    order: VecDeque<(B256, Position)>,
}

impl BadBlocks {
    /// Why a block is bad, if it is.
    pub fn reason(&self, hash: B256) -> Option<&str> {
        self.reasons.get(&hash).map(String::as_str)
    }

    /// Remembers a block whose frame lies at `position`; the oldest one goes if there are too many.
    pub fn insert(&mut self, hash: B256, reason: String, position: Position) {
        if self.reasons.insert(hash, reason).is_none() {
            self.order.push_back((hash, position));
        }
        while self.order.len() > MAX_BAD_BLOCKS {
            if let Some((oldest, _)) = self.order.pop_front() {
                self.reasons.remove(&oldest);
            }
        }
    }

    /// Hash, reason and position of the frame, the newest first.
    pub fn newest(&self) -> impl Iterator<Item = (B256, &str, Position)> {
        let found = self.order.iter().rev();
        found.filter_map(|&(hash, position)| Some((hash, self.reason(hash)?, position)))
    }

    /// The value of `meta.bad`: RLP `[[segment, offset, length], …]`, the oldest first.
    pub fn encode_positions(&self) -> Vec<u8> {
        let list =
            |&(_, at): &(B256, Position)| vec![at.segment.into(), at.offset, at.length.into()];
        alloy_rlp::encode(self.order.iter().map(list).collect::<Vec<Vec<u64>>>())
    }

    /// Reads what [`Self::encode_positions`] wrote.
    ///
    /// # Errors
    /// [`ChainError::Corrupt`] if it is anything else.
    pub fn decode_positions(bytes: &[u8]) -> Result<Vec<Position>, ChainError> {
        let place = "table meta at bad";
        let lists: Vec<Vec<u64>> = decode(place, bytes)?;
        let position = |list: Vec<u64>| match list[..] {
            [segment, offset, length] => Some(Position {
                segment: u32::try_from(segment).ok()?,
                offset,
                length: u32::try_from(length).ok()?,
            }),
            _ => None,
        };
        lists.into_iter().map(position).collect::<Option<_>>().ok_or_else(|| ChainError::Corrupt {
            place: place.to_owned(),
            reason: "not a list of positions".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_and_positions_round_trip() {
        let mut bad = BadBlocks::default();
        let at = |offset| Position { segment: 3, offset, length: 7 };
        let hash = |number: u64| B256::left_padding_from(&number.to_be_bytes());
        for number in 0..MAX_BAD_BLOCKS as u64 + 2 {
            bad.insert(hash(number), number.to_string(), at(number));
            bad.insert(hash(number), number.to_string(), at(0));
        }
        assert_eq!(bad.reason(hash(1)), None);
        assert_eq!(bad.reason(hash(2)), Some("2"));
        let (first, reason, position) = bad.newest().next().unwrap();
        assert_eq!((first, reason, position), (hash(1_025), "1025", at(1_025)));
        let bytes = bad.encode_positions();
        let positions = BadBlocks::decode_positions(&bytes).unwrap();
        assert_eq!(positions.len(), MAX_BAD_BLOCKS);
        assert_eq!((positions[0], positions[1_023]), (at(2), at(1_025)));
        for end in 0..bytes.len() {
            assert!(BadBlocks::decode_positions(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert!(BadBlocks::decode_positions(&alloy_rlp::encode(vec![vec![1u64]])).is_err());
    }
}
