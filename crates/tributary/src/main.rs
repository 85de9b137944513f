//! The tributary binary: telemetry, configuration, run, exit code.

mod access;
mod allocator;
mod cli;
mod client;
mod commands;
mod config;
mod engine;
mod estate;
mod exposition;
mod keys;
mod ledger;
mod page;
mod print;
mod rejects;
mod river;
mod server;
mod service;
mod snapshots;
mod status;
mod synthetic;
mod telemetry;
mod topic_json;
mod versions;
mod view;
mod watch;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::{Cli, Command, IntelCommand, RejectsCommand, SchemasCommand, TopicsCommand, VersionsCommand};

/// Exit code when a command could not tell or could not run.
const COULD_NOT: u8 = 2;

fn main() -> ExitCode {
    allocator::configure();
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // A reader that went away (`| head`) wanted no more: that is no failure.
            if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
                return ExitCode::SUCCESS;
            }
            let _ = writeln!(std::io::stderr(), "tributary: {error:#}");
            ExitCode::from(COULD_NOT)
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<u8> {
    if let Command::Completions { shell } = cli.command {
        clap_complete::generate(shell, &mut Cli::command(), "tributary", &mut std::io::stdout());
        return Ok(0);
    }
    let config = config::load(cli.config.as_deref())?;
    let serves = matches!(
        cli.command,
        Command::Up(_) | Command::Ingest | Command::Correlate(_) | Command::Sink(_) | Command::EngineChild { .. }
    );
    let level = cli.log.as_deref().or((!serves).then_some("warn"));
    telemetry::logs(&config.log, level)?;
    match &cli.command {
        Command::Demo(args) => commands::demo::run(args, &config),
        Command::Up(args) => commands::up::run(args, &config),
        Command::Publish(args) => commands::publish::run(args, &config),
        Command::Check(args) => commands::check::run(args),
        Command::Intel { command: IntelCommand::Sync { from, server } } => {
            commands::intel::sync(from.as_deref(), server, &config)
        }
        Command::Top(args) => commands::ask::top(args, &config),
        Command::Show(args) => commands::ask::show(args, &config),
        Command::Explain(args) => commands::ask::explain(args, &config),
        Command::Tail(args) => commands::ask::tail(args, &config),
        Command::Query(args) => commands::query::run(args, &config),
        Command::Status(args) => commands::ask::status(args, &config),
        Command::Versions { command: VersionsCommand::List(args) } => commands::versions::list(args, &config),
        Command::Versions { command: VersionsCommand::Activate(args) } => commands::versions::activate(args, &config),
        Command::Rejects { command: RejectsCommand::List(args) } => commands::rejects::list(args, &config),
        Command::Rejects { command: RejectsCommand::Replay(args) } => commands::rejects::replay(args, &config),
        Command::Estate(args) => commands::generate::run(args),
        Command::Migrate(args) => commands::migrate::run(args, &config),
        Command::Ingest => commands::services::ingest(&config),
        Command::Correlate(args) => commands::services::correlate(args.listen, &config),
        Command::Sink(args) => commands::services::sink(args.listen, &config),
        Command::Topics { command: TopicsCommand::Apply { dry_run } } => commands::topics::apply(*dry_run, &config),
        Command::Schemas { command: SchemasCommand::Apply { dry_run } } => commands::schemas::apply(*dry_run, &config),
        Command::Topics { command: TopicsCommand::Acls(args) } => commands::acls::print(args, &config),
        Command::Completions { .. } => Ok(0),
        Command::EngineChild { .. } => {
            tributary_chdb::child::run()?;
            Ok(0)
        }
    }
}
