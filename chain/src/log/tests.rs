//! Frames come back, torn tails go, damage is named.

use std::fs;

use super::*;
use crate::disk::{Fault, OsDisk, SimDisk};

const GENESIS: B256 = B256::repeat_byte(7);

type Seen = Vec<(Position, Vec<u8>)>;

fn open(folder: &Path, from: End) -> Result<(Log, Seen), ChainError> {
    let mut seen = Vec::new();
    let mut visit = |position, payload: &[u8]| {
        seen.push((position, payload.to_vec()));
        Ok(())
    };
    let log = Log::open(&os(), folder, GENESIS, from, |_| false, &mut visit)?;
    Ok((log, seen))
}

fn os() -> Arc<dyn Disk> {
    Arc::new(OsDisk)
}

fn payloads() -> Vec<Vec<u8>> {
    vec![vec![1], vec![2; 300], vec![3; 7]]
}

#[test]
fn frames_come_back_in_order_and_by_position() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, seen) = open(folder.path(), (0, 0)).unwrap();
    assert!(seen.is_empty());
    let mut positions = log.append(&payloads()[..2]).unwrap();
    positions.extend(log.append(&payloads()[2..]).unwrap());
    for (position, payload) in positions.iter().zip(payloads()) {
        assert_eq!(log.reader().read(*position).unwrap(), payload);
    }
    let end = log.end();
    drop(log);
    let (log, seen) = open(folder.path(), (0, 0)).unwrap();
    assert_eq!(seen, positions.iter().copied().zip(payloads()).collect::<Vec<_>>());
    assert_eq!(log.end(), end);
    let (_, seen) = open(folder.path(), (0, positions[2].offset)).unwrap();
    assert_eq!(seen.len(), 1);
    let bytes = fs::read(folder.path().join("000000.log")).unwrap();
    assert_eq!(&bytes[..16], b"MSNLOG\x01\x00\x07\x07\x07\x07\x07\x07\x07\x07");
    assert_eq!(
        &bytes[16..25],
        [&1u32.to_le_bytes()[..], &crc32c::crc32c(&[1]).to_le_bytes(), &[1]].concat()
    );
}

#[test]
fn memory_gives_back_what_it_took() {
    let mut log = Log::in_memory();
    let positions = log.append(&payloads()).unwrap();
    assert_eq!(log.end(), (0, 3));
    assert_eq!(log.reader().read(positions[1]).unwrap(), payloads()[1]);
    assert!(log.reader().read(Position { offset: 9, ..positions[0] }).is_err());
}

#[test]
fn every_torn_tail_is_cut_and_the_log_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("000000.log");
    let (mut log, _) = open(folder.path(), (0, 0)).unwrap();
    let positions = log.append(&payloads()).unwrap();
    drop(log);
    let whole = fs::read(&path).unwrap();
    for size in 0..whole.len() {
        fs::write(&path, &whole[..size]).unwrap();
        let (mut log, seen) = open(folder.path(), (0, 0)).unwrap();
        let complete = positions.iter().filter(|position| {
            position.offset + FRAME_HEADER_BYTES as u64 + u64::from(position.length) <= size as u64
        });
        assert_eq!(seen.len(), complete.count(), "cut to {size}");
        log.append(&[vec![9]]).unwrap();
        drop(log);
        let (_, seen) = open(folder.path(), (0, 0)).unwrap();
        assert_eq!(seen.last().unwrap().1, [9]);
    }
}

#[test]
fn a_flipped_bit_cuts_the_last_segment_and_condemns_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("000000.log");
    let (mut log, _) = open(folder.path(), (0, 0)).unwrap();
    let positions = log.append(&payloads()).unwrap();
    let reader = log.reader();
    let mut bytes = fs::read(&path).unwrap();
    let at = usize::try_from(positions[1].offset).unwrap() + 20;
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(reader.read(positions[1]), Err(ChainError::Corrupt { .. })));
    drop(log);

    Tail::create(&OsDisk, &folder.path().join("000001.log"), GENESIS).unwrap();
    let error = open(folder.path(), (0, 0)).unwrap_err().to_string();
    let expected = format!("000000.log at offset {}", positions[1].offset);
    assert!(error.contains(&expected), "{error}");

    fs::remove_file(folder.path().join("000001.log")).unwrap();
    let (_, seen) = open(folder.path(), (0, 0)).unwrap();
    assert_eq!(seen.len(), 1);
}

#[test]
fn foreign_and_lost_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = open(folder.path(), (0, 0)).unwrap();
    log.append(&payloads()).unwrap();
    let mut visit = |_, _: &[u8]| Ok(());
    let other = B256::repeat_byte(8);
    let error = Log::open(&os(), folder.path(), other, (0, 0), |_| false, &mut visit).unwrap_err();
    assert!(matches!(error, ChainError::IncompatibleGenesis { .. }), "{error}");
    let error = open(folder.path(), (0, 9_999)).unwrap_err();
    assert!(matches!(error, ChainError::Corrupt { .. }), "{error}");
    assert!(log.append(&[Vec::new()]).is_err());
    log.append(&[vec![1]]).unwrap();
}

