//! [`ChainSpec`]: which rules hold in which block of this network.
//!
//! The header is always London's at most (15 or 16 fields). Forks after London switch opcodes,
//! precompiles and transaction rules without a header field: a time fork is active in block n if and
//! only if `londonBlock` ≤ n and its time ≤ the header's timestamp.

use alloy_primitives::U256;
use revm::primitives::hardfork::SpecId;

use crate::genesis::GenesisError;

/// Epoch length of EIP-225 where the genesis gives 0 or none.
pub const DEFAULT_EPOCH: u64 = 30_000;

/// The `clique` section of a genesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CliqueConfig {
    /// Least number of seconds between two blocks; 0 seals when there is work.
    pub period_secs: u64,
    /// Every `epoch`-th block lists the signers and forgets the votes; at least 1.
    pub epoch: u64,
}

/// Heights (`…Block`) and times (`…Time`) at which rules change; `None` never does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forks {
    /// `homesteadBlock`, EIP-2 and EIP-7.
    pub homestead: Option<u64>,
    /// `eip150Block`, Tangerine Whistle.
    pub eip150: Option<u64>,
    /// `eip155Block`, replay protection.
    pub eip155: Option<u64>,
    /// `eip158Block`, Spurious Dragon.
    pub eip158: Option<u64>,
    /// `byzantiumBlock`.
    pub byzantium: Option<u64>,
    /// `constantinopleBlock`; must equal `petersburg`, as EIP-1283 is not implemented.
    pub constantinople: Option<u64>,
    /// `petersburgBlock`.
    pub petersburg: Option<u64>,
    /// `istanbulBlock`.
    pub istanbul: Option<u64>,
    /// `berlinBlock`.
    pub berlin: Option<u64>,
    /// `londonBlock`, EIP-1559.
    pub london: Option<u64>,
    /// `shanghaiTime`.
    pub shanghai_time: Option<u64>,
    /// `cancunTime`.
    pub cancun_time: Option<u64>,
    /// `pragueTime`.
    pub prague_time: Option<u64>,
    /// `osakaTime`.
    pub osaka_time: Option<u64>,
}

impl Forks {
    /// Every fork that this program knows, in force from block 0.
    pub fn all_at_genesis() -> Self {
        let start = Some(0);
        Self {
            homestead: start,
            eip150: start,
            eip155: start,
            eip158: start,
            byzantium: start,
            constantinople: start,
            petersburg: start,
            istanbul: start,
            berlin: start,
            london: start,
            shanghai_time: start,
            cancun_time: start,
            prague_time: start,
            osaka_time: start,
        }
    }
}

/// The rules of one network, as its genesis states them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainSpec {
    /// EIP-155 chain id, also the network id.
    pub chain_id: u64,
    /// Fork schedule.
    pub forks: Forks,
    /// Present in every network that can run; a mere hash needs none.
    pub clique: Option<CliqueConfig>,
    /// Total difficulty of a parent from which a network has left Clique (Goerli).
    pub terminal_total_difficulty: Option<U256>,
    /// True if the genesis has an `msnet` section: such networks also refuse high-s seals.
    pub has_msnet_section: bool,
    /// `msnet.finality`: votes beside the header.
    pub finality: bool,
    /// `msnet.zeroBaseFee`: the base fee is 0 in every block.
    pub zero_base_fee: bool,
}

impl ChainSpec {
    /// The newest rule set in force in a block.
    pub fn spec_id(&self, number: u64, timestamp: u64) -> SpecId {
        let forks = &self.forks;
        let at_time = |fork: Option<u64>| self.is_london(number) && is_active(fork, timestamp);
        let newest_first = [
            (at_time(forks.osaka_time), SpecId::OSAKA),
            (at_time(forks.prague_time), SpecId::PRAGUE),
            (at_time(forks.cancun_time), SpecId::CANCUN),
            (at_time(forks.shanghai_time), SpecId::SHANGHAI),
            (is_active(forks.london, number), SpecId::LONDON),
            (is_active(forks.berlin, number), SpecId::BERLIN),
            (is_active(forks.istanbul, number), SpecId::ISTANBUL),
            (is_active(forks.petersburg, number), SpecId::PETERSBURG),
            (is_active(forks.byzantium, number), SpecId::BYZANTIUM),
            (is_active(forks.eip158, number), SpecId::SPURIOUS_DRAGON),
            (is_active(forks.eip150, number), SpecId::TANGERINE),
            (is_active(forks.homestead, number), SpecId::HOMESTEAD),
        ];
        newest_first
            .into_iter()
            .find_map(|(active, id)| active.then_some(id))
            .unwrap_or(SpecId::FRONTIER)
    }

    /// True if block `number` has a base fee (EIP-1559).
    pub fn is_london(&self, number: u64) -> bool {
        is_active(self.forks.london, number)
    }

    /// True if a fork after London is scheduled at all: geth's Clique cannot follow such a network.
    pub fn has_forks_after_london(&self) -> bool {
        let forks = &self.forks;
        [forks.shanghai_time, forks.cancun_time, forks.prague_time, forks.osaka_time]
            .iter()
            .any(Option::is_some)
    }

