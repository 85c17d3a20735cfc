//! One delivered record against its own leaf: canonical bytes → contentHash → leaf → root (`protocol.md` 5, step 5).

use contracts::{
    codes::verdict,
    leaf::{RecordLeaf, commit},
};

use crate::{
    delivery::frame::Frame,
    model::{Handle, Kind, canonical, json},
    onchain::InstId,
};

/// Leaf version this program reads.
const LEAF_VERSION: u16 = 1;
/// `schema` of FHIR R4 4.0.1.
const SCHEMA_FHIR_R4: u16 = 1;
/// Delivery verdict 6: the record had been withdrawn.
pub const VERDICT_WITHDRAWN: u8 = 6;
/// Delivery verdict 7: schema or format is not what the leaf says.
pub const VERDICT_FORMAT: u8 = 7;
/// Delivery verdict 8: outside the scope, or more than was granted.
pub const VERDICT_SCOPE: u8 = 8;

/// What the chain says about a frame's leaf at a final block.
#[derive(Debug, Clone, Copy)]
pub struct ChainSays {
    /// `RecordRegistry.verify(inst, batchSeq, leaf, index, siblings)`.
    pub proves: bool,
    /// `RecordRegistry.isWithdrawn(inst, batchSeq, index)`.
    pub withdrawn: bool,
}

/// What came of checking one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRecord {
    /// Its handle, as its leaf says.
    pub handle: Handle,
    /// Its FHIR type; empty if the bytes do not even read.
    pub resource_type: String,
    /// Everything proved.
    pub ok: bool,
    /// Delivery verdict (`contracts.md` 2); 0 if it proved.
    pub verdict: u8,
    /// One sentence.
    pub why: String,
}

/// Checks a frame that `owner` delivered for a grant of `kinds`; the first fault decides.
pub fn verify_frame(
    frame: &Frame,
    owner: InstId,
    kinds: Option<&[u16]>,
    chain: ChainSays,
) -> VerifiedRecord {
    let mut handle = Handle([0; 16]);
    let mut resource_type = String::new();
    match examine(frame, owner, kinds, chain, &mut handle, &mut resource_type) {
        Ok(()) => VerifiedRecord {
            handle,
            resource_type,
            ok: true,
            verdict: verdict::OK,
            why: format!(
                "its leaf stands at position {} of batch {}, as anchored",
                frame.index, frame.batch_seq
            ),
        },
        Err((verdict, why)) => {
            VerifiedRecord { handle, resource_type, ok: false, verdict, why: why.to_owned() }
        }
    }
}

