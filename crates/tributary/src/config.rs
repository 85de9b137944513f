//! Configuration: one versioned file and `TRIBUTARY__SECTION__KEY` variables; unknown keys refused, every value checked
//! before anything starts. The only place that reads the environment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Deserializer, Serialize};
use tributary_ingest::grant::{GrantConfig, Grants, Unlisted};
use tributary_stream::kafka::{KafkaSettings, TopicSettings};

use crate::cli::LogFormat;
use crate::versions::IMPLEMENTED;

/// Version of the file's shape that this build reads.
pub const CONFIG_VERSION: u32 = 1;
/// Most workers of a stage in one process. 64: as many as `topics.partitions` is by default; more have nothing to do.
const WORKERS_MAX: u32 = 64;

/// Everything that can be configured.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Shape of the file.
    pub version: u32,
    /// Directory that holds everything.
    pub data: PathBuf,
    /// Intake, page and API.
    pub intake: Intake,
    /// Analysts' endpoint.
    pub clickhouse: ClickHouse,
    /// The cluster of the separate services.
    pub kafka: KafkaSettings,
    /// Topics on the cluster.
    pub topics: TopicSettings,
    /// The stages as a service.
    pub correlate: Correlate,
    /// What `status` asks.
    pub status: StatusConfig,
    /// Versions in force.
    pub versions: VersionsConfig,
    /// Logs.
    pub log: Log,
    /// Credentials of producers. Empty: loopback needs none.
    pub credentials: Vec<GrantConfig>,
}

/// Settings of `correlate`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Correlate {
    /// Whether it, and `up`, keep snapshots of their state under `data`, so that a restart reads only the end of the log.
    pub snapshots: bool,
    /// Threads that it, and `up`, give each of the four stages; at most as many as there are partitions have something to do.
    pub workers: u32,
}

/// Settings of `status`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatusConfig {
    /// Addresses of the separate services, as `http://correlate-0:8741`. None: `up` is asked.
    #[serde(deserialize_with = "list")]
    pub services: Vec<String>,
}

/// Settings about the versions in force.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VersionsConfig {
    /// The decision model that `up` puts in force when it starts; empty: as it is. On Kafka, `tributary versions activate`.
    pub model: String,
    /// Models that this process may use, of those that it knows; none named: all. To rehearse an upgrade.
    #[serde(deserialize_with = "list")]
    pub known_models: Vec<String>,
}

/// Intake settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Intake {
    /// Address.
    pub listen: String,
    /// Names under which a proxy in front of a loopback address is known.
    #[serde(deserialize_with = "list")]
    pub hosts: Vec<String>,
    /// Largest report after decompression, MiB.
    pub report_max_mib: u32,
    /// Secret of GitHub webhooks; when set, every webhook must be signed.
    #[serde(skip_serializing)]
    pub github_webhook_secret: String,
}

/// ClickHouse settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouse {
    /// Address at which `up` serves the bundled engine.
    pub listen: String,
    /// An external ClickHouse instead of the bundled engine; empty: bundled.
    pub url: String,
    /// Database.
    pub database: String,
    /// User that may write (external ClickHouse only).
    pub user: String,
    /// Its password.
    #[serde(skip_serializing)]
    pub password: String,
    /// Password of the read-only user `analyst`; empty: none is needed on loopback.
    #[serde(skip_serializing)]
    pub analyst_password: String,
    /// Where `libchdb.so` is; empty: the default cache.
    pub engine: PathBuf,
    /// Memory cap of the bundled engine, MiB.
    pub memory_max_mib: u32,
}

/// Log settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Level or filter.
    pub level: String,
    /// Format; absent: text on a terminal, JSON elsewhere.
    pub format: Option<LogFormat>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: CONFIG_VERSION,
            data: PathBuf::from("data"),
            intake: Intake::default(),
            clickhouse: ClickHouse::default(),
            kafka: KafkaSettings::default(),
            topics: TopicSettings::default(),
            correlate: Correlate::default(),
            status: StatusConfig::default(),
            versions: VersionsConfig::default(),
            log: Log::default(),
            credentials: Vec::new(),
        }
    }
}

