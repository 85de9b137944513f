//! A schema registry as its clients see it: the HTTP contract that Confluent published and others speak, too (Apicurio under
//! `/apis/ccompat/v7`, Karapace, Redpanda). A topic's schema is registered under `<topic>-value` (TopicNameStrategy).
//!
//! ```text
//! framing  records: `00`, the schema's id, the body ↔ what this build writes and reads
//! plan     `tributary schemas apply`: what is to be registered, and what must not be
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tributary_model::Topic;
use ureq::http::{Method, Request};
use ureq::tls::RootCerts;

use super::names::Names;
use super::secret::Secret;
use super::security::is_loopback;
use super::{files, http};
use crate::log::LogError;

mod framing;
mod plan;

pub(super) use framing::Framing;
pub use plan::{SchemaStep, plan_schemas, register_schemas};

/// How long one question may take. 5 s: an answer takes milliseconds, and whoever asks holds up a partition.
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer is at most so large, bytes: the largest schema here has 16 KiB.
const ANSWER_BYTES_MAX: u64 = 4 << 20;
/// The media type of the contract.
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// Where schemas are registered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrySettings {
    /// Address of the registry; empty: there is none, and records name their schema by its fingerprint.
    pub url: String,
    /// Certificates of the authorities that its certificate must come from, PEM; empty: those of the system.
    pub ca_file: PathBuf,
    /// Name there, if it wants one.
    pub username: String,
    /// Password there.
    pub password: Secret,
    /// A file that holds that password, instead.
    pub password_file: PathBuf,
    /// Whether a service registers what it writes and the registry lacks. For development; elsewhere `tributary schemas apply` does it.
    pub register: bool,
}

impl RegistrySettings {
    /// Whether there is one.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        !self.url.is_empty()
    }

    /// What is wrong with them, in words for the person who wrote them. Nothing is opened.
    pub fn check(&self) -> Result<(), String> {
        let is_file = |path: &PathBuf| path != Path::new("");
        if !self.is_configured() {
            let is_set = is_file(&self.ca_file) || !self.username.is_empty() || is_file(&self.password_file);
            return if is_set || self.register || !self.password.is_empty() {
                Err("schema_registry.url is empty, and other settings of schema_registry are of no use without it"
                    .to_owned())
            } else {
                Ok(())
            };
        }
        let plain = http::unencrypted_host(&self.url);
        let Some(host) = plain.or_else(|| self.url.strip_prefix("https://")) else {
            return Err("schema_registry.url is not an address that begins with https:// or http://".to_owned());
        };
        if host.contains('@') {
            return Err("schema_registry.url holds a name or password: use schema_registry.username and password_file"
                .to_owned());
        }
        let has_password = !self.password.is_empty() || is_file(&self.password_file);
        if !self.password.is_empty() && is_file(&self.password_file) {
            return Err("schema_registry.password and schema_registry.password_file are both set: keep one".to_owned());
        }
        if self.username.is_empty() == has_password {
            return Err(
                "schema_registry.username and schema_registry.password (or password_file) go together".to_owned()
            );
        }
        match plain.filter(|host| has_password && !is_loopback(host)) {
            Some(host) => Err(format!("schema_registry.url would send the password to {host} unencrypted: use https")),
            None if plain.is_some() && is_file(&self.ca_file) => {
                Err("schema_registry.ca_file is for TLS, and schema_registry.url has none".to_owned())
            }
            None => Ok(()),
        }
    }
}

/// Why a question was not answered.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It does not answer, or says that it cannot now: another time it may.
    Away(String),
    /// It will say the same the next time.
    Refused(String),
}

impl From<Trouble> for LogError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Away(what) => LogError::retry(what),
            Trouble::Refused(what) => LogError::fatal(what),
        }
    }
}

/// A client of the registry.
pub(super) struct Registry {
    url: String,
    agent: ureq::Agent,
    authorization: Option<Secret>,
}

/// A version of a subject.
#[derive(Deserialize)]
struct Version {
    version: u32,
    schema: String,
}

impl Registry {
    /// Reads the files that the settings name. Asks nothing yet.
    pub(super) fn new(settings: &RegistrySettings) -> Result<Self, LogError> {
        let authorities = if settings.ca_file == Path::new("") {
            RootCerts::PlatformVerifier
        } else {
            let setting = "kafka.schema_registry.ca_file";
            let of = |pem: &String| http::authorities(pem);
            Some(files::pem(setting, &settings.ca_file)?).as_ref().and_then(of).ok_or_else(|| {
                LogError::fatal(format!("{setting} = {}: it holds no certificate", settings.ca_file.display()))
            })?
        };
        let password = files::secret("kafka.schema_registry.password", &settings.password, &settings.password_file)?;
        let authorization =
            (!settings.username.is_empty()).then(|| http::basic(&settings.username, password.reveal()).into());
        let url = settings.url.trim_end_matches('/').to_owned();
        Ok(Self { url, agent: http::agent(PATIENCE, authorities), authorization })
    }

