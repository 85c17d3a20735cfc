//! One run: fund senders, sign everything beforehand, send from four connections, watch the blocks until all is mined.

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use secp256k1::{Message, SECP256K1, SecretKey};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    nodes::{FUNDER_KEY, Running},
    rpc::{Rpc, submit_body},
};

const SENDERS: usize = 100;
const CONNECTIONS: usize = 4;
const BATCH: usize = 100;
/// Accounts that get the transfers, unless each gets one.
const RECIPIENTS: usize = 1_000;
/// Receipts looked at after the clock.
const SAMPLE: usize = 1_000;
const GWEI: u128 = 1_000_000_000;
const ETHER: u128 = 1_000_000_000 * GWEI;
/// Above any base fee that full blocks can reach within a run.
const MAX_FEE: u128 = 1_000 * GWEI;
const TIME_LIMIT: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(25);

/// What a transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Workload {
    /// Ether to one of a thousand accounts.
    Native,
    /// Tokens to one of a thousand accounts.
    Erc20,
    /// Ether to an account that did not exist.
    Growth,
}

impl fmt::Display for Workload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Native => "native",
            Self::Erc20 => "erc20",
            Self::Growth => "growth",
        })
    }
}

/// What one run sends.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) workload: Workload,
    pub(crate) txs: usize,
    pub(crate) max_pending: usize,
    /// Creation code of the token.
    pub(crate) token: Vec<u8>,
}

/// What one run measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Figures {
    /// Mined, from the first send to the last block seen.
    pub(crate) included_per_s: f64,
    /// Processor time of the node.
    pub(crate) cpu_us_per_tx: f64,
    /// Most memory the node held.
    pub(crate) peak_mib: u64,
    /// Signatures this machine recovered a second on one core, just before.
    pub(crate) recoveries_per_s: f64,
}

/// A signed transaction as it travels.
type Raw = Vec<u8>;

/// Runs the plan on a node that has just started.
pub(crate) async fn run(node: &Running, plan: &Plan) -> Result<Figures> {
    let rpc = Rpc::new(&node.url)?;
    let chain_id = rpc.quantity("eth_chainId", json!([])).await?;
    let keys: Vec<SecretKey> = (0..SENDERS).map(sender_key).collect::<Result<_>>()?;
    let token = prepare(&rpc, chain_id, &keys, plan).await?;
    let signed = sign_all(chain_id, &keys, plan, token)?;
    let recoveries_per_s = calibrate(&signed)?;

    let places: HashSet<B256> = signed.iter().flatten().map(keccak256).collect();
    ensure!(places.len() == plan.txs, "two transactions are alike");
    let mined = Arc::new(AtomicUsize::new(0));
    let from = rpc.quantity("eth_blockNumber", json!([])).await?;
    let before = node.usage()?;
    let begun = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    let sent = Arc::new(AtomicUsize::new(0));
    for lane in signed {
        let (rpc, mined, sent) = (Rpc::new(&node.url)?, Arc::clone(&mined), Arc::clone(&sent));
        let max_pending = plan.max_pending;
        senders.spawn(async move { send(&rpc, lane, &sent, &mined, max_pending).await });
    }
    watch(&rpc, from, &places, &mined, begun).await?;
    let elapsed = begun.elapsed();
    while let Some(done) = senders.join_next().await {
        done??;
    }
    let after = node.usage()?;
    verify(&rpc, &places).await?;
    let count = plan.txs as f64;
    Ok(Figures {
        included_per_s: count / elapsed.as_secs_f64(),
        cpu_us_per_tx: (after.cpu_us - before.cpu_us) as f64 / count,
        peak_mib: after.peak_mib,
        recoveries_per_s,
    })
}

fn sender_key(index: usize) -> Result<SecretKey> {
    let seed = keccak256(format!("msnet bench sender {index}"));
    Ok(SecretKey::from_byte_array(seed.0)?)
}

fn address(key: &SecretKey) -> Address {
    let public = key.public_key(SECP256K1).serialize_uncompressed();
    Address::from_raw_public_key(&public[1..])
}