impl Default for Correlate {
    fn default() -> Self {
        Self { snapshots: true, workers: 1 }
    }
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8740".to_owned(),
            hosts: Vec::new(),
            report_max_mib: 64,
            github_webhook_secret: String::new(),
        }
    }
}

impl Default for ClickHouse {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8123".to_owned(),
            url: String::new(),
            database: String::new(),
            user: String::new(),
            password: String::new(),
            analyst_password: String::new(),
            engine: PathBuf::new(),
            memory_max_mib: 2048,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: None }
    }
}

/// Reads the file (if any) and the environment over the defaults, and checks every value.
pub fn load(file: Option<&Path>) -> anyhow::Result<Config> {
    let default = Path::new("tributary.toml");
    let file = file.or_else(|| default.exists().then_some(default));
    read(file, environment())
}

/// Values stay the text that they are until the type of their setting is known: a password of `0123` is no number.
fn environment() -> config::Environment {
    config::Environment::with_prefix("TRIBUTARY").prefix_separator("__").separator("__")
}

/// A list, or its items with commas between them: all that the environment can say.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        List(Vec<String>),
        Text(String),
    }
    Ok(match Said::deserialize(deserializer)? {
        Said::List(list) => list,
        Said::Text(text) => text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect(),
    })
}

fn read(file: Option<&Path>, environment: config::Environment) -> anyhow::Result<Config> {
    let mut builder = config::Config::builder();
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        check_syntax(&text).with_context(|| format!("cannot read {}", file.display()))?;
        builder = builder.add_source(config::File::from_str(&text, config::FileFormat::Toml));
    }
    let origin = || file.map_or_else(|| "the environment".to_owned(), |file| file.display().to_string());
    let read = builder.add_source(environment).build().with_context(|| format!("cannot read {}", origin()))?;
    let config: Config = read.try_deserialize().with_context(|| format!("cannot use {}", origin()))?;
    config.check().with_context(|| format!("cannot use {}", origin()))?;
    Ok(config)
}

/// Says what is wrong with the file, and where, without quoting the line: it may hold a password.
fn check_syntax(text: &str) -> anyhow::Result<()> {
    let Err(error) = text.parse::<toml::Table>() else { return Ok(()) };
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or(text);
    bail!("line {}: {}", before.lines().count().max(1), error.message().lines().next().unwrap_or("it is not TOML"))
}

impl Config {
    /// Checks what types cannot say.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.version != CONFIG_VERSION {
            bail!("version = {}: this build reads version {CONFIG_VERSION}", self.version);
        }
        let listen = address("intake.listen", &self.intake.listen)?;
        address("clickhouse.listen", &self.clickhouse.listen)?;
        if !listen.ip().is_loopback() && self.credentials.is_empty() {
            bail!(
                "intake.listen = {listen} is not loopback: configure at least one [[credentials]] entry, or listen on 127.0.0.1"
            );
        }
        if !(1..=4096).contains(&self.intake.report_max_mib) {
            bail!("intake.report_max_mib = {}: between 1 and 4096", self.intake.report_max_mib);
        }
        if self.clickhouse.memory_max_mib < 512 {
            bail!("clickhouse.memory_max_mib = {}: the engine needs at least 512", self.clickhouse.memory_max_mib);
        }
        if !(1..=WORKERS_MAX).contains(&self.correlate.workers) {
            bail!("correlate.workers = {}: between 1 and {WORKERS_MAX}", self.correlate.workers);
        }
        if !self.kafka.brokers.is_empty() {
            self.kafka.check_reach().map_err(anyhow::Error::msg).context("[kafka]")?;
        }
        if let Some(wrong) =
            self.status.services.iter().find(|url| !url.starts_with("http://") && !url.starts_with("https://"))
        {
            bail!("status.services: {wrong:?} is not an address like http://correlate-0:8741");
        }
        for model in self.versions.known_models.iter().chain([&self.versions.model]).filter(|name| !name.is_empty()) {
            if !IMPLEMENTED.models.contains(&model.as_str()) {
                bail!("[versions] {model:?} is no model of this build: {}", IMPLEMENTED.models.join(", "));
            }
        }
        self.topics.check().map_err(anyhow::Error::msg).context("[topics]")?;
        Grants::new(&self.credentials, Unlisted::Nothing).context("[[credentials]]")?;
        Ok(())
    }
}

