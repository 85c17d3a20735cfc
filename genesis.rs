//! `msnet genesis`: founders, contracts and roles, run once in a private EVM, become one genesis file.
//!
//! Constructors run at their final addresses with the final chain id, so that immutables and EIP-712 domains come out
//! right; what they leave behind is written into `alloc`. The order is that of `contracts/deploy`: AccessManager, Directory,
//! modules, timelock, names, roles, founders, hand-over. After it only the timelock administers the AccessManager, moved by
//! votes of the Council: the founder's account, whose key nobody holds, gives its own roles back.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy_eips::eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256, address, bytes, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use anyhow::{Context, Result, bail, ensure};
use chain::{
    block::Header,
    executor::sandbox::Sandbox,
    genesis::{self, Genesis, GenesisAccount},
    spec::{ChainSpec, CliqueConfig, DEFAULT_EPOCH, Forks},
};
use contracts::{
    abi::{AccessManager, Directory, InstitutionRegistry, TimelockController, creation_code},
    networks::{
        self, ACCESS_MANAGER, COUNCIL, Contract, DIRECTORY, FOUNDER, INSTITUTION_REGISTRY, LENS,
        MODULES, OTHERS, TIMELOCK_CONTROLLER,
    },
    roles::manager,
    typed_data::Application,
};
use serde::Deserialize;

/// The CREATE2 deployer that Foundry expects on every chain; its own deployment transaction could not pass the RPC.
const CREATE2_DEPLOYER: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");
const CREATE2_DEPLOYER_CODE: Bytes = bytes!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

/// Which role may call which restricted function, and which contract holds which role: one table for Solidity and Rust.
const ROLES: &str = include_str!("contracts/deploy/roles.tsv");

/// The three institutions of the built-in network, the same for Solidity and Rust.
const DEV_FOUNDERS: &str = include_str!("contracts/deploy/founders.dev.json");

/// Institutions founded together count as accredited (`contracts.md` section 3.1).
const FOUNDING_TIER: u8 = 2;

/// Seconds of a day in every network that people rely on; only a demonstration may shorten it.
pub(crate) const DAY_SECS: u64 = 86_400;

/// An institution that is there from the first block.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Founder {
    /// Random id, 16 bytes.
    pub(crate) id: FixedBytes<16>,
    /// 1 provider, 2 research, 3 service, 4 customer, 5 supervisor.
    pub(crate) kind: u8,
    /// Institutions of one group never vouch for or judge one another; 0 = none.
    pub(crate) group: u32,
    /// Public register, such as `GLN`.
    pub(crate) legal_scheme: String,
    /// Its number there.
    pub(crate) legal_value: String,
    /// Public name.
    pub(crate) name: String,
    /// Address of its edge; may be empty until the edge announces itself.
    #[serde(default)]
    pub(crate) endpoint: String,
    /// The account that acts for it.
    pub(crate) account: Address,
}

/// What a network is made of.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// EIP-155 chain id, also the network id.
    pub(crate) chain_id: u64,
    /// Seconds between blocks; 0 = a block when there is work.
    pub(crate) period_secs: u64,
    /// Who seals.
    pub(crate) signers: Vec<Address>,
    /// Gas of a block.
    pub(crate) gas_limit: u64,
    /// Seconds since 1970 of block 0.
    pub(crate) timestamp: u64,
    /// Accounts with a balance, in wei.
    pub(crate) alloc: BTreeMap<Address, U256>,
    /// The first institutions, at least three; without any the network carries no contracts of ours.
    pub(crate) founders: Vec<Founder>,
    /// Who may stop a module for a day.
    pub(crate) guardian: Address,
    /// Seconds of a "day" in all periods of the contracts.
    pub(crate) day_secs: u64,
}

impl Network {
    /// The built-in network of `msnet node --dev`: ten funded test accounts, three institutions, the first account seals.
    pub(crate) fn dev() -> Self {
        let accounts = test_accounts();
        let founders = serde_json::from_str(DEV_FOUNDERS).expect("the committed founders read");
        Self {
            chain_id: 1337,
            period_secs: 1,
            signers: vec![accounts[0]],
            gas_limit: 1_000_000_000,
            // AccessManager takes what was granted at time 0 for not granted, and block 0 must see its founders' keys
            timestamp: 1,
            alloc: accounts.iter().map(|&account| (account, ether(10_000))).collect(),
            founders,
            guardian: accounts[9],
            day_secs: DAY_SECS,
        }
    }

