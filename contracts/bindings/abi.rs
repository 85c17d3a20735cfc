//! Calls, events, errors and code of every contract, from the ABI files that the gate rebuilds and compares.
//!
//! One module a contract; a Solidity struct stands in the module of the interface that declares it, as in
//! `access_registry::IAccessRegistry::AccessRequest`. The documents that people sign are collected in [`crate::typed_data`].
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "generated from the ABI"
)]
#![expect(clippy::too_many_arguments, reason = "generated from the ABI")]

use alloy_primitives::Bytes;

macro_rules! contracts {
    ($($module:ident $name:ident $file:literal),* $(,)?) => {
        $(
            pub mod $module {
                alloy_sol_types::sol!(
                    #[sol(all_derives)]
                    $name,
                    $file
                );
            }
            pub use $module::$name;
        )*

        /// The creation code of a contract, by its name in `Directory`.
        pub fn creation_code(name: &str) -> Option<&'static Bytes> {
            match name {
                $(stringify!($name) => Some(&$name::BYTECODE),)*
                _ => None,
            }
        }
    };
}

contracts! {
    access_manager AccessManager "abi/AccessManager.json",
    directory Directory "abi/Directory.json",
    institution_registry InstitutionRegistry "abi/InstitutionRegistry.json",
    key_registry KeyRegistry "abi/KeyRegistry.json",
    record_registry RecordRegistry "abi/RecordRegistry.json",
    dataset_catalog DatasetCatalog "abi/DatasetCatalog.json",
    access_registry AccessRegistry "abi/AccessRegistry.json",
    delivery_ledger DeliveryLedger "abi/DeliveryLedger.json",
    supervision Supervision "abi/Supervision.json",
    sanctions Sanctions "abi/Sanctions.json",
    credibility Credibility "abi/Credibility.json",
    incentives Incentives "abi/Incentives.json",
}
