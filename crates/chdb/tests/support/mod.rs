//! A real engine for the tests of this crate, shared by the tests of one binary, and the real clients.
//! What is missing on the machine makes a test fail with the command that installs it.
#![allow(dead_code)] // every test binary uses another part
#![allow(clippy::unwrap_used)] // test code, which clippy does not see in functions without #[test]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tributary_chdb::{Account, EngineConfig, EngineHandle, Supervisor};

/// An engine with its directory; dropped, it stops and leaves nothing behind.
pub struct Engine {
    // Stopped before its directory goes away.
    pub handle: EngineHandle,
    _dir: TempDir,
}

/// The account that may write.
pub const SINK: (&str, &str) = ("sink", "s3cret'\\pass");
/// The account that may only ask.
pub const ANALYST: (&str, &str) = ("analyst", "look");

impl Engine {
    /// Starts an engine of its own for one test.
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// The same with other settings.
    pub fn start_with(change: impl FnOnce(&mut EngineConfig)) -> Self {
        let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let accounts = (Account::new(SINK.0, SINK.1), Account::new(ANALYST.0, ANALYST.1));
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut config = EngineConfig::new(dir.path(), library(), listen, accounts.0, accounts.1);
        change(&mut config);
        let prototype = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tributary-engine"));
            command.arg("child");
            command
        };
        let handle = Supervisor::start(config, prototype).unwrap();
        let engine = Self { handle, _dir: dir };
        runtime().block_on(engine.handle.ready(Duration::from_secs(120))).unwrap();
        engine
    }

    /// The engine that the tests of this binary share; the last one to let go stops it.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Engine>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = shared.upgrade() {
            return engine;
        }
        let engine = Arc::new(Self::start());
        *shared = Arc::downgrade(&engine);
        engine
    }

    /// curl against this engine: `parameters` go to the query string, `arguments` to curl, `body` to its input.
    pub fn curl(&self, who: (&str, &str), parameters: &[(&str, &str)], arguments: &[&str], body: &[u8]) -> Reply {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "120", "--dump-header", "-", "--data-binary", "@-"]);
        command.args(["--header", &format!("X-ClickHouse-User: {}", who.0)]);
        command.args(["--header", &format!("X-ClickHouse-Key: {}", who.1)]);
        let mut url = format!("{}/?", self.handle.url());
        for (name, value) in parameters {
            url.extend([&percent(name), "=", &percent(value), "&"]);
        }
        command.args(arguments).arg(url);
        Reply::read(&run(command, body, "apt-get install curl"))
    }

    /// Runs a statement as the sink and returns its rows; an exception fails the test.
    #[track_caller]
    pub fn sql(&self, statement: &str) -> String {
        let reply = self.curl(SINK, &[], &[], statement.as_bytes());
        assert_eq!(reply.status, 200, "{statement}: {}", reply.text());
        reply.text()
    }

    /// Runs a statement as the analyst.
    pub fn ask(&self, statement: &str) -> Reply {
        self.curl(ANALYST, &[], &[], statement.as_bytes())
    }
}

/// What curl got.
pub struct Reply {
    pub status: u16,
    pub headers: String,
    pub body: Vec<u8>,
    pub curl: Option<i32>,
}

impl Reply {
    fn read(output: &Output) -> Self {
        let mut rest = &output.stdout[..];
        loop {
            let end = find(rest, b"\r\n\r\n").unwrap_or_else(|| {
                panic!("curl: {} {}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout))
            });
            let headers = String::from_utf8_lossy(&rest[..end]).to_ascii_lowercase();
            let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
            rest = &rest[end + 4..];
            // The interim answer to `Expect: 100-continue` comes first.
            if status != 100 {
                return Self { status, headers, body: rest.to_vec(), curl: output.status.code() };
            }
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{}: ", name.to_ascii_lowercase());
        self.headers.lines().find_map(|line| line.strip_prefix(&prefix))
    }

    /// The number of the exception.
    pub fn code(&self) -> Option<u32> {
        self.header("X-ClickHouse-Exception-Code").map(|code| code.parse().unwrap())
    }
}

/// Runs a program with an input.
pub fn run(mut command: Command, input: &[u8], install: &str) -> Output {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child =
        child.unwrap_or_else(|error| panic!("{}: {error}; install it: {install}", command.get_program().display()));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    // A program that fails early does not read all of its input.
    let _ = writer.join().unwrap();
    output
}

/// Waits for a condition, with a deadline.
#[track_caller]
pub fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        std::thread::yield_now();
    }
}

/// A runtime for clients that need one.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The engine's library; the fetch script gets it if it is not there.
pub fn library() -> PathBuf {
    let output = Command::new(root().join("deploy/dev/engine/fetch")).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the engine is not there: run `make engine`");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

fn percent(text: &str) -> String {
    let hex = |digit: u8| char::from_digit(u32::from(digit), 16).unwrap();
    text.bytes().flat_map(|byte| ['%', hex(byte >> 4), hex(byte & 15)]).collect()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