    /// The id of a schema under a subject; `None` if it is not registered there.
    fn id_of(&self, subject: &str, schema: &str) -> Result<Option<u32>, Trouble> {
        self.ask(Method::POST, &format!("/subjects/{subject}"), Some(&json!({ "schema": schema })))?
            .map(|answer| self.id_in(&answer))
            .transpose()
    }

    /// The schema of an id; `None` if there is none, or it is no Avro schema that stands for itself.
    fn schema(&self, id: u32) -> Result<Option<String>, Trouble> {
        // Ids of the contract are signed: what a server makes of a larger one is not said, and rubbish must not end a service.
        if i32::try_from(id).is_err() {
            return Ok(None);
        }
        let Some(answer) = self.ask(Method::GET, &format!("/schemas/ids/{id}"), None)? else { return Ok(None) };
        // Avro is what it is when nothing is said.
        let is_avro = answer.get("schemaType").and_then(Value::as_str).is_none_or(|kind| kind == "AVRO");
        let is_whole = answer.get("references").and_then(Value::as_array).is_none_or(Vec::is_empty);
        Ok(answer.get("schema").and_then(Value::as_str).filter(|_| is_avro && is_whole).map(str::to_owned))
    }

    /// The newest version of a subject; `None` if there is no such subject.
    fn latest(&self, subject: &str) -> Result<Option<Version>, Trouble> {
        self.ask(Method::GET, &format!("/subjects/{subject}/versions/latest"), None)?
            .map(|answer| serde_json::from_value(answer).map_err(|_| self.strange("a version of a subject")))
            .transpose()
    }

    /// Registers a schema; answers its id.
    fn register(&self, subject: &str, schema: &str) -> Result<u32, Trouble> {
        let path = format!("/subjects/{subject}/versions");
        match self.ask(Method::POST, &path, Some(&json!({ "schema": schema })))? {
            Some(answer) => self.id_in(&answer),
            None => Err(self.strange("an id")),
        }
    }

    fn id_in(&self, answer: &Value) -> Result<u32, Trouble> {
        let id = answer.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| self.strange("an id"))
    }

    fn strange(&self, what: &str) -> Trouble {
        Trouble::Refused(format!(
            "kafka.schema_registry.url = {} does not answer as a registry does: {what} was expected. Apicurio has the contract \
             under /apis/ccompat/v7",
            self.url
        ))
    }

    /// `None` for "there is no such thing".
    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Option<Value>, Trouble> {
        let text = body.map(Value::to_string).unwrap_or_default();
        let mut request =
            Request::builder().method(method).uri(format!("{}{path}", self.url)).header("Accept", MEDIA_TYPE);
        if body.is_some() {
            request = request.header("Content-Type", MEDIA_TYPE);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization.reveal());
        }
        let away =
            |why: &str| Trouble::Away(format!("kafka.schema_registry.url = {} does not answer: {why}", self.url));
        let request = request.body(text).map_err(|error| Trouble::Refused(error.to_string()))?;
        let mut response = self.agent.run(request).map_err(|error| away(&error.to_string()))?;
        let status = response.status().as_u16();
        let answer = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let answer = answer.map_err(|error| away(&error.to_string()))?;
        let said: Option<Value> = serde_json::from_slice(&answer).ok();
        let message = said.as_ref().and_then(|said| said.get("message")).and_then(Value::as_str).map(http::brief);
        let message = message.unwrap_or_default();
        match status {
            200 => said.map(Some).ok_or_else(|| self.strange("JSON")),
            // 404 with a code of the contract; without one it is somebody else who answers.
            404 if said.as_ref().is_some_and(|said| said.get("error_code").is_some()) => Ok(None),
            404 => Err(self.strange("an answer")),
            429 | 500.. => Err(away(&format!("{status} {message}"))),
            401 | 403 => Err(Trouble::Refused(format!(
                "kafka.schema_registry.url = {} does not let this process in ({status} {message}): see username and password",
                self.url
            ))),
            _ => Err(Trouble::Refused(format!("kafka.schema_registry.url = {}{path}: {status} {message}", self.url))),
        }
    }
}

/// What a topic's schema is registered under.
fn subject(names: &Names, topic: Topic) -> String {
    format!("{}-value", names.topic(topic))
}

#[cfg(test)]
mod tests;
