//! Where the contracts of a genesis-built network stand (`contracts.md` section 11).
//!
//! Address = `0x4d534e4554` (ASCII "MSNET") ‖ 13 zero bytes ‖ two bytes of suffix: the group, then the place in it. Every
//! network that `msnet genesis` makes has them there; on any other chain `deployment.json` says where they are.

use std::collections::BTreeMap;

use alloy_primitives::{Address, address};
use serde::Deserialize;

/// A contract of the set: its name in `Directory` and in `contracts/abi`, and its genesis address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contract {
    /// Name, as in `Directory` (ASCII, left-aligned in 32 bytes).
    pub name: &'static str,
    /// Address on a genesis-built network.
    pub address: Address,
}

/// OpenZeppelin's AccessManager: who may call what is restricted.
pub const ACCESS_MANAGER: Address = address!("4d534e4554000000000000000000000000000001");
/// Directory: name to address.
pub const DIRECTORY: Address = address!("4d534e4554000000000000000000000000000003");
/// The account that runs the founding calls; nobody holds its key.
pub const FOUNDER: Address = address!("4d534e45540000000000000000000000000000ff");
/// TimelockController: carries out what the Council decided, two days later at the earliest.
pub const TIMELOCK_CONTROLLER: Address = address!("4d534e4554000000000000000000000000000002");
/// Lens: pages for people, read in one call.
pub const LENS: Address = address!("4d534e4554000000000000000000000000000005");
/// InstitutionRegistry: who is who.
pub const INSTITUTION_REGISTRY: Address = address!("4d534e4554000000000000000000000000000101");
/// KeyRegistry: which key spoke for whom, when.
pub const KEY_REGISTRY: Address = address!("4d534e4554000000000000000000000000000102");
/// DataHubRegistry: patients' hubs and the services that ask them.
pub const DATA_HUB_REGISTRY: Address = address!("4d534e4554000000000000000000000000000103");
/// RecordRegistry: anchored batch roots.
pub const RECORD_REGISTRY: Address = address!("4d534e4554000000000000000000000000000201");
/// DatasetCatalog: what exists, under which conditions.
pub const DATASET_CATALOG: Address = address!("4d534e4554000000000000000000000000000202");
/// ConsentRegistry: commitments to all consent states, by epoch.
pub const CONSENT_REGISTRY: Address = address!("4d534e4554000000000000000000000000000203");
/// AccessRegistry: request, grant, revoke.
pub const ACCESS_REGISTRY: Address = address!("4d534e4554000000000000000000000000000301");
/// CareRegistry: agreements and emergency access.
pub const CARE_REGISTRY: Address = address!("4d534e4554000000000000000000000000000303");
/// DeliveryLedger: evidence of exchange.
pub const DELIVERY_LEDGER: Address = address!("4d534e4554000000000000000000000000000302");
/// Supervision: a complaint's life.
pub const SUPERVISION: Address = address!("4d534e4554000000000000000000000000000401");
/// Arbitration: panels and votes.
pub const ARBITRATION: Address = address!("4d534e4554000000000000000000000000000402");
/// Sanctions: what a ruling does.
pub const SANCTIONS: Address = address!("4d534e4554000000000000000000000000000403");
/// Credibility: a score with its evidence.
pub const CREDIBILITY: Address = address!("4d534e4554000000000000000000000000000404");
/// Incentives: credits and request quota.
pub const INCENTIVES: Address = address!("4d534e4554000000000000000000000000000405");
/// JudgePool: who may judge, and whose turn it is.
pub const JUDGE_POOL: Address = address!("4d534e4554000000000000000000000000000406");
/// AlgorithmRegistry: what may run, and on which dataset.
pub const ALGORITHM_REGISTRY: Address = address!("4d534e4554000000000000000000000000000501");
/// ComputeJobs: results travel, records stay.
pub const COMPUTE_JOBS: Address = address!("4d534e4554000000000000000000000000000502");
/// PrivacyLedger: budgets in milli-ε.
pub const PRIVACY_LEDGER: Address = address!("4d534e4554000000000000000000000000000503");
/// Council: one institution, one vote.
pub const COUNCIL: Address = address!("4d534e4554000000000000000000000000000004");

/// The modules that `Directory` names, in the order in which they are built; all have the same constructor.
pub const MODULES: [Contract; 19] = [
    Contract { name: "InstitutionRegistry", address: INSTITUTION_REGISTRY },
    Contract { name: "KeyRegistry", address: KEY_REGISTRY },
    Contract { name: "DataHubRegistry", address: DATA_HUB_REGISTRY },
    Contract { name: "RecordRegistry", address: RECORD_REGISTRY },
    Contract { name: "DatasetCatalog", address: DATASET_CATALOG },
    Contract { name: "ConsentRegistry", address: CONSENT_REGISTRY },
    Contract { name: "AccessRegistry", address: ACCESS_REGISTRY },
    Contract { name: "CareRegistry", address: CARE_REGISTRY },
    Contract { name: "DeliveryLedger", address: DELIVERY_LEDGER },
    Contract { name: "Supervision", address: SUPERVISION },
    Contract { name: "Arbitration", address: ARBITRATION },
    Contract { name: "Sanctions", address: SANCTIONS },
    Contract { name: "Credibility", address: CREDIBILITY },
    Contract { name: "Incentives", address: INCENTIVES },
    Contract { name: "AlgorithmRegistry", address: ALGORITHM_REGISTRY },
    Contract { name: "ComputeJobs", address: COMPUTE_JOBS },
    Contract { name: "PrivacyLedger", address: PRIVACY_LEDGER },
    Contract { name: "Council", address: COUNCIL },
    Contract { name: "JudgePool", address: JUDGE_POOL },
];

