//! EIP-225 a second time, written after geth's `snapshot.go` instead of ours: a rule that the ledger forgot, all its
//! nodes would break together, and nobody else would notice.

use std::collections::HashMap;

use alloy_primitives::{Address, B64, B256, U256};

use crate::{block::Header, clique::Snapshot};

/// Who may seal after one block.
#[derive(Debug, Clone)]
struct Standing {
    number: u64,
    time: u64,
    /// Ascending.
    signers: Vec<Address>,
    recents: Vec<(u64, Address)>,
    /// Who voted about whom, in the order of the votes; at most one of a pair.
    votes: Vec<(Address, Address)>,
}

/// The standing after every block that anybody took.
#[derive(Debug)]
pub(crate) struct Oracle {
    period_secs: u64,
    epoch: u64,
    standings: HashMap<B256, Standing>,
}

impl Oracle {
    pub(crate) fn new(period_secs: u64, epoch: u64, genesis: &Header) -> Self {
        let list = &genesis.extra_data[32..genesis.extra_data.len() - 65];
        let standing = Standing {
            number: 0,
            time: genesis.timestamp,
            signers: list.chunks(20).map(Address::from_slice).collect(),
            recents: Vec::new(),
            votes: Vec::new(),
        };
        Self { period_secs, epoch, standings: HashMap::from([(genesis.hash_slow(), standing)]) }
    }

    pub(super) fn signers(&self, hash: B256) -> &[Address] {
        &self.standings[&hash].signers
    }

    /// Judges a header that a node accepted.
    pub(crate) fn judge(
        &mut self,
        hash: B256,
        header: &Header,
        signer: Address,
    ) -> Result<(), String> {
        let parent =
            self.standings.get(&header.parent_hash).ok_or("its parent was never accepted")?;
        let (number, count) = (parent.number + 1, parent.signers.len() as u64);
        let limit = count / 2 + 1;
        let check = |holds: bool, rule: &str| if holds { Ok(()) } else { Err(rule.to_owned()) };
        check(header.number == number, "its number is not the parent's plus one")?;
        check(header.timestamp >= parent.time + self.period_secs, "it comes within a period")?;
        let index = parent.signers.iter().position(|member| *member == signer);
        let index = index.ok_or_else(|| format!("{signer} is no signer"))? as u64;
        let in_turn = number % count == index;
        check(header.difficulty == U256::from(1 + u64::from(in_turn)), "its difficulty is wrong")?;
        for (sealed, recent) in &parent.recents {
            check(
                *recent != signer || sealed + limit <= number,
                "its signer sealed within the window",
            )?;
        }
        let is_epoch = number % self.epoch == 0;
        let list = &header.extra_data[32..header.extra_data.len() - 65];
        let want: Vec<u8> = parent.signers.iter().flat_map(|member| member.0.0).collect();
        check(list == if is_epoch { &want[..] } else { &[] }, "its signer list is wrong")?;
        let mut next = Standing { number, time: header.timestamp, ..parent.clone() };
        if is_epoch {
            next.votes.clear();
        }
        next.recents.retain(|(sealed, _)| Some(*sealed) != number.checked_sub(limit));
        next.recents.push((number, signer));
        next.count_vote(signer, header.beneficiary, header.nonce == B64::repeat_byte(0xff));
        self.standings.insert(hash, next);
        Ok(())
    }

    /// Compares the ledger's snapshot after a judged block.
    pub(crate) fn compare(&self, hash: B256, have: &Snapshot) -> Result<(), String> {
        let want = &self.standings[&hash];
        let signers: Vec<_> = have.signers.iter().copied().collect();
        let recents: Vec<_> =
            have.recents.iter().map(|(&number, &signer)| (number, signer)).collect();
        let votes: Vec<_> = have.votes.iter().map(|vote| (vote.signer, vote.address)).collect();
        for (what, is_equal) in [
            ("signers", signers == want.signers),
            ("recent seals", recents == want.recents),
            ("votes", votes == want.votes),
        ] {
            if !is_equal {
                return Err(format!("its snapshot has other {what} than EIP-225 gives"));
            }
        }
        Ok(())
    }
}

impl Standing {
    fn count_vote(&mut self, signer: Address, about: Address, authorize: bool) {
        self.votes.retain(|&vote| vote != (signer, about));
        let is_member = self.signers.contains(&about);
        if is_member != authorize {
            self.votes.push((signer, about));
        }
        // A vote that changes nothing still touches the account: what a smaller set made a majority is decided now.
        let count = self.votes.iter().filter(|(_, voted)| *voted == about).count();
        if count <= self.signers.len() / 2 {
            return;
        }
        if !is_member {
            self.signers.push(about);
            self.signers.sort();
        } else {
            self.signers.retain(|member| *member != about);
            let limit = self.signers.len() as u64 / 2 + 1;
            let leaving = self.number.checked_sub(limit);
            self.recents.retain(|(sealed, _)| Some(*sealed) != leaving);
            self.votes.retain(|(voter, _)| *voter != about);
        }
        self.votes.retain(|(_, voted)| *voted != about);
    }
}
