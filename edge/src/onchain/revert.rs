//! What a contract's refusal says, in words: `Error(string)`, `Panic(uint256)` and the contracts' own errors by name.

use alloy_primitives::{Address, U256, hex, keccak256};

/// Every error of every contract, with its parameters' names: the common ones (`contracts.md` 1), then folder by folder.
/// A test compares the list with `contracts/abi`.
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
    // identity
    "LegalIdInUse(bytes32 legalHash,bytes16 holder)",
    "Barred(bytes32 legalHash,uint64 until)",
    "SameGroup(uint32 group)",
    "Backdated(uint64 time)",
    "AlreadyRevoked(bytes32 keyId,uint64 revokedAt)",
    "LastAccount(bytes16 subject)",
    "NotGuardian(bytes16 guardian)",
    "NotEnough(uint256 have,uint256 want)",
    "MoveNotAllowed(bytes16 hub,bytes16 newSponsor)",
    "TwoFacets(bytes16 first,bytes16 second)",
    "CheckpointUnorderedInsertion()",
    // records
    "AlreadyWithdrawn(bytes16 inst,uint64 seq,uint32 index)",
    "BadDuo(uint32 duo)",
    "BadCategories(uint256 categories)",
    // access
    "NotOwner(bytes16 dataset,bytes16 owner)",
    "ModeNotOffered(uint8 mode,uint8 offered)",
    "ForbiddenPurpose(uint16 purpose)",
    "DuoMismatch(uint32 have,uint32 want)",
    "NotRenewable(bytes32 renews)",
    "NotLive(bytes32 grantId)",
    "DelegationTooWide(uint64 until,uint64 end)",
    "Sanctioned(bytes16 party,uint8 level)",
    "SameParty(bytes16 inst)",
    "NotCare(uint32 purposes)",
    "NotFullHour(uint64 time,uint64 hourSecs)",
    "GrantNotLive(bytes32 grantId)",
    "SameOffer(bytes32 offerHash)",
    "LeafIsGood()",
    // supervision
    "NotDecidable()",
    "NotOnPanel(bytes16 cred)",
    "NotSitting(bytes32 caseId)",
    "NotPanelist(bytes16 cred)",
    "NonTransferable()",
    "QuotaExceeded(bytes16 inst,uint64 retryAt)",
    // compute
    "NotAscending(bytes16 dataset)",
    "NotCompatible(bytes16 dataset)",
    "AlgorithmNotAllowed(bytes32 algId)",
    "NotSettled(bytes32 jobId)",
    "BudgetExceeded(bytes16 dataset,uint64 left)",
    // governance
    "NotPassed(uint16 yes,uint16 no,uint16 electorate)",
    "CategoryTooLow()",
    "NoCode(address target)",
    "NotStopped(bytes32 name)",
    // OpenZeppelin
    "AccessManagedUnauthorized(address caller)",
    "AccessManagedInvalidAuthority(address authority)",
    "AccessManagedRequiredDelay(address caller,uint32 delay)",
    "InvalidAccountNonce(address account,uint256 currentNonce)",
    "InvalidShortString()",
    "StringTooLong(string str)",
    "SafeCastOverflowedUintDowncast(uint8 bits,uint256 value)",
    "AddressEmptyCode(address target)",
    "FailedCall()",
    "InsufficientBalance(uint256 balance,uint256 needed)",
    "AccessManagerAlreadyScheduled(bytes32 operationId)",
    "AccessManagerBadConfirmation()",
    "AccessManagerExpired(bytes32 operationId)",
    "AccessManagerInvalidInitialAdmin(address initialAdmin)",
    "AccessManagerLockedFunction(bytes4 selector)",
    "AccessManagerLockedRole(uint64 roleId)",
    "AccessManagerNotReady(bytes32 operationId)",
    "AccessManagerNotScheduled(bytes32 operationId)",
    "AccessManagerUnauthorizedAccount(address msgsender,uint64 roleId)",
    "AccessManagerUnauthorizedCall(address caller,address target,bytes4 selector)",
    "AccessManagerUnauthorizedCancel(address msgsender,address caller,address target,bytes4 selector)",
    "AccessManagerUnauthorizedConsume(address target)",
    "AccessControlBadConfirmation()",
    "AccessControlUnauthorizedAccount(address account,bytes32 neededRole)",
    "TimelockInsufficientDelay(uint256 delay,uint256 minDelay)",
    "TimelockInvalidOperationLength(uint256 targets,uint256 payloads,uint256 values)",
    "TimelockUnauthorizedCaller(address caller)",
    "TimelockUnexecutedPredecessor(bytes32 predecessorId)",
    "TimelockUnexpectedOperationState(bytes32 operationId,bytes32 expectedStates)",
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
        _ => match ERRORS.iter().find(|signature| selector_of(signature) == *selector) {
            Some(signature) => format!("the contract refused: {}", render(signature, words)),
            None => format!("the contract refused with error 0x{}", hex::encode(data)),
        },
    }
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

