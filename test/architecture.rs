//! The arrows and nevers of ARCHITECTURE.md that can be read off the files.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder with one of these endings, installed packages and build output aside.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("a folder entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !["target", "node_modules", ".git", ".venv", "out", "cache"].contains(&name) {
                found.extend(files(&path, endings));
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The names under `[dependencies]` of a package's manifest.
fn dependencies(manifest: &str) -> Vec<String> {
    let parsed: toml::Table = read(&root().join(manifest)).parse().expect("a manifest is TOML");
    parsed["dependencies"].as_table().expect("dependencies").keys().cloned().collect()
}

/// Source lines without comments, each with its file and number.
fn code(folder: &str) -> Vec<(String, String)> {
    files(&root().join(folder), &[".rs"])
        .iter()
        .flat_map(|path| {
            read(path)
                .lines()
                .enumerate()
                .filter(|(_, line)| !line.trim_start().starts_with("//"))
                .map(|(number, line)| {
                    (format!("{}:{}", path.display(), number + 1), line.to_owned())
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

fn assert_absent(folder: &str, words: &[&str], why: &str) {
    for (place, line) in code(folder) {
        for word in words {
            assert!(!line.contains(word), "{place}: `{word}`: {why}\n    {line}");
        }
    }
}

#[test]
fn packages_depend_only_along_the_arrows() {
    let rooms = ["chain", "node", "rpc", "edge", "contracts"];
    let allowed: [(&str, &[&str]); 5] = [
        ("chain/Cargo.toml", &[]),
        ("contracts/Cargo.toml", &[]),
        ("chain/node/Cargo.toml", &["chain"]),
        ("rpc/Cargo.toml", &["node", "chain", "contracts"]),
        ("edge/Cargo.toml", &["contracts"]),
    ];
    for (manifest, may) in allowed {
        for name in dependencies(manifest) {
            assert!(
                !rooms.contains(&name.as_str()) || may.contains(&name.as_str()),
                "{manifest} depends on {name}, which ARCHITECTURE.md does not draw"
            );
        }
    }
}

#[test]
fn the_ledger_has_no_clock_no_socket_and_no_runtime() {
    let never = ["tokio", "reqwest", "axum", "hyper", "rand", "quanta"];
    for name in dependencies("chain/Cargo.toml") {
        assert!(!never.contains(&name.as_str()), "chain depends on {name}");
    }
    assert_absent(
        "chain/src",
        &["SystemTime::now", "Instant::now", "TcpStream", "async fn", ".await", "thread_rng"],
        "the ledger never awaits, reads a clock, draws a random number or opens a socket",
    );
}

#[test]
fn the_ledger_knows_no_medicine() {
    for (place, line) in code("chain/src") {
        let line = line.to_lowercase();
        for word in ["patient", "fhir", "hospital", "medical", "4d534e4554"] {
            assert!(!line.contains(word), "{place}: `{word}` in the ledger\n    {line}");
        }
    }
}

#[test]
fn the_edge_reaches_the_chain_only_by_json_rpc() {
    assert_absent(
        "edge/src",
        &["use chain::", "use node::", "use rpc::", "chain::blockchain", "node::Node"],
        "the edge knows the chain as an address",
    );
}

/// Nothing named inside a record is ever fetched: what reads records has no way out, and no way to other files.
#[test]
fn what_reads_records_opens_nothing() {
    let never = ["reqwest", "TcpStream", "UdpSocket", "std::net", "tokio", "std::process"];
    for folder in ["ingest", "standardize", "extract", "terminology", "model"] {
        assert_absent(
            &format!("edge/src/{folder}"),
            &never,
            "what a record names is never fetched",
        );
    }
    for (place, line) in code("edge/src/standardize").into_iter().chain(code("edge/src/extract")) {
        let is_test = place.contains("_test.rs") || place.contains("cli.rs");
        assert!(
            is_test || !line.contains("std::fs"),
            "{place}: a record opens no file\n    {line}"
        );
    }
}

#[test]
fn unsafe_code_is_forbidden_in_every_room() {
    for root_file in
        ["chain/node/src/lib.rs", "rpc/src/lib.rs", "edge/src/lib.rs", "contracts/bindings/lib.rs"]
    {
        let text = read(&root().join(root_file));
        assert!(
            text.contains("#![forbid(unsafe_code)]"),
            "{root_file} does not forbid unsafe code"
        );
    }
}

/// The ledger's keccak may use vector instructions; a `forbid` could not be lifted for that one file.
#[test]
fn the_ledger_has_one_file_with_unsafe_code_and_it_is_short() {
    let exempt = root().join("chain/src/state/keccak_x8.rs");
    assert!(read(&root().join("chain/src/lib.rs")).contains("#![deny(unsafe_code)]"));
    for path in files(&root().join("chain/src"), &[".rs"]) {
        let allowed = read(&path).matches("(unsafe_code").count();
        let lib = path.ends_with("src/lib.rs");
        assert_eq!(allowed, usize::from(lib || path == exempt), "{}", path.display());
    }
    assert!(read(&exempt).lines().count() <= 280, "{}", exempt.display());
}

#[test]
fn the_page_loads_nothing_from_elsewhere_and_holds_no_key() {
    for path in files(&root().join("edge/web"), &[".html", ".js", ".css"]) {
        let text = read(&path);
        for word in [
            "src=\"http",
            "href=\"http",
            "import(\"http",
            "from \"http",
            "@import",
            "privateKey",
            "localStorage",
        ] {
            assert!(!text.contains(word), "{}: `{word}`", path.display());
        }
    }
}

#[test]
fn every_data_file_that_ships_is_credited() {
    let data = root().join("edge/data");
    let notice = read(&data.join("NOTICE"));
    for path in files(&data, &[""]) {
        let inside = path.strip_prefix(&data).expect("below data");
        if inside == Path::new("NOTICE") {
            continue;
        }
        let credited = inside
            .ancestors()
            .filter(|part| !part.as_os_str().is_empty())
            .any(|part| notice.contains(&*part.to_string_lossy()));
        assert!(credited, "edge/data/NOTICE does not name {}", inside.display());
    }
}

#[test]
fn nothing_reads_outside_the_repository() {
    let endings = [".rs", ".sol", ".mjs", ".js", ".sh", ".toml", ".json"];
    let outside = ["../", "shared"].concat();
    for path in files(&root(), &endings) {
        let inside = path.strip_prefix(root()).expect("below the root");
        if inside.starts_with("test/vectors")
            || inside.starts_with("test/samples")
            || inside.starts_with("edge/data")
        {
            continue;
        }
        assert!(
            !read(&path).contains(&outside),
            "{} reads outside the repository",
            inside.display()
        );
    }
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let page = read(&root().join("DEPENDENCIES.md"));
    let manifest: toml::Table =
        read(&root().join("Cargo.toml")).parse().expect("a manifest is TOML");
    let rooms = ["chain", "node", "rpc", "edge", "contracts"];
    for name in manifest["workspace"]["dependencies"].as_table().expect("dependencies").keys() {
        assert!(
            rooms.contains(&name.as_str()) || page.contains(&format!("`{name}`")),
            "DEPENDENCIES.md has no line for {name}"
        );
    }
}
