//! C1 of design/security.md: kill -9 at random moments while the node seals, again and again on one folder.
//!
//! `MSNET_KILLS=1000` for the long run, `MSNET_SEED` to repeat one.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use chain::{
    clique::seal::seal_hash,
    store::schema::{BlockFrame, SealFrame, decode, kind},
};
use serde_json::json;

use super::Client;
use crate::harness::{Running, free_port, quantity, signal, text};

const KILLS: u64 = 50;
/// A restart answers within this time, design/chain.md section 8.
const RESTART: Duration = Duration::from_secs(5);

#[test]
fn a_killed_node_loses_nothing_it_announced_and_seals_once_a_parent() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect(name));
    let kills = number("MSNET_KILLS").unwrap_or(KILLS);
    let mut seed = number("MSNET_SEED").unwrap_or(20_260_801);
    eprintln!("{kills} kills, MSNET_SEED={seed}");
    let folder = tempfile::tempdir().expect("a folder");
    let datadir = text(folder.path());
    // The last head that the node told anybody: number and hash.
    let mut announced: Option<(u64, String)> = None;
    let (mut longest, mut first_head, mut grown) = (Duration::ZERO, 0, 0);
    for round in 0..=kills {
        let port = free_port().to_string();
        let since = Instant::now();
        let mut node = Running::start(&[
            "node",
            "--dev",
            "--dev.period",
            "0",
            "--http.port",
            &port,
            "--datadir",
            datadir,
            "--datadir.minfreedisk",
            "0",
        ]);
        let client = Client::new(&port);
        longest = longest.max(client.wait(since));
        assert!(longest < RESTART, "round {round}: the restart took {longest:?}");
        let head = latest(&client).expect("it has just answered");
        if let Some((number, hash)) = &announced {
            assert!(
                head.0 >= *number,
                "round {round}: block {number} was announced, head {}",
                head.0
            );
            let params = json!([format!("{number:#x}"), false]);
            let block = client.result("eth_getBlockByNumber", &params).expect("it runs");
            assert_eq!(block["hash"], json!(hash), "round {round}: another block {number}");
        }
        grown += u64::from(head.0 > first_head);
        first_head = head.0;
        announced = Some(head);
        if round == kills {
            break;
        }
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let delay = Duration::from_millis(10 + (seed >> 33) % 491);
        let pid = node.id();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(delay);
                signal(pid, "-KILL");
            });
            while client.send_one_wei().is_some() {
                let Some(head) = latest(&client) else { break };
                announced = Some(head);
            }
        });
        node.kill();
    }
    let (blocks, seals) = check_seals(&folder.path().join("msnet"));
    eprintln!(
        "{kills} kills, head {first_head}, {grown} lives sealed blocks, longest restart {longest:?}, \
         {blocks} blocks in the log, {seals} seals in the journal"
    );
    assert!(grown * 2 > kills, "most lives sealed something");
}

fn latest(client: &Client) -> Option<(u64, String)> {
    let block = client.result("eth_getBlockByNumber", &json!(["latest", false]))?;
    Some((quantity(&block["number"]), block["hash"].as_str()?.to_owned()))
}

/// No parent has two blocks of ours, in the log and the journal together. Returns how many each of them names.
fn check_seals(folder: &Path) -> (usize, usize) {
    let mut sealed: HashMap<B256, B256> = HashMap::new();
    let mut check = |parent: B256, seal: B256| {
        let earlier = sealed.insert(parent, seal);
        assert!(earlier.is_none_or(|earlier| earlier == seal), "two seals on {parent}");
    };
    let (mut blocks, mut seals) = (0, 0);
    for payload in frames(&folder.join("blocks/000000.log")) {
        if let Some((&kind::BLOCK, bytes)) = payload.split_first() {
            let frame: BlockFrame = decode("block frame", bytes).expect("a whole frame");
            check(frame.block.header.parent_hash, seal_hash(&frame.block.header));
            blocks += 1;
        }
    }
    for payload in frames(&folder.join("signer.journal")) {
        let (kind, bytes) = payload.split_first().expect("a frame has a kind");
        assert_eq!(*kind, kind::SEAL);
        let frame: SealFrame = decode("seal frame", bytes).expect("a whole frame");
        check(frame.parent_hash, frame.seal_hash);
        seals += 1;
    }
    (blocks, seals)
}

/// The payloads of a file of frames: after 16 bytes, length u32 LE, checksum u32 LE, payload.
fn frames(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut rest, mut payloads) = (&bytes[16..], Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        payloads.push(after[4..4 + length].to_vec());
        rest = &after[4 + length..];
    }
    payloads
}
