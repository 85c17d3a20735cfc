//! Makes a chain for other people's libraries: three signers voted in one after another, one voted out, epochs of eight
//! blocks, contracts, events, a transaction that fails.
//!
//! `cargo run --release --example clique-chain -- GENESIS FOLDER` writes `genesis.json`, `chain.rlp` (blocks from 1 on, one
//! after another) and `facts.json` (number, hash and signers of the last). Three nodes in memory seal it, a block a second.

use std::{path::PathBuf, time::Duration};

use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEnvelope};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, hex};
use alloy_rlp::Encodable as _;
use anyhow::{Context as _, Result, bail, ensure};
use node::{Node, NodeConfig, NodeHandle, SignerKey, dev_accounts};
use serde_json::{Value, json};

/// Blocks an epoch lasts: votes end there, and the signers stand in the header.
const EPOCH: u64 = 8;
/// The chain is at least so long.
const LEAST_BLOCKS: u64 = 26;
const PATIENCE: Duration = Duration::from_secs(120);
const CHAIN_ID: u64 = 20_226;
/// Logs the word 42 under topic 7; with calldata it reverts with that.
const CODE: [u8; 32] = hex!("36601557602a600052600760206000a160206000f35b366000600037366000fd");

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(genesis), Some(folder)) = (arguments.next(), arguments.next()) else {
        bail!("usage: clique-chain GENESIS FOLDER");
    };
    let mut genesis: Value = serde_json::from_slice(&std::fs::read(genesis)?)?;
    genesis["config"]["clique"]["epoch"] = json!(EPOCH);
    let genesis = serde_json::to_vec_pretty(&genesis)?;
    let keys: Vec<SignerKey> = dev_accounts::keys().into_iter().take(3).collect();
    let accounts = keys.iter().map(SignerKey::address).collect::<Result<Vec<_>, _>>()?;
    let mut nodes = Vec::new();
    for key in &keys {
        let config = NodeConfig { signer: Some(key.clone()), ..NodeConfig::new(genesis.clone()) };
        nodes.push(Node::start(config).await?);
    }
    let handles: Vec<NodeHandle> = nodes.iter().map(Node::handle).collect();
    let [first, second, third] = &handles[..] else { bail!("three nodes") };

    first.propose(accounts[1], true)?;
    follow(&handles, |signers, _| signers.len() == 2).await?;
    for handle in [first, second] {
        handle.propose(accounts[2], true)?;
    }
    follow(&handles, |signers, _| signers.len() == 3).await?;
    transact(&handles, &keys[0], accounts[0]).await?;
    let until = first.reader().head().number() + 6;
    follow(&handles, |_, number| number >= until).await?;
    for handle in [first, third] {
        handle.propose(accounts[1], false)?;
    }
    follow(&handles, |signers, number| signers.len() == 2 && number >= LEAST_BLOCKS).await?;

    let (reader, head) = (first.reader(), first.reader().head());
    let (mut chain, mut transactions) = (Vec::new(), 0);
    for number in 1..=head.number() {
        let block = reader.block_by_number(number)?.context("a canonical block")?;
        transactions += block.receipts.len();
        block.block.sealed_block().clone_block().encode(&mut chain);
    }
    ensure!(transactions == 4, "{transactions} transactions, not 4");
    let signers: Vec<String> = signers(first)?.into_iter().map(hex::encode_prefixed).collect();
    let facts = json!({"number": head.number(), "hash": head.hash(), "signers": signers});
    let folder = PathBuf::from(folder);
    std::fs::write(folder.join("genesis.json"), genesis)?;
    std::fs::write(folder.join("chain.rlp"), chain)?;
    std::fs::write(folder.join("facts.json"), facts.to_string())?;
    for node in nodes {
        node.stop().await?;
    }
    Ok(())
}

fn signers(handle: &NodeHandle) -> Result<Vec<Address>> {
    let snapshot = handle.reader().snapshot(handle.reader().head().hash())?;
    Ok(snapshot.signers.iter().copied().collect())
}

/// Brings every node's blocks to the others until all have one head of which `is_there` holds.
async fn follow(handles: &[NodeHandle], is_there: impl Fn(&[Address], u64) -> bool) -> Result<()> {
    let follow = async {
        loop {
            for from in handles {
                for to in handles {
                    bring(from, to).await?;
                }
            }
            let heads: Vec<_> = handles.iter().map(|handle| handle.reader().head()).collect();
            let is_common = heads.iter().all(|head| head.hash() == heads[0].hash());
            if is_common && is_there(&signers(&handles[0])?, heads[0].number()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, follow).await.context("the chain does not get there")?
}

/// Brings what leads to one node's head to another.
async fn bring(from: &NodeHandle, to: &NodeHandle) -> Result<()> {
    let mut missing = Vec::new();
    let mut block = from.reader().head();
    while to.reader().known_block(block.hash())?.is_none() {
        let parent = block.block.header().parent_hash;
        missing.push(std::mem::replace(
            &mut block,
            from.reader().block_by_hash(parent)?.context("the parent of a block")?,
        ));
    }
    for block in missing.into_iter().rev() {
        to.import(block.block.clone()).await?;
    }
    Ok(())
}

/// A creation, a call with an event, one that reverts, a payment to a new account.
async fn transact(handles: &[NodeHandle], key: &SignerKey, from: Address) -> Result<()> {
    let creation = [&[0x7f][..], &CODE, &hex!("60005260206000f3")].concat();
    let created = from.create(0);
    for (nonce, (to, input, value)) in [
        (TxKind::Create, creation, 0_u64),
        (TxKind::Call(created), Vec::new(), 0),
        (TxKind::Call(created), vec![1, 2, 3, 4], 0),
        (TxKind::Call(Address::repeat_byte(0x77)), Vec::new(), 5),
    ]
    .into_iter()
    .enumerate()
    {
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: nonce as u64,
            gas_limit: 200_000,
            max_fee_per_gas: 10_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to,
            value: U256::from(value),
            access_list: Default::default(),
            input: Bytes::from(input),
        };
        let signature = key.sign(transaction.signature_hash())?;
        let signature = Signature::from_raw(&signature)?;
        let signed: TxEnvelope = transaction.into_signed(signature).into();
        for handle in handles {
            handle.submit(signed.clone()).await?;
        }
    }
    Ok(())
}