/// Gives every sender ether, and tokens if the plan asks for them; returns the token's address.
async fn prepare(
    rpc: &Rpc,
    chain_id: u64,
    keys: &[SecretKey],
    plan: &Plan,
) -> Result<Option<Address>> {
    let funder = SecretKey::from_byte_array(FUNDER_KEY.parse::<B256>()?.0)?;
    let own = address(&funder);
    let mut nonce = rpc.quantity("eth_getTransactionCount", json!([own, "latest"])).await?;
    let mut raw = Vec::new();
    let mut push = |to: TxKind, value: u128, data: Vec<u8>, gas: u64| -> Result<()> {
        raw.push(sign(&funder, transaction(chain_id, nonce, to, value, data, gas))?);
        nonce += 1;
        Ok(())
    };
    let mut token = None;
    if plan.workload == Workload::Erc20 {
        let created = own.create(nonce_of(rpc, own).await?);
        token = Some(created);
        push(TxKind::Create, 0, plan.token.clone(), 900_000)?;
    }
    for key in keys {
        push(TxKind::Call(address(key)), 1_000 * ETHER, Vec::new(), 21_000)?;
        if let Some(token) = token {
            let data = call("mint(address,uint256)", address(key), U256::from(1_u64) << 128);
            push(TxKind::Call(token), 0, data, 200_000)?;
        }
    }
    let last = keccak256(raw.last().context("nobody to fund")?);
    for batch in raw.chunks(BATCH) {
        let answers = rpc.post(submit_body(batch)).await?;
        let refused = answers.as_array().into_iter().flatten().find(|a| a.get("error").is_some());
        ensure!(refused.is_none(), "funding was refused: {refused:?}");
    }
    let until = Instant::now() + TIME_LIMIT;
    loop {
        match rpc.call("eth_getTransactionReceipt", json!([last])).await {
            Ok(receipt) if receipt.is_null() => {}
            Ok(receipt) => {
                ensure!(receipt["status"] == "0x1", "funding failed: {receipt}");
                return Ok(token);
            }
            // geth's way to say "not yet" right after its start
            Err(error) if error.to_string().contains("indexing is in progress") => {}
            Err(error) => return Err(error),
        }
        ensure!(Instant::now() < until, "funding was not mined");
        tokio::time::sleep(POLL).await;
    }
}

async fn nonce_of(rpc: &Rpc, account: Address) -> Result<u64> {
    rpc.quantity("eth_getTransactionCount", json!([account, "latest"])).await
}

fn call(signature: &str, to: Address, value: U256) -> Vec<u8> {
    let selector = keccak256(signature);
    [&selector[..4], to.into_word().as_slice(), &value.to_be_bytes::<32>()].concat()
}

fn transaction(
    chain_id: u64,
    nonce: u64,
    to: TxKind,
    value: u128,
    data: Vec<u8>,
    gas_limit: u64,
) -> TxEip1559 {
    TxEip1559 {
        chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas: MAX_FEE,
        max_priority_fee_per_gas: GWEI,
        to,
        value: U256::from(value),
        access_list: Default::default(),
        input: Bytes::from(data),
    }
}

fn sign(key: &SecretKey, tx: TxEip1559) -> Result<Raw> {
    let message = Message::from_digest(tx.signature_hash().0);
    let (id, bytes) = SECP256K1.sign_ecdsa_recoverable(message, key).serialize_compact();
    let signature = Signature::from_bytes_and_parity(&bytes, i32::from(id) == 1);
    Ok(tx.into_signed(signature).encoded_2718())
}

/// All transactions, a lane for each connection, each lane in an order that keeps every sender's nonces ascending.
fn sign_all(
    chain_id: u64,
    keys: &[SecretKey],
    plan: &Plan,
    token: Option<Address>,
) -> Result<Vec<Vec<Raw>>> {
    let lane = |connection: usize| -> Result<Vec<Raw>> {
        let mut raw = Vec::with_capacity(plan.txs / CONNECTIONS + 1);
        for index in 0..plan.txs {
            let (sender, nonce) = (index % SENDERS, index / SENDERS);
            if sender % CONNECTIONS != connection {
                continue;
            }
            let recipient = match plan.workload {
                Workload::Growth => index,
                Workload::Native | Workload::Erc20 => index % RECIPIENTS,
            };
            let to = Address::from_word(keccak256(format!("msnet bench recipient {recipient}")));
            let nonce = u64::try_from(nonce)?;
            let tx = match token {
                Some(token) => {
                    let data = call("transfer(address,uint256)", to, U256::ONE);
                    transaction(chain_id, nonce, TxKind::Call(token), 0, data, 100_000)
                }
                None => transaction(chain_id, nonce, TxKind::Call(to), 1, Vec::new(), 21_000),
            };
            raw.push(sign(&keys[sender], tx)?);
        }
        Ok(raw)
    };
    thread::scope(|scope| {
        let lane = &lane;
        let lanes: Vec<_> =
            (0..CONNECTIONS).map(|connection| scope.spawn(move || lane(connection))).collect();
        let join = |lane: thread::ScopedJoinHandle<'_, Result<Vec<Raw>>>| match lane.join() {
            Ok(lane) => lane,
            Err(_) => bail!("signing panicked"),
        };
        lanes.into_iter().map(join).collect()
    })
}

