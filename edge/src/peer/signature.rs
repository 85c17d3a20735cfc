//! HTTP message signatures between edges: RFC 9421 with Ed25519, body digests by RFC 9530 (`protocol.md` 3).
//!
//! A request is signed over these components, in this order:
//!
//! ```text
//! "@method" "@authority" "@target-uri" "content-digest" "msnet-basis" "msnet-purpose" "msnet-actor"
//! ;created=<s>;expires=<s>;nonce="<16 bytes, base64url>";keyid="0x<KeyRegistry id>";alg="ed25519";tag="msnet"
//! ```
//!
//! and a response over `"@status" "content-digest" "signature";req;key="msnet"`, which ties it to its request. The text of
//! `Signature-Input` is accepted in this one spelling only: what we would have written ourselves from its values.
//! P-256 keys (`ecdsa-p256-sha256`) are not served yet and count as keys that are not valid.

use alloy_primitives::B256;
use aws_lc_rs::{
    digest,
    signature::{ED25519, UnparsedPublicKey},
};
use axum::http::HeaderMap;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

use crate::onchain::InstId;

/// Longest life of a signature.
pub const MAX_LIFE_SECS: u64 = 60;
/// How far two clocks may be apart.
pub const SKEW_SECS: u64 = 30;

const REQUEST_COMPONENTS: &str = r#"("@method" "@authority" "@target-uri" "content-digest" "msnet-basis" "msnet-purpose" "msnet-actor")"#;
const RESPONSE_COMPONENTS: &str = r#"("@status" "content-digest" "signature";req;key="msnet")"#;

/// What a request asks on the ground of (`Msnet-Basis`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// A grant, by its id.
    Grant(B256),
    /// A search: no basis yet, the id is 0x0.
    Search,
}

impl Basis {
    /// The header's text.
    pub fn to_header(self) -> String {
        match self {
            Basis::Grant(id) => format!("grant {id}"),
            Basis::Search => "search 0x0".into(),
        }
    }

    /// Reads the header's text; `None` for a lane this edge does not serve.
    pub fn from_header(text: &str) -> Option<Basis> {
        match text.split_once(' ')? {
            ("grant", id) => Some(Basis::Grant(id.parse().ok()?)),
            ("search", "0x0") => Some(Basis::Search),
            _ => None,
        }
    }
}

/// Why step 1 of the release check says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureFault {
    /// A header is missing or ill-formed, the digest differs, or the signature does not verify.
    Invalid(&'static str),
    /// Made too long ago, or in the future, or living too long.
    Expired,
    /// The same nonce of the same key came before.
    Replayed,
    /// The key is unknown, not valid now, or was not valid when it signed.
    KeyNotValid,
}

/// The values a request signature covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestParts {
    /// `POST`, `GET`.
    pub method: String,
    /// `host:port`, lower case.
    pub authority: String,
    /// The whole address.
    pub target_uri: String,
    /// On which ground.
    pub basis: Basis,
    /// For which purpose (HL7 PurposeOfUse number).
    pub purpose: u16,
    /// By which credential.
    pub actor: InstId,
    /// Signed at.
    pub created: u64,
    /// Void from.
    pub expires: u64,
    /// One use.
    pub nonce: [u8; 16],
    /// KeyRegistry id of the signing key.
    pub key_id: B256,
}

impl RequestParts {
    fn parameters(&self) -> String {
        format!(
            r#"{REQUEST_COMPONENTS};created={};expires={};nonce="{}";keyid="{}";alg="ed25519";tag="msnet""#,
            self.created,
            self.expires,
            URL_SAFE_NO_PAD.encode(self.nonce),
            self.key_id
        )
    }

    /// The signature base of RFC 9421, section 2.5.
    pub fn base(&self, content_digest: &str) -> String {
        format!(
            "\"@method\": {}\n\"@authority\": {}\n\"@target-uri\": {}\n\"content-digest\": {}\n\
             \"msnet-basis\": {}\n\"msnet-purpose\": {}\n\"msnet-actor\": {}\n\"@signature-params\": {}",
            self.method,
            self.authority,
            self.target_uri,
            content_digest,
            self.basis.to_header(),
            self.purpose,
            self.actor,
            self.parameters()
        )
    }

    /// The headers of a signed request, `(name, value)`; `sign` makes an Ed25519 signature with the key named.
    pub fn sign(
        &self,
        sign: impl FnOnce(&[u8]) -> [u8; 64],
        body: &[u8],
    ) -> Vec<(&'static str, String)> {
        let content_digest = content_digest(body);
        let signature = sign(self.base(&content_digest).as_bytes());
        vec![
            ("content-digest", content_digest),
            ("msnet-basis", self.basis.to_header()),
            ("msnet-purpose", self.purpose.to_string()),
            ("msnet-actor", self.actor.to_string()),
            ("signature-input", format!("msnet={}", self.parameters())),
            ("signature", format!("msnet=:{}:", STANDARD.encode(signature))),
        ]
    }

