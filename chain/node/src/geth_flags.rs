//! geth's flags that mean nothing here: whoever pastes geth's command line reads what to do instead.
//!
//! Those that mean something are flags of `msnet node`, by geth's names. A name that ends with a dot stands for all flags
//! that begin with it.

/// Flags, and what to do about them.
const FLAGS: [(&[&str], &str); 17] = [
    (
        &["authrpc.", "override.terminaltotaldifficulty", "beacon."],
        "leave it out: Clique seals by itself, so there is no engine API; tokens for JSON-RPC are --rpc.jwtsecret FILE",
    ),
    (
        &["http.rpcprefix", "ws.rpcprefix"],
        "leave it out: JSON-RPC answers at / alone; a proxy in front may have another path",
    ),
    (
        &["miner.etherbase", "etherbase", "miner.threads", "minerthreads"],
        "leave it out: blocks are sealed by the account of --unlock, on one thread",
    ),
    (
        &["miner.recommit", "miner.newpayload-timeout", "miner.noverify", "miner.notify"],
        "leave it out: a block stands open from the moment its parent is head",
    ),
    (
        &["personal", "rpc.enabledeprecatedpersonal"],
        "leave it out: keys sign for no caller; msnet account makes and changes them",
    ),
    (&["rpc.global-gascap"], "say --rpc.gascap"),
    (&["rpc.global-evm-timeout"], "say --rpc.evmtimeout"),
    (
        &["rpc", "rpcaddr", "rpcport", "rpcapi", "rpccorsdomain", "rpcvhosts"],
        "say --http, --http.addr, --http.port, --http.api, --http.corsdomain, --http.vhosts",
    ),
    (
        &["wsaddr", "wsport", "wsapi", "wsorigins"],
        "say --ws.addr, --ws.port, --ws.api, --ws.origins",
    ),
    (&["graphql", "graphql."], "leave it out: there is no GraphQL, ask JSON-RPC"),
    (
        &["jspath", "exec", "preload"],
        "leave it out: there is no JavaScript console; cast and every other client speak to the same node",
    ),
    (
        &["mainnet", "sepolia", "goerli", "holesky", "ropsten", "rinkeby"],
        "name a network with --genesis FILE, or run msnet init FILE --datadir FOLDER once",
    ),
    (
        &[
            "state.scheme",
            "db.engine",
            "snapshot",
            "cache.snapshot",
            "cache.trie",
            "cache.gc",
            "cache.database",
            "cache.noprefetch",
            "cache.preimages",
            "cache.blocklogs",
            "cache.trie.",
            "datadir.ancient",
            "remotedb",
            "nousb",
            "usb",
            "pcscdpath",
        ],
        "leave it out: there is one way of storing; --cache says how much memory it may use",
    ),
    (
        &[
            "txlookuplimit",
            "history.transactions",
            "light.",
            "lightserv",
            "lightpeers",
            "ulc.",
            "les.",
        ],
        "leave it out: every transaction is found; --history.state says how far back state is read",
    ),
    (
        &["gpo."],
        "leave it out: the price is sampled as geth does by default; --miner.gasprice is its floor",
    ),
    (
        &[
            "pprof",
            "pprof.",
            "memprofilerate",
            "blockprofilerate",
            "cpuprofile",
            "trace",
            "go-execution-trace",
        ],
        "leave it out: --metrics shows how the node fares",
    ),
    (
        &[
            "ethstats",
            "identity",
            "exitwhensynced",
            "vmdebug",
            "fakepow",
            "log.",
            "vmodule",
            "debug",
        ],
        "leave it out; --verbosity says how much is logged, --log.json how",
    ),
];

/// What to do about a flag of geth's, if it is one that means nothing here. The name comes without hyphens in front.
pub fn advice(name: &str) -> Option<&'static str> {
    let is_meant = |known: &&str| match known.strip_suffix('.') {
        Some(_) => name.starts_with(*known),
        None => name == *known,
    };
    FLAGS.iter().find(|(flags, _)| flags.iter().any(is_meant)).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geths_flags_say_what_to_do() {
        for (name, word) in [
            ("authrpc.port", "engine API"),
            ("authrpc.jwtsecret", "--rpc.jwtsecret"),
            ("miner.etherbase", "--unlock"),
            ("rpcport", "--http.port"),
            ("wsorigins", "--ws.origins"),
            ("gpo.blocks", "--miner.gasprice"),
            ("sepolia", "--genesis"),
            ("pprof", "--metrics"),
        ] {
            assert!(advice(name).is_some_and(|text| text.contains(word)), "{name}");
        }
        for name in ["http", "htp", "rp", "authrpc", "authrpcport"] {
            assert_eq!(advice(name), None, "{name}");
        }
    }
}