    /// The network as geth genesis JSON.
    ///
    /// # Errors
    /// If a constructor or a founding call fails, with the revert data, or the result would not run.
    pub(crate) fn to_genesis(&self) -> Result<Vec<u8>> {
        let spec = self.spec();
        let mut alloc = system_accounts();
        for (&account, &balance) in &self.alloc {
            alloc.entry(account).or_default().balance = balance;
        }
        if !self.founders.is_empty() {
            alloc.extend(self.found(&spec)?);
        }
        let genesis = Genesis::new(spec, self.header(), alloc);
        genesis.validate_runnable().context("the finished genesis would not run")?;
        Ok(genesis::to_json(&genesis))
    }

    /// All forks from the start, Clique, gas that costs nothing; votes of finality come with a later version.
    fn spec(&self) -> ChainSpec {
        ChainSpec {
            chain_id: self.chain_id,
            forks: Forks::all_at_genesis(),
            clique: Some(CliqueConfig { period_secs: self.period_secs, epoch: DEFAULT_EPOCH }),
            terminal_total_difficulty: None,
            has_msnet_section: true,
            finality: false,
            zero_base_fee: true,
        }
    }

    /// Block 0, its roots aside: the signers stand in `extra_data` between vanity and seal (EIP-225).
    fn header(&self) -> Header {
        let signers: BTreeSet<Address> = self.signers.iter().copied().collect();
        let listed = signers.iter().flat_map(|signer| signer.to_vec()).collect();
        Header {
            timestamp: self.timestamp,
            extra_data: [vec![0; 32], listed, vec![0; 65]].concat().into(),
            gas_limit: self.gas_limit,
            difficulty: U256::from(1),
            base_fee_per_gas: Some(0),
            ..Header::default()
        }
    }

    /// Runs the constructors and the founding calls; returns the contracts' accounts.
    fn found(&self, spec: &ChainSpec) -> Result<BTreeMap<Address, GenesisAccount>> {
        ensure!(
            self.timestamp > 0,
            "a network with contracts begins after time 0, at which AccessManager grants nothing"
        );
        let mut evm = Sandbox::new(spec, self.timestamp, 0)?;
        let mut build = |name: &str, at: Address, arguments: Vec<u8>| -> Result<()> {
            let code = [
                creation_code(name).with_context(|| format!("no bytecode of {name}"))?.to_vec(),
                arguments,
            ]
            .concat();
            evm.construct_at(at, code.into(), FOUNDER)
                .with_context(|| format!("the constructor of {name} failed"))
        };
        build("AccessManager", ACCESS_MANAGER, (FOUNDER,).abi_encode_params())?;
        build("Directory", DIRECTORY, (ACCESS_MANAGER, self.day_secs).abi_encode_params())?;
        for Contract { name, address } in MODULES {
            build(name, address, (ACCESS_MANAGER, DIRECTORY).abi_encode_params())?;
        }
        let council = vec![COUNCIL];
        let arguments = (U256::from(self.delay_secs()), council.clone(), council, FOUNDER);
        build("TimelockController", TIMELOCK_CONTROLLER, arguments.abi_encode_params())?;
        build("Lens", LENS, (DIRECTORY,).abi_encode_params())?;
        let mut call = |what: &str, to: Address, data: Vec<u8>| -> Result<()> {
            evm.call(FOUNDER, to, data.into())
                .map(|_| ())
                .with_context(|| format!("founding call failed: {what}"))
        };
        for (what, to, data) in self.founding_calls()? {
            call(&what, to, data)?;
        }
        let ours = |address: &Address| networks::all().any(|contract| contract.address == *address);
        Ok(evm.into_alloc()?.into_iter().filter(|(address, _)| ours(address)).collect())
    }

    /// How long the timelock holds what was voted, and how long a new role waits: two days of the network.
    fn delay_secs(&self) -> u32 {
        u32::try_from(2 * self.day_secs).expect("a day is at most 86 400 s")
    }

    /// Every call after the constructors, in order: names, roles, founders, hand-over.
    fn founding_calls(&self) -> Result<Vec<(String, Address, Vec<u8>)>> {
        let mut calls = Vec::new();
        for Contract { name, address } in MODULES.into_iter().chain(OTHERS) {
            let mut word = [0; 32];
            word[..name.len()].copy_from_slice(name.as_bytes());
            let set = Directory::setCall { name: B256::from(word), target: address };
            calls.push((format!("Directory.set {name}"), DIRECTORY, set.abi_encode()));
        }
        let grant = |role: u64, account: Address| {
            AccessManager::grantRoleCall { roleId: role, account, executionDelay: 0 }.abi_encode()
        };
        for row in role_table()? {
            let (what, data) = match row {
                RoleRow::Function { contract, signature, role } => (
                    format!("{}.{signature} for role {role}", contract.name),
                    AccessManager::setTargetFunctionRoleCall {
                        target: contract.address,
                        selectors: vec![FixedBytes::from_slice(&keccak256(signature)[..4])],
                        roleId: role,
                    }
                    .abi_encode(),
                ),
                RoleRow::Member { contract, role } => {
                    (format!("role {role} to {}", contract.name), grant(role, contract.address))
                }
            };
            calls.push((what, ACCESS_MANAGER, data));
        }
        let founder = ("role FOUNDER to the founder", grant(manager::FOUNDER, FOUNDER));
        calls.push((founder.0.into(), ACCESS_MANAGER, founder.1));
        let list = self.founders.iter().map(Founder::application).collect();
        let found = InstitutionRegistry::foundCall { list, tier: FOUNDING_TIER };
        calls.push(("found".into(), INSTITUTION_REGISTRY, found.abi_encode()));
        calls.extend(self.hand_over());
        Ok(calls)
    }

