//! The stores of an edge, measured: what ingest costs, what a record takes, how long a read takes.
//!
//! Data: the FHIR files (`.json`, `.ndjson`) of the folder that `MSNET_SAMPLES` names, else the demo's, multiplied with fresh
//! ids; `MSNET_COPIES` says how often. Texts repeat from copy to copy, which flatters whatever finds repetition, here and in
//! the baselines alike.
#![expect(clippy::print_stdout, reason = "a report")]
use std::time::{Duration, Instant};

use edge::{
    ingest,
    intake::Intake,
    keys::Keys,
    model::{Standardized, ids},
    standardize::{Tables, standardize},
};

const SOURCE: &str = "urn:bench";
/// Items that share one fsync.
const BATCH: usize = 16;
const READS: usize = 4_000;

fn main() {
    if std::env::args().any(|arg| arg == "--test") {
        return; // `cargo test --benches` only asks whether it builds
    }
    let copies = std::env::var("MSNET_COPIES").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let samples = std::env::var("MSNET_SAMPLES");
    let samples =
        samples.unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/data/demo/hospital-a").into());
    let mut files: Vec<_> = std::fs::read_dir(samples)
        .expect("samples")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|end| end == "json" || end == "ndjson"))
        .collect();
    files.sort();
    let files: Vec<String> =
        files.iter().map(|path| std::fs::read_to_string(path).expect("text")).collect();
    let dir = tempfile::tempdir().expect("a folder");
    let keys = Keys::create(dir.path(), None).expect("keys");
    let intake = Intake::open(dir.path(), &keys).expect("opens");
    let tables = Tables::shipped();

    let (mut mapping, mut storing, mut records, mut bytes) = (Duration::ZERO, Duration::ZERO, 0, 0);
    let cpu = cpu_seconds();
    let mut batch: Vec<Standardized> = Vec::new();
    let mut store = |batch: &mut Vec<Standardized>, records: &mut usize| {
        let started = Instant::now();
        for accepted in intake.accept_all(std::mem::take(batch)).expect("stored") {
            *records += accepted.expect("accepted").records.len();
        }
        storing += started.elapsed();
    };
    for copy in 0..copies {
        for file in &files {
            let text = with_fresh_ids(file, copy);
            bytes += text.len();
            let started = Instant::now();
            for item in ingest::read(SOURCE, None, text.as_bytes()).expect("reads") {
                batch.push(standardize(&item, &tables).expect("standardizes"));
            }
            mapping += started.elapsed();
            if batch.len() >= BATCH {
                store(&mut batch, &mut records);
            }
        }
    }
    store(&mut batch, &mut records);
    let started = Instant::now();
    intake.vault().flush().expect("flushed");
    intake.index().commit().expect("committed");
    storing += started.elapsed();
    let cpu = cpu_seconds() - cpu;
    let per = |time: Duration| time.as_secs_f64() * 1e6 / as_f64(records);
    println!("{records} records, {bytes} bytes of JSON, {copies} copies");
    println!("read, mapped, keywords      {:>9.1} us a record, wall, one thread", per(mapping));
    println!("sealed, durable, indexed    {:>9.1} us a record, wall, one thread", per(storing));
    println!("CPU of all of it            {:>9.1} us a record", cpu * 1e6 / as_f64(records));
    println!("one after the other         {:>9.0} records/s", 1e6 / per(mapping + storing));

    for packed in [false, true] {
        if packed {
            let started = Instant::now();
            let done = intake.vault().compact(|_, _| ()).expect("packed");
            println!(
                "packed at leisure: segments {} -> {} bytes, {:.1} s",
                done.before,
                done.after,
                started.elapsed().as_secs_f64()
            );
        }
        reads(&intake);
        let sizes = intake.vault().sizes().expect("measured");
        let each = |bytes: u64| {
            f64::from(u32::try_from(bytes / 16).expect("below 64 GiB")) * 16.0 / as_f64(records)
        };
        println!(
            "bytes a record: rows {:.1} (of which sealing {:.1}), ids {:.1}, catalogue {:.1}, trees {:.1}, keys {:.1}; all in {:.1}; originals {:.1}",
            each(sizes.rows),
            each(sizes.sealing),
            each(sizes.ids),
            each(sizes.catalogue),
            each(sizes.catalogue_around),
            each(sizes.key_log),
            each(sizes.all_in()),
            each(sizes.originals)
        );
    }
    let index: u64 = std::fs::read_dir(dir.path().join("index"))
        .expect("there")
        .map(|entry| entry.and_then(|e| e.metadata()).map_or(0, |meta| meta.len()))
        .sum();
    println!(
        "index {:.1} bytes a record",
        f64::from(u32::try_from(index).expect("below 4 GiB")) / as_f64(records)
    );
    for line in intake.vault().savings().expect("measured").to_lines() {
        println!("{line}");
    }
}

/// Reads records at random.
fn reads(intake: &Intake) {
    let metas = intake.vault().iter_metas().expect("read");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut times: Vec<Duration> = (0..READS)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(state >> 33).unwrap_or(0) % metas.len();
            let started = Instant::now();
            intake.vault().get(metas[at].handle).expect("read").expect("there");
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("one record: p50 {:?}, p99 {:?}", times[READS / 2], times[READS * 99 / 100]);
}

/// The same bundle of somebody else: each UUID becomes another, the same one everywhere.
fn with_fresh_ids(text: &str, copy: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let run = from.find(|c: char| !c.is_ascii_hexdigit() && c != '-').unwrap_or(from.len());
        let (name, after) = from.split_at(run);
        if name.len() == 36 && name.bytes().filter(|byte| *byte == b'-').count() == 4 {
            out.push_str(&ids::uuid_text(&ids::stable_id(SOURCE, &copy.to_string(), name)));
        } else {
            out.push_str(name);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// CPU of this process, user and system (Linux; 0 elsewhere).
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind = text.rsplit(')').next().unwrap_or_default();
    let ticks = behind.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count.max(1)).expect("below four thousand million"))
}
