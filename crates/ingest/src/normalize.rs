//! One file per format: bytes → canonical events. No I/O, no database, no clock.

use crate::event::{Events, Input, Rejection};
use crate::format::Format;

pub mod backstage;
pub mod cdevents;
pub mod checkov;
pub mod codeowners;
pub mod cyclonedx;
pub mod epss;
pub mod falco;
pub mod github;
pub mod gitleaks;
pub mod grype;
pub mod kev;
pub mod kubernetes;
pub mod ocsf;
pub mod openvex;
pub mod osv;
pub mod prowler_csv;
pub mod prowler_json;
pub mod sarif;
pub mod semgrep;
pub mod slsa;
pub mod tetragon;
pub mod trivy;
pub mod trivy_operator;
pub mod trufflehog;
pub mod zap;

mod advisory;
mod asset_of;
pub(crate) mod claims;
mod code_evidence;
mod controls;
mod cvss_pick;
mod cwe;
mod environment;
#[cfg(test)]
mod fact_lines;
#[cfg(test)]
mod fixture;
mod image_names;
mod image_reference;
mod lenient;
mod package_of;
mod posture;
mod secret_of;
mod title;
mod workload_name;
mod xml_tree;

/// Runs the normaliser of a format.
///
/// # Errors
/// A [`Rejection`] with code, reason and place; the input yields nothing then.
pub fn normalize(format: Format, input: &Input<'_>) -> Result<Events, Rejection> {
    match format {
        Format::Sarif => sarif::normalize(input),
        Format::Trivy => trivy::normalize(input),
        Format::TrivyOperator => trivy_operator::normalize(input),
        Format::Grype => grype::normalize(input),
        Format::CycloneDx => cyclonedx::normalize(input),
        Format::Semgrep => semgrep::normalize(input),
        Format::Gitleaks => gitleaks::normalize(input),
        Format::Trufflehog => trufflehog::normalize(input),
        Format::Checkov => checkov::normalize(input),
        Format::Zap => zap::normalize(input),
        Format::Ocsf => ocsf::normalize(input),
        Format::ProwlerJson => prowler_json::normalize(input),
        Format::ProwlerCsv => prowler_csv::normalize(input),
        Format::CdEvents => cdevents::normalize(input),
        Format::GithubPush => github::push(input),
        Format::GithubWorkflowRun => github::workflow_run(input),
        Format::GithubDeploymentStatus => github::deployment_status(input),
        Format::GithubCodeScanningAlert => github::code_scanning_alert(input),
        Format::GithubDependabotAlert => github::dependabot_alert(input),
        Format::GithubSecretScanningAlert => github::secret_scanning_alert(input),
        Format::GithubCodeScanningAlerts => github::code_scanning_alerts(input),
        Format::GithubDependabotAlerts => github::dependabot_alerts(input),
        Format::GithubSecretScanningAlerts => github::secret_scanning_alerts(input),
        Format::GithubRegistryPackage => github::registry_package(input),
        Format::Slsa => slsa::normalize(input),
        Format::Kubernetes => kubernetes::normalize(input),
        Format::Tetragon => tetragon::normalize(input),
        Format::Falco => falco::normalize(input),
        Format::Backstage => backstage::normalize(input),
        Format::CodeOwners => codeowners::normalize(input),
        Format::Kev => kev::normalize(input),
        Format::Epss => epss::normalize(input),
        Format::Osv => osv::normalize(input),
        Format::OpenVex => openvex::normalize(input),
    }
}
