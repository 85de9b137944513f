//! Tokens for OAUTHBEARER: from a file that somebody renews, or from an authorization server for a client's id and secret
//! (RFC 6749, section 4.4).
//!
//! The client library can do the latter by itself, but only with libcurl, which it would have to find on the machine that
//! builds; here the client that the project speaks HTTP with anyway does it, and the library asks in time before a
//! token ends.

use std::error::Error;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;
use serde::Deserialize;
use ureq::tls::RootCerts;

use super::secret::Secret;
use super::security::SecuritySettings;
use super::{files, http};
use crate::clock::{Clock, SystemClock};

/// How long an authorization server may take. 10 s: a worker waits meanwhile, and its session must not end.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer is at most so large, bytes. Tokens travel in headers elsewhere, which end at a few KiB.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// What this needs of a token's claims (RFC 7519).
#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    /// Seconds since the epoch.
    exp: Option<f64>,
}

/// A successful answer (RFC 6749, section 5.1).
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// Seconds.
    expires_in: Option<f64>,
}

/// A refusal (section 5.2). The description is left out: nobody knows what a server puts there.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// A token as configured, now.
pub(super) fn obtain(settings: &SecuritySettings) -> Result<OAuthToken, Box<dyn Error>> {
    if settings.token_url.is_empty() {
        let token = files::secret("kafka.security.token", &Secret::default(), &settings.token_file)?;
        let claims = claims(token.reveal())
            .ok_or("kafka.security.token_file does not hold a JSON Web Token: nothing says how long it is valid")?;
        let lifetime_ms = millis(claims.exp.ok_or("the token in kafka.security.token_file has no claim exp")?);
        return finish(token.reveal(), claims.sub, lifetime_ms);
    }
    let answer = fetch(settings)?;
    let claims = claims(&answer.access_token);
    let from_now = answer.expires_in.map(|seconds| SystemClock.now() + millis(seconds));
    let until = from_now.or_else(|| claims.as_ref().and_then(|claims| claims.exp).map(millis));
    let until = until.ok_or("the answer of kafka.security.token_url does not say how long the token is valid")?;
    let subject = claims.and_then(|claims| claims.sub).or_else(|| Some(settings.client_id.clone()));
    finish(&answer.access_token, subject, until)
}

fn finish(token: &str, subject: Option<String>, lifetime_ms: i64) -> Result<OAuthToken, Box<dyn Error>> {
    if lifetime_ms <= SystemClock.now() {
        return Err("the token is no longer valid: its claim exp has passed".into());
    }
    // What brokers make of it is their affair: the name is only the client's own idea of itself.
    let principal_name = subject.filter(|subject| !subject.is_empty()).unwrap_or_else(|| "tributary".to_owned());
    Ok(OAuthToken { token: token.to_owned(), principal_name, lifetime_ms })
}

fn fetch(settings: &SecuritySettings) -> Result<Answer, Box<dyn Error>> {
    let secret = files::secret("kafka.security.client_secret", &settings.client_secret, &settings.client_secret_file)?;
    // Authorities of the system: an authorization server is rarely certified by whoever certifies the brokers.
    let agent = http::agent(PATIENCE, RootCerts::PlatformVerifier);
    let mut form = vec![("grant_type", "client_credentials")];
    if !settings.scope.is_empty() {
        form.push(("scope", &settings.scope));
    }
    let asked = agent
        .post(&settings.token_url)
        .header("Authorization", basic(&settings.client_id, &secret))
        .header("Accept", "application/json")
        .send_form(form);
    let mut response =
        asked.map_err(|error| format!("kafka.security.token_url = {} does not answer: {error}", settings.token_url))?;
    let status = response.status();
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    let body = body.map_err(|error| format!("the answer of kafka.security.token_url cannot be read: {error}"))?;
    if !status.is_success() {
        let refusal = serde_json::from_slice::<Refusal>(&body).map(|refusal| refusal.error).unwrap_or_default();
        let refusal: String = refusal.chars().filter(char::is_ascii_graphic).take(60).collect();
        return Err(format!(
            "kafka.security.token_url gave no token for client {}: {} {refusal}",
            settings.client_id,
            status.as_u16()
        )
        .into());
    }
    // Without the parser's words: they could quote the token.
    serde_json::from_slice(&body).map_err(|_| "the answer of kafka.security.token_url is not a token in JSON".into())
}

/// The client's credentials; each part is encoded as in a form first (RFC 6749, section 2.3.1).
fn basic(id: &str, secret: &Secret) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    http::basic(&encode(id), &encode(secret.reveal()))
}

/// What the token says about itself, unverified: that is for the brokers.
fn claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn jwt(payload: &str) -> String {
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(payload))
    }

    fn from_file(text: &str) -> Result<OAuthToken, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, text).unwrap();
        let settings = SecuritySettings { token_file: file, ..SecuritySettings::default() };
        obtain(&settings).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_gives_its_token_until_it_ends() {
        let token = from_file(&(jwt(r#"{"sub":"ingest","exp":4102444800}"#) + "\n")).unwrap();
        assert_eq!((token.principal_name.as_str(), token.lifetime_ms), ("ingest", 4_102_444_800_000));
        for (text, why) in [
            (jwt(r#"{"sub":"ingest","exp":1}"#), "no longer valid"),
            (jwt(r#"{"sub":"ingest"}"#), "no claim exp"),
            ("opaque-hunter2".to_owned(), "JSON Web Token"),
        ] {
            let error = from_file(&text).err().unwrap();
            assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn credentials_are_encoded_as_in_a_form() {
        let header = basic("a b", &Secret::from("p:%".to_owned()));
        assert_eq!(header, format!("Basic {}", STANDARD.encode("a+b:p%3A%25")));
    }
}
