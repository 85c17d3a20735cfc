//! What an operator does by hand: make a folder, move a chain in and out, keep keys.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::harness::{Finished, Running, free_port, quantity, rpc, run, text};

/// Account 0 of the public test phrase.
const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const ADDRESS: &str = "f39fd6e51aad88f6f4ce6ab8827279cfffb92266";

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("test/vectors/clique")
}

fn geth(file: &str) -> String {
    text(&vectors().join("geth-chain").join(file)).to_owned()
}

/// Runs the program and expects it to end well; returns what it printed.
fn done(arguments: &[&str]) -> String {
    let Finished { status, stdout, stderr } = run(arguments);
    assert!(status.success(), "{arguments:?}: {stdout}\n{stderr}");
    stdout
}

fn unpacked(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = File::open(path).expect("there");
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).expect("gzip");
    bytes
}

#[test]
fn public_genesis_files_hash_as_published() {
    let folder = vectors().join("genesis");
    let expected = fs::read(folder.join("expected.json")).expect("there");
    let expected: Value = serde_json::from_slice(&expected).expect("JSON");
    let networks = expected.as_object().expect("networks");
    for (name, facts) in networks {
        let file = folder.join(facts["file"].as_str().expect("a name"));
        let printed = done(&["genesis", "hash", text(&file)]);
        for fact in ["genesis_hash", "state_root"] {
            assert!(printed.contains(facts[fact].as_str().expect("a hash")), "{name}: {printed}");
        }
    }
    assert_eq!(networks.len(), 4);
}

#[test]
fn a_chain_of_geths_goes_in_and_comes_out_byte_for_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let datadir = text(folder.path());
    let (genesis, chain) = (geth("genesis.json"), geth("chain.rlp.gz"));
    let printed = done(&["init", &genesis, "--datadir", datadir]);
    assert!(printed.contains("Successfully wrote genesis state"), "{printed}");
    let stored = done(&["dumpgenesis", "--datadir", datadir]);
    assert_eq!(stored.trim(), fs::read_to_string(&genesis).expect("there").trim());

    let printed = done(&["import", &chain, "--datadir", datadir]);
    assert!(printed.contains("184 new blocks, 0 known"), "{printed}");
    let printed = done(&["import", &chain, "--datadir", datadir]);
    assert!(printed.contains("0 new blocks, 184 known"), "{printed}");

    let original = unpacked(Path::new(&chain));
    let (plain, packed) = (folder.path().join("out.rlp"), folder.path().join("out.rlp.gz"));
    for file in [&plain, &packed] {
        done(&["export", text(file), "1", "184", "--datadir", datadir]);
    }
    assert!(fs::read(&plain).expect("written") == original);
    assert!(unpacked(&packed) == original);

    // all of it begins with the genesis block, as geth's does, and goes into an empty folder
    done(&["export", text(&plain), "--datadir", datadir]);
    assert!(fs::read(&plain).expect("written").ends_with(&original));
    let other = folder.path().join("other");
    done(&["init", &genesis, "--datadir", text(&other)]);
    let printed = done(&["import", text(&plain), "--datadir", text(&other)]);
    assert!(printed.contains("184 new blocks, 1 known"), "{printed}");

    // a node needs the folder alone
    let port = free_port().to_string();
    let mut node = Running::start(&["node", "--datadir", text(&other), "--http.port", &port]);
    node.line("the address", |line| line.contains("head 184 "));
    let url = format!("http://127.0.0.1:{port}/");
    assert_eq!(quantity(&rpc(&url, "eth_blockNumber", json!([]))), 184);
    node.interrupt();
    assert!(node.wait().success());
}

