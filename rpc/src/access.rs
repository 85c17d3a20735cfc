//! Which methods a connection may call: open namespaces, and who may use the admin set.
//!
//! A listener opens namespaces by its flags; what rules the node itself (the *admin set*) takes the socket of the data
//! folder (IPC) or a token. A method of a closed namespace is answered as if it did not exist.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::config::RpcStartError;

/// Namespaces that anybody on this machine may call.
const LOOPBACK: [&str; 10] =
    ["eth", "net", "web3", "rpc", "clique", "med", "ots", "erigon", "debug", "trace"];
/// Namespaces that strangers may call.
const PUBLIC: [&str; 6] = ["eth", "net", "web3", "rpc", "clique", "med"];
/// Open although their namespace is not.
const SINGLE: [&str; 1] = ["txpool_status"];
/// Namespaces of the admin set.
const ADMIN: [&str; 3] = ["admin", "perm", "miner"];
/// Methods of the admin set in other namespaces.
const ADMIN_METHODS: [&str; 3] = ["clique_propose", "clique_discard", "debug_setHead"];
/// They read and write files of this machine, or its log: never over TCP.
const LOCAL_METHODS: [&str; 3] = ["admin_exportChain", "admin_importChain", "admin_changeLogLevel"];
/// What a flag may name beside [`LOOPBACK`] and [`ADMIN`].
const OPTIONAL: [&str; 1] = ["txpool"];
/// Namespaces whose answers no page of any origin may read.
const NOT_FOR_ANY_PAGE: [&str; 5] = ["debug", "trace", "admin", "perm", "miner"];

/// How far a caller is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// Whoever reaches the listener.
    Open,
    /// It showed a token.
    Token,
    /// It opened the socket of the data folder, which only its owner can.
    Local,
}

/// The namespaces of one listener.
#[derive(Debug, Clone)]
pub struct Access {
    open: BTreeSet<String>,
    is_dev: bool,
}

impl Access {
    /// What a listener opens: the namespaces of its flag, or the usual ones of its kind. A development chain opens all.
    ///
    /// # Errors
    /// [`RpcStartError::UnknownNamespace`]; [`RpcStartError::AdminWithoutToken`] if the admin set is named and no secret is.
    pub fn new(
        named: Option<&[String]>,
        is_public: bool,
        is_dev: bool,
        has_secret: bool,
    ) -> Result<Self, RpcStartError> {
        let usual = if is_public { &PUBLIC[..] } else { &LOOPBACK[..] };
        let Some(named) = named else {
            let open = usual.iter().chain(&SINGLE).map(|name| (*name).to_owned()).collect();
            return Ok(Self { open, is_dev });
        };
        let mut open = BTreeSet::from(["rpc".to_owned()]);
        for name in named.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
            let is_known = [&LOOPBACK[..], &ADMIN, &OPTIONAL, &SINGLE].concat().contains(&name);
            if !is_known {
                return Err(RpcStartError::UnknownNamespace { name: name.to_owned() });
            }
            if ADMIN.contains(&name) && !has_secret && !is_dev {
                return Err(RpcStartError::AdminWithoutToken { name: name.to_owned() });
            }
            open.insert(name.to_owned());
        }
        Ok(Self { open, is_dev })
    }

    /// Everything that is not for the owner of the data folder alone.
    pub fn all() -> Self {
        let names = [&LOOPBACK[..], &OPTIONAL].concat();
        Self { open: names.into_iter().map(str::to_owned).collect(), is_dev: false }
    }

    /// True if this caller may call this method.
    pub fn allows(&self, method: &str, trust: Trust) -> bool {
        if trust == Trust::Local {
            return true;
        }
        if LOCAL_METHODS.contains(&method) {
            return false;
        }
        let namespace = namespace(method);
        if ADMIN.contains(&namespace) || ADMIN_METHODS.contains(&method) {
            return self.is_dev || trust == Trust::Token;
        }
        self.is_dev || self.open.contains(namespace) || self.open.contains(method)
    }

    /// The open namespaces of these methods with their version, as `rpc_modules` answers.
    pub fn modules<'a>(&self, methods: impl Iterator<Item = &'a str>, trust: Trust) -> Value {
        let open = methods.filter(|method| self.allows(method, trust)).map(namespace);
        let rpc = std::iter::once("rpc");
        let versions: Map<_, _> =
            open.chain(rpc).map(|name| (name.to_owned(), Value::from("1.0"))).collect();
        Value::Object(versions)
    }

    /// The open namespaces in words, for the log.
    pub fn names(&self) -> String {
        self.open.iter().cloned().collect::<Vec<_>>().join(" ")
    }

    /// True if a page of any origin must not read what is open here.
    pub fn is_too_open_for_any_page(&self) -> bool {
        self.is_dev || NOT_FOR_ANY_PAGE.iter().any(|name| self.open.contains(*name))
    }
}

fn namespace(method: &str) -> &str {
    method.split_once('_').map_or(method, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn each_kind_of_listener_opens_its_own() {
        let loopback = Access::new(None, false, false, false).expect("the usual");
        let public = Access::new(None, true, false, false).expect("the usual");
        let dev = Access::new(None, false, true, false).expect("the usual");
        for (method, on_loopback, in_public, on_dev) in [
            ("eth_call", true, true, true),
            ("txpool_status", true, true, true),
            ("txpool_content", false, false, true),
            ("debug_traceTransaction", true, false, true),
            ("debug_setHead", false, false, true),
            ("clique_getSigners", true, true, true),
            ("clique_propose", false, false, true),
            ("admin_peers", false, false, true),
            ("admin_exportChain", false, false, false),
            ("perm_addAccountsToAllowlist", false, false, true),
        ] {
            let open = |access: &Access| access.allows(method, Trust::Open);
            assert_eq!(open(&loopback), on_loopback, "{method}");
            assert_eq!(open(&public), in_public, "{method}");
            assert_eq!(open(&dev), on_dev, "{method}");
            assert!(public.allows(method, Trust::Local), "{method}");
        }
        assert!(loopback.allows("admin_peers", Trust::Token));
        assert!(!loopback.allows("admin_exportChain", Trust::Token));
    }

    #[test]
    fn flags_name_namespaces() {
        let access = Access::new(Some(&named(&["eth", " net", ""])), false, false, false);
        let access = access.expect("known names");
        assert!(
            access.allows("net_version", Trust::Open) && access.allows("rpc_modules", Trust::Open)
        );
        assert!(!access.allows("debug_getRawBlock", Trust::Open));
        let methods = ["eth_call", "net_version", "debug_getRawBlock"];
        let modules = access.modules(methods.into_iter(), Trust::Open);
        assert_eq!(modules, serde_json::json!({"eth": "1.0", "net": "1.0", "rpc": "1.0"}));
        assert!(matches!(
            Access::new(Some(&named(&["eht"])), false, false, false),
            Err(RpcStartError::UnknownNamespace { .. })
        ));
        let admin = |has_secret| Access::new(Some(&named(&["admin"])), false, false, has_secret);
        assert!(matches!(admin(false), Err(RpcStartError::AdminWithoutToken { .. })));
        assert!(admin(true).is_ok_and(|access| !access.allows("admin_peers", Trust::Open)));
    }
}