    /// Everything to the timelock and the guardian; the founder keeps nothing.
    fn hand_over(&self) -> Vec<(String, Address, Vec<u8>)> {
        let mut calls = Vec::new();
        let mut timelock = |what: &str, data: Vec<u8>| {
            calls.push((format!("timelock: {what}"), TIMELOCK_CONTROLLER, data));
        };
        let canceller = keccak256("CANCELLER_ROLE");
        let grant = TimelockController::grantRoleCall { role: canceller, account: self.guardian };
        timelock("the guardian may cancel", grant.abi_encode());
        let renounce =
            TimelockController::renounceRoleCall { role: B256::ZERO, callerConfirmation: FOUNDER };
        timelock("the founder administers no more", renounce.abi_encode());

        let mut manage = |what: String, data: Vec<u8>| calls.push((what, ACCESS_MANAGER, data));
        let holders = [
            (manager::GUARDIAN, self.guardian),
            (manager::GOVERNANCE, TIMELOCK_CONTROLLER),
            (manager::ADMIN, TIMELOCK_CONTROLLER),
        ];
        for (role, account) in holders {
            let grant = AccessManager::grantRoleCall { roleId: role, account, executionDelay: 0 };
            manage(format!("role {role} to {account}"), grant.abi_encode());
        }
        let delay = self.delay_secs();
        for role in manager::ALL {
            let call = AccessManager::setGrantDelayCall { roleId: role, newDelay: delay };
            manage(format!("grants of role {role} wait"), call.abi_encode());
        }
        for target in [DIRECTORY].into_iter().chain(MODULES.map(|module| module.address)) {
            let call = AccessManager::setTargetAdminDelayCall { target, newDelay: delay };
            manage(format!("changes to {target} wait"), call.abi_encode());
        }
        for role in [manager::FOUNDER, manager::ADMIN] {
            let data =
                AccessManager::renounceRoleCall { roleId: role, callerConfirmation: FOUNDER }
                    .abi_encode();
            manage(format!("the founder gives role {role} back"), data);
        }
        calls
    }
}

impl Founder {
    fn application(&self) -> Application {
        Application {
            id: self.id,
            kind: self.kind,
            group: self.group,
            legalHash: keccak256(
                (self.legal_scheme.as_str(), self.legal_value.as_str()).abi_encode_params(),
            ),
            name: self.name.clone(),
            endpoint: self.endpoint.clone(),
            account: self.account,
            salt: keccak256(self.id),
        }
    }
}

/// The ten accounts of the public test phrase.
fn test_accounts() -> Vec<Address> {
    let address =
        |key: &node::config::SignerKey| key.address().expect("the published keys are keys");
    node::dev_accounts::keys().iter().map(address).collect()
}

/// A number of ether in wei.
pub(crate) fn ether(count: u64) -> U256 {
    U256::from(count) * U256::from(10).pow(U256::from(18))
}

fn system_accounts() -> BTreeMap<Address, GenesisAccount> {
    let contract = |code: Bytes| GenesisAccount { nonce: 1, code, ..GenesisAccount::default() };
    BTreeMap::from([
        (HISTORY_STORAGE_ADDRESS, contract(HISTORY_STORAGE_CODE.clone())),
        (CREATE2_DEPLOYER, contract(CREATE2_DEPLOYER_CODE)),
    ])
}

enum RoleRow<'a> {
    Function { contract: Contract, signature: &'a str, role: u64 },
    Member { contract: Contract, role: u64 },
}

/// Reads the role table: `function <contract> <signature> <role>` and `member <contract> - <role>`, tab-separated.
fn role_table() -> Result<Vec<RoleRow<'static>>> {
    let mut rows = Vec::new();
    for (index, line) in ROLES.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let row = || format!("contracts/deploy/roles.tsv line {}", index + 1);
        let [what, name, signature, role] = line.split('\t').collect::<Vec<_>>()[..] else {
            bail!("{}: four columns are expected", row());
        };
        let contract = MODULES
            .into_iter()
            .chain([Contract { name: "Directory", address: DIRECTORY }])
            .find(|contract| contract.name == name)
            .with_context(|| format!("{}: there is no contract {name}", row()))?;
        let role = role.parse().with_context(|| format!("{}: {role} is no role id", row()))?;
        rows.push(match what {
            "function" => RoleRow::Function { contract, signature, role },
            "member" => RoleRow::Member { contract, role },
            other => bail!("{}: {other} is neither function nor member", row()),
        });
    }
    Ok(rows)
}

