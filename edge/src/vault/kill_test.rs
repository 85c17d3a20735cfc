//! kill -9 at random moments while a store is written, flushed, packed, given new keys and erased from, again and again on
//! one folder. The test starts itself as the victim.
//!
//! `MSNET_KILLS=1000` for the long run, `MSNET_SEED` to repeat one.
use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::Duration,
};

use super::{
    check::Depth,
    vault_test::{MARKER, files_with, folder, item, record},
    *,
};
use crate::keys::Keys;

const KILLS: u64 = 12;
const RECORDS: usize = 5;
const FOLDER: &str = "MSNET_KILL_FOLDER";
const FROM: &str = "MSNET_KILL_FROM";

/// The item of a number: five records of one of seven patients.
fn numbered(number: u64) -> crate::model::Standardized {
    let patient = format!("p{}", number % 7);
    let records = (0..RECORDS).map(|n| {
        record(
            "Observation",
            &format!("{number}-{n}"),
            Some(&patient),
            "v",
            &[("Patient", &patient)],
        )
    });
    item(&format!("number {number}"), records.collect())
}

/// Not a test of its own: what the killed process does. Without its folder it does nothing.
#[test]
fn the_victim() {
    let Ok(dir) = std::env::var(FOLDER) else { return };
    let from: u64 = std::env::var(FROM).expect("with the folder").parse().expect("a number");
    let keys = Keys::open(Path::new(&dir)).expect("keys");
    let vault = Vault::open(Path::new(&dir), keys.store_keys()).expect("opens");
    let mut out = std::io::stdout();
    for number in from.. {
        let accepted = vault.accept(&numbered(number)).expect("accepted");
        writeln!(out, "\nstored {number} {}", accepted.records.len()).expect("a pipe");
        out.flush().expect("a pipe");
        match number % 19 {
            3 | 9 | 15 => vault.flush().expect("flushed"),
            7 => assert!(vault.rotate_patient_keys(|_, _| ()).is_ok()),
            13 => assert!(vault.compact(|_, _| ()).is_ok()),
            _ => {}
        }
    }
}

#[test]
fn a_killed_store_keeps_what_it_acknowledged_and_nothing_by_halves() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect(name));
    let kills = number("MSNET_KILLS").unwrap_or(KILLS);
    let mut seed: u64 = number("MSNET_SEED").unwrap_or(20_261_122);
    eprintln!("{kills} kills, MSNET_SEED={seed}");
    let (dir, keys) = folder();
    let (mut next, mut erased) = (0_u64, 0);
    for round in 0..kills {
        let mut victim = Command::new(std::env::current_exe().expect("this test"))
            .args(["vault::kill_test::the_victim", "--exact", "--nocapture"])
            .env(FOLDER, dir.path())
            .env(FROM, next.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let delay = Duration::from_millis(20 + (seed >> 33) % 400);
        let mut stored = None;
        let lines = BufReader::new(victim.stdout.take().expect("piped")).lines();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(delay);
                victim.kill().expect("our own child");
            });
            for line in lines.map_while(Result::ok) {
                let number = line.strip_prefix("stored ").and_then(|rest| rest.split(' ').next());
                stored = number.and_then(|number| number.parse().ok()).or(stored);
            }
        });
        victim.wait().expect("our own child");

        let vault = Vault::open(dir.path(), keys.store_keys()).expect("opens after a kill");
        let acknowledged = stored.map_or(next, |stored: u64| stored + 1);
        for number in next..acknowledged {
            let answer = vault.accept(&numbered(number)).expect("answered");
            assert!(answer.repeated, "round {round}: item {number} was acknowledged and is gone");
            assert_eq!(answer.records.len(), RECORDS);
        }
        // The one under way is there as a whole or not at all.
        let metas = vault.iter_metas().expect("read");
        assert_eq!(metas.len() % RECORDS, 0, "round {round}");
        let items = metas.len() as u64 / RECORDS as u64;
        assert!(
            items + erased >= acknowledged && items + erased <= acknowledged + 1,
            "round {round}"
        );
        let checked = vault.check(Depth::Full, true).expect("checked");
        let damage: Vec<_> = checked.findings.iter().filter(|f| f.starts_with("damage")).collect();
        assert!(damage.is_empty(), "round {round}: {damage:?}");
        // Whether the item under way was kept or not, it is stored now.
        next = acknowledged + 1;
        vault.accept(&numbered(acknowledged)).expect("stored");
        if round % 4 == 3 {
            let patient = vault.iter_metas().expect("read").last().expect("something").patient_no;
            let gone = vault.erase_patient(patient).expect("erased").handles.len() / RECORDS;
            erased += gone as u64;
        }
        assert_eq!(files_with(dir.path(), MARKER.as_bytes()), Vec::<PathBuf>::new());
    }
    eprintln!("{next} items, {erased} of them erased");
}
