//! Ids that are computed, not drawn: item ids and stable ids. Both derive from content and stay inside the edge.
use aws_lc_rs::digest::{Context, SHA256};

/// `SHA-256(source ‖ 0x00 ‖ bytes)[..16]`: equal for a repeated item of the same source.
pub fn item_id(source: &str, bytes: &[u8]) -> [u8; 16] {
    first_16(&[source.as_bytes(), &[0], bytes])
}

/// UUIDv8 of `SHA-256("msnet id v1" ‖ 0 ‖ source ‖ 0 ‖ type ‖ 0 ‖ natural key)[..16]` (RFC 9562, section 5.8).
///
/// The natural key is what makes a thing the same thing when it comes again, such as an identifier with its system.
pub fn stable_id(source: &str, resource_type: &str, natural_key: &str) -> [u8; 16] {
    let mut id = first_16(&[
        b"msnet id v1\0",
        source.as_bytes(),
        &[0],
        resource_type.as_bytes(),
        &[0],
        natural_key.as_bytes(),
    ]);
    id[6] = id[6] & 0x0f | 0x80;
    id[8] = id[8] & 0x3f | 0x80;
    id
}

/// A 16-byte id as `8-4-4-4-12` lower-case hex digits.
pub fn uuid_text(id: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in id.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 as 64 lower-case hex digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&SHA256, bytes).as_ref())
}

fn first_16(parts: &[&[u8]]) -> [u8; 16] {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut id = [0; 16];
    id.copy_from_slice(&context.finish().as_ref()[..16]);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_ids_are_version_8_and_depend_on_every_part() {
        let id = stable_id("hospital-a", "Patient", "urn:x|1");
        let text = uuid_text(&id);
        assert_eq!(text.len(), 36);
        assert_eq!(&text[14..15], "8");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"));
        assert_ne!(id, stable_id("hospital-b", "Patient", "urn:x|1"));
        assert_ne!(id, stable_id("hospital-a", "Group", "urn:x|1"));
        assert_ne!(id, stable_id("hospital-a", "Patient", "urn:x|2"));
    }

    /// The id of a known input, computed once with another SHA-256 (`printf 'a\0b' | sha256sum`).
    #[test]
    fn item_id_is_the_head_of_sha_256() {
        assert_eq!(uuid_text(&item_id("a", b"b")).replace('-', ""), ITEM_A_B);
    }
    const ITEM_A_B: &str = "59b271ae1bbcb1d31d41929817f4b16f";
}
