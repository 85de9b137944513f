//! `clickhouse-connect`, the Python client that analysts use. It lives in a virtual environment below the target
//! directory, with pinned versions.

#![allow(clippy::unwrap_used)] // test code, which clippy does not see in functions without #[test]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use support::{ANALYST, Engine, SINK, root, run};

const PACKAGE: &str = "clickhouse-connect==1.12.0";

fn python() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clickhouse-connect-1.12.0");
    let python = dir.join("bin/python");
    let stamp = dir.join("installed");
    if !stamp.exists() {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&dir);
        let made = run(venv, b"", "apt-get install python3 python3-venv");
        assert!(made.status.success(), "no virtual environment: {}; apt-get install python3-venv", text(&made.stderr));
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]);
        let installed = run(pip, b"", "apt-get install python3-pip");
        assert!(installed.status.success(), "pip install {PACKAGE}: {}", text(&installed.stderr));
        std::fs::write(stamp, PACKAGE).unwrap();
    }
    python
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_python_client_works_and_its_analyst_cannot_write() {
    let engine = Engine::shared();
    let mut script = Command::new(python());
    script.arg(root().join("tests/clickhouse_clients/connect.py"));
    script.args([engine.handle.address().ip().to_string(), engine.handle.address().port().to_string()]);
    script.args([SINK.0, SINK.1, ANALYST.0, ANALYST.1]);
    let output = run(script, b"", "apt-get install python3");
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().last(), Some("ok"));
}
