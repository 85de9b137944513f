//! GitHub webhooks → facts about repositories, builds and deployments, and alerts as single sightings.
//! Asserter of every fact: `github`.

mod code_scanning;
mod delivery;
mod dependabot;
mod payload;
mod secret_scanning;

pub use code_scanning::code_scanning_alert;
pub use delivery::{deployment_status, push, registry_package, workflow_run};
pub use dependabot::dependabot_alert;
pub use secret_scanning::secret_scanning_alert;

#[cfg(test)]
mod tests;
