//! How this process proves who it is to the brokers, and how it knows that they are who they say: TLS and SASL.
//!
//! Checked without I/O by [`SecuritySettings::check`]; files are read when a client is made, so that a password or a
//! certificate that was replaced counts from the next client on.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

use super::secret::Secret;
use super::{files, http};
use crate::log::LogError;

/// Security towards the brokers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecuritySettings {
    /// How to connect; absent: `sasl_ssl` with a mechanism, `ssl` with a file for TLS, else `plaintext`.
    pub protocol: Option<Protocol>,
    /// Certificates of the authorities that the brokers' certificates must come from, PEM; empty: those of the system.
    pub ca_file: PathBuf,
    /// This process's own certificate with what leads to its authority, PEM (mutual TLS).
    pub certificate_file: PathBuf,
    /// The key of that certificate, PEM.
    pub key_file: PathBuf,
    /// Password of the key, if it has one.
    pub key_password: Secret,
    /// How to prove who this process is.
    pub mechanism: Option<Mechanism>,
    /// Name for PLAIN and SCRAM.
    pub username: String,
    /// Password for PLAIN and SCRAM.
    pub password: Secret,
    /// A file that holds that password, instead.
    pub password_file: PathBuf,
    /// A file that holds a token for OAUTHBEARER, a signed JWT; whoever writes it renews it.
    pub token_file: PathBuf,
    /// Where to get tokens for OAUTHBEARER, instead: the token endpoint of an authorization server (RFC 6749, client
    /// credentials).
    pub token_url: String,
    /// Name of this process there.
    pub client_id: String,
    /// Its secret there.
    pub client_secret: Secret,
    /// A file that holds that secret, instead.
    pub client_secret_file: PathBuf,
    /// Scope to ask for, if the server wants one.
    pub scope: String,
}

/// How to connect; Kafka's own names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names are Kafka's
pub enum Protocol {
    #[serde(alias = "PLAINTEXT")]
    Plaintext,
    #[serde(alias = "SSL")]
    Ssl,
    #[serde(alias = "SASL_PLAINTEXT")]
    SaslPlaintext,
    #[serde(alias = "SASL_SSL")]
    SaslSsl,
}

/// How to prove who one is; the names of SASL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // the names are SASL's
pub enum Mechanism {
    #[serde(rename = "PLAIN", alias = "plain")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256", alias = "scram-sha-256")]
    ScramSha256,
    #[serde(rename = "SCRAM-SHA-512", alias = "scram-sha-512")]
    ScramSha512,
    #[serde(rename = "OAUTHBEARER", alias = "oauthbearer")]
    Oauthbearer,
}

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Protocol::Plaintext => "plaintext",
            Protocol::Ssl => "ssl",
            Protocol::SaslPlaintext => "sasl_plaintext",
            Protocol::SaslSsl => "sasl_ssl",
        }
    }

    const fn has_tls(self) -> bool {
        matches!(self, Protocol::Ssl | Protocol::SaslSsl)
    }

    const fn has_sasl(self) -> bool {
        matches!(self, Protocol::SaslPlaintext | Protocol::SaslSsl)
    }
}

