//! TLS, SASL and access rules on a real broker that has all of them on: who may connect, what is said to whoever may not, and
//! that the services do their work with the rules that `topics acls` prints and with no others.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::broker::{self, Secure};
use crate::up::agent;

/// Only a failure takes so long.
const PATIENCE: Duration = Duration::from_secs(120);

/// Settings of `kafka.security` by their names, and the brokers to begin with.
#[derive(Clone)]
struct Access {
    brokers: String,
    settings: Vec<(&'static str, String)>,
}

impl Access {
    fn new(brokers: &str, settings: &[(&'static str, &str)]) -> Self {
        let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { brokers: brokers.to_owned(), settings }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.settings.retain(|(other, _)| *other != name);
        self.settings.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.settings.retain(|(other, _)| *other != name);
        self
    }

    /// A command of the real binary that connects so.
    fn command(&self, directory: &Path, prefix: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        command
            .args(["--log", "warn"])
            .args(arguments)
            .current_dir(directory)
            .env("TRIBUTARY__KAFKA__BROKERS", &self.brokers)
            .env("TRIBUTARY__KAFKA__PREFIX", prefix)
            // Processes of one name fence each other.
            .env("TRIBUTARY__KAFKA__INSTANCE", arguments[0])
            .env("TRIBUTARY__KAFKA__SESSION_TIMEOUT_MS", "3000")
            .env("TRIBUTARY__TOPICS__PARTITIONS", "2")
            .env("TRIBUTARY__TOPICS__REPLICATION", "1")
            .env("TRIBUTARY__INTAKE__LISTEN", "127.0.0.1:0");
        for (name, value) in &self.settings {
            command.env(format!("TRIBUTARY__KAFKA__SECURITY__{}", name.to_uppercase()), value);
        }
        command
    }
}

fn file(secure: &Secure, name: &str) -> String {
    secure.directory.path().join(name).display().to_string()
}

/// A password over TLS.
fn password(secure: &Secure, mechanism: &str, user: &str) -> Access {
    Access::new(
        &secure.sasl_ssl,
        &[
            ("mechanism", mechanism),
            ("username", user),
            ("password", &format!("{user}-secret")),
            ("ca_file", &file(secure, "ca.pem")),
        ],
    )
}

/// The certificate of `ingest`.
fn certificate(secure: &Secure) -> Access {
    let names = [("ca_file", "ca.pem"), ("certificate_file", "client.pem"), ("key_file", "client.key")];
    let files = names.map(|(setting, name)| (setting, file(secure, name)));
    Access { brokers: secure.ssl.clone(), settings: files.to_vec() }
}

/// A token that the broker's key set knows, signed by openssl, in a file.
fn token(secure: &Secure, directory: &Path, expires_at: u64) -> PathBuf {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = format!(
        r#"{{"iss":"https://issuer.test","aud":"kafka","sub":"nobody","scope":"x","iat":{},"exp":{expires_at}}}"#,
        expires_at.saturating_sub(3600)
    );
    let signed = format!("{}.{}", part(r#"{"alg":"RS256","kid":"test","typ":"JWT"}"#), part(&claims));
    let mut openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-sign", &file(secure, "token.key")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl is there: deploy/dev/check-tools");
    openssl.stdin.take().unwrap().write_all(signed.as_bytes()).unwrap();
    let signature = openssl.wait_with_output().unwrap().stdout;
    let path = directory.join(format!("token-{expires_at}"));
    std::fs::write(&path, format!("{signed}.{}\n", URL_SAFE_NO_PAD.encode(signature))).unwrap();
    path
}

fn in_an_hour() -> u64 {
    // Seconds since the epoch, as the tokens want them.
    let now = Command::new("date").arg("+%s").output().unwrap().stdout;
    String::from_utf8(now).unwrap().trim().parse::<u64>().unwrap() + 3600
}

/// An authorization server that knows one client, on loopback; it ends with the test binary.
fn token_server(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                lines.read_line(&mut line).unwrap();
                let lower = line.to_ascii_lowercase();
                if let Some(text) = lower.strip_prefix("content-length:") {
                    length = text.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            lines.read_exact(&mut body).unwrap();
            let body = String::from_utf8(body).unwrap();
            // base64 of `nobody:nobody-secret`.
            let knows = head.contains("Basic bm9ib2R5Om5vYm9keS1zZWNyZXQ=")
                && body.contains("grant_type=client_credentials")
                && body.contains("scope=x");
            let (status, text) =
                if knows { ("200 OK", answer.as_str()) } else { ("401 No", r#"{"error":"invalid_client"}"#) };
            let length = text.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
            );
        }
    });
    url
}

/// What it says in the end; all of it must be there soon, and no secret in it.
fn refusal(access: &Access, arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let output = access.command(directory.path(), "x.", arguments).output().unwrap();
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "one clear line: {said}");
    assert!(said.starts_with("tributary: ") && !said.contains("-secret"), "{said}");
    said
}

#[test]
fn every_mechanism_gets_in() {
    let secure = broker::secure();
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "nobody-secret\n").unwrap();
    let secret = secret.display().to_string();
    let token = token(secure, directory.path(), in_an_hour());
    let held = std::fs::read_to_string(&token).unwrap();
    let url = token_server(format!(r#"{{"access_token":"{}","expires_in":3600}}"#, held.trim()));
    let tokens = Access::new(&secure.sasl_ssl, &[("mechanism", "OAUTHBEARER"), ("ca_file", &file(secure, "ca.pem"))]);
    let fetched = tokens.clone().with("token_url", &url).with("client_id", "nobody").with("scope", "x");
    let scram = password(secure, "SCRAM-SHA-512", "nobody");
    for (name, access) in [
        ("SCRAM-SHA-512", scram.clone()),
        ("SCRAM-SHA-256", password(secure, "SCRAM-SHA-256", "nobody")),
        ("PLAIN", password(secure, "PLAIN", "nobody")),
        ("a password from a file", scram.clone().without("password").with("password_file", &secret)),
        ("a certificate", certificate(secure)),
        ("a token from a file", tokens.with("token_file", &token.display().to_string())),
        ("a token from a server", fetched.with("client_secret_file", &secret)),
        (
            "no TLS on loopback",
            Access { brokers: secure.sasl_plaintext.clone(), ..scram.without("ca_file") }
                .with("protocol", "sasl_plaintext"),
        ),
    ] {
        let output = access.command(directory.path(), "x.", &["topics", "apply", "--dry-run"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        // It is let in; without any right it sees no topic.
        assert!(output.status.success() && said.contains("would make facts"), "{name}: {said}{errors}");
        assert_eq!(errors, "", "{name}");
    }
}

#[test]
fn whoever_does_not_get_in_is_told_why_in_one_line() {
    let secure = broker::secure();
    let directory = tempfile::tempdir().unwrap();
    let scram = password(secure, "SCRAM-SHA-512", "nobody");
    let port = secure.sasl_ssl.rsplit_once(':').unwrap().1;
    let expired = token(secure, directory.path(), 1_600_000_000).display().to_string();
    let tokens = Access::new(&secure.sasl_ssl, &[("mechanism", "OAUTHBEARER"), ("ca_file", &file(secure, "ca.pem"))]);
    let unknown = tokens.clone().with("token_url", &token_server(String::new())).with("client_id", "somebody");
    let elsewhere = Access { brokers: format!("localhost:{port}"), ..scram.clone() };
    let away = Access { brokers: "127.0.0.1:1".to_owned(), ..scram.clone() };
    let cases = [
        ("wrong password", scram.clone().with("password", "wrong-secret"), vec!["credentials", "User:nobody"]),
        (
            "wrong password, PLAIN",
            password(secure, "PLAIN", "nobody").with("password", "wrong-secret"),
            vec!["credentials"],
        ),
        (
            "unknown authority",
            scram.clone().with("ca_file", &file(secure, "other-ca.pem")),
            vec!["no authority of kafka.security.ca_file"],
        ),
        ("another host's certificate", elsewhere, vec!["name the host", "localhost:"]),
        (
            "no certificate",
            Access { brokers: secure.ssl.clone(), ..certificate(secure) }
                .without("certificate_file")
                .without("key_file"),
            vec!["certificate"],
        ),
        ("an expired token", tokens.with("token_file", &expired), vec!["no longer valid"]),
        (
            "an unknown client",
            unknown.with("client_secret", "some-secret"),
            vec!["gave no token", "401 invalid_client"],
        ),
        ("nobody there", away, vec!["127.0.0.1:1", "cannot be reached"]),
    ];
    for (name, access, expected) in &cases {
        let begun = Instant::now();
        let said = refusal(access, &["topics", "apply"]);
        for words in expected {
            assert!(said.contains(words), "{name}: it should say {words:?}: {said}");
        }
        assert!(begun.elapsed() < PATIENCE, "{name}: it gives up");
    }
    // The services meet the cluster in the same way.
    for service in [&["ingest"][..], &["correlate", "--listen", "127.0.0.1:0"]] {
        let said = refusal(&cases[0].1, service);
        assert!(said.contains("credentials"), "{said}");
    }
    let silent = refusal(&scram.without("password"), &["topics", "apply"]);
    assert!(silent.contains("security.password"), "{silent}");
}

/// A service that is running.
struct Process {
    child: Child,
    url: String,
    said: std::sync::mpsc::Receiver<String>,
}

impl Process {
    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.by_ref().find(|line| line.contains(" at http://"));
        let line = line.expect("it says where it serves");
        let url = line.split_whitespace().last().unwrap().trim_end_matches('/').to_owned();
        let (sender, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || lines.for_each(|line| drop(sender.send(line))));
        Self { child, url, said }
    }

    fn wait_ready(&mut self) {
        let begun = Instant::now();
        while agent().get(format!("{}/readyz", self.url)).call().unwrap().status().as_u16() != 200 {
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "it ended: {:?}",
                self.said.try_iter().collect::<Vec<_>>()
            );
            assert!(begun.elapsed() < PATIENCE, "not ready: {:?}", self.said.try_iter().collect::<Vec<_>>());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Waits until it ends by itself, and says what it said last.
    fn failure(mut self) -> String {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it goes on: {:?}", self.said.try_iter().collect::<Vec<_>>());
            std::thread::park_timeout(Duration::from_millis(50));
        };
        assert_eq!(status.code(), Some(2));
        self.said.iter().last().unwrap_or_default()
    }

    /// SIGTERM; it must drain and end well, and have had nothing to complain of.
    fn stop(mut self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let status = self.child.wait().unwrap();
        let said: Vec<String> = self.said.iter().collect();
        assert!(status.success(), "it drains on SIGTERM: {status}: {said:?}");
        assert_eq!(said, Vec::<String>::new(), "no warning, no line about rights");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only what this test started, and only if a failed assertion left it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs lines for kafka-acls.sh as an operator does, with everything allowed.
fn run_acls(secure: &Secure, directory: &Path, lines: &str) {
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/dev/kafka");
    let path = format!("{tools}:{}", std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh")
        .args(["-e", "-s"])
        .env("PATH", path)
        .env("KAFKA_ADMIN", format!("--bootstrap-server {}", secure.plaintext))
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    shell.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    assert!(output.status.success(), "{lines}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// A ClickHouse for the sink: the engine that `make engine` fetches, in a process of its own.
fn clickhouse(directory: &Path) -> tributary_chdb::EngineHandle {
    use tributary_chdb::{Account, EngineConfig, Supervisor, default_cache_home, locate_library};
    let path = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = default_cache_home(path("XDG_CACHE_HOME"), path("HOME"));
    let library = locate_library(None, path("TRIBUTARY_ENGINE_DIR").as_deref(), &cache);
    let library = library.expect("the ClickHouse engine is missing: make engine");
    let accounts = (Account::new("sink", "sink-secret"), Account::new("analyst", ""));
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = EngineConfig::new(directory.join("clickhouse"), library, listen, accounts.0, accounts.1);
    let engine = Supervisor::start(config, || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        command.arg("engine-child");
        command
    });
    engine.unwrap()
}

fn ask(url: &str, sql: &str) -> Option<String> {
    let asked = agent().post(url).header("X-ClickHouse-User", "analyst").send(sql.as_bytes());
    let answer = asked.ok().filter(|answer| answer.status().is_success())?;
    Some(answer.into_body().read_to_string().unwrap().trim().to_owned())
}

const REPORT: &str = r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "scanner", "rules":
    [{"id": "sql", "properties": {"tags": ["external/cwe/cwe-089"], "security-severity": "8.8"}}]}}, "results":
    [{"ruleId": "sql", "level": "error", "message": {"text": "Query built from input"}, "locations":
    [{"physicalLocation": {"artifactLocation": {"uri": "src/Search.java"}, "region": {"startLine": 7}}}]}]}]}"#;

/// The rights of `correlate` are enough to tell a topic from another one of its name.
fn snapshots_are_looked_for(url: &str) {
    let page = agent().get(format!("{url}/metrics")).call().unwrap();
    let metrics = page.into_body().read_to_string().unwrap();
    let absent = r#"tributary_snapshots_asked_total{stage="assess",outcome="absent"}"#;
    assert!(metrics.contains(absent), "{metrics}");
}

#[test]
fn the_printed_rules_are_enough_and_a_missing_one_is_named() {
    let secure = broker::secure();
    let directory = tempfile::tempdir().unwrap();
    let (here, prefix) = (directory.path(), broker::fresh_prefix());
    let apply = password(secure, "SCRAM-SHA-256", "apply");
    let denied = apply.command(here, &prefix, &["topics", "apply"]).output().unwrap();
    let said = String::from_utf8_lossy(&denied.stderr);
    assert!(said.contains("User:apply lacks the right Create on the topic"), "{said}");

    let printed = apply.command(here, &prefix, &["topics", "acls"]).output().unwrap();
    run_acls(secure, here, &String::from_utf8(printed.stdout).unwrap());
    let made = apply.command(here, &prefix, &["topics", "apply"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let again = apply.command(here, &prefix, &["topics", "apply"]).output().unwrap();
    assert!(String::from_utf8_lossy(&again.stdout).contains("nothing to do"), "{again:?}");

    // Each service proves who it is in another way.
    let engine = clickhouse(here);
    let ingest = || certificate(secure).command(here, &prefix, &["ingest"]);
    let correlate = || {
        let access = password(secure, "SCRAM-SHA-512", "correlate");
        access.command(here, &prefix, &["correlate", "--listen", "127.0.0.1:0"])
    };
    let sink = || {
        let mut command =
            password(secure, "PLAIN", "sink").command(here, &prefix, &["sink", "--listen", "127.0.0.1:0"]);
        command
            .env("TRIBUTARY__CLICKHOUSE__URL", engine.url())
            .env("TRIBUTARY__CLICKHOUSE__USER", "sink")
            .env("TRIBUTARY__CLICKHOUSE__PASSWORD", "sink-secret");
        command
    };
    let mut services = [Process::start(ingest()), Process::start(correlate()), Process::start(sink())];
    services.iter_mut().for_each(Process::wait_ready);
    let post = |url: &str| {
        let to = format!("{url}/v1/events/scanner");
        let request = agent().post(to).header("ce-repo", "https://github.com/acme/shop").header("ce-branch", "main");
        let answer = request.send(REPORT.as_bytes()).unwrap();
        (answer.status().as_u16(), answer.into_body().read_to_string().unwrap())
    };
    let (status, answer) = post(&services[0].url);
    let said: Vec<String> = services[0].said.try_iter().collect();
    assert_eq!(status, 202, "{answer} {said:?}");
    let begun = Instant::now();
    while ask(&engine.url(), "SELECT count() FROM risks FINAL").as_deref() != Some("1") {
        assert!(begun.elapsed() < PATIENCE, "no risk arrives: {:?}", ask(&engine.url(), "SELECT * FROM rejects"));
        std::thread::park_timeout(Duration::from_millis(200));
    }
    snapshots_are_looked_for(&services[1].url);
    services.into_iter().for_each(Process::stop);

    // One after the other is taken away, the one first that is met last.
    let deny = |user: &str, operation: &str, on: &str| {
        let line =
            format!("kafka-acls.sh $KAFKA_ADMIN --add --deny-principal User:{user} --operation {operation} {on}\n");
        run_acls(secure, here, &line);
    };
    let lacks =
        |said: &str, right: &str| assert!(said.contains(&format!("lacks the right {right}")), "{right}: {said}");

    deny("ingest", "Write", &format!("--topic {prefix}facts"));
    deny("ingest", "Write", &format!("--topic {prefix}observations"));
    let service = Process::start(ingest());
    post(&service.url);
    lacks(&service.failure(), &format!("Write on the topic {prefix}"));
    deny("ingest", "Read", &format!("--group {prefix}ingest"));
    lacks(&Process::start(ingest()).failure(), &format!("Read on the group {prefix}ingest"));
    deny("correlate", "Write", &format!("--transactional-id {prefix}track.correlate.0"));
    let ended = correlate().output().unwrap();
    lacks(&String::from_utf8_lossy(&ended.stderr), &format!("Write on the transactional id {prefix}track.correlate.0"));
    deny("sink", "Read", &format!("--topic {prefix}risks"));
    lacks(&Process::start(sink()).failure(), &format!("Read on the topic {prefix}risks"));
    deny("sink", "Describe", &format!("--topic {prefix}risks"));
    let ended = sink().output().unwrap();
    lacks(&String::from_utf8_lossy(&ended.stderr), &format!("Describe on the topic {prefix}risks"));
    engine.stop();
}

/// A cluster whose operators let nobody but `correlate` have a transactional id.
#[test]
fn without_transactions_ingest_and_sink_need_no_right_to_any() {
    let secure = broker::secure();
    let directory = tempfile::tempdir().unwrap();
    let (here, prefix) = (directory.path(), broker::fresh_prefix());
    let apply = password(secure, "SCRAM-SHA-256", "apply");
    let without = |mut command: Command| {
        command.env("TRIBUTARY__KAFKA__DELIVERY", "at-least-once");
        command
    };
    let printed = without(apply.command(here, &prefix, &["topics", "acls"])).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let of_ids: Vec<&str> = printed.lines().filter(|line| line.contains("--transactional-id")).collect();
    assert!(!of_ids.is_empty() && of_ids.iter().all(|line| line.contains("User:correlate")), "{printed}");
    run_acls(secure, here, &printed);
    assert!(apply.command(here, &prefix, &["topics", "apply"]).output().unwrap().status.success());

    let engine = clickhouse(here);
    let correlate = password(secure, "SCRAM-SHA-512", "correlate");
    let mut sink =
        without(password(secure, "PLAIN", "sink").command(here, &prefix, &["sink", "--listen", "127.0.0.1:0"]));
    sink.env("TRIBUTARY__CLICKHOUSE__URL", engine.url())
        .env("TRIBUTARY__CLICKHOUSE__USER", "sink")
        .env("TRIBUTARY__CLICKHOUSE__PASSWORD", "sink-secret");
    let mut services = [
        Process::start(without(certificate(secure).command(here, &prefix, &["ingest"]))),
        Process::start(correlate.command(here, &prefix, &["correlate", "--listen", "127.0.0.1:0"])),
        Process::start(sink),
    ];
    services.iter_mut().for_each(Process::wait_ready);
    let to = format!("{}/v1/events/scanner", services[0].url);
    let request = agent().post(to).header("ce-repo", "https://github.com/acme/shop").header("ce-branch", "main");
    assert_eq!(request.send(REPORT.as_bytes()).unwrap().status().as_u16(), 202);
    let begun = Instant::now();
    while ask(&engine.url(), "SELECT count() FROM risks FINAL").as_deref() != Some("1") {
        assert!(begun.elapsed() < PATIENCE, "no risk arrives: {:?}", ask(&engine.url(), "SELECT * FROM rejects"));
        std::thread::park_timeout(Duration::from_millis(200));
    }
    services.into_iter().for_each(Process::stop);
    engine.stop();
}
