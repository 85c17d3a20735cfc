//! `msnet version`: what runs here, so that two members can compare.

use alloy_primitives::keccak256;
use contracts::{abi::creation_code, networks};

/// The commit that the build was told of (`MSNET_COMMIT`).
const COMMIT: Option<&str> = option_env!("MSNET_COMMIT");
/// The exact versions of all that was compiled in.
const LOCK: &str = include_str!("Cargo.lock");

/// A line, or with `is_verbose` one for each part.
pub(crate) fn text(is_verbose: bool) -> String {
    let mut text = format!("msnet {}\n", env!("CARGO_PKG_VERSION"));
    if !is_verbose {
        return text;
    }
    text.push_str(&format!("commit        {}\n", COMMIT.unwrap_or("not told at build")));
    text.push_str(&format!("system        {} {}\n", std::env::consts::OS, std::env::consts::ARCH));
    text.push_str(&format!("Cargo.lock    {}\n", keccak256(LOCK)));
    if let Some(genesis) = networks::genesis("dev") {
        text.push_str(&format!("network dev   {}\n", keccak256(genesis)));
    }
    let names = networks::MODULES.iter().map(|module| module.name);
    for name in ["AccessManager", "Directory"].into_iter().chain(names) {
        if let Some(code) = creation_code(name) {
            text.push_str(&format!("code          {} {name}\n", keccak256(code)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_long_form_names_every_contract() {
        let text = super::text(true);
        assert!(text.starts_with(&super::text(false)));
        assert!(text.contains("Cargo.lock    0x") && text.contains(" RecordRegistry\n"), "{text}");
    }
}
