//! The fuzz targets in a normal build: their seeds from the vectors, whole, cut short, and with bytes changed, by one seed.

mod targets;

use alloy_primitives::hex;
use serde_json::Value;

/// Changed copies of each seed.
const MUTATIONS: usize = 400;

fn vector(path: &str) -> Value {
    let bytes = std::fs::read(format!("{}/test/vectors/{path}", env!("CARGO_MANIFEST_DIR")));
    serde_json::from_slice(&bytes.expect("a vector")).expect("JSON")
}

fn hexes(found: &Value, name: &str, out: &mut Vec<Vec<u8>>) {
    match found {
        Value::Object(members) => {
            for (key, value) in members {
                match value.as_str().filter(|_| key == name) {
                    Some(text) => out.extend(hex::decode(text)),
                    None => hexes(value, name, out),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| hexes(item, name, out)),
        _ => {}
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![Vec::new(), vec![0xc0], vec![1, 0xc0], vec![0xf8, 0xff]];
    hexes(&vector("clique/real_headers.json"), "header_rlp", &mut seeds);
    hexes(&vector("clique/besu_london_chain.json"), "block_rlp", &mut seeds);
    let mut transactions = Vec::new();
    hexes(&vector("ethereum-tests/TransactionTests.json"), "txbytes", &mut transactions);
    seeds.extend(transactions.into_iter().step_by(4));
    for path in ["clique/genesis/sepolia.json", "ethereum-tests/KeyStoreTests/basic_tests.json"] {
        seeds.push(serde_json::to_vec(&vector(path)).expect("JSON"));
    }
    seeds.extend(items());
    seeds
}

/// Good and bad items of each form, and a table behind its mapping.
fn items() -> Vec<Vec<u8>> {
    let file = |path: &str| {
        let bytes = std::fs::read(format!("{}/{path}", env!("CARGO_MANIFEST_DIR")));
        bytes.unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let mut out: Vec<Vec<u8>> = [
        "edge/data/demo/hospital-a/oru-r01.hl7",
        "edge/data/demo/hospital-a/follow-up.txt",
        "test/vectors/attacks/hl7v2/00-good.hl7",
        "test/vectors/attacks/hl7v2/17-bad-escape.hl7",
        "test/vectors/attacks/hl7v2/36-mllp-nested-start.bin",
        "test/vectors/attacks/fhir-json/18-narrative-script.json",
        "test/vectors/attacks/csv/12-unit-mix.csv",
    ]
    .map(file)
    .into();
    let mut framed = vec![0x0b];
    framed.extend(file("test/vectors/attacks/hl7v2/00-good.hl7"));
    framed.extend([0x1c, b'\r']);
    out.push(framed);
    let mut table = b"confirmed = true\ntable = { delimiter = \",\", encoding = \"utf-8\", decimal = \".\", \
        patient = { column = \"patient_id\", system = \"urn:x\" } }\n[[map]]\nresource = \"Patient\"\nkey = []\n\
        set.active = { const = true }\n\0"
        .to_vec();
    table.extend(file("test/vectors/attacks/csv/11-leading-zero-id.csv"));
    out.push(table);
    out
}

/// xorshift64*: the same numbers in each run.
fn draw(state: &mut u64) -> usize {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    usize::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap_or(0)
}

fn mutate(seed: &[u8], state: &mut u64) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=draw(state) % 3 {
        let at = draw(state) % (bytes.len() + 1);
        let byte = u8::try_from(draw(state) % 256).unwrap_or(0);
        match draw(state) % 4 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, byte),
            _ if at < bytes.len() => bytes[at] = byte,
            _ => {}
        }
    }
    bytes
}

#[test]
fn no_input_panics_and_what_decodes_encodes_again() {
    let mut state = 0x6d73_6e65_7400_0001;
    let seeds = seeds();
    assert!(seeds.len() > 30, "the vectors are read");
    for seed in &seeds {
        // a long seed costs more and shows as much
        let count = if seed.len() > 4_096 { MUTATIONS / 20 } else { MUTATIONS };
        for bytes in
            std::iter::once(seed.clone()).chain((0..count).map(|_| mutate(seed, &mut state)))
        {
            for (_, run) in targets::TARGETS {
                run(&bytes);
            }
        }
    }
}