    /// Reads the covered values of a request that came in, and checks its digest; the signature is not checked yet.
    ///
    /// # Errors
    /// [`SignatureFault::Invalid`] naming the header.
    pub fn read(
        method: &str,
        authority: &str,
        target_uri: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<RequestParts, SignatureFault> {
        let invalid = SignatureFault::Invalid;
        if single(headers, "content-digest")? != content_digest(body) {
            return Err(invalid("content-digest is not that of the body"));
        }
        let basis = Basis::from_header(single(headers, "msnet-basis")?)
            .ok_or(invalid("msnet-basis is not a lane this edge serves"))?;
        let purpose = single(headers, "msnet-purpose")?
            .parse()
            .map_err(|_| invalid("msnet-purpose is not a number"))?;
        let actor = single(headers, "msnet-actor")?
            .parse()
            .map_err(|_| invalid("msnet-actor is not 16 bytes"))?;
        let input = single(headers, "signature-input")?;
        let ill = invalid("signature-input is not spelled as agreed");
        let number = |name: &str| parameter(input, name)?.parse::<u64>().ok();
        let quoted = |name: &str| parameter(input, name)?.strip_prefix('"')?.strip_suffix('"');
        let nonce = quoted("nonce").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let parts = RequestParts {
            method: method.to_owned(),
            authority: authority.to_owned(),
            target_uri: target_uri.to_owned(),
            basis,
            purpose,
            actor,
            created: number("created").ok_or(ill)?,
            expires: number("expires").ok_or(ill)?,
            nonce: nonce.and_then(|bytes| bytes.try_into().ok()).ok_or(ill)?,
            key_id: quoted("keyid").and_then(|text| text.parse().ok()).ok_or(ill)?,
        };
        if input != format!("msnet={}", parts.parameters()) {
            return Err(ill);
        }
        Ok(parts)
    }

    /// Checks the time window: `created − 30 ≤ now ≤ expires + 30`, living at most 60 s.
    ///
    /// # Errors
    /// [`SignatureFault::Expired`].
    pub fn check_window(&self, now: u64) -> Result<(), SignatureFault> {
        let lives = self.expires.checked_sub(self.created).is_some_and(|s| s <= MAX_LIFE_SECS);
        let begun = self.created <= now.saturating_add(SKEW_SECS);
        let over = now > self.expires.saturating_add(SKEW_SECS);
        if lives && begun && !over { Ok(()) } else { Err(SignatureFault::Expired) }
    }

    /// Checks the signature itself with the key the registry names.
    ///
    /// # Errors
    /// [`SignatureFault::Invalid`].
    pub fn check_signature(
        &self,
        public_key: &[u8],
        headers: &HeaderMap,
    ) -> Result<(), SignatureFault> {
        let signature = signature_bytes(single(headers, "signature")?)?;
        let base = self.base(single(headers, "content-digest")?);
        UnparsedPublicKey::new(&ED25519, public_key)
            .verify(base.as_bytes(), &signature)
            .map_err(|_| SignatureFault::Invalid("the signature does not verify"))
    }
}

/// The headers of a signed answer to the request that carried `request_signature`.
pub fn sign_response(
    sign: impl FnOnce(&[u8]) -> [u8; 64],
    key_id: B256,
    created: u64,
    status: u16,
    body: &[u8],
    request_signature: &str,
) -> Vec<(&'static str, String)> {
    let content_digest = content_digest(body);
    let parameters = response_parameters(created, key_id);
    let base = response_base(status, &content_digest, request_signature, &parameters);
    let signature = sign(base.as_bytes());
    vec![
        ("content-digest", content_digest),
        ("signature-input", format!("msnet={parameters}")),
        ("signature", format!("msnet=:{}:", STANDARD.encode(signature))),
    ]
}

/// Checks a signed answer; `key_of` gives the public key of an id if it is valid for the peer that was asked.
///
/// # Errors
/// [`SignatureFault`], as for requests.
pub fn verify_response(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    request_signature: &str,
    key_of: impl FnOnce(B256) -> Option<Vec<u8>>,
) -> Result<(), SignatureFault> {
    let digest = single(headers, "content-digest")?;
    if digest != content_digest(body) {
        return Err(SignatureFault::Invalid("content-digest is not that of the answer"));
    }
    let input = single(headers, "signature-input")?;
    let ill = SignatureFault::Invalid("signature-input is not spelled as agreed");
    let created = parameter(input, "created").and_then(|text| text.parse().ok()).ok_or(ill)?;
    let key_id = parameter(input, "keyid")
        .and_then(|text| text.strip_prefix('"')?.strip_suffix('"')?.parse().ok())
        .ok_or(ill)?;
    let parameters = response_parameters(created, key_id);
    if input != format!("msnet={parameters}") {
        return Err(ill);
    }
    let signature = signature_bytes(single(headers, "signature")?)?;
    let base = response_base(status, digest, request_signature, &parameters);
    let key = key_of(key_id).ok_or(SignatureFault::KeyNotValid)?;
    UnparsedPublicKey::new(&ED25519, key)
        .verify(base.as_bytes(), &signature)
        .map_err(|_| SignatureFault::Invalid("the answer's signature does not verify"))
}

fn response_parameters(created: u64, key_id: B256) -> String {
    format!(r#"{RESPONSE_COMPONENTS};created={created};keyid="{key_id}";alg="ed25519";tag="msnet""#)
}

/// `request_signature` is the request's `Signature` header; the covered value is its member `msnet`.
fn response_base(status: u16, digest: &str, request_signature: &str, parameters: &str) -> String {
    let member = request_signature.strip_prefix("msnet=").unwrap_or(request_signature);
    format!(
        "\"@status\": {status}\n\"content-digest\": {digest}\n\"signature\";req;key=\"msnet\": {member}\n\
         \"@signature-params\": {parameters}"
    )
}

/// `sha-256=:<base64>:` (RFC 9530), of the empty body too.
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(digest::digest(&digest::SHA256, body)))
}

