//! A run: nodes, their network and virtual time, driven by one queue of events.
//!
//! ```text
//!   storm (splits, losses, crashes, wrong clocks, votes) → heal → growth? → quiet: all equal? → storm …
//! ```

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap},
};

use super::{
    network::Network,
    node::{Around, Clock, Message, Node, Trouble},
    oracle::Oracle,
    plan::{Plan, START_SECS},
    random::Random,
    referee::Referee,
    trace::{Trace, What},
};
use crate::{
    blockchain::{Blockchain, Storage},
    genesis::Genesis,
};

/// A node looks at its clock so often.
const TICK_MS: u64 = 250;
/// A node tells its head so often.
const TELL_MS: u64 = 2_000;
/// After a heal: time for clocks to be right again (a header may be 10 s ahead) and for what was missed to arrive.
const SETTLE_MS: u64 = 14_000;
/// With nobody sealing, until all know the same.
const QUIET_MS: u64 = 16_000;
/// Storms of one run at most.
const MAX_STORMS: usize = 24;
/// Events of one run at most; more is a run that does not end.
const MAX_EVENTS: u64 = 4_000_000;

/// What a run shows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) blocks: u64,
    pub(super) storms: usize,
    pub(super) events: u64,
}

#[derive(Debug)]
enum Event {
    Tick(usize),
    Tell(usize),
    Deliver { from: usize, to: usize, message: Message },
    Fault(Fault),
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Split(u64),
    Join,
    Cut {
        from: usize,
        to: usize,
        until_ms: u64,
    },
    Pause(usize),
    Resume(usize),
    Crash(usize),
    /// The power goes with the n-th call of the disk.
    FailSoon {
        node: usize,
        calls: u64,
    },
    Restart(usize),
    Clock {
        node: usize,
        clock: Clock,
    },
    Propose {
        node: usize,
        about: usize,
        authorize: bool,
    },
}

#[derive(Debug)]
pub(super) struct World {
    plan: Plan,
    genesis: Genesis,
    random: Random,
    now_ms: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: HashMap<u64, Event>,
    event_count: u64,
    nodes: Vec<Node>,
    network: Network,
    is_sealing: bool,
    referee: Referee,
    pub(super) trace: Trace,
}

impl World {
    pub(super) fn new(plan: Plan) -> Result<Self, String> {
        let genesis = plan.genesis();
        let mut random = Random::new(plan.seed);
        let mut nodes = Vec::new();
        for (index, key) in plan.keys().into_iter().enumerate() {
            nodes.push(Node::new(index, key, random.next()));
        }
        let oracle = Oracle::new(plan.period_secs, plan.epoch, &genesis.header);
        let mut world = Self {
            random,
            now_ms: START_SECS * 1_000,
            queue: BinaryHeap::new(),
            events: HashMap::new(),
            event_count: 0,
            nodes,
            network: Network::new(&plan),
            is_sealing: true,
            referee: Referee::new(oracle),
            trace: Trace::default(),
            genesis,
            plan,
        };
        for node in 0..world.nodes.len() {
            world.nodes[node].start(&world.genesis, world.now_ms, &mut world.referee)?;
            let (tick, tell) = (world.random.between(0, TICK_MS), world.random.between(0, TELL_MS));
            world.schedule(world.now_ms + tick, Event::Tick(node));
            world.schedule(world.now_ms + tell, Event::Tell(node));
        }
        Ok(world)
    }

    /// Runs until the chain is long enough.
    pub(super) fn run(&mut self) -> Result<Report, String> {
        let mut storms = 0;
        while self.best().number < self.plan.blocks && storms < MAX_STORMS {
            storms += 1;
            self.storm()?;
            self.heal(self.plan.is_edge)?;
        }
        self.heal(false)?;
        self.check_order()?;
        Ok(Report { blocks: self.best().number, storms, events: self.event_count })
    }

    /// Since the start of the run, ms.
    pub(super) const fn elapsed_ms(&self) -> u64 {
        self.now_ms - START_SECS * 1_000
    }

    fn storm(&mut self) -> Result<(), String> {
        self.network.storm();
        for node in &mut self.nodes {
            node.is_online = true;
        }
        let length_ms = self.plan.period_ms() * self.random.between(10, 40);
        let end_ms = self.now_ms + length_ms;
        self.plan_splits(end_ms);
        self.plan_cuts(end_ms);
        self.plan_pauses(end_ms);
        self.plan_crashes(end_ms);
        self.plan_clocks();
        if !self.plan.is_edge {
            self.plan_votes(end_ms);
        }
        self.advance(end_ms)
    }

