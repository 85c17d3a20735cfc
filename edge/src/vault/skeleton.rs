//! A record's canonical bytes as a skeleton and its leaves.
//!
//! The skeleton is the text itself with each string value replaced by the byte 1 and each number by the byte 2; control
//! bytes never stand in canonical JSON. Leaves are taken as they stand, strings without their quotes and with their escapes,
//! so putting them back gives the same bytes whatever they are. What does not scan is one leaf under the byte 3.
//! A leaf's path is its member names and brackets, with the leaf's byte at the end: `code.coding.[]system.\x01`.
#![deny(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
use super::codec::Malformed;

/// Stands for a string value.
pub(super) const STRING: u8 = 1;
/// Stands for a number.
pub(super) const NUMBER: u8 = 2;
/// Stands for bytes that are not canonical JSON.
pub(super) const RAW: u8 = 3;

/// Whether a byte of a skeleton stands for a leaf.
pub(super) const fn is_leaf(byte: u8) -> bool {
    matches!(byte, STRING | NUMBER | RAW)
}

/// The skeleton of canonical bytes, and the leaves in order.
pub(super) fn split(bytes: &[u8]) -> (Vec<u8>, Vec<&[u8]>) {
    scan(bytes).unwrap_or_else(|| (vec![RAW], vec![bytes]))
}

fn scan(bytes: &[u8]) -> Option<(Vec<u8>, Vec<&[u8]>)> {
    let (mut skeleton, mut leaves) = (Vec::with_capacity(bytes.len()), Vec::new());
    let mut open: Vec<bool> = Vec::new(); // of each container around: is it an object?
    let (mut names, mut at) = (false, 0_usize);
    while let Some(byte) = bytes.get(at) {
        let start = at;
        at = at.checked_add(1)?;
        match byte {
            b'"' => {
                at = string_end(bytes, at)?;
                let inside = bytes.get(start.checked_add(1)?..at.checked_sub(1)?)?;
                if names {
                    skeleton.extend_from_slice(bytes.get(start..at)?);
                } else {
                    skeleton.push(STRING);
                    leaves.push(inside);
                }
                names = false;
            }
            b'-' | b'0'..=b'9' => {
                while matches!(bytes.get(at), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
                {
                    at = at.checked_add(1)?;
                }
                skeleton.push(NUMBER);
                leaves.push(bytes.get(start..at)?);
            }
            0..=0x1f => return None,
            other => {
                match other {
                    b'{' | b'[' => open.push(*other == b'{'),
                    b'}' | b']' => drop(open.pop()?),
                    _ => {}
                }
                names = matches!(other, b'{' | b',') && open.last() == Some(&true);
                skeleton.push(*other);
            }
        }
    }
    Some((skeleton, leaves))
}

/// Where a string ends, its closing quote included.
fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b'"' => return at.checked_add(1),
            b'\\' => at = at.checked_add(2)?,
            0..=0x1f => return None,
            _ => at = at.checked_add(1)?,
        }
    }
}

/// The path of each leaf of a skeleton.
pub(super) fn paths(skeleton: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let (mut paths, mut path) = (Vec::new(), Vec::new());
    let mut open: Vec<(bool, usize)> = Vec::new();
    let (mut names, mut at) = (false, 0_usize);
    while let Some(byte) = skeleton.get(at) {
        let start = at;
        at = at.checked_add(1).ok_or(Malformed)?;
        match byte {
            b'"' if names => {
                at = string_end(skeleton, at).ok_or(Malformed)?;
                let (_, base) = open.last().ok_or(Malformed)?;
                path.truncate(*base);
                let end = at.checked_sub(1).ok_or(Malformed)?;
                path.extend(skeleton.get(start..end).ok_or(Malformed)?.iter().skip(1));
                path.push(b'.');
                names = false;
            }
            leaf if is_leaf(*leaf) => {
                let mut whole = path.clone();
                whole.push(*leaf);
                paths.push(whole);
            }
            b'{' | b'[' => {
                let object = *byte == b'{';
                if !object {
                    path.extend_from_slice(b"[]");
                }
                open.push((object, path.len()));
                names = object;
            }
            b'}' | b']' => {
                let (object, base) = open.pop().ok_or(Malformed)?;
                path.truncate(if object { base } else { base.saturating_sub(2) });
                names = false;
            }
            other => names = *other == b',' && open.last().is_some_and(|(object, _)| *object),
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{canonical, json};

    fn join(skeleton: &[u8], leaves: &[&[u8]]) -> Vec<u8> {
        let mut leaves = leaves.iter();
        let mut out = Vec::new();
        for byte in skeleton {
            match byte {
                &STRING => out.extend([b"\"", *leaves.next().expect("a leaf"), b"\""].concat()),
                &NUMBER | &RAW => out.extend_from_slice(leaves.next().expect("a leaf")),
                other => out.push(*other),
            }
        }
        out
    }

    #[test]
    fn leaves_have_their_paths() {
        let bytes = br#"{"a":[{"b":"x","c":-1.50},"y"],"d":{"e":true,"f":"\"q\\"},"g":2}"#;
        let (skeleton, leaves) = split(bytes);
        assert_eq!(leaves, [&b"x"[..], b"-1.50", b"y", br#"\"q\\"#, b"2"]);
        let paths: Vec<String> = paths(&skeleton)
            .expect("ours")
            .into_iter()
            .map(|path| String::from_utf8(path).expect("text"))
            .collect();
        assert_eq!(paths, ["a.[]b.\u{1}", "a.[]c.\u{2}", "a.[]\u{1}", "d.f.\u{1}", "g.\u{2}"]);
        assert_eq!(join(&skeleton, &leaves), bytes);
    }

    proptest! {
        #[test]
        fn any_value_comes_back(value in json::tests::any_value()) {
            let bytes = canonical::to_bytes(&value);
            let (skeleton, leaves) = split(&bytes);
            prop_assert_eq!(join(&skeleton, &leaves), &*bytes);
            prop_assert_eq!(paths(&skeleton).expect("ours").len(), leaves.len());
        }

        #[test]
        fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let (skeleton, leaves) = split(&bytes);
            prop_assert_eq!(join(&skeleton, &leaves), &*bytes);
            let _ = paths(&bytes);
        }
    }
}
