//! `intel sync`: feeds to a running Tributary. The bundled snapshot needs no network; its age is shown.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use tributary_model::record::Extensions;

use crate::cli::ServerArgs;
use crate::client::{Client, agent, ce_headers, problem};
use crate::config::Config;

/// One feed on its way.
struct Feed {
    name: String,
    body: Vec<u8>,
}

/// Sends the feeds; exit code 1 when one was refused.
pub fn sync(from: Option<&str>, server: &ServerArgs, config: &Config) -> anyhow::Result<u8> {
    let mut out = std::io::stdout().lock();
    let client = Client::new(server, config);
    let feeds = match from {
        None => return bundled(&client, &mut out),
        Some(url) if url.contains("://") => vec![fetch(url)?],
        Some(path) => files(Path::new(path))?,
    };
    let bar = super::progress(feeds.len() as u64);
    let mut refused = false;
    for feed in feeds {
        bar.set_message(feed.name.clone());
        let ext = Extensions { source: Some(format!("tributary-intel-sync/{}", feed.name)), ..Extensions::default() };
        let (status, answer) = client.post("/v1/events/intel", &ce_headers(&ext), &feed.body)?;
        if status >= 300 {
            refused = true;
            let text = problem(&answer.to_string()).unwrap_or_else(|| answer.to_string());
            writeln!(out, "{}: refused: {text}", feed.name)?;
        } else {
            writeln!(out, "{}: accepted, {} bytes", feed.name, feed.body.len())?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(u8::from(refused))
}

/// The snapshot that the running binary carries: its server loads it, nothing is sent.
fn bundled(client: &Client, out: &mut impl Write) -> anyhow::Result<u8> {
    let (status, answer) = client.post("/v1/intel/bundled", &[], &[])?;
    if status >= 300 {
        bail!("{}", problem(&answer.to_string()).unwrap_or_else(|| format!("the server answered {status}: {answer}")));
    }
    writeln!(
        out,
        "bundled snapshot of {}: {} facts; for anything newer, give --from",
        answer["date"].as_str().unwrap_or_default(),
        answer["facts"]
    )?;
    Ok(0)
}

fn fetch(url: &str) -> anyhow::Result<Feed> {
    let response = agent().get(url).call().with_context(|| format!("cannot fetch {url}"))?;
    let status = response.status();
    if !status.is_success() {
        bail!("{url} answered {status}");
    }
    let mut body = Vec::new();
    response.into_body().into_reader().read_to_end(&mut body).with_context(|| format!("{url} broke off"))?;
    Ok(Feed { name: url.to_owned(), body })
}

fn files(path: &Path) -> anyhow::Result<Vec<Feed>> {
    let mut paths = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
            let entry = entry?.path();
            if entry.is_file() {
                paths.push(entry);
            }
        }
        paths.sort();
    } else {
        paths.push(path.to_owned());
    }
    if paths.is_empty() {
        bail!("{} holds no file", path.display());
    }
    let read = |path: std::path::PathBuf| {
        let body = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Feed { name: path.display().to_string(), body })
    };
    paths.into_iter().map(read).collect()
}
