//! `med_*`: pages over the contracts, read-only. `eth_call` and `eth_getLogs` give the same facts, and whoever decides
//! something decides by those; a page saves round trips, and can bring its proof along.
//!
//! Each method is one call of one view ([`abi`] turns its answer into JSON). Lists take their ids from an event and show the
//! same pages. Where the directory (`--med.directory`) has no code the namespace does not exist.

mod abi;

use std::{sync::Arc, time::Instant};

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolEvent as _;
use chain::{
    executor::call::{BlockOverrides, CallOutcome, CallRequest, CallStatus, StateOverrides},
    reader::ExecutedBlock,
};
use contracts::{
    abi::{
        AccessRegistry, ComputeJobs, DatasetCatalog, DeliveryLedger, InstitutionRegistry,
        Supervision,
    },
    networks,
};
use serde_json::{Map, Value, json};

use crate::{
    block_id::{BlockId, BlockNumber},
    context::Context,
    debug::hooks::deadline,
    error::{RpcError, RpcResult},
    eth::{
        account::render_proof,
        log::{self, LogFilter},
    },
    param::{Args, Flaw, Param, fixed_bytes, member, text},
    render::{address, data, quantity},
    work,
};

/// Items of a list, if a call does not say.
const USUAL_ITEMS: u64 = 32;
/// Items of a list.
const MOST_ITEMS: u64 = 64;
/// Ids that one call of a list looks at.
const MOST_LOOKS: usize = 256;

/// The last parameter of every method.
#[derive(Debug, Clone, Default)]
struct Options {
    at: Option<BlockId>,
    has_proof: bool,
    cursor: Option<u64>,
    limit: Option<u64>,
}

impl Param for Options {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(_) => {}
            _ => return Err("non-object".into()),
        }
        Ok(Self {
            at: member(value, "at")?,
            has_proof: member(value, "proof")?.unwrap_or(false),
            cursor: member(value, "cursor")?,
            limit: member(value, "limit")?,
        })
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

/// An id of 16 bytes.
#[derive(Debug, Clone, Copy)]
struct Id16(B256);

impl Param for Id16 {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        let id: [u8; 16] = fixed_bytes(text(value)?)?;
        Ok(Self(B256::right_padding_from(&id)))
    }
}

/// An institution by its id or one of its accounts.
#[derive(Debug, Clone, Copy)]
enum Party {
    Id(B256),
    Account(Address),
}

impl Param for Party {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        match Address::from_json(value) {
            Ok(account) => Ok(Self::Account(account)),
            Err(_) => Id16::from_json(value).map(|id| Self::Id(id.0)),
        }
    }
}

/// Criteria of a list: members whose values must be those of the page.
#[derive(Debug, Clone, Default)]
struct Criteria(Map<String, Value>);

impl Param for Criteria {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        match value {
            Value::Null => Ok(Self::default()),
            Value::Object(members) => Ok(Self(members.clone())),
            _ => Err("non-object".into()),
        }
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

/// The block that a page is of, and what was read so far.
struct Scene<'a> {
    context: &'a Context,
    block: Arc<ExecutedBlock>,
    until: Instant,
}

/// A view that was called.
struct Seen {
    to: Address,
    data: Vec<u8>,
    outcome: CallOutcome,
    answer: Value,
}

impl<'a> Scene<'a> {
    /// At the block asked for; else at the final one where there is one, at the head otherwise.
    fn new(context: &'a Context, at: Option<BlockId>, method: &str) -> Result<Self, RpcError> {
        let usual = match context.node.marked() {
            Some(_) => BlockNumber::Finalized,
            None => BlockNumber::Latest,
        };
        let block = at.unwrap_or(BlockId::Number(usual)).state_block(context)?;
        let scene = Self { context, block, until: deadline(context, None) };
        if scene.code(context.directory)?.is_none() {
            return Err(RpcError::MethodNotFound(method.to_owned()));
        }
        Ok(scene)
    }

    fn code(&self, at: Address) -> Result<Option<B256>, RpcError> {
        let account = self.context.chain().state(self.block.hash())?.account(at)?;
        let hash = account.map(|account| account.code_hash);
        Ok(hash.filter(|hash| *hash != alloy_primitives::KECCAK256_EMPTY))
    }

    /// Where a contract stands, by its name in the directory.
    fn find(&self, name: &str) -> Result<Address, RpcError> {
        let seen = self.ask(self.context.directory, "Directory.addressOf", &[name_word(name)])?;
        Address::from_json(&seen.answer).map_err(|_| odd("Directory.addressOf"))
    }