    /// Checks that forks follow each other without gaps, in geth's order and words.
    ///
    /// # Errors
    /// [`GenesisError::ForkOrder`] names the two forks; [`GenesisError::PetersburgDiffers`] if
    /// `petersburgBlock` is not `constantinopleBlock`.
    pub fn validate_fork_order(&self) -> Result<(), GenesisError> {
        let mut last: Option<(&str, Point)> = None;
        for (name, point, is_optional) in self.schedule() {
            if let Some((last_name, last_point)) = last {
                validate_follows(last_name, last_point, name, point)?;
            }
            if !is_optional || point.is_set() {
                last = Some((name, point));
            }
        }
        let Forks { constantinople, petersburg, .. } = self.forks;
        if constantinople != petersburg {
            return Err(GenesisError::PetersburgDiffers { constantinople, petersburg });
        }
        Ok(())
    }

    /// The forks that start some time, by geth's key, in their order: height or time.
    pub fn scheduled_forks(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.schedule().into_iter().filter_map(|(name, point, _)| Some((name, point.value()?)))
    }

    fn schedule(&self) -> [(&'static str, Point, bool); 14] {
        let forks = &self.forks;
        [
            ("homesteadBlock", Point::Block(forks.homestead), false),
            ("eip150Block", Point::Block(forks.eip150), false),
            ("eip155Block", Point::Block(forks.eip155), false),
            ("eip158Block", Point::Block(forks.eip158), false),
            ("byzantiumBlock", Point::Block(forks.byzantium), false),
            ("constantinopleBlock", Point::Block(forks.constantinople), false),
            ("petersburgBlock", Point::Block(forks.petersburg), false),
            ("istanbulBlock", Point::Block(forks.istanbul), false),
            ("berlinBlock", Point::Block(forks.berlin), false),
            ("londonBlock", Point::Block(forks.london), false),
            ("shanghaiTime", Point::Time(forks.shanghai_time), false),
            ("cancunTime", Point::Time(forks.cancun_time), true),
            ("pragueTime", Point::Time(forks.prague_time), true),
            ("osakaTime", Point::Time(forks.osaka_time), true),
        ]
    }
}

/// Where a fork stands: at a height or at a time.
#[derive(Debug, Clone, Copy)]
enum Point {
    Block(Option<u64>),
    Time(Option<u64>),
}

impl Point {
    const fn value(self) -> Option<u64> {
        match self {
            Self::Block(value) | Self::Time(value) => value,
        }
    }

    const fn is_set(self) -> bool {
        self.value().is_some()
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Block(_) => "block",
            Self::Time(_) => "timestamp",
        }
    }
}

/// One step of geth's `CheckConfigForkOrder`.
fn validate_follows(
    last_name: &str,
    last: Point,
    name: &str,
    point: Point,
) -> Result<(), GenesisError> {
    let Some(at) = point.value() else { return Ok(()) };
    let unit = point.unit();
    let Some(last_at) = last.value() else {
        let text = format!("{last_name} not enabled, but {name} enabled at {unit} {at}");
        return Err(GenesisError::ForkOrder { text });
    };
    let is_same_unit = last.unit() == unit;
    if is_same_unit && last_at > at {
        let text =
            format!("{last_name} enabled at {unit} {last_at}, but {name} enabled at {unit} {at}");
        return Err(GenesisError::ForkOrder { text });
    }
    Ok(())
}

fn is_active(fork: Option<u64>, at: u64) -> bool {
    fork.is_some_and(|fork| fork <= at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_start_at_their_height_or_time() {
        let spec = ChainSpec {
            chain_id: 1,
            forks: Forks {
                homestead: Some(1),
                eip150: Some(2),
                eip155: Some(3),
                eip158: Some(4),
                byzantium: Some(5),
                constantinople: Some(6),
                petersburg: Some(6),
                istanbul: Some(7),
                berlin: Some(8),
                london: Some(9),
                shanghai_time: Some(0),
                cancun_time: Some(100),
                prague_time: Some(200),
                osaka_time: Some(300),
            },
            clique: None,
            terminal_total_difficulty: None,
            has_msnet_section: false,
            finality: false,
            zero_base_fee: false,
        };
        spec.validate_fork_order().unwrap();
        let by_height = [
            SpecId::FRONTIER,
            SpecId::HOMESTEAD,
            SpecId::TANGERINE,
            SpecId::TANGERINE,
            SpecId::SPURIOUS_DRAGON,
            SpecId::BYZANTIUM,
            SpecId::PETERSBURG,
            SpecId::ISTANBUL,
            SpecId::BERLIN,
        ];
        for (number, want) in (0..).zip(by_height) {
            // no time fork before London, however late it is
            assert_eq!(spec.spec_id(number, 1_000), want);
        }
        for (timestamp, want) in [
            (0, SpecId::SHANGHAI),
            (99, SpecId::SHANGHAI),
            (100, SpecId::CANCUN),
            (200, SpecId::PRAGUE),
            (300, SpecId::OSAKA),
            (u64::MAX, SpecId::OSAKA),
        ] {
            assert_eq!(spec.spec_id(9, timestamp), want);
        }
        assert!(spec.has_forks_after_london());
    }
}