#[test]
fn an_import_that_stops_at_a_bad_block_keeps_what_was_good_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let datadir = folder.path().join("data");
    done(&["init", &geth("genesis.json"), "--datadir", text(&datadir)]);
    let mut bytes = unpacked(Path::new(&geth("chain.rlp.gz")));
    // a byte of a state root somewhere in the second half: the block's seal is another one's then
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let broken = folder.path().join("broken.rlp");
    fs::write(&broken, &bytes).expect("written");
    let failed = run(&["import", text(&broken), "--datadir", text(&datadir)]);
    assert_eq!(failed.status.code(), Some(1), "{failed:#?}");
    assert!(failed.stderr.contains("broken.rlp"), "{failed:#?}");

    let printed = done(&["import", &geth("chain.rlp.gz"), "--datadir", text(&datadir)]);
    let known = printed.split(" new blocks, ").nth(1).and_then(|rest| rest.split(' ').next());
    let known: u64 = known.and_then(|count| count.parse().ok()).expect("a count");
    assert!(known > 20, "{printed}");
    assert!(printed.contains("head 184 "), "{printed}");
}

/// A keystore with account 0 under the password `one`.
fn keystore() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    secret(&folder.path().join("key"), KEY);
    secret(&folder.path().join("passwords"), "one\ntwo\n");
    secret(&folder.path().join("second"), "two\n");
    let keys = text(&folder.path().join("keystore")).to_owned();
    let (key, passwords) = (folder.path().join("key"), folder.path().join("passwords"));
    let printed = done(&[
        "account",
        "import",
        text(&key),
        "--keystore",
        &keys,
        "--password",
        text(&passwords),
        "--lightkdf",
    ]);
    assert_eq!(printed, format!("Address: {{{ADDRESS}}}"));
    (folder, keys)
}

fn secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("ours");
}

#[test]
fn accounts_are_made_listed_and_changed_in_geths_words() {
    let (folder, keys) = keystore();
    let passwords = folder.path().join("passwords");
    let password = ["--keystore", &keys, "--password", text(&passwords), "--lightkdf"];
    let printed = done(&[&["account", "new"], &password[..]].concat());
    assert!(printed.contains("Public address of the key:   0x"), "{printed}");
    assert!(printed.contains("Path of the secret key file: "), "{printed}");
    let listed = done(&["account", "list", "--keystore", &keys]);
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert!(lines[0].starts_with(&format!("Account #0: {{{ADDRESS}}} keystore:///")), "{listed}");
    assert!(lines[1].starts_with("Account #1: {"), "{listed}");

    done(&[&["account", "update", ADDRESS], &password[..]].concat());
    let again = run(&[&["account", "update", ADDRESS], &password[..]].concat());
    assert!(again.stderr.contains("could not decrypt key with given password"), "{again:#?}");
}

#[test]
fn a_key_of_the_keystore_seals() {
    let (folder, keys) = keystore();
    let passwords = folder.path().join("passwords");
    let key = fs::read_dir(&keys).expect("there").next().expect("a key").expect("readable").path();
    let account = format!("0x{ADDRESS}");
    let ways: [&[&str]; 2] =
        [&["--mine", "--unlock", &account, "--keystore", &keys], &["--signer", text(&key)]];
    for way in ways {
        let port = free_port().to_string();
        let start = ["node", "--network", "dev", "--http.port", &port];
        let mut node = Running::start(&[&start, way, &["--password", text(&passwords)]].concat());
        node.line("the address", |line| line.contains(&port));
        let url = format!("http://127.0.0.1:{port}/");
        assert_eq!(rpc(&url, "eth_coinbase", json!([])), json!(account));
    }
}

#[test]
fn a_settings_file_speaks_below_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, other) = (free_port(), free_port());
    let file = folder.path().join("msnet.toml");
    fs::write(&file, format!("dev = true\n[http]\nport = {port}\n")).expect("written");
    let mut node = Running::start(&["node", "--config", text(&file)]);
    node.line("the address", |line| line.contains(&port.to_string()));
    let second = other.to_string();
    let mut node = Running::start(&["node", "--config", text(&file), "--http.port", &second]);
    node.line("the other address", |line| line.contains(&second));
}