fn examine(
    frame: &Frame,
    owner: InstId,
    kinds: Option<&[u16]>,
    chain: ChainSays,
    handle: &mut Handle,
    resource_type: &mut String,
) -> Result<(), (u8, &'static str)> {
    let leaf = RecordLeaf::from_preimage(&frame.preimage)
        .map_err(|_| (VERDICT_FORMAT, "the leaf's preimage is not a record leaf"))?;
    *handle = Handle(leaf.handle.0);
    let value =
        json::parse(&frame.content).map_err(|_| (VERDICT_FORMAT, "the bytes are not JSON"))?;
    *resource_type = value.str_at("resourceType").unwrap_or_default().to_owned();
    if canonical::to_bytes(&value) != frame.content {
        return Err((VERDICT_FORMAT, "the bytes are not canonical (msnet-c14n/1)"));
    }
    let known = leaf.version == LEAF_VERSION
        && leaf.schema == SCHEMA_FHIR_R4
        && (1..=2).contains(&leaf.format);
    if !known {
        return Err((VERDICT_FORMAT, "the leaf is of a version, schema or format unknown here"));
    }
    if Kind::from_resource_type(resource_type).code() != leaf.kind {
        return Err((VERDICT_FORMAT, "the resource is not of the kind its leaf names"));
    }
    if leaf.prevHandle.is_zero() && value.str_at("id") != Some(handle.to_string().as_str()) {
        return Err((VERDICT_FORMAT, "the resource's id is not its handle"));
    }
    if commit("msnet/content/1", frame.content_nonce, &frame.content) != leaf.contentHash {
        return Err((verdict::CONTENT_HASH, "the bytes are not those its leaf commits to"));
    }
    if frame.inst != owner {
        return Err((verdict::LEAF_PROOF, "it was anchored by another institution"));
    }
    if !chain.proves {
        return Err((
            verdict::LEAF_PROOF,
            "its leaf does not prove against the owner's anchored root: it is not what was anchored",
        ));
    }
    if chain.withdrawn {
        return Err((VERDICT_WITHDRAWN, "it had been withdrawn"));
    }
    if kinds.is_some_and(|kinds| !kinds.contains(&leaf.kind)) {
        return Err((VERDICT_SCOPE, "its kind was not granted"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{B256, FixedBytes};
    use contracts::leaf::preimage;

    const OWNER: InstId = FixedBytes([0xaa; 16]);
    const YES: ChainSays = ChainSays { proves: true, withdrawn: false };

    fn leaf(content: &[u8]) -> RecordLeaf {
        RecordLeaf {
            version: 1,
            handle: FixedBytes([0x12; 16]),
            prevHandle: FixedBytes::ZERO,
            kind: 3,
            schema: 1,
            format: 1,
            contentHash: commit("msnet/content/1", B256::repeat_byte(7), content),
            summaryHash: B256::ZERO,
            qualityLabel: 0,
            consentEpoch: 0,
            salt: B256::repeat_byte(9),
        }
    }

    fn frame_of(leaf: &RecordLeaf, content: &[u8]) -> Frame {
        Frame {
            inst: OWNER,
            batch_seq: 1,
            index: 2,
            preimage: preimage(leaf).try_into().unwrap(),
            content_nonce: B256::repeat_byte(7),
            siblings: vec![B256::ZERO; 4],
            content: content.to_vec(),
        }
    }

    fn content() -> String {
        format!(r#"{{"id":"{}","resourceType":"Condition"}}"#, "12".repeat(16))
    }

    fn frame() -> Frame {
        let content = content();
        frame_of(&leaf(content.as_bytes()), content.as_bytes())
    }

    fn verdict_of(frame: &Frame, chain: ChainSays) -> u8 {
        let record = verify_frame(frame, OWNER, Some(&[3, 4]), chain);
        assert_eq!(record.ok, record.verdict == 0);
        record.verdict
    }

    #[test]
    fn a_record_that_is_what_was_anchored_proves() {
        let record = verify_frame(&frame(), OWNER, None, YES);
        assert!(record.ok, "{}", record.why);
        assert_eq!(record.resource_type, "Condition");
        assert_eq!(record.handle.to_string(), "12".repeat(16));
    }

    #[test]
    fn an_altered_value_with_a_rebuilt_leaf_fails_at_the_proof() {
        // an insider seals the new value again: content and leaf agree, but the root was anchored before
        let altered = ChainSays { proves: false, withdrawn: false };
        let record = verify_frame(&frame(), OWNER, None, altered);
        assert_eq!(record.verdict, verdict::LEAF_PROOF);
        assert!(record.why.contains("anchored root"), "{}", record.why);
    }

    #[test]
    fn each_fault_has_its_verdict() {
        let text = content();
        let other = text.replace("Condition", "Procedure");
        assert_eq!(
            verdict_of(&frame_of(&leaf(text.as_bytes()), other.as_bytes()), YES),
            VERDICT_FORMAT,
            "a kind that its leaf does not name"
        );
        let spaced = text.replace(',', ", ");
        assert_eq!(
            verdict_of(&frame_of(&leaf(spaced.as_bytes()), spaced.as_bytes()), YES),
            VERDICT_FORMAT
        );
        let longer = text.replace('}', r#","x":1}"#);
        assert_eq!(
            verdict_of(&frame_of(&leaf(text.as_bytes()), longer.as_bytes()), YES),
            verdict::CONTENT_HASH
        );
        let strange = RecordLeaf { version: 2, ..leaf(text.as_bytes()) };
        assert_eq!(verdict_of(&frame_of(&strange, text.as_bytes()), YES), VERDICT_FORMAT);
        let renamed = RecordLeaf { handle: FixedBytes([1; 16]), ..leaf(text.as_bytes()) };
        assert_eq!(verdict_of(&frame_of(&renamed, text.as_bytes()), YES), VERDICT_FORMAT);
        let elsewhere = Frame { inst: FixedBytes([1; 16]), ..frame() };
        assert_eq!(verdict_of(&elsewhere, YES), verdict::LEAF_PROOF);
        let withdrawn = ChainSays { proves: true, withdrawn: true };
        assert_eq!(verdict_of(&frame(), withdrawn), VERDICT_WITHDRAWN);
        assert_eq!(verify_frame(&frame(), OWNER, Some(&[4]), YES).verdict, VERDICT_SCOPE);
        let broken = Frame { preimage: [0; 384], ..frame() };
        assert_eq!(verdict_of(&broken, YES), VERDICT_FORMAT);
    }
}
