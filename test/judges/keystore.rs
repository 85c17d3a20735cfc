//! Kind `keystore`: KeyStoreTests. `{name: {json, password, priv, address?}}`: a key file, its password and its key. The
//! file opens with its password to that key's account, and with no other password.

use alloy_primitives::Address;
use node::{SignerKey, keystore::secret_storage::decrypt};
use serde_json::Value;

use super::{Verdict, Verdicts, address, string, text};

pub(crate) fn judge(json: &Value) -> Result<Verdicts, String> {
    let cases = json.as_object().ok_or("not an object of cases")?;
    let cases = cases.iter().filter(|(_, case)| case.get("json").is_some());
    Ok(cases.map(|(name, case)| (name.clone(), check(case))).collect())
}

fn check(case: &Value) -> Verdict {
    let (file, password) = (case["json"].to_string(), string(case, "password")?);
    let secret = string(case, "priv")?;
    let want = SignerKey::from_hex(secret.trim_start_matches("0x")).and_then(|key| key.address());
    let want: Address = want.map_err(text)?;
    let key = decrypt(file.as_bytes(), password.as_bytes()).map_err(text)?;
    let have = key.address().map_err(text)?;
    super::same("account", &have, &want)?;
    super::same_if("address", &have, address(&case["address"])?)?;
    match decrypt(file.as_bytes(), format!("{password}?").as_bytes()) {
        Ok(_) => Err("another password opens it too".to_owned()),
        Err(_) => Ok(()),
    }
}
