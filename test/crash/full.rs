//! C4 of design/security.md: a real disk, a small one in memory, fills in steps of 8 MiB and is freed again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::{Value, json};

use super::{Client, FIRST};
use crate::harness::{Running, eventually, free_port, quantity, text};

/// Size of the disk.
const DISK: &str = "size=128m";
const STEP_BYTES: usize = 8 * 1024 * 1024;

/// A file system in memory; unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    /// `None` if this user may not mount.
    fn new(folder: &Path) -> Option<Self> {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", DISK, "tmpfs", text(folder)])
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success()).then(|| Self(folder.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_makes_the_node_read_only_until_there_is_space() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mount) = Mount::new(folder.path()) else {
        eprintln!("skipped: a full disk, since this user may not mount one");
        return;
    };
    // Once at the limit, once when nothing fits any more.
    for needs in ["64", "0"] {
        let datadir = mount.0.join(format!("node-{needs}"));
        check(&mount.0, &datadir, needs);
    }
}

fn check(disk: &Path, datadir: &Path, needs: &str) {
    let port = free_port().to_string();
    let _node = Running::start(&[
        "node",
        "--dev",
        "--dev.period",
        "0",
        "--http.port",
        &port,
        "--datadir",
        text(datadir),
        "--datadir.minfreedisk",
        needs,
    ]);
    let client = Client::new(&port);
    client.wait(Instant::now());
    let head = || quantity(&client.result("eth_blockNumber", &json!([])).expect("reads go on"));
    let sent = client.send_one_wei().expect("it runs");
    assert!(sent.get("error").is_none(), "{sent}");
    eventually("a block", || (head() >= 1).then_some(()));

    let mut steps = 0;
    let refusal = eventually("a refusal", || {
        let file = disk.join(format!("fill-{steps}"));
        // Short at the end: what fits is written.
        let _ = fs::write(file, vec![1; STEP_BYTES]);
        steps += 1;
        refused(&client)
    });
    assert_eq!(refusal["code"], json!(-32000), "{refusal}");
    let message = refusal["message"].as_str().expect("a text");
    assert!(message.starts_with("read-only: "), "{message}");
    assert!(message.ends_with(&format!(" MiB free, needs {needs} MiB")), "{message}");
    let stood = head();
    let balance = client.result("eth_getBalance", &json!([FIRST, "latest"])).expect("it runs");
    assert!(balance.as_str().is_some_and(|balance| balance.len() > 10), "{balance}");
    assert!(refused(&client).is_some(), "and stays read-only");
    assert_eq!(head(), stood);

    for step in 0..steps {
        fs::remove_file(disk.join(format!("fill-{step}"))).expect("our own file");
    }
    let freed = Instant::now();
    eventually("space again", || refused(&client).is_none().then_some(()));
    eventually("a block on it", || (head() > stood).then_some(()));
    eprintln!("needs {needs} MiB: read-only after {steps} steps, back {:?} after", freed.elapsed());
}

/// The error of a transaction that is not taken.
fn refused(client: &Client) -> Option<Value> {
    client.send_one_wei().expect("it runs").get("error").cloned()
}