    /// Calls a view of the contract that the directory names.
    fn view(&self, view: &str, words: &[B256]) -> Result<Seen, RpcError> {
        let contract = view.split('.').next().unwrap_or_default();
        self.ask(self.find(contract)?, view, words)
    }

    fn ask(&self, to: Address, view: &str, words: &[B256]) -> Result<Seen, RpcError> {
        let known = abi::view(view);
        let data = known.calldata(words);
        let limits = self.context.limits;
        let request = CallRequest {
            to: Some(to),
            gas: limits.call_gas,
            data: data.clone().into(),
            ..CallRequest::default()
        };
        let (state, header) = (StateOverrides::default(), BlockOverrides::default());
        let stop = Some(work::stop(self.until));
        let outcome =
            self.context.chain().call(self.block.hash(), &request, &state, &header, stop)?;
        match outcome.status {
            CallStatus::Success => {}
            CallStatus::Revert => return Err(RpcError::Revert(outcome.output)),
            CallStatus::Stopped => return Err(RpcError::Aborted(limits.call_time)),
            _ => return Err(odd(view)),
        }
        let answer = known.read(&outcome.output).ok_or_else(|| odd(view))?;
        Ok(Seen { to, data, outcome, answer })
    }

    /// What every answer stands in.
    fn envelope(&self, seen: &Seen, answer: Value, has_proof: bool) -> RpcResult {
        let mut out = json!({
            "block": self.place()?,
            "call": {"to": address(seen.to), "data": data(&seen.data)},
            "data": answer,
        });
        if has_proof {
            out["proof"] = self.proof(seen)?;
        }
        Ok(out)
    }

    fn place(&self) -> RpcResult {
        let finality = match self.context.node.marked() {
            None => "off",
            Some((safe, finalized)) => {
                let is_covered = |hash: B256| -> Result<bool, RpcError> {
                    let tag = self.context.chain().block_by_hash(hash)?;
                    Ok(tag.is_some_and(|tag| self.block.number() <= tag.number()))
                };
                match (is_covered(finalized)?, is_covered(safe)?) {
                    (true, _) => "finalized",
                    (false, true) => "safe",
                    (false, false) => "latest",
                }
            }
        };
        Ok(json!({
            "number": quantity(self.block.number()),
            "hash": data(self.block.hash()),
            "timestamp": quantity(self.block.block.header().timestamp),
            "finality": finality,
        }))
    }

    /// Everything that the call read, under the block's state root.
    fn proof(&self, seen: &Seen) -> RpcResult {
        let mut accounts = Vec::new();
        for (account, slots) in &seen.outcome.accessed {
            if self.code(*account)?.is_none() {
                continue;
            }
            let keys: Vec<_> = slots.iter().map(|slot| (*slot, true)).collect();
            accounts.push(render_proof(self.context, self.block.hash(), *account, &keys)?);
        }
        let header = alloy_rlp::encode(self.block.block.header());
        Ok(json!({"header": data(header), "accounts": accounts, "certificate": null}))
    }
}

fn odd(view: &str) -> RpcError {
    RpcError::Server(format!("{view} does not answer as its ABI says"))
}

fn name_word(name: &str) -> B256 {
    B256::right_padding_from(name.as_bytes())
}

fn number_word(number: u64) -> B256 {
    B256::from(U256::from(number))
}

/// `med_contracts`: where the contracts stand, and which are stopped.
pub fn contracts(context: &Context, args: &Args) -> RpcResult {
    let (options,): (Options,) = args.read()?;
    let scene = Scene::new(context, options.at, "med_contracts")?;
    let mut out = Map::new();
    for contract in networks::all() {
        let name = name_word(contract.name);
        let history = scene.ask(context.directory, "Directory.history", &[name])?.answer;
        let Some(entry) = history.as_array().and_then(|entries| entries.last()) else { continue };
        let at = Address::from_json(&entry["target"]).map_err(|_| odd("Directory.history"))?;
        let stopped = scene.ask(context.directory, "Directory.stoppedUntil", &[name])?.answer;
        let described = json!({
            "address": address(at),
            "version": entry["version"],
            "codeHash": scene.code(at)?.map_or(Value::Null, data),
            "stoppedUntil": stopped,
        });
        out.insert(contract.name.to_owned(), described);
    }
    let seen = scene.ask(context.directory, "Directory.history", &[name_word("Lens")])?;
    scene.envelope(&seen, Value::Object(out), false)
}

