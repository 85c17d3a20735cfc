//! Starts the built program and waits for conditions with a deadline. Nothing here measures time.

pub(crate) mod openrpc;

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// The longest that any wait of a test lasts: a machine under load is slow, a hang is longer.
const DEADLINE: Duration = Duration::from_secs(120);

/// The program as cargo built it for this test.
pub(crate) fn msnet(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msnet"));
    command.args(arguments).env("NO_COLOR", "1").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// A finished run: its exit and what it printed.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program to its end, or fails the test at the deadline.
pub(crate) fn run(arguments: &[&str]) -> Finished {
    let mut running = Running::start(arguments);
    let status = running.wait();
    let stdout = running.lines.iter().collect::<Vec<_>>().join("\n");
    Finished { status, stdout, stderr: running.stderr() }
}

/// The program while it runs; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    errors: Receiver<String>,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = msnet(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let lines = reader(child.stdout.take().expect("piped"));
        let errors = reader(child.stderr.take().expect("piped"));
        Self { child, lines, errors }
    }

    /// The next line of output that satisfies the question.
    pub(crate) fn line(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + DEADLINE;
        let mut seen = Vec::new();
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            match self.lines.recv_timeout(left) {
                Ok(line) if wanted(&line) => return line,
                Ok(line) => seen.push(line),
                Err(_) => break,
            }
        }
        panic!("no line with {what}; output: {seen:#?}; errors: {}", self.stderr());
    }

    /// Its process number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        signal(self.child.id(), "-INT");
    }

    /// Kills it at once, as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return status;
            }
            assert!(Instant::now() < until, "the program did not end; errors: {}", self.stderr());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn stderr(&self) -> String {
        // a moment for the reader of a pipe that has just closed
        let mut text = Vec::new();
        while let Ok(line) = self.errors.recv_timeout(Duration::from_millis(200)) {
            text.push(line);
        }
        text.join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Sends a process of ours a signal.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([name, &pid.to_string()]).status().expect("kill runs");
    assert!(status.success(), "kill {name} {pid}");
}

fn reader(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    receive
}

/// A port that nobody listens on at this moment.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("loopback")
        .port()
}

/// One JSON-RPC call over HTTP; an error answer fails the test.
pub(crate) fn rpc(url: &str, method: &str, params: Value) -> Value {
    let answer =
        try_rpc(url, method, params.clone()).unwrap_or_else(|error| panic!("{method}: {error}"));
    assert!(answer.get("error").is_none(), "{method} {params}: {answer}");
    answer["result"].clone()
}

/// One JSON-RPC call, its whole answer.
pub(crate) fn try_rpc(url: &str, method: &str, params: Value) -> Result<Value, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client =
            reqwest::Client::builder().timeout(DEADLINE).build().map_err(|e| e.to_string())?;
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = client.post(url).json(&body).send().await.map_err(|e| e.to_string())?;
        let answer: Value = answer.json().await.map_err(|e| e.to_string())?;
        openrpc::judge(method, &body["params"], &answer);
        Ok(answer)
    })
}

/// Text of a GET.
pub(crate) fn get(url: &str) -> String {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = reqwest::Client::builder().timeout(DEADLINE).build().expect("a client");
        client.get(url).send().await.expect("an answer").text().await.expect("text")
    })
}

/// A quantity as JSON-RPC writes it.
pub(crate) fn quantity(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is not a quantity"));
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a quantity")
}

/// Waits until the answer satisfies the question.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "{what} did not come true");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("test folders have plain names")
}
