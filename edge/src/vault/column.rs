//! Columns: sequences of numbers that know of each other, and a pool of byte strings that each stand once.
//!
//! ```text
//! raw      = length-prefixed head ‖ length-prefixed body ‖ varint entry_count ‖ {varint length}* ‖ bytes of the entries
//! sequence = in head: varint op ‖ its argument; in body: the numbers, if the op has any. An empty one leaves no trace
//!   op 0   constant: varint value
//!   op 1   plain: varints in the body
//!   op 2   steps: zigzag differences to the number before (0 at first), modulo 2^64, in the body
//!   op 3   the same as sequence k: varint k (sequences count from 0 in the order they were put)
//!   op 4   apart from sequence k: varint k; zigzag differences to its numbers, modulo 2^64, in the body
//! texts    = sequence of numbers by first use ‖ sequence of what each first use is: 0 = the pool's next entry, else entry + 1
//! ```
//!
//! Codes, names and units of one kind of record depend on each other, so most columns are "the same as" one before.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
use std::{collections::HashMap, rc::Rc};

use super::codec::{Malformed, Reader, put_bytes, put_varint};

const CONSTANT: u64 = 0;
const PLAIN: u64 = 1;
const STEPS: u64 = 2;
const SAME: u64 = 3;
const APART: u64 = 4;
/// Earlier sequences that one is compared with: those of the same rows stand close by.
const NEAR: usize = 6;
/// Numbers of one image: bounds what a constant sequence can ask for.
const MAX_NUMBERS: usize = 32 << 20;

fn zigzag(difference: u64) -> u64 {
    let signed = difference.cast_signed();
    ((signed << 1) ^ (signed >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

/// Puts sequences and pool entries.
#[derive(Default, Debug)]
pub(super) struct ColumnWriter {
    head: Vec<u8>,
    body: Vec<u8>,
    sequences: Vec<Vec<u64>>,
    known: HashMap<Vec<u64>, usize>,
    pool: HashMap<Vec<u8>, u64>,
    lengths: Vec<u64>,
    pooled: Vec<u8>,
}

impl ColumnWriter {
    /// Puts a sequence whose length the reader knows.
    pub(super) fn put(&mut self, sequence: Vec<u64>) {
        let Some(first) = sequence.first().copied() else { return };
        if sequence.iter().all(|value| *value == first) {
            put_varint(&mut self.head, CONSTANT);
            put_varint(&mut self.head, first);
        } else if let Some(same) = self.known.get(&sequence) {
            put_varint(&mut self.head, SAME);
            put_varint(&mut self.head, *same as u64);
        } else {
            self.put_numbers(&sequence);
            self.known.insert(sequence.clone(), self.sequences.len());
        }
        self.sequences.push(sequence);
    }

    fn put_numbers(&mut self, sequence: &[u64]) {
        let steps = std::iter::once(&0).chain(sequence).zip(sequence);
        let steps = varints(steps.map(|(before, value)| zigzag(value.wrapping_sub(*before))));
        let plain = varints(sequence.iter().copied());
        let (mut best, mut op, mut of) = (plain, PLAIN, None);
        let mut cost = cost_of(&best);
        let near = self.sequences.iter().enumerate().rev();
        let near = near.filter(|(_, earlier)| earlier.len() == sequence.len()).take(NEAR);
        let apart = near.map(|(number, earlier)| {
            let apart = sequence.iter().zip(earlier).map(|(a, b)| zigzag(a.wrapping_sub(*b)));
            (varints(apart), APART, Some(number))
        });
        for (bytes, kind, number) in std::iter::once((steps, STEPS, None)).chain(apart) {
            let price = cost_of(&bytes);
            if price < cost {
                (best, op, of, cost) = (bytes, kind, number, price);
            }
        }
        put_varint(&mut self.head, op);
        if let Some(number) = of {
            put_varint(&mut self.head, number as u64);
        }
        self.body.extend_from_slice(&best);
    }

    /// Puts a column of byte strings.
    pub(super) fn put_texts<T: AsRef<[u8]>>(&mut self, texts: &[T]) {
        let mut local: HashMap<&[u8], u64> = HashMap::new();
        let (mut numbers, mut firsts) = (Vec::with_capacity(texts.len()), Vec::new());
        for text in texts {
            let text = text.as_ref();
            let next = local.len() as u64;
            let number = *local.entry(text).or_insert_with(|| {
                firsts.push(text);
                next
            });
            numbers.push(number);
        }
        self.put(numbers);
        let firsts = firsts.into_iter().map(|text| self.pool(text)).collect();
        self.put(firsts);
    }

    /// The entry of a byte string, plus 1; 0 if it enters the pool now.
    fn pool(&mut self, text: &[u8]) -> u64 {
        let next = self.lengths.len() as u64;
        match self.pool.get(text) {
            Some(entry) => entry.saturating_add(1),
            None => {
                self.pool.insert(text.to_vec(), next);
                self.lengths.push(text.len() as u64);
                self.pooled.extend_from_slice(text);
                0
            }
        }
    }

    /// The entries of the pool, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.pooled.as_slice();
        self.lengths.iter().map(move |length| {
            let length = usize::try_from(*length).unwrap_or(usize::MAX).min(rest.len());
            let (entry, after) = rest.split_at(length);
            rest = after;
            entry
        })
    }

    /// Everything that was put.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut raw = Vec::with_capacity(self.pooled.len().saturating_mul(2));
        put_bytes(&mut raw, &self.head);
        put_bytes(&mut raw, &self.body);
        put_varint(&mut raw, self.lengths.len() as u64);
        self.lengths.iter().for_each(|length| put_varint(&mut raw, *length));
        raw.extend_from_slice(&self.pooled);
        raw
    }
}

fn varints(values: impl Iterator<Item = u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.for_each(|value| put_varint(&mut bytes, value));
    bytes
}

/// About how many bits the bytes need: their entropy, each byte by itself. It chooses between forms and stands nowhere.
fn cost_of(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count = count.saturating_add(1);
        }
    }
    let all = f64::from(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    // A byte that occurs at all costs about 4 bits more: somebody must say so.
    let bits = |n: &u32| 4.0 + f64::from(*n) * (all / f64::from(*n)).log2();
    counts.iter().filter(|n| **n > 0).map(bits).sum()
}

