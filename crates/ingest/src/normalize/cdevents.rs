//! CDEvents → what runs where (`service.*`), what images were built from (`artifact.*`), and names of repositories.
//! Events that carry nothing that is used are rejects with that reason, so that nobody waits for an effect.

use serde::Deserialize;
use tributary_model::fact::{Attribute, value};
use tributary_model::{entity, repository};

use crate::event::{Events, Input, Rejection, code};
use crate::normalize::claims::Claims;
use crate::normalize::environment;
use crate::normalize::image_reference::ImageReference;
use crate::time;

#[derive(Deserialize)]
struct Event {
    context: Context,
    #[serde(default)]
    subject: Subject,
}

#[derive(Deserialize)]
struct Context {
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    timestamp: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Subject {
    id: String,
    source: Option<String>,
    content: Content,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Content {
    environment: Option<Reference>,
    artifact_id: Option<String>,
    change: Option<Reference>,
    /// Of a repository.
    name: Option<String>,
    uri: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reference {
    id: String,
    source: Option<String>,
}

/// Facts by `cdevents:<source>`.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let event: Event = serde_json::from_slice(input.body).map_err(|error| Rejection::json("CDEvents", &error))?;
    let (subject, predicate) = kind(&event.context.event_type).ok_or_else(|| {
        Rejection::at(
            code::MALFORMED,
            "context.type is not of the form dev.cdevents.<subject>.<predicate>.<version>",
            "$.context.type",
        )
    })?;
    let source = event.subject.source.as_deref().filter(|source| !source.is_empty()).unwrap_or(&event.context.source);
    let mut claims = Claims::new(input, format!("cdevents:{source}"));
    if let Some(at) = event.context.timestamp.as_deref().and_then(time::parse) {
        claims.observed_at = at;
    }
    match (subject, predicate) {
        ("service", "deployed" | "upgraded" | "rolledback") => service_runs(&event.subject, &mut claims)?,
        ("service", "removed") => service_removed(&event.subject, &mut claims)?,
        ("artifact", "packaged" | "published") | ("build", "finished") => artifact(input, &event.subject, &mut claims),
        ("repository", "created" | "modified" | "deleted") => {
            repository(&event.subject, predicate == "deleted", &mut claims);
        }
        _ => {}
    }
    let hint = hint(subject, predicate);
    claims.into_events(&format!("CDEvents {subject}.{predicate} carries no context that Tributary uses{hint}"))
}

/// Subject and predicate of `dev.cdevents.service.deployed.0.3.0`.
fn kind(event_type: &str) -> Option<(&str, &str)> {
    let mut parts = event_type.strip_prefix("dev.cdevents.")?.split('.');
    Some((parts.next()?, parts.next().filter(|predicate| !predicate.is_empty())?))
}

/// What would have made the event useful.
fn hint(subject: &str, predicate: &str) -> &'static str {
    match (subject, predicate) {
        ("artifact", "packaged" | "published") | ("build", "finished") => {
            ": an artifact needs a pkg:oci or pkg:docker id with a digest, and a change with its repository"
        }
        ("repository", _) => ": a repository needs its uri",
        _ => "",
    }
}

fn workload(subject: &Subject) -> Result<(String, String), Rejection> {
    let environment = subject.content.environment.as_ref().map(|environment| environment.id.trim().to_owned());
    match environment.filter(|id| !id.is_empty() && !subject.id.trim().is_empty()) {
        Some(id) => Ok((entity::workload(&id, "", "service", subject.id.trim()), id)),
        None => Err(Rejection::at(
            code::NO_ASSET,
            "a CDEvents service event needs subject.id and subject.content.environment.id",
            "$.subject",
        )),
    }
}

fn service_runs(subject: &Subject, claims: &mut Claims<'_>) -> Result<(), Rejection> {
    let (workload, environment_id) = workload(subject)?;
    claims.text(&workload, Attribute::Environment, "", &environment::canonical(&environment_id));
    let artifact = ImageReference::parse(subject.content.artifact_id.as_deref().unwrap_or_default());
    if !artifact.digest.is_empty() {
        let image = entity::image(&artifact.digest);
        claims.text(&workload, Attribute::RunsImage, &image, &artifact.name);
        claim_name(&image, &artifact, claims);
    }
    Ok(())
}

fn service_removed(subject: &Subject, claims: &mut Claims<'_>) -> Result<(), Rejection> {
    let (workload, _) = workload(subject)?;
    claims.retract(&workload, Attribute::RunsImage, "");
    claims.retract(&workload, Attribute::Environment, "");
    Ok(())
}

/// An image, and the commit that the event or its headers name.
fn artifact(input: &Input<'_>, subject: &Subject, claims: &mut Claims<'_>) {
    let id = subject.content.artifact_id.as_deref().unwrap_or(&subject.id);
    let artifact = ImageReference::parse(id);
    if artifact.digest.is_empty() {
        return;
    }
    let image = entity::image(&artifact.digest);
    let change = subject.content.change.as_ref();
    let repo = change.and_then(|change| change.source.as_deref()).or(input.ext.repo.as_deref());
    if let Some(repo) = repo.and_then(repository::canonical) {
        let is_commit = |id: &&str| id.len() >= 7 && id.bytes().all(|b| b.is_ascii_hexdigit());
        let commit = change.map(|change| change.id.trim()).filter(is_commit).or(input.ext.commit.as_deref());
        let built_from = value::BuiltFrom {
            repo,
            commit: commit.unwrap_or_default().to_owned(),
            branch: input.ext.branch.clone().unwrap_or_default(),
            path: String::new(),
        };
        claims.say(&image, Attribute::BuiltFrom, "", &built_from);
    }
    claim_name(&image, &artifact, claims);
}

/// A name is useful only with its registry: `pkg:oci` has it in `repository_url`.
fn claim_name(image: &str, artifact: &ImageReference, claims: &mut Claims<'_>) {
    if artifact.name.contains('/') {
        claims.text(image, Attribute::ImageName, &artifact.tagged_name(), "");
    }
}

/// The id under which the source knows the repository, and its name for people.
fn repository(subject: &Subject, is_deleted: bool, claims: &mut Claims<'_>) {
    let Some(repo) = subject.content.uri.as_deref().and_then(repository::canonical) else { return };
    let entity = entity::repo(&repo);
    let id = subject.id.trim();
    let alias = format!("cdevents:{id}");
    if is_deleted {
        claims.retract(&entity, Attribute::Title, "");
        if !id.is_empty() {
            claims.retract(&entity, Attribute::RepositoryAlias, &alias);
        }
        return;
    }
    claims.text_or_retract(&entity, Attribute::Title, subject.content.name.as_deref());
    if !id.is_empty() {
        claims.text(&entity, Attribute::RepositoryAlias, &alias, "cdevents id");
    }
}

#[cfg(test)]
mod tests {
    use tributary_model::record::Extensions;

