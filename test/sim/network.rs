//! Links between nodes: how long a message takes, or that it never arrives.

use super::{plan::Plan, random::Random};

/// Longest way of a message once the network healed.
const CALM_DELAY_MS: u64 = 250;

#[derive(Debug)]
pub(super) struct Network {
    count: usize,
    /// Direction `from · count + to` is dead until then.
    cut_until_ms: Vec<u64>,
    /// Bit i: node i is in the second half of a partition; 0 is none.
    halves: u64,
    is_calm: bool,
    loss_percent: u64,
    duplicate_percent: u64,
    delay_ms: u64,
}

impl Network {
    pub(super) fn new(plan: &Plan) -> Self {
        let count = plan.nodes();
        Self {
            count,
            cut_until_ms: vec![0; count * count],
            halves: 0,
            is_calm: false,
            loss_percent: plan.loss_percent,
            duplicate_percent: plan.duplicate_percent,
            delay_ms: plan.delay_ms,
        }
    }

    pub(super) const fn storm(&mut self) {
        self.is_calm = false;
    }

    pub(super) fn heal(&mut self) {
        self.is_calm = true;
        self.halves = 0;
        self.cut_until_ms.fill(0);
    }

    pub(super) const fn split(&mut self, halves: u64) {
        self.halves = halves;
    }

    pub(super) fn cut(&mut self, from: usize, to: usize, until_ms: u64) {
        self.cut_until_ms[from * self.count + to] = until_ms;
    }

    /// When the copies of a message arrive: none if it is lost, two if it is doubled.
    pub(super) fn arrivals(
        &self,
        (from, to): (usize, usize),
        now_ms: u64,
        random: &mut Random,
    ) -> Vec<u64> {
        if self.is_calm {
            return vec![now_ms + random.between(5, CALM_DELAY_MS)];
        }
        let is_split = (self.halves >> from & 1) != (self.halves >> to & 1);
        let is_cut = self.cut_until_ms[from * self.count + to] > now_ms;
        if is_split || is_cut || random.chance(self.loss_percent) {
            return Vec::new();
        }
        let copies = if random.chance(self.duplicate_percent) { 2 } else { 1 };
        (0..copies).map(|_| now_ms + random.between(5, self.delay_ms)).collect()
    }
}
