//! What may change about own blocks while the node runs (`miner_*`).

use crate::error::MinerError;

/// Gas limits between which an own block may be asked to be: geth's least, and what no block will reach.
const GAS_LIMITS: std::ops::RangeInclusive<u64> = 5_000..=(i64::MAX as u64);

/// How own blocks are made from now on; what is absent is as at the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Miner {
    /// No block is made.
    pub(crate) is_stopped: bool,
    /// Gas limit that own blocks walk toward.
    pub(crate) gas_limit: Option<u64>,
    /// First bytes of extra-data.
    pub(crate) vanity: Option<[u8; 32]>,
    /// Least tip that is suggested, wei per gas.
    pub(crate) gas_price_floor: u128,
}

impl Miner {
    pub(crate) fn set_gas_limit(&mut self, gas: u64) -> Result<(), MinerError> {
        if !GAS_LIMITS.contains(&gas) {
            return Err(MinerError::GasLimit { gas, least: *GAS_LIMITS.start() });
        }
        self.gas_limit = Some(gas);
        Ok(())
    }

    pub(crate) fn set_vanity(&mut self, text: &[u8]) -> Result<(), MinerError> {
        let mut vanity = [0; 32];
        let room = vanity.get_mut(..text.len());
        room.ok_or(MinerError::LongVanity { have: text.len() })?.copy_from_slice(text);
        self.vanity = Some(vanity);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_block_can_have_is_refused() {
        let mut miner = Miner::default();
        assert!(matches!(miner.set_gas_limit(4_999), Err(MinerError::GasLimit { .. })));
        assert!(matches!(miner.set_vanity(&[1; 33]), Err(MinerError::LongVanity { have: 33 })));
        assert_eq!((miner.gas_limit, miner.vanity), (None, None));
        miner.set_gas_limit(30_000_000).expect("a usual limit");
        miner.set_vanity(b"north").expect("short");
        assert_eq!(miner.gas_limit, Some(30_000_000));
        assert!(miner.vanity.is_some_and(|vanity| vanity.starts_with(b"north\0")));
    }
}
