//! `trace_*`: Parity's view of transactions, as OpenEthereum wrote it.
//!
//! [`methods`] finds the transactions, [`frames`] lists calls, [`state_diff`] what changed, [`vm_trace`] each instruction.
//! There are no reward entries: Clique has none.

pub mod frames;
pub mod methods;
pub mod state_diff;
pub mod vm_trace;