fn page(context: &Context, method: &str, view: &str, id: B256, options: &Options) -> RpcResult {
    let scene = Scene::new(context, options.at, method)?;
    let seen = scene.view(view, &[id])?;
    scene.envelope(&seen, seen.answer.clone(), options.has_proof)
}

/// `med_getInstitution`: by its id, or by an account of it.
pub fn institution(context: &Context, args: &Args) -> RpcResult {
    let (party, options): (Party, Options) = args.read()?;
    let scene = Scene::new(context, options.at, "med_getInstitution")?;
    let id = match party {
        Party::Id(id) => id,
        Party::Account(account) => {
            let seen = scene.view("KeyRegistry.subjectOf", &[account.into_word()])?;
            Id16::from_json(&seen.answer).map_err(|_| odd("KeyRegistry.subjectOf"))?.0
        }
    };
    let seen = scene.view("Lens.institutionPage", &[id])?;
    let mut answer = seen.answer.clone();
    answer["id"] = data(&id[..16]);
    scene.envelope(&seen, answer, options.has_proof)
}

/// `med_getDataset`.
pub fn dataset(context: &Context, args: &Args) -> RpcResult {
    let (Id16(id), options): (Id16, Options) = args.read()?;
    page(context, "med_getDataset", "DatasetCatalog.dataset", id, &options)
}

/// `med_getGrant`: also how it stands at the head, since a revocation counts when it is seen.
pub fn grant(context: &Context, args: &Args) -> RpcResult {
    let (id, options): (B256, Options) = args.read()?;
    let mut out = page(context, "med_getGrant", "Lens.grantPage", id, &options)?;
    let head = Scene::new(context, Some(BlockId::default()), "med_getGrant")?;
    let now = head.view("Lens.grantPage", &[id])?.answer;
    out["data"]["head"] = json!({
        "number": quantity(head.block.number()),
        "hash": data(head.block.hash()),
        "status": now["grant"]["status"],
    });
    Ok(out)
}

/// `med_getDelivery`: the page is found by grant and number, which the offer told with the id.
pub fn delivery(context: &Context, args: &Args) -> RpcResult {
    let (id, options): (B256, Options) = args.read()?;
    let scene = Scene::new(context, options.at, "med_getDelivery")?;
    let offers = logs(&scene, DELIVERIES.contract, &[data(DELIVERIES.event), data(id)])?;
    let Some(place) = offers.first().and_then(grant_and_number) else {
        let seen = scene.view("DeliveryLedger.delivery", &[id])?;
        let answer = json!({"deliveryId": data(id), "delivery": seen.answer});
        return scene.envelope(&seen, answer, options.has_proof);
    };
    let seen = scene.view(DELIVERIES.view, &place)?;
    let mut answer = seen.answer.clone();
    tell_place(&mut answer, &place);
    scene.envelope(&seen, answer, options.has_proof)
}

/// What a page that has an id of its own is asked with.
fn by_id(log: &Value) -> Option<Vec<B256>> {
    Some(vec![B256::from_json(&log["topics"][1]).ok()?])
}

/// What a delivery's page is asked with, from `DeliveryOffered`.
fn grant_and_number(log: &Value) -> Option<Vec<B256>> {
    let grant = B256::from_json(&log["topics"][2]).ok()?;
    let words = Bytes::from_json(&log["data"]).ok()?;
    Some(vec![grant, B256::from_slice(words.get(..32)?)])
}

/// A page that is found by grant and number says them.
fn tell_place(page: &mut Value, place: &[B256]) {
    if let [grant, number] = place {
        page["grantId"] = data(grant);
        page["seq"] = quantity(U256::from_be_bytes(number.0));
    }
}

/// `med_getComplaint`: with the events of its way, each with its block and transaction.
pub fn complaint(context: &Context, args: &Args) -> RpcResult {
    let (id, options): (B256, Options) = args.read()?;
    let scene = Scene::new(context, options.at, "med_getComplaint")?;
    let seen = scene.view("Lens.casePage", &[id])?;
    let mut answer = seen.answer.clone();
    let logs = logs(&scene, "Supervision", &[Value::Null, data(id)])?;
    let step = |log: &Value| {
        json!({
            "event": log["topics"][0],
            "blockNumber": log["blockNumber"],
            "blockHash": log["blockHash"],
            "transactionHash": log["transactionHash"],
            "data": log["data"],
        })
    };
    answer["steps"] = logs.iter().map(step).collect();
    scene.envelope(&seen, answer, options.has_proof)
}

