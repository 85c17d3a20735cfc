//! `cargo run --release -p edge --example standardize -- FILE…`: FHIR R4 as NDJSON on stdout, counts on stderr.
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let report = edge::standardize::cli(&files, &mut out)?;
    eprintln!("{report:#?}");
    Ok(())
}
