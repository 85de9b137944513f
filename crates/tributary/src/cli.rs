//! The command line: what people type. Results go to stdout, logs to stderr.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod operator;

pub use operator::{
    AclsArgs, ActivateArgs, MigrateArgs, ProbeArgs, RejectsArgs, RejectsCommand, ReplayArgs, SchemasCommand,
    TopicsCommand, VersionsArgs, VersionsCommand,
};

/// Many streams, one river of risk.
///
/// Tributary joins what scanners, CI/CD, clouds and runtime sensors say into a short list of prioritised risks,
/// each with an owner, a reason and a fix.
#[derive(Debug, Parser)]
#[command(name = "tributary", version, propagate_version = true, arg_required_else_help = true, max_term_width = 110)]
#[command(after_help = "Examples:
  tributary demo                              see it work on a sample company, nothing to set up
  tributary up                                everything in one process, durable under ./data
  tributary publish trivy.json --image r.example/app@sha256:…
  tributary top                               what to fix first
  tributary explain 3f2a91c0                  why, in words
  tributary query 'SELECT * FROM by_owner'    ask ClickHouse

Exit codes: 0 done · 1 the answer is no (a reject, a failed check) · 2 could not tell or could not run.")]
pub struct Cli {
    /// Configuration file; default: ./tributary.toml when it exists.
    #[arg(long, global = true, value_name = "FILE", env = "TRIBUTARY_CONFIG")]
    pub config: Option<PathBuf>,
    /// Log level on stderr: error, warn, info, debug, trace, or per module (`info,tributary_ingest=debug`).
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the bundled sample company through the whole pipeline; print the funnel and what to fix first
    #[command(
        after_help = "Examples:\n  tributary demo\n  tributary demo --json | jq .by_band\n  tributary demo --serve      keep the page and ClickHouse up afterwards"
    )]
    Demo(DemoArgs),
    /// Run everything in one process, durable under a directory
    #[command(
        after_help = "Examples:\n  tributary up\n  tributary up --data /var/lib/tributary --listen 127.0.0.1:8740\n  curl --data-binary @trivy.json 'http://127.0.0.1:8740/v1/events/scanner?image=app@sha256:…'"
    )]
    Up(UpArgs),
    /// Send reports to a running Tributary (`-` is stdin)
    #[command(
        after_help = "Examples:\n  tributary publish trivy.json --wait\n  semgrep --json | tributary publish - --repo github.com/acme/shop --branch main\n  tributary publish reports/*.sarif --repo github.com/acme/shop --branch main --wait"
    )]
    Publish(PublishArgs),
    /// Dry run: which format, which asset, how many sightings, what would be rejected and why
    #[command(
        after_help = "Examples:\n  tributary check report.sarif\n  tributary check --json reports/* | jq 'select(.rejects != [])'\n\nExits 1 when any file would be rejected."
    )]
    Check(CheckArgs),
    /// Intelligence: known exploited vulnerabilities, EPSS, OSV
    Intel {
        /// What to do.
        #[command(subcommand)]
        command: IntelCommand,
    },
    /// What to fix first
    #[command(after_help = "Examples:\n  tributary top\n  tributary top --limit 50 --owner team-pay --json")]
    Top(TopArgs),
    /// One risk: state, evidence, owner, fix
    #[command(after_help = "Example:\n  tributary show 3f2a91c0      any unambiguous prefix of the id")]
    Show(RiskArgs),
    /// Why a risk is where it is: the whole derivation in words
    #[command(after_help = "Example:\n  tributary explain 3f2a91c0")]
    Explain(RiskArgs),
    /// Decode a topic as JSON lines
    #[command(
        after_help = "Examples:\n  tributary tail rejects\n  tributary tail tickets --follow\n  tributary tail risks --limit 5 | jq .value.title\n\nAsks Kafka where kafka.brokers is configured, else a running `up`."
    )]
    Tail(TailArgs),
    /// Ask ClickHouse
    #[command(
        after_help = "Examples:\n  tributary query 'SELECT * FROM open_risks LIMIT 10'\n  tributary query --format JSONEachRow 'SELECT * FROM coverage'"
    )]
    Query(QueryArgs),
    /// Health of the whole pipeline, of `up` or of the separate services
    #[command(
        after_help = "Examples:\n  tributary status\n  tributary status --service http://ingest-0:8740 --service http://correlate-0:8741 --service http://sink-0:8742\n  tributary status --scan 4711        how far one scan is: expected, received, tracked, assessed, stored\n\n`status.services` in tributary.toml names the services once. Exits 1 when anything is not ready."
    )]
    Status(StatusArgs),
    /// What could not be taken in, and sending it again
    Rejects {
        /// What to do.
        #[command(subcommand)]
        command: RejectsCommand,
    },
    /// Generate a synthetic estate in real formats, for load tests
    #[command(after_help = "Example:\n  tributary estate --components 100 --findings 20000 --seed 1 --out /tmp/estate")]
    Estate(EstateArgs),
    /// Apply ClickHouse migrations; idempotent
    #[command(
        after_help = "Examples:\n  tributary migrate --dry-run\n  TRIBUTARY__CLICKHOUSE__URL=http://ch:8123 tributary migrate"
    )]
    Migrate(MigrateArgs),
    /// The service that turns what arrives into canonical records, on Kafka; it serves the intake
    #[command(after_help = "Example:\n  tributary --config ingest-0.toml ingest")]
    Ingest,
    /// The service of the four stages, on Kafka: run as many as there is work for
    #[command(after_help = "Example:\n  tributary --config correlate-0.toml correlate --listen 127.0.0.1:8741")]
    Correlate(ProbeArgs),
    /// The service that writes rows from Kafka to ClickHouse
    #[command(after_help = "Example:\n  tributary --config sink-0.toml sink --listen 127.0.0.1:8742")]
    Sink(ProbeArgs),
    /// Topics of the log on Kafka
    Topics {
        /// What to do.
        #[command(subcommand)]
        command: TopicsCommand,
    },
    /// Schemas of the topics in a schema registry
    Schemas {
        /// What to do.
        #[command(subcommand)]
        command: SchemasCommand,
    },
    /// Which identity and which decision model are in force, and putting another model in force
    Versions {
        /// What to do.
        #[command(subcommand)]
        command: VersionsCommand,
    },
    /// Print a shell completion script
    #[command(after_help = "Example:\n  tributary completions bash > /etc/bash_completion.d/tributary")]
    Completions {
        /// Shell.
        shell: clap_complete::Shell,
    },
    /// The engine's own process; started by `up` and `demo`
    #[command(hide = true)]
    EngineChild {
        /// Passed through.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Print one JSON object instead of a page of text.
    #[arg(long)]
    pub json: bool,
    /// Keep serving the page and ClickHouse until interrupted.
    #[arg(long)]
    pub serve: bool,
    /// Where to keep the demo's data; default: a temporary directory, removed at the end.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Do not use the ClickHouse engine even if it is there.
    #[arg(long)]
    pub no_engine: bool,
}