/// `med_getScore`: as of the block's time.
pub fn score(context: &Context, args: &Args) -> RpcResult {
    let (Id16(id), options): (Id16, Options) = args.read()?;
    let scene = Scene::new(context, options.at, "med_getScore")?;
    let now = number_word(scene.block.block.header().timestamp);
    let seen = scene.view("Credibility.score", &[id, now])?;
    let institution = scene.view("Lens.institutionPage", &[id])?.answer;
    let mut answer = seen.answer.clone();
    for name in ["credits", "quotaUnits", "requestCost", "requestFrom"] {
        answer[name] = institution[name].clone();
    }
    scene.envelope(&seen, answer, options.has_proof)
}

/// `med_getJob`.
pub fn job(context: &Context, args: &Args) -> RpcResult {
    let (id, options): (B256, Options) = args.read()?;
    page(context, "med_getJob", "Lens.jobPage", id, &options)
}

/// `med_getBatch`: an anchored root, by institution and sequence.
pub fn batch(context: &Context, args: &Args) -> RpcResult {
    let (Id16(id), seq, options): (Id16, u64, Options) = args.read()?;
    let scene = Scene::new(context, options.at, "med_getBatch")?;
    let seen = scene.view("RecordRegistry.batch", &[id, number_word(seq)])?;
    scene.envelope(&seen, seen.answer.clone(), options.has_proof)
}

/// A list: where its ids come from, which page shows one, and which criteria there are with their places in the page.
struct List {
    method: &'static str,
    contract: &'static str,
    /// First topic of the event whose second one is the id.
    event: B256,
    /// Bytes of an id.
    id_bytes: usize,
    view: &'static str,
    /// What the page is asked with, from that event's log.
    arguments: fn(&Value) -> Option<Vec<B256>>,
    criteria: &'static [(&'static str, &'static [&'static str])],
}

const INSTITUTIONS: List = List {
    method: "med_getInstitutions",
    contract: "InstitutionRegistry",
    event: InstitutionRegistry::InstitutionApplied::SIGNATURE_HASH,
    id_bytes: 16,
    view: "Lens.institutionPage",
    arguments: by_id,
    criteria: &[("kind", &["/institution/kind"]), ("status", &["/status"])],
};

const DATASETS: List = List {
    method: "med_getDatasets",
    contract: "DatasetCatalog",
    event: DatasetCatalog::DatasetPublished::SIGNATURE_HASH,
    id_bytes: 16,
    view: "DatasetCatalog.dataset",
    arguments: by_id,
    criteria: &[
        ("owner", &["/owner"]),
        ("categories", &["/categories"]),
        ("duo", &["/duo"]),
        ("status", &["/status"]),
    ],
};

const GRANTS: List = List {
    method: "med_getGrants",
    contract: "AccessRegistry",
    event: AccessRegistry::AccessRequested::SIGNATURE_HASH,
    id_bytes: 32,
    view: "Lens.grantPage",
    arguments: by_id,
    criteria: &[
        ("requester", &["/grant/requester"]),
        ("owner", &["/grant/owner"]),
        ("dataset", &["/grant/dataset"]),
        ("status", &["/grant/status"]),
    ],
};

const DELIVERIES: List = List {
    method: "med_getDeliveries",
    contract: "DeliveryLedger",
    event: DeliveryLedger::DeliveryOffered::SIGNATURE_HASH,
    id_bytes: 32,
    view: "Lens.deliveryPage",
    arguments: grant_and_number,
    criteria: &[("grant", &["/grantId"]), ("state", &["/delivery/state"])],
};

const COMPLAINTS: List = List {
    method: "med_getComplaints",
    contract: "Supervision",
    event: Supervision::ComplaintFiled::SIGNATURE_HASH,
    id_bytes: 32,
    view: "Lens.casePage",
    arguments: by_id,
    criteria: &[
        ("party", &["/complaint/complainant", "/complaint/respondent"]),
        ("stage", &["/complaint/stage"]),
    ],
};

const JOBS: List = List {
    method: "med_getJobs",
    contract: "ComputeJobs",
    event: ComputeJobs::JobOrdered::SIGNATURE_HASH,
    id_bytes: 32,
    view: "Lens.jobPage",
    arguments: by_id,
    criteria: &[
        ("customer", &["/job/customer"]),
        ("service", &["/job/service"]),
        ("dataset", &["/sites/0/dataset", "/sites/1/dataset", "/sites/2/dataset"]),
        ("state", &["/job/state"]),
    ],
};

/// `med_getInstitutions`.
pub fn institutions(context: &Context, args: &Args) -> RpcResult {
    list(context, args, &INSTITUTIONS)
}

/// `med_getDatasets`.
pub fn datasets(context: &Context, args: &Args) -> RpcResult {
    list(context, args, &DATASETS)
}