impl Mechanism {
    const fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
            Mechanism::Oauthbearer => "OAUTHBEARER",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl SecuritySettings {
    /// How to connect, as configured or as it follows from the rest.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol.unwrap_or_else(|| {
            if self.mechanism.is_some() {
                Protocol::SaslSsl
            } else if self.tls_setting().is_some() {
                Protocol::Ssl
            } else {
                Protocol::Plaintext
            }
        })
    }

    /// What is wrong with them, in words for the person who wrote them. Nothing is opened.
    pub(super) fn check(&self, brokers: &str) -> Result<(), String> {
        let protocol = self.protocol();
        if let Some(setting) = self.tls_setting().filter(|_| !protocol.has_tls()) {
            let with_tls = if protocol.has_sasl() { "sasl_ssl" } else { "ssl" };
            return Err(format!(
                "security.{setting} is for TLS, and security.protocol = {} has none: set {with_tls}, or remove the file",
                protocol.name()
            ));
        }
        for (setting, needs, is_there) in [
            ("certificate_file", "key_file", self.key_file != Path::new("")),
            ("key_file", "certificate_file", self.certificate_file != Path::new("")),
            ("key_password", "key_file", self.key_file != Path::new("")),
        ] {
            if self.is_set(setting) && !is_there {
                return Err(format!("security.{setting} is of no use without security.{needs}"));
            }
        }
        for (setting, secret) in
            [("password", &self.password), ("key_password", &self.key_password), ("client_secret", &self.client_secret)]
        {
            if secret.reveal().contains(['\0', '\n']) {
                return Err(format!("security.{setting} is not one line of text"));
            }
        }
        match self.mechanism {
            None if protocol.has_sasl() => Err(format!(
                "security.protocol = {} needs security.mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
                protocol.name()
            )),
            Some(mechanism) if !protocol.has_sasl() => Err(format!(
                "security.mechanism = {mechanism} needs security.protocol = sasl_ssl, not {}",
                protocol.name()
            )),
            None => self
                .unused(&PASSWORD_SETTINGS, "security.mechanism = PLAIN or SCRAM-SHA-…")
                .and_then(|()| self.unused(&TOKEN_SETTINGS, "security.mechanism = OAUTHBEARER")),
            Some(Mechanism::Oauthbearer) => self.check_tokens(brokers),
            Some(mechanism) => self.check_password(mechanism, brokers),
        }
    }

    fn check_password(&self, mechanism: Mechanism, brokers: &str) -> Result<(), String> {
        self.unused(&TOKEN_SETTINGS, "security.mechanism = OAUTHBEARER")?;
        if self.username.is_empty() {
            return Err(format!("security.mechanism = {mechanism} needs security.username"));
        }
        self.one_of("password", "password_file", &format!("security.mechanism = {mechanism}"))?;
        self.no_credentials_in_the_clear(brokers)
    }

    fn check_tokens(&self, brokers: &str) -> Result<(), String> {
        self.unused(&PASSWORD_SETTINGS, "security.mechanism = PLAIN or SCRAM-SHA-…")?;
        self.one_of("token_file", "token_url", "security.mechanism = OAUTHBEARER")?;
        if self.token_url.is_empty() {
            self.unused(&["client_id", "client_secret", "client_secret_file", "scope"], "security.token_url")?;
        } else {
            if self.client_id.is_empty() {
                return Err("security.token_url needs security.client_id".to_owned());
            }
            self.one_of("client_secret", "client_secret_file", "security.token_url")?;
            let plain = http::unencrypted_host(&self.token_url);
            if let Some(host) = plain.filter(|host| !is_loopback(host)) {
                return Err(format!(
                    "security.token_url would send the client's secret to {host} unencrypted: use https"
                ));
            }
            if plain.is_none() && !self.token_url.starts_with("https://") {
                return Err("security.token_url is not an address that begins with https://".to_owned());
            }
        }
        self.no_credentials_in_the_clear(brokers)
    }

    /// Credentials go over an unencrypted connection to this machine only.
    fn no_credentials_in_the_clear(&self, brokers: &str) -> Result<(), String> {
        let away = brokers.split(',').map(str::trim).find(|broker| !is_loopback(broker));
        match away.filter(|_| !self.protocol().has_tls()) {
            Some(broker) => Err(format!(
                "security.protocol = sasl_plaintext would send credentials to {broker} unencrypted: use sasl_ssl; without TLS \
                 only a broker on loopback is accepted"
            )),
            None => Ok(()),
        }
    }

    fn one_of(&self, one: &str, other: &str, of: &str) -> Result<(), String> {
        match (self.is_set(one), self.is_set(other)) {
            (true, true) => Err(format!("security.{one} and security.{other} are both set: keep one")),
            (false, false) => Err(format!("{of} needs security.{one} or security.{other}")),
            _ => Ok(()),
        }
    }

    fn unused(&self, settings: &[&str], needs: &str) -> Result<(), String> {
        match settings.iter().find(|setting| self.is_set(setting)) {
            Some(setting) => Err(format!("security.{setting} is of no use without {needs}")),
            None => Ok(()),
        }
    }

    fn tls_setting(&self) -> Option<&'static str> {
        ["ca_file", "certificate_file", "key_file"].into_iter().find(|setting| self.is_set(setting))
    }

    fn is_set(&self, setting: &str) -> bool {
        let file = |path: &PathBuf| path != Path::new("");
        match setting {
            "ca_file" => file(&self.ca_file),
            "certificate_file" => file(&self.certificate_file),
            "key_file" => file(&self.key_file),
            "key_password" => !self.key_password.is_empty(),
            "username" => !self.username.is_empty(),
            "password" => !self.password.is_empty(),
            "password_file" => file(&self.password_file),
            "token_file" => file(&self.token_file),
            "token_url" => !self.token_url.is_empty(),
            "client_id" => !self.client_id.is_empty(),
            "client_secret" => !self.client_secret.is_empty(),
            "client_secret_file" => file(&self.client_secret_file),
            _ => !self.scope.is_empty(),
        }
    }

    /// Who this process is to the brokers, as far as its own settings say.
    pub(super) fn principal(&self) -> String {
        match self.mechanism {
            Some(Mechanism::Oauthbearer) if self.client_id.is_empty() => "the token's principal".to_owned(),
            Some(Mechanism::Oauthbearer) => format!("the principal of client {}", self.client_id),
            Some(_) => format!("User:{}", self.username),
            None if self.is_set("certificate_file") => "the certificate's principal".to_owned(),
            None => "User:ANONYMOUS".to_owned(),
        }
    }

    /// Whether clients need tokens.
    pub(super) fn has_tokens(&self) -> bool {
        self.mechanism == Some(Mechanism::Oauthbearer)
    }

    /// Whether the brokers that a cluster names must be on this machine, too: credentials go there as well.
    pub(super) fn is_for_loopback_only(&self) -> bool {
        self.protocol() == Protocol::SaslPlaintext
    }

    /// Puts them into a client's configuration; reads the files that they name.
    pub(super) fn apply(&self, config: &mut ClientConfig) -> Result<(), LogError> {
        let protocol = self.protocol();
        config.set("security.protocol", protocol.name());
        if protocol.has_tls() {
            self.apply_tls(config)?;
        }
        if let Some(mechanism) = self.mechanism {
            config.set("sasl.mechanism", mechanism.name());
            if mechanism != Mechanism::Oauthbearer {
                let password = files::secret("kafka.security.password", &self.password, &self.password_file)?;
                config.set("sasl.username", &self.username).set("sasl.password", password.reveal());
            }
        }
        Ok(())
    }

    fn apply_tls(&self, config: &mut ClientConfig) -> Result<(), LogError> {
        config
            .set("enable.ssl.certificate.verification", "true")
            // The name that was connected to must stand in the certificate.
            .set("ssl.endpoint.identification.algorithm", "https");
        let files = [
            ("ssl.ca.location", "ca_file", &self.ca_file),
            ("ssl.certificate.location", "certificate_file", &self.certificate_file),
            ("ssl.key.location", "key_file", &self.key_file),
        ];
        for (name, setting, file) in files {
            if self.is_set(setting) {
                files::pem(&format!("kafka.security.{setting}"), file)?;
                config.set(name, file.display().to_string());
            }
        }
        if !self.is_set("ca_file") {
            // OpenSSL is built in, and looks where it was built; the client knows where distributions keep theirs.
            config.set("ssl.ca.location", "probe");
        }
        if !self.key_password.is_empty() {
            config.set("ssl.key.password", self.key_password.reveal());
        }
        Ok(())
    }
}

const PASSWORD_SETTINGS: [&str; 3] = ["username", "password", "password_file"];
const TOKEN_SETTINGS: [&str; 6] =
    ["token_file", "token_url", "client_id", "client_secret", "client_secret_file", "scope"];

/// Whether a broker, `host:port`, is on this machine.
pub(super) fn is_loopback(broker: &str) -> bool {
    let address = broker.rsplit_once("://").map_or(broker, |(_, address)| address);
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
