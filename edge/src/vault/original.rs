//! Original bytes: what arrived, kept as it was, items of one patient side by side.
//!
//! ```text
//! image = varint 202 ‖ varint count ‖ {item_id[..8] ‖ varint piece ‖ varint pieces ‖ varint length}* ‖ pack (`dictionary.rs`)
//! ```
//!
//! Items above 8 MiB lie in pieces, a block each. The bytes of an item with several patients are sealed under a key that is
//! made of all their keys (`keys.rs`): forgetting one of them makes the whole unreadable.
use super::{
    codec::{Malformed, Reader, put_varint},
    dictionary::{Dictionaries, Dictionary, pack},
    flush::BLOCK_BYTES,
    patient::ItemKey,
};
use crate::model::Item;

const ORIGINALS: u64 = 202;
/// Bytes that share a block: enough to find what repeats, little enough to be read at once.
const GROUP_BYTES: usize = 256 << 10;

/// A piece of an item.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) item: ItemKey,
    pub(super) number: u32,
    pub(super) pieces: u32,
    pub(super) bytes: Vec<u8>,
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Piece").field("number", &self.number).finish_non_exhaustive()
    }
}

/// The key of an item among those of a patient.
pub(super) fn key_of(item_id: &[u8; 16]) -> ItemKey {
    item_id[..8].try_into().expect("half of 16 bytes")
}

/// An item in pieces; an empty item is one empty piece.
pub(super) fn pieces(item: &Item) -> Vec<Piece> {
    let mut chunks: Vec<&[u8]> = item.bytes.chunks(BLOCK_BYTES).collect();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    let count = u32::try_from(chunks.len()).expect("items are at most 256 MiB");
    let piece = |(number, bytes): (u32, &&[u8])| Piece {
        item: key_of(&item.item_id),
        number,
        pieces: count,
        bytes: bytes.to_vec(),
    };
    (0..).zip(&chunks).map(piece).collect()
}

/// Which pieces share a block.
pub(super) fn groups(pieces: &[Piece]) -> Vec<Vec<&Piece>> {
    let mut groups: Vec<Vec<&Piece>> = Vec::new();
    let mut bytes = GROUP_BYTES;
    for piece in pieces {
        bytes += piece.bytes.len();
        match groups.last_mut() {
            Some(group) if bytes <= GROUP_BYTES => group.push(piece),
            _ => {
                bytes = piece.bytes.len();
                groups.push(vec![piece]);
            }
        }
    }
    groups
}

/// The image of a block of pieces.
pub(super) fn to_image(pieces: &[&Piece], dictionary: Option<&Dictionary>, level: i32) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, ORIGINALS);
    put_varint(&mut out, pieces.len() as u64);
    for piece in pieces {
        out.extend_from_slice(&piece.item);
        put_varint(&mut out, piece.number.into());
        put_varint(&mut out, piece.pieces.into());
        put_varint(&mut out, piece.bytes.len() as u64);
    }
    let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.iter().copied()).collect();
    pack(&mut out, &bytes, dictionary, level);
    out
}

/// The pieces in a block.
pub(super) fn from_image(
    image: &[u8],
    dictionaries: &Dictionaries,
) -> Result<Vec<Piece>, Malformed> {
    let mut reader = Reader::new(image);
    if reader.varint()? != ORIGINALS {
        return Err(Malformed);
    }
    let mut pieces = Vec::new();
    for _ in 0..reader.count()? {
        let item = reader.array()?;
        let (number, count) = (reader.varint32()?, reader.varint32()?);
        let length = usize::try_from(reader.varint()?).map_err(|_| Malformed)?;
        pieces.push((Piece { item, number, pieces: count, bytes: Vec::new() }, length));
    }
    let bytes = dictionaries.unpack(&mut reader)?;
    reader.end()?;
    let mut rest = Reader::new(&bytes);
    let mut out = Vec::with_capacity(pieces.len());
    for (piece, length) in pieces {
        out.push(Piece { bytes: rest.take(length)?.to_vec(), ..piece });
    }
    rest.end()?;
    Ok(out)
}

/// Puts an item together from pieces, which may be among others; `None` if one is missing.
pub(super) fn join<'a>(key: &ItemKey, pieces: impl Iterator<Item = &'a Piece>) -> Option<Vec<u8>> {
    let mut mine: Vec<&Piece> = pieces.filter(|piece| piece.item == *key).collect();
    mine.sort_by_key(|piece| piece.number);
    let whole = mine.first()?.pieces as usize == mine.len();
    whole.then(|| mine.into_iter().flat_map(|piece| piece.bytes.iter().copied()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Form;

    #[test]
    fn items_come_back_from_their_pieces() {
        let items = [vec![7; 2 * BLOCK_BYTES + 5], Vec::new(), b"short".to_vec()];
        let items = items.map(|bytes| Item::new("s", Form::Note, bytes));
        let all: Vec<Piece> = items.iter().flat_map(pieces).collect();
        let groups = groups(&all);
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 3]);
        let none = Dictionaries::default();
        let read: Vec<Piece> = groups
            .iter()
            .flat_map(|group| from_image(&to_image(group, None, 3), &none).expect("ours"))
            .collect();
        for item in &items {
            let bytes = join(&key_of(&item.item_id), read.iter());
            assert!(bytes.as_ref() == Some(&item.bytes));
        }
        assert_eq!(join(&key_of(&items[0].item_id), read.iter().skip(1)), None);
        assert!(from_image(b"\x01\x02", &none).is_err());
    }
}
