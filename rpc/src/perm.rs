//! `perm_*`: this node's allowlists, by Besu's names and in its words. They bind its pool and its connections, never the
//! import of blocks.

use alloy_primitives::Address;
use node::permissions::PermissionError;
use serde_json::Value;

use crate::{
    context::Context,
    error::{RpcError, RpcResult},
    limits,
    param::{Args, Flaw, Param},
    render::address,
};

/// A list of parameters, `null` as none.
#[derive(Debug)]
struct List<T>(Vec<T>);

impl<T: Param> Param for List<T> {
    fn from_json(value: &Value) -> Result<Self, Flaw> {
        match value {
            Value::Null => Ok(Self(Vec::new())),
            Value::Array(items) if items.len() > limits::PERMITTED => {
                Err(RpcError::Limit(format!("list exceeds {} entries", limits::PERMITTED)).into())
            }
            Value::Array(items) => {
                items.iter().map(T::from_json).collect::<Result<_, _>>().map(Self)
            }
            _ => Err("non-array".into()),
        }
    }
}

fn done(result: Result<(), PermissionError>) -> RpcResult {
    match result {
        Ok(()) => Ok("Success".into()),
        Err(
            error @ (PermissionError::Io { .. }
            | PermissionError::TooLong { .. }
            | PermissionError::Invalid { .. }),
        ) => Err(RpcError::Internal(error.to_string())),
        Err(error) => Err(RpcError::Server(error.to_string())),
    }
}

/// `perm_addAccountsToAllowlist`.
pub fn add_accounts(context: &Context, args: &Args) -> RpcResult {
    let (List(accounts),): (List<Address>,) = args.read()?;
    done(context.node.permit_accounts(&accounts))
}

/// `perm_removeAccountsFromAllowlist`.
pub fn remove_accounts(context: &Context, args: &Args) -> RpcResult {
    let (List(accounts),): (List<Address>,) = args.read()?;
    done(context.node.forbid_accounts(&accounts))
}

/// `perm_getAccountsAllowlist`.
pub fn accounts(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    match context.node.permissions().accounts_allowlist {
        Some(accounts) => Ok(accounts.into_iter().map(address).collect()),
        None => Err(RpcError::Server(PermissionError::AccountsOpen.to_string())),
    }
}

/// `perm_addNodesToAllowlist`.
pub fn add_nodes(context: &Context, args: &Args) -> RpcResult {
    let (List(nodes),): (List<String>,) = args.read()?;
    done(context.node.permit_nodes(&nodes))
}

/// `perm_removeNodesFromAllowlist`.
pub fn remove_nodes(context: &Context, args: &Args) -> RpcResult {
    let (List(nodes),): (List<String>,) = args.read()?;
    done(context.node.forbid_nodes(&nodes))
}

/// `perm_getNodesAllowlist`.
pub fn nodes(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    match context.node.permissions().nodes_allowlist {
        Some(nodes) => Ok(nodes.into_iter().map(Value::from).collect()),
        None => Err(RpcError::Server(PermissionError::NodesOpen.to_string())),
    }
}

/// `perm_reloadPermissionsFromFile`.
pub fn reload(context: &Context, args: &Args) -> RpcResult {
    let () = args.read()?;
    done(context.node.reload_permissions())
}