    use super::*;
    use crate::normalize::fact_lines::{check, check_robust, run};

    const HEX: &str = "5656565656565656565656565656565656565656565656565656565656565656";

    fn event(kind: &str, id: &str, content: &str) -> String {
        format!(
            r#"{{"context":{{"type":"dev.cdevents.{kind}.0.3.0","source":"/ci","timestamp":"2026-04-01T00:00:00Z"}},
            "subject":{{"id":"{id}","source":"/argo","content":{content}}}}}"#
        )
    }

    fn image(rest: &str) -> String {
        format!("pkg:oci/till@sha256%3A{HEX}{rest}")
    }

    #[test]
    fn services() {
        let named = image("?repository_url=r.example/shop/till&tag=3");
        let content = format!(r#"{{"environment":{{"id":"Prod"}},"artifactId":"{named}"}}"#);
        let expected = [
            "workload:Prod//service/shop/till environment = \"production\" (cdevents:/argo)".to_owned(),
            format!(
                "workload:Prod//service/shop/till runs_image [image:sha256:{HEX}] = \"r.example/shop/till\" (cdevents:/argo)"
            ),
            format!("image:sha256:{HEX} image_name [r.example/shop/till:3] = \"\" (cdevents:/argo)"),
        ];
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        for kind in ["service.deployed", "service.upgraded", "service.rolledback"] {
            check(normalize, &event(kind, "shop/till", &content), Extensions::default(), &expected);
        }
        check(
            normalize,
            &event("service.removed", "shop/till", r#"{"environment":{"id":"Prod"}}"#),
            Extensions::default(),
            &[
                "workload:Prod//service/shop/till runs_image =  (cdevents:/argo)",
                "workload:Prod//service/shop/till environment =  (cdevents:/argo)",
            ],
        );
        check_robust(normalize, &event("service.deployed", "shop/till", &content));
    }

    #[test]
    fn artifacts() {
        let content = r#"{"change":{"id":"0a58c19ca9ff","source":"https://git.example/acme/shop"}}"#;
        check(
            normalize,
            &event("artifact.packaged", &image(""), content),
            Extensions::default(),
            &[&format!(
                r#"image:sha256:{HEX} built_from = {{"repo":"git.example/acme/shop","commit":"0a58c19ca9ff","branch":"","path":""}} (cdevents:/argo)"#
            )],
        );
        let ext = Extensions {
            repo: Some("git.example/acme/shop".into()),
            commit: Some("ffff".into()),
            ..Extensions::default()
        };
        check(
            normalize,
            &event("artifact.published", &image(""), r#"{"change":{"id":"PR-7"}}"#),
            ext,
            &[&format!(
                r#"image:sha256:{HEX} built_from = {{"repo":"git.example/acme/shop","commit":"ffff","branch":"","path":""}} (cdevents:/argo)"#
            )],
        );
    }

    #[test]
    fn repositories() {
        let content = r#"{"name":"Shop","uri":"https://git.example/Acme/Shop"}"#;
        check(
            normalize,
            &event("repository.created", "r-1", content),
            Extensions::default(),
            &[
                "repo:git.example/acme/shop title = \"Shop\" (cdevents:/argo)",
                "repo:git.example/acme/shop repository_alias [cdevents:r-1] = \"cdevents id\" (cdevents:/argo)",
            ],
        );
        let deleted = run(normalize, &event("repository.deleted", "r-1", content), Extensions::default()).unwrap();
        assert!(deleted.facts.len() == 2 && deleted.facts.iter().all(|fact| fact.value.is_empty()));
    }

    #[test]
    fn what_carries_nothing_says_so() {
        for (kind, id) in [("build.queued", "b"), ("environment.created", "e"), ("artifact.packaged", "pkg:golang/x@1")]
        {
            let rejection = run(normalize, &event(kind, id, "{}"), Extensions::default()).unwrap_err();
            assert_eq!(rejection.code, code::NOTHING_IN_IT);
            assert!(
                rejection.reason.starts_with(&format!("CDEvents {kind} carries no context")),
                "{}",
                rejection.reason
            );
        }
        let nowhere = run(normalize, &event("service.deployed", "s", "{}"), Extensions::default()).unwrap_err();
        assert_eq!(nowhere.code, code::NO_ASSET);
    }
}
