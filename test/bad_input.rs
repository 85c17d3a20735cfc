//! What a user did wrong is said in one clear sentence, with a way out and a non-zero exit; never by a panic.

use std::{fs, net::TcpListener, path::Path};

use crate::harness::{Finished, Running, free_port, run, text};

fn assert_clear(done: &Finished, words: &[&str]) {
    assert!(!done.status.success(), "{done:#?}");
    assert!(done.stderr.contains("error: "), "{done:#?}");
    assert!(!done.stderr.contains("panicked"), "{done:#?}");
    for word in words {
        assert!(done.stderr.contains(word), "`{word}` is not in: {}", done.stderr);
    }
}

#[test]
fn a_used_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    assert_clear(&run(&["node", "--dev", "--http.port", &port]), &[&port, "do:"]);
}

#[test]
fn an_unreadable_genesis_file_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("missing.json");
    assert_clear(&run(&["node", "--genesis", text(&missing)]), &["missing.json"]);
    let broken = folder.path().join("broken.json");
    fs::write(&broken, b"{\"config\": ").expect("written");
    assert_clear(&run(&["node", "--genesis", text(&broken)]), &["broken.json"]);
}

#[test]
fn a_data_folder_of_another_network_is_refused_with_both_hashes() {
    let folder = tempfile::tempdir().expect("a folder");
    let datadir = text(folder.path());
    let port = free_port().to_string();
    let mut node = Running::start(&["node", "--dev", "--http.port", &port, "--datadir", datadir]);
    node.line("the address", |line| line.contains(&port));
    node.interrupt();
    assert!(node.wait().success());

    let other = folder.path().join("other.json");
    let signer = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
    let made = run(&[
        "genesis",
        "--chainid",
        "4242",
        "--signer",
        signer,
        "--timestamp",
        "1700000000",
        "--out",
        text(&other),
    ]);
    assert!(made.status.success(), "{made:#?}");
    let done =
        run(&["node", "--genesis", text(&other), "--http.port", &port, "--datadir", datadir]);
    assert_clear(&done, &["database contains incompatible genesis (have ", "new "]);
}

#[test]
fn a_damaged_block_log_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let datadir = text(folder.path());
    let port = free_port().to_string();
    let mut node = Running::start(&[
        "node",
        "--dev",
        "--dev.period",
        "1",
        "--http.port",
        &port,
        "--datadir",
        datadir,
    ]);
    node.line("the address", |line| line.contains(&port));
    node.interrupt();
    assert!(node.wait().success());

    let log = folder.path().join("msnet/blocks/000000.log");
    let mut bytes = fs::read(&log).expect("the block log");
    bytes[0] ^= 0xff;
    fs::write(&log, bytes).expect("written");
    let done = run(&["node", "--dev", "--http.port", &port, "--datadir", datadir]);
    assert_clear(&done, &["000000.log"]);
}

/// A folder with the network of the vectors in it.
fn initialised() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let datadir = text(folder.path()).to_owned();
    let genesis =
        concat!(env!("CARGO_MANIFEST_DIR"), "/test/vectors/clique/geth-chain/genesis.json");
    let done = run(&["init", genesis, "--datadir", &datadir]);
    assert!(done.status.success(), "{done:#?}");
    (folder, datadir)
}

#[test]
fn a_second_init_with_another_genesis_is_refused_with_both_hashes() {
    let (_folder, datadir) = initialised();
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/contracts/networks/dev.json");
    let done = run(&["init", other, "--datadir", &datadir]);
    assert_clear(&done, &["database contains incompatible genesis (have ", "new ", "do:"]);
}

#[test]
fn a_folder_without_a_chain_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let datadir = text(folder.path());
    let file = folder.path().join("chain.rlp");
    assert_clear(&run(&["import", text(&file), "--datadir", datadir]), &[datadir, "msnet init"]);
    assert_clear(&run(&["export", text(&file), "--datadir", datadir]), &[datadir, "msnet init"]);
    assert_clear(&run(&["node", "--datadir", datadir]), &["msnet init"]);
}