/// Reads what [`ColumnWriter`] put, in the same order.
#[derive(Debug)]
pub(super) struct ColumnReader<'a> {
    head: Reader<'a>,
    body: Reader<'a>,
    sequences: Vec<Rc<Vec<u64>>>,
    numbers: usize,
    pool: Vec<&'a [u8]>,
    next_entry: usize,
}

/// A column of byte strings, each read when asked for.
#[derive(Clone, Debug)]
pub(super) struct Texts<'a> {
    numbers: Rc<Vec<u64>>,
    firsts: Vec<&'a [u8]>,
}

impl<'a> ColumnReader<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(raw);
        let (head, body) = (Reader::new(reader.bytes()?), Reader::new(reader.bytes()?));
        let count = reader.count()?;
        let lengths = (0..count).map(|_| reader.varint()).collect::<Result<Vec<_>, _>>()?;
        let take = |length: u64| reader.take(usize::try_from(length).map_err(|_| Malformed)?);
        let pool = lengths.into_iter().map(take).collect::<Result<Vec<_>, _>>()?;
        reader.end()?;
        Ok(Self { head, body, sequences: Vec::new(), numbers: 0, pool, next_entry: 0 })
    }

    /// The next sequence, of `count` numbers.
    pub(super) fn take(&mut self, count: usize) -> Result<Rc<Vec<u64>>, Malformed> {
        if count == 0 {
            return Ok(Rc::default());
        }
        self.numbers = self.numbers.saturating_add(count);
        if self.numbers > MAX_NUMBERS {
            return Err(Malformed);
        }
        let op = self.head.varint()?;
        let sequence = match op {
            CONSTANT => Rc::new(vec![self.head.varint()?; count]),
            PLAIN => Rc::new((0..count).map(|_| self.body.varint()).collect::<Result<_, _>>()?),
            STEPS => {
                let mut value = 0_u64;
                let step = |_| {
                    value = value.wrapping_add(unzigzag(self.body.varint()?));
                    Ok(value)
                };
                Rc::new((0..count).map(step).collect::<Result<_, Malformed>>()?)
            }
            SAME => self.earlier(count)?,
            APART => {
                let earlier = self.earlier(count)?;
                let apart = |of: &u64| Ok(of.wrapping_add(unzigzag(self.body.varint()?)));
                Rc::new(earlier.iter().map(apart).collect::<Result<_, Malformed>>()?)
            }
            _ => return Err(Malformed),
        };
        self.sequences.push(Rc::clone(&sequence));
        Ok(sequence)
    }

    fn earlier(&mut self, count: usize) -> Result<Rc<Vec<u64>>, Malformed> {
        let number = usize::try_from(self.head.varint()?).map_err(|_| Malformed)?;
        let earlier = self.sequences.get(number).filter(|earlier| earlier.len() == count);
        earlier.cloned().ok_or(Malformed)
    }

    /// The next column of byte strings, of `count` values.
    pub(super) fn take_texts(&mut self, count: usize) -> Result<Texts<'a>, Malformed> {
        let numbers = self.take(count)?;
        let firsts = match numbers.iter().max() {
            Some(max) => usize::try_from(*max).ok().and_then(|max| max.checked_add(1)),
            None => Some(0),
        };
        let firsts = self.take(firsts.filter(|firsts| *firsts <= count).ok_or(Malformed)?)?;
        let mut entries = Vec::with_capacity(firsts.len());
        for first in firsts.iter() {
            let entry = match usize::try_from(*first).map_err(|_| Malformed)?.checked_sub(1) {
                Some(known) => known,
                None => {
                    self.next_entry = self.next_entry.saturating_add(1);
                    self.next_entry.saturating_sub(1)
                }
            };
            entries.push(*self.pool.get(entry).ok_or(Malformed)?);
        }
        Ok(Texts { numbers, firsts: entries })
    }

    /// Nothing may be left.
    pub(super) const fn end(&self) -> Result<(), Malformed> {
        match (self.head.end(), self.body.end()) {
            (Ok(()), Ok(())) if self.next_entry == self.pool.len() => Ok(()),
            _ => Err(Malformed),
        }
    }
}

