//! Who should act on a risk: whom CODEOWNERS names for the path, else whom the component belongs to, else nobody.

use tributary_model::asset;
use tributary_model::codeowners;
use tributary_model::risk::Owner;

use super::Finding;
use super::surroundings::{Known, Surroundings};

/// Nobody is known.
#[must_use]
pub fn nobody() -> Owner {
    Owner { team: String::new(), source: "none".to_owned(), confidence: "none".to_owned() }
}

/// The owner by evidence, in canonical order of the findings.
#[must_use]
pub fn owner(findings: &[&Finding<'_>], around: &Surroundings) -> Owner {
    findings
        .iter()
        .find_map(|finding| by_path(finding, around))
        .or_else(|| around.owner.as_ref().map(by_component))
        .unwrap_or_else(nobody)
}

fn by_path(finding: &Finding<'_>, around: &Surroundings) -> Option<Owner> {
    let (repo, _) = asset::repository_parts(finding.tracked.asset)?;
    let rules = around.code_owners.get(repo)?;
    let sighting = &finding.tracked.sighting;
    let path = match (&sighting.location, &sighting.package) {
        (Some(location), _) => location.path,
        (None, Some(package)) if !package.file.is_empty() => package.file,
        (None, Some(package)) => package.manifest_dir,
        (None, None) => return None,
    };
    let rule = codeowners::owners_of(rules, path)?;
    let team = rule.owners.first().map(|owner| team_name(owner))?;
    Some(Owner { team, source: "codeowners".to_owned(), confidence: "high".to_owned() })
}

/// `@org/team` → `team`, `@person` → `person`; e-mail addresses stay out of records, only the part before `@` is kept.
fn team_name(owner: &str) -> String {
    let owner = owner.trim_start_matches('@');
    let owner = owner.rsplit_once('/').map_or(owner, |(_, team)| team);
    owner.split_once('@').map_or(owner, |(name, _)| name).to_owned()
}

/// The component's owner, by who says so.
#[must_use]
pub fn by_component(owner: &Known<String>) -> Owner {
    let asserter = owner.source.split(':').next().unwrap_or_default();
    let (source, confidence) = match asserter {
        "kubernetes" => ("label", "medium"),
        _ => ("catalog", "high"),
    };
    Owner { team: owner.value.clone(), source: source.to_owned(), confidence: confidence.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_teams_carry_no_address() {
        assert_eq!(team_name("@acme/team-pay"), "team-pay");
        assert_eq!(team_name("@jo"), "jo");
        assert_eq!(team_name("jo.doe@acme.example"), "jo.doe");
    }

    #[test]
    fn the_catalogue_is_surer_than_a_label() {
        let said = |source: &str| by_component(&Known::said("pay".to_owned(), source, 0));
        assert_eq!(said("backstage").confidence, "high");
        assert_eq!(said("kubernetes:prod").source, "label");
    }
}
