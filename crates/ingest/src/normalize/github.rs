//! GitHub webhooks → facts about repositories, builds and deployments, and alerts as single sightings; exports of alerts → reports.
//! Asserter of every fact: `github`.

mod code_scanning;
mod delivery;
mod dependabot;
mod export;
mod graphql;
mod payload;
mod secret_scanning;

pub use code_scanning::{code_scanning_alert, code_scanning_alerts};
pub use delivery::{deployment_status, push, registry_package, workflow_run};
pub use dependabot::{dependabot_alert, dependabot_alerts};
pub use secret_scanning::{secret_scanning_alert, secret_scanning_alerts};

#[cfg(test)]
mod tests;
