//! Character sets of HL7 v2: MSH-18 by table 0211 (HL7 v2.9, chapter 2C), decoded by `encoding_rs`.
//!
//! | set | how it is read |
//! |---|---|
//! | ASCII, ISO IR6, UTF-8 (also where nothing is said), 8859/1 to /9 and /15 | in place: no byte of a character looks like a separator |
//! | ISO IR87 and IR14 (with their escape sequences), GB 18030-2000, KS X 1001, BIG-5 | the whole message is made UTF-8 first, then cut: their second bytes can look like separators |
//! | UTF-16, UTF-32, CNS 11643-1992, ISO IR159 where a message really switches to it | refused |
//!
//! MSH-18 may repeat: the first repetition is the default, the others are switched to by escape sequences, so a set that
//! has to be decoded as a whole counts wherever it stands. Positions in a message that was decoded as a whole count in the
//! decoded text; a character that could not be decoded is U+FFFD there, and the field that holds it gets an issue.
use super::header;
use encoding_rs::Encoding;
use std::borrow::Cow;

/// How a declared set is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Charset {
    /// Byte by byte, value by value.
    InPlace(&'static Encoding),
    /// The whole message first.
    Whole(&'static Encoding),
    /// Not at all.
    Refused,
}

/// The set of a name of table 0211; `None` for any other name.
pub(super) fn named(name: &[u8]) -> Option<Charset> {
    use Charset::{InPlace, Refused, Whole};
    Some(match name.to_ascii_uppercase().as_slice() {
        b"" | b"ASCII" | b"ISO IR6" | b"UNICODE" | b"UNICODE UTF-8" | b"UTF-8" | b"\"\"" => {
            InPlace(encoding_rs::UTF_8)
        }
        b"8859/1" => InPlace(encoding_rs::WINDOWS_1252),
        b"8859/2" => InPlace(encoding_rs::ISO_8859_2),
        b"8859/3" => InPlace(encoding_rs::ISO_8859_3),
        b"8859/4" => InPlace(encoding_rs::ISO_8859_4),
        b"8859/5" => InPlace(encoding_rs::ISO_8859_5),
        b"8859/6" => InPlace(encoding_rs::ISO_8859_6),
        b"8859/7" => InPlace(encoding_rs::ISO_8859_7),
        b"8859/8" => InPlace(encoding_rs::ISO_8859_8),
        b"8859/9" => InPlace(encoding_rs::WINDOWS_1254),
        b"8859/15" => InPlace(encoding_rs::ISO_8859_15),
        b"ISO IR87" => Whole(encoding_rs::ISO_2022_JP),
        // Half-width katakana: eight bits wide unless a message switches by escape sequences.
        b"ISO IR14" => Whole(encoding_rs::SHIFT_JIS),
        b"GB 18030-2000" => Whole(encoding_rs::GB18030),
        b"KS X 1001" => Whole(encoding_rs::EUC_KR),
        b"BIG-5" => Whole(encoding_rs::BIG5),
        b"UNICODE UTF-16" | b"UNICODE UTF-32" | b"CNS 11643-1992" | b"ISO IR159" => Refused,
        _ => return None,
    })
}

/// Switch to JIS X 0212 (ISO IR159), which `encoding_rs` does not decode.
const TO_JIS_X_0212: &[u8] = b"\x1b$(D";
const ESCAPE: u8 = 0x1b;

/// A message whose bytes can be cut at separators.
#[derive(Debug)]
pub struct Readable<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// The set that the bytes were decoded from as a whole.
    pub(super) recoded: Option<&'static Encoding>,
}

impl Readable<'_> {
    /// The bytes that positions count in.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Decodes a message as a whole if its character set needs that; others stay as they are.
pub fn readable(bytes: &[u8]) -> Readable<'_> {
    match whole(bytes) {
        Some(encoding) => {
            let text = encoding.decode_without_bom_handling(bytes).0;
            Readable { bytes: text.into_owned().into_bytes().into(), recoded: Some(encoding) }
        }
        None => Readable { bytes: bytes.into(), recoded: None },
    }
}

fn whole(bytes: &[u8]) -> Option<&'static Encoding> {
    if memchr::memmem::find(bytes, TO_JIS_X_0212).is_some() {
        return None;
    }
    let end = memchr::memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len());
    let line = bytes.get(..end).unwrap_or_default();
    let switches = memchr::memchr(ESCAPE, bytes).is_some();
    // Names in the header may be written in the set that MSH-18 declares behind them.
    let line = if memchr::memchr(ESCAPE, line).is_some() {
        encoding_rs::ISO_2022_JP.decode_without_bom_handling(line).0.into_owned().into_bytes()
    } else {
        line.to_vec()
    };
    let (delimiters, fields) = header(&line)?;
    // A second byte in those names may have looked like a separator, so that MSH-18 stands further behind.
    let declared = fields.iter().skip(17).flat_map(|f| f.split(|b| *b == delimiters.repetition));
    declared.into_iter().find_map(|name| match named(name)? {
        Charset::Whole(_) if name.eq_ignore_ascii_case(b"ISO IR14") && switches => {
            Some(encoding_rs::ISO_2022_JP)
        }
        Charset::Whole(encoding) => Some(encoding),
        Charset::InPlace(_) | Charset::Refused => None,
    })
}