    /// Partitions stand three tenths of the time.
    fn plan_splits(&mut self, end_ms: u64) {
        let mut at = self.now_ms;
        while at < end_ms {
            let unit_ms = self.random.between(500, 3 * self.plan.period_ms());
            let halves = self.random.next() & ((1 << self.nodes.len()) - 1);
            self.schedule(at + 7 * unit_ms, Event::Fault(Fault::Split(halves)));
            self.schedule(at + 10 * unit_ms, Event::Fault(Fault::Join));
            at += 10 * unit_ms;
        }
    }

    /// Single directions die; sometimes those of a random set close one by one and open in another order.
    fn plan_cuts(&mut self, end_ms: u64) {
        let count = if self.random.chance(30) { self.nodes.len() * 2 } else { 1 };
        for _ in 0..count {
            let (from, to) =
                (self.random.index(self.nodes.len()), self.random.index(self.nodes.len()));
            let at = self.random.between(self.now_ms, end_ms);
            let until_ms = at + self.random.between(1_000, 10 * self.plan.period_ms());
            self.schedule(at, Event::Fault(Fault::Cut { from, to, until_ms }));
        }
    }

    fn plan_pauses(&mut self, end_ms: u64) {
        for node in 0..self.nodes.len() {
            if self.random.chance(30) {
                let at = self.random.between(self.now_ms, end_ms);
                let until = at + self.random.between(1_000, 15_000);
                self.schedule(at, Event::Fault(Fault::Pause(node)));
                self.schedule(until, Event::Fault(Fault::Resume(node)));
            }
        }
    }

    fn plan_crashes(&mut self, end_ms: u64) {
        for node in 0..self.nodes.len() {
            let at = self.random.between(self.now_ms, end_ms);
            let calls = self.random.between(1, 40);
            match self.random.between(0, 9) {
                0 | 1 => self.schedule(at, Event::Fault(Fault::Crash(node))),
                2 | 3 => self.schedule(at, Event::Fault(Fault::FailSoon { node, calls })),
                _ => {}
            }
        }
    }

    fn plan_clocks(&mut self) {
        for node in 0..self.nodes.len() {
            if self.random.chance(50) {
                let clock = Clock {
                    offset_ms: self.random.either_way(self.plan.skew_ms),
                    drift_ppm: self.random.either_way(500),
                    since_ms: self.now_ms,
                };
                self.schedule(self.now_ms, Event::Fault(Fault::Clock { node, clock }));
            }
        }
    }

    fn plan_votes(&mut self, end_ms: u64) {
        for _ in 0..self.random.between(0, 4) {
            let about = self.random.index(self.nodes.len());
            let authorize = self.random.chance(60);
            let at = self.random.between(self.now_ms, end_ms);
            for node in 0..self.nodes.len() {
                if self.random.chance(50) {
                    let fault = Fault::Propose { node, about, authorize };
                    self.schedule(at, Event::Fault(fault));
                }
            }
        }
    }

    /// Everything works again; with `is_edge` for just as many signers as are needed. The chain must grow, twice, and
    /// once nobody seals all must agree.
    fn heal(&mut self, is_edge: bool) -> Result<(), String> {
        self.network.heal();
        self.events.retain(|_, event| !matches!(event, Event::Fault(_)));
        let online = self.online_after_heal(is_edge);
        for (index, node) in self.nodes.iter_mut().enumerate() {
            node.is_online = online.contains(&index);
            node.stay_up();
            let offset_ms = self.random.either_way(50);
            node.clock = Clock { offset_ms, drift_ppm: 0, since_ms: self.now_ms };
        }
        for index in 0..self.nodes.len() {
            self.restart(index)?;
        }
        let mask = online.iter().fold(0, |mask, index| mask | 1 << index);
        self.note(None, What::Heal(mask));
        let ahead_ms = self.latest_header_ms().max(self.now_ms);
        let round_ms = 3 * self.plan.signers as u64 * self.plan.period_ms();
        self.expect_growth(ahead_ms + SETTLE_MS + round_ms)?;
        self.expect_growth(self.now_ms + round_ms)?;
        self.is_sealing = false;
        self.note(None, What::Quiet);
        self.advance(self.now_ms + QUIET_MS)?;
        self.is_sealing = true;
        self.check_agreement()
    }

