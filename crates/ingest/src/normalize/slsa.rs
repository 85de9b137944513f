//! SLSA provenance (in-toto statement, DSSE envelope, or lines of them) → which commit an image was built from, on what base.
//! Digests decide; names are only names.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::Deserialize;
use serde_json::Value;
use tributary_model::fact::{Attribute, value};
use tributary_model::{entity, path, repository};

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::claims::Claims;
use crate::normalize::image_reference::{self, ImageReference};
use crate::time;

#[derive(Deserialize)]
struct Statement {
    #[serde(default)]
    subject: Vec<Resource>,
    #[serde(default, rename = "predicateType")]
    predicate_type: String,
    #[serde(default)]
    predicate: Value,
}

/// An in-toto resource descriptor, or a SLSA 0.2 material.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Resource {
    name: Option<String>,
    uri: Option<String>,
    digest: Option<std::collections::BTreeMap<String, String>>,
}

/// Facts by `slsa` about every subject with a SHA-256 digest. Event time is when the build finished, else began.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let mut claims = Claims::new(input, "slsa");
    let mut has_provenance = false;
    for document in serde_json::Deserializer::from_slice(input.body).into_iter::<Value>() {
        let statement = open(document.map_err(|error| Rejection::json("SLSA", &error))?)?;
        if statement.predicate_type.contains("slsa.dev/provenance") {
            has_provenance = true;
            claims.observed_at = finished(&statement.predicate).unwrap_or_else(|| input.default_time());
            claim(&statement, &mut claims);
        }
    }
    claims.into_events(if has_provenance {
        "the provenance names no subject with a SHA-256 digest, or no source repository"
    } else {
        "there is no SLSA provenance in it: its predicateType must be https://slsa.dev/provenance/v1"
    })
}

/// The statement itself, or the one inside a DSSE envelope (its signature is the business of whoever grants).
fn open(document: Value) -> Result<Statement, Rejection> {
    let malformed = |reason: &str| Rejection::new(code::MALFORMED, reason.to_owned());
    let document = match document.get("payload").or_else(|| document.pointer("/dsseEnvelope/payload")) {
        Some(Value::String(payload)) => {
            let bytes = STANDARD.decode(payload).or_else(|_| URL_SAFE.decode(payload));
            let bytes = bytes.map_err(|_| malformed("the payload of the DSSE envelope is not base64"))?;
            serde_json::from_slice(&bytes).map_err(|error| Rejection::json("in-toto", &error))?
        }
        _ => document,
    };
    Statement::deserialize(document).map_err(|_| malformed("the in-toto statement has another shape than the format"))
}

fn claim(statement: &Statement, claims: &mut Claims<'_>) {
    let predicate = &statement.predicate;
    let parameters = predicate.pointer("/buildDefinition/externalParameters").unwrap_or(&Value::Null);
    let dependencies = dependencies(predicate);
    let source = source(parameters, predicate, &dependencies);
    let base = base_image(&dependencies);
    for subject in &statement.subject {
        let digest = subject.digest.as_ref().and_then(|digests| digests.get("sha256"));
        let Some(digest) = digest.and_then(|hex| image_reference::digest(hex)) else { continue };
        let image = entity::image(&digest);
        if let Some(source) = &source {
            claims.say(&image, Attribute::BuiltFrom, "", source);
        }
        if let Some(base) = &base {
            claims.say(&image, Attribute::BaseImage, "", base);
        }
        let name = ImageReference::parse(subject.name.as_deref().unwrap_or_default()).tagged_name();
        if is_registry_name(&name) {
            claims.text(&image, Attribute::ImageName, &name, "");
        }
    }
}

fn finished(predicate: &Value) -> Option<i64> {
    let keys = ["/runDetails/metadata/finishedOn", "/runDetails/metadata/startedOn", "/metadata/buildFinishedOn"];
    keys.iter().find_map(|key| time::parse(predicate.pointer(key)?.as_str()?))
}

fn dependencies(predicate: &Value) -> Vec<Resource> {
    let listed = predicate.pointer("/buildDefinition/resolvedDependencies").or_else(|| predicate.get("materials"));
    listed.and_then(|listed| Vec::<Resource>::deserialize(listed).ok()).unwrap_or_default()
}