/// What else can be done with a genesis.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum GenesisVerb {
    /// Prints hash and state root of block 0 of any genesis file (geth's JSON).
    Hash {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Makes a network file: contracts, founders and roles inside, the same bytes for every member.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct GenesisArgs {
    #[command(subcommand)]
    verb: Option<GenesisVerb>,
    /// `dev` is the built-in network of `msnet node --dev`; `consortium` takes everything from the flags.
    #[arg(long, default_value = "consortium", value_parser = ["dev", "consortium"])]
    network: String,
    /// Chain id (EIP-155), also the network id.
    #[arg(long, required_if_eq("network", "consortium"))]
    chainid: Option<u64>,
    /// Seconds between blocks.
    #[arg(long, default_value_t = 2)]
    period: u64,
    /// Account that seals; once per signer.
    #[arg(long, value_name = "ADDRESS", required_if_eq("network", "consortium"))]
    signer: Vec<Address>,
    /// Gas of a block.
    #[arg(long, default_value_t = 400_000_000)]
    gaslimit: u64,
    /// Seconds since 1970 of block 0; now unless given.
    #[arg(long)]
    timestamp: Option<u64>,
    /// An account with a balance in wei, as ADDRESS=WEI; once per account.
    #[arg(long, value_name = "ADDRESS=WEI", value_parser = parse_alloc)]
    alloc: Vec<(Address, U256)>,
    /// JSON list of the first institutions, three or more; without it the network carries no contracts of msnet's.
    #[arg(long, value_name = "FILE")]
    founders: Option<PathBuf>,
    /// Who may stop a contract for a day.
    #[arg(long, value_name = "ADDRESS", requires = "founders")]
    guardian: Option<Address>,
    /// Seconds of a "day" in the contracts' periods; shorter than 86400 only for demonstrations, 240 at least.
    #[arg(long, default_value_t = DAY_SECS, value_parser = clap::value_parser!(u64).range(240..=DAY_SECS))]
    day: u64,
    /// Where to write it; standard output unless given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn parse_alloc(text: &str) -> Result<(Address, U256), String> {
    let (account, balance) = text.split_once('=').ok_or("expected ADDRESS=WEI")?;
    Ok((account.parse().map_err(|e| format!("{e}"))?, balance.parse().map_err(|e| format!("{e}"))?))
}

/// Runs `msnet genesis`.
///
/// # Errors
/// If a genesis to hash is none, the founders' file cannot be read, the network cannot be made, or the result cannot be written.
pub(crate) fn run(args: GenesisArgs) -> Result<()> {
    if let Some(GenesisVerb::Hash { file }) = &args.verb {
        return Ok(std::io::stdout().write_all(node::network::hash(file)?.as_bytes())?);
    }
    let network = if args.network == "dev" { Network::dev() } else { from_args(&args)? };
    if args.network != "dev" && network.signers.len() < 4 {
        writeln!(
            std::io::stderr(),
            "warning: fewer than four signers; one that fails or lies can stop or split the chain"
        )?;
    }
    let bytes = network.to_genesis()?;
    match &args.out {
        Some(path) => {
            fs::write(path, &bytes).with_context(|| format!("cannot write {}", path.display()))
        }
        None => Ok(std::io::stdout().write_all(&bytes)?),
    }
}

fn from_args(args: &GenesisArgs) -> Result<Network> {
    let founders = match &args.founders {
        None => Vec::new(),
        Some(path) => {
            let bytes =
                fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            serde_json::from_slice(&bytes).with_context(|| {
                format!("{} is not a list of founding institutions", path.display())
            })?
        }
    };
    if args.founders.is_some() && args.guardian.is_none() {
        bail!("a network with contracts needs --guardian: who may stop one of them for a day");
    }
    Ok(Network {
        chain_id: args.chainid.context("--chainid is needed")?,
        period_secs: args.period,
        signers: args.signer.clone(),
        gas_limit: args.gaslimit,
        timestamp: match args.timestamp {
            Some(timestamp) => timestamp,
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .context("the clock stands before 1970")?
                .as_secs(),
        },
        alloc: args.alloc.iter().copied().collect(),
        founders,
        guardian: args.guardian.unwrap_or_default(),
        day_secs: args.day,
    })
}