/// Options of `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Directory that holds everything: log, engine, keys.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address of the intake, the page and the API; elsewhere than loopback only with a token configured.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Address of the ClickHouse-compatible endpoint.
    #[arg(long, value_name = "ADDR")]
    pub clickhouse_listen: Option<String>,
    /// Do not start the ClickHouse engine.
    #[arg(long)]
    pub no_engine: bool,
}

/// Options that say what a report is about; each overrides what the report says.
#[derive(Debug, Args, Default, Clone)]
pub struct AboutArgs {
    /// Class of source: scanner, cicd, cloud, runtime, catalog, intel, triage, ticketing; default: by format.
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    /// Name of the format; default: detected.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Repository the report is about.
    #[arg(long, value_name = "URL")]
    pub repo: Option<String>,
    /// Branch.
    #[arg(long, value_name = "BRANCH")]
    pub branch: Option<String>,
    /// Commit.
    #[arg(long, value_name = "SHA")]
    pub commit: Option<String>,
    /// Image the report is about, with its digest.
    #[arg(long, value_name = "REF@DIGEST")]
    pub image: Option<String>,
    /// Anything else: `cluster/prod-eu`, `aws/123456789012`, `https://shop.example`.
    #[arg(long, value_name = "RESOURCE")]
    pub resource: Option<String>,
    /// What separates scans of one asset by one tool, such as a filter.
    #[arg(long, value_name = "SCOPE")]
    pub scope: Option<String>,
    /// Your own id of the scan.
    #[arg(long, value_name = "ID")]
    pub scan_id: Option<String>,
    /// The scan looked only at a part (a diff, a pull request): it closes nothing.
    #[arg(long)]
    pub partial: bool,
    /// Old data, or much of it: it waits while others are at work, and opens tickets for the most urgent only.
    #[arg(long, visible_alias = "bulk")]
    pub backfill: bool,
}

