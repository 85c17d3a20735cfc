//! Who may seal after a block: signers, recent seals, open votes.
//!
//! [`Snapshot::apply`] is a pure function from the snapshot after block n − 1 and header n to the one
//! after n. Only the account that a header votes about can enter or leave the set.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256};

use super::{CliqueError, NONCE_ADD, NONCE_DROP, seal};
use crate::{block::SealedHeader, spec::CliqueConfig};

/// One signer's open vote about one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// Who voted.
    pub signer: Address,
    /// In which block.
    pub block: u64,
    /// About whom.
    pub address: Address,
    /// True to add, false to drop.
    pub authorize: bool,
}

/// Open votes about one account, all in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// True to add, false to drop.
    pub authorize: bool,
    /// How many signers want it.
    pub votes: usize,
}

/// The state of Clique after one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Period and epoch of the network.
    pub config: CliqueConfig,
    /// Height of the block.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Who may seal, ascending.
    pub signers: BTreeSet<Address>,
    /// Block number → its signer, for the blocks of the window.
    pub recents: BTreeMap<u64, Address>,
    /// Open votes in the order they were cast.
    pub votes: Vec<Vote>,
    /// The same votes counted by account.
    pub tally: BTreeMap<Address, Tally>,
}

impl Snapshot {
    /// The snapshot after genesis: the signers of its extra-data, nothing else.
    ///
    /// # Errors
    /// [`CliqueError::MissingVanity`], [`CliqueError::MissingSeal`] or
    /// [`CliqueError::InvalidCheckpointSigners`] if extra-data has no such list.
    pub fn genesis(header: &SealedHeader, config: CliqueConfig) -> Result<Self, CliqueError> {
        let signers = listed_signers(&header.extra_data)?.into_iter().collect();
        Ok(Self {
            config,
            number: header.number,
            hash: header.hash(),
            signers,
            recents: BTreeMap::new(),
            votes: Vec::new(),
            tally: BTreeMap::new(),
        })
    }

    /// Length of the window: a signer seals once in so many consecutive blocks, ⌊N/2⌋ + 1.
    pub fn window(&self) -> u64 {
        self.signers.len() as u64 / 2 + 1
    }

    /// Position of an account among the ascending signers.
    pub fn index_of(&self, signer: Address) -> Option<usize> {
        self.signers.iter().position(|&member| member == signer)
    }

    /// True if it is this signer's turn at `number`; never for an empty set or a stranger.
    pub fn is_in_turn(&self, number: u64, signer: Address) -> bool {
        self.index_of(signer)
            .is_some_and(|index| number % self.signers.len() as u64 == index as u64)
    }

    /// True if the signer sealed one of the blocks that share a window with `number`.
    pub fn is_recent(&self, number: u64, signer: Address) -> bool {
        let window = self.window();
        #[cfg(test)]
        if crate::planted::is(crate::planted::Bug::WindowWraps) && number < window {
            return false;
        }
        self.recents.iter().any(|(&sealed, &recent)| {
            // sealed > number - window in signed arithmetic
            recent == signer && u128::from(sealed) + u128::from(window) > u128::from(number)
        })
    }

    /// True if a vote would change the set: a stranger can be added, a member dropped.
    pub fn is_useful_vote(&self, address: Address, authorize: bool) -> bool {
        self.signers.contains(&address) != authorize
    }

    /// The signer list as it stands in the extra-data of an epoch block.
    pub fn signer_bytes(&self) -> Vec<u8> {
        self.signers.iter().flat_map(|signer| signer.0.0).collect()
    }