/// Repository, commit, branch and sub-directory. The dependency on the repository that the workflow names, else the first
/// dependency with a commit, else the workflow's repository without a commit.
fn source(parameters: &Value, predicate: &Value, dependencies: &[Resource]) -> Option<value::BuiltFrom> {
    let text = |pointer: &str| parameters.pointer(pointer).and_then(Value::as_str);
    let config = predicate.pointer("/invocation/configSource/uri").and_then(Value::as_str);
    let stated = [text("/workflow/repository"), text("/source/uri"), text("/source"), text("/repository"), config];
    let stated = stated.into_iter().flatten().find_map(|uri| Some((git_uri(uri)?, uri)));
    let commits: Vec<(String, &str, &str)> = dependencies
        .iter()
        .filter_map(|dependency| {
            let digests = dependency.digest.as_ref()?;
            let commit = digests.get("gitCommit").or_else(|| digests.get("sha1"))?;
            let uri = dependency.uri.as_deref()?;
            Some((git_uri(uri)?, uri, commit.as_str()))
        })
        .collect();
    let same = commits.iter().find(|(repo, ..)| stated.as_ref().is_some_and(|(known, _)| known == repo));
    let (repo, uri, commit) = match (same.or_else(|| commits.first()), stated) {
        (Some((repo, uri, commit)), _) => (repo.clone(), *uri, *commit),
        (None, Some((repo, uri))) => (repo, uri, ""),
        (None, None) => return None,
    };
    let reference = text("/workflow/ref").or_else(|| text("/ref")).or_else(|| reference_of(uri)).unwrap_or_default();
    let branch = reference.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/");
    Some(value::BuiltFrom { repo, commit: commit.to_owned(), branch: branch.to_owned(), path: build_path(parameters) })
}

/// The canonical repository of `git+https://host/org/name@refs/heads/main`.
fn git_uri(uri: &str) -> Option<String> {
    let rest = uri.strip_prefix("git+").unwrap_or(uri);
    let without_reference = reference_of(rest).map_or(rest, |reference| &rest[..rest.len() - reference.len() - 1]);
    let is_git = uri.starts_with("git+") || rest.starts_with("https://") || rest.starts_with("ssh://");
    repository::canonical(without_reference).filter(|_| is_git)
}

/// What follows the last `@`, unless that belongs to the user part of the URL.
fn reference_of(uri: &str) -> Option<&str> {
    let (before, reference) = uri.rsplit_once('@')?;
    let has_path = before.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    has_path.then(|| reference.split('#').next().unwrap_or_default())
}

/// Sub-directory of the build: a stated context or path, else the directory of the Dockerfile. The path of the workflow
/// file is not one.
fn build_path(parameters: &Value) -> String {
    let keys = ["context", "path", "subdir", "subdirectory", "working-directory", "contextPath"];
    let places = [parameters.get("inputs"), parameters.get("request"), Some(parameters)];
    let find = |key: &str| places.iter().flatten().find_map(|place| place.get(key)?.as_str());
    let stated = keys.iter().filter_map(|key| find(key)).filter(|stated| !stated.contains("://"));
    let mut stated = stated.map(path::canonical);
    if let Some(stated) = stated.find(|stated| !stated.is_empty()) {
        return stated;
    }
    let dockerfile = ["dockerfile", "file"].iter().find_map(|key| find(key)).unwrap_or_default();
    path::directory(&path::canonical(dockerfile)).to_owned()
}

/// The one image among the dependencies, or the one that is named `base`. Several without a hint are build stages and
/// bases that cannot be told apart: then none, since a wrong base sends the ticket to the wrong team.
fn base_image(dependencies: &[Resource]) -> Option<value::BaseImage> {
    let images: Vec<(bool, value::BaseImage)> = dependencies.iter().filter_map(image_dependency).collect();
    let named = images.iter().find(|(is_base, _)| *is_base);
    let only = images.first().filter(|_| images.len() == 1);
    named.or(only).map(|(_, image)| image.clone())
}

fn image_dependency(dependency: &Resource) -> Option<(bool, value::BaseImage)> {
    let uri = dependency.uri.as_deref()?;
    let schemes = ["pkg:docker/", "pkg:oci/", "docker://", "oci://", "docker-image://"];
    if !schemes.iter().any(|scheme| uri.starts_with(scheme)) {
        return None;
    }
    let mut parsed = ImageReference::parse(uri);
    let stated = dependency.digest.as_ref().and_then(|digests| digests.get("sha256"));
    if let Some(digest) = stated.and_then(|hex| image_reference::digest(hex)) {
        parsed.digest = digest;
    }
    // BuildKit lists its own frontend and builder among what it used.
    let is_tool =
        ["docker/dockerfile", "docker/buildkit", "moby/buildkit"].iter().any(|tool| parsed.name.contains(tool));
    let is_base = dependency.name.as_deref().is_some_and(|name| name.to_ascii_lowercase().starts_with("base"));
    (!is_tool).then_some((is_base, value::BaseImage { name: parsed.name, tag: parsed.tag, digest: parsed.digest }))
}