#[test]
fn what_is_no_chain_is_not_imported() {
    let (folder, datadir) = initialised();
    let file = folder.path().join("garbage.rlp");
    for (bytes, words) in [
        (&b"not a chain"[..], ["garbage.rlp", "byte 0"]),
        (&[0xff; 64], ["garbage.rlp", "longer than 32 MiB"]),
        (&[0xc1, 0x80], ["garbage.rlp", "cannot decode block"]),
        (&[0xf9, 0xff, 0xff, 1], ["garbage.rlp", "the file ends inside"]),
    ] {
        fs::write(&file, bytes).expect("written");
        assert_clear(&run(&["import", text(&file), "--datadir", &datadir]), &words);
    }
    let missing = folder.path().join("missing.rlp");
    let done = run(&["import", text(&missing), "--datadir", &datadir]);
    assert_clear(&done, &["missing.rlp", "why:", "do:"]);
}

#[test]
fn an_export_that_cannot_be_written_names_the_place() {
    let (folder, datadir) = initialised();
    let file = folder.path().join("no/such/folder/chain.rlp");
    let done = run(&["export", text(&file), "--datadir", &datadir]);
    assert_clear(&done, &["no/such/folder", "why:", "do:"]);
    let file = folder.path().join("chain.rlp");
    let done = run(&["export", text(&file), "1", "5", "--datadir", &datadir]);
    assert_clear(&done, &["blocks 1 to 5", "0 to 0"]);
}

#[test]
fn keys_that_do_not_open_are_named_and_never_shown() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let secret = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    let (key, password) = (folder.path().join("key"), folder.path().join("password"));
    fs::write(&key, secret).expect("written");
    fs::write(&password, "right\n").expect("written");
    let node = ["node", "--network", "dev", "--http.port", "0", "--signer", text(&key)];
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("ours");
    let keystore = folder.path().join("keystore");
    let keys = ["--keystore", text(&keystore), "--password", text(&password)];
    let import = ["account", "import", text(&key), "--lightkdf"];
    let done = run(&[&import, &keys[..]].concat());
    assert!(done.status.success(), "{done:#?}");
    assert_clear(&run(&[&import, &keys[..]].concat()), &["account already exists", "do:"]);

    fs::write(&password, "wrong\n").expect("written");
    let account = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
    let start = ["node", "--network", "dev", "--http.port", "0", "--mine", "--unlock", account];
    let done = run(&[&start, &keys[..]].concat());
    assert_clear(&done, &["could not decrypt key with given password", "do:"]);
    let stranger = format!("0x{}", "11".repeat(20));
    let start = ["node", "--network", "dev", "--http.port", "0", "--mine", "--unlock", &stranger];
    assert_clear(&run(&[&start, &keys[..]].concat()), &["no key for given address or file", "do:"]);
    let mine = run(&["node", "--network", "dev", "--http.port", "0", "--mine"]);
    assert_clear(&mine, &["--mine", "do:"]);

    fs::write(&key, format!("{{\"crypto\": \"{secret}\"}}")).expect("written");
    let damaged = run(&[&node, &["--password", text(&password)][..]].concat());
    assert_clear(&damaged, &["not a key file"]);
    assert!(!damaged.stderr.contains("ac0974"), "{damaged:#?}");
}

#[test]
fn a_settings_file_with_an_unknown_name_is_refused_with_the_nearest() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("msnet.toml");
    fs::write(&file, "datadri = \"x\"\n").expect("written");
    let done = run(&["node", "--config", text(&file)]);
    assert_clear(&done, &["msnet.toml", "datadri", "did you mean datadir?"]);
}

#[test]
fn an_edge_without_a_chain_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("http://127.0.0.1:{}/", free_port());
    let done = run(&[
        "edge",
        "serve",
        "--datadir",
        text(folder.path()),
        "--rpc",
        &url,
        "--institution",
        "0x00112233445566778899aabbccddeeff",
        "--finality",
        "burial",
    ]);
    assert_clear(&done, &[&url]);
}

