//! The nodes that are compared: how each is started so that all do the same, and how it is ended.
//!
//! All: loopback, one block a second, 1 Ggas a block, the test phrase's first account holds the money. msnet and geth seal
//! the same Clique genesis and write to disk; anvil keeps nothing.

use std::{
    fmt, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use crate::rpc::Rpc;

/// Secret key of the test phrase's first account.
pub(crate) const FUNDER_KEY: &str =
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const FUNDER: &str = "f39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
/// Gas of a block.
const GAS_LIMIT: u64 = 1_000_000_000;
const CHAIN_ID: u64 = 31_337;

/// Whose node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NodeKind {
    /// This repository's.
    Msnet,
    /// Foundry's development node.
    Anvil,
    /// go-ethereum v1.13.15.
    Geth,
}

impl fmt::Display for NodeKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Msnet => "msnet",
            Self::Anvil => "anvil",
            Self::Geth => "geth",
        })
    }
}

/// Where the node's program is, if it is anywhere.
pub(crate) fn program(kind: NodeKind, msnet: &Path) -> Option<PathBuf> {
    match kind {
        NodeKind::Msnet => msnet.exists().then(|| msnet.to_owned()),
        NodeKind::Anvil => {
            let path = PathBuf::from("node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
            path.exists().then_some(path)
        }
        NodeKind::Geth => std::env::var_os("GETH").map(PathBuf::from).or_else(|| {
            let folders = std::env::var_os("PATH")?;
            std::env::split_paths(&folders).map(|folder| folder.join("geth")).find(|p| p.exists())
        }),
    }
}

/// A node while it runs; it is killed when this is dropped, and its folder removed.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// Where it answers.
    pub(crate) url: String,
    _folder: tempfile::TempDir,
}

impl Running {
    /// Starts a node in a new folder and waits until it answers.
    pub(crate) async fn start(kind: NodeKind, program: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(program);
        match kind {
            NodeKind::Msnet => msnet(&mut command, folder.path(), port)?,
            NodeKind::Anvil => anvil(&mut command, port),
            NodeKind::Geth => geth(&mut command, program, folder.path(), port)?,
        }
        let log = fs::File::create(folder.path().join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("{kind} does not start"))?;
        let url = format!("http://127.0.0.1:{port}");
        let mut running = Self { child, url, _folder: folder };
        running.wait_until_up(kind).await?;
        Ok(running)
    }

    async fn wait_until_up(&mut self, kind: NodeKind) -> Result<()> {
        let rpc = Rpc::new(&self.url)?;
        let until = Instant::now() + Duration::from_secs(60);
        while rpc.quantity("eth_blockNumber", json!([])).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(self._folder.path().join("log")).unwrap_or_default();
                bail!("{kind} ended with {status}:\n{log}");
            }
            ensure!(Instant::now() < until, "{kind} does not answer");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Processor time of the node so far, and the most memory it ever held.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let stat = fs::read_to_string(folder.join("stat"))?;
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok());
        let used = ticks(11).zip(ticks(12)).context("the process' times do not read")?;
        let status = fs::read_to_string(folder.join("status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak_kib = peak.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        // Linux counts in hundredths of a second for every program
        Ok(Usage { cpu_us: (used.0 + used.1) * 10_000, peak_mib: peak_kib.unwrap_or(0) / 1_024 })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) cpu_us: u64,
    pub(crate) peak_mib: u64,
}

fn clique_genesis(folder: &Path) -> Result<PathBuf> {
    let forks = [
        "homesteadBlock",
        "eip150Block",
        "eip155Block",
        "eip158Block",
        "byzantiumBlock",
        "constantinopleBlock",
        "petersburgBlock",
        "istanbulBlock",
        "berlinBlock",
        "londonBlock",
    ];
    let mut config = json!({ "chainId": CHAIN_ID, "clique": { "period": 1, "epoch": 30_000 } });
    for fork in forks {
        config[fork] = json!(0);
    }
    let genesis = json!({
        "config": config,
        "difficulty": "1",
        "gasLimit": GAS_LIMIT.to_string(),
        "extradata": format!("0x{}{FUNDER}{}", "0".repeat(64), "0".repeat(130)),
        "alloc": { FUNDER: { "balance": "1000000000000000000000000000" } },
    });
    let path = folder.join("genesis.json");
    fs::write(&path, serde_json::to_vec(&genesis)?)?;
    fs::write(folder.join("key"), FUNDER_KEY)?;
    fs::write(folder.join("password"), "\n")?;
    Ok(path)
}

fn msnet(command: &mut Command, folder: &Path, port: u16) -> Result<()> {
    let genesis = clique_genesis(folder)?;
    command.arg("node").arg("--genesis").arg(genesis).arg("--datadir").arg(folder.join("data"));
    command.arg("--signer").arg(folder.join("key")).args(["--http.port", &port.to_string()]);
    command.args(["--miner.gaslimit", &GAS_LIMIT.to_string()]);
    Ok(())
}

fn anvil(command: &mut Command, port: u16) {
    let (port, gas) = (port.to_string(), GAS_LIMIT.to_string());
    command.args(["--silent", "--port", &port, "--balance", "1000000000", "--block-time", "1"]);
    command.args(["--gas-limit", &gas, "--hardfork", "shanghai"]);
}

fn geth(command: &mut Command, program: &Path, folder: &Path, port: u16) -> Result<()> {
    let (genesis, data) = (clique_genesis(folder)?, folder.join("data"));
    let data = data.to_str().context("the folder's name is no text")?;
    let file = |name: &str| folder.join(name).display().to_string();
    let (genesis, key, password) = (genesis.display().to_string(), file("key"), file("password"));
    let import = ["account", "import", "--lightkdf", "--password", &password, &key];
    for arguments in [&["init", &genesis][..], &import[..]] {
        let done = Command::new(program).arg("--datadir").arg(data).args(arguments).output()?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        ensure!(done.status.success(), "geth {}: {said}", arguments[0]);
    }
    let signer = format!("0x{FUNDER}");
    let numbers = [CHAIN_ID.to_string(), port.to_string(), GAS_LIMIT.to_string()];
    command.args([
        "--datadir",
        data,
        "--networkid",
        &numbers[0],
        "--nodiscover",
        "--maxpeers",
        "0",
    ]);
    command.args(["--port", "0", "--authrpc.port", "0", "--ipcdisable", "--http"]);
    command.args(["--http.addr", "127.0.0.1", "--http.port", &numbers[1]]);
    command.args(["--http.api", "eth,net,web3", "--mine", "--miner.etherbase", &signer]);
    command.args(["--unlock", &signer, "--password", &password, "--allow-insecure-unlock"]);
    command.args(["--miner.gaslimit", &numbers[2], "--txpool.globalslots", "200000"]);
    command.args(["--txpool.accountslots", "10000", "--txpool.globalqueue", "200000"]);
    command.args(["--txpool.accountqueue", "10000", "--rpc.batch-request-limit", "0"]);
    command.args(["--rpc.batch-response-max-size", "0", "--gcmode", "full", "--cache", "2048"]);
    command.args(["--verbosity", "2"]);
    Ok(())
}
