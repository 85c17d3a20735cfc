//! `permissions.toml`: who may use this node. Its own policy, never a rule of blocks.
//!
//! ```toml
//! accounts-allowlist = ["0x…"]    # who may send transactions through this node
//! nodes-allowlist = ["enode://…"] # whom it talks to
//! ```
//!
//! Besu's keys. A missing key lets everybody, an empty list nobody. The file is read at the start and
//! by [`NodeHandle::reload_permissions`]; the other methods write it, in one step. The pool asks for
//! the sender when a transaction enters and again when a block takes it; imports never ask.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::PoisonError,
};

use alloy_primitives::{Address, hex};
use serde::{Deserialize, Serialize};

use crate::handle::NodeHandle;

/// Name of the file in the ledger's folder.
pub(crate) const PERMISSIONS_FILE: &str = "permissions.toml";
/// Longest file: some 10,000 accounts and nodes.
pub const PERMISSIONS_BYTES: u64 = 4 << 20;

/// Why the allowlists cannot be read or changed; the texts are Besu's where it has one.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's text says what is wrong")]
pub enum PermissionError {
    #[error("cannot {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is longer than {PERMISSIONS_BYTES} bytes", path.display())]
    TooLong { path: PathBuf },
    #[error("{} is no list of permissions: {reason}\n  do: mend the file, or remove it to let everybody in", path.display())]
    Invalid { path: PathBuf, reason: String },
    #[error("Account Permissioning has not been enabled")]
    AccountsOpen,
    #[error("Node Permissioning has not been enabled")]
    NodesOpen,
    #[error("Request contains an invalid account")]
    InvalidAccount,
    #[error("Request contains an invalid node")]
    InvalidNode,
    #[error("Null/empty params list")]
    Empty,
    #[error("Request contains duplicates")]
    Duplicates,
    #[error("Cannot add an existing account to allowlist")]
    AccountExists,
    #[error("Cannot remove an absent account from allowlist")]
    AccountAbsent,
    #[error("Cannot add an existing node to allowlist")]
    NodeExists,
    #[error("Cannot remove an absent node from allowlist")]
    NodeAbsent,
}

/// The allowlists of a node; a list that is none lets everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Permissions {
    /// Accounts that may send transactions through this node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts_allowlist: Option<Vec<Address>>,
    /// Nodes that this node talks to, `enode://<128 hex digits>@host:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes_allowlist: Option<Vec<String>>,
}

