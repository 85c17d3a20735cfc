//! `msnet node`: node and listener together, one start line, an orderly end.

use std::io::Write as _;

use alloy_primitives::Address;
use node::{Node, NodeError, args::NodeArgs, dev_accounts};

use crate::{
    args::RpcArgs,
    config::{RpcConfig, RpcStartError},
    server::{RpcServer, serve},
};

/// Why `msnet node` ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The node did not start or stop.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The listener did not start.
    #[error(transparent)]
    Rpc(#[from] RpcStartError),
    /// Its output is closed.
    #[error("cannot write to standard output: {0}")]
    Output(std::io::Error),
}

/// Runs a node with its JSON-RPC listener until `stop` is done (ctrl-c, say). `built_in` knows the genesis of each built-in
/// network by its name, `dev` among them.
///
/// # Errors
/// [`RunError`] if something does not start, or does not stop cleanly.
pub async fn run_node(
    node_args: NodeArgs,
    rpc_args: RpcArgs,
    built_in: impl Fn(&str) -> Option<Vec<u8>>,
    stop: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let mut config = rpc_args.config(node_args.datadir.as_deref())?;
    if node_args.dev {
        config.dev_keys = dev_accounts::keys();
    }
    config.validate()?;
    let node = Node::start(node_args.config(built_in)?).await?;
    let server = match serve(node.handle(), config.clone()).await {
        Ok(server) => server,
        Err(error) => {
            node.stop().await?;
            return Err(error.into());
        }
    };
    let printed = print_start(&node, &server, &config);
    if printed.is_ok() {
        tokio::select! {
            () = stop => {}
            () = node.ended() => {}
        }
    }
    server.stop().await;
    node.stop().await?;
    printed
}

/// One line that says where wallets go; on a development chain the accounts below it.
fn print_start(node: &Node, server: &RpcServer, config: &RpcConfig) -> Result<(), RunError> {
    let handle = node.handle();
    let (chain, head) = (handle.reader(), handle.reader().head());
    let mut text = format!(
        "msnet node: JSON-RPC at http://{addr} and ws://{addr}, chain id {}, head {} {}\n",
        chain.spec().chain_id,
        head.block.header().number,
        head.block.hash(),
        addr = server.local_addr(),
    );
    for (name, addr) in
        [("WebSocket alone at ws", server.ws_addr()), ("metrics at http", server.metrics_addr())]
    {
        if let Some(addr) = addr {
            text.push_str(&format!("  {name}://{addr}\n"));
        }
    }
    if let Some(path) = server.ipc_path() {
        text.push_str(&format!("  IPC at {}\n", path.display()));
    }
    let accounts: Vec<Address> =
        config.dev_keys.iter().filter_map(|key| key.address().ok()).collect();
    if let Some(first) = accounts.first() {
        text.push_str(&format!(
            "  {} accounts of the public test phrase (test … junk) sign here, from {first} on; never use them elsewhere\n",
            accounts.len()
        ));
    }
    let print = |text: &str| {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    };
    print(&text).map_err(RunError::Output)
}
