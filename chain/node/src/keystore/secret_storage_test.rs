use proptest::prelude::*;

use super::*;

/// From go-ethereum's `light-test-secret.json`, N 2, so that it is quick.
const QUICK: &str = r#"{"address":"45dea0fb0bba44f4fcf290bba71fd57d7117cbb8","crypto":{"cipher":"aes-128-ctr","ciphertext":"b87781948a1befd247bff51ef4063f716cf6c2d3481163e9a8f42e1f9bb74145","cipherparams":{"iv":"dc4926b48a105133d2f16b96833abf1e"},"kdf":"scrypt","kdfparams":{"dklen":32,"n":2,"p":1,"r":8,"salt":"004244bbdc51cadda545b1cfa43cff9ed2ae88e08c61f1479dbb45410722f8f0"},"mac":"39990c1684557447940d4c69e06b1b82b2aceacb43f284df65c956daf3046b85"},"id":"ce541d8d-c79b-40f8-9f8c-20f59616faba","version":3}"#;

fn refused(from: &str, to: &str) -> KeystoreError {
    assert!(QUICK.contains(from), "{from}");
    decrypt(QUICK.replacen(from, to, 1).as_bytes(), b"").expect_err(to)
}

#[test]
fn geths_light_file_opens() {
    let key = decrypt(QUICK.as_bytes(), b"").expect("geth's own");
    assert_eq!(
        hex::encode(key.address().expect("a key")),
        "45dea0fb0bba44f4fcf290bba71fd57d7117cbb8"
    );
    assert!(matches!(decrypt(QUICK.as_bytes(), b"x"), Err(KeystoreError::WrongPassword)));
}

#[test]
fn what_is_written_opens_again_and_with_no_other_password() {
    let key = SignerKey::new([0x17; 32]);
    let json = encrypt(&key, "pässword".as_bytes(), Cost::Light).expect("a key");
    let again = decrypt(&json, "pässword".as_bytes()).expect("just written");
    assert_eq!(*again.secret_bytes(), [0x17; 32]);
    assert!(matches!(decrypt(&json, b"password"), Err(KeystoreError::WrongPassword)));
    assert_eq!(account(&json).expect("just written"), key.address().ok());
    let text = String::from_utf8(json).expect("JSON");
    assert!(text.contains(r#""kdfparams":{"dklen":32,"n":4096,"p":6,"r":8,"salt":""#), "{text}");
    let id = text.split("\"id\":\"").nth(1).expect("an id");
    assert_eq!((&id[8..9], &id[14..15]), ("-", "4"), "{id}");
    assert!(["8", "9", "a", "b"].contains(&&id[19..20]), "{id}");
}

#[test]
fn a_file_that_asks_for_too_much_is_refused_before_it_gets_it() {
    let error = refused(r#""n":2,"#, r#""n":1048576,"#);
    assert_eq!(error.to_string(), "key file asks for 1024 MiB, limit 512 MiB");
    let error = refused(r#""n":2,"#, r#""n":18446744073709551615,"#);
    assert!(matches!(error, KeystoreError::TooMuchMemory { .. }), "{error}");
    let error = refused(r#""p":1,"#, r#""p":17,"#);
    assert_eq!(error.to_string(), "key file asks for 17 scrypt lanes, limit 16");
    let error = refused(
        r#""scrypt","kdfparams":{"#,
        r#""pbkdf2","kdfparams":{"c":10000001,"prf":"hmac-sha256","#,
    );
    assert_eq!(error.to_string(), "key file asks for 10000001 pbkdf2 rounds, limit 10000000");
}

#[test]
fn what_does_not_fit_is_named_and_no_part_of_the_file_quoted() {
    for (from, to, word) in [
        (r#""version":3"#, r#""version":4"#, "version 4"),
        (r#""n":2,"#, r#""n":3,"#, "power of two"),
        (r#""n":2,"#, r#""n":0,"#, "kdfparams.n"),
        (r#""n":2,"#, "", "kdfparams.n"),
        (r#""dklen":32"#, r#""dklen":16"#, "dklen"),
        (r#""kdf":"scrypt""#, r#""kdf":"argon""#, "argon"),
        (r#""kdf":"scrypt""#, r#""kdf":"pbkdf2""#, "kdfparams.c"),
        ("aes-128-ctr", "aes-128-cbc", "aes-128-cbc"),
        ("dc4926b48a105133d2f16b96833abf1e", "dc49", "iv is not 16"),
        ("b87781948a1b", "b87781948a", "ciphertext is not 32"),
        ("45dea0fb", "45dea0f", "address is not 20"),
        (r#""cipher":"#, r#""chiffre":"#, "a field is missing"),
    ] {
        let text = refused(from, to).to_string();
        assert!(text.contains(word), "{to}: {text}");
    }
    let secret = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
    for json in [secret.to_owned(), format!("\"{secret}\""), format!("{{\"crypto\":\"{secret}\"}}")]
    {
        let text = decrypt(json.as_bytes(), b"").expect_err("no key file").to_string();
        assert!(!text.contains("4c0883"), "{text}");
    }
    let error = refused("45dea0fb", "45dea0fc");
    assert!(matches!(error, KeystoreError::WrongAccount { .. }), "{error}");
}

proptest! {
    /// Any change either keeps the key (a field that says nothing about it) or is refused; nothing panics.
    #[test]
    fn a_changed_file_never_gives_another_key(at in 0..QUICK.len(), byte: u8) {
        let mut bytes = QUICK.as_bytes().to_vec();
        *bytes.get_mut(at).expect("in the file") = byte;
        if let Ok(key) = decrypt(&bytes, b"") {
            prop_assert_eq!(key.address().ok(), account(QUICK.as_bytes()).ok().flatten());
        }
    }

    #[test]
    fn foreign_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(decrypt(&bytes, b"").is_err());
    }
}
