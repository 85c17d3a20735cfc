//! `proposals.json`: the votes that this signer casts, kept across restarts.
//!
//! ```text
//! {"0x70997970C51812dc3A010C7d01b50e0d17dc79C8": true}      account → true to let it in, false to put it out
//! ```

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use alloy_primitives::Address;
use chain::{
    clique::Snapshot,
    disk::{Disk as _, OsDisk},
};

use crate::error::ProposalError;

/// Name of the file, beside the ledger.
const FILE: &str = "proposals.json";
/// Longest file that is read, bytes: far more accounts than a set of signers has.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The votes that this signer casts.
#[derive(Debug, Default)]
pub(crate) struct Proposals {
    /// None keeps them in memory alone.
    path: Option<PathBuf>,
    votes: BTreeMap<Address, bool>,
}

impl Proposals {
    /// Reads the file in the folder of the ledger; none is no proposal.
    pub(crate) fn open(folder: Option<&Path>) -> Result<Self, ProposalError> {
        let Some(folder) = folder else { return Ok(Self::default()) };
        let path = folder.join(FILE);
        let failed = |source| ProposalError::Unreadable { path: path.clone(), source };
        match std::fs::metadata(&path) {
            Ok(found) if found.len() > MAX_FILE_BYTES => {
                return Err(failed(std::io::Error::other("longer than a list of signers can be")));
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { path: Some(path), votes: BTreeMap::new() });
            }
            Err(error) => return Err(failed(error)),
        }
        let bytes = std::fs::read(&path).map_err(failed)?;
        let votes = serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?;
        Ok(Self { path: Some(path), votes })
    }

    /// All of them, ascending by account.
    pub(crate) const fn votes(&self) -> &BTreeMap<Address, bool> {
        &self.votes
    }

    /// Adds a proposal or turns it; on disk when it returns. `snapshot` is the one after the head.
    pub(crate) fn propose(
        &mut self,
        address: Address,
        authorize: bool,
        snapshot: &Snapshot,
    ) -> Result<(), ProposalError> {
        if address.is_zero() {
            return Err(ProposalError::ZeroAddress);
        }
        if !authorize && snapshot.signers.len() == 1 && snapshot.signers.contains(&address) {
            return Err(ProposalError::LastSigner { address });
        }
        let mut votes = self.votes.clone();
        votes.insert(address, authorize);
        self.replace(votes)
    }

    /// Takes a proposal back; one that is not there is no error, as in geth.
    pub(crate) fn discard(&mut self, address: Address) -> Result<(), ProposalError> {
        let mut votes = self.votes.clone();
        votes.remove(&address);
        self.replace(votes)
    }

    /// A power cut leaves the old file or the new one.
    fn replace(&mut self, votes: BTreeMap<Address, bool>) -> Result<(), ProposalError> {
        if let Some(path) = &self.path {
            let failed = |source| ProposalError::Unwritable { path: path.clone(), source };
            let text = serde_json::to_vec(&votes).map_err(|error| failed(error.into()))?;
            OsDisk.replace(path, &text).map_err(failed)?;
        }
        self.votes = votes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;
    use chain::spec::CliqueConfig;

    use super::*;

    const A: Address = Address::repeat_byte(0xa);
    const B: Address = Address::repeat_byte(0xb);

    fn snapshot(signers: &[Address]) -> Snapshot {
        Snapshot {
            config: CliqueConfig { period_secs: 1, epoch: 30_000 },
            number: 8,
            hash: B256::ZERO,
            signers: signers.iter().copied().collect(),
            recents: BTreeMap::new(),
            votes: Vec::new(),
            tally: BTreeMap::new(),
        }
    }

    #[test]
    fn proposals_outlive_the_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Proposals::open(Some(folder.path())).expect("readable");
        let mut proposals = open();
        assert!(proposals.votes().is_empty());
        proposals.propose(B, true, &snapshot(&[A])).expect("a stranger may come");
        proposals.propose(A, false, &snapshot(&[A, B])).expect("one of two may go");
        assert_eq!(open().votes(), &BTreeMap::from([(A, false), (B, true)]));
        proposals.discard(A).expect("was there");
        proposals.discard(A).expect("is not there");
        assert_eq!(open().votes(), &BTreeMap::from([(B, true)]));
    }

    #[test]
    fn what_harms_is_refused_and_changes_nothing() {
        let mut proposals = Proposals::default();
        let error = proposals.propose(Address::ZERO, true, &snapshot(&[A])).expect_err("zero");
        assert_eq!(
            error.to_string(),
            "the zero address cannot become a signer: clients disagree about votes on it"
        );
        let error = proposals.propose(A, false, &snapshot(&[A])).expect_err("the last one");
        assert_eq!(
            error.to_string(),
            format!(
                "{A} is the only signer: without it nobody could seal a block\n  do: vote another signer in first"
            )
        );
        assert!(proposals.votes().is_empty());
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        for text in ["", "[]", "{\"0x12\": true}", "{\"0x\": 1}"] {
            std::fs::write(folder.path().join(FILE), text).expect("written");
            let error = Proposals::open(Some(folder.path())).expect_err(text).to_string();
            assert!(error.contains("proposals.json"), "{error}");
        }
    }
}
