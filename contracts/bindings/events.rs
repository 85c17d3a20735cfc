//! Every event of the set, decoded by where it came from.
//!
//! Logs are all that a reader needs: who knows genesis, ABI and logs has every field that a contract stores
//! (`contracts.md` section 12). A log of a stranger is none of ours; a log of ours that does not decode is a fault.

use alloy_primitives::Log;
use alloy_sol_types::SolEventInterface;

use crate::{abi, networks::Deployed};

macro_rules! events {
    ($($module:ident $name:ident $events:ident),* $(,)?) => {
        /// An event of one of the contracts.
        #[derive(Debug, Clone)]
        pub enum Event {
            $(
                #[doc = concat!("An event of ", stringify!($name), ".")]
                $name(abi::$module::$name::$events),
            )*
        }

        /// Decodes a log of the set; `None` if it was written by another contract.
        ///
        /// # Errors
        /// If one of ours wrote it and the committed ABI has no such event.
        pub fn decode(deployed: &Deployed, log: &Log) -> alloy_sol_types::Result<Option<Event>> {
            Ok(match deployed.name(log.address) {
                $(Some(stringify!($name)) => {
                    Some(Event::$name(abi::$module::$name::$events::decode_log(log)?.data))
                })*
                _ => None,
            })
        }
    };
}

events! {
    access_manager AccessManager AccessManagerEvents,
    timelock_controller TimelockController TimelockControllerEvents,
    directory Directory DirectoryEvents,
    institution_registry InstitutionRegistry InstitutionRegistryEvents,
    key_registry KeyRegistry KeyRegistryEvents,
    data_hub_registry DataHubRegistry DataHubRegistryEvents,
    record_registry RecordRegistry RecordRegistryEvents,
    dataset_catalog DatasetCatalog DatasetCatalogEvents,
    consent_registry ConsentRegistry ConsentRegistryEvents,
    access_registry AccessRegistry AccessRegistryEvents,
    care_registry CareRegistry CareRegistryEvents,
    delivery_ledger DeliveryLedger DeliveryLedgerEvents,
    supervision Supervision SupervisionEvents,
    arbitration Arbitration ArbitrationEvents,
    judge_pool JudgePool JudgePoolEvents,
    sanctions Sanctions SanctionsEvents,
    credibility Credibility CredibilityEvents,
    incentives Incentives IncentivesEvents,
    algorithm_registry AlgorithmRegistry AlgorithmRegistryEvents,
    compute_jobs ComputeJobs ComputeJobsEvents,
    privacy_ledger PrivacyLedger PrivacyLedgerEvents,
    council Council CouncilEvents,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::{COMPUTE_JOBS, INCENTIVES};
    use alloy_primitives::{Address, B256};
    use alloy_sol_types::SolEvent;

    #[test]
    fn a_log_is_decoded_by_where_it_stands() {
        let deployed = Deployed::in_genesis(1337);
        let funded = abi::compute_jobs::ComputeJobs::JobFunded { jobId: B256::repeat_byte(7) };
        let mut log = Log { address: COMPUTE_JOBS, data: funded.encode_log_data() };
        let event = decode(&deployed, &log).expect("it is an event of ComputeJobs");
        assert!(matches!(
            event,
            Some(Event::ComputeJobs(abi::compute_jobs::ComputeJobs::ComputeJobsEvents::JobFunded(e)))
                if e.jobId == B256::repeat_byte(7)
        ));
        log.address = INCENTIVES;
        decode(&deployed, &log).expect_err("Incentives has no such event");
        log.address = Address::repeat_byte(9);
        assert!(decode(&deployed, &log).expect("a stranger's is no fault").is_none());
    }
}