/// The first institution of the built-in network, with its account's key in a file of `folder`.
fn north_hospital(folder: &Path, url: &str) -> Vec<String> {
    let key = folder.join("account");
    fs::write(&key, "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")
        .expect("written");
    let datadir = folder.join("edge");
    [
        "edge",
        "serve",
        "--datadir",
        text(&datadir),
        "--rpc",
        url,
        "--listen",
        "127.0.0.1:0",
        "--key-file",
        text(&key),
        "--institution",
        "0x5b83f027b14df2dd42c6efb27b217677",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn dev_node() -> (Running, String) {
    let port = free_port().to_string();
    let mut node = Running::start(&["node", "--dev", "--dev.period", "0", "--http.port", &port]);
    node.line("the address", |line| line.contains(&port));
    (node, format!("http://127.0.0.1:{port}/"))
}

#[test]
fn an_edge_refuses_another_chain_and_names_both() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_node, url) = dev_node();
    let mut arguments = north_hospital(folder.path(), &url);
    arguments.extend(["--chain-id".to_owned(), "9".to_owned()]);
    let done = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_clear(&done, &["chain 1337", "chain 9"]);
    assert_eq!(done.status.code(), Some(3), "{done:#?}");
}

#[test]
fn a_damaged_edge_folder_is_named_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_node, url) = dev_node();
    let arguments = north_hospital(folder.path(), &url);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut edge = Running::start(&arguments);
    edge.line("the address", |line| line.contains("finality: burial"));
    edge.interrupt();
    assert!(edge.wait().success());

    let wal = folder.path().join("edge/wal");
    let log =
        fs::read_dir(wal).expect("the log").next().expect("one file").expect("readable").path();
    let mut bytes = fs::read(&log).expect("read");
    bytes[8] ^= 1;
    fs::write(&log, &bytes).expect("written");
    let done = run(&arguments);
    assert_clear(&done, &["damage", ".wal"]);
    assert_eq!(done.status.code(), Some(5), "{done:#?}");
    assert_eq!(fs::read(&log).expect("read"), bytes, "nothing was mended in silence");
}

#[test]
fn an_unknown_flag_names_the_nearest_one() {
    let done = run(&["demo", "--onec"]);
    assert_eq!(done.status.code(), Some(2), "{done:#?}");
    assert!(done.stderr.contains("--once"), "{done:#?}");
}

#[test]
fn a_flag_of_geths_is_taken_or_says_what_to_do() {
    for (flags, words) in [
        (&["--authrpc.port", "8551"][..], ["--authrpc.port is a flag of geth", "no engine API"]),
        (&["--miner.etherbase=0x0"], ["--miner.etherbase is a flag of geth", "--unlock"]),
        (&["--syncmode", "snap"], ["snap", "say full"]),
        (&["--gpo.blocks", "20"], ["--gpo.blocks is a flag of geth", "--miner.gasprice"]),
    ] {
        assert_clear(&run(&[&["node", "--dev"], flags].concat()), &words);
    }
    let misspelt = run(&["node", "--dev", "--htp.port", "0"]);
    assert_clear(&misspelt, &["--htp.port", "--http.port"]);
    let port = free_port().to_string();
    let mut node = Running::start(&[
        "node",
        "--dev",
        "--http",
        "--http.port",
        &port,
        "--http.api",
        "eth,net,web3",
        "--ws",
        "--ws.addr",
        "127.0.0.1",
        "--ws.api",
        "eth,net",
        "--ws.origins",
        "http://localhost:3000",
        "--ipcdisable",
        "--nodiscover",
        "--networkid",
        "1337",
        "--verbosity",
        "3",
        "--syncmode",
        "full",
        "--allow-insecure-unlock",
        "--rpc.gascap",
        "50000000",
        "--rpc.evmtimeout",
        "5s",
        "--rpc.txfeecap",
        "1",
    ]);
    node.line("the address", |line| line.contains(&port));
    node.interrupt();
    assert!(node.wait().success());
}
