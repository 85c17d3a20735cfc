//! The networks of public test chains by name: `Frontier` … `Osaka`, `BPO1` …, and `…To…At…` between two of them.

use alloy_eips::eip7840::BlobParams;
use alloy_primitives::U256;

use super::ReplayRules;
use crate::spec::{ChainSpec, Forks};

/// Where a fork starts.
#[derive(Debug, Clone, Copy)]
enum Start {
    Block(u64),
    Time(u64),
    Difficulty(U256),
}

/// Forks in their order, with the names that suites use; `BPO` forks follow.
const ORDER: [&[&str]; 18] = [
    &["Frontier"],
    &["Homestead"],
    &["EIP150", "TangerineWhistle"],
    &["EIP158", "SpuriousDragon"],
    &["Byzantium"],
    &["Constantinople"],
    &["ConstantinopleFix", "Petersburg"],
    &["Istanbul"],
    &["MuirGlacier"],
    &["Berlin"],
    &["London"],
    &["ArrowGlacier"],
    &["GrayGlacier"],
    &["Paris", "Merge"],
    &["Shanghai"],
    &["Cancun"],
    &["Prague"],
    &["Osaka"],
];
const PARIS: usize = 13;
const SHANGHAI: usize = 14;
const CANCUN: usize = 15;
const PRAGUE: usize = 16;
const OSAKA: usize = 17;
/// Forks of blob parameters alone (EIP-7892).
const BPO: [&str; 5] = ["BPO1", "BPO2", "BPO3", "BPO4", "BPO5"];

/// The rules of a named network; `blobs` are blob parameters by fork name that a test states for itself.
///
/// `None` for a network that is not implemented: another name, or the DAO fork.
pub fn network(
    name: &str,
    chain_id: u64,
    blobs: &[(String, BlobParams)],
) -> Option<(ChainSpec, ReplayRules)> {
    let (first, next) = match name.rsplit_once("At") {
        Some((pair, at)) => {
            let (from, to) = pair.split_once("To")?;
            (position(from)?, Some((position(to)?, start(at)?)))
        }
        None => (position(name)?, None),
    };
    let mut forks = Forks::default();
    let mut rules = ReplayRules::default();
    let last = next.map_or(first, |(to, _)| to);
    for index in 1..=last {
        let start = match next {
            Some((_, start)) if index > first => start,
            _ if index >= SHANGHAI => Start::Time(0),
            _ => Start::Block(0),
        };
        set(&mut forks, &mut rules, index, start, blobs)?;
    }
    let spec = ChainSpec {
        chain_id,
        forks,
        clique: None,
        terminal_total_difficulty: None,
        has_msnet_section: false,
        finality: false,
        zero_base_fee: false,
    };
    Some((spec, rules))
}

fn position(name: &str) -> Option<usize> {
    let found = ORDER.iter().position(|names| names.contains(&name));
    found.or_else(|| Some(ORDER.len() + BPO.iter().position(|bpo| *bpo == name)?))
}

fn start(text: &str) -> Option<Start> {
    if let Some(time) = text.strip_prefix("Time") {
        let (digits, unit) = match time.strip_suffix('k') {
            Some(digits) => (digits, 1_000),
            None => (time, 1),
        };
        return Some(Start::Time(digits.parse::<u64>().ok()?.checked_mul(unit)?));
    }
    if let Some(difficulty) = text.strip_prefix("Diff") {
        return Some(Start::Difficulty(U256::from_str_radix(difficulty, 16).ok()?));
    }
    Some(Start::Block(text.parse().ok()?))
}

/// Lets one fork start somewhere; `None` if it cannot start there: heights until the merge, times since.
fn set(
    forks: &mut Forks,
    rules: &mut ReplayRules,
    index: usize,
    start: Start,
    blobs: &[(String, BlobParams)],
) -> Option<()> {
    match (start, index) {
        (Start::Difficulty(terminal), PARIS) => rules.terminal_total_difficulty = Some(terminal),
        (Start::Block(0), PARIS) => rules.terminal_total_difficulty = Some(U256::ZERO),
        // a merge by difficulty leaves out the bombs put off between its two networks
        (Start::Difficulty(_), ..PARIS) => {}
        (Start::Block(number), ..PARIS) => set_block(forks, rules, index, number),
        (Start::Time(time), SHANGHAI..) => set_time(forks, rules, index, time, blobs)?,
        _ => return None,
    }
    Some(())
}

