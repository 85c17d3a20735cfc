//! Where the contracts of a genesis-built network stand (`contracts.md` section 11).
//!
//! Address = `0x4d534e4554` (ASCII "MSNET") ‖ 13 zero bytes ‖ two bytes of suffix: the group, then the place in it. Every
//! network that `msnet genesis` makes has them there; on any other chain `deployment.json` says where they are.

use alloy_primitives::{Address, address};

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
/// InstitutionRegistry: who is who.
pub const INSTITUTION_REGISTRY: Address = address!("4d534e4554000000000000000000000000000101");
/// KeyRegistry: which key spoke for whom, when.
pub const KEY_REGISTRY: Address = address!("4d534e4554000000000000000000000000000102");
/// RecordRegistry: anchored batch roots.
pub const RECORD_REGISTRY: Address = address!("4d534e4554000000000000000000000000000201");
/// DatasetCatalog: what exists, under which conditions.
pub const DATASET_CATALOG: Address = address!("4d534e4554000000000000000000000000000202");
/// AccessRegistry: request, grant, revoke.
pub const ACCESS_REGISTRY: Address = address!("4d534e4554000000000000000000000000000301");
/// DeliveryLedger: evidence of exchange.
pub const DELIVERY_LEDGER: Address = address!("4d534e4554000000000000000000000000000302");
/// Supervision: a complaint's life.
pub const SUPERVISION: Address = address!("4d534e4554000000000000000000000000000401");
/// Sanctions: what a ruling does.
pub const SANCTIONS: Address = address!("4d534e4554000000000000000000000000000403");
/// Credibility: a score with its evidence.
pub const CREDIBILITY: Address = address!("4d534e4554000000000000000000000000000404");
/// Incentives: credits and request quota.
pub const INCENTIVES: Address = address!("4d534e4554000000000000000000000000000405");

/// The modules that `Directory` names, in the order in which they are built.
pub const MODULES: [Contract; 10] = [
    Contract { name: "InstitutionRegistry", address: INSTITUTION_REGISTRY },
    Contract { name: "KeyRegistry", address: KEY_REGISTRY },
    Contract { name: "RecordRegistry", address: RECORD_REGISTRY },
    Contract { name: "DatasetCatalog", address: DATASET_CATALOG },
    Contract { name: "AccessRegistry", address: ACCESS_REGISTRY },
    Contract { name: "DeliveryLedger", address: DELIVERY_LEDGER },
    Contract { name: "Supervision", address: SUPERVISION },
    Contract { name: "Sanctions", address: SANCTIONS },
    Contract { name: "Credibility", address: CREDIBILITY },
    Contract { name: "Incentives", address: INCENTIVES },
];

/// The genesis file of a built-in network, as geth writes it; `None` for an unknown name.
pub fn genesis(name: &str) -> Option<&'static [u8]> {
    match name {
        "dev" => Some(include_bytes!("../networks/dev.json")),
        _ => None,
    }
}
