//! Frames come back, torn tails go, damage is named.

use std::fs;

use super::*;
use crate::disk::OsDisk;

const GENESIS: B256 = B256::repeat_byte(7);

type Seen = Vec<(Position, Vec<u8>)>;

fn open(folder: &Path, from: End) -> Result<(Log, Seen), ChainError> {
    let mut seen = Vec::new();
    let mut visit = |position, payload: &[u8]| {
        seen.push((position, payload.to_vec()));
        Ok(())
    };
    let log = Log::open(&os(), folder, GENESIS, from, &mut visit)?;
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
    let error = Log::open(&os(), folder.path(), other, (0, 0), &mut visit).unwrap_err();
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
