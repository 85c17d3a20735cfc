//! `debug_*`: transactions run again step by step, raw objects, and a look into the state.
//!
//! The forms are geth's (`eth/tracers` v1.13.15), so the tracers are ours: [`hooks`] turns revm's events into geth's,
//! [`tracers`] chooses by [`options`], and each tracer has a file. JavaScript is not among them.

pub mod calls;
pub mod cost;
pub mod flat;
pub mod four_byte;
pub mod hooks;
pub mod options;
pub mod prestate;
pub mod raw;
pub mod state;
pub mod struct_log;
pub mod trace;
pub mod tracers;
