//! Which format a record is in: the declared one, else the event type, else the shape of the bytes.
//! Reads as little as decides; the normalisers validate.

mod json;
mod other_tools;
pub mod shape;
mod text;

use tributary_model::record::{Extensions, RawClass};

use crate::event::{Rejection, code};
use crate::format::Format;
use crate::plain;

/// The format of a body (compressed and UTF-16 bodies are looked into, too).
///
/// # Errors
/// `unknown_format` with what was seen and what to do; `empty`, `truncated`, `too_deep`, `too_large`, `encoding`, `malformed`.
pub fn detect(body: &[u8], ext: &Extensions, class: Option<RawClass>) -> Result<Format, Rejection> {
    if let Some(format) = declared(ext)? {
        return Ok(format);
    }
    of_text(&plain::text(body, plain::BODY_BYTES_MAX)?, ext, class)
}

/// The format of a body that [`plain::text`] has prepared.
///
/// # Errors
/// As [`detect`].
pub fn of_text(text: &[u8], ext: &Extensions, class: Option<RawClass>) -> Result<Format, Rejection> {
    if let Some(format) = declared(ext)? {
        return Ok(format);
    }
    let text = text.trim_ascii_start();
    match text.first() {
        None => Err(Rejection::new(code::EMPTY, "the body is empty: send the report itself")),
        Some(b'{') => json::detect(text, class),
        Some(b'[') => json::detect(text, class).or_else(|rejection| {
            // A CODEOWNERS file may begin with a `[Section]`.
            if text::is_codeowners(text) { Ok(Format::CodeOwners) } else { Err(rejection) }
        }),
        Some(b'<') => text::xml(text, class),
        Some(_) => text::detect(text, class),
    }
}

/// The format that a file name gives away; `None` for names that say nothing certain.
#[must_use]
pub fn of_file_name(name: &str) -> Option<Format> {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    let ends = |ends: &[&str]| ends.iter().any(|end| stem.ends_with(end));
    match stem {
        "catalog-info.yaml" | "catalog-info.yml" => Some(Format::Backstage),
        _ if stem == "codeowners" || stem.starts_with("codeowners.") => Some(Format::CodeOwners),
        _ if ends(&[".sarif", ".sarif.json"]) => Some(Format::Sarif),
        _ if ends(&[".cdx.json", ".cdx.xml"]) => Some(Format::CycloneDx),
        _ if ends(&[".openvex.json"]) => Some(Format::OpenVex),
        _ => None,
    }
}

/// What the producer says the format is: the `format` header, else the event type.
fn declared(ext: &Extensions) -> Result<Option<Format>, Rejection> {
    if let Some(name) = &ext.format {
        return named(name).map(Some).ok_or_else(|| {
            let known: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
            Rejection::new(
                code::UNKNOWN_FORMAT,
                format!(
                    "the declared format {:?} is not known; declare none, or one of: {}",
                    cut(name),
                    known.join(", ")
                ),
            )
        });
    }
    let Some(event) = &ext.event_type else { return Ok(None) };
    if event.starts_with("dev.cdevents.") {
        return Ok(Some(Format::CdEvents));
    }
    let Some(name) = event.strip_prefix("github.").or_else(|| event.strip_prefix("com.github.")) else {
        return Ok(None);
    };
    // `github.push`, and CloudEvents adapters write the action behind it: `com.github.dependabot_alert.created`.
    let name = name.split('.').next().unwrap_or_default();
    Format::parse(&format!("github.{name}")).map(Some).ok_or_else(|| {
        let known: Vec<&str> = Format::ALL.iter().filter_map(|format| format.name().strip_prefix("github.")).collect();
        Rejection::new(
            code::UNKNOWN_FORMAT,
            format!("the GitHub event {:?} is not used; subscribe the webhook to: {}", cut(name), known.join(", ")),
        )
    })
}

/// The format with this name, tolerating what people and tools call it.
fn named(name: &str) -> Option<Format> {
    let name = name.trim().to_ascii_lowercase().replace([' ', '_'], "-");
    let alias = match name.as_str() {
        "sarif-2.1.0" | "sarif2" | "sarif-json" | "codeql" => "sarif",
        "trivy-json" | "aqua-trivy" => "trivy",
        "trivyoperator" | "trivy-k8s-operator" => "trivy-operator",
        "anchore-grype" | "grype-json" => "grype",
        "cdx" | "cyclone-dx" | "cyclonedx-json" | "cyclonedx-xml" | "sbom" => "cyclonedx",
        "semgrep-json" | "opengrep" => "semgrep",
        "trufflehog3" | "truffle-hog" => "trufflehog",
        "owasp-zap" | "zaproxy" | "zap-json" | "zap-xml" => "zap",
        "prowler" | "prowler-ocsf" | "ocsf-json" => "ocsf",
        "prowler3" | "prowler-v3" | "prowler-3-json" => "prowler-json",
        "cdevent" | "cd-events" => "cdevents",
        "in-toto" | "intoto" | "slsa-provenance" | "provenance" | "dsse" => "slsa",
        "k8s" | "kube" => "kubernetes",
        "catalog-info" => "backstage",
        "code-owners" => "codeowners",
        "cisa-kev" => "kev",
        "open-vex" | "vex" => "openvex",
        other => other,
    };
    Format::parse(alias).or_else(|| {
        // GitHub's event names have underscores, which the folding above took away.
        Format::ALL.iter().copied().find(|format| format.name().replace('_', "-") == alias)
    })
}

fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}

/// The reject for bytes that are no known format; `seen` finishes the sentence "this is …".
fn unknown(seen: &str, class: Option<RawClass>) -> Rejection {
    let known: Vec<&str> = Format::ALL
        .iter()
        .filter(|format| class.is_none_or(|class| format.class() == class))
        .map(|format| format.name())
        .collect();
    let of_class = class.map_or(String::new(), |class| format!(" of class {}", class.name()));
    let known =
        if known.is_empty() { String::new() } else { format!("; known formats{of_class}: {}", known.join(", ")) };
    Rejection::new(code::UNKNOWN_FORMAT, format!("the format is not recognised: this is {seen}{known}"))
}

#[cfg(test)]
mod tests;
