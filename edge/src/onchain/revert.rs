//! What a contract's refusal says, in words: `Error(string)`, `Panic(uint256)` and the contracts' own errors by name.

use alloy_primitives::{Address, U256, hex, keccak256};
use contracts::abi::{
    AccessRegistry::AccessRegistryErrors, Credibility::CredibilityErrors,
    DatasetCatalog::DatasetCatalogErrors, DeliveryLedger::DeliveryLedgerErrors,
    Incentives::IncentivesErrors, InstitutionRegistry::InstitutionRegistryErrors,
    KeyRegistry::KeyRegistryErrors, RecordRegistry::RecordRegistryErrors,
    Sanctions::SanctionsErrors, Supervision::SupervisionErrors,
};

/// The errors that people meet, with their parameters' names (`contracts.md` 1 and 3); every parameter is a static word.
const ERRORS: &[&str] = &[
    "NotParty(bytes16 subject,address signer)",
    "NotActive(bytes16 subject,uint8 status)",
    "WrongState(bytes32 id,uint8 have,uint8 want)",
    "Unknown(bytes32 id)",
    "Exists(bytes32 id)",
    "TooEarly(uint64 notBefore)",
    "TooLate(uint64 deadline)",
    "OutOfBounds(uint256 value,uint256 min,uint256 max)",
    "BadSignature(address signer)",
    "IntentExpired(uint64 deadline)",
    "Stopped(bytes32 name,uint64 until)",
    "BadProof(bytes32 root,uint256 index)",
    "HashMismatch(bytes32 have,bytes32 want)",
    "SeqMismatch(uint64 have,uint64 want)",
    "Backdated(uint64 validFrom)",
    "AlreadyWithdrawn(bytes16 inst,uint64 seq,uint32 index)",
    "BadDuo(uint32 duo)",
    "DuoMismatch(uint32 have,uint32 want)",
    "ForbiddenPurpose(uint16 purpose)",
    "Sanctioned(bytes16 party,uint8 level)",
    "GrantNotLive(bytes32 grantId)",
    "LeafIsGood()",
    "NotDecidable()",
    "NonTransferable()",
    "QuotaExceeded(bytes16 inst,uint64 retryAt)",
    "NotEnough(uint256 have,uint256 want)",
    "LegalIdInUse(bytes32 legalHash,bytes16 holder)",
    "AccessManagedUnauthorized(address caller)",
    "InvalidAccountNonce(address account,uint256 currentNonce)",
];

/// Every error the contracts can raise, without names.
const ABI: [&[&str]; 10] = [
    InstitutionRegistryErrors::SIGNATURES,
    KeyRegistryErrors::SIGNATURES,
    RecordRegistryErrors::SIGNATURES,
    DatasetCatalogErrors::SIGNATURES,
    AccessRegistryErrors::SIGNATURES,
    DeliveryLedgerErrors::SIGNATURES,
    SupervisionErrors::SIGNATURES,
    SanctionsErrors::SIGNATURES,
    CredibilityErrors::SIGNATURES,
    IncentivesErrors::SIGNATURES,
];

/// One sentence for the bytes of a revert.
pub fn explain(data: &[u8]) -> String {
    let Some((selector, words)) = data.split_first_chunk::<4>() else {
        return "the contract refused without a reason".into();
    };
    match *selector {
        [0x08, 0xc3, 0x79, 0xa0] => {
            let text = words.get(64..).unwrap_or_default();
            let length = word(words, 1).map_or(0, |w| w.saturating_to::<usize>());
            let text = text.get(..length).unwrap_or(text);
            format!("the contract refused: {}", String::from_utf8_lossy(text))
        }
        [0x4e, 0x48, 0x7b, 0x71] => {
            format!("the contract stopped with panic {:#x}", word(words, 0).unwrap_or_default())
        }
        _ => match known().find(|signature| selector_of(signature) == *selector) {
            Some(signature) => format!("the contract refused: {}", render(signature, words)),
            None => format!("the contract refused with error 0x{}", hex::encode(data)),
        },
    }
}

/// Signatures with names first.
fn known() -> impl Iterator<Item = &'static str> {
    ERRORS.iter().copied().chain(ABI.into_iter().flatten().copied())
}

/// The four bytes of `Name(type name,…)`: the hash of the signature without the parameters' names.
fn selector_of(signature: &str) -> [u8; 4] {
    let (name, parameters) = split(signature);
    let types: Vec<&str> = parameters.iter().map(|(kind, _)| *kind).collect();
    let hash = keccak256(format!("{name}({})", types.join(",")));
    [hash[0], hash[1], hash[2], hash[3]]
}

/// `Name(type name,…)` as the name and its (type, name) pairs.
fn split(signature: &str) -> (&str, Vec<(&str, &str)>) {
    let (name, rest) = signature.split_once('(').unwrap_or((signature, ")"));
    let inside = rest.trim_end_matches(')');
    let parameters = inside
        .split(',')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| parameter.split_once(' ').unwrap_or((parameter, "")))
        .collect();
    (name, parameters)
}

fn word(words: &[u8], index: usize) -> Option<U256> {
    words.chunks_exact(32).nth(index).map(U256::from_be_slice)
}

/// `Name(name value, …)` with each value as its type is read.
fn render(signature: &str, words: &[u8]) -> String {
    let (name, parameters) = split(signature);
    let values: Vec<String> = parameters
        .iter()
        .zip(words.chunks_exact(32))
        .map(|((kind, parameter), word)| {
            let value = match *kind {
                "address" => Address::from_slice(&word[12..]).to_string(),
                "bytes16" => format!("0x{}", hex::encode(&word[..16])),
                "bytes32" => format!("0x{}", hex::encode(word)),
                _ => U256::from_be_slice(word).to_string(),
            };
            format!("{parameter} {value}").trim_start().to_owned()
        })
        .collect();
    format!("{name}({})", values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_solidity_own_errors() {
        let mut data = hex!("08c379a0").to_vec();
        data.extend(U256::from(32).to_be_bytes::<32>());
        data.extend(U256::from(5).to_be_bytes::<32>());
        data.extend(b"no way");
        assert_eq!(explain(&data), "the contract refused: no wa");
        let mut panic = hex!("4e487b71").to_vec();
        panic.extend(U256::from(0x11).to_be_bytes::<32>());
        assert_eq!(explain(&panic), "the contract stopped with panic 0x11");
        assert_eq!(explain(b""), "the contract refused without a reason");
        assert_eq!(explain(&hex!("01020304")), "the contract refused with error 0x01020304");
    }

    #[test]
    fn every_error_of_the_contracts_has_a_name() {
        for signature in ABI.into_iter().flatten() {
            let said = explain(&[&selector_of(signature)[..], &[0; 96]].concat());
            let (name, _) = split(signature);
            assert!(said.starts_with(&format!("the contract refused: {name}(")), "{said}");
        }
    }

    #[test]
    fn names_our_errors_and_their_values() {
        let mut data = keccak256("SeqMismatch(uint64,uint64)")[..4].to_vec();
        data.extend(U256::from(3).to_be_bytes::<32>());
        data.extend(U256::from(2).to_be_bytes::<32>());
        assert_eq!(explain(&data), "the contract refused: SeqMismatch(have 3, want 2)");
        let mut data = keccak256("NotParty(bytes16,address)")[..4].to_vec();
        data.extend([0xaa; 16]);
        data.extend([0; 16]);
        data.extend([0; 12]);
        data.extend([0x11; 20]);
        assert_eq!(
            explain(&data),
            "the contract refused: NotParty(subject 0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, \
             signer 0x1111111111111111111111111111111111111111)"
        );
    }
}