/// Whether a subject's name is that of an image in a registry and not of a file.
fn is_registry_name(name: &str) -> bool {
    name.split_once('/')
        .is_some_and(|(host, rest)| (host.contains(['.', ':']) || host == "localhost") && !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use tributary_model::record::Extensions;

    use super::*;
    use crate::normalize::fact_lines::{check, check_robust, run};

    const IMAGE: &str = "1212121212121212121212121212121212121212121212121212121212121212";
    const BASE: &str = "3434343434343434343434343434343434343434343434343434343434343434";

    fn statement(parameters: &str, dependencies: &str) -> String {
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"r.example/shop/till","digest":{{"sha256":"{IMAGE}"}}}}],
            "predicateType":"https://slsa.dev/provenance/v1","predicate":{{"buildDefinition":{{"externalParameters":{parameters},
            "resolvedDependencies":[{dependencies}]}},"runDetails":{{"metadata":{{"finishedOn":"2026-03-01T10:00:00Z"}}}}}}}}"#
        )
    }

    fn full() -> String {
        statement(
            r#"{"workflow":{"ref":"refs/heads/main","repository":"https://github.com/Acme/shop","path":".github/workflows/b.yml"},"inputs":{"context":"./services/till"}}"#,
            &format!(
                r#"{{"uri":"git+https://github.com/acme/tools@refs/heads/main","digest":{{"gitCommit":"0000"}}}},
                {{"uri":"git+https://github.com/acme/shop@refs/heads/main","digest":{{"gitCommit":"abcd"}}}},
                {{"uri":"pkg:docker/r.example/base/runtime@12?platform=linux%2Famd64","digest":{{"sha256":"{BASE}"}}}}"#
            ),
        )
    }

    #[test]
    fn source_base_and_name() {
        let expected = [
            format!(
                r#"image:sha256:{IMAGE} built_from = {{"repo":"github.com/acme/shop","commit":"abcd","branch":"main","path":"services/till"}} (slsa)"#
            ),
            format!(
                r#"image:sha256:{IMAGE} base_image = {{"name":"r.example/base/runtime","tag":"12","digest":"sha256:{BASE}"}} (slsa)"#
            ),
            format!(r#"image:sha256:{IMAGE} image_name [r.example/shop/till] = "" (slsa)"#),
        ];
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(normalize, &full(), Extensions::default(), &expected);
        let envelope = format!(
            r#"{{"payloadType":"application/vnd.in-toto+json","payload":"{}","signatures":[]}}"#,
            STANDARD.encode(full())
        );
        check(normalize, &envelope, Extensions::default(), &expected);
        let events = run(normalize, &format!("{envelope}\n{envelope}"), Extensions::default()).unwrap();
        assert_eq!(events.facts.len(), 6);
        assert_eq!(events.facts[0].observed_at, time::parse("2026-03-01T10:00:00Z").unwrap());
        check_robust(normalize, &full());
    }

    #[test]
    fn of_several_images_none_is_the_base_unless_named() {
        let images = r#"{"uri":"pkg:docker/docker/dockerfile@1"},{"uri":"pkg:docker/golang@1.25"},{"uri":"pkg:docker/alpine@3"}"#;
        let git = r#"{"uri":"git+https://github.com/acme/shop","digest":{"sha1":"ab"}}"#;
        let base = |images: &str| {
            let body =
                statement(r#"{"inputs":{"dockerfile":"till/Dockerfile","context":"."}}"#, &format!("{git},{images}"));
            let events = run(normalize, &body, Extensions::default()).unwrap();
            assert!(events.facts[0].value.contains(r#""path":"till""#), "{}", events.facts[0].value);
            events.facts.iter().find(|fact| fact.attribute == Attribute::BaseImage).map(|fact| fact.value.clone())
        };
        assert_eq!(base(images), None);
        let named =
            images.replace(r#"{"uri":"pkg:docker/alpine@3"}"#, r#"{"name":"base","uri":"pkg:docker/alpine@3"}"#);
        assert_eq!(base(&named).as_deref(), Some(r#"{"name":"alpine","tag":"3","digest":""}"#));
    }

    #[test]
    fn what_is_no_provenance() {
        for (body, expected) in [
            (r#"{"predicateType":"https://spdx.dev/Document","subject":[]}"#, code::NOTHING_IN_IT),
            (r#"{"payload":"%%%"}"#, code::MALFORMED),
            (&full().replace(IMAGE, "12"), code::NOTHING_IN_IT),
        ] {
            assert_eq!(run(normalize, body, Extensions::default()).unwrap_err().code, expected, "{body}");
        }
    }
}