/// What `Directory` names besides, with a constructor of its own.
pub const OTHERS: [Contract; 2] = [
    Contract { name: "TimelockController", address: TIMELOCK_CONTROLLER },
    Contract { name: "Lens", address: LENS },
];

/// Where a set of contracts stands on one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// First block that can have a log of theirs.
    pub start_block: u64,
    addresses: BTreeMap<String, Address>,
}

/// Why a deployment file was refused.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// The file is no JSON of the expected shape.
    #[error("the deployment file does not read: {0}")]
    Json(#[from] serde_json::Error),
    /// A contract of the set is not in the file.
    #[error("the deployment file does not say where {0} stands")]
    Missing(&'static str),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeploymentFile {
    chain_id: u64,
    start_block: u64,
    contracts: BTreeMap<String, DeploymentEntry>,
}

#[derive(Deserialize)]
struct DeploymentEntry {
    address: Address,
}

impl Deployed {
    /// The addresses of every network that `msnet genesis` made.
    pub fn in_genesis(chain_id: u64) -> Self {
        let addresses =
            all().map(|contract| (contract.name.to_owned(), contract.address)).collect();
        Self { chain_id, start_block: 0, addresses }
    }

    /// Reads what `contracts/deploy/Deploy.s.sol` wrote.
    ///
    /// # Errors
    /// [`DeploymentError`] if the bytes are no such file, or a contract of the set is missing in it.
    pub fn from_json(bytes: &[u8]) -> Result<Self, DeploymentError> {
        let file: DeploymentFile = serde_json::from_slice(bytes)?;
        if let Some(missing) = all().find(|contract| !file.contracts.contains_key(contract.name)) {
            return Err(DeploymentError::Missing(missing.name));
        }
        let addresses =
            file.contracts.into_iter().map(|(name, entry)| (name, entry.address)).collect();
        Ok(Self { chain_id: file.chain_id, start_block: file.start_block, addresses })
    }

    /// Where a contract stands, by its name in `Directory` and `contracts/abi`.
    pub fn address(&self, name: &str) -> Option<Address> {
        self.addresses.get(name).copied()
    }

    /// Which contract stands at an address.
    pub fn name(&self, address: Address) -> Option<&str> {
        self.addresses.iter().find(|(_, at)| **at == address).map(|(name, _)| name.as_str())
    }
}

/// Every contract of the set.
pub fn all() -> impl Iterator<Item = Contract> {
    let bases = [
        Contract { name: "AccessManager", address: ACCESS_MANAGER },
        Contract { name: "Directory", address: DIRECTORY },
    ];
    bases.into_iter().chain(MODULES).chain(OTHERS)
}

/// The genesis file of a built-in network, as geth writes it; `None` for an unknown name.
pub fn genesis(name: &str) -> Option<&'static [u8]> {
    match name {
        "dev" => Some(include_bytes!("../networks/dev.json")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_from_places() {
        let mut seen: Vec<Address> = all().map(|contract| contract.address).collect();
        assert!(seen.iter().all(|address| address.as_slice().starts_with(b"MSNET\0\0\0\0\0\0\0")));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 23);
        let genesis = Deployed::in_genesis(1337);
        assert_eq!(genesis.address("RecordRegistry"), Some(RECORD_REGISTRY));
        assert_eq!(genesis.name(COUNCIL), Some("Council"));
        assert_eq!(genesis.address("Nothing"), None);
    }

    #[test]
    fn a_deployment_file_is_read_whole_or_refused() {
        let contracts: serde_json::Map<String, serde_json::Value> = all()
            .map(|contract| {
                let entry = serde_json::json!({"address": contract.address, "codeHash": "0x00"});
                (contract.name.to_owned(), entry)
            })
            .collect();
        let mut file =
            serde_json::json!({"chainId": 31337, "startBlock": 4, "contracts": contracts});
        let read = Deployed::from_json(file.to_string().as_bytes()).expect("the whole file reads");
        assert_eq!((read.chain_id, read.start_block), (31_337, 4));
        assert_eq!(read.address("Lens"), Some(LENS));
        file["contracts"].as_object_mut().expect("an object").remove("Lens");
        let refused = Deployed::from_json(file.to_string().as_bytes());
        assert!(matches!(refused, Err(DeploymentError::Missing("Lens"))));
        assert!(matches!(Deployed::from_json(b"{}"), Err(DeploymentError::Json(_))));
    }
}
