//! Which network a data folder belongs to: `msnet init`, `dumpgenesis`, `genesis hash`, and the file they keep.
//!
//! `<datadir>/msnet/genesis.json` holds the genesis as it was given, so that every other command needs the folder alone.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use chain::{
    blockchain::{Blockchain, Storage},
    disk::{Disk, OsDisk},
    error::ChainError,
    genesis::{Genesis, MAX_FILE_BYTES},
};
use clap::Args;

use crate::{error::NodeError, service::STORE_FOLDER};

/// The genesis of a data folder, in its folder `msnet`.
pub const GENESIS_FILE: &str = "genesis.json";

/// `msnet init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The network's genesis (geth's JSON)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The folder to keep the chain in; made if it is not there
    #[arg(long, env = "MSNET_DATADIR", value_name = "FOLDER")]
    pub datadir: PathBuf,
}

/// `msnet dumpgenesis`
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct DumpGenesisArgs {
    /// The genesis that this data folder was made with
    #[arg(long, env = "MSNET_DATADIR", value_name = "FOLDER")]
    pub datadir: Option<PathBuf>,
    /// The genesis of a built-in network
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
}

/// Stores a genesis in a data folder; a second time with the same network it does nothing but take over what may be
/// edited. The answer is what to print.
///
/// # Errors
/// [`NodeError::BadGenesis`] if the file is none that can run; [`ChainError::IncompatibleGenesis`] if the folder belongs
/// to another network; what the store says.
pub fn init(args: &InitArgs) -> Result<String, NodeError> {
    let bytes = read_genesis(&args.file)?;
    let genesis = Genesis::from_json(&bytes)?;
    genesis
        .validate_runnable()
        .map_err(|source| NodeError::BadGenesis { path: args.file.clone(), source })?;
    let folder = args.datadir.join(STORE_FOLDER);
    Blockchain::open(&genesis, Storage::Dir(folder.clone()))?.close()?;
    remember(&OsDisk, &folder, &bytes)?;
    let warnings = genesis.warnings.iter().map(|warning| format!("warning: {warning}\n"));
    Ok(format!(
        "{}Successfully wrote genesis state hash={} datadir={}\n",
        warnings.collect::<String>(),
        genesis.hash(),
        args.datadir.display()
    ))
}

/// The genesis of a data folder or of a built-in network, as it was given.
///
/// # Errors
/// [`NodeError::UnknownNetwork`], [`NodeError::NoGenesis`], [`NodeError::Unreadable`].
pub fn dump(
    args: &DumpGenesisArgs,
    built_in: impl Fn(&str) -> Option<Vec<u8>>,
) -> Result<Vec<u8>, NodeError> {
    match (&args.network, &args.datadir) {
        (Some(name), _) => built_in(name).ok_or_else(|| NodeError::UnknownNetwork(name.to_owned())),
        (None, Some(datadir)) => {
            remembered(datadir)?.ok_or_else(|| NodeError::NoGenesis { datadir: datadir.clone() })
        }
        (None, None) => Err(NodeError::NoNetwork),
    }
}

/// What block 0 of any genesis file hashes to, whether this program could run it or not.
///
/// # Errors
/// [`NodeError::BadGenesis`], [`NodeError::Unreadable`].
pub fn hash(file: &Path) -> Result<String, NodeError> {
    let genesis = Genesis::from_json(&read_genesis(file)?)?;
    Ok(format!("hash:       {}\nstate root: {}\n", genesis.hash(), genesis.header.state_root))
}

/// A genesis file's bytes, once it is known to read.
///
/// # Errors
/// [`NodeError::BadGenesis`], [`NodeError::Unreadable`].
pub fn read_genesis(path: &Path) -> Result<Vec<u8>, NodeError> {
    let failed =
        |source| NodeError::Unreadable { what: "the genesis", path: path.to_owned(), source };
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > MAX_FILE_BYTES as u64 {
        return Err(failed(io::Error::other("it is larger than 256 MiB")));
    }
    let bytes = fs::read(path).map_err(failed)?;
    Genesis::from_json(&bytes)
        .map_err(|source| NodeError::BadGenesis { path: path.to_owned(), source })?;
    Ok(bytes)
}

/// The genesis that a data folder was made with, if it was.
///
/// # Errors
/// [`NodeError::BadGenesis`], [`NodeError::Unreadable`].
pub fn remembered(datadir: &Path) -> Result<Option<Vec<u8>>, NodeError> {
    let path = datadir.join(STORE_FOLDER).join(GENESIS_FILE);
    if path.exists() { read_genesis(&path).map(Some) } else { Ok(None) }
}

/// Keeps the genesis beside the chain in `folder` that was opened with it.
///
/// # Errors
/// [`ChainError::Io`].
pub fn remember(disk: &dyn Disk, folder: &Path, genesis: &[u8]) -> Result<(), NodeError> {
    let path = folder.join(GENESIS_FILE);
    if disk.read(&path).is_ok_and(|there| there == genesis) {
        return Ok(());
    }
    disk.replace(&path, genesis)
        .map_err(|source| ChainError::Io { doing: "write", path, source }.into())
}

/// The network of a data folder that was made before.
///
/// # Errors
/// [`NodeError::NoGenesis`], [`NodeError::BadGenesis`], [`NodeError::Unreadable`].
pub fn genesis_of(datadir: &Path) -> Result<Genesis, NodeError> {
    let bytes =
        remembered(datadir)?.ok_or_else(|| NodeError::NoGenesis { datadir: datadir.to_owned() })?;
    Ok(Genesis::from_json(&bytes)?)
}

/// The chain of a data folder that was made before. Its lock is held until it is closed.
///
/// # Errors
/// As [`genesis_of`]; [`NodeError::Chain`] if the folder is in use or damaged.
pub fn open_chain(datadir: &Path) -> Result<Blockchain, NodeError> {
    let genesis = genesis_of(datadir)?;
    Ok(Blockchain::open(&genesis, Storage::Dir(datadir.join(STORE_FOLDER)))?)
}
