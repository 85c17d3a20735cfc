//! Files of the command line, read within bounds: `-` is standard input, `.gz` is unpacked.
use crate::error::EdgeError;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest file that is read in one piece, packed or unpacked: the largest Bundle.
pub const MAX_FILE_BYTES: usize = super::MAX_BUNDLE_BYTES;
/// How many times larger than its packed form a file may be, after the first MiB.
const MAX_GZIP_RATIO: usize = 100;
/// What may be unpacked before the ratio counts.
const FREE_BYTES: usize = 1 << 20;

/// Reads a file whole.
///
/// # Errors
/// [`EdgeError::Input`] if it is not there, is a folder, is too large, or unpacks to far more than it is; [`EdgeError::Io`]
/// if the system cannot read it.
pub fn read(path: &Path) -> Result<Vec<u8>, EdgeError> {
    let name = path.display().to_string();
    let packed = if path == Path::new("-") {
        bounded(io::stdin().lock(), MAX_FILE_BYTES)
    } else {
        if path.is_dir() {
            let fix = "name the files in it, such as FOLDER/*";
            return Err(EdgeError::input("this is a folder", name, fix));
        }
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                EdgeError::input("there is no such file", &name, "check the path")
            }
            _ => EdgeError::io(path, error),
        })?;
        bounded(file, MAX_FILE_BYTES)
    };
    let too_large = || {
        let what = format!("the file is larger than {} MiB", MAX_FILE_BYTES >> 20);
        EdgeError::input(what, &name, "cut it into smaller files")
    };
    let packed = packed.map_err(|error| EdgeError::io(path, error))?.ok_or_else(too_large)?;
    if !name.ends_with(".gz") {
        return Ok(packed);
    }
    let limit = packed.len().saturating_mul(MAX_GZIP_RATIO).clamp(FREE_BYTES, MAX_FILE_BYTES);
    match bounded(MultiGzDecoder::new(packed.as_slice()), limit) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) if limit == MAX_FILE_BYTES => Err(too_large()),
        Ok(None) => Err(EdgeError::input(
            format!("the file unpacks to more than {MAX_GZIP_RATIO} times its size"),
            name,
            "unpack it yourself if you trust it",
        )),
        Err(error) => {
            Err(EdgeError::input(format!("not gzip: {error}"), name, "pack it again, or rename it"))
        }
    }
}

/// The name that tells a file's form: without `.gz`.
pub fn form_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.strip_suffix(".gz").map(str::to_owned).unwrap_or(name)
}

/// All bytes, or `None` if there are more than `limit`.
fn bounded(source: impl Read, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut out = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    source.take(most).read_to_end(&mut out)?;
    Ok((out.len() <= limit).then_some(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        out.write_all(bytes).expect("memory");
        out.finish().expect("memory")
    }

    #[test]
    fn files_are_read_within_bounds() {
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("write");
            path
        };
        assert_eq!(read(&at("plain", b"MSH|")).expect("plain"), b"MSH|");
        assert_eq!(read(&at("a.hl7.gz", &packed(b"MSH|"))).expect("packed"), b"MSH|");
        assert_eq!(form_name(Path::new("x/a.hl7.gz")), "a.hl7");
        let bomb = read(&at("bomb.gz", &packed(&vec![0; 8 << 20]))).expect_err("a bomb");
        assert!(bomb.to_string().contains("100 times"), "{bomb}");
        assert!(read(&at("bad.gz", b"MSH|")).is_err());
        let missing = read(&folder.path().join("missing")).expect_err("missing");
        assert_eq!(missing.exit_code(), 2);
        assert_eq!(read(folder.path()).expect_err("folder").exit_code(), 2);
    }
}