fn set_block(forks: &mut Forks, rules: &mut ReplayRules, index: usize, number: u64) {
    let slot = match index {
        1 => &mut forks.homestead,
        2 => &mut forks.eip150,
        3 => {
            forks.eip155 = Some(number);
            &mut forks.eip158
        }
        4 => &mut forks.byzantium,
        5 => &mut forks.constantinople,
        6 => &mut forks.petersburg,
        7 => &mut forks.istanbul,
        8 => &mut rules.muir_glacier,
        9 => &mut forks.berlin,
        10 => &mut forks.london,
        11 => &mut rules.arrow_glacier,
        12 => &mut rules.gray_glacier,
        _ => return,
    };
    *slot = Some(number);
}

fn set_time(
    forks: &mut Forks,
    rules: &mut ReplayRules,
    index: usize,
    time: u64,
    blobs: &[(String, BlobParams)],
) -> Option<()> {
    let params = match index {
        SHANGHAI => {
            forks.shanghai_time = Some(time);
            return Some(());
        }
        CANCUN => {
            forks.cancun_time = Some(time);
            BlobParams::cancun()
        }
        PRAGUE => {
            forks.prague_time = Some(time);
            BlobParams::prague()
        }
        OSAKA => {
            forks.osaka_time = Some(time);
            BlobParams::osaka()
        }
        _ => match index - ORDER.len() {
            0 => BlobParams::bpo1(),
            1 => BlobParams::bpo2(),
            _ => BlobParams::osaka(),
        },
    };
    let name = ORDER.get(index).map_or_else(|| BPO[index - ORDER.len()], |names| names[0]);
    let stated = blobs.iter().find(|(fork, _)| fork == name).map(|&(_, stated)| stated);
    // later BPO forks have no parameters of their own, a test must state them
    if index >= ORDER.len() + 2 && stated.is_none() {
        return None;
    }
    let params = stated.map_or(params, |stated| BlobParams {
        target_blob_count: stated.target_blob_count,
        max_blob_count: stated.max_blob_count,
        update_fraction: stated.update_fraction,
        // until Osaka a transaction may fill the block
        max_blobs_per_tx: if index < OSAKA {
            stated.max_blob_count
        } else {
            params.max_blobs_per_tx
        },
        ..params
    });
    rules.blob_schedule.push((time, params));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_transitions() {
        let (spec, rules) = network("Frontier", 1, &[]).unwrap();
        assert_eq!(spec.forks, Forks::default());
        assert_eq!(rules.terminal_total_difficulty, None);
        let (spec, _) = network("HomesteadToEIP150At5", 1, &[]).unwrap();
        assert_eq!((spec.forks.homestead, spec.forks.eip150), (Some(0), Some(5)));
        let (spec, _) = network("Constantinople", 1, &[]).unwrap();
        assert_eq!((spec.forks.constantinople, spec.forks.petersburg), (Some(0), None));
        let (spec, rules) = network("ArrowGlacierToParisAtDiffC0000", 1, &[]).unwrap();
        assert_eq!(rules.terminal_total_difficulty, Some(U256::from(0xc_0000)));
        assert_eq!((spec.forks.london, rules.arrow_glacier), (Some(0), Some(0)));
        let (spec, rules) = network("CancunToPragueAtTime15k", 1, &[]).unwrap();
        assert_eq!((spec.forks.cancun_time, spec.forks.prague_time), (Some(0), Some(15_000)));
        assert_eq!(rules.terminal_total_difficulty, Some(U256::ZERO));
        assert_eq!(rules.blob_params(14_999), Some(BlobParams::cancun()));
        assert_eq!(rules.blob_params(15_000), Some(BlobParams::prague()));
        let (_, rules) = network("BPO1ToBPO2AtTime15k", 1, &[]).unwrap();
        assert_eq!(rules.blob_params(0), Some(BlobParams::bpo1()));
        assert_eq!(rules.blob_params(15_000), Some(BlobParams::bpo2()));
    }

    #[test]
    fn a_test_may_state_its_own_blob_parameters() {
        let stated = BlobParams { target_blob_count: 1, max_blob_count: 2, ..BlobParams::cancun() };
        let (_, rules) = network("Prague", 1, &[("Prague".to_owned(), stated)]).unwrap();
        let found = rules.blob_params(0).unwrap();
        assert_eq!(
            (found.target_blob_count, found.max_blob_count, found.max_blobs_per_tx),
            (1, 2, 2)
        );
        assert!(network("BPO3", 1, &[]).is_none());
        let (_, rules) = network("BPO3", 1, &[("BPO3".to_owned(), stated)]).unwrap();
        assert_eq!(rules.blob_params(0).map(|found| found.max_blobs_per_tx), Some(6));
    }

    #[test]
    fn what_is_not_implemented_is_unknown() {
        for name in
            ["HomesteadToDaoAt5", "Amsterdam", "", "LondonAt", "ShanghaiToCancunAt5", "ToAt"]
        {
            assert!(network(name, 1, &[]).is_none(), "{name}");
        }
    }
}
