//! Which nonces were used: remembered on disk, so that a restart does not open a window for replays.
//!
//! File `nonces`: one line per nonce, `<forget at, seconds> <key id> <nonce, hex>`. It is written anew when most of its
//! lines are old.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

use alloy_primitives::{B256, hex};

use crate::error::EdgeError;

/// How long a (key, nonce) pair is remembered: longer than any signature's window.
pub const REMEMBER_SECS: u64 = 120;
/// Pairs remembered at most; beyond it requests are refused until old ones fall out.
const MAX_PAIRS: usize = 100_000;
/// Lines in the file before it is written anew.
const MAX_LINES: usize = 4_096;

/// The used nonces of all keys.
#[derive(Debug)]
pub struct Nonces {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    lines: usize,
    seen: HashMap<(B256, [u8; 16]), u64>,
}

impl Nonces {
    /// Opens or creates `<folder>/nonces`; lines that do not read are passed over.
    ///
    /// # Errors
    /// [`EdgeError::Io`].
    pub fn open(folder: &Path) -> Result<Nonces, EdgeError> {
        let path = folder.join("nonces");
        let io = |e| EdgeError::io(&path, e);
        let file =
            OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(io)?;
        let mut seen = HashMap::new();
        let mut lines = 0;
        for line in BufReader::new(&file).lines() {
            let line = line.map_err(io)?;
            lines += 1;
            if let Some((pair, until)) = parse(&line) {
                seen.insert(pair, until);
            }
        }
        Ok(Nonces { state: Mutex::new(State { file, lines, seen }), path })
    }

    /// Remembers a pair; `false` if it was used before, or if there is no room to remember it.
    ///
    /// # Errors
    /// [`EdgeError::Io`] if it cannot be written down.
    pub fn remember(&self, key: B256, nonce: [u8; 16], now: u64) -> Result<bool, EdgeError> {
        let mut state = self.state.lock().expect("no holder of the lock panics");
        state.seen.retain(|_, until| *until > now);
        if state.seen.contains_key(&(key, nonce)) || state.seen.len() >= MAX_PAIRS {
            return Ok(false);
        }
        let until = now.saturating_add(REMEMBER_SECS);
        state.seen.insert((key, nonce), until);
        let io = |e| EdgeError::io(&self.path, e);
        if state.lines >= MAX_LINES {
            return self.rewrite(&mut state).map(|()| true);
        }
        let line = format!("{until} {key} {}\n", hex::encode(nonce));
        state.file.write_all(line.as_bytes()).map_err(io)?;
        state.file.sync_data().map_err(io)?;
        state.lines += 1;
        Ok(true)
    }

    fn rewrite(&self, state: &mut State) -> Result<(), EdgeError> {
        let io = |e| EdgeError::io(&self.path, e);
        let fresh = self.path.with_extension("new");
        let mut file = File::create(&fresh).map_err(io)?;
        for ((key, nonce), until) in &state.seen {
            writeln!(file, "{until} {key} {}", hex::encode(nonce)).map_err(io)?;
        }
        file.sync_data().map_err(io)?;
        std::fs::rename(&fresh, &self.path).map_err(io)?;
        state.file = OpenOptions::new().append(true).open(&self.path).map_err(io)?;
        state.lines = state.seen.len();
        Ok(())
    }
}

fn parse(line: &str) -> Option<((B256, [u8; 16]), u64)> {
    let mut words = line.split(' ');
    let until = words.next()?.parse().ok()?;
    let key = words.next()?.parse().ok()?;
    let nonce = hex::decode(words.next()?).ok()?.try_into().ok()?;
    Some(((key, nonce), until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_serves_once_also_after_a_restart_and_is_then_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let key = B256::repeat_byte(1);
        let nonces = Nonces::open(folder.path()).unwrap();
        assert!(nonces.remember(key, [1; 16], 1_000).unwrap());
        assert!(!nonces.remember(key, [1; 16], 1_001).unwrap());
        assert!(nonces.remember(B256::repeat_byte(2), [1; 16], 1_001).unwrap());
        drop(nonces);
        let nonces = Nonces::open(folder.path()).unwrap();
        assert!(!nonces.remember(key, [1; 16], 1_119).unwrap());
        assert!(nonces.remember(key, [1; 16], 1_120).unwrap());
    }

    #[test]
    fn the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let nonces = Nonces::open(folder.path()).unwrap();
        {
            let mut state = nonces.state.lock().unwrap();
            state.lines = MAX_LINES;
        }
        assert!(nonces.remember(B256::ZERO, [9; 16], 5).unwrap());
        drop(nonces);
        let text = std::fs::read_to_string(folder.path().join("nonces")).unwrap();
        assert_eq!(text.lines().count(), 1);
        let nonces = Nonces::open(folder.path()).unwrap();
        assert!(!nonces.remember(B256::ZERO, [9; 16], 6).unwrap());
    }
}
