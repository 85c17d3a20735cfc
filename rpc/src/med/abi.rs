//! What a contract's view answers, as JSON: the names and types of `contracts/abi`, the words of enums as Solidity has them.
//!
//! Numbers are quantities, bytes and addresses data, structs objects by the names of their members, lists lists.

use std::{collections::BTreeMap, sync::LazyLock};

use alloy_primitives::{B256, U256, keccak256};
use serde_json::{Map, Value};

use crate::render::{data, quantity};

/// The contracts whose views are asked, by name.
const FILES: [(&str, &str); 7] = [
    ("Lens", include_str!("../../../contracts/abi/Lens.json")),
    ("DatasetCatalog", include_str!("../../../contracts/abi/DatasetCatalog.json")),
    ("Credibility", include_str!("../../../contracts/abi/Credibility.json")),
    ("RecordRegistry", include_str!("../../../contracts/abi/RecordRegistry.json")),
    ("DeliveryLedger", include_str!("../../../contracts/abi/DeliveryLedger.json")),
    ("Directory", include_str!("../../../contracts/abi/Directory.json")),
    ("KeyRegistry", include_str!("../../../contracts/abi/KeyRegistry.json")),
];

/// The words of the enums that views show; a test holds them to `contracts/interfaces`.
const ENUMS: [(&str, &[&str]); 8] = [
    (
        "IInstitutionRegistry.Status",
        &[
            "None",
            "Applied",
            "Sponsored",
            "Probation",
            "Active",
            "Suspended",
            "Expelled",
            "Left",
            "Lapsed",
        ],
    ),
    ("IDatasetCatalog.Status", &["None", "Live", "Paused", "Retired"]),
    (
        "IAccessRegistry.Status",
        &[
            "None",
            "Requested",
            "Countered",
            "Granted",
            "Suspended",
            "Revoked",
            "Expired",
            "Completed",
            "Refused",
            "Withdrawn",
            "Lapsed",
        ],
    ),
    (
        "IDeliveryLedger.State",
        &[
            "None",
            "Offered",
            "Received",
            "KeyReleased",
            "Accepted",
            "Disputed",
            "AutoAccepted",
            "Lapsed",
            "KeyOverdue",
        ],
    ),
    (
        "ISupervision.Stage",
        &[
            "None",
            "Filed",
            "Answered",
            "Silent",
            "Evidence",
            "RuleDecided",
            "Panel",
            "Commit",
            "Reveal",
            "Ruled",
            "Appealed",
            "Executed",
            "Conceded",
            "Withdrawn",
        ],
    ),
    ("ISanctions.Status", &["None", "Pending", "InForce", "Served", "Lifted"]),
    (
        "IComputeJobs.State",
        &[
            "None",
            "Ordered",
            "Quoted",
            "Funded",
            "Permitted",
            "Running",
            "Committed",
            "Released",
            "Withheld",
            "Cancelled",
            "Failed",
            "TimedOut",
        ],
    ),
    (
        "IComputeJobs.SiteState",
        &[
            "Awaited",
            "Permitted",
            "Declined",
            "Started",
            "Committed",
            "Failed",
            "Counted",
            "Rewarded",
            "Blamed",
        ],
    ),
];

/// A type, as far as views use them.
#[derive(Debug, Clone)]
enum Kind {
    Number,
    Word(&'static [&'static str]),
    Flag,
    Address,
    Fixed(usize),
    Bytes,
    Text,
    List(Box<Self>),
    Array(Box<Self>, usize),
    Struct(Vec<(String, Self)>),
}

/// A view of a contract.
#[derive(Debug)]
pub(super) struct View {
    selector: [u8; 4],
    outputs: Kind,
}

static VIEWS: LazyLock<BTreeMap<String, View>> = LazyLock::new(|| {
    let mut views = BTreeMap::new();
    for (contract, json) in FILES {
        let file: Value = serde_json::from_str(json).expect("the ABI files are JSON");
        for item in file["abi"].as_array().into_iter().flatten() {
            let is_view = item["type"] == "function" && item["stateMutability"] == "view";
            let Some(name) = item["name"].as_str().filter(|_| is_view) else { continue };
            let Some(outputs) = structure(&item["outputs"]) else { continue };
            let signature = format!("{name}{}", signature(&item["inputs"]));
            let [a, b, c, d, ..] = keccak256(signature).0;
            let view = View { selector: [a, b, c, d], outputs };
            views.entry(format!("{contract}.{name}")).or_insert(view);
        }
    }
    views
});

