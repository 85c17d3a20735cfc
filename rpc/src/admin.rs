//! `admin_*`: the node and its chain file. There are no peers yet, so nobody can be added.

use std::{
    fs::OpenOptions,
    io::{BufWriter, Write as _},
    path::Path,
    sync::Arc,
};

use alloy_rlp::Decodable as _;
use chain::block::Block;
use serde_json::{Value, json};

use crate::{
    context::Context,
    error::{RpcError, RpcResult},
    param::Args,
    render::data,
    web3,
};

/// `admin_nodeInfo`, in geth's shape, without what only a network would give it.
pub fn node_info(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    let (chain, spec) = (context.chain(), context.spec());
    let head = chain.head();
    let difficulty = head.total_difficulty.to_string().parse::<u64>().unwrap_or(u64::MAX);
    Ok(json!({
        "name": web3::client_version(context, args)?,
        "ip": "127.0.0.1",
        "ports": {"discovery": 0, "listener": 0},
        "listenAddr": "",
        "protocols": {
            "eth": {
                "network": spec.chain_id,
                "difficulty": difficulty,
                "genesis": data(chain.genesis_hash()),
                "head": data(head.hash()),
            },
        },
    }))
}

/// `admin_peers`: none.
pub fn peers(_: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    Ok(json!([]))
}

fn failed(path: &str, error: &std::io::Error) -> RpcError {
    RpcError::Server(format!("{path}: {error}"))
}

/// `admin_exportChain`: blocks in RLP into a new file; one that is there is never overwritten.
pub fn export_chain(context: &Context, args: &Args) -> RpcResult {
    let (path, from, to): (String, Option<u64>, Option<u64>) = args.read()?;
    let head = context.chain().head().number();
    let (from, to) = (from.unwrap_or(0), to.unwrap_or(head).min(head));
    let file = OpenOptions::new().write(true).create_new(true).open(Path::new(&path));
    let mut out = BufWriter::new(file.map_err(|error| failed(&path, &error))?);
    for number in from..=to {
        let Some(block) = context.chain().block_by_number(number)? else { break };
        let rlp = alloy_rlp::encode(block.block.clone_block());
        out.write_all(&rlp).map_err(|error| failed(&path, &error))?;
    }
    out.into_inner()
        .map_err(std::io::IntoInnerError::into_error)
        .and_then(|file| file.sync_all())
        .map_err(|error| failed(&path, &error))?;
    Ok(Value::Bool(true))
}

/// `admin_importChain`: blocks in RLP from a file, each checked as any other.
pub async fn import_chain(context: Arc<Context>, args: Args) -> RpcResult {
    let (path,): (String,) = args.read()?;
    let bytes = tokio::fs::read(&path).await.map_err(|error| failed(&path, &error))?;
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let block = Block::decode(&mut rest)
            .map_err(|error| RpcError::Server(format!("{path} is damaged: {error}")))?;
        if block.header.number == 0 {
            continue;
        }
        let number = block.header.number;
        let refused = |error| RpcError::Server(format!("block {number} of {path}: {error}"));
        let block = context.node.recover(block).await.map_err(refused)?;
        context.node.import(block).await.map_err(refused)?;
    }
    Ok(Value::Bool(true))
}