/// Where a running Tributary listens.
#[derive(Debug, Args, Clone)]
pub struct ServerArgs {
    /// Address of a running Tributary.
    #[arg(long, value_name = "URL", env = "TRIBUTARY_URL")]
    pub url: Option<String>,
    /// Token of the intake.
    #[arg(long, value_name = "TOKEN", env = "TRIBUTARY_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

/// Options of `publish`.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// Report files; `-` is stdin.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Wait until the scan is applied, and print what is new, gone and unchanged.
    #[arg(long)]
    pub wait: bool,
    /// How long to wait.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
    /// Print JSON lines.
    #[arg(long)]
    pub json: bool,
    /// What the reports are about.
    #[command(flatten)]
    pub about: AboutArgs,
    /// Where to.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Options of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Report files; `-` is stdin.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// One JSON object a line per file.
    #[arg(long)]
    pub json: bool,
    /// What the reports are about.
    #[command(flatten)]
    pub about: AboutArgs,
}

/// Subcommands of `intel`.
#[derive(Debug, Subcommand)]
pub enum IntelCommand {
    /// Load KEV, EPSS and OSV: the bundled snapshot, a directory of feeds, or a mirror
    #[command(
        after_help = "Examples:\n  tributary intel sync\n  tributary intel sync --from ./feeds\n  tributary intel sync --from https://mirror.example/kev.json"
    )]
    Sync {
        /// A directory of feeds, a file, or a URL; default: the bundled snapshot.
        #[arg(long, value_name = "DIR|URL")]
        from: Option<String>,
        /// Where to.
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Options of `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// How many.
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
    /// Only risks of this owner.
    #[arg(long)]
    pub owner: Option<String>,
    /// Only risks of this component.
    #[arg(long)]
    pub component: Option<String>,
    /// Print JSON lines.
    #[arg(long)]
    pub json: bool,
    /// Where from.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Options of `show` and `explain`.
#[derive(Debug, Args)]
pub struct RiskArgs {
    /// Id of the risk, or an unambiguous beginning of it.
    pub risk: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Where from.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Options of `tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// Topic, without prefix: facts, observations, findings, risks, changes, tickets, rejects …
    pub topic: String,
    /// Go on as records arrive.
    #[arg(long, short)]
    pub follow: bool,
    /// At most so many records.
    #[arg(long)]
    pub limit: Option<usize>,
    /// Where from.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Options of `query`.
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// SQL; `-` reads it from stdin.
    pub sql: String,
    /// Output format of ClickHouse.
    #[arg(long, default_value = "PrettyCompactMonoBlock")]
    pub format: String,
    /// Address of ClickHouse; default: from the configuration.
    #[arg(long, value_name = "URL")]
    pub clickhouse: Option<String>,
}

/// Options of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Address of a separate service (repeat it); default: `status.services` of the configuration, else `up`.
    #[arg(long, value_name = "URL")]
    pub service: Vec<String>,
    /// Also say how far this scan is. Over separate services it is read from Kafka.
    #[arg(long, value_name = "ID")]
    pub scan: Option<String>,
    /// Where from.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Options of `estate`.
#[derive(Debug, Args)]
pub struct EstateArgs {
    /// Components: each one repository, one image, one production workload.
    #[arg(long, default_value_t = 50)]
    pub components: u32,
    /// Number of the first component: estates that do not overlap can be sent to one service.
    #[arg(long, default_value_t = 0)]
    pub first: u32,
    /// Night of the scans: 0 writes context and first scans; each later night a re-scan, 95 % of it unchanged.
    #[arg(long, default_value_t = 0)]
    pub night: u32,
    /// Findings in all; every second one is in a lockfile, the other in an image.
    #[arg(long, default_value_t = 10_000)]
    pub findings: u32,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Directory to write to: reports, and manifest.jsonl that says in which order and about what.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a terminal.
    Text,
}