    fn online_after_heal(&mut self, is_edge: bool) -> BTreeSet<usize> {
        let mut all: Vec<usize> = (0..self.nodes.len()).collect();
        if is_edge {
            self.random.shuffle(&mut all);
            all.truncate(self.plan.signers / 2 + 1);
        }
        all.into_iter().collect()
    }

    fn online(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.is_online && node.is_running())
    }

    fn latest_header_ms(&self) -> u64 {
        let time = |node: &Node| {
            self.referee.block(node.head().hash).map_or(0, |block| block.header().timestamp)
        };
        self.online().map(time).max().unwrap_or(0) * 1_000
    }

    fn best(&self) -> super::trace::Named {
        let heads = self.online().map(Node::head);
        heads.max_by_key(|head| head.total_difficulty).expect("somebody is online")
    }

    fn expect_growth(&mut self, until_ms: u64) -> Result<(), String> {
        let (from_ms, before) = (self.elapsed_ms(), self.best());
        self.advance(until_ms)?;
        let after = self.best();
        if after.total_difficulty > before.total_difficulty {
            return Ok(());
        }
        let heads: Vec<String> =
            self.online().map(|node| format!("\n    {}: {}", node.signer, node.head())).collect();
        Err(format!(
            "the chain stands still since {from_ms} ms although enough signers are online; their heads:{}",
            heads.concat()
        ))
    }

    fn check_agreement(&self) -> Result<(), String> {
        let mut online = self.online();
        let first = online.next().expect("somebody is online");
        for node in online {
            if node.head() != first.head() {
                return Err(format!(
                    "nodes that know the same stand on different heads: {} and {}",
                    first.head(),
                    node.head()
                ));
            }
            if accounts(node)? != accounts(first)? {
                return Err(format!("nodes on {} have different states", first.head()));
            }
        }
        Ok(())
    }

    /// A new node that gets all blocks in another order comes to the same head.
    fn check_order(&mut self) -> Result<(), String> {
        let told = |error| format!("a new node cannot take all blocks: {error}");
        let mut chain = Blockchain::open(&self.genesis, Storage::Memory).map_err(told)?;
        let later_ms = self.now_ms + QUIET_MS;
        let mut waiting: Vec<_> = self.referee.blocks().cloned().collect();
        self.random.shuffle(&mut waiting);
        let mut known = BTreeSet::from([self.genesis.hash()]);
        while !waiting.is_empty() {
            let count = waiting.len();
            let mut later = Vec::new();
            for block in waiting {
                if known.contains(&block.header().parent_hash) {
                    known.insert(block.hash());
                    chain.import((*block).clone(), later_ms).map_err(told)?;
                } else {
                    later.push(block);
                }
            }
            if later.len() == count {
                return Err("a block was accepted whose parent nobody has".to_owned());
            }
            waiting = later;
        }
        let (have, want) = (chain.reader().head(), self.best());
        if have.hash() != want.hash {
            return Err(format!(
                "the order of arrival decides: a new node with all blocks stands on block {} {} of total \
                 difficulty {}, the others on {want}",
                have.number(),
                have.hash(),
                have.total_difficulty
            ));
        }
        Ok(())
    }

    fn schedule(&mut self, at_ms: u64, event: Event) {
        self.event_count += 1;
        self.queue.push(Reverse((at_ms, self.event_count)));
        self.events.insert(self.event_count, event);
    }

    fn note(&mut self, node: Option<usize>, what: What) {
        self.trace.note(self.elapsed_ms(), node, what);
    }

    fn advance(&mut self, until_ms: u64) -> Result<(), String> {
        while let Some(&Reverse((at_ms, number))) = self.queue.peek() {
            if at_ms > until_ms {
                break;
            }
            self.queue.pop();
            self.now_ms = at_ms;
            if self.event_count > MAX_EVENTS {
                return Err(format!("more than {MAX_EVENTS} events"));
            }
            if let Some(event) = self.events.remove(&number) {
                self.play(event)?;
            }
        }
        self.now_ms = until_ms;
        Ok(())
    }

    fn play(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Tick(node) => {
                self.schedule(self.now_ms + TICK_MS, Event::Tick(node));
                let is_sealing = self.is_sealing;
                self.act(node, |node, around| node.tick(is_sealing, around))
            }
            Event::Tell(node) => {
                self.schedule(self.now_ms + TELL_MS, Event::Tell(node));
                self.act(node, |node, around| {
                    node.tell_head(around);
                    Ok(())
                })
            }
            Event::Deliver { from, to, message } => {
                self.act(to, |node, around| node.receive(from, message, around))
            }
            Event::Fault(fault) => self.strike(fault),
        }
    }

    /// Lets a node act, if it is online, and sends what it says.
    fn act(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut Node, &mut Around<'_>) -> Result<(), Trouble>,
    ) -> Result<(), String> {
        if !self.nodes[index].is_online || !self.nodes[index].is_running() {
            return Ok(());
        }
        let mut around = Around {
            now_ms: self.now_ms,
            plan: &self.plan,
            random: &mut self.random,
            trace: &mut self.trace,
            referee: &mut self.referee,
            out: Vec::new(),
        };
        let outcome = act(&mut self.nodes[index], &mut around);
        let out = around.out;
        match outcome {
            Ok(()) => {}
            Err(Trouble::Ledger(_)) if self.nodes[index].has_failed() => self.crash(index),
            Err(Trouble::Ledger(error)) => return Err(format!("node {index}: {error}")),
            Err(Trouble::Broken(text)) => return Err(text),
        }
        for (to, message) in out {
            match to {
                Some(to) => self.send(index, to, message),
                None => {
                    for to in (0..self.nodes.len()).filter(|&to| to != index) {
                        self.send(index, to, message.clone());
                    }
                }
            }
        }
        Ok(())
    }

    /// The power of a node goes, and comes back some seconds later.
    fn crash(&mut self, index: usize) {
        if self.nodes[index].is_running() {
            let seed = self.random.next();
            self.nodes[index].lose_power(seed);
            self.note(Some(index), What::Crash);
            let at_ms = self.now_ms + self.random.between(500, 20_000);
            self.schedule(at_ms, Event::Fault(Fault::Restart(index)));
        }
    }

    fn restart(&mut self, index: usize) -> Result<(), String> {
        if self.nodes[index].is_running() {
            return Ok(());
        }
        if self.random.chance(10) {
            self.nodes[index].lose_journal()?;
            self.note(Some(index), What::JournalLost);
        }
        let node = &mut self.nodes[index];
        node.start(&self.genesis, self.now_ms, &mut self.referee)?;
        let head = node.head();
        self.note(Some(index), What::Restart(head));
        Ok(())
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        for at_ms in self.network.arrivals((from, to), self.now_ms, &mut self.random) {
            self.schedule(at_ms, Event::Deliver { from, to, message: message.clone() });
        }
    }

    fn strike(&mut self, fault: Fault) -> Result<(), String> {
        match fault {
            Fault::Crash(node) => self.crash(node),
            Fault::FailSoon { node, calls } => {
                self.nodes[node].fail_soon(calls);
                self.note(Some(node), What::FailSoon(calls));
            }
            Fault::Restart(node) => self.restart(node)?,
            Fault::Split(halves) => {
                self.network.split(halves);
                self.note(None, What::Split(halves));
            }
            Fault::Join => {
                self.network.split(0);
                self.note(None, What::Join);
            }
            Fault::Cut { from, to, until_ms } => {
                self.network.cut(from, to, until_ms);
                self.note(Some(from), What::Cut { to });
            }
            Fault::Pause(node) => {
                self.nodes[node].is_online = false;
                self.note(Some(node), What::Pause);
            }
            Fault::Resume(node) => {
                self.nodes[node].is_online = true;
                self.note(Some(node), What::Resume);
            }
            Fault::Clock { node, clock } => {
                self.nodes[node].clock = clock;
                self.note(Some(node), What::Clock { offset_ms: clock.offset_ms });
            }
            Fault::Propose { node, about, authorize } => {
                let address = self.nodes[about].signer;
                if !self.nodes[node].is_running() {
                    return Ok(());
                }
                let is_safe = authorize
                    || self.referee.oracle.signers(self.nodes[node].head().hash).len() > 3;
                if is_safe {
                    self.nodes[node].proposals.insert(address, authorize);
                    self.note(Some(node), What::Propose { address, authorize });
                }
            }
        }
        Ok(())
    }
}

fn accounts(node: &Node) -> Result<Vec<(u64, alloy_primitives::U256)>, String> {
    node.accounts().map_err(|trouble| format!("a state cannot be read: {trouble:?}"))
}
