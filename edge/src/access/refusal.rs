//! The stable codes of the release check, and what each means to HTTP and JSON-RPC (`protocol.md` 4).
//!
//! The strings are append-only: other programs act on them.

use crate::error::EdgeError;

/// What a refusal code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// Stable code.
    pub code: &'static str,
    /// Step of the release check; 0 stands for the dash at the table's end.
    pub step: u8,
    /// HTTP status of plain routes.
    pub http: u16,
    /// JSON-RPC error number.
    pub rpc: i64,
    /// Seconds after which asking again makes sense.
    pub retry_after: Option<u32>,
    /// One sentence for a person.
    pub title: &'static str,
    /// What would have to change.
    pub fix: &'static str,
}

macro_rules! classes {
    ($($code:ident $step:literal $http:literal $rpc:literal $retry:expr, $title:literal, $fix:literal;)*) => {
        $(
            #[doc = $title]
            pub const $code: Class = Class {
                code: stringify!($code),
                step: $step,
                http: $http,
                rpc: $rpc,
                retry_after: $retry,
                title: $title,
                fix: $fix,
            };
        )*
        /// Every class, in the order of the steps.
        pub const CLASSES: &[Class] = &[$($code),*];
    };
}

classes! {
    SIGNATURE_INVALID 1 401 -32020 None, "the request's signature does not verify", "sign the request as protocol.md 3 says";
    SIGNATURE_EXPIRED 1 401 -32020 None, "the request's signature is outside its time window", "set the clock right and sign again";
    NONCE_REPLAYED 1 409 -32020 None, "a request with this nonce came before", "sign each request with a fresh nonce";
    KEY_NOT_VALID 1 401 -32020 None, "the signing key is not registered, or not valid at this time", "register a transport key in KeyRegistry";
    REQUESTER_NOT_ACTIVE 2 403 -32021 None, "the requesting institution is not active", "wait until it is admitted or its suspension ends";
    REQUESTER_SANCTIONED 2 403 -32021 None, "a sanction bars the requesting institution from asking", "wait until the sanction ends";
    CREDENTIAL_NOT_VALID 2 403 -32021 None, "the acting credential does not hold the role of a researcher", "act with a live credential that does";
    BASIS_UNKNOWN 3 404 -32022 None, "there is no such grant between these two institutions", "ask for access and name the grant that was given";
    BASIS_NOT_LIVE 3 403 -32022 None, "the grant is not live yet", "wait until it is accepted and its term has begun";
    BASIS_NOT_FINAL 3 409 -32022 Some(2), "the grant is not final yet", "ask again in a moment";
    BASIS_ENDED 4 403 -32023 None, "the grant has ended", "ask for access again";
    PURPOSE_MISMATCH 5 403 -32022 None, "the purpose is not the one that was granted", "use the data for the granted purpose only";
    DUO_MISMATCH 5 403 -32022 None, "the dataset's conditions no longer allow this use", "ask for access under the conditions of today";
    SCOPE_EXCEEDED 6 403 -32022 None, "the request goes beyond what was granted", "stay within the granted scope";
    RECORD_WITHDRAWN 6 410 -32041 None, "the record was withdrawn", "nothing; it will not be delivered";
    RECORD_NOT_ANCHORED 6 409 -32022 None, "the record is not anchored at a final block", "ask again after the next batch";
    QUOTA_EXCEEDED 9 429 -32025 Some(3_600), "too much was asked for in a short time", "ask again later";
    CHAIN_STALE 10 503 -32030 Some(10), "this edge has seen no new block for too long", "ask again when the chain moves";
    CHAIN_UNREACHABLE 10 503 -32030 Some(10), "this edge cannot reach its chain", "ask again later";
    AUDIT_UNAVAILABLE 11 503 -32031 Some(60), "the access could not be written down, so it did not happen", "ask again later";
    NOT_SIGNED_IN 0 401 -32020 None, "this is for the operator of this edge", "send Authorization: Bearer with the token in operator.token of the edge's folder";
    NOT_AVAILABLE 0 404 -32040 None, "nothing is available under this grant", "nothing; ask the other institution";
}

impl From<Class> for EdgeError {
    fn from(class: Class) -> EdgeError {
        EdgeError::Permission {
            code: class.code,
            step: class.step,
            title: class.title.to_owned(),
            fix: class.fix.to_owned(),
        }
    }
}

/// The class of a code, if it is one of ours.
pub fn class_of(code: &str) -> Option<Class> {
    CLASSES.iter().find(|class| class.code == code).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_steps_ascend() {
        for (index, class) in CLASSES.iter().enumerate() {
            assert_eq!(class_of(class.code), Some(*class));
            assert!(CLASSES[..index].iter().all(|other| other.code != class.code));
            let next = CLASSES.get(index + 1).map_or(0, |next| next.step);
            assert!(next >= class.step || next == 0);
            assert!((400..=599).contains(&class.http) && class.rpc < -32_000);
        }
        assert_eq!(class_of("MAYBE"), None);
    }
}