fn address(key: &str, text: &str) -> anyhow::Result<SocketAddr> {
    text.parse().with_context(|| format!("{key} = {text:?} is not an address like 127.0.0.1:8740"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Config> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("t.toml");
        std::fs::write(&file, text)?;
        load(Some(&file))
    }

    #[test]
    fn the_defaults_are_usable() {
        assert_eq!(read("version = 1").unwrap().intake.listen, "127.0.0.1:8740");
    }

    #[test]
    fn mistakes_are_named_before_anything_starts() {
        let error = |text| format!("{:#}", read(text).unwrap_err());
        assert!(error("[intake]\nlisten_on = 'x'").contains("listen_on"));
        assert!(error("version = 9").contains("version"));
        assert!(error("[intake]\nlisten = '0.0.0.0:1'").contains("credentials"));
        assert!(error("[intake]\nlisten = 'here'").contains("intake.listen"));
        assert!(error("[clickhouse]\nmemory_max_mib = 1").contains("memory_max_mib"));
        assert!(error("[kafka]\nbrokers = 'k:9092'\nprefix = 'a b'").contains("prefix"));
        assert!(error("[versions]\nmodel = 'tributary-0'").contains("tributary-1"));
        assert!(error("[kafka]\nbroker = 'k:9092'").contains("broker"));
        assert!(error("[status]\nservices = ['correlate-0:8741']").contains("status.services"));
        assert!(error("[correlate]\nworkers = 0").contains("correlate.workers = 0"));
        assert!(error("[correlate]\nworkers = 65").contains("between 1 and 64"));
        assert!(error("[topics]\npartitions = 0").contains("partitions"));
        let insecure =
            "[kafka]\nbrokers = 'k:9092'\ninstance = 'a'\n[kafka.security]\nmechanism = 'PLAIN'\nusername = 'u'";
        assert!(error(insecure).contains("[kafka]: security.mechanism = PLAIN needs security.password"));
        assert!(error("[kafka.security]\nmechanism = 'GSSAPI'").contains("GSSAPI"));
    }

    #[test]
    fn no_error_and_no_dump_shows_a_secret() {
        for text in [
            "version = 1\n[kafka.security]\npassword = \"hunter2",
            "[kafka.security]\npassword = hunter2",
            "[kafka.security]\npassword = ['hunter2']",
            "[kafka.security]\npassword = 'hunter2'\nusernam = 'u'",
            "[kafka]\nbrokers = 'k:1'\ninstance = 'a'\n[kafka.security]\npassword = 'hunter2'",
        ] {
            let error = read(text).unwrap_err();
            assert!(!format!("{error:#} {error:?}").contains("hunter2"), "{error:#}");
        }
        let where_it_is = format!("{:#}", read("version = 1\n\n[kafka.security]\npassword = hunter2").unwrap_err());
        assert!(where_it_is.contains("line 4"), "{where_it_is}");
        let config = read("[kafka.security]\npassword = 'hunter2'\nkey_password = 'hunter2'").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn what_the_environment_says_is_text_until_a_setting_wants_a_number() {
        let variables = [
            ("TRIBUTARY__KAFKA__SECURITY__PASSWORD", "0123"),
            ("TRIBUTARY__KAFKA__SECURITY__KEY_PASSWORD", "TRUE"),
            ("TRIBUTARY__TOPICS__PARTITIONS", "4"),
            ("TRIBUTARY__TOPICS__RETENTION_MS", "86400000"),
            ("TRIBUTARY__LOG__FORMAT", "json"),
            ("TRIBUTARY__INTAKE__HOSTS", "a.example, b.example"),
            ("TRIBUTARY__STATUS__SERVICES", "http://a:1"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let config = super::read(None, environment().source(Some(variables))).unwrap();
        assert_eq!(config.kafka.security.password, "0123".to_owned().into());
        assert_eq!(config.kafka.security.key_password, "TRUE".to_owned().into());
        assert_eq!((config.topics.partitions, config.topics.retention_ms), (4, 86_400_000));
        assert!(matches!(config.log.format, Some(LogFormat::Json)));
        assert_eq!(config.intake.hosts, ["a.example", "b.example"]);
        assert_eq!(config.status.services, ["http://a:1"]);
    }
}
