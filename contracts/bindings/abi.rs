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
    timelock_controller TimelockController "abi/TimelockController.json",
    directory Directory "abi/Directory.json",
    institution_registry InstitutionRegistry "abi/InstitutionRegistry.json",
    key_registry KeyRegistry "abi/KeyRegistry.json",
    data_hub_registry DataHubRegistry "abi/DataHubRegistry.json",
    record_registry RecordRegistry "abi/RecordRegistry.json",
    dataset_catalog DatasetCatalog "abi/DatasetCatalog.json",
    consent_registry ConsentRegistry "abi/ConsentRegistry.json",
    access_registry AccessRegistry "abi/AccessRegistry.json",
    care_registry CareRegistry "abi/CareRegistry.json",
    delivery_ledger DeliveryLedger "abi/DeliveryLedger.json",
    supervision Supervision "abi/Supervision.json",
    arbitration Arbitration "abi/Arbitration.json",
    judge_pool JudgePool "abi/JudgePool.json",
    sanctions Sanctions "abi/Sanctions.json",
    credibility Credibility "abi/Credibility.json",
    incentives Incentives "abi/Incentives.json",
    algorithm_registry AlgorithmRegistry "abi/AlgorithmRegistry.json",
    compute_jobs ComputeJobs "abi/ComputeJobs.json",
    privacy_ledger PrivacyLedger "abi/PrivacyLedger.json",
    council Council "abi/Council.json",
    lens Lens "abi/Lens.json",
}