#[test]
fn a_folder_is_checked_taken_back_made_again_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let datadir = text(folder.path());
    let at = ["--datadir", datadir];
    done(&["init", &geth("genesis.json"), "--datadir", datadir]);
    done(&["import", &geth("chain.rlp.gz"), "--datadir", datadir]);
    let printed = done(&[&["db", "verify", "--state"], &at[..]].concat());
    assert!(printed.contains("184 blocks") && printed.contains(": 0 findings"), "{printed}");

    let printed = done(&[&["db", "rewind", "--to", "100"], &at[..]].concat());
    assert!(printed.contains("rewound from block 184; head 100 "), "{printed}");
    let above = run(&[&["db", "rewind", "--to", "101"], &at[..]].concat());
    assert!(above.stderr.contains("cannot rewind to block 101: the head is 100"), "{above:#?}");
    let printed = done(&["import", &geth("chain.rlp.gz"), "--datadir", datadir]);
    assert!(printed.contains("84 new blocks, 100 known"), "{printed}");

    let printed = done(&[&["db", "reindex", "--compact"], &at[..]].concat());
    assert!(printed.contains("head 184 ") && printed.contains("compacted"), "{printed}");
    let stat = done(&[&["db", "stat", "--json"], &at[..]].concat());
    let stat: Value = serde_json::from_str(&stat).expect("JSON");
    assert_eq!(stat["newest"]["number"], json!(184));
    assert!(done(&[&["db", "stat"], &at[..]].concat()).contains("accounts"));
    assert_eq!(done(&[&["signer", "status"], &at[..]].concat()), "nothing was sealed here");
}

#[test]
fn damage_is_found_and_only_a_repair_cuts_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let datadir = text(folder.path());
    done(&["init", &geth("genesis.json"), "--datadir", datadir]);
    done(&["import", &geth("chain.rlp.gz"), "--datadir", datadir]);
    let log = folder.path().join("msnet/blocks/000000.log");
    let mut bytes = fs::read(&log).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, &bytes).expect("written");
    let found = run(&["db", "verify", "--datadir", datadir]);
    assert_eq!(found.status.code(), Some(5), "{found:#?}");
    assert!(found.stdout.contains("000000.log at offset "), "{found:#?}");
    assert_eq!(fs::read(&log).expect("there"), bytes, "nothing was changed");

    let mended = done(&["db", "verify", "--repair", "--datadir", datadir]);
    assert!(mended.contains("kept in ") && mended.ends_with("0 of them damage"), "{mended}");
    let printed = done(&["import", &geth("chain.rlp.gz"), "--datadir", datadir]);
    assert!(printed.contains("head 184 "), "{printed}");
}

#[test]
fn a_journal_is_reset_only_by_whoever_types_the_address() {
    use std::{io::Write as _, process::Stdio};
    let folder = tempfile::tempdir().expect("a folder");
    let datadir = text(folder.path());
    let port = free_port().to_string();
    let mut node = Running::start(&["node", "--dev", "--http.port", &port, "--datadir", datadir]);
    node.line("the address", |line| line.contains(&port));
    let url = format!("http://127.0.0.1:{port}/");
    crate::harness::eventually("two blocks", || {
        (quantity(&rpc(&url, "eth_blockNumber", json!([]))) >= 2).then_some(())
    });
    node.interrupt();
    assert!(node.wait().success());
    let status = done(&["signer", "status", "--datadir", datadir]);
    assert!(status.to_lowercase().contains(ADDRESS), "{status}");

    let answer = |typed: &str| {
        let mut command = crate::harness::msnet(&["signer", "reset-journal", "--datadir", datadir]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(typed.as_bytes()).expect("it reads");
        drop(input);
        child.wait().expect("our own child").success()
    };
    assert!(!answer("yes\n"));
    assert!(done(&["signer", "status", "--datadir", datadir]).contains(" sealed "));
    assert!(answer(&format!("0x{ADDRESS}\n")));
    assert_eq!(done(&["signer", "status", "--datadir", datadir]), "nothing was sealed here");
}
