//! Tokens: HS256 over a secret of 32 bytes, fresh within a minute, as the engine API has them.
//!
//! `Authorization: Bearer header.payload.signature`, each part base64url without padding (RFC 7515, RFC 7519).

use std::{
    fmt,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy_primitives::hex;
use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, header};
use serde::Deserialize;

/// Farthest that the time of issue may lie from this node's clock, either way.
const FRESH_SECS: u64 = 60;
/// Longest token that is looked at.
const TOKEN_BYTES: usize = 4_096;

/// Who needs a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum JwtScope {
    /// Whoever calls the admin set.
    #[default]
    Admin,
    /// Everybody.
    All,
}

/// A shared secret.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(***)")
    }
}

#[derive(Deserialize)]
struct JoseHeader {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    iat: u64,
    exp: Option<u64>,
}

impl Secret {
    /// A secret of 32 bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// Reads 64 hex digits, with or without `0x`.
    ///
    /// # Errors
    /// In words, if the file does not read or holds something else.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let digits = text.trim();
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        let bytes = hex::decode(digits).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(|bytes| Self::new(&bytes)).ok_or_else(|| "it is not 64 hex digits".to_owned())
    }

    /// True if the request carries a token of this secret that is fresh.
    pub fn verify(&self, headers: &HeaderMap) -> bool {
        let text = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = text.and_then(|text| text.strip_prefix("Bearer "));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        token.is_some_and(|token| self.is_valid(token.trim(), now))
    }

    fn is_valid(&self, token: &str, now: u64) -> bool {
        let Some((signed, signature)) = token.rsplit_once('.') else { return false };
        let Some((jose, claims)) = signed.split_once('.') else { return false };
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let is_signed = token.len() <= TOKEN_BYTES
            && decode(signature)
                .is_some_and(|tag| hmac::verify(&self.0, signed.as_bytes(), &tag).is_ok());
        let alg = decode(jose).and_then(|json| serde_json::from_slice::<JoseHeader>(&json).ok());
        let claims = decode(claims).and_then(|json| serde_json::from_slice::<Claims>(&json).ok());
        is_signed
            && alg.is_some_and(|jose| jose.alg == "HS256")
            && claims.is_some_and(|claims| {
                claims.iat.abs_diff(now) <= FRESH_SECS && claims.exp.is_none_or(|exp| exp > now)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(secret: &Secret, jose: &str, claims: &str) -> String {
        let encode = |text: &[u8]| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", encode(jose.as_bytes()), encode(claims.as_bytes()));
        let tag = hmac::sign(&secret.0, signed.as_bytes());
        format!("{signed}.{}", encode(tag.as_ref()))
    }

    /// The example of RFC 7515, A.1: another secret length, the same algorithm.
    #[test]
    fn the_example_of_the_rfc_verifies() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = URL_SAFE_NO_PAD.decode(key).expect("the RFC's key");
        let secret = Secret(hmac::Key::new(hmac::HMAC_SHA256, &key));
        let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let tag = URL_SAFE_NO_PAD.decode("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert!(hmac::verify(&secret.0, signed.as_bytes(), &tag.expect("its tag")).is_ok());
    }

    #[test]
    fn tokens_are_fresh_and_signed() {
        let (secret, other) = (Secret::new(&[7; 32]), Secret::new(&[8; 32]));
        let jose = r#"{"typ":"JWT","alg":"HS256"}"#;
        let now = 1_700_000_000;
        for (token, is_valid) in [
            (token(&secret, jose, r#"{"iat":1700000000}"#), true),
            (token(&secret, jose, r#"{"iat":1700000060}"#), true),
            (token(&secret, jose, r#"{"iat":1699999939}"#), false),
            (token(&secret, jose, r#"{"iat":1700000000,"exp":1700000000}"#), false),
            (token(&secret, jose, "{}"), false),
            (token(&secret, r#"{"alg":"none"}"#, r#"{"iat":1700000000}"#), false),
            (token(&other, jose, r#"{"iat":1700000000}"#), false),
            ("a.b".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(secret.is_valid(&token, now), is_valid, "{token}");
        }
        assert!(!secret.verify(&HeaderMap::new()));
    }
}