/// `med_getGrants`.
pub fn grants(context: &Context, args: &Args) -> RpcResult {
    list(context, args, &GRANTS)
}

/// `med_getDeliveries`.
pub fn deliveries(context: &Context, args: &Args) -> RpcResult {
    list(context, args, &DELIVERIES)
}

/// `med_getComplaints`.
pub fn complaints(context: &Context, args: &Args) -> RpcResult {
    list(context, args, &COMPLAINTS)
}

/// `med_getJobs`.
pub fn jobs(context: &Context, args: &Args) -> RpcResult {
    list(context, args, &JOBS)
}

/// Logs of a contract up to the block of the scene, by the log index.
fn logs(scene: &Scene<'_>, contract: &str, topics: &[Value]) -> Result<Vec<Value>, RpcError> {
    let filter = json!({
        "fromBlock": "0x0",
        "toBlock": quantity(scene.block.number()),
        "address": address(scene.find(contract)?),
        "topics": topics,
    });
    let filter = LogFilter::from_json(&filter).map_err(|flaw| match flaw {
        Flaw::Form(text) => RpcError::Internal(text),
        Flaw::Whole(error) => error,
    })?;
    match log::find_in_all(scene.context, filter)? {
        Value::Array(logs) => Ok(logs),
        _ => Ok(Vec::new()),
    }
}

fn list(context: &Context, args: &Args, list: &List) -> RpcResult {
    let (Criteria(wanted), options): (Criteria, Options) = args.read()?;
    let known = |name: &str| list.criteria.iter().find(|(known, _)| *known == name);
    if let Some(name) = wanted.keys().find(|name| known(name).is_none()) {
        let names: Vec<&str> = list.criteria.iter().map(|(name, _)| *name).collect();
        let flaw = format!("no criterion {name:?}, there are {}", names.join(", "));
        return Err(RpcError::argument(0, flaw));
    }
    let limit = options.limit.unwrap_or(USUAL_ITEMS).clamp(1, MOST_ITEMS);
    let scene = Scene::new(context, options.at, list.method)?;
    let logs = logs(&scene, list.contract, &[data(list.event)])?;
    let found = logs
        .iter()
        .filter_map(|log| Some((B256::from_json(&log["topics"][1]).ok()?, (list.arguments)(log)?)));
    let start = usize::try_from(options.cursor.unwrap_or(0)).unwrap_or(usize::MAX);
    let (mut items, mut next) = (Vec::new(), Value::Null);
    for (index, (id, arguments)) in found.enumerate().skip(start) {
        if items.len() as u64 == limit || index - start == MOST_LOOKS {
            next = quantity(index);
            break;
        }
        let mut page = scene.view(list.view, &arguments)?.answer;
        tell_place(&mut page, &arguments);
        let is_wanted = wanted.iter().all(|(name, value)| {
            let places = known(name).map_or(&[][..], |(_, places)| places);
            places
                .iter()
                .any(|place| page.pointer(place).is_some_and(|found| is_same(found, value)))
        });
        if is_wanted {
            items.push(json!({"id": data(&id[..list.id_bytes]), "data": page}));
        }
    }
    Ok(json!({"block": scene.place()?, "data": {"items": items, "next": next}}))
}

/// Letter case is free.
fn is_same(found: &Value, wanted: &Value) -> bool {
    match (found.as_str(), wanted.as_str()) {
        (Some(found), Some(wanted)) => found.eq_ignore_ascii_case(wanted),
        _ => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_found_by_what_its_offer_tells() {
        let (grant, delivery) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let event = DeliveryLedger::DeliveryOffered {
            deliveryId: delivery,
            grantId: grant,
            seq: 7,
            offerHash: B256::repeat_byte(3),
            receiptBy: 4,
            keyWithin: alloy_primitives::Uint::from(5),
            ackWithin: alloy_primitives::Uint::from(6),
        };
        let told = event.encode_log_data();
        let topics: Vec<Value> = told.topics().iter().map(data).collect();
        let mut log = json!({"topics": topics, "data": data(&told.data)});
        let place = vec![grant, B256::from(U256::from(7))];
        assert_eq!(by_id(&log), Some(vec![delivery]));
        assert_eq!(grant_and_number(&log), Some(place.clone()));
        let mut page = json!({});
        tell_place(&mut page, &place);
        assert_eq!(page, json!({"grantId": data(grant), "seq": "0x7"}));
        log["data"] = json!("0x07");
        assert_eq!(grant_and_number(&log), None);
    }
}