/// The text that a word points at: its length, then its bytes. Nothing if it points outside.
fn text_at(words: &[u8], offset: &[u8]) -> String {
    let from = U256::from_be_slice(offset).saturating_to::<usize>();
    let tail = words.get(from..).unwrap_or_default();
    let length = word(tail, 0).map_or(0, |w| w.saturating_to::<usize>());
    let text = tail.get(32..).unwrap_or_default();
    format!("{:?}", String::from_utf8_lossy(text.get(..length).unwrap_or_default()))
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
                "bytes4" => format!("0x{}", hex::encode(&word[..4])),
                "string" => text_at(words, word),
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

    /// The errors of the committed ABIs, spelled as in `ERRORS`.
    fn committed() -> Vec<String> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../contracts/abi");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut errors = Vec::new();
        for file in files.filter(|file| file.extension().is_some_and(|end| end == "json")) {
            let text = std::fs::read_to_string(file).unwrap();
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            let entries = json["abi"].as_array().into_iter().flatten();
            for error in entries.filter(|entry| entry["type"] == "error") {
                let field =
                    |value: &serde_json::Value, key: &str| value[key].as_str().unwrap().to_owned();
                let inputs: Vec<_> = error["inputs"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|input| format!("{} {}", field(input, "type"), field(input, "name")))
                    .collect();
                errors.push(format!("{}({})", field(error, "name"), inputs.join(",")));
            }
        }
        errors
    }

    #[test]
    fn every_error_of_the_committed_abis_has_a_name_and_no_other() {
        let committed = committed();
        assert!(committed.len() > 300, "{} errors in contracts/abi", committed.len());
        for error in &committed {
            let said = explain(&[&selector_of(error)[..], &[0; 96]].concat());
            let (name, _) = split(error);
            assert!(said.starts_with(&format!("the contract refused: {name}(")), "{said}");
        }
        for error in ERRORS {
            assert!(committed.iter().any(|have| have == error), "{error} is no contract's");
        }
    }

    #[test]
    fn reads_texts_and_selectors() {
        let mut data = selector_of("StringTooLong(string)").to_vec();
        data.extend(U256::from(32).to_be_bytes::<32>());
        data.extend(U256::from(3).to_be_bytes::<32>());
        data.extend(b"abc");
        assert_eq!(explain(&data), "the contract refused: StringTooLong(str \"abc\")");
        data[35] = 0xff;
        assert_eq!(explain(&data), "the contract refused: StringTooLong(str \"\")");
        let mut data = selector_of("AccessManagerLockedFunction(bytes4)").to_vec();
        data.extend(hex!("01020304"));
        data.extend([0; 28]);
        assert_eq!(
            explain(&data),
            "the contract refused: AccessManagerLockedFunction(selector 0x01020304)"
        );
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