#[test]
fn old_segments_go_and_the_log_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = open(folder.path(), (0, 0)).unwrap();
    if let Growing::Files { segment_bytes, .. } = &mut log.end {
        *segment_bytes = 17;
    }
    let positions: Vec<_> = (0..4).map(|byte| log.append(&[vec![byte]]).unwrap()[0]).collect();
    assert_eq!(positions[3].segment, 3);
    let reader = log.reader();
    assert_eq!(reader.read(positions[0]).unwrap(), [0]);
    log.remove_before(2).unwrap();
    log.remove_before(2).unwrap();
    assert!(reader.read(positions[0]).is_err());
    assert!(reader.read(positions[1]).is_err());
    assert_eq!(reader.read(positions[2]).unwrap(), [2]);
    log.append(&[vec![4]]).unwrap();
    drop(log);
    let (_, seen) = open(folder.path(), (2, 0)).unwrap();
    assert_eq!(seen.len(), 3);
}

fn open_sim(disk: &SimDisk) -> Result<(Log, Seen), ChainError> {
    let mut seen = Vec::new();
    let mut visit = |position, payload: &[u8]| {
        seen.push((position, payload.to_vec()));
        Ok(())
    };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let log = Log::open(&disk, Path::new("/log"), GENESIS, (0, 0), |_| true, &mut visit)?;
    Ok((log, seen))
}

/// Every frame is an append: a flip in any but the last one is damage, with its place; nothing behind it is thrown away.
#[test]
fn rot_before_the_last_append_is_named_and_not_cut() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open_sim(&disk).unwrap();
    let positions: Vec<_> =
        payloads().into_iter().map(|payload| log.append(&[payload]).unwrap()[0]).collect();
    drop(log);
    let path = segment_path(Path::new("/log"), 0);
    let length = disk.files().iter().find(|(file, _)| *file == path).unwrap().1;
    for byte in 0..usize::try_from(length).unwrap() {
        for bit in 0..8 {
            disk.flip_bit(&path, byte, bit).unwrap();
            let copy = disk.cut(0);
            disk.flip_bit(&path, byte, bit).unwrap();
            let frame = positions.iter().rev().find(|at| at.offset <= byte as u64);
            match (open_sim(&copy), frame) {
                (Ok((_, seen)), Some(at)) => {
                    assert_eq!((at, seen.len()), (&positions[2], 2), "byte {byte}");
                }
                (Err(error), Some(at)) => {
                    assert!(*at != positions[2], "byte {byte}: {error}");
                    let place = format!("/log/000000.log at offset {} is damaged", at.offset);
                    assert!(error.to_string().starts_with(&place), "byte {byte}: {error}");
                }
                (Ok(_), None) => panic!("byte {byte}: a damaged header was taken"),
                (Err(_), None) => {}
            }
        }
    }
}

/// A kernel that failed to write a page shows it as clean. What an opening saw must be on disk before anything follows it.
#[test]
fn what_a_failed_sync_left_in_the_cache_is_on_disk_after_opening() {
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let (mut log, _) = open_sim(&disk).unwrap();
        log.append(&[vec![1; 600]]).unwrap();
        disk.fail_call(2, Fault::Io);
        log.append(&[vec![2; 600]]).unwrap_err();
        let again = log.append(&[vec![3]]).unwrap_err().to_string();
        assert!(again.contains("an earlier write failed; restart"), "{again}");
        drop(log);
        let (mut log, seen) = open_sim(&disk).unwrap();
        log.append(&[vec![4]]).unwrap();
        let (_, after) = open_sim(&disk.cut(seed)).unwrap();
        assert_eq!(after.len(), seen.len() + 1);
    }
}

#[test]
fn a_full_disk_is_no_lasting_harm() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open_sim(&disk).unwrap();
    log.set_segment_bytes(500);
    log.append(&[vec![1; 600]]).unwrap();
    for payload in [vec![2; 30], vec![3; 700], vec![4; 700], vec![5; 700]] {
        let (used, end) = (disk.used(), log.end());
        for room in [0, 8, 20, 30] {
            disk.set_capacity(used + room);
            let error = log.append(std::slice::from_ref(&payload)).unwrap_err();
            assert!(error.is_disk_full(), "{error}");
            let copy = disk.cut(room);
            copy.set_capacity(u64::MAX);
            let (_, seen) = open_sim(&copy).unwrap();
            assert!(seen.iter().all(|(_, seen)| *seen != payload));
        }
        disk.set_capacity(u64::MAX);
        assert_eq!(
            log.append(std::slice::from_ref(&payload)).unwrap()[0].length as usize,
            payload.len()
        );
        assert!(log.end() > end);
    }
    let (log, seen) = open_sim(&disk).unwrap();
    assert_eq!(seen.iter().map(|(_, payload)| payload[0]).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(log.reader().read_next(seen[0].0).is_err(), "the next frame is in the next segment");
}

#[test]
fn the_frame_behind_is_found() {
    let disk = SimDisk::new(1);
    let (mut filed, _) = open_sim(&disk).unwrap();
    let mut memory = Log::in_memory();
    for log in [&mut filed, &mut memory] {
        let positions = log.append(&payloads()).unwrap();
        let reader = log.reader();
        for (at, next) in positions.iter().zip(&positions[1..]) {
            assert_eq!(reader.read_next(*at).unwrap(), (*next, reader.read(*next).unwrap()));
        }
        assert!(matches!(reader.read_next(positions[2]), Err(ChainError::Corrupt { .. })));
    }
}
