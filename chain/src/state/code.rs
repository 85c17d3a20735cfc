//! Contract code in revm's form, found by its hash.
//!
//! The table of jump targets is made once for each code, not once for each call. A hash has one code whatever the chain
//! or the block, so all states of the process share what is kept here.

use std::sync::{PoisonError, RwLock};

use alloy_primitives::{B256, Bytes, map::B256Map};
use revm::bytecode::Bytecode;

/// Bytes of code kept; what was not asked for while half of that came anew goes.
const MAX_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug, Default)]
struct Codes {
    young: B256Map<Bytecode>,
    old: B256Map<Bytecode>,
    young_bytes: usize,
}

static CODES: RwLock<Option<Codes>> = RwLock::new(None);

/// revm's form of code. Code of before London may start with 0xEF without being a delegation.
pub fn bytecode(code: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
}

/// The code with this hash; `load` fetches it if it was not asked for lately.
///
/// # Errors
/// What `load` says.
pub fn bytecode_of<E>(hash: B256, load: impl FnOnce() -> Result<Bytes, E>) -> Result<Bytecode, E> {
    let kept = CODES.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(code) = kept.as_ref().and_then(|codes| codes.young.get(&hash)) {
        return Ok(code.clone());
    }
    let old = kept.as_ref().and_then(|codes| codes.old.get(&hash).cloned());
    drop(kept);
    let code = match old {
        Some(code) => code,
        None => bytecode(load()?),
    };
    CODES.write().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().keep(
        hash,
        code.clone(),
        MAX_BYTES,
    );
    Ok(code)
}

impl Codes {
    fn keep(&mut self, hash: B256, code: Bytecode, max_bytes: usize) {
        // The jump table takes a bit for each byte.
        let bytes = code.len() + code.len() / 8 + size_of::<(B256, Bytecode)>();
        self.old.remove(&hash);
        if self.young.insert(hash, code).is_none() {
            self.young_bytes += bytes;
        }
        if self.young_bytes > max_bytes / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    #[test]
    fn is_loaded_once_and_again_when_it_went() {
        let code = Bytes::from_static(&[0x60, 0x03, 0x56, 0x5b, 0x00]);
        let hash = keccak256(&code);
        let first = bytecode_of(hash, || Ok::<_, ()>(code.clone())).unwrap();
        assert_eq!(bytecode_of(hash, || Err(())), Ok(first));
        let unknown = keccak256([0x01]);
        assert_eq!(bytecode_of(unknown, || Err(())), Err(()), "a failed load leaves nothing");
        assert!(bytecode_of(unknown, || Ok::<_, ()>(Bytes::from_static(&[0x01]))).is_ok());
    }

    #[test]
    fn stays_within_its_bound() {
        let mut codes = Codes::default();
        for number in 0..100u64 {
            let code = bytecode(Bytes::from(vec![0x5b; 1_000]));
            codes.keep(keccak256(number.to_be_bytes()), code, 10_000);
            assert!(codes.young_bytes <= 5_000);
            assert!(codes.young.len() + codes.old.len() <= 10);
        }
    }
}