impl Permissions {
    /// Reads the file; an absent one lets everybody in.
    ///
    /// # Errors
    /// [`PermissionError`] if it cannot be read, is too long or says something else. An unknown key is
    /// refused: a mistyped one would leave the door open.
    pub fn read(path: &Path) -> Result<Self, PermissionError> {
        let io = |source| PermissionError::Io { doing: "read", path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(io(error)),
        };
        let mut bytes = Vec::new();
        file.take(PERMISSIONS_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > PERMISSIONS_BYTES {
            return Err(PermissionError::TooLong { path: path.to_owned() });
        }
        Self::from_toml(&bytes)
            .map_err(|reason| PermissionError::Invalid { path: path.to_owned(), reason })
    }

    fn from_toml(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let read: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        match read.nodes_allowlist.iter().flatten().find(|node| !is_enode(node)) {
            Some(node) => Err(format!("{node:?} is no enode:// address")),
            None => Ok(read),
        }
    }

    /// Writes the file, in one step.
    fn write(&self, path: &Path) -> Result<(), PermissionError> {
        let io = |source| PermissionError::Io { doing: "write", path: path.to_owned(), source };
        let text = toml::to_string_pretty(self).map_err(|error| PermissionError::Invalid {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let draft = path.with_extension("toml.new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).open(&draft).map_err(io)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        std::fs::rename(&draft, path).map_err(io)?;
        let folder = path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all());
        folder.map_err(io)
    }
}

/// The lists that hold now, and the file they came from; none without a folder.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    pub(crate) lists: Permissions,
    pub(crate) path: Option<PathBuf>,
}

impl Guard {
    pub(crate) fn open(path: Option<PathBuf>) -> Result<Self, PermissionError> {
        let lists = path.as_deref().map_or(Ok(Permissions::default()), Permissions::read)?;
        Ok(Self { lists, path })
    }
}

impl NodeHandle {
    /// The allowlists that hold now.
    pub fn permissions(&self) -> Permissions {
        self.guard().lists.clone()
    }

    /// Reads the file again.
    ///
    /// # Errors
    /// [`PermissionError`] as [`Permissions::read`]; the lists stay as they were.
    pub fn reload_permissions(&self) -> Result<(), PermissionError> {
        let mut guard = self.guard();
        if let Some(path) = &guard.path {
            guard.lists = Permissions::read(path)?;
        }
        self.permit(&guard.lists);
        Ok(())
    }

    /// Lets accounts send.
    ///
    /// # Errors
    /// [`PermissionError`] if there is no list, none or one twice is named, or one is on it already.
    pub fn permit_accounts(&self, accounts: &[Address]) -> Result<(), PermissionError> {
        let (open, known) = (PermissionError::AccountsOpen, PermissionError::AccountExists);
        self.change(|lists| add(lists.accounts_allowlist.as_mut().ok_or(open)?, accounts, known))
    }

    /// Lets accounts send no longer.
    ///
    /// # Errors
    /// [`PermissionError`] if there is no list, none or one twice is named, or one is not on it.
    pub fn forbid_accounts(&self, accounts: &[Address]) -> Result<(), PermissionError> {
        let (open, absent) = (PermissionError::AccountsOpen, PermissionError::AccountAbsent);
        self.change(|lists| {
            remove(lists.accounts_allowlist.as_mut().ok_or(open)?, accounts, absent)
        })
    }

    /// Talks to nodes.
    ///
    /// # Errors
    /// As [`NodeHandle::permit_accounts`], and if one is no `enode://` address.
    pub fn permit_nodes(&self, nodes: &[String]) -> Result<(), PermissionError> {
        let (open, known) = (PermissionError::NodesOpen, PermissionError::NodeExists);
        if !nodes.iter().all(|node| is_enode(node)) {
            return Err(PermissionError::InvalidNode);
        }
        self.change(|lists| add(lists.nodes_allowlist.as_mut().ok_or(open)?, nodes, known))
    }

    /// Talks to nodes no longer.
    ///
    /// # Errors
    /// As [`NodeHandle::forbid_accounts`].
    pub fn forbid_nodes(&self, nodes: &[String]) -> Result<(), PermissionError> {
        let (open, absent) = (PermissionError::NodesOpen, PermissionError::NodeAbsent);
        self.change(|lists| remove(lists.nodes_allowlist.as_mut().ok_or(open)?, nodes, absent))
    }

    /// Changes a copy, writes it, and only then lets it hold.
    fn change(
        &self,
        change: impl FnOnce(&mut Permissions) -> Result<(), PermissionError>,
    ) -> Result<(), PermissionError> {
        let mut guard = self.guard();
        let mut lists = guard.lists.clone();
        change(&mut lists)?;
        if let Some(path) = &guard.path {
            lists.write(path)?;
        }
        self.permit(&lists);
        guard.lists = lists;
        Ok(())
    }

    fn permit(&self, lists: &Permissions) {
        let accounts = lists.accounts_allowlist.as_ref();
        self.shared.pool().permit(accounts.map(|accounts| accounts.iter().copied().collect()));
    }

    /// The lists are replaced whole, so a panic elsewhere leaves them in order.
    fn guard(&self) -> std::sync::MutexGuard<'_, Guard> {
        self.shared.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add<T: Clone + Ord>(
    list: &mut Vec<T>,
    items: &[T],
    known: PermissionError,
) -> Result<(), PermissionError> {
    let items = distinct(items)?;
    if list.iter().any(|item| items.contains(item)) {
        return Err(known);
    }
    list.extend(items.into_iter().cloned());
    Ok(())
}

fn remove<T: Ord>(
    list: &mut Vec<T>,
    items: &[T],
    absent: PermissionError,
) -> Result<(), PermissionError> {
    let items = distinct(items)?;
    let listed: BTreeSet<&T> = list.iter().collect();
    if !items.is_subset(&listed) {
        return Err(absent);
    }
    list.retain(|item| !items.contains(item));
    Ok(())
}

fn distinct<T: Ord>(items: &[T]) -> Result<BTreeSet<&T>, PermissionError> {
    let set: BTreeSet<&T> = items.iter().collect();
    match items.len() {
        0 => Err(PermissionError::Empty),
        count if count == set.len() => Ok(set),
        _ => Err(PermissionError::Duplicates),
    }
}

/// `enode://<public key of 64 bytes>@host:port`, with or without `?discport=`.
fn is_enode(text: &str) -> bool {
    let Some((key, place)) = text.strip_prefix("enode://").and_then(|rest| rest.split_once('@'))
    else {
        return false;
    };
    let place = place.split_once('?').map_or(place, |(place, _)| place);
    let port = place.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let is_port = port.is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let mut bytes = [0; 64];
    is_port && hex::decode_to_slice(key, &mut bytes).is_ok() && !key.starts_with("0x")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "enode://6f8a80d14311c39f35f516fa664deaaaa13e85b2f7493f37f6144d86991ec012937307647bd3b9a82abe2974e1407241d54947bbb39763a4cac9f77166ad92a0@10.3.58.6:30303?discport=30301";

    #[test]
    fn the_file_has_besus_keys() {
        let account = Address::repeat_byte(0xfe);
        let text = format!("accounts-allowlist=[\"{account}\"]\nnodes-allowlist=[\"{NODE}\"]\n");
        let lists = Permissions::from_toml(text.as_bytes()).expect("Besu's form");
        assert_eq!(lists.accounts_allowlist, Some(vec![account]));
        assert_eq!(lists.nodes_allowlist, Some(vec![NODE.to_owned()]));
        let nobody = Permissions::from_toml(b"accounts-allowlist=[]").expect("an empty list");
        assert_eq!((nobody.accounts_allowlist, nobody.nodes_allowlist), (Some(vec![]), None));
        assert_eq!(Permissions::from_toml(b"# open\n").expect("no list"), Permissions::default());
    }

    #[test]
    fn what_is_written_is_read_and_what_is_wrong_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(PERMISSIONS_FILE);
        assert_eq!(Permissions::read(&path).expect("absent: open"), Permissions::default());
        let lists = Permissions {
            accounts_allowlist: Some(vec![Address::ZERO, Address::repeat_byte(1)]),
            nodes_allowlist: Some(vec![]),
        };
        lists.write(&path).expect("a writable folder");
        assert_eq!(Permissions::read(&path).expect("just written"), lists);
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("a folder").count(),
            1,
            "no draft is left"
        );
        for (text, want) in [
            ("accounts-allowlst=[]", "accounts-allowlst"),
            ("accounts-allowlist=[\"0x12\"]", "line 1"),
            ("accounts-allowlist=", "line 1"),
            ("nodes-allowlist=[\"enode://12@1.2.3.4:5\"]", "enode://12@1.2.3.4:5"),
        ] {
            std::fs::write(&path, text).expect("a writable file");
            let error = Permissions::read(&path).expect_err(text).to_string();
            assert!(error.contains(want) && error.contains("permissions.toml"), "{error}");
        }
        let at_limit = " ".repeat(usize::try_from(PERMISSIONS_BYTES).expect("small"));
        std::fs::write(&path, &at_limit).expect("a writable file");
        assert!(Permissions::read(&path).is_ok());
        std::fs::write(&path, at_limit + " ").expect("a writable file");
        assert!(matches!(Permissions::read(&path), Err(PermissionError::TooLong { .. })));
    }

    #[test]
    fn lists_change_as_besus_do() {
        let mut list = vec![1];
        let text =
            |outcome: Result<(), PermissionError>| outcome.map_err(|error| error.to_string());
        let mut adds = |items: &[u8]| text(add(&mut list, items, PermissionError::AccountExists));
        assert_eq!(adds(&[]), Err("Null/empty params list".to_owned()));
        assert_eq!(adds(&[2, 2]), Err("Request contains duplicates".to_owned()));
        assert_eq!(adds(&[2, 1]), Err("Cannot add an existing account to allowlist".to_owned()));
        assert_eq!(adds(&[2, 3]), Ok(()));
        let mut removes =
            |items: &[u8]| text(remove(&mut list, items, PermissionError::AccountAbsent));
        assert_eq!(
            removes(&[3, 4]),
            Err("Cannot remove an absent account from allowlist".to_owned())
        );
        assert_eq!(removes(&[3, 1]), Ok(()));
        assert_eq!(list, [2]);
    }

    #[test]
    fn a_node_has_a_key_and_a_place() {
        assert!(is_enode(NODE));
        let key = "ab".repeat(64);
        for (text, want) in [
            (format!("enode://{key}@[::1]:30303"), true),
            (format!("enode://{key}@host.example:1"), true),
            (format!("enode://{key}@:1"), false),
            (format!("enode://{key}@host"), false),
            (format!("enode://{key}@host:70000"), false),
            (format!("enr://{key}@host:1"), false),
            (format!("enode://0x{}@host:1", "ab".repeat(63)), false),
            (String::new(), false),
        ] {
            assert_eq!(is_enode(&text), want, "{text}");
        }
    }
}
