//! One target of `../targets.rs`, named by `MSNET_FUZZ_TARGET`, under libFuzzer.
#![no_main]

#[path = "../targets.rs"]
mod targets;

use std::sync::OnceLock;

fn target() -> fn(&[u8]) {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    *TARGET.get_or_init(|| {
        let wanted = std::env::var("MSNET_FUZZ_TARGET").unwrap_or_default();
        match targets::TARGETS.iter().find(|(name, _)| *name == wanted) {
            Some((_, run)) => *run,
            None => panic!("no target {wanted:?}; there are {:?}", targets::TARGETS.map(|(name, _)| name)),
        }
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| target()(bytes));