impl<'a> Texts<'a> {
    /// A value.
    pub(super) fn get(&self, index: usize) -> Result<&'a [u8], Malformed> {
        let first = self.first_of(index)?;
        self.firsts.get(first).copied().ok_or(Malformed)
    }

    /// Which of the distinct values a value is.
    pub(super) fn first_of(&self, index: usize) -> Result<usize, Malformed> {
        let number = *self.numbers.get(index).ok_or(Malformed)?;
        usize::try_from(number).map_err(|_| Malformed)
    }

    /// The distinct values, by first use.
    pub(super) fn distinct(&self) -> &[&'a [u8]] {
        &self.firsts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sequences_and_texts_round_trip(
            sequences in proptest::collection::vec(proptest::collection::vec(any::<u64>(), 0..9), 0..6),
            texts in proptest::collection::vec("[a-c]{0,2}", 0..12),
        ) {
            let mut writer = ColumnWriter::default();
            for sequence in &sequences {
                writer.put(sequence.clone());
                let next = sequence.iter().map(|v| v.wrapping_add(3)).collect();
                writer.put(next);
                writer.put(sequence.clone());
            }
            writer.put_texts(&texts);
            writer.put_texts(&texts);
            let raw = writer.finish();
            let mut reader = ColumnReader::new(&raw).expect("whole");
            for sequence in &sequences {
                prop_assert_eq!(&*reader.take(sequence.len()).expect("put"), sequence);
                reader.take(sequence.len()).expect("put");
                prop_assert_eq!(&*reader.take(sequence.len()).expect("put"), sequence);
            }
            for _ in 0..2 {
                let column = reader.take_texts(texts.len()).expect("put");
                for (index, text) in texts.iter().enumerate() {
                    prop_assert_eq!(column.get(index), Ok(text.as_bytes()));
                }
            }
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn foreign_columns_never_panic(raw in proptest::collection::vec(any::<u8>(), 0..60), count in 0_usize..9) {
            if let Ok(mut reader) = ColumnReader::new(&raw) {
                while reader.take_texts(count).is_ok() && reader.take(3).is_ok() {}
            }
        }
    }

    #[test]
    fn dependent_columns_cost_nothing() {
        let codes: Vec<String> = (0..200_u32).map(|n| format!("code-{}", n * 7919 % 13)).collect();
        let names: Vec<String> = codes.iter().map(|code| code.replace("code", "name")).collect();
        let mut writer = ColumnWriter::default();
        writer.put_texts(&codes);
        let before = writer.body.len();
        writer.put_texts(&names);
        assert_eq!(writer.body.len(), before);
    }
}