    /// The snapshot after the next header, whose seal `signer` made.
    ///
    /// # Errors
    /// [`CliqueError::InvalidVotingChain`] if the header does not follow this block;
    /// [`CliqueError::UnauthorizedSigner`], [`CliqueError::RecentlySigned`],
    /// [`CliqueError::InvalidVote`].
    pub fn apply(&self, header: &SealedHeader, signer: Address) -> Result<Self, CliqueError> {
        let number = header.number;
        if self.number.checked_add(1) != Some(number) || header.parent_hash != self.hash {
            return Err(CliqueError::InvalidVotingChain);
        }
        let authorize = match header.nonce {
            NONCE_ADD => true,
            NONCE_DROP => false,
            _ => return Err(CliqueError::InvalidVote),
        };
        let mut next = self.clone();
        (next.number, next.hash) = (number, header.hash());
        if number.is_multiple_of(self.config.epoch) {
            next.forget_votes();
        }
        next.forget_outside_window();
        next.record_signer(signer)?;
        next.replace_vote(Vote { signer, block: number, address: header.beneficiary, authorize });
        next.decide(header.beneficiary);
        Ok(next)
    }

    /// An epoch begins without votes; who sealed lately stays.
    fn forget_votes(&mut self) {
        #[cfg(test)]
        match crate::planted::planted() {
            Some(crate::planted::Bug::VotesKeptAtEpoch) => return,
            Some(crate::planted::Bug::RecentsForgottenAtEpoch) => self.recents.clear(),
            _ => {}
        }
        self.votes.clear();
        self.tally.clear();
    }

    /// Drops the seal that leaves the window with this block.
    fn forget_outside_window(&mut self) {
        if let Some(leaving) = self.number.checked_sub(self.window()) {
            self.recents.remove(&leaving);
        }
    }

    fn record_signer(&mut self, signer: Address) -> Result<(), CliqueError> {
        if !self.signers.contains(&signer) {
            return Err(CliqueError::UnauthorizedSigner);
        }
        let is_recent = self.recents.values().any(|&recent| recent == signer);
        #[cfg(test)]
        let is_recent = is_recent && self.is_recent(self.number, signer);
        if is_recent {
            return Err(CliqueError::RecentlySigned);
        }
        self.recents.insert(self.number, signer);
        Ok(())
    }

    /// Takes back the signer's earlier vote about the account and counts the new one if useful.
    fn replace_vote(&mut self, vote: Vote) {
        let is_earlier = |old: &Vote| old.signer == vote.signer && old.address == vote.address;
        if let Some(index) = self.votes.iter().position(is_earlier) {
            let old = self.votes.remove(index);
            self.uncount(old);
        }
        if self.is_useful_vote(vote.address, vote.authorize) {
            let fresh = Tally { authorize: vote.authorize, votes: 0 };
            self.tally.entry(vote.address).or_insert(fresh).votes += 1;
            self.votes.push(vote);
        }
    }

    fn uncount(&mut self, vote: Vote) {
        let Some(tally) = self.tally.get_mut(&vote.address) else { return };
        if tally.authorize != vote.authorize {
            return;
        }
        if tally.votes > 1 {
            tally.votes -= 1;
        } else {
            self.tally.remove(&vote.address);
        }
    }

    /// Adds or drops the account if more than half of the signers want it.
    fn decide(&mut self, address: Address) {
        let Some(&tally) = self.tally.get(&address) else { return };
        if tally.votes <= self.signers.len() / 2 {
            return;
        }
        if tally.authorize {
            self.signers.insert(address);
        } else {
            self.signers.remove(&address);
            // the window may have shrunk
            self.forget_outside_window();
            self.uncast_votes_of(address);
        }
        self.votes.retain(|vote| vote.address != address);
        self.tally.remove(&address);
    }

    fn uncast_votes_of(&mut self, signer: Address) {
        let (gone, kept) = std::mem::take(&mut self.votes)
            .into_iter()
            .partition::<Vec<_>, _>(|vote| vote.signer == signer);
        self.votes = kept;
        for vote in gone {
            self.uncount(vote);
        }
    }
}

/// The addresses between vanity and seal.
///
/// # Errors
/// [`CliqueError::InvalidCheckpointSigners`] if they are not whole addresses.
pub fn listed_signers(extra_data: &[u8]) -> Result<Vec<Address>, CliqueError> {
    let (chunks, rest) = seal::split_extra_data(extra_data)?.signers.as_chunks::<20>();
    if !rest.is_empty() {
        return Err(CliqueError::InvalidCheckpointSigners);
    }
    Ok(chunks.iter().map(Address::from).collect())
}