/// The value of a header that must be there exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, SignatureFault> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => {
            value.to_str().map_err(|_| SignatureFault::Invalid("a signed header is not ASCII"))
        }
        _ => Err(SignatureFault::Invalid("a header the signature covers is missing or doubled")),
    }
}

/// The text of `;name=…` up to the next `;`.
fn parameter<'a>(input: &'a str, name: &str) -> Option<&'a str> {
    let (_, parameters) = input.split_once(')')?;
    parameters.split(';').find_map(|item| item.strip_prefix(name)?.strip_prefix('='))
}

fn signature_bytes(header: &str) -> Result<Vec<u8>, SignatureFault> {
    header
        .strip_prefix("msnet=:")
        .and_then(|text| text.strip_suffix(':'))
        .and_then(|text| STANDARD.decode(text).ok())
        .ok_or(SignatureFault::Invalid("signature is not msnet=:<base64>:"))
}

/// The KeyRegistry id of a public key that is not an account: `keccak256(uint8 kind ‖ key)`.
pub fn key_id(kind: u8, public_key: &[u8]) -> B256 {
    alloy_primitives::keccak256([&[kind][..], public_key].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{FixedBytes, b256, hex};
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use axum::http::{HeaderName, HeaderValue};

    const BODY: &str = r#"{"id":1,"jsonrpc":"2.0","method":"edge_pull","params":[{"grantId":"0x5b517b5d47d7aa6bc3a04d379bc0d542a07c858831858c79dbc57885d06f99fc","maxBytes":1048576,"page":0,"recvKey":"0xa4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209","seq":1}]}"#;
    const NOW: u64 = 1_800_000_020;

    /// RFC 8032, section 7.1, test 1.
    fn key() -> Ed25519KeyPair {
        let seed = hex!("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        Ed25519KeyPair::from_seed_unchecked(&seed).unwrap()
    }

    fn sign(message: &[u8]) -> [u8; 64] {
        key().sign(message).as_ref().try_into().unwrap()
    }

    fn parts() -> RequestParts {
        RequestParts {
            method: "POST".into(),
            authority: "a.example".into(),
            target_uri: "https://a.example/rpc".into(),
            basis: Basis::Grant(b256!(
                "5b517b5d47d7aa6bc3a04d379bc0d542a07c858831858c79dbc57885d06f99fc"
            )),
            purpose: 5,
            actor: FixedBytes([0xcc; 16]),
            created: 1_800_000_000,
            expires: 1_800_000_060,
            nonce: std::array::from_fn(|i| u8::try_from(i).unwrap()),
            key_id: key_id(3, key().public_key().as_ref()),
        }
    }

    fn headers(pairs: Vec<(&'static str, String)>) -> HeaderMap {
        let pair = |(name, value): (&'static str, String)| {
            (HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap())
        };
        pairs.into_iter().map(pair).collect()
    }

    fn check(headers: &HeaderMap, body: &str, now: u64) -> Result<RequestParts, SignatureFault> {
        let read = RequestParts::read(
            "POST",
            "a.example",
            "https://a.example/rpc",
            headers,
            body.as_bytes(),
        )?;
        read.check_signature(key().public_key().as_ref(), headers)?;
        read.check_window(now)?;
        Ok(read)
    }

    #[test]
    fn the_published_request() {
        let parts = parts();
        assert_eq!(
            parts.key_id,
            b256!("e059bf477880e4ac0e9b3a2c430c5279dc0059f6c04ab6e60d81aa5241d28811")
        );
        let signed = headers(parts.sign(sign, BODY.as_bytes()));
        assert_eq!(
            signed["content-digest"],
            "sha-256=:SC37rxpKeoYS2pRq+b1NsYcVyuXS4vjcmWSMlFCXkIY=:"
        );
        assert_eq!(
            signed["signature"],
            "msnet=:6ADjWuUoOHO4JtI3qlM0ojxcS1qH+IiDu2wSxz18pNsrYlBxkuXuspvM+W9y6iEfV5zJeFcSaoNLbdlE1Gr8BA==:"
        );
        assert_eq!(check(&signed, BODY, NOW), Ok(parts));
    }

    #[test]
    fn a_signature_lives_for_its_window_only() {
        let signed = headers(parts().sign(sign, BODY.as_bytes()));
        assert!(check(&signed, BODY, 1_800_000_090).is_ok());
        assert!(check(&signed, BODY, 1_799_999_970).is_ok());
        assert_eq!(check(&signed, BODY, 1_800_000_091), Err(SignatureFault::Expired));
        assert_eq!(check(&signed, BODY, 1_799_999_969), Err(SignatureFault::Expired));
        let long = RequestParts { expires: 1_800_000_061, ..parts() };
        let signed = headers(long.sign(sign, BODY.as_bytes()));
        assert_eq!(check(&signed, BODY, NOW), Err(SignatureFault::Expired));
        let backwards = RequestParts { expires: 1_799_999_999, ..parts() };
        assert_eq!(backwards.check_window(NOW), Err(SignatureFault::Expired));
    }

    #[test]
    fn another_body_header_target_or_key_does_not_verify() {
        let signed = headers(parts().sign(sign, BODY.as_bytes()));
        assert!(matches!(check(&signed, "{}", NOW), Err(SignatureFault::Invalid(_))));
        for (name, value) in [
            ("msnet-purpose", "6"),
            ("msnet-actor", "0xdddddddddddddddddddddddddddddddd"),
            ("msnet-basis", "search 0x0"),
        ] {
            let mut changed = signed.clone();
            changed.insert(name, HeaderValue::from_static(value));
            assert!(
                matches!(check(&changed, BODY, NOW), Err(SignatureFault::Invalid(_))),
                "{name}"
            );
        }
        let elsewhere = RequestParts::read(
            "POST",
            "b.example",
            "https://b.example/rpc",
            &signed,
            BODY.as_bytes(),
        )
        .unwrap();
        let key = key();
        assert!(elsewhere.check_signature(key.public_key().as_ref(), &signed).is_err());
        let other = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
        assert!(parts().check_signature(other.public_key().as_ref(), &signed).is_err());
    }

    #[test]
    fn a_header_that_is_missing_doubled_or_spelled_otherwise_is_refused() {
        let signed = headers(parts().sign(sign, BODY.as_bytes()));
        for name in ["content-digest", "msnet-basis", "signature-input", "signature"] {
            let mut without = signed.clone();
            without.remove(name);
            assert!(matches!(check(&without, BODY, NOW), Err(SignatureFault::Invalid(_))));
            let mut twice = signed.clone();
            twice.append(name, signed[name].clone());
            assert!(matches!(check(&twice, BODY, NOW), Err(SignatureFault::Invalid(_))));
        }
        let spaced = signed["signature-input"].to_str().unwrap().replace(";expires", "; expires");
        let mut changed = signed.clone();
        changed.insert("signature-input", HeaderValue::from_str(&spaced).unwrap());
        assert!(matches!(check(&changed, BODY, NOW), Err(SignatureFault::Invalid(_))));
    }

    #[test]
    fn an_answer_is_tied_to_its_request() {
        let key = key();
        let id = key_id(3, key.public_key().as_ref());
        let signed = headers(sign_response(sign, id, 1, 200, b"{}", "msnet=:AA==:"));
        let known = |asked: B256| (asked == id).then(|| key.public_key().as_ref().to_vec());
        assert_eq!(verify_response(200, &signed, b"{}", "msnet=:AA==:", known), Ok(()));
        assert!(verify_response(200, &signed, b"{}", "msnet=:AB==:", known).is_err());
        assert!(verify_response(403, &signed, b"{}", "msnet=:AA==:", known).is_err());
        assert!(verify_response(200, &signed, b"[]", "msnet=:AA==:", known).is_err());
        assert_eq!(
            verify_response(200, &signed, b"{}", "msnet=:AA==:", |_| None),
            Err(SignatureFault::KeyNotValid)
        );
    }
}
