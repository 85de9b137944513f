//! Reports that are recognised but not read: the advice is the export that is read.

use super::shape::Outline;

struct Tool {
    /// All of these keys are there.
    keys: &'static [&'static str],
    name: &'static str,
    advice: &'static str,
}

/// Distinguishing keys as each tool documents or writes them.
const TOOLS: &[Tool] = &[
    Tool { keys: &["results", "generated_at", "metrics"], name: "Bandit", advice: "run it with `-f sarif`" },
    Tool { keys: &["scan_info", "warnings"], name: "Brakeman", advice: "run it with `-f sarif`" },
    Tool { keys: &["template-id", "info"], name: "Nuclei", advice: "run it with `-sarif-export`" },
    Tool {
        keys: &["auditReportVersion", "vulnerabilities"],
        name: "npm audit",
        advice: "run `npm sbom` and Grype, or OSV-Scanner with `--format sarif`",
    },
    Tool { keys: &["advisories", "muted"], name: "pnpm audit", advice: "run OSV-Scanner with `--format sarif`" },
    Tool { keys: &["dependencyCount", "vulnerabilities"], name: "Snyk", advice: "run it with `--sarif`" },
    Tool { keys: &["kics_version"], name: "KICS", advice: "run it with `--report-formats sarif`" },
    Tool {
        keys: &["document", "product_tree"],
        name: "CSAF",
        advice: "send the same statements as OpenVEX or CycloneDX",
    },
    Tool { keys: &["spdxVersion", "SPDXID"], name: "SPDX", advice: "send the inventory as CycloneDX (`syft convert`)" },
    Tool { keys: &["SchemaVersion", "ProductArn"], name: "Security Hub (ASFF)", advice: "export the findings as OCSF" },
    Tool {
        keys: &["meta", "findings", "project"],
        name: "Dependency-Track (FPF)",
        advice: "export the BOM with vulnerabilities as CycloneDX",
    },
    Tool {
        keys: &["version", "vulnerabilities", "scan"],
        name: "GitLab",
        advice: "send the analyser's own report (SARIF, CycloneDX, Trivy)",
    },
    Tool {
        keys: &["Controls", "Totals"],
        name: "kube-bench",
        advice: "run Prowler or the Trivy operator for the same controls",
    },
    Tool { keys: &["dependencies", "fixes"], name: "pip-audit", advice: "run it with `-f cyclonedx-json`" },
];

/// What to do instead, when the tool is recognised.
pub(super) fn advice(outline: &Outline) -> Option<String> {
    TOOLS.iter().find(|tool| tool.keys.iter().all(|key| outline.has(key))).map(|tool| {
        format!("this looks like a report of {}, which is not read in this form: {}", tool.name, tool.advice)
    })
}
