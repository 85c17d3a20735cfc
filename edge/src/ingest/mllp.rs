//! MLLP frames (HL7 v2 transport, release 1): `0x0B message 0x1C 0x0D`, one message after another on one connection.
//!
//! Anything outside of a frame, a start byte inside of one and an end byte that no carriage return follows break the
//! connection: who sends them has lost count, and a message that was cut wrongly could land on the wrong patient.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
use super::MAX_ITEM_BYTES;

/// Begins a frame (VT).
pub const START: u8 = 0x0b;
/// Ends a frame (FS), followed by a carriage return.
pub const END: u8 = 0x1c;
const RETURN: u8 = b'\r';

/// Why a connection is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Broken {
    /// Bytes where a frame should begin: another protocol, or a frame that was cut.
    #[error("bytes outside of a frame")]
    Outside,
    /// A start byte inside of a frame.
    #[error("a start byte inside of a frame")]
    NestedStart,
    /// An end byte without its carriage return.
    #[error("an end byte that no carriage return follows")]
    OpenEnd,
    /// More than [`MAX_ITEM_BYTES`].
    #[error("a frame of more than {MAX_ITEM_BYTES} bytes")]
    TooLong,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Place {
    #[default]
    Outside,
    Inside,
    Ending,
}

/// Cuts what arrives on one connection into messages, however it was split on the way.
#[derive(Default)]
pub struct Frames {
    held: Vec<u8>,
    place: Place,
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frames").field("held_bytes", &self.held.len()).finish_non_exhaustive()
    }
}

impl Frames {
    /// Takes the next bytes; messages that they complete are appended to `out`.
    ///
    /// # Errors
    /// Why the connection must be closed; messages that were complete before stand in `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Vec<u8>>) -> Result<(), Broken> {
        let mut rest = bytes;
        while let Some((first, behind)) = rest.split_first() {
            match self.place {
                Place::Outside if *first == START => {
                    self.place = Place::Inside;
                    rest = behind;
                }
                Place::Outside => return Err(Broken::Outside),
                Place::Ending if *first == RETURN => {
                    self.place = Place::Outside;
                    out.push(std::mem::take(&mut self.held));
                    rest = behind;
                }
                Place::Ending => return Err(Broken::OpenEnd),
                Place::Inside => {
                    let mark = memchr::memchr2(START, END, rest).unwrap_or(rest.len());
                    let (text, marked) = rest.split_at_checked(mark).unwrap_or((rest, &[]));
                    if self.held.len().saturating_add(text.len()) > MAX_ITEM_BYTES {
                        return Err(Broken::TooLong);
                    }
                    self.held.extend_from_slice(text);
                    rest = match marked.split_first() {
                        Some((&START, _)) => return Err(Broken::NestedStart),
                        Some((_, behind)) => {
                            self.place = Place::Ending;
                            behind
                        }
                        None => marked,
                    };
                }
            }
        }
        Ok(())
    }

    /// Whether a frame has begun and not ended.
    pub fn is_inside(&self) -> bool {
        self.place != Place::Outside
    }

    /// Bytes of the frame that has begun.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }
}

/// A message as one frame.
pub fn frame(message: &[u8]) -> Vec<u8> {
    [&[START], message, &[END, RETURN]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(parts: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), Broken>) {
        let (mut frames, mut out) = (Frames::default(), Vec::new());
        for part in parts {
            if let Err(broken) = frames.push(part, &mut out) {
                return (out, Err(broken));
            }
        }
        (out, Ok(()))
    }

    #[test]
    fn frames_are_cut_and_broken_ones_close() {
        let two = [frame(b"one"), frame(b"")].concat();
        assert_eq!(all(&[&two]).0, [b"one".to_vec(), Vec::new()]);
        for (bytes, want) in [
            (&b"GET / HTTP/1.1"[..], Broken::Outside),
            (b"\x0bMSH\x0b", Broken::NestedStart),
            (b"\x0bMSH\x1c\x0b", Broken::OpenEnd),
            (b"\x0bMSH\x1c\r\n", Broken::Outside),
        ] {
            assert_eq!(all(&[bytes]).1, Err(want), "{bytes:?}");
        }
        let mut frames = Frames::default();
        frames.push(b"\x0bMSH", &mut Vec::new()).expect("open");
        assert!(frames.is_inside() && frames.held_bytes() == 3);
    }

    #[test]
    fn a_frame_is_held_to_the_limit_of_an_item() {
        let most = vec![b'x'; MAX_ITEM_BYTES];
        assert_eq!(all(&[&frame(&most)]).1, Ok(()));
        assert_eq!(all(&[&frame(&most), b"\x0b", &most, b"x"]).1, Err(Broken::TooLong));
    }

    proptest! {
        /// However the network cuts it, the same messages arrive; any bytes at all do no harm.
        #[test]
        fn splits_do_not_matter(
            messages in proptest::collection::vec("[a-zA-Z|^~\r\n]{0,40}", 0..4),
            noise in proptest::collection::vec(any::<u8>(), 0..60),
            cuts in proptest::collection::vec(1usize..9, 1..40),
        ) {
            let sent: Vec<Vec<u8>> = messages.iter().map(|m| m.clone().into_bytes()).collect();
            let mut bytes: Vec<u8> = sent.iter().flat_map(|message| frame(message)).collect();
            prop_assert_eq!(&all(&[&bytes]).0, &sent);
            bytes.extend(&noise);
            let whole = all(&[&bytes]);
            let (mut parts, mut rest) = (Vec::new(), bytes.as_slice());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (part, behind) = rest.split_at((*cut).min(rest.len()));
                parts.push(part);
                rest = behind;
            }
            prop_assert_eq!(all(&parts), whole);
        }
    }
}