/// The view of this name: `Lens.grantPage`.
///
/// # Panics
/// If there is none: names are ours.
pub(super) fn view(name: &str) -> &'static View {
    VIEWS.get(name).unwrap_or_else(|| panic!("{name} is a view of the contracts"))
}

/// `(bytes16,uint64)` of a list of parameters; those of views are plain.
fn signature(inputs: &Value) -> String {
    let kinds = inputs.as_array().into_iter().flatten();
    let kinds: Vec<&str> = kinds.filter_map(|input| input["type"].as_str()).collect();
    format!("({})", kinds.join(","))
}

fn structure(members: &Value) -> Option<Kind> {
    let members = members.as_array()?.iter();
    let member = |member: &Value| {
        Some((member["name"].as_str()?.to_owned(), kind(member["type"].as_str()?, member)?))
    };
    members.map(member).collect::<Option<_>>().map(Kind::Struct)
}

fn kind(text: &str, member: &Value) -> Option<Kind> {
    if let Some((item, count)) = text.strip_suffix(']').and_then(|text| text.rsplit_once('[')) {
        let item = Box::new(kind(item, member)?);
        let count = if count.is_empty() { None } else { Some(count.parse().ok()?) };
        return Some(
            count
                .map_or_else(|| Kind::List(item.clone()), |count| Kind::Array(item.clone(), count)),
        );
    }
    let internal = member["internalType"].as_str().unwrap_or_default();
    if let Some(name) = internal.strip_prefix("enum ") {
        let words = ENUMS.iter().find(|(known, _)| *known == name).map(|(_, words)| *words);
        return Some(words.map_or(Kind::Number, Kind::Word));
    }
    match text {
        "tuple" => structure(&member["components"]),
        "bool" => Some(Kind::Flag),
        "address" => Some(Kind::Address),
        "bytes" => Some(Kind::Bytes),
        "string" => Some(Kind::Text),
        _ if text.starts_with("uint") => Some(Kind::Number),
        _ => text.strip_prefix("bytes")?.parse().ok().map(Kind::Fixed),
    }
}

impl View {
    /// What calls it with these words.
    pub(super) fn calldata(&self, words: &[B256]) -> Vec<u8> {
        let words = words.iter().flat_map(|word| word.0);
        self.selector.into_iter().chain(words).collect()
    }

    /// Its answer; one struct stands for itself. `None` if the bytes are no such answer.
    pub(super) fn read(&self, output: &[u8]) -> Option<Value> {
        let answer = inside(&self.outputs, output, 0)?;
        match (&self.outputs, answer) {
            (Kind::Struct(members), Value::Object(mut all)) if members.len() == 1 => {
                all.remove(&members[0].0)
            }
            (_, answer) => Some(answer),
        }
    }
}

impl Kind {
    fn is_dynamic(&self) -> bool {
        match self {
            Self::Bytes | Self::Text | Self::List(_) => true,
            Self::Array(item, _) => item.is_dynamic(),
            Self::Struct(members) => members.iter().any(|(_, kind)| kind.is_dynamic()),
            _ => false,
        }
    }