/// Signatures that one core of this machine recovers a second, now.
fn calibrate(signed: &[Vec<Raw>]) -> Result<f64> {
    use alloy_consensus::{TxEnvelope, transaction::SignerRecoverable as _};
    use alloy_eips::eip2718::Decodable2718 as _;

    let sample: Vec<TxEnvelope> = signed
        .iter()
        .flatten()
        .take(5_000)
        .map(|raw| TxEnvelope::decode_2718(&mut raw.as_slice()).context("own bytes do not read"))
        .collect::<Result<_>>()?;
    let begun = Instant::now();
    for tx in &sample {
        tx.recover_signer()?;
    }
    Ok(sample.len() as f64 / begun.elapsed().as_secs_f64())
}

/// Sends a lane, one batch in flight; what is refused for lack of room is sent again.
async fn send(
    rpc: &Rpc,
    lane: Vec<Raw>,
    sent: &AtomicUsize,
    mined: &AtomicUsize,
    max_pending: usize,
) -> Result<()> {
    let bodies: Vec<_> =
        lane.chunks(BATCH).map(|batch| (batch.len(), submit_body(batch))).collect();
    let until = Instant::now() + TIME_LIMIT;
    for (batch, (count, body)) in lane.chunks(BATCH).zip(bodies) {
        while sent.load(Ordering::Relaxed) > mined.load(Ordering::Relaxed) + max_pending {
            ensure!(Instant::now() < until, "the node mines nothing");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let mut refused = refused(&rpc.post(body).await?, batch)?;
        while !refused.is_empty() {
            ensure!(Instant::now() < until, "the node takes nothing");
            tokio::time::sleep(Duration::from_millis(50)).await;
            let answers = rpc.post(submit_body(&refused)).await?;
            refused = self::refused(&answers, &refused)?;
        }
        sent.fetch_add(count, Ordering::Relaxed);
    }
    Ok(())
}

fn refused(answers: &Value, batch: &[Raw]) -> Result<Vec<Raw>> {
    let answers = answers.as_array().with_context(|| format!("no batch came back: {answers}"))?;
    let mut again = Vec::new();
    for answer in answers {
        let Some(message) = answer["error"]["message"].as_str() else { continue };
        if message.contains("already known") {
            continue;
        }
        let index = answer["id"].as_u64().context("an answer without id")?;
        again.push(batch[usize::try_from(index)?].clone());
    }
    Ok(again)
}

/// Counts what each new block holds until everything is mined.
async fn watch(
    rpc: &Rpc,
    from: u64,
    places: &HashSet<B256>,
    mined: &AtomicUsize,
    begun: Instant,
) -> Result<()> {
    let (mut seen, mut count) = (from, 0);
    while count < places.len() {
        ensure!(begun.elapsed() < TIME_LIMIT, "{count} of {} were mined in time", places.len());
        let head = rpc.quantity("eth_blockNumber", json!([])).await?;
        while seen < head {
            seen += 1;
            let number = format!("{seen:#x}");
            let block = rpc.call("eth_getBlockByNumber", json!([number, false])).await?;
            let hashes = block["transactions"].as_array().context("a block without a list")?;
            let ours = hashes.iter().filter_map(Value::as_str).filter_map(|text| text.parse().ok());
            let ours = ours.filter(|hash: &B256| places.contains(hash)).count();
            count += ours;
            mined.store(count, Ordering::Relaxed);
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// A sample of the transactions, spread evenly by chance of their hashes, must have succeeded. All of them take anvil
/// minutes: it makes each receipt by walking its whole block.
async fn verify(rpc: &Rpc, places: &HashSet<B256>) -> Result<()> {
    let hashes: Vec<&B256> = places.iter().collect();
    for batch in hashes.chunks(BATCH).take(SAMPLE / BATCH) {
        let calls: Vec<Value> = batch
            .iter()
            .map(|hash| {
                json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_getTransactionReceipt", "params": [hash] })
            })
            .collect();
        let answers = rpc.post(serde_json::to_vec(&calls)?).await?;
        let answers = answers.as_array().context("no batch came back")?;
        ensure!(answers.len() == batch.len(), "a batch of another length came back");
        for answer in answers {
            ensure!(answer["result"]["status"] == "0x1", "a transaction failed: {answer}");
        }
    }
    Ok(())
}
