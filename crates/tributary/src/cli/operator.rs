//! What operators type: rejects, versions in force, topics, services.

use std::net::SocketAddr;

use clap::{Args, Subcommand};

use super::ServerArgs;

/// Subcommands of `rejects`.
#[derive(Debug, Subcommand)]
pub enum RejectsCommand {
    /// List what was rejected: when, by whom, why, where it stands on the log
    #[command(
        after_help = "Examples:\n  tributary rejects list --since 2h\n  tributary rejects list --reason unknown_format --topic raw.scanner --json | jq .origin\n\nAsks Kafka where kafka.brokers is configured, else a running `up`."
    )]
    List(RejectsArgs),
    /// Send rejected records again, once the cause is repaired; without --yes it only says what it would do
    #[command(
        after_help = "Examples:\n  tributary rejects replay --reason not_granted --since 1d         what would be sent, and what is gone\n  tributary rejects replay --reason not_granted --since 1d --yes\n\nOn Kafka only. A record goes to its topic as it was: bytes, key, headers, credential. Exits 1 when some could not be sent."
    )]
    Replay(ReplayArgs),
}

/// Which rejects.
#[derive(Debug, Args)]
pub struct RejectsArgs {
    /// Only with this short reason: `unknown_format`, `no_asset`, `not_granted` … (docs/rejects.md).
    #[arg(long, value_name = "CODE")]
    pub reason: Option<String>,
    /// Only of records of this topic, without prefix: `raw.scanner`, `facts` …
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Only those rejected since then: `2026-11-25T08:00:00Z`, or so long ago: `90m`, `2h`, `7d`.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only those rejected before then.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// At most so many, the newest.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub limit: usize,
    /// Print JSON lines.
    #[arg(long)]
    pub json: bool,
    /// Where from, for a running `up`.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Options of `rejects replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Do it.
    #[arg(long)]
    pub yes: bool,
    /// Which.
    #[command(flatten)]
    pub of: RejectsArgs,
}

/// `versions`.
#[derive(Debug, Subcommand)]
pub enum VersionsCommand {
    /// What this build can do and what is in force
    #[command(
        after_help = "Example:\n  tributary versions list --json | jq .in_force.model\n\nAsks Kafka where kafka.brokers is configured, else a running `up`. Exits 1 when this build must not work on this log: ask it\nbefore you roll it out."
    )]
    List(VersionsArgs),
    /// Put a decision model in force, once every process knows it; without --yes it only says what that means
    #[command(
        after_help = "Example:\n  tributary versions activate --model bod-26-04 --yes\n\nOn Kafka. For `up`, set versions.model in tributary.toml."
    )]
    Activate(ActivateArgs),
}

/// Options of `versions list`.
#[derive(Debug, Args)]
pub struct VersionsArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Where from, for a running `up`.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Options of `versions activate`.
#[derive(Debug, Args)]
pub struct ActivateArgs {
    /// The model.
    #[arg(long, value_name = "NAME")]
    pub model: String,
    /// Who does it, for the record.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "", hide_env_values = true)]
    pub by: String,
    /// Do it.
    #[arg(long)]
    pub yes: bool,
}

/// Options of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Only say what would be applied.
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of services that only answer probes.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// Address of /metrics, /healthz and /readyz.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8741")]
    pub listen: SocketAddr,
}

/// Subcommands of `topics`.
#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// Make what is missing, set back what has drifted, refuse what would part keys from their state; idempotent
    #[command(
        after_help = "Examples:\n  TRIBUTARY__KAFKA__BROKERS=kafka:9092 tributary topics apply --dry-run\n  tributary --config tributary.toml topics apply\n\nExits 1 when a topic differs in what cannot be set."
    )]
    Apply {
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the access rules that each service needs, no more, as lines for Kafka's own kafka-acls.sh
    #[command(
        after_help = "Example:\n  KAFKA_ADMIN='--bootstrap-server kafka:9093 --command-config admin.properties'\n  export KAFKA_ADMIN\n  tributary topics acls --ingest User:CN=ingest --sink User:sink | sh -e\n\nA principal is what the brokers call whoever connects: User:NAME with SASL, User:CN=NAME,… with a certificate."
    )]
    Acls(AclsArgs),
}

/// Subcommands of `schemas`.
#[derive(Debug, Subcommand)]
pub enum SchemasCommand {
    /// Register what is missing; refuse what would keep two releases from reading each other; idempotent
    #[command(
        after_help = "Examples:\n  export TRIBUTARY__KAFKA__SCHEMA_REGISTRY__URL=https://registry:8081\n  tributary schemas apply --dry-run\n  tributary --config tributary.toml schemas apply\n\nA topic's schema is registered as <prefix><topic>-value. Run it before the services of a new release.\nExits 1 when one is refused; nothing is registered then."
    )]
    Apply {
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Options of `topics acls`: who runs what.
#[derive(Debug, Args)]
pub struct AclsArgs {
    /// Who runs `topics apply`.
    #[arg(long, value_name = "PRINCIPAL", default_value = "User:apply")]
    pub apply: String,
    /// Who runs `ingest`.
    #[arg(long, value_name = "PRINCIPAL", default_value = "User:ingest")]
    pub ingest: String,
    /// Who runs `correlate`.
    #[arg(long, value_name = "PRINCIPAL", default_value = "User:correlate")]
    pub correlate: String,
    /// Who runs `sink`.
    #[arg(long, value_name = "PRINCIPAL", default_value = "User:sink")]
    pub sink: String,
}
