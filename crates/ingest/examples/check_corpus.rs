//! Checks files as `tributary check --json` does and adds the time taken:
//! `cargo run -p tributary-ingest --example check_corpus -- [--repo R] [--image I] [--resource R] FILE…`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::time::Instant;

use bytes::Bytes;
use tributary_ingest::check::check;
use tributary_ingest::grant::Grants;
use tributary_ingest::pipeline::Context;
use tributary_ingest::secret::HmacHasher;
use tributary_ingest::{detect, plain};
use tributary_model::record::Extensions;

fn main() -> Result<(), Box<dyn Error>> {
    let grants = Grants::everything();
    let secrets = HmacHasher::new(b"only for looking at files")?;
    let context = Context { grants: &grants, secrets: &secrets, body_bytes_max: plain::BODY_BYTES_MAX };
    let mut given = Extensions { branch: Some("main".to_owned()), received_at: 1, ..Extensions::default() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--repo" => given.repo = arguments.next(),
            "--image" => given.image = arguments.next(),
            "--resource" => given.resource = arguments.next(),
            file => {
                let body = Bytes::from(std::fs::read(file)?);
                let format = detect::of_file_name(file).map(|format| format.name().to_owned());
                let ext = Extensions { format, ..given.clone() };
                let begun = Instant::now();
                let line = check(file, &body, &ext, None, &context);
                let mut line = serde_json::to_value(line)?;
                line["elapsed_ms"] = (begun.elapsed().as_micros() as f64 / 1000.0).into();
                line["bytes"] = body.len().into();
                println!("{line}");
            }
        }
    }
    Ok(())
}