    /// Bytes in its place; a dynamic one has its offset there.
    fn head_bytes(&self) -> usize {
        match self {
            _ if self.is_dynamic() => 32,
            Self::Array(item, count) => item.head_bytes() * count,
            Self::Struct(members) => members.iter().map(|(_, kind)| kind.head_bytes()).sum(),
            _ => 32,
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(32)?)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(U256::from_be_slice(word(bytes, at)?)).ok()
}

/// The value that begins at `at`.
fn inside(kind: &Kind, bytes: &[u8], at: usize) -> Option<Value> {
    let items = |item: &Kind, from: usize, count: usize| -> Option<Value> {
        let place = |index: usize| from.checked_add(item.head_bytes().checked_mul(index)?);
        // a count of a stranger's must not make room before there is something to read
        let one = |index| nested(item, bytes, from, place(index)?);
        (0..count).map(one).collect::<Option<Vec<_>>>().map(Value::Array)
    };
    Some(match kind {
        Kind::Number => quantity(U256::from_be_slice(word(bytes, at)?)),
        Kind::Word(words) => {
            let index = number(bytes, at)?;
            words.get(index).map_or_else(|| quantity(index), |word| Value::from(*word))
        }
        Kind::Flag => Value::Bool(number(bytes, at)? == 1),
        Kind::Address => data(&word(bytes, at)?[12..]),
        Kind::Fixed(length) => data(word(bytes, at)?.get(..*length)?),
        Kind::Bytes => data(counted(bytes, at)?),
        Kind::Text => Value::from(String::from_utf8_lossy(counted(bytes, at)?)),
        Kind::List(item) => items(item, at.checked_add(32)?, number(bytes, at)?)?,
        Kind::Array(item, count) => items(item, at, *count)?,
        Kind::Struct(members) => {
            let (mut out, mut place) = (Map::new(), at);
            for (name, kind) in members {
                out.insert(name.clone(), nested(kind, bytes, at, place)?);
                place = place.checked_add(kind.head_bytes())?;
            }
            Value::Object(out)
        }
    })
}

/// A part of a struct or list that begins at `base`.
fn nested(kind: &Kind, bytes: &[u8], base: usize, at: usize) -> Option<Value> {
    if !kind.is_dynamic() {
        return inside(kind, bytes, at);
    }
    inside(kind, bytes, base.checked_add(number(bytes, at)?)?)
}

fn counted(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let from = at.checked_add(32)?;
    bytes.get(from..from.checked_add(number(bytes, at)?)?)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use serde_json::json;

    use super::*;

    /// The members of an enum as Solidity declares it.
    fn declared(name: &str) -> Vec<String> {
        let (interface, name) = name.split_once('.').expect("an interface and a name");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/interfaces");
        let source = fs::read_to_string(folder.join(format!("{interface}.sol"))).expect("there");
        let (_, rest) = source.split_once(&format!("enum {name} {{")).expect("the enum");
        let (body, _) = rest.split_once('}').expect("its end");
        let lines = body.lines().map(|line| line.split("//").next().unwrap_or_default());
        let members: String = lines.collect();
        members
            .split(',')
            .map(|member| member.trim().to_owned())
            .filter(|m| !m.is_empty())
            .collect()
    }

    #[test]
    fn words_are_soliditys() {
        for (name, words) in ENUMS {
            assert_eq!(declared(name), words, "{name}");
        }
    }

    fn enums<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        let internal = value["internalType"].as_str().unwrap_or_default();
        found.extend(internal.strip_prefix("enum "));
        value["components"].as_array().into_iter().flatten().for_each(|part| enums(part, found));
    }

    #[test]
    fn every_enum_of_a_page_has_words() {
        for (contract, json) in &FILES[..2] {
            let file: Value = serde_json::from_str(json).expect("JSON");
            let mut found = Vec::new();
            for item in file["abi"].as_array().expect("a list") {
                item["outputs"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .for_each(|out| enums(out, &mut found));
            }
            assert!(!found.is_empty(), "{contract}");
            // hubs have no method of their own yet
            found.retain(|name| *name != "IDataHubRegistry.HubStatus");
            for name in found {
                assert!(
                    ENUMS.iter().any(|(known, _)| *known == name),
                    "{name} of {contract} has no words"
                );
            }
        }
    }

    fn words(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| U256::from(*word).to_be_bytes::<32>()).collect()
    }

    #[test]
    fn structs_and_lists_are_read() {
        let kind = Kind::Struct(vec![(
            "page".to_owned(),
            Kind::Struct(vec![
                ("a".to_owned(), Kind::Number),
                (
                    "list".to_owned(),
                    Kind::List(Box::new(Kind::Struct(vec![("x".to_owned(), Kind::Flag)]))),
                ),
                ("pair".to_owned(), Kind::Array(Box::new(Kind::Number), 2)),
            ]),
        )]);
        let view = View { selector: [0; 4], outputs: kind };
        let bytes = words(&[32, 7, 128, 5, 6, 2, 1, 0]);
        let want = json!({"a": "0x7", "list": [{"x": true}, {"x": false}], "pair": ["0x5", "0x6"]});
        assert_eq!(view.read(&bytes), Some(want));
        for length in 0..bytes.len() {
            assert_eq!(view.read(&bytes[..length]), None, "{length}");
        }
        assert_eq!(view.read(&words(&[32, 7, 128, 5, 6, u64::MAX, 1])), None, "a list without end");
    }

    #[test]
    fn views_are_called_by_their_signature() {
        let selector = view("Directory.addressOf").calldata(&[B256::ZERO])[..4].to_vec();
        assert_eq!(selector, keccak256("addressOf(bytes32)")[..4]);
        for name in [
            "Lens.institutionPage",
            "Lens.grantPage",
            "Lens.deliveryPage",
            "Lens.casePage",
            "Lens.jobPage",
            "DatasetCatalog.dataset",
            "DeliveryLedger.delivery",
            "Credibility.score",
            "RecordRegistry.batch",
            "KeyRegistry.subjectOf",
            "Directory.history",
            "Directory.stoppedUntil",
        ] {
            assert_eq!(view(name).calldata(&[]).len(), 4, "{name}");
        }
    }
}
